// The filters of one request: walks the calls in order for the request, in reverse order for the response, and holds
// what a call has paused. Exists only for requests that some filter acts on.

import type { HeaderMap } from '../codec/headers.ts';
import {
  CONTINUE,
  type FilterCall,
  type FilterRunControl,
  type FilterStream,
  type HttpFilter,
  PAUSE,
} from './filter.ts';
import { PausedBody } from './paused-body.ts';

/** What a run needs of the connection manager's stream. */
export interface FilteredStream extends FilterStream {
  /** The request has passed all filters. */
  enterRouter(headers: HeaderMap, endStream: boolean): void;
  routeData(chunk: Uint8Array, endStream: boolean): void;
  routeTrailers(trailers: HeaderMap | null): void;
  /** The response has passed all filters. */
  sendHead(status: number, headers: HeaderMap, endStream: boolean): void;
  sendData(chunk: Uint8Array, endStream: boolean): boolean;
  sendTrailers(trailers: HeaderMap): void;
  holdRequest(): void;
  releaseRequest(): void;
  /** The router may go on with the response. */
  resumeResponse(): void;
}

const EMPTY = new Uint8Array(0);
/** No call is paused. */
const NOWHERE = -1;

/** See the head of this file. */
export class FilterRun implements FilterRunControl {
  readonly stream: FilteredStream;
  private filters: readonly HttpFilter[];
  /** The filter that sees the request's head next: each opens its call only then, and sees what those before made of it. */
  private nextFilter: number;
  private readonly calls: FilterCall[];
  /** Position of the call that has paused the request's head. */
  private requestPausedAt: number;
  private requestHeaders: HeaderMap | null;
  private requestEndStream: boolean;
  /** Body behind a head that is paused by a call without a use for it; `null` = nothing is kept. */
  private pausedBody: PausedBody | null;
  /** The sender is held because more is kept than may be. */
  private holding: boolean;
  private requestReplied: boolean;
  private responsePausedAt: number;
  private status: number;
  private responseHeaders: HeaderMap | null;
  /** Calls that have no room for more of the response. */
  private responseHolds: number;
  /** The peer has no room for what calls send on their own. */
  private peerFull: boolean;
  /** Some response has entered the filters: a second one goes around them. */
  responseBegun: boolean;
  private done: boolean;

  /** @param filters in configured order */
  constructor(filters: readonly HttpFilter[], stream: FilteredStream) {
    this.stream = stream;
    this.filters = filters;
    this.nextFilter = 0;
    this.calls = [];
    this.requestPausedAt = NOWHERE;
    this.requestHeaders = null;
    this.requestEndStream = false;
    this.pausedBody = null;
    this.holding = false;
    this.requestReplied = false;
    this.responsePausedAt = NOWHERE;
    this.status = 0;
    this.responseHeaders = null;
    this.responseHolds = 0;
    this.peerFull = false;
    this.responseBegun = false;
    this.done = false;
  }

  /** No filter acts on the request, once all have seen its head. */
  get idle(): boolean {
    return this.calls.length === 0;
  }

  // === Request ===

  requestHead(headers: HeaderMap, endStream: boolean): void {
    this.requestHeaders = headers;
    this.requestEndStream = endStream;
    this.passRequestHead();
  }

  private passRequestHead(): void {
    const { calls, stream, requestEndStream } = this;
    const headers = this.requestHeaders as HeaderMap;
    while (this.nextFilter < this.filters.length) {
      const call = (this.filters[this.nextFilter++] as HttpFilter).open(this, calls.length);
      if (call === null) continue;
      calls.push(call);
      if (call.onRequestHead === undefined) continue;
      const verdict = call.onRequestHead(headers, requestEndStream);
      if (verdict === CONTINUE) continue;
      if (verdict === PAUSE) {
        this.requestPausedAt = calls.length - 1;
        if (call.onRequestData === undefined && !requestEndStream) this.pausedBody = new PausedBody();
      } else this.requestReplied = true;
      return;
    }
    stream.enterRouter(headers, requestEndStream);
  }

  /** The route is another one now. @param rest what is left of the filters, see `FilterChains.rest` */
  follow(rest: (filters: readonly HttpFilter[], last: HttpFilter) => readonly HttpFilter[]): void {
    const last = this.filters[this.nextFilter - 1];
    if (last === undefined) return;
    this.filters = rest(this.filters, last);
    this.nextFilter = 0;
  }

  resumeRequest(at: number): void {
    if (this.done || this.requestReplied || this.requestPausedAt !== at) return;
    const body = this.pausedBody;
    this.requestPausedAt = NOWHERE;
    this.pausedBody = null;
    this.passRequestHead();
    if (body !== null) this.passPausedBody(at, body);
  }

  private passPausedBody(at: number, { kept, ended, trailers }: PausedBody): void {
    const endStream = ended && trailers === null;
    if (kept.bytes > 0 || endStream) this.sendRequestData(at, kept.whole(), endStream);
    if (trailers !== null) this.passRequestTrailers(at + 1, trailers);
    if (!this.holding || this.isFull) return;
    this.holding = false;
    this.stream.releaseRequest();
  }

  private get isFull(): boolean {
    return this.pausedBody !== null && this.pausedBody.kept.bytes > this.stream.bufferLimitBytes;
  }

  /** Body for a paused call that has no use for it. */
  private keep(body: PausedBody, chunk: Uint8Array, endStream: boolean): void {
    body.add(chunk, endStream);
    if (this.holding || !this.isFull) return;
    this.holding = true;
    this.stream.holdRequest();
  }

  requestData(chunk: Uint8Array, endStream: boolean): void {
    this.sendRequestData(-1, chunk, endStream);
  }

  sendRequestData(at: number, chunk: Uint8Array, endStream: boolean): void {
    const { calls } = this;
    let rest: Uint8Array = chunk;
    for (let i = at + 1; i < calls.length; i++) {
      if (this.done || this.requestReplied) return;
      if (i === this.requestPausedAt && this.pausedBody !== null) {
        this.keep(this.pausedBody, rest, endStream);
        return;
      }
      const call = calls[i] as FilterCall;
      if (call.onRequestData === undefined) continue;
      const passed = call.onRequestData(rest, endStream);
      if (passed === null) return;
      rest = passed;
    }
    if (this.done || this.requestReplied || (rest.length === 0 && !endStream)) return;
    if (rest.length === 0) this.stream.routeTrailers(null);
    else this.stream.routeData(rest, endStream);
  }

  /** @param trailers `null` = the body has ended without any */
  requestTrailers(trailers: HeaderMap | null): void {
    if (trailers === null) {
      this.sendRequestData(-1, EMPTY, true);
      return;
    }
    this.passRequestTrailers(0, trailers);
  }

  private passRequestTrailers(from: number, trailers: HeaderMap): void {
    for (let i = from; i < this.calls.length; i++) {
      if (this.done || this.requestReplied) return;
      if (i === this.requestPausedAt && this.pausedBody !== null) {
        this.pausedBody.trailers = trailers;
        return;
      }
      const call = this.calls[i] as FilterCall;
      if (call.onRequestTrailers !== undefined && call.onRequestTrailers(trailers) !== CONTINUE) return;
    }
    if (!this.done && !this.requestReplied) this.stream.routeTrailers(trailers);
  }

  /** The request goes no further: it is answered from outside the filters. */
  endRequest(): void {
    this.requestReplied = true;
  }

  // === Response ===

  responseHead(status: number, headers: HeaderMap, endStream: boolean): void {
    this.responseBegun = true;
    this.status = status;
    this.responseHeaders = headers;
    if (this.nextFilter < this.filters.length) this.openForResponse();
    this.passResponseHead(this.calls.length - 1, endStream);
  }

  /** Filters that the request has not come to, and will not. */
  private openForResponse(): void {
    const { calls, filters } = this;
    this.requestReplied = true;
    while (this.nextFilter < filters.length) {
      const filter = filters[this.nextFilter++] as HttpFilter;
      const call = filter.openResponse === undefined ? null : filter.openResponse(this, calls.length);
      if (call !== null) calls.push(call);
    }
  }

  private passResponseHead(from: number, endStream: boolean): void {
    const headers = this.responseHeaders as HeaderMap;
    for (let i = from; i >= 0; i--) {
      const call = this.calls[i] as FilterCall;
      if (call.onResponseHead === undefined) continue;
      if (call.onResponseHead(this.status, headers, endStream) === CONTINUE) continue;
      this.responsePausedAt = i;
      return;
    }
    this.stream.sendHead(this.status, headers, endStream);
  }

  setStatus(status: number): void {
    this.status = status;
  }

  resumeResponse(at: number, endStream: boolean): void {
    if (this.done || this.responsePausedAt !== at) return;
    this.responsePausedAt = NOWHERE;
    this.passResponseHead(at - 1, endStream);
  }

  /** @returns false: the peer reads too slowly */
  responseData(chunk: Uint8Array, endStream: boolean): boolean {
    this.passResponseData(this.calls.length - 1, chunk, endStream);
    return this.responseHolds === 0 && !this.peerFull;
  }

  /** The peer takes bytes again. @returns whether the router may go on */
  onWritable(): boolean {
    this.peerFull = false;
    return this.responseHolds === 0;
  }

  holdResponse(): void {
    this.responseHolds++;
  }

  releaseResponse(): void {
    this.responseHolds--;
    if (this.responseHolds === 0 && !this.peerFull && !this.done) this.stream.resumeResponse();
  }

  sendResponseData(at: number, chunk: Uint8Array, endStream: boolean): void {
    this.passResponseData(at - 1, chunk, endStream);
  }

  private passResponseData(from: number, chunk: Uint8Array, endStream: boolean): void {
    let rest: Uint8Array = chunk;
    for (let i = from; i >= 0; i--) {
      if (this.done) return;
      const call = this.calls[i] as FilterCall;
      if (call.onResponseData === undefined) continue;
      const passed = call.onResponseData(rest, endStream);
      if (passed === null) return;
      rest = passed;
    }
    if (this.done || (rest.length === 0 && !endStream)) return;
    if (!this.stream.sendData(rest, endStream)) this.peerFull = true;
  }

  responseTrailers(trailers: HeaderMap): void {
    this.passResponseTrailers(this.calls.length - 1, trailers);
  }

  sendResponseTrailers(at: number, trailers: HeaderMap): void {
    this.passResponseTrailers(at - 1, trailers);
  }

  private passResponseTrailers(from: number, trailers: HeaderMap): void {
    for (let i = from; i >= 0; i--) {
      if (this.done) return;
      const call = this.calls[i] as FilterCall;
      if (call.onResponseTrailers !== undefined && call.onResponseTrailers(trailers) !== CONTINUE) return;
    }
    if (!this.done) this.stream.sendTrailers(trailers);
  }

  // === End ===

  /** The stream is over; nothing is asked or told any more. */
  finish(): void {
    if (this.done) return;
    this.done = true;
    for (const call of this.calls) call.onDone?.();
    if (!this.holding) return;
    this.holding = false;
    this.stream.releaseRequest();
  }
}
