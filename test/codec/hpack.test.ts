// HPACK: published vectors, the table's accounting, and what our encoder writes.
//
// `hpack-vectors.json` holds RFC 7541's examples, and stories of https://github.com/http2jp/hpack-test-case (MIT licence).
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { BLOCK_INVALID, HpackDecoder } from '../../proxy/codec/hpack-decoder.ts';
import { encodedName, HpackEncoder } from '../../proxy/codec/hpack-encoder.ts';
import { decoded, decodeHuffman } from '../../proxy/codec/hpack-huffman.ts';
import { FrameOutput } from '../../proxy/codec/http2-output.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);

interface Vectors {
  readonly stories: readonly {
    readonly encoder: string;
    readonly story: string;
    /** Size of the dynamic table, if not the default. */
    readonly table?: number;
    readonly blocks: readonly {
      /** New size of the table, 0 = as before. */
      readonly size: number;
      readonly wire: string;
      readonly fields: readonly string[];
      /** What the dynamic table holds afterwards. */
      readonly bytes?: number;
    }[];
  }[];
}
const VECTORS = JSON.parse(readFileSync(new URL('../corpus/hpack-vectors.json', import.meta.url), 'utf8')) as Vectors;

/** Fields of a block, or the decoder's verdict; `cuts`: it comes in pieces of so many bytes. */
function decode(decoder: HpackDecoder, block: Buffer, cuts = 0): string[] | number {
  const fields: string[] = [];
  const sink = { onField: (name: { name: string }, value: string) => fields.push(name.name, value) };
  if (cuts === 0) {
    const end = decoder.decode(block, 0, block.length, sink, true);
    return end === block.length ? fields : end;
  }
  let rest = Buffer.alloc(0);
  for (let at = 0; at < block.length; at += cuts) {
    const bytes = Buffer.concat([rest, block.subarray(at, at + cuts)]);
    const end = decoder.decode(bytes, 0, bytes.length, sink, at === 0);
    if (end < 0) return end;
    rest = bytes.subarray(end);
  }
  return rest.length === 0 ? fields : -1;
}

t.test('published vectors', (t) => {
  for (const { encoder, story, table, blocks } of VECTORS.stories)
    for (const cuts of [0, 1, 7]) {
      const decoder = new HpackDecoder();
      if (table !== undefined) decode(decoder, Buffer.from([0x3f, ...[0xe1, 0x01]]));
      let wrong = 0;
      for (const { size, wire, fields, bytes } of blocks) {
        if (size !== 0) decoder.setLimit(size, false);
        const got = decode(decoder, Buffer.from(wire, 'hex'), cuts);
        if (JSON.stringify(got) !== JSON.stringify(fields)) wrong++;
        if (bytes !== undefined) t.equal(decoder.tableBytes, bytes, `${encoder}: bytes of the table`);
      }
      t.equal(wrong, 0, `${encoder} ${story}: ${blocks.length} blocks in pieces of ${cuts}`);
    }
  t.end();
});

t.test('Huffman codes', (t) => {
  const text = (hex: string) => {
    const bytes = Buffer.from(hex, 'hex');
    const count = decodeHuffman(bytes, 0, bytes.length);
    return count < 0 ? null : decoded.toString('latin1', 0, count);
  };
  t.equal(text(''), '');
  t.equal(text('f1e3c2e5f23a6ba0ab90f4ff'), 'www.example.com');
  t.equal(text('1f'), 'a', 'three bits of padding');
  t.equal(text('07'), '0', 'a code of five bits');
  t.equal(text('ff'.repeat(3)), null, 'a code cut short');
  t.equal(text('ffc7'), '\0', 'a code of thirteen bits');
  t.equal(text('18'), null, 'padding of zeros');
  t.equal(text('1fff'), null, 'eight bits of padding and more');
  t.equal(text('ff'), null, 'nothing but padding of eight bits');
  t.equal(text('ffffffff'), null, 'EOS');
  const long = Buffer.alloc(20_000, 0);
  t.equal(decodeHuffman(long, 0, long.length), 32_000, 'longer than the scratch buffer');
  t.equal(decoded.toString('latin1', 31_990, 32_000), '0'.repeat(10));
  t.end();
});

t.test('sizes of the table', (t) => {
  const decoder = new HpackDecoder();
  const literal = Buffer.from('4001610162', 'hex');
  t.same(decode(decoder, literal), ['a', 'b']);
  t.equal(decoder.tableBytes, 34);
  t.same(decode(decoder, Buffer.from('20be', 'hex')), BLOCK_INVALID, 'emptied before the entry is named');
  t.equal(decoder.tableBytes, 0);
  t.same(decode(decoder, Buffer.from('3fe11f', 'hex')), [], 'back to 4096');
  t.equal(decode(decoder, Buffer.from('3fe21f', 'hex')), BLOCK_INVALID, 'more than allowed');
  decoder.setLimit(100, true);
  t.equal(decode(decoder, Buffer.from('82', 'hex')), BLOCK_INVALID, 'a lowered limit must be confirmed');
  t.same(decode(decoder, Buffer.from('3f4582', 'hex')), [':method', 'GET'], 'and then goes on');
  for (let i = 0; i < 5; i++) decode(decoder, literal);
  t.equal(decoder.tableBytes, 68, 'two entries fit into 100 bytes');
  decode(decoder, Buffer.concat([Buffer.from('40016164', 'hex'), Buffer.alloc(100, 'x')]));
  t.equal(decoder.tableBytes, 0, 'an entry larger than the table empties it');
  t.end();
});

/** An encoder and what it has written. */
class Encoder {
  readonly out = new FrameOutput();
  readonly hpack = new HpackEncoder(this.out);

  block(fields: readonly (readonly [string, string])[]): Buffer {
    this.hpack.begin();
    for (const [name, value] of fields) this.hpack.field(encodedName(name), value);
    return this.out.take() ?? Buffer.alloc(0);
  }
}

t.test('our encoder', (t) => {
  const encoder = new Encoder();
  const hex = (...fields: [string, string][]) => encoder.block(fields).toString('hex');
  t.equal(hex([':method', 'GET'], [':path', '/'], [':status', '404']), '82848d', 'static entries');
  t.equal(hex(['a', 'b']), '4001610162', 'a name that is in no table brings its value in');
  t.equal(hex(['a', 'b']), 'be', 'then an index');
  t.equal(hex(['a', 'c']), '0f2f0163', 'another value is a literal');
  t.equal(hex(['a', 'c']), '7e0163', 'and an entry when it comes again');
  t.equal(hex(['a', 'c'], ['a', 'b']), 'bebf');
  t.equal(hex(['server', 'x']), '0f270178', 'the first time a literal');
  t.equal(hex(['server', 'x']), '760178', 'the second time an entry');
  t.equal(hex(['server', 'x']), 'be');
  t.equal(hex([':path', '/x']), '04022f78');
  t.equal(hex([':path', '/x']), '04022f78', 'paths are never entries');
  t.equal(hex(['x-request-id', '1']).slice(0, 2), '40');
  t.equal(
    hex(['x-request-id', '2'], ['x-request-id', '2']),
    '0f2f01320f2f0132',
    'nor are numbers of requests, after the first',
  );
  t.equal(hex(['authorization', 's'], ['authorization', 's']), '1f0801731f080173', 'secrets are for nobody to index');
  t.equal(hex(['connection', 'x'], ['upgrade', 'x'], ['transfer-encoding', 'x']), '', 'fields of HTTP/1 are left out');
  encoder.hpack.resize(0);
  encoder.hpack.resize(4_096);
  t.equal(hex(['a', 'b']), '203fe11f4001610162', 'the table was emptied: both sizes are told');
  t.equal(hex(['a', 'b']), 'be');
  t.end();
});

t.test('what it writes is read as meant, whatever happens to the table', (t) => {
  const TOKEN = [..."abcdefghijklmnopqrstuvwxyz0123456789-_.!~#$%&'*+^`|"];
  const name = fc.oneof(
    fc.constantFrom(':method', ':path', ':status', 'accept', 'cookie', 'x-a', 'x-b', 'user-agent', 'authorization'),
    fc.string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 80 }),
  );
  const latin1 = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const value = fc.oneof(
    fc.constantFrom('', 'GET', '/', '200', 'a', 'b', 'a value of some length that is no secret'),
    fc.string({ unit: latin1, maxLength: 700 }),
  );
  const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });
  const step = fc.record({ resize: fc.option(fc.constantFrom(0, 33, 64, 200, 4_096), { nil: null, freq: 8 }), fields });
  const left = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), fc.integer({ min: 0, max: 9 }), (steps, cuts) => {
      const encoder = new Encoder();
      const decoder = new HpackDecoder();
      for (const { resize, fields } of steps) {
        if (resize !== null) encoder.hpack.resize(resize);
        const block = encoder.block(fields);
        const want = fields.filter(([key]) => !left.has(key)).flat();
        const got = decode(decoder, block, cuts);
        if (JSON.stringify(got) !== JSON.stringify(want)) return false;
      }
      return true;
    }),
    { seed: SEED, numRuns: 300 },
  );
  t.end();
});
