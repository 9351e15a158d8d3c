// Decodes HTTP/1 requests (RFC 9112), as strict as Envoy's codec or stricter; differences are in `test/corpus/`.

import { latin1 } from '../util/latin1.ts';
import type { HeaderMap } from './headers.ts';
import {
  type H1Error,
  type H1Options,
  KNOWN_CONNECTION,
  KNOWN_UPGRADE,
  type RequestDecoderShape,
  type RequestHead,
  type RequestSink,
} from './http1.ts';
import { dropConnectionTokens, hasToken, removeNominated } from './http1-connection.ts';
import { MessageDecoder, STATE_DONE, STATE_HEAD, STATE_LENGTH, STATE_RAW } from './http1-decoder.ts';
import {
  BAD_METHOD,
  BAD_TARGET,
  BAD_VERSION,
  BARE_CR,
  BODY_DISALLOWED,
  CHUNKED_IN_1_0,
  CONNECTION_HEADER_REJECTED,
  HTTPS_ON_PLAINTEXT,
  INVALID_AUTHORITY,
  INVALID_CHARACTERS,
  INVALID_SCHEME,
  INVALID_TRANSFER_ENCODING,
  INVALID_URL,
  LENGTH_AND_CHUNKED,
  LOW_VERSION,
  UNEXPECTED_END,
} from './http1-error.ts';
import { facts, readFields, SECTION_REQUEST } from './http1-fields.ts';
import { hasBareCr, lines } from './http1-scan.ts';
import { isAuthority, isAuthorityForm, isConnectTarget, isOriginForm, parseAbsoluteForm } from './http1-target.ts';
import { isToken } from './known-headers.ts';

const LF = 10;
const SLASH = 47;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;

// The methods Envoy 1.40 takes without `allow_custom_methods`.
const METHODS: ReadonlySet<string> = new Set(
  `ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS PATCH
  POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK
  UNSUBSCRIBE`.split(/\s+/),
);
const METHOD_FIRST_BYTES: ReadonlySet<number> = new Set([...METHODS].map((method) => method.charCodeAt(0)));

// Parts of the start line read last; one head at a time per thread.
let method = '';
let target = '';
let version: 10 | 11 = 11;

/** See `RequestDecoderShape` for the contract of each call. */
export class RequestDecoder extends MessageDecoder implements RequestDecoderShape {
  private readonly sink: RequestSink;
  private lineChecked: boolean;
  /** Version of what answers: 0 from the end of the head of a 1.0 request that is taken, else 1. */
  minor: 0 | 1;

  constructor(options: H1Options, sink: RequestSink) {
    super(options, true);
    this.sink = sink;
    this.lineChecked = false;
    this.minor = 1;
  }

  get idle(): boolean {
    return this.state === STATE_HEAD && this.bufferedBytes === 0 && this.error === null;
  }

  get requestComplete(): boolean {
    return this.state === STATE_DONE;
  }

  nextRequest(): H1Error | null {
    if (this.state !== STATE_DONE) return this.error;
    this.state = STATE_HEAD;
    this.minor = 1;
    return this.running ? this.error : this.drain();
  }

  eof(): H1Error | null {
    if (this.error !== null) return this.error;
    if (this.state === STATE_DONE || this.idle) return null;
    if (this.state === STATE_RAW) {
      this.state = STATE_DONE;
      this.sink.onRequestTrailers(null);
      return null;
    }
    this.error = UNEXPECTED_END;
    return UNEXPECTED_END;
  }

  protected emitData(chunk: Buffer, endStream: boolean): void {
    this.sink.onRequestData(chunk, endStream);
  }

  protected emitEnd(trailers: HeaderMap | null): void {
    this.sink.onRequestTrailers(trailers);
  }

  protected noteExcess(): void {
    // A pipelined request: it waits.
  }

  protected checkPartialHead(bytes: Buffer, start: number, end: number): H1Error | null {
    if (!this.options.allowCustomMethods && !METHOD_FIRST_BYTES.has(bytes[start] as number)) return BAD_METHOD;
    if (this.lineChecked) return null;
    const newline = bytes.indexOf(LF, start);
    if (newline < 0 || newline >= end) return null;
    this.lineChecked = true;
    const stop = newline > start && bytes[newline - 1] === 13 ? newline - 1 : newline;
    const line = latin1(bytes, start, stop);
    if (CONTROL.test(line)) return INVALID_CHARACTERS;
    if (line.includes('\r')) return BARE_CR;
    return readStartLine(line, stop - start, this.options) ?? checkTargetForm();
  }

  protected readHead(bytes: Buffer, start: number, end: number): H1Error | null {
    this.lineChecked = false;
    if (hasBareCr) return BARE_CR;
    const options = this.options;
    const text = latin1(bytes, start, end);
    const problem =
      readStartLine(text, lines[0] as number, options) ??
      checkTargetForm() ??
      readFields(text, 1, options, SECTION_REQUEST);
    if (problem !== null) return problem;
    const head: RequestHead = {
      method,
      path: target,
      authority: facts.host,
      hasAuthority: facts.hostSeen,
      scheme: '',
      version,
      headers: facts.headers,
      known: facts.known,
      keepAlive: version === 11,
      upgrade: false,
      fieldBytes: facts.bytes,
      droppedHeaders: facts.dropped,
    };
    if (version === 10 && options.acceptHttp10) this.minor = 0;
    // In Envoy's order: of several faults the first one names the answer.
    const fault = checkFraming(head, options) ?? applyConnection(head, options) ?? applyTarget(head, options);
    if (fault !== null) return fault;
    this.beginBody(head);
    return null;
  }

  /** Decides how the body is delimited (RFC 9112 §6.3) and tells the sink of the head. */
  private beginBody(head: RequestHead): void {
    if (head.upgrade) {
      this.state = STATE_RAW;
      this.sink.onRequestHead(head, false);
    } else if (facts.transferEncoding !== '') {
      this.beginChunked();
      this.sink.onRequestHead(head, false);
    } else if (facts.contentLength > 0) {
      this.state = STATE_LENGTH;
      this.remaining = facts.contentLength;
      this.sink.onRequestHead(head, false);
    } else {
      this.state = STATE_DONE;
      this.sink.onRequestHead(head, true);
    }
  }
}

/** Reads method, target and version of the first line of `text` into the module's variables. */
function readStartLine(text: string, lineEnd: number, options: H1Options): H1Error | null {
  const space = usualMethod(text);
  const versionAt = lineEnd - 8;
  version = 11;
  if (
    space > 0 &&
    text.charCodeAt(versionAt - 1) === 32 &&
    space < versionAt - 1 &&
    text.startsWith('HTTP/1.', versionAt) &&
    text.charCodeAt(lineEnd - 1) === 49
  ) {
    target = text.slice(space + 1, versionAt - 1);
    if (target.charCodeAt(0) > 32 && target.charCodeAt(target.length - 1) > 32) return null;
  }
  return readUnusualStartLine(text.slice(0, lineEnd), options);
}

/** Sets `method` where it is one of the common ones; returns the index of the space behind it, or −1. */
function usualMethod(text: string): number {
  if (text.startsWith('GET ')) {
    method = 'GET';
    return 3;
  }
  if (text.startsWith('POST ')) {
    method = 'POST';
    return 4;
  }
  const space = text.indexOf(' ');
  method = text.slice(0, space);
  return METHODS.has(method) ? space : -1;
}

/** Runs of spaces and tabs as Envoy takes them, versions other than 1.1, custom methods. */
function readUnusualStartLine(line: string, options: H1Options): H1Error | null {
  const parts = line.trimEnd().split(/[ \t]+/);
  method = parts[0] as string;
  if (!(options.allowCustomMethods ? isToken(method) : METHODS.has(method))) return BAD_METHOD;
  if (parts.length < 2) return BAD_TARGET;
  target = parts[1] as string;
  if (parts.length > 3) return BAD_VERSION;
  if (parts.length === 2) {
    // HTTP/0.9: there is no version, so there are no headers to wait for either.
    version = 10;
    return checkTargetForm() ?? badUrl(options) ?? (options.acceptHttp10 ? BAD_VERSION : LOW_VERSION);
  }
  const written = parts[2] as string;
  if (!/^HTTP\/[0-9]\.[0-9]$/.test(written)) return BAD_VERSION;
  version = written === 'HTTP/1.1' ? 11 : 10;
  return null;
}

/** What `applyTarget` would say of a target that has no head. */
function badUrl({ allowAbsoluteUrl }: H1Options): H1Error | null {
  if (method === 'CONNECT') return isConnectTarget(target) ? null : INVALID_URL;
  if (!allowAbsoluteUrl) return null;
  if (target.startsWith('*')) return method === 'OPTIONS' ? null : INVALID_URL;
  return parseAbsoluteForm(target)?.authority === '' ? INVALID_URL : null;
}

function checkTargetForm(): H1Error | null {
  if (isOriginForm(target)) return null;
  if (method === 'CONNECT') return isAuthorityForm(target) ? null : BAD_TARGET;
  return parseAbsoluteForm(target) === null ? BAD_TARGET : null;
}

/** How the body is delimited: one way only (RFC 9112 §6.1). */
function checkFraming(head: RequestHead, options: H1Options): H1Error | null {
  const { transferEncoding, contentLength } = facts;
  if (head.method === 'CONNECT') {
    if (contentLength > 0) return BODY_DISALLOWED;
    if (contentLength === 0) head.headers.remove('content-length');
    return transferEncoding === '' ? null : INVALID_TRANSFER_ENCODING;
  }
  if (transferEncoding === '') return null;
  if (contentLength >= 0) {
    if (!options.allowChunkedLength) return LENGTH_AND_CHUNKED;
    head.headers.remove('content-length');
  }
  return transferEncoding === 'chunked' || transferEncoding.toLowerCase() === 'chunked'
    ? null
    : INVALID_TRANSFER_ENCODING;
}

/** Persistence, upgrade and nominated headers. */
function applyConnection(head: RequestHead, options: H1Options): H1Error | null {
  return (head.known & KNOWN_CONNECTION) === 0 ? null : readConnection(head, options);
}

function readConnection(head: RequestHead, options: H1Options): H1Error | null {
  const { connection } = facts;
  if (connection === 'keep-alive') {
    head.keepAlive = true;
    return null;
  }
  const { headers } = head;
  if (hasToken(connection, 'close')) head.keepAlive = false;
  else if (head.version === 10) head.keepAlive = hasToken(connection, 'keep-alive');
  if ((head.known & KNOWN_UPGRADE) !== 0 && hasToken(connection, 'upgrade')) {
    const token = (headers.get('upgrade') as string).toLowerCase();
    if (token === 'h2c' || options.ignoreUpgrade?.(token) === true) {
      headers.remove('upgrade');
      headers.remove('http2-settings');
      dropConnectionTokens(headers, ['upgrade', 'http2-settings']);
    } else head.upgrade = true;
  }
  // `connection` travels on with an upgrade, and with it what it nominates (seen on Envoy 1.40).
  if (head.upgrade || head.method === 'CONNECT') return null;
  const nominated = headers.get('connection') ?? '';
  if (!removeNominated(nominated, headers)) return CONNECTION_HEADER_REJECTED;
  if (hasToken(nominated, 'host')) {
    head.authority = '';
    head.hasAuthority = false;
  }
  return null;
}

/** Splits the target into path, authority and scheme; then the version and the host are looked at. */
function applyTarget(head: RequestHead, options: H1Options): H1Error | null {
  if (target.charCodeAt(0) !== SLASH || head.method === 'CONNECT') {
    const fault = applyUnusualTarget(head, options);
    if (fault !== null) return fault;
  }
  if (head.version === 10) {
    const fault = admitOldVersion(head, options);
    if (fault !== null) return fault;
  }
  return isAuthority(head.authority) ? null : INVALID_AUTHORITY;
}

/** Anything but a path. */
function applyUnusualTarget(head: RequestHead, options: H1Options): H1Error | null {
  if (head.method === 'CONNECT') {
    if (!isConnectTarget(target)) return INVALID_URL;
    head.path = '';
    head.authority = target;
    head.hasAuthority = true;
    head.upgrade = true;
    return null;
  }
  if (target === '*' && head.method === 'OPTIONS') return null;
  if (!options.allowAbsoluteUrl) return null;
  const absolute = parseAbsoluteForm(target);
  if (absolute === null) return INVALID_URL;
  if (absolute.authority === '') return INVALID_URL;
  if (absolute.scheme !== 'http' && absolute.scheme !== 'https') return INVALID_SCHEME;
  if (absolute.scheme === 'https' && !options.allowHttps) return HTTPS_ON_PLAINTEXT;
  head.path = absolute.path;
  head.authority = absolute.authority;
  head.hasAuthority = true;
  head.scheme = absolute.scheme;
  return null;
}

/** HTTP/1.0 has no chunks (RFC 9112 §6.1), and perhaps no host. */
function admitOldVersion(head: RequestHead, options: H1Options): H1Error | null {
  if (!options.acceptHttp10) return LOW_VERSION;
  if (facts.transferEncoding !== '') return CHUNKED_IN_1_0;
  if (!head.hasAuthority && options.defaultHostForHttp10 !== '') {
    head.authority = options.defaultHostForHttp10;
    head.hasAuthority = true;
  }
  return null;
}
