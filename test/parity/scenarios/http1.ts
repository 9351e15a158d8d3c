// HTTP/1.1 and 1.0 between client and proxy: versions, framing, targets, upgrades, limits, header case.

import { answer, bootstrap, cluster, get, http, httpOptions, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const MANAGERS: Readonly<Record<string, object>> = {
  main: {},
  old: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'default.test' } },
  oldnohost: { http_protocol_options: { accept_http_10: true } },
  trailers: { http_protocol_options: { enable_trailers: true } },
  proper: { http_protocol_options: { header_key_format: { proper_case_words: {} } } },
  preserve: {
    http_protocol_options: {
      header_key_format: {
        stateful_formatter: {
          name: 'preserve_case',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
          },
        },
      },
    },
  },
  expect: { proxy_100_continue: true },
  small: { max_request_headers_kb: 2, common_http_protocol_options: { max_headers_count: 20 } },
  lenient: { http_protocol_options: { allow_chunked_length: true } },
  keeps: { http_protocol_options: { override_stream_error_on_invalid_http_message: true } },
  streamerror: { stream_error_on_invalid_http_message: true },
  upgrades: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
  noabsolute: { http_protocol_options: { allow_absolute_url: false } },
  /** Scenarios in which this proxy differs on purpose. */
  differs: { http_protocol_options: { accept_http_10: true } },
  odd: { http_protocol_options: { allow_custom_methods: true } },
};

const ok: UpstreamScript = {};
const at = (listener: string, name: string, text: string, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  listener,
  client: [text],
  upstreams: { a: ok },
  ...extra,
});
const replies = (...list: string[]): Readonly<Record<string, UpstreamScript>> => ({
  a: { replies: list.map((text) => [text]) },
});
const head = (line: string, ...headers: string[]): string => `${[line, ...headers].join('\r\n')}\r\n\r\n`;

export const http1: Group = {
  name: 'http1',
  listeners: Object.keys(MANAGERS),
  upstreams: ['a', 'raw'],
  bootstrap: (ports, log) => {
    const list = routes([
      to('/upgrade-here', 'a', { upgrade_configs: [{ upgrade_type: 'special' }] }),
      to('/upgrade-off', 'a', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] }),
      to('/cased', 'cased'),
      to('/trailers', 'trailers'),
      { match: { path: '/direct' }, direct_response: { status: 200, body: { inline_string: 'direct' } } },
      to('/', 'a'),
    ]);
    return bootstrap(
      ports,
      Object.entries(MANAGERS).map(([name, manager]) =>
        http(ports, log, name, name === 'differs' ? routes([to('/', 'differs')]) : list, manager),
      ),
      [
        cluster('a', [ports['a']]),
        cluster('differs', [ports['a']]),
        cluster('cased', [ports['a']], httpOptions({ header_key_format: { proper_case_words: {} } })),
        cluster('trailers', [ports['a']], httpOptions({ enable_trailers: true })),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    at('main', 'HTTP/1.0 refused', head('GET / HTTP/1.0', 'host: a.example')),
    at('old', 'HTTP/1.0 closes', head('GET / HTTP/1.0', 'host: a.example')),
    at('old', 'HTTP/1.0 keeps alive when asked', head('GET / HTTP/1.0', 'host: a.example', 'connection: keep-alive')),
    at('old', 'HTTP/1.0 without host', head('GET / HTTP/1.0')),
    at('oldnohost', 'HTTP/1.0 without host and default', head('GET / HTTP/1.0')),
    at('old', 'HTTP/1.0 never gets chunks', head('GET / HTTP/1.0', 'host: a.example'), {
      upstreams: replies('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
    }),
    at(
      'differs',
      'HTTP/1.0 and chunked request',
      `${head('POST / HTTP/1.0', 'host: a.example', 'transfer-encoding: chunked')}2\r\nhi\r\n0\r\n\r\n`,
      {
        differs: {
          why: 'HTTP/1.0 has no chunks, and a relay in front may read the body in another way (RFC 9112 §6.1): refused with 400',
          ours: 'HTTP/1.0 400 Bad Request',
          parts: ['answers', 'upstream', 'log'],
        },
      },
    ),
    at('main', 'HTTP/0.9 refused', 'GET /\r\n\r\n'),
    at('main', 'HTTP/0.9 without a path', 'GET nothing\r\n\r\n'),
    at('main', 'QUERY without content type', head('QUERY / HTTP/1.1', 'host: a.example')),
    at('main', 'QUERY', request('QUERY', '/', ['content-type: text/plain', 'content-length: 2'], 'hi')),
    at('main', 'HTTP/1.2', head('GET / HTTP/1.2', 'host: a.example')),
    at('main', 'HTTP/3.0', head('GET / HTTP/3.0', 'host: a.example')),
    at('main', 'no host', head('GET / HTTP/1.1')),
    at('main', 'empty host', head('GET / HTTP/1.1', 'host:')),
    at('differs', 'two hosts', head('GET / HTTP/1.1', 'host: a.example', 'host: b.example'), {
      differs: {
        why: 'two Host headers are refused with 400 (RFC 9112 §3.2); Envoy joins them with a comma',
        ours: 'HTTP/1.1 400 Bad Request',
        parts: ['answers', 'end', 'upstream', 'log'],
      },
    }),
    at('main', 'close asked for', get('/', 'connection: close')),
    at('main', 'pipelined requests', get('/1') + get('/2') + get('/3'), { answers: 3 }),
    at(
      'main',
      'pipelined with bodies',
      request('POST', '/1', ['content-length: 2'], 'ab') +
        request('POST', '/2', ['transfer-encoding: chunked'], '1\r\nc\r\n0\r\n\r\n') +
        get('/3'),
      { answers: 3 },
    ),
    at('main', 'empty lines before a request', `\r\n\r\n${get('/')}`),
    { name: 'request in single bytes', client: [...get('/bytes', 'x-a: b')], upstreams: { a: ok } },
    at('main', 'HEAD', request('HEAD', '/', []), {
      bodiless: true,
      upstreams: replies('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'),
    }),
    at('main', 'HEAD answered without length', request('HEAD', '/', []), {
      bodiless: true,
      upstreams: replies('HTTP/1.1 200 OK\r\n\r\n'),
    }),
    at('main', 'HEAD answered chunked', request('HEAD', '/', []), {
      bodiless: true,
      upstreams: replies('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'),
    }),
    at('main', '204 answer', get('/'), { upstreams: replies('HTTP/1.1 204 No Content\r\n\r\n') }),
    at('main', '304 answer', get('/'), { upstreams: replies('HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n') }),
    at('main', 'chunked answer', get('/'), {
      upstreams: replies(
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;ext=1\r\ntwo\r\n0\r\n\r\n',
      ),
    }),
    at('main', 'chunked answer with trailers dropped', get('/'), {
      upstreams: replies('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n'),
    }),
    at('trailers', 'chunked answer with trailers', get('/trailers'), {
      upstreams: replies('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n'),
    }),
    at('main', 'chunked request', request('POST', '/', ['transfer-encoding: chunked'], '4\r\nbody\r\n0\r\n\r\n')),
    at(
      'main',
      'chunked request with trailers dropped',
      request('POST', '/', ['transfer-encoding: chunked'], '2\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n'),
    ),
    at(
      'trailers',
      'chunked request with trailers',
      request('POST', '/trailers', ['transfer-encoding: chunked'], '2\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n'),
    ),
    at(
      'main',
      'Transfer-Encoding in capitals',
      request('POST', '/', ['Transfer-Encoding: Chunked'], '2\r\nhi\r\n0\r\n\r\n'),
    ),
    at('main', 'empty POST without length', request('POST', '/', [])),
    at('main', 'body of GET', request('GET', '/', ['content-length: 4'], 'body')),
    {
      name: 'expect 100 answered by the proxy',
      client: [request('POST', '/', ['expect: 100-continue', 'content-length: 4']), { waitMs: 50 }, 'body'],
      upstreams: { a: ok },
    },
    {
      name: 'expect 100 passed on',
      listener: 'expect',
      client: [request('POST', '/', ['expect: 100-continue', 'content-length: 4']), { bytes: 20 }, 'body'],
      upstreams: {
        a: { early: true, replies: [['HTTP/1.1 100 Continue\r\n\r\n', { waitMs: 40 }, answer('200 OK', [], 'done')]] },
      },
    },
    {
      name: 'expect 100 refused by the upstream',
      listener: 'expect',
      client: [request('POST', '/', ['expect: 100-continue', 'content-length: 4'])],
      upstreams: { a: { early: true, replies: [[answer('417 Expectation Failed')]] } },
    },
    at('main', 'expect of something else', request('POST', '/', ['expect: miracles', 'content-length: 2'], 'hi')),
    at(
      'main',
      'expect 100 with HTTP/1.1 direct answer',
      request('POST', '/direct', ['expect: 100-continue', 'content-length: 2'], 'hi'),
    ),
    at('main', 'absolute target', head('GET http://b.example:81/abs?q HTTP/1.1', 'host: a.example')),
    at('main', 'absolute target https', head('GET https://b.example/abs HTTP/1.1', 'host: a.example')),
    at('main', 'absolute target without path', head('GET http://b.example HTTP/1.1', 'host: a.example')),
    at('main', 'absolute target with query only', head('GET http://b.example?q=1 HTTP/1.1', 'host: a.example')),
    at('main', 'absolute target of another scheme', head('GET ftp://b.example/x HTTP/1.1', 'host: a.example')),
    at('noabsolute', 'absolute target not allowed', head('GET http://b.example/abs HTTP/1.1', 'host: a.example')),
    at('main', 'OPTIONS of everything', head('OPTIONS * HTTP/1.1', 'host: a.example')),
    at('main', 'GET of everything', head('GET * HTTP/1.1', 'host: a.example')),
    at('main', 'target without slash', head('GET nothing HTTP/1.1', 'host: a.example')),
    at('main', 'CONNECT refused', head('CONNECT b.example:443 HTTP/1.1', 'host: b.example:443')),
    at('main', 'CONNECT with a path', head('CONNECT /x HTTP/1.1', 'host: b.example:443')),
    at('main', 'upgrade refused', get('/', 'connection: upgrade', 'upgrade: websocket')),
    at('upgrades', 'upgrade of another kind refused', get('/', 'connection: upgrade', 'upgrade: other')),
    at(
      'upgrades',
      'upgrade switched off by the route',
      get('/upgrade-off', 'connection: upgrade', 'upgrade: websocket'),
    ),
    at('upgrades', 'upgrade answered plainly', get('/', 'connection: upgrade', 'upgrade: websocket')),
    at('upgrades', 'upgrade refused by the upstream', get('/', 'connection: upgrade', 'upgrade: websocket'), {
      upstreams: { a: { early: true, replies: [[answer('403 Forbidden', ['x-why: not'], 'no')]] } },
    }),
    at('upgrades', 'upgrade answered plainly, with headers', get('/', 'connection: upgrade', 'upgrade: websocket'), {
      upstreams: { a: { early: true, replies: [[answer('200 OK', ['x-why: not', 'content-type: a/b'], 'no')]] } },
    }),
    {
      name: 'upgrade accepted',
      listener: 'upgrades',
      answers: 1,
      client: [
        get('/', 'connection: Upgrade', 'upgrade: WebSocket'),
        { answers: 1 },
        'ping',
        { bytes: 200 },
        { waitMs: 50 },
        { close: 'fin' },
      ],
      upstreams: {
        a: {
          raw: [
            { read: 60 },
            'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
            'hello',
            { waitMs: 100 },
            'pong',
          ],
        },
      },
    },
    {
      name: 'upgrade allowed by the route',
      client: [
        get('/upgrade-here', 'connection: upgrade', 'upgrade: special'),
        { answers: 1 },
        { waitMs: 30 },
        { close: 'fin' },
      ],
      upstreams: {
        a: {
          raw: [
            { read: 60 },
            'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: special\r\n\r\n',
            'hi',
          ],
        },
      },
    },
    at(
      'main',
      'h2c upgrade stripped',
      get('/', 'connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAARAAAAAAAIAAAAA'),
    ),
    at('main', 'upgrade header without connection', get('/', 'upgrade: websocket')),
    at(
      'main',
      'too large a head',
      get('/', ...Array.from({ length: 9 }, (_, i) => `x-big-${i}: ${'v'.repeat(8_000)}`)),
    ),
    at('main', 'too many headers', get('/', ...Array.from({ length: 101 }, (_, i) => `x-${i}: v`))),
    at('main', 'as many headers as allowed', get('/', ...Array.from({ length: 99 }, (_, i) => `x-${i}: v`))),
    at('small', 'too large a head for a small limit', get('/', `x-big: ${'v'.repeat(2_100)}`)),
    at('small', 'too long a target for a small limit', get(`/${'p'.repeat(2_100)}`)),
    at('small', 'too many headers for a small limit', get('/', ...Array.from({ length: 25 }, (_, i) => `x-${i}: v`))),
    at(
      'trailers',
      'too many trailers',
      request('POST', '/trailers', ['transfer-encoding: chunked'], `2\r\nhi\r\n0\r\n${'x-t: 1\r\n'.repeat(101)}\r\n`),
    ),
    at('proper', 'answer headers in proper case', get('/'), {
      upstreams: replies(answer('200 OK', ['x-some_thing-else: 1'])),
    }),
    at('preserve', 'headers in their own case', get('/', 'X-cLiEnT: 1', 'User-AGENT: me'), {
      upstreams: replies(answer('200 OK', ['X-uPsTrEaM: 1', 'Content-TYPE: text/plain'])),
    }),
    at('main', 'upstream headers in proper case', get('/cased', 'X-cLiEnT: 1')),
    at('main', 'local answer after an error closes', head('BAD')),
    at('keeps', 'connection kept after a bad message', head('GET / HTTP/1.1') + get('/next'), {
      answers: 2,
    }),
    at('streamerror', 'stream error on a bad message', head('GET / HTTP/1.1') + get('/next'), {
      answers: 2,
    }),
    at('main', 'connection closed after a bad message', head('GET / HTTP/1.1') + get('/next'), {
      answers: 2,
    }),
    at(
      'lenient',
      'chunked wins over length when allowed',
      request('POST', '/', ['content-length: 3', 'transfer-encoding: chunked'], '2\r\nhi\r\n0\r\n\r\n'),
    ),
    at('main', 'custom method', head('BREW / HTTP/1.1', 'host: a.example')),
    at('odd', 'custom method allowed', head('BREW / HTTP/1.1', 'host: a.example')),
    at('odd', 'lower-case method allowed', head('get / HTTP/1.1', 'host: a.example')),
    at('main', 'known method of WebDAV', head('PROPFIND / HTTP/1.1', 'host: a.example')),
    at(
      'main',
      'header values keep bytes and lose outer space',
      get('/', 'x-utf8: gr\u00c3\u00bcn', 'x-space: \t  in  side  \t', 'x-empty:'),
    ),
    at('main', 'answer header values keep bytes', get('/'), {
      upstreams: replies(answer('200 OK', ['x-latin: caf\u00e9', 'x-empty:'])),
    }),
    at('main', 'repeated headers stay apart', get('/', 'x-r: 1', 'x-r: 2', 'accept: a', 'accept: b'), {
      upstreams: replies(answer('200 OK', ['set-cookie: a=1', 'set-cookie: b=2', 'x-r: 1', 'x-r: 2'])),
    }),
  ],
};
