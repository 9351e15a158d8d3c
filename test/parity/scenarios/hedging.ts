// Hedging: a try that has met its time limit goes on beside the next one, and the first good answer wins.

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
import type { Action, Group, Scenario, UpstreamScript } from '../types.ts';

/** Tries have 0.8 s; a further one follows at once. */
const hedged = (extra: object = {}, action: object = {}): object => ({
  // What is left of it at later tries is told in whole seconds, and 0.6 s and more from the next.
  timeout: '6.4s',
  retry_policy: {
    retry_on: '5xx',
    per_try_timeout: '0.8s',
    retry_back_off: { base_interval: '0.001s' },
    ...extra,
  },
  hedge_policy: { hedge_on_per_try_timeout: true, initial_requests: 3, additional_request_chance: { numerator: 50 } },
  ...action,
});

/** Answers of the upstream in the order of requests, each after a time. */
const after = (...list: readonly (readonly [waitMs: number, ...actions: Action[]])[]): UpstreamScript => ({
  replies: list.map(([waitMs, ...actions]) => (waitMs === 0 ? actions : [{ waitMs }, ...actions])),
});
const ok = (text: string): string => answer('200 OK', [], text);
const bad = (text: string): string => answer('503 Bad', [], text);
const RESET: Action = { close: 'reset' };
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const quiet = (scenario: Scenario): Scenario => ({ ...scenario, listener: 'quiet' });

const LIST = [
  to('/two', 'a', hedged()),
  to('/three', 'a', hedged({ num_retries: 2 })),
  to('/none-left', 'a', hedged({ num_retries: 0 })),
  to('/later', 'a', hedged({ retry_back_off: { base_interval: '86400s' } })),
  to('/connect', 'a', hedged({ retry_on: 'connect-failure' })),
  to('/full', 'full', hedged()),
  to('/idle', 'a', hedged({ per_try_timeout: '3s', per_try_idle_timeout: '0.8s' })),
  to('/limited', 'limited', hedged({ per_try_timeout: '0.6s' })),
  to('/over', 'a', hedged({}, { timeout: '2.4s' })),
  to('/long', 'a', hedged({ retry_back_off: { base_interval: '86400s' } }, { timeout: '2.4s' })),
  to('/plain', 'a', {
    ...hedged(),
    hedge_policy: undefined,
  }),
  to('/no-policy', 'a', { timeout: '5s' }),
];

export const hedging: Group = {
  name: 'hedging',
  listeners: ['main', 'host', 'quiet'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(LIST, {
            include_request_attempt_count: true,
            include_attempt_count_in_response: true,
            include_is_timeout_retry_header: true,
          }),
          TRUSTING,
        ),
        http(
          ports,
          log,
          'host',
          routes([to('/', 'a', { ...hedged(), hedge_policy: undefined })], {
            hedge_policy: { hedge_on_per_try_timeout: true },
          }),
        ),
        http(ports, log, 'quiet', routes(LIST), { http_filters: [router({ suppress_envoy_headers: true })] }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('limited', [ports['a']], httpOptions({}, { max_stream_duration: '1.6s' })),
        cluster('full', [ports['a']], { circuit_breakers: { thresholds: [{ max_retries: 0 }] } }),
      ],
    ),
  stats: STATS,
  scenarios: [
    at('the second is quicker', '/two', after([3_500, ok('first')], [0, ok('second')])),
    at('the first is quicker after all', '/two', after([850, ok('first')], [3_500, ok('second')])),
    at('the first waits for its successor', '/later', after([850, ok('first')], [0, ok('second')])),
    at('a bad answer waits for a better one', '/two', after([850, bad('first')], [850, ok('second')])),
    at('two bad answers', '/two', after([850, bad('first')], [850, bad('second')])),
    at('a bad second answer before a good first one', '/two', after([1_500, ok('first')], [50, bad('second')])),
    quiet(at('a bad answer while the next one waits', '/long', { replies: [[{ waitMs: 850 }, bad('first')]] })),
    at('the first is reset', '/two', after([850, RESET], [850, ok('second')])),
    at('the second is reset', '/two', after([1_500, ok('first')], [50, RESET])),
    at('both are reset', '/two', after([850, RESET], [850, RESET])),
    at('the second is reset, the third answers', '/three', after([3_500, ok('first')], [50, RESET], [0, ok('third')])),
    at('three at once', '/three', after([3_500, ok('first')], [3_500, ok('second')], [50, ok('third')])),
    at('the oldest of three', '/three', after([1_700, ok('first')], [3_500, ok('second')], [3_500, ok('third')])),
    at('no retry is left', '/none-left', after([850, ok('first')])),
    at('no retry is left and the answer is bad', '/none-left', after([850, bad('first')])),
    at('the breaker is open', '/full', after([850, ok('first')])),
    at('conditions do not matter', '/connect', after([3_500, ok('first')], [0, ok('second')])),
    at('a bad answer that is not retried', '/connect', after([850, bad('first')], [3_500, ok('second')])),
    at('by the idle time of a try', '/idle', after([3_500, ok('first')], [0, ok('second')])),
    {
      name: 'nothing follows while the request is on its way',
      client: [request('POST', '/idle', ['content-length: 4'], 'ab'), { waitMs: 900 }, 'cd'],
    },
    at(
      'the first is quicker and lasts too long',
      '/limited',
      after([700, 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhe', { waitMs: 1_500 }, 're'], [3_000, ok('second')]),
    ),
    {
      name: 'a body is sent twice',
      client: [request('POST', '/two', ['content-length: 5'], 'hello')],
      upstreams: { a: after([3_500, ok('first')], [0, ok('second')]) },
    },
    quiet(at('the time of all is up', '/over', after([3_500, ok('first')], [3_500, ok('second')]))),
    quiet(
      at('the time of all is up while the next one waits', '/long', { replies: [[{ waitMs: 3_500 }, ok('first')]] }),
    ),
    { ...at('by the virtual host', '/', after([3_500, ok('first')], [0, ok('second')])), listener: 'host' },
    at(
      'off by header',
      '/two',
      after([3_500, ok('first')], [0, ok('second')]),
      FRIEND,
      'x-envoy-hedge-on-per-try-timeout: false',
    ),
    at(
      'on by header',
      '/plain',
      after([850, ok('first')], [3_500, ok('second')]),
      FRIEND,
      'x-envoy-hedge-on-per-try-timeout: true',
    ),
    at(
      'neither by header',
      '/plain',
      after([850, ok('first')], [0, ok('second')]),
      FRIEND,
      'x-envoy-hedge-on-per-try-timeout: yes',
    ),
    at(
      'a stranger does not say',
      '/plain',
      after([850, ok('first')], [0, ok('second')]),
      'x-forwarded-for: 8.8.8.8',
      'x-envoy-hedge-on-per-try-timeout: true',
    ),
    at(
      'without a policy nothing follows',
      '/no-policy',
      after([450, ok('first')], [0, ok('second')]),
      FRIEND,
      'x-envoy-upstream-rq-per-try-timeout-ms: 200',
      'x-envoy-hedge-on-per-try-timeout: true',
    ),
  ],
};
