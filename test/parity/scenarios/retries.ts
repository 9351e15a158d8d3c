// Simple retries: what is retried, how often, and what the client is told in the end.

import { answer, bootstrap, cluster, FRIEND, get, http, request, routes, STATS, TRUSTING, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

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
const RESET: UpstreamScript = { replies: [[{ close: 'reset' }], [answer('200 OK', [], 'second')]] };
const CLOSE: UpstreamScript = { replies: [[{ close: 'full' }], [answer('200 OK', [], 'second')]] };
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});

export const retries: Group = {
  name: 'retries',
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
              to('/gateway', 'a', policy('gateway-error')),
              to('/reset', 'a', policy('reset')),
              to('/before', 'a', policy('reset-before-request')),
              to('/dead', 'dead', policy('connect-failure')),
              to('/4xx', 'a', policy('retriable-4xx')),
              to('/codes', 'a', policy('retriable-status-codes', { retriable_status_codes: [418, 404] })),
              to(
                '/headers',
                'a',
                policy('retriable-headers', {
                  retriable_headers: [{ name: 'x-again', string_match: { exact: 'yes' } }],
                }),
              ),
              to('/only', 'a', policy('5xx', { retriable_request_headers: [{ name: 'x-may', present_match: true }] })),
              to('/grpc', 'a', policy('unavailable,cancelled')),
              to('/envoy', 'a', policy('envoy-ratelimited')),
              to('/none', 'a'),
              to('/once', 'a', policy('5xx', { num_retries: 0 })),
            ],
            {
              include_request_attempt_count: true,
              include_attempt_count_in_response: true,
              include_is_timeout_retry_header: true,
            },
          ),
          TRUSTING,
        ),
      ],
      [cluster('a', [ports['a']]), cluster('dead', [ports['dead']])],
    ),
  stats: STATS,
  scenarios: [
    at('5xx retried and answered', '/5xx', codes(500, 200)),
    at('5xx until the limit', '/5xx', codes(500, 502, 503, 200)),
    at('4xx not retried under 5xx', '/5xx', codes(404, 200)),
    at('5xx covers a reset', '/5xx', RESET),
    at('gateway errors retried', '/gateway', codes(502, 503, 200)),
    at('500 is no gateway error', '/gateway', codes(500, 200)),
    at('reset retried', '/reset', RESET),
    at('close retried as reset', '/reset', CLOSE),
    at('500 is no reset', '/reset', codes(500, 200)),
    at('reset until the limit', '/reset', { replies: [[{ close: 'reset' }]] }),
    {
      name: 'reset after the answer began is not retried',
      client: [get('/reset')],
      upstreams: {
        a: {
          replies: [
            ['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', { waitMs: 30 }, { close: 'reset' }],
            [answer('200 OK')],
          ],
        },
      },
    },
    at('reset after the request was sent is not retried by reset-before-request', '/before', RESET),
    at('connect failure until the limit', '/dead', codes(200)),
    at('conflict retried', '/4xx', codes(409, 200)),
    at('404 is not retriable-4xx', '/4xx', codes(404, 200)),
    at('listed status retried', '/codes', codes(418, 404, 200)),
    at('status that is not listed', '/codes', codes(500, 200)),
    at('listed header retried', '/headers', {
      replies: [[answer('200 OK', ['x-again: yes'])], [answer('200 OK', ['x-again: no'], 'second')]],
    }),
    at('only requests with a header', '/only', codes(500, 200)),
    at('only requests with a header, given', '/only', codes(500, 200), 'x-may: 1'),
    {
      name: 'grpc status in the head retried',
      client: [request('POST', '/grpc', ['content-type: application/grpc', 'content-length: 0'])],
      upstreams: {
        a: {
          replies: [
            [answer('200 OK', ['content-type: application/grpc', 'grpc-status: 14'])],
            [answer('200 OK', ['content-type: application/grpc', 'grpc-status: 0'])],
          ],
        },
      },
    },
    at('rate limited by another Envoy', '/envoy', {
      replies: [[answer('429 Too Many', ['x-envoy-ratelimited: true'])], [answer('200 OK')]],
    }),
    at('no policy', '/none', codes(503, 200)),
    at('policy with no retries', '/once', codes(503, 200)),
    at('policy by header of a stranger', '/none', codes(503, 200), 'x-forwarded-for: 8.8.8.8', 'x-envoy-retry-on: 5xx'),
    at('policy by header', '/none', codes(503, 200), FRIEND, 'x-envoy-retry-on: 5xx'),
    at(
      'number by header',
      '/none',
      codes(503, 503, 503, 200),
      FRIEND,
      'x-envoy-retry-on: 5xx',
      'x-envoy-max-retries: 3',
    ),
    at(
      'status codes by header',
      '/none',
      codes(404, 200),
      FRIEND,
      'x-envoy-retry-on: retriable-status-codes',
      'x-envoy-retriable-status-codes: 404',
    ),
    {
      name: 'body is sent again',
      client: [request('POST', '/5xx', ['content-length: 5'], 'hello')],
      upstreams: { a: codes(503, 200) },
    },
    {
      name: 'a body that is still coming is sent again',
      client: [
        request('POST', '/reset', ['transfer-encoding: chunked'], '2\r\nab\r\n'),
        { upstreamSaw: 2 },
        { waitMs: 20 },
        '1\r\nc\r\n0\r\n\r\n',
      ],
      upstreams: { a: { early: true, replies: [[{ close: 'reset' }], [{ waitMs: 1_000 }, answer('200 OK')]] } },
    },
    {
      name: 'an answer before the end of the body is retried',
      client: [
        request('POST', '/5xx', ['transfer-encoding: chunked'], '2\r\nab\r\n'),
        { upstreamSaw: 2 },
        { waitMs: 20 },
        '1\r\nc\r\n0\r\n\r\n',
      ],
      upstreams: { a: { early: true, replies: [[answer('503 No')], [{ waitMs: 1_000 }, answer('200 OK')]] } },
    },
    {
      name: 'chunked body is sent again',
      client: [request('POST', '/5xx', ['transfer-encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n')],
      upstreams: { a: codes(503, 200) },
    },
  ],
};
