// HTTP/2 from clients: protocol choice, options, every way a stream or a connection ends, upgrades.

import { answer, bootstrap, cluster, http, routes, STATS, to } from '../config.ts';
import { ask, block, data, frame, goaway, headers, ping, preface, reset, uint, windowUpdate } from '../frames.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const NO_ERROR = 0;
const REFUSED_STREAM = 7;
const CANCEL = 8;

const SLOW: Record<string, UpstreamScript> = { a: { replies: [[{ waitMs: 2_000 }, answer('200 OK')]] } };
const HALF: Record<string, UpstreamScript> = {
  a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', { waitMs: 2_000 }]] },
};
const EARLY: Record<string, UpstreamScript> = { a: { early: true, replies: [[answer('200 OK', [], 'early')]] } };
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';

const OPEN = preface();
const START = preface();

/** Manager options by listener; the delay before a close is short, or most scenarios would take a second. */
const LISTENERS: Readonly<Record<string, object>> = {
  main: {},
  only: { codec_type: 'HTTP2' },
  http1: { codec_type: 'HTTP1' },
  tuned: {
    http2_protocol_options: {
      hpack_table_size: 1_024,
      max_concurrent_streams: 2,
      initial_stream_window_size: 70_000,
      initial_connection_window_size: 80_000,
      max_outbound_frames: 500,
      max_outbound_control_frames: 20,
      max_consecutive_inbound_frames_with_empty_payload: 3,
      max_inbound_priority_frames_per_stream: 5,
      max_inbound_window_update_frames_per_data_frame_sent: 1,
      custom_settings_parameters: [{ identifier: 99, value: 7 }],
    },
  },
  lenient: { http2_protocol_options: { override_stream_error_on_invalid_http_message: true } },
  tolerant: { stream_error_on_invalid_http_message: true },
  idle: { drain_timeout: '0.1s', common_http_protocol_options: { idle_timeout: '0.4s' } },
  age: { drain_timeout: '1s', common_http_protocol_options: { max_connection_duration: '0.4s' } },
  few: { drain_timeout: '1s', common_http_protocol_options: { max_requests_per_connection: 2 } },
  request: { request_timeout: '0.15s' },
  heads: { request_headers_timeout: '0.15s' },
  stream: { stream_idle_timeout: '0.4s' },
  duration: { common_http_protocol_options: { max_stream_duration: '0.4s' } },
  flush: { stream_flush_timeout: '0.15s' },
  alive: {
    http2_protocol_options: {
      connection_keepalive: { interval: '0.2s', timeout: '0.8s', interval_jitter: { value: 0 } },
    },
  },
  strict: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
  dropping: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  small: { max_request_headers_kb: 1, common_http_protocol_options: { max_headers_count: 8 } },
  continuing: { proxy_100_continue: true },
  connect: {
    http2_protocol_options: { allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }],
  },
  burst: { http2_protocol_options: { stream_reset_burst: 3, stream_reset_rate: 1 } },
};

function at(listener: string, name: string, bytes: string, extra: Partial<Scenario> = {}): Scenario {
  const { client = [], ...more } = extra;
  return { name, listener, http2: 'polite', client: [START + bytes, ...client], ...more };
}

/** The answer is the end of the connection. */
const closes: Partial<Scenario> = { answers: 0 };
const post = (stream: number, path: string, more: readonly string[] = []): string =>
  ask(stream, path, more, 'POST', false);

export const http2: Group = {
  name: 'http2',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  stats: STATS,
  bootstrap: (ports, log) => {
    const list = routes([
      { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
      { match: { prefix: '/empty' }, direct_response: { status: 204 } },
      { match: { prefix: '/long' }, direct_response: { status: 200, body: { inline_string: 'x'.repeat(100) } } },
      { match: { connect_matcher: {} }, route: { cluster: 'a' } },
      to('/dead', 'dead'),
      to('/timeout', 'a', { timeout: '0.1s' }),
      to('/', 'a'),
    ]);
    const manager = ([name, extra]: [string, object]): object =>
      http(ports, log, name, list, { delayed_close_timeout: '0.1s', ...extra });
    return bootstrap(ports, Object.entries(LISTENERS).map(manager), [
      cluster('a', [ports['a']]),
      cluster('dead', [ports['dead']]),
    ]);
  },
  scenarios: [
    // Which protocol
    at('main', 'prior knowledge', ask(1, '/')),
    at('main', 'preface alone', '', { answers: 0, client: [{ waitMs: 30 }, { close: 'fin' }] }),
    {
      name: 'preface cut in two',
      client: [START.slice(0, 5), { waitMs: 30 }, START.slice(5) + ask(1, '/')],
      answers: 0,
    },
    at('only', 'HTTP/2 where nothing else is spoken', ask(1, '/')),
    {
      name: 'HTTP/1 where only HTTP/2 is spoken',
      listener: 'only',
      client: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
      answers: 0,
    },
    { name: 'HTTP/2 where only HTTP/1 is spoken', listener: 'http1', client: [START + ask(1, '/')], answers: 0 },
    { name: 'HTTP/1 beside HTTP/2', client: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'] },

    // Requests and answers
    at('main', 'a local answer', ask(1, '/direct')),
    at('main', 'no body', ask(1, '/empty')),
    at('main', 'three streams', ask(1, '/direct') + ask(3, '/direct') + ask(5, '/direct'), { answers: 3 }),
    at('main', 'HEAD', ask(1, '/direct', [], 'HEAD')),
    at('main', 'POST without a body', ask(1, '/', [], 'POST')),
    at('main', 'POST with a length', post(1, '/', ['content-length: 3']) + data(1, 'abc', true)),
    at('main', 'POST without a length', post(1, '/') + data(1, 'ab') + data(1, 'c', true)),
    at('main', 'POST that ends empty', post(1, '/') + data(1, '', true)),
    at('main', 'request trailers', post(1, '/', ['te: trailers']) + data(1, 'abc') + headers(1, ['x-t: v'])),
    at('main', 'cookies are joined', ask(1, '/', ['cookie: a=1', 'x: y', 'cookie: b=2'])),
    at('main', 'host beside :authority', ask(1, '/', ['host: other.example'])),
    at('main', 'host instead of :authority', headers(1, [':method: GET', ':scheme: http', ':path: /', 'host: h'])),
    at('main', 'scheme https', headers(1, [':method: GET', ':scheme: https', ':authority: a', ':path: /'])),
    at('main', 'unknown scheme', headers(1, [':method: GET', ':scheme: foo', ':authority: a', ':path: /'])),
    at('main', 'OPTIONS *', ask(1, '*', [], 'OPTIONS')),
    at('main', 'QUERY without a type', ask(1, '/', [], 'QUERY')),
    at('main', 'expect', post(1, '/', ['expect: 100-continue']), {
      client: [{ waitMs: 30 }, data(1, 'abc', true)],
    }),
    at('continuing', 'expect, passed on', post(1, '/', ['expect: 100-continue']) + data(1, 'abc', true), {
      upstreams: { a: { replies: [['HTTP/1.1 100 Continue\r\n\r\n', answer('200 OK', [], 'ok')]] } },
    }),
    at('continuing', 'early hints', ask(1, '/'), {
      upstreams: { a: { replies: [['HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n', answer('200 OK', [], 'ok')]] } },
    }),
    at('main', 'headers of a connection from upstream', ask(1, '/'), {
      upstreams: { a: { replies: [[answer('200 OK', ['connection: x-hop', 'x-hop: 1', 'keep-alive: 5'], 'ok')]] } },
    }),
    at('main', 'an answer in chunks', ask(1, '/'), {
      upstreams: { a: { replies: [['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n']] } },
    }),
    at('main', 'gRPC, answered locally', ask(1, '/dead', ['content-type: application/grpc', 'te: trailers'], 'POST')),
    at('main', 'a ping', ping() + ask(1, '/direct')),

    // Ends of streams
    at('main', 'answered before the body', post(1, '/'), { upstreams: EARLY, client: [{ waitMs: 60 }] }),
    at('main', 'answered locally before the body', post(1, '/direct'), {
      client: [{ waitMs: 60 }, data(1, 'x', true) + ask(3, '/direct')],
      answers: 2,
    }),
    at('main', 'the client cancels before the head', ask(1, '/'), {
      upstreams: SLOW,
      client: [{ upstreamSaw: 1 }, reset(1, CANCEL) + ask(3, '/direct')],
    }),
    at('main', 'the client cancels without an error', ask(1, '/'), {
      upstreams: SLOW,
      client: [{ upstreamSaw: 1 }, reset(1, NO_ERROR) + ask(3, '/direct')],
    }),
    at('main', 'the client refuses', ask(1, '/'), {
      upstreams: SLOW,
      client: [{ upstreamSaw: 1 }, reset(1, REFUSED_STREAM) + ask(3, '/direct')],
    }),
    at('main', 'the client cancels the body of the answer', ask(1, '/'), {
      upstreams: HALF,
      client: [{ bytes: 100 }, { waitMs: 30 }, reset(1, CANCEL) + ask(3, '/direct')],
    }),
    at('main', 'the client cancels its own body', post(1, '/'), {
      client: [{ upstreamSaw: 1 }, reset(1, CANCEL) + ask(3, '/direct')],
    }),
    at('main', 'the client ends the connection', ask(1, '/'), {
      upstreams: SLOW,
      client: [{ upstreamSaw: 1 }, { close: 'fin' }],
      answers: 0,
    }),
    at('main', 'the client says goodbye', ask(1, '/direct') + goaway(0, 0) + ask(3, '/direct'), { answers: 2 }),
    at('main', 'the upstream breaks off', ask(1, '/'), {
      upstreams: { a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', { close: 'fin' }]] } },
    }),
    at('main', 'the upstream is gone', ask(1, '/dead')),
    at('main', 'the route’s time is over', ask(1, '/timeout'), { upstreams: SLOW }),
    at('request', 'the request takes too long', post(1, '/'), {
      client: [{ answers: 1 }, ask(3, '/direct')],
      answers: 2,
    }),
    at('heads', 'the head takes too long', frame(1, 0, 1, block([':method: GET'])), { http2: 'mute' }),
    at('stream', 'nothing moves before the head', ask(1, '/'), { upstreams: SLOW }),
    at('stream', 'nothing moves within the answer', ask(1, '/'), { upstreams: HALF }),
    at('stream', 'nothing moves within the request', post(1, '/')),
    at('duration', 'the stream takes too long', ask(1, '/'), { upstreams: SLOW }),
    at('duration', 'the answer takes too long', ask(1, '/'), { upstreams: HALF }),
    {
      name: 'an answer that is not read',
      listener: 'flush',
      http2: 'polite',
      client: [preface([4, 10]) + ask(1, '/long')],
    },

    // Bad messages
    at('main', 'a name in upper case', ask(1, '/', ['Bad: x']), closes),
    at('main', 'a name in upper case beside a good stream', ask(1, '/') + ask(3, '/', ['Bad: x']), {
      upstreams: SLOW,
      answers: 0,
    }),
    at('lenient', 'a name in upper case ends its stream alone', ask(1, '/', ['Bad: x']) + ask(3, '/direct'), {
      answers: 2,
    }),
    at('tolerant', 'the manager says so', ask(1, '/', ['Bad: x']) + ask(3, '/direct'), { answers: 2 }),
    at('lenient', 'a header of a connection', ask(1, '/', ['connection: close'])),
    at('lenient', 'te', ask(1, '/', ['te: gzip'])),
    at('lenient', 'no host', headers(1, [':method: GET', ':scheme: http', ':path: /'])),
    at('lenient', 'no path', headers(1, [':method: GET', ':scheme: http', ':authority: a'])),
    at('lenient', 'a path without a slash', ask(1, 'direct')),
    at('lenient', 'less body than said', post(1, '/', ['content-length: 5']) + data(1, 'abc', true)),
    at('small', 'too large a head', ask(1, '/', [`x: ${'y'.repeat(1_200)}`]) + ask(3, '/direct'), { answers: 2 }),
    at('small', 'too many headers', ask(1, '/', ['a: 1', 'b: 1', 'c: 1', 'd: 1', 'e: 1', 'f: 1']) + ask(3, '/direct'), {
      answers: 2,
    }),
    at('strict', 'an underscore', ask(1, '/', ['a_b: c']) + ask(3, '/direct'), { answers: 2 }),
    at('dropping', 'an underscore, dropped', ask(1, '/', ['a_b: c'])),
    at('main', 'data on no stream', frame(0, 0, 0, 'a'), closes),

    // Limits
    {
      name: 'options of the codec',
      listener: 'tuned',
      http2: 'mute',
      client: [START + ask(1, '/', ['x: 1']) + ask(3, '/', ['x: 2']) + ask(5, '/'), { waitMs: 60 }],
      upstreams: { a: { replies: [[{ waitMs: 200 }, answer('200 OK', [], 'ok')]] } },
      answers: 3,
    },
    at('tuned', 'empty frames', post(1, '/') + data(1, '').repeat(4), closes),
    at('tuned', 'as many empty frames as allowed', post(1, '/') + data(1, '').repeat(3) + data(1, 'a', true)),
    at('tuned', 'PRIORITY frames', frame(2, 0, 3, uint(0, 5)).repeat(6), closes),
    at('tuned', 'WINDOW_UPDATE frames', windowUpdate(0, 1).repeat(6), closes),
    at('burst', 'resets', [1, 3, 5, 7].map((id) => ask(id, '/') + reset(id, CANCEL)).join(''), {
      upstreams: SLOW,
      answers: 0,
    }),
    at(
      'main',
      'premature resets',
      Array.from({ length: 250 }, (_, i) => ask(2 * i + 1, '/') + reset(2 * i + 1, CANCEL)).join(''),
      { upstreams: SLOW, answers: 0 },
    ),

    // The end of the connection
    at('idle', 'nothing to do', ask(1, '/direct'), closes),
    { name: 'never a word', listener: 'idle', client: [], answers: 0 },
    at('age', 'too old', ask(1, '/direct'), { client: [{ waitMs: 500 }, ask(3, '/direct')], answers: 0 }),
    at('few', 'too many requests', ask(1, '/direct') + ask(3, '/direct'), {
      client: [{ waitMs: 40 }, ask(5, '/direct')],
      answers: 0,
    }),
    { name: 'no answer to a ping', listener: 'alive', http2: 'mute', client: [OPEN + ask(1, '/direct')], answers: 0 },
    at('alive', 'pings are answered', ask(1, '/direct'), { client: [{ waitMs: 1_100 }] }),

    // Upgrades
    at(
      'connect',
      'WebSocket',
      headers(
        1,
        [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a.example', ':path: /ws'],
        false,
      ),
      {
        upstreams: { a: { raw: [{ read: 60 }, `${SWITCH}up`] } },
        client: [{ bytes: 60 }, data(1, 'down'), { waitMs: 60 }, { close: 'full' }],
      },
    ),
    at(
      'connect',
      'WebSocket, refused by the upstream',
      headers(
        1,
        [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a.example', ':path: /ws'],
        false,
      ),
      {
        upstreams: { a: { early: true, replies: [[answer('403 Forbidden', ['x-why: not'], 'no')]] } },
        client: [{ waitMs: 60 }],
      },
    ),
    at(
      'connect',
      'WebSocket, answered plainly',
      headers(
        1,
        [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a.example', ':path: /ws'],
        false,
      ),
      {
        upstreams: { a: { early: true, replies: [[answer('200 OK', ['x-why: not'], 'no')]] } },
        client: [{ waitMs: 60 }],
      },
    ),
    at(
      'connect',
      'an upgrade that is not configured',
      headers(
        1,
        [':method: CONNECT', ':protocol: other', ':scheme: http', ':authority: a.example', ':path: /ws'],
        false,
      ),
      { client: [{ waitMs: 60 }] },
    ),
    at(
      'main',
      'extended CONNECT that was not announced',
      headers(1, [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a', ':path: /'], false),
      closes,
    ),
    at('connect', 'CONNECT', headers(1, [':method: CONNECT', ':authority: a.example:80'], false), {
      upstreams: { a: { raw: [{ read: 60 }, 'HTTP/1.1 200 OK\r\n\r\nup'] } },
      client: [{ bytes: 60 }, data(1, 'down'), { waitMs: 60 }, { close: 'full' }],
    }),
    at(
      'connect',
      'CONNECT, closed by the upstream',
      headers(1, [':method: CONNECT', ':authority: a.example:80'], false),
      {
        upstreams: { a: { raw: [{ read: 60 }, 'HTTP/1.1 200 OK\r\n\r\nup', { waitMs: 40 }, { close: 'full' }] } },
      },
    ),
    at('main', 'CONNECT that is not configured', headers(1, [':method: CONNECT', ':authority: a.example:80'], false), {
      client: [{ waitMs: 60 }],
    }),
  ],
};
