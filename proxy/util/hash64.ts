// 64-bit hashes of byte strings, as Envoy makes them: xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) and
// MurmurHash2 in its 64-bit form (MurmurHash64A).
//
// 64-bit numbers are pairs of 32-bit halves, because BigInt costs many times as much: a hash of a short header takes about
// half a microsecond. The functions share scratch numbers, so a result is copied into what the caller gives.

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

  add(other: U64): this {
    const lo = this.lo + other.lo;
    this.hi = (this.hi + other.hi + (lo > 0xffff_ffff ? 1 : 0)) >>> 0;
    this.lo = lo >>> 0;
    return this;
  }

  subtract(other: U64): this {
    const lo = this.lo - other.lo;
    this.hi = (this.hi - other.hi - (lo < 0 ? 1 : 0)) >>> 0;
    this.lo = lo >>> 0;
    return this;
  }

  xor(other: U64): this {
    this.hi = (this.hi ^ other.hi) >>> 0;
    this.lo = (this.lo ^ other.lo) >>> 0;
    return this;
  }

  multiply(other: U64): this {
    const { hi, lo } = this;
    const a0 = lo & 0xffff;
    const a1 = lo >>> 16;
    const b0 = other.lo & 0xffff;
    const b1 = other.lo >>> 16;
    const low = a0 * b0;
    const middle = a1 * b0 + a0 * b1 + (low >>> 16);
    const carry = a1 * b1 + Math.floor(middle / 0x1_0000);
    this.lo = ((middle << 16) | (low & 0xffff)) >>> 0;
    this.hi = (carry + Math.imul(hi, other.lo) + Math.imul(lo, other.hi)) >>> 0;
    return this;
  }

  /** @param by in (0, 32) */
  rotateLeft(by: number): this {
    const { hi, lo } = this;
    this.hi = ((hi << by) | (lo >>> (32 - by))) >>> 0;
    this.lo = ((lo << by) | (hi >>> (32 - by))) >>> 0;
    return this;
  }

  /** `this ^= this >> by`. @param by in (0, 64) */
  xorShifted(by: number): this {
    const { hi, lo } = this;
    if (by >= 32) {
      this.lo = (lo ^ (by === 32 ? hi : hi >>> (by - 32))) >>> 0;
    } else {
      this.lo = (lo ^ ((lo >>> by) | (hi << (32 - by)))) >>> 0;
      this.hi = (hi ^ (hi >>> by)) >>> 0;
    }
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

const P1 = new U64(0x9e3779b1, 0x85ebca87);
const P2 = new U64(0xc2b2ae3d, 0x27d4eb4f);
const P3 = new U64(0x165667b1, 0x9e3779f9);
const P4 = new U64(0x85ebca77, 0xc2b2ae63);
const P5 = new U64(0x27d4eb2f, 0x165667c5);

const STRIPE_BYTES = 32;
const LANES = [new U64(), new U64(), new U64(), new U64()] as const;
const LANE_ROTATIONS = [1, 7, 12, 18] as const;
const word = new U64();
const ZERO = new U64();

/**
 * xxHash64 of a latin1 string.
 * @param seed 0 unless given
 * @param out takes the result, and may be the seed
 */
export function xxHash64(text: string, out: U64, seed: U64 = ZERO): U64 {
  const { length } = text;
  let at = 0;
  if (length >= STRIPE_BYTES) {
    at = hashStripes(text, seed);
    mergeLanes(out);
  } else out.set(seed).add(P5);
  out.add(word.setParts(0, length));
  for (; at + 8 <= length; at += 8) {
    readWord(text, at);
    out.xor(word.multiply(P2).rotateLeft(31).multiply(P1)).rotateLeft(27).multiply(P1).add(P4);
  }
  if (at + 4 <= length) {
    out
      .xor(word.setParts(0, read32(text, at)).multiply(P1))
      .rotateLeft(23)
      .multiply(P2)
      .add(P3);
    at += 4;
  }
  for (; at < length; at++)
    out
      .xor(word.setParts(0, text.charCodeAt(at) & 0xff).multiply(P5))
      .rotateLeft(11)
      .multiply(P1);
  return out.xorShifted(33).multiply(P2).xorShifted(29).multiply(P3).xorShifted(32);
}

/** @returns where the rest begins */
function hashStripes(text: string, seed: U64): number {
  LANES[0].set(seed).add(P1).add(P2);
  LANES[1].set(seed).add(P2);
  LANES[2].set(seed);
  LANES[3].set(seed).subtract(P1);
  let at = 0;
  for (; at + STRIPE_BYTES <= text.length; at += STRIPE_BYTES) {
    for (let lane = 0; lane < 4; lane++) {
      readWord(text, at + 8 * lane);
      (LANES[lane] as U64).add(word.multiply(P2)).rotateLeft(31).multiply(P1);
    }
  }
  return at;
}

function mergeLanes(out: U64): void {
  out.setParts(0, 0);
  for (let lane = 0; lane < 4; lane++) out.add(word.set(LANES[lane] as U64).rotateLeft(LANE_ROTATIONS[lane] as number));
  for (const lane of LANES) out.xor(lane.multiply(P2).rotateLeft(31).multiply(P1)).multiply(P1).add(P4);
}

function read32(text: string, at: number): number {
  return (
    (text.charCodeAt(at) & 0xff) |
    ((text.charCodeAt(at + 1) & 0xff) << 8) |
    ((text.charCodeAt(at + 2) & 0xff) << 16) |
    ((text.charCodeAt(at + 3) & 0xff) << 24)
  );
}

function readWord(text: string, at: number): void {
  word.setParts(read32(text, at + 4), read32(text, at));
}

const MURMUR_M = new U64(0xc6a4a793, 0x5bd1e995);
/** The seed of libstdc++'s `std::hash`, which Envoy keeps. */
const MURMUR_SEED = 0xc70f6907;

/** MurmurHash2 of a latin1 string. @param out takes the result */
export function murmurHash2(text: string, out: U64): U64 {
  const { length } = text;
  const whole = length & ~7;
  out.setParts(0, MURMUR_SEED).xor(word.setParts(0, length).multiply(MURMUR_M));
  for (let at = 0; at < whole; at += 8) {
    readWord(text, at);
    out.xor(word.multiply(MURMUR_M).xorShifted(47).multiply(MURMUR_M)).multiply(MURMUR_M);
  }
  if (whole < length) {
    let hi = 0;
    let lo = 0;
    for (let at = length - 1; at >= whole; at--) {
      const byte = text.charCodeAt(at) & 0xff;
      if (at - whole >= 4) hi = (hi << 8) | byte;
      else lo = (lo << 8) | byte;
    }
    out.xor(word.setParts(hi, lo)).multiply(MURMUR_M);
  }
  return out.xorShifted(47).multiply(MURMUR_M).xorShifted(47);
}
