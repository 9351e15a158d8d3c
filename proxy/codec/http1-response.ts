// Decodes HTTP/1 responses (RFC 9112). It must be told of each request before the answer's bytes (`expect`).

import { latin1 } from '../util/latin1.ts';
import type { HeaderMap } from './headers.ts';
import {
  type H1Error,
  type H1Options,
  KNOWN_CONNECTION,
  KNOWN_HOP,
  KNOWN_TRANSFER_ENCODING,
  type ResponseDecoderShape,
  type ResponseHead,
  type ResponseSink,
} from './http1.ts';
import { hasToken } from './http1-connection.ts';
import { MessageDecoder, STATE_DONE, STATE_HEAD, STATE_LENGTH, STATE_RAW } from './http1-decoder.ts';
import {
  BAD_CONSTANT,
  BAD_STATUS,
  BAD_VERSION,
  BARE_CR,
  BODY_IN_BODILESS,
  INVALID_TRANSFER_ENCODING,
  LENGTH_AND_CHUNKED,
  UNEXPECTED_END,
  UNSOLICITED,
} from './http1-error.ts';
import { facts, readFields, SECTION_RESPONSE } from './http1-fields.ts';
import { hasBareCr, lines } from './http1-scan.ts';

const LETTER_H = 72;

/** See `ResponseDecoderShape` for the contract of each call. */
export class ResponseDecoder extends MessageDecoder implements ResponseDecoderShape {
  private readonly sink: ResponseSink;
  /** The connection must not be used again. */
  shouldClose: boolean;
  started: boolean;
  private method: string;
  private upgradeAsked: boolean;

  constructor(options: H1Options, sink: ResponseSink) {
    super(options, false);
    this.sink = sink;
    this.state = STATE_DONE;
    this.shouldClose = false;
    this.started = false;
    this.method = '';
    this.upgradeAsked = false;
  }

  get complete(): boolean {
    return this.state === STATE_DONE;
  }

  expect(method: string, upgrade: boolean): void {
    // Bytes that came before their request are no answer to it.
    if (this.running && this.shouldClose) this.error = UNSOLICITED;
    this.method = method;
    this.upgradeAsked = upgrade;
    this.started = false;
    this.state = STATE_HEAD;
  }

  override feed(bytes: Buffer): H1Error | null {
    this.started ||= bytes.length > 0;
    const problem = super.feed(bytes);
    if (problem === null && this.state === STATE_DONE && this.bufferedBytes > 0) {
      this.shouldClose = true;
      this.error = UNSOLICITED;
    }
    return this.error;
  }

  override release(): H1Error | null {
    const problem = super.release();
    if (problem === null && this.state === STATE_DONE && this.bufferedBytes > 0) this.error = UNSOLICITED;
    return this.error;
  }

  eof(): H1Error | 'complete' | null {
    if (this.error !== null) return this.error;
    this.shouldClose = true;
    if (this.state === STATE_DONE) return null;
    // Behind an interim response nothing has begun.
    if (this.state === STATE_HEAD && this.started && this.bufferedBytes === 0) return null;
    if (this.state !== STATE_RAW || this.bufferedBytes > 0) {
      this.error = UNEXPECTED_END;
      return UNEXPECTED_END;
    }
    this.state = STATE_DONE;
    this.sink.onResponseTrailers(null);
    return 'complete';
  }

  protected emitData(chunk: Buffer, endStream: boolean): void {
    this.sink.onResponseData(chunk, endStream);
  }

  protected emitEnd(trailers: HeaderMap | null): void {
    this.sink.onResponseTrailers(trailers);
  }

  protected noteExcess(): void {
    this.shouldClose = true;
  }

  protected checkPartialHead(bytes: Buffer, start: number, _end: number): H1Error | null {
    return bytes[start] === LETTER_H ? null : BAD_CONSTANT;
  }

  protected readHead(bytes: Buffer, start: number, end: number): H1Error | null {
    if (hasBareCr) return BARE_CR;
    const text = latin1(bytes, start, end);
    const lineEnd = lines[0] as number;
    const status = readStatus(text, lineEnd);
    if (typeof status !== 'number') return status;
    const problem = readFields(text, 1, this.options, SECTION_RESPONSE);
    if (problem !== null) return problem;
    const minor = text.charCodeAt(7) === 49 ? 1 : 0;
    const head: ResponseHead = {
      status,
      reason: this.options.preserveCase ? text.slice(13, lineEnd) : '',
      minor,
      headers: facts.headers,
      known: facts.known,
      keepAlive: keepsAlive(minor),
      upgrade: false,
      fieldBytes: facts.bytes,
    };
    // What mutations add under this name later goes down (seen on Envoy 1.40).
    if ((head.known & KNOWN_HOP) !== 0) head.headers.remove('keep-alive');
    if (status < 200 || status === 204) {
      if (facts.contentLength > 0 || facts.transferEncoding !== '') return BODY_IN_BODILESS;
      head.headers.remove('content-length');
    }
    if (status < 200 && status !== 101) {
      this.state = STATE_HEAD;
      this.sink.onInformational(head);
      return null;
    }
    return this.beginBody(head, this.readEnd > end);
  }

  /** RFC 9112 §6.3, in its order. */
  private beginBody(head: ResponseHead, excess: boolean): H1Error | null {
    const { status, headers } = head;
    const { contentLength, transferEncoding } = facts;
    head.upgrade =
      (status === 101 && this.upgradeAsked) || (this.method === 'CONNECT' && status >= 200 && status < 300);
    if (transferEncoding !== '') {
      if (contentLength >= 0) {
        if (!this.options.allowChunkedLength) return LENGTH_AND_CHUNKED;
        headers.remove('content-length');
      }
      if (transferEncoding !== 'chunked' && transferEncoding.toLowerCase() !== 'chunked')
        return INVALID_TRANSFER_ENCODING;
    }
    if (head.upgrade) {
      this.shouldClose = true;
      this.state = STATE_RAW;
      this.sink.onResponseHead(head, false);
    } else if (this.method === 'HEAD' || status === 204 || status === 304) {
      this.end(head, excess);
    } else if (status === 101) {
      // Nobody asked for it: passed on as Envoy does, but nothing behind it can be trusted.
      head.keepAlive = false;
      this.end(head, excess);
    } else if ((head.known & KNOWN_TRANSFER_ENCODING) !== 0) {
      this.shouldClose = !head.keepAlive;
      this.beginChunked();
      this.sink.onResponseHead(head, false);
    } else if (contentLength > 0) {
      this.shouldClose = !head.keepAlive;
      this.state = STATE_LENGTH;
      this.remaining = contentLength;
      this.sink.onResponseHead(head, false);
    } else if (contentLength === 0) {
      this.end(head, excess);
    } else {
      head.keepAlive = false;
      this.shouldClose = true;
      this.state = STATE_RAW;
      this.sink.onResponseHead(head, false);
    }
    return null;
  }

  private end(head: ResponseHead, excess: boolean): void {
    this.shouldClose = excess || !head.keepAlive;
    this.state = STATE_DONE;
    this.sink.onResponseHead(head, true);
  }
}

function readStatus(text: string, lineEnd: number): number | H1Error {
  if (!text.startsWith('HTTP/')) return BAD_CONSTANT;
  if (text.charCodeAt(5) !== 49 || text.charCodeAt(6) !== 46 || text.charCodeAt(8) !== 32) return BAD_VERSION;
  if (Number.isNaN(digit(text.charCodeAt(7)))) return BAD_VERSION;
  const status = digit(text.charCodeAt(9)) * 100 + digit(text.charCodeAt(10)) * 10 + digit(text.charCodeAt(11));
  // A line may end behind the status, with or without the space.
  if (!(status >= 100) || (lineEnd > 12 && text.charCodeAt(12) !== 32)) return BAD_STATUS;
  return status;
}

/** NaN for anything but a digit. */
function digit(code: number): number {
  return code >= 48 && code <= 57 ? code - 48 : Number.NaN;
}

function keepsAlive(minor: number): boolean {
  if ((facts.known & (KNOWN_CONNECTION | KNOWN_HOP)) === 0) return minor === 1;
  const { connection } = facts;
  if (connection === '') return minor === 1;
  if (hasToken(connection, 'close')) return false;
  return minor === 1 || hasToken(connection, 'keep-alive');
}
