// Points at which load is shed on the way of a request: in codecs, before the router, in pools and in the TCP proxy.

import { get, request } from '../config.ts';
import { ask, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';
import { injected, MONITORS, missed, overloadGroup, reached, shed } from './overload.ts';

const http2 = (name: string, bytes: string, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  http2: 'polite',
  client: [preface() + bytes],
  ...extra,
});
const closed = (name: string, bytes: string, listener = 'main'): Scenario => ({
  name,
  listener,
  answers: 0,
  client: [bytes],
});
const cpu = (mode: string): object => ({
  name: `cpu.${mode}`,
  typed_config: { '@type': `${MONITORS}cpu_utilization.v3.CpuUtilizationConfig`, mode },
});
const WITH_BODY = request('POST', '/', ['content-length: 4'], 'body');
const GRPC = request('POST', '/', ['content-type: application/grpc', 'content-length: 0']);
const bytes = (name: string): Scenario => ({ name, listener: 'raw', answers: 0, client: [get('/')] });
const SPARED: readonly Scenario[] = [
  { name: 'a listener that is left alone', listener: 'bypass', client: [get('/')] },
  http2('streams of a listener that is left alone', ask(1, '/'), { listener: 'bypass' }),
];
/** How often a connection says something depends on the moment. */
const STATS =
  /^(overload\.(?!refresh|cpu|.*http2_server_go_away_on_dispatch.shed).*|http\.(?!admin)[^.]+\.(downstream_(rq|cx)_(overload|drain|total|protocol).*|downstream_rq_[245]xx|rq_.*)|tcp\..*(overload.*|total)|cluster\.a\.(?!.*(bytes|active))(upstream_(cx|rq)_.*(overflow|total|cancelled)|.*_5..))$/;

function group(name: string, points: readonly object[], scenarios: readonly Scenario[], manager: object = {}): Group {
  return { ...overloadGroup(name, { loadshed_points: points, ...manager }, scenarios), stats: STATS };
}

export const overloadHttp1: Group = group(
  'overload-http1',
  [shed('http1_server_abort_dispatch', reached), shed('tcp_proxy_on_data', reached)],
  [
    closed('a request', get('/')),
    closed('a request with a body', WITH_BODY),
    closed('half a head', 'GET / HTTP/1.1\r\nhost:'),
    closed('a request for HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'),
    closed('no request at all', '\0\x01\x02'),
    closed('two requests', get('/') + get('/')),
    closed('a request of gRPC', GRPC),
    closed('a request without a header of its own', get('/'), 'silent'),
    http2('a stream', ask(1, '/')),
    bytes('bytes'),
    ...SPARED,
  ],
);

export const overloadHttp2: Group = group(
  'overload-http2',
  [shed('http2_server_go_away_on_dispatch', reached), shed('tcp_proxy_upstream_connect', reached)],
  [
    { name: 'a request', client: [get('/')] },
    { name: 'two requests', client: [get('/') + get('/')], answers: 2 },
    http2('a stream', ask(1, '/')),
    http2('two streams', ask(1, '/') + ask(3, '/'), { answers: 2 }),
    http2('a stream, later', '', { client: [preface(), { waitMs: 100 }, ask(1, '/')] }),
    http2('another one, later', '', { answers: 2, client: [preface() + ask(1, '/'), { answers: 1 }, ask(3, '/')] }),
    { name: 'silence', listener: 'raw', answers: 0, client: [] },
    ...SPARED,
  ],
);

export const overloadHttp2Close: Group = group(
  'overload-http2-close',
  [shed('http2_server_go_away_and_close_on_dispatch', reached), shed('http2_server_go_away_on_dispatch', missed)],
  [
    closed('a request', get('/')),
    closed('a request with a body', WITH_BODY),
    http2('a stream', ask(1, '/'), { answers: 0 }),
    http2('two streams', ask(1, '/') + ask(3, '/'), { answers: 0 }),
    http2('no stream', '', { answers: 0 }),
    { name: 'bytes', listener: 'raw', client: [get('/')] },
    ...SPARED,
  ],
);

export const overloadFilters: Group = group(
  'overload-filters',
  [shed('http_downstream_filter_check', reached)],
  [
    { name: 'a request', client: [get('/')] },
    { name: 'a request with a body', client: [WITH_BODY] },
    { name: 'a request of gRPC', client: [GRPC] },
    { name: 'a request without a header of its own', listener: 'silent', client: [get('/')] },
    http2('a stream', ask(1, '/')),
    ...SPARED,
  ],
);

export const overloadPools: Group = group(
  'overload-pools',
  [
    shed('connection_pool_new_connection', reached),
    shed('http1_server_abort_dispatch', missed),
    shed('http3_server_go_away_on_dispatch', reached),
  ],
  [
    { name: 'a request', client: [get('/')] },
    { name: 'a request with a body', client: [WITH_BODY] },
    http2('a stream', ask(1, '/')),
    { name: 'a connection', listener: 'raw', answers: 0, client: [] },
    ...SPARED,
  ],
  { resource_monitors: [injected, cpu('HOST'), cpu('CONTAINER')] },
);
