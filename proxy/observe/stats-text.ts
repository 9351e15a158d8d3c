// Stats as Envoy's `/stats` prints them in text: `name: value`, counters, gauges and texts by name, then histograms.

import { sixDigits } from '../util/number-text.ts';
import { binLower, binWidth, cumulativeCounts, type HistogramCounts, QUANTILES, quantiles } from './histogram.ts';
import { valueText } from './stats-group.ts';
import type { BucketMode, StatsQuery } from './stats-query.ts';
import { wants } from './stats-query.ts';
import type { HistogramValue, StatsRegistry } from './stats-registry.ts';

/** Pieces of the answer, some of them empty: places where the caller may pause. */
export function* renderStatsText(registry: StatsRegistry, query: StatsQuery): Generator<string> {
  registry.refresh();
  const texts = query.texts ? registry.textReadouts().filter(({ name }) => query.matches?.(name) ?? true) : [];
  let nextText = 0;
  for (const family of registry.families()) {
    let piece = '';
    for (const stat of family) {
      while (nextText < texts.length && (texts[nextText] as { name: string }).name < stat.name) {
        piece += textLine(texts[nextText++]);
      }
      if (wants(query, stat)) piece += `${stat.name}: ${valueText(stat)}\n`;
    }
    yield piece;
  }
  while (nextText < texts.length) yield textLine(texts[nextText++]);
  for (const histogram of wantedHistograms(registry, query)) {
    yield `${histogram.name}:${histogramText(histogram, query.buckets)}\n`;
  }
}

/** The histograms that a query asks for. */
export function wantedHistograms(registry: StatsRegistry, query: StatsQuery): HistogramValue[] {
  if (!query.histograms) return [];
  return registry
    .histograms()
    .filter(({ name, cumulative }) => (query.matches?.(name) ?? true) && !(query.usedOnly && isEmpty(cumulative)));
}

function isEmpty(counts: HistogramCounts): boolean {
  return counts.bins.length === 0;
}

function textLine(text: { readonly name: string; readonly value: string } | undefined): string {
  return text === undefined ? '' : `${text.name}: "${text.value}"\n`;
}

function histogramText(histogram: HistogramValue, mode: BucketMode): string {
  if (isEmpty(histogram.cumulative)) return ' No recorded values';
  switch (mode) {
    case 'summary':
      return ` ${summaryText(histogram)}`;
    case 'cumulative':
    case 'disjoint':
      return ` ${bucketText(histogram, mode)}`;
    case 'detailed':
      return (
        `\n  totals=${binsText(histogram.cumulative)}` +
        `\n  intervals=${binsText(histogram.interval)}` +
        `\n  summary=${summaryText(histogram)}`
      );
  }
}

function summaryText({ interval, cumulative }: HistogramValue): string {
  const recent = quantiles(interval, QUANTILES);
  const all = quantiles(cumulative, QUANTILES);
  return QUANTILES.map((q, i) => `P${percent(q)}(${number(recent[i])},${number(all[i])})`).join(' ');
}

function bucketText(histogram: HistogramValue, mode: 'cumulative' | 'disjoint'): string {
  const recent = bucketCounts(histogram.interval, histogram.buckets, mode);
  const all = bucketCounts(histogram.cumulative, histogram.buckets, mode);
  return histogram.buckets.map((bound, i) => `B${sixDigits(bound)}(${recent[i]},${all[i]})`).join(' ');
}

/** Counts per bucket bound; disjoint ones exclude the buckets below. */
export function bucketCounts(
  counts: HistogramCounts,
  bounds: readonly number[],
  mode: 'cumulative' | 'disjoint',
): number[] {
  const cumulative = cumulativeCounts(counts, bounds);
  if (mode === 'cumulative') return cumulative;
  return cumulative.map((count, i) => count - (i === 0 ? 0 : (cumulative[i - 1] as number)));
}

function binsText(counts: HistogramCounts): string {
  return counts.bins
    .map((bin, i) => `${sixDigits(binLower(bin))},${sixDigits(binWidth(bin))}:${counts.counts[i]}`)
    .join(', ');
}

/** `0.995` → `99.5`. */
export function percent(quantile: number): number {
  return Math.round(quantile * 1000) / 10;
}

function number(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? 'nan' : String(value);
}
