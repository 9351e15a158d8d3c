// Bins and quantiles against libcircllhist's rules.

import fc from 'fast-check';
import t from 'tap';
import {
  BIN_COUNT,
  binLower,
  binOf,
  binWidth,
  cumulativeCounts,
  quantiles,
  sampleCount,
  sampleSum,
  sparse,
} from '../../proxy/observe/histogram.ts';

function countsOf(samples: readonly number[]) {
  const dense = new Float64Array(BIN_COUNT);
  for (const sample of samples) dense[binOf(sample)] = (dense[binOf(sample)] as number) + 1;
  return sparse(dense);
}

t.test('edges of bins', (t) => {
  const cases: [sample: number, lower: number, width: number][] = [
    [0, 0, 0],
    [-1, 0, 0],
    [Number.NaN, 0, 0],
    [0.9, 0, 0],
    [1, 1, 0.1],
    [9, 9, 0.1],
    [9.99, 9, 0.1],
    [10, 10, 1],
    [99, 99, 1],
    [100, 100, 10],
    [109, 100, 10],
    [110, 110, 10],
    [999, 990, 10],
    [1000, 1000, 100],
    [123_456_789, 120_000_000, 10_000_000],
    [9_999_999_999_999_998, 9.9e15, 1e14],
    [1e16, 9.9e15, 1e14],
    [Number.POSITIVE_INFINITY, 9.9e15, 1e14],
  ];
  for (const [sample, lower, width] of cases) {
    t.ok(Math.abs(binLower(binOf(sample)) - lower) <= lower * Number.EPSILON, `lower bound for ${sample}`);
    t.equal(binWidth(binOf(sample)), width, `width for ${sample}`);
  }
  t.end();
});

t.test('a sample lies in its bin, and bins are ordered', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (sample) => {
      const bin = binOf(sample);
      const lower = binLower(bin) * (1 - Number.EPSILON);
      const upper = (binLower(bin) + binWidth(bin)) * (1 + Number.EPSILON);
      return lower <= sample && sample < upper && binOf(sample + 1) >= bin;
    }),
  );
  for (let bin = 1; bin < BIN_COUNT; bin++) t.ok(binLower(bin) > binLower(bin - 1));
  t.end();
});

t.test('quantiles are ascending and inside the samples’ bins', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 50 }), (samples) => {
      const counts = countsOf(samples);
      const values = quantiles(counts, [0, 0.25, 0.5, 0.9, 1]);
      const last = binOf(Math.max(...samples));
      return (
        sampleCount(counts) === samples.length &&
        values.every((value, i) => i === 0 || value >= (values[i - 1] as number)) &&
        (values[0] as number) >= binLower(binOf(Math.min(...samples))) &&
        (values[4] as number) <= binLower(last) + binWidth(last)
      );
    }),
  );
  t.same(quantiles(countsOf([]), [0.5]), [Number.NaN]);
  t.end();
});

t.test('buckets count what begins at or below their bound', (t) => {
  t.same(cumulativeCounts(countsOf([0, 1, 1, 10, 100, 105, 110]), [0.5, 1, 10, 100, 1000]), [1, 3, 4, 6, 7]);
  t.equal(sampleSum(countsOf([53])), 53.495327102803735);
  t.end();
});
