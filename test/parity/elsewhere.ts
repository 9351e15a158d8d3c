// What the parity scenarios cannot reach: reasons and what tests it instead, each with its names.

type Elsewhere = Readonly<Record<string, readonly string[]>>;

export const FIELDS_ELSEWHERE: Elsewhere = {
  'both proxies run in the environment of the test; see lower-access-log.test': [
    'envoy.config.core.v3.DataSource.environment_variable',
  ],
  'its other value is refused; see lower-listener-filters.test': [
    'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol.tlv_location',
  ],
  'its other value, UDP, is refused; see lower-listener.test': ['envoy.config.core.v3.SocketAddress.protocol'],
  'a static cluster of Envoy 1.40 refuses it; see lower-cluster.test and lower-rest.test': [
    'envoy.config.endpoint.v3.ClusterLoadAssignment.named_endpoints',
    'envoy.config.endpoint.v3.LbEndpoint.endpoint_name',
  ],
  'the only type that is taken is not part of stock Envoy; see lower-cluster.test': [
    'envoy.config.cluster.v3.Cluster.filters',
    'envoy.config.cluster.v3.Filter.name',
    'envoy.config.cluster.v3.Filter.typed_config',
  ],
  'where Envoy finds no roots of the system it asks for no certificate; see lower-tls.test': [
    'envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext.system_root_certs',
  ],
  'what a control group uses is not the same twice, and not every machine has one; see overload.test': [
    'envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig.max_memory_bytes',
  ],
  'Envoy 1.40 ends with a fault when a connection meets it, and refuses it in routes; see lower-matcher.test': [
    'xds.type.matcher.v3.Matcher.OnMatch.keep_matching',
  ],
  'the kernel asks for a capability; see lower-listener.test and lower-listener-filters.test': [
    'envoy.config.listener.v3.Listener.transparent',
    'envoy.extensions.filters.listener.original_src.v3.OriginalSrc.bind_port',
    'envoy.extensions.filters.listener.original_src.v3.OriginalSrc.mark',
  ],
};

export const DETAILS_ELSEWHERE: Elsewhere = {
  'said when the process ends with requests under way, which the harness never lets happen': [
    'downstream_local_disconnect',
  ],
  'the process is told to say goodbye, which the harness has no step for; see tcp-drain.test': [
    'tcp_proxy_drain_close',
  ],
  'two connections at once are needed; see gates.test': ['over_connection_limit'],
};

export const FLAGS_ELSEWHERE: Elsewhere = {
  'an attempt that we reset ourselves ends with the flag of its time limit': ['LR'],
};

/** Flags that can be shown and that nothing here can set, with whose they are. */
export const FLAGS_OF_NOBODY: Elsewhere = {
  'of filters that are refused: health check, rate limits, external authorization, caches': [
    'LH',
    'RL',
    'RLSE',
    'UAEX',
    'RFCF',
  ],
  'of filters that are discovered, which are refused': ['NFCF'],
  'of the dynamic forward proxy, which is refused; a cluster without addresses has no healthy host (UH)': ['DF'],
  'of endpoint discovery (drop_overloads)': ['DO', 'UDO'],
};

/** Literals of the data path that look like details and are none. */
export const NO_DETAILS: readonly string[] = [
  'raw_buffer',
  'remote_close',
  'server_first',
  'upstream_rq_completed',
  'upstream_rq_body_size',
  'upstream_rq_headers_count',
  'upstream_rq_headers_size',
  'upstream_rs_body_size',
  'upstream_rs_headers_count',
  'upstream_rs_headers_size',
  'upstream_rq_timeout_budget_per_try_percent_used',
  'upstream_rq_timeout_budget_percent_used',
];
