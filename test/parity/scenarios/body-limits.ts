// How much of a request's body is kept for another try, by the two fields of routes and virtual hosts, and what the limit
// of a route allows filters to keep.

import { answer, bootstrap, cluster, http, request, router, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const RETRY = { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } };
const ROUTES: Readonly<Record<string, object>> = {
  nothing: {},
  'older zero': { per_request_buffer_limit_bytes: 0 },
  older: { per_request_buffer_limit_bytes: 2 },
  newer: { request_body_buffer_limit: 6 },
  both: { per_request_buffer_limit_bytes: 2, request_body_buffer_limit: 6 },
  zero: { request_body_buffer_limit: 0 },
};
const HOSTS: Readonly<Record<string, object>> = {
  nothing: {},
  older: { per_request_buffer_limit_bytes: 4 },
  newer: { request_body_buffer_limit: 8 },
  both: { per_request_buffer_limit_bytes: 4, request_body_buffer_limit: 8 },
  zero: { request_body_buffer_limit: 0 },
};
const pathOf = (route: string): string => `/${route.replace(' ', '-')}`;
const LIST = {
  name: 'limits',
  virtual_hosts: Object.entries(HOSTS).map(([name, limits]) => ({
    name,
    domains: [name],
    include_attempt_count_in_response: true,
    routes: Object.entries(ROUTES).map(([route, more]) => to(pathOf(route), 'a', RETRY, more)),
    ...limits,
  })),
};
/** One byte less and one more than each limit. */
const LENGTHS = [0, 1, 3, 5, 7, 9];
const FILTER_ROUTES: Readonly<Record<string, object>> = {
  nothing: {},
  less: { request_body_buffer_limit: 4 },
  zero: { request_body_buffer_limit: 0 },
  more: { request_body_buffer_limit: 4_096 },
};
const CONNECTION_BYTES = 1_024;
const BRIDGE = {
  name: 'bridge',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.grpc_http1_bridge.v3.Config' },
};
const post = (host: string, path: string, bytes: number, ...more: string[]): string =>
  request('POST', path, [`host: ${host}`, `content-length: ${bytes}`, ...more], 'x'.repeat(bytes));
const busy = { a: { replies: [[answer('503 Busy')]] } };

/** How often each body was sent is in its answer. */
const lengths = (host: string, route: string): Scenario => ({
  name: `virtual host says ${host}, route says ${route}`,
  client: LENGTHS.flatMap((bytes, i) => [{ answers: i }, post(host, pathOf(route), bytes)]),
  answers: LENGTHS.length,
  upstreams: busy,
});
const small = (route: string, bytes: number): Scenario => ({
  name: `small connection, route says ${route}: ${bytes}`,
  listener: 'small',
  client: [post('nothing', pathOf(route), bytes)],
  upstreams: busy,
});
const bridged = (route: string, bytes: number): Scenario => ({
  name: `a filter keeps an answer, route says ${route}: ${bytes}`,
  listener: 'bridge',
  client: [post('a', pathOf(route), 0, 'content-type: application/grpc')],
  upstreams: {
    a: { replies: [[answer('200 OK', ['content-type: application/grpc', 'grpc-status: 0'], 'x'.repeat(bytes))]] },
  },
});

export const bodyLimits: Group = {
  name: 'body-limits',
  listeners: ['main', 'small', 'bridge'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const connection = { per_connection_buffer_limit_bytes: CONNECTION_BYTES };
    const filtered = Object.entries(FILTER_ROUTES).map(([route, more]) => to(pathOf(route), 'a', {}, more));
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', LIST),
        http(ports, log, 'small', LIST, {}, connection),
        http(ports, log, 'bridge', routes(filtered), { http_filters: [BRIDGE, router({})] }, connection),
      ],
      [cluster('a', [ports['a']])],
    );
  },
  stats: STATS,
  scenarios: [
    ...Object.keys(HOSTS).flatMap((host) => Object.keys(ROUTES).map((route) => lengths(host, route))),
    ...[CONNECTION_BYTES, CONNECTION_BYTES + 1].map((bytes) => small('nothing', bytes)),
    ...Object.keys(FILTER_ROUTES).flatMap((route) => [100, 2_000].map((bytes) => bridged(route, bytes))),
  ],
};
