// SEAM: stats written by a worker into shared memory. One writer per slot; the main thread reads and sums.
//
// A *catalogue* is a fixed list of stat names and kinds under a prefix. A worker that first needs a prefix takes a
// *block*: one contiguous run of Float64 slots indexed by the catalogue's constants, so counting is `block[RQ_TOTAL]++`.

/** `c` counter, `g` gauge (summed over workers), `h` histogram (a run of bucket slots of its own). */
export type StatKind = 'c' | 'g' | 'h';

export interface Catalogue {
  /** Unique key of this catalogue, e.g. `cluster`. */
  readonly key: string;
  readonly names: readonly string[];
  readonly kinds: readonly StatKind[];
}

/** Where a histogram's samples go; bound to its slots when created. */
export interface Histogram {
  record(value: number): void;
}

/** One worker's own stats. Every call is idempotent per name: the same block or cell comes back. */
export interface StatsStore {
  /** Slots of a catalogue under a prefix (with its trailing dot, e.g. `cluster.reviews.`), zeroed when new. */
  block(catalogue: Catalogue, prefix: string): Float64Array;
  /** A single dynamic counter or gauge (`cluster.reviews.upstream_rq_503`): one slot, index 0. */
  cell(name: string, kind: 'c' | 'g'): Float64Array;
  /** A histogram by full name; nothing is allocated before its first sample. */
  histogram(name: string): Histogram;
}
