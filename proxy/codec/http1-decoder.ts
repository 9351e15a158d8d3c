// What both HTTP/1 decoders share: input that arrives in any pieces, body framing, holds, trailers.
//
// Rule 1: bytes that were shown to a sink are never written to again (a socket may still be sending them).
// Rule 2: an error is final. Rule 3: a sink call may hold, release or ask for the next message; the loop sees it.

import { latin1 } from '../util/latin1.ts';
import type { HeaderMap } from './headers.ts';
import type { H1Error, H1Options } from './http1.ts';
import {
  BAD_CHUNK,
  BAD_CHUNK_END,
  BARE_CR,
  CHUNK_TOO_LONG,
  HEADERS_TOO_LARGE,
  INVALID_CHARACTERS,
} from './http1-error.ts';
import { facts, readFields, SECTION_TRAILERS } from './http1-fields.ts';
import { findHeadEnd, hasBareCr, hasControl, scanHead } from './http1-scan.ts';

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const SEMICOLON = 59;

/** Bytes of one chunk-size line with its extensions. */
const CHUNK_LINE_BYTES_MAX = 16_384;
/** Chunk extensions of one message in all: they carry nothing, so many of them only cost. */
const CHUNK_EXTENSION_BYTES_MAX = 65_536;
/** First capacity of the buffer for a head that arrives in pieces. */
const KEPT_BYTES_INITIAL = 1_024;
/** Up to here a loop moves bytes faster than a call of `copyWithin` does. */
const MOVED_BY_LOOP_BYTES_MAX = 32;
const EMPTY = Buffer.alloc(0);

// States: where in a message the next byte stands.
export const STATE_HEAD = 0;
export const STATE_LENGTH = 1;
export const STATE_CHUNK_SIZE = 2;
export const STATE_CHUNK_SIZE_SPACE = 3;
export const STATE_CHUNK_EXTENSION = 4;
export const STATE_CHUNK_SIZE_LF = 5;
export const STATE_CHUNK_DATA = 6;
export const STATE_CHUNK_DATA_CR = 7;
export const STATE_CHUNK_DATA_LF = 8;
export const STATE_TRAILERS = 9;
/** Everything up to the end of the connection belongs to the message. */
export const STATE_RAW = 10;
/** The message is over; what follows must wait. */
export const STATE_DONE = 11;

/** See the file's head; `RequestDecoder` and `ResponseDecoder` are the two ends. */
export abstract class MessageDecoder {
  protected readonly options: H1Options;
  private readonly skipsEmptyLines: boolean;
  protected state: number;
  protected error: H1Error | null;
  /** Body bytes left of a content-length, or of the chunk. */
  protected remaining: number;
  protected running: boolean;
  /** Where the bytes of the current run end; a kept buffer is larger than what it holds. */
  protected readEnd: number;
  private holds: number;
  private kept: Buffer;
  private keptStart: number;
  private keptEnd: number;
  /** Bytes of an incomplete head (or trailer section) that were searched for its end. */
  private searched: number;
  private chunkDigits: number;
  private chunkLineBytes: number;
  private extensionBytes: number;
  /** Where the chunk data ends that the next call of the sink tells. */
  private dataEnd: number;

  constructor(options: H1Options, skipsEmptyLines: boolean) {
    this.options = options;
    this.skipsEmptyLines = skipsEmptyLines;
    this.state = STATE_HEAD;
    this.error = null;
    this.remaining = 0;
    this.running = false;
    this.readEnd = 0;
    this.holds = 0;
    this.kept = EMPTY;
    this.keptStart = 0;
    this.keptEnd = 0;
    this.searched = 0;
    this.chunkDigits = 0;
    this.chunkLineBytes = 0;
    this.extensionBytes = 0;
    this.dataEnd = 0;
  }

  /** Decodes a complete head; sets `state` and tells the sink. Returns an error instead of setting it. */
  protected abstract readHead(bytes: Buffer, start: number, end: number): H1Error | null;
  /** A first look at a head that is not complete: refuses early what can never become one. */
  protected abstract checkPartialHead(bytes: Buffer, start: number, end: number): H1Error | null;
  protected abstract emitData(chunk: Buffer, endStream: boolean): void;
  protected abstract emitEnd(trailers: HeaderMap | null): void;
  /** Bytes follow the end of the message in the same read: called before the sink hears of that end. */
  protected abstract noteExcess(): void;

  /** Bytes kept for later. */
  get bufferedBytes(): number {
    return this.keptEnd - this.keptStart;
  }

  /** See `RequestDecoderShape.feed`. Never from inside a sink call. */
  feed(bytes: Buffer): H1Error | null {
    if (this.error !== null) return this.error;
    if (this.keptEnd > this.keptStart) {
      this.keep(bytes, 0, bytes.length);
      return this.drain();
    }
    const end = bytes.length;
    const consumed = this.run(bytes, 0, end);
    if (this.error === null && consumed < end) this.keep(bytes, consumed, end);
    return this.error;
  }

  /** Counted: body bytes are kept from now on. */
  hold(): void {
    this.holds++;
  }

  /** Undoes one hold; the last one delivers what was kept. */
  release(): H1Error | null {
    if (--this.holds > 0 || this.running) return this.error;
    return this.drain();
  }

  /** Decodes what was kept, as far as state and holds allow. */
  protected drain(): H1Error | null {
    if (this.error !== null || this.keptEnd === this.keptStart) return this.error;
    this.keptStart = this.run(this.kept, this.keptStart, this.keptEnd);
    if (this.keptStart === this.keptEnd) this.dropKept();
    return this.error;
  }

  private dropKept(): void {
    this.kept = EMPTY;
    this.keptStart = 0;
    this.keptEnd = 0;
  }

  /** Appends behind what is kept. Bytes already there may be in use elsewhere: they are never moved within the buffer. */
  private keep(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (this.keptEnd + length > this.kept.length) {
      const held = this.keptEnd - this.keptStart;
      const larger = Buffer.allocUnsafeSlow(Math.max(KEPT_BYTES_INITIAL, (held + length) * 2));
      this.kept.copy(larger, 0, this.keptStart, this.keptEnd);
      this.kept = larger;
      this.keptStart = 0;
      this.keptEnd = held;
    }
    bytes.copy(this.kept, this.keptEnd, start, end);
    this.keptEnd += length;
  }

  /** Decodes from `start`; returns where it stopped: at `end`, or where it must wait. */
  private run(bytes: Buffer, start: number, end: number): number {
    this.running = true;
    this.readEnd = end;
    let at = start;
    while (at < end && this.holds === 0 && this.state !== STATE_DONE) {
      const before = at;
      const state = this.state;
      if (state === STATE_HEAD) at = this.runHead(bytes, at, end);
      else if (state === STATE_LENGTH) at = this.runLength(bytes, at, end);
      else if (state === STATE_CHUNK_DATA) at = this.runChunks(bytes, at, end);
      else if (state === STATE_RAW) {
        this.emitData(bytes.subarray(at, end), false);
        at = end;
      } else if (state === STATE_TRAILERS) at = this.runTrailers(bytes, at, end);
      else at = this.runChunkSyntax(bytes, at, end);
      if (this.error !== null || (at === before && this.state === state)) break;
    }
    this.running = false;
    return at;
  }

  private runHead(bytes: Buffer, from: number, end: number): number {
    let start = from;
    // Empty lines before a request are skipped, RFC 9112 §2.2.
    while (this.skipsEmptyLines && start < end && (bytes[start] === CR || bytes[start] === LF)) start++;
    if (start === end) return end;
    if (start !== from) this.searched = 0;
    const headEnd = this.sectionEnd(bytes, start, end);
    if ((headEnd < 0 ? end : headEnd) - start > this.options.limits.headBytesMax) {
      this.error = HEADERS_TOO_LARGE;
      return start;
    }
    if (headEnd < 0) {
      this.error = this.checkPartialHead(bytes, start, end);
      return start;
    }
    this.error = hasControl ? INVALID_CHARACTERS : this.readHead(bytes, start, headEnd);
    return headEnd;
  }

  /** End of the head or trailer section, scanned; −1 when incomplete. Each byte is searched once, scanned once. */
  private sectionEnd(bytes: Buffer, start: number, end: number): number {
    if (this.searched > 0) {
      // An end can begin up to two bytes before what was searched.
      const found = findHeadEnd(bytes, start, start + this.searched, end);
      if (found < 0) {
        this.searched = end - start;
        return -1;
      }
    }
    const sectionEnd = scanHead(bytes, start, end);
    this.searched = sectionEnd < 0 ? end - start : 0;
    return sectionEnd;
  }

  private runLength(bytes: Buffer, from: number, end: number): number {
    const stop = Math.min(from + this.remaining, end);
    this.remaining -= stop - from;
    const last = this.remaining === 0;
    if (last) {
      this.state = STATE_DONE;
      if (stop < end) this.noteExcess();
    }
    this.emitBody(bytes, from, stop, last);
    return stop;
  }

  /** Chunk data, told in one call for all chunks of the read: a call and its writes cost far more than a small chunk. */
  private runChunks(bytes: Buffer, from: number, end: number): number {
    const stop = from + this.remaining;
    if (stop >= end) {
      this.remaining = stop - end;
      if (stop === end) this.state = STATE_CHUNK_DATA_CR;
      this.emitBody(bytes, from, end, false);
      return end;
    }
    this.dataEnd = stop;
    let at = this.runToNextChunk(bytes, stop, end);
    if (this.state === STATE_CHUNK_DATA && at < end) at = this.gather(bytes, at, end);
    this.emitBody(bytes, from, this.dataEnd, false);
    return at;
  }

  /**
   * Moves the data of further chunks in place to where the first one's ends, over bytes that no sink was shown.
   * @param from in the data of a chunk, with a byte of it there
   */
  private gather(bytes: Buffer, from: number, end: number): number {
    let at = from;
    let { dataEnd } = this;
    do {
      const stop = Math.min(at + this.remaining, end);
      this.remaining -= stop - at;
      if (stop - at > MOVED_BY_LOOP_BYTES_MAX) {
        bytes.copyWithin(dataEnd, at, stop);
        dataEnd += stop - at;
        at = stop;
      } else while (at < stop) bytes[dataEnd++] = bytes[at++] as number;
      if (this.remaining > 0) break;
      at = this.runToNextChunk(bytes, stop, end);
    } while (this.state === STATE_CHUNK_DATA && at < end);
    this.dataEnd = dataEnd;
    return at;
  }

  /** From the end of a chunk's data. Good data goes before an error, and its sink may hold: it is found again then. */
  private runToNextChunk(bytes: Buffer, from: number, end: number): number {
    this.state = STATE_CHUNK_DATA_CR;
    const { extensionBytes } = this;
    const at = this.runChunkSyntax(bytes, from, end);
    if (this.error === null) return at;
    this.error = null;
    this.state = STATE_CHUNK_DATA_CR;
    this.remaining = 0;
    this.extensionBytes = extensionBytes;
    return from;
  }

  private emitBody(bytes: Buffer, from: number, stop: number, last: boolean): void {
    this.emitData(from === 0 && stop === bytes.length ? bytes : bytes.subarray(from, stop), last);
  }

  /** Begins a chunked body. */
  protected beginChunked(): void {
    this.extensionBytes = 0;
    this.beginChunk();
  }

  private beginChunk(): void {
    this.state = STATE_CHUNK_SIZE;
    this.remaining = 0;
    this.chunkDigits = 0;
    this.chunkLineBytes = 0;
  }

  /** Chunk-size lines and what separates chunks, byte by byte: they are short. CR LF only, as Envoy and RFC 9112 §7.1. */
  private runChunkSyntax(bytes: Buffer, from: number, end: number): number {
    for (let i = from; i < end; i++) {
      const byte = bytes[i] as number;
      switch (this.state) {
        case STATE_CHUNK_SIZE: {
          const digit = hexDigit(byte);
          if (digit >= 0) {
            this.remaining = this.remaining * 16 + digit;
            if (this.remaining > Number.MAX_SAFE_INTEGER || ++this.chunkDigits > CHUNK_LINE_BYTES_MAX)
              return this.fail(BAD_CHUNK, i);
            continue;
          }
          if (this.chunkDigits === 0) return this.fail(BAD_CHUNK, i);
          if (!this.endOfSize(byte)) return this.fail(BAD_CHUNK, i);
          continue;
        }
        case STATE_CHUNK_SIZE_SPACE:
          if (!this.endOfSize(byte)) return this.fail(BAD_CHUNK, i);
          continue;
        case STATE_CHUNK_EXTENSION:
          if (++this.chunkLineBytes > CHUNK_LINE_BYTES_MAX || ++this.extensionBytes > CHUNK_EXTENSION_BYTES_MAX)
            return this.fail(CHUNK_TOO_LONG, i);
          if (byte === CR) this.state = STATE_CHUNK_SIZE_LF;
          else if ((byte < SPACE && byte !== TAB) || byte === 0x7f) return this.fail(BAD_CHUNK, i);
          continue;
        case STATE_CHUNK_SIZE_LF:
          if (byte !== LF) return this.fail(BAD_CHUNK, i);
          this.state = this.remaining === 0 ? STATE_TRAILERS : STATE_CHUNK_DATA;
          this.searched = 0;
          return i + 1;
        case STATE_CHUNK_DATA_CR:
          if (byte !== CR) return this.fail(BAD_CHUNK_END, i);
          this.state = STATE_CHUNK_DATA_LF;
          continue;
        default: // STATE_CHUNK_DATA_LF
          if (byte !== LF) return this.fail(BAD_CHUNK_END, i);
          this.beginChunk();
          continue;
      }
    }
    return end;
  }

  /** The byte after a chunk size (and spaces): the line's end or its extensions; false = neither. */
  private endOfSize(byte: number): boolean {
    if (byte === CR) this.state = STATE_CHUNK_SIZE_LF;
    else if (byte === SEMICOLON) this.state = STATE_CHUNK_EXTENSION;
    else if (byte === SPACE || byte === TAB) {
      this.state = STATE_CHUNK_SIZE_SPACE;
      return ++this.chunkLineBytes <= CHUNK_LINE_BYTES_MAX;
    } else return false;
    return true;
  }

  private runTrailers(bytes: Buffer, from: number, end: number): number {
    // The usual case: no trailers.
    if (end - from >= 2 && bytes[from] === CR && bytes[from + 1] === LF) {
      this.finish(from + 2 < end, null);
      return from + 2;
    }
    const sectionEnd = this.sectionEnd(bytes, from, end);
    if ((sectionEnd < 0 ? end : sectionEnd) - from > this.options.limits.headBytesMax)
      return this.fail(HEADERS_TOO_LARGE, from);
    if (sectionEnd < 0) return from;
    if (hasControl) return this.fail(INVALID_CHARACTERS, from);
    if (hasBareCr) return this.fail(BARE_CR, from);
    const problem = readFields(latin1(bytes, from, sectionEnd), 0, this.options, SECTION_TRAILERS);
    if (problem !== null) return this.fail(problem, from);
    const trailers = this.options.enableTrailers && facts.headers.size > 0 ? facts.headers : null;
    this.finish(sectionEnd < end, trailers);
    return sectionEnd;
  }

  private finish(excess: boolean, trailers: HeaderMap | null): void {
    this.state = STATE_DONE;
    this.searched = 0;
    if (excess) this.noteExcess();
    this.emitEnd(trailers);
  }

  private fail(error: H1Error, at: number): number {
    this.error = error;
    return at;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
