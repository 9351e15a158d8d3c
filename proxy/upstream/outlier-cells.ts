// What the threads share about hosts that outlier detection watches: one cell a host, in memory of a fixed size.
//
// Runs of failures are counted by all workers in the same place, as Envoy's threads do; a worker whose host works well
// only reads them. How many requests there were each worker counts for itself, without end: the main thread takes the
// difference from one sweep to the next. Flags are the main thread's, workers read them.

import type { ClusterModel } from '../config/model/cluster.ts';

// Fields of a cell that all workers share.
export const RUN_5XX = 0;
export const RUN_GATEWAY = 1;
export const RUN_LOCAL_ORIGIN = 2;
/** Bits: see `EJECTED` and `DEGRADED`. */
export const FLAGS = 3;
const SHARED_FIELDS = 4;

export const EJECTED = 1;
export const DEGRADED = 2;

// Fields that each worker has for itself. They count on from 2^31 - 1 with - 2^31: only differences mean anything.
export const TOTAL = 0;
export const FAILED = 1;
export const LOCAL_TOTAL = 2;
export const LOCAL_FAILED = 3;
const OWN_FIELDS = 4;

/** Hosts that every table has room for. */
const HOSTS_MIN = 16_384;

/** Takes what is said of hosts that are gone. */
export const NOBODY = 0;

/** See the head of this file. */
export class OutlierCells {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  /** Cells there are, `NOBODY`'s included. */
  readonly capacity: number;
  readonly shared: Int32Array;
  readonly counts: Int32Array;

  constructor(buffer: SharedArrayBuffer, workers: number) {
    this.buffer = buffer;
    this.workers = workers;
    this.capacity = Math.floor(buffer.byteLength / bytesPerHost(workers));
    this.shared = new Int32Array(buffer, 0, this.capacity * SHARED_FIELDS);
    this.counts = new Int32Array(buffer, this.shared.byteLength, this.capacity * workers * OWN_FIELDS);
  }

  /** Memory for the hosts there are and those that may be found; pages that nobody touches cost nothing. */
  static allocate(workers: number, hosts: number): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + Math.max(hosts * 2, HOSTS_MIN)) * bytesPerHost(workers));
  }

  /** Index of a cell's first shared field. */
  sharedAt(cell: number): number {
    return cell * SHARED_FIELDS;
  }

  /** Index of a cell's first field of one worker; each worker's lie together, so that they do not share cache lines. */
  countsAt(cell: number, worker: number): number {
    return (worker * this.capacity + cell) * OWN_FIELDS;
  }

  flags(cell: number): number {
    return Atomics.load(this.shared, this.sharedAt(cell) + FLAGS);
  }

  setFlag(cell: number, flag: number, on: boolean): void {
    if (on) Atomics.or(this.shared, this.sharedAt(cell) + FLAGS, flag);
    else Atomics.and(this.shared, this.sharedAt(cell) + FLAGS, ~flag);
  }

  clearRun(cell: number, field: number): void {
    Atomics.store(this.shared, this.sharedAt(cell) + field, 0);
  }

  clearRuns(cell: number): void {
    for (const run of [RUN_5XX, RUN_GATEWAY, RUN_LOCAL_ORIGIN]) this.clearRun(cell, run);
  }

  /** One field of all workers together. */
  sum(cell: number, field: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++)
      sum = (sum + (this.counts[this.countsAt(cell, worker) + field] as number)) | 0;
    return sum;
  }
}

function bytesPerHost(workers: number): number {
  return (SHARED_FIELDS + workers * OWN_FIELDS) * Int32Array.BYTES_PER_ELEMENT;
}

/** Gives the hosts of clusters that know them from the start their cells. For the thread that publishes models. */
export function assignOutlierCells(models: readonly ClusterModel[]): ClusterModel[] {
  let next = NOBODY + 1;
  return models.map((model) => {
    if (model.outlier === null || model.discovery.kind !== 'static') return model;
    const firstCell = next;
    for (const { endpoints } of model.localities) next += endpoints.length;
    return { ...model, outlier: { ...model.outlier, firstCell } };
  });
}

/** Hosts that are known from the start. */
export function countStaticHosts(models: readonly ClusterModel[]): number {
  let hosts = 0;
  for (const { outlier, localities } of models)
    if (outlier !== null) for (const { endpoints } of localities) hosts += endpoints.length;
  return hosts;
}
