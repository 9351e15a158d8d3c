// One end of an HTTP/2 connection (RFC 9113): frames in, calls out, frames back. The contract is `http2.ts`.
//
// Theory of operation. Frames other than DATA are handled whole: from the fed bytes where they lie in one piece, else
// from a copy. DATA is told as it comes. A header block is decoded fragment by fragment, so that its bounds hold while
// it arrives. Streams live in a map until both messages have ended; what comes for others is judged by its number.

import type { HeaderMap } from './headers.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import {
  H2_COMPRESSION_ERROR,
  H2_FLOW_CONTROL_ERROR,
  H2_FRAME_SIZE_ERROR,
  H2_INTERNAL_ERROR,
  H2_NO_ERROR,
  H2_PROTOCOL_ERROR,
  H2_REFUSED_STREAM,
  H2_STREAM_CLOSED,
  type H2Counts,
  type H2Error,
  type H2Options,
  type H2Reset,
  type H2SessionShape,
  type H2Sink,
  type H2Stream,
} from './http2.ts';
import { FloodGuard } from './http2-flood.ts';
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FLAG_PADDED,
  FLAG_PRIORITY,
  FRAME_BYTES_MAX,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_PRIORITY,
  FRAME_PUSH_PROMISE,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  H2_FRAME_HEADER_BYTES,
  PREFACE,
  SETTINGS_ENABLE_CONNECT_PROTOCOL,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_HEADER_TABLE_SIZE,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
  STREAM_ID_MAX,
  uint31,
  uint32,
  WINDOW_BYTES_MAX,
} from './http2-frames.ts';
import {
  BAD_FIELD,
  BAD_MESSAGE,
  BLOCK_IGNORED,
  BLOCK_REQUEST,
  BLOCK_REQUEST_TRAILERS,
  BLOCK_RESPONSE,
  BLOCK_RESPONSE_TRAILERS,
  FINE,
  MessageReader,
  TOO_LARGE,
  UNDERSCORE,
} from './http2-message.ts';
import { Http2Sender, type SenderOwner } from './http2-sender.ts';
import { Http2Stream } from './http2-stream.ts';

/** Streams that we have reset lately: what the peer had sent before it knew is no error of its. */
const RESET_IDS = 256;
/** Blocks that lie in one frame, which nearly all do, are read by one reader a thread. */
const sharedReader = new MessageReader();

// Details that streams end with, Envoy's texts.
const DETAILS: readonly string[] = [
  '',
  'http2.invalid.header.field',
  'http2.violation.of.messaging.rule',
  'http2.too_many_headers',
  'http2.unexpected_underscore',
];

function newCounts(): H2Counts {
  return {
    droppedHeadersWithUnderscores: 0,
    requestsRejectedWithUnderscores: 0,
    headerOverflow: 0,
    headersCbNoStream: 0,
    inboundEmptyFramesFlood: 0,
    inboundPriorityFramesFlood: 0,
    inboundWindowUpdateFramesFlood: 0,
    outboundFlood: 0,
    outboundControlFlood: 0,
    rxMessagingError: 0,
    rxReset: 0,
    tooManyHeaderFrames: 0,
    trailers: 0,
    txReset: 0,
    goawaySent: 0,
    keepaliveTimeout: 0,
  };
}

/** See the head of this file. */
export class Http2Session implements H2SessionShape, SenderOwner {
  readonly counts: H2Counts;
  maxStreams: number;
  peerAllowsConnect: boolean;
  goingAway: boolean;
  error: H2Error | null;
  private readonly isClient: boolean;
  private readonly options: H2Options;
  private readonly sink: H2Sink;
  private readonly sender: Http2Sender;
  private readonly decoder: HpackDecoder;
  private readonly guard: FloodGuard;
  private readonly streams: Map<number, Http2Stream>;
  private closed: boolean;
  private nextId: number;
  /** Highest id that the peer has opened. */
  private lastPeerId: number;
  /** Peer's streams above it are ignored: our GOAWAY's id. */
  private acceptedIdMax: number;
  private readonly resetIds: number[];
  private resetAt: number;
  // Receive windows.
  private receiveWindow: number;
  private receiveWindowMax: number;
  private consumed: number;
  private settingsAcked: boolean;
  private settingsSeen: boolean;
  // Reader of frames.
  private prefaceAt: number;
  /** What is there of a frame that is not whole: its header, then all of it. */
  private part: Buffer;
  private partBytes: number;
  private readonly head: Buffer;
  // The DATA frame at hand.
  private inData: boolean;
  private dataLeft: number;
  private padLeft: number;
  /** The pad length byte is still to come. */
  private padUnknown: boolean;
  private dataEnds: boolean;
  private dataStream: Http2Stream | null;
  // The header block at hand, when it goes on in CONTINUATION frames.
  private blockId: number;
  private blockKind: number;
  private blockEnds: boolean;
  private blockStream: Http2Stream | null;
  private blockRest: Buffer | null;
  private blockReader: MessageReader | null;

  constructor(isClient: boolean, options: H2Options, sink: H2Sink) {
    this.counts = newCounts();
    this.maxStreams = 0xffff_ffff;
    this.peerAllowsConnect = false;
    this.goingAway = false;
    this.error = null;
    this.isClient = isClient;
    this.options = options;
    this.sink = sink;
    this.guard = new FloodGuard(options, this.counts);
    this.sender = new Http2Sender(options, this.counts, this.guard, sink, this);
    this.decoder = new HpackDecoder(options.headerListBytesMax);
    this.decoder.setLimit(options.headerTableBytes, false);
    this.streams = new Map();
    this.closed = false;
    this.nextId = 1;
    this.lastPeerId = 0;
    this.acceptedIdMax = STREAM_ID_MAX;
    this.resetIds = [];
    this.resetAt = 0;
    this.receiveWindow = DEFAULT_WINDOW_BYTES;
    this.receiveWindowMax = DEFAULT_WINDOW_BYTES;
    this.consumed = 0;
    this.settingsAcked = false;
    this.settingsSeen = false;
    this.prefaceAt = isClient ? PREFACE.length : 0;
    this.part = NO_BYTES;
    this.partBytes = 0;
    this.head = Buffer.alloc(H2_FRAME_HEADER_BYTES);
    this.inData = false;
    this.dataLeft = 0;
    this.padLeft = 0;
    this.padUnknown = false;
    this.dataEnds = false;
    this.dataStream = null;
    this.blockId = 0;
    this.blockKind = BLOCK_IGNORED;
    this.blockEnds = false;
    this.blockStream = null;
    this.blockRest = null;
    this.blockReader = null;
  }

  get activeStreams(): number {
    return this.streams.size;
  }

  start(): void {
    const { options, sender } = this;
    if (this.isClient) sender.raw(PREFACE);
    const pairs: number[] = [];
    if (options.headerTableBytes !== DEFAULT_TABLE_BYTES)
      pairs.push(SETTINGS_HEADER_TABLE_SIZE, options.headerTableBytes);
    if (this.isClient) pairs.push(SETTINGS_ENABLE_PUSH, 0);
    else if (options.allowConnect) pairs.push(SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
    pairs.push(SETTINGS_MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams);
    if (options.initialStreamWindowBytes !== DEFAULT_WINDOW_BYTES)
      pairs.push(SETTINGS_INITIAL_WINDOW_SIZE, options.initialStreamWindowBytes);
    if (options.maxFrameBytes !== DEFAULT_FRAME_BYTES) pairs.push(SETTINGS_MAX_FRAME_SIZE, options.maxFrameBytes);
    for (const { id, value } of options.customSettings) pairs.push(id, value);
    sender.settings(pairs);
    const more = options.initialConnectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) {
      sender.windowUpdate(0, more);
      this.receiveWindow += more;
      this.receiveWindowMax += more;
    }
  }

  // === Reading frames ===

  feed(bytes: Buffer): H2Error | null {
    const { length } = bytes;
    let at = 0;
    if (this.prefaceAt < PREFACE.length) at = this.readPreface(bytes);
    while (at < length && this.error === null && !this.closed) {
      if (this.inData) at = this.readData(bytes, at);
      else if (this.partBytes > 0) at = this.fillPart(bytes, at);
      else if (length - at < H2_FRAME_HEADER_BYTES) at = this.startPart(bytes, at);
      else at = this.readFrame(bytes, at);
    }
    return this.error;
  }

  private readPreface(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.prefaceAt < PREFACE.length) {
      if (bytes[at++] !== PREFACE[this.prefaceAt++]) {
        this.fail(H2_PROTOCOL_ERROR, 'bad client preface');
        break;
      }
    }
    return at;
  }

  /** A frame whose header lies in `bytes` at `at`. @returns where to go on */
  private readFrame(bytes: Buffer, at: number): number {
    const length = frameLength(bytes, at);
    if (!this.checkFrame(bytes, at, length)) return at;
    const payload = at + H2_FRAME_HEADER_BYTES;
    if (bytes[at + 3] === FRAME_DATA) {
      this.startData(length, bytes[at + 4] as number, uint31(bytes, at + 5));
      return payload;
    }
    const end = payload + length;
    if (end > bytes.length) {
      this.part = Buffer.allocUnsafe(H2_FRAME_HEADER_BYTES + length);
      this.partBytes = bytes.copy(this.part, 0, at);
      return bytes.length;
    }
    this.onFrame(bytes, at, payload, end);
    return end;
  }

  private startPart(bytes: Buffer, at: number): number {
    this.part = this.head;
    this.partBytes = bytes.copy(this.head, 0, at);
    return bytes.length;
  }

  private fillPart(bytes: Buffer, from: number): number {
    const { part } = this;
    const size = Math.min(part.length - this.partBytes, bytes.length - from);
    bytes.copy(part, this.partBytes, from, from + size);
    this.partBytes += size;
    if (this.partBytes < part.length) return from + size;
    this.partBytes = 0;
    if (part !== this.head) {
      this.part = NO_BYTES;
      this.onFrame(part, 0, H2_FRAME_HEADER_BYTES, part.length);
    } else {
      const length = frameLength(part, 0);
      if (!this.checkFrame(part, 0, length)) return from + size;
      if (part[3] === FRAME_DATA) this.startData(length, part[4] as number, uint31(part, 5));
      else if (length === 0) this.onFrame(part, 0, H2_FRAME_HEADER_BYTES, H2_FRAME_HEADER_BYTES);
      else {
        this.part = Buffer.allocUnsafe(H2_FRAME_HEADER_BYTES + length);
        this.partBytes = part.copy(this.part, 0, 0);
      }
    }
    return from + size;
  }

  /** What can be said of a frame before its payload is there. */
  private checkFrame(bytes: Buffer, at: number, length: number): boolean {
    const type = bytes[at + 3] as number;
    if (length > this.options.maxFrameBytes) return this.fail(H2_FRAME_SIZE_ERROR, 'frame too large');
    if (!this.settingsSeen && (type !== FRAME_SETTINGS || ((bytes[at + 4] as number) & FLAG_ACK) !== 0))
      return this.fail(H2_PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    if (this.blockId !== 0 && (type !== FRAME_CONTINUATION || uint31(bytes, at + 5) !== this.blockId))
      return this.fail(H2_PROTOCOL_ERROR, 'a header block is interrupted');
    return true;
  }

  private onFrame(bytes: Buffer, at: number, from: number, end: number): void {
    const flags = bytes[at + 4] as number;
    const id = uint31(bytes, at + 5);
    switch (bytes[at + 3]) {
      case FRAME_HEADERS:
        this.onHeaders(bytes, from, end, flags, id);
        break;
      case FRAME_CONTINUATION:
        this.onContinuation(bytes, from, end, flags);
        break;
      case FRAME_WINDOW_UPDATE:
        this.onWindowUpdate(bytes, from, end, id);
        break;
      case FRAME_RST_STREAM:
        this.onRstStream(bytes, from, end, id);
        break;
      case FRAME_SETTINGS:
        this.onSettings(bytes, from, end, flags, id);
        break;
      case FRAME_PING:
        this.onPing(bytes, from, end, flags, id);
        break;
      case FRAME_PRIORITY:
        this.onPriority(bytes, from, end, id);
        break;
      case FRAME_GOAWAY:
        this.onGoaway(bytes, from, end, id);
        break;
      case FRAME_PUSH_PROMISE:
        this.fail(H2_PROTOCOL_ERROR, 'PUSH_PROMISE was not allowed');
        break;
      default:
        // Unknown types are ignored (RFC 9113 §5.5).
        break;
    }
  }

  // === DATA ===

  private startData(length: number, flags: number, id: number): void {
    if (id === 0) {
      this.fail(H2_PROTOCOL_ERROR, 'DATA on stream 0');
      return;
    }
    const stream = this.streams.get(id) ?? null;
    this.inData = true;
    this.dataLeft = length;
    this.padLeft = 0;
    this.padUnknown = (flags & FLAG_PADDED) !== 0;
    this.dataEnds = (flags & FLAG_END_STREAM) !== 0;
    this.dataStream = stream;
    const flood = this.guard.onPayloadFrame(length, this.dataEnds);
    if (flood !== null) this.failWith(flood);
    else if (this.padUnknown && length === 0) this.fail(H2_FRAME_SIZE_ERROR, 'DATA without its pad length');
    else this.chargeData(stream, id, length);
    if (length === 0 && this.error === null) this.endData();
  }

  /** Takes a frame's bytes off the windows, and judges whether the stream may have it. */
  private chargeData(stream: Http2Stream | null, id: number, length: number): void {
    this.receiveWindow -= length;
    if (this.receiveWindow < 0) {
      this.fail(H2_FLOW_CONTROL_ERROR, 'the connection window is exceeded');
      return;
    }
    if (stream === null) {
      if (this.isIdle(id)) this.fail(H2_PROTOCOL_ERROR, 'DATA on an idle stream');
      else if (!this.isForgiven(id)) this.fail(H2_STREAM_CLOSED, 'DATA on a closed stream');
      return;
    }
    stream.wireBytesReceived += H2_FRAME_HEADER_BYTES + length;
    stream.receiveWindow -= length;
    if (stream.remoteEnded) this.resetAndTell(stream, H2_STREAM_CLOSED, '');
    else if (stream.receiveWindow < 0) this.resetAndTell(stream, H2_FLOW_CONTROL_ERROR, '');
    else if (!stream.headRead) this.malformed(stream, BAD_MESSAGE);
    if (stream.over) this.dataStream = null;
  }

  /** Bytes of the DATA frame at hand. */
  private readData(bytes: Buffer, start: number): number {
    let at = start;
    if (this.padUnknown) {
      const pad = bytes[at++] as number;
      this.padUnknown = false;
      this.dataLeft -= 1 + pad;
      if (this.dataLeft < 0) {
        this.fail(H2_PROTOCOL_ERROR, 'DATA with more padding than bytes');
        return at;
      }
      this.padLeft = pad;
      this.giveBack(this.dataStream, 1);
    }
    const size = Math.min(this.dataLeft, bytes.length - at);
    if (size > 0) {
      this.dataLeft -= size;
      const last = this.dataLeft === 0 && this.padLeft === 0;
      this.onBody(bytes.subarray(at, at + size), last);
      at += size;
    }
    const pad = Math.min(this.padLeft, bytes.length - at);
    if (pad > 0) {
      this.padLeft -= pad;
      at += pad;
      this.giveBack(this.dataStream, pad);
    }
    if (this.inData && this.dataLeft === 0 && this.padLeft === 0) this.endData();
    return at;
  }

  private onBody(piece: Buffer, lastOfFrame: boolean): void {
    const stream = this.dataStream;
    if (stream === null || stream.over) {
      this.giveBack(null, piece.length);
      return;
    }
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= piece.length;
      if (stream.bodyLeft < 0 || (lastOfFrame && this.dataEnds && stream.bodyLeft > 0)) {
        this.giveBack(null, piece.length);
        this.malformed(stream, BAD_MESSAGE);
        return;
      }
    }
    const ends = lastOfFrame && this.dataEnds;
    if (ends) {
      this.inData = false;
      stream.remoteEnded = true;
    }
    if (stream.holds > 0 || stream.delivering) {
      stream.keep(Buffer.from(piece));
      if (ends) stream.keptEnd = true;
      return;
    }
    this.tellData(stream, piece, ends);
  }

  private tellData(stream: Http2Stream, piece: Buffer, ends: boolean): void {
    if (ends) stream.endTold = true;
    this.sink.onData(stream, piece, ends);
    this.giveBack(stream.over ? null : stream, piece.length);
    if (ends) this.maybeOver(stream);
  }

  /** The frame is over, and its end was not told with its last bytes. */
  private endData(): void {
    this.inData = false;
    const stream = this.dataStream;
    this.dataStream = null;
    if (!this.dataEnds || stream === null || stream.over || stream.remoteEnded) return;
    if (stream.bodyLeft > 0) {
      this.malformed(stream, BAD_MESSAGE);
      return;
    }
    stream.remoteEnded = true;
    if (stream.holds > 0 || stream.delivering) stream.keptEnd = true;
    else this.tellData(stream, NO_BYTES, true);
  }

  /** Bytes were dealt with: the peer may send as many more, in steps of half a window. */
  private giveBack(stream: Http2Stream | null, bytes: number): void {
    this.consumed += bytes;
    if (this.consumed >= this.receiveWindowMax >> 1) {
      this.sender.windowUpdate(0, this.consumed);
      this.receiveWindow += this.consumed;
      this.consumed = 0;
    }
    if (stream === null || stream.remoteEnded) return;
    stream.consumed += bytes;
    if (stream.consumed >= this.options.initialStreamWindowBytes >> 1) {
      this.sender.windowUpdate(stream.id, stream.consumed);
      stream.receiveWindow += stream.consumed;
      stream.consumed = 0;
    }
  }

  hold(stream: H2Stream): void {
    (stream as Http2Stream).holds++;
  }

  release(target: H2Stream): void {
    const stream = target as Http2Stream;
    if (--stream.holds > 0 || stream.over || stream.delivering) return;
    stream.delivering = true;
    while (stream.kept.length > 0 && stream.holds === 0 && !stream.over) {
      const piece = stream.kept.shift() as Buffer;
      this.tellData(stream, piece, stream.keptEnd && stream.keptTrailers === null && stream.kept.length === 0);
    }
    stream.delivering = false;
    if (stream.holds > 0 || stream.over || !stream.keptEnd || stream.endTold) return;
    if (stream.keptTrailers === null) this.tellData(stream, NO_BYTES, true);
    else this.tellTrailers(stream, stream.keptTrailers);
  }

  // === Header blocks ===

  private onHeaders(bytes: Buffer, start: number, end: number, flags: number, id: number): void {
    let from = start;
    let to = end;
    if (id === 0) {
      this.fail(H2_PROTOCOL_ERROR, 'HEADERS on stream 0');
      return;
    }
    const needed = ((flags & FLAG_PADDED) !== 0 ? 1 : 0) + ((flags & FLAG_PRIORITY) !== 0 ? 5 : 0);
    if (end - start < needed) {
      this.fail(H2_FRAME_SIZE_ERROR, 'HEADERS too short');
      return;
    }
    if ((flags & FLAG_PADDED) !== 0) to -= bytes[from++] as number;
    if ((flags & FLAG_PRIORITY) !== 0) {
      if (uint31(bytes, from) === id) {
        this.fail(H2_PROTOCOL_ERROR, 'a stream depends on itself');
        return;
      }
      from += 5;
    }
    if (to < from) {
      this.fail(H2_PROTOCOL_ERROR, 'HEADERS with more padding than bytes');
      return;
    }
    const flood = this.guard.onPayloadFrame(to - from, (flags & FLAG_END_STREAM) !== 0);
    if (flood !== null) {
      this.failWith(flood);
      return;
    }
    this.blockEnds = (flags & FLAG_END_STREAM) !== 0;
    if (!(this.isClient ? this.openResponse(id) : this.openRequest(id))) return;
    const stream = this.blockStream;
    if (stream !== null) countHeaderBytes(stream, end - start);
    const reader = (flags & FLAG_END_HEADERS) !== 0 ? sharedReader : new MessageReader();
    reader.begin(this.blockKind, this.options);
    if (reader !== sharedReader) {
      this.blockId = id;
      this.blockReader = reader;
    }
    this.readBlock(reader, bytes, from, to, true, reader === sharedReader);
  }

  private onContinuation(bytes: Buffer, from: number, end: number, flags: number): void {
    const reader = this.blockReader;
    if (this.blockId === 0 || reader === null) {
      this.fail(H2_PROTOCOL_ERROR, 'CONTINUATION without HEADERS');
      return;
    }
    const flood = this.guard.onPayloadFrame(end - from, false);
    if (flood !== null) {
      this.failWith(flood);
      return;
    }
    if (this.blockStream !== null) countHeaderBytes(this.blockStream, end - from);
    const last = (flags & FLAG_END_HEADERS) !== 0;
    const rest = this.blockRest;
    this.blockRest = null;
    if (last) {
      this.blockId = 0;
      this.blockReader = null;
    }
    if (rest === null) this.readBlock(reader, bytes, from, end, false, last);
    else {
      const joined = Buffer.concat([rest, bytes.subarray(from, end)]);
      this.readBlock(reader, joined, 0, joined.length, false, last);
    }
  }

  private readBlock(
    reader: MessageReader,
    bytes: Buffer,
    from: number,
    to: number,
    first: boolean,
    last: boolean,
  ): void {
    const stopped = this.decoder.decode(bytes, from, to, reader, first);
    if (stopped < 0 || (last && stopped < to)) {
      this.fail(H2_COMPRESSION_ERROR, 'invalid header block');
      return;
    }
    if (!last) {
      if (stopped < to) this.blockRest = Buffer.from(bytes.subarray(stopped, to));
      return;
    }
    reader.finish();
    const stream = this.blockStream;
    this.blockStream = null;
    if (this.blockKind !== BLOCK_IGNORED && stream !== null && !stream.over) this.onBlock(stream, reader);
  }

  /** Server: which kind of block comes for the stream. */
  private openRequest(id: number): boolean {
    const stream = this.streams.get(id);
    this.blockKind = BLOCK_IGNORED;
    this.blockStream = null;
    if (stream !== undefined) {
      if (stream.remoteEnded) {
        this.resetAndTell(stream, H2_STREAM_CLOSED, '');
        return true;
      }
      this.blockStream = stream;
      this.blockKind = BLOCK_REQUEST_TRAILERS;
      return true;
    }
    if ((id & 1) === 0) return this.fail(H2_PROTOCOL_ERROR, 'a client opens odd streams only');
    if (id <= this.lastPeerId) return this.isForgiven(id) || this.fail(H2_STREAM_CLOSED, 'HEADERS on a closed stream');
    this.lastPeerId = id;
    if (id > this.acceptedIdMax) return true;
    this.guard.onStream();
    if (this.streams.size >= this.options.maxConcurrentStreams) {
      this.rememberReset(id);
      this.sender.reset(id, H2_REFUSED_STREAM);
      return true;
    }
    const opened = new Http2Stream(id, null, this.newReceiveWindow(), this.sender.initialWindow);
    this.streams.set(id, opened);
    this.blockStream = opened;
    this.blockKind = BLOCK_REQUEST;
    return true;
  }

  /** Client. */
  private openResponse(id: number): boolean {
    const stream = this.streams.get(id);
    this.blockKind = BLOCK_IGNORED;
    this.blockStream = null;
    if (stream === undefined) {
      if (this.isIdle(id)) return this.fail(H2_PROTOCOL_ERROR, 'HEADERS on an idle stream');
      return this.isForgiven(id) || this.fail(H2_STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    if (stream.remoteEnded) {
      this.resetAndTell(stream, H2_STREAM_CLOSED, '');
      return true;
    }
    this.blockStream = stream;
    this.blockKind = stream.headRead ? BLOCK_RESPONSE_TRAILERS : BLOCK_RESPONSE;
    return true;
  }

  private onBlock(stream: Http2Stream, reader: MessageReader): void {
    const ends = this.blockEnds;
    this.counts.droppedHeadersWithUnderscores += reader.droppedUnderscores;
    if (reader.problem !== FINE) {
      this.malformed(stream, reader.problem);
      return;
    }
    switch (this.blockKind) {
      case BLOCK_REQUEST:
        this.onRequestBlock(stream, reader, ends);
        break;
      case BLOCK_RESPONSE:
        this.onResponseBlock(stream, reader, ends);
        break;
      default:
        this.onTrailersBlock(stream, reader, ends);
        break;
    }
  }

  private onRequestBlock(stream: Http2Stream, reader: MessageReader, ends: boolean): void {
    if (reader.method !== 'CONNECT') stream.bodyLeft = reader.contentLength;
    if (ends && stream.bodyLeft > 0) {
      this.malformed(stream, BAD_MESSAGE);
      return;
    }
    stream.headRead = true;
    stream.remoteEnded = ends;
    stream.endTold = ends;
    this.sink.onRequest(stream, reader.requestHead(stream.headerWireBytesReceived), ends);
    if (ends) this.maybeOver(stream);
  }

  private onResponseBlock(stream: Http2Stream, reader: MessageReader, ends: boolean): void {
    const { status, headers } = reader;
    if (status < 200) {
      // 101 means nothing here, and an interim response cannot be the last (RFC 9113 §8.1, §8.6).
      if (ends || status === 101) this.malformed(stream, BAD_MESSAGE);
      else this.sink.onInformational(stream, status, headers);
      return;
    }
    const bodiless = stream.headRequest || status === 204 || status === 304;
    if (!bodiless) stream.bodyLeft = reader.contentLength;
    if (ends && stream.bodyLeft > 0) {
      this.malformed(stream, BAD_MESSAGE);
      return;
    }
    stream.headRead = true;
    stream.remoteEnded = ends;
    stream.endTold = ends;
    this.sink.onResponse(stream, status, headers, ends);
    if (ends) this.maybeOver(stream);
  }

  private onTrailersBlock(stream: Http2Stream, reader: MessageReader, ends: boolean): void {
    if (!ends || stream.bodyLeft > 0) {
      if (!ends) this.counts.tooManyHeaderFrames++;
      this.malformed(stream, BAD_MESSAGE);
      return;
    }
    this.counts.trailers++;
    stream.remoteEnded = true;
    if (stream.holds > 0 || stream.delivering) {
      stream.keptEnd = true;
      stream.keptTrailers = reader.headers;
    } else this.tellTrailers(stream, reader.headers);
  }

  private tellTrailers(stream: Http2Stream, trailers: HeaderMap): void {
    stream.endTold = true;
    this.sink.onTrailers(stream, trailers);
    this.maybeOver(stream);
  }

  /** The peer's message breaks the rules: the end of its stream, or of the connection, as the options say. */
  private malformed(stream: Http2Stream, problem: number): void {
    const details = DETAILS[problem] as string;
    if (problem === TOO_LARGE) {
      this.counts.headerOverflow++;
      this.resetAndTell(stream, H2_INTERNAL_ERROR, details);
    } else if (problem === UNDERSCORE) {
      this.counts.requestsRejectedWithUnderscores++;
      this.resetAndTell(stream, H2_PROTOCOL_ERROR, details);
    } else {
      this.counts.rxMessagingError++;
      if (this.options.streamErrorOnInvalidMessage) this.resetAndTell(stream, H2_PROTOCOL_ERROR, details);
      else
        this.failWith({
          code: H2_PROTOCOL_ERROR,
          details,
          message: problem === BAD_FIELD ? 'invalid header field' : 'violation of a messaging rule',
        });
    }
  }

  // === Other frames ===

  private onWindowUpdate(bytes: Buffer, from: number, end: number, id: number): void {
    if (end - from !== 4) {
      this.fail(H2_FRAME_SIZE_ERROR, 'WINDOW_UPDATE of a wrong size');
      return;
    }
    const flood = this.guard.onWindowUpdate();
    if (flood !== null) {
      this.failWith(flood);
      return;
    }
    const more = uint31(bytes, from);
    if (id === 0) {
      if (more === 0) this.fail(H2_PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      else if (!this.sender.addWindow(more)) this.fail(H2_FLOW_CONTROL_ERROR, 'the connection window is too large');
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(H2_PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
    } else if (more === 0) this.resetAndTell(stream, H2_PROTOCOL_ERROR, '');
    else if (!this.sender.addStreamWindow(stream, more)) this.resetAndTell(stream, H2_FLOW_CONTROL_ERROR, '');
  }

  private onRstStream(bytes: Buffer, from: number, end: number, id: number): void {
    if (end - from !== 4) this.fail(H2_FRAME_SIZE_ERROR, 'RST_STREAM of a wrong size');
    else if (id === 0 || this.isIdle(id)) this.fail(H2_PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
    else {
      this.counts.rxReset++;
      const stream = this.streams.get(id);
      if (stream === undefined) return;
      const code = uint32(bytes, from);
      const details = code === H2_REFUSED_STREAM ? 'http2.remote_refuse' : 'http2.remote_reset';
      this.drop(stream);
      this.tellReset(stream, { code, by: 'peer', details });
    }
  }

  private onSettings(bytes: Buffer, from: number, end: number, flags: number, id: number): void {
    const size = end - from;
    const ack = (flags & FLAG_ACK) !== 0;
    if (id !== 0) this.fail(H2_PROTOCOL_ERROR, 'SETTINGS on a stream');
    else if (ack ? size !== 0 : size % 6 !== 0) this.fail(H2_FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
    else if (ack) {
      if (this.settingsAcked) return;
      this.settingsAcked = true;
      this.decoder.setLimit(this.options.headerTableBytes, true);
    } else {
      this.settingsSeen = true;
      for (let at = from; at < end && this.error === null; at += 6)
        this.onSetting(((bytes[at] as number) << 8) | (bytes[at + 1] as number), uint32(bytes, at + 2));
      if (this.error !== null) return;
      this.sender.settingsAck();
      this.sink.onSettings();
    }
  }

  private onSetting(id: number, value: number): void {
    switch (id) {
      case SETTINGS_HEADER_TABLE_SIZE:
        this.sender.setTableBytes(value);
        break;
      case SETTINGS_ENABLE_PUSH:
        if (value > 1 || (this.isClient && value !== 0)) this.fail(H2_PROTOCOL_ERROR, 'invalid SETTINGS_ENABLE_PUSH');
        break;
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        break;
      case SETTINGS_INITIAL_WINDOW_SIZE:
        this.onInitialWindow(value);
        break;
      case SETTINGS_MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_BYTES || value > FRAME_BYTES_MAX)
          this.fail(H2_PROTOCOL_ERROR, 'invalid SETTINGS_MAX_FRAME_SIZE');
        else this.sender.frameBytesMax = value;
        break;
      case SETTINGS_ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (value === 0 && this.peerAllowsConnect))
          this.fail(H2_PROTOCOL_ERROR, 'invalid SETTINGS_ENABLE_CONNECT_PROTOCOL');
        else this.peerAllowsConnect = value === 1;
        break;
      default:
        break;
    }
  }

  private onInitialWindow(bytes: number): void {
    if (bytes > WINDOW_BYTES_MAX) {
      this.fail(H2_FLOW_CONTROL_ERROR, 'invalid SETTINGS_INITIAL_WINDOW_SIZE');
      return;
    }
    const change = bytes - this.sender.initialWindow;
    this.sender.initialWindow = bytes;
    if (change === 0) return;
    for (const stream of [...this.streams.values()])
      if (!stream.over && !this.sender.addStreamWindow(stream, change)) {
        this.fail(H2_FLOW_CONTROL_ERROR, 'SETTINGS_INITIAL_WINDOW_SIZE makes a window too large');
        return;
      }
  }

  private onPing(bytes: Buffer, from: number, end: number, flags: number, id: number): void {
    if (id !== 0) this.fail(H2_PROTOCOL_ERROR, 'PING on a stream');
    else if (end - from !== 8) this.fail(H2_FRAME_SIZE_ERROR, 'PING of a wrong size');
    else if ((flags & FLAG_ACK) !== 0) this.sink.onPingAck(bytes.readBigUInt64BE(from));
    else this.sender.ping(uint32(bytes, from), uint32(bytes, from + 4), true);
  }

  private onPriority(bytes: Buffer, from: number, end: number, id: number): void {
    const flood = this.guard.onPriority();
    if (flood !== null) this.failWith(flood);
    else if (id === 0) this.fail(H2_PROTOCOL_ERROR, 'PRIORITY on stream 0');
    else if (end - from !== 5) this.fail(H2_FRAME_SIZE_ERROR, 'PRIORITY of a wrong size');
    else if (uint31(bytes, from) === id) this.fail(H2_PROTOCOL_ERROR, 'a stream depends on itself');
  }

  private onGoaway(bytes: Buffer, from: number, end: number, id: number): void {
    if (id !== 0 || end - from < 8) {
      this.fail(id !== 0 ? H2_PROTOCOL_ERROR : H2_FRAME_SIZE_ERROR, 'invalid GOAWAY');
      return;
    }
    const lastId = uint31(bytes, from);
    this.goingAway = true;
    this.sink.onGoaway(lastId, uint32(bytes, from + 4));
    if (!this.isClient) return;
    for (const stream of [...this.streams.values()])
      if (stream.id > lastId && !stream.over) {
        this.drop(stream);
        this.tellReset(stream, { code: H2_REFUSED_STREAM, by: 'peer', details: '' });
      }
  }

  // === Streams' ends ===

  onLocalEnd(stream: Http2Stream): void {
    if (!stream.resetAfterEnd || stream.over) this.maybeOver(stream);
    else {
      this.drop(stream);
      this.rememberReset(stream.id);
      this.sink.onStreamOver(stream);
    }
  }

  onFlood(error: H2Error): void {
    if (this.error === null) this.error = error;
  }

  private maybeOver(stream: Http2Stream): void {
    if (!stream.endTold || !stream.endSent || stream.over) return;
    this.drop(stream);
    this.sink.onStreamOver(stream);
  }

  /** The stream is no more; bytes it kept count as dealt with. */
  private drop(stream: Http2Stream): void {
    stream.over = true;
    this.streams.delete(stream.id);
    let kept = 0;
    for (let i = 0; i < stream.kept.length; i++) kept += (stream.kept[i] as Buffer).length;
    if (kept > 0) {
      stream.kept = [];
      this.giveBack(null, kept);
    }
    if (stream.pendingBytes > 0) {
      stream.pending = [];
      stream.pendingBytes = 0;
    }
  }

  private tellReset(stream: Http2Stream, reset: H2Reset): void {
    this.sink.onReset(stream, reset);
    this.sink.onStreamOver(stream);
  }

  /** Our verdict on the peer's frames ends the stream. */
  private resetAndTell(stream: Http2Stream, code: number, details: string): void {
    this.rememberReset(stream.id);
    this.sender.reset(stream.id, code);
    this.drop(stream);
    this.tellReset(stream, { code, by: 'codec', details });
  }

  private rememberReset(id: number): void {
    if (this.resetIds.length < RESET_IDS) this.resetIds.push(id);
    else this.resetIds[this.resetAt] = id;
    this.resetAt = (this.resetAt + 1) % RESET_IDS;
  }

  /** Frames for this closed stream may have been on their way when we reset it, or said that we are going away. */
  private isForgiven(id: number): boolean {
    return id > this.acceptedIdMax || this.resetIds.includes(id);
  }

  private isIdle(id: number): boolean {
    const ours = ((id & 1) === 1) === this.isClient;
    return ours ? id >= this.nextId : id > this.lastPeerId;
  }

  private newReceiveWindow(): number {
    const ours = this.options.initialStreamWindowBytes;
    return this.settingsAcked ? ours : Math.max(ours, DEFAULT_WINDOW_BYTES);
  }

  private fail(code: number, message: string): false {
    this.failWith({ code, details: '', message });
    return false;
  }

  private failWith(error: H2Error): void {
    if (this.error !== null) return;
    this.error = error;
    this.sender.goaway(this.isClient ? 0 : this.lastPeerId, error.code);
  }

  // === What the user does ===

  request(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderMap,
    endStream: boolean,
    user: unknown,
  ): H2Stream | null {
    if (this.goingAway || this.error !== null || this.closed) return null;
    if (this.streams.size >= this.maxStreams || this.nextId > STREAM_ID_MAX) return null;
    const stream = new Http2Stream(this.nextId, user, this.newReceiveWindow(), this.sender.initialWindow);
    this.nextId += 2;
    stream.headRequest = method === 'HEAD';
    this.streams.set(stream.id, stream);
    this.guard.onStream();
    this.sender.requestHead(stream, method, scheme, authority, path, protocol, headers, endStream);
    return stream;
  }

  informational(stream: H2Stream, status: number, headers: HeaderMap): void {
    if (!this.maySend(stream)) return;
    this.sender.responseHead(stream as Http2Stream, status, headers, false);
  }

  respond(stream: H2Stream, status: number, headers: HeaderMap, endStream: boolean): void {
    if (!this.maySend(stream)) return;
    this.sender.responseHead(stream as Http2Stream, status, headers, endStream);
  }

  sendData(stream: H2Stream, chunk: Uint8Array, endStream: boolean): boolean {
    return !this.maySend(stream) || this.sender.data(stream as Http2Stream, chunk, endStream);
  }

  sendTrailers(stream: H2Stream, trailers: HeaderMap): void {
    if (this.maySend(stream)) this.sender.trailers(stream as Http2Stream, trailers);
  }

  private maySend(stream: H2Stream): boolean {
    return !stream.over && !stream.localEnded && this.error === null && !this.closed;
  }

  reset(target: H2Stream, code: number): void {
    const stream = target as Http2Stream;
    if (stream.over) return;
    // What was said before the end is still to be heard.
    if (code === H2_NO_ERROR && stream.localEnded && !stream.endSent) {
      stream.resetAfterEnd = true;
      return;
    }
    this.rememberReset(stream.id);
    if (this.error === null) this.sender.reset(stream.id, code);
    this.drop(stream);
    this.sink.onStreamOver(stream);
  }

  announceGoaway(): void {
    if (this.error === null) this.sender.goaway(STREAM_ID_MAX, H2_NO_ERROR);
  }

  goaway(code: number): void {
    if (this.error !== null) return;
    this.goingAway = true;
    this.acceptedIdMax = this.lastPeerId;
    this.sender.goaway(this.lastPeerId, code);
  }

  ping(payload: bigint): void {
    if (this.error !== null) return;
    this.sender.ping(Number(payload >> 32n), Number(payload & 0xffff_ffffn), false);
  }

  setCongested(congested: boolean): void {
    this.sender.setCongested(congested);
  }

  takeOutput(): Buffer | null {
    return this.sender.take();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const code = this.error === null ? H2_NO_ERROR : this.error.code;
    const details = this.error === null ? '' : this.error.details;
    for (const stream of [...this.streams.values()]) {
      if (stream.over) continue;
      stream.over = true;
      this.streams.delete(stream.id);
      this.tellReset(stream, { code, by: 'connection', details });
    }
  }
}

const NO_BYTES = Buffer.alloc(0);
const DEFAULT_TABLE_BYTES = 4_096;

function frameLength(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

function countHeaderBytes(stream: Http2Stream, payloadBytes: number): void {
  stream.wireBytesReceived += H2_FRAME_HEADER_BYTES + payloadBytes;
  stream.headerWireBytesReceived += H2_FRAME_HEADER_BYTES + payloadBytes;
}
