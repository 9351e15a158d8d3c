// examples/bookinfo: the whole graph through `--check`, the answer to taken ports, and the end on Ctrl-C.

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { PORT_SPAN, portMap } from '../../examples/bookinfo/ports.ts';
import { get } from '../fixtures/example.ts';
import { freePorts } from '../parity/proxy-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = fileURLToPath(new URL('../../examples/bookinfo/main.ts', import.meta.url));
const TIMEOUT_MS = 120_000;

interface Run {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly code: Promise<number | null>;
}

function run(...args: readonly string[]): Run {
  return watch(spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
}

function runWithNpm(...args: readonly string[]): Run {
  return watch(spawn('npm', ['start', '--', ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] }));
}

function watch(child: ChildProcess): Run {
  let text = '';
  const keep = (chunk: Buffer): void => {
    text += chunk.toString();
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  // Not `exit`, which may come before the last of the text.
  const code = new Promise<number | null>((resolve) => child.on('close', (value) => resolve(value)));
  return { child, text: () => text, code };
}

function untilPrinted({ child, text }: Run, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', () => {
      if (text().includes(words)) resolve();
    });
    child.on('exit', () => reject(new Error(text())));
  });
}

/** A base whose whole span is free, in a block of ports that no other test uses meanwhile. */
async function freeBase(): Promise<number> {
  for (;;) {
    const ports = await freePorts(PORT_SPAN);
    const [base = 0] = ports;
    if (ports.at(-1) === base + PORT_SPAN - 1) return base;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

t.setTimeout(TIMEOUT_MS);

t.test('--check passes over the whole graph', async (t) => {
  const { code, text } = run('--check', '--port-base', String(await freeBase()));
  t.equal(await code, 0, text());
  t.match(text(), 'Bookinfo works.');
  t.notMatch(text(), 'FAILED');
});

t.test('a taken port is named with what to do', async (t) => {
  const base = await freeBase();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(portMap(base).inbound.details, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  const { code, text } = run('--port-base', String(base));
  t.equal(await code, 2);
  t.match(
    text(),
    new RegExp(`^bookinfo: port ${base + 3}, for the sidecar of details, is taken: .*--port-base \\d+\n$`),
  );
});

t.test('runs until npm is told to stop, and leaves nothing behind', async (t) => {
  const base = await freeBase();
  const npm = runWithNpm('--port-base', String(base));
  const { child, code, text } = npm;
  await untilPrinted(npm, 'Ctrl-C stops everything');
  t.notMatch(text(), /^ {2}.{99}/m, 'no line to try is over 100 columns');
  const page = await get(base, '/productpage');
  t.equal(page.status, 200);
  t.match(page.body, 'The Comedy of Errors');
  child.kill('SIGTERM');
  await code;
  const free = await Promise.all(Array.from({ length: PORT_SPAN }, (_, i) => isFree(base + i)));
  t.ok(free.every(Boolean), 'the ports are free again');
});

t.test('an end while it starts is no failure, asked for twice', async (t) => {
  const started = run('--port-base', String(await freeBase()));
  await untilPrinted(started, 'Starting');
  started.child.kill('SIGINT');
  started.child.kill('SIGTERM');
  t.equal(await started.code, 0);
  t.match(started.text(), /^Starting .*\nStopped\.\n$/);
});

t.test('wrong usage', async (t) => {
  for (const base of ['http', '1e4', '65512']) {
    const { code, text } = run('--port-base', base);
    t.equal(await code, 2);
    t.match(text(), `--port-base ${base} is not a port from 1 to 65511`);
  }
});
