// Rows of the micro benchmarks about HTTP/2: header blocks, and a request between two sessions.

import { HeaderMap } from '../proxy/codec/headers.ts';
import { HpackDecoder } from '../proxy/codec/hpack-decoder.ts';
import { encodedName, HpackEncoder } from '../proxy/codec/hpack-encoder.ts';
import type { H2Stream } from '../proxy/codec/http2.ts';
import { BLOCK_REQUEST, MessageReader } from '../proxy/codec/http2-message.ts';
import { FrameOutput } from '../proxy/codec/http2-output.ts';
import { Http2Session } from '../proxy/codec/http2-session.ts';
import { H2_OPTIONS, sinkOf } from '../test/fixtures/h2.ts';
import { measure, row } from './measure.ts';

const FIELDS: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'productpage.default.svc.cluster.local:9080'],
  [':path', '/productpage?u=normal'],
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'],
  ['accept', 'text/html,application/xhtml+xml'],
  ['accept-encoding', 'gzip, deflate, br'],
  ['accept-language', 'en-US,en;q=0.5'],
  ['x-request-id', '3f2504e0-4f89-41d3-9a0c-0305e82c3301'],
  ['x-custom-thing', '1'],
];
/** A request whose authority, `www.example.com`, is in Huffman code. */
const HUFFMAN = Buffer.from('8286418cf1e3c2e5f23a6ba0ab90f4ff', 'hex');

function headersOf(fields: readonly (readonly [string, string])[]): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of fields) headers.add(name, value);
  return headers;
}

/** Blocks of our own encoder: the first two of a connection, and what all later ones look like. */
function blocks(): Buffer[] {
  const out = new FrameOutput();
  const encoder = new HpackEncoder(out);
  return [0, 1, 2].map(() => {
    encoder.begin();
    for (const [name, value] of FIELDS) encoder.field(encodedName(name), value);
    return out.take() as Buffer;
  });
}

export function http2Codec(): void {
  process.stdout.write('\nHTTP/2 codec, ns\n');
  const [literals, , steady] = blocks() as [Buffer, Buffer, Buffer];
  const warm = new HpackDecoder();
  const reader = new MessageReader();
  const decode = (decoder: HpackDecoder, block: Buffer): number => {
    reader.begin(BLOCK_REQUEST, H2_OPTIONS);
    decoder.decode(block, 0, block.length, reader, true);
    reader.finish();
    return reader.headers.size;
  };
  for (const block of blocks().slice(0, 2)) decode(warm, block);
  row(`  decode a request head (${FIELDS.length} fields, ${steady.length} B, most indexed)`, [
    measure(() => decode(warm, steady)),
  ]);
  row(`  decode it, all literals (${literals.length} B)`, [measure(() => decode(warm, literals))]);
  row('  decode a Huffman string of 15 characters', [measure(() => decode(warm, HUFFMAN))]);
  const out = new FrameOutput();
  const encoder = new HpackEncoder(out);
  const headers = headersOf(FIELDS);
  row('  encode that head, most indexed', [
    measure(() => {
      encoder.begin();
      for (let i = 0; i < headers.names.length; i++)
        encoder.field(encodedName(headers.names[i] as string), headers.values[i] as string);
      const bytes = out.at;
      out.at = 0;
      return bytes;
    }),
  ]);
  pairs();
}

/** A request and its answer, from a client to a server and back; the figure is for both ends. */
function pairs(): void {
  const requestHeaders = headersOf(FIELDS.slice(4));
  const responseHeaders = headersOf([
    ['content-type', 'application/json'],
    ['content-length', '100'],
    ['date', 'Sat, 21 Nov 2026 12:00:00 GMT'],
    ['server', 'origin'],
    ['etag', '"abc"'],
  ]);
  const body = Buffer.alloc(100, 'x');
  let done = 0;
  const client: Http2Session = new Http2Session(true, H2_OPTIONS, sinkOf({ onStreamOver: () => done++ }));
  const server: Http2Session = new Http2Session(
    false,
    { ...H2_OPTIONS, maxConcurrentStreams: 1_000 },
    sinkOf({
      onRequest(stream: H2Stream) {
        server.respond(stream, 200, responseHeaders, false);
        server.sendData(stream, body, true);
      },
    }),
  );
  const exchange = (): void => {
    const up = client.takeOutput();
    if (up !== null) server.feed(up);
    const down = server.takeOutput();
    if (down !== null) client.feed(down);
  };
  client.start();
  server.start();
  exchange();
  exchange();
  for (const batch of [1, 10])
    row(`  request and response of 100 B, ${batch} a turn, both ends`, [
      measure(() => {
        for (let i = 0; i < batch; i++)
          client.request('GET', 'http', 'productpage:9080', '/productpage', '', requestHeaders, true, null);
        exchange();
        return done;
      }) / batch,
    ]);
}
