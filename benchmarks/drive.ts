// What rows share: the plan, the rounds, the tables they fill, and the generators that drive load.

import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPeer, ROOT } from '../scripts/peers.ts';
import type { LoadResult } from './load.ts';
import { canPin } from './process.ts';
import type { Measure, RowResult, Series } from './report.ts';
import type { RivalName } from './rivals.ts';
import { CONNECTIONS, LOAD_CORE } from './settings.ts';

const run = promisify(execFile);

const LOAD_GRACE_S = 15;
const IDLE_TIMEOUT_MS = 120_000;
export const MIB = 1_048_576;
/** Seconds of a round, unless the plan says otherwise. */
export const CLOSED_LOOP_S = 10;
export const OPEN_LOOP_S = 30;

export interface Plan {
  readonly rivals: readonly RivalName[];
  readonly rounds: number;
  /** Seconds a round of load lasts; 0 = the row's own default. */
  readonly durationS: number;
  readonly warmupS: number;
  readonly bodyBytes: number;
  readonly originPort: number;
  readonly dir: string;
  readonly say: (line: string) => void;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly run: (row: Row, plan: Plan) => Promise<RowResult>;
}

/** Runs `each` for every subject in every round, the order turning so that nobody is always first. */
export async function interleave<T>(
  plan: Plan,
  subjects: readonly T[],
  each: (subject: T, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < plan.rounds; round++) {
    for (let i = 0; i < subjects.length; i++) await each(subjects[(i + round) % subjects.length] as T, round);
  }
}

/** The values of one quantity by subject, filled round by round. */
export class Table {
  private readonly byLabel = new Map<string, number[]>();

  add(label: string, value: number): void {
    const values = this.byLabel.get(label);
    if (values === undefined) this.byLabel.set(label, [value]);
    else values.push(value);
  }

  measure(name: string, unit: string, digits: number, against: string): Measure {
    const series: Series[] = [];
    for (const [label, values] of this.byLabel) series.push({ label, values });
    return { name, unit, digits, against, series };
  }
}

// === Load ===

export async function load(args: readonly string[], seconds: number): Promise<string> {
  const program = [process.execPath, join(ROOT, 'benchmarks/load.ts'), ...args];
  const { stdout } = await pinned(program, seconds);
  return stdout;
}

export function pinned(program: readonly string[], seconds: number): Promise<{ stdout: string }> {
  const taskset = canPin ? findPeer('taskset') : null;
  const all = taskset === null ? program : [taskset, '-c', String(LOAD_CORE), ...program];
  return run(all[0] as string, all.slice(1), { timeout: Math.ceil((seconds + LOAD_GRACE_S) * 1_000) });
}

/** Closed loop of 32 connections; the requests answered with 200. */
export async function closedLoop(port: number, seconds: number): Promise<number> {
  const wrk = findPeer('wrk');
  if (wrk === null) {
    const result = JSON.parse(
      await load(['closed', String(port), String(seconds), String(CONNECTIONS)], seconds),
    ) as LoadResult;
    if (result.errors > 0) throw new Error(`${result.errors} requests failed under load`);
    return result.requests;
  }
  return wrkLoop(wrk, port, seconds);
}

/**
 * Closed loop of 32 connections by wrk; the requests answered with 200.
 * @param more arguments
 */
export async function wrkLoop(
  wrk: string,
  port: number,
  seconds: number,
  path = '/',
  more: readonly string[] = [],
): Promise<number> {
  const url = `http://127.0.0.1:${port}${path}`;
  const { stdout } = await pinned([wrk, '-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, ...more, url], seconds);
  const requests = /(\d+) requests in/.exec(stdout);
  if (requests === null || /Socket errors|Non-2xx/.test(stdout)) throw new Error(`wrk reports:\n${stdout}`);
  return Number(requests[1]);
}

/** Opens the connections, reads memory while they are open, closes them. */
export function holdIdle(program: readonly string[], rss: () => number): Promise<{ answered: number; rss: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...program], { stdio: ['pipe', 'pipe', 'inherit'] });
    let text = '';
    let held: { answered: number; rss: number } | null = null;
    const timer = setTimeout(() => child.kill('SIGKILL'), IDLE_TIMEOUT_MS);
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const ready = /ready (\d+)/.exec(text);
      if (ready === null || held !== null) return;
      held = { answered: Number(ready[1]), rss: rss() };
      child.stdin.end();
    });
    child.on('exit', () => {
      clearTimeout(timer);
      if (held === null) reject(new Error(`the idle client ended before its connections were answered`));
      else resolve(held);
    });
  });
}
