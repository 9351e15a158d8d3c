// One rearmable timer per owner: exact below a bound, on the coarse wheel above it.

import type { Runtime } from './runtime.ts';
import type { TimerWheel, WheelTimer } from './timer-wheel.ts';

/** Below this a user sees the difference of a tick, so a native timer is used. Milliseconds. */
const EXACT_BELOW_MS = 5_000;

/** Not armed when made; arming again replaces the earlier deadline. */
export class Deadline {
  private readonly runtime: Runtime;
  private readonly coarse: WheelTimer;
  private readonly fire: () => void;
  private cancelExact: (() => void) | null;

  constructor(runtime: Runtime, wheel: TimerWheel, fire: () => void) {
    this.runtime = runtime;
    this.fire = fire;
    this.coarse = wheel.timer(fire);
    this.cancelExact = null;
  }

  /** @param ms from now; must be positive */
  arm(ms: number): void {
    if (this.cancelExact !== null) this.clearExact();
    if (ms >= EXACT_BELOW_MS) {
      this.coarse.start(ms);
      return;
    }
    this.coarse.cancel();
    this.cancelExact = this.runtime.after(ms, () => {
      this.cancelExact = null;
      this.fire();
    });
  }

  cancel(): void {
    this.coarse.cancel();
    if (this.cancelExact !== null) this.clearExact();
  }

  private clearExact(): void {
    this.cancelExact?.();
    this.cancelExact = null;
  }
}
