// First part of `npm run test:e2e`: every protocol in clear text, under TLS and under mutual TLS between two sidecars, of
// which one is a stock Envoy; and Envoy on both sides, which must do the same. Needs no rights.
// Exit codes: 0 all as expected, or skipped; 1 not.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { type Binary, freePorts, type ProxyProcess, startProxy } from '../parity/proxy-process.ts';
import type { Ports } from '../parity/types.ts';
import {
  CLIENT_URI,
  clientSide,
  Identities,
  LINKS,
  PORT_NAMES,
  SERVER_URI,
  serverSide,
  VARIANTS,
} from './peers-config.ts';
import { CALLS, type Origin, startOrigin } from './peers-ends.ts';

/** What an origin sees of a client with a certificate. */
const FORWARDED = new RegExp(`^By=${SERVER_URI};Hash=[0-9a-f]{64};URI=${CLIENT_URI}$`);

interface Pairing {
  readonly name: string;
  readonly client: Binary;
  readonly server: Binary;
}

interface LogRecord {
  readonly listener: string;
  readonly peer: string | null;
  readonly tls: string | null;
}

class Report {
  checks = 0;
  failures = 0;
  private readonly where: string;

  constructor(where: string) {
    this.where = where;
  }

  expect(holds: boolean, what: string): void {
    this.checks++;
    if (holds) return;
    this.failures++;
    console.log(`FAILED ${this.where}: ${what}`);
  }
}

async function callAll(ports: Ports, origin: Origin, report: Report): Promise<void> {
  for (const { name, link, run } of CALLS)
    for (const variant of VARIANTS) {
      const before = origin.reached();
      const { end, seen } = await run(ports[`${link}.${variant.name}`] as number);
      const what = `${name}, ${variant.name}`;
      report.expect(end === (variant.served ? 'served' : 'refused'), `${what}: ${end}`);
      const reached = origin.reached() - before;
      report.expect(reached === (variant.served ? 1 : 0), `${what}: ${reached} calls reached the origin`);
      if (!variant.served || link === 'tcp') continue;
      const known = variant.mode === 'mtls' ? FORWARDED.test(seen) : seen === '';
      report.expect(known, `${what}: the origin was told "${seen}"`);
    }
}

/** Whom each side saw at the other end, by its own records. */
function checkRecords(clientLog: string, serverLog: string, report: Report): void {
  const read = (path: string): LogRecord[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogRecord);
  const [client, server] = [read(clientLog), read(serverLog)];
  const expect = (records: readonly LogRecord[], listener: string, peer: string | null, tls: string | null): void => {
    const found = records.some((one) => one.listener === listener && one.peer === peer && one.tls === tls);
    report.expect(found, `no record of ${listener} names ${peer ?? 'nobody'} and ${tls ?? 'clear text'}`);
  };
  for (const { name, mode, served, version } of VARIANTS) {
    if (!served) continue;
    const tls = mode === 'clear' ? null : version;
    for (const link of LINKS) expect(client, `${link}.${name}`, tls === null ? null : SERVER_URI, tls);
    for (const kind of ['http', 'tcp']) expect(server, `at-${kind}.${mode}`, mode === 'mtls' ? CLIENT_URI : null, tls);
  }
}

async function play({ name, client, server }: Pairing, dir: string): Promise<number> {
  const report = new Report(name);
  const origin = await startOrigin();
  const numbers = await freePorts(PORT_NAMES.length);
  const ports: Ports = Object.fromEntries(PORT_NAMES.map((each, i) => [each, numbers[i] as number]));
  const ids = new Identities();
  const path = (file: string): string => join(dir, `${name.replaceAll(' ', '-')}-${file}`);
  const start = (binary: Binary, side: string, config: object): Promise<ProxyProcess> => {
    writeFileSync(path(`${side}.json`), JSON.stringify(config));
    return startProxy(binary, path(`${side}.json`), ports[`${side}-admin`] as number, path(`${side}.out`));
  };
  const running: ProxyProcess[] = [];
  try {
    running.push(await start(server, 'server', serverSide(ports, ids, path('server.log'), origin)));
    running.push(await start(client, 'client', clientSide(ports, ids, path('client.log'))));
    await callAll(ports, origin, report);
  } finally {
    for (const proxy of running) await proxy.stop();
    origin.close();
  }
  checkRecords(path('client.log'), path('server.log'), report);
  const cases = CALLS.length * VARIANTS.length;
  console.log(`${name}: ${cases} calls, ${report.checks} checks, ${report.failures} failures`);
  return report.failures;
}

const envoy = findPeer('envoy');
if (envoy === null) {
  const all = CALLS.length * VARIANTS.length;
  console.log(
    `SKIPPED ${3 * all} of ${3 * all} calls beside a stock Envoy: there is none. To have one: ${HOW_TO_GET.envoy}`,
  );
  process.exit(0);
}
const dir = mkdtempSync(join(tmpdir(), 'outrigger-peers-'));
let failures = 0;
try {
  for (const pairing of [
    { name: 'Envoy to Outrigger', client: envoy, server: null },
    { name: 'Outrigger to Envoy', client: null, server: envoy },
    { name: 'Envoy to Envoy', client: envoy, server: envoy },
  ])
    failures += await play(pairing, dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failures > 0 ? 1 : 0);
