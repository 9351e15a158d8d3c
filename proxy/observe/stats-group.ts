// Groups of stats as the registry keeps them, and how the threads' values come together.

import { addCounts, BIN_COUNT, type HistogramCounts, sparse } from './histogram.ts';
import type { Catalogue, StatKind } from './stats.ts';
import { slotCount } from './stats-catalogue.ts';
import type { Tagged } from './tags.ts';

/** Cluster facts that every worker writes the same; they are not summed but the largest one counts. */
const SHARED_FACTS = /^(?:membership_\w+|max_host_weight|update_\w+|version|warming_state|assignment_\w+)$/;
const SHARED_CATALOGUE = 'cluster';

/** One counter or gauge as it stands. */
export interface StatValue {
  readonly name: string;
  readonly kind: 'c' | 'g';
  readonly value: number;
  /** It was written at least once. */
  readonly used: boolean;
  /** Where its tags are kept. */
  readonly group: StatGroup;
  readonly index: number;
}

/** A catalogue under a prefix with everybody's slots. */
export interface StatGroup {
  readonly catalogue: Catalogue;
  readonly traits: CatalogueTraits;
  readonly prefix: string;
  readonly sources: Map<number, Float64Array>;
  /** Printed without traffic, and kept when its writers go. */
  declared: boolean;
  /** Counts of threads that are gone. */
  retained: Float64Array | null;
  /** Counter values at the last reset. */
  baseline: Float64Array | null;
  /** Which names the stats matcher keeps; `null` = all. */
  readonly kept: readonly boolean[] | null;
  /** Per stat, once a scrape has asked: the name without tags, and the tags as labels. Both are shared strings. */
  tagFreeNames: string[] | null;
  labels: string[] | null;
}

/** A histogram with everybody's bins. */
export interface HistogramGroup {
  readonly name: string;
  readonly sources: Map<number, { readonly bin: number; readonly slots: Float64Array }[]>;
  declared: boolean;
  retained: HistogramCounts;
  /** Cumulative counts at the last flush, and what the interval before it brought. */
  flushed: HistogramCounts;
  interval: HistogramCounts;
  buckets: readonly number[] | null;
  tagged: Tagged | null;
}

/** Adds one thread's value to the others'; −0 means "never written" and survives only among its like. */
export function combine(group: StatGroup, index: number, a: number, b: number): number {
  return group.traits.shared[index] ? Math.max(a, b) : a + b;
}

/** What follows from a catalogue alone. */
export interface CatalogueTraits {
  /** Slots in the order of their names. */
  readonly order: readonly number[];
  /** Slots that hold a fact which all threads state alike. */
  readonly shared: readonly boolean[];
}

const traitsByKey = new WeakMap<Catalogue, CatalogueTraits>();

export function traitsOf(catalogue: Catalogue): CatalogueTraits {
  let traits = traitsByKey.get(catalogue);
  if (traits === undefined) {
    const names = catalogue.names.slice(0, slotCount(catalogue));
    const mayShare = catalogue.key === SHARED_CATALOGUE;
    traits = {
      order: names.map((_, i) => i).sort((a, b) => ((names[a] as string) < (names[b] as string) ? -1 : 1)),
      shared: names.map((name) => mayShare && SHARED_FACTS.test(name)),
    };
    traitsByKey.set(catalogue, traits);
  }
  return traits;
}

export function rawValue(group: StatGroup, index: number): number {
  let value = group.retained === null ? -0 : (group.retained[index] as number);
  for (const slots of group.sources.values()) value = combine(group, index, value, slots[index] as number);
  return value;
}

export function valueAt(group: StatGroup, index: number): number {
  return rawValue(group, index) - (group.baseline === null ? 0 : (group.baseline[index] as number));
}

/**
 * What a gauge holds that stands for 2⁶⁴ − 1: numbers cannot hold that, and uses are taken off it one by one. Other gauges
 * below zero are limits that were passed, and show 0.
 */
export const WITHOUT_LIMIT = -(2 ** 52);
const UINT64_MAX = 2n ** 64n - 1n;

/** A counter or gauge as it is printed. */
export function valueText({ value }: StatValue): string {
  if (value >= 0) return `${value}`;
  return value > WITHOUT_LIMIT / 2 ? '0' : `${UINT64_MAX - BigInt(WITHOUT_LIMIT - value)}`;
}

export function addValues(group: StatGroup, into: StatValue[]): void {
  const { catalogue, prefix, baseline } = group;
  for (const index of group.traits.order) {
    if (group.kept !== null && !group.kept[index]) continue;
    const raw = rawValue(group, index);
    into.push({
      name: prefix + catalogue.names[index],
      kind: catalogue.kinds[index] as Exclude<StatKind, 'h'>,
      value: raw - (baseline === null ? 0 : (baseline[index] as number)),
      used: !Object.is(raw, -0),
      group,
      index,
    });
  }
}

export function cumulative(histogram: HistogramGroup): HistogramCounts {
  if (histogram.sources.size === 0) return histogram.retained;
  const dense = new Float64Array(BIN_COUNT);
  addCounts(dense, histogram.retained, 1);
  for (const pages of histogram.sources.values()) addPages(dense, pages);
  return sparse(dense);
}

export function addPages(
  dense: Float64Array,
  pages: readonly { readonly bin: number; readonly slots: Float64Array }[],
): void {
  for (const { bin, slots } of pages) {
    slots.forEach((count, i) => {
      dense[bin + i] = (dense[bin + i] as number) + count;
    });
  }
}

/** Groups whose names can interleave: those below the same shortest prefix. */
export function intoFamilies(groups: StatGroup[]): StatGroup[][] {
  groups.sort((a, b) => (a.prefix < b.prefix ? -1 : a.prefix > b.prefix ? 1 : 0));
  const families: StatGroup[][] = [];
  let root: string | null = null;
  for (const group of groups) {
    if (root !== null && group.prefix.startsWith(root)) (families.at(-1) as StatGroup[]).push(group);
    else {
      families.push([group]);
      root = group.prefix;
    }
  }
  return families;
}

export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
