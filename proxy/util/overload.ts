// What the overload manager has decided, in memory that all threads share: for each action how much of it is taken, from
// 0 (nothing) to 1 (always); in between chance decides. The main thread writes, workers read.

import type { Runtime } from './runtime.ts';

export const STOP_REQUESTS = 0;
export const DISABLE_KEEPALIVE = 1;
export const REJECT_CONNECTIONS = 2;
export const STOP_CONNECTIONS = 3;
export const SHED_CONNECTIONS = 4;
export const SHED_REQUESTS = 5;
export const REDUCE_CONNECTION_IDLE = 6;
export const SHED_CODECS = 7;
export const ABORT_HTTP1 = 8;
export const GOAWAY_HTTP2 = 9;
export const CLOSE_HTTP2 = 10;
export const SHED_FILTERS = 11;
export const SHED_POOLS = 12;
export const SHED_TCP_CONNECT = 13;
export const SHED_TCP_DATA = 14;
export const REDUCE_STREAM_IDLE = 15;
const SLOTS = 16;

/** See the head of this file. */
export class OverloadState {
  readonly buffer: SharedArrayBuffer;
  private readonly slots: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.slots = new Float64Array(buffer);
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(SLOTS * Float64Array.BYTES_PER_ELEMENT);
  }

  set(slot: number, value: number): void {
    this.slots[slot] = value;
  }

  /** How much of the action is taken, 0 to 1. */
  value(slot: number): number {
    return this.slots[slot] as number;
  }

  /** Whether the action is taken this time. */
  applies(slot: number, runtime: Runtime): boolean {
    const value = this.slots[slot] as number;
    return value > 0 && (value >= 1 || runtime.random() < value);
  }

  /** Whether the action is taken every time. */
  isSaturated(slot: number): boolean {
    return (this.slots[slot] as number) >= 1;
  }
}
