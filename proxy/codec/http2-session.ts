// One end of an HTTP/2 connection (RFC 9113): bytes in, calls out, bytes back. The contract is `http2.ts`; this file puts
// the parts together and is what users call.

import type { HeaderMap } from './headers.ts';
import {
  H2_FRAME_SIZE_ERROR,
  H2_NO_ERROR,
  H2_PROTOCOL_ERROR,
  type H2Counts,
  type H2Error,
  type H2Options,
  type H2SessionShape,
  type H2Sink,
  type H2Stream,
} from './http2.ts';
import { BlockReceiver } from './http2-blocks.ts';
import { BodyReceiver } from './http2-body.ts';
import { ControlReceiver } from './http2-control.ts';
import { Http2Core } from './http2-core.ts';
import { type FrameSink, Http2Framer } from './http2-framer.ts';
import {
  FLAG_ACK,
  FRAME_CONTINUATION,
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
  STREAM_ID_MAX,
} from './http2-frames.ts';
import type { Http2Sender } from './http2-sender.ts';
import { Http2Stream } from './http2-stream.ts';

/** See the head of this file. */
export class Http2Session implements H2SessionShape, FrameSink {
  private readonly core: Http2Core;
  private readonly sender: Http2Sender;
  private readonly framer: Http2Framer;
  private readonly body: BodyReceiver;
  private readonly blocks: BlockReceiver;
  private readonly control: ControlReceiver;
  private feeding: boolean;
  /** Answered while their request was being read: reset once the read is done, unless their request has ended by then. */
  private readonly answeredEarly: Http2Stream[];

  constructor(isClient: boolean, options: H2Options, sink: H2Sink) {
    const core = new Http2Core(isClient, options, sink);
    this.core = core;
    this.sender = core.sender;
    this.framer = new Http2Framer(!isClient, this);
    core.framer = this.framer;
    this.body = new BodyReceiver(core);
    this.blocks = new BlockReceiver(core, this.body);
    this.control = new ControlReceiver(core, this.blocks.decoder);
    this.feeding = false;
    this.answeredEarly = [];
  }

  get activeStreams(): number {
    return this.core.active;
  }
  get pendingHead(): H2Stream | null {
    return this.blocks.pendingHead;
  }
  get maxStreams(): number {
    return this.control.maxStreams;
  }
  get peerAllowsConnect(): boolean {
    return this.control.peerAllowsConnect;
  }
  get goingAway(): boolean {
    return this.core.goingAway;
  }
  get error(): H2Error | null {
    return this.core.error;
  }
  get counts(): H2Counts {
    return this.core.counts;
  }

  start(): void {
    if (this.core.isClient) this.sender.raw(PREFACE);
    this.control.sendSettings();
    this.core.openConnectionWindow();
  }

  feed(bytes: Buffer): H2Error | null {
    this.feeding = true;
    this.framer.feed(bytes);
    this.feeding = false;
    if (this.answeredEarly.length > 0) this.resetAnswered();
    return this.core.error;
  }

  private resetAnswered(): void {
    for (const stream of this.answeredEarly) this.reset(stream, H2_NO_ERROR);
    this.answeredEarly.length = 0;
  }

  // === From the framer ===

  onFrameHeader(length: number, type: number, flags: number, id: number): void {
    const { core } = this;
    if (length > core.options.maxFrameBytes) core.fail(H2_FRAME_SIZE_ERROR, 'too large frame size');
    else if (!this.control.settingsSeen && (type !== FRAME_SETTINGS || (flags & FLAG_ACK) !== 0))
      core.fail(H2_PROTOCOL_ERROR, 'SETTINGS expected');
    else if (this.blocks.openId !== 0 && (type !== FRAME_CONTINUATION || id !== this.blocks.openId))
      core.fail(H2_PROTOCOL_ERROR, 'unexpected non-CONTINUATION frame or stream_id is invalid');
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, from: number, end: number): void {
    switch (type) {
      case FRAME_HEADERS:
        this.blocks.onHeaders(id, flags, bytes, from, end);
        break;
      case FRAME_CONTINUATION:
        this.blocks.onContinuation(id, flags, bytes, from, end);
        break;
      case FRAME_WINDOW_UPDATE:
        this.control.onWindowUpdate(id, bytes, from, end);
        break;
      case FRAME_RST_STREAM:
        this.control.onRstStream(id, bytes, from, end);
        break;
      case FRAME_SETTINGS:
        this.control.onSettings(id, flags, bytes, from, end);
        break;
      case FRAME_PING:
        this.control.onPing(id, flags, bytes, from, end);
        break;
      case FRAME_PRIORITY:
        this.control.onPriority(from, end);
        break;
      case FRAME_GOAWAY:
        this.control.onGoaway(id, bytes, from, end);
        break;
      case FRAME_PUSH_PROMISE:
        // A client may not push, and we have told servers not to.
        this.core.refuse(null);
        break;
      default:
        // Frames of unknown types are ignored (RFC 9113 §5.5).
        break;
    }
  }

  onDataStart(id: number, length: number, overhead: number, endStream: boolean): void {
    this.body.begin(id, length, overhead, endStream);
  }

  onDataPiece(piece: Buffer, last: boolean): void {
    this.body.onPiece(piece, last);
  }

  onBadPreface(): void {
    this.core.refuse(null);
  }

  onBadPadding(tooShort: boolean): void {
    this.core.fail(H2_PROTOCOL_ERROR, tooShort ? 'DATA: insufficient padding space' : 'DATA: invalid padding');
  }

  // === From the user ===

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
    const { core } = this;
    if (core.goingAway || core.error !== null || core.closed) return null;
    if (core.active >= this.control.maxStreams || core.nextId > STREAM_ID_MAX) return null;
    const stream = new Http2Stream(core.nextId, user, core.streamWindow, this.sender.initialWindow);
    core.nextId += 2;
    stream.headRequest = method === 'HEAD';
    core.open(stream);
    this.sender.requestHead(stream, method, scheme, authority, path, protocol, headers, endStream);
    return stream;
  }

  informational(stream: H2Stream, status: number, headers: HeaderMap): void {
    if (this.maySend(stream)) this.sender.responseHead(stream as Http2Stream, status, headers, false);
  }

  respond(stream: H2Stream, status: number, headers: HeaderMap, endStream: boolean): void {
    if (this.maySend(stream)) this.sender.responseHead(stream as Http2Stream, status, headers, endStream);
  }

  sendData(stream: H2Stream, chunk: Uint8Array, endStream: boolean): boolean {
    return !this.maySend(stream) || this.sender.data(stream as Http2Stream, chunk, endStream);
  }

  sendTrailers(stream: H2Stream, trailers: HeaderMap): void {
    if (this.maySend(stream)) this.sender.trailers(stream as Http2Stream, trailers);
  }

  private maySend(stream: H2Stream): boolean {
    return !stream.over && !stream.localEnded && this.core.error === null && !this.core.closed;
  }

  reset(target: H2Stream, code: number): void {
    const stream = target as Http2Stream;
    const { core } = this;
    if (stream.over) return;
    if (code === H2_NO_ERROR && stream.localEnded && core.error === null && !core.closed) {
      // What was said before the end is still to be heard.
      if (!stream.endSent) {
        stream.resetAfterEnd = true;
        return;
      }
      if (this.feeding) {
        this.answeredEarly.push(stream);
        return;
      }
    }
    if (core.error === null && !core.closed && !stream.closedOnWire) {
      this.sender.reset(stream.id, code);
      stream.wireBytesSent += H2_FRAME_HEADER_BYTES + 4;
    }
    core.drop(stream);
    core.sink.onStreamOver(stream);
  }

  hold(stream: H2Stream): void {
    (stream as Http2Stream).holds++;
  }

  release(target: H2Stream): void {
    const stream = target as Http2Stream;
    if (--stream.holds === 0 && !stream.over && !stream.delivering) this.body.deliver(stream);
  }

  /** Open streams, by number. */
  get openStreams(): readonly H2Stream[] {
    return this.core.streams.values();
  }

  /** Bytes that are held here for a stream: what the peer has sent and nobody wants yet, and what it does not take. */
  heldBytes(target: H2Stream): number {
    const stream = target as Http2Stream;
    let bytes = stream.pendingBytes;
    for (const piece of stream.kept) bytes += piece.length;
    return bytes;
  }

  announceGoaway(): void {
    const { core } = this;
    if (core.error !== null) return;
    core.counts.goawaySent++;
    this.sender.goaway(STREAM_ID_MAX, H2_NO_ERROR, '');
  }

  goaway(code: number): void {
    const { core } = this;
    if (core.error !== null) return;
    core.goingAway = true;
    core.counts.goawaySent++;
    core.acceptedIdMax = Math.min(core.lastPeerId, core.acceptedIdMax);
    this.sender.goaway(core.acceptedIdMax, code, '');
  }

  ping(payload: bigint): void {
    if (this.core.error !== null) return;
    this.sender.ping(Number(payload >> 32n), Number(payload & 0xffff_ffffn), false);
  }

  setCongested(congested: boolean): void {
    this.sender.setCongested(congested);
  }

  get giveBack(): (() => void) | null {
    return this.sender.out.giveBack;
  }

  takeOutput(): Buffer | null {
    return this.sender.take();
  }

  close(): void {
    const { core } = this;
    if (core.closed) return;
    core.closed = true;
    this.framer.stop();
    const code = core.error === null ? H2_NO_ERROR : core.error.code;
    // The newest first, as in Envoy
    for (const stream of core.streams.values().reverse()) {
      if (stream.over) continue;
      core.drop(stream);
      core.tellReset(stream, { code, by: 'connection', details: stream.blame });
    }
  }
}
