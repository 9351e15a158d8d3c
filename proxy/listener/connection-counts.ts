// How many downstream connections each worker holds per listener, shared by all workers: the base of connection limits,
// of exact balancing, and of connection ids.
//
// One cell per (listener, worker). A cell is written by its worker, and by a worker that hands a connection over to it.
// When a worker dies its cells are cleared before its successor starts.

/** Cells before the table: the last connection id given out. */
const HEADER_CELLS = 1;
const LAST_ID = 0;

/** A view of the shared table; every worker has its own view of the same memory. */
export class ConnectionCounts {
  private readonly cells: Int32Array<SharedArrayBuffer>;
  private readonly workers: number;

  constructor(memory: SharedArrayBuffer, workers: number) {
    this.cells = new Int32Array(memory);
    this.workers = workers;
  }

  static allocate(listeners: number, workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer((HEADER_CELLS + listeners * workers) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Unique in the process; wraps after 2^31. */
  nextConnectionId(): number {
    return Atomics.add(this.cells, LAST_ID, 1) & 0x7fff_ffff;
  }

  add(listener: number, worker: number, delta: 1 | -1): void {
    Atomics.add(this.cells, HEADER_CELLS + listener * this.workers + worker, delta);
  }

  /** Connections of a listener over all workers. */
  ofListener(listener: number): number {
    const first = HEADER_CELLS + listener * this.workers;
    return this.sum(first, first + this.workers);
  }

  /** Connections of the whole process. */
  total(): number {
    return this.sum(HEADER_CELLS, this.cells.length);
  }

  /** The worker with the fewest connections of a listener; `preferred` where it is not beaten. */
  leastLoaded(listener: number, preferred: number): number {
    const first = HEADER_CELLS + listener * this.workers;
    let best = preferred;
    let fewest = Atomics.load(this.cells, first + preferred);
    for (let worker = 0; worker < this.workers; worker++) {
      const count = Atomics.load(this.cells, first + worker);
      if (count < fewest) {
        fewest = count;
        best = worker;
      }
    }
    return best;
  }

  /** Forgets a dead worker's connections. */
  clearWorker(worker: number): void {
    for (let i = HEADER_CELLS + worker; i < this.cells.length; i += this.workers) Atomics.store(this.cells, i, 0);
  }

  private sum(from: number, to: number): number {
    let sum = 0;
    for (let i = from; i < to; i++) sum += Atomics.load(this.cells, i);
    return sum;
  }
}
