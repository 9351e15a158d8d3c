// Log-linear histograms with the buckets of libcircllhist, which Envoy uses: 90 buckets a decade, two significant digits.
//
// A bin is a number: 0 holds zeros; bin `1 + 90·d + (m − 10)` holds `[m/10·10^d, (m+1)/10·10^d)` for m in 10..99.
// Samples are non-negative integers (Envoy records uint64), so nothing lies between 0 and 1.
// Rule: this file knows arithmetic only; where counts live is the store's business.

/** Buckets of one power of ten. */
export const BINS_PER_DECADE = 90;
/** Largest sample told apart is just below 10^16; larger ones fall into the last bin. */
export const DECADES = 16;
export const BIN_COUNT = 1 + DECADES * BINS_PER_DECADE;

/** The quantiles that Envoy prints. */
export const QUANTILES: readonly number[] = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1];

/** Envoy's default bucket bounds where none are configured. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

const POWERS = Array.from({ length: DECADES + 1 }, (_, exponent) => 10 ** exponent);

/** The bin of a sample; fractions are cut, negative and NaN count as 0. */
export function binOf(value: number): number {
  if (!(value >= 1)) return 0;
  let mantissa = Math.floor(value);
  if (mantissa < 10) return 1 + (mantissa - 1) * 10;
  let decade = 1;
  while (mantissa >= 100) {
    if (++decade === DECADES) return BIN_COUNT - 1;
    mantissa = Math.floor(mantissa / 10);
  }
  return 1 + decade * BINS_PER_DECADE + (mantissa - 10);
}

/** The least value of a bin. */
export function binLower(bin: number): number {
  if (bin === 0) return 0;
  const decade = Math.floor((bin - 1) / BINS_PER_DECADE);
  const mantissa = ((bin - 1) % BINS_PER_DECADE) + 10;
  // In this order of operations the result equals libcircllhist's to the last bit (1.1 · 100 = 110.00000000000001).
  return (mantissa / 10) * power(decade);
}

/** How wide a bin is; 0 for the bin of zeros. */
export function binWidth(bin: number): number {
  return bin === 0 ? 0 : power(Math.floor((bin - 1) / BINS_PER_DECADE)) / 10;
}

function power(decade: number): number {
  return POWERS[decade] as number;
}

/** Bins that have samples, ascending, and how many each. */
export interface HistogramCounts {
  readonly bins: readonly number[];
  readonly counts: readonly number[];
}

export const NO_COUNTS: HistogramCounts = { bins: [], counts: [] };

/** The non-empty bins of `dense` (`BIN_COUNT` counts). */
export function sparse(dense: Float64Array): HistogramCounts {
  const bins: number[] = [];
  const counts: number[] = [];
  for (let bin = 0; bin < dense.length; bin++) {
    const count = dense[bin] as number;
    if (count > 0) {
      bins.push(bin);
      counts.push(count);
    }
  }
  return { bins, counts };
}

/** Adds `counts` into `dense`. */
export function addCounts(dense: Float64Array, counts: HistogramCounts, sign: 1 | -1): void {
  counts.bins.forEach((bin, i) => {
    dense[bin] = (dense[bin] as number) + sign * (counts.counts[i] as number);
  });
}

/** What was sampled between two moments of one histogram. */
export function difference(now: HistogramCounts, before: HistogramCounts): HistogramCounts {
  if (before.bins.length === 0) return now;
  const dense = new Float64Array(BIN_COUNT);
  addCounts(dense, now, 1);
  addCounts(dense, before, -1);
  return sparse(dense);
}

export function sampleCount(counts: HistogramCounts): number {
  return counts.counts.reduce((sum, count) => sum + count, 0);
}

/** Estimated sum of all samples; each counts as its bin's harmonic middle, as libcircllhist does. */
export function sampleSum(counts: HistogramCounts): number {
  let sum = 0;
  counts.bins.forEach((bin, i) => {
    sum += binMiddle(bin) * (counts.counts[i] as number);
  });
  return sum;
}

/** The value that makes the relative error least over a bin. */
function binMiddle(bin: number): number {
  if (bin === 0) return 0;
  const lower = binLower(bin);
  const width = binWidth(bin);
  // In this order of operations the last bits equal libcircllhist's.
  return lower + width * (lower / (lower + (lower + width)));
}

/**
 * Quantiles (0..1, ascending) of the samples, NaN when there are none.
 *
 * The k-th of n samples in a bin is taken to lie at `lower + width · k/(n+1)`; the sample of quantile q is number
 * `ceil(q·total)`, at least 1.
 */
export function quantiles(counts: HistogramCounts, wanted: readonly number[]): number[] {
  const total = sampleCount(counts);
  if (total === 0) return wanted.map(() => Number.NaN);
  let index = 0;
  let below = 0;
  return wanted.map((q) => {
    const target = q * total;
    while (index < counts.bins.length - 1 && below + (counts.counts[index] as number) < target) {
      below += counts.counts[index] as number;
      index++;
    }
    const bin = counts.bins[index] as number;
    const place = Math.max(1, Math.ceil(target - below));
    return binLower(bin) + (binWidth(bin) * place) / ((counts.counts[index] as number) + 1);
  });
}

/** Samples at or below each bound; a bin that begins at the bound counts whole, as in libcircllhist. */
export function cumulativeCounts(counts: HistogramCounts, bounds: readonly number[]): number[] {
  let index = 0;
  let below = 0;
  return bounds.map((bound) => {
    while (index < counts.bins.length && binLower(counts.bins[index] as number) <= bound) {
      below += counts.counts[index] as number;
      index++;
    }
    return below;
  });
}
