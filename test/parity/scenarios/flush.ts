// How long an HTTP/2 stream may wait for its peer to read the end of an answer: by manager, and by route.

import { bootstrap, cluster, http, routes, STATS } from '../config.ts';
import { ask, preface, windowUpdate } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

/** Longer than every limit but the one that is not meant to be met; then the rest is read. */
const WATCHED_MS = 600;
const LIMIT = '0.4s';
const NEVER = '5s';

const MANAGERS: Readonly<Record<string, object>> = {
  plain: {},
  flush: { stream_flush_timeout: LIMIT },
  late: { stream_flush_timeout: NEVER },
  idle: { stream_idle_timeout: LIMIT },
  both: { stream_idle_timeout: LIMIT, stream_flush_timeout: NEVER },
  off: { stream_flush_timeout: '0s' },
};
const ROUTES: Readonly<Record<string, object>> = {
  none: {},
  flush: { flush_timeout: LIMIT },
  late: { flush_timeout: NEVER },
  off: { flush_timeout: '0s' },
  idle: { idle_timeout: LIMIT },
  'idle-late': { idle_timeout: LIMIT, flush_timeout: NEVER },
  'late-idle': { idle_timeout: NEVER, flush_timeout: LIMIT },
  'idle-off': { idle_timeout: '0s' },
};
/** Of all combinations those that tell one rule from another. */
const WATCHED: Readonly<Record<string, readonly string[]>> = {
  plain: ['flush', 'idle', 'late-idle'],
  flush: ['none', 'late', 'off', 'idle-off'],
  late: ['flush'],
  idle: ['none', 'late'],
  both: ['none'],
  off: ['flush'],
};
const LONG = 'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n0123456789012345678901234567890123456789';

const scenario = (listener: string, route: string): Scenario => ({
  name: `${listener}, route ${route}`,
  listener,
  http2: 'polite',
  client: [preface([4, 10]) + ask(1, `/${route}`), { upstreamSaw: 1 }, { waitMs: WATCHED_MS }, windowUpdate(1, 100)],
  upstreams: { a: { replies: [[LONG]] } },
});

export const flush: Group = {
  name: 'flush',
  listeners: Object.keys(MANAGERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(MANAGERS).map(([name, manager]) =>
        http(
          ports,
          log,
          name,
          routes(
            Object.entries(ROUTES).map(([path, action]) => ({
              match: { path: `/${path}` },
              route: { cluster: 'a', ...action },
            })),
          ),
          manager,
        ),
      ),
      [cluster('a', [ports['a']])],
    ),
  stats: new RegExp(`${STATS.source}|tx_flush_timeout`),
  scenarios: Object.entries(WATCHED).flatMap(([listener, list]) => list.map((route) => scenario(listener, route))),
};
