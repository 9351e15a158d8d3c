// Lowers listener filters (Envoy: config.listener.v3.ListenerFilter, extensions.filters.listener).

import { ConfigError } from '../../util/error.ts';
import { isLeftOut, missingImplementation } from '../fields/extensions.ts';
import type { ListenerModel } from '../model/listener.ts';
import type {
  ConnectionPredicateModel,
  KeptTlvsModel,
  ListenerFilterModel,
  ProxyProtocolModel,
  TlsInspectorModel,
} from '../model/listener-filter.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, numbers, oneof, oneofCase, str, sub } from '../schema/message.ts';
import type { LowerContext } from './common.ts';
import { lowerRateLimit } from './network-filter.ts';

const FILTERS = 'envoy.extensions.filters.listener.';
const TLS_INSPECTOR = `${FILTERS}tls_inspector.v3.TlsInspector`;
const HTTP_INSPECTOR = `${FILTERS}http_inspector.v3.HttpInspector`;
const ORIGINAL_DST = `${FILTERS}original_dst.v3.OriginalDst`;
const ORIGINAL_SRC = `${FILTERS}original_src.v3.OriginalSrc`;
const LOCAL_RATE_LIMIT = `${FILTERS}local_ratelimit.v3.LocalRateLimit`;
const PROXY_PROTOCOL = `${FILTERS}proxy_protocol.v3.ProxyProtocol`;

/** Envoy's defaults. */
const HELLO_BYTES_MAX = 16_384;
const TLV_NAMESPACE = 'envoy.filters.listener.proxy_protocol';

/** `listener_filters`. */
export function lowerListenerFilters(message: Msg, ctx: LowerContext, path: string): ListenerModel['listenerFilters'] {
  const out: ListenerFilterModel[] = [];
  for (const [index, filter] of list(message, 'listenerFilters').entries()) {
    const model = ctx.attempt(() => lowerFilter(filter, ctx, `${path}.listener_filters[${index}]`));
    if (model !== null) out.push(model);
  }
  // As in Envoy the first chain speaks for all, and its filter comes last.
  const first = list(message, 'filterChains')[0];
  if (first !== undefined && bool(first, 'useProxyProto')) {
    ctx.warn(
      `${path}.filter_chains[0].use_proxy_proto`,
      "using deprecated field 'use_proxy_proto' is dangerous as it does not respect listener filter order. Do not use this field and instead configure the proxy proto listener filter directly.",
    );
    out.push(PLAIN_PROXY_PROTOCOL);
  }
  return out;
}

/** `use_proxy_proto` of a chain. */
const PLAIN_PROXY_PROTOCOL: ListenerFilterModel = {
  kind: 'proxy_protocol',
  rules: [],
  optional: false,
  passThrough: { all: false, types: [] },
  allowV1: true,
  allowV2: true,
  statPrefix: '',
  disabled: null,
};

/** `null` for a filter that is left out. */
function lowerFilter(message: Msg, ctx: LowerContext, path: string): ListenerFilterModel | null {
  const name = str(message, 'name');
  const any = oneofCase(message, 'configType', 'typedConfig');
  if (any === null) throw missingImplementation(name, '', path);
  const config = unpackAny(any, `${path}.typed_config`).message;
  const predicate = sub(message, 'filterDisabled');
  const disabled = predicate === null ? null : lowerPredicate(predicate, `${path}.filter_disabled`);
  switch (config.$typeName) {
    case TLS_INSPECTOR:
      return { ...lowerTlsInspector(config), disabled };
    case HTTP_INSPECTOR:
      return { kind: 'http_inspector', disabled };
    case ORIGINAL_DST:
      return { kind: 'original_dst', disabled };
    case ORIGINAL_SRC:
      return { kind: 'original_src', bindPort: bool(config, 'bindPort'), mark: num(config, 'mark'), disabled };
    case LOCAL_RATE_LIMIT:
      return { kind: 'local_ratelimit', config: lowerRateLimit(config, '', `${path}.typed_config`), disabled };
    case PROXY_PROTOCOL:
      return { ...lowerProxyProtocol(config), disabled };
    default:
      if (isLeftOut(config.$typeName, ctx.options.skipTypes)) return null;
      throw missingImplementation(name, config.$typeName, path);
  }
}

/** `ListenerFilterChainMatchPredicate`. */
function lowerPredicate(message: Msg, path: string): ConnectionPredicateModel {
  const rule = oneof(message, 'rule');
  if (rule === null) throw new ConfigError('a rule is required', path);
  const value = rule.value as Msg;
  switch (rule.case) {
    case 'anyMatch':
      return { kind: 'any' };
    case 'notMatch':
      return { kind: 'not', rule: lowerPredicate(value, `${path}.not_match`) };
    case 'destinationPortRange':
      return { kind: 'destination_port', start: num(value, 'start'), end: num(value, 'end') };
    default: {
      const field = rule.case === 'andMatch' ? 'and_match' : 'or_match';
      const rules = list(value, 'rules').map((each, i) => lowerPredicate(each, `${path}.${field}.rules[${i}]`));
      return { kind: rule.case === 'andMatch' ? 'and' : 'or', rules };
    }
  }
}

function lowerTlsInspector(message: Msg): TlsInspectorModel {
  return {
    kind: 'tls_inspector',
    ja3: bool(message, 'enableJa3Fingerprinting'),
    ja4: bool(message, 'enableJa4Fingerprinting'),
    helloBytesMax: num(message, 'maxClientHelloSize', HELLO_BYTES_MAX),
    closeOnErrors: bool(message, 'closeConnectionOnClientHelloParsingErrors'),
  };
}

function lowerProxyProtocol(message: Msg): ProxyProtocolModel {
  const refused = numbers(message, 'disallowedVersions');
  return {
    kind: 'proxy_protocol',
    rules: list(message, 'rules').flatMap((rule) => {
      const target = sub(rule, 'onTlvPresent');
      // A rule without a place for the value keeps nothing.
      if (target === null) return [];
      return {
        type: num(rule, 'tlvType'),
        namespace: str(target, 'metadataNamespace') || TLV_NAMESPACE,
        key: str(target, 'key'),
        encoding: num(target, 'valueStringEncoding') === 2 ? 'base64' : 'sanitized',
      };
    }),
    optional: bool(message, 'allowRequestsWithoutProxyProtocol'),
    passThrough: lowerKeptTlvs(sub(message, 'passThroughTlvs')),
    allowV1: !refused.includes(0),
    allowV2: !refused.includes(1),
    statPrefix: str(message, 'statPrefix'),
  };
}

/** `ProxyProtocolPassThroughTLVs`. */
export function lowerKeptTlvs(message: Msg | null): KeptTlvsModel {
  if (message === null) return { all: false, types: [] };
  return { all: num(message, 'matchType') === 0, types: numbers(message, 'tlvType') };
}
