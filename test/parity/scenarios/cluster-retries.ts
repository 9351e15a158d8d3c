// Retry policies of clusters, beside those of routes and virtual hosts.

import { answer, bootstrap, cluster, FRIEND, get, http, httpOptions, routes, STATS, TRUSTING, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const inside = (name: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  ...at(name, '/plain', a, FRIEND, ...headers),
  listener: 'inside',
});
const backOff = { retry_back_off: { base_interval: '0.01s' } };
const on = (retry_on: string, extra: object = {}): object => ({ retry_policy: { retry_on, ...backOff, ...extra } });
const HEADERS = { include_request_attempt_count: true, include_attempt_count_in_response: true };

export const clusterRetries: Group = {
  name: 'cluster-retries',
  listeners: ['main', 'host', 'inside'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(
            [
              to('/plain', 'a'),
              to('/own', 'a', on('retriable-4xx')),
              to('/try', 'a', on('retriable-4xx', { per_try_timeout: '0.4s' })),
              to('/empty', 'a', { retry_policy: {} }),
            ],
            HEADERS,
          ),
        ),
        http(
          ports,
          log,
          'host',
          routes([to('/plain', 'a'), to('/own', 'a', on('gateway-error'))], { ...HEADERS, ...on('retriable-4xx') }),
        ),
        http(ports, log, 'inside', routes([to('/plain', 'a')], HEADERS), TRUSTING),
      ],
      [
        cluster(
          'a',
          [ports['a']],
          httpOptions(
            {},
            {},
            on('retriable-status-codes', { retriable_status_codes: [418], num_retries: 2, per_try_timeout: '0.4s' }),
          ),
        ),
      ],
    ),
  stats: STATS,
  scenarios: [
    at("the cluster's", '/plain', codes(418, 418, 200)),
    at("the cluster's conditions alone", '/plain', codes(503, 200)),
    at("the cluster's time limit of a try", '/plain', {
      replies: [[{ waitMs: 1_000 }, answer('200 OK')], [answer('200 OK', [], 'second')]],
    }),
    at("not the cluster's where the route has its own", '/own', codes(418, 200)),
    at("the route's own", '/own', codes(409, 200)),
    at('an empty policy of the route', '/empty', codes(418, 200)),
    at('what headers of a stranger ask for', '/plain', codes(503, 200), FRIEND, 'x-envoy-retry-on: 5xx'),
    at("the route's time limit of a try", '/try', {
      replies: [[{ waitMs: 1_000 }, answer('200 OK')], [answer('200 OK', [], 'second')]],
    }),
    inside('conditions by header of a friend', codes(503, 503, 200), 'x-envoy-retry-on: 5xx'),
    inside("conditions by header join the cluster's", codes(418, 503, 200), 'x-envoy-retry-on: 5xx'),
    inside('fewer tries by header of a friend', codes(418, 418, 200), 'x-envoy-max-retries: 1'),
    inside('tries by header of a friend', codes(418, 418, 418, 200), 'x-envoy-max-retries: 3'),
    inside(
      'codes by header of a friend',
      codes(404, 418, 200),
      'x-envoy-retriable-status-codes: 404',
      'x-envoy-retry-grpc-on: cancelled',
    ),
    { ...at("the virtual host's before the cluster's", '/plain', codes(418, 200)), listener: 'host' },
    { ...at("the virtual host's", '/plain', codes(409, 200)), listener: 'host' },
    { ...at("the route's before both", '/own', codes(502, 200)), listener: 'host' },
  ],
};
