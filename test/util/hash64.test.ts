// 64-bit hashes: published vectors, a second implementation with BigInt, and the arithmetic under them.

import fc from 'fast-check';
import t from 'tap';
import { CountedHashes, murmurHash2, U64, xxHash64 } from '../../proxy/util/hash64.ts';

const MASK = (1n << 64n) - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & MASK;
const round = (acc: bigint, x: bigint): bigint => (rotate((acc + x * P2) & MASK, 31n) * P1) & MASK;

/** The specification word for word. */
function reference(bytes: Buffer, seed: bigint): bigint {
  let at = 0;
  let hash: bigint;
  if (bytes.length >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; at + 32 <= bytes.length; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i] as bigint, bytes.readBigUInt64LE(at + 8 * i));
    const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint];
    hash = (rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n)) & MASK;
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK;
  } else hash = (seed + P5) & MASK;
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8)
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at] ?? 0) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

const big = ({ hi, lo }: U64): bigint => (BigInt(hi) << 32n) | BigInt(lo);
const small = (value: bigint): U64 => new U64(Number(value >> 32n), Number(value & 0xffff_ffffn));
const hex = (text: string): string => xxHash64(text, new U64()).toHex();

t.test('published vectors', async (t) => {
  t.equal(hex(''), 'ef46db3751d8e999');
  t.equal(hex('a'), 'd24ec4f1a98c6e5b');
  t.equal(hex('abc'), '44bc2cf5ad770999');
  t.equal(hex('Nobody inspects the spammish repetition'), 'fbcea83c8a378bf1');
  t.equal(xxHash64('a', new U64(), new U64(0, 1)).toHex(), reference(Buffer.from('a'), 1n).toString(16));
});

t.test('every length, bytes and seeds', async () => {
  const bytes = fc.uint8Array({ maxLength: 100 });
  const seeds = fc.bigInt({ min: 0n, max: MASK });
  fc.assert(
    fc.property(bytes, seeds, (input, seed) => {
      const buffer = Buffer.from(input);
      const out = small(seed);
      return big(xxHash64(buffer.toString('latin1'), out, out)) === reference(buffer, seed);
    }),
    { numRuns: 500 },
  );
});

/** MurmurHash64A word for word. */
function murmur(bytes: Buffer): bigint {
  const m = 0xc6a4a7935bd1e995n;
  let hash = 0xc70f6907n ^ ((BigInt(bytes.length) * m) & MASK);
  const whole = bytes.length & ~7;
  for (let at = 0; at < whole; at += 8) {
    let k = (bytes.readBigUInt64LE(at) * m) & MASK;
    k = ((k ^ (k >> 47n)) * m) & MASK;
    hash = ((hash ^ k) * m) & MASK;
  }
  if (whole < bytes.length) {
    let rest = 0n;
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at] ?? 0);
    hash = ((hash ^ rest) * m) & MASK;
  }
  hash = ((hash ^ (hash >> 47n)) * m) & MASK;
  return hash ^ (hash >> 47n);
}

t.test('MurmurHash2', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (input) => {
      const buffer = Buffer.from(input);
      return big(murmurHash2(buffer.toString('latin1'), new U64())) === murmur(buffer);
    }),
    { numRuns: 500 },
  );
});

t.test('texts with numbers behind them', async (t) => {
  for (const text of ['', 'a', '10.0.0.1:8080_', 'x'.repeat(31)])
    for (const kind of ['xx', 'murmur2'] as const) {
      const hashes = new CountedHashes(text, kind);
      const whole = kind === 'xx' ? xxHash64 : murmurHash2;
      const out = new U64();
      let wrong = -1;
      for (let number = 0; number < 10_500 && wrong < 0; number++) {
        hashes.next(out);
        if (out.toHex() !== whole(`${text}${number}`, new U64()).toHex()) wrong = number;
      }
      t.equal(wrong, -1, `${kind} behind ${text.length} bytes`);
    }
});

t.test('long texts', async (t) => {
  for (const length of [48, 49, 4095, 4096, 4097, 70_000]) {
    const text = 'abcdefghijk'.repeat(length / 11 + 1).slice(0, length);
    t.equal(big(xxHash64(text, new U64())), reference(Buffer.from(text), 0n), `${length}`);
  }
});

t.test('remainders', async () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: MASK }), fc.integer({ min: 1, max: 2 ** 32 }), (value, modulus) => {
      return BigInt(small(value).modulo(modulus)) === value % BigInt(modulus);
    }),
    { numRuns: 500 },
  );
});
