// HTTP/2 to upstreams, for requests that come over HTTP/1: options, ends of streams and connections, upgrades.

import { bootstrap, cluster, fileLog, get, http, request, routes, to } from '../config.ts';
import type { Group, Http2Action, Http2Script, Ports, Scenario } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Typed options of a cluster. */
const typed = (json: object): object => ({
  typed_extension_protocol_options: { [OPTIONS]: { '@type': `type.googleapis.com/${OPTIONS}`, ...json } },
});
const http2 = (options: object = {}, common: object = {}): object =>
  typed({ common_http_protocol_options: common, explicit_http_config: { http2_protocol_options: options } });

const clusters = (ports: Ports): readonly object[] => {
  const make = (name: string, extra: object, port = ports['a']): object => cluster(name, [port], extra);
  return [
    make('plain', http2()),
    make('dead', http2(), ports['dead']),
    make(
      'tuned',
      http2({
        hpack_table_size: 1_024,
        max_concurrent_streams: 1,
        initial_stream_window_size: 70_000,
        initial_connection_window_size: 80_000,
        allow_connect: true,
        max_outbound_frames: 500,
        max_outbound_control_frames: 100,
        max_consecutive_inbound_frames_with_empty_payload: 3,
        max_inbound_priority_frames_per_stream: 5,
        max_inbound_window_update_frames_per_data_frame_sent: 1,
        custom_settings_parameters: [{ identifier: 99, value: 7 }],
        connection_keepalive: {
          interval: '60s',
          timeout: '5s',
          interval_jitter: { value: 10 },
          connection_idle_interval: '0.05s',
        },
      }),
    ),
    make('lenient', http2({ override_stream_error_on_invalid_http_message: true })),
    make('lenient-older', http2({ stream_error_on_invalid_http_messaging: true })),
    make('alive', http2({ connection_keepalive: { interval: '0.4s', timeout: '0.1s' } })),
    make('small', http2({}, { max_headers_count: 5, max_response_headers_kb: 1 })),
    make('short', http2({}, { idle_timeout: '0.1s' })),
    make('older', { http2_protocol_options: { max_concurrent_streams: 5 } }),
    make('older-follows', { http2_protocol_options: {}, protocol_selection: 'USE_DOWNSTREAM_PROTOCOL' }),
    make(
      'follows',
      typed({ use_downstream_protocol_config: { http2_protocol_options: {}, http_protocol_options: {} } }),
    ),
    // Envoy counts a protocol error when a connection ends with its last stream.
    make('differs', http2({}, { max_requests_per_connection: 1 })),
  ];
};

const NAMES = 'plain dead tuned lenient lenient-older alive small short older older-follows follows differs'.split(' ');
const retry = (name: string, retry_on: string): object =>
  to(`/${name}`, 'plain', { retry_policy: { retry_on, retry_back_off: { base_interval: '0.01s' } } });

const OK: readonly Http2Action[] = [{ head: [':status: 200'] }, { data: 'ok', end: true }];
const EMPTY: readonly Http2Action[] = [{ head: [':status: 200'], end: true }];
const answers = (...replies: (readonly Http2Action[])[]): { readonly a: { readonly http2: Http2Script } } => ({
  a: { http2: { replies } },
});
/** A GET of `/plain`, answered like that. */
const answered = (name: string, ...replies: (readonly Http2Action[])[]): Scenario => ({
  name,
  client: [get('/plain')],
  upstreams: answers(...replies),
});
const at = (name: string, path: string, ...replies: (readonly Http2Action[])[]): Scenario => ({
  name,
  client: [get(path)],
  upstreams: answers(...(replies.length === 0 ? [OK] : replies)),
});

const messages: readonly Scenario[] = [
  answered('a body', OK),
  answered('no body', EMPTY),
  answered('204', [{ head: [':status: 204'], end: true }]),
  answered('a length', [{ head: [':status: 200', 'content-length: 2'] }, { data: 'o' }, { data: 'k', end: true }]),
  answered('repeated and unknown fields', [
    { head: [':status: 299', 'set-cookie: a', 'set-cookie: b', 'x: 1', 'x: 2', 'server: s', 'date: d'], end: true },
  ]),
  answered('trailers', [{ head: [':status: 200'] }, { data: 'ok' }, { head: ['t: 1', 'grpc-status: 0'], end: true }]),
  answered('trailers alone', [{ head: [':status: 200'] }, { head: ['t: 1'], end: true }]),
  {
    name: 'HEAD',
    client: [request('HEAD', '/plain', [])],
    bodiless: true,
    upstreams: answers([{ head: [':status: 200', 'content-length: 5'], end: true }]),
  },
  {
    name: 'a request with everything of a connection’s own',
    client: [
      `${request('POST', '/plain?a=b', [
        'Cookie: a=1; b=2',
        'TE: trailers, gzip',
        'Connection: keep-alive, x-hop, te',
        'Keep-Alive: 1',
        'x-hop: 1',
        'X-Kept: 1',
        'Transfer-Encoding: chunked',
      ])}3\r\nabc\r\n0\r\n\r\n`,
    ],
    upstreams: answers(OK),
  },
  {
    name: 'a length of a request',
    client: [request('POST', '/plain', ['content-length: 3'], 'abc')],
    upstreams: answers(OK),
  },
  { name: 'an empty body', client: [request('POST', '/plain', ['content-length: 0'])], upstreams: answers(OK) },
  {
    name: 'trailers of a request',
    listener: 'trailers',
    client: [`${request('POST', '/plain', ['transfer-encoding: chunked'])}3\r\nabc\r\n0\r\nt: 1\r\n\r\n`],
    upstreams: answers([{ head: [':status: 200'] }, { data: 'ok' }, { head: ['u: 2'], end: true }]),
  },
  {
    name: '100 after expect',
    client: [request('POST', '/plain', ['expect: 100-continue', 'content-length: 3']), { waitMs: 50 }, 'abc'],
    upstreams: answers(OK),
  },
  answered('interim responses', [{ head: [':status: 103', 'link: x'] }, { head: [':status: 200'], end: true }]),
  {
    name: 'a response before the end of the request',
    client: [request('POST', '/plain', ['content-length: 100'], 'abc')],
    upstreams: { a: { http2: { early: true, replies: [EMPTY] } } },
  },
  {
    name: 'a response and a reset before the end of the request',
    client: [request('POST', '/plain', ['content-length: 100'], 'abc')],
    upstreams: { a: { http2: { early: true, replies: [[...EMPTY, { waitMs: 30 }, { reset: 0 }]] } } },
  },
  {
    name: 'two requests on one connection',
    client: [get('/plain'), { answers: 1 }, get('/plain')],
    answers: 2,
    upstreams: answers(OK),
  },
];

const resets: readonly Scenario[] = [
  ...([0, 1, 2, 5, 7, 8, 10, 13] as const).map((code) =>
    answered(`reset ${code} before a response`, [{ reset: code }]),
  ),
  ...([0, 1, 7, 8] as const).map((code) =>
    answered(`reset ${code} within a response`, [
      { head: [':status: 200'] },
      { data: 'x' },
      { waitMs: 20 },
      { reset: code },
    ]),
  ),
  at('refused, and tried again', '/refused-stream', [{ reset: 7 }], OK),
  at('reset, and not tried again as a refused one', '/refused-stream', [{ reset: 8 }], OK),
  at('refused is a reset', '/reset', [{ reset: 7 }], OK),
  at('refused is no connect failure', '/connect-failure', [{ reset: 7 }], OK),
  at('refused is not before the request', '/before', [{ reset: 7 }], OK),
  at('refused and 5xx', '/5xx', [{ reset: 7 }], OK),
  at('refused to the end', '/refused-stream', [{ reset: 7 }], [{ reset: 7 }]),
  { name: 'no answer in time', client: [get('/slow')], upstreams: answers([]) },
  { name: 'no answer in time, tried again', client: [get('/try')], upstreams: answers([], OK) },
  {
    name: 'the client leaves',
    client: [get('/plain'), { upstreamSaw: 1 }, { close: 'full' }, { waitMs: 50 }],
    upstreams: answers([]),
  },
];

const ends: readonly Scenario[] = [
  answered('the upstream closes before a response', [{ close: 'fin' }]),
  answered('the upstream resets its connection', [{ close: 'reset' }]),
  answered('the upstream closes within a response', [
    { head: [':status: 200'] },
    { data: 'x' },
    { waitMs: 20 },
    { close: 'fin' },
  ]),
  answered('GOAWAY between requests', [...OK, { goaway: 1 }]),
  {
    name: 'a request after GOAWAY',
    client: [get('/plain'), { answers: 1 }, { waitMs: 30 }, get('/plain')],
    answers: 2,
    upstreams: answers([...OK, { goaway: 1 }]),
  },
  {
    name: 'GOAWAY before the request was begun',
    listener: 'differs',
    client: [get('/differs')],
    upstreams: answers([{ goaway: 0 }], OK),
    differs: {
      why: 'what the upstream has said not to have begun is sent again; Envoy needs a retry policy for that',
      parts: ['answers', 'end', 'upstream', 'log'],
      ours: 'HTTP/1.1 200 OK',
    },
  },
  at('one request a connection', '/differs'),
  at('a connection that was refused', '/dead'),
  {
    name: 'an idle connection ends',
    client: [
      get('/short'),
      { answers: 1 },
      { stat: 'cluster.short.upstream_cx_idle_timeout', atLeast: 1 },
      get('/short'),
    ],
    answers: 2,
    upstreams: answers(OK),
  },
  {
    name: 'no sign of life',
    client: [get('/alive')],
    upstreams: { a: { http2: { deaf: true, replies: [[{ head: [':status: 200'] }]] } } },
  },
];

const wrong: readonly Scenario[] = [
  ...Object.entries({
    'no status': ['a: b'],
    'a status of two digits': [':status: 20'],
    'a status of letters': [':status: abc'],
    'a status of 101': [':status: 101'],
    'an upper-case name': [':status: 200', 'A: b'],
    'a connection field': [':status: 200', 'connection: close'],
    'a transfer-encoding': [':status: 200', 'transfer-encoding: chunked'],
    te: [':status: 200', 'te: gzip'],
    'a control character': [':status: 200', 'a: \x01'],
    'a path': [':status: 200', ':path: /'],
    'a pseudo-header too late': ['a: b', ':status: 200'],
    'a length without a body': [':status: 200', 'content-length: 5'],
    'two lengths': [':status: 200', 'content-length: 0', 'content-length: 0'],
  }).map(([name, head]) => answered(`malformed: ${name}`, [{ head, end: true }])),
  answered('malformed: an interim response that ends', [{ head: [':status: 103'], end: true }]),
  answered('malformed: more than the length', [
    { head: [':status: 200', 'content-length: 1'] },
    { data: 'ab', end: true },
  ]),
  answered('malformed: less than the length', [
    { head: [':status: 200', 'content-length: 3'] },
    { data: 'ab', end: true },
  ]),
  answered('malformed: a body before the head', [{ data: 'ab', end: true }]),
  answered('malformed: a header block', [{ raw: '\0\0\x01\x01\x05\0\0\0\x01\x80' }]),
  answered('frames of an idle stream', [{ raw: '\0\0\0\0\x01\0\0\0\x63' }]),
  answered('frames of a closed stream', [...OK, { data: 'late' }]),
  answered('HTTP/1', [{ raw: 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n' }]),
  at('lenient: malformed', '/lenient', [{ head: ['a: b'], end: true }]),
  at('lenient, older field: malformed', '/lenient-older', [{ head: ['a: b'], end: true }]),
  at('too many fields', '/small', [
    { head: [':status: 200', 'a: 1', 'b: 2', 'c: 3', 'd: 4', 'e: 5', 'f: 6'], end: true },
  ]),
  at('too long a head', '/small', [{ head: [':status: 200', `a: ${'x'.repeat(2_000)}`], end: true }]),
];

const upgrade = (path: string, type = 'websocket'): string =>
  request('GET', path, ['connection: Upgrade', `upgrade: ${type}`, 'sec-websocket-key: x']);
const upgrades: readonly Scenario[] = [
  {
    name: 'an upgrade',
    client: [upgrade('/tuned'), { answers: 1 }, 'ping', { bytes: 120 }, { waitMs: 30 }, { close: 'full' }],
    upstreams: { a: { http2: { early: true, replies: [[{ head: [':status: 200', 'x: y'] }, { data: 'hello' }]] } } },
  },
  {
    name: 'an upgrade that is refused',
    client: [upgrade('/plain', 'WebSocket')],
    upstreams: {
      a: {
        http2: { early: true, replies: [[{ head: [':status: 403', 'content-length: 2'] }, { data: 'no', end: true }]] },
      },
    },
  },
  {
    name: 'an upgraded stream ends',
    client: [upgrade('/plain')],
    upstreams: {
      a: {
        http2: { early: true, replies: [[{ head: [':status: 200'] }, { waitMs: 20 }, { data: 'bye', end: true }]] },
      },
    },
  },
  {
    name: 'CONNECT',
    client: [
      'CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\n\r\n',
      { upstreamSaw: 1 },
      'ping',
      { waitMs: 50 },
      { close: 'reset' },
    ],
    upstreams: { a: { http2: { early: true, replies: [[{ head: [':status: 200'] }, { data: 'hello' }]] } } },
  },
];

const grpc = (path: string): string =>
  request('POST', path, ['content-type: application/grpc', 'te: trailers', 'content-length: 5'], '\0\0\0\0\0');
const others: readonly Scenario[] = [
  {
    name: 'gRPC',
    listener: 'trailers',
    client: [grpc('/plain')],
    upstreams: answers([
      { head: [':status: 200', 'content-type: application/grpc'] },
      { data: '\0\0\0\0\0' },
      { head: ['grpc-status: 0'], end: true },
    ]),
  },
  {
    name: 'gRPC, trailers only',
    client: [grpc('/plain')],
    upstreams: answers([{ head: [':status: 200', 'content-type: application/grpc', 'grpc-status: 5'], end: true }]),
  },
  { name: 'gRPC, reset', client: [grpc('/plain')], upstreams: answers([{ reset: 8 }]) },
  { name: 'gRPC, refused connection', client: [grpc('/dead')] },
  at('options', '/tuned'),
  {
    name: 'a PING before a request after a long silence',
    client: [get('/tuned'), { answers: 1 }, { waitMs: 100 }, get('/tuned')],
    answers: 2,
    upstreams: answers(OK),
  },
  at('the older field', '/older'),
  { name: 'as downstream', client: [get('/follows')] },
  { name: 'as downstream, the older field', client: [get('/older-follows')] },
];

export const upstreamHttp2: Group = {
  name: 'upstream-http2',
  listeners: ['main', 'trailers', 'differs'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = [
      { match: { connect_matcher: {} }, route: { cluster: 'plain' } },
      ...['refused-stream', 'reset', 'connect-failure', '5xx'].map((name) => retry(name, name)),
      retry('before', 'reset-before-request'),
      to('/slow', 'plain', { timeout: '0.4s' }),
      to('/try', 'plain', { retry_policy: { retry_on: '5xx', per_try_timeout: '0.4s' } }),
      ...NAMES.map((name) => to(`/${name}`, name)).reverse(),
    ];
    const access_log = [fileLog(log, { protocol: '%UPSTREAM_PROTOCOL%' })];
    const upgrade_configs = [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }];
    const manager = { access_log, upgrade_configs };
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(list), manager),
        http(ports, log, 'trailers', routes(list), { ...manager, http_protocol_options: { enable_trailers: true } }),
        http(ports, log, 'differs', routes(list), manager),
      ],
      clusters(ports),
    );
  },
  stats:
    /^(http\.(?!admin|differs)[^.]+\.(?!.*(bytes|active|buffered))(downstream_rq_.*|rq_.*)|cluster\.(?!differs)[^.]+\.(?!.*active)(upstream_rq_.*|upstream_cx_(total|http[12]_total|connect_fail|close_notify|protocol_error|destroy.*_with_active_rq|max_requests)|http2\.(?!.*(_too_large|pending|deferred)).*))$/,
  scenarios: [...messages, ...resets, ...ends, ...wrong, ...upgrades, ...others],
};
