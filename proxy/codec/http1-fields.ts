// Header fields of one head or trailer section: text and line table in, header list and framing facts out.
import { FIELD_EXTRA_BYTES, HeaderMap } from './headers.ts';
import type { H1Error, H1Options } from './http1.ts';
import {
  BAD_FOLD,
  BAD_HEADER_NAME,
  BAD_LENGTH,
  DUPLICATE_HOST,
  DUPLICATE_LENGTH,
  TOO_MANY_HEADERS,
  UNEXPECTED_UNDERSCORE,
} from './http1-error.ts';
import { lineCount, lines } from './http1-scan.ts';
import {
  type HeaderName,
  headerNameIn,
  KIND_CONNECTION,
  KIND_CONTENT_LENGTH,
  KIND_HOST,
  KIND_PLAIN,
  KIND_TRANSFER_ENCODING,
} from './known-headers.ts';

const SPACE = 32;
const TAB = 9;

export const SECTION_REQUEST = 0;
export const SECTION_RESPONSE = 1;
export const SECTION_TRAILERS = 2;
export type Section = 0 | 1 | 2;

/** What the last `readFields` found; the next call overwrites it. One per thread. */
export class FieldFacts {
  headers: HeaderMap;
  known: number;
  host: string;
  hostSeen: boolean;
  /** −1 = none. */
  contentLength: number;
  transferEncoding: string;
  connection: string;
  dropped: number;
  /** As `RequestHead.fieldBytes`. */
  bytes: number;

  constructor() {
    this.headers = new HeaderMap();
    this.known = 0;
    this.host = '';
    this.hostSeen = false;
    this.contentLength = -1;
    this.transferEncoding = '';
    this.connection = '';
    this.dropped = 0;
    this.bytes = 0;
  }
}

export const facts = new FieldFacts();

/** Inline names seen in the head at hand, by their index: two words of 32 bits. */
let seenLow = 0;
let seenHigh = 0;
/** Where the last field's value is, for a continuation line: −1 = none to continue, −2 = a dropped one. */
let lastValue = -1;
const NO_FIELD = -1;
const DROPPED_FIELD = -2;

/**
 * Reads the lines from `firstLine` on of the head that was scanned last.
 * @param text latin1 text of the whole head, as the line table's offsets mean it
 */
export function readFields(text: string, firstLine: number, options: H1Options, section: Section): H1Error | null {
  const headers = new HeaderMap();
  if (options.preserveCase) headers.rawNames = [];
  facts.headers = headers;
  facts.known = 0;
  facts.host = '';
  facts.hostSeen = false;
  facts.contentLength = -1;
  facts.transferEncoding = '';
  facts.connection = '';
  facts.dropped = 0;
  facts.bytes = 0;
  seenLow = 0;
  seenHigh = 0;
  lastValue = NO_FIELD;
  const table = lines;
  const count = lineCount;
  let fieldBytes = 0;
  const fieldsMax = firstLine + options.limits.headersMax;
  let lineStart = firstLine === 0 ? 0 : (table[firstLine * 2 - 1] as number);
  for (let line = firstLine; line < count; line++) {
    if (line >= fieldsMax) return syntaxError(text, line) ?? TOO_MANY_HEADERS;
    const lineEnd = table[line * 2] as number;
    const first = text.charCodeAt(lineStart);
    if (isBlank(first)) {
      if (!continueValue(text, lineStart, lineEnd)) return BAD_FOLD;
    } else {
      const colon = text.indexOf(':', lineStart);
      if (colon < 0 || colon >= lineEnd) return BAD_HEADER_NAME;
      const name = headerNameIn(text, lineStart, colon);
      if (name === null) return BAD_HEADER_NAME;
      const to = trimEnd(text, colon + 1, lineEnd);
      let from = colon + 1;
      while (from < to && isBlank(text.charCodeAt(from))) from++;
      fieldBytes += colon - lineStart + to - from + FIELD_EXTRA_BYTES;
      const raw = options.preserveCase ? text.slice(lineStart, colon) : '';
      const problem = addField(name, raw, text.slice(from, to), options, section);
      if (problem !== null) return (problem === UNEXPECTED_UNDERSCORE ? syntaxError(text, line) : null) ?? problem;
    }
    lineStart = table[line * 2 + 1] as number;
  }
  facts.bytes = fieldBytes === 0 ? FIELD_EXTRA_BYTES : fieldBytes;
  return null;
}

/** What is no header at all is told before what is not wanted, wherever it stands (seen on Envoy 1.40). */
function syntaxError(text: string, fromLine: number): H1Error | null {
  for (let line = fromLine; line < lineCount; line++) {
    const lineStart = lines[line * 2 - 1] as number;
    const lineEnd = lines[line * 2] as number;
    if (isBlank(text.charCodeAt(lineStart))) continue;
    const colon = text.indexOf(':', lineStart);
    if (colon < 0 || colon >= lineEnd) return BAD_HEADER_NAME;
    const name = headerNameIn(text, lineStart, colon);
    if (name === null) return BAD_HEADER_NAME;
    if (name.kind !== KIND_CONTENT_LENGTH) continue;
    if (facts.contentLength >= 0) return DUPLICATE_LENGTH;
    facts.contentLength = parseLength(text.slice(colon + 1, lineEnd).trim());
    if (facts.contentLength < 0) return BAD_LENGTH;
  }
  return null;
}

function addField(name: HeaderName, raw: string, value: string, options: H1Options, section: Section): H1Error | null {
  if (name.underscore && options.underscores !== 'allow' && section !== SECTION_RESPONSE) {
    if (options.underscores === 'reject_request') return UNEXPECTED_UNDERSCORE;
    facts.dropped++;
    lastValue = DROPPED_FIELD;
    return null;
  }
  const headers = facts.headers;
  facts.known |= name.bit;
  if (name.kind !== KIND_PLAIN) {
    // A field that says where a message ends or whom it is for is never taken from a trailer.
    if (section === SECTION_TRAILERS) {
      lastValue = DROPPED_FIELD;
      return null;
    }
    const problem = noteSpecial(name, value, section);
    if (problem !== null) return problem;
    // Both live on as facts: `host` is the authority, and the coding is undone by the decoder.
    if (name.kind === KIND_TRANSFER_ENCODING || (name.kind === KIND_HOST && section === SECTION_REQUEST)) {
      lastValue = NO_FIELD;
      return null;
    }
  }
  const inline =
    section === SECTION_REQUEST ? name.requestInline : section === SECTION_RESPONSE ? name.responseInline : -1;
  if (inline >= 0 && alreadySeen(inline)) {
    const at = headers.names.indexOf(name.name);
    const before = headers.values[at] as string;
    headers.values[at] = before === '' || value === '' ? before + value : `${before},${value}`;
    lastValue = name.kind === KIND_PLAIN ? at : NO_FIELD;
    return null;
  }
  lastValue = name.kind === KIND_PLAIN ? headers.values.length : NO_FIELD;
  headers.names.push(name.name);
  headers.values.push(value);
  if (headers.rawNames !== null) headers.rawNames.push(raw);
  return null;
}

function noteSpecial(name: HeaderName, value: string, section: Section): H1Error | null {
  switch (name.kind) {
    case KIND_HOST:
      if (section !== SECTION_REQUEST) break;
      if (facts.hostSeen) return DUPLICATE_HOST;
      facts.hostSeen = true;
      facts.host = value;
      break;
    case KIND_CONTENT_LENGTH: {
      if (facts.contentLength >= 0) return DUPLICATE_LENGTH;
      const length = parseLength(value);
      if (length < 0) return BAD_LENGTH;
      facts.contentLength = length;
      break;
    }
    case KIND_TRANSFER_ENCODING:
      // Repeated lines join to something that is not exactly `chunked`; an empty value must not look absent.
      facts.transferEncoding += facts.transferEncoding === '' ? value || ' ' : `,${value}`;
      break;
    case KIND_CONNECTION:
      facts.connection += facts.connection === '' ? value : `,${value}`;
      break;
    default:
  }
  return null;
}

/** Decimal digits only, up to 2^53 − 1; −1 = not a length. */
export function parseLength(value: string): number {
  if (value.length === 0) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return -1;
  }
  return length;
}

function alreadySeen(inline: number): boolean {
  const mask = 1 << (inline & 31);
  if (inline < 32) {
    if ((seenLow & mask) !== 0) return true;
    seenLow |= mask;
    return false;
  }
  if ((seenHigh & mask) !== 0) return true;
  seenHigh |= mask;
  return false;
}

/** Obsolete line folding (RFC 9112 §5.2): Envoy joins; we do not for the fields that decide framing or routing. */
function continueValue(text: string, lineStart: number, lineEnd: number): boolean {
  if (lastValue === NO_FIELD) return false;
  if (lastValue >= 0) {
    const { values } = facts.headers;
    const to = trimEnd(text, lineStart, lineEnd);
    values[lastValue] = (values[lastValue] as string) + text.slice(lineStart, to);
  }
  return true;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** End of `text` between the offsets without trailing spaces and tabs. */
function trimEnd(text: string, start: number, end: number): number {
  let to = end;
  while (to > start && isBlank(text.charCodeAt(to - 1))) to--;
  return to;
}
