// HEADERS and CONTINUATION: which stream a block belongs to, its decoding, and what it makes of the stream.
//
// Fragments are decoded as they come, so that the bounds of a block hold before its end is seen; what is kept between
// fragments is a field that is not whole.

import { HpackDecoder } from './hpack-decoder.ts';
import { H2_COMPRESSION_ERROR, H2_FRAME_SIZE_ERROR, H2_PROTOCOL_ERROR, H2_REFUSED_STREAM } from './http2.ts';
import type { BodyReceiver } from './http2-body.ts';
import type { Http2Core } from './http2-core.ts';
import {
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FLAG_PADDED,
  FLAG_PRIORITY,
  H2_FRAME_HEADER_BYTES,
  uint31,
} from './http2-frames.ts';
import {
  BAD_MESSAGE,
  BLOCK_IGNORED,
  BLOCK_REQUEST,
  BLOCK_REQUEST_TRAILERS,
  BLOCK_RESPONSE,
  BLOCK_RESPONSE_TRAILERS,
  FINE,
  MessageReader,
} from './http2-message.ts';
import { Http2Stream } from './http2-stream.ts';

const PRIORITY_BYTES = 5;
const NO_BYTES = Buffer.alloc(0);
/** A block that comes in one frame, as nearly all do, is read by the one reader of its thread. */
const sharedReader = new MessageReader();

/** See the head of this file. */
export class BlockReceiver {
  readonly decoder: HpackDecoder;
  /** Stream whose block goes on in the next frame; 0 = none. */
  openId: number;
  private readonly core: Http2Core;
  private readonly body: BodyReceiver;
  private kind: number;
  private ends: boolean;
  private stream: Http2Stream | null;
  private reader: MessageReader;
  /** Begin of a field that the next fragment goes on with. */
  private rest: Buffer | null;
  /** Bytes used of it. */
  private restBytes: number;

  constructor(core: Http2Core, body: BodyReceiver) {
    this.core = core;
    this.body = body;
    this.decoder = new HpackDecoder(core.options.headerStringBytesMax);
    this.decoder.setLimit(core.options.headerTableBytes, false);
    this.openId = 0;
    this.kind = BLOCK_IGNORED;
    this.ends = false;
    this.stream = null;
    this.reader = sharedReader;
    this.rest = null;
    this.restBytes = 0;
  }

  /** The stream whose request begins with a block that is not whole. */
  get pendingHead(): Http2Stream | null {
    return this.openId !== 0 && this.kind === BLOCK_REQUEST ? this.stream : null;
  }

  onHeaders(id: number, flags: number, bytes: Buffer, start: number, end: number): void {
    const { core } = this;
    let from = start;
    let to = end;
    const needed = ((flags & FLAG_PADDED) !== 0 ? 1 : 0) + ((flags & FLAG_PRIORITY) !== 0 ? PRIORITY_BYTES : 0);
    if (end - start < needed) {
      core.fail(H2_FRAME_SIZE_ERROR);
      return;
    }
    if ((flags & FLAG_PADDED) !== 0) to -= bytes[from++] as number;
    const priority = from;
    if ((flags & FLAG_PRIORITY) !== 0) from += PRIORITY_BYTES;
    if (to < from) {
      core.fail(H2_PROTOCOL_ERROR, 'HEADERS: invalid padding');
      return;
    }
    if (id === 0 || (priority !== from && uint31(bytes, priority) === id)) {
      core.refuse(core.streams.get(id) ?? null);
      return;
    }
    this.ends = (flags & FLAG_END_STREAM) !== 0;
    this.kind = BLOCK_IGNORED;
    this.stream = null;
    if (!(core.isClient ? this.openResponse(id) : this.openRequest(id))) return;
    if (this.isFlood(from === to, this.ends)) return;
    this.count(end - start);
    const whole = (flags & FLAG_END_HEADERS) !== 0;
    this.openId = whole ? 0 : id;
    this.reader = whole ? sharedReader : new MessageReader();
    this.reader.begin(this.kind, core.options);
    this.read(bytes, from, to, true, whole);
  }

  onContinuation(id: number, flags: number, bytes: Buffer, from: number, end: number): void {
    if (id !== this.openId || id === 0) {
      this.core.fail(H2_PROTOCOL_ERROR, 'CONTINUATION: unexpected');
      return;
    }
    if (this.isFlood(from === end, false)) return;
    this.count(end - from);
    const last = (flags & FLAG_END_HEADERS) !== 0;
    if (last) this.openId = 0;
    if (this.rest === null) {
      this.read(bytes, from, end, false, last);
      return;
    }
    this.addRest(bytes, from, end);
    // Each try begins with the field's first byte: only where more of it can be read.
    if (!last && this.restBytes < this.decoder.needed) return;
    const joined = this.rest as Buffer;
    this.rest = null;
    this.read(joined, 0, this.restBytes, false, last);
  }

  private addRest(bytes: Buffer, from: number, end: number): void {
    const size = end - from;
    let rest = this.rest ?? NO_BYTES;
    if (this.restBytes + size > rest.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.restBytes + size, 2 * rest.length));
      rest.copy(larger, 0, 0, this.restBytes);
      rest = larger;
    }
    bytes.copy(rest, this.restBytes, from, end);
    this.rest = rest;
    this.restBytes += size;
  }

  private isFlood(empty: boolean, ends: boolean): boolean {
    const flood = this.core.guard.onPayloadFrame(empty ? 0 : 1, ends);
    if (flood === null) return false;
    if (this.stream !== null) this.stream.blame = flood.details;
    this.core.onFlood(flood);
    return true;
  }

  private count(payloadBytes: number): void {
    const { stream } = this;
    if (stream === null) return;
    stream.wireBytesReceived += H2_FRAME_HEADER_BYTES + payloadBytes;
    stream.headerWireBytesReceived += H2_FRAME_HEADER_BYTES + payloadBytes;
  }

  private read(bytes: Buffer, from: number, to: number, first: boolean, last: boolean): void {
    const stopped = this.decoder.decode(bytes, from, to, this.reader, first);
    if (stopped < 0 || (last && stopped < to)) {
      this.core.fail(H2_COMPRESSION_ERROR);
      return;
    }
    if (!last) {
      if (stopped === to) return;
      this.restBytes = 0;
      this.addRest(bytes, stopped, to);
      return;
    }
    this.reader.finish();
    const { stream } = this;
    this.stream = null;
    if (stream !== null && !stream.over) this.onBlock(stream, this.reader);
  }

  /** Server: what a block for this stream is. @returns false: the connection is over */
  private openRequest(id: number): boolean {
    const { core } = this;
    const stream = core.streams.get(id);
    if (stream !== undefined) {
      if (stream.remoteEnded) core.refuse(stream);
      this.stream = stream;
      this.kind = BLOCK_REQUEST_TRAILERS;
      return !stream.remoteEnded;
    }
    if ((id & 1) === 0) {
      core.refuse(null);
      return false;
    }
    // Streams that are closed, and all after our GOAWAY: read for the dynamic table's sake.
    if (id <= core.lastPeerId) return true;
    core.lastPeerId = id;
    if (id > core.acceptedIdMax) return true;
    if (core.active >= core.options.maxConcurrentStreams) {
      core.guard.onStream();
      core.counts.streamRefusedErrors++;
      core.sender.reset(id, H2_REFUSED_STREAM);
      return true;
    }
    const opened = new Http2Stream(id, null, core.streamWindow, core.sender.initialWindow);
    core.open(opened);
    this.stream = opened;
    this.kind = BLOCK_REQUEST;
    return true;
  }

  /** Client. */
  private openResponse(id: number): boolean {
    const { core } = this;
    const stream = core.streams.get(id);
    if (stream === undefined) {
      if (!core.isIdle(id)) return true;
      core.refuse(null);
      return false;
    }
    if (stream.remoteEnded) {
      core.refuse(stream);
      return false;
    }
    this.stream = stream;
    this.kind = stream.headRead ? BLOCK_RESPONSE_TRAILERS : BLOCK_RESPONSE;
    return true;
  }

  private onBlock(stream: Http2Stream, reader: MessageReader): void {
    const { core } = this;
    core.counts.droppedHeadersWithUnderscores += reader.droppedUnderscores;
    // Envoy counts those of requests alone.
    if (this.kind === BLOCK_REQUEST_TRAILERS) core.counts.trailers++;
    if (reader.problem !== FINE) core.malformed(stream, reader.problem);
    else if (this.kind === BLOCK_REQUEST) this.onRequest(stream, reader);
    else if (this.kind === BLOCK_RESPONSE) this.onResponse(stream, reader);
    // A length that comes behind its body can only be a lie.
    else if (!this.ends || stream.bodyLeft > 0 || reader.contentLength >= 0) core.malformed(stream, BAD_MESSAGE);
    else {
      stream.keptTrailers = reader.headers;
      this.body.onTrailers(stream);
    }
  }

  private onRequest(stream: Http2Stream, reader: MessageReader): void {
    const { core, ends } = this;
    // What follows a plain CONNECT is no body.
    if (reader.method !== 'CONNECT' || reader.protocol !== '') stream.bodyLeft = reader.contentLength;
    if (ends && stream.bodyLeft > 0) {
      core.malformed(stream, BAD_MESSAGE);
      return;
    }
    this.beginMessage(stream);
    core.sink.onRequest(stream, reader.requestHead(stream.headerWireBytesReceived), ends);
    if (ends) core.maybeOver(stream);
  }

  private onResponse(stream: Http2Stream, reader: MessageReader): void {
    const { core, ends } = this;
    const { status, headers } = reader;
    if (status < 200 && status >= 100) {
      // An interim response cannot be the last, and 101 means nothing here (RFC 9113 §8.1, §8.6).
      if (ends || status === 101) core.malformed(stream, BAD_MESSAGE);
      else core.sink.onInformational(stream, status, headers);
      return;
    }
    const bodiless = stream.headRequest || status === 204 || status === 304;
    stream.bodyLeft = bodiless ? 0 : reader.contentLength;
    if (ends && stream.bodyLeft > 0) {
      core.malformed(stream, BAD_MESSAGE);
      return;
    }
    this.beginMessage(stream);
    core.sink.onResponse(stream, status, headers, ends);
    if (ends) core.maybeOver(stream);
  }

  private beginMessage(stream: Http2Stream): void {
    stream.headRead = true;
    stream.endTold = this.ends;
    if (this.ends) this.core.onRemoteEnd(stream);
  }
}
