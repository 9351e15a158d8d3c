// Texts whose characters are bytes.

/** Bytes as a latin1 string: one character per byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  // `latin1Slice` skips the argument checks of `toString`; it is public but untyped, and takes any byte array.
  return slice.call(bytes, start, end);
}

const slice = (Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string })
  .latin1Slice;

/** The latin1 image of a text's UTF-8 bytes; the inverse of `textOf`. */
export function latin1Image(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text;
  if (!text.isWellFormed()) return text.replace(LONE_BYTES, bytesOfSurrogates);
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * The text of a latin1 image of UTF-8 bytes, as metadata keeps it. Where the bytes are no UTF-8, those beyond ASCII
 * become lone surrogates, so that nothing is lost.
 */
export function textOf(latin1: string): string {
  if (!NON_ASCII.test(latin1)) return latin1;
  if (UTF8.test(latin1)) return Buffer.from(latin1, 'latin1').toString('utf8');
  return latin1.replace(NON_ASCII_BYTES, (byte) => String.fromCharCode(SURROGATES + byte.charCodeAt(0)));
}

const BEYOND_ASCII = /[^\0-\x7f]/;
const SURROGATES = 0xdc00;
const NON_ASCII_BYTES = /[\u0080-\u00ff]/g;
const LONE_BYTES = /[\udc80-\udcff]/g;

function bytesOfSurrogates(surrogate: string): string {
  return String.fromCharCode(surrogate.charCodeAt(0) - SURROGATES);
}

/** Whether a latin1 image is that of UTF-8. */
export function isUtf8(latin1: string): boolean {
  return !NON_ASCII.test(latin1) || UTF8.test(latin1);
}

const NON_ASCII = /[\u0080-\u00ff]/;
/** Well-formed UTF-8 of two to four bytes (Unicode, table 3-7). */
const UTF8 =
  /^(?:[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$/;
