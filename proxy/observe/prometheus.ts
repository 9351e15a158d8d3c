// Stats in the Prometheus text format (version 0.0.4), with Envoy's names: `envoy_` and the name without its tags, the
// tags as labels, one `# TYPE` line a name; counters first, then gauges, texts and histograms, each by name.

import { cumulativeCounts, QUANTILES, quantiles, sampleCount, sampleSum } from './histogram.ts';
import { type StatValue, valueText } from './stats-group.ts';
import type { StatsQuery } from './stats-query.ts';
import { wants } from './stats-query.ts';
import type { HistogramValue, StatsRegistry } from './stats-registry.ts';
import { wantedHistograms } from './stats-text.ts';
import { labelText } from './tags.ts';

/** Stats looked at between two pauses. */
const STATS_PER_PIECE = 500;
/** Text of a metric with many stats is handed on in pieces of about so many characters. */
const PIECE_CHARS = 32 * 1024;

/** Options beside the common query. */
export interface PrometheusQuery extends StatsQuery {
  /** Print texts as gauges of value 0 with a `text_value` label. */
  readonly textReadouts: boolean;
}

/** Pieces of the answer, some of them empty: places where the caller may pause. */
export function* renderPrometheus(registry: StatsRegistry, query: PrometheusQuery): Generator<string> {
  registry.refresh();
  const counters = new Map<string, StatValue[]>();
  const gauges = new Map<string, StatValue[]>();
  let looked = 0;
  for (const family of registry.families()) {
    for (const stat of family) {
      if (wants(query, stat)) addTo(stat.kind === 'c' ? counters : gauges, registry.tagFreeName(stat), stat);
    }
    looked += family.length;
    if (looked >= STATS_PER_PIECE) {
      looked = 0;
      yield '';
    }
  }
  yield* scalars(registry, counters, 'counter');
  yield* scalars(registry, gauges, 'gauge');
  if (query.textReadouts) yield* texts(registry, query);
  yield* histograms(registry, query);
}

function* scalars(
  registry: StatsRegistry,
  byName: Map<string, StatValue[]>,
  type: 'counter' | 'gauge',
): Generator<string> {
  for (const name of [...byName.keys()].sort()) {
    const metric = metricName(name);
    let piece = `# TYPE ${metric} ${type}\n`;
    for (const stat of byName.get(name) ?? []) {
      piece += `${metric}{${registry.labelsOf(stat)}} ${valueText(stat)}\n`;
      if (piece.length >= PIECE_CHARS) {
        yield piece;
        piece = '';
      }
    }
    yield piece;
  }
}

function* texts(registry: StatsRegistry, query: PrometheusQuery): Generator<string> {
  const byName = new Map<string, string[]>();
  for (const { name, value } of registry.textReadouts()) {
    if (!(query.matches?.(name) ?? true)) continue;
    const tagged = registry.tagsOfName(name);
    addTo(byName, tagged.name, labelText([...tagged.tags, { name: 'text_value', value }]));
  }
  for (const name of [...byName.keys()].sort()) {
    const metric = metricName(name);
    const lines = (byName.get(name) ?? []).map((label) => `${metric}{${label}} 0\n`);
    yield `# TYPE ${metric} gauge\n${lines.join('')}`;
  }
}

function* histograms(registry: StatsRegistry, query: PrometheusQuery): Generator<string> {
  let looked = 0;
  const byName = new Map<string, { histogram: HistogramValue; own: string }[]>();
  for (const histogram of wantedHistograms(registry, query)) {
    const tagged = registry.tagsOfName(histogram.name);
    addTo(byName, tagged.name, { histogram, own: labelText(tagged.tags) });
    if (++looked % STATS_PER_PIECE === 0) yield '';
  }
  const summary = query.buckets === 'summary';
  for (const name of [...byName.keys()].sort()) {
    const metric = metricName(name);
    let piece = `# TYPE ${metric} ${summary ? 'summary' : 'histogram'}\n`;
    for (const { histogram, own } of byName.get(name) ?? []) {
      piece += summary ? summaryLines(metric, own, histogram) : bucketLines(metric, own, histogram);
      if (piece.length >= PIECE_CHARS) {
        yield piece;
        piece = '';
      }
    }
    yield piece;
  }
}

function bucketLines(metric: string, own: string, { cumulative, buckets }: HistogramValue): string {
  const before = own === '' ? '' : `${own},`;
  const total = sampleCount(cumulative);
  let text = '';
  cumulativeCounts(cumulative, buckets).forEach((count, i) => {
    text += `${metric}_bucket{${before}le="${decimal(buckets[i] as number)}"} ${count}\n`;
  });
  text += `${metric}_bucket{${before}le="+Inf"} ${total}\n`;
  return `${text}${metric}_sum{${own}} ${decimal(sampleSum(cumulative))}\n${metric}_count{${own}} ${total}\n`;
}

/** A summary speaks of the last flush interval, as in Envoy. */
function summaryLines(metric: string, own: string, { interval }: HistogramValue): string {
  const before = own === '' ? '' : `${own},`;
  let text = '';
  quantiles(interval, QUANTILES).forEach((value, i) => {
    text += `${metric}{${before}quantile="${QUANTILES[i]}"} ${Number.isNaN(value) ? 'nan' : decimal(value)}\n`;
  });
  return `${text}${metric}_sum{${own}} ${decimal(sampleSum(interval))}\n${metric}_count{${own}} ${sampleCount(interval)}\n`;
}

function metricName(name: string): string {
  return `envoy_${name.replace(/[^a-zA-Z0-9_]/g, '_')}`;
}

/** The exact value to 32 significant digits, as Envoy prints it. */
function decimal(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toPrecision(32).replace(/\.?0+$/, '');
}

function addTo<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
