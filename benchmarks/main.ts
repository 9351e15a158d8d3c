// `npm run bench`: this proxy beside Envoy, nginx, HAProxy and a bare relay, on one origin and one load.
// See benchmarks/README.md for how it is measured and what was measured.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../scripts/peers.ts';
import type { Row } from './drive.ts';
import { canPin, freePort, start, untilServing } from './process.ts';
import { type RowResult, renderRow } from './report.ts';
import { RIVALS, type RivalName } from './rivals.ts';
import { ROWS } from './rows.ts';
import { LOAD_CORE } from './settings.ts';

const USAGE = `Usage: npm run bench -- [options]

  --row NAME[,NAME]    rows to run (default all): ${ROWS.map((row) => row.name).join(', ')}
  --only NAME[,NAME]   rivals to run (default all): ${RIVALS.join(', ')}
  --rounds N           alternating rounds (default 5)
  --duration S         seconds of load a round (default 10; 30 for latency)
  --warmup S           seconds of load before the first round (default 3)
  --body-gib N         size of the big body (default 10, which takes 215 s a rival)
  --json FILE          where the results go (default .bench/latest.json)
  --quiet              only the tables
  --help

Quick look while working: npm run bench -- --row http1 --rounds 3 --duration 3 --only outrigger,envoy
`;

class UsageError extends Error {}

interface Options {
  readonly rows: readonly Row[];
  readonly rivals: readonly RivalName[];
  readonly rounds: number;
  readonly durationS: number;
  readonly warmupS: number;
  readonly bodyBytes: number;
  readonly json: string;
  readonly quiet: boolean;
}

function parse(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      row: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '5' },
      duration: { type: 'string', default: '0' },
      warmup: { type: 'string', default: '3' },
      'body-gib': { type: 'string', default: '10' },
      json: { type: 'string', default: join(ROOT, '.bench/latest.json') },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    rows: choose('row', values.row, ROWS, (row) => row.name),
    rivals: choose('only', values.only, RIVALS, (name) => name),
    rounds: number('rounds', values.rounds, 1),
    durationS: number('duration', values.duration, 0),
    warmupS: number('warmup', values.warmup, 1),
    bodyBytes: Math.round(number('body-gib', values['body-gib'], 0) * 1_073_741_824),
    json: values.json,
    quiet: values.quiet,
  };
}

function choose<T>(
  flag: string,
  given: readonly string[] | undefined,
  all: readonly T[],
  nameOf: (t: T) => string,
): T[] {
  if (given === undefined) return [...all];
  const wanted = given.flatMap((text) => text.split(','));
  const unknown = wanted.find((name) => !all.some((t) => nameOf(t) === name));
  if (unknown !== undefined) throw new UsageError(`--${flag} "${unknown}" is not one of ${all.map(nameOf).join(', ')}`);
  return all.filter((t) => wanted.includes(nameOf(t)));
}

function number(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!(value >= least)) throw new UsageError(`--${flag} "${text}" is not a number of at least ${least}`);
  return value;
}

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const pinning = canPin ? 'proxy on core 0, load and origin on core 1' : 'NOT pinned (one core, or no taskset)';
  return `${model}, ${availableParallelism()} cores, Linux ${release()}, Node ${process.version}; ${pinning}`;
}

async function main(options: Options): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

  const originPort = await freePort();
  const originLog = join(dir, 'origin.out');
  const origin = start(
    'origin',
    process.execPath,
    [join(ROOT, 'benchmarks/origin.ts'), String(originPort)],
    LOAD_CORE,
    originLog,
  );
  await untilServing(origin, originPort, 10_000);

  console.log(machine());
  const results: RowResult[] = [];
  const say = options.quiet ? (): void => undefined : (line: string): void => console.error(line);
  try {
    for (const row of options.rows) {
      const result = await row.run(row, { ...options, originPort, dir, say });
      results.push(result);
      console.log(renderRow(result));
    }
  } finally {
    await origin.stop();
    mkdirSync(dirname(options.json), { recursive: true });
    writeFileSync(
      options.json,
      `${JSON.stringify({ machine: machine(), date: new Date().toISOString(), results }, null, 2)}\n`,
    );
  }
  console.log(`\nresults: ${options.json}`);
  if (results.some((result) => result.notes.some((note) => note.includes('FAILED')))) process.exitCode = 1;
}

try {
  const options = parse(process.argv.slice(2));
  if (options === null) console.log(USAGE);
  else await main(options);
} catch (error) {
  const usage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  console.error(`bench: ${(error as Error).message}${usage === true ? '; see --help' : ''}`);
  process.exit(usage === true ? 2 : 1);
}
