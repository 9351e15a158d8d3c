// Answers for clusters and endpoints (Envoy: config.cluster.v3, config.endpoint.v3, extensions.upstreams.http.v3,
// extensions.load_balancing_policies, extensions.network.dns_resolver).

import { type FieldTable, fields, harmless, honoured, honouredExcept, rejected, warned } from './answer.ts';

const TEST = 'lower-cluster';
const REST = 'lower-rest';
const TLS = 'lower-tls';
const HASH = 'lower-hash';
const OUTLIER = 'lower-outlier';
const CLUSTER = 'cluster.v3 cluster.proto';
const NO_LOCALITY = 'hosts of a priority are used regardless of their locality; remove it';

export const CLUSTER_FIELDS: FieldTable = {
  'envoy.config.cluster.v3.Cluster': fields(
    honouredExcept(TEST, 'type', {
      EDS: { how: 'reject', text: 'endpoint discovery is not supported yet; use STATIC, STRICT_DNS or LOGICAL_DNS' },
    }),
    honoured(TEST, 'lb_policy'),
    honoured(
      TEST,
      'name alt_stat_name cluster_type connect_timeout per_connection_buffer_limit_bytes load_assignment max_requests_per_connection circuit_breakers common_http_protocol_options http_protocol_options http2_protocol_options protocol_selection typed_extension_protocol_options dns_refresh_rate dns_jitter dns_failure_refresh_rate respect_dns_ttl dns_lookup_family dns_resolvers dns_resolution_config typed_dns_resolver_config wait_for_warm_on_init upstream_bind_config least_request_lb_config common_lb_config transport_socket metadata upstream_connection_options load_balancing_policy track_cluster_stats track_timeout_budgets cleanup_interval original_dst_lb_config',
    ),
    honoured(OUTLIER, 'outlier_detection'),
    honoured(REST, 'filters'),
    honoured(TLS, 'transport_socket_matches upstream_http_protocol_options'),
    harmless('it holds for endpoint discovery only', CLUSTER, 'eds_cluster_config'),
    honoured(HASH, 'ring_hash_lb_config maglev_lb_config'),
    rejected(
      'transport sockets are chosen by endpoint metadata; use transport_socket_matches',
      'transport_socket_matcher',
    ),
    rejected('active health checks are not supported yet; remove them', 'health_checks'),
    rejected('subsets are not supported yet; remove it', 'lb_subset_config'),
    rejected('upstream extensions are not supported; remove it', 'upstream_config'),
    warned('the stats of this cluster are not filtered; use stats_config.stats_matcher', 'stats_matcher'),
    warned('a reader that stands still is not cut off by this limit', 'per_connection_buffer_high_watermark_timeout'),
    warned('names are looked up over UDP first', 'use_tcp_for_dns_lookups'),
    warned('weights do not grow slowly', 'round_robin_lb_config'),
    warned('load is not reported', 'lrs_server lrs_report_endpoint_metrics'),
    warned('connections are made when they are needed', 'preconnect_policy'),
    warned('waiting requests are served in order', 'queuing_policies'),
    honoured(OUTLIER, 'close_connections_on_host_health_failure'),
    harmless('there are no active health checks', CLUSTER, 'ignore_health_on_host_removal'),
    rejected('clients share the connections to a host; remove it', 'connection_pool_per_downstream_connection'),
  ),
  'envoy.config.cluster.v3.Cluster.TransportSocketMatch': fields(honoured(TLS, 'name match transport_socket')),
  'envoy.config.core.v3.UpstreamHttpProtocolOptions': fields(
    honoured(TLS, 'auto_sni auto_san_validation override_auto_sni_header'),
  ),
  'envoy.config.cluster.v3.Filter': fields(
    honoured(TEST, 'name typed_config'),
    rejected('extension discovery is not supported; use typed_config', 'config_discovery'),
  ),
  'envoy.config.cluster.v3.Cluster.CustomClusterType': fields(honoured(TEST, 'name typed_config')),
  'envoy.config.cluster.v3.Cluster.RefreshRate': fields(honoured(TEST, 'base_interval max_interval')),
  'envoy.config.cluster.v3.Cluster.OriginalDstLbConfig': fields(
    honoured(TEST, 'use_http_header http_header_name upstream_port_override metadata_key'),
  ),
  'envoy.type.metadata.v3.MetadataKey': fields(honoured(TEST, 'key path')),
  'envoy.type.metadata.v3.MetadataKey.PathSegment': fields(
    honoured(TEST, 'key'),
    rejected('elements of lists cannot be named; use key', 'index'),
  ),
  'envoy.config.cluster.v3.Cluster.LeastRequestLbConfig': fields(
    honoured(TEST, 'choice_count active_request_bias'),
    warned('weights do not grow slowly', 'slow_start_config'),
  ),
  'envoy.config.cluster.v3.Cluster.CommonLbConfig': fields(
    honoured(TEST, 'healthy_panic_threshold'),
    honoured(OUTLIER, 'update_merge_window'),
    harmless('there are no active health checks', CLUSTER, 'ignore_new_hosts_until_first_hc'),
    honoured(HASH, 'consistent_hashing_lb_config'),
    harmless('hosts are not pinned', CLUSTER, 'override_host_status'),
    rejected(NO_LOCALITY, 'locality_weighted_lb_config'),
    honoured(TEST, 'zone_aware_lb_config'),
    warned('connections stay when hosts change', 'close_connections_on_host_set_change'),
  ),
  'envoy.config.cluster.v3.OutlierDetection': fields(
    honoured(
      OUTLIER,
      'consecutive_5xx interval base_ejection_time max_ejection_percent enforcing_consecutive_5xx enforcing_success_rate success_rate_minimum_hosts success_rate_request_volume success_rate_stdev_factor consecutive_gateway_failure enforcing_consecutive_gateway_failure split_external_local_origin_errors consecutive_local_origin_failure enforcing_consecutive_local_origin_failure enforcing_local_origin_success_rate failure_percentage_threshold enforcing_failure_percentage enforcing_failure_percentage_local_origin failure_percentage_minimum_hosts failure_percentage_request_volume max_ejection_time max_ejection_time_jitter always_eject_one_host detect_degraded_hosts',
    ),
    harmless(
      'there are no active health checks',
      'outlier_detection.proto',
      'successful_active_health_check_uneject_host',
    ),
    rejected('stock Envoy has no monitors of this kind; remove them', 'monitors'),
  ),
  'envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig': fields(
    honoured(TEST, 'fail_traffic_on_panic'),
    warned('traffic is not kept in the own zone', 'routing_enabled min_cluster_size'),
  ),
  'envoy.config.cluster.v3.Cluster.CommonLbConfig.ConsistentHashingLbConfig': fields(
    honoured(HASH, 'use_hostname_for_hashing hash_balance_factor'),
  ),
  'envoy.config.cluster.v3.Cluster.RingHashLbConfig': fields(
    honoured(HASH, 'minimum_ring_size hash_function maximum_ring_size'),
  ),
  'envoy.config.cluster.v3.Cluster.MaglevLbConfig': fields(honoured(HASH, 'table_size')),
  'envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash': fields(
    honoured(
      HASH,
      'hash_function minimum_ring_size maximum_ring_size use_hostname_for_hashing hash_balance_factor consistent_hashing_lb_config',
    ),
    rejected(NO_LOCALITY, 'locality_weighted_lb_config'),
  ),
  'envoy.extensions.load_balancing_policies.maglev.v3.Maglev': fields(
    honoured(HASH, 'table_size consistent_hashing_lb_config'),
    rejected(NO_LOCALITY, 'locality_weighted_lb_config'),
  ),
  'envoy.extensions.load_balancing_policies.common.v3.ConsistentHashingLbConfig': fields(
    honoured(HASH, 'use_hostname_for_hashing hash_balance_factor hash_policy'),
  ),
  'envoy.config.cluster.v3.CircuitBreakers': fields(honoured(TEST, 'thresholds per_host_thresholds')),
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds': fields(
    honoured(
      TEST,
      'priority max_connections max_pending_requests max_requests max_retries retry_budget track_remaining max_connection_pools',
    ),
  ),
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget': fields(
    honoured(TEST, 'budget_percent budget_interval min_retry_concurrency'),
  ),
  'envoy.config.cluster.v3.UpstreamConnectionOptions': fields(
    honoured(TEST, 'tcp_keepalive'),
    harmless('it only fills metadata that nothing reads', CLUSTER, 'set_local_interface_name_on_upstream_connections'),
    warned('the addresses of a host are tried in order', 'happy_eyeballs_config'),
  ),
  'envoy.config.cluster.v3.TrackClusterStats': fields(
    honoured(TEST, 'timeout_budgets request_response_sizes'),
    warned('stats per endpoint are on /clusters only', 'per_endpoint_stats'),
  ),
  'envoy.config.cluster.v3.LoadBalancingPolicy': fields(honoured(TEST, 'policies')),
  'envoy.config.cluster.v3.LoadBalancingPolicy.Policy': fields(honoured(TEST, 'typed_extension_config')),
  'envoy.config.endpoint.v3.ClusterLoadAssignment': fields(
    honoured(TEST, 'cluster_name endpoints policy'),
    honoured(REST, 'named_endpoints'),
  ),
  'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy': fields(
    harmless('endpoints that are not discovered do not become stale', 'endpoint.proto', 'endpoint_stale_after'),
    rejected('traffic is not dropped by the proxy; remove it', 'drop_overloads'),
    warned('the factor is Envoy’s default, 140', 'overprovisioning_factor'),
    warned('every host counts the same for the health of its priority', 'weighted_priority_health'),
  ),
  'envoy.config.endpoint.v3.LocalityLbEndpoints': fields(
    honoured(TEST, 'locality lb_endpoints load_balancing_weight priority'),
    harmless('it only labels hosts', 'endpoint_components.proto', 'metadata proximity'),
    rejected('write the endpoints into lb_endpoints', 'load_balancer_endpoints leds_cluster_locality_config'),
  ),
  'envoy.config.endpoint.v3.LbEndpoint': fields(
    honoured(REST, 'endpoint_name'),
    honoured(TEST, 'endpoint health_status metadata load_balancing_weight'),
  ),
  'envoy.config.endpoint.v3.Endpoint': fields(
    honoured(TEST, 'address hostname additional_addresses'),
    harmless('there are no active health checks', 'endpoint_components.proto', 'health_check_config'),
    warned('stats name the address', 'observability_name'),
  ),
  'envoy.config.endpoint.v3.Endpoint.AdditionalAddress': fields(honoured(TEST, 'address')),

  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': fields(
    honoured(TEST, 'common_http_protocol_options explicit_http_config use_downstream_protocol_config auto_config'),
    honoured(TLS, 'upstream_http_protocol_options'),
    honoured(OUTLIER, 'outlier_detection'),
    rejected('upstream filters are not supported; use http_filters of the listener', 'http_filters'),
    rejected('header validation extensions are not supported; remove it', 'header_validation_config'),
    honoured('lower-mirror', 'request_mirror_policies'),
    honoured(HASH, 'hash_policy'),
    honoured('lower-retry', 'retry_policy'),
  ),
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.OutlierDetection': fields(honoured(OUTLIER, 'error_matcher')),
  'envoy.config.common.matcher.v3.MatchPredicate': fields(
    honoured(OUTLIER, 'or_match and_match not_match any_match http_response_headers_match'),
    harmless(
      'only heads of answers are looked at, as in Envoy: it never matches',
      'http_protocol_options.proto',
      'http_request_headers_match http_request_trailers_match http_response_trailers_match http_request_generic_body_match http_response_generic_body_match',
    ),
  ),
  'envoy.config.common.matcher.v3.MatchPredicate.MatchSet': fields(honoured(OUTLIER, 'rules')),
  'envoy.config.common.matcher.v3.HttpHeadersMatch': fields(honoured(OUTLIER, 'headers')),
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig': fields(
    honoured(TEST, 'http_protocol_options http2_protocol_options'),
    rejected('HTTP/3 is not supported; use HTTP/2', 'http3_protocol_options'),
  ),
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig': fields(
    honoured(TEST, 'http_protocol_options http2_protocol_options'),
    harmless('no downstream connection is HTTP/3', 'http_protocol_options.proto', 'http3_protocol_options'),
  ),
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport': fields(
    honoured('lower-tls', 'config transport_socket'),
    harmless(
      'connections are told apart by both addresses and all values that are passed on',
      'upstream_proxy_protocol.proto',
      'tlv_as_pool_key',
    ),
    warned('addresses that are not IP are told as unknown', 'allow_unspecified_address'),
  ),
  'envoy.config.core.v3.ProxyProtocolConfig': fields(honoured('lower-tls', 'version pass_through_tlvs added_tlvs')),
  'envoy.config.core.v3.TlvEntry': fields(honoured('lower-tls', 'type value format_string')),
  'envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport': fields(
    honoured('lower-tls', 'passthrough_metadata transport_socket'),
  ),
  'envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport.MetadataValueSource': fields(
    honoured('lower-tls', 'kind name'),
  ),
  'envoy.type.metadata.v3.MetadataKind': fields(
    honoured('lower-tls', 'cluster host'),
    rejected('only metadata of clusters and hosts can be passed through', 'request route'),
  ),
  'envoy.type.metadata.v3.MetadataKind.Cluster': fields(),
  'envoy.type.metadata.v3.MetadataKind.Host': fields(),
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig': fields(
    honoured(TEST, 'http_protocol_options http2_protocol_options'),
    rejected('HTTP/3 is not supported; remove it', 'http3_protocol_options alternate_protocols_cache_options'),
  ),
  'envoy.extensions.clusters.dns.v3.DnsCluster': fields(
    honoured(
      TEST,
      'dns_refresh_rate dns_failure_refresh_rate respect_dns_ttl dns_jitter typed_dns_resolver_config dns_lookup_family all_addresses_in_single_endpoint',
    ),
    warned('the time to live of an answer has no lower bound', 'dns_min_refresh_rate'),
  ),
  'envoy.extensions.clusters.dns.v3.DnsCluster.RefreshRate': fields(honoured(TEST, 'base_interval max_interval')),
  'envoy.config.core.v3.DnsResolutionConfig': fields(
    honoured(TEST, 'resolvers'),
    warned('names are looked up over UDP, in the system’s search domains', 'dns_resolver_options'),
  ),
  'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig': fields(
    honoured(TEST, 'resolvers'),
    harmless(
      'a setting of c-ares’ channel',
      'cares_dns_resolver.proto',
      'udp_max_queries edns0_max_payload_size max_udp_channel_duration reinit_channel_on_timeout qcache_max_ttl rotate_nameservers',
    ),
    warned('names are looked up over UDP, in the system’s search domains', 'dns_resolver_options'),
    warned('the given resolvers are asked, not the system’s', 'use_resolvers_as_fallback'),
    warned('both families are looked up as dns_lookup_family says', 'filter_unroutable_families'),
    warned('the system’s timing of lookups holds', 'query_timeout_seconds query_tries'),
  ),
  'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig': fields(
    harmless(
      'a setting of Envoy’s resolver threads',
      'getaddrinfo_dns_resolver.proto',
      'num_retries num_resolver_threads',
    ),
  ),
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin': fields(
    rejected(NO_LOCALITY, 'locality_lb_config'),
    warned('weights do not grow slowly', 'slow_start_config'),
  ),
  'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest': fields(
    honoured(TEST, 'choice_count active_request_bias'),
    rejected(NO_LOCALITY, 'locality_lb_config'),
    rejected('hosts are compared choice_count at a time; remove it', 'enable_full_scan selection_method'),
    warned('weights do not grow slowly', 'slow_start_config'),
  ),
  'envoy.extensions.load_balancing_policies.random.v3.Random': fields(rejected(NO_LOCALITY, 'locality_lb_config')),
  'envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided': fields(),
};
