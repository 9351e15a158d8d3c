// Time limits of single tries: their longest duration, what they tell gRPC servers, and what clients get instead of 504.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  get,
  http,
  httpOptions,
  request,
  router,
  routes,
  STATS,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const slow: UpstreamScript = { replies: [[{ waitMs: 1_000 }, answer('200 OK', [], 'late')]] };
const slowThenOk: UpstreamScript = {
  replies: [[{ waitMs: 1_000 }, answer('200 OK', [], 'late')], [answer('200 OK', [], 'second')]],
};
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const retry = (retry_on: string, extra: object = {}): object => ({
  retry_policy: { retry_on, retry_back_off: { base_interval: '0.01s' }, ...extra },
});
const ALTERNATIVE = 'x-envoy-upstream-rq-timeout-alt-response: true';
const GRPC = 'content-type: application/grpc';

export const timeoutsMore: Group = {
  name: 'timeouts-more',
  listeners: ['main', 'quiet'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = [
      to('/short', 'short'),
      to('/retry-5xx', 'short', retry('5xx')),
      to('/retry-reset', 'short', retry('reset')),
      to('/retry-connect', 'short', retry('connect-failure')),
      to('/try-again', 'a', retry('5xx', { per_try_timeout: '0.4s' })),
      to('/try', 'a', retry('connect-failure', { per_try_timeout: '0.4s' })),
      to('/route', 'a', { timeout: '0.4s' }),
      to('/tracked', 'tracked', { timeout: '5s', ...retry('5xx', { per_try_timeout: '0.4s' }) }),
      to('/older', 'older'),
      to('/grpc', 'a', { max_grpc_timeout: '8s', ...retry('5xx', { per_try_timeout: '3s' }) }),
      to('/longer-try', 'a', { timeout: '2s', ...retry('5xx', { per_try_timeout: '3s' }) }),
    ];
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(list), TRUSTING),
        http(ports, log, 'quiet', routes(list), { http_filters: [router({ suppress_envoy_headers: true })] }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('short', [ports['a']], httpOptions({}, { max_stream_duration: '0.4s' })),
        cluster('tracked', [ports['a']], {
          track_cluster_stats: { timeout_budgets: true, request_response_sizes: true },
        }),
        cluster('older', [ports['a']], { track_timeout_budgets: true }),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    at('an attempt lasts too long', '/short', slow),
    at('an attempt lasts too long and is retried', '/retry-5xx', slowThenOk),
    at('an attempt lasts too long and is retried as a reset', '/retry-reset', slowThenOk),
    at('an attempt lasts too long and is not retried', '/retry-connect', slowThenOk),
    at('an attempt lasts too long, and the next', '/retry-5xx', slow),
    {
      name: 'a request lasts too long',
      client: [request('POST', '/short', ['content-length: 9'], 'half'), { waitMs: 500 }],
      upstreams: { a: slow },
    },
    {
      name: 'an answer lasts too long',
      client: [get('/short')],
      upstreams: {
        a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', { waitMs: 1_000 }, 'other']] },
      },
    },
    at('nothing instead of 504 for a try', '/try', slow, FRIEND, ALTERNATIVE),
    at('nothing instead of 504 for all', '/route', slow, FRIEND, ALTERNATIVE),
    at('nothing instead of 504 for a try that is tried again', '/try-again', slow, FRIEND, ALTERNATIVE),
    at(
      'a grpc server is told of the limit of a try',
      '/grpc',
      { replies: [[answer('200 OK')]] },
      GRPC,
      'grpc-timeout: 6S',
    ),
    at(
      'a grpc server is told of the limit of a try that is longer',
      '/grpc',
      { replies: [[answer('200 OK')]] },
      GRPC,
      'grpc-timeout: 2S',
    ),
    at('a try is not longer than the request', '/longer-try', { replies: [[answer('503 X')], [answer('200 OK')]] }),
    at('followed by histograms', '/tracked', slowThenOk),
    at('followed by histograms, as of old', '/older', { replies: [[answer('200 OK')]] }),
  ],
};
