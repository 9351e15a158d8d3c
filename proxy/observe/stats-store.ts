// One thread's own stats, in shared memory that only this thread writes and the registry of the main thread reads.
//
// Slots live in append-only segments (`SharedArrayBuffer`). What a slot means travels once, as plain data, in an
// announcement; afterwards counting is a plain addition and reading is a plain read. A fresh slot holds −0: any write
// or addition turns it into +0 or another number, so "was it ever touched" (Envoy's `usedonly`) costs nothing.

import { BINS_PER_DECADE, binOf, DECADES } from './histogram.ts';
import type { Catalogue, Histogram, StatsStore } from './stats.ts';
import { slotCount } from './stats-catalogue.ts';

/** Slots of the first segment; later ones double up to the maximum. 8 bytes a slot. */
const SEGMENT_SLOTS_MIN = 4096;
const SEGMENT_SLOTS_MAX = 65_536;
/** Single stats and histograms a thread may name; more share one overflow slot. Names can come from traffic. */
export const DYNAMIC_NAMES_MAX = 200_000;

/** Where a run of slots lies. */
export interface SlotRun {
  readonly segment: number;
  readonly offset: number;
}

/** One thing the registry must know. */
export type StatsEntry =
  | { readonly type: 'block'; readonly catalogue: string; readonly prefix: string; readonly run: SlotRun }
  | { readonly type: 'cell'; readonly kind: 'c' | 'g'; readonly name: string; readonly run: SlotRun }
  | { readonly type: 'histogram'; readonly name: string }
  | { readonly type: 'bins'; readonly name: string; readonly decade: number; readonly run: SlotRun }
  | { readonly type: 'forget'; readonly prefix: string };

/** Plain data from a worker to the registry, to be applied in the order sent. */
export interface StatsAnnouncement {
  readonly segments: readonly { readonly id: number; readonly buffer: SharedArrayBuffer }[];
  readonly catalogues: readonly Catalogue[];
  readonly entries: readonly StatsEntry[];
}

/**
 * A thread's stats.
 * `announce` gets what was new since the last time, at most once per turn of the event loop.
 */
export class WorkerStats implements StatsStore {
  readonly #announce: (message: StatsAnnouncement) => void;
  readonly #blocks = new Map<string, { catalogue: string; prefix: string; slots: Float64Array; run: SlotRun }>();
  readonly #cells = new Map<string, { slots: Float64Array; run: SlotRun }>();
  readonly #histograms = new Map<string, SlotHistogram>();
  readonly #cataloguesSent = new Set<string>();
  /** Runs given back, by length. */
  readonly #free = new Map<number, { slots: Float64Array; run: SlotRun }[]>();
  #segmentId = -1;
  #segment = new SharedArrayBuffer(0);
  #segmentUsed = 0;
  #segmentSlots = 0;
  #pendingSegments: { id: number; buffer: SharedArrayBuffer }[] = [];
  #pendingCatalogues: Catalogue[] = [];
  #pending: StatsEntry[] = [];
  #scheduled = false;

  constructor(announce: (message: StatsAnnouncement) => void) {
    this.#announce = announce;
  }

  block(catalogue: Catalogue, prefix: string): Float64Array {
    const key = `${catalogue.key} ${prefix}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known.slots;
    if (!this.#cataloguesSent.has(catalogue.key)) {
      this.#cataloguesSent.add(catalogue.key);
      this.#pendingCatalogues.push({ key: catalogue.key, names: catalogue.names, kinds: catalogue.kinds });
    }
    const { slots, run } = this.#take(slotCount(catalogue));
    this.#blocks.set(key, { catalogue: catalogue.key, prefix, slots, run });
    this.#note({ type: 'block', catalogue: catalogue.key, prefix, run });
    return slots;
  }

  cell(name: string, kind: 'c' | 'g'): Float64Array {
    const known = this.#cells.get(name);
    if (known !== undefined) return known.slots;
    if (this.#cells.size >= DYNAMIC_NAMES_MAX && name !== OVERFLOW_NAME) return this.cell(OVERFLOW_NAME, 'c');
    const made = this.#take(1);
    this.#cells.set(name, made);
    this.#note({ type: 'cell', kind, name, run: made.run });
    return made.slots;
  }

  histogram(name: string): Histogram {
    const known = this.#histograms.get(name);
    if (known !== undefined) return known;
    if (this.#histograms.size >= DYNAMIC_NAMES_MAX && name !== OVERFLOW_HISTOGRAM) {
      return this.histogram(OVERFLOW_HISTOGRAM);
    }
    const made = new SlotHistogram((decade, length) => {
      const { slots, run } = this.#take(length);
      this.#note({ type: 'bins', name, decade, run });
      return { slots, run };
    });
    this.#histograms.set(name, made);
    this.#note({ type: 'histogram', name });
    return made;
  }

  /**
   * Gives back every block, cell and histogram under a prefix (a removed cluster or listener). Nobody may write to
   * them any more. Names below a longer prefix of the same catalogue stay: `cluster.a.` is not the owner of `cluster.a.b.x`.
   */
  forget(prefix: string): void {
    const belongs = ownership(prefix, this.#blocks.values());
    for (const [key, block] of this.#blocks) {
      if (!belongs(block.prefix)) continue;
      this.#blocks.delete(key);
      this.#giveBack(block.slots, block.run);
    }
    for (const [name, cell] of this.#cells) {
      if (!belongs(name)) continue;
      this.#cells.delete(name);
      this.#giveBack(cell.slots, cell.run);
    }
    for (const [name, histogram] of this.#histograms) {
      if (!belongs(name)) continue;
      this.#histograms.delete(name);
      for (const { slots, run } of histogram.release()) this.#giveBack(slots, run);
    }
    this.#note({ type: 'forget', prefix });
  }

  /** Sends what is waiting now, instead of at the end of the turn. */
  flush(): void {
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    const message = { segments: this.#pendingSegments, catalogues: this.#pendingCatalogues, entries: this.#pending };
    this.#pendingSegments = [];
    this.#pendingCatalogues = [];
    this.#pending = [];
    this.#announce(message);
  }

  #note(entry: StatsEntry): void {
    this.#pending.push(entry);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  #take(length: number): { slots: Float64Array; run: SlotRun } {
    const reused = this.#free.get(length)?.pop();
    if (reused !== undefined) {
      reused.slots.fill(-0);
      return reused;
    }
    if (this.#segmentUsed + length > this.#segmentSlots) this.#grow(length);
    const run = { segment: this.#segmentId, offset: this.#segmentUsed };
    const slots = new Float64Array(this.#segment, run.offset * Float64Array.BYTES_PER_ELEMENT, length);
    slots.fill(-0);
    this.#segmentUsed += length;
    return { slots, run };
  }

  #grow(length: number): void {
    const doubled = Math.min(Math.max(this.#segmentSlots * 2, SEGMENT_SLOTS_MIN), SEGMENT_SLOTS_MAX);
    this.#segmentSlots = Math.max(doubled, length);
    this.#segment = new SharedArrayBuffer(this.#segmentSlots * Float64Array.BYTES_PER_ELEMENT);
    this.#segmentUsed = 0;
    this.#segmentId++;
    this.#pendingSegments.push({ id: this.#segmentId, buffer: this.#segment });
  }

  #giveBack(slots: Float64Array, run: SlotRun): void {
    const list = this.#free.get(slots.length);
    if (list === undefined) this.#free.set(slots.length, [{ slots, run }]);
    else list.push({ slots, run });
  }
}

/** Takes the counts of names beyond `DYNAMIC_NAMES_MAX`. */
const OVERFLOW_NAME = 'outrigger.stats.overflow';
const OVERFLOW_HISTOGRAM = 'outrigger.stats.overflow_samples';

/**
 * Tells which names go with `prefix` when it is removed: all that start with it, except those below a longer prefix of
 * a catalogue that also has a block exactly at `prefix`.
 */
export function ownership(
  prefix: string,
  blocks: Iterable<{ readonly catalogue: string; readonly prefix: string }>,
): (name: string) => boolean {
  const catalogues = new Set<string>();
  const longer: { catalogue: string; prefix: string }[] = [];
  for (const block of blocks) {
    if (block.prefix === prefix) catalogues.add(block.catalogue);
    else if (block.prefix.startsWith(prefix)) longer.push(block);
  }
  const others = longer.filter((block) => catalogues.has(block.catalogue)).map((block) => block.prefix);
  return (name) => name.startsWith(prefix) && !others.some((other) => name.startsWith(other));
}

type TakeBins = (decade: number, length: number) => { slots: Float64Array; run: SlotRun };

/** A histogram whose bins are allocated a decade at a time; decade 0 also holds the zeros, in its first slot. */
class SlotHistogram implements Histogram {
  readonly #take: TakeBins;
  readonly #pages: (Float64Array | null)[];
  readonly #runs: { slots: Float64Array; run: SlotRun }[];

  constructor(take: TakeBins) {
    this.#take = take;
    this.#pages = new Array(DECADES).fill(null);
    this.#runs = [];
  }

  record(value: number): void {
    const bin = binOf(value);
    const decade = bin === 0 ? 0 : ((bin - 1) / BINS_PER_DECADE) | 0;
    let page = this.#pages[decade] as Float64Array | null;
    if (page === null) page = this.#grow(decade);
    const slot = bin - firstBin(decade);
    page[slot] = (page[slot] as number) + 1;
  }

  #grow(decade: number): Float64Array {
    const taken = this.#take(decade, binsOfPage(decade));
    this.#pages[decade] = taken.slots;
    this.#runs.push(taken);
    return taken.slots;
  }

  release(): { slots: Float64Array; run: SlotRun }[] {
    this.#pages.fill(null);
    return this.#runs.splice(0);
  }
}

/** The bin in a page's first slot. */
export function firstBin(decade: number): number {
  return decade === 0 ? 0 : 1 + decade * BINS_PER_DECADE;
}

/** Slots of a page. */
export function binsOfPage(decade: number): number {
  return decade === 0 ? BINS_PER_DECADE + 1 : BINS_PER_DECADE;
}
