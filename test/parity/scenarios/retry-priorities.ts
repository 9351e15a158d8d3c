// Retries that leave out the priorities where attempts went.

import { address, answer, bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const CONFIG = 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig';
const policy = (update_frequency: number, num_retries: number): object => ({
  retry_policy: {
    retry_on: '5xx',
    num_retries,
    retry_back_off: { base_interval: '0.001s' },
    retry_priority: { name: 'previous', typed_config: { '@type': CONFIG, update_frequency } },
  },
});
const NO = { replies: [[answer('503 No')]] };
const at = (name: string, path: string): Scenario => ({
  name,
  client: [get(path)],
  upstreams: { a: NO, b: NO, c: NO },
});

/** One host for each priority; `health` is that of the second. */
const levels = (ports: Ports, name: string, health: string): object => ({
  ...cluster(name, []),
  load_assignment: {
    cluster_name: name,
    endpoints: ['a', 'b', 'c'].map((host, priority) => ({
      priority,
      lb_endpoints: [
        { endpoint: { address: address(ports[host]) }, ...(priority === 1 ? { health_status: health } : {}) },
      ],
    })),
  },
});

export const retryPriorities: Group = {
  name: 'retry-priorities',
  listeners: ['main'],
  upstreams: ['a', 'b', 'c'],
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
              to('/once', 'all', policy(1, 1)),
              to('/each', 'all', policy(1, 5)),
              to('/slow', 'all', policy(2, 6)),
              to('/part', 'part', policy(1, 4)),
              to('/degraded', 'degraded', policy(1, 4)),
              to('/single', 'single', policy(1, 2)),
            ],
            { include_request_attempt_count: true, include_attempt_count_in_response: true },
          ),
        ),
      ],
      [
        levels(ports, 'all', 'HEALTHY'),
        levels(ports, 'part', 'UNHEALTHY'),
        levels(ports, 'degraded', 'DEGRADED'),
        cluster('single', [ports['a']]),
      ],
    ),
  stats: STATS,
  scenarios: [
    at('the next priority', '/once'),
    at('every priority in turn', '/each'),
    at('after every other attempt', '/slow'),
    at('not one without a healthy host', '/part'),
    at('one with a degraded host last', '/degraded'),
    at('there is only one', '/single'),
  ],
};
