// Medians, spreads, ratios and the tables they are printed in.

/** One subject's measurements in a row, by round. */
export interface Series {
  readonly label: string;
  readonly values: readonly number[];
}

/** A measured quantity of a row: every subject's series in one unit, compared with one of them. */
export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly digits: number;
  /** Label of the series that ratios are formed against. */
  readonly against: string;
  readonly series: readonly Series[];
}

export interface RowResult {
  readonly row: string;
  readonly title: string;
  readonly measures: readonly Measure[];
  readonly notes: readonly string[];
}

/** Middle value; mean of the two middle ones when even; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/**
 * Median of the ratios formed within each round, so that what slows the whole machine for a moment slows both sides;
 * NaN without a round in common.
 */
export function medianRatio(values: readonly number[], base: readonly number[]): number {
  const ratios: number[] = [];
  for (let i = 0; i < Math.min(values.length, base.length); i++)
    ratios.push((values[i] as number) / (base[i] as number));
  return median(ratios);
}

/** The row as text: one line per subject and measure, all rounds shown. */
export function renderRow(result: RowResult): string {
  const lines = ['', `== ${result.row}: ${result.title}`];
  for (const measure of result.measures) {
    const base = measure.series.find((series) => series.label === measure.against)?.values ?? [];
    const table = [['', `median ${measure.unit}`, 'min–max', `× ${measure.against}`, 'rounds']];
    for (const { label, values } of measure.series) {
      const show = (value: number): string => value.toFixed(measure.digits);
      const ratio = medianRatio(values, base);
      table.push([
        label,
        show(median(values)),
        `${show(Math.min(...values))}–${show(Math.max(...values))}`,
        Number.isNaN(ratio) ? '' : ratio.toFixed(2),
        values.map(show).join(' '),
      ]);
    }
    lines.push(`-- ${measure.name}`, renderTable(table));
  }
  for (const note of result.notes) lines.push(`   ${note}`);
  return lines.join('\n');
}

function renderTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) => {
      const cells = row.map((cell, i) =>
        i === 0 || i === row.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
      );
      return `   ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}
