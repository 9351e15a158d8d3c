// Configurations with one flaw each, and what Envoy says to them (`golden/refused.json`, by `--mode validate`).
//
//   node test/parity/refused.ts            what Envoy says now, where it differs from the recording
//   node test/parity/refused.ts --update   record it anew; review the diff

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap, cluster, http, httpOptions, router, routes, tcp, to } from './config.ts';
import type { Ports } from './types.ts';

type Json = object;

/** A flaw: the bootstrap that has it, and the field that our refusal must name. */
export interface Flaw {
  readonly bootstrap: Json;
  /** End of the path behind `static_resources.`, or what else stands there. */
  readonly where: string;
}

const GOLDEN = new URL('golden/refused.json', import.meta.url);
const PORTS: Ports = { admin: 0, main: 0, a: 1 };
const TYPES = 'type.googleapis.com/';
const A = cluster('a', [1]);
const MANAGER = 'listeners[0].filter_chains[0].filters[0].typed_config';
const ROUTE = `${MANAGER}.route_config.virtual_hosts[0].routes[0]`;

const listener = (list: readonly Json[], manager: Json = {}, extra: Json = {}): Json =>
  http(PORTS, '/dev/null', 'main', routes(list), manager, extra);
const ofRoute = (route: Json, where: string): Flaw => ({
  bootstrap: bootstrap(PORTS, [listener([{ match: { prefix: '/' }, route: { cluster: 'a' }, ...route }])], [A]),
  where: `${ROUTE}${where}`,
});
const ofAction = (action: Json, where: string): Flaw => ofRoute({ route: action }, `.route${where}`);
const ofHost = (host: Json, where: string): Flaw => ({
  bootstrap: bootstrap(PORTS, [http(PORTS, '/dev/null', 'main', routes([to('/', 'a')], host))], [A]),
  where: `${MANAGER}.route_config.virtual_hosts[0]${where}`,
});
const ofManager = (manager: Json, where: string): Flaw => ({
  bootstrap: bootstrap(PORTS, [listener([to('/', 'a')], manager)], [A]),
  where: `${MANAGER}${where}`,
});
const ofListener = (extra: Json, where: string): Flaw => ({
  bootstrap: bootstrap(PORTS, [listener([to('/', 'a')], {}, extra)], [A]),
  where: `listeners[0]${where}`,
});
const ofCluster = (extra: Json, where: string): Flaw => ({
  bootstrap: bootstrap(PORTS, [], [cluster('a', [1], extra)]),
  where: `clusters[0]${where}`,
});
const ofBootstrap = (extra: Json, where: string): Flaw => ({ bootstrap: bootstrap(PORTS, [], [A], extra), where });

const fault = (config: Json): Json => ({
  http_filters: [
    { name: 'fault', typed_config: { '@type': `${TYPES}envoy.extensions.filters.http.fault.v3.HTTPFault`, ...config } },
    router({}),
  ],
});
const weighted = (...clusters: Json[]): Json => ({ weighted_clusters: { clusters } });
const byRuntime = (static_layer: Json, weight: number): Flaw => {
  const { weighted_clusters } = weighted({ name: 'a', weight }) as { weighted_clusters: object };
  const route = { weighted_clusters: { ...weighted_clusters, runtime_key_prefix: 'w' } };
  return {
    bootstrap: bootstrap(PORTS, [listener([{ match: { prefix: '/' }, route }])], [A], {
      layered_runtime: { layers: [{ name: 's', static_layer }] },
    }),
    where: '.weighted_clusters',
  };
};
const hash = (lb_policy: string, config: Json): Json => ({ lb_policy, ...config });
const heap = {
  name: 'heap',
  typed_config: {
    '@type': `${TYPES}envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig`,
    max_heap_size_bytes: 9,
  },
};
const ofOverload = (manager: Json, where = 'overload_manager.actions[0]'): Flaw =>
  ofBootstrap({ overload_manager: { resource_monitors: [heap], ...manager } }, where);
/** @param timers of an action that makes them shorter; `null` = another one */
const pull = (name: string, timers: readonly Json[] | null = null): Json => ({
  name,
  triggers: [{ name: 'heap', threshold: { value: 0.5 } }],
  ...(timers !== null && {
    typed_config: {
      '@type': `${TYPES}envoy.config.overload.v3.ScaleTimersOverloadActionConfig`,
      timer_scale_factors: timers,
    },
  }),
});
const TIMERS = [{ timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', min_timeout: '1s' }];
const CONNECTIONS = 'envoy.resource_monitors.global_downstream_max_connections';
const dns = (hosts: number): Json => ({
  type: 'LOGICAL_DNS',
  load_assignment: {
    cluster_name: 'a',
    endpoints: [
      {
        lb_endpoints: Array.from({ length: hosts }, () => ({
          endpoint: { address: { socket_address: { address: 'localhost', port_value: 1 } } },
        })),
      },
    ],
  },
});
const endpoint = (address: string, port_value: number): Json => ({
  load_assignment: {
    cluster_name: 'a',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value } } } }] }],
  },
});

export const FLAWS: Readonly<Record<string, Flaw>> = {
  // Routes
  'weights that sum to nothing': ofAction(weighted({ name: 'a', weight: 0 }), '.weighted_clusters'),
  'weights that are too much': ofAction(
    weighted({ name: 'a', weight: 4_294_967_295 }, { name: 'a', weight: 1 }),
    '.weighted_clusters',
  ),
  'weights that the runtime makes nothing': byRuntime({ 'w.a': 0 }, 1),
  'weights that the runtime makes something': byRuntime({ 'w.a': '1' }, 0),
  'weights that the runtime makes too much': byRuntime({ 'w.a': 4_294_967_296 }, 1),
  'no weighted clusters': ofAction({ weighted_clusters: {} }, '.weighted_clusters.clusters'),
  'a weighted cluster without a name': ofAction(weighted({ weight: 1 }), '.weighted_clusters.clusters[0]'),
  'a weighted cluster with two names': ofAction(
    weighted({ name: 'a', cluster_header: 'x', weight: 1 }),
    '.weighted_clusters.clusters[0]',
  ),
  'an unknown cluster': ofAction({ cluster: 'nobody' }, '.cluster'),
  'an unknown weighted cluster': ofAction(
    weighted({ name: 'nobody', weight: 1 }),
    '.weighted_clusters.clusters[0].name',
  ),
  'an unknown cluster for copies': ofAction(
    { cluster: 'a', request_mirror_policies: [{ cluster: 'nobody' }] },
    '.request_mirror_policies[0].cluster',
  ),
  'a cluster without a name': ofAction({ cluster: '' }, '.cluster'),
  'no cluster': ofAction({}, ''),
  'a negative time limit': ofAction({ cluster: 'a', timeout: '-1s' }, '.timeout'),
  'a negative time limit of a try': ofAction(
    { cluster: 'a', retry_policy: { per_try_timeout: '-1s' } },
    '.retry_policy.per_try_timeout',
  ),
  'a back-off that shrinks': ofAction(
    { cluster: 'a', retry_policy: { retry_back_off: { base_interval: '1s', max_interval: '0.5s' } } },
    '.retry_policy.retry_back_off',
  ),
  'a back-off of nothing': ofAction(
    { cluster: 'a', retry_policy: { retry_back_off: { base_interval: '0s' } } },
    '.retry_policy.retry_back_off.base_interval',
  ),
  'an unknown retry predicate': ofAction(
    { cluster: 'a', retry_policy: { retry_host_predicate: [{ name: 'nobody' }] } },
    '.retry_policy.retry_host_predicate[0]',
  ),
  'a regex that is none': ofRoute({ match: { safe_regex: { regex: '(' } } }, '.match.safe_regex.regex'),
  'a regex that RE2 does not know': ofRoute({ match: { safe_regex: { regex: '/(?=a)' } } }, '.match.safe_regex.regex'),
  'a regex of a header': ofRoute(
    { match: { prefix: '/', headers: [{ name: 'x', string_match: { safe_regex: { regex: '[' } } }] } },
    '.match.headers[0].string_match.safe_regex.regex',
  ),
  'a substitution that is none': ofAction(
    { cluster: 'a', regex_rewrite: { pattern: { regex: 'a' }, substitution: '\\1' } },
    '.regex_rewrite',
  ),
  'two rewrites of a path': ofAction(
    { cluster: 'a', prefix_rewrite: '/b', regex_rewrite: { pattern: { regex: 'a' }, substitution: 'b' } },
    '',
  ),
  'no match': ofRoute({ match: {} }, '.match'),
  'a separated prefix with a slash at its end': ofRoute(
    { match: { path_separated_prefix: '/a/' } },
    '.match.path_separated_prefix',
  ),
  'a header without a name': ofRoute({ match: { prefix: '/', headers: [{ name: '' }] } }, '.match.headers[0].name'),
  'a range that ends before it begins': ofRoute(
    { match: { prefix: '/', headers: [{ name: 'x', range_match: { start: 5, end: 1 } }] } },
    '.match.headers[0].range_match',
  ),
  'a status that is none': ofRoute({ route: undefined, direct_response: { status: 600 } }, '.direct_response.status'),
  'a body that is too long': ofRoute(
    { route: undefined, direct_response: { status: 200, body: { inline_string: 'x'.repeat(5_000) } } },
    '.direct_response.body',
  ),
  'a redirect with two paths': ofRoute(
    {
      route: undefined,
      redirect: { path_redirect: '/a', prefix_rewrite: '/b', regex_rewrite: { pattern: { regex: '(' } } },
    },
    '.redirect',
  ),
  'a pseudo-header that is added': ofRoute(
    { request_headers_to_add: [{ header: { key: ':path', value: '/' } }] },
    '.request_headers_to_add[0].header.key',
  ),
  'a host that is removed': ofRoute({ request_headers_to_remove: ['host'] }, '.request_headers_to_remove[0]'),
  'a format that is none': ofRoute(
    { request_headers_to_add: [{ header: { key: 'x', value: '%NOTHING%' } }] },
    '.request_headers_to_add[0].header.value',
  ),
  'settings of a filter that is not there': ofRoute(
    {
      typed_per_filter_config: { nobody: { '@type': `${TYPES}envoy.extensions.filters.http.cors.v3.CorsPolicy` } },
    },
    '.typed_per_filter_config["nobody"]',
  ),
  'a negative budget of a hedge': ofAction(
    { cluster: 'a', hedge_policy: { additional_request_chance: { numerator: 1, denominator: 'SOME' } } },
    '.hedge_policy.additional_request_chance.denominator',
  ),
  // Virtual hosts
  'no domains': ofHost({ domains: [] }, '.domains'),
  'a domain twice': ofHost({ domains: ['a.test', 'A.test'] }, ''),
  'two stars': ofHost({ domains: ['*a*'] }, '.domains[0]'),
  'no name': ofHost({ name: '' }, '.name'),
  // Managers and listeners
  'no prefix for stats': ofManager({ stat_prefix: '' }, '.stat_prefix'),
  'no routes': ofManager({ route_config: undefined }, ''),
  'no router': ofManager({ http_filters: [] }, '.http_filters'),
  'a router that is not the last': ofManager({ http_filters: [router({}), router({})] }, '.http_filters[0]'),
  'a fault without a kind': ofManager(
    fault({ abort: { percentage: { numerator: 1 } } }),
    '.http_filters[0].typed_config.abort',
  ),
  'a fault with a status that is none': ofManager(
    fault({ abort: { http_status: 100, percentage: { numerator: 1 } } }),
    '.http_filters[0].typed_config.abort.http_status',
  ),
  'a negative delay': ofManager(
    fault({ delay: { fixed_delay: '-1s', percentage: { numerator: 1 } } }),
    '.http_filters[0].typed_config.delay.fixed_delay',
  ),
  'an unknown filter': ofManager(
    { http_filters: [{ name: 'nobody', typed_config: { '@type': `${TYPES}google.protobuf.Empty` } }, router({})] },
    '.http_filters[0]',
  ),
  'a negative idle time': ofManager(
    { common_http_protocol_options: { idle_timeout: '-1s' } },
    '.common_http_protocol_options.idle_timeout',
  ),
  'an unknown field': ofListener({ nothing: 1 }, '.nothing'),
  'a port that is none': ofListener(
    { address: { socket_address: { address: '127.0.0.1', port_value: 70_000 } } },
    '.address.socket_address.port_value',
  ),
  'an address that is none': ofListener(
    { address: { socket_address: { address: 'here', port_value: 1 } } },
    '.address',
  ),
  'a TCP proxy without a cluster': {
    bootstrap: bootstrap(PORTS, [tcp(PORTS, '/dev/null', 'main', { stat_prefix: 'x' })], [A]),
    where: MANAGER,
  },
  // Clusters
  'a negative connect time': ofCluster({ connect_timeout: '-1s' }, '.connect_timeout'),
  'an address of a host that is none': ofCluster(
    endpoint('somewhere', 1),
    '.load_assignment.endpoints[0].lb_endpoints[0]',
  ),
  'a port of a host that is none': ofCluster(
    endpoint('127.0.0.1', 70_000),
    '.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value',
  ),
  'two logical names': ofCluster(dns(2), '.load_assignment'),
  'an unknown policy': ofCluster({ lb_policy: 'SOMEHOW' }, '.lb_policy'),
  'a ring that is too small': ofCluster(
    hash('RING_HASH', { ring_hash_lb_config: { minimum_ring_size: 9, maximum_ring_size: 5 } }),
    '',
  ),
  'a table whose size is not prime': ofCluster(hash('MAGLEV', { maglev_lb_config: { table_size: 10 } }), ''),
  'ejections that end before they begin': ofCluster(
    { outlier_detection: { base_ejection_time: '10s', max_ejection_time: '1s' } },
    '.outlier_detection',
  ),
  'more than all hosts ejected': ofCluster(
    { outlier_detection: { max_ejection_percent: 101 } },
    '.outlier_detection.max_ejection_percent',
  ),
  'limits of hosts that hosts do not have': ofCluster(
    { circuit_breakers: { per_host_thresholds: [{ max_requests: 1 }] } },
    '.circuit_breakers.per_host_thresholds[0]',
  ),
  'a share of retries above all': ofCluster(
    { circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 101 } } }] } },
    '.circuit_breakers.thresholds[0].retry_budget.budget_percent.value',
  ),
  'a negative interval of a budget': ofCluster(
    { circuit_breakers: { thresholds: [{ retry_budget: { budget_interval: '-1s' } }] } },
    '.circuit_breakers.thresholds[0].retry_budget',
  ),
  'ALPN without TLS': ofCluster(httpOptions({}, {}, { explicit_http_config: undefined, auto_config: {} }), ''),
  'a cluster twice': { bootstrap: bootstrap(PORTS, [], [A, A]), where: 'clusters[1]' },
  // The rest
  'a resource twice': ofBootstrap({ overload_manager: { resource_monitors: [heap, heap] } }, 'overload_manager'),
  'a trigger that nobody pulls': ofBootstrap(
    {
      overload_manager: {
        resource_monitors: [heap],
        actions: [
          { name: 'envoy.overload_actions.shrink_heap', triggers: [{ name: 'nobody', threshold: { value: 0.5 } }] },
        ],
      },
    },
    'overload_manager.actions[0].triggers[0]',
  ),
  'streams that nobody watches': ofOverload({ actions: [pull('envoy.overload_actions.reset_high_memory_stream')] }),
  'an action of our own without timers': ofOverload({ actions: [pull('mine')] }),
  'an action of our own with a name of theirs': ofOverload({ actions: [pull('envoy.overload_actions.mine', TIMERS)] }),
  'timers for another action': ofOverload({ actions: [pull('envoy.overload_actions.shrink_heap', TIMERS)] }),
  'a timer twice': ofOverload(
    { actions: [pull('mine', [...TIMERS, ...TIMERS])] },
    'overload_manager.actions[0].typed_config',
  ),
  'a timer of two actions': ofOverload(
    { actions: [pull('mine', TIMERS), pull('yours', TIMERS)] },
    'overload_manager.actions[1].typed_config',
  ),
  'a place called like an action': ofOverload(
    { actions: [pull('mine', TIMERS)], loadshed_points: [pull('mine')] },
    'overload_manager.loadshed_points[0]',
  ),
  'memory called connections': ofBootstrap(
    { overload_manager: { resource_monitors: [{ ...heap, name: CONNECTIONS }] } },
    'overload_manager.resource_monitors[0]',
  ),
  'a layer twice': ofBootstrap(
    {
      layered_runtime: {
        layers: [
          { name: 'x', static_layer: {} },
          { name: 'x', static_layer: {} },
        ],
      },
    },
    'layered_runtime.layers[1]',
  ),
};

/** What Envoy said, by name; empty = it took the configuration. */
export function recorded(): Readonly<Record<string, string>> {
  return JSON.parse(readFileSync(GOLDEN, 'utf8'));
}

/** The first line of Envoy's refusal, without what depends on the run; empty = there is none. */
function ask(envoy: string, config: Json): string {
  const directory = mkdtempSync(join(tmpdir(), 'refused-'));
  try {
    const file = join(directory, 'bootstrap.json');
    writeFileSync(file, JSON.stringify(config));
    const args = ['-c', file, '--mode', 'validate', '-l', 'critical', '--base-id', '790', '--log-format', '%v'];
    const { status, stderr } = spawnSync(envoy, args, { encoding: 'utf8' });
    if (status === 0) return '';
    const rule = /Proto constraint validation failed \((.*?)\)(?:: |$)/m.exec(stderr)?.[1];
    if (rule !== undefined) return rule;
    const [line = ''] = stderr.split('\n').filter((each) => each.includes('error'));
    return line
      .replace(/^error initializing configuration '[^']*': /, '')
      .replaceAll(/\s*'?goo\.gle\/debug\w*'?\s*/g, ' ')
      .replace(/,? *near .*/, '')
      .trim();
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (import.meta.main) {
  const envoy = process.env['OUTRIGGER_ENVOY'];
  if (envoy === undefined) throw new Error('OUTRIGGER_ENVOY names no Envoy');
  const said = Object.fromEntries(Object.entries(FLAWS).map(([name, flaw]) => [name, ask(envoy, flaw.bootstrap)]));
  if (process.argv.includes('--update')) writeFileSync(GOLDEN, `${JSON.stringify(said, null, 2)}\n`);
  else
    for (const [name, text] of Object.entries(recorded()))
      if (said[name] !== text) console.log(`${name}: ${said[name]}`);
}
