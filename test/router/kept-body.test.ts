// What is kept of a request's body comes back whole, in few pieces, and costs little more than its bytes.
import t from 'tap';
import { KeptBody } from '../../proxy/router/kept-body.ts';
import type { UpstreamStream } from '../../proxy/upstream/upstream.ts';

/** A stream that takes data and answers as told. */
function taker(more: boolean): { stream: UpstreamStream; pieces: Uint8Array[]; ends: boolean[] } {
  const pieces: Uint8Array[] = [];
  const ends: boolean[] = [];
  const sendData = (chunk: Uint8Array, endStream: boolean): boolean => {
    pieces.push(chunk);
    ends.push(endStream);
    return more;
  };
  return { stream: { sendData } as unknown as UpstreamStream, pieces, ends };
}

t.test('pieces of any size', (t) => {
  const body = new KeptBody();
  let want = '';
  for (const size of [1, 1, 3, 20_000, 7, 16_384, 40_000, 1, 9_000, 9_000]) {
    const piece = Buffer.alloc(size, 97 + (want.length % 26));
    body.add(piece);
    want += piece.toString('latin1');
    piece.fill(0);
  }
  t.equal(body.bytes, want.length);
  const { stream, pieces, ends } = taker(false);
  t.equal(body.sendTo(stream, true), false, 'a slow upstream');
  t.ok(Buffer.concat(pieces).toString('latin1') === want, 'whole and in order');
  t.equal(ends.indexOf(true), ends.length - 1, 'the last piece alone ends the request');
  const sent = pieces.map((piece) => Buffer.from(piece));
  body.add(Buffer.from('later'));
  t.same(pieces, sent, 'what was handed out is not written to again');
  t.end();
});

t.test('bytes one by one', (t) => {
  const body = new KeptBody();
  for (let i = 0; i < 100_000; i++) body.add(Uint8Array.of(i));
  const { stream, pieces } = taker(true);
  t.equal(body.sendTo(stream, false), true);
  t.equal(body.bytes, 100_000);
  t.ok(pieces.length < 25, `${pieces.length} pieces`);
  const memory = pieces.reduce((sum, piece) => sum + piece.buffer.byteLength, 0);
  t.ok(memory < 120_000, `${memory} bytes of memory`);
  t.end();
});
