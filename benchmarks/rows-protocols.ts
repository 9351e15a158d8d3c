// The rows about protocols: HTTP/2, gRPC, mutual TLS between two sidecars, handshakes. Only proxies that read an Envoy
// bootstrap take part; each is measured with the same file.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findPeer, HOW_TO_GET, ROOT } from '../scripts/peers.ts';
import { clientIdentity, type ProxyJob, protocolBootstrap } from './bootstrap-protocols.ts';
import {
  CLOSED_LOOP_S,
  closedLoop,
  holdIdle,
  interleave,
  load,
  MIB,
  OPEN_LOOP_S,
  type Plan,
  pinned,
  type Row,
  Table,
} from './drive.ts';
import type { LoadResult } from './load.ts';
import type { HandshakeResult } from './load-tls.ts';
import { cpuSeconds, freePort, type Running, rssBytes, sleep, start, untilServing } from './process.ts';
import type { RowResult } from './report.ts';
import { LAUNCHER, type RivalName } from './rivals.ts';
import {
  HOST_BODY,
  HTTP2_CONNECTIONS,
  HTTP2_STREAMS,
  IDLE_TLS_CONNECTIONS,
  LOAD_CORE,
  OPEN_RATE,
  PROXY_CORE,
  SLOW_READER_BYTES_PER_S,
} from './settings.ts';

type Speaks = 'http1' | 'http2';
const START_TIMEOUT_MS = 60_000;
const LISTENING_MS = 300;
const RSS_SAMPLE_MS = 250;
/** Read before the body that counts. */
const WARMING_BYTES = 64 * MIB;

/** One proxy, or the client's and the server's sidecar of a call. */
interface Subject {
  readonly label: RivalName;
  readonly port: number;
  readonly processes: readonly Running[];
}

interface Setup {
  readonly kind: 'http' | 'tcp';
  readonly upstream: Speaks;
  /** Two proxies with mutual TLS between them; `upstream` is what they speak to each other. */
  readonly pair: boolean;
  /** One proxy that clients reach by mutual TLS. */
  readonly serverTls: boolean;
}

const CLEAR: Setup = { kind: 'http', upstream: 'http1', pair: false, serverTls: false };
const PAIR: Setup = { ...CLEAR, pair: true };

/** Drives one round; returns how many requests were answered. */
type Drive = (subject: Subject, seconds: number) => Promise<number>;

export const PROTOCOL_ROWS: readonly Row[] = [
  {
    name: 'http2',
    title: `HTTP/2 to HTTP/2, ${HTTP2_CONNECTIONS} × ${HTTP2_STREAMS} streams, 100 B`,
    run: cpuRow({ ...CLEAR, upstream: 'http2' }, h2load([])),
  },
  { name: 'http2-to-1', title: 'HTTP/2 to HTTP/1.1, the same load', run: cpuRow(CLEAR, h2load([])) },
  {
    name: 'http1-to-2',
    title: 'HTTP/1.1 to HTTP/2, 32 connections',
    run: cpuRow({ ...CLEAR, upstream: 'http2' }, wrk),
  },
  { name: 'body-http2', title: 'one big body over HTTP/2 through a reader of 50 MB/s', run: bodyRow },
  { name: 'grpc', title: 'gRPC unary, HTTP/2 to HTTP/2', run: cpuRow({ ...CLEAR, upstream: 'http2' }, grpc) },
  { name: 'mtls-http1', title: 'two sidecars, mutual TLS between, HTTP/1.1', run: cpuRow(PAIR, wrk) },
  {
    name: 'mtls-http2',
    title: 'two sidecars, mutual TLS and HTTP/2 between',
    run: cpuRow({ ...PAIR, upstream: 'http2' }, wrk),
  },
  { name: 'mtls-tcp', title: 'two TCP proxies, mutual TLS between', run: cpuRow({ ...PAIR, kind: 'tcp' }, wrk) },
  { name: 'mtls-latency', title: `two sidecars, mutual TLS, open loop, ${OPEN_RATE} requests/s`, run: latencyRow },
  { name: 'handshakes', title: 'mutual TLS handshakes, TLS 1.3, EC P-256', run: handshakeRow },
  { name: 'mtls-idle', title: `${IDLE_TLS_CONNECTIONS} idle connections under mutual TLS`, run: idleRow },
];

// === Setting up ===

/** Rivals that can take part; the others are named. */
function contenders(plan: Plan, notes: string[]): RivalName[] {
  return plan.rivals.filter((rival) => {
    if (rival === 'outrigger') return true;
    if (rival !== 'envoy') return false;
    if (findPeer('envoy') !== null) return true;
    notes.push(`envoy: left out, not installed: ${HOW_TO_GET.envoy}`);
    return false;
  });
}

async function startOne(rival: RivalName, job: ProxyJob, dir: string, serves: boolean): Promise<Running> {
  const base = join(dir, `${rival}-${job.port}`);
  writeFileSync(`${base}.json`, JSON.stringify(protocolBootstrap(job)));
  const flags = ['-c', `${base}.json`, '--concurrency', '1', '-l', 'warning', '--disable-hot-restart'];
  const binary = rival === 'outrigger' ? LAUNCHER : (findPeer('envoy') ?? rival);
  const running = start(rival, binary, flags, PROXY_CORE, `${base}.out`);
  try {
    if (serves) await untilServing(running, job.port, START_TIMEOUT_MS);
    return running;
  } catch (error) {
    await running.stop();
    throw error;
  }
}

async function startSubject(rival: RivalName, setup: Setup, originPort: number, dir: string): Promise<Subject> {
  const port = await freePort();
  const clear = { kind: setup.kind, serverTls: setup.serverTls, clientTls: false };
  const last = { ...clear, port, adminPort: await freePort(), upstreamPort: originPort };
  if (!setup.pair) {
    const running = await startOne(rival, { ...last, upstream: setup.upstream }, dir, !setup.serverTls);
    if (setup.serverTls) await sleep(LISTENING_MS * 10);
    return { label: rival, port, processes: [running] };
  }
  const server = await startOne(rival, { ...last, upstream: 'http1', serverTls: true }, dir, false);
  const front = await freePort();
  const job = { ...clear, clientTls: true, upstream: setup.upstream, port: front, upstreamPort: port };
  try {
    const client = await startOne(rival, { ...job, adminPort: await freePort() }, dir, true);
    return { label: rival, port: front, processes: [client, server] };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function stopAll(subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) for (const running of subject.processes) await running.stop();
}

function cpuOf(subject: Subject): number {
  return subject.processes.reduce((sum, running) => sum + cpuSeconds(running.pid), 0);
}

function rssOf(subject: Subject): number {
  return subject.processes.reduce((sum, running) => sum + rssBytes(running.pid), 0);
}

/** Runs `body` with every contender started, and an HTTP/2 origin where one is needed. */
async function withSubjects(
  plan: Plan,
  setup: Setup,
  notes: string[],
  body: (subjects: readonly Subject[]) => Promise<void>,
): Promise<void> {
  const origin = setup.upstream === 'http2' && !setup.pair ? await startOrigin(plan.dir) : null;
  const subjects: Subject[] = [];
  try {
    for (const rival of contenders(plan, notes)) {
      try {
        subjects.push(await startSubject(rival, setup, origin?.port ?? plan.originPort, plan.dir));
      } catch (error) {
        notes.push(`${rival}: FAILED, ${(error as Error).message}`);
      }
    }
    await body(subjects);
  } finally {
    await stopAll(subjects);
    await origin?.running.stop();
  }
}

async function startOrigin(dir: string): Promise<{ readonly port: number; readonly running: Running }> {
  const port = await freePort();
  const program = [join(ROOT, 'benchmarks/origin-http2.ts'), String(port)];
  const running = start('origin-http2', process.execPath, program, LOAD_CORE, join(dir, 'origin-http2.out'));
  await sleep(LISTENING_MS);
  return { port, running };
}

// === Load ===

function wrk(subject: Subject, seconds: number): Promise<number> {
  return closedLoop(subject.port, seconds);
}

function h2load(more: readonly string[]): Drive {
  return async (subject, seconds) => {
    const program = findPeer('h2load');
    if (program === null) throw new Error(`h2load is absent: ${HOW_TO_GET.h2load}`);
    const load = ['-t1', `-c${HTTP2_CONNECTIONS}`, `-m${HTTP2_STREAMS}`, `-D${seconds}`, ...more];
    const { stdout } = await pinned([program, ...load, `http://127.0.0.1:${subject.port}/bench.Svc/Call`], seconds);
    const counts = /(\d+) succeeded, (\d+) failed, (\d+) errored/.exec(stdout);
    const statuses = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(stdout);
    if (counts === null || statuses === null || Number(counts[2]) + Number(counts[3]) > 0 || Number(statuses[4]) > 0)
      throw new Error(`h2load reports:\n${stdout}`);
    return Number(statuses[1]);
  };
}

async function grpc(subject: Subject, seconds: number): Promise<number> {
  const body = join(ROOT, '.bench', 'grpc-message');
  mkdirSync(dirname(body), { recursive: true });
  writeFileSync(body, Buffer.concat([Buffer.from([0, 0, 0, 0, HOST_BODY.length]), Buffer.from(HOST_BODY)]));
  return h2load(['-d', body, '-H', 'content-type: application/grpc', '-H', 'te: trailers'])(subject, seconds);
}

function cpuRow(setup: Setup, drive: Drive): Row['run'] {
  return async (row, plan) => {
    const notes: string[] = [];
    const seconds = plan.durationS || CLOSED_LOOP_S;
    const [cpu, rate, rss] = [new Table(), new Table(), new Table()];
    await withSubjects(plan, setup, notes, async (subjects) => {
      for (const subject of subjects) await drive(subject, plan.warmupS);
      await interleave(plan, subjects, async (subject, round) => {
        const before = cpuOf(subject);
        const requests = await drive(subject, seconds);
        const perRequest = ((cpuOf(subject) - before) / requests) * 1e6;
        cpu.add(subject.label, perRequest);
        rate.add(subject.label, requests / seconds);
        rss.add(subject.label, rssOf(subject) / 1_048_576);
        plan.say(
          `${row.name} round ${round + 1}: ${subject.label} ${perRequest.toFixed(1)} µs, ${(requests / seconds).toFixed(0)}/s`,
        );
      });
    });
    const measures = [
      cpu.measure('CPU per request', 'µs', 1, 'envoy'),
      rate.measure('requests a second', '/s', 0, 'envoy'),
      rss.measure('resident memory after the round', 'MiB', 1, 'envoy'),
    ];
    return { row: row.name, title: row.title, measures, notes };
  };
}

async function latencyRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = [];
  const seconds = plan.durationS || OPEN_LOOP_S;
  const tables = { p50Ms: new Table(), p90Ms: new Table(), p99Ms: new Table() };
  const [cpu, lag] = [new Table(), new Table()];
  await withSubjects(plan, PAIR, notes, async (subjects) => {
    for (const subject of subjects) await closedLoop(subject.port, plan.warmupS);
    await interleave(plan, subjects, async (subject, round) => {
      const before = cpuOf(subject);
      const text = await load(['open', String(subject.port), String(seconds), String(OPEN_RATE)], seconds);
      const result = JSON.parse(text) as LoadResult;
      if (result.errors > 0) notes.push(`${subject.label} round ${round + 1}: ${result.errors} requests FAILED`);
      for (const key of ['p50Ms', 'p90Ms', 'p99Ms'] as const) tables[key].add(subject.label, result[key]);
      cpu.add(subject.label, ((cpuOf(subject) - before) / result.requests) * 1e6);
      lag.add(subject.label, result.lagMs);
      plan.say(
        `${row.name} round ${round + 1}: ${subject.label} p50 ${result.p50Ms.toFixed(2)} p99 ${result.p99Ms.toFixed(2)} ms`,
      );
    });
  });
  const measures = [
    cpu.measure('CPU per request', 'µs', 1, 'envoy'),
    tables.p50Ms.measure('p50', 'ms', 3, 'envoy'),
    tables.p90Ms.measure('p90', 'ms', 3, 'envoy'),
    tables.p99Ms.measure('p99', 'ms', 3, 'envoy'),
    lag.measure("p99 of the generator's own lateness (not part of the above)", 'ms', 3, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

/** As the row over HTTP/1.1. What the proxy's own windows let in at once counts as growth since start. */
async function bodyRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = [`${(plan.bodyBytes / (1_024 * MIB)).toFixed(2)} GiB, one round`];
  const [growth, steady, cpu] = [new Table(), new Table(), new Table()];
  // On a machine that has more to do than this, the reader is slower still.
  const seconds = (3 * plan.bodyBytes) / SLOW_READER_BYTES_PER_S;
  const read = (port: number, bytes: number): Promise<string> =>
    load(['slow2', String(port), String(bytes), String(SLOW_READER_BYTES_PER_S)], seconds);
  await withSubjects(plan, { ...CLEAR, upstream: 'http2' }, notes, async (subjects) => {
    for (const subject of subjects) {
      const start = rssOf(subject);
      await read(subject.port, WARMING_BYTES);
      const [base, before] = [rssOf(subject), cpuOf(subject)];
      let peak = base;
      const sampler = setInterval(() => {
        peak = Math.max(peak, rssOf(subject));
      }, RSS_SAMPLE_MS);
      try {
        await read(subject.port, plan.bodyBytes);
      } finally {
        clearInterval(sampler);
      }
      growth.add(subject.label, (peak - start) / MIB);
      steady.add(subject.label, (peak - base) / MIB);
      cpu.add(subject.label, ((cpuOf(subject) - before) / (plan.bodyBytes / MIB)) * 1e6);
      plan.say(
        `${row.name}: ${subject.label} grew ${((peak - start) / MIB).toFixed(1)} MiB, ${((peak - base) / MIB).toFixed(1)} after the first 64`,
      );
    }
  });
  const measures = [
    growth.measure('growth of resident memory since start', 'MiB', 1, 'envoy'),
    steady.measure('growth after the first 64 MiB', 'MiB', 1, 'envoy'),
    cpu.measure('CPU per MiB', 'µs', 1, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

function writeIdentity(dir: string): string {
  const path = join(dir, 'identity.json');
  writeFileSync(path, JSON.stringify(clientIdentity()));
  return path;
}

async function handshakeRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = ['each connection makes one request'];
  const seconds = plan.durationS || CLOSED_LOOP_S;
  const rates = { full: new Table(), resumed: new Table() };
  const identity = writeIdentity(plan.dir);
  await withSubjects(plan, { ...CLEAR, serverTls: true }, notes, async (subjects) => {
    for (const mode of ['full', 'resumed'] as const) {
      const drive = async (subject: Subject, forSeconds: number): Promise<HandshakeResult> => {
        const program = [
          join(ROOT, 'benchmarks/load-tls.ts'),
          mode,
          String(subject.port),
          String(forSeconds),
          identity,
        ];
        const { stdout } = await pinned([process.execPath, ...program], forSeconds);
        return JSON.parse(stdout) as HandshakeResult;
      };
      for (const subject of subjects) await drive(subject, plan.warmupS);
      await interleave(plan, subjects, async (subject, round) => {
        const before = cpuOf(subject);
        const result = await drive(subject, seconds);
        const perSecond = result.handshakes / (cpuOf(subject) - before);
        if (result.errors > 0) notes.push(`${subject.label} ${mode}: ${result.errors} handshakes FAILED`);
        if (mode === 'resumed' && result.resumed < result.handshakes * 0.9)
          notes.push(`${subject.label}: only ${result.resumed} of ${result.handshakes} were resumed`);
        rates[mode].add(subject.label, perSecond);
        plan.say(`${row.name} round ${round + 1}: ${subject.label} ${mode} ${perSecond.toFixed(0)} a CPU second`);
      });
    }
  });
  const measures = [
    rates.full.measure('full handshakes a CPU second', '/s', 0, 'envoy'),
    rates.resumed.measure('resumed handshakes a CPU second', '/s', 0, 'envoy'),
  ];
  return { row: row.name, title: row.title, measures, notes };
}

async function idleRow(row: Row, plan: Plan): Promise<RowResult> {
  const notes: string[] = ['each connection made one request before it fell silent'];
  const perConnection = new Table();
  const identity = writeIdentity(plan.dir);
  await withSubjects(plan, { ...CLEAR, serverTls: true }, notes, async (subjects) => {
    for (const subject of subjects) {
      const before = rssOf(subject);
      const program = [
        join(ROOT, 'benchmarks/load-tls.ts'),
        'idle',
        String(subject.port),
        String(IDLE_TLS_CONNECTIONS),
        identity,
      ];
      const held = await holdIdle(program, () => rssOf(subject));
      if (held.answered < IDLE_TLS_CONNECTIONS)
        notes.push(`${subject.label}: only ${held.answered} connections answered, FAILED`);
      const kib = (held.rss - before) / held.answered / 1_024;
      perConnection.add(subject.label, kib);
      plan.say(`${row.name}: ${subject.label} ${kib.toFixed(1)} KiB a connection`);
    }
  });
  const measures = [perConnection.measure('memory per connection', 'KiB', 1, 'envoy')];
  return { row: row.name, title: row.title, measures, notes };
}
