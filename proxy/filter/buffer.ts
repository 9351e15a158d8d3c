// Holds a request until all of it is there (Envoy: extensions.filters.http.buffer).

import type { HeaderMap } from '../codec/headers.ts';
import type { BufferModel } from '../config/model/http-filter.ts';
import { KeptBody } from '../router/kept-body.ts';
import { CONTINUE, type FilterCall, type FilterRunControl, type HttpFilter, PAUSE, type Verdict } from './filter.ts';

/** @param model of the most specific level that says something */
export function compileBuffer({ requestBytesMax }: BufferModel): HttpFilter | null {
  if (requestBytesMax < 0) return null;
  return { open: (run: FilterRunControl, at: number) => new BufferCall(run, at, requestBytesMax) };
}

class BufferCall implements FilterCall {
  private readonly run: FilterRunControl;
  private readonly at: number;
  private readonly bytesMax: number;
  private readonly body: KeptBody;
  private headers: HeaderMap | null;

  constructor(run: FilterRunControl, at: number, bytesMax: number) {
    this.run = run;
    this.at = at;
    this.bytesMax = bytesMax;
    this.body = new KeptBody();
    this.headers = null;
  }

  onRequestHead(headers: HeaderMap, endStream: boolean): Verdict {
    if (endStream) return CONTINUE;
    this.headers = headers;
    return PAUSE;
  }

  onRequestData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    const { body, run } = this;
    // As in Envoy a body that comes whole is not measured: only over HTTP/2 does its end come with it.
    const atOnce = endStream && body.bytes === 0 && run.stream.protocol === 'HTTP/2';
    if (body.bytes + chunk.length > this.bytesMax && !atOnce) {
      run.stream.refuseRequestBody();
      return null;
    }
    if (!endStream) {
      if (chunk.length > 0) body.add(chunk);
      return null;
    }
    const whole = body.bytes === 0 ? chunk : this.wholeWith(chunk);
    this.release(whole.length);
    return whole;
  }

  onRequestTrailers(): Verdict {
    const { body, run } = this;
    this.release(body.bytes);
    if (body.bytes > 0) run.sendRequestData(this.at, body.whole(), false);
    return CONTINUE;
  }

  private wholeWith(chunk: Uint8Array): Uint8Array {
    if (chunk.length > 0) this.body.add(chunk);
    return this.body.whole();
  }

  /** The length is known now. */
  private release(bytes: number): void {
    this.headers?.addIfAbsent('content-length', `${bytes}`);
    this.run.resumeRequest(this.at);
  }
}
