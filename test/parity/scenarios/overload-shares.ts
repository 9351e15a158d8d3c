// Shares of actions as their gauges show them, actions and places of one's own, and whose connections a monitor counts.

import { fileURLToPath } from 'node:url';
import { bootstrap, cluster, get, http, httpOptions, routes, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';
import { act, injected, MONITORS, overloadGroup, reached } from './overload.ts';

const TYPES = 'type.googleapis.com/';
const slight = {
  name: 'slight',
  typed_config: {
    '@type': `${MONITORS}injected_resource.v3.InjectedResourceConfig`,
    filename: fileURLToPath(new URL('slight-pressure.txt', import.meta.url)),
  },
};
const CONNECTIONS = 'envoy.resource_monitors.global_downstream_max_connections';
const connections = (max: number): object => ({
  name: CONNECTIONS,
  typed_config: {
    '@type': `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`,
    max_active_downstream_connections: max,
  },
});
const between = (low: number, high: number, name = 'slight'): object => ({
  name,
  scaled: { scaling_threshold: low, saturation_threshold: high },
});
const shorter = (name: string, ...timers: object[]): object => ({
  name,
  triggers: reached,
  typed_config: {
    '@type': `${TYPES}envoy.config.overload.v3.ScaleTimersOverloadActionConfig`,
    timer_scale_factors: timers,
  },
});
const HOUR = '3600s';

export const overloadShares: Group = overloadGroup(
  'overload-shares',
  {
    resource_monitors: [injected, slight, connections(1_000)],
    actions: [
      act('shrink_heap', [between(0, 1)]),
      act('close_idle_http_connections', [between(0.2, 0.4)]),
      act('stop_accepting_requests', [between(0.289999999999, 1)]),
      act('stop_accepting_connections', [{ name: CONNECTIONS, threshold: { value: 0.5 } }, between(0.3, 0.9)]),
      shorter('our.timers', { timer: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', min_timeout: '0.2s' }),
      shorter('our.other_timers', { timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', min_timeout: '0.2s' }),
    ],
    loadshed_points: [{ name: 'our.place', triggers: [between(0.2, 0.5), ...reached] }],
  },
  [
    { name: 'an idle connection', answers: 0, client: [get('/'), { answers: 1 }] },
    { name: 'an idle stream', client: [get('/')], upstreams: { a: { replies: [[{ waitMs: 2_000 }]] } } },
  ],
  { common_http_protocol_options: { idle_timeout: HOUR }, stream_idle_timeout: HOUR },
);

const through = (name: string, listener: string): Scenario => ({ name, listener, client: [{ waitMs: 20 }, get('/')] });

/**
 * One connection may come; the proxy is its own client for a second one. In Envoy the end of a connection that was not
 * counted, because its listener ignores the limit, frees a place all the same; so its scenario is the last, and
 * `failed_updates`, which counts ends without a place to free, is not compared.
 */
export const overloadSpared: Group = {
  name: 'overload-spared',
  listeners: ['main', 'spared', 'bypass', 'last'],
  upstreams: [],
  stats:
    /^(listener\..*_<.*downstream_(cx_(total|overflow|overload_reject)|global_cx_overflow)|overload\.(?!refresh|.*failed).*)$/,
  bootstrap: (ports, log) => {
    const once = httpOptions({}, { max_requests_per_connection: 1 });
    const again = routes([to('/', 'again')]);
    const last = routes([{ match: { prefix: '/' }, direct_response: { status: 200 } }]);
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', again),
        http(ports, log, 'spared', again, {}, { ignore_global_conn_limit: true }),
        http(ports, log, 'bypass', again, {}, { bypass_overload_manager: true }),
        http(ports, log, 'last', last),
      ],
      [cluster('again', [ports['last']], once)],
      {
        overload_manager: {
          refresh_interval: '0.05s',
          resource_monitors: [connections(1)],
          actions: [act('stop_accepting_requests', [{ name: CONNECTIONS, threshold: { value: 0.5 } }])],
        },
      },
    );
  },
  scenarios: [
    through('a connection, and one that the overload manager does not know', 'bypass'),
    through('two connections', 'main'),
    through('a connection, and one that nobody counts', 'spared'),
  ],
};
