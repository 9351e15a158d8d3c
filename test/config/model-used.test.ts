// A field is honoured only when something past `lower` reads it. Properties of the model that nothing reads must be
// known here, with the fields behind them: such a field must not be called honoured in the tables, nor unsupported once
// something reads it.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { FIELDS } from '../../proxy/config/fields/fields.ts';

const PROXY = fileURLToPath(new URL('../../proxy/', import.meta.url));
const MODEL = `${PROXY}config/model/`;

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.';
const MANAGER = `${HCM}HttpConnectionManager`;
const PROXY_STATUS = `${MANAGER}.ProxyStatusConfig`;
const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';
const LISTENER = 'envoy.config.listener.v3.Listener';
const ROUTE = 'envoy.config.route.v3.';
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const UUID = 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig';

/** Property of the model → the fields it is made of, `Message.field`; none for what is not made of a field. */
const FIELDS_BEHIND: { readonly [property: string]: readonly string[] } = {
  description: ['envoy.config.core.v3.SocketOption.description'],
  drainModifyOnly: [`${LISTENER}.drain_type`],
  maxConnectionsPerSocketEvent: [`${LISTENER}.max_connections_to_accept_per_socket_event`],
  transportSocketConnectTimeoutMs: ['envoy.config.listener.v3.FilterChain.transport_socket_connect_timeout'],
  headerPrefix: ['envoy.config.bootstrap.v3.Bootstrap.header_prefix'],
  localClusterName: ['envoy.config.bootstrap.v3.ClusterManager.local_cluster_name'],
  flushAccessLogOnNewRequest: [
    `${MANAGER}.flush_access_log_on_new_request`,
    `${MANAGER}.HcmAccessLogOptions.flush_access_log_on_new_request`,
  ],
  accessLogFlushIntervalMs: [
    `${MANAGER}.access_log_flush_interval`,
    `${MANAGER}.HcmAccessLogOptions.access_log_flush_interval`,
  ],
  drainTimeoutMs: [`${MANAGER}.drain_timeout`],
  matchUpstreamScheme: ['envoy.config.core.v3.SchemeHeaderTransformation.match_upstream'],
  packTraceReason: [`${UUID}.pack_trace_reason`],
  useRequestIdForTraceSampling: [`${UUID}.use_request_id_for_trace_sampling`],
  earlyMutations: [`${MANAGER}.early_header_mutation_extensions`],
  appendLocalOverload: [`${MANAGER}.append_local_overload`],
  proxyStatus: [`${MANAGER}.proxy_status_config`],
  removeDetails: [`${PROXY_STATUS}.remove_details`],
  removeConnectionTerminationDetails: [`${PROXY_STATUS}.remove_connection_termination_details`],
  removeResponseFlags: [`${PROXY_STATUS}.remove_response_flags`],
  setRecommendedResponseCode: [`${PROXY_STATUS}.set_recommended_response_code`],
  proxyName: [`${PROXY_STATUS}.use_node_id`, `${PROXY_STATUS}.literal_proxy_name`],
  sendFullyQualifiedUrl: ['envoy.config.core.v3.Http1ProtocolOptions.send_fully_qualified_url'],
  typeUrl: [],
  dynamicStats: [`${ROUTER}.dynamic_stats`],
  respectExpectedRqTimeout: [`${ROUTER}.respect_expected_rq_timeout`],
  suppressGrpcRequestFailureCodeStats: [`${ROUTER}.suppress_grpc_request_failure_code_stats`],
  strictCheckHeaders: [`${ROUTER}.strict_check_headers`],
  upstreamLogs: [`${ROUTER}.upstream_log`],
  includeIsTimeoutRetryHeader: [`${ROUTE}VirtualHost.include_is_timeout_retry_header`],
  decoratorOperation: [`${ROUTE}Decorator.operation`],
  decoratorPropagate: [`${ROUTE}Decorator.propagate`],
  metadataMatch: [`${ROUTE}RouteAction.metadata_match`],
  includeVirtualHostRateLimits: [`${ROUTE}RouteAction.include_vh_rate_limits`],
  perTryIdleTimeoutMs: [`${ROUTE}RetryPolicy.per_try_idle_timeout`],
  sortProperties: ['envoy.config.core.v3.JsonFormatOptions.sort_properties'],
  ignoreHealthOnHostRemoval: [`${CLUSTER}.ignore_health_on_host_removal`],
  connectionPoolPerDownstreamConnection: [`${CLUSTER}.connection_pool_per_downstream_connection`],
  trackTimeoutBudgets: [
    `${CLUSTER}.track_timeout_budgets`,
    'envoy.config.cluster.v3.TrackClusterStats.timeout_budgets',
  ],
  trackRequestResponseSizes: ['envoy.config.cluster.v3.TrackClusterStats.request_response_sizes'],
  // The watch takes directories from the list of all files.
  watchedDirectory: [],
  transportMatches: [],
  httpTls: [],
  autoSni: [],
  autoSniHeader: [],
  autoSanValidation: [],
  bindPort: [],
};

/** Every source below a folder of `proxy/`, apart from the configuration itself. */
function sources(folder: string): string {
  let text = '';
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) text += path === `${PROXY}config` ? '' : sources(`${path}/`);
    else if (entry.name.endsWith('.ts')) text += readFileSync(path, 'utf8');
  }
  return text;
}

const COMMENTS = /\/\*[\s\S]*?\*\/|\/\/.*/g;
const words = new Set(sources(PROXY).replaceAll(COMMENTS, '').match(/\w+/g));

function modelProperties(): readonly string[] {
  const found = readdirSync(MODEL).flatMap((file) => [
    ...readFileSync(`${MODEL}${file}`, 'utf8').matchAll(/readonly (\w+)\??:/g),
  ]);
  return [...new Set(found.map((match) => match[1] ?? ''))];
}

t.test('fields are called honoured when something past lower reads them', async (t) => {
  const properties = modelProperties();
  const unread = properties.filter((property) => !words.has(property));
  t.same(
    unread.filter((property) => !(property in FIELDS_BEHIND)),
    [],
    'properties that nothing reads: read them, or name their fields here and answer honestly in proxy/config/fields/',
  );
  t.same(
    Object.keys(FIELDS_BEHIND).filter((property) => !properties.includes(property)),
    [],
    'properties that the model does not have',
  );
  for (const [property, fields] of Object.entries(FIELDS_BEHIND)) {
    for (const field of fields) {
      const dot = field.lastIndexOf('.');
      const answer = FIELDS[field.slice(0, dot)]?.[field.slice(dot + 1)];
      if (unread.includes(property)) t.not(answer?.kind, 'honoured', `${field}: nothing reads ${property}`);
      else
        t.not(answer?.kind, 'unsupported', `${field}: ${property} is read now; say honoured in proxy/config/fields/`);
    }
  }
});
