// Time of small calls, for the micro benchmarks.
//
// Slices are short, so that most of them pass without being interrupted, and taken by the wall clock: the CPU clock of a
// thread ticks every few milliseconds, a hundred thousand times what is measured.

/** Slices of which the median is taken. */
export const SLICES = 300;
/** Wall time of one. */
export const SLICE_US = 2_000;
/** Slices before, in which the code is compiled. */
const WARM_UP = 100;

/** Results are added up here, so that nothing measured can be optimised away. */
export let sink = 0;

/** Median nanoseconds of one call. */
export function measure(call: (i: number) => number): number {
  return measureTogether([call])[0] as number;
}

/** Of several that are compared: they take turns, so that what else the machine does meets all of them. */
export function measureTogether(calls: readonly ((i: number) => number)[]): number[] {
  const all = calls.map((call) => ({ call, count: 10, samples: [] as number[] }));
  for (let slice = -WARM_UP; slice < SLICES; slice++) {
    for (const one of all) {
      const ns = time(one.call, one.count);
      if (slice >= 0) one.samples.push(ns);
      else one.count = Math.max(10, Math.round((SLICE_US * 1e3) / ns));
    }
  }
  return all.map(({ samples }) => samples.sort((a, b) => a - b)[samples.length >> 1] as number);
}

/** Nanoseconds of a call in one slice. */
function time(call: (i: number) => number, count: number): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) sink += call(i);
  return Number(process.hrtime.bigint() - start) / count;
}

/** Prints a line of figures. */
export function row(name: string, cells: readonly (number | null)[]): void {
  const shown = cells.map((ns) => (ns === null ? '' : ns.toFixed(ns < 100 ? 1 : 0)).padStart(10));
  process.stdout.write(`${name.padEnd(44)}${shown.join('')}\n`);
}
