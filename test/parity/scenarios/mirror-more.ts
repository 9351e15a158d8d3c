// Mirrored requests that meet limits: of bodies, of time, and those that the request itself meets.

import { answer, bootstrap, cluster, get, http, httpOptions, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const MIRROR = { request_mirror_policies: [{ cluster: 'm' }] };
const alone = (name: string, sent: string, upstreams: Readonly<Record<string, UpstreamScript>> = {}): Scenario => ({
  name,
  client: [sent, { answers: 1 }, { waitMs: 60 }],
  upstreams,
});
const limited = (name: string, port: number | undefined, thresholds: object): object =>
  cluster(name, [port], { circuit_breakers: { thresholds: [thresholds] } });

export const mirrorMore: Group = {
  name: 'mirror-more',
  listeners: ['main'],
  upstreams: ['a', 'm'],
  stats: STATS,
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/limited', 'a', MIRROR, { request_body_buffer_limit: 16 }),
            to('/tries', 'a', { ...MIRROR, retry_policy: { retry_on: '5xx', per_try_timeout: '3s' } }),
            to('/short', 'a', { request_mirror_policies: [{ cluster: 'short' }] }),
            to('/no-pending', 'no-pending', MIRROR),
            to('/no-request', 'no-request', MIRROR),
          ]),
        ),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('m', [ports['m']]),
        cluster('short', [ports['m']], httpOptions({}, { max_stream_duration: '0.4s' })),
        limited('no-pending', ports['a'], { max_pending_requests: 0 }),
        limited('no-request', ports['a'], { max_requests: 0 }),
      ],
    ),
  scenarios: [
    alone('a body beyond the limit', request('POST', '/limited', ['content-length: 40'], 'x'.repeat(40))),
    alone('the limit of a try is none of the mirror', get('/tries')),
    {
      name: 'a mirror that lasts too long',
      client: [get('/short'), { answers: 1 }, { waitMs: 700 }],
      upstreams: { m: { replies: [[{ waitMs: 900 }, answer('200 OK')]] } },
    },
    {
      name: 'a mirror whose answer lasts too long',
      client: [get('/short'), { answers: 1 }, { waitMs: 700 }],
      upstreams: { m: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab', { waitMs: 900 }, 'cd']] } },
    },
    alone('nothing is copied of what may not wait', get('/no-pending')),
    alone('nothing is copied of a body that may not wait', request('POST', '/no-pending', ['content-length: 2'], 'ab')),
    alone('a copy of what is refused later', get('/no-request')),
  ],
};
