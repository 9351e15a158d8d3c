// Reads DER (X.690), as much of it as certificates and revocation lists need. Nothing is copied: elements are views.

/** One element: its tag octet and its content. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly whole: Buffer;
}

export const DER_BOOLEAN = 0x01;
export const DER_INTEGER = 0x02;
export const DER_BIT_STRING = 0x03;
export const DER_OCTET_STRING = 0x04;
export const DER_OID = 0x06;
export const DER_UTC_TIME = 0x17;
export const DER_GENERALIZED_TIME = 0x18;
export const DER_SEQUENCE = 0x30;

/** Bytes that are no DER, or end too early. */
export class DerError extends Error {}

/** Elements of one level, in order. Whatever follows the last whole element is an error. */
export function derElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    const element = derAt(bytes, at);
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

/** The single element that the bytes are. */
export function derElement(bytes: Buffer): DerElement {
  const element = derAt(bytes, 0);
  if (element.whole.length !== bytes.length) throw new DerError('bytes behind the end of an element');
  return element;
}

function derAt(bytes: Buffer, at: number): DerElement {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new DerError('an element without a length');
  // Tags above 30 take more octets; X.509 has none.
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several octets');
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw new DerError('a length that DER does not have');
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (bytes[start++] ?? 0);
  }
  const end = start + length;
  if (end > bytes.length) throw new DerError('an element longer than its bytes');
  return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) };
}

/** Longer identifiers are nobody's; arithmetic on one as long as a certificate may be takes seconds. Bytes. */
const OID_BYTES_MAX = 128;

/** `1.2.840.113549`. @throws DerError for one that is too long */
export function oidText(content: Buffer): string {
  if (content.length > OID_BYTES_MAX) throw new DerError('an object identifier without end');
  const arcs: string[] = [];
  let value = 0n;
  for (const octet of content) {
    value = value * 128n + BigInt(octet & 0x7f);
    if (octet >= 0x80) continue;
    if (arcs.length === 0) {
      const first = value < 40n ? 0n : value < 80n ? 1n : 2n;
      arcs.push(String(first), String(value - first * 40n));
    } else arcs.push(String(value));
    value = 0n;
  }
  return arcs.join('.');
}

/** Milliseconds since the epoch; NaN when the text is no time. */
export function derTime(element: DerElement): number {
  const text = element.content.toString('latin1');
  const long = element.tag === DER_GENERALIZED_TIME;
  const parts = (long ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?Z$/ : /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?Z$/).exec(
    text,
  );
  if (parts === null) return Number.NaN;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map((part) => Number(part ?? 0));
  const full = long ? year : year < 50 ? 2000 + year : 1900 + year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}
