// `/stats` and `/stats/prometheus`: from query parameters to an answer.

import { renderPrometheus } from '../observe/prometheus.ts';
import { renderStatsJson } from '../observe/stats-json.ts';
import type { BucketMode, StatsQuery } from '../observe/stats-query.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import { renderStatsText } from '../observe/stats-text.ts';
import { html, json, text } from './admin-answer.ts';
import { renderStatsHtml } from './admin-html.ts';
import { adminRegex } from './admin-regex.ts';
import type { AdminResponse } from './admin-state.ts';

/** A bad parameter, as text for a 400. */
class BadParameter extends Error {}

const TYPES: ReadonlyMap<string, Pick<StatsQuery, 'counters' | 'gauges' | 'histograms' | 'texts'>> = new Map([
  ['All', { counters: true, gauges: true, histograms: true, texts: true }],
  ['Counters', { counters: true, gauges: false, histograms: false, texts: false }],
  ['Gauges', { counters: false, gauges: true, histograms: false, texts: false }],
  ['Histograms', { counters: false, gauges: false, histograms: true, texts: false }],
  ['TextReadouts', { counters: false, gauges: false, histograms: false, texts: true }],
]);

const BUCKETS: ReadonlyMap<string, BucketMode | 'prometheusnative'> = new Map([
  ['', 'summary'],
  ['none', 'summary'],
  ['summary', 'summary'],
  ['cumulative', 'cumulative'],
  ['disjoint', 'disjoint'],
  ['detailed', 'detailed'],
  ['prometheusnative', 'prometheusnative'],
] as const);

/** `/stats`. */
export function handleStats(query: ReadonlyMap<string, string>, stats: StatsRegistry): AdminResponse {
  return refusable(() => {
    const format = query.get('format') ?? 'text';
    switch (format) {
      case 'text':
        return text(renderStatsText(stats, readQuery(query)));
      case 'json':
        return json(renderStatsJson(stats, readQuery(query)));
      case 'prometheus':
        return prometheus(query, stats);
      case 'html':
      case 'active-html':
        return html(renderStatsHtml(renderStatsText(stats, readQuery(query))));
      default:
        throw new BadParameter('usage: /stats?format=(html|active-html|json|prometheus|text)\n\n');
    }
  });
}

/** `/stats/prometheus`. */
export function handlePrometheus(query: ReadonlyMap<string, string>, stats: StatsRegistry): AdminResponse {
  return refusable(() => prometheus(query, stats));
}

function prometheus(query: ReadonlyMap<string, string>, stats: StatsRegistry): AdminResponse {
  const asked = readQuery(query);
  const buckets = query.get('histogram_buckets') ?? '';
  if (buckets === 'prometheusnative') {
    throw new BadParameter('unsupported prometheusnative histogram type when not using protobuf exposition format');
  }
  if (asked.buckets === 'disjoint' || asked.buckets === 'detailed') {
    throw new BadParameter('unsupported prometheus histogram bucket mode');
  }
  return text(
    renderPrometheus(stats, {
      ...asked,
      buckets: buckets === '' ? 'cumulative' : asked.buckets,
      textReadouts: query.has('text_readouts'),
    }),
  );
}

function readQuery(query: ReadonlyMap<string, string>): StatsQuery {
  const buckets = BUCKETS.get(query.get('histogram_buckets') ?? '');
  if (buckets === undefined) {
    throw new BadParameter('usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n');
  }
  const types = TYPES.get(query.get('type') ?? 'All');
  if (types === undefined) throw new BadParameter('invalid &type= param');
  const hidden = query.get('hidden') ?? 'exclude';
  if (hidden !== 'include' && hidden !== 'only' && hidden !== 'exclude') {
    throw new BadParameter('usage: /stats?hidden=(include|only|exclude)\n\n');
  }
  return {
    ...types,
    usedOnly: query.has('usedonly'),
    matches: hidden === 'only' ? () => false : readFilter(query),
    buckets: buckets === 'prometheusnative' ? 'summary' : buckets,
  };
}

function readFilter(query: ReadonlyMap<string, string>): ((name: string) => boolean) | null {
  const pattern = query.get('filter') ?? '';
  if (pattern === '') return null;
  const regex = adminRegex(pattern);
  if ('refused' in regex) throw new BadParameter(`Invalid re2 regex: ${regex.refused}`);
  return query.has('invert_filter') ? (name) => !regex.test(name) : regex.test;
}

function refusable(answer: () => AdminResponse): AdminResponse {
  try {
    return answer();
  } catch (error) {
    if (error instanceof BadParameter) return text(error.message, 400);
    throw error;
  }
}
