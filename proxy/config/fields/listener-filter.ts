// Answers for listener filters (Envoy: extensions.filters.listener, config.listener.v3.ListenerFilter).

import { type FieldTable, fields, harmless, honoured, honouredExcept, rejected } from './answer.ts';

const TEST = 'lower-listener-filters';
const FILTERS = 'envoy.extensions.filters.listener.';
const PREDICATE = 'envoy.config.listener.v3.ListenerFilterChainMatchPredicate';
const PROXY_PROTOCOL = `${FILTERS}proxy_protocol.v3.ProxyProtocol`;

export const LISTENER_FILTER_FIELDS: FieldTable = {
  'envoy.config.listener.v3.ListenerFilter': fields(
    honoured(TEST, 'name typed_config filter_disabled'),
    rejected('extension discovery is not supported; use typed_config', 'config_discovery'),
  ),
  [PREDICATE]: fields(honoured(TEST, 'or_match and_match not_match any_match destination_port_range')),
  [`${PREDICATE}.MatchSet`]: fields(honoured(TEST, 'rules')),
  'envoy.type.v3.Int32Range': fields(honoured(TEST, 'start end')),
  [`${FILTERS}tls_inspector.v3.TlsInspector`]: fields(
    honoured(
      TEST,
      'enable_ja3_fingerprinting enable_ja4_fingerprinting close_connection_on_client_hello_parsing_errors max_client_hello_size',
    ),
    harmless(
      'bytes are read as they come, into a buffer that all connections share',
      'tls_inspector.proto',
      'initial_read_buffer_size',
    ),
  ),
  [`${FILTERS}http_inspector.v3.HttpInspector`]: fields(),
  [`${FILTERS}original_dst.v3.OriginalDst`]: fields(),
  [`${FILTERS}original_src.v3.OriginalSrc`]: fields(honoured(TEST, 'bind_port mark')),
  [`${FILTERS}local_ratelimit.v3.LocalRateLimit`]: fields(honoured(TEST, 'stat_prefix token_bucket runtime_enabled')),
  [PROXY_PROTOCOL]: fields(
    honoured(TEST, 'rules allow_requests_without_proxy_protocol pass_through_tlvs disallowed_versions stat_prefix'),
    honouredExcept(TEST, 'tlv_location', {
      FILTER_STATE: { how: 'reject', text: 'values are kept in dynamic metadata only; use DYNAMIC_METADATA' },
    }),
  ),
  [`${PROXY_PROTOCOL}.Rule`]: fields(honoured(TEST, 'tlv_type on_tlv_present')),
  [`${PROXY_PROTOCOL}.KeyValuePair`]: fields(honoured(TEST, 'metadata_namespace key value_string_encoding')),
  'envoy.config.core.v3.ProxyProtocolPassThroughTLVs': fields(honoured(TEST, 'match_type tlv_type')),
};
