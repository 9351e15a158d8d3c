// `npm run test:conformance`: h2spec against this proxy and against a stock Envoy, in clear and over TLS, with the same
// configuration and the same origin. What fails here and not on Envoy is a failure; what fails on both is Envoy's way.
// Exit codes: 0 nothing that Envoy does not fail too, or skipped; 1 something.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { downstreamTls, pair } from '../fixtures/tls.ts';
import { bootstrap, cluster, http, routes, to } from '../parity/config.ts';
import { type Binary, freePorts, startProxy } from '../parity/proxy-process.ts';
import type { Ports } from '../parity/types.ts';

/** h2spec waits that long for an answer, and for every connection to be closed; Envoy closes after one second. */
const CASE_TIMEOUT_S = 3;
const RUN_TIMEOUT_MS = 420_000;

interface Verdicts {
  readonly passed: number;
  readonly failed: ReadonlySet<string>;
}

function configuration(ports: Ports): object {
  const list = routes([to('/', 'origin')]);
  const secure = downstreamTls({ tls_certificates: [pair('server')], alpn_protocols: ['h2', 'http/1.1'] });
  const tls = http(ports, '/dev/null', 'tls', list) as { filter_chains: object[] };
  const listeners = [
    http(ports, '/dev/null', 'clear', list),
    { ...tls, filter_chains: tls.filter_chains.map((chain) => ({ ...chain, transport_socket: secure })) },
  ];
  return bootstrap(ports, listeners, [cluster('origin', [ports['origin']])]);
}

/** Runs h2spec and reads its JUnit report. */
async function judge(h2spec: string, port: number, more: readonly string[], report: string): Promise<Verdicts> {
  const flags = ['-h', '127.0.0.1', '-p', `${port}`, '-o', `${CASE_TIMEOUT_S}`, '-j', report, ...more];
  const child = spawn(h2spec, flags, { stdio: 'ignore', timeout: RUN_TIMEOUT_MS });
  await new Promise((resolve) => child.on('close', resolve));
  const cases = readFileSync(report, 'latin1').split('<testcase ').slice(1);
  const failed = cases.filter((text) => /<(failure|error)\b/.test(text)).map(nameOf);
  return { passed: cases.length - failed.length, failed: new Set(failed) };
}

function nameOf(text: string): string {
  const attribute = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1] ?? '';
  return `${attribute('package')} ${attribute('classname')}`.replaceAll('&#34;', '"').replaceAll('&quot;', '"');
}

async function startOrigin(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('ok'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function judgeProxy(binary: Binary, h2spec: string, origin: number): Promise<Record<string, Verdicts>> {
  const dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const [admin = 0, clear = 0, tls = 0] = await freePorts(3);
    const config = join(dir, 'bootstrap.json');
    writeFileSync(config, JSON.stringify(configuration({ admin, clear, tls, origin })));
    const proxy = await startProxy(binary, config, admin, join(dir, 'out.log'));
    try {
      return {
        clear: await judge(h2spec, clear, [], join(dir, 'clear.xml')),
        tls: await judge(h2spec, tls, ['-t', '-k'], join(dir, 'tls.xml')),
      };
    } finally {
      await proxy.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const h2spec = findPeer('h2spec');
const envoy = findPeer('envoy');
if (h2spec === null || envoy === null) {
  const name = h2spec === null ? 'h2spec' : 'envoy';
  console.log(`SKIPPED 2 of 2 suites: ${name} is absent; to have it: ${HOW_TO_GET[name]}`);
  process.exit(0);
}
const origin = await startOrigin();
const { port } = origin.address() as AddressInfo;
const [ours, theirs] = await Promise.all([judgeProxy(null, h2spec, port), judgeProxy(envoy, h2spec, port)]);
origin.close();
origin.closeAllConnections();
let worse = 0;
for (const [suite, mine] of Object.entries(ours)) {
  const other = theirs[suite] as Verdicts;
  console.log(
    `${suite}: Outrigger passes ${mine.passed} and fails ${mine.failed.size}; Envoy passes ${other.passed} and fails ${other.failed.size}`,
  );
  for (const name of [...mine.failed].filter((each) => !other.failed.has(each))) {
    worse++;
    console.log(`    FAILED here alone: ${name}`);
  }
  if (mine.passed === 0) worse++;
}
process.exit(worse > 0 ? 1 : 0);
