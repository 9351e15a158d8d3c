// What a reader of stats asks for. The admin endpoint makes one from query parameters.

/** How histograms are shown. */
export type BucketMode = 'summary' | 'cumulative' | 'disjoint' | 'detailed';

export interface StatsQuery {
  /** Only stats that were written at least once. */
  readonly usedOnly: boolean;
  /** Which names to show; `null` = all. */
  readonly matches: ((name: string) => boolean) | null;
  readonly counters: boolean;
  readonly gauges: boolean;
  readonly histograms: boolean;
  readonly texts: boolean;
  readonly buckets: BucketMode;
}

export const ALL_STATS: StatsQuery = {
  usedOnly: false,
  matches: null,
  counters: true,
  gauges: true,
  histograms: true,
  texts: true,
  buckets: 'summary',
};

/** Whether a counter or gauge is asked for. */
export function wants(
  query: StatsQuery,
  stat: { readonly name: string; readonly kind: 'c' | 'g'; readonly used: boolean },
): boolean {
  if (query.usedOnly && !stat.used) return false;
  if (!(stat.kind === 'c' ? query.counters : query.gauges)) return false;
  return query.matches === null || query.matches(stat.name);
}
