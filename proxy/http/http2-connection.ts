// A downstream HTTP/2 connection: the codec's session between the socket and the streams, and how it all ends.
//
// States: open → draining (the peer was told to open no more streams; those it opens are served) → closing (later streams
// are ignored, and the connection ends with the last one) → closed (nothing more is read). Output of one round of the event
// loop leaves in one write.

import { H2_ENHANCE_YOUR_CALM, H2_INTERNAL_ERROR, H2_NO_ERROR, type H2Error } from '../codec/http2.ts';
import { Http2Session } from '../codec/http2-session.ts';
import { type Flusher, flushAtRoundEnd, type Transport } from '../net/transport.ts';
import {
  HTTP_DOWNSTREAM_CX_DRAIN_CLOSE,
  HTTP_DOWNSTREAM_CX_HTTP2_ACTIVE,
  HTTP_DOWNSTREAM_CX_HTTP2_TOTAL,
  HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR,
  HTTP_DOWNSTREAM_RQ_TOO_MANY_PREMATURE_RESETS,
} from '../observe/catalogue-http.ts';
import {
  HTTP2_KEEPALIVE_TIMEOUT,
  HTTP2_NGHTTP2_DOWNSTREAM_CONNECTIONS,
  moveHttp2Counts,
} from '../observe/catalogue-http2.ts';
import { type KeepaliveOwner, PingKeepalive } from '../util/ping-keepalive.ts';
import type { DispatchSheds } from './dispatch-sheds.ts';
import type { DownstreamCodec, DownstreamConnection } from './downstream-connection.ts';
import { Http2Streams, type StreamCarrier } from './http2-streams.ts';
import type { LoadedStream } from './loaded-streams.ts';
import type { HttpManager } from './manager.ts';

const OPEN = 0;
const DRAINING = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Envoy's codec has one text for nearly all that a peer can do wrong. */
const CODEC_ERROR = 'codec_error:The_user_callback_function_failed';

/** See the head of this file. */
export class Http2Connection implements DownstreamCodec, Flusher, KeepaliveOwner, StreamCarrier {
  readonly connection: DownstreamConnection;
  readonly manager: HttpManager;
  readonly session: Http2Session;
  private readonly transport: Transport;
  private readonly streams: Http2Streams;
  private readonly keepalive: PingKeepalive | null;
  private state: number;
  private pings: bigint;

  constructor(connection: DownstreamConnection) {
    const { manager } = connection;
    const { keepalive } = manager.model.http2;
    this.connection = connection;
    this.manager = manager;
    this.transport = connection.transport;
    this.streams = new Http2Streams(this);
    this.session = new Http2Session(false, manager.http2Options, this.streams);
    this.keepalive = keepalive === null ? null : new PingKeepalive(keepalive, manager.runtime, manager.wheel, this);
    this.state = OPEN;
    this.pings = 0n;
    connection.info.protocol = 'HTTP/2';
    manager.count(HTTP_DOWNSTREAM_CX_HTTP2_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_HTTP2_ACTIVE);
    manager.addHttp2(HTTP2_NGHTTP2_DOWNSTREAM_CONNECTIONS, 1);
    this.session.start();
  }

  get activeStreams(): number {
    return this.streams.active;
  }

  rescale(): void {
    for (const h2 of this.session.openStreams) this.streams.rescale(h2);
  }

  collectLoaded(leastBytes: number, into: LoadedStream[]): void {
    const { session } = this;
    for (const h2 of session.openStreams) {
      const bytes = session.heldBytes(h2);
      if (bytes >= leastBytes) into.push({ bytes, giveUp: () => this.streams.giveUp(h2) });
    }
  }

  // === From the connection's life ===

  drain(): void {
    this.goaway(H2_NO_ERROR);
  }

  onIdle(): void {
    this.startDrain();
  }

  onMaxDuration(): void {
    this.startDrain();
  }

  /** A response begins. */
  checkDrain(): void {
    if (this.state !== OPEN || !this.manager.drainClose()) return;
    this.startDrain();
    this.manager.count(HTTP_DOWNSTREAM_CX_DRAIN_CLOSE);
  }

  /** The peer shall open no more streams; what it still opens within `drain_timeout` is served. */
  startDrain(): void {
    if (this.state !== OPEN) return;
    this.state = DRAINING;
    this.session.announceGoaway();
    this.connection.startDrainTimer(() => this.goaway(H2_NO_ERROR));
  }

  /** Later streams are ignored. */
  goaway(code: number): void {
    if (this.state >= CLOSING) return;
    this.state = CLOSING;
    this.session.goaway(code);
    this.closeWhenDone();
  }

  /** A stream is over, for the connection manager or for the codec. */
  onStreamOver(): void {
    if (this.state === CLOSING) this.closeWhenDone();
    else if (this.state !== CLOSED && this.streams.active === 0) this.connection.startIdle();
  }

  /** The peer resets more streams than its bucket holds. */
  onResetFlood(): void {
    if (this.state === CLOSED) return;
    this.manager.count(HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR);
    this.session.goaway(H2_INTERNAL_ERROR);
    this.fail(CODEC_ERROR);
  }

  /** Most streams were reset before they were answered. */
  onPrematureResets(): void {
    if (this.state !== OPEN) return;
    this.manager.count(HTTP_DOWNSTREAM_RQ_TOO_MANY_PREMATURE_RESETS);
    this.manager.count(HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR);
    this.connection.destroy();
  }

  // === From the socket ===

  onData(chunk: Buffer): void {
    if (this.state === CLOSED) {
      this.connection.ignoredBytes = true;
      return;
    }
    const { dispatchSheds } = this.manager;
    if (dispatchSheds !== null && this.shedsBytes(dispatchSheds)) return;
    this.keepalive?.onBytes();
    const error = this.session.feed(chunk);
    if (error !== null) this.onCodecError(error);
    else if (this.session.pendingHead !== null) this.streams.onHeadBegun(this.session.pendingHead);
    this.connection.countBytes();
  }

  /** @returns true when that was the end */
  private shedsBytes({ close, goaway }: DispatchSheds): boolean {
    if (close?.sheds() === true) {
      this.startDrain();
      this.session.goaway(H2_NO_ERROR);
      this.fail('');
      this.connection.countBytes();
      return true;
    }
    if (goaway?.sheds() === true) this.startDrain();
    return false;
  }

  onEnd(): void {
    // As in Envoy the end of what the peer says ends the connection; what its streams wait for may end at the same time.
    this.connection.endsBusy = this.streams.active > 0;
    this.state = CLOSED;
    this.streams.endAll('downstream_remote_disconnect', false);
    this.transport.destroy();
  }

  onDrain(): void {
    this.session.setCongested(false);
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.connection.onClose(error);
  }

  endStreams(details: string): void {
    this.state = CLOSED;
    this.keepalive?.stop();
    this.streams.endAll(details, false);
    this.moveCounts();
    this.manager.uncount(HTTP_DOWNSTREAM_CX_HTTP2_ACTIVE);
  }

  // === Writing ===

  onOutput(): void {
    flushAtRoundEnd(this);
  }

  flushGathered(): void {
    const { session } = this;
    const output = session.takeOutput();
    if (output === null || this.transport.closed) return;
    if (!this.transport.writeLent(output, session.giveBack)) session.setCongested(true);
    this.connection.countWritten();
    // Frames that we were made to send can be too many, too.
    if (session.error !== null) this.onCodecError(session.error);
  }

  // === Keepalive ===

  sendPing(): void {
    this.session.ping(++this.pings);
  }

  onPingAck(payload: bigint): void {
    if (payload === this.pings) this.keepalive?.onAnswer();
  }

  onPingTimeout(): void {
    this.manager.addHttp2(HTTP2_KEEPALIVE_TIMEOUT, 1);
    this.connection.destroy();
  }

  /** What the session has counted becomes visible. */
  moveCounts(): void {
    moveHttp2Counts(this.session.counts, this.manager.http2Stats);
  }

  // === Inside ===

  private onCodecError(error: H2Error): void {
    if (this.state === CLOSED) return;
    if (!error.told) this.session.takeOutput();
    // Floods have counters of their own.
    if (error.told || error.code !== H2_ENHANCE_YOUR_CALM) this.manager.count(HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR);
    this.fail(`codec_error:${error.message.replaceAll(' ', '_')}`);
  }

  /** The connection is beyond repair, by its peer's fault. */
  private fail(details: string): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.streams.endAll(details, true);
    this.moveCounts();
    this.closeAfterFlush();
  }

  private closeWhenDone(): void {
    if (this.streams.active > 0 || this.session.activeStreams > 0) return;
    this.state = CLOSED;
    this.closeAfterFlush();
  }

  private closeAfterFlush(): void {
    this.keepalive?.stop();
    this.flushGathered();
    this.connection.closeAfterFlush();
  }
}
