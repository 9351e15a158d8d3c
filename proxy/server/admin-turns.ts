// Large admin answers take turns: each one holds megabytes while it is written, and the thread that writes it also answers
// probes (60 scrapes of 300 clusters at once: 1.7 GB, and seconds until `/ready`).

/** Large answers under way at a time. */
const ANSWERS_MAX = 3;
/** A reader that takes nothing for so long loses its answer when others wait for their turn, milliseconds. */
const STALL_MS = 5_000;

/** See the head of this file. */
export class AdminTurns {
  private under: number;
  private readonly waiting: (() => void)[];

  constructor() {
    this.under = 0;
    this.waiting = [];
  }

  /** Settles when it is one's turn, which must be given back. */
  async take(): Promise<void> {
    if (this.under < ANSWERS_MAX) {
      this.under++;
      return;
    }
    // The turn is handed on by `give` without becoming free between.
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  give(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.under--;
    else next();
  }

  /**
   * Watches a reader who has a turn; the function that is returned ends that.
   * @param taken bytes that the reader has taken so far
   */
  watch(taken: () => number, drop: () => void): () => void {
    let before = -1;
    const timer = setInterval(() => {
      const now = taken();
      if (now === before && this.waiting.length > 0) drop();
      before = now;
    }, STALL_MS);
    timer.unref();
    return () => clearInterval(timer);
  }
}
