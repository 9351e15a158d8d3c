// CPU time of small calls, for the micro benchmarks.

/** Rounds of which the median is taken. */
export const ROUNDS = 7;
/** CPU time of this thread, so that a busy machine disturbs less. */
export const ROUND_US = 60_000;

/** Results are added up here, so that nothing measured can be optimised away. */
export let sink = 0;

/** Median CPU nanoseconds of one call. */
export function measure(call: (i: number) => number): number {
  return measureTogether([call])[0] as number;
}

/** Of several that are compared: they take turns, so that what else the machine does meets all of them. */
export function measureTogether(calls: readonly ((i: number) => number)[]): number[] {
  const all = calls.map((call) => ({ call, batch: 1_000, samples: [] as number[] }));
  for (let round = -2; round < ROUNDS; round++) {
    for (const one of all) {
      const ns = time(one.call, one.batch);
      if (round >= 0) one.samples.push(ns);
      one.batch = Math.max(10, Math.min(100_000, Math.round(1e6 / ns)));
    }
  }
  return all.map(({ samples }) => samples.sort((a, b) => a - b)[samples.length >> 1] as number);
}

/** CPU nanoseconds of a call in one round. @param batch calls between two looks at the clock */
function time(call: (i: number) => number, batch: number): number {
  const start = process.threadCpuUsage();
  let calls = 0;
  let spentUs = 0;
  while (spentUs < ROUND_US) {
    for (let i = 0; i < batch; i++) sink += call(calls + i);
    calls += batch;
    const { user, system } = process.threadCpuUsage(start);
    spentUs = user + system;
  }
  return (spentUs * 1e3) / calls;
}

/** Prints a line of figures. */
export function row(name: string, cells: readonly (number | null)[]): void {
  const shown = cells.map((ns) => (ns === null ? '' : ns.toFixed(ns < 100 ? 1 : 0)).padStart(10));
  process.stdout.write(`${name.padEnd(44)}${shown.join('')}\n`);
}
