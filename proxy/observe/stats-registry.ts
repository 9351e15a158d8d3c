// All stats of the process, read where the workers write them.
//
// The main thread owns the one registry. It learns what slots mean from announcements (stats-store.ts) and sums over
// threads when asked. A *group* is a catalogue under a prefix, or one single stat (its prefix is then the whole name).
// Nothing is kept per stat until a Prometheus scrape needs its tags: a mesh has a hundred thousand of them.

import type { StringMatchModel } from '../config/model/common.ts';
import type { StatsConfigModel } from '../config/model/model.ts';
import { compileStringMatch } from '../match/string.ts';
import {
  addCounts,
  BIN_COUNT,
  DEFAULT_BUCKETS,
  difference,
  type HistogramCounts,
  NO_COUNTS,
  sparse,
} from './histogram.ts';
import type { Catalogue } from './stats.ts';
import { slotCount } from './stats-catalogue.ts';
import {
  addPages,
  addValues,
  byName,
  combine,
  cumulative,
  type HistogramGroup,
  intoFamilies,
  rawValue,
  type StatGroup,
  type StatValue,
  traitsOf,
  valueAt,
} from './stats-group.ts';
import {
  binsOfPage,
  firstBin,
  ownership,
  type StatsAnnouncement,
  type StatsEntry,
  WorkerStats,
} from './stats-store.ts';
import { labelText, TagExtractor, type Tagged } from './tags.ts';

/** The main thread's own place among the writers; workers are 0 and up. */
export const MAIN_THREAD = -1;

/** Catalogues that `/stats` does not print: hosts are shown by `/clusters`. */
const HIDDEN_CATALOGUES: ReadonlySet<string> = new Set(['host']);

/** One histogram as it stands. */
export interface HistogramValue {
  readonly name: string;
  readonly cumulative: HistogramCounts;
  /** Samples of the last flush interval. */
  readonly interval: HistogramCounts;
  /** Upper bounds for bucket counts. */
  readonly buckets: readonly number[];
}

/** Strings kept for sharing; names can come from traffic. */
const SHARED_STRINGS_MAX = 50_000;

const CELLS: { readonly c: Catalogue; readonly g: Catalogue } = {
  c: { key: 'cell', names: [''], kinds: ['c'] },
  g: { key: 'cell', names: [''], kinds: ['g'] },
};

export class StatsRegistry {
  /** The main thread's own stats. */
  readonly local: WorkerStats;
  readonly #config: StatsConfigModel;
  readonly #extractor: TagExtractor;
  readonly #keeps: (name: string) => boolean;
  readonly #bucketRules: readonly { matches: (name: string) => boolean; buckets: readonly number[] }[];
  readonly #groups = new Map<string, StatGroup>();
  readonly #histograms = new Map<string, HistogramGroup>();
  readonly #textReadouts = new Map<string, string>();
  readonly #threads = new Map<number, { segments: SharedArrayBuffer[]; catalogues: Map<string, Catalogue> }>();
  readonly #refreshers: (() => void)[] = [];
  readonly #shared = new Map<string, string>();
  #families: readonly (readonly StatGroup[])[] | null = null;

  constructor(config: StatsConfigModel) {
    this.#config = config;
    this.#extractor = new TagExtractor(config);
    this.#keeps = matcher(config);
    this.#bucketRules = config.histogramBuckets.map((rule) => ({
      matches: compileStringMatch(rule.match),
      buckets: rule.buckets,
    }));
    this.local = new WorkerStats((message) => this.apply(MAIN_THREAD, message));
  }

  /** Takes a worker's announcement; in the order they were sent. */
  apply(thread: number, message: StatsAnnouncement): void {
    let known = this.#threads.get(thread);
    if (known === undefined) {
      known = { segments: [], catalogues: new Map() };
      this.#threads.set(thread, known);
    }
    for (const { id, buffer } of message.segments) known.segments[id] = buffer;
    for (const catalogue of message.catalogues) known.catalogues.set(catalogue.key, catalogue);
    for (const entry of message.entries) this.#applyEntry(thread, known, entry);
  }

  /** A worker is gone: what it counted stays, its gauges count as zero. */
  threadGone(thread: number): void {
    this.#threads.delete(thread);
    for (const group of this.#groups.values()) {
      const slots = group.sources.get(thread);
      if (slots === undefined) continue;
      group.sources.delete(thread);
      const retained = group.retained ?? new Float64Array(slots.length).fill(-0);
      group.retained = retained;
      slots.forEach((value: number, i: number) => {
        const add = group.catalogue.kinds[i] === 'c' ? value : value * 0;
        retained[i] = combine(group, i, retained[i] as number, add);
      });
    }
    for (const histogram of this.#histograms.values()) {
      if (!histogram.sources.has(thread)) continue;
      const dense = new Float64Array(BIN_COUNT);
      addCounts(dense, histogram.retained, 1);
      addPages(dense, histogram.sources.get(thread) ?? []);
      histogram.sources.delete(thread);
      histogram.retained = sparse(dense);
    }
  }

  /** Makes a catalogue's stats known, so that they are printed with zeros before anybody counts. */
  declare(catalogue: Catalogue, prefix: string): void {
    this.#group(catalogue, prefix).declared = true;
    for (let i = slotCount(catalogue); i < catalogue.names.length; i++) {
      this.#histogram(prefix + catalogue.names[i]).declared = true;
    }
  }

  /** Drops all stats under a prefix (a removed cluster or listener), whoever wrote them. */
  forget(prefix: string): void {
    this.local.forget(prefix);
    this.local.flush();
    this.#forget(prefix, null);
  }

  /** Sets a text stat, e.g. `control_plane.identifier`. */
  setText(name: string, value: string): void {
    this.#textReadouts.set(name, value);
  }

  /** Registers a function that brings the main thread's gauges (uptime, memory) up to date before they are read. */
  onRead(refresh: () => void): void {
    this.#refreshers.push(refresh);
  }

  /** Sets all counters to zero. Slots belong to their writers, so the registry remembers where zero is. */
  resetCounters(): void {
    for (const group of this.#groups.values()) {
      const baseline = new Float64Array(slotCount(group.catalogue));
      for (let i = 0; i < baseline.length; i++) {
        if (group.catalogue.kinds[i] === 'c') baseline[i] = rawValue(group, i);
      }
      group.baseline = baseline;
    }
  }

  /** Ends a flush interval: what histograms took since the last call becomes their interval. */
  flushInterval(): void {
    for (const histogram of this.#histograms.values()) {
      const now = cumulative(histogram);
      histogram.interval = difference(now, histogram.flushed);
      histogram.flushed = now;
    }
  }

  /** Brings gauges up to date; call once before reading. */
  refresh(): void {
    for (const refresh of this.#refreshers) refresh();
    this.local.flush();
  }

  /** A counter's or gauge's value by full name, `undefined` when there is none. For tests and small checks. */
  valueOf(name: string): number | undefined {
    this.local.flush();
    for (const group of this.#groups.values()) {
      if (!name.startsWith(group.prefix)) continue;
      const index = group.catalogue.names.indexOf(name.slice(group.prefix.length));
      if (index >= 0 && group.catalogue.kinds[index] !== 'h') return valueAt(group, index);
    }
    return undefined;
  }

  /** Values of a catalogue's counters and gauges under a prefix, summed over threads; zeros when unknown. */
  valuesOf(catalogue: Catalogue, prefix: string): number[] {
    const group = this.#groups.get(groupKey(catalogue, prefix));
    return Array.from({ length: slotCount(catalogue) }, (_, i) => (group === undefined ? 0 : valueAt(group, i)));
  }

  /**
   * All counters and gauges by name, in families: runs of stats with a common prefix that sort after every earlier
   * family. Callers may pause between families.
   */
  *families(): Generator<StatValue[]> {
    this.#families ??= intoFamilies([...this.#groups.values()].filter((g) => !HIDDEN_CATALOGUES.has(g.catalogue.key)));
    for (const family of this.#families) {
      const values: StatValue[] = [];
      for (const group of family) addValues(group, values);
      if (family.length > 1) values.sort(byName);
      yield values;
    }
  }

  /** All histograms by name. */
  histograms(): HistogramValue[] {
    const values: HistogramValue[] = [];
    for (const histogram of this.#histograms.values()) {
      if (!this.#keeps(histogram.name)) continue;
      histogram.buckets ??= this.#bucketsFor(histogram.name);
      values.push({
        name: histogram.name,
        cumulative: cumulative(histogram),
        interval: histogram.interval,
        buckets: histogram.buckets,
      });
    }
    return values.sort(byName);
  }

  textReadouts(): { readonly name: string; readonly value: string }[] {
    return [...this.#textReadouts].map(([name, value]) => ({ name, value })).sort(byName);
  }

  /** A counter's or gauge's name without its tags. */
  tagFreeName(stat: StatValue): string {
    return stat.group.tagFreeNames?.[stat.index] ?? this.#tag(stat).name;
  }

  /** A counter's or gauge's tags as Prometheus labels. */
  labelsOf(stat: StatValue): string {
    return stat.group.labels?.[stat.index] ?? this.#tag(stat).labels;
  }

  /** The tags of a histogram or text readout. */
  tagsOfName(name: string): Tagged {
    const histogram = this.#histograms.get(name);
    if (histogram === undefined) return this.#extractor.extract(name);
    histogram.tagged ??= this.#extractor.extract(name);
    return histogram.tagged;
  }

  #applyEntry(
    thread: number,
    known: { segments: SharedArrayBuffer[]; catalogues: Map<string, Catalogue> },
    entry: StatsEntry,
  ): void {
    switch (entry.type) {
      case 'block': {
        const catalogue = known.catalogues.get(entry.catalogue) as Catalogue;
        const slots = view(known.segments, entry.run, slotCount(catalogue));
        this.#group(catalogue, entry.prefix).sources.set(thread, slots);
        for (let i = slotCount(catalogue); i < catalogue.names.length; i++) {
          this.#histogram(entry.prefix + catalogue.names[i]);
        }
        break;
      }
      case 'cell':
        this.#group(CELLS[entry.kind], entry.name).sources.set(thread, view(known.segments, entry.run, 1));
        break;
      case 'histogram':
        this.#histogram(entry.name);
        break;
      case 'bins': {
        const slots = view(known.segments, entry.run, binsOfPage(entry.decade));
        const { sources } = this.#histogram(entry.name);
        const pages = sources.get(thread);
        if (pages === undefined) sources.set(thread, [{ bin: firstBin(entry.decade), slots }]);
        else pages.push({ bin: firstBin(entry.decade), slots });
        break;
      }
      case 'forget':
        this.#forget(entry.prefix, thread);
        break;
    }
  }

  #tag(stat: StatValue): { name: string; labels: string } {
    const { group, index } = stat;
    const tagged = this.#extractor.extract(stat.name);
    group.tagFreeNames ??= new Array(group.catalogue.names.length);
    group.labels ??= new Array(group.catalogue.names.length);
    const name = this.#share(tagged.name);
    const labels = this.#share(labelText(tagged.tags));
    group.tagFreeNames[index] = name;
    group.labels[index] = labels;
    return { name, labels };
  }

  /** The same string object for equal strings: most stats share their names and labels with many others. */
  #share(text: string): string {
    const known = this.#shared.get(text);
    if (known !== undefined) return known;
    if (this.#shared.size >= SHARED_STRINGS_MAX) this.#shared.clear();
    this.#shared.set(text, text);
    return text;
  }

  #group(catalogue: Catalogue, prefix: string): StatGroup {
    const key = groupKey(catalogue, prefix);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const keepsAll = this.#config.matcher.kind === 'all';
      group = {
        catalogue,
        traits: traitsOf(catalogue),
        prefix,
        sources: new Map(),
        declared: false,
        retained: null,
        baseline: null,
        kept: keepsAll ? null : catalogue.names.map((name) => this.#keeps(prefix + name)),
        tagFreeNames: null,
        labels: null,
      };
      this.#groups.set(key, group);
      this.#families = null;
    }
    return group;
  }

  #histogram(name: string): HistogramGroup {
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      histogram = {
        name,
        sources: new Map(),
        declared: false,
        retained: NO_COUNTS,
        flushed: NO_COUNTS,
        interval: NO_COUNTS,
        buckets: null,
        tagged: null,
      };
      this.#histograms.set(name, histogram);
    }
    return histogram;
  }

  /** Drops what one thread has under a prefix (and the stats nobody else knows of), or all of it. */
  #forget(prefix: string, thread: number | null): void {
    const blocks = [...this.#groups.values()]
      .filter((group) => group.catalogue.key !== 'cell')
      .map((group) => ({ catalogue: group.catalogue.key, prefix: group.prefix }));
    const belongs = ownership(prefix, blocks);
    for (const [key, group] of this.#groups) {
      if (!belongs(group.prefix)) continue;
      if (thread === null) group.sources.clear();
      else group.sources.delete(thread);
      if (thread === null || (group.sources.size === 0 && !group.declared)) this.#groups.delete(key);
    }
    for (const [name, histogram] of this.#histograms) {
      if (!belongs(name)) continue;
      if (thread === null) histogram.sources.clear();
      else histogram.sources.delete(thread);
      if (thread === null || (histogram.sources.size === 0 && !histogram.declared)) this.#histograms.delete(name);
    }
    this.#families = null;
  }

  #bucketsFor(name: string): readonly number[] {
    return this.#bucketRules.find((rule) => rule.matches(name))?.buckets ?? DEFAULT_BUCKETS;
  }
}

function groupKey(catalogue: Catalogue, prefix: string): string {
  return `${catalogue.key} ${prefix}`;
}

function view(
  segments: readonly SharedArrayBuffer[],
  run: { readonly segment: number; readonly offset: number },
  length: number,
): Float64Array {
  return new Float64Array(
    segments[run.segment] as SharedArrayBuffer,
    run.offset * Float64Array.BYTES_PER_ELEMENT,
    length,
  );
}

function matcher(config: StatsConfigModel): (name: string) => boolean {
  const { matcher: rule } = config;
  switch (rule.kind) {
    case 'all':
      return () => true;
    case 'none':
      return () => false;
    default: {
      const tests = rule.patterns.map((pattern: StringMatchModel) => compileStringMatch(pattern));
      const wanted = rule.kind === 'include';
      return (name) => tests.some((test) => test(name)) === wanted;
    }
  }
}
