// How many downstream connections each worker holds per listener, shared by all workers: the base of connection limits,
// of exact balancing, and of connection ids.
//
// One cell per (listener, worker). A cell is written by its worker, and by a worker that hands a connection over to it.
// When a worker dies its cells are cleared, and nothing is handed over to it until its successor listens.

/** Cells before the table: the last connection id given out, then per worker whether it accepts hand-overs (0 or 1). */
const LAST_ID = 0;
const ACCEPTS = 1;

/** A view of the shared table; every worker has its own view of the same memory. */
export class ConnectionCounts {
  private readonly cells: Int32Array<SharedArrayBuffer>;
  private readonly workers: number;
  /** Where the counts begin. */
  private readonly table: number;

  constructor(memory: SharedArrayBuffer, workers: number) {
    this.cells = new Int32Array(memory);
    this.workers = workers;
    this.table = ACCEPTS + workers;
  }

  static allocate(listeners: number, workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer((ACCEPTS + workers + listeners * workers) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Unique in the process; wraps after 2^31. */
  nextConnectionId(): number {
    return Atomics.add(this.cells, LAST_ID, 1) & 0x7fff_ffff;
  }

  add(listener: number, worker: number, delta: 1 | -1): void {
    Atomics.add(this.cells, this.table + listener * this.workers + worker, delta);
  }

  /** Connections of a listener over all workers. */
  ofListener(listener: number): number {
    const first = this.table + listener * this.workers;
    return this.sum(first, first + this.workers);
  }

  /** Connections of some listeners; `null` = of the whole process. */
  total(listeners: readonly number[] | null): number {
    if (listeners === null) return this.sum(this.table, this.cells.length);
    let total = 0;
    for (const listener of listeners) total += this.ofListener(listener);
    return total;
  }

  /** Whether connections may be handed over to a worker. */
  accepts(worker: number): boolean {
    return Atomics.load(this.cells, ACCEPTS + worker) === 1;
  }

  /** A worker listens: connections may be handed over to it. */
  setAccepting(worker: number): void {
    Atomics.store(this.cells, ACCEPTS + worker, 1);
  }

  /**
   * The worker with the fewest connections of a listener among those that accept hand-overs; `preferred`, which need
   * not accept any, where it is not beaten.
   */
  leastLoaded(listener: number, preferred: number): number {
    const first = this.table + listener * this.workers;
    let best = preferred;
    let fewest = Atomics.load(this.cells, first + preferred);
    for (let worker = 0; worker < this.workers; worker++) {
      const count = Atomics.load(this.cells, first + worker);
      if (count < fewest && this.accepts(worker)) {
        fewest = count;
        best = worker;
      }
    }
    return best;
  }

  /**
   * Takes back the count of a connection that was on its way to a worker that died. When it was counted before the
   * worker was cleared there is nothing to take back.
   */
  takeBack(listener: number, worker: number): void {
    const at = this.table + listener * this.workers + worker;
    if (Atomics.load(this.cells, at) > 0) Atomics.sub(this.cells, at, 1);
  }

  /** Forgets a dead worker's connections; it accepts none until `setAccepting`. */
  clearWorker(worker: number): void {
    Atomics.store(this.cells, ACCEPTS + worker, 0);
    for (let i = this.table + worker; i < this.cells.length; i += this.workers) Atomics.store(this.cells, i, 0);
  }

  private sum(from: number, to: number): number {
    let sum = 0;
    for (let i = from; i < to; i++) sum += Atomics.load(this.cells, i);
    return sum;
  }
}
