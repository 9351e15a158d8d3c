// One HTTP/2 connection to an upstream host and the streams on it.
//
// Life: CONNECTING → READY ⇄ BUSY → CLOSED, and READY or BUSY → DRAINING → CLOSED when it takes no more streams.
// Rule 1: every end goes through `finish`, once; what the socket says later is ignored.
// Rule 2: a stream is settled once, in `settle`, before or after its handler has heard of its end; the connection lives
//         on, and closes with its last stream when it is draining.
// Rule 3: what a round of the event loop has made of frames leaves at its end in one write.

import type { HeaderMap } from '../codec/headers.ts';
import {
  H2_CONNECT_ERROR,
  H2_INTERNAL_ERROR,
  H2_PROTOCOL_ERROR,
  H2_REFUSED_STREAM,
  type H2Options,
  type H2Reset,
  type H2Sink,
  type H2Stream,
} from '../codec/http2.ts';
import { Http2Session } from '../codec/http2-session.ts';
import type { DialHandler } from '../net/dial.ts';
import { type Flusher, flushAtRoundEnd, type Transport } from '../net/transport.ts';
import {
  UPSTREAM_CX_CLOSE_NOTIFY,
  UPSTREAM_CX_HTTP2_TOTAL,
  UPSTREAM_CX_IDLE_TIMEOUT,
  UPSTREAM_CX_MAX_DURATION_REACHED,
  UPSTREAM_CX_MAX_REQUESTS,
  UPSTREAM_CX_PROTOCOL_ERROR,
  UPSTREAM_CX_RX_BYTES_TOTAL,
  UPSTREAM_CX_TX_BYTES_TOTAL,
  UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL,
  UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL,
  UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
  UPSTREAM_RQ_PENDING_FAILURE_EJECT,
  UPSTREAM_RQ_RX_RESET,
  UPSTREAM_RQ_TX_RESET,
} from '../observe/catalogue-cluster.ts';
import {
  HTTP2_NGHTTP2_UPSTREAM_CONNECTIONS,
  HTTP2_STREAMS_ACTIVE,
  moveHttp2Counts,
} from '../observe/catalogue-http2.ts';
import { type KeepaliveOwner, PingKeepalive } from '../util/ping-keepalive.ts';
import type { WheelTimer } from '../util/timer-wheel.ts';
import {
  type ConnectFailure,
  ConnectionAccount,
  type ConnectionContext,
  type ConnectionSeed,
  closeRequest,
  openRequest,
} from './account.ts';
import type { Host } from './host.ts';
import { type Http2Carrier, Http2UpstreamStream } from './http2-stream.ts';
import type { ResetReason, UpstreamStreamHandler } from './upstream.ts';

const CONNECTING = 0;
const READY = 1;
/** It carries as many streams as it may. */
const BUSY = 2;
const DRAINING = 3;
const CLOSED = 4;
type State = 0 | 1 | 2 | 3 | 4;

/** The pool as its connections see it. */
export interface Http2Owner {
  readonly context: ConnectionContext;
  readonly host: Host;
  readonly options: H2Options;
  /** Block of the `http2` catalogue under the cluster. */
  readonly codecStats: Float64Array;
  onConnected(connection: Http2Connection): void;
  onConnectFailed(connection: Http2Connection, failure: ConnectFailure): void;
  /** The connection takes another stream again. */
  onReady(connection: Http2Connection): void;
  /** The connection, which was ready, takes no other stream now, or no longer. */
  onUnready(connection: Http2Connection): void;
  /** The connection is gone. */
  onClosed(connection: Http2Connection): void;
}

/** See the head of this file. */
export class Http2Connection implements H2Sink, Flusher, KeepaliveOwner, Http2Carrier {
  /** Links of the pool's list of ready connections. */
  previous: Http2Connection | null;
  next: Http2Connection | null;
  readonly account: ConnectionAccount;
  readonly owner: Http2Owner;
  /** Replaced while connecting, when a host has several addresses. */
  transport: Transport;
  private readonly socket: SocketEvents;
  readonly session: Http2Session;
  localAddress: string;
  remoteAddress: string;
  /** Streams that it takes while it is being opened. */
  readonly initialCapacity: number;
  private state: State;
  private active: number;
  private requests: number;
  /** Streams still allowed in its life; −1 = any number. */
  private requestsLeft: number;
  /** Streams allowed at a time: what is configured, or what the peer allows if that is less. */
  private streamsMax: number;
  /** Some response has begun on it. */
  answered: boolean;
  /** Highest stream that the peer works on, once it has said that it is leaving. */
  private lastStreamId: number;
  /** Why streams end when the session is closed under them. */
  private endReason: ResetReason;
  private flushing: boolean;
  private cancelConnectTimer: (() => void) | null;
  private timedOut: boolean;
  private idleTimer: WheelTimer | null;
  private durationTimer: WheelTimer | null;
  private keepalive: PingKeepalive | null;

  /** @param seed is connected, or `null` to open one; `onConnect` follows */
  constructor(owner: Http2Owner, seed: ConnectionSeed | null) {
    const { context, host, options } = owner;
    const { model } = context;
    this.previous = null;
    this.next = null;
    this.owner = owner;
    this.account = seed === null ? new ConnectionAccount(context, host) : seed.account;
    (context.stats[UPSTREAM_CX_HTTP2_TOTAL] as number)++;
    (owner.codecStats[HTTP2_NGHTTP2_UPSTREAM_CONNECTIONS] as number)++;
    this.session = new Http2Session(true, options, this);
    this.localAddress = '';
    this.remoteAddress = '';
    this.state = CONNECTING;
    this.active = 0;
    this.requests = 0;
    this.requestsLeft = model.maxRequestsPerConnection === 0 ? -1 : model.maxRequestsPerConnection;
    this.streamsMax = options.maxConcurrentStreams;
    this.initialCapacity = this.requestsLeft < 0 ? this.streamsMax : Math.min(this.streamsMax, this.requestsLeft);
    this.answered = false;
    this.lastStreamId = -1;
    this.endReason = 'connection_termination';
    this.flushing = false;
    this.timedOut = false;
    this.idleTimer = null;
    this.durationTimer = null;
    this.keepalive = null;
    this.socket = new SocketEvents(this);
    this.transport = seed === null ? this.account.dial(this.socket) : seed.transport;
    if (seed !== null) seed.transport.handler = this.socket;
    this.cancelConnectTimer =
      seed === null ? context.runtime.after(model.connectTimeoutMs, () => this.onConnectTimeout()) : null;
  }

  get isConnecting(): boolean {
    return this.state === CONNECTING;
  }

  get isReady(): boolean {
    return this.state === READY;
  }

  /** Binds a request to a new stream. The connection is ready. */
  attach(handler: UpstreamStreamHandler): void {
    const { context, host } = this.owner;
    openRequest(context, host);
    this.active++;
    this.requests++;
    if (this.requestsLeft > 0 && --this.requestsLeft === 0) {
      (context.stats[UPSTREAM_CX_MAX_REQUESTS] as number)++;
      this.leaveReady(DRAINING);
    } else if (this.active >= this.streamsMax) this.leaveReady(BUSY);
    if (this.keepalive !== null) this.keepalive.beforeStream();
    handler.onReady(new Http2UpstreamStream(this, handler));
  }

  /** Closes now when idle, otherwise after the streams. */
  drain(): void {
    if (this.state === CONNECTING || this.state === CLOSED) return;
    if (this.active === 0) this.finish(false, false);
    else this.leaveReady(DRAINING);
  }

  /** Closes now; running streams are told. */
  closeNow(): void {
    if (this.state === CONNECTING) this.failConnect(null);
    else this.endStreams('connection_termination', false);
  }

  // === What the socket says ===

  onConnect(): void {
    if (this.state !== CONNECTING) return;
    this.clearConnectTimer();
    this.account.connected();
    this.localAddress = this.transport.localAddress;
    this.remoteAddress = this.account.remoteAddress;
    const { model, wheel, runtime } = this.owner.context;
    if (model.idleTimeoutMs > 0) this.idleTimer = wheel.add(model.idleTimeoutMs, () => this.onIdleTimeout());
    if (model.maxConnectionDurationMs > 0)
      this.durationTimer = wheel.add(model.maxConnectionDurationMs, () => this.onMaxDuration());
    if (model.http2.keepalive !== null) this.keepalive = new PingKeepalive(model.http2.keepalive, runtime, wheel, this);
    this.session.start();
    this.state = READY;
    this.owner.onConnected(this);
  }

  onBytes(chunk: Buffer): void {
    if (this.state === CLOSED) return;
    (this.owner.context.stats[UPSTREAM_CX_RX_BYTES_TOTAL] as number) += chunk.length;
    if (this.keepalive !== null) this.keepalive.onBytes();
    if (this.session.feed(chunk) !== null) this.onCodecError();
  }

  onGone(error: NodeJS.ErrnoException | null): void {
    if (this.state !== CONNECTING) {
      this.onRemoteClose();
      return;
    }
    const next = this.account.dialNext(this.socket);
    if (next === null) this.failConnect(error);
    else this.transport = next;
  }

  onRemoteClose(): void {
    if (this.state !== CLOSED && this.state !== CONNECTING) this.endStreams('connection_termination', true);
  }

  onUncongested(): void {
    if (this.state !== CLOSED) this.session.setCongested(false);
  }

  /** The peer's bytes are no HTTP/2, or more than is allowed: it is told, and what runs fails. */
  private onCodecError(): void {
    (this.owner.context.stats[UPSTREAM_CX_PROTOCOL_ERROR] as number)++;
    // Envoy counts the GOAWAYs of graceful ends alone.
    this.session.counts.goawaySent = 0;
    this.endStreams('protocol_error', false);
  }

  // === Timers ===

  private onConnectTimeout(): void {
    this.cancelConnectTimer = null;
    this.timedOut = true;
    this.failConnect(null);
  }

  private onIdleTimeout(): void {
    // With streams it is not idle; the time starts again when the last one ends.
    if (this.active > 0) return;
    (this.owner.context.stats[UPSTREAM_CX_IDLE_TIMEOUT] as number)++;
    this.finish(false, false);
  }

  private onMaxDuration(): void {
    if (this.state === DRAINING) return;
    (this.owner.context.stats[UPSTREAM_CX_MAX_DURATION_REACHED] as number)++;
    this.drain();
  }

  sendPing(): void {
    this.session.ping(PING_PAYLOAD);
  }

  onPingTimeout(): void {
    if (this.state === CLOSED) return;
    this.session.counts.keepaliveTimeout++;
    this.endStreams('connection_termination', false);
  }

  // === What the session says ===

  onRequest(): void {}

  onInformational(wire: H2Stream, status: number, headers: HeaderMap): void {
    streamOf(wire).handler.onInformational(status, headers);
  }

  onResponse(wire: H2Stream, status: number, headers: HeaderMap, endStream: boolean): void {
    const stream = streamOf(wire);
    this.owner.host.countOutcome(status < 500);
    stream.responseStarted = true;
    this.answered = true;
    if (stream.upgrade !== '' && status === 200) {
      headers.set('upgrade', stream.upgrade);
      headers.set('connection', 'upgrade');
      stream.handler.onHead(101, headers, endStream);
    } else stream.handler.onHead(status, headers, endStream);
  }

  onData(wire: H2Stream, chunk: Buffer, endStream: boolean): void {
    streamOf(wire).handler.onData(chunk, endStream);
  }

  onTrailers(wire: H2Stream, trailers: HeaderMap): void {
    streamOf(wire).handler.onTrailers(trailers);
  }

  onReset(wire: H2Stream, reset: H2Reset): void {
    const stream = streamOf(wire);
    const { stats } = this.owner.context;
    const reason = this.reasonOf(reset);
    if (reason === 'connection_termination') (stats[UPSTREAM_RQ_PENDING_FAILURE_EJECT] as number)++;
    else if (reason === 'protocol_error') (stats[UPSTREAM_RQ_TX_RESET] as number)++;
    else if (reason === 'remote_reset') (stats[UPSTREAM_RQ_RX_RESET] as number)++;
    const stale = reason === 'connection_termination' && this.answered && wire.wireBytesReceived === 0;
    const unseen = this.lastStreamId >= 0 && wire.id > this.lastStreamId;
    // A response that had begun was counted by its status.
    if (!stream.responseStarted) this.owner.host.countOutcome(false);
    moveHttp2Counts(this.session.counts, this.owner.codecStats);
    this.settle(stream);
    stream.handler.onReset(reason, '', unseen ? 'any' : stale ? 'idempotent' : 'no');
  }

  private reasonOf(reset: H2Reset): ResetReason {
    if (reset.by === 'connection') return this.endReason;
    // A head beyond the limits is answered by a reset of ours that Envoy takes for the peer's.
    if (reset.by === 'codec') return reset.code === H2_INTERNAL_ERROR ? 'remote_reset' : 'protocol_error';
    switch (reset.code) {
      case H2_PROTOCOL_ERROR:
        return 'protocol_error';
      case H2_REFUSED_STREAM:
        return 'remote_refused_stream';
      case H2_CONNECT_ERROR:
        return 'connect_error';
      default:
        return 'remote_reset';
    }
  }

  onWritable(wire: H2Stream): void {
    const stream = streamOf(wire);
    if (!stream.backedUp) return;
    stream.backedUp = false;
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL] as number)++;
    stream.handler.onDrain();
  }

  onStreamOver(wire: H2Stream): void {
    this.settle(streamOf(wire));
  }

  onGoaway(lastStreamId: number): void {
    (this.owner.context.stats[UPSTREAM_CX_CLOSE_NOTIFY] as number)++;
    this.lastStreamId = lastStreamId;
    this.drain();
  }

  onSettings(): void {
    this.streamsMax = Math.min(this.owner.options.maxConcurrentStreams, this.session.maxStreams);
    if (this.state === READY && this.active >= this.streamsMax) this.leaveReady(BUSY);
    else if (this.state === BUSY && this.active < this.streamsMax) this.becomeReady();
  }

  onPingAck(): void {
    if (this.keepalive !== null) this.keepalive.onAnswer();
  }

  onOutput(): void {
    if (this.flushing) return;
    this.flushing = true;
    flushAtRoundEnd(this);
  }

  flushGathered(): void {
    this.flushing = false;
    if (this.state === CLOSED) return;
    this.writeOutput();
    if (this.session.error !== null) this.onCodecError();
  }

  private writeOutput(): void {
    const bytes = this.session.takeOutput();
    if (bytes === null) return;
    (this.owner.context.stats[UPSTREAM_CX_TX_BYTES_TOTAL] as number) += bytes.length;
    if (!this.transport.writeLent(bytes, this.session.giveBack)) this.session.setCongested(true);
  }

  // === What a stream asks ===

  /** Sends the head of a stream. */
  open(
    stream: Http2UpstreamStream,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void {
    const wire = this.session.request(method, scheme, authority, path, protocol, headers, endStream, stream);
    if (wire === null) {
      // Stream numbers are used up: the pool was not told before.
      this.settle(stream);
      this.drain();
      stream.handler.onReset('remote_refused_stream', '', 'any');
      return;
    }
    stream.wire = wire;
    (this.owner.codecStats[HTTP2_STREAMS_ACTIVE] as number)++;
  }

  sendData(stream: Http2UpstreamStream, wire: H2Stream, chunk: Uint8Array, endStream: boolean): boolean {
    if (this.session.sendData(wire, chunk, endStream)) return true;
    stream.backedUp = true;
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL] as number)++;
    return false;
  }

  sendTrailers(wire: H2Stream, trailers: HeaderMap): void {
    this.session.sendTrailers(wire, trailers);
  }

  holdReading(wire: H2Stream): void {
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL] as number)++;
    this.session.hold(wire);
  }

  releaseReading(wire: H2Stream): void {
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL] as number)++;
    this.session.release(wire);
  }

  /** The stream was given up by its owner. */
  abandon(stream: Http2UpstreamStream): void {
    const { wire } = stream;
    if (wire !== null) {
      (this.owner.context.stats[UPSTREAM_RQ_TX_RESET] as number)++;
      this.session.reset(wire, H2_INTERNAL_ERROR);
      moveHttp2Counts(this.session.counts, this.owner.codecStats);
    }
    this.settle(stream);
  }

  // === Ends ===

  /** Closes a stream's books, once, and what must be done when it was the last one. */
  private settle(stream: Http2UpstreamStream): void {
    if (stream.over) return;
    stream.over = true;
    const { context, host, codecStats } = this.owner;
    if (stream.wire !== null) (codecStats[HTTP2_STREAMS_ACTIVE] as number)--;
    closeRequest(context, host);
    this.active--;
    if (this.state === CLOSED) return;
    if (this.active === 0) {
      if (this.state === DRAINING) {
        this.finish(false, false);
        return;
      }
      this.idleTimer?.start(context.model.idleTimeoutMs);
    }
    if (this.state === BUSY && this.active < this.streamsMax) this.becomeReady();
  }

  private becomeReady(): void {
    this.state = READY;
    this.owner.onReady(this);
  }

  private leaveReady(state: 2 | 3): void {
    const wasReady = this.state === READY;
    this.state = state;
    if (wasReady) this.owner.onUnready(this);
  }

  /** Ends the connection under its streams, whose handlers are told last. */
  private endStreams(reason: ResetReason, remote: boolean): void {
    this.endReason = reason;
    // Envoy counts streams cut off only when the connection went, not when it was ended for its bytes.
    this.finish(remote, this.active > 0 && reason === 'connection_termination');
    this.session.close();
    moveHttp2Counts(this.session.counts, this.owner.codecStats);
  }

  private failConnect(error: NodeJS.ErrnoException | null): void {
    this.state = CLOSED;
    this.clearConnectTimer();
    const failure = this.account.failed(error, this.timedOut);
    this.transport.destroy();
    this.owner.onConnectFailed(this, failure);
  }

  private finish(remote: boolean, active: boolean): void {
    if (this.state === CLOSED) return;
    const wasReady = this.state === READY;
    this.state = CLOSED;
    this.idleTimer?.cancel();
    this.durationTimer?.cancel();
    this.keepalive?.stop();
    this.account.closed(remote, active);
    if (this.requests > 0) this.owner.context.requestsPerConnection.record(this.requests);
    moveHttp2Counts(this.session.counts, this.owner.codecStats);
    this.writeOutput();
    // A peer that takes no bytes would keep a socket that waits for it.
    if (remote || this.transport.congested) this.transport.destroy();
    else this.transport.closeSoon();
    if (wasReady) this.owner.onUnready(this);
    this.owner.onClosed(this);
  }

  private clearConnectTimer(): void {
    this.cancelConnectTimer?.();
    this.cancelConnectTimer = null;
  }
}

/** What the socket says, which has names in common with what the session says. */
class SocketEvents implements DialHandler {
  private readonly connection: Http2Connection;

  constructor(connection: Http2Connection) {
    this.connection = connection;
  }

  onConnect(): void {
    this.connection.onConnect();
  }

  onData(chunk: Buffer): void {
    this.connection.onBytes(chunk);
  }

  onEnd(): void {
    this.connection.onRemoteClose();
  }

  onDrain(): void {
    this.connection.onUncongested();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.connection.onGone(error);
  }
}

/** Any will do: a single PING is out at a time. */
const PING_PAYLOAD = 0n;

function streamOf(wire: H2Stream): Http2UpstreamStream {
  return wire.user as Http2UpstreamStream;
}
