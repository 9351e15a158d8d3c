// A proxy under test, ours or a stock Envoy, as a child process on loopback ports.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const LAUNCHER = fileURLToPath(new URL('../../bin/outrigger-proxy', import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 20;
const STOP_GRACE_MS = 6_000;
/** How soon access log lines reach the file. */
const LOG_FLUSH_MS = 20;

/** `null` stands for this project's proxy. */
export type Binary = string | null;

export interface ProxyProcess {
  readonly pid: number;
  /** SIGTERM, and waits until it is gone; its access log is whole then. */
  stop(): Promise<void>;
}

/**
 * Starts a proxy and waits until its admin listener says that it is ready; rejects with its output if it never is.
 * @param workers threads that serve
 */
export async function startProxy(
  binary: Binary,
  config: string,
  adminPort: number,
  outPath: string,
  workers = 1,
): Promise<ProxyProcess> {
  const flags = ['-c', config, '--concurrency', `${workers}`, '--disable-hot-restart', '-l', 'warning'];
  flags.push('--file-flush-interval-msec', String(LOG_FLUSH_MS));
  const out = openSync(outPath, 'a');
  const stdio: ['ignore', number, number] = ['ignore', out, out];
  const child = binary === null ? spawn(LAUNCHER, flags, { stdio }) : spawn(binary, flags, { stdio });
  closeSync(out);
  let ended: string | null = null;
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended ??= signal === null ? `exit code ${code}` : `signal ${signal}`;
  });
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await getText(adminPort, '/ready').catch(() => null);
    if (answer?.startsWith('LIVE') === true) break;
    if (ended !== null || performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(
        `the proxy ${ended === null ? 'was not ready' : `ended (${ended})`}:\n${readFileSync(outPath, 'utf8')}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
  }
  return { pid: child.pid ?? -1, stop: () => stopChild(child) };
}

function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    child.on('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Body of a GET; rejects when there is no answer. */
export function getText(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, agent: false, timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.end();
  });
}

/**
 * Ports for listeners come from below the kernel's own range, so that no upstream or client is given one by chance.
 * A port that was free a moment ago is not enough: proxies bind with SO_REUSEPORT, so that two runs at the same time
 * would share a port and each other's connections. A run therefore owns a block of ports.
 */
const PORT_FIRST = 10_000;
const BLOCK_PORTS = 450;
const BLOCKS = 30;

interface PortBlock {
  readonly first: number;
  next: number;
}

let block: Promise<PortBlock> | null = null;

/** The first block that no other run owns; its first port is listened on, without sharing, as long as this run lives. */
async function ownBlock(): Promise<PortBlock> {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const first = PORT_FIRST + ((start + i) % BLOCKS) * BLOCK_PORTS;
    if (await holdPort(first)) return { first, next: 0 };
  }
  throw new Error('every block of ports is taken by another run');
}

function holdPort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const guard = createServer();
    guard.on('error', () => resolve(false));
    guard.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      guard.unref();
      resolve(true);
    });
  });
}

/** Ports of the loopback that were free a moment ago, all different within this process until the block is used up. */
export async function freePorts(count: number): Promise<number[]> {
  block ??= ownBlock();
  const own = await block;
  const ports: number[] = [];
  while (ports.length < count) {
    const port = own.first + 1 + (own.next++ % (BLOCK_PORTS - 1));
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
