// The sending half of a session: frames, send windows, and bodies that wait for them.

import type { HeaderMap } from './headers.ts';
import { type EncodedName, encodedName, HpackEncoder } from './hpack-encoder.ts';
import { H2_NO_ERROR, type H2Counts, type H2Error, type H2Options, type H2Sink } from './http2.ts';
import type { FloodGuard } from './http2-flood.ts';
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  H2_FRAME_HEADER_BYTES,
  WINDOW_BYTES_MAX,
} from './http2-frames.ts';
import { FrameOutput } from './http2-output.ts';
import { drop } from './http2-pieces.ts';
import type { Http2Stream } from './http2-stream.ts';

const METHOD = encodedName(':method');
const SCHEME = encodedName(':scheme');
const AUTHORITY = encodedName(':authority');
const PATH = encodedName(':path');
const PROTOCOL = encodedName(':protocol');
const STATUS = encodedName(':status');
/** Texts of the statuses met so far; a status has three digits. */
const statusTexts: string[] = [];

/** Fewer streams that wait are not worth a look. */
const SWEEP_MIN = 64;
const CONTROL_FRAME_BYTES_MAX = 32;
/** Of the stream whose body was one frame too many. */
const FLOOD_DETAILS = 'http2.outbound_frames_flood';

/** Told to the session. */
export interface SenderOwner {
  /** END_STREAM of the stream is on its way. */
  onLocalEnd(stream: Http2Stream): void;
  /** A limit was passed. */
  onFlood(error: H2Error): void;
}

/** See the head of this file. */
export class Http2Sender {
  readonly out: FrameOutput;
  congested: boolean;
  /** Initial send window of new streams, and the largest frame the peer takes. */
  initialWindow: number;
  frameBytesMax: number;
  private readonly encoder: HpackEncoder;
  private readonly guard: FloodGuard;
  private readonly counts: H2Counts;
  private readonly options: H2Options;
  private readonly sink: H2Sink;
  private readonly owner: SenderOwner;
  private window: number;
  /** Streams with body that may go as soon as connection and transport allow, in turn. */
  private waiting: Http2Stream[];
  /** So many of them, and those that are over are taken out. */
  private sweepAt: number;
  /** The user knows that there is output. */
  private told: boolean;

  constructor(options: H2Options, counts: H2Counts, guard: FloodGuard, sink: H2Sink, owner: SenderOwner) {
    this.out = new FrameOutput();
    this.congested = false;
    this.initialWindow = DEFAULT_WINDOW_BYTES;
    this.frameBytesMax = DEFAULT_FRAME_BYTES;
    this.encoder = new HpackEncoder(this.out);
    this.guard = guard;
    this.counts = counts;
    this.options = options;
    this.sink = sink;
    this.owner = owner;
    this.window = DEFAULT_WINDOW_BYTES;
    this.waiting = [];
    this.sweepAt = SWEEP_MIN;
    this.told = false;
    if (options.headerTableBytes < DEFAULT_ENCODER_TABLE_BYTES) this.encoder.resize(options.headerTableBytes);
  }

  /** The peer's `SETTINGS_HEADER_TABLE_SIZE`. */
  setTableBytes(bytes: number): void {
    this.encoder.resize(Math.min(bytes, this.options.headerTableBytes));
  }

  take(): Buffer | null {
    this.told = false;
    return this.out.take();
  }

  private tell(): void {
    if (this.told) return;
    this.told = true;
    // The last output is with the kernel, unless the transport has said otherwise since.
    if (!this.congested) this.guard.onDrained();
    this.sink.onOutput();
  }

  // === Control frames ===

  raw(bytes: Buffer): void {
    this.out.ensure(bytes.length);
    this.out.copy(bytes, 0, bytes.length);
    this.tell();
  }

  /** `pairs`: identifiers and values in turn. */
  settings(pairs: readonly number[]): void {
    this.begin(pairs.length * 3, FRAME_SETTINGS, 0, 0);
    for (let i = 0; i < pairs.length; i += 2) {
      this.out.uint16(pairs[i] as number);
      this.out.uint32(pairs[i + 1] as number);
    }
    this.sent(this.guard.onSent());
  }

  settingsAck(): void {
    this.begin(0, FRAME_SETTINGS, FLAG_ACK, 0);
    this.sent(this.guard.onControlSent());
  }

  ping(high: number, low: number, ack: boolean): void {
    this.begin(8, FRAME_PING, ack ? FLAG_ACK : 0, 0);
    this.out.uint32(high);
    this.out.uint32(low);
    this.sent(ack ? this.guard.onControlSent() : this.guard.onSent());
  }

  goaway(lastId: number, code: number, reason: string): void {
    this.begin(8 + reason.length, FRAME_GOAWAY, 0, 0);
    this.out.uint32(lastId);
    this.out.uint32(code);
    this.out.text(reason);
    this.sent(this.guard.onSent());
  }

  windowUpdate(id: number, bytes: number): void {
    this.begin(4, FRAME_WINDOW_UPDATE, 0, id);
    this.out.uint32(bytes);
    this.sent(this.guard.onSent());
  }

  reset(id: number, code: number): void {
    this.begin(4, FRAME_RST_STREAM, 0, id);
    this.out.uint32(code);
    this.counts.txReset++;
    this.sent(this.guard.onControlSent());
  }

  private begin(length: number, type: number, flags: number, id: number): void {
    this.out.ensure(CONTROL_FRAME_BYTES_MAX + length);
    this.out.frame(length, type, flags, id);
  }

  private sent(flood: H2Error | null): void {
    if (flood !== null) this.owner.onFlood(flood);
    this.tell();
  }

  // === Heads ===

  requestHead(
    stream: Http2Stream,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void {
    const start = this.beginHeaders();
    const { encoder } = this;
    encoder.field(METHOD, method);
    if (authority !== '') encoder.field(AUTHORITY, authority);
    if (method !== 'CONNECT' || protocol !== '') {
      encoder.field(PATH, path);
      encoder.field(SCHEME, scheme);
    }
    if (protocol !== '') encoder.field(PROTOCOL, protocol);
    this.endHeaders(stream, start, headers, endStream);
  }

  responseHead(stream: Http2Stream, status: number, headers: HeaderMap, endStream: boolean): void {
    const start = this.beginHeaders();
    let text = statusTexts[status];
    if (text === undefined) {
      text = String(status).padStart(3, '0');
      if (status <= 999) statusTexts[status] = text;
    }
    this.encoder.field(STATUS, text);
    this.endHeaders(stream, start, headers, endStream);
  }

  /** At once, or behind the body that waits. */
  trailers(stream: Http2Stream, trailers: HeaderMap): void {
    stream.localEnded = true;
    if (stream.pendingBytes > 0) stream.pendingTrailers = trailers;
    else this.trailersNow(stream, trailers);
  }

  private trailersNow(stream: Http2Stream, trailers: HeaderMap): void {
    // A block without a field is nothing that peers expect.
    if (trailers.size === 0) this.dataFrame(stream, EMPTY, 0, 0, true);
    else this.endHeaders(stream, this.beginHeaders(), trailers, true);
  }

  private beginHeaders(): number {
    const { out } = this;
    out.ensure(H2_FRAME_HEADER_BYTES);
    const start = out.at;
    out.at += H2_FRAME_HEADER_BYTES;
    this.encoder.begin();
    return start;
  }

  private endHeaders(stream: Http2Stream, start: number, headers: HeaderMap, endStream: boolean): void {
    const { names, values } = headers;
    const { encoder, out } = this;
    for (let i = 0; i < names.length; i++)
      encoder.field(encodedName(names[i] as string) as EncodedName, values[i] as string);
    const length = out.at - start - H2_FRAME_HEADER_BYTES;
    const flags = endStream ? FLAG_END_STREAM : 0;
    let flood: H2Error | null = null;
    if (length <= this.frameBytesMax) {
      out.frameAt(start, length, FRAME_HEADERS, flags | FLAG_END_HEADERS, stream.id);
      flood = this.guard.onSent();
    } else flood = this.splitHeaders(stream.id, start, length, flags);
    const wireBytes = out.at - start;
    stream.wireBytesSent += wireBytes;
    stream.headerWireBytesSent += wireBytes;
    this.sent(flood);
    if (endStream) this.ended(stream);
  }

  /** Moves the block's bytes apart, last piece first, to make room for the frame headers between. */
  private splitHeaders(id: number, start: number, length: number, flags: number): H2Error | null {
    const { out, frameBytesMax } = this;
    const pieces = Math.ceil(length / frameBytesMax);
    out.ensure((pieces - 1) * H2_FRAME_HEADER_BYTES);
    let flood: H2Error | null = null;
    for (let i = pieces - 1; i >= 0; i--) {
      const from = start + H2_FRAME_HEADER_BYTES + i * frameBytesMax;
      const to = from + i * H2_FRAME_HEADER_BYTES;
      const size = Math.min(frameBytesMax, length - i * frameBytesMax);
      if (i > 0) out.bytes.copyWithin(to, from, from + size);
      const type = i === 0 ? FRAME_HEADERS : FRAME_CONTINUATION;
      const ends = i === pieces - 1 ? FLAG_END_HEADERS : 0;
      out.frameAt(to - H2_FRAME_HEADER_BYTES, size, type, ends | (i === 0 ? flags : 0), id);
      flood = this.guard.onSent() ?? flood;
    }
    out.at += (pieces - 1) * H2_FRAME_HEADER_BYTES;
    return flood;
  }

  // === Bodies ===

  /** @returns false: the stream keeps more than it should, wait for `onWritable` */
  data(stream: Http2Stream, chunk: Uint8Array, endStream: boolean): boolean {
    if (endStream) stream.localEnded = true;
    let from = 0;
    if (stream.pendingBytes === 0) {
      from = this.sendNow(stream, chunk, 0, endStream);
      if (from === chunk.length && (stream.endSent || !endStream)) return true;
    }
    stream.addPending(chunk.subarray(from));
    if (stream.sendWindow > 0) this.enqueue(stream);
    const more = !this.congested && stream.pendingBytes <= this.options.streamSendBufferBytes;
    if (!more) stream.waits = true;
    return more;
  }

  /** Sends what windows and transport allow. @returns where it stopped */
  private sendNow(stream: Http2Stream, chunk: Uint8Array, start: number, endStream: boolean): number {
    const { length } = chunk;
    let from = start;
    if (from === length) {
      // An end without bytes needs no window.
      if (endStream) this.dataFrame(stream, chunk, from, from, true);
      return from;
    }
    while (from < length && !this.congested) {
      const size = Math.min(length - from, stream.sendWindow, this.window, this.frameBytesMax);
      if (size <= 0) break;
      from += size;
      this.dataFrame(stream, chunk, from - size, from, endStream && from === length);
    }
    return from;
  }

  private dataFrame(stream: Http2Stream, chunk: Uint8Array, from: number, to: number, endStream: boolean): void {
    const { out } = this;
    const size = to - from;
    out.ensure(H2_FRAME_HEADER_BYTES + size);
    out.frame(size, FRAME_DATA, endStream ? FLAG_END_STREAM : 0, stream.id);
    if (size > 0) out.copy(chunk, from, to);
    stream.sendWindow -= size;
    this.window -= size;
    stream.wireBytesSent += H2_FRAME_HEADER_BYTES + size;
    const flood = this.guard.onDataSent();
    if (flood !== null) stream.blame = FLOOD_DETAILS;
    this.sent(flood);
    if (endStream) this.ended(stream);
  }

  private ended(stream: Http2Stream): void {
    stream.localEnded = true;
    stream.endSent = true;
    if (stream.resetAfterEnd && !stream.remoteEnded) this.reset(stream.id, H2_NO_ERROR);
    this.owner.onLocalEnd(stream);
  }

  private enqueue(stream: Http2Stream): void {
    if (stream.queued) return;
    stream.queued = true;
    // Streams that are reset while nothing may be sent would gather here for as long as that lasts.
    if (this.waiting.length >= this.sweepAt) {
      this.waiting = this.waiting.filter((each) => !each.over);
      this.sweepAt = Math.max(SWEEP_MIN, 2 * this.waiting.length);
    }
    this.waiting.push(stream);
  }

  /** Waiting streams send in turn, a frame each. */
  private pump(): void {
    while (this.waiting.length > 0 && this.window > 0 && !this.congested) {
      const turn = this.waiting;
      this.waiting = [];
      for (let i = 0; i < turn.length; i++) {
        const stream = turn[i] as Http2Stream;
        stream.queued = false;
        if (stream.over || stream.pendingBytes === 0) continue;
        if (this.window <= 0 || this.congested) this.enqueue(stream);
        else this.sendPending(stream);
      }
    }
  }

  private sendPending(stream: Http2Stream): void {
    const piece = stream.pending[0] as Buffer;
    const size = Math.min(piece.length - stream.pendingFrom, stream.sendWindow, this.window, this.frameBytesMax);
    if (size <= 0) return;
    const from = stream.pendingFrom;
    stream.pendingFrom += size;
    stream.pendingBytes -= size;
    const last = stream.pendingBytes === 0;
    this.dataFrame(stream, piece, from, from + size, last && stream.localEnded && stream.pendingTrailers === null);
    if (stream.pendingFrom === piece.length) {
      stream.pending.shift();
      drop(piece);
      stream.pendingFrom = 0;
    }
    if (last && stream.pendingTrailers !== null) {
      const trailers = stream.pendingTrailers;
      stream.pendingTrailers = null;
      this.trailersNow(stream, trailers);
    }
    if (stream.over) return;
    if (!last && stream.sendWindow > 0) this.enqueue(stream);
    if (stream.waits && !stream.localEnded && stream.pendingBytes <= this.options.streamSendBufferBytes >> 1) {
      stream.waits = false;
      this.sink.onWritable(stream);
    }
  }

  // === What lets bodies go on ===

  /** @returns false: the window would pass its largest size */
  addWindow(bytes: number): boolean {
    this.window += bytes;
    if (this.window > WINDOW_BYTES_MAX) return false;
    this.pump();
    return true;
  }

  /** `bytes` may be negative, after the peer has changed its settings. */
  addStreamWindow(stream: Http2Stream, bytes: number): boolean {
    stream.sendWindow += bytes;
    if (stream.sendWindow > WINDOW_BYTES_MAX) return false;
    if (stream.pendingBytes > 0 && stream.sendWindow > 0) {
      this.enqueue(stream);
      this.pump();
    }
    return true;
  }

  setCongested(congested: boolean): void {
    if (this.congested === congested) return;
    this.congested = congested;
    if (congested) return;
    this.guard.onDrained();
    this.pump();
  }
}

const DEFAULT_ENCODER_TABLE_BYTES = 4_096;
const EMPTY = new Uint8Array(0);
