// Lowers the filters that say something about a request (Envoy: extensions.filters.http.header_to_metadata,
// set_metadata, set_filter_state). Refusals are Envoy's words.

import { ConfigError } from '../../util/error.ts';
import type { JsonObject } from '../model/common.ts';
import type {
  FilterStateValueModel,
  HeaderPairModel,
  HeaderRuleModel,
  HeaderToMetadataModel,
  SetConnectionStateModel,
  SetFilterStateModel,
  SetMetadataModel,
} from '../model/metadata-filter.ts';
import { bool, has, list, type Msg, num, oneofCase, str, struct, sub } from '../schema/message.ts';
import { lowerFormat } from './access-log.ts';
import { asciiLower, type LowerContext, wireString } from './common.ts';
import { FILTER_STATE_OBJECTS } from './filter-state-objects.ts';
import { lowerRegexRewrite } from './route-reply.ts';

// === header_to_metadata ===

const OWN_NAMESPACE = 'envoy.filters.http.header_to_metadata';
const VALUE_TYPES = ['string', 'number', 'protobuf'] as const;

/** `header_to_metadata.v3.Config`. */
export function lowerHeaderToMetadata(message: Msg, _ctx: LowerContext, path: string): HeaderToMetadataModel {
  return {
    kind: 'header_to_metadata',
    requestRules: list(message, 'requestRules').map((rule, i) => lowerRule(rule, `${path}.request_rules[${i}]`)),
    responseRules: list(message, 'responseRules').map((rule, i) => lowerRule(rule, `${path}.response_rules[${i}]`)),
    statPrefix: wireString(str(message, 'statPrefix')),
  };
}

/** The same of a route, where saying nothing is a mistake. */
export function lowerRouteHeaderToMetadata(message: Msg, ctx: LowerContext, path: string): HeaderToMetadataModel {
  const model = lowerHeaderToMetadata(message, ctx, path);
  if (model.requestRules.length === 0 && model.responseRules.length === 0) {
    throw new ConfigError(
      'header_to_metadata_filter: Per filter configs must at least specify either request or response rules',
      path,
    );
  }
  return model;
}

function lowerRule(message: Msg, path: string): HeaderRuleModel {
  const header = asciiLower(wireString(str(message, 'header')));
  const cookie = wireString(str(message, 'cookie'));
  const present = sub(message, 'onHeaderPresent');
  const missing = sub(message, 'onHeaderMissing');
  const remove = bool(message, 'remove');
  if (header !== '' && cookie !== '') {
    throw new ConfigError('Cannot specify both header and cookie in the same rule', path);
  }
  if (header === '' && cookie === '') {
    throw new ConfigError('One of Cookie or Header option needs to be specified', path);
  }
  if (present === null && missing === null) {
    const of = header === '' ? `cookie '${cookie}'` : `header '${header}'`;
    const lacks = 'neither `on_header_present` nor `on_header_missing` set';
    throw new ConfigError(`header to metadata filter: rule for ${of} has ${lacks}`, path);
  }
  if (present !== null && str(present, 'value') !== '' && has(present, 'regexValueRewrite')) {
    throw new ConfigError('Cannot specify both value and regex_value_rewrite', path);
  }
  if (cookie !== '' && remove) throw new ConfigError('Cannot specify remove for cookie', path);
  if (missing !== null && str(missing, 'value') === '') {
    throw new ConfigError('Cannot specify on_header_missing rule with an empty value', path);
  }
  return {
    header,
    cookie,
    remove,
    onPresent: present === null ? null : lowerPair(present, `${path}.on_header_present`),
    onMissing: missing === null ? null : lowerPair(missing, `${path}.on_header_missing`),
  };
}

function lowerPair(message: Msg, path: string): HeaderPairModel {
  const value = wireString(str(message, 'value'));
  const rewrite = sub(message, 'regexValueRewrite');
  return {
    namespace: str(message, 'metadataNamespace') || OWN_NAMESPACE,
    key: str(message, 'key'),
    value,
    // Beside a value, which only `on_header_missing` may have, it is not looked at.
    rewrite: rewrite === null || value !== '' ? null : lowerRegexRewrite(rewrite, `${path}.regex_value_rewrite`),
    type: VALUE_TYPES[num(message, 'type')] ?? 'string',
    base64: num(message, 'encode') === 1,
  };
}

// === set_metadata ===

/** `set_metadata.v3.Config`. */
export function lowerSetMetadata(message: Msg): SetMetadataModel {
  const entries: SetMetadataModel['entries'][number][] = [];
  const namespace = str(message, 'metadataNamespace');
  const value = struct(message, 'value');
  if (value !== null && namespace !== '') entries.push({ namespace, overwrite: true, value });
  const typed = new Set<string>();
  let typedDenied = 0;
  for (const entry of list(message, 'metadata')) {
    const of = str(entry, 'metadataNamespace');
    const overwrite = bool(entry, 'allowOverwrite');
    const untyped: JsonObject | null = struct(entry, 'value');
    if (untyped !== null) entries.push({ namespace: of, overwrite, value: untyped });
    else if (!overwrite && typed.has(of)) typedDenied++;
    else if (sub(entry, 'typedValue') !== null) typed.add(of);
  }
  return { kind: 'set_metadata', entries, typedDenied };
}

// === set_filter_state ===

const SHARING = ['none', 'once', 'transitive'] as const;

/** `http.set_filter_state.v3.Config`. */
export function lowerSetFilterState(message: Msg, ctx: LowerContext, path: string): SetFilterStateModel {
  return {
    kind: 'set_filter_state',
    values: lowerValues(list(message, 'onRequestHeaders'), ctx, `${path}.on_request_headers`),
    clearRouteCache: bool(message, 'clearRouteCache'),
  };
}

/** `network.set_filter_state.v3.Config`. */
export function lowerSetConnectionState(message: Msg, ctx: LowerContext, path: string): SetConnectionStateModel {
  const handshake = 'on_downstream_tls_handshake';
  return {
    kind: 'set_filter_state',
    onNewConnection: lowerValues(list(message, 'onNewConnection'), ctx, `${path}.on_new_connection`),
    onTlsHandshake: lowerValues(list(message, 'onDownstreamTlsHandshake'), ctx, `${path}.${handshake}`),
    onDownstreamData: lowerValues(list(message, 'onDownstreamData'), ctx, `${path}.on_downstream_data`),
  };
}

/** `FilterStateValue` messages. @param path of their list */
function lowerValues(messages: readonly Msg[], ctx: LowerContext, path: string): readonly FilterStateValueModel[] {
  return messages.map((message, i) => lowerFilterStateValue(message, ctx, `${path}[${i}]`));
}

function lowerFilterStateValue(message: Msg, ctx: LowerContext, path: string): FilterStateValueModel {
  const key = oneofCase<string>(message, 'key', 'objectKey') ?? '';
  const factory = str(message, 'factoryKey') || key;
  const answer = FILTER_STATE_OBJECTS.get(factory);
  if (answer === undefined) throw new ConfigError(`'${key}' does not have an object factory`, path);
  // Under another name nobody looks for it.
  if (typeof answer === 'object' && key === factory) {
    throw new ConfigError(`objects of '${factory}' are not supported: ${answer.refused}`, path);
  }
  const format = oneofCase(message, 'value', 'formatString');
  if (format === null) throw new ConfigError('format_string is required', path);
  return {
    key: wireString(key),
    factory,
    format: lowerFormat(format, ctx, `${path}.format_string`),
    sharing: SHARING[num(message, 'sharedWithUpstream')] ?? 'none',
    skipIfEmpty: bool(message, 'skipIfEmpty'),
  };
}
