// How many requests of a cluster have begun lately, over all workers: what `retry_budget.budget_interval` goes by.
//
// The interval has ten parts, as in Envoy, and one that is running. Each worker counts in cells of its own, which say
// by themselves which part of time they belong to: nobody has to clear those of a worker that is idle or dead.

/** Parts of an interval that count, beside the running one. */
const PARTS = 10;
const SLOTS = PARTS + 1;
/** A slot is the number of its part, then its count. */
const CELLS_PER_SLOT = 2;
/** Cells of one worker for one priority of a cluster. */
export const CELLS_PER_WINDOW = SLOTS * CELLS_PER_SLOT;

/** The requests of one priority of a cluster. */
export class BegunRequests {
  private readonly cells: Int32Array;
  private readonly first: number;
  private readonly end: number;
  private readonly own: number;
  private readonly partMs: number;
  private readonly nowMs: () => number;

  /**
   * @param cells of this priority begin at `first`, one window for each worker
   * @param nowMs a clock that all workers share
   */
  constructor(
    cells: Int32Array,
    first: number,
    workers: number,
    worker: number,
    intervalMs: number,
    nowMs: () => number,
  ) {
    this.cells = cells;
    this.first = first;
    this.end = first + workers * CELLS_PER_WINDOW;
    this.own = first + worker * CELLS_PER_WINDOW;
    this.partMs = intervalMs / PARTS;
    this.nowMs = nowMs;
  }

  count(): void {
    const { cells } = this;
    const part = this.part();
    const at = this.own + slotOf(part);
    if (cells[at] === (part | 0)) cells[at + 1] = (cells[at + 1] as number) + 1;
    else {
      // The count comes first: whoever reads in between takes it for one of the time before.
      cells[at + 1] = 1;
      cells[at] = part | 0;
    }
  }

  get sum(): number {
    const { cells } = this;
    const now = this.part();
    let sum = 0;
    for (let window = this.first; window < this.end; window += CELLS_PER_WINDOW)
      for (let back = 0; back < SLOTS; back++) {
        const part = now - back;
        const at = window + slotOf(part);
        if (cells[at] === (part | 0)) sum += cells[at + 1] as number;
      }
    return sum;
  }

  private part(): number {
    return Math.floor(this.nowMs() / this.partMs);
  }
}

function slotOf(part: number): number {
  return (part % SLOTS) * CELLS_PER_SLOT;
}
