// `npm run test:e2e`, second part: WebSockets of Python's `websockets` through this proxy and a stock Envoy, HTTP/1 and
// HTTP/2 between them, in either order. Exit codes: 0 all as expected, or skipped; 1 not.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { bootstrap, cluster, http, routes, to } from '../parity/config.ts';
import { type Binary, freePorts, type ProxyProcess, startProxy } from '../parity/proxy-process.ts';

const SCRIPT = fileURLToPath(new URL('websocket.py', import.meta.url));
const TALK_MS_MAX = 20_000;
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const HTTP2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http2_protocol_options: { allow_connect: true } },
    },
  },
};

/** Who serves the client, and who serves the server behind it; alone: one proxy, HTTP/1 on both sides. */
const CHAINS = ['ours', 'ours envoy', 'envoy ours'] as const;

const python = process.env['OUTRIGGER_PYTHON'] ?? 'python3';
const envoy = findPeer('envoy');
const lacks =
  spawnSync(python, ['-c', 'import websockets'], { stdio: 'ignore' }).status !== 0
    ? `${python} has no websockets; to have it: pip install websockets (OUTRIGGER_PYTHON names another python)`
    : envoy === null
      ? `envoy is absent; to have it: ${HOW_TO_GET.envoy}`
      : '';
if (lacks !== '') {
  console.log(`SKIPPED ${CHAINS.length} of ${CHAINS.length} chains of WebSockets: ${lacks}`);
  process.exit(0);
}

const dir = mkdtempSync(join(tmpdir(), 'websocket-'));
const running: ProxyProcess[] = [];

/** Puts a proxy before a port. @returns its own port */
async function putBefore(binary: Binary, target: number, options: object): Promise<number> {
  const [admin = 0, web = 0] = await freePorts(2);
  const config = join(dir, `${web}.json`);
  const manager = { http2_protocol_options: { allow_connect: true }, upgrade_configs: [{ upgrade_type: 'websocket' }] };
  const listener = http({ admin, web }, '/dev/null', 'web', routes([to('/', 'next')]), manager);
  writeFileSync(config, JSON.stringify(bootstrap({ admin }, [listener], [cluster('next', [target], options)])));
  running.push(await startProxy(binary, config, admin, join(dir, `${web}.log`)));
  return web;
}

async function talk(port: number): Promise<boolean> {
  const client = spawn(python, [SCRIPT, 'client', `ws://127.0.0.1:${port}/`], {
    stdio: 'inherit',
    timeout: TALK_MS_MAX,
  });
  const [code] = await once(client, 'close');
  return code === 0;
}

async function startEnd(port: number): Promise<ChildProcess> {
  const server = spawn(python, [SCRIPT, 'server', `${port}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  return server;
}

const [end = 0] = await freePorts(1);
const server = await startEnd(end);
let failed = 0;
try {
  for (const chain of CHAINS) {
    let port = end;
    for (const [i, who] of chain.split(' ').reverse().entries())
      port = await putBefore(who === 'ours' ? null : envoy, port, i === 0 ? {} : HTTP2);
    const passed = await talk(port);
    if (!passed) failed++;
    console.log(`${passed ? 'ok' : 'FAILED'}: WebSockets through ${chain}`);
  }
} finally {
  for (const proxy of running) await proxy.stop();
  server.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failed > 0 ? 1 : 0);
