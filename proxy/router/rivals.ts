// Hedging: attempts that have met their time limit and go on beside the next one. The first good answer wins.

import type { Attempt } from './attempt.ts';

/** The attempts of one request that are under way besides the newest; as many as there are retries. */
export class Rivals {
  private readonly attempts: Attempt[];

  constructor() {
    this.attempts = [];
  }

  get size(): number {
    return this.attempts.length;
  }

  add(attempt: Attempt): void {
    this.attempts.push(attempt);
  }

  has(attempt: Attempt): boolean {
    return this.attempts.includes(attempt);
  }

  remove(attempt: Attempt): void {
    const at = this.attempts.indexOf(attempt);
    if (at >= 0) this.attempts.splice(at, 1);
  }

  /** The newest of them leaves. */
  pop(): Attempt | null {
    return this.attempts.pop() ?? null;
  }
}
