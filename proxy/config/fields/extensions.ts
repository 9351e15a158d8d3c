// Answers for extension types: what happens when a configuration names this type in a `typed_config`.
// A type that is not listed is refused, as Envoy refuses an extension that was not compiled in.

import { ConfigError } from '../../util/error.ts';

export type ExtensionAnswer =
  /** Understood: its fields have their own answers. */
  | { readonly kind: 'used' }
  /** Left out with a warning: neither security nor routing depends on it. */
  | { readonly kind: 'left_out'; readonly text: string };

const USED: ExtensionAnswer = { kind: 'used' };

function leftOut(text: string): ExtensionAnswer {
  return { kind: 'left_out', text };
}

export const EXTENSION_ANSWERS: ReadonlyMap<string, ExtensionAnswer> = new Map([
  // Listener filters
  ['envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', USED],
  ['envoy.extensions.filters.listener.http_inspector.v3.HttpInspector', USED],
  ['envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol', USED],
  ['envoy.extensions.filters.listener.original_dst.v3.OriginalDst', USED],
  ['envoy.extensions.filters.listener.original_src.v3.OriginalSrc', USED],
  ['envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit', USED],
  // Network filters
  ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', USED],
  ['envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', USED],
  ['envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit', USED],
  ['envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit', USED],
  ['envoy.extensions.filters.network.sni_cluster.v3.SniCluster', USED],
  ['envoy.extensions.filters.network.set_filter_state.v3.Config', USED],
  ['envoy.extensions.filters.network.echo.v3.Echo', USED],
  ['envoy.extensions.filters.network.direct_response.v3.Config', USED],
  ['envoy.tcp.metadataexchange.config.MetadataExchange', leftOut('TCP peer metadata is not exchanged')],
  // Of the connection manager
  ['envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation', USED],
  // HTTP filters, and their configuration per route
  ['envoy.extensions.filters.http.router.v3.Router', USED],
  ['envoy.config.route.v3.FilterConfig', USED],
  ['envoy.extensions.filters.http.cors.v3.Cors', USED],
  ['envoy.extensions.filters.http.cors.v3.CorsPolicy', USED],
  ['envoy.extensions.filters.http.fault.v3.HTTPFault', USED],
  ['envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', USED],
  ['envoy.extensions.filters.http.grpc_web.v3.GrpcWeb', USED],
  ['envoy.extensions.filters.http.grpc_http1_bridge.v3.Config', USED],
  ['envoy.extensions.filters.http.buffer.v3.Buffer', USED],
  ['envoy.extensions.filters.http.buffer.v3.BufferPerRoute', USED],
  ['envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', USED],
  ['envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute', USED],
  ['envoy.extensions.filters.http.header_to_metadata.v3.Config', USED],
  ['envoy.extensions.filters.http.set_metadata.v3.Config', USED],
  ['envoy.extensions.filters.http.set_filter_state.v3.Config', USED],
  [
    'envoy.extensions.filters.http.compressor.v3.Compressor',
    leftOut('bodies are sent uncompressed, which a client must accept'),
  ],
  [
    'envoy.extensions.filters.http.compressor.v3.CompressorPerRoute',
    leftOut('bodies are sent uncompressed, which a client must accept'),
  ],
  ['io.istio.http.peer_metadata.Config', leftOut('peer metadata is neither discovered nor propagated')],
  ['stats.PluginConfig', leftOut('Istio metrics are not produced')],
  [
    'istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
    leftOut('upstream TLS offers the protocols of its cluster, whatever the request'),
  ],
  // Access logs
  ['envoy.extensions.access_loggers.file.v3.FileAccessLog', USED],
  ['envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', USED],
  ['envoy.extensions.access_loggers.stream.v3.StderrAccessLog', USED],
  ['envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery', USED],
  ['envoy.extensions.formatter.metadata.v3.Metadata', USED],
  // Parts of the connection manager and of routes
  ['envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', USED],
  ['envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig', USED],
  ['envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', USED],
  ['envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig', USED],
  ['envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig', USED],
  ['envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig', USED],
  ['envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', USED],
  ['envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig', USED],
  ['envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', USED],
  ['envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate', USED],
  ['envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig', USED],
  // Generic matchers: inputs, trees and tests, actions
  ['envoy.type.matcher.v3.HttpRequestHeaderMatchInput', USED],
  ['envoy.extensions.matching.common_inputs.environment_variable.v3.Config', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.DestinationIPInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.SourceIPInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.SourcePortInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.DirectSourceIPInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.SourceTypeInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.ServerNameInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.TransportProtocolInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.ApplicationProtocolInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.FilterStateInput', USED],
  ['xds.type.matcher.v3.IPMatcher', USED],
  ['xds.type.matcher.v3.ServerNameMatcher', USED],
  ['envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput', USED],
  ['envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput', USED],
  ['envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput', USED],
  ['envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput', USED],
  ['envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction', USED],
  ['envoy.extensions.matching.input_matchers.metadata.v3.Metadata', USED],
  ['envoy.extensions.matching.input_matchers.ip.v3.Ip', USED],
  ['envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing', USED],
  ['envoy.config.route.v3.Route', USED],
  ['envoy.config.route.v3.RouteList', USED],
  ['google.protobuf.StringValue', USED],
  // Transport sockets
  ['envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', USED],
  ['envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', USED],
  ['envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport', USED],
  ['envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', USED],
  ['envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', USED],
  ['envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig', USED],
  // Clusters
  ['envoy.extensions.upstreams.http.v3.HttpProtocolOptions', USED],
  ['envoy.extensions.clusters.dns.v3.DnsCluster', USED],
  ['envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig', USED],
  ['envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig', USED],
  ['envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin', USED],
  ['envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest', USED],
  ['envoy.extensions.load_balancing_policies.random.v3.Random', USED],
  ['envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash', USED],
  ['envoy.extensions.load_balancing_policies.maglev.v3.Maglev', USED],
  ['envoy.extensions.load_balancing_policies.cluster_provided.v3.ClusterProvided', USED],
  // Bootstrap
  ['envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig', USED],
  ['envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig', USED],
  ['envoy.config.overload.v3.ShrinkHeapConfig', USED],
  ['envoy.config.overload.v3.ScaleTimersOverloadActionConfig', USED],
  ['envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig', USED],
  ['envoy.extensions.resource_monitors.cpu_utilization.v3.CpuUtilizationConfig', USED],
  ['envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig', USED],
  ['envoy.extensions.bootstrap.internal_listener.v3.InternalListener', USED],
]);

/** Whether a filter of this type can stand in a chain without doing anything. */
export function isLeftOut(typeName: string, skipTypes: ReadonlySet<string>): boolean {
  return EXTENSION_ANSWERS.get(typeName)?.kind === 'left_out' || isSkipped(typeName, skipTypes);
}

/** Whether the operator said that extensions of this type may be left out. */
export function isSkipped(typeName: string, skipTypes: ReadonlySet<string>): boolean {
  return skipTypes.has(typeName) || skipTypes.has(`type.googleapis.com/${typeName}`);
}

/** Whether `is_optional` is enough to leave a filter out: where Envoy has one of this type, it would act. */
export function isLeftOutAsOptional(typeName: string, filter: { readonly isOptional: boolean }): boolean {
  return filter.isOptional && !typeName.startsWith('envoy.extensions.');
}

const ISTIO_FACTORIES: ReadonlyMap<string, string> = new Map([
  ['stats.PluginConfig', 'istio.stats'],
  ['istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig', 'istio.alpn'],
  ['io.istio.http.peer_metadata.Config', 'envoy.filters.http.peer_metadata'],
  ['envoy.tcp.metadataexchange.config.MetadataExchange', 'envoy.filters.network.metadata_exchange'],
]);

/** Envoy's name of the factory behind a type: `envoy.extensions.filters.http.cors.v3.Cors` → `envoy.filters.http.cors`. */
export function factoryName(typeName: string): string {
  const istio = ISTIO_FACTORIES.get(typeName);
  if (istio !== undefined) return istio;
  return typeName.replace('.extensions.', '.').replace(/\.v\d\w*\.\w+$/, '');
}

/** Envoy's words for an extension that is not there. */
export function missingImplementation(name: string, typeName: string, path: string): ConfigError {
  return new ConfigError(`Didn't find a registered implementation for '${name}' with type URL: '${typeName}'`, path);
}
