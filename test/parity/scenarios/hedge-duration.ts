// How long hedged attempts may last: each has the time that its cluster leaves it, and the first whose time is over ends
// the request.

import { answer, bootstrap, cluster, get, http, httpOptions, routes, to } from '../config.ts';
import type { Action, Group, Scenario } from '../types.ts';

const at = (name: string, ...replies: (readonly Action[])[]): Scenario => ({
  name,
  client: [get('/')],
  upstreams: { a: { replies } },
});
const after = (waitMs: number, status = '200 OK', body = 'ok'): readonly Action[] => [
  { waitMs },
  answer(status, [], body),
];
const NEVER: readonly Action[] = [{ waitMs: 3_000 }];
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok';
const POLICY = {
  retry_on: '5xx',
  per_try_timeout: '0.2s',
  num_retries: 3,
  retry_back_off: { base_interval: '0.001s' },
};

export const hedgeDuration: Group = {
  name: 'hedge-duration',
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
          routes([to('/', 'a', { retry_policy: POLICY, hedge_policy: { hedge_on_per_try_timeout: true } })]),
        ),
      ],
      [cluster('a', [ports['a']], httpOptions({}, { max_stream_duration: '1.5s' }))],
    ),
  stats: /upstream_rq_max_duration_reached/,
  scenarios: [
    at('the second one answers in time', NEVER, after(250)),
    at('the first one has no time left', NEVER, NEVER),
    at('the first one answers and takes too long', [{ waitMs: 850 }, HEAD, { waitMs: 2_000 }], NEVER),
    at('the second one answers and takes its time', NEVER, [{ waitMs: 250 }, HEAD, { waitMs: 850 }, 'ok']),
  ],
};
