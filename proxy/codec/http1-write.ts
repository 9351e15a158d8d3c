// Encodes HTTP/1 heads and chunks as latin1 text, and decides how a body is delimited.
//
// Rule 1: nothing here checks names or values: what a decoder or `lower` let in is valid.
import type { HeaderCase } from '../config/model/headers.ts';
import type { HeaderMap } from './headers.ts';
import { FRAMING_AS_IS, FRAMING_CHUNKED, FRAMING_CHUNKED_BODILESS, FRAMING_EMPTY, type Framing } from './http1.ts';
import { properCase } from './known-headers.ts';

/** Bodies up to this many bytes share a prepared chunk head. */
const PREPARED_CHUNK_BYTES = 1_024;
/** Spellings of `proper` kept. */
const PROPER_NAMES_MAX = 2_048;

export const CHUNK_END = '\r\n';
export const LAST_CHUNK = '0\r\n\r\n';

// RFC 9110 and the IANA registry, as Envoy prints them: it has no names for 102 and 103.
const REASONS: ReadonlyMap<number, string> = new Map([
  [100, 'Continue'],
  [101, 'Switching Protocols'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [203, 'Non-Authoritative Information'],
  [204, 'No Content'],
  [205, 'Reset Content'],
  [206, 'Partial Content'],
  [207, 'Multi-Status'],
  [208, 'Already Reported'],
  [226, 'IM Used'],
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [305, 'Use Proxy'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Payload Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Range Not Satisfiable'],
  [417, 'Expectation Failed'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Entity'],
  [423, 'Locked'],
  [424, 'Failed Dependency'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
  [506, 'Variant Also Negotiates'],
  [507, 'Insufficient Storage'],
  [508, 'Loop Detected'],
  [510, 'Not Extended'],
  [511, 'Network Authentication Required'],
  [599, 'Last Unassigned Server Error Code'],
]);

const statusLines: string[] = [];
for (const [status, reason] of REASONS) statusLines[status] = `HTTP/1.1 ${status} ${reason}\r\n`;

/** The reason phrase Envoy writes; `Unknown` for what it does not know. */
export function reasonPhrase(status: number): string {
  return REASONS.get(status) ?? 'Unknown';
}

const chunkHeads: string[] = [];
for (let bytes = 0; bytes <= PREPARED_CHUNK_BYTES; bytes++) chunkHeads.push(`${bytes.toString(16)}\r\n`);

/** Bytes of the status line of `writeResponseHead` with the usual reason. */
export function statusLineBytes(status: number): number {
  return statusLines[status]?.length ?? UNKNOWN_STATUS_LINE_BYTES;
}
const UNKNOWN_STATUS_LINE_BYTES = 'HTTP/1.1 999 Unknown\r\n'.length;

/** The line before a chunk of that many bytes (at least 1); `CHUNK_END` goes behind it. */
export function chunkHead(bytes: number): string {
  return bytes <= PREPARED_CHUNK_BYTES ? (chunkHeads[bytes] as string) : `${bytes.toString(16)}\r\n`;
}

/** The last chunk with trailers; without any it is `LAST_CHUNK`. */
export function writeTrailers(trailers: HeaderMap | null, headerCase: HeaderCase): string {
  if (trailers === null || trailers.size === 0) return LAST_CHUNK;
  return `0\r\n${fields(trailers, headerCase)}\r\n`;
}

/** A request head. `authority` becomes `host`, first as Envoy writes it; `path` is the whole target. */
export function writeRequestHead(
  method: string,
  path: string,
  authority: string,
  headers: HeaderMap,
  framing: Framing,
  headerCase: HeaderCase,
): string {
  const host = headerCase === 'lower' ? 'host' : headerCase === 'proper' || headers.rawNames !== null ? 'Host' : 'host';
  return `${method} ${path} HTTP/1.1\r\n${host}: ${authority}\r\n${fields(headers, headerCase)}${framingField(framing, headerCase)}\r\n`;
}

/**
 * A response head (also 1xx).
 * @param minor 0 for an HTTP/1.0 peer
 * @param reason empty = the usual one
 */
export function writeResponseHead(
  status: number,
  headers: HeaderMap,
  minor: number,
  framing: Framing,
  headerCase: HeaderCase,
  reason = '',
): string {
  const line = minor === 1 && reason === '' ? statusLines[status] : undefined;
  const start = line ?? `HTTP/1.${minor} ${status} ${reason === '' ? reasonPhrase(status) : reason}\r\n`;
  return `${start}${fields(headers, headerCase)}${framingField(framing, headerCase)}\r\n`;
}

function fields(headers: HeaderMap, headerCase: HeaderCase): string {
  const { names, values, rawNames } = headers;
  let text = '';
  if (headerCase === 'lower' && rawNames === null) {
    for (let i = 0; i < names.length; i++) text += `${names[i]}: ${values[i]}\r\n`;
    return text;
  }
  // A peer's own spelling travels with its headers, whatever this side would write.
  const spelled = rawNames ?? names;
  const proper = headerCase === 'proper' && rawNames === null;
  for (let i = 0; i < names.length; i++) {
    const name = spelled[i] as string;
    text += `${proper ? properName(name) : name}: ${values[i]}\r\n`;
  }
  return text;
}

const properNames = new Map<string, string>();

function properName(name: string): string {
  const known = properNames.get(name);
  if (known !== undefined) return known;
  const proper = properCase(name);
  if (properNames.size < PROPER_NAMES_MAX) properNames.set(name, proper);
  return proper;
}

function framingField(framing: Framing, headerCase: HeaderCase): string {
  if (framing === FRAMING_AS_IS) return '';
  const proper = headerCase === 'proper';
  if (framing === FRAMING_EMPTY) return proper ? 'Content-Length: 0\r\n' : 'content-length: 0\r\n';
  return proper ? 'Transfer-Encoding: chunked\r\n' : 'transfer-encoding: chunked\r\n';
}

/**
 * How a request body is delimited on the way up, as Envoy's codec decides it.
 * @param upgrade raw bytes follow (an accepted upgrade)
 */
export function requestFraming(method: string, headers: HeaderMap, endStream: boolean, upgrade = false): Framing {
  if (upgrade || method === 'CONNECT' || headers.has('content-length')) return FRAMING_AS_IS;
  if (!endStream) return FRAMING_CHUNKED;
  return isBodiless(method) ? FRAMING_AS_IS : FRAMING_EMPTY;
}

function isBodiless(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'TRACE';
}

/**
 * How a response body is delimited on the way down, as Envoy's codec decides it.
 * @param method of the request
 * @param minor of the peer: 1.0 has no chunks, so the body ends with the connection
 */
export function responseFraming(
  method: string,
  status: number,
  headers: HeaderMap,
  minor: number,
  endStream: boolean,
): Framing {
  if (headers.has('content-length') || status < 200 || status === 204 || status === 304) return FRAMING_AS_IS;
  if (method === 'HEAD') return minor === 0 ? FRAMING_AS_IS : FRAMING_CHUNKED_BODILESS;
  if (endStream) return FRAMING_EMPTY;
  if (method === 'CONNECT' && status < 300) return FRAMING_AS_IS;
  return minor === 0 ? FRAMING_AS_IS : FRAMING_CHUNKED;
}
