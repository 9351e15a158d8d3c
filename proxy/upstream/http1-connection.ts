// One HTTP/1 connection to an upstream host and the one exchange on it.
//
// Life: CONNECTING → IDLE ⇄ BUSY → CLOSED, and BUSY → DRAINING → CLOSED when it must not be used again.
// Rule 1: every end goes through `finish`, once; what the socket says later is ignored.
// Rule 2: a connection whose read holds bytes behind the response never returns to its pool: no later request can be
//         answered by them.
// Rule 3: an exchange is an object of its own: whoever keeps a stale one can never touch the next request.

import type { HeaderMap } from '../codec/headers.ts';
import type { H1Error, H1Options, ResponseHead, ResponseSink } from '../codec/http1.ts';
import { ResponseDecoder } from '../codec/http1-response.ts';
import type { DialHandler } from '../net/dial.ts';
import type { Transport } from '../net/transport.ts';
import {
  UPSTREAM_CX_CLOSE_NOTIFY,
  UPSTREAM_CX_HTTP1_TOTAL,
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
} from '../observe/catalogue-cluster.ts';
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
import { type Http1Carrier, Http1UpstreamStream } from './http1-stream.ts';
import type { ResetReason, UpstreamStreamHandler } from './upstream.ts';

const CONNECTING = 0;
const IDLE = 1;
const BUSY = 2;
const DRAINING = 3;
const CLOSED = 4;
type State = 0 | 1 | 2 | 3 | 4;

/** The pool as its connections see it. */
export interface Http1Owner {
  readonly context: ConnectionContext;
  readonly host: Host;
  readonly decoderOptions: H1Options;
  onConnected(connection: Http1Connection): void;
  onConnectFailed(connection: Http1Connection, failure: ConnectFailure): void;
  /** An exchange ended well: the connection may carry the next one. */
  onIdle(connection: Http1Connection): void;
  /** The connection is gone. `wasIdle`: it stood in the list of idle ones. */
  onClosed(connection: Http1Connection, wasIdle: boolean): void;
}

/** See the head of this file. */
export class Http1Connection implements DialHandler, ResponseSink, Http1Carrier {
  /** Links of the pool's list of idle connections. */
  previous: Http1Connection | null;
  next: Http1Connection | null;
  readonly account: ConnectionAccount;
  readonly owner: Http1Owner;
  /** Replaced while connecting, when a host has several addresses. */
  transport: Transport;
  readonly decoder: ResponseDecoder;
  stream: Http1UpstreamStream | null;
  localAddress: string;
  remoteAddress: string;
  /** Exchanges begun on this connection. */
  requests: number;
  private state: State;
  /** Exchanges still allowed; −1 = any number. */
  private requestsLeft: number;
  private cancelConnectTimer: (() => void) | null;
  private timedOut: boolean;
  private idleTimer: WheelTimer | null;
  private durationTimer: WheelTimer | null;
  /** The exchange has ended and the connection cannot carry another one. */
  private mustClose: boolean;
  private endedEarly: boolean;

  /** @param seed is connected, or `null` to open one; `onConnect` follows */
  constructor(owner: Http1Owner, seed: ConnectionSeed | null) {
    const { context, host } = owner;
    const { model } = context;
    this.previous = null;
    this.next = null;
    this.owner = owner;
    this.account = seed === null ? new ConnectionAccount(context, host) : seed.account;
    (context.stats[UPSTREAM_CX_HTTP1_TOTAL] as number)++;
    this.decoder = new ResponseDecoder(owner.decoderOptions, this);
    this.stream = null;
    this.localAddress = '';
    this.remoteAddress = '';
    this.requests = 0;
    this.state = CONNECTING;
    this.requestsLeft = model.maxRequestsPerConnection === 0 ? -1 : model.maxRequestsPerConnection;
    this.timedOut = false;
    this.idleTimer = null;
    this.durationTimer = null;
    this.mustClose = false;
    this.endedEarly = false;
    this.transport = seed === null ? this.account.dial(this) : seed.transport;
    if (seed !== null) seed.transport.handler = this;
    this.cancelConnectTimer =
      seed === null ? context.runtime.after(model.connectTimeoutMs, () => this.onConnectTimeout()) : null;
  }

  /** Binds an exchange; the pool has taken the connection from its list. */
  attach(handler: UpstreamStreamHandler): void {
    const { context, host } = this.owner;
    openRequest(context, host);
    this.requests++;
    this.state = BUSY;
    if (this.requestsLeft > 0 && --this.requestsLeft === 0) {
      (context.stats[UPSTREAM_CX_MAX_REQUESTS] as number)++;
      this.state = DRAINING;
    }
    const stream = new Http1UpstreamStream(this, handler);
    this.stream = stream;
    handler.onReady(stream);
  }

  /** Closes now when idle, otherwise after the exchange. */
  drain(): void {
    if (this.state === IDLE) this.finish(false);
    else if (this.state === BUSY) this.state = DRAINING;
  }

  /** Closes now; a running exchange is told. */
  closeNow(): void {
    if (this.state === CONNECTING) this.failConnect(null);
    else this.fail('connection_termination', false);
  }

  get isConnecting(): boolean {
    return this.state === CONNECTING;
  }

  // === What the socket says ===

  onConnect(): void {
    if (this.state !== CONNECTING) return;
    this.clearConnectTimer();
    this.account.connected();
    this.localAddress = this.transport.localAddress;
    this.remoteAddress = this.account.remoteAddress;
    const { model, wheel } = this.owner.context;
    if (model.idleTimeoutMs > 0) this.idleTimer = wheel.add(model.idleTimeoutMs, () => this.onIdleTimeout());
    if (model.maxConnectionDurationMs > 0)
      this.durationTimer = wheel.add(model.maxConnectionDurationMs, () => this.onMaxDuration());
    this.state = IDLE;
    this.owner.onConnected(this);
  }

  onData(chunk: Buffer): void {
    if (this.state === CLOSED) return;
    (this.owner.context.stats[UPSTREAM_CX_RX_BYTES_TOTAL] as number) += chunk.length;
    if (this.stream === null) {
      // Nothing was asked: a response out of nowhere.
      this.countProtocolError();
      this.finish(false);
      return;
    }
    this.afterDecoding(this.decoder.feed(chunk));
  }

  onEnd(): void {
    this.onRemoteClose();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.state !== CONNECTING) {
      this.onRemoteClose();
      return;
    }
    const next = this.account.dialNext(this);
    if (next === null) this.failConnect(error);
    else this.transport = next;
  }

  onDrain(): void {
    const { stream } = this;
    if (stream === null || this.state === CLOSED || !stream.backedUp) return;
    stream.backedUp = false;
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL] as number)++;
    stream.handler.onDrain();
  }

  private onRemoteClose(): void {
    if (this.state === CLOSED || this.state === CONNECTING) return;
    if (this.stream === null) {
      this.finish(true);
      return;
    }
    if (!this.decoder.started) {
      this.fail('connection_termination', true);
      return;
    }
    const verdict = this.decoder.eof();
    // A body that ends with the connection has ended well; its sink may even have closed everything already.
    if (this.mustClose) this.finish(true);
    else if (verdict === null || verdict === 'complete') this.fail('connection_termination', true);
    else {
      this.countProtocolError();
      this.fail('protocol_error', true);
    }
  }

  private onConnectTimeout(): void {
    this.cancelConnectTimer = null;
    this.timedOut = true;
    this.failConnect(null);
  }

  private onIdleTimeout(): void {
    if (this.state !== IDLE) {
      // Busy connections are not idle; the time starts again when the exchange ends.
      this.idleTimer?.start(this.owner.context.model.idleTimeoutMs);
      return;
    }
    (this.owner.context.stats[UPSTREAM_CX_IDLE_TIMEOUT] as number)++;
    this.finish(false);
  }

  private onMaxDuration(): void {
    (this.owner.context.stats[UPSTREAM_CX_MAX_DURATION_REACHED] as number)++;
    this.drain();
  }

  // === What the decoder says ===

  onInformational(head: ResponseHead): void {
    const { stream } = this;
    if (stream === null) return;
    stream.headerBytesReceived += head.fieldBytes;
    stream.handler.onInformational(head.status, head.headers);
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    const { stream } = this;
    if (stream === null) return;
    const { context, host } = this.owner;
    host.countOutcome(head.status < 500);
    if (!head.keepAlive && saysClose(head)) (context.stats[UPSTREAM_CX_CLOSE_NOTIFY] as number)++;
    stream.responseStarted = true;
    stream.headerBytesReceived += head.fieldBytes;
    if (endStream) this.endExchange();
    stream.handler.onHead(head.status, head.headers, endStream);
  }

  onResponseData(chunk: Buffer, endStream: boolean): void {
    const { stream } = this;
    if (stream === null) return;
    if (endStream) this.endExchange();
    stream.handler.onData(chunk, endStream);
  }

  onResponseTrailers(trailers: HeaderMap | null): void {
    const { stream } = this;
    if (stream === null) return;
    this.endExchange();
    if (trailers === null) stream.handler.onData(NO_BYTES, true);
    else {
      stream.headerBytesReceived += trailers.fieldBytes;
      stream.handler.onTrailers(trailers);
    }
  }

  /**
   * The response is complete: settles the exchange's accounts before its handler hears of it, so that a request that
   * the handler starts from inside finds the connection idle.
   */
  private endExchange(): void {
    const { stream } = this;
    if (stream === null) return;
    this.detach(stream);
    // A response before the end of its request leaves half a request on the wire: nothing may follow it.
    this.endedEarly = !stream.requestEnded;
    if (this.state === BUSY && !this.endedEarly && !this.decoder.shouldClose) this.becomeIdle();
    else this.mustClose = true;
  }

  private becomeIdle(): void {
    this.state = IDLE;
    this.idleTimer?.refresh();
    this.owner.onIdle(this);
  }

  /** Common end of everything that lets the decoder run. */
  private afterDecoding(error: H1Error | null): void {
    if (this.state === CLOSED) return;
    if (error !== null) {
      this.countProtocolError();
      this.fail('protocol_error', false);
    } else if (this.mustClose) this.finish(false, this.endedEarly);
  }

  // === What the exchange asks ===

  holdReading(): void {
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL] as number)++;
    this.transport.hold();
    this.decoder.hold();
  }

  releaseReading(): void {
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL] as number)++;
    this.afterDecoding(this.decoder.release());
    if (this.state !== CLOSED) this.transport.release();
  }

  countSent(bytes: number): void {
    (this.owner.context.stats[UPSTREAM_CX_TX_BYTES_TOTAL] as number) += bytes;
  }

  countBackedUp(): void {
    (this.owner.context.stats[UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL] as number)++;
  }

  /** The exchange was given up by its owner. */
  abandon(stream: Http1UpstreamStream): void {
    if (this.stream !== stream) return;
    this.detach(stream);
    if (stream.headSent) {
      this.finish(false, true);
      return;
    }
    // Nothing is on the wire yet: the connection is as good as before.
    if (this.state === DRAINING) this.finish(false);
    else this.becomeIdle();
  }

  /** The request is over, and so is the connection once everything is sent: what still comes is not read. */
  closeAfter(stream: Http1UpstreamStream): void {
    if (this.stream !== stream) return;
    this.detach(stream);
    this.transport.closeSoon();
    this.finish(false, true, true);
    stream.handler.onReset('connection_termination', '', 'no');
  }

  get host(): Host {
    return this.owner.host;
  }

  // === Ends ===

  private detach(stream: Http1UpstreamStream): void {
    this.stream = null;
    stream.over = true;
    closeRequest(this.owner.context, this.owner.host);
  }

  /** Ends the connection under a running exchange, whose handler is told last. */
  private fail(reason: ResetReason, remote: boolean): void {
    const { stream } = this;
    if (stream === null) {
      this.finish(remote);
      return;
    }
    const reused = this.requests > 1 && !this.decoder.started;
    this.detach(stream);
    // A response that had begun was counted by its status.
    if (!stream.responseStarted) this.host.countOutcome(false);
    this.finish(remote, true);
    stream.handler.onReset(reason, '', reused ? 'idempotent' : 'no');
  }

  private failConnect(error: NodeJS.ErrnoException | null): void {
    this.state = CLOSED;
    this.clearConnectTimer();
    const failure = this.account.failed(error, this.timedOut);
    this.transport.destroy();
    this.owner.onConnectFailed(this, failure);
  }

  /** @param closing the transport closes by itself */
  private finish(remote: boolean, active = false, closing = false): void {
    if (this.state === CLOSED) return;
    const wasIdle = this.state === IDLE;
    this.state = CLOSED;
    this.idleTimer?.cancel();
    this.durationTimer?.cancel();
    this.account.closed(remote, active);
    if (this.requests > 0) this.owner.context.requestsPerConnection.record(this.requests);
    if (!closing) this.transport.destroy();
    this.owner.onClosed(this, wasIdle);
  }

  private clearConnectTimer(): void {
    this.cancelConnectTimer?.();
    this.cancelConnectTimer = null;
  }

  private countProtocolError(): void {
    (this.owner.context.stats[UPSTREAM_CX_PROTOCOL_ERROR] as number)++;
  }
}

const NO_BYTES = new Uint8Array(0);

/** The peer announced the end of the connection, in contrast to a body that can only end with it. */
function saysClose(head: ResponseHead): boolean {
  return head.minor === 0 || /(?:^|,)\s*close\s*(?:,|$)/i.test(head.headers.getJoined('connection') ?? '');
}
