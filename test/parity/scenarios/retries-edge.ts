// Retries at the edges of their rules: interim answers, odd statuses, pseudo-headers, odd time limits of gRPC.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const policy = (retry_on: string, extra: object = {}): object => ({
  retry_policy: { retry_on, retry_back_off: { base_interval: '0.01s' }, ...extra },
});
const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const limit = (value: string): Scenario =>
  at(`a limit of '${value}'`, '/grpc', {}, 'content-type: application/grpc', `grpc-timeout: ${value}`);

const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n';
const hinted = (waitMs: number, status: string): UpstreamScript => ({
  replies: [[HINTS, { waitMs }, answer(status, [], 'first')], [answer('200 OK', [], 'second')]],
});

export const retriesEdge: Group = {
  name: 'retries-edge',
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
              to('/5xx', 'a', policy('5xx')),
              to('/route', 'a', { timeout: '0.4s', ...policy('5xx') }),
              to('/try', 'a', policy('5xx', { per_try_timeout: '0.4s' })),
              to('/idle', 'a', policy('5xx', { per_try_idle_timeout: '0.4s' })),
              to('/hedged', 'a', {
                ...policy('5xx', { per_try_timeout: '0.5s' }),
                hedge_policy: { hedge_on_per_try_timeout: true },
              }),
              to(
                '/status',
                'a',
                policy('retriable-headers', {
                  retriable_headers: [{ name: ':status', range_match: { start: 503, end: 504 } }],
                }),
              ),
              to(
                '/get-only',
                'a',
                policy('5xx', { retriable_request_headers: [{ name: ':method', string_match: { exact: 'GET' } }] }),
              ),
              to(
                '/waits',
                'a',
                { timeout: '3s', ...policy('5xx', { retry_back_off: { base_interval: '86400s' } }) },
                { request_body_buffer_limit: 16 },
              ),
              to('/grpc', 'a', { max_grpc_timeout: '0s' }),
              to('/limited', 'a', {
                timeout: '2.6s',
                ...policy('5xx', {
                  rate_limited_retry_back_off: {
                    reset_headers: [{ name: 'retry-after', format: 'SECONDS' }],
                    max_interval: '2s',
                  },
                }),
              }),
            ],
            { include_request_attempt_count: true },
          ),
        ),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    at('an error after an interim answer', '/5xx', hinted(20, '503 No')),
    at('the time of all is up after an interim answer', '/route', hinted(1_000, '200 OK')),
    at('the time of a try is up after an interim answer', '/try', hinted(1_000, '200 OK')),
    at('nothing moves after an interim answer', '/idle', hinted(1_000, '200 OK')),
    at('an interim answer decides between attempts', '/hedged', {
      replies: [
        [{ waitMs: 2_500 }, answer('200 OK', [], 'first')],
        [HINTS, { waitMs: 100 }, answer('503 No', [], 'second')],
      ],
    }),
    at('a status beyond 5xx', '/5xx', codes(600, 200)),
    at('the status as a header', '/status', codes(503, 200)),
    at('another status', '/status', codes(504, 200)),
    at('the method as a header', '/get-only', codes(503, 200)),
    {
      name: 'another method',
      client: [request('POST', '/get-only', ['content-length: 0'])],
      upstreams: { a: codes(503, 200) },
    },
    {
      name: 'more body than is kept while the next attempt waits',
      client: [
        request('POST', '/waits', ['content-length: 40'], 'x'.repeat(10)),
        { upstreamSaw: 1 },
        { waitMs: 60 },
        'x'.repeat(20),
      ],
      upstreams: { a: { early: true, replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    ...['+1', '-1', '1.5'].map((value) =>
      at(`come again after '${value}'`, '/limited', {
        replies: [[answer('503 No', [`retry-after: ${value}`])], [answer('200 OK')]],
      }),
    ),
    ...['99999999H', '99999999M', '+1S', '-0S', '0000000001S', '1 S', '100000000n', '+S'].map(limit),
  ],
};
