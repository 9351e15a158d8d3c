// The overload manager under a pressure that does not change: a file says how high it is, thresholds say what follows.
// Actions hold for the whole process, so that there is a group for each.

import { fileURLToPath } from 'node:url';
import { bootstrap, cluster, get, http, request, routes, tcp, to } from '../config.ts';
import { ask, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

const TYPES = 'type.googleapis.com/';
export const MONITORS = `${TYPES}envoy.extensions.resource_monitors.`;
const PRESSURE_FILE = fileURLToPath(new URL('pressure.txt', import.meta.url));
const TEBIBYTE = 2 ** 40;

export const injected = {
  name: 'file',
  typed_config: { '@type': `${MONITORS}injected_resource.v3.InjectedResourceConfig`, filename: PRESSURE_FILE },
};
const heap = (name: string, limit: object): object => ({
  name,
  typed_config: { '@type': `${MONITORS}fixed_heap.v3.FixedHeapConfig`, ...limit },
});

/** The pressure is half of everything. */
export const reached = [{ name: 'file', threshold: { value: 0.5 } }];
export const missed = [{ name: 'file', threshold: { value: 0.51 } }];
const saturated = [{ name: 'file', scaled: { scaling_threshold: 0.1, saturation_threshold: 0.5 } }];
const below = [{ name: 'file', scaled: { scaling_threshold: 0.5, saturation_threshold: 0.9 } }];

export const act = (name: string, triggers: object): object => ({ name: `envoy.overload_actions.${name}`, triggers });
export const shed = (name: string, triggers: object): object => ({ name: `envoy.load_shed_points.${name}`, triggers });

const STATS =
  /^(envoy\.overload_actions\..*|overload\.(?!refresh|heap\.pressure).*|http\.(?!admin)[^.]+\.(downstream_(rq|cx)_(overload|drain|total).*|rq_.*)|listener\..*_<main>.*overload.*|cluster\..*upstream_rq_total)$/;

/** Envoy begins to look at resources when it serves. */
const REFRESH = '0.05s';
const SETTLED: Scenario = { name: 'time to look', listener: 'bypass', client: [{ waitMs: 500 }, get('/')] };

/** @param options of every connection manager */
export function overloadGroup(
  name: string,
  manager: object,
  scenarios: readonly Scenario[],
  options: object = {},
): Group {
  return {
    name,
    listeners: ['main', 'silent', 'bypass', 'raw'],
    upstreams: ['a'],
    stats: STATS,
    bootstrap: (ports, log) => {
      const list = routes([to('/', 'a')]);
      return bootstrap(
        ports,
        [
          http(ports, log, 'main', list, { append_local_overload: true, ...options }),
          http(ports, log, 'silent', list, options),
          http(ports, log, 'bypass', list, options, { bypass_overload_manager: true }),
          tcp(ports, log, 'raw', { stat_prefix: 'raw', cluster: 'a' }),
        ],
        [cluster('a', [ports['a']])],
        { overload_manager: { refresh_interval: REFRESH, resource_monitors: [injected], ...manager } },
      );
    },
    scenarios: [SETTLED, ...scenarios],
  };
}

const http2 = (name: string, bytes: string): Scenario => ({ name, http2: 'polite', client: [preface() + bytes] });
const GRPC = 'content-type: application/grpc';

export const overloadRequests: Group = overloadGroup(
  'overload-requests',
  {
    actions: [
      act('stop_accepting_requests', reached),
      act('shrink_heap', missed),
      act('reset_high_memory_stream', reached),
    ],
    buffer_factory_config: { minimum_account_to_track_power_of_two: 20 },
    resource_monitors: [
      injected,
      {
        name: 'envoy.resource_monitors.global_downstream_max_connections',
        typed_config: {
          '@type': `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`,
          max_active_downstream_connections: 1000,
        },
      },
      heap('heap', { max_heap_size_bytes: TEBIBYTE }),
      heap('heap.runtime', { max_heap_size_bytes_runtime: { default_value: TEBIBYTE, runtime_key: 'heap.max' } }),
    ],
  },
  [
    { name: 'a request', client: [get('/')] },
    { name: 'a request without a name for its host', client: ['GET / HTTP/1.1\r\n\r\n'] },
    { name: 'a request with a body', client: [request('POST', '/', ['content-length: 4'], 'body')] },
    { name: 'a request of gRPC', client: [request('POST', '/', [GRPC, 'content-length: 0'])] },
    http2('a stream', ask(1, '/')),
    { name: 'without a header of its own', listener: 'silent', client: [get('/')] },
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
    { name: 'bytes are no requests', listener: 'raw', client: [get('/')] },
  ],
);

export const overloadKeepalive: Group = overloadGroup(
  'overload-keepalive',
  { actions: [act('disable_http_keepalive', saturated), act('stop_accepting_requests', below)] },
  [
    { name: 'a request', client: [get('/')] },
    { name: 'a request after another', answers: 2, client: [get('/') + get('/')] },
    http2('streams', ask(1, '/')),
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
  ],
);

export const overloadConnections: Group = overloadGroup(
  'overload-connections',
  { actions: [act('reject_incoming_connections', reached), act('disable_http_keepalive', missed)] },
  [
    { name: 'a connection', client: [{ waitMs: 20 }], answers: 0 },
    { name: 'a raw connection', listener: 'raw', client: [{ waitMs: 20 }], answers: 0 },
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
  ],
);

const HOUR = '3600s';
const scaled = (timer: string, minimum: object): object => ({ timer, ...minimum });

export const overloadTimeouts: Group = overloadGroup(
  'overload-timeouts',
  {
    actions: [
      {
        ...act('reduce_timeouts', saturated),
        typed_config: {
          '@type': `${TYPES}envoy.config.overload.v3.ScaleTimersOverloadActionConfig`,
          timer_scale_factors: [
            scaled('HTTP_DOWNSTREAM_CONNECTION_IDLE', { min_timeout: '0.2s' }),
            scaled('HTTP_DOWNSTREAM_STREAM_IDLE', { min_scale: { value: 0.01 } }),
          ],
        },
      },
    ],
  },
  [
    { name: 'an idle connection', answers: 0, client: [get('/'), { answers: 1 }] },
    { name: 'a connection that says nothing', answers: 0, client: [] },
    { name: 'an idle stream', client: [get('/')], upstreams: { a: { replies: [[{ waitMs: 2_000 }]] } } },
    {
      name: 'an idle stream of a listener that is left alone otherwise',
      listener: 'bypass',
      client: [get('/')],
      upstreams: { a: { replies: [[{ waitMs: 700 }, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n']] } },
    },
  ],
  { common_http_protocol_options: { idle_timeout: HOUR }, stream_idle_timeout: HOUR },
);

export const overloadShed: Group = overloadGroup(
  'overload-shed',
  { loadshed_points: [shed('http_connection_manager_decode_headers', reached), shed('tcp_listener_accept', missed)] },
  [
    { name: 'a request', client: [get('/')] },
    http2('a stream', ask(1, '/')),
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
  ],
);

export const overloadShedCodecs: Group = overloadGroup(
  'overload-shed-codecs',
  { loadshed_points: [shed('hcm_ondata_creating_codec', reached)] },
  [
    { name: 'a request', client: [get('/')], answers: 0 },
    { name: 'a stream', client: [preface() + ask(1, '/')], answers: 0 },
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
    { name: 'bytes are no requests', listener: 'raw', client: [get('/')] },
  ],
);

export const overloadShedConnections: Group = overloadGroup(
  'overload-shed-connections',
  { loadshed_points: [shed('tcp_listener_accept', saturated)] },
  [
    { name: 'a connection', client: [{ waitMs: 20 }], answers: 0 },
    { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
  ],
);
