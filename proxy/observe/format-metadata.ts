// Operators over metadata and filter state: `%DYNAMIC_METADATA(ns:key:…):n%`, `%METADATA(KIND:ns:key)%`, `%FILTER_STATE()%`.

import type { JsonObject, JsonValue } from '../config/model.ts';
import { ConfigError } from '../util/error.ts';
import {
  cut,
  type Operator,
  type OperatorFactory,
  plain,
  requireArgument,
  stringOperator,
  treeOperator,
} from './format-operator.ts';
import type { StreamInfo } from './stream-info.ts';

type Source = (info: StreamInfo) => JsonObject | null | undefined;

/** What `%METADATA(KIND:…)%` may name. */
const SOURCES: ReadonlyMap<string, Source> = new Map<string, Source>([
  ['DYNAMIC', (info) => info.dynamicMetadata],
  ['CLUSTER', (info) => info.clusterMetadata],
  ['ROUTE', (info) => info.routeMetadata],
  ['UPSTREAM_HOST', (info) => info.upstreamHost?.metadata],
  ['LISTENER', (info) => info.connection.listenerMetadata],
  ['LISTENER_FILTER_CHAIN', (info) => info.connection.filterChainMetadata],
  ['VIRTUAL_HOST', (info) => info.virtualHostMetadata],
]);

/** Walks a tree; `undefined` = no such key. */
function walk(root: JsonObject | null | undefined, keys: readonly string[]): JsonValue | undefined {
  if (root === null || root === undefined) return undefined;
  let value: JsonValue | undefined = root;
  for (const key of keys) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

function metadataOperator(source: Source, keys: readonly string[], max: number): Operator {
  return treeOperator((info) => walk(source(info), keys), max);
}

function ofSource(source: Source): OperatorFactory {
  return (argument, max, name) => {
    requireArgument(argument, name);
    return metadataOperator(source, argument.split(':'), max);
  };
}

const anyMetadata: OperatorFactory = (argument, max) => {
  const [kind = '', ...keys] = argument.split(':');
  const source = SOURCES.get(kind);
  if (source === undefined) throw new ConfigError(`${kind} is not supported type of metadata`);
  return metadataOperator(source, keys.length === 0 ? [''] : keys, max);
};

/** Filter state objects are strings (latin1 images) here; `TYPED` writes them as the JSON of a `StringValue`, that is quoted. */
const filterState: OperatorFactory = (argument, max, name) => {
  const [key = '', kind = 'TYPED', field] = argument.split(':');
  if (key === '') throw new ConfigError('Invalid filter state configuration, key cannot be empty.');
  if (!['PLAIN', 'TYPED', 'FIELD'].includes(kind)) {
    throw new ConfigError('Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.');
  }
  if ((kind === 'FIELD') !== (field !== undefined)) {
    throw new ConfigError('Invalid filter state serialize type, FIELD should be used with the field name.');
  }
  const ofStream = (info: StreamInfo): string | null => info.filterState?.get(key) ?? null;
  // The upstream's filter state is what the stream shared with it, once there is a connection.
  const read =
    name === 'UPSTREAM_FILTER_STATE'
      ? (info: StreamInfo) => (info.upstreamLocalAddress === '' ? null : ofStream(info))
      : ofStream;
  // A string object has no fields.
  if (kind === 'FIELD') return stringOperator(() => null);
  if (kind === 'PLAIN') {
    return stringOperator((info) => {
      const value = read(info);
      return value === null ? null : cut(value, max);
    });
  }
  const { json } = stringOperator(read);
  return {
    text: (info) => {
      const value = json(info);
      return value === null ? null : cut(value, max);
    },
    json,
  };
};

/** Operators over metadata and filter state. */
export const METADATA_OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map<string, OperatorFactory>([
  ['DYNAMIC_METADATA', ofSource((info) => info.dynamicMetadata)],
  ['CLUSTER_METADATA', ofSource((info) => info.clusterMetadata)],
  ['UPSTREAM_METADATA', ofSource((info) => info.upstreamHost?.metadata)],
  ['METADATA', anyMetadata],
  ['FILTER_STATE', filterState],
  ['UPSTREAM_FILTER_STATE', filterState],
  ['CUSTOM_FLAGS', plain(stringOperator((info) => info.customFlags))],
]);
