// When the workers' balancers are told that hosts of a cluster have become healthy or unhealthy: at once, unless they
// were told something less than a window ago; then once the window is over, of everything that has come together.

import type { Runtime } from '../util/runtime.ts';

/** What is counted, for as many priorities as the cluster has. */
export interface MergeCounts {
  onUpdate(): void;
  onMerged(): void;
  onOutOfWindow(): void;
  onCancelled(): void;
}

/** See the head of this file. One per cluster, in the main thread. */
export class MergeWindow {
  private readonly runtime: Runtime;
  private readonly windowMs: number;
  private readonly counts: MergeCounts;
  private readonly tell: () => void;
  private toldMs: number;
  private cancelTimer: (() => void) | null;

  /** @param tell lets balancers know; `windowMs` 0 = always at once */
  constructor(runtime: Runtime, windowMs: number, counts: MergeCounts, tell: () => void) {
    this.runtime = runtime;
    this.windowMs = windowMs;
    this.counts = counts;
    this.tell = tell;
    this.toldMs = Number.NEGATIVE_INFINITY;
    this.cancelTimer = null;
  }

  /** Health has changed. @returns whether balancers are to be told of it now */
  onHealth(): boolean {
    const now = this.runtime.nowMs();
    if (this.windowMs > 0 && now - this.toldMs <= this.windowMs) {
      this.cancelTimer ??= this.runtime.after(this.windowMs, () => {
        this.cancelTimer = null;
        this.toldMs = this.runtime.nowMs();
        this.counts.onMerged();
        this.tell();
      });
      return false;
    }
    if (this.windowMs > 0) this.counts.onOutOfWindow();
    this.onUpdate();
    return true;
  }

  /** The hosts themselves are other ones, of which balancers know at once. */
  onHosts(): void {
    this.onUpdate();
  }

  stop(): void {
    this.cancelTimer?.();
  }

  private onUpdate(): void {
    if (this.cancelTimer !== null) {
      this.cancelTimer();
      this.cancelTimer = null;
      this.counts.onCancelled();
    }
    this.toldMs = this.runtime.nowMs();
    this.counts.onUpdate();
  }
}
