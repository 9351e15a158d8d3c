// One HTTP request and its answer, from the first byte of the head to the last byte of the response.
// It owns the order of things: checks, request preparation, route, router, response preparation, end.
// Protocol-neutral: bytes are the writer's and the decoder's business.

import type { HeaderMap } from '../codec/headers.ts';
import type { RequestHead } from '../codec/http1.ts';
import { KNOWN_CONTENT_TYPE, KNOWN_ENVOY } from '../codec/http1.ts';
import { FilterRun } from '../filter/run.ts';
import { isGrpcContentType } from '../match/head.ts';
import type { AccessLogger } from '../observe/access-log.ts';
import {
  HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE,
  HTTP_DOWNSTREAM_RQ_ACTIVE,
  HTTP_DOWNSTREAM_RQ_RESPONSE_BEFORE_RQ_COMPLETE,
  HTTP_DOWNSTREAM_RQ_RX_RESET,
  HTTP_DOWNSTREAM_RQ_TOO_LARGE,
  HTTP_DOWNSTREAM_RQ_TOTAL,
  HTTP_DOWNSTREAM_RQ_TX_RESET,
} from '../observe/catalogue-http.ts';
import { FLAG_DC, FLAG_DPE } from '../observe/flags.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { RedirectState } from '../route/redirect-policy.ts';
import type { ReplyHeaders } from '../router/downstream.ts';
import type { KeptBody } from '../router/kept-body.ts';
import type { RouterRequest } from '../router/request.ts';
import type { Deadline } from '../util/deadline.ts';
import { admitHead, admitPath, admitUpgrade } from './admission.ts';
import { buildLocalReply } from './local-reply.ts';
import type { ManagedStream } from './managed-stream.ts';
import type { HttpManager } from './manager.ts';
import { prepareRequest, redirectedScheme } from './prepare-request.ts';
import { prepareResponse } from './prepare-response.ts';
import type { ResponseWriter } from './response-writer.ts';
import { RoutedStream } from './routed-stream.ts';
import { limitDuration } from './time-limits.ts';
import type { StreamTimers } from './timers.ts';

/** See the head of this file. */
export class HttpStream extends RoutedStream implements ManagedStream {
  readonly writer: ResponseWriter<HttpStream>;
  readonly timers: StreamTimers;
  request: RouterRequest | null;
  /** `null` = no filter acts on the request, or the request has not come to them. */
  filters: FilterRun | null;
  isGrpc: boolean;
  hasEnvoyHeaders: boolean;
  requestComplete: boolean;
  responseStarted: boolean;
  responseComplete: boolean;
  /** Our answer was a 400: as Envoy sees it, whoever sent that request may not know where the next one begins. */
  endsConnection: boolean;
  /** What the peer sends is no HTTP. The record says so, the answer does not know it yet. */
  private undecodable: boolean;
  /** An upgrade token, lower case, or `connect`; empty. */
  upgrade: string;
  over: boolean;
  /** The filters have the request, or what answers it. */
  private filtered: boolean;
  /** An answer of our own is under way, which filters may slow down. */
  private replied: boolean;
  redirects: RedirectState | null;
  private informed: boolean;
  private idleMs: number;
  private readonly readBefore: number;
  private readonly writtenBefore: number;

  /** @param readBefore bytes that the connection had read when the stream before this one ended */
  constructor(
    manager: HttpManager,
    connection: ConnectionInfo,
    writer: ResponseWriter<HttpStream>,
    timers: StreamTimers,
    readBefore: number,
  ) {
    super(manager, connection);
    this.writer = writer;
    this.timers = timers;
    this.request = null;
    this.filters = null;
    this.isGrpc = false;
    this.hasEnvoyHeaders = false;
    this.requestComplete = false;
    this.responseStarted = false;
    this.responseComplete = false;
    this.endsConnection = false;
    this.undecodable = false;
    this.upgrade = '';
    this.over = false;
    this.filtered = false;
    this.replied = false;
    this.redirects = null;
    this.informed = false;
    this.idleMs = manager.streamIdleMs(manager.model.streamIdleTimeoutMs);
    this.readBefore = readBefore;
    this.writtenBefore = writer.bytesWritten;
    this.remoteAddress = connection.remoteAddress;
    timers.owner = this;
    manager.count(HTTP_DOWNSTREAM_RQ_TOTAL);
    manager.count(HTTP_DOWNSTREAM_RQ_ACTIVE);
    if (manager.periodicLog !== null) timers.log.arm(manager.model.accessLogFlushIntervalMs);
  }

  get routeTimer(): Deadline {
    return this.timers.route;
  }
  get perTryTimer(): Deadline {
    return this.timers.perTry;
  }
  get perTryIdleTimer(): Deadline {
    return this.timers.perTryIdle;
  }
  get attemptTimer(): Deadline {
    return this.timers.attempt;
  }
  get retryTimer(): Deadline {
    return this.timers.retry;
  }
  get matchesUpstreamScheme(): boolean {
    return this.manager.model.matchUpstreamScheme;
  }
  // === From the downstream codec ===

  /** The first bytes of a head came, and not all of it. */
  onHeadBegun(): void {
    const { model } = this.manager;
    if (model.requestHeadersTimeoutMs > 0) this.timers.headers.arm(model.requestHeadersTimeoutMs);
    this.armRequestTimers();
  }

  onHead(head: RequestHead, endStream: boolean): void {
    const { model } = this.manager;
    const headers = head.headers;
    this.requestHeaders = headers;
    this.protocol = head.version === 11 ? 'HTTP/1.1' : head.version === 20 ? 'HTTP/2' : 'HTTP/1.0';
    this.method = head.method;
    this.path = head.path;
    this.authority = head.authority;
    this.authorityIsEmpty = head.hasAuthority && head.authority === '';
    this.scheme = head.scheme;
    this.requestHeaderBytes = head.fieldBytes;
    this.random = (Math.random() * 0x1_0000_0000) >>> 0;
    if (model.requestHeadersTimeoutMs > 0) this.timers.headers.cancel();
    if (endStream) this.endRequest();
    else this.armRequestTimers();
    this.isGrpc = (head.known & KNOWN_CONTENT_TYPE) !== 0 && isGrpcContentType(headers.get('content-type'));
    this.hasEnvoyHeaders = (head.known & KNOWN_ENVOY) !== 0;

    if (!admitHead(this, head)) return;
    prepareRequest(this, head, headers);
    this.serve(headers, endStream, head.upgrade);
  }

  private serve(headers: HeaderMap, endStream: boolean, upgrade: boolean): void {
    const { manager } = this;
    this.resolveRoute(headers);
    if (this.over || this.responseStarted) return;
    if (manager.startLog !== null) this.logStart(manager.startLog);
    if (upgrade && !admitUpgrade(this, headers)) return;
    if (this.idleMs > 0 && !this.over) this.timers.idle.start(this.idleMs);
    const filters = manager.filtersOf(this);
    this.filtered = true;
    if (filters === null) this.enterRouter(headers, endStream);
    else {
      this.nameCluster();
      this.filters = new FilterRun(filters, this);
      this.filters.requestHead(headers, endStream);
    }
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    this.requestBodyBytes += chunk.length;
    if (endStream) this.endRequest();
    if (this.idleMs > 0) this.timers.idle.refresh();
    if (this.filters !== null) this.filters.requestData(chunk, endStream);
    else if (this.request !== null) this.request.onData(chunk, endStream);
  }

  onTrailers(trailers: HeaderMap | null): void {
    if (this.over) return;
    this.requestTrailers = trailers;
    this.endRequest();
    if (this.filters !== null) this.filters.requestTrailers(trailers);
    else if (this.request !== null) this.request.onTrailers(trailers);
  }

  /** The peer takes bytes again. */
  onWritable(): void {
    if (this.filters === null || this.filters.onWritable()) this.resumeResponse();
  }

  resumeResponse(): void {
    if (this.request !== null) this.request.onDownstreamDrain();
  }

  /** The last of the answer is on its way, or nobody waits for it any more. */
  onFlushed(): void {
    if (this.responseComplete && !this.over) this.finish();
  }

  /** The connection ended under the stream. */
  onPeerGone(details: string): void {
    if (this.over) return;
    this.flags |= FLAG_DC;
    if (this.details === '' || this.responseStarted) this.details = details;
    this.finishEarly();
  }

  /** The peer has reset the stream, or the codec has because of what the peer sent; empty details leave what there is. */
  onReset(flag: number, details: string): void {
    if (this.over) return;
    this.flags |= flag;
    if (details !== '') this.details = details;
    this.finishEarly();
  }

  private finishEarly(): void {
    // Both messages are whole, but the end of the answer has not left.
    if (this.responseComplete) this.manager.count(HTTP_DOWNSTREAM_RQ_RX_RESET);
    this.finish();
  }

  /** What the peer sends is no HTTP, or more than is allowed. */
  onProtocolError(status: number, details: string): void {
    if (this.over) return;
    this.undecodable = true;
    if (this.responseStarted) {
      this.abortResponse(details);
      return;
    }
    this.localReply(status, PROTOCOL_ERROR_BODIES.get(status) ?? '', details, null);
  }

  // === From the timers ===

  onLogTimer(): void {
    const { manager } = this;
    if (manager.periodicLog === null) return;
    this.measureDownstream();
    this.request?.countRunning(1);
    manager.periodicLog(this);
    this.request?.countRunning(-1);
    this.timers.log.arm(manager.model.accessLogFlushIntervalMs);
  }

  // === From the filters ===

  enterRouter(headers: HeaderMap, endStream: boolean): void {
    if (this.over || this.replied) return;
    // Bodies and answers go straight past filters that do not act.
    if (this.filters?.idle === true) this.filters = null;
    if (this.redirectsToTls) {
      this.manager.router.redirectToTls(this);
      return;
    }
    this.request = this.manager.router.start(this, headers, endStream);
    if (this.request !== null && (this.over || this.replied)) this.request.cancel();
  }

  routeData(chunk: Uint8Array, endStream: boolean): void {
    if (this.request !== null) this.request.onData(chunk, endStream);
  }

  routeTrailers(trailers: HeaderMap | null): void {
    if (this.request !== null) this.request.onTrailers(trailers);
  }

  refuseRequestBody(): void {
    this.manager.count(HTTP_DOWNSTREAM_RQ_TOO_LARGE);
    // Over HTTP/1 Envoy sees the end of a body after its last piece only: too late for this answer.
    if (this.protocol !== 'HTTP/2') this.requestComplete = false;
    this.localReply(413, 'Payload Too Large', 'request_payload_too_large', null);
  }

  refreshRoute(headers: HeaderMap): void {
    const { idleMs, route } = this;
    this.lacksProto = !headers.get('x-forwarded-proto');
    this.resolveRoute(headers);
    // The record names the cluster of the new route, or none.
    this.upstreamCluster = '';
    this.nameCluster();
    if (this.route !== route && this.filters !== null) this.manager.refilter(this.filters, this);
    if (this.idleMs !== idleMs && !this.over) this.timers.idle.start(this.idleMs);
  }

  /** The idle limit is another one now, also for what runs. */
  rescaleIdle(): void {
    const { route, manager } = this;
    const ofRoute = route === null ? -1 : route.idleTimeoutMs;
    this.idleMs = manager.streamIdleMs(ofRoute >= 0 ? ofRoute : manager.model.streamIdleTimeoutMs);
    if (!this.over) this.timers.idle.resize(this.idleMs);
  }

  // === From the router ===

  respondInformational(status: number, headers: HeaderMap): void {
    if (this.over || this.responseStarted) return;
    // As in Envoy the first one alone: a peer that sends them without end fills nobody's buffers.
    if (this.informed || !this.manager.model.proxy100Continue) return;
    this.informed = true;
    this.manager.chargeStatus(status);
    this.writer.writeInformational(status, headers);
  }

  respondHead(status: number, headers: HeaderMap, endStream: boolean): void {
    // An answer of our own to what became of an answer goes around the filters: they have seen one.
    if (this.filters !== null && !this.filters.responseBegun) this.filters.responseHead(status, headers, endStream);
    else this.sendHead(status, headers, endStream);
  }

  sendHead(status: number, headers: HeaderMap, endStream: boolean): void {
    const { manager } = this;
    this.status = status;
    this.responseHeaders = headers;
    this.responseStarted = true;
    if (this.idleMs > 0) this.timers.idle.refresh();
    if (!this.requestComplete) manager.count(HTTP_DOWNSTREAM_RQ_RESPONSE_BEFORE_RQ_COMPLETE);
    prepareResponse(this, headers);
    manager.chargeStatus(status);
    this.downstreamTxStartMs = manager.runtime.nowMs();
    this.writer.writeHead(status, headers, endStream);
    if (endStream) this.endResponse();
  }

  respondData(chunk: Uint8Array, endStream: boolean): boolean {
    if (this.filters !== null) return this.filters.responseData(chunk, endStream);
    return this.sendData(chunk, endStream);
  }

  sendData(chunk: Uint8Array, endStream: boolean): boolean {
    if (this.over) return true;
    this.responseBodyBytes += chunk.length;
    if (this.idleMs > 0) this.timers.idle.refresh();
    const more = this.writer.writeData(chunk, endStream);
    if (endStream) this.endResponse();
    return more;
  }

  respondTrailers(trailers: HeaderMap): void {
    if (this.filters !== null) this.filters.responseTrailers(trailers);
    else this.sendTrailers(trailers);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (this.over) return;
    this.responseTrailers = trailers;
    this.writer.writeTrailers(trailers);
    this.endResponse();
  }

  localReply(status: number, body: string, details: string, add: ReplyHeaders): void {
    if (this.over) return;
    if (this.responseStarted) {
      this.abortResponse(details);
      return;
    }
    this.details = details;
    this.replied = true;
    if (this.routeResolutions === 0 && this.requestHeaders !== null) this.routeForReply(this.requestHeaders);
    this.nameCluster();
    if (status === 400 && !this.manager.model.streamErrorOnInvalidHttpMessage) this.endsConnection = true;
    if (!this.filtered) this.openFilters();
    const reply = buildLocalReply(this, status, body, add);
    const bodyless = this.method === 'HEAD' || reply.body === '';
    // A filter that has paused another answer's head would take the body for that one's.
    const around = this.filters?.responseBegun === true;
    this.respondHead(reply.status, reply.headers, bodyless);
    this.endRouting();
    if (bodyless) return;
    const bytes = Buffer.from(reply.body, 'latin1');
    if (around) this.sendData(bytes, true);
    else this.respondData(bytes, true);
  }

  /** What the upstream may still say is no answer any more, however long filters take to let ours pass. */
  private endRouting(): void {
    if (this.over) return;
    if (this.filters !== null) this.filters.endRequest();
    if (this.request !== null) this.request.cancel();
  }

  respond(status: number, headers: HeaderMap, details: string): void {
    this.details = details;
    this.respondHead(status, headers, true);
  }

  abortResponse(details: string): void {
    if (this.over) return;
    this.details = details;
    this.manager.count(HTTP_DOWNSTREAM_RQ_TX_RESET);
    this.finish();
    this.writer.abort();
  }

  restart(body: KeptBody | null): void {
    const { manager, connection, writer, timers } = this;
    this.close();
    const next = new HttpStream(manager, connection, writer, timers, this.readBefore);
    writer.replaceStream(next);
    next.takeOver(this, body);
  }

  holdRequest(): void {
    this.writer.hold();
  }

  releaseRequest(): void {
    this.writer.release();
  }

  // === Inside ===

  private armRequestTimers(): void {
    const { model } = this.manager;
    if (model.requestTimeoutMs > 0) this.timers.request.arm(model.requestTimeoutMs);
    if (this.idleMs > 0) this.timers.idle.start(this.idleMs);
  }

  private endRequest(): void {
    this.requestComplete = true;
    this.requestRxEndMs = this.manager.runtime.nowMs();
    if (this.manager.model.requestTimeoutMs > 0) this.timers.request.cancel();
  }

  private endResponse(): void {
    this.responseComplete = true;
    this.downstreamTxEndMs = this.manager.runtime.nowMs();
    this.manager.recordRequestTime(this.downstreamTxEndMs - this.startMs);
    // The record of an answer that waits for its peer tells what became of it; nothing else is left to watch.
    if (this.requestComplete && !this.writer.flushed()) this.timers.cancel();
    else this.finish();
  }

  /** An answer to a request that has not come to the filters passes them as any other. */
  private openFilters(): void {
    this.filtered = true;
    const filters = this.manager.filtersOf(this);
    if (filters !== null) this.filters = new FilterRun(filters, this);
  }

  private resolveRoute(headers: HeaderMap): void {
    const route = this.chooseRoute(headers);
    if (route === null) return;
    if (route.idleTimeoutMs >= 0) this.idleMs = this.manager.streamIdleMs(route.idleTimeoutMs);
    const limitMs = limitDuration(this, route, headers);
    if (limitMs > 0) this.timers.duration.arm(limitMs);
  }

  private logStart(log: AccessLogger): void {
    this.nameCluster();
    this.measureDownstream();
    log(this);
  }

  /**
   * Begins as what a redirect has made of another stream's request, which is complete. Its remote address is the
   * connection's (seen on Envoy 1.40).
   */
  private takeOver(from: HttpStream, body: KeptBody | null): void {
    const headers = from.requestHeaders as HeaderMap;
    this.requestHeaders = headers;
    this.protocol = from.protocol;
    this.method = from.method;
    this.path = from.path;
    this.authority = from.authority;
    this.authorityIsEmpty = from.authorityIsEmpty;
    this.scheme = redirectedScheme(from.scheme, headers, from.connection.tls !== null);
    this.requestHeaderBytes = from.requestHeaderBytes;
    this.requestBodyBytes = from.requestBodyBytes;
    this.internal = from.internal;
    this.requestId = from.requestId;
    this.isGrpc = from.isGrpc;
    this.hasEnvoyHeaders = from.hasEnvoyHeaders;
    this.redirects = from.redirects;
    this.random = (Math.random() * 0x1_0000_0000) >>> 0;
    this.endRequest();
    if (!admitPath(this)) return;
    this.serve(headers, body === null, false);
    body?.sendTo({ sendData: (chunk, endStream) => this.takeData(chunk, endStream) }, true);
  }

  private takeData(chunk: Uint8Array, endStream: boolean): boolean {
    this.onData(chunk, endStream);
    return true;
  }

  private measureDownstream(): void {
    this.downstreamWireBytesSent = this.writer.bytesWritten - this.writtenBefore;
    this.downstreamWireBytesReceived = this.writer.bytesRead - this.readBefore;
  }

  private finish(): void {
    if (this.over) return;
    // Envoy counts every stream here that ends before both directions have, whoever ends it.
    if (!this.requestComplete || !this.responseComplete) this.manager.count(HTTP_DOWNSTREAM_RQ_RX_RESET);
    this.close();
    this.writer.onStreamOver();
  }

  private close(): void {
    this.over = true;
    this.endMs = this.manager.runtime.nowMs();
    this.timers.cancel();
    if (this.undecodable) this.flags |= FLAG_DPE;
    if (this.request === null) this.nameCluster();
    if (this.filters !== null) this.filters.finish();
    if (this.request !== null) this.request.cancel();
    if (this.upgrade !== '') this.manager.uncount(HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE);
    this.measureDownstream();
    this.manager.onStreamOver(this);
  }
}

/** Bodies of answers to requests that could not be decoded (seen on Envoy 1.40). */
const PROTOCOL_ERROR_BODIES: ReadonlyMap<number, string> = new Map([
  [400, 'Bad Request'],
  [403, 'Forbidden'],
  [426, 'Upgrade Required'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
]);
