// Which resets of streams are too many for one connection. Two rules of Envoy's: the codec's bucket of resets that the
// peer may send, and the connection manager's share of streams that ended before anything was said to them.

export interface ResetLimits {
  /** Resets that may come at once. */
  readonly burst: number;
  /** How many of them are forgiven each second. */
  readonly perSecond: number;
  /** Streams after which half of them may not have been premature; `overload.premature_reset_total_stream_count`. */
  readonly streams: number;
  /** Whole seconds up to which a stream without a response is premature. */
  readonly lifetimeSeconds: number;
}

/** One connection's counters. */
export class ResetGuard {
  private readonly limits: ResetLimits;
  private left: number;
  private refilledAtMs: number;
  private streams: number;
  private premature: number;

  /** @param nowMs monotonic */
  constructor(limits: ResetLimits, nowMs: number) {
    this.limits = limits;
    this.left = limits.burst;
    this.refilledAtMs = nowMs;
    this.streams = 0;
    this.premature = 0;
  }

  /** The peer has reset a stream. @returns whether that was one too many */
  onPeerReset(nowMs: number): boolean {
    const seconds = Math.floor((nowMs - this.refilledAtMs) / 1_000);
    if (seconds > 0) {
      this.refilledAtMs += seconds * 1_000;
      this.left = Math.min(this.limits.burst, this.left + seconds * this.limits.perSecond);
    }
    return --this.left < 0;
  }

  /** A stream is over. @returns whether too many were premature */
  onStreamOver(status: number, lifetimeMs: number): boolean {
    const { limits } = this;
    this.streams++;
    if (status !== 0 || Math.floor(lifetimeMs / 1_000) > limits.lifetimeSeconds) return false;
    this.premature++;
    return this.premature * 2 >= Math.max(this.streams, limits.streams);
  }
}
