// Builds catalogues: lists of stat names whose positions are the constants that counting code uses.
//
// Counters and gauges come first and own a slot each; histograms come last and own none (a histogram's slots are
// allocated by its first sample), so a block is as long as the counters and gauges are many.

import type { Catalogue, StatKind } from './stats.ts';

/** One stat: its constant, kind, and name below the prefix. */
export type CatalogueRow = readonly [index: number, kind: StatKind, name: string];

/**
 * Makes a catalogue from rows and checks that every row stands where its constant says.
 * @throws Error when a constant and its row disagree: a mistake in the source, met when the module loads
 */
export function catalogue(key: string, rows: readonly CatalogueRow[]): Catalogue {
  let histogramSeen = false;
  rows.forEach(([index, kind, name], position) => {
    if (index !== position)
      throw new Error(`catalogue ${key}: ${name} is row ${position} but its constant is ${index}`);
    if (kind === 'h') histogramSeen = true;
    else if (histogramSeen) throw new Error(`catalogue ${key}: ${name} stands after a histogram`);
  });
  return { key, names: rows.map((row) => row[2]), kinds: rows.map((row) => row[1]) };
}

/** How many slots a block of this catalogue has: its counters and gauges. */
export function slotCount(list: Catalogue): number {
  const firstHistogram = list.kinds.indexOf('h');
  return firstHistogram < 0 ? list.kinds.length : firstHistogram;
}
