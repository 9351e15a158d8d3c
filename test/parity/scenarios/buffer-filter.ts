// The buffer filter: a request goes on when it is there as a whole.

import { answer, bootstrap, cluster, get, http, httpOptions, request, router, routes, STATS, to } from '../config.ts';
import { data, ask as framed, headers, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.';
const buffer = (config: object): object => ({
  name: 'buffer',
  typed_config: { '@type': `${TYPE}buffer.v3.Buffer`, ...config },
});
const perRoute = (config: object): object => ({
  typed_per_filter_config: { buffer: { '@type': `${TYPE}buffer.v3.BufferPerRoute`, ...config } },
});

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const chunked = (path: string): string =>
  `POST ${path} HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n`;
const END = '0\r\n\r\n';
const TRAILERS = '0\r\nx-t: v\r\n\r\n';
const pause = { waitMs: 30 };

const all = (name: string, extra: Partial<Scenario>): Scenario => ({ name, client: [], ...extra });
const framedPost = (path: string, ...parts: string[]): Partial<Scenario> => ({
  http2: 'polite',
  client: [preface() + framed(1, path, [], 'POST', false), ...parts.flatMap((part) => [pause, part])],
});

export const bufferFilter: Group = {
  name: 'buffer-filter',
  listeners: ['main', 'proxied', 'small'],
  upstreams: ['a', 'h2'],
  bootstrap: (ports, log) => {
    const list = routes([
      to('/off', 'a', {}, perRoute({ disabled: true })),
      to('/less', 'a', {}, perRoute({ buffer: { max_request_bytes: 4 } })),
      to('/more', 'a', {}, perRoute({ buffer: { max_request_bytes: 100_000 } })),
      to('/retry', 'a', { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } }),
      to('/timeout', 'a', { timeout: '0.4s' }),
      to('/h2', 'h2'),
      { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
      to('/dead', 'dead'),
      to('/a', 'a'),
    ]);
    const manager = (name: string, config: object, listener: object = {}): object =>
      http(
        ports,
        log,
        name,
        list,
        {
          http_filters: [buffer({ max_request_bytes: 10 }), router({})],
          http_protocol_options: { enable_trailers: true },
          delayed_close_timeout: '0.4s',
          ...config,
        },
        listener,
      );
    return bootstrap(
      ports,
      [
        manager('main', {}),
        manager('proxied', { proxy_100_continue: true, request_timeout: '0.5s' }),
        manager('small', {}, { per_connection_buffer_limit_bytes: 6 }),
      ],
      [
        cluster('a', [ports['a']], httpOptions({ enable_trailers: true })),
        cluster('h2', [ports['h2']], {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }),
        cluster('dead', [ports['dead']]),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    all('no body', { client: [get('/a')] }),
    all('a body at once', { client: [request('POST', '/a', ['content-length: 5'], 'hello')] }),
    all('a body in pieces', { client: [request('POST', '/a', ['content-length: 5'], 'he'), pause, 'll', pause, 'o'] }),
    all('chunks', { client: [chunked('/a') + chunk('he'), pause, chunk('llo') + END] }),
    all('chunks at once', { client: [chunked('/a') + chunk('he') + chunk('llo') + END] }),
    all('chunks that hold nothing', { client: [chunked('/a') + END] }),
    all('chunks and trailers', { client: [chunked('/a') + chunk('hello'), pause, TRAILERS] }),
    all('trailers alone', { client: [chunked('/a') + TRAILERS] }),
    all('as long as may be', { client: [request('POST', '/a', ['content-length: 10'], '0123456789')] }),
    all('too long', { client: [request('POST', '/a', ['content-length: 11'], '0123456789a')] }),
    all('too long in pieces', { client: [chunked('/a') + chunk('0123456789'), pause, chunk('a') + END] }),
    all('too long without an end', { client: [chunked('/a') + chunk('0123456789'), pause, chunk('a')] }),
    all('too long, HEAD', { client: [request('HEAD', '/a', ['content-length: 11'], '0123456789a')], bodiless: true }),
    all('off by route', { client: [chunked('/off') + chunk('0123456789a'), pause, END] }),
    all('less by route', { client: [request('POST', '/less', ['content-length: 5'], 'hello')] }),
    all('less by route, fits', { client: [request('POST', '/less', ['content-length: 4'], 'hell')] }),
    all('more by route', {
      client: [request('POST', '/more', ['content-length: 50000'], 'x'.repeat(20_000)), pause, 'x'.repeat(30_000)],
    }),
    all('no route', { client: [request('POST', '/nowhere', ['content-length: 5'], 'he'), pause, 'llo'] }),
    all('too long, no route', { client: [request('POST', '/nowhere', ['content-length: 11'], '0123456789a')] }),
    all('an answer of the proxy', { client: [request('POST', '/direct', ['content-length: 5'], 'he'), pause, 'llo'] }),
    all('no connection', { client: [request('POST', '/dead', ['content-length: 5'], 'hello')] }),
    all('retried', {
      client: [chunked('/retry') + chunk('hello'), pause, END],
      upstreams: { a: { replies: [[answer('503 Busy')], [answer('200 OK')]] } },
    }),
    all('the route has time from the end of the body', {
      client: [request('POST', '/timeout', ['content-length: 5'], 'he'), { waitMs: 500 }, 'llo'],
    }),
    all('continue', {
      client: [request('POST', '/a', ['content-length: 5', 'expect: 100-continue']), pause, 'hello'],
      answers: 1,
    }),
    all('continue is for the upstream', {
      listener: 'proxied',
      client: [request('POST', '/a', ['content-length: 5', 'expect: 100-continue']), pause, 'hello'],
    }),
    all('the request takes too long', {
      listener: 'proxied',
      client: [request('POST', '/a', ['content-length: 5'], 'he')],
    }),
    all('the limit of the filter, not of the listener', {
      listener: 'small',
      client: [request('POST', '/a', ['content-length: 8'], '01234'), pause, '567'],
    }),
    all('too long beside the limit of the listener', {
      listener: 'small',
      client: [request('POST', '/a', ['content-length: 11'], '01234'), pause, '56789a'],
    }),
    all('frames: a body', framedPost('/a', data(1, 'he'), data(1, 'llo', true))),
    all('frames: an end alone', framedPost('/a', data(1, 'hello'), data(1, '', true))),
    all('frames: trailers', framedPost('/a', data(1, 'hello'), headers(1, ['x-t: v']))),
    all('frames: as long as may be', framedPost('/a', data(1, '0123456789', true))),
    all('frames: too long at once', framedPost('/a', data(1, '0123456789a', true))),
    all('frames: too long at the end', framedPost('/a', data(1, '0123456789'), data(1, 'a', true))),
    all('frames: too long', framedPost('/a', data(1, '0123456789'), data(1, 'a'))),
    all('frames: off by route', framedPost('/off', data(1, '0123456789'), data(1, 'a', true))),
    all('to HTTP/2', {
      client: [chunked('/h2') + chunk('he'), pause, chunk('llo') + END],
      upstreams: { h2: { http2: {} } },
    }),
    all('to HTTP/2 with trailers', {
      client: [chunked('/h2') + chunk('he'), pause, chunk('llo') + TRAILERS],
      upstreams: { h2: { http2: {} } },
    }),
  ],
};
