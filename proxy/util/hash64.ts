// 64-bit hashes of byte strings, as Envoy makes them: xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) and
// MurmurHash2 in its 64-bit form (MurmurHash64A).
//
// 64-bit numbers are pairs of 32-bit halves, because BigInt costs many times as much. While they are hashed halves are
// signed, which keeps them in registers; where millions of places are hashed for a ring, that is four times as fast.

/** Products of two remainders by it are exact. */
const EXACT_MODULUS_MAX = 2 ** 26;

/** An unsigned 64-bit number. */
export class U64 {
  /** Both halves in [0, 2³²). */
  hi: number;
  lo: number;

  constructor(hi = 0, lo = 0) {
    this.hi = hi;
    this.lo = lo;
  }

  set(other: U64): this {
    this.hi = other.hi;
    this.lo = other.lo;
    return this;
  }

  setParts(hi: number, lo: number): this {
    this.hi = hi >>> 0;
    this.lo = lo >>> 0;
    return this;
  }

  xor(other: U64): this {
    this.hi = (this.hi ^ other.hi) >>> 0;
    this.lo = (this.lo ^ other.lo) >>> 0;
    return this;
  }

  /** @param by in (0, 32) */
  rotateLeft(by: number): this {
    const { hi, lo } = this;
    this.hi = ((hi << by) | (lo >>> (32 - by))) >>> 0;
    this.lo = ((lo << by) | (hi >>> (32 - by))) >>> 0;
    return this;
  }

  /** @param modulus a whole number in [1, 2³²] */
  modulo(modulus: number): number {
    if (modulus > EXACT_MODULUS_MAX) return Number(((BigInt(this.hi) << 32n) | BigInt(this.lo)) % BigInt(modulus));
    return ((this.hi % modulus) * (0x1_0000_0000 % modulus) + (this.lo % modulus)) % modulus;
  }

  /** As C++ prints it with 16 hex digits. */
  toHex(): string {
    return this.hi.toString(16).padStart(8, '0') + this.lo.toString(16).padStart(8, '0');
  }
}

const STRIPE_BYTES = 32;
const LANES = 4;
const LANE_ROTATIONS = [1, 7, 12, 18] as const;
/** The primes of xxHash, halves. */
const P1H = 0x9e3779b1 | 0;
const P1L = 0x85ebca87 | 0;
const P2H = 0xc2b2ae3d | 0;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9 | 0;
const P4H = 0x85ebca77 | 0;
const P4L = 0xc2b2ae63 | 0;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

/** The upper half of the product of two unsigned halves. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const first = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) | 0;
  const second = (Math.imul(a0, b1) + (first & 0xffff)) | 0;
  return (Math.imul(a1, b1) + (first >>> 16) + (second >>> 16)) | 0;
}

/** The upper half of a product of numbers, whose lower one is `Math.imul(aLo, bLo)`. */
function productHigh(aHi: number, aLo: number, bHi: number, bLo: number): number {
  return (multiplyHigh(aLo, bLo) + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
}

/** What a sum of lower halves carries over. */
function carryOf(sum: number, part: number): number {
  return sum >>> 0 < part >>> 0 ? 1 : 0;
}

/** Bytes to be hashed, and as little-endian words of 32 bits. */
class Input {
  bytes: Buffer;
  words: Int32Array;

  constructor(size: number) {
    // Words of a Buffer of one's own begin where words may.
    this.bytes = Buffer.from(new ArrayBuffer(size));
    this.words = new Int32Array(this.bytes.buffer, 0, size >>> 2);
  }

  /** Takes a latin1 string. */
  read(text: string): void {
    const { length } = text;
    if (length > this.bytes.length) {
      const larger = new Input(INPUT_BYTES * Math.ceil(length / INPUT_BYTES));
      this.bytes = larger.bytes;
      this.words = larger.words;
    }
    if (length > SHORT) this.bytes.write(text, 0, 'latin1');
    else for (let i = 0; i < length; i++) this.bytes[i] = text.charCodeAt(i);
  }
}

/** Grown to the longest text that was ever hashed, which limits of headers bound. */
const INPUT_BYTES = 4096;
/** A call costs more than writing so few characters one by one. */
const SHORT = 48;
const scratch = new Input(INPUT_BYTES);
const ZERO = new U64();

/**
 * xxHash64 of a latin1 string.
 * @param seed 0 unless given
 * @param out takes the result, and may be the seed
 */
export function xxHash64(text: string, out: U64, seed: U64 = ZERO): U64 {
  scratch.read(text);
  return xxHash(scratch, text.length, out, seed);
}

function xxHash({ bytes, words }: Input, length: number, out: U64, seed: U64): U64 {
  let at = 0;
  if (length >= STRIPE_BYTES) {
    at = hashStripes(words, length, seed);
    mergeLanes(out);
  } else {
    const lo = (seed.lo + P5L) | 0;
    out.setParts(seed.hi + P5H + carryOf(lo, P5L), lo);
  }
  let lo = (out.lo + length) | 0;
  let hi = (out.hi + carryOf(lo, length)) | 0;
  let mixed: number;
  for (; at + 8 <= length; at += 8) {
    const wordLo = words[at >>> 2] as number;
    const highest = productHigh(words[(at >>> 2) + 1] as number, wordLo, P2H, P2L);
    const lowest = Math.imul(wordLo, P2L);
    const turnedLo = (lowest << 31) | (highest >>> 1);
    hi ^= productHigh((highest << 31) | (lowest >>> 1), turnedLo, P1H, P1L);
    lo ^= Math.imul(turnedLo, P1L);
    mixed = (hi << 27) | (lo >>> 5);
    lo = (lo << 27) | (hi >>> 5);
    hi = productHigh(mixed, lo, P1H, P1L);
    lo = (Math.imul(lo, P1L) + P4L) | 0;
    hi = (hi + P4H + carryOf(lo, P4L)) | 0;
  }
  if (at + 4 <= length) {
    const wordLo = words[at >>> 2] as number;
    hi ^= productHigh(0, wordLo, P1H, P1L);
    lo ^= Math.imul(wordLo, P1L);
    mixed = (hi << 23) | (lo >>> 9);
    lo = (lo << 23) | (hi >>> 9);
    hi = productHigh(mixed, lo, P2H, P2L);
    lo = (Math.imul(lo, P2L) + P3L) | 0;
    hi = (hi + P3H + carryOf(lo, P3L)) | 0;
    at += 4;
  }
  for (; at < length; at++) {
    const byte = bytes[at] as number;
    hi ^= productHigh(0, byte, P5H, P5L);
    lo ^= Math.imul(byte, P5L);
    mixed = (hi << 11) | (lo >>> 21);
    lo = (lo << 11) | (hi >>> 21);
    hi = productHigh(mixed, lo, P1H, P1L);
    lo = Math.imul(lo, P1L);
  }
  lo ^= hi >>> 1;
  hi = productHigh(hi, lo, P2H, P2L);
  lo = Math.imul(lo, P2L);
  lo ^= (lo >>> 29) | (hi << 3);
  hi ^= hi >>> 29;
  hi = productHigh(hi, lo, P3H, P3L);
  lo = Math.imul(lo, P3L);
  return out.setParts(hi, lo ^ hi);
}

/** Four numbers that stripes are mixed into, halves. */
const lanesHi = new Int32Array(LANES);
const lanesLo = new Int32Array(LANES);

/** @returns where the rest begins */
function hashStripes(words: Int32Array, length: number, seed: U64): number {
  startLane(0, seed, (P1H + P2H + carryOf((P1L + P2L) | 0, P2L)) | 0, (P1L + P2L) | 0);
  startLane(1, seed, P2H, P2L);
  startLane(2, seed, 0, 0);
  startLane(3, seed, ~P1H, -P1L | 0);
  let at = 0;
  for (; at + STRIPE_BYTES <= length; at += STRIPE_BYTES) {
    for (let lane = 0; lane < LANES; lane++) {
      const word = (at >>> 2) + 2 * lane;
      mixLane(lane, words[word + 1] as number, words[word] as number);
    }
  }
  return at;
}

function startLane(lane: number, seed: U64, hi: number, lo: number): void {
  lanesLo[lane] = seed.lo + lo;
  lanesHi[lane] = seed.hi + hi + carryOf(lanesLo[lane] as number, lo);
}

function mixLane(lane: number, wordHi: number, wordLo: number): void {
  const addLo = Math.imul(wordLo, P2L);
  const lo = ((lanesLo[lane] as number) + addLo) | 0;
  const hi = ((lanesHi[lane] as number) + productHigh(wordHi, wordLo, P2H, P2L) + carryOf(lo, addLo)) | 0;
  const turnedLo = (lo << 31) | (hi >>> 1);
  lanesHi[lane] = productHigh((hi << 31) | (lo >>> 1), turnedLo, P1H, P1L);
  lanesLo[lane] = Math.imul(turnedLo, P1L);
}

function mergeLanes(out: U64): void {
  let hi = 0;
  let lo = 0;
  for (let lane = 0; lane < LANES; lane++) {
    const by = LANE_ROTATIONS[lane] as number;
    const laneHi = lanesHi[lane] as number;
    const laneLo = lanesLo[lane] as number;
    const turned = (laneLo << by) | (laneHi >>> (32 - by));
    lo = (lo + turned) | 0;
    hi = (hi + ((laneHi << by) | (laneLo >>> (32 - by))) + carryOf(lo, turned)) | 0;
  }
  for (let lane = 0; lane < LANES; lane++) {
    const wordHi = lanesHi[lane] as number;
    const wordLo = lanesLo[lane] as number;
    lanesHi[lane] = 0;
    lanesLo[lane] = 0;
    mixLane(lane, wordHi, wordLo);
    hi ^= lanesHi[lane] as number;
    lo ^= lanesLo[lane] as number;
    hi = productHigh(hi, lo, P1H, P1L);
    lo = (Math.imul(lo, P1L) + P4L) | 0;
    hi = (hi + P4H + carryOf(lo, P4L)) | 0;
  }
  out.setParts(hi, lo);
}

const MURMUR_H = 0xc6a4a793 | 0;
const MURMUR_L = 0x5bd1e995;
/** The seed of libstdc++'s `std::hash`, which Envoy keeps. */
const MURMUR_SEED = 0xc70f6907 | 0;

/** MurmurHash2 of a latin1 string. @param out takes the result */
export function murmurHash2(text: string, out: U64): U64 {
  scratch.read(text);
  return murmur(scratch, text.length, out);
}

function murmur({ bytes, words }: Input, length: number, out: U64): U64 {
  const whole = length & ~7;
  let lo = MURMUR_SEED ^ Math.imul(length, MURMUR_L);
  let hi = productHigh(0, length, MURMUR_H, MURMUR_L);
  for (let at = 0; at < whole; at += 8) {
    const wordLo = words[at >>> 2] as number;
    let mixedHi = productHigh(words[(at >>> 2) + 1] as number, wordLo, MURMUR_H, MURMUR_L);
    let mixedLo = Math.imul(wordLo, MURMUR_L);
    mixedLo ^= mixedHi >>> 15;
    mixedHi = productHigh(mixedHi, mixedLo, MURMUR_H, MURMUR_L);
    hi ^= mixedHi;
    lo ^= Math.imul(mixedLo, MURMUR_L);
    hi = productHigh(hi, lo, MURMUR_H, MURMUR_L);
    lo = Math.imul(lo, MURMUR_L);
  }
  if (whole < length) {
    for (let at = whole; at < length; at++) {
      const byte = (bytes[at] as number) << (8 * (at & 3));
      if (at - whole >= 4) hi ^= byte;
      else lo ^= byte;
    }
    hi = productHigh(hi, lo, MURMUR_H, MURMUR_L);
    lo = Math.imul(lo, MURMUR_L);
  }
  lo ^= hi >>> 15;
  hi = productHigh(hi, lo, MURMUR_H, MURMUR_L);
  lo = Math.imul(lo, MURMUR_L);
  return out.setParts(hi, lo ^ (hi >>> 15));
}

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
/** Digits of the largest number that is counted to. */
const DIGITS_MAX = 10;

/** Hashes of a latin1 text with 0, 1, 2, … behind it. */
export class CountedHashes {
  private readonly input: Input;
  private readonly isMurmur: boolean;
  /** Where the number begins, and where it ends. */
  private readonly from: number;
  private end: number;

  constructor(text: string, kind: 'xx' | 'murmur2') {
    this.input = new Input((text.length + DIGITS_MAX + 3) & ~3);
    this.input.read(text);
    this.input.bytes[text.length] = DIGIT_0;
    this.isMurmur = kind === 'murmur2';
    this.from = text.length;
    this.end = text.length + 1;
  }

  /** The hash with this number; then it is the next one's turn. @param out takes the result */
  next(out: U64): void {
    if (this.isMurmur) murmur(this.input, this.end, out);
    else xxHash(this.input, this.end, out, ZERO);
    this.count();
  }

  private count(): void {
    const { bytes } = this.input;
    let at = this.end - 1;
    while (at >= this.from && bytes[at] === DIGIT_9) bytes[at--] = DIGIT_0;
    if (at >= this.from) bytes[at] = (bytes[at] as number) + 1;
    else {
      // Nines became noughts: a one before them.
      bytes[this.from] = DIGIT_0 + 1;
      bytes[this.end++] = DIGIT_0;
    }
  }
}
