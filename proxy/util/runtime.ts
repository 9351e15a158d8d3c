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

/**
 * How often one reading of the clock is used within a turn. A request reads it a dozen times, and each real reading
 * costs 0.1 µs; the stamps of a turn are wrong by the work of two or three requests at most.
 */
const SHARED_READINGS_MAX = 32;
const { performance } = globalThis;
let inTurn = false;
let readingMs = 0;
let readingsLeft = 0;

/** From now on until `endTurn` the system clock is read now and then only. */
export function beginTurn(): void {
  inTurn = true;
  readingsLeft = 0;
}

/** Each reading is real again. */
export function endTurn(): void {
  inTurn = false;
  readingsLeft = 0;
}

function systemNowMs(): number {
  if (readingsLeft > 0) {
    readingsLeft--;
    return readingMs;
  }
  readingMs = performance.now();
  if (inTurn) readingsLeft = SHARED_READINGS_MAX - 1;
  return readingMs;
}

/** The real clock and `Math.random`. */
export const SYSTEM_RUNTIME: Runtime = {
  nowMs: systemNowMs,
  random: Math.random,
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
