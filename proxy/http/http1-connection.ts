// A downstream HTTP/1 connection: feeds the decoder, lends its timers to one stream at a time, frames responses,
// and decides when the connection ends.
//
// States: idle (no stream) → exchange → idle …; `closing` once a response carried `connection: close`.

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
import type { Transport } from '../net/transport.ts';
import {
  HTTP_DOWNSTREAM_CX_DRAIN_CLOSE,
  HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE,
  HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN,
  HTTP_DOWNSTREAM_CX_HTTP1_TOTAL,
  HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED,
  HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR,
  HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
  HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL,
  HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE,
  HTTP1_DROPPED_HEADERS_WITH_UNDERSCORES,
  HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS,
} from '../observe/catalogue-http.ts';
import type { DispatchSheds } from './dispatch-sheds.ts';
import type { DownstreamCodec, DownstreamConnection } from './downstream-connection.ts';
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
export class Http1Connection implements DownstreamCodec, RequestSink, ResponseWriter<HttpStream> {
  private readonly connection: DownstreamConnection;
  private readonly manager: HttpManager;
  private readonly transport: Transport;
  private readonly decoder: RequestDecoder;
  private readonly timers: StreamTimers;
  private stream: HttpStream | null;
  private framing: Framing;
  private requests: number;
  /** Responses tell the peer to close. */
  private draining: boolean;
  /** We end the connection as soon as it is idle. */
  private drained: boolean;
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
  /** The peer has said its last word. */
  private gone: boolean;
  /** What the peer sends is no HTTP; what follows means nothing. */
  private deaf: boolean;

  constructor(connection: DownstreamConnection) {
    const { manager } = connection;
    this.connection = connection;
    this.manager = manager;
    this.transport = connection.transport;
    this.decoder = new RequestDecoder(
      connection.info.tls === null ? manager.plainCodecOptions : manager.codecOptions,
      this,
    );
    this.timers = new StreamTimers(manager.runtime, manager.wheel);
    this.stream = null;
    this.framing = 0;
    this.requests = 0;
    this.draining = false;
    this.drained = false;
    this.wantsClose = false;
    this.endsWithNext = false;
    this.closing = false;
    this.feeding = false;
    this.nextDue = false;
    this.pipelineHeld = false;
    this.gone = false;
    this.deaf = false;
    connection.info.protocol = 'HTTP/1.1';
    manager.count(HTTP_DOWNSTREAM_CX_HTTP1_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE);
  }

  collectLoaded(): void {}

  rescale(): void {
    this.stream?.rescaleIdle();
  }

  get activeStreams(): number {
    return this.stream === null ? 0 : 1;
  }

  /** Ends an idle connection; a busy one says `connection: close` in its present response. */
  drain(): void {
    this.draining = true;
    this.drained = true;
    if (this.stream === null) this.closeAfterFlush();
  }

  onIdle(): void {
    this.startDrain();
  }

  onMaxDuration(): void {
    if (!this.manager.model.http1SafeMaxConnectionDuration) this.startDrain();
    else {
      this.manager.count(HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN);
      this.endsWithNext = true;
    }
  }

  // === From the socket ===

  onData(chunk: Buffer): void {
    // An answer may begin before its request has ended: the rest of that is passed on all the same.
    if (this.closing && (this.deaf || this.stream === null || this.stream.requestComplete)) {
      this.connection.ignoredBytes = !this.deaf;
      return;
    }
    const { dispatchSheds } = this.manager;
    if (dispatchSheds !== null && this.shedsBytes(dispatchSheds)) return;
    this.feeding = true;
    const error = this.runDue(this.decoder.feed(chunk));
    this.feeding = false;
    this.afterFeeding(error);
  }

  onEnd(): void {
    // The peer may only have finished sending (`shutdown(SHUT_WR)`); as Envoy without half-close support, that ends it.
    this.gone = true;
    this.connection.endsBusy = this.stream !== null;
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
    this.connection.onClose(error);
  }

  endStreams(details: string): void {
    if (this.endsWithNext) this.manager.uncount(HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN);
    this.manager.uncount(HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE);
    this.stream?.onPeerGone(details);
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
    this.expectContinue(stream, head);
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
    const { headerCase } = this.manager.model.http1;
    this.transport.writeHead(writeResponseHead(status, headers, this.decoder.minor, FRAMING_AS_IS, headerCase));
  }

  writeHead(status: number, headers: HeaderMap, endStream: boolean): void {
    const stream = this.stream;
    if (stream === null) return;
    const { manager } = this;
    const { minor } = this.decoder;
    const framing = responseFraming(stream.method, status, headers, minor, endStream);
    this.framing = framing;
    const raw = stream.upgrade !== '' && (status === 101 || (stream.upgrade === 'connect' && status === 200));
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
    if (!endStream) this.connection.countWritten();
    return more;
  }

  writeTrailers(trailers: HeaderMap): void {
    if (this.framing !== FRAMING_CHUNKED) return;
    const { http1 } = this.manager.model;
    const text = writeTrailers(http1.enableTrailers ? trailers : null, http1.headerCase);
    if (this.stream !== null) this.stream.responseHeaderBytes += text.length - LAST_CHUNK.length;
    this.transport.writeHead(text);
  }

  flushed(): boolean {
    return true;
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
    this.connection.countBytes();
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
    this.connection.startIdle();
    this.nextDue = true;
    if (!this.feeding) this.takeNext();
  }

  // === Inside ===

  replaceStream(stream: HttpStream): void {
    this.manager.count(HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL);
    this.stream = stream;
  }

  private beginStream(): HttpStream {
    this.connection.stopIdle();
    this.wantsClose = false;
    const stream = new HttpStream(this.manager, this.connection.info, this, this.timers, this.connection.countedRead);
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
    this.connection.countBytes();
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
  private expectContinue(stream: HttpStream, head: RequestHead): void {
    const { headers } = head;
    const { proxy100Continue } = this.manager.model;
    if (proxy100Continue || headers.get('expect')?.toLowerCase() !== '100-continue') return;
    headers.remove('expect');
    this.manager.chargeStatus(100);
    stream.status = 100;
    this.transport.writeHead(`HTTP/1.${this.decoder.minor} 100 Continue\r\n\r\n`);
    this.transport.flush();
  }

  /** @returns true when that was the end */
  private shedsBytes({ close, goaway, abort }: DispatchSheds): boolean {
    if (close?.sheds() === true) {
      this.connection.countBytes();
      this.close();
      return true;
    }
    if (goaway?.sheds() === true) this.startDrain();
    if (abort?.sheds() !== true) return false;
    this.manager.count(HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE);
    this.fail(500, 'overload');
    this.connection.countBytes();
    return true;
  }

  private onCodecError(error: H1Error): void {
    const { manager } = this;
    // The body of a request that was answered early, whose answer was the last one: nobody minds.
    if (this.stream === null && this.closing) return;
    if (error.stat !== '') {
      const at = HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS;
      manager.codecStats[at] = (manager.codecStats[at] as number) + 1;
    }
    manager.count(HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR);
    this.fail(error.status, error.details);
  }

  /** Answers, where that is still possible, and listens no longer. */
  private fail(status: number, details: string): void {
    this.deaf = true;
    const stream = this.stream ?? this.beginStream();
    stream.onProtocolError(status, details);
    if (!this.closing) {
      this.closing = true;
      this.closeAfterFlush();
    }
  }

  /** From now on responses ask the peer to close; when `drain_timeout` is over and it has not, we do. */
  private startDrain(): void {
    if (this.draining) return;
    this.draining = true;
    this.connection.startDrainTimer(() => this.drain());
  }

  private close(): void {
    this.closing = true;
    this.connection.close();
  }

  private closeAfterFlush(): void {
    this.closing = true;
    this.connection.closeAfterFlush();
  }
}
