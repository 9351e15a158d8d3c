// One buffer for bytes that are told and then forgotten: kept pieces of bodies pass through it on their way to whoever
// asked for them, so that their own memory can be used again at once.
//
// Rule 1: what is in it is valid until the call that tells it returns. Whoever keeps bytes beyond that must copy them, as
//         it must copy views of what was just read; `isPassing` tells such views from bytes that nobody writes to again.
// Rule 2: one user at a time: a call within a call gets nothing, and does without.

/** The largest piece: what one read of a socket holds. */
const PASSING_BYTES_MAX = 65_536;

const passing = Buffer.allocUnsafeSlow(PASSING_BYTES_MAX);
let taken = false;

/** A copy of `bytes`, the caller's until `endPassing`; `null` = somebody else's at present, or they are too many. */
export function beginPassing(bytes: Uint8Array): Buffer | null {
  if (taken || bytes.length > PASSING_BYTES_MAX) return null;
  taken = true;
  passing.set(bytes);
  return passing.subarray(0, bytes.length);
}

/** After a `beginPassing` that gave a copy. */
export function endPassing(): void {
  taken = false;
}

/** Whether bytes are a view of that buffer. */
export function isPassing(bytes: Uint8Array): boolean {
  return bytes.buffer === passing.buffer;
}
