// Is what was drawn what was configured? Pearson's χ² and binomial bounds, for tests that fail one time in a thousand.

/** Values of χ² that are exceeded with a probability of 0.001, by degrees of freedom from 1. */
const CRITICAL = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124] as const;
/** Standard deviations that hold 99.9 % of a normal distribution. */
const Z_999 = 3.2905;

function critical(freedom: number): number {
  const value = CRITICAL[freedom - 1];
  if (value === undefined) throw new Error(`no table for ${freedom} degrees of freedom`);
  return value;
}

/** Whether counts may come from shares (any scale), p ≥ 0.001. */
export function fitsShares(counts: readonly number[], shares: readonly number[]): boolean {
  const total = sum(counts);
  const whole = sum(shares);
  let chi2 = 0;
  for (const [i, count] of counts.entries()) {
    const expected = (total * (shares[i] as number)) / whole;
    if (expected === 0) {
      if (count !== 0) return false;
    } else chi2 += (count - expected) ** 2 / expected;
  }
  const freedom = shares.filter((share) => share > 0).length - 1;
  return freedom === 0 || chi2 <= critical(freedom);
}

/** Whether two samples may be of the same distribution, p ≥ 0.001. */
export function sameDistribution(a: readonly number[], b: readonly number[]): boolean {
  const totals = [sum(a), sum(b)] as const;
  const all = totals[0] + totals[1];
  let chi2 = 0;
  let freedom = -1;
  for (const [i, count] of a.entries()) {
    const both = count + (b[i] as number);
    if (both === 0) continue;
    freedom++;
    const expected = [(both * totals[0]) / all, (both * totals[1]) / all] as const;
    chi2 += (count - expected[0]) ** 2 / expected[0] + ((b[i] as number) - expected[1]) ** 2 / expected[1];
  }
  return freedom <= 0 || chi2 <= critical(freedom);
}

/** Whether so many hits of `total` lie within the 99.9 % bounds of a share of 0 to 1. */
export function withinBinomial(hits: number, total: number, share: number): boolean {
  // Half a hit: the distribution is of whole numbers.
  return Math.abs(hits - total * share) <= Z_999 * Math.sqrt(total * share * (1 - share)) + 0.5;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
