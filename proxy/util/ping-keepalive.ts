// When a connection is asked for a sign of life, and when the lack of one ends it (Envoy: `connection_keepalive`).
//
// Rule 1: the answer to a PING starts the time to the next one. Rule 2: while a PING is out, whatever the peer sends puts
// its time-out off: on a slow network the answer stands behind other bytes.

import { Deadline } from './deadline.ts';
import type { Runtime } from './runtime.ts';
import type { TimerWheel } from './timer-wheel.ts';

/** As configured; milliseconds, 0 = off. */
export interface KeepaliveLimits {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Share of the interval, percent, below which chance adds. */
  readonly jitterPercent: number;
  readonly idleIntervalMs: number;
}

export interface KeepaliveOwner {
  sendPing(): void;
  /** No answer in time: the connection is dead. */
  onPingTimeout(): void;
}

/** See the head of this file. One per connection that has it configured. */
export class PingKeepalive {
  private readonly limits: KeepaliveLimits;
  private readonly runtime: Runtime;
  private readonly owner: KeepaliveOwner;
  private readonly interval: Deadline;
  private readonly timeout: Deadline;
  /** A PING has no answer yet. */
  private outstanding: boolean;
  private lastBytesMs: number;

  /** The first interval begins at once. */
  constructor(limits: KeepaliveLimits, runtime: Runtime, wheel: TimerWheel, owner: KeepaliveOwner) {
    this.limits = limits;
    this.runtime = runtime;
    this.owner = owner;
    this.interval = new Deadline(runtime, wheel, () => this.ping());
    this.timeout = new Deadline(runtime, wheel, () => owner.onPingTimeout());
    this.outstanding = false;
    this.lastBytesMs = runtime.nowMs();
    this.armInterval();
  }

  /** The peer has sent something. */
  onBytes(): void {
    if (this.limits.idleIntervalMs > 0) this.lastBytesMs = this.runtime.nowMs();
    if (this.outstanding) this.timeout.arm(this.limits.timeoutMs);
  }

  onAnswer(): void {
    this.outstanding = false;
    this.timeout.cancel();
    this.armInterval();
  }

  /** A stream is about to be opened: after a long silence the connection must prove itself. */
  beforeStream(): void {
    const { idleIntervalMs } = this.limits;
    if (idleIntervalMs > 0 && this.runtime.nowMs() - this.lastBytesMs > idleIntervalMs) this.ping();
  }

  stop(): void {
    this.interval.cancel();
    this.timeout.cancel();
  }

  private ping(): void {
    this.outstanding = true;
    this.owner.sendPing();
    this.timeout.arm(this.limits.timeoutMs);
  }

  private armInterval(): void {
    const { intervalMs, jitterPercent } = this.limits;
    if (intervalMs === 0) return;
    const percent = Math.floor(this.runtime.random() * jitterPercent);
    this.interval.arm(intervalMs + Math.floor((intervalMs * percent) / 100));
  }
}
