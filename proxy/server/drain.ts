// Draining as a worker sees it: which responses should tell their connections to close.
//
// As Envoy's drain manager: `immediate` says so on every response; `gradual` on a share of them that grows over the
// drain time, so that clients do not all reconnect at once.

import type { Runtime } from '../util/runtime.ts';

type Direction = 'unspecified' | 'inbound' | 'outbound';

/** One per worker. */
export class DrainState {
  private readonly runtime: Runtime;
  private draining: boolean;
  /** Of this thread's clock; negative when that began after the drain. */
  private startedMs: number;
  private overMs: number;
  private inboundOnly: boolean;
  private healthFailed: boolean;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
    this.draining = false;
    this.startedMs = 0;
    this.overMs = 0;
    this.inboundOnly = false;
    this.healthFailed = false;
  }

  /**
   * @param overMs the share of closing responses reaches one after this time; 0 = every response at once
   * @param elapsedMs how long the process has been draining already; clocks differ between threads
   */
  start(overMs: number, elapsedMs: number, inboundOnly: boolean): void {
    this.draining = true;
    this.startedMs = this.runtime.nowMs() - elapsedMs;
    this.overMs = overMs;
    this.inboundOnly = inboundOnly;
  }

  /** While health checks fail on demand, every response says goodbye. */
  setHealthFailed(failed: boolean): void {
    this.healthFailed = failed;
  }

  /** Asked once per response. */
  drainClose(direction: Direction): boolean {
    if (this.healthFailed) return true;
    if (!this.draining || (this.inboundOnly && direction !== 'inbound')) return false;
    if (this.overMs === 0) return true;
    const elapsed = this.runtime.nowMs() - this.startedMs;
    return elapsed >= this.overMs || this.runtime.random() * this.overMs < elapsed;
  }
}
