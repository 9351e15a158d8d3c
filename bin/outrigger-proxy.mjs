#!/usr/bin/env node
// Starts proxy/main.ts on the Node.js that this project is pinned to. Plain JavaScript, so that an older Node.js can
// read it and either start the right one or say in one sentence what is missing.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** First release with everything that is used: `node:ffi`, `net.BoundSocket`. */
const NEEDED = [26, 4];
/**
 * The configuration thread ends after start: its heap goes back to the system instead of into a pool (measured: 25 MB
 * less). V8 reads this flag only when the process starts.
 */
const FLAG = '--no-memory-pool-share-memory-on-teardown';
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'];

const own = process.versions.node.split('.').map(Number);
const recent = own[0] > NEEDED[0] || (own[0] === NEEDED[0] && own[1] >= NEEDED[1]);

/** The Node.js binary that npm installed beside this package; empty when it did not. */
function pinned() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`);
    return fileURLToPath(new URL('bin/node', `file://${manifest}`));
  } catch {
    return '';
  }
}

/** Becomes the other binary where this Node.js can, otherwise runs it as a child and passes signals and exit code on. */
function become(binary) {
  const args = [...process.execArgv, FLAG, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  if (typeof process.execve === 'function') {
    process.removeAllListeners('warning'); // execve is experimental, which is no news to a user
    process.execve(binary, [binary, ...args], process.env);
  }
  const child = spawn(binary, args, { stdio: 'inherit' });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`cannot start ${binary}: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
}

function fail(sentence) {
  process.stderr.write(`outrigger-proxy: ${sentence}\n`);
  process.exit(2);
}

if (process.platform !== 'linux') {
  fail(`runs on Linux only, and this is ${process.platform}.`);
} else if (recent && process.execArgv.includes(FLAG)) {
  await import('./start.mjs');
} else if (recent) {
  become(process.execPath);
} else {
  const binary = pinned();
  if (binary === '')
    fail(`needs Node.js ${NEEDED.join('.')} or newer (this is ${process.versions.node}): run "npm ci", which installs it.`);
  else become(binary);
}
