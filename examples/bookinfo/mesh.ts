// The proxies of the example as child processes: started, awaited, watched, stopped.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeCertificates } from './ca.ts';
import { fetchText } from './client.ts';
import { movePorts, type PortMap, PROXIES, type ProxyName } from './ports.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const OUTRIGGER = fileURLToPath(new URL('../../bin/outrigger-proxy', import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 25;
const STOP_GRACE_MS = 8_000;
/** Lines of a failed proxy's log that are shown. */
const LOG_TAIL_LINES = 8;

export interface Mesh {
  readonly pids: Readonly<Record<ProxyName, number>>;
  /** Resolves with a sentence when a proxy ends although nobody stopped it. */
  readonly broken: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts five proxies and waits until all are ready; on failure stops them and rejects with a sentence. When
 * `interrupted` comes first, stops them and answers `null`.
 */
export async function startMesh(
  base: number,
  ports: PortMap,
  binary: string | null,
  interrupted: Promise<null>,
): Promise<Mesh | null> {
  const dir = mkdtempSync(join(tmpdir(), 'bookinfo-'));
  writeCertificates(dir, PROXIES);
  const children = new Map<ProxyName, ChildProcess>();
  let stopping = false;
  let tellBroken: (why: string) => void = () => undefined;
  const broken = new Promise<string>((resolve) => {
    tellBroken = resolve;
  });
  for (const name of PROXIES) {
    const config = join(dir, `${name}.yaml`);
    const text = readFileSync(join(HERE, `${name}.yaml`), 'utf8').replaceAll('filename: certs/', `filename: ${dir}/`);
    writeFileSync(config, movePorts(text, base));
    const child = startProxy(binary, config, join(dir, `${name}.log`));
    child.on('error', (error) => tellBroken(`the proxy ${name} cannot start: ${error.message}`));
    child.on('exit', (code, signal) => {
      if (!stopping) tellBroken(`the proxy ${name} ended (${signal ?? `exit code ${code}`})${logTail(dir, name)}`);
    });
    children.set(name, child);
  }
  const stop = async (): Promise<void> => {
    stopping = true;
    await Promise.all([...children.values()].map(stopChild));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const failed = broken.then((why) => {
      throw new Error(why);
    });
    const ready = Promise.all(PROXIES.map((name) => untilReady(name, ports.admin[name], () => stopping)));
    if ((await Promise.race([interrupted, failed, ready])) === null) {
      await stop();
      return null;
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const pids = Object.fromEntries([...children].map(([name, child]) => [name, child.pid ?? -1]));
  return { pids: pids as Record<ProxyName, number>, broken, stop };
}

function startProxy(binary: string | null, config: string, logPath: string): ChildProcess {
  const flags = ['-c', config, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning'];
  const log = openSync(logPath, 'a');
  const child = spawn(binary ?? OUTRIGGER, flags, { stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

async function untilReady(name: ProxyName, adminPort: number, givenUp: () => boolean): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (givenUp()) return;
    const answer = await fetchText(adminPort, '/ready', {}).catch(() => null);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  throw new Error(`the proxy ${name} was not ready within ${READY_TIMEOUT_MS / 1_000} s`);
}

function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    child.on('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

function logTail(dir: string, name: ProxyName): string {
  const lines = readFileSync(join(dir, `${name}.log`), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-LOG_TAIL_LINES);
  return lines.join('') === '' ? '' : `:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}
