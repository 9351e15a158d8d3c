// Circuit breakers: connections of one host, both priorities, and what is left of a limit.

import { address, answer, bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const thresholds = (...list: object[]): object => ({ circuit_breakers: { thresholds: list } });
const perHost = (...list: object[]): object => ({ circuit_breakers: { per_host_thresholds: list } });
const slow: UpstreamScript = { replies: [[{ waitMs: 150 }, answer('200 OK')]] };
const CLOSES: UpstreamScript = { replies: [[answer('200 OK', ['connection: close'])]] };
const at = (name: string, path: string, a: UpstreamScript = slow): Scenario => ({
  name,
  client: [get(path)],
  upstreams: { a },
});

export const breakers: Group = {
  name: 'breakers',
  listeners: ['main'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const of = (name: string, extra: object): object => cluster(name, [ports['a']], extra);
    const high = { priority: 'HIGH' };
    return bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/host', 'host'),
            to('/none', 'none'),
            to('/high-only', 'high-only'),
            to('/high', 'high-only', high),
            to('/left', 'left'),
            to('/no-request', 'no-request', high),
            to('/requests', 'no-request'),
            to('/pools', 'pools', { hash_policy: [{ header: { header_name: 'x-key' } }] }),
          ]),
        ),
      ],
      [
        of('host', perHost({ max_connections: 2 })),
        of('none', perHost({ max_connections: 0 })),
        of('high-only', perHost({ ...high, max_connections: 0 })),
        of(
          'left',
          thresholds(
            {
              max_connections: 5,
              max_pending_requests: 6,
              max_requests: 7,
              max_retries: 8,
              max_connection_pools: 9,
              track_remaining: true,
            },
            { ...high, max_connections: 4, track_remaining: true },
          ),
        ),
        of('no-request', thresholds({ ...high, max_requests: 0 })),
        {
          ...of('pools', { lb_policy: 'MAGLEV', ...thresholds({ max_connection_pools: 1 }) }),
          load_assignment: {
            cluster_name: 'pools',
            endpoints: [
              {
                lb_endpoints: ['a', 'b'].map((hash_key) => ({
                  endpoint: { address: address(ports[hash_key]) },
                  metadata: { filter_metadata: { 'envoy.lb': { hash_key } } },
                })),
              },
            ],
          },
        },
      ],
    );
  },
  // What is left of limits, too, which at rest is the same whenever it is read.
  stats: new RegExp(`${STATS.source}|circuit_breakers.*remaining_(rq|pending|retries)`),
  scenarios: [
    at('a host with room', '/host'),
    at('a host without room has its first connection', '/none'),
    at('the other priority is not limited', '/high-only'),
    at('the limit of one priority', '/high'),
    at('what is left is counted', '/left'),
    at('no request of high priority', '/no-request'),
    at('requests of default priority', '/requests'),
    {
      name: 'a host that has no pool while another has one',
      client: Array.from({ length: 8 }, (_, i) => [{ answers: i }, get('/pools', `x-key: ${i}`)]).flat(),
      answers: 8,
    },
    {
      name: 'a pool goes with its last connection',
      client: Array.from({ length: 4 }, (_, i) => [{ answers: i }, get('/pools', `x-key: ${i}`)]).flat(),
      answers: 4,
      upstreams: { a: CLOSES, b: CLOSES },
    },
  ],
};
