// TCP through HTTP tunnels: CONNECT or POST over HTTP/1.1 and HTTP/2, refused tunnels, half-closes, what is told of them.
// Not here: a POST over HTTP/1.1 whose host ends the exchange, where Envoy 1.40 crashes.

import { bootstrap, cluster, fileLog, tcp } from '../config.ts';
import type { Group, Http2Action, Ports, Scenario, UpstreamScript } from '../types.ts';

const TYPES = 'type.googleapis.com/';
const TOLD = {
  response: '%FILTER_STATE(envoy.tcp_proxy.propagate_response_headers:TYPED)%',
  trailers: '%FILTER_STATE(envoy.tcp_proxy.propagate_response_trailers:TYPED)%',
  closed: '%DOWNSTREAM_LOCAL_CLOSE_REASON% %DOWNSTREAM_DETECTED_CLOSE_TYPE%',
  upstream: '%UPSTREAM_PROTOCOL% %UPSTREAM_LOCAL_CLOSE_REASON% %UPSTREAM_DETECTED_CLOSE_TYPE%',
};
const WIRE = {
  wire: '%UPSTREAM_WIRE_BYTES_SENT% %UPSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_HEADER_BYTES_SENT% %UPSTREAM_HEADER_BYTES_RECEIVED% %DOWNSTREAM_WIRE_BYTES_SENT% %DOWNSTREAM_WIRE_BYTES_RECEIVED%',
};

const http2Options = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': `${TYPES}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const TELL = { propagate_response_headers: true, propagate_response_trailers: true };
const POST = { hostname: 'post.example:80', use_post: true, ...TELL };

function tunnels(ports: Ports, log: string): readonly object[] {
  const through = (name: string, to: string, tunnel: object, more: object = {}): object =>
    tcp(ports, log, name, {
      cluster: to,
      access_log: [fileLog(log, TOLD)],
      tunneling_config: { ...TELL, ...tunnel },
      ...more,
    });
  return [
    // Header blocks of HTTP/2 have other lengths here.
    through('main', 'a', { hostname: 'host.example:443' }, { access_log: [fileLog(log, { ...TOLD, ...WIRE })] }),
    through('two', 'b', { hostname: 'host.example:443' }),
    through('post', 'a', POST),
    through('path', 'a', { ...POST, post_path: '/tunnel?x=1' }),
    through('post2', 'b', { ...POST, post_path: '/tunnel' }),
    through('named', 'a', {
      hostname: '%DOWNSTREAM_LOCAL_ADDRESS%',
      headers_to_add: [
        { header: { key: 'X-Peer', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } },
        { header: { key: 'x-twice', value: 'one' } },
        { header: { key: 'x-twice', value: 'two' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
        { header: { key: 'x-empty', value: '' }, keep_empty_value: true },
      ],
      propagate_response_headers: false,
      propagate_response_trailers: false,
    }),
    through('again', 'a', { hostname: 'host.example:443' }, { max_connect_attempts: 2 }),
    through('again2', 'b', { hostname: 'host.example:443' }, { max_connect_attempts: 2 }),
    through('idle', 'a', { hostname: 'host.example:443' }, { idle_timeout: '0.4s' }),
    through('idle2', 'b', { hostname: 'host.example:443' }, { idle_timeout: '0.4s' }),
    through('refused', 'dead', { hostname: 'host.example:443' }, { max_connect_attempts: 2 }),
    through('empty', 'empty', { hostname: 'host.example:443' }),
  ];
}

const OK = 'HTTP/1.1 200 Connection established\r\n\r\n';
/** Bytes of the CONNECT that Envoy writes. */
const HEAD = 'CONNECT host.example:443 HTTP/1.1\r\nhost: host.example:443\r\n\r\n'.length;

const raw = (...steps: NonNullable<UpstreamScript['raw']>): Readonly<Record<string, UpstreamScript>> => ({
  a: { raw: steps },
});
const http2 = (...replies: (readonly Http2Action[])[]): Readonly<Record<string, UpstreamScript>> => ({
  b: { http2: { early: true, replies } },
});
const OK2: Http2Action = { head: [':status: 200', 'x-from: b'] };

const HTTP1: readonly Scenario[] = [
  {
    name: 'bytes both ways',
    answers: 0,
    client: ['ping', { bytes: 4 }, { close: 'full' }],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 4 }, 'pong'),
  },
  {
    name: 'the host speaks first, right behind its answer',
    answers: 0,
    client: [{ bytes: 5 }, 'there', { upstreamSaw: HEAD + 5 }, { close: 'full' }],
    upstreams: raw({ read: HEAD }, `${OK}hello`, { read: HEAD + 5 }),
  },
  {
    name: 'the client half-closes',
    answers: 0,
    client: ['all', { close: 'fin' }],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 3 }, { waitMs: 80 }, 'late answer'),
  },
  {
    name: 'the host half-closes',
    answers: 0,
    client: [{ bytes: 3 }, { waitMs: 50 }, 'late', { close: 'fin' }],
    upstreams: raw({ read: HEAD }, OK, 'end', { close: 'fin' }, { read: HEAD + 4 }),
  },
  {
    name: 'the host closes',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 1 }, { close: 'full' }),
  },
  {
    name: 'the host resets',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 1 }, { close: 'reset' }),
  },
  {
    name: 'the client resets',
    client: ['x', { upstreamSaw: HEAD + 1 }, { close: 'reset' }],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 1 }),
  },
  {
    name: 'any 2xx will do, and its length says nothing',
    answers: 0,
    client: ['x', { bytes: 4 }, { close: 'full' }],
    upstreams: raw(
      { read: HEAD },
      'HTTP/1.1 201 Yes\r\ncontent-length: 2\r\nx-a: b\r\n\r\n',
      { read: HEAD + 1 },
      'pong',
    ),
  },
  {
    name: 'an interim answer',
    answers: 0,
    client: ['x', { bytes: 4 }, { close: 'full' }],
    upstreams: raw({ read: HEAD }, 'HTTP/1.1 103 Early\r\n\r\n', OK, { read: HEAD + 1 }, 'pong'),
  },
  {
    name: 'a refused tunnel',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, 'HTTP/1.1 403 Forbidden\r\nx-why: no\r\ncontent-length: 2\r\n\r\nno'),
  },
  {
    name: 'a redirected tunnel',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, 'HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'),
  },
  {
    name: 'refused twice',
    listener: 'again',
    answers: 0,
    client: ['x'],
    upstreams: { a: { replies: [['HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n']] } },
  },
  { name: 'closed instead of an answer', answers: 0, client: ['x'], upstreams: raw({ read: HEAD }, { close: 'full' }) },
  {
    name: 'closed twice instead of an answer',
    listener: 'again',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, { close: 'full' }),
  },
  { name: 'no HTTP', answers: 0, client: ['x'], upstreams: raw({ read: HEAD }, 'SSH-2.0-x\r\n\r\n') },
  {
    name: 'POST',
    listener: 'post',
    answers: 0,
    client: ['ping', { bytes: 4 }, { close: 'fin' }],
    upstreams: raw({ read: 40 }, 'HTTP/1.1 200 OK\r\n\r\n', { read: 75 }, 'pong'),
  },
  {
    name: 'POST, and the client half-closes',
    listener: 'post',
    answers: 0,
    client: ['ping', { close: 'fin' }],
    upstreams: raw({ read: 40 }, 'HTTP/1.1 200 OK\r\n\r\n', { read: 75 }, 'pong'),
  },
  {
    name: 'names and headers of the connection',
    listener: 'named',
    answers: 0,
    client: ['ping', { bytes: 4 }, { close: 'full' }],
    upstreams: raw({ read: 60 }, OK, { read: 130 }, 'pong'),
  },
  {
    name: 'idle',
    listener: 'idle',
    answers: 0,
    client: ['x'],
    upstreams: raw({ read: HEAD }, OK, { read: HEAD + 1 }, 'y'),
  },
  { name: 'connection refused', listener: 'refused', answers: 0, client: [] },
  { name: 'no host', listener: 'empty', answers: 0, client: [] },
];

const HTTP2: readonly Scenario[] = [
  {
    name: 'HTTP/2: bytes both ways',
    listener: 'two',
    answers: 0,
    client: ['ping', { bytes: 4 }, { close: 'fin' }],
    upstreams: http2([OK2, { waitMs: 20 }, { data: 'pong' }, { waitFor: 'end' }, { data: '', end: true }]),
  },
  {
    name: 'HTTP/2: the client half-closes and still reads',
    listener: 'two',
    answers: 0,
    client: ['all', { close: 'fin' }],
    upstreams: http2([OK2, { waitFor: 'end' }, { waitMs: 40 }, { data: 'late', end: true }]),
  },
  {
    name: 'HTTP/2: the host ends and still reads',
    listener: 'two',
    answers: 0,
    client: [{ bytes: 3 }, { waitMs: 50 }, 'late', { waitMs: 30 }, { close: 'full' }],
    upstreams: http2([OK2, { data: 'end', end: true }]),
  },
  {
    name: 'HTTP/2: trailers',
    listener: 'two',
    answers: 0,
    client: ['x', { bytes: 3 }, { close: 'fin' }],
    upstreams: http2([OK2, { data: 'end' }, { waitFor: 'end' }, { head: ['x-t: 1'], end: true }]),
  },
  {
    name: 'HTTP/2: the host resets',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([OK2, { waitMs: 20 }, { reset: 8 }]),
  },
  {
    name: 'HTTP/2: the host closes its connection',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([OK2, { waitMs: 20 }, { close: 'full' }]),
  },
  {
    name: 'HTTP/2: the client resets',
    listener: 'two',
    client: ['x', { waitMs: 60 }, { close: 'reset' }],
    upstreams: http2([OK2]),
  },
  {
    name: 'HTTP/2: only 200 will do',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([{ head: [':status: 204'] }]),
  },
  {
    name: 'HTTP/2: refused with a body',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([{ head: [':status: 403', 'x-why: no'] }, { data: 'no', end: true }]),
  },
  {
    name: 'HTTP/2: an answer that ends at once',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([{ head: [':status: 200'], end: true }]),
  },
  {
    name: 'HTTP/2: refused, then taken',
    listener: 'again2',
    answers: 0,
    client: ['x', { bytes: 4 }, { close: 'fin' }],
    upstreams: http2(
      [{ head: [':status: 503'], end: true }],
      [OK2, { waitMs: 20 }, { data: 'pong' }, { waitFor: 'end' }, { data: '', end: true }],
    ),
  },
  {
    name: 'HTTP/2: reset twice instead of an answer',
    listener: 'again2',
    answers: 0,
    client: ['x'],
    upstreams: http2([{ reset: 7 }]),
  },
  {
    name: 'HTTP/2: closed instead of an answer',
    listener: 'two',
    answers: 0,
    client: ['x'],
    upstreams: http2([{ close: 'full' }]),
  },
  {
    name: 'HTTP/2: POST',
    listener: 'post2',
    answers: 0,
    client: ['ping', { bytes: 4 }, { close: 'fin' }],
    upstreams: http2([OK2, { waitMs: 20 }, { data: 'pong' }, { waitFor: 'end' }, { data: '', end: true }]),
  },
  {
    name: 'HTTP/2: idle',
    listener: 'idle2',
    answers: 0,
    client: ['x'],
    upstreams: http2([OK2, { waitMs: 20 }, { data: 'y' }]),
  },
];

export const tunnel: Group = {
  name: 'tunnel',
  listeners: ['main', 'two', 'post', 'path', 'post2', 'named', 'again', 'again2', 'idle', 'idle2', 'refused', 'empty'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) =>
    bootstrap(ports, tunnels(ports, log), [
      cluster('a', [ports['a']]),
      cluster('b', [ports['b']], http2Options),
      cluster('dead', [ports['dead']]),
      cluster('empty', []),
    ]),
  stats:
    /^(cluster\.[^.]+\.(?!.*active)(upstream_rq_.*|upstream_cx_(total|http[12]_total|connect_fail|connect_attempts_exceeded|protocol_error|destroy.*_with_active_rq|overflow|none_healthy)|http2\.(?!.*(_too_large|pending|deferred)).*)|tcp\.(?!.*flush).*_(total|bytes|timeout))$/,
  scenarios: [...HTTP1, ...HTTP2],
};
