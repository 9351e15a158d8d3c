// Time and randomness as an argument, so that tests and simulations can control them.

/** What the data plane may know of the outside world's clock and dice. */
export interface Runtime {
  /** Monotonic milliseconds with a fraction. */
  nowMs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Calls `fn` once after at least `ms`; the result cancels. Never keeps a process alive by itself. */
  after(ms: number, fn: () => void): () => void;
}

/** The real clock and `Math.random`. */
export const SYSTEM_RUNTIME: Runtime = {
  nowMs: () => performance.now(),
  random: Math.random,
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
