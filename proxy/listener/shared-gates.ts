// What gates of all workers share: how many connections each worker has let pass a limit, and token buckets.
//
// Gates are numbered in the order of the model, which is the same in every worker. A count has one cell per worker,
// written by it alone; a bucket is one cell that all of them change by compare-and-exchange.
//
// Behind the gates of listeners there is one for each scope of HTTP filters that count across workers: the faults that
// are going on, per stat prefix of the connection manager, as in Envoy.

import type { Model } from '../config/model/model.ts';
import type { SharedCount } from '../filter/filter.ts';

/** The table as one worker sees it. */
export class SharedGates {
  readonly memory: SharedArrayBuffer;
  private readonly workers: number;
  private readonly worker: number;
  private readonly counts: Int32Array<SharedArrayBuffer>;
  /** Per gate the time, µs of the wall clock, at which its bucket was, or will be, empty. */
  private readonly buckets: BigInt64Array<SharedArrayBuffer>;
  private nextGate: number;
  /** `share_key` → the gate whose bucket all its sharers use. */
  private readonly shareKeys: Map<string, number>;

  constructor(memory: SharedArrayBuffer, workers: number, worker: number) {
    const gates = memory.byteLength / bytesPerGate(workers);
    this.memory = memory;
    this.workers = workers;
    this.worker = worker;
    this.buckets = new BigInt64Array(memory, 0, gates);
    this.counts = new Int32Array(memory, gates * BigInt64Array.BYTES_PER_ELEMENT);
    this.nextGate = 0;
    this.shareKeys = new Map();
  }

  static allocate(model: Model, workers: number): SharedArrayBuffer {
    const gates = model.listeners.reduce((sum, listener) => sum + listener.gates, model.faultScopes.length);
    return new SharedArrayBuffer(gates * bytesPerGate(workers));
  }

  /** The number of the gate that is compiled now. */
  number(): number {
    return this.nextGate++;
  }

  /** The bucket of the gate that is compiled now. @param shareKey empty = its own */
  bucket(shareKey: string): number {
    const own = this.number();
    if (shareKey === '') return own;
    const known = this.shareKeys.get(shareKey) ?? own;
    this.shareKeys.set(shareKey, known);
    return known;
  }

  /** Connections that have passed a gate, in all workers. */
  count(gate: number): number {
    let sum = 0;
    for (let i = gate * this.workers; i < (gate + 1) * this.workers; i++) sum += Atomics.load(this.counts, i);
    return sum;
  }

  add(gate: number, delta: 1 | -1): void {
    Atomics.add(this.counts, gate * this.workers + this.worker, delta);
  }

  /**
   * Takes a token. A bucket is the moment at which it would be empty: it holds what has flowed in since, at most
   * `max`, and taking a token moves the moment forward.
   * @param microsPerToken time in which one token flows in
   * @param nowMicros wall clock
   */
  takeToken(gate: number, max: number, microsPerToken: number, nowMicros: number): boolean {
    for (;;) {
      const seen = Atomics.load(this.buckets, gate);
      const emptyAt = Math.max(Number(seen), nowMicros - max * microsPerToken) + microsPerToken;
      if (emptyAt > nowMicros) return false;
      const next = BigInt(Math.ceil(emptyAt));
      if (Atomics.compareExchange(this.buckets, gate, seen, next) === seen) return true;
    }
  }

  /** The faults of a scope; those of a scope without a fault filter are none. @param scopes of the model */
  faults(scopes: readonly string[], statPrefix: string): SharedCount {
    const scope = scopes.indexOf(statPrefix);
    const gate = this.buckets.length - scopes.length + scope;
    if (scope < 0) return { sum: () => 0, add: () => {} };
    return { sum: () => this.count(gate), add: (delta) => this.add(gate, delta) };
  }

  /** Forgets what a dead worker had counted. */
  clearWorker(worker: number): void {
    for (let i = worker; i < this.counts.length; i += this.workers) Atomics.store(this.counts, i, 0);
  }
}

/** A bucket, and a count per worker padded to the alignment of buckets. */
function bytesPerGate(workers: number): number {
  const counts = workers + (workers % 2);
  return BigInt64Array.BYTES_PER_ELEMENT + counts * Int32Array.BYTES_PER_ELEMENT;
}
