// Buffers for bytes on their way to the kernel, used again and again.
//
// Fresh ones would be garbage after each write, and V8 lets 64 MiB of such garbage gather before it collects (measured:
// 70 MB more for one stream of 512 MiB). A connection that streams mostly finds the buffer that it used a read before.

/** Below this a copy from Node's own pool is cheaper, bytes. */
const LENT_BYTES_MIN = 4_096;
/** Sizes there are; the largest is that of one read. A peer that reads slowly pins at most about three times its bytes. */
const SIZES = [8_192, 20_480, 65_536] as const;
/** Bytes that wait for their next use, of each size. */
const IDLE_BYTES_MAX = 1_048_576;

const idle: readonly LentBuffer[][] = SIZES.map(() => []);

/** A buffer that belongs to one write until `giveBack`. */
export class LentBuffer {
  readonly bytes: Buffer;
  /** The callback of the write: called when the kernel has the bytes, or when the socket is gone and nothing reads them. */
  readonly giveBack: () => void;

  constructor(size: number, home: LentBuffer[]) {
    this.bytes = Buffer.allocUnsafeSlow(size);
    this.giveBack = () => {
      if (home.length * size < IDLE_BYTES_MAX) home.push(this);
    };
  }

  first(length: number): Buffer {
    return length === this.bytes.length ? this.bytes : this.bytes.subarray(0, length);
  }
}

/** A buffer of at least `length` bytes; `null` where an ordinary one does better. */
export function lend(length: number): LentBuffer | null {
  if (length < LENT_BYTES_MIN) return null;
  for (let i = 0; i < SIZES.length; i++) {
    const size = SIZES[i] as number;
    const home = idle[i] as LentBuffer[];
    if (length <= size) return home.pop() ?? new LentBuffer(size, home);
  }
  return null;
}
