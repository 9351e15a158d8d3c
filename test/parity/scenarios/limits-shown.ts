// What the admin interface says of limits that are none, or passed, and of statuses that have no class.

import { answer, bootstrap, cluster, get, http, routes, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const tracked = (limits: object): object => ({
  circuit_breakers: {
    thresholds: [
      { track_remaining: true, ...limits },
      { priority: 'HIGH', track_remaining: true },
    ],
  },
});
const TRACKED = 'stats?filter=(remaining_cx|cx_pool_open)';
const asked = (name: string, path: string): Scenario => ({ name, client: [get(`/${path}`)] });

export const limitsShown: Group = {
  name: 'limits-shown',
  listeners: ['main'],
  upstreams: ['a'],
  // What stands under a nameless class hides its namesakes in Envoy's list of stats, so those are not asked for.
  stats:
    /^vhost\.all\.(route|vcluster)\.\w+(\.upstream_rq_(completed|unknown|418|4xx))?$|^cluster\.\w+\.upstream_rq_unknown$/,
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
              to('/stats', 'admin'),
              to('/odd', 'odd', {}, { stat_prefix: 'odd' }),
              ...['free', 'none', 'some'].map((name) => to(`/${name}`, name)),
            ],
            { virtual_clusters: [{ name: 'v', headers: [{ name: ':path', string_match: { exact: '/odd/v' } }] }] },
          ),
        ),
      ],
      [
        cluster('admin', [ports['admin']]),
        cluster('odd', [ports['a']]),
        cluster('free', [ports['a']], tracked({})),
        cluster('none', [ports['a']], tracked({ max_connections: 0, max_connection_pools: 0xffff_ffff })),
        cluster('some', [ports['a']], tracked({ max_connections: 2, max_connection_pools: 1 })),
      ],
    ),
  scenarios: [
    ...['free', 'none', 'some'].map(
      (name): Scenario => ({
        name: `one request: ${name}`,
        client: [get(`/${name}`), { answers: 1 }, get(`/${TRACKED}`)],
        answers: 2,
      }),
    ),
    asked('as JSON', `${TRACKED}&format=json`),
    asked('for Prometheus', TRACKED.replace('stats', 'stats/prometheus')),
    ...[600, 999, 418].map(
      (status): Scenario => ({
        name: `status ${status}`,
        client: [get('/odd/v'), { answers: 1 }, get('/odd')],
        answers: 2,
        upstreams: { a: { replies: [[answer(`${status} Odd`)]] } },
      }),
    ),
  ],
};
