// Answers for listeners, filter chains, the TCP proxy and access logs
// (Envoy: config.listener.v3, extensions.filters.network.tcp_proxy.v3, config.accesslog.v3, extensions.access_loggers).

import { type FieldTable, fields, harmless, honoured, rejected, warned } from './answer.ts';

const TEST = 'lower-listener';
const LOG = 'lower-access-log';
const FILTERS = 'lower-network-filter';
const LISTENER = 'listener.v3 listener.proto';

export const LISTENER_FIELDS: FieldTable = {
  'envoy.config.listener.v3.Listener': fields(
    honoured(
      TEST,
      'name address additional_addresses stat_prefix filter_chains default_filter_chain per_connection_buffer_limit_bytes metadata socket_options traffic_direction connection_balance_config enable_reuse_port access_log tcp_backlog_size bind_to_port deprecated_v1 ignore_global_conn_limit bypass_overload_manager tcp_keepalive transparent freebind use_original_dst internal_listener',
    ),
    honoured(
      'lower-listener-filters',
      'listener_filters listener_filters_timeout continue_on_listener_filters_timeout',
    ),
    harmless(
      'it bounds the batch of one event-loop turn, which the runtime chooses here',
      LISTENER,
      'max_connections_to_accept_per_socket_event',
    ),
    harmless('ports are reused by default; enable_reuse_port is the switch', LISTENER, 'reuse_port'),
    honoured('lower-matcher', 'filter_chain_matcher'),
    rejected('filter chain discovery is not supported; write the chains into filter_chains', 'fcds_config'),
    rejected('UDP listeners are not supported; remove it', 'udp_listener_config'),
    rejected('API listeners are not supported; remove it', 'api_listener'),
    warned('the stats of this listener are not filtered; use stats_config.stats_matcher', 'stats_matcher'),
    warned('a reader that stands still is not cut off by this limit', 'per_connection_buffer_high_watermark_timeout'),
    warned('TCP fast open is not switched on', 'tcp_fast_open_queue_length'),
    warned('clients are served on plain TCP, which MPTCP falls back to', 'enable_mptcp'),
    warned('the listener is drained whenever others are', 'drain_type'),
  ),
  'envoy.config.listener.v3.Listener.InternalListenerConfig': fields(),
  'envoy.config.listener.v3.Listener.DeprecatedV1': fields(honoured(TEST, 'bind_to_port')),
  'envoy.config.listener.v3.Listener.ConnectionBalanceConfig': fields(
    honoured(TEST, 'exact_balance'),
    warned('connections are spread by the kernel; use exact_balance', 'extend_balance cpu_locality_balance'),
  ),
  'envoy.config.listener.v3.Listener.ConnectionBalanceConfig.ExactBalance': fields(),
  'envoy.config.listener.v3.AdditionalAddress': fields(
    honoured(TEST, 'address socket_options'),
    warned("the listener's own tcp_keepalive holds for every address", 'tcp_keepalive'),
  ),
  'envoy.config.listener.v3.FilterChain': fields(
    honoured(TEST, 'filter_chain_match filters metadata transport_socket name'),
    honoured(TEST, 'transport_socket_connect_timeout'),
    honoured('lower-listener-filters', 'use_proxy_proto'),
  ),
  'envoy.config.listener.v3.FilterChainMatch': fields(
    honoured(
      TEST,
      'destination_port prefix_ranges server_names transport_protocol application_protocols direct_source_prefix_ranges source_type source_prefix_ranges source_ports',
    ),
    rejected('Envoy does not implement it either; use prefix_ranges', 'address_suffix suffix_len'),
  ),
  'envoy.config.listener.v3.Filter': fields(
    honoured(TEST, 'name typed_config'),
    rejected('extension discovery is not supported; use typed_config', 'config_discovery'),
  ),
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer': fields(),

  'envoy.type.v3.HashPolicy': fields(honoured('lower-hash', 'source_ip filter_state')),
  'envoy.type.v3.HashPolicy.SourceIp': fields(),
  'envoy.type.v3.HashPolicy.FilterState': fields(honoured('lower-hash', 'key')),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': fields(
    honoured(
      TEST,
      'stat_prefix cluster weighted_clusters idle_timeout access_log max_connect_attempts max_downstream_connection_duration tunneling_config',
    ),
    honoured(
      TEST,
      'backoff_options max_downstream_connection_duration_jitter_percentage check_drain_close upstream_connect_mode max_early_data_bytes proxy_protocol_tlvs proxy_protocol_tlv_merge_policy',
    ),
    honoured(FILTERS, 'access_log_flush_interval flush_access_log_on_connected access_log_options'),
    harmless('it selects among subsets, and clusters with subsets are refused', 'tcp_proxy.proto', 'metadata_match'),
    honoured('lower-hash', 'hash_policy'),
    rejected('on-demand clusters are not supported; define the cluster', 'on_demand'),
    harmless('Envoy 1.40 does not read it (seen)', 'tcp_proxy.proto', 'downstream_idle_timeout upstream_idle_timeout'),
  ),

  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TunnelingConfig': fields(
    honoured(TEST, 'hostname use_post headers_to_add propagate_response_headers post_path propagate_response_trailers'),
    rejected(
      'tunnels get no request ids; use headers_to_add',
      'request_id_extension request_id_header request_id_metadata_key',
    ),
    rejected('formatter extensions are not supported; remove it', 'formatters'),
  ),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.TcpAccessLogOptions': fields(
    honoured(FILTERS, 'access_log_flush_interval flush_access_log_on_connected flush_access_log_on_start'),
  ),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster': fields(honoured(TEST, 'clusters')),
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight': fields(
    honoured(TEST, 'name weight'),
    harmless('it selects among subsets, and clusters with subsets are refused', 'tcp_proxy.proto', 'metadata_match'),
  ),

  'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit': fields(
    honoured(FILTERS, 'stat_prefix max_connections delay runtime_enabled'),
  ),
  'envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit': fields(
    honoured(FILTERS, 'stat_prefix token_bucket runtime_enabled share_key'),
  ),
  'envoy.type.v3.TokenBucket': fields(honoured(FILTERS, 'max_tokens tokens_per_fill fill_interval')),
  'envoy.config.core.v3.RuntimeFeatureFlag': fields(honoured(FILTERS, 'default_value runtime_key')),
  'envoy.extensions.filters.network.sni_cluster.v3.SniCluster': fields(),
  'envoy.extensions.filters.network.echo.v3.Echo': fields(),
  'envoy.extensions.filters.network.direct_response.v3.Config': fields(honoured(FILTERS, 'response')),

  'envoy.config.accesslog.v3.AccessLog': fields(honoured(LOG, 'name filter typed_config')),
  'envoy.config.accesslog.v3.AccessLogFilter': fields(
    honoured(
      LOG,
      'status_code_filter duration_filter not_health_check_filter traceable_filter runtime_filter and_filter or_filter header_filter response_flag_filter grpc_status_filter metadata_filter log_type_filter',
    ),
    rejected('extension filters are not supported; use one of the others', 'extension_filter'),
  ),
  'envoy.config.accesslog.v3.StatusCodeFilter': fields(honoured(LOG, 'comparison')),
  'envoy.config.accesslog.v3.DurationFilter': fields(honoured(LOG, 'comparison')),
  'envoy.config.accesslog.v3.ComparisonFilter': fields(honoured(LOG, 'op value')),
  'envoy.config.accesslog.v3.NotHealthCheckFilter': fields(),
  'envoy.config.accesslog.v3.TraceableFilter': fields(),
  'envoy.config.accesslog.v3.RuntimeFilter': fields(
    honoured(LOG, 'runtime_key percent_sampled use_independent_randomness'),
  ),
  'envoy.config.accesslog.v3.AndFilter': fields(honoured(LOG, 'filters')),
  'envoy.config.accesslog.v3.OrFilter': fields(honoured(LOG, 'filters')),
  'envoy.config.accesslog.v3.HeaderFilter': fields(honoured(LOG, 'header')),
  'envoy.config.accesslog.v3.ResponseFlagFilter': fields(honoured(LOG, 'flags')),
  'envoy.config.accesslog.v3.GrpcStatusFilter': fields(honoured(LOG, 'statuses exclude')),
  'envoy.config.accesslog.v3.MetadataFilter': fields(honoured(LOG, 'matcher match_if_key_not_found')),
  'envoy.config.accesslog.v3.LogTypeFilter': fields(honoured(LOG, 'types exclude')),
  'envoy.extensions.access_loggers.file.v3.FileAccessLog': fields(
    honoured(LOG, 'path format json_format typed_json_format log_format'),
  ),
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog': fields(honoured(LOG, 'log_format')),
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog': fields(honoured(LOG, 'log_format')),
  'envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery': fields(),
  'envoy.extensions.formatter.metadata.v3.Metadata': fields(),
};
