// Which objects of the filter state a configuration may ask for, by the names of Envoy's factories (a stock Envoy 1.40
// lists them at its start), and what is done about each.

/** `read`: others here read it. `kept`: it is kept and printed as in Envoy, and who would act upon it is not here. */
type ObjectAnswer = 'read' | 'kept' | { readonly refused: string };

const refused = (why: string): ObjectAnswer => ({ refused: why });

const TRANSPORT = refused('upstream TLS takes its names from the cluster, not from the filter state');

export const FILTER_STATE_OBJECTS: ReadonlyMap<string, ObjectAnswer> = new Map<string, ObjectAnswer>([
  ['envoy.string', 'read'],
  ['envoy.hashable_string', 'read'],
  ['envoy.bool', 'read'],
  ['envoy.network.ip', 'read'],
  ['envoy.ratelimit.hits_addend', 'kept'],
  ['envoy.ai.model.request', 'kept'],
  ['envoy.upstream.dynamic_host', 'kept'],
  ['envoy.upstream.dynamic_port', 'kept'],
  ['envoy.network.upstream_server_name', TRANSPORT],
  ['envoy.network.application_protocols', TRANSPORT],
  ['envoy.network.upstream_subject_alt_names', TRANSPORT],
  ['envoy.network.network_namespace', refused('connections are made in the network namespace of the process')],
  ['envoy.network.transport_socket.http_11_proxy.info', refused('upstream HTTP proxies are not supported')],
  ['envoy.network.transport_socket.original_dst_address', 'read'],
  ['envoy.filters.listener.original_dst.local_ip', refused('internal listeners take destinations from metadata')],
  ['envoy.filters.listener.original_dst.remote_ip', refused('internal listeners take sources from metadata')],
  ['envoy.tcp_proxy.cluster', 'read'],
  ['envoy.tcp_proxy.disable_tunneling', 'read'],
  ['envoy.tcp_proxy.per_connection_idle_timeout_ms', 'read'],
  ['envoy.router.debug_config', refused('the router has no debug headers')],
  ['envoy.ai.llm_protocol.request', refused('there is no AI protocol manager')],
]);
