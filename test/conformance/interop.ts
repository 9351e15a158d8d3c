// `npm run test:conformance`, second part: gRPC's interop cases through this proxy and through a stock Envoy, in clear
// and with TLS on either side. What fails here and not through Envoy is a failure; what fails on both is Envoy's way.
// Exit codes: 0 nothing that fails through Envoy too, or skipped; 1 something.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { downstreamTls, file, pair, tlsPath, upstreamTls } from '../fixtures/tls.ts';
import { bootstrap, cluster, http, routes, to } from '../parity/config.ts';
import { type Binary, freePorts, startProxy } from '../parity/proxy-process.ts';
import type { Ports } from '../parity/types.ts';

const CASE_TIMEOUT_MS = 30_000;
const START_TIMEOUT_MS = 10_000;
/** A name in `server.pem`. */
const NAME = 'a.example';

/** Those that need no credentials of a cloud, and that pass without a proxy: pick_first_unary and orca_per_rpc do not. */
const CASES = [
  ...['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream'],
  ...['timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response'],
  ...['status_code_and_message', 'special_status_message', 'custom_metadata'],
  ...['unimplemented_method', 'unimplemented_service', 'orca_oob'],
  ...['rpc_soak', 'channel_soak'],
];

/** Pairings: TLS towards the client, TLS towards the server. */
const PAIRINGS: Readonly<Record<string, { readonly down: boolean; readonly up: boolean }>> = {
  clear: { down: false, up: false },
  'tls-down': { down: true, up: false },
  'tls-up': { down: false, up: true },
  'tls-both': { down: true, up: true },
};

function configuration(ports: Ports): object {
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const http2 = {
    typed_extension_protocol_options: {
      [options]: {
        '@type': `type.googleapis.com/${options}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  const server = downstreamTls({ tls_certificates: [pair('server')], alpn_protocols: ['h2'] });
  const client = upstreamTls({ validation_context: { trusted_ca: file('ca.pem') } }, { sni: NAME });
  const listeners = Object.entries(PAIRINGS).map(([name, { down, up }]) => {
    const list = routes([to('/', up ? 'secure' : 'plain', { timeout: '0s' })]);
    const listener = http(ports, '/dev/null', name, list) as { filter_chains: object[] };
    if (!down) return listener;
    return {
      ...listener,
      filter_chains: listener.filter_chains.map((chain) => ({ ...chain, transport_socket: server })),
    };
  });
  return bootstrap(ports, listeners, [
    cluster('plain', [ports['plain']], http2),
    cluster('secure', [ports['secure']], { ...http2, transport_socket: client }),
  ]);
}

async function startServer(binary: string, port: number, tls: boolean): Promise<ChildProcess> {
  const files = ['-tls_cert_file', tlsPath('server.pem'), '-tls_key_file', tlsPath('server.key')];
  const child = spawn(binary, ['-port', `${port}`, ...(tls ? ['-use_tls', ...files] : [])], { stdio: 'ignore' });
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) throw new Error('the interop server does not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return child;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** @returns what the client had to say against it; empty = it passed */
async function runCase(binary: string, name: string, port: number, tls: boolean): Promise<string> {
  const secure = ['-use_tls', '-use_test_ca', '-ca_file', tlsPath('ca.pem'), '-server_host_override', NAME];
  const flags = ['-server_host', '127.0.0.1', '-server_port', `${port}`, '-test_case', name, ...(tls ? secure : [])];
  const child = spawn(binary, flags, { stdio: ['ignore', 'ignore', 'pipe'], timeout: CASE_TIMEOUT_MS });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += String(chunk);
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  return code === 0 ? '' : (said.trim().split('\n').at(-1) ?? `exit code ${code}`);
}

/** Failed cases by `pairing case`, with what was said. */
async function judge(binary: Binary, client: string, servers: Ports): Promise<ReadonlyMap<string, string>> {
  const dir = mkdtempSync(join(tmpdir(), 'interop-'));
  const names = ['admin', ...Object.keys(PAIRINGS)];
  const free = await freePorts(names.length);
  const ports = { ...servers, ...Object.fromEntries(names.map((name, i) => [name, free[i] as number])) };
  const config = join(dir, 'bootstrap.json');
  writeFileSync(config, JSON.stringify(configuration(ports)));
  const proxy = await startProxy(binary, config, ports['admin'] ?? 0, join(dir, 'out.log'));
  const failed = new Map<string, string>();
  try {
    for (const [pairing, { down }] of Object.entries(PAIRINGS))
      for (const name of CASES) {
        const said = await runCase(client, name, ports[pairing] ?? 0, down);
        if (said !== '') failed.set(`${pairing} ${name}`, said);
      }
  } finally {
    await proxy.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  return failed;
}

const TOTAL = CASES.length * Object.keys(PAIRINGS).length;
const client = findPeer('interop_client');
const server = findPeer('interop_server');
const envoy = findPeer('envoy');
if (client === null || server === null || envoy === null) {
  const name = client === null ? 'interop_client' : server === null ? 'interop_server' : 'envoy';
  console.log(`SKIPPED ${TOTAL} of ${TOTAL} gRPC interop cases: ${name} is absent; to have it: ${HOW_TO_GET[name]}`);
  process.exit(0);
}
const [plain = 0, secure = 0] = await freePorts(2);
const servers = [await startServer(server, plain, false), await startServer(server, secure, true)];
let worse = 0;
try {
  const [ours, theirs] = await Promise.all([
    judge(null, client, { plain, secure }),
    judge(envoy, client, { plain, secure }),
  ]);
  console.log(
    `gRPC interop, ${TOTAL} cases: Outrigger passes ${TOTAL - ours.size}, Envoy passes ${TOTAL - theirs.size}`,
  );
  for (const [name, said] of ours) {
    const alone = !theirs.has(name);
    if (alone) worse++;
    console.log(`    FAILED ${alone ? 'here alone' : 'on both'}: ${name}: ${said}`);
  }
  if (ours.size === TOTAL) worse++;
} finally {
  for (const child of servers) child.kill('SIGKILL');
}
process.exit(worse > 0 ? 1 : 0);
