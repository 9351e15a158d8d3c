// Clusters in panic: those without hosts, and those that fail rather than use what is unhealthy. And the flags of hosts.

import { address, bootstrap, cluster, get, http, routes, STATS, tcp, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const HOSTS = ['a', 'b', 'c', 'd', 'e', 'f'];
const FAIL = { common_lb_config: { zone_aware_lb_config: { fail_traffic_on_panic: true } } };

/** One priority for each list of hosts' states. */
function stated(ports: Ports, name: string, priorities: readonly (readonly string[])[], extra: object): object {
  const host = (health_status: string, i: number): object => ({
    endpoint: { address: address(ports[HOSTS[i] ?? '']) },
    health_status,
  });
  return cluster(name, [], {
    load_assignment: {
      cluster_name: name,
      endpoints: priorities.map((states, priority) => ({ priority, lb_endpoints: states.map(host) })),
    },
    ...extra,
  });
}

const NAMES = ['empty', 'empty-calm', 'few', 'few-random', 'hashed', 'half', 'priorities'];
const one = (name: string): Scenario => ({ name, client: [get(`/${name}/`)] });

export const panic: Group = {
  name: 'panic',
  listeners: ['main', 'raw'],
  upstreams: HOSTS,
  stats: new RegExp(`${STATS.source}|lb_healthy_panic|upstream_cx_none_healthy`),
  bootstrap: (ports, log) => {
    const few = ['HEALTHY', 'UNHEALTHY', 'TIMEOUT'];
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes([to('/clusters', 'admin'), ...NAMES.map((name) => to(`/${name}/`, name))])),
        tcp(ports, log, 'raw', { stat_prefix: 'raw', cluster: 'empty', max_connect_attempts: 1 }),
      ],
      [
        cluster('admin', [ports['admin']]),
        cluster('empty', []),
        cluster('empty-calm', [], { common_lb_config: { healthy_panic_threshold: { value: 0 } } }),
        stated(ports, 'few', [few], FAIL),
        stated(ports, 'few-random', [few], { ...FAIL, lb_policy: 'RANDOM' }),
        stated(ports, 'hashed', [['UNHEALTHY']], { ...FAIL, lb_policy: 'RING_HASH' }),
        stated(ports, 'half', [['HEALTHY', 'DRAINING']], FAIL),
        stated(ports, 'priorities', [few, few], FAIL),
        stated(ports, 'flags', [['UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED']], {}),
      ],
    );
  },
  scenarios: [
    ...NAMES.map(one),
    { name: 'raw, empty', listener: 'raw', client: [], answers: 0 },
    { name: 'flags of hosts', client: [get('/clusters?filter=^flags$')] },
    { name: 'flags of hosts as JSON', client: [get('/clusters?filter=^flags$&format=json')] },
  ],
};
