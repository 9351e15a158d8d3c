// A downstream HTTP/1 connection: feeds the decoder, lends its timers to one stream at a time, frames responses,
// and decides when the connection ends.
//
// States: idle (no stream) → exchange → idle …; `closing` once a response carried `connection: close`.

import type { Socket } from 'node:net';
import type { HeaderMap } from '../codec/headers.ts';
import {
  FRAMING_AS_IS,
  FRAMING_CHUNKED,
  type Framing,
  type H1Error,
  type RequestHead,
  type RequestSink,
} from '../codec/http1.ts';
import { RequestDecoder } from '../codec/http1-request.ts';
import {
  CHUNK_END,
  chunkHead,
  LAST_CHUNK,
  responseFraming,
  statusLineBytes,
  writeResponseHead,
  writeTrailers,
} from '../codec/http1-write.ts';
import { Transport, type TransportHandler } from '../net/transport.ts';
import {
  HTTP_DOWNSTREAM_CX_ACTIVE,
  HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT,
  HTTP_DOWNSTREAM_CX_DESTROY,
  HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_DESTROY_LOCAL,
  HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_DESTROY_REMOTE,
  HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_DRAIN_CLOSE,
  HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE,
  HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN,
  HTTP_DOWNSTREAM_CX_HTTP1_TOTAL,
  HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT,
  HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED,
  HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED,
  HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR,
  HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL,
  HTTP_DOWNSTREAM_CX_TOTAL,
  HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL,
  HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
  HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL,
  HTTP1_DROPPED_HEADERS_WITH_UNDERSCORES,
  HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS,
} from '../observe/catalogue-http.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { Deadline } from '../util/deadline.ts';
import type { WheelTimer } from '../util/timer-wheel.ts';
import type { HttpManager } from './manager.ts';
import type { ResponseWriter } from './response-writer.ts';
import { HttpStream } from './stream.ts';
import { StreamTimers } from './timers.ts';

/**
 * Bytes of further requests that are kept while one is being served; beyond it the connection is not read. It may be
 * exceeded by one read.
 */
const PIPELINED_BYTES_MAX = 65_536;

/** See the head of this file. */
export class Http1Connection implements TransportHandler, RequestSink, ResponseWriter {
  private readonly manager: HttpManager;
  private readonly info: ConnectionInfo;
  private readonly transport: Transport;
  private readonly decoder: RequestDecoder;
  private readonly timers: StreamTimers;
  private readonly onGone: (connection: Http1Connection) => void;
  private readonly idleTimer: WheelTimer | null;
  private readonly durationTimer: Deadline | null;
  private closeTimer: Deadline | null;
  private stream: HttpStream | null;
  private framing: Framing;
  private requests: number;
  /** Responses tell the peer to close. */
  private draining: boolean;
  /** We end the connection as soon as it is idle. */
  private drained: boolean;
  private drainTimer: Deadline | null;
  /** The peer asked for the connection to end after this exchange. */
  private wantsClose: boolean;
  /** As if the peer had asked for it, the next response is the last. */
  private endsWithNext: boolean;
  /** The last response said `connection: close`. */
  private closing: boolean;
  private feeding: boolean;
  /** An exchange has ended and the decoder was not asked for the next one yet. */
  private nextDue: boolean;
  /** Reading is held because of `PIPELINED_BYTES_MAX`. */
  private pipelineHeld: boolean;
  private closedByUs: boolean;
  private spoken: boolean;
  /** The peer has said its last word. */
  private gone: boolean;
  /** The peer went on sending after its last answer; closing then says so with a reset. */
  private ignoredBytes: boolean;
  /** What the peer sends is no HTTP; what follows means nothing. */
  private deaf: boolean;
  private countedRead: number;
  private countedWritten: number;

  constructor(
    manager: HttpManager,
    socket: Socket,
    info: ConnectionInfo,
    onGone: (connection: Http1Connection) => void,
  ) {
    const { model } = manager;
    this.manager = manager;
    this.info = info;
    this.onGone = onGone;
    this.decoder = new RequestDecoder(manager.codecOptions, this);
    this.timers = new StreamTimers(manager.runtime, manager.wheel);
    this.closeTimer = null;
    this.stream = null;
    this.framing = 0;
    this.requests = 0;
    this.draining = false;
    this.drained = false;
    this.drainTimer = null;
    this.wantsClose = false;
    this.endsWithNext = false;
    this.closing = false;
    this.feeding = false;
    this.nextDue = false;
    this.pipelineHeld = false;
    this.closedByUs = false;
    this.spoken = false;
    this.gone = false;
    this.ignoredBytes = false;
    this.deaf = false;
    this.countedRead = 0;
    this.countedWritten = 0;
    this.idleTimer = model.idleTimeoutMs > 0 ? manager.wheel.add(model.idleTimeoutMs, () => this.onIdle()) : null;
    this.durationTimer =
      model.maxConnectionDurationMs > 0
        ? new Deadline(manager.runtime, manager.wheel, () => this.onMaxDuration())
        : null;
    this.durationTimer?.arm(model.maxConnectionDurationMs);
    manager.count(HTTP_DOWNSTREAM_CX_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_ACTIVE);
    this.transport = new Transport(socket, this);
  }

  /** Ends an idle connection; a busy one says `connection: close` in its present response. */
  drain(): void {
    this.draining = true;
    this.drained = true;
    if (this.stream === null) this.closeAfterFlush();
  }

  destroy(): void {
    this.closedByUs = true;
    this.transport.destroy();
  }

  // === From the socket ===

  onData(chunk: Buffer): void {
    if (this.closing) {
      this.ignoredBytes = !this.deaf;
      return;
    }
    if (!this.spoken) this.countProtocol();
    this.feeding = true;
    const error = this.runDue(this.decoder.feed(chunk));
    this.feeding = false;
    this.afterFeeding(error);
  }

  onEnd(): void {
    // Tells a body that ends with the connection that it is whole; an error is a peer that went away.
    if (!this.closing) this.decoder.eof();
    // The peer may only have finished sending (`shutdown(SHUT_WR)`); as Envoy without half-close support, that ends it.
    this.gone = true;
    if (this.stream !== null) this.stream.onPeerGone('downstream_remote_disconnect');
    this.transport.destroy();
  }

  get bytesRead(): number {
    return this.transport.bytesRead;
  }

  get bytesWritten(): number {
    return this.transport.bytesWritten;
  }

  onDrain(): void {
    if (this.stream !== null) this.stream.onWritable();
    else if (this.nextDue) this.takeNext();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    const { manager, stream } = this;
    this.idleTimer?.cancel();
    this.durationTimer?.cancel();
    this.drainTimer?.cancel();
    this.closeTimer?.cancel();
    this.countBytes();
    if (error !== null && this.info.terminationDetails === '') this.info.transportFailureReason = '';
    this.info.bytesReceived = this.countedRead;
    this.info.bytesSent = this.countedWritten;
    manager.uncount(HTTP_DOWNSTREAM_CX_ACTIVE);
    if (this.spoken) manager.uncount(HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE);
    if (this.endsWithNext) manager.uncount(HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN);
    manager.count(HTTP_DOWNSTREAM_CX_DESTROY);
    manager.count(this.closedByUs ? HTTP_DOWNSTREAM_CX_DESTROY_LOCAL : HTTP_DOWNSTREAM_CX_DESTROY_REMOTE);
    manager.cxLength.record(Math.floor(manager.runtime.nowMs() - this.info.startedMs));
    if (stream !== null) {
      manager.count(HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ);
      manager.count(
        this.closedByUs ? HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ : HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ,
      );
      stream.onPeerGone(this.closedByUs ? 'downstream_local_disconnect' : 'downstream_remote_disconnect');
    }
    this.onGone(this);
  }

  // === From the decoder ===

  onRequestHead(head: RequestHead, endStream: boolean): void {
    const { manager } = this;
    this.requests++;
    if (head.droppedHeaders > 0) {
      const at = HTTP1_DROPPED_HEADERS_WITH_UNDERSCORES;
      manager.codecStats[at] = (manager.codecStats[at] as number) + head.droppedHeaders;
    }
    const stream = this.stream ?? this.beginStream();
    const max = manager.model.maxRequestsPerConnection;
    if (max > 0 && this.requests >= max && !this.drained) {
      this.draining = true;
      this.drained = true;
      manager.count(HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED);
    }
    // As if the peer had asked for it: its last request is answered and the connection closed without delay.
    if (max > 0 && this.requests >= max) head.keepAlive = false;
    this.wantsClose = !head.keepAlive;
    this.expectContinue(head);
    stream.onHead(head, endStream);
  }

  onRequestData(chunk: Buffer, endStream: boolean): void {
    if (this.stream !== null) this.stream.onData(chunk, endStream);
  }

  onRequestTrailers(trailers: HeaderMap | null): void {
    if (this.stream !== null) this.stream.onTrailers(trailers);
  }

  // === From the stream ===

  writeInformational(status: number, headers: HeaderMap): void {
    this.transport.writeHead(writeResponseHead(status, headers, 1, FRAMING_AS_IS, this.manager.model.http1.headerCase));
  }

  writeHead(status: number, headers: HeaderMap, endStream: boolean): void {
    const stream = this.stream;
    if (stream === null) return;
    const { manager } = this;
    const minor = stream.protocol === 'HTTP/1.0' ? 0 : 1;
    const framing = responseFraming(stream.method, status, headers, minor, endStream);
    this.framing = framing;
    const raw = stream.upgrade !== '' && (status === 101 || (stream.upgrade === 'connect' && status < 300));
    if (!raw) {
      if (!this.closing) this.decideClose(stream, headers, minor, endStream);
      if (this.closing || this.draining) headers.set('connection', 'close');
      else if (minor === 0) headers.set('connection', 'keep-alive');
    }
    const text = writeResponseHead(status, headers, minor, framing, manager.model.http1.headerCase);
    // Envoy counts the fields alone, without the status line and the empty line.
    stream.responseHeaderBytes = text.length - statusLineBytes(status) - 2;
    this.transport.writeHead(text);
  }

  writeData(chunk: Uint8Array, endStream: boolean): boolean {
    const more = this.framing === FRAMING_CHUNKED ? this.writeChunk(chunk, endStream) : this.writeRaw(chunk);
    // What ends is counted with its stream.
    if (!endStream) this.countWritten();
    return more;
  }

  writeTrailers(trailers: HeaderMap): void {
    if (this.framing !== FRAMING_CHUNKED) return;
    const { http1 } = this.manager.model;
    const text = writeTrailers(http1.enableTrailers ? trailers : null, http1.headerCase);
    if (this.stream !== null) this.stream.responseHeaderBytes += text.length - LAST_CHUNK.length;
    this.transport.writeHead(text);
  }

  abort(): void {
    this.closeAfterFlush();
  }

  hold(): void {
    this.manager.count(HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL);
    this.decoder.hold();
    this.transport.hold();
  }

  release(): void {
    this.manager.count(HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL);
    this.transport.release();
    if (this.feeding) {
      this.decoder.release();
      return;
    }
    this.feeding = true;
    const error = this.runDue(this.decoder.release());
    this.feeding = false;
    this.afterFeeding(error);
  }

  onStreamOver(): void {
    const { stream } = this;
    if (stream === null) return;
    this.stream = null;
    this.countBytes();
    if (this.gone || this.transport.closed) return;
    // What follows an upgrade is no HTTP any more. A drain that began after the head went out could not announce itself.
    if (stream.upgrade !== '' || this.drained) this.closing = true;
    if (this.closing) {
      // A peer that has sent all it wanted to say loses nothing by an immediate close; any other is given time to read,
      // as is one that was answered while its head was handled, without an upstream request (seen on Envoy 1.40).
      if (stream.requestComplete && this.wantsClose && stream.responseComplete && stream.request !== null) this.close();
      else this.closeAfterFlush();
      return;
    }
    this.idleTimer?.start(this.manager.model.idleTimeoutMs);
    this.nextDue = true;
    if (!this.feeding) this.takeNext();
  }

  // === Inside ===

  private beginStream(): HttpStream {
    this.idleTimer?.cancel();
    this.wantsClose = false;
    const stream = new HttpStream(this.manager, this.info, this, this.timers, this.countedRead);
    stream.protocol = 'HTTP/1.1';
    this.manager.count(HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL);
    this.stream = stream;
    return stream;
  }

  private writeRaw(chunk: Uint8Array): boolean {
    return chunk.length === 0 || this.transport.write(chunk);
  }

  private writeChunk(chunk: Uint8Array, endStream: boolean): boolean {
    const { transport } = this;
    if (chunk.length > 0) {
      transport.writeHead(chunkHead(chunk.length));
      transport.write(chunk);
      transport.writeHead(endStream ? CHUNK_END + LAST_CHUNK : CHUNK_END);
    } else if (endStream) transport.writeHead(LAST_CHUNK);
    return !transport.congested;
  }

  private takeNext(): void {
    this.feeding = true;
    const error = this.runDue(null);
    this.feeding = false;
    this.afterFeeding(error);
  }

  /**
   * Decodes the next pipelined requests, one at a time, each after the exchange before it has ended. Answers that the
   * peer does not read stop it until they have left: requests are small, what they ask for need not be.
   */
  private runDue(first: H1Error | null): H1Error | null {
    let error = first;
    while (this.nextDue && error === null && !this.closing && !this.transport.congested) {
      this.nextDue = false;
      error = this.decoder.nextRequest();
    }
    return error;
  }

  /** Common end of everything that lets the decoder run. */
  private afterFeeding(error: H1Error | null): void {
    const { decoder } = this;
    if (error !== null) this.onCodecError(error);
    else if (this.stream === null && !this.nextDue && decoder.bufferedBytes > 0 && !this.closing)
      this.beginStream().onHeadBegun();
    const full = decoder.bufferedBytes > PIPELINED_BYTES_MAX && decoder.requestComplete;
    if (full !== this.pipelineHeld) {
      this.pipelineHeld = full;
      if (full) this.transport.hold();
      else this.transport.release();
    }
    this.countBytes();
  }

  private decideClose(stream: HttpStream, headers: HeaderMap, minor: number, endStream: boolean): void {
    const { manager } = this;
    if (!this.draining && manager.drainClose()) {
      this.startDrain();
      manager.count(HTTP_DOWNSTREAM_CX_DRAIN_CLOSE);
    }
    if (this.endsWithNext) this.wantsClose = true;
    this.closing =
      this.drained ||
      this.wantsClose ||
      this.deaf ||
      stream.endsConnection ||
      // What is left of the request would be taken for the next one
      !stream.requestComplete ||
      (minor === 0 && !endStream && this.framing === 0 && !headers.has('content-length'));
    if (this.closing && minor === 0) this.wantsClose = true;
  }

  /** Without `proxy_100_continue` the proxy itself says to go on. */
  private expectContinue(head: RequestHead): void {
    const { headers } = head;
    const { proxy100Continue } = this.manager.model;
    if (proxy100Continue || headers.get('expect')?.toLowerCase() !== '100-continue') return;
    headers.remove('expect');
    this.manager.chargeStatus(100);
    this.transport.writeHead('HTTP/1.1 100 Continue\r\n\r\n');
    this.transport.flush();
  }

  private onCodecError(error: H1Error): void {
    const { manager } = this;
    if (error.stat !== '') {
      const at = HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS;
      manager.codecStats[at] = (manager.codecStats[at] as number) + 1;
    }
    manager.count(HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR);
    this.deaf = true;
    const stream = this.stream ?? this.beginStream();
    stream.onProtocolError(error.status, error.details);
    if (!this.closing) {
      this.closing = true;
      this.closeAfterFlush();
    }
  }

  private onIdle(): void {
    if (this.stream !== null) return;
    this.manager.count(HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT);
    if (this.spoken) this.startDrain();
    else this.close();
  }

  private onMaxDuration(): void {
    this.manager.count(HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED);
    if (!this.manager.model.http1SafeMaxConnectionDuration) this.startDrain();
    else {
      this.manager.count(HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN);
      this.endsWithNext = true;
    }
  }

  /** From now on responses ask the peer to close; when `drain_timeout` is over and it has not, we do. */
  private startDrain(): void {
    if (this.draining) return;
    this.draining = true;
    const { runtime, wheel, model } = this.manager;
    this.drainTimer = new Deadline(runtime, wheel, () => this.drain());
    this.drainTimer.arm(Math.max(1, model.drainTimeoutMs));
  }

  /** Sends what is written, then closes both ways; a peer that does not take it is given `delayed_close_timeout`. */
  private close(): void {
    this.closing = true;
    this.closedByUs = true;
    this.transport.end();
    this.transport.socket.destroySoon();
    const { delayedCloseTimeoutMs } = this.manager.model;
    if (delayedCloseTimeoutMs > 0 && this.transport.bufferedBytes > 0) this.armClose(delayedCloseTimeoutMs);
  }

  /** Gives the peer `delayed_close_timeout` to read the answer and close first. */
  private closeAfterFlush(): void {
    const delayMs = this.manager.model.delayedCloseTimeoutMs;
    this.closing = true;
    this.closedByUs = true;
    if (delayMs === 0) {
      this.close();
      return;
    }
    if (this.closeTimer !== null) return;
    this.transport.flush();
    this.armClose(delayMs);
  }

  /** The time begins anew while the peer takes something, as in Envoy. */
  private armClose(delayMs: number): void {
    let left = this.transport.bufferedBytes;
    const timer = new Deadline(this.manager.runtime, this.manager.wheel, () => {
      const { bufferedBytes } = this.transport;
      if (bufferedBytes < left) {
        left = bufferedBytes;
        timer.arm(delayMs);
        return;
      }
      this.manager.count(HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT);
      if (this.ignoredBytes) this.transport.reset();
      else this.transport.destroy();
    });
    this.closeTimer = timer;
    timer.arm(delayMs);
  }

  /** The protocol is known by its first bytes. */
  private countProtocol(): void {
    this.spoken = true;
    this.info.protocol = 'HTTP/1.1';
    this.manager.count(HTTP_DOWNSTREAM_CX_HTTP1_TOTAL);
    this.manager.count(HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE);
  }

  private countBytes(): void {
    const { stats } = this.manager;
    const { bytesRead } = this.transport;
    const rx = HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL;
    stats[rx] = (stats[rx] as number) + bytesRead - this.countedRead;
    this.countedRead = bytesRead;
    this.countWritten();
  }

  private countWritten(): void {
    const { stats } = this.manager;
    const { bytesWritten } = this.transport;
    const tx = HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL;
    stats[tx] = (stats[tx] as number) + bytesWritten - this.countedWritten;
    this.countedWritten = bytesWritten;
  }
}
