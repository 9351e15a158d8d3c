// The row about requests that make a further one: what a mirrored and a retried request cost beside a plain one.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../scripts/peers.ts';
import { bootstrapOf, connectionManager, everyHost, type Ports, staticCluster } from './bootstrap-frame.ts';
import { CLOSED_LOOP_S, interleave, type Plan, type Row, Table, wrkLoop } from './drive.ts';
import { cpuSeconds, freePort, get, type Running, start, untilServing } from './process.ts';
import type { RowResult } from './report.ts';
import { LAUNCHER, type RivalName } from './rivals.ts';
import { CONNECTIONS, PROXY_CORE } from './settings.ts';

const START_TIMEOUT_MS = 60_000;
/** Each of the latter two makes one further request to the origin, a retry at once. */
const PATHS = ['/small', '/small/mirrored', '/small/retried'] as const;
type Path = (typeof PATHS)[number];

export const FURTHER_ROW: Row = {
  name: 'further',
  title: 'what a mirror and a retry add: one further upstream request each',
  run: furtherRow,
};

interface Subject {
  readonly rival: RivalName;
  readonly ports: Ports;
  readonly running: Running;
}

async function furtherRow(row: Row, plan: Plan): Promise<RowResult> {
  const wrk = findPeer('wrk');
  if (wrk === null) return { row: row.name, title: row.title, measures: [], notes: [`left out: ${HOW_TO_GET.wrk}`] };
  const seconds = plan.durationS || CLOSED_LOOP_S;
  const perRequest = new Map<string, number>();
  const cpu = new Table();
  const subjects: Subject[] = [];
  try {
    for (const rival of plan.rivals) {
      if (rival === 'outrigger' || rival === 'envoy') subjects.push(await startSubject(rival, plan));
    }
    for (const { ports } of subjects) {
      for (const path of PATHS) await wrkLoop(wrk, ports.port, plan.warmupS, path);
    }
    const windows = subjects.flatMap((subject) => PATHS.map((path) => ({ ...subject, path })));
    await interleave(plan, windows, async ({ rival, ports, running, path }, round) => {
      const before = await reading(running, ports);
      const requests = await wrkLoop(wrk, ports.port, seconds, path);
      const after = await reading(running, ports);
      const further = path === '/small' ? 0 : 1;
      const strays = Math.abs(after.upstream - before.upstream - requests * (1 + further));
      // Those that wrk leaves unanswered at an end, with what they lead to, here or in the window before.
      if (strays > 4 * CONNECTIONS) throw new Error(`${rival} ${path}: ${strays} upstream requests more or less`);
      const us = ((after.cpuS - before.cpuS) / requests) * 1e6;
      perRequest.set(`${rival} ${path} ${round}`, us);
      cpu.add(path === '/small' ? rival : `${rival}, ${path.slice('/small/'.length)}`, us);
      plan.say(`${row.name} round ${round + 1}: ${rival} ${path} ${us.toFixed(1)} µs`);
    });
  } finally {
    for (const { running } of subjects) await running.stop();
  }
  const over = (path: Path): Table => {
    const table = new Table();
    for (const { rival } of subjects) {
      for (let round = 0; round < plan.rounds; round++) {
        const plain = perRequest.get(`${rival} /small ${round}`) ?? 0;
        table.add(rival, ((perRequest.get(`${rival} ${path} ${round}`) ?? 0) - plain) / plain);
      }
    }
    return table;
  };
  const measures = [
    cpu.measure('CPU per request', 'µs', 1, 'envoy'),
    over('/small/mirrored').measure('what a mirror adds, in plain requests', 'ratio', 2, 'envoy'),
    over('/small/retried').measure('what a retry adds, in plain requests', 'ratio', 2, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes: [] };
}

async function reading({ pid }: Running, { adminPort }: Ports): Promise<{ cpuS: number; upstream: number }> {
  const { body } = await get(adminPort, '/stats?filter=^cluster.origin.upstream_rq_total$', 5_000);
  return { cpuS: cpuSeconds(pid), upstream: Number(/: (\d+)/.exec(body)?.[1]) };
}

async function startSubject(rival: RivalName, plan: Plan): Promise<Subject> {
  const ports = { port: await freePort(), adminPort: await freePort() };
  const base = join(plan.dir, `${rival}-${ports.port}`);
  writeFileSync(`${base}.json`, JSON.stringify(furtherBootstrap(ports, plan.originPort)));
  const flags = ['-c', `${base}.json`, '--concurrency', '1', '-l', 'warning', '--disable-hot-restart'];
  const binary = rival === 'outrigger' ? LAUNCHER : (findPeer('envoy') ?? rival);
  const running = start(rival, binary, flags, PROXY_CORE, `${base}.out`);
  try {
    await untilServing(running, ports.port, START_TIMEOUT_MS);
    return { rival, ports, running };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

function furtherBootstrap(ports: Ports, originPort: number): object {
  const route = (path: string, more: object): object => ({
    match: { path },
    route: { cluster: 'origin', timeout: '0s', ...more },
  });
  const routes = [
    route('/small', {}),
    route('/small/mirrored', { request_mirror_policies: [{ cluster: 'origin' }] }),
    route('/small/retried', {
      retry_policy: { retry_on: '5xx', num_retries: 1, retry_back_off: { base_interval: '0.001s' } },
    }),
    { match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } },
  ];
  const host = { ...everyHost(...routes), include_request_attempt_count: true };
  const chain = { filters: [connectionManager([host])] };
  return bootstrapOf(ports, chain, [staticCluster('origin', [originPort])]);
}
