// `google.protobuf.Value` from headers: what protobuf-es writes is read, and nothing that a client sends is an exception.

import { fromJson, toBinary } from '@bufbuild/protobuf';
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import t from 'tap';
import { protoValue } from '../../proxy/filter/proto-value.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);
const check = (runs: number) => ({ seed: SEED, numRuns: runs });

const encoded = (json: unknown): Buffer =>
  Buffer.from(toBinary(ValueSchema, fromJson(ValueSchema, json as never) as Value));
/** Trees of what JSON can hold, without lone surrogates, which are no UTF-8, and `-0`, which JSON does not tell. */
const { tree: TREE } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('tree'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

/** A list around a value: a message within a message. */
function listOf(value: Buffer): Buffer {
  const field = (tag: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.of(tag, (bytes.length & 127) | 128, bytes.length >> 7), bytes]);
  return field(0x32, field(0x0a, value));
}

t.test('reads what protobuf-es writes', async (t) => {
  fc.assert(
    fc.property(TREE, (tree) => {
      t.strictSame(protoValue(encoded(tree)), tree);
    }),
    check(200),
  );
});

t.test('any bytes are a value or none', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      protoValue(Buffer.from(bytes));
    }),
    check(2_000),
  );
  fc.assert(
    fc.property(TREE, fc.nat(), fc.nat(255), (tree, at, byte) => {
      const bytes = encoded(tree);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      protoValue(bytes);
      protoValue(bytes.subarray(0, at % (bytes.length + 1)));
    }),
    check(500),
  );
});

t.test('no kind, unknown fields, too deep, no UTF-8', async (t) => {
  t.equal(protoValue(Buffer.alloc(0)), null);
  t.equal(protoValue(Buffer.of(0x20, 1, 0x78, 5)), true, 'what is not known is skipped');
  t.equal(protoValue(Buffer.of(0x1a, 1, 0xff)), undefined);
  t.equal(protoValue(Buffer.of(0x00, 1)), undefined, 'no field has the number 0');
  let nested = encoded(1);
  for (let i = 0; i < 49; i++) nested = listOf(nested);
  t.ok(Array.isArray(protoValue(nested)));
  for (let i = 0; i < 10; i++) nested = listOf(nested);
  t.equal(protoValue(nested), undefined, 'messages nest deeper than protobuf reads');
});
