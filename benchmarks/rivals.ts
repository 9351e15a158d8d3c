// Who is measured: how each rival is configured, started and checked for doing the same job.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET, ROOT } from '../scripts/peers.ts';
import { type BootstrapOptions, bootstrap, EXPECTED_BODY, haproxyConf, nginxConf } from './bootstrap.ts';
import { cpuSeconds, freePort, get, type Running, sleep, start, untilServing } from './process.ts';
import { PROXY_CORE } from './settings.ts';

export type RivalName = 'outrigger' | 'envoy' | 'nginx' | 'haproxy' | 'relay';
export const RIVALS: readonly RivalName[] = ['outrigger', 'envoy', 'nginx', 'haproxy', 'relay'];

/** What a rival has to do in a row. */
export interface Job {
  readonly kind: 'http' | 'tcp';
  readonly accessLog: boolean;
  readonly mesh: boolean;
}

/** A rival that serves. */
export interface Subject {
  readonly rival: RivalName;
  readonly label: string;
  readonly port: number;
  readonly running: Running;
  /** From start of the process to the first answer, milliseconds. */
  readonly readyMs: number;
  /** CPU time of the process until then, milliseconds. */
  readonly readyCpuMs: number;
}

/** What a user runs. */
export const LAUNCHER = join(ROOT, 'bin/outrigger-proxy');
const START_TIMEOUT_MS = 60_000;
/** Envoy writes its access log every ten seconds unless told otherwise. */
const LOG_FLUSH_MS = 100;
const STREAM_MODULES = ['/usr/lib/nginx/modules/ngx_stream_module.so', '/usr/lib64/nginx/modules/ngx_stream_module.so'];

interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

/** Why a rival cannot take part in a job, or `null`. */
export function whyAbsent(rival: RivalName, job: Job): string | null {
  if (rival === 'outrigger') return existsSync(LAUNCHER) ? null : `${LAUNCHER} does not exist`;
  if (rival === 'relay') return job.accessLog || job.mesh ? 'a bare relay has no such feature' : null;
  if (job.mesh && rival !== 'envoy') return 'reads no Envoy bootstrap';
  if (findPeer(rival) === null) return `not installed: ${HOW_TO_GET[rival]}`;
  if (rival === 'nginx' && job.kind === 'tcp' && nginxStreamModule() === null)
    return `has no stream module: ${HOW_TO_GET.nginx}`;
  return null;
}

/** Starts a rival, waits until it serves and checks that every feature of the job works. */
export async function startRival(
  rival: RivalName,
  job: Job,
  originPort: number,
  dir: string,
  core: number = PROXY_CORE,
): Promise<Subject> {
  const port = await freePort();
  const adminPort = await freePort();
  const label = job.mesh ? `${rival}, mesh file` : rival;
  const base = join(dir, `${rival}-${port}`);
  const accessLog = job.accessLog ? `${base}-access.log` : null;
  const options: BootstrapOptions = { port, adminPort, originPort, kind: job.kind, accessLog, mesh: job.mesh };
  const { command, args } = commandFor(rival, options, base, dir);
  // HAProxy has no access log file: it logs to its stdout.
  const output = rival === 'haproxy' && accessLog !== null ? accessLog : `${base}.out`;
  const began = performance.now();
  const running = start(label, command, args, core, output);
  try {
    const readyAt = await untilServing(running, port, START_TIMEOUT_MS);
    const readyCpuMs = cpuSeconds(running.pid) * 1_000;
    await verify(rival, options);
    return { rival, label, port, running, readyMs: readyAt - began, readyCpuMs };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

function commandFor(rival: RivalName, options: BootstrapOptions, base: string, dir: string): Command {
  if (rival === 'relay') {
    return {
      command: process.execPath,
      args: [join(ROOT, 'benchmarks/relay.ts'), String(options.port), String(options.originPort)],
    };
  }
  const binary = rival === 'outrigger' ? LAUNCHER : (findPeer(rival) ?? rival);
  if (rival === 'nginx') {
    const module = options.kind === 'tcp' ? nginxStreamModule() : null;
    writeFileSync(`${base}.conf`, nginxConf(options, dir, module === 'built in' ? null : module));
    return { command: binary, args: ['-c', `${base}.conf`, '-p', dir, '-e', `${base}-error.log`] };
  }
  if (rival === 'haproxy') {
    writeFileSync(`${base}.cfg`, haproxyConf(options));
    return { command: binary, args: ['-db', '-f', `${base}.cfg`] };
  }
  writeFileSync(`${base}.json`, JSON.stringify(bootstrap(options)));
  const flags = ['-c', `${base}.json`, '--concurrency', '1', '-l', 'warning', '--disable-hot-restart'];
  flags.push('--file-flush-interval-msec', String(LOG_FLUSH_MS));
  return { command: binary, args: flags };
}

/** A benchmark of a feature that is not there is worse than none. */
async function verify(rival: RivalName, options: BootstrapOptions): Promise<void> {
  const answer = await get(options.port, '/', 5_000);
  if (answer.status !== 200 || answer.body !== EXPECTED_BODY)
    throw new Error(`${rival} does not relay: status ${answer.status}, ${answer.body.length} bytes`);
  if (rival === 'relay' || options.kind === 'tcp') return;
  const upstream = (await get(options.port, '/head', 5_000)).body;
  const id = /^x-request-id: (\S+)\r$/im.exec(upstream);
  if (id === null) throw new Error(`${rival} sends no x-request-id upstream`);
  if (!/^x-forwarded-proto: http\r$/im.test(upstream)) throw new Error(`${rival} sends no x-forwarded-proto upstream`);
  if (rival === 'outrigger' || rival === 'envoy') await verifyStats(rival, options.adminPort);
  if (options.accessLog !== null && rival !== 'nginx') await verifyLog(rival, options.accessLog, id[1] ?? '');
}

async function verifyStats(rival: RivalName, adminPort: number): Promise<void> {
  const stats = (await get(adminPort, '/stats?filter=downstream_rq_2xx', 5_000)).body;
  const counted = /http\.ingress\.downstream_rq_2xx: (\d+)/.exec(stats);
  if (counted === null || Number(counted[1]) < 2) throw new Error(`${rival} does not count requests in /stats`);
}

async function verifyLog(rival: RivalName, path: string, id: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (performance.now() < deadline) {
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
    const line = lines.find((text) => text.startsWith('{') && text.includes(id));
    if (line !== undefined) {
      JSON.parse(line);
      return;
    }
    await sleep(LOG_FLUSH_MS);
  }
  throw new Error(`${rival} wrote no JSON access log line with the request's id`);
}

function nginxStreamModule(): string | null {
  return STREAM_MODULES.find((path) => existsSync(path)) ?? null;
}
