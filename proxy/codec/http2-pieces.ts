// Copies of body pieces that wait to be sent or to be read, in memory that is used again: fresh buffers would be garbage
// for V8 to let gather (64 MiB before it collects).

/** Below this a copy out of Node's own pool is cheaper, bytes. */
const LENT_BYTES_MIN = 2_048;
/** Sizes there are: a frame, and what one read of a socket holds. */
const SIZES = [16_384, 65_536] as const;
/** Bytes that wait for their next use, of each size, in a thread: what half a default window brings at once. */
const IDLE_BYTES_MAX = 8_388_608;

const idle: readonly ArrayBuffer[][] = SIZES.map(() => []);

/** A copy of a piece; `drop` it when it has been copied on, or leave it to the collector. */
export function keep(piece: Uint8Array): Buffer {
  const { length } = piece;
  for (let i = 0; length >= LENT_BYTES_MIN && i < SIZES.length; i++) {
    if (length > (SIZES[i] as number)) continue;
    const copy = Buffer.from((idle[i] as ArrayBuffer[]).pop() ?? new ArrayBuffer(SIZES[i] as number), 0, length);
    copy.set(piece);
    return copy;
  }
  return Buffer.from(piece);
}

/** The copy has been copied on and nobody else was ever given it: its bytes change with the next `keep` or `slabOf`. */
export function drop(copy: Buffer): void {
  const { buffer } = copy;
  const at = SIZES.indexOf(buffer.byteLength as (typeof SIZES)[number]);
  if (copy.length < LENT_BYTES_MIN || at < 0) return;
  const home = idle[at] as ArrayBuffer[];
  if (home.length * buffer.byteLength < IDLE_BYTES_MAX) home.push(buffer as ArrayBuffer);
}

/** Small pieces that wait one behind the other share a buffer: alone, each would cost over a hundred bytes besides its own. */
export const SLAB_BYTES = 16_384;

/** Copies a piece into what is left of the last one's buffer, which is that piece's alone. @returns false: no room */
export function appendToLast(pieces: Buffer[], piece: Uint8Array): boolean {
  const last = pieces.at(-1);
  if (last === undefined || last.length + piece.length > last.buffer.byteLength) return false;
  const longer = Buffer.from(last.buffer as ArrayBuffer, 0, last.length + piece.length);
  longer.set(piece, last.length);
  pieces[pieces.length - 1] = longer;
  return true;
}

/** A copy of a piece in a buffer of its own, with room for more of them once there were others. `drop` as of `keep`. */
export function slabOf(piece: Uint8Array, before: readonly Buffer[]): Buffer {
  const room = Math.min(SLAB_BYTES, 2 * (before.at(-1)?.length ?? 0));
  const size = Math.max(piece.length, room);
  const used = size === SIZES[0] ? (idle[0] as ArrayBuffer[]).pop() : undefined;
  const slab = Buffer.from(used ?? new ArrayBuffer(size), 0, piece.length);
  slab.set(piece);
  return slab;
}
