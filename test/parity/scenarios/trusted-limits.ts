// Limits and conditions that trusted senders ask for, where the numbers are odd.

import { answer, bootstrap, cluster, FRIEND, get, http, router, routes, STATS, TRUSTING, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, FRIEND, ...headers)],
  upstreams: { a },
});
const asks = (path: string, header: string): Scenario => at(`${path} and ${header}`, path, {}, header);
const TIMES = [
  '0',
  '+5000',
  '-1',
  '1.5',
  '0x10',
  '007000',
  '9000000000000',
  '9999999999999999',
  '18446744073709551616',
];
const FAILS = codes(503, 503, 503, 200);
const back = { retry_back_off: { base_interval: '0.01s' } };

export const trustedLimits: Group = {
  name: 'trusted-limits',
  listeners: ['main', 'respects'],
  upstreams: ['a'],
  stats: STATS,
  bootstrap: (ports, log) => {
    const list = routes(
      [
        to('/try', 'a', { timeout: '9s', retry_policy: { retry_on: '5xx', per_try_timeout: '3s', ...back } }),
        to('/none', 'a', { timeout: '0s', retry_policy: { retry_on: '5xx', ...back } }),
        to('/', 'a'),
      ],
      { include_request_attempt_count: true },
    );
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', list, TRUSTING),
        http(ports, log, 'respects', list, {
          ...TRUSTING,
          http_filters: [router({ respect_expected_rq_timeout: true })],
        }),
      ],
      [cluster('a', [ports['a']])],
    );
  },
  scenarios: [
    ...TIMES.flatMap((value) => [
      asks('/none', `x-envoy-upstream-rq-timeout-ms: ${value}`),
      asks('/try', `x-envoy-upstream-rq-per-try-timeout-ms: ${value}`),
      { ...asks('/try', `x-envoy-expected-rq-timeout-ms: ${value}`), listener: 'respects' },
    ]),
    { ...asks('/try', 'x-envoy-expected-rq-timeout-ms: 2000'), listener: 'respects' },
    ...['0', '+2', '-1', '1.5', '4294967297', '18446744073709551616'].map((value) =>
      at(`retries: ${value}`, '/try', FAILS, `x-envoy-max-retries: ${value}`),
    ),
    ...['503', '+503', '503.0', '0x1f7', '502,503'].map((value) =>
      at(
        `codes: ${value}`,
        '/',
        FAILS,
        'x-envoy-retry-on: retriable-status-codes',
        `x-envoy-retriable-status-codes: ${value}`,
      ),
    ),
    at(
      'the status as a name',
      '/',
      codes(200, 201),
      'x-envoy-retry-on: retriable-headers',
      'x-envoy-retriable-header-names: :status',
    ),
  ],
};
