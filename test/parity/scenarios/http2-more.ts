// More of HTTP/2 from clients: how long one field may be, bytes that are no ASCII, METADATA frames.

import { bootstrap, cluster, http, routes, STATS, to } from '../config.ts';
import { block, data, frame, headers, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

const HEADERS = 1;
const CONTINUATION = 9;
/** Envoy's extension. */
const METADATA = 0x4d;
const END_STREAM = 1;
const END_HEADERS = 4;
const END_METADATA = 4;
/** Of a frame's payload. */
const PIECE_BYTES = 16_000;
const KIB = 1_024;

const LISTENERS: Readonly<Record<string, object>> = {
  main: {},
  wide: { max_header_field_size_kb: 80 },
  narrow: { max_header_field_size_kb: 64 },
  ascii: { disallow_obs_text: true },
};

const GET = [':method: GET', ':scheme: http', ':authority: a', ':path: /'];
const POST = [':method: POST', ':scheme: http', ':authority: a', ':path: /'];

/** A length in HPACK, of strings as they are. */
function length(bytes: number): string {
  if (bytes < 127) return String.fromCharCode(bytes);
  let out = '\x7f';
  let left = bytes - 127;
  for (; left >= 128; left >>= 7) out += String.fromCharCode((left & 127) | 128);
  return out + String.fromCharCode(left);
}

/** A request with one long field, in as many frames as it takes. */
function long(bytes: number, name = 'x-long'): string {
  const value = 'v'.repeat(bytes);
  const payload = `${block(GET)}\0${length(name.length)}${name}${length(bytes)}${value}`;
  const pieces = payload.match(new RegExp(`[\\s\\S]{1,${PIECE_BYTES}}`, 'g')) ?? [];
  return pieces
    .map((piece, i) => {
      const last = i === pieces.length - 1 ? END_HEADERS : 0;
      return i === 0 ? frame(HEADERS, END_STREAM | last, 1, piece) : frame(CONTINUATION, last, 1, piece);
    })
    .join('');
}

const at = (listener: string, name: string, bytes: string, answers = 1): Scenario => ({
  name: `${listener}: ${name}`,
  listener,
  http2: 'polite',
  client: [preface() + bytes],
  answers,
});
const metadata = (stream: number, payload: string, flags = END_METADATA): string =>
  frame(METADATA, flags, stream, payload);

export const http2More: Group = {
  name: 'http2-more',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, http2_protocol_options]) =>
        http(ports, log, name, routes([to('/', 'a', {}, { request_headers_to_remove: ['x-long'] })]), {
          max_request_headers_kb: 96,
          delayed_close_timeout: '0.1s',
          http2_protocol_options,
        }),
      ),
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    at('main', 'a field of 64 KiB', long(64 * KIB)),
    at('main', 'a field of more', long(64 * KIB + 1), 0),
    at('narrow', 'a field of 64 KiB', long(64 * KIB)),
    at('narrow', 'a field of more', long(64 * KIB + 1), 0),
    at('wide', 'a field of 80 KiB', long(80 * KIB)),
    at('wide', 'a field of more', long(80 * KIB + 1), 0),
    ...['main', 'ascii'].flatMap((listener) => [
      at(listener, 'a value above 0x7f', headers(1, [...GET, 'x-a: caf\xe9'])),
      at(listener, 'a value with DEL', headers(1, [...GET, 'x-a: caf\x7f']), 0),
    ]),
    ...[
      ['on its stream', metadata(1, block(['a: b']))],
      ['in pieces', metadata(1, 'a', 0) + metadata(1, 'b')],
      ['that has no end', metadata(1, 'a', 0)],
      ['of nothing', metadata(1, '').repeat(20)],
      ['on the connection', metadata(0, block(['a: b']))],
      ['on a stream that is not there', metadata(9, block(['a: b']))],
    ].map(([name = '', frames = '']) =>
      at('main', `METADATA ${name}`, headers(1, POST, false) + frames + data(1, 'body', true)),
    ),
  ],
};
