// Clusters: Envoy's defaults, every honoured field with another value, and Envoy's refusals.

import t from 'tap';
import { lowerCluster } from '../../proxy/config/lower/cluster.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { HTTP2_DEFAULTS } from '../../proxy/config/lower/http2.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { ClusterModel } from '../../proxy/config/model/cluster.ts';
import { decodeJson } from '../../proxy/config/read/decode.ts';
import { refusal } from '../fixtures/lower.ts';

const PATH = 'static_resources.clusters[0]';
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

function lower(json: object, ctx = new LowerContext()): ClusterModel {
  const message = decodeJson(
    'envoy.config.cluster.v3.Cluster',
    { name: 'c', ...json },
    { allowUnknown: false, warnings: [] },
  );
  return lowerCluster(message, ctx, PATH);
}

const any = (type: string, json: object = {}) => ({ '@type': `type.googleapis.com/${type}`, ...json });
const socket = (address: string, port = 80) => ({ socket_address: { address, port_value: port } });
const endpoints = (...addresses: string[]) => ({
  load_assignment: {
    cluster_name: 'c',
    endpoints: [{ lb_endpoints: addresses.map((address) => ({ endpoint: { address: socket(address) } })) }],
  },
});

/** What Envoy 1.40 does with `{name: c}`: numbers from its API documentation and its `/clusters`. */
const DEFAULTS: ClusterModel = {
  name: 'c',
  statName: 'c',
  discovery: { kind: 'static' },
  lbPolicy: { kind: 'round_robin' },
  localities: [],
  healthyPanicThreshold: 50,
  failTrafficOnPanic: false,
  connectTimeoutMs: 5000,
  perConnectionBufferLimitBytes: 1_048_576,
  maintenancePercent: 0,
  breakers: {
    default: {
      maxConnections: 1024,
      maxConnectionsPerHost: 4_294_967_295,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 3,
      maxConnectionPools: Number.MAX_SAFE_INTEGER,
      retryBudget: null,
    },
    high: {
      maxConnections: 1024,
      maxConnectionsPerHost: 4_294_967_295,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 3,
      maxConnectionPools: Number.MAX_SAFE_INTEGER,
      retryBudget: null,
    },
  },
  breakerBase: 0,
  updateMergeWindowMs: 1000,
  outlier: null,
  maxRequestsPerConnection: 0,
  idleTimeoutMs: 3_600_000,
  maxConnectionDurationMs: 0,
  upstreamStreamDurationMs: 0,
  maxResponseHeadersBytes: 81_920,
  maxResponseHeadersCount: 100,
  protocol: 'http1',
  http1: { headerCase: 'lower', enableTrailers: false, allowChunkedLength: false, acceptHttp10: false },
  http2: HTTP2_DEFAULTS,
  bind: null,
  tcpKeepalive: null,
  ignoreHealthOnHostRemoval: false,
  closeConnectionsOnHostHealthFailure: false,
  connectionPoolPerDownstreamConnection: false,
  trackTimeoutBudgets: false,
  trackRequestResponseSizes: false,
  trackRemaining: { default: false, high: false },
  transport: { kind: 'raw' },
  transportMatches: [],
  httpTls: { autoSni: false, autoSniHeader: '', autoSanValidation: false },
  mirrors: [],
  retry: null,
  hashPolicy: [],
  metadata: {},
};

t.test('defaults', async (t) => t.same(lower({}), DEFAULTS));

t.test('no traffic in panic', async (t) => {
  const fails = (fail_traffic_on_panic: boolean): boolean =>
    lower({ common_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic } } }).failTrafficOnPanic;
  t.same([fails(true), fails(false)], [true, false]);
});

t.test('plain fields', async (t) => {
  const model = lower({
    alt_stat_name: 'outbound|80||a:b://c',
    connect_timeout: '0.25s',
    per_connection_buffer_limit_bytes: 4096,
    common_lb_config: { healthy_panic_threshold: { value: 12.5 } },
    upstream_bind_config: {
      source_address: { address: '127.0.0.2', port_value: 0 },
      freebind: true,
      socket_options: [{ level: 1, name: 2, int_value: 3, state: 'STATE_BOUND' }],
    },
    upstream_connection_options: { tcp_keepalive: { keepalive_probes: 3, keepalive_time: 300, keepalive_interval: 5 } },
    ignore_health_on_host_removal: true,
    close_connections_on_host_health_failure: true,
    connection_pool_per_downstream_connection: true,
    track_cluster_stats: { timeout_budgets: true, request_response_sizes: true },
    metadata: { filter_metadata: { istio: { config: 'x' } } },
    transport_socket: {
      name: 'raw',
      typed_config: any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'),
    },
  });
  const bound = { description: '', level: 1, name: 2, value: { kind: 'int', value: 3 }, state: 'bound' };
  t.same(model, {
    ...DEFAULTS,
    statName: 'outbound|80||a_b_c',
    connectTimeoutMs: 250,
    perConnectionBufferLimitBytes: 4096,
    healthyPanicThreshold: 12.5,
    bind: {
      sources: [{ address: '127.0.0.2', port: 0, socketOptions: [bound] }],
      freebind: true,
      socketOptions: [bound],
    },
    tcpKeepalive: { probes: 3, timeSeconds: 300, intervalSeconds: 5 },
    ignoreHealthOnHostRemoval: true,
    closeConnectionsOnHostHealthFailure: true,
    connectionPoolPerDownstreamConnection: true,
    trackTimeoutBudgets: true,
    trackRequestResponseSizes: true,
    metadata: { istio: { config: 'x' } },
  });
  t.equal(lower({ track_timeout_budgets: true }).trackTimeoutBudgets, true);
});

t.test('circuit breakers by priority', async (t) => {
  const { breakers, trackRemaining } = lower({
    circuit_breakers: {
      thresholds: [
        {
          priority: 'HIGH',
          max_connections: 1,
          max_pending_requests: 2,
          max_requests: 3,
          max_retries: 4,
          track_remaining: true,
        },
        {
          max_connection_pools: 5,
          retry_budget: { budget_percent: { value: 25 }, min_retry_concurrency: 10, budget_interval: '3s' },
        },
      ],
      per_host_thresholds: [{ max_connections: 6 }],
    },
  });
  t.same(breakers, {
    default: {
      ...DEFAULTS.breakers.default,
      maxConnectionPools: 5,
      maxConnectionsPerHost: 6,
      retryBudget: { budgetPercent: 25, intervalMs: 3_000, minRetryConcurrency: 10 },
    },
    high: { ...DEFAULTS.breakers.high, maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 },
  });
  t.same(trackRemaining, { default: false, high: true });
  t.match(
    refusal(() => lower({ circuit_breakers: { per_host_thresholds: [{ max_connections: 1, max_requests: 2 }] } })),
    /per_host_thresholds\[0\]: Unsupported field in per_host_thresholds$/,
  );
  const budget = lower({ circuit_breakers: { thresholds: [{ retry_budget: {} }] } }).breakers.default.retryBudget;
  t.same(budget, { budgetPercent: 20, intervalMs: 0, minRetryConcurrency: 3 }, 'defaults of a budget');
});

t.test('runtime keys win over fields', async (t) => {
  const ctx = new LowerContext();
  ctx.runtime = runtimeEntries({
    'circuit_breakers.c.default.max_connections': 1,
    'circuit_breakers.c.default.max_pending_requests': '2',
    'circuit_breakers.c.default.max_requests': -1,
    'circuit_breakers.c.default.max_retries': 'three',
    'circuit_breakers.c.default.retry_budget.min_retry_concurrency': 4,
    'circuit_breakers.c.high.retry_budget.budget_percent': 0.5,
    'circuit_breakers.c.high.retry_budget.budget_interval': 0,
    'circuit_breakers.d.default.max_connections': 5,
    'upstream.healthy_panic_threshold': 6,
    'upstream.maintenance_mode.c': 700,
    'upstream.use_http2': 0,
  });
  const thresholds = [{ priority: 'HIGH', retry_budget: { budget_interval: '2s', min_retry_concurrency: 8 } }];
  const model = lower({ circuit_breakers: { thresholds }, http2_protocol_options: {} }, ctx);
  t.match(model.breakers, {
    default: {
      maxConnections: 1,
      maxPendingRequests: 2,
      maxRequests: 1024,
      maxRetries: 3,
      retryBudget: { budgetPercent: 20, intervalMs: 0, minRetryConcurrency: 4 },
    },
    high: { maxConnections: 1024, retryBudget: { budgetPercent: 0.5, intervalMs: 0, minRetryConcurrency: 8 } },
  });
  t.match(model, { healthyPanicThreshold: 6, maintenancePercent: 100, protocol: 'http1' });
  t.same(ctx.warnings, []);
  ctx.runtime = runtimeEntries({ 'upstream.use_http2': 50 });
  t.equal(lower({ http2_protocol_options: {} }, ctx).protocol, 'http2');
  t.match(ctx.warnings, [/upstream\.use_http2 is all or nothing/]);
});

t.test('endpoints', async (t) => {
  const { localities } = lower({
    load_assignment: {
      cluster_name: 'c',
      endpoints: [
        {
          locality: { region: 'r', zone: 'z', sub_zone: 's' },
          priority: 1,
          load_balancing_weight: 7,
          lb_endpoints: [
            {
              endpoint: {
                address: socket('10.0.0.1', 8080),
                hostname: 'h',
                additional_addresses: [{ address: socket('::1', 8080) }],
              },
              health_status: 'DEGRADED',
              load_balancing_weight: 3,
              metadata: { filter_metadata: { a: { b: 1 } } },
            },
            { endpoint: { address: { pipe: { path: '/tmp/s' } } } },
          ],
        },
      ],
    },
  });
  const tcp = (address: string) => ({ kind: 'socket', protocol: 'tcp', address, port: 8080, ipv4Compat: false });
  t.same(localities, [
    {
      region: 'r',
      zone: 'z',
      subZone: 's',
      priority: 1,
      weight: 7,
      endpoints: [
        {
          address: tcp('10.0.0.1'),
          additionalAddresses: [tcp('::1')],
          hostname: 'h',
          health: 'degraded',
          weight: 3,
          metadata: { a: { b: 1 } },
        },
        {
          address: { kind: 'pipe', path: '/tmp/s', mode: 0 },
          additionalAddresses: [],
          hostname: '',
          health: 'unknown',
          weight: 1,
          metadata: {},
        },
      ],
    },
  ]);
});

t.test('DNS clusters, older and typed', async (t) => {
  const plain = {
    kind: 'strict_dns',
    refreshMs: 5000,
    failureRefreshBaseMs: 5000,
    failureRefreshMaxMs: 5000,
    respectTtl: false,
    jitterMs: 0,
    family: 'auto',
    waitForWarm: true,
    resolvers: [],
  };
  const envoy_internal_address = { server_listener_name: 'inner', endpoint_id: 'e' };
  const inside = { endpoints: [{ lb_endpoints: [{ endpoint: { address: { envoy_internal_address } } }] }] };
  t.same(lower({ load_assignment: { cluster_name: 'c', ...inside } }).localities[0]?.endpoints[0]?.address, {
    kind: 'internal',
    listenerName: 'inner',
    endpointId: 'e',
  });
  const passing = { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' };
  const captured = {
    kind: 'original_dst',
    headerName: '',
    metadataKey: null,
    portOverride: 0,
    cleanupIntervalMs: 5000,
  };
  t.same(lower(passing).discovery, captured);
  t.equal((lower(passing).lbPolicy as { kind: string }).kind, 'cluster_provided');
  const named = { use_http_header: true, http_header_name: 'X-Dst', upstream_port_override: 9 };
  const metadata_key = { key: 'ns', path: [{ key: 'a' }, { key: 'b' }] };
  t.same(lower({ ...passing, cleanup_interval: '7s', original_dst_lb_config: { ...named, metadata_key } }).discovery, {
    kind: 'original_dst',
    headerName: 'x-dst',
    metadataKey: { key: 'ns', path: ['a', 'b'] },
    portOverride: 9,
    cleanupIntervalMs: 7000,
  });
  t.same(lower({ ...passing, original_dst_lb_config: { use_http_header: true } }).discovery, {
    ...captured,
    headerName: 'x-envoy-original-dst-host',
  });
  const byName = lower({ type: 'STRICT_DNS', ...endpoints('a.test') });
  t.same(byName.discovery, plain);
  t.equal(byName.localities[0]?.endpoints[0]?.hostname, 'a.test', 'the name is the host name too');
  t.same(lower({ cluster_type: { name: 'envoy.cluster.strict_dns' } }).discovery, plain);
  const settings = {
    dns_refresh_rate: '2s',
    dns_failure_refresh_rate: { base_interval: '3s' },
    respect_dns_ttl: true,
    dns_jitter: '0.5s',
    typed_dns_resolver_config: {
      name: 'cares',
      typed_config: any('envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig', {
        resolvers: [socket('127.0.0.1', 53), socket('::1', 53)],
      }),
    },
  };
  const set = {
    ...plain,
    kind: 'logical_dns',
    refreshMs: 2000,
    failureRefreshBaseMs: 3000,
    failureRefreshMaxMs: 30_000,
    respectTtl: true,
    jitterMs: 500,
    family: 'v4_only',
    resolvers: ['127.0.0.1:53', '[::1]:53'],
  };
  const one = endpoints('a.test');
  t.same(lower({ type: 'LOGICAL_DNS', dns_lookup_family: 'V4_ONLY', ...settings, ...one }).discovery, set);
  const typed = any('envoy.extensions.clusters.dns.v3.DnsCluster', {
    ...settings,
    dns_lookup_family: 'V4_ONLY',
    all_addresses_in_single_endpoint: true,
  });
  t.same(lower({ cluster_type: { name: 'envoy.cluster.dns', typed_config: typed }, ...one }).discovery, set);
  const older = { type: 'STRICT_DNS', dns_resolvers: [socket('127.0.0.2', 53)], wait_for_warm_on_init: false };
  t.same(lower(older).discovery, { ...plain, waitForWarm: false, resolvers: ['127.0.0.2:53'] });
  const middle = { type: 'STRICT_DNS', dns_resolution_config: { resolvers: [socket('127.0.0.3', 53)] } };
  t.same(lower(middle).discovery, { ...plain, resolvers: ['127.0.0.3:53'] });
});

t.test('balancers, older and typed', async (t) => {
  const policy = (type: string, json: object = {}) => ({
    load_balancing_policy: {
      policies: [
        {
          typed_extension_config: {
            name: type,
            typed_config: any(`envoy.extensions.load_balancing_policies.${type}`, json),
          },
        },
      ],
    },
  });
  t.same(lower({ lb_policy: 'RANDOM' }).lbPolicy, { kind: 'random' });
  const least = { kind: 'least_request', choiceCount: 2, activeRequestBias: 1 };
  t.same(lower({ lb_policy: 'LEAST_REQUEST' }).lbPolicy, least);
  const config = { choice_count: 5, active_request_bias: { default_value: 0.5, runtime_key: 'k' } };
  const set = { kind: 'least_request', choiceCount: 5, activeRequestBias: 0.5 };
  t.same(lower({ lb_policy: 'LEAST_REQUEST', least_request_lb_config: config }).lbPolicy, set);
  t.same(lower(policy('least_request.v3.LeastRequest', config)).lbPolicy, set);
  t.same(lower(policy('random.v3.Random')).lbPolicy, { kind: 'random' });
  t.same(lower({ lb_policy: 'RANDOM', ...policy('round_robin.v3.RoundRobin') }).lbPolicy, { kind: 'round_robin' });
});

t.test('HTTP options, typed and older', async (t) => {
  const common = {
    idle_timeout: '0s',
    max_connection_duration: '60s',
    max_stream_duration: '7s',
    max_headers_count: 50,
    max_response_headers_kb: 10,
    max_requests_per_connection: 7,
  };
  const http1 = {
    header_key_format: { proper_case_words: {} },
    enable_trailers: true,
    allow_chunked_length: true,
    accept_http_10: true,
  };
  const set = {
    ...DEFAULTS,
    idleTimeoutMs: 0,
    maxConnectionDurationMs: 60_000,
    upstreamStreamDurationMs: 7_000,
    maxResponseHeadersCount: 50,
    maxResponseHeadersBytes: 10_240,
    maxRequestsPerConnection: 7,
    http1: { headerCase: 'proper', enableTrailers: true, allowChunkedLength: true, acceptHttp10: true },
  };
  const typed = (json: object) => ({ typed_extension_protocol_options: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, json) } });
  const explicit = { common_http_protocol_options: common, explicit_http_config: { http_protocol_options: http1 } };
  t.same(lower(typed(explicit)), set);
  t.same(lower({ common_http_protocol_options: common, http_protocol_options: http1 }), set);
  t.equal(lower({ max_requests_per_connection: 3 }).maxRequestsPerConnection, 3);
  const both = { max_requests_per_connection: 3, ...typed({ explicit_http_config: { http_protocol_options: {} } }) };
  t.same(lower(both), DEFAULTS, 'typed options hide the older fields');
});

t.test('the protocol towards a cluster, with its HTTP/2 options', async (t) => {
  const typed = (json: object) => ({ typed_extension_protocol_options: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, json) } });
  const given = { http2_protocol_options: { max_concurrent_streams: 3 } };
  const http2 = { ...HTTP2_DEFAULTS, maxConcurrentStreams: 3 };
  t.same(lower(typed({ explicit_http_config: { http2_protocol_options: {} } })), { ...DEFAULTS, protocol: 'http2' });
  t.same(lower(typed({ explicit_http_config: given })), { ...DEFAULTS, protocol: 'http2', http2 });
  t.same(lower(given), { ...DEFAULTS, protocol: 'http2', http2 }, 'the older field');
  t.same(lower(typed({ use_downstream_protocol_config: given })), { ...DEFAULTS, protocol: 'downstream', http2 });
  t.same(lower({ ...given, protocol_selection: 'USE_DOWNSTREAM_PROTOCOL' }), {
    ...DEFAULTS,
    protocol: 'downstream',
    http2,
  });
  const tls = any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext');
  const auto = { ...typed({ auto_config: given }), transport_socket: { name: 'tls', typed_config: tls } };
  t.match(lower(auto), { protocol: 'auto', http2, transport: { kind: 'tls' } });
  const sentence = `${PATH}: ALPN configured for cluster c which has a non-ALPN transport socket; use explicit_http_config`;
  t.throws(() => lower(typed({ auto_config: given })), { message: sentence });
  const wrong = { custom_settings_parameters: [{ identifier: 8, value: 1 }] };
  const where = `${PATH}.typed_extension_protocol_options["${HTTP_OPTIONS}"]`;
  const path = `${where}.explicit_http_config.http2_protocol_options.custom_settings_parameters`;
  t.throws(() => lower(typed({ explicit_http_config: { http2_protocol_options: wrong } })), {
    message: new RegExp(`^${path.replaceAll(/[[\].]/g, '\\$&')}: the "allow_connect"`),
  });
});

t.test('refusals', async (t) => {
  const ip = `Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'`;
  const address = `${PATH}.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address`;
  const router = any('envoy.extensions.filters.http.router.v3.Router');
  const cases: [object, string][] = [
    [endpoints('foo.com'), `${address}.socket_address.address: malformed IP address: foo.com. ${ip}`],
    [
      { load_assignment: { endpoints: [{ lb_endpoints: [{ endpoint_name: 'a' }] }] } },
      `${address}: Address must be set`,
    ],
    [{ type: 'LOGICAL_DNS' }, `${PATH}: LOGICAL_DNS clusters must have a single host`],
    [
      { type: 'LOGICAL_DNS', ...endpoints('a', 'b') },
      `${PATH}.load_assignment: LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint`,
    ],
    [{ type: 'EDS' }, `${PATH}: cannot create an EDS cluster without an EDS config`],
    [
      { type: 'ORIGINAL_DST' },
      `${PATH}: cluster: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'`,
    ],
    [
      { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', ...endpoints('1.1.1.1') },
      `${PATH}.load_assignment: ORIGINAL_DST clusters must have no load assignment configured`,
    ],
    [
      { lb_policy: 'CLUSTER_PROVIDED' },
      `${PATH}: cluster manager: cluster provided LB specified but cluster 'c' did not provide one. Check cluster documentation.`,
    ],
    [{ lb_policy: 'LOAD_BALANCING_POLICY_CONFIG' }, `${PATH}: cluster: field load_balancing_policy need to be set`],
    [
      { load_balancing_policy: { policies: [{ typed_extension_config: { name: 'x', typed_config: router } }] } },
      `${PATH}.load_balancing_policy: cluster: didn't find a registered load balancer factory implementation for cluster: 'c' with names from [x]`,
    ],
    [
      { cluster_type: { name: 'foo' } },
      `${PATH}.cluster_type: Didn't find a registered cluster factory implementation for name: 'foo'`,
    ],
    [
      { transport_socket: { name: 'foo' } },
      `${PATH}.transport_socket: Didn't find a registered implementation for 'foo' with type URL: ''`,
    ],
    [
      { upstream_bind_config: { source_address: { address: 'foo', port_value: 0 } } },
      `${PATH}.upstream_bind_config.source_address: malformed IP address: foo`,
    ],
    [
      { type: 'STRICT_DNS', dns_failure_refresh_rate: { base_interval: '2s', max_interval: '1s' } },
      `${PATH}.dns_failure_refresh_rate: dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval`,
    ],
    [{ connect_timeout: '-1s' }, `${PATH}.connect_timeout: Invalid duration: Expected positive duration`],
  ];
  for (const [json, text] of cases) t.throws(() => lower(json), { message: text }, text);
});
