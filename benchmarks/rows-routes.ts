// The row about routing: CPU per request with 10,000 routes and what comes with them, beside one route.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../scripts/peers.ts';
import { hostName, pathOf, ROUTES_HOSTS, ROUTES_PER_HOST, routesBootstrap } from './bootstrap-routes.ts';
import { CLOSED_LOOP_S, interleave, MIB, type Plan, type Row, Table, wrkLoop } from './drive.ts';
import { cpuSeconds, freePort, get, type Running, rssBytes, start, untilServing } from './process.ts';
import type { RowResult } from './report.ts';
import { LAUNCHER, type RivalName } from './rivals.ts';
import { PROXY_CORE } from './settings.ts';

const START_TIMEOUT_MS = 60_000;
/** Requests that the load repeats, spread over hosts and routes. */
const REQUESTS = 5_000;
/** Neighbours in the load are far apart in the file. */
const STRIDE = 7_919;

export const ROUTES_ROW: Row = {
  name: 'routes',
  title: `${ROUTES_HOSTS} virtual hosts × ${ROUTES_PER_HOST} routes, retries, outlier detection, idle CORS and fault filters`,
  run: routesRow,
};

interface Subject {
  readonly rival: RivalName;
  readonly full: boolean;
  readonly label: string;
  readonly port: number;
  readonly running: Running;
}

async function routesRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = [];
  const wrk = findPeer('wrk');
  if (wrk === null) return { row: row.name, title: row.title, measures: [], notes: [`left out: ${HOW_TO_GET.wrk}`] };
  const script = join(plan.dir, 'routes.lua');
  writeFileSync(script, loadScript());
  const cpu = new Table();
  const rss = new Table();
  const over = new Table();
  const subjects: Subject[] = [];
  const seconds = plan.durationS || CLOSED_LOOP_S;
  try {
    for (const rival of plan.rivals.filter((name) => name === 'outrigger' || name === 'envoy')) {
      for (const full of [true, false]) subjects.push(await startSubject(rival, full, plan));
    }
    for (const { port } of subjects) await wrkLoop(wrk, port, plan.warmupS, '/', ['-s', script]);
    const plain = new Map<string, number>();
    await interleave(plan, subjects, async (subject, round) => {
      const before = cpuSeconds(subject.running.pid);
      const requests = await wrkLoop(wrk, subject.port, seconds, '/', ['-s', script]);
      const perRequest = ((cpuSeconds(subject.running.pid) - before) / requests) * 1e6;
      cpu.add(subject.label, perRequest);
      rss.add(subject.label, rssBytes(subject.running.pid) / MIB);
      plain.set(`${subject.rival} ${subject.full} ${round}`, perRequest);
      plan.say(`${row.name} round ${round + 1}: ${subject.label} ${perRequest.toFixed(1)} µs`);
    });
    for (const { rival } of subjects.filter(({ full }) => full)) {
      for (let round = 0; round < plan.rounds; round++)
        over.add(rival, (plain.get(`${rival} true ${round}`) ?? 0) / (plain.get(`${rival} false ${round}`) ?? 0));
    }
  } finally {
    for (const { running } of subjects) await running.stop();
  }
  const measures = [
    cpu.measure('CPU per request', 'µs', 1, 'envoy'),
    over.measure('CPU over that of one route', 'ratio', 2, 'envoy'),
    rss.measure('resident memory after the round', 'MiB', 1, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

async function startSubject(rival: RivalName, full: boolean, plan: Plan): Promise<Subject> {
  const job = { port: await freePort(), adminPort: await freePort(), originPort: plan.originPort, full };
  const base = join(plan.dir, `${rival}-${job.port}`);
  writeFileSync(`${base}.json`, JSON.stringify(routesBootstrap(job)));
  const flags = ['-c', `${base}.json`, '--concurrency', '1', '-l', 'warning', '--disable-hot-restart'];
  const binary = rival === 'outrigger' ? LAUNCHER : (findPeer('envoy') ?? rival);
  const running = start(rival, binary, flags, PROXY_CORE, `${base}.out`);
  try {
    await untilServing(running, job.port, START_TIMEOUT_MS);
    if (full) await verify(rival, job.adminPort);
    return { rival, full, label: full ? rival : `${rival}, one route`, port: job.port, running };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/** Retries, outlier detection and the fault filter are there. */
async function verify(rival: RivalName, adminPort: number): Promise<void> {
  for (const name of ['ejections_active', 'active_faults', 'origin_valid', 'upstream_rq_retry']) {
    const { body } = await get(adminPort, `/stats?filter=${name}$`, 5_000);
    if (!body.includes(`.${name}: 0`)) throw new Error(`${rival} does not show ${name} in /stats`);
  }
}

/** The same requests for everybody, by index. */
function loadScript(): string {
  const lines: string[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const at = (i * STRIDE) % (ROUTES_HOSTS * ROUTES_PER_HOST);
    const host = hostName(Math.floor(at / ROUTES_PER_HOST));
    lines.push(`  wrk.format("GET", "${pathOf(at % ROUTES_PER_HOST)}", {["Host"] = "${host}"}),`);
  }
  return `local n = 0\nlocal all\ninit = function()\n  all = {\n${lines.join('\n')}\n  }\nend
request = function()\n  n = n + 1\n  if n > #all then n = 1 end\n  return all[n]\nend\n`;
}
