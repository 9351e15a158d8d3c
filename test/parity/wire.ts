// Reading HTTP/1.1 messages off recorded bytes. Not the proxy's codec: a test must not share the code it judges.

import type { ObservedMessage } from './types.ts';

export interface Parsed {
  readonly message: ObservedMessage;
  /** Index behind the message. */
  readonly end: number;
}

/** Message framing of one head: bytes of body, chunked, up to the end of the connection, or none. */
type Framing = number | 'chunked' | 'close';

/**
 * The message that begins at `from`.
 * @param bodiless the message has no body whatever its headers say
 * @param ended no more bytes will come
 * @returns `null` while it is incomplete
 */
export function parseMessage(text: string, from: number, bodiless: boolean, ended: boolean): Parsed | null {
  const headEnd = text.indexOf('\r\n\r\n', from);
  if (headEnd < 0) return null;
  const [line = '', ...headers] = text.slice(from, headEnd).split('\r\n');
  const isAnswer = line.startsWith('HTTP/');
  const framing = framingOf(line, headers, isAnswer, bodiless);
  const bodyFrom = headEnd + 4;
  const make = (body: string, end: number): Parsed => ({ message: { line, headers: sortHeaders(headers), body }, end });
  if (framing === 'close') return ended ? make(text.slice(bodyFrom), text.length) : null;
  if (framing === 'chunked') {
    const end = chunkedEnd(text, bodyFrom);
    return end < 0 ? null : make(joinChunks(text.slice(bodyFrom, end)), end);
  }
  const end = bodyFrom + framing;
  return text.length < end ? null : make(text.slice(bodyFrom, end), end);
}

/** What is there of a message whose end never came; `null` without a whole head. */
export function parsePartial(text: string): ObservedMessage | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0 || !text.startsWith('HTTP/')) return null;
  const [line = '', ...headers] = text.slice(0, headEnd).split('\r\n');
  const body = text.slice(headEnd + 4);
  const chunked = headerOf(headers, 'transfer-encoding')?.toLowerCase() === 'chunked';
  return { line: `cut off: ${line}`, headers: sortHeaders(headers), body: chunked ? joinChunks(body) : body };
}

/** Whether an answer is an interim one (1xx other than 101). */
export function isInterim(message: ObservedMessage): boolean {
  return /^HTTP\/1\.\d 1(?!01)/.test(message.line);
}

function framingOf(line: string, headers: readonly string[], isAnswer: boolean, bodiless: boolean): Framing {
  if (bodiless || (isAnswer && /^HTTP\/1\.\d (1\d\d|204|304)/.test(line))) return 0;
  if (headerOf(headers, 'transfer-encoding')?.toLowerCase() === 'chunked') return 'chunked';
  const length = headerOf(headers, 'content-length');
  if (length !== null) return Number(length);
  return isAnswer ? 'close' : 0;
}

function headerOf(headers: readonly string[], name: string): string | null {
  const found = headers.find((header) => header.slice(0, header.indexOf(':')).toLowerCase() === name);
  return found === undefined ? null : found.slice(found.indexOf(':') + 1).trim();
}

/** By name; fields of one name keep their order, which has a meaning. */
function sortHeaders(headers: readonly string[]): string[] {
  const nameOf = (header: string): string => header.slice(0, header.indexOf(':')).toLowerCase();
  return [...headers].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : 0));
}

/** Index behind the trailer section, or −1 while chunks are missing. */
function chunkedEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return -1;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return text.length;
    if (size === 0) {
      if (text.startsWith('\r\n', lineEnd + 2)) return lineEnd + 4;
      const end = text.indexOf('\r\n\r\n', lineEnd);
      return end < 0 ? -1 : end + 4;
    }
    at = lineEnd + 2 + size + 2;
    if (at > text.length) return -1;
  }
}

/** `chunked:` and the payload, with the trailer section behind a bar; how it was cut into chunks must not matter. */
function joinChunks(text: string): string {
  let payload = '';
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return `chunked, cut off:${payload}`;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) return `broken chunks: ${text}`;
    if (size === 0) {
      const trailers = text
        .slice(lineEnd + 2)
        .trimEnd()
        .replaceAll('\r\n', '; ');
      return `chunked:${payload}${trailers === '' ? '' : `|${trailers}`}`;
    }
    payload += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}
