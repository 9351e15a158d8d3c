// Retries that follow an answer's wish, avoid hosts, are counted, or are asked for by headers.

import {
  address,
  answer,
  bootstrap,
  cluster,
  FRIEND,
  get,
  http,
  request,
  routes,
  STATS,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Ports, Scenario, UpstreamScript } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.retry.host.';
const policy = (retry_on: string, extra: object = {}): object => ({
  retry_policy: {
    retry_on,
    num_retries: 2,
    retry_back_off: { base_interval: '0.01s', max_interval: '0.05s' },
    ...extra,
  },
});
const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});

const LIMITED = {
  reset_headers: [
    { name: 'Retry-After', format: 'SECONDS' },
    { name: 'X-RateLimit-Reset', format: 'UNIX_TIMESTAMP' },
  ],
  max_interval: '2s',
};
const predicate = (name: string, type: string, config: object = {}): object => ({
  retry_host_predicate: [{ name, typed_config: { '@type': `${TYPE}${type}`, ...config } }],
  host_selection_retry_max_attempts: 200,
  num_retries: 5,
});
const lb = (values: object): object => ({ filter_metadata: { 'envoy.lb': values } });

/** A cluster of two hosts where nobody listens; `bad` is the metadata of the one on the dead port. */
const twins = (ports: Ports, name: string, bad: object): object => ({
  ...cluster(name, []),
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: address(ports['dead']) }, metadata: lb(bad) },
          { endpoint: { address: address(OTHER_DEAD_PORT) }, metadata: lb({ stage: 'prod' }) },
        ],
      },
    ],
  },
});

/** `compressnet`: nobody listens there either. */
const OTHER_DEAD_PORT = 2;

const limited = (...headers: string[]): UpstreamScript => ({
  replies: [[answer('503 Wait', headers)], [answer('200 OK', [], 'later')]],
});
const reset: UpstreamScript = { replies: [[answer('409 X')], [{ close: 'reset' }]] };
const budget = (retry_budget: object, extra: object = {}): object => ({
  circuit_breakers: { thresholds: [{ retry_budget, ...extra }] },
});

const BODY = 'x'.repeat(40);

export const retriesMore: Group = {
  name: 'retries-more',
  listeners: ['main'],
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
              to('/limited', 'a', policy('5xx', { rate_limited_retry_back_off: LIMITED })),
              to(
                '/canary',
                'canary',
                policy('5xx', predicate('canary', 'omit_canary_hosts.v3.OmitCanaryHostsPredicate')),
              ),
              to(
                '/metadata',
                'metadata',
                policy(
                  '5xx',
                  predicate('metadata', 'omit_host_metadata.v3.OmitHostMetadataConfig', {
                    metadata_match: lb({ stage: 'test', zone: 'b' }),
                  }),
                ),
              ),
              to('/4xx', 'a', policy('retriable-4xx')),
              to('/waits', 'a', {
                timeout: '0.5s',
                ...policy('5xx', { retry_back_off: { base_interval: '300s', max_interval: '300s' } }),
              }),
              to('/idle', 'a', policy('5xx', { per_try_idle_timeout: '0.4s' })),
              to('/5xx', 'a', policy('5xx')),
              to('/none', 'a'),
              to('/plain', 'a', policy('5xx', { retry_back_off: undefined, num_retries: undefined })),
              to('/no-budget', 'no-budget', policy('5xx')),
              to('/budget', 'budget', policy('5xx')),
              to('/shadowed', 'a', policy('5xx'), { request_body_buffer_limit: 16 }),
              to('/http3', 'a', policy('http3-post-connect-failure,no-such-condition')),
              to('/bind-reset', 'bind', policy('reset-before-request')),
              to('/bind', 'bind', policy('connect-failure')),
              to('/dead-5xx', 'dead', policy('gateway-error')),
              to('/dead', 'dead', policy('reset-before-request')),
              to('/high', 'high', { ...policy('5xx'), priority: 'HIGH' }),
            ],
            { include_request_attempt_count: true, include_attempt_count_in_response: true },
          ),
          TRUSTING,
        ),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('dead', [ports['dead']]),
        cluster('bind', [ports['a']], {
          upstream_bind_config: { source_address: { address: '192.0.2.1', port_value: 0 } },
        }),
        cluster('no-budget', [ports['a']], budget({ budget_percent: { value: 0 }, min_retry_concurrency: 0 })),
        cluster(
          'budget',
          [ports['a']],
          budget({ budget_percent: { value: 100 }, min_retry_concurrency: 0 }, { max_retries: 0 }),
        ),
        cluster('high', [ports['a']], {
          circuit_breakers: {
            thresholds: [{ max_retries: 0 }, { priority: 'HIGH', max_retries: 1, track_remaining: true }],
          },
        }),
        twins(ports, 'canary', { canary: true }),
        twins(ports, 'metadata', { stage: ['dev', 'test'], zone: 'b' }),
      ],
    ),
  stats: STATS,
  scenarios: [
    at('come again in a second', '/limited', limited('retry-after: 1')),
    at('come again at once', '/limited', limited('retry-after: 0')),
    at('come again later than is allowed', '/limited', limited('retry-after: 3')),
    at('come again when nobody can say', '/limited', limited('retry-after: soon', 'x-ratelimit-reset: 12')),
    at('come again, said twice', '/limited', limited('retry-after: soon', 'retry-after: 1')),
    at('canaries are not asked again', '/canary', codes(200)),
    at('hosts by metadata are not asked again', '/metadata', codes(200)),
    {
      name: 'a retry that is reset and not retried',
      client: [request('POST', '/4xx', ['content-length: 0'])],
      upstreams: { a: reset },
    },
    at('a retry that is answered and not retried', '/4xx', codes(409, 503)),
    at('the defaults of a policy', '/plain', codes(503, 503, 200)),
    at('no time is left for a retry', '/waits', codes(503, 200)),
    at('the idle time of a try', '/idle', {
      replies: [[{ waitMs: 800 }, answer('200 OK')], [answer('200 OK', [], 'second')]],
    }),
    at('the idle time of all tries', '/idle', { replies: [[{ waitMs: 800 }, answer('200 OK')]] }),
    {
      name: 'the idle time within an answer',
      client: [get('/idle')],
      upstreams: {
        a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', { waitMs: 800 }, 'other']] },
      },
    },
    at('no budget', '/no-budget', codes(503, 200)),
    at('a budget, which the largest number does not limit', '/budget', codes(503, 200)),
    at('conditions that do not exist', '/http3', codes(503, 200)),
    at('no address to send from', '/bind', codes(200)),
    at('no address to send from is before the request', '/bind-reset', codes(200)),
    at('no connection is before the request', '/dead', codes(200)),
    at('no connection is a gateway error', '/dead-5xx', codes(200)),
    at('retries of high priority', '/high', codes(503, 503, 200)),
    {
      name: 'a body that fits',
      client: [request('POST', '/shadowed', ['content-length: 16'], BODY.slice(0, 16))],
      upstreams: { a: codes(503, 200) },
    },
    {
      name: 'a body that is too long to keep',
      client: [request('POST', '/shadowed', ['content-length: 40'], BODY)],
      upstreams: { a: codes(503, 200) },
    },
    {
      name: 'a body that is too long to keep, in pieces',
      client: [
        request('POST', '/shadowed', ['content-length: 40'], BODY.slice(0, 10)),
        { upstreamSaw: 1 },
        BODY.slice(10, 20),
        { waitMs: 20 },
        BODY.slice(20),
      ],
      upstreams: { a: { early: true, replies: [[{ waitMs: 1_000 }, answer('503 No')], [answer('200 OK')]] } },
    },
    at(
      'number of retries that is none',
      '/none',
      codes(503, 200),
      FRIEND,
      'x-envoy-retry-on: 5xx',
      'x-envoy-max-retries: many',
    ),
    at(
      'number of retries by header over a policy',
      '/5xx',
      codes(503, 503, 503, 200),
      FRIEND,
      'x-envoy-max-retries: 3',
    ),
    at('no retries by header', '/5xx', codes(503, 200), FRIEND, 'x-envoy-max-retries: 0'),
    at('conditions by header, spaced', '/none', codes(503, 200), FRIEND, 'x-envoy-retry-on: reset, 5xx ,'),
    at('conditions by header, not to be known', '/none', codes(503, 200), FRIEND, 'x-envoy-retry-on: 6xx'),
    at(
      'conditions by header, joined with those of the route',
      '/5xx',
      codes(409, 503, 200),
      FRIEND,
      'x-envoy-retry-on: retriable-4xx',
    ),
    at(
      'status codes by header, some not to be read',
      '/none',
      codes(404, 418, 200),
      FRIEND,
      'x-envoy-retry-on: retriable-status-codes',
      'x-envoy-max-retries: 3',
      'x-envoy-retriable-status-codes: x,404, 418 ,',
    ),
    at(
      'names of headers by header',
      '/none',
      { replies: [[answer('200 OK', ['x-again: 1'])], [answer('200 OK', [], 'second')]] },
      FRIEND,
      'x-envoy-retry-on: retriable-headers',
      'x-envoy-retriable-header-names: x-other, X-Again',
    ),
    at(
      'grpc conditions by header',
      '/none',
      { replies: [[answer('200 OK', ['grpc-status: 8'])], [answer('200 OK', ['grpc-status: 0'])]] },
      FRIEND,
      'x-envoy-retry-grpc-on: resource-exhausted',
    ),
    at('a limited answer is not for 5xx', '/5xx', {
      replies: [[answer('503 X', ['x-envoy-ratelimited: true'])], [answer('200 OK')]],
    }),
    at('overloaded elsewhere', '/5xx', {
      replies: [[answer('503 X', ['x-envoy-overloaded: true'])], [answer('200 OK')]],
    }),
  ],
};
