// Stats as Envoy's `/stats?format=json` prints them: one object, no white space, numbers in their shortest form.

import { binLower, binWidth, type HistogramCounts, QUANTILES, quantiles } from './histogram.ts';
import { valueText } from './stats-group.ts';
import type { StatsQuery } from './stats-query.ts';
import { wants } from './stats-query.ts';
import type { HistogramValue, StatsRegistry } from './stats-registry.ts';
import { bucketCounts, percent, wantedHistograms } from './stats-text.ts';

/** Pieces of the answer, some of them empty: places where the caller may pause. */
export function* renderStatsJson(registry: StatsRegistry, query: StatsQuery): Generator<string> {
  registry.refresh();
  const texts = query.texts ? registry.textReadouts().filter(({ name }) => query.matches?.(name) ?? true) : [];
  let nextText = 0;
  let separator = '';
  /** @param value as JSON */
  const entry = (name: string, value: string) => {
    const text = `${separator}{"name":${JSON.stringify(name)},"value":${value}}`;
    separator = ',';
    return text;
  };
  yield '{"stats":[';
  for (const family of registry.families()) {
    let piece = '';
    for (const stat of family) {
      for (let text = texts[nextText]; text !== undefined && text.name < stat.name; text = texts[++nextText]) {
        piece += entry(text.name, JSON.stringify(text.value));
      }
      if (wants(query, stat)) piece += entry(stat.name, valueText(stat));
    }
    yield piece;
  }
  for (const text of texts.slice(nextText)) yield entry(text.name, JSON.stringify(text.value));
  const histograms = wantedHistograms(registry, query);
  if (histograms.length > 0) yield `${separator}{"histograms":${histogramsJson(histograms, query)}}`;
  yield ']}';
}

function histogramsJson(histograms: readonly HistogramValue[], query: StatsQuery): string {
  const percentiles = `[${QUANTILES.map(percent).join(',')}]`;
  switch (query.buckets) {
    case 'summary': {
      const list = histograms.map((h) => `{"name":${JSON.stringify(h.name)},"values":${quantilesJson(h)}}`);
      return `{"supported_quantiles":${percentiles},"computed_quantiles":[${list.join(',')}]}`;
    }
    case 'detailed': {
      const list = histograms.map(
        (h) =>
          `{"name":${JSON.stringify(h.name)},"totals":${binsJson(h.cumulative)},"intervals":${binsJson(h.interval)},` +
          `"percentiles":${quantilesJson(h)}}`,
      );
      return `{"supported_percentiles":${percentiles},"details":[${list.join(',')}]}`;
    }
    case 'cumulative':
    case 'disjoint': {
      const mode = query.buckets;
      return `[${histograms.map((h) => bucketsJson(h, mode)).join(',')}]`;
    }
  }
}

function quantilesJson({ cumulative, interval }: HistogramValue): string {
  const all = quantiles(cumulative, QUANTILES);
  const recent = quantiles(interval, QUANTILES);
  const list = all.map((value, i) => `{"cumulative":${number(value)},"interval":${number(recent[i] as number)}}`);
  return `[${list.join(',')}]`;
}

function bucketsJson(histogram: HistogramValue, mode: 'cumulative' | 'disjoint'): string {
  const all = bucketCounts(histogram.cumulative, histogram.buckets, mode);
  const recent = bucketCounts(histogram.interval, histogram.buckets, mode);
  const list = histogram.buckets.map(
    (bound, i) => `{"upper_bound":${number(bound)},"interval":${recent[i]},"cumulative":${all[i]}}`,
  );
  return `{"name":${JSON.stringify(histogram.name)},"buckets":[${list.join(',')}]}`;
}

function binsJson(counts: HistogramCounts): string {
  const list = counts.bins.map(
    (bin, i) => `{"lower_bound":${number(binLower(bin))},"width":${number(binWidth(bin))},"count":${counts.counts[i]}}`,
  );
  return `[${list.join(',')}]`;
}

/** The shorter of the plain and the exponent form, as C++'s `to_chars` chooses; NaN has no JSON and is null. */
function number(value: number): string {
  if (Number.isNaN(value)) return 'null';
  const plain = String(value);
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  const digits = exponent.slice(1).padStart(2, '0');
  const short = `${mantissa}e${exponent[0]}${digits}`;
  return short.length < plain.length ? short : plain;
}
