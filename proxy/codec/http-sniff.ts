// Tells HTTP by its first bytes (Envoy: `http_inspector`): the preface of HTTP/2, or a request line of HTTP/1.
//
// No I/O and no state. What can be no HTTP is known by its first token; the rest of a request line is judged when it is
// there, by the rules of Envoy's parser, which takes any method.

import { latin1 } from '../util/latin1.ts';
import { isOriginForm, parseAbsoluteForm } from './http1-target.ts';

export type SniffedHttp = 'http/1.0' | 'http/1.1' | 'h2c';

/** A number: at least that many bytes in all are needed. `null`: this is no HTTP. */
export type SniffResult = number | SniffedHttp | null;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const LF = 10;
/** A longer method is none: a client that sends a byte at a time must not have it read over and over. */
const METHOD_BYTES_MAX = 1_024;

/** Characters of a token (RFC 9110 §5.6.2), by code. */
const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[char.charCodeAt(0)] = 1;

/**
 * Looks at the first bytes of a connection.
 * @param searched bytes known to hold no line end, from an earlier call
 */
export function sniffHttp(bytes: Buffer, searched: number): SniffResult {
  const { length } = bytes;
  if (length === 0) return 1;
  const compared = Math.min(length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, compared, 0, compared) === 0) return length < PREFACE.length ? PREFACE.length : 'h2c';
  if (!startsWithMethod(bytes)) return null;
  const end = bytes.indexOf(LF, searched);
  if (end < 0) return length + 1;
  return judgeLine(latin1(bytes, 0, end > 0 && bytes[end - 1] === 13 ? end - 1 : end));
}

function startsWithMethod(bytes: Buffer): boolean {
  const end = Math.min(bytes.length, METHOD_BYTES_MAX);
  for (let i = 0; i < end; i++) {
    const byte = bytes[i] as number;
    if (TOKEN[byte] === 1) continue;
    // The blank, or end of the line, behind at least one character.
    return i > 0 && (byte === 32 || byte === 9 || byte === 13 || byte === LF);
  }
  return end < METHOD_BYTES_MAX;
}

function judgeLine(line: string): SniffedHttp | null {
  const [method, target, version = '', ...more] = line.trimEnd().split(/[ \t]+/);
  if (method === undefined || target === undefined || more.length > 0) return null;
  if (!isTarget(method, target)) return null;
  if (version === '') return 'http/1.0';
  if (!/^HTTP\/[0-9]\.[0-9]$/.test(version)) return null;
  return version === 'HTTP/1.1' ? 'http/1.1' : 'http/1.0';
}

function isTarget(method: string, target: string): boolean {
  if (isOriginForm(target) || parseAbsoluteForm(target) !== null) return true;
  return method === 'CONNECT' && parseAbsoluteForm(`a://${target}`) !== null;
}
