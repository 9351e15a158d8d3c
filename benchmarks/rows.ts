// The rows of the benchmark: what is set up, what is driven through it, what is read off.

import { join } from 'node:path';
import { findPeer, ROOT } from '../scripts/peers.ts';
import {
  CLOSED_LOOP_S,
  closedLoop,
  holdIdle,
  interleave,
  load,
  MIB,
  OPEN_LOOP_S,
  type Plan,
  type Row,
  Table,
} from './drive.ts';
import type { LoadResult } from './load.ts';
import { cpuSeconds, rssBytes, sleep } from './process.ts';
import type { Measure, RowResult } from './report.ts';
import { type Job, type RivalName, type Subject, startRival, whyAbsent } from './rivals.ts';
import { FURTHER_ROW } from './rows-further.ts';
import { PROTOCOL_ROWS } from './rows-protocols.ts';
import { ROUTES_ROW } from './rows-routes.ts';
import { ANY_CORE, IDLE_CONNECTIONS, OPEN_RATE, SLOW_READER_BYTES_PER_S } from './settings.ts';

const HTTP: Job = { kind: 'http', accessLog: false, mesh: false };
const MESH: Job = { ...HTTP, mesh: true };
const RSS_SAMPLE_MS = 250;

export const ROWS: readonly Row[] = [
  { name: 'http1', title: 'HTTP/1.1 keep-alive, 32 connections, 100 B', run: closedLoopRow([HTTP]) },
  {
    name: 'http1-log',
    title: 'the same with JSON access log, request id and stats',
    run: closedLoopRow([{ ...HTTP, accessLog: true }]),
  },
  { name: 'tcp', title: 'TCP proxy, same traffic', run: closedLoopRow([{ ...HTTP, kind: 'tcp' }]) },
  {
    name: 'http1-mesh',
    title: 'CPU with the mesh file (1,000 clusters × 10 hosts, 1,000 virtual hosts) beside the bare one',
    run: closedLoopRow([HTTP, MESH]),
  },
  { name: 'latency', title: `open loop, ${OPEN_RATE} requests/s`, run: latencyRow },
  { name: 'start', title: 'start and memory, bare and with the mesh file', run: startRow },
  { name: 'body', title: 'one big body through a reader of 50 MB/s', run: bodyRow },
  { name: 'idle', title: `${IDLE_CONNECTIONS} idle connections`, run: idleRow },
  ROUTES_ROW,
  FURTHER_ROW,
  ...PROTOCOL_ROWS,
];

// === Setting up ===

async function startAll(plan: Plan, jobs: readonly Job[], notes: string[], core?: number): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const rival of plan.rivals) {
    for (const job of jobs) {
      const absent = whyAbsent(rival, job);
      if (absent !== null) {
        notes.push(`${rival}${job.mesh ? ', mesh file' : ''}: left out, ${absent}`);
        continue;
      }
      try {
        subjects.push(await startRival(rival, job, plan.originPort, plan.dir, core));
      } catch (error) {
        notes.push(`${rival}: FAILED, ${(error as Error).message}`);
      }
    }
  }
  return subjects;
}

async function stopAll(subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) await subject.running.stop();
}

function closedLoopRow(jobs: readonly Job[]): Row['run'] {
  return async (row, plan) => {
    const notes: string[] = [findPeer('wrk') === null ? 'load: own generator (wrk is absent)' : 'load: wrk'];
    const comparable = jobs.length > 1 ? plan.rivals.filter((rival) => whyAbsent(rival, MESH) === null) : plan.rivals;
    const subjects = await startAll({ ...plan, rivals: comparable }, jobs, notes);
    const seconds = plan.durationS || CLOSED_LOOP_S;
    const cpu = new Table();
    const rate = new Table();
    const rss = new Table();
    try {
      for (const subject of subjects) await closedLoop(subject.port, plan.warmupS);
      await interleave(plan, subjects, async (subject, round) => {
        const before = cpuSeconds(subject.running.pid);
        const requests = await closedLoop(subject.port, seconds);
        const used = cpuSeconds(subject.running.pid) - before;
        const perRequest = (used / requests) * 1e6;
        cpu.add(subject.label, perRequest);
        rate.add(subject.label, requests / seconds);
        rss.add(subject.label, rssBytes(subject.running.pid) / MIB);
        plan.say(
          `${row.name} round ${round + 1}: ${subject.label} ${perRequest.toFixed(1)} µs, ${(requests / seconds).toFixed(0)}/s`,
        );
      });
    } finally {
      await stopAll(subjects);
    }
    const measures = [
      cpu.measure('CPU per request', 'µs', 1, 'envoy'),
      rate.measure('requests a second', '/s', 0, 'envoy'),
      rss.measure('resident memory after the round', 'MiB', 1, 'envoy'),
    ];
    if (jobs.length > 1) measures.push(meshOverBare(cpu));
    return { row: row.name, title: row.title, measures, notes };
  };
}

/** Each rival's CPU with the mesh file over its own with the bare file, round by round. */
function meshOverBare(cpu: Table): Measure {
  const ratios = new Table();
  const { series } = cpu.measure('', '', 0, '');
  for (const { label, values } of series) {
    const mesh = series.find((other) => other.label === `${label}, mesh file`);
    if (mesh === undefined) continue;
    for (const [i, value] of values.entries()) ratios.add(label, (mesh.values[i] ?? Number.NaN) / value);
  }
  return ratios.measure('CPU with the mesh file over the bare one', 'ratio', 2, 'envoy');
}

async function latencyRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = [];
  const subjects = await startAll(plan, [HTTP], notes);
  const seconds = plan.durationS || OPEN_LOOP_S;
  const tables = { p50Ms: new Table(), p90Ms: new Table(), p99Ms: new Table(), p999Ms: new Table() };
  const cpu = new Table();
  const lag = new Table();
  try {
    // Compilation of the hot path needs as many requests as a closed loop gives in its warm-up.
    for (const subject of subjects) await closedLoop(subject.port, plan.warmupS);
    await interleave(plan, subjects, async (subject, round) => {
      const before = cpuSeconds(subject.running.pid);
      const text = await load(['open', String(subject.port), String(seconds), String(OPEN_RATE)], seconds);
      const result = JSON.parse(text) as LoadResult;
      if (result.errors > 0) notes.push(`${subject.label} round ${round + 1}: ${result.errors} requests FAILED`);
      const used = cpuSeconds(subject.running.pid) - before;
      for (const key of ['p50Ms', 'p90Ms', 'p99Ms', 'p999Ms'] as const) tables[key].add(subject.label, result[key]);
      cpu.add(subject.label, (used / result.requests) * 1e6);
      lag.add(subject.label, result.lagMs);
      plan.say(
        `${row.name} round ${round + 1}: ${subject.label} p50 ${result.p50Ms.toFixed(2)} p99 ${result.p99Ms.toFixed(2)} ms`,
      );
    });
  } finally {
    await stopAll(subjects);
  }
  const measures = [
    tables.p50Ms.measure('p50', 'ms', 3, 'envoy'),
    tables.p90Ms.measure('p90', 'ms', 3, 'envoy'),
    tables.p99Ms.measure('p99', 'ms', 3, 'envoy'),
    tables.p999Ms.measure('p99.9', 'ms', 3, 'envoy'),
    cpu.measure('CPU per request', 'µs', 1, 'envoy'),
    lag.measure("p99 of the generator's own lateness (not part of the above)", 'ms', 3, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

// === Memory and start ===

async function startRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = ['start: from spawning the process, on any core, to the first answered request'];
  const kinds = [
    { job: HTTP, name: 'bare', ready: new Table(), cpu: new Table(), memory: new Table() },
    { job: MESH, name: 'mesh file', ready: new Table(), cpu: new Table(), memory: new Table() },
  ];
  for (let round = 0; round < plan.rounds; round++) {
    for (const { job, name, ready, cpu, memory } of kinds) {
      const here: string[] = [];
      for (let i = 0; i < plan.rivals.length; i++) {
        const rival = plan.rivals[(i + round) % plan.rivals.length] as RivalName;
        const subjects = await startAll({ ...plan, rivals: [rival] }, [job], here, ANY_CORE);
        for (const subject of subjects) {
          // Memory is read a second later: what a start leaves behind for a moment is not what a pod pays.
          await sleep(1_000);
          ready.add(rival, subject.readyMs);
          cpu.add(rival, subject.readyCpuMs);
          memory.add(rival, rssBytes(subject.running.pid) / MIB);
          plan.say(`${row.name} round ${round + 1}: ${rival} ${name} ${subject.readyMs.toFixed(0)} ms`);
        }
        await stopAll(subjects);
      }
      if (round === 0) notes.push(...here);
    }
  }
  const measures = kinds.flatMap(({ name, ready, cpu, memory }) => [
    ready.measure(`start to first answer, ${name}`, 'ms', 0, 'envoy'),
    cpu.measure(`CPU until then, ${name}`, 'ms', 0, 'envoy'),
    memory.measure(`resident memory after start, ${name}`, 'MiB', 1, 'envoy'),
  ]);
  return { row: row.name, title: row.title, measures, notes };
}

async function bodyRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = [`${(plan.bodyBytes / (1_024 * MIB)).toFixed(2)} GiB, one round`];
  const subjects = await startAll(plan, [HTTP], notes);
  const growth = new Table();
  const steady = new Table();
  const cpu = new Table();
  const seconds = plan.bodyBytes / SLOW_READER_BYTES_PER_S;
  try {
    for (const subject of subjects) {
      const start = rssBytes(subject.running.pid);
      await load(['slow', String(subject.port), String(64 * MIB), String(SLOW_READER_BYTES_PER_S)], seconds);
      const base = rssBytes(subject.running.pid);
      const before = cpuSeconds(subject.running.pid);
      let peak = base;
      const sampler = setInterval(() => {
        peak = Math.max(peak, rssBytes(subject.running.pid));
      }, RSS_SAMPLE_MS);
      try {
        await load(['slow', String(subject.port), String(plan.bodyBytes), String(SLOW_READER_BYTES_PER_S)], seconds);
      } finally {
        clearInterval(sampler);
      }
      growth.add(subject.label, (peak - start) / MIB);
      steady.add(subject.label, (peak - base) / MIB);
      cpu.add(subject.label, ((cpuSeconds(subject.running.pid) - before) / (plan.bodyBytes / MIB)) * 1e6);
      plan.say(`${row.name}: ${subject.label} grew ${((peak - start) / MIB).toFixed(1)} MiB`);
    }
  } finally {
    await stopAll(subjects);
  }
  const measures = [
    growth.measure('growth of resident memory since start', 'MiB', 1, 'envoy'),
    steady.measure('growth after the first 64 MiB', 'MiB', 1, 'envoy'),
    cpu.measure('CPU per MiB', 'µs', 1, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

/** Opens the connections, and closes them when its input ends. */
function idleProgram(port: number): readonly string[] {
  return [join(ROOT, 'benchmarks/load.ts'), 'idle', String(port), String(IDLE_CONNECTIONS)];
}

async function idleRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = ['each connection made one request before it fell silent'];
  const perConnection = new Table();
  for (const rival of plan.rivals) {
    const subjects = await startAll({ ...plan, rivals: [rival] }, [HTTP], notes);
    for (const subject of subjects) {
      const before = rssBytes(subject.running.pid);
      const held = await holdIdle(idleProgram(subject.port), () => rssBytes(subject.running.pid));
      const ended = subject.running.exited();
      if (ended !== null) notes.push(`${subject.label}: FAILED, ended: ${ended}`);
      if (held.answered < IDLE_CONNECTIONS) notes.push(`${subject.label}: only ${held.answered} connections answered`);
      perConnection.add(subject.label, (held.rss - before) / held.answered / 1_024);
      plan.say(
        `${row.name}: ${subject.label} ${((held.rss - before) / held.answered / 1_024).toFixed(1)} KiB a connection`,
      );
    }
    await stopAll(subjects);
  }
  return {
    row: row.name,
    title: row.title,
    measures: [perConnection.measure('memory per connection', 'KiB', 1, 'envoy')],
    notes,
  };
}
