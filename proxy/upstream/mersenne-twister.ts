// MT19937 (Matsumoto, Nishimura 1998): the same numbers for the same seed, everywhere.

const WORDS = 624;
const SHIFT = 397;
const TWIST = 0x9908b0df;

/** See the head of this file. */
export class MersenneTwister {
  private readonly words: Uint32Array;
  private at: number;

  /** @param seed 32 bits */
  constructor(seed: number) {
    const words = new Uint32Array(WORDS);
    words[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const before = words[i - 1] as number;
      words[i] = Math.imul(before ^ (before >>> 30), 1_812_433_253) + i;
    }
    this.words = words;
    this.at = WORDS;
  }

  /** 32 bits. */
  next(): number {
    if (this.at === WORDS) this.twist();
    let word = this.words[this.at++] as number;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  private twist(): void {
    const { words } = this;
    for (let i = 0; i < WORDS; i++) {
      const joined = ((words[i] as number) & 0x8000_0000) | ((words[(i + 1) % WORDS] as number) & 0x7fff_ffff);
      words[i] = (words[(i + SHIFT) % WORDS] as number) ^ (joined >>> 1) ^ ((joined & 1) === 0 ? 0 : TWIST);
    }
    this.at = 0;
  }
}
