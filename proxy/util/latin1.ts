/** Bytes as a latin1 string: one character per byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  // `latin1Slice` skips the argument checks of `toString`; it is public but untyped, and takes any byte array.
  return slice.call(bytes, start, end);
}

const slice = (Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string })
  .latin1Slice;
