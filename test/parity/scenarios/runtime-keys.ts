// Runtime keys that stand beside, or above, fields of clusters and retry policies: maintenance, limits, panic, back-off.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  get,
  http,
  httpOptions,
  router,
  routes,
  STATS,
  TRUSTING,
  tcp,
  to,
} from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const failing: UpstreamScript = { replies: [[answer('503 X', [], 'no')], [answer('200 OK', [], 'yes')]] };
const at = (path: string, a: UpstreamScript = {}, ...headers: string[]): Pick<Scenario, 'client' | 'upstreams'> => ({
  client: [get(path, ...headers)],
  upstreams: { a },
});
const onError = (extra: object = {}): object => ({ retry_policy: { retry_on: '5xx', ...extra } });
const layers = (values: object): object => ({
  layered_runtime: { layers: [{ name: 'static', static_layer: values }] },
});
const COUNTED = { include_attempt_count_in_response: true };
const limits = (max: object): object => ({ circuit_breakers: { thresholds: [max] } });

export const runtimeKeys: Group = {
  name: 'runtime-keys',
  listeners: ['main', 'silent', 'inside', 'raw'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const of = (name: string, extra: object = {}): object => cluster(name, [ports['a']], extra);
    const list = [
      to('/down', 'down', onError()),
      to('/half', 'half'),
      to('/named', 'named', {}, { stat_prefix: 'named' }),
      to('/copied', 'up', { request_mirror_policies: [{ cluster: 'down' }] }),
      to('/requests', 'requests'),
      to('/pending', 'pending'),
      to('/connections', 'connections'),
      to('/high', 'connections', { priority: 'HIGH' }),
      to('/pools', 'pools'),
      to('/retries', 'retries', onError()),
      to('/least', 'least', onError()),
      to('/share', 'share', onError()),
      to('/panic', 'panic'),
      to('/old', 'old'),
      to('/headers', 'up'),
      to('/', 'up', onError()),
    ];
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(list, COUNTED)),
        http(ports, log, 'silent', routes(list), {
          http_filters: [router({ suppress_envoy_headers: true })],
        }),
        http(ports, log, 'inside', routes(list, COUNTED), TRUSTING),
        tcp(ports, log, 'raw', { stat_prefix: 'raw', cluster: 'down' }),
      ],
      [
        of('up'),
        of('down'),
        of('half'),
        of('named', { alt_stat_name: 'other' }),
        of('requests'),
        of('pending', limits({ max_pending_requests: 3 })),
        of('connections'),
        of('pools'),
        of('retries'),
        of('least'),
        of('share', limits({ retry_budget: { budget_percent: { value: 0 }, min_retry_concurrency: 0 } })),
        cluster('panic', [], {
          load_assignment: {
            cluster_name: 'panic',
            endpoints: [
              {
                lb_endpoints: ['a', 'b'].map((name, i) => ({
                  health_status: i === 0 ? 'HEALTHY' : 'UNHEALTHY',
                  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: ports[name] } } },
                })),
              },
            ],
          },
          common_lb_config: { healthy_panic_threshold: { value: 100 } },
        }),
        of('old', httpOptions({}, {}, { explicit_http_config: { http2_protocol_options: {} } })),
      ],
      layers({
        upstream: {
          maintenance_mode: { down: 100, half: 0, named: 100, 'not.there': 100 },
          healthy_panic_threshold: 0,
          base_retry_backoff_ms: 5,
          use_http2: 0,
        },
        circuit_breakers: {
          requests: { default: { max_requests: 0 } },
          pending: { default: { max_pending_requests: '0' } },
          connections: { high: { max_connections: 0 }, default: { max_connections: -1 } },
          pools: { default: { max_connection_pools: 0 } },
          retries: { default: { max_retries: 0 } },
          least: { default: { retry_budget: { min_retry_concurrency: 0, budget_percent: 0.5 } } },
          share: { default: { retry_budget: { budget_percent: 100.0 } } },
        },
      }),
    );
  },
  stats: STATS,
  scenarios: [
    { name: 'a cluster under maintenance', ...at('/down') },
    { name: 'without a word', listener: 'silent', ...at('/down') },
    {
      name: 'a request with conditions of its own',
      listener: 'inside',
      ...at('/down', {}, FRIEND, 'x-envoy-retry-on: 5xx'),
    },
    { name: 'a request with a body', client: ['POST /down HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok'] },
    { name: 'a share of nothing', ...at('/half') },
    { name: 'the name of the cluster, not of its stats', ...at('/named') },
    { name: 'a copy', ...at('/copied') },
    { name: 'bytes', listener: 'raw', ...at('/') },
    { name: 'no requests', ...at('/requests') },
    { name: 'no requests, without a word', listener: 'silent', ...at('/requests') },
    { name: 'nobody waits', ...at('/pending') },
    { name: 'a number below zero', ...at('/connections') },
    { name: 'the other priority', ...at('/high') },
    { name: 'no pools', ...at('/pools') },
    { name: 'no retries', ...at('/retries', failing) },
    { name: 'a budget from the runtime alone', ...at('/least', failing) },
    { name: 'a larger share', ...at('/share', failing) },
    { name: 'no panic', ...at('/panic') },
    { name: 'nor later', ...at('/panic') },
    { name: 'no HTTP/2', ...at('/old') },
    { name: 'a retry', ...at('/', failing) },
    {
      name: 'a retry by header',
      listener: 'inside',
      ...at('/headers', failing, FRIEND, 'x-envoy-retry-on: 5xx'),
    },
  ],
};

export const runtimeNoRetries: Group = {
  name: 'runtime-no-retries',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [http(ports, log, 'main', routes([to('/full', 'full', onError()), to('/', 'a', onError())], COUNTED))],
      [cluster('a', [ports['a']]), cluster('full', [ports['a']], limits({ max_retries: 0 }))],
      layers({ upstream: { use_retry: 0 } }),
    ),
  stats: STATS,
  scenarios: [
    { name: 'no retries', ...at('/', failing) },
    { name: 'nor by header', ...at('/', failing, 'x-envoy-retry-on: 5xx', 'x-envoy-max-retries: 3') },
    { name: 'where there is no place either', ...at('/full', failing) },
  ],
};
