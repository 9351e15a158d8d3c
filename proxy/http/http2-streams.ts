// The streams of one downstream HTTP/2 connection: what the codec reads of them goes to the streams of the connection
// manager, and who resets too many of them loses the connection.

import { HeaderMap } from '../codec/headers.ts';
import { KNOWN_EXPECT, type RequestHead } from '../codec/http1.ts';
import { H2_INTERNAL_ERROR, H2_NO_ERROR, type H2Reset, type H2Sink, type H2Stream } from '../codec/http2.ts';
import type { Http2Session } from '../codec/http2-session.ts';
import { HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED, HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL } from '../observe/catalogue-http.ts';
import { HTTP2_STREAMS_ACTIVE, HTTP2_TX_FLUSH_TIMEOUT } from '../observe/catalogue-http2.ts';
import { FLAG_DPE, FLAG_DR, FLAG_OM } from '../observe/flags.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { type ExchangeOwner, Http2Exchange } from './http2-exchange.ts';
import type { HttpManager } from './manager.ts';
import { ResetGuard } from './reset-guard.ts';
import type { HttpStream } from './stream.ts';
import { StreamTimers } from './timers.ts';

/** Sets of timers that a connection keeps for its next streams. */
const SPARE_TIMERS_MAX = 128;

/** Resets by our codec that Envoy counts as the peer's doing: what it sent is too much, not wrong. */
const LIMITS: ReadonlySet<string> = new Set([
  'http2.header_list_size_too_large',
  'http2.too_many_headers',
  'http2.unexpected_underscore',
]);

/** The connection as its streams see it. */
export interface StreamCarrier {
  readonly connection: DownstreamConnection;
  readonly manager: HttpManager;
  readonly session: Http2Session;
  /** A response begins: is it time to leave? */
  checkDrain(): void;
  /** The peer shall open no more streams. */
  startDrain(): void;
  /** A stream is over, for the connection manager or for the codec. */
  onStreamOver(): void;
  /** The peer resets more streams than its bucket holds. */
  onResetFlood(): void;
  /** Most streams were reset before they were answered. */
  onPrematureResets(): void;
  onPingAck(payload: bigint): void;
  /** The session has something to send. */
  onOutput(): void;
  /** What the session has counted becomes visible. */
  moveCounts(): void;
}

/** See the head of this file. */
export class Http2Streams implements H2Sink, ExchangeOwner {
  readonly connection: StreamCarrier;
  readonly manager: HttpManager;
  readonly info: ConnectionInfo;
  /** Streams of the connection manager that are not over. */
  active: number;
  private readonly spareTimers: StreamTimers[];
  private readonly resets: ResetGuard;
  private requests: number;
  /** What the streams that end with the connection are told, and whether their peer is to blame. */
  private lastDetails: string;
  private peerFailed: boolean;

  constructor(connection: StreamCarrier) {
    const { manager } = connection;
    this.connection = connection;
    this.manager = manager;
    this.info = connection.connection.info;
    this.active = 0;
    this.spareTimers = [];
    this.resets = new ResetGuard(manager.resetLimits, manager.runtime.nowMs());
    this.requests = 0;
    this.lastDetails = '';
    this.peerFailed = false;
  }

  /** The connection is over. @param peerFailed because of what the peer has sent */
  endAll(details: string, peerFailed: boolean): void {
    this.lastDetails = details;
    this.peerFailed = peerFailed;
    this.connection.session.close();
  }

  /** A request's head has begun and is not whole yet. */
  onHeadBegun(h2: H2Stream): void {
    if (h2.user === null) this.begin(h2).stream.onHeadBegun();
  }

  // === From the codec ===

  onRequest(h2: H2Stream, head: RequestHead, endStream: boolean): void {
    const { stream } = (h2.user as Http2Exchange | null) ?? this.begin(h2);
    if (head.droppedHeaders > 0) this.connection.moveCounts();
    const max = this.manager.model.maxRequestsPerConnection;
    if (++this.requests >= max && max > 0) {
      this.manager.count(HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED);
      this.connection.startDrain();
    }
    this.expectContinue(h2, head);
    stream.onHead(head, endStream);
  }

  onData(h2: H2Stream, chunk: Buffer, endStream: boolean): void {
    (h2.user as Http2Exchange).stream.onData(chunk, endStream);
  }

  onTrailers(h2: H2Stream, trailers: HeaderMap): void {
    (h2.user as Http2Exchange).stream.onTrailers(trailers);
  }

  onWritable(h2: H2Stream): void {
    (h2.user as Http2Exchange).stream.onWritable();
  }

  onReset(h2: H2Stream, reset: H2Reset): void {
    const { stream } = (h2.user as Http2Exchange | null) ?? this.begin(h2);
    if (reset.by === 'peer') this.onPeerReset(stream, reset);
    else if (reset.by === 'codec')
      stream.onReset(LIMITS.has(reset.details) ? FLAG_DR : FLAG_DPE, reset.details || 'http2.remote_reset');
    else if (!this.peerFailed) stream.onPeerGone(this.lastDetails);
    else stream.onReset(FLAG_DPE, reset.details || this.lastDetails);
    this.connection.moveCounts();
  }

  onStreamOver(h2: H2Stream): void {
    const exchange = h2.user as Http2Exchange | null;
    if (exchange === null) return;
    exchange.onCodecOver();
    this.connection.onStreamOver();
  }

  onInformational(): void {}
  onResponse(): void {}
  onGoaway(): void {}
  onSettings(): void {}

  onPingAck(payload: bigint): void {
    this.connection.onPingAck(payload);
  }

  onOutput(): void {
    this.connection.onOutput();
  }

  // === From the exchanges ===

  /** The connection manager is done with the stream; its timers serve the next one. */
  onExchangeOver(stream: HttpStream, timers: StreamTimers): void {
    this.active--;
    if (this.resets.onStreamOver(stream.status, stream.endMs - stream.startMs)) this.connection.onPrematureResets();
    this.manager.addHttp2(HTTP2_STREAMS_ACTIVE, -1);
    if (this.spareTimers.length < SPARE_TIMERS_MAX) this.spareTimers.push(timers);
    this.connection.onStreamOver();
  }

  rescale(h2: H2Stream): void {
    (h2.user as Http2Exchange | null)?.stream.rescaleIdle();
  }

  /** The overload manager wants the stream's memory. */
  giveUp(h2: H2Stream): void {
    const exchange = h2.user as Http2Exchange | null;
    if (exchange === null) return;
    exchange.stream.onReset(FLAG_OM, 'overload');
    // The answer was whole, but waits for the peer.
    if (!h2.over) this.connection.session.reset(h2, H2_INTERNAL_ERROR);
    this.connection.moveCounts();
  }

  /** The peer does not take the rest of an answer. */
  onFlushTimeout(h2: H2Stream): void {
    this.manager.addHttp2(HTTP2_TX_FLUSH_TIMEOUT, 1);
    this.connection.session.reset(h2, H2_INTERNAL_ERROR);
    this.connection.moveCounts();
  }

  // === Inside ===

  private begin(h2: H2Stream): Http2Exchange {
    const { manager } = this;
    if (this.active++ === 0) this.connection.connection.stopIdle();
    manager.addHttp2(HTTP2_STREAMS_ACTIVE, 1);
    manager.count(HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL);
    const timers = this.spareTimers.pop() ?? new StreamTimers(manager.runtime, manager.wheel);
    const exchange = new Http2Exchange(this, h2, timers);
    h2.user = exchange;
    return exchange;
  }

  /** Without `proxy_100_continue` the proxy itself says to go on. */
  private expectContinue(h2: H2Stream, head: RequestHead): void {
    const { headers } = head;
    if (this.manager.model.proxy100Continue || (head.known & KNOWN_EXPECT) === 0) return;
    if (headers.get('expect')?.toLowerCase() !== '100-continue') return;
    headers.remove('expect');
    this.manager.chargeStatus(100);
    this.connection.session.informational(h2, 100, new HeaderMap());
  }

  private onPeerReset(stream: HttpStream, reset: H2Reset): void {
    const tooMany = this.resets.onPeerReset(this.manager.runtime.nowMs());
    if (reset.code === H2_NO_ERROR) stream.onReset(0, '');
    else stream.onReset(FLAG_DR, reset.details);
    if (tooMany) this.connection.onResetFlood();
  }
}
