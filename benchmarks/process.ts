// Starting, pinning, watching and stopping the processes of a benchmark, and reading what the kernel knows of them.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { findPeer } from '../scripts/peers.ts';

/** The kernel reports process times in these (`getconf CLK_TCK`, 100 on every Linux that Node runs on). */
const TICKS_PER_S = 100;
const STOP_GRACE_MS = 3_000;
const READY_POLL_MS = 5;

export interface Running {
  readonly name: string;
  readonly pid: number;
  /** Set when the process ended by itself. */
  exited(): string | null;
  /** Ends the process and waits for it. */
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** Whether processes can be pinned to cores here. */
export const canPin: boolean = findPeer('taskset') !== null && availableParallelism() > 1;

/** Starts a program on one core (negative: wherever the kernel likes); its output goes to `logPath`. */
export function start(name: string, command: string, args: readonly string[], core: number, logPath: string): Running {
  const taskset = canPin && core >= 0 ? findPeer('taskset') : null;
  const log = openSync(logPath, 'a');
  const child =
    taskset === null
      ? spawn(command, args, { stdio: ['ignore', log, log] })
      : spawn(taskset, ['-c', String(core), command, ...args], { stdio: ['ignore', log, log] });
  closeSync(log);
  let ended: string | null = null;
  const gone = new Promise<void>((resolve) => {
    const done = (why: string): void => {
      ended ??= why;
      alive.delete(child);
      resolve();
    };
    child.on('error', (error) => done(error.message));
    child.on('exit', (code, signal) => done(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  alive.add(child);
  return {
    name,
    pid: child.pid ?? -1,
    exited: () => (ended === null ? null : `${ended}; see ${logPath}`),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}

/** CPU time, user and system, of all threads of a process so far, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the name in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Resident memory of a process in bytes. */
export function rssBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return match === null ? 0 : Number(match[1]) * 1_024;
}

/** A TCP port of the loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One request over a connection of its own; rejects on any failure. */
export function get(port: number, path: string, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const fail = (why: string): void => {
      socket.destroy();
      reject(new Error(`GET ${path} on port ${port}: ${why}`));
    };
    socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
    socket.on('error', (error) => fail(error.message));
    socket.on('connect', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: bench.example\r\nconnection: close\r\n\r\n`),
    );
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(text);
      if (end >= 0 && length !== null && text.length >= end + 4 + Number(length[1])) finish(end);
    });
    socket.on('end', () => {
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) fail('connection closed without an answer');
      else finish(end);
    });
    const finish = (end: number): void => {
      socket.destroy();
      resolve({ status: Number(text.slice(9, 12)), head: text.slice(0, end), body: text.slice(end + 4) });
    };
  });
}

/** Waits until GET `/` answers 200; resolves to the time of the answer (`performance.now()`). */
export async function untilServing(running: Running, port: number, timeoutMs: number): Promise<number> {
  const deadline = performance.now() + timeoutMs;
  let last = 'nothing listens';
  while (performance.now() < deadline) {
    const ended = running.exited();
    if (ended !== null) throw new Error(`${running.name} ended before it served: ${ended}`);
    try {
      const answer = await get(port, '/', 1_000);
      if (answer.status === 200) return performance.now();
      last = `status ${answer.status}`;
    } catch (error) {
      last = (error as Error).message;
    }
    await sleep(READY_POLL_MS);
  }
  throw new Error(`${running.name} did not serve within ${timeoutMs} ms: ${last}`);
}
