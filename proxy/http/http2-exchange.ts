// One stream of a downstream HTTP/2 connection, as the stream of the connection manager writes to it.

import { HeaderMap } from '../codec/headers.ts';
import { H2_CONNECT_ERROR, H2_INTERNAL_ERROR, H2_NO_ERROR, type H2Stream } from '../codec/http2.ts';
import type { Http2Session } from '../codec/http2-session.ts';
import {
  HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
  HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL,
} from '../observe/catalogue-http.ts';
import { FLAG_UC, FLAG_UF } from '../observe/flags.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { WheelTimer } from '../util/timer-wheel.ts';
import type { HttpManager } from './manager.ts';
import type { ResponseWriter } from './response-writer.ts';
import { HttpStream } from './stream.ts';
import type { StreamTimers } from './timers.ts';

/** The streams of a connection as one of them sees them. */
export interface ExchangeOwner {
  readonly manager: HttpManager;
  readonly info: ConnectionInfo;
  readonly connection: {
    readonly session: Http2Session;
    /** A response begins: is it time to leave? */
    checkDrain(): void;
    startDrain(): void;
  };
  /** The connection manager is done with the stream; its timers serve the next one. */
  onExchangeOver(stream: HttpStream, timers: StreamTimers): void;
  /** The peer does not take the rest of an answer. */
  onFlushTimeout(h2: H2Stream): void;
}

/** Translates between the two; lives until both of them have ended. */
export class Http2Exchange implements ResponseWriter<HttpStream> {
  stream: HttpStream;
  private readonly h2: H2Stream;
  private readonly streams: ExchangeOwner;
  private readonly session: Http2Session;
  private readonly timers: StreamTimers;
  /** Runs while the answer is whole and waits for the peer's window. */
  private flushTimer: WheelTimer | null;

  constructor(streams: ExchangeOwner, h2: H2Stream, timers: StreamTimers) {
    this.h2 = h2;
    this.streams = streams;
    this.session = streams.connection.session;
    this.timers = timers;
    this.flushTimer = null;
    this.stream = new HttpStream(streams.manager, streams.info, this, timers, 0);
    this.stream.protocol = 'HTTP/2';
  }

  // === From the connection manager's stream ===

  get bytesRead(): number {
    return this.h2.wireBytesReceived;
  }

  get bytesWritten(): number {
    return this.h2.wireBytesSent;
  }

  writeInformational(status: number, headers: HeaderMap): void {
    this.session.informational(this.h2, status, headers);
  }

  writeHead(status: number, headers: HeaderMap, endStream: boolean): void {
    const { stream, h2 } = this;
    const { connection } = this.streams;
    if (stream.details === 'upgrade_failed') connection.startDrain();
    else connection.checkDrain();
    if (stream.upgrade === '') this.session.respond(h2, status, headers, endStream);
    else this.session.respond(h2, status === 101 ? 200 : status, withoutUpgrade(headers), endStream);
    stream.responseHeaderBytes = h2.headerWireBytesSent;
  }

  writeData(chunk: Uint8Array, endStream: boolean): boolean {
    return this.session.sendData(this.h2, chunk, endStream);
  }

  writeTrailers(trailers: HeaderMap): void {
    this.session.sendTrailers(this.h2, trailers);
    this.stream.responseHeaderBytes = this.h2.headerWireBytesSent;
  }

  flushed(): boolean {
    if (this.h2.over) return true;
    this.startFlushTimer();
    return false;
  }

  /** `onStreamOver` has reset what was not finished. */
  abort(): void {}

  hold(): void {
    this.streams.manager.count(HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL);
    this.session.hold(this.h2);
  }

  release(): void {
    this.streams.manager.count(HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL);
    this.session.release(this.h2);
  }

  replaceStream(stream: HttpStream): void {
    this.streams.manager.count(HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL);
    this.stream = stream;
  }

  onStreamOver(): void {
    const { stream, streams, h2 } = this;
    // An answer that cannot be finished must not look whole; the rest of a request that is answered is not wanted.
    if (!stream.responseComplete) this.session.reset(h2, resetCode(stream, H2_INTERNAL_ERROR));
    else if (!stream.requestComplete) this.session.reset(h2, resetCode(stream, H2_NO_ERROR));
    streams.onExchangeOver(stream, this.timers);
    if (!h2.over) this.startFlushTimer();
  }

  private startFlushTimer(): void {
    const { stream, streams, h2 } = this;
    const ofRoute = stream.route?.flushTimeoutMs ?? -1;
    const flushMs = ofRoute >= 0 ? ofRoute : streams.manager.model.streamFlushTimeoutMs;
    if (flushMs > 0) this.flushTimer = streams.manager.wheel.add(flushMs, () => streams.onFlushTimeout(h2));
  }

  // === From the codec ===

  /** Every frame of the stream is on its way, or it was reset. */
  onCodecOver(): void {
    this.flushTimer?.cancel();
    this.stream.onFlushed();
  }
}

/** Says that a tunnel's far end failed (RFC 9113 §8.5). */
function resetCode(stream: HttpStream, otherwise: number): number {
  return stream.upgrade !== '' && (stream.flags & (FLAG_UC | FLAG_UF)) !== 0 ? H2_CONNECT_ERROR : otherwise;
}

/** HTTP/2 has neither the status nor the headers of an upgrade (RFC 8441 §5); the record keeps HTTP/1's form. */
function withoutUpgrade(headers: HeaderMap): HeaderMap {
  const sent = new HeaderMap();
  for (let i = 0; i < headers.names.length; i++) {
    const name = headers.names[i] as string;
    if (name !== 'connection' && name !== 'upgrade') sent.add(name, headers.values[i] as string);
  }
  return sent;
}
