// Fields of clusters and endpoints that are seldom set.

import { address, answer, bootstrap, cluster, fileLog, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const POLICIES = 'envoy.extensions.load_balancing_policies.';
/** Nobody answers there. */
const RESOLVERS = [address(1)];
const RESOLVER = {
  name: 'envoy.network.dns_resolver.cares',
  typed_config: {
    '@type': `${TYPE}envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig`,
    resolvers: RESOLVERS,
  },
};
const assignment = (cluster_name: string, localities: readonly object[], more: object = {}): object => ({
  load_assignment: { cluster_name, endpoints: localities, ...more },
});
const byName = (ports: Ports): object => ({
  lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'localhost', port_value: ports['a'] } } } }],
});
/** A cluster of a name that cannot be resolved, and for which start-up does not wait. */
const nobody = (name: string): object => ({
  type: 'STRICT_DNS',
  wait_for_warm_on_init: false,
  ...assignment(name, [
    { lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'no.test', port_value: 80 } } } }] },
  ]),
});
const policy = (name: string, config: object): object => ({
  load_balancing_policy: {
    policies: [{ typed_extension_config: { name, typed_config: { '@type': `${TYPE}${POLICIES}${name}`, ...config } } }],
  },
});
const dnsCluster = (more: object): object => ({
  type: undefined,
  cluster_type: {
    name: 'envoy.clusters.dns',
    typed_config: {
      '@type': `${TYPE}envoy.extensions.clusters.dns.v3.DnsCluster`,
      dns_refresh_rate: '60s',
      dns_lookup_family: 'V4_ONLY',
      ...more,
    },
  },
});

const clusters = (ports: Ports): Readonly<Record<string, object>> => ({
  bias: {
    lb_policy: 'LEAST_REQUEST',
    least_request_lb_config: { active_request_bias: { default_value: 2, runtime_key: 'b' } },
  },
  'round-robin': policy('round_robin.v3.RoundRobin', {}),
  least: policy('least_request.v3.LeastRequest', {
    choice_count: 4,
    active_request_bias: { default_value: 0.5, runtime_key: 'x' },
  }),
  older: {
    common_http_protocol_options: { max_headers_count: 3, max_response_headers_kb: 8 },
    http_protocol_options: { header_key_format: { proper_case_words: {} } },
    max_requests_per_connection: 1,
    per_connection_buffer_limit_bytes: 4_096,
    track_cluster_stats: {},
  },
  budget: {
    circuit_breakers: {
      thresholds: [
        { max_connection_pools: 5, retry_budget: { budget_percent: { value: 50 }, min_retry_concurrency: 1 } },
      ],
    },
  },
  'no-retries': { circuit_breakers: { thresholds: [{ max_retries: 0 }] } },
  raw: {
    transport_socket: {
      name: 'envoy.transport_sockets.raw_buffer',
      typed_config: { '@type': `${TYPE}envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer` },
    },
  },
  weights: assignment(
    'weights',
    [
      {
        locality: { region: 'r', zone: 'z', sub_zone: 's' },
        load_balancing_weight: 3,
        lb_endpoints: [{ load_balancing_weight: 2, endpoint: { address: address(ports['a']) } }],
      },
    ],
    { policy: {} },
  ),
  /** Envoy counts a connection for each address that was tried; its stats are not compared. */
  differs: assignment('differs', [
    {
      lb_endpoints: [
        { endpoint: { address: address(ports['dead']), additional_addresses: [{ address: address(ports['a']) }] } },
      ],
    },
  ]),
  pipe: assignment('pipe', [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: '/nonexistent/socket' } } } }] }]),
  'dns-strict': {
    ...dnsCluster({ dns_jitter: '1s', dns_failure_refresh_rate: { base_interval: '2s', max_interval: '3s' } }),
    ...assignment('dns-strict', [byName(ports)]),
  },
  'dns-logical': {
    ...dnsCluster({ all_addresses_in_single_endpoint: true, respect_dns_ttl: true }),
    ...assignment('dns-logical', [byName(ports)]),
  },
  'dns-older': {
    type: 'STRICT_DNS',
    dns_lookup_family: 'V4_ONLY',
    dns_jitter: '1s',
    dns_failure_refresh_rate: { base_interval: '2s', max_interval: '3s' },
    ...assignment('dns-older', [byName(ports)]),
  },
  'dns-nobody-new': {
    ...nobody('dns-nobody-new'),
    ...dnsCluster({ typed_dns_resolver_config: RESOLVER }),
  },
  'dns-nobody-older': { ...nobody('dns-nobody-older'), dns_resolvers: RESOLVERS },
  'dns-nobody-old': { ...nobody('dns-nobody-old'), dns_resolution_config: { resolvers: RESOLVERS } },
  'dns-nobody': { ...nobody('dns-nobody'), typed_dns_resolver_config: RESOLVER },
});

const at = (name: string, extra: Partial<Scenario> = {}): Scenario => ({ name, client: [get(`/${name}`)], ...extra });
const again = { a: { replies: [[answer('503 Busy')], [answer('200 OK')]] } };

export const fineClusters: Group = {
  name: 'fine-clusters',
  listeners: ['main'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const made = Object.entries(clusters(ports));
    const retry = { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } };
    const list = made.map(([name]) => to(`/${name}`, name, name === 'budget' || name === 'no-retries' ? retry : {}));
    const access_log = [fileLog(log, { endpoint: '%UPSTREAM_REMOTE_ADDRESS%' })];
    return bootstrap(
      ports,
      [http(ports, log, 'main', routes(list), { access_log })],
      made.map(([name, config]) => cluster(name, [ports['a']], config)),
      { node: { id: 'n', cluster: 'c', locality: { region: 'r', zone: 'z', sub_zone: 's' }, metadata: { k: 'v' } } },
    );
  },
  stats: STATS,
  scenarios: [
    at('bias'),
    at('round-robin'),
    at('least'),
    at('older'),
    {
      name: 'older: too many headers',
      client: [get('/older')],
      upstreams: { a: { replies: [[answer('200 OK', ['x-1: 1', 'x-2: 2', 'x-3: 3'])]] } },
    },
    at('budget', { upstreams: again }),
    at('no-retries', { upstreams: again }),
    at('raw'),
    at('weights'),
    { ...at('differs'), name: 'second address of an endpoint' },
    at('pipe'),
    at('dns-strict'),
    at('dns-logical'),
    at('dns-older'),
    at('dns-nobody'),
    at('dns-nobody-new'),
    at('dns-nobody-old'),
    at('dns-nobody-older'),
  ],
};
