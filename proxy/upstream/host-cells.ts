// The part of the breakers' table that belongs to hosts: cells that are found by name, whichever worker asks, and that go
// to another host once no worker needs them any more.
//
// A cell is taken by whoever turns its count of users from 0 to −1, which nobody else can do meanwhile; with its new name
// in place it has one user. Two workers that open the same host for the first time at the very moment when a cell before
// theirs becomes free may count it apart; that ends with the host.

/** Hosts with a limit of their own at one time; the limits of further ones hold for each worker. */
export const HOSTS_MAX = 16_384;
/** Cells that a host may be looked for in. */
const PROBES_MAX = 64;
/** Looks at a cell that is being given a name, which takes two writes. */
const LOOKS_MAX = 1_000;
const BEING_NAMED = -1;

/** See the head of this file. */
export class HostCells {
  /** Uses by worker and the "open" flag, as all breakers have them. */
  readonly cells: Int32Array;
  /** Digests; 0 = never named. */
  private readonly names: Int32Array;
  private readonly users: Int32Array;
  /** How many of the users are breakers of each worker, so that those of a dead one can be told. */
  private readonly ofWorkers: Int32Array;
  private readonly workers: number;
  private readonly worker: number;
  private readonly stride: number;

  /** @param offset in bytes */
  constructor(buffer: SharedArrayBuffer, offset: number, workers: number, worker: number) {
    const take = (length: number): Int32Array => {
      const part = new Int32Array(buffer, at, length);
      at += part.byteLength;
      return part;
    };
    let at = offset;
    this.workers = workers;
    this.worker = worker;
    this.stride = workers + 1;
    this.names = take(HOSTS_MAX);
    this.users = take(HOSTS_MAX);
    this.ofWorkers = take(HOSTS_MAX * workers);
    this.cells = take(HOSTS_MAX * this.stride);
  }

  /** 32-bit values that it needs. */
  static length(workers: number): number {
    return HOSTS_MAX * (2 + workers + workers + 1);
  }

  /** Finds the cell of a host, or gives it one. @returns −1: all that it could have are in use */
  acquire(name: string): number {
    const digest = digestOf(name);
    const first = (digest >>> 0) % HOSTS_MAX;
    let cell = -1;
    for (let probe = 0; cell < 0 && probe < PROBES_MAX; probe++) cell = this.join((first + probe) % HOSTS_MAX, digest);
    for (let probe = 0; cell < 0 && probe < PROBES_MAX; probe++) cell = this.take((first + probe) % HOSTS_MAX, digest);
    if (cell >= 0) Atomics.add(this.ofWorkers, cell * this.workers + this.worker, 1);
    return cell;
  }

  release(cell: number): void {
    Atomics.sub(this.ofWorkers, cell * this.workers + this.worker, 1);
    Atomics.sub(this.users, cell, 1);
  }

  /** Gives back what a dead worker held. */
  clearWorker(worker: number): void {
    for (let cell = 0; cell < HOSTS_MAX; cell++) {
      const at = cell * this.stride;
      if (Atomics.exchange(this.cells, at + worker, 0) > 0) Atomics.store(this.cells, at + this.workers, 0);
      const held = Atomics.exchange(this.ofWorkers, cell * this.workers + worker, 0);
      if (held > 0) Atomics.sub(this.users, cell, held);
    }
  }

  private join(cell: number, digest: number): number {
    for (let look = 0; look < LOOKS_MAX && Atomics.load(this.names, cell) === digest; look++) {
      const users = Atomics.load(this.users, cell);
      if (users === BEING_NAMED || Atomics.compareExchange(this.users, cell, users, users + 1) !== users) continue;
      // It may have gone to another host in between, but no longer can.
      if (Atomics.load(this.names, cell) === digest) return cell;
      Atomics.sub(this.users, cell, 1);
    }
    return -1;
  }

  private take(cell: number, digest: number): number {
    if (Atomics.compareExchange(this.users, cell, 0, BEING_NAMED) !== 0) return -1;
    Atomics.store(this.names, cell, digest);
    Atomics.store(this.users, cell, 1);
    return cell;
  }
}

/** FNV-1a of the UTF-16 units, never 0. */
function digestOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash | 0 || 1;
}
