// Slows the body of one response down to a rate (Envoy: common/stream_rate_limiter.cc): what the bucket of bytes does not
// let through now waits, and leaves in portions.

import type { HeaderMap } from '../codec/headers.ts';
import type { Runtime } from '../util/runtime.ts';
import type { FilterRunControl } from './filter.ts';

/** Time between portions, ms; as long as it is, a response may run ahead when it begins. */
const FILL_INTERVAL_MS = 50;

/** See the head of this file. */
export class RateLimiter {
  private readonly run: FilterRunControl;
  private readonly at: number;
  private readonly runtime: Runtime;
  /** Bytes that wait before their sender is stopped. */
  private readonly limitBytes: number;
  private readonly bytesPerSecond: number;
  /** Bytes that may pass, as of `filledMs`; at most what flows in within a second. */
  private tokens: number;
  private filledMs: number;
  private readonly waiting: Uint8Array[];
  private waitingBytes: number;
  private ended: boolean;
  private trailers: HeaderMap | null;
  private cancelTimer: (() => void) | null;
  private held: boolean;

  constructor(run: FilterRunControl, at: number, runtime: Runtime, kibPerSecond: number) {
    this.run = run;
    this.at = at;
    this.runtime = runtime;
    this.limitBytes = run.stream.bufferLimitBytes;
    this.bytesPerSecond = kibPerSecond * 1024;
    this.tokens = Math.floor((this.bytesPerSecond * FILL_INTERVAL_MS) / 1000);
    this.filledMs = runtime.nowMs();
    this.waiting = [];
    this.waitingBytes = 0;
    this.ended = false;
    this.trailers = null;
    this.cancelTimer = null;
    this.held = false;
  }

  /** @param chunk valid during the call */
  add(chunk: Uint8Array, endStream: boolean): void {
    if (chunk.length > 0) this.waiting.push(Uint8Array.from(chunk));
    this.waitingBytes += chunk.length;
    this.ended ||= endStream;
    if (this.cancelTimer === null) this.pass();
    this.settleHold();
  }

  /** @returns whether body waits, so that the trailers do too */
  addTrailers(trailers: HeaderMap): boolean {
    if (this.waitingBytes === 0) return false;
    this.trailers = trailers;
    return true;
  }

  cancel(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
  }

  private pass(): void {
    this.fill();
    const bytes = Math.min(Math.floor(this.tokens), this.waitingBytes);
    this.tokens -= bytes;
    if (bytes > 0 || this.ended) this.send(bytes);
    if (this.waitingBytes > 0) this.cancelTimer = this.runtime.after(FILL_INTERVAL_MS, () => this.onTimer());
    else if (this.trailers !== null) this.run.sendResponseTrailers(this.at, this.trailers);
  }

  private onTimer(): void {
    this.cancelTimer = null;
    this.pass();
    this.settleHold();
  }

  private fill(): void {
    const now = this.runtime.nowMs();
    const filled = this.tokens + ((now - this.filledMs) * this.bytesPerSecond) / 1000;
    this.tokens = Math.min(filled, this.bytesPerSecond);
    this.filledMs = now;
  }

  private send(bytes: number): void {
    let left = bytes;
    while (left > 0) {
      const first = this.waiting[0] as Uint8Array;
      const taken = first.length <= left ? first : first.subarray(0, left);
      if (taken === first) this.waiting.shift();
      else this.waiting[0] = first.subarray(left);
      left -= taken.length;
      this.waitingBytes -= taken.length;
      this.run.sendResponseData(this.at, taken, this.ended && this.waitingBytes === 0);
    }
    if (bytes === 0 && this.waitingBytes === 0) this.run.sendResponseData(this.at, EMPTY, true);
  }

  /** The sender waits while more than the limit does, and goes on at half of it. */
  private settleHold(): void {
    if (!this.held && this.waitingBytes > this.limitBytes) {
      this.held = true;
      this.run.holdResponse();
    } else if (this.held && this.waitingBytes <= this.limitBytes / 2) {
      this.held = false;
      this.run.releaseResponse();
    }
  }
}

const EMPTY = new Uint8Array(0);
