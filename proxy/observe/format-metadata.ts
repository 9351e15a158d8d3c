// Operators over metadata and filter state: `%DYNAMIC_METADATA(ns:key:…):n%`, `%METADATA(KIND:ns:key)%`, `%FILTER_STATE()%`.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { valueAt } from '../match/value.ts';
import { ConfigError } from '../util/error.ts';
import { textOf } from '../util/latin1.ts';
import { type FilterStateJson, type FilterStateValue, readFilterState, readSharedFilterState } from './filter-state.ts';
import {
  cut,
  type Operator,
  type OperatorFactory,
  plain,
  refuseLength,
  requireArgument,
  stringOperator,
  treeOperator,
} from './format-operator.ts';
import { jsonOfTree, jsonString } from './json-text.ts';
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

/** @param path as it stands in a format, a latin1 image */
function metadataOperator(source: Source, path: readonly string[], max: number): Operator {
  const keys = path.map(textOf);
  return treeOperator((info) => valueAt(source(info), keys), max);
}

/** @param cuts a length may be given */
function ofSource(source: Source, cuts: boolean): OperatorFactory {
  return (argument, max, name) => {
    requireArgument(argument, name);
    if (!cuts) refuseLength(max, name);
    return metadataOperator(source, argument.split(':'), max);
  };
}

const anyMetadata: OperatorFactory = (argument, max) => {
  const [kind = '', ...keys] = argument.split(':');
  const source = SOURCES.get(kind);
  if (source === undefined) throw new ConfigError(`${kind} is not supported type of metadata`);
  return metadataOperator(source, keys.length === 0 ? [''] : keys, max);
};

/** `TYPED` writes a string object as the JSON of a `StringValue`, that is quoted. */
const filterState: OperatorFactory = (argument, max, name) => {
  const [key = '', kind = 'TYPED', field] = argument.split(':');
  if (key === '') throw new ConfigError('Invalid filter state configuration, key cannot be empty.');
  if (!['PLAIN', 'TYPED', 'FIELD'].includes(kind)) {
    throw new ConfigError('Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.');
  }
  if ((kind === 'FIELD') !== (field !== undefined)) {
    throw new ConfigError('Invalid filter state serialize type, FIELD should be used with the field name.');
  }
  type State = FilterStateValue | null;
  const ofStream = (info: StreamInfo): State => readFilterState(info, key);
  // The upstream's filter state is what the stream shared with it, once there is a connection.
  const read =
    name === 'UPSTREAM_FILTER_STATE'
      ? (info: StreamInfo): State => (info.upstreamLocalAddress === '' ? null : readSharedFilterState(info, key))
      : ofStream;
  const textOf = (info: StreamInfo): string | null => {
    const state = read(info);
    if (state === null) return null;
    // A string object has no fields.
    if (kind === 'FIELD') return typeof state === 'string' ? null : state.field(field as string);
    return typeof state === 'string' ? state : state.plain();
  };
  if (kind !== 'TYPED') {
    return stringOperator((info) => {
      const value = textOf(info);
      return value === null ? null : cut(value, max);
    });
  }
  const json = (info: StreamInfo): string | null => {
    const state = read(info);
    if (state === null) return null;
    if (typeof state === 'string') return jsonOfMessageText(state);
    const tree = state.typed();
    return tree === null ? null : jsonOfTree(tree);
  };
  return {
    text: (info) => {
      const state = read(info);
      const tree = state === null || typeof state === 'string' ? null : state.typed();
      const value = tree === null ? json(info) : jsonOfTree(camelNames(tree));
      return value === null ? null : cut(value, max);
    },
    json,
  };
};

/** A string of a message must be UTF-8; of other bytes Envoy's JSON keeps the plain ones. */
function jsonOfMessageText(latin1: string): string {
  return jsonString(textOf(latin1).isWellFormed() ? latin1 : latin1.replace(/[\u0080-\u00ff]/g, ' '));
}

/** As Envoy prints messages: in JSON formats with the names of the `.proto`, in text with those of proto JSON. */
function camelNames(tree: FilterStateJson): JsonValue {
  if (tree === null || typeof tree !== 'object') return tree;
  return Object.fromEntries(
    Object.entries(tree).map(([name, value]) => [
      name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

/** Operators over metadata and filter state. */
export const METADATA_OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map<string, OperatorFactory>([
  ['DYNAMIC_METADATA', ofSource((info) => info.dynamicMetadata, true)],
  ['CLUSTER_METADATA', ofSource((info) => info.clusterMetadata, false)],
  ['UPSTREAM_METADATA', ofSource((info) => info.upstreamHost?.metadata, false)],
  ['METADATA', anyMetadata],
  ['FILTER_STATE', filterState],
  ['UPSTREAM_FILTER_STATE', filterState],
  ['CUSTOM_FLAGS', plain(stringOperator((info) => info.customFlags))],
]);
