// `node test/parity/admin-names.ts`: the set of stats that Envoy and this proxy print after the same traffic.
//
//   --update  record Envoy's as test/golden/admin/names.txt, which a test of `npm test` holds this proxy to

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { exposedNames, namesBootstrap, namesTraffic, namesUpstream, plainNames } from '../fixtures/stat-names.ts';
import { type Binary, freePorts, getText, startProxy } from './proxy-process.ts';

const GOLDEN = new URL('../golden/admin/names.txt', import.meta.url);

/** The names that a binary prints, as the golden file has them. */
export async function namesOf(binary: Binary): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'names-'));
  const upstream = await namesUpstream();
  const [admin = 0, http = 0, tcp = 0] = await freePorts(3);
  const ports = { admin, http, tcp, upstream: upstream.port };
  const config = join(folder, 'bootstrap.json');
  writeFileSync(config, namesBootstrap(ports));
  const proxy = await startProxy(binary, config, admin, join(folder, 'out.txt'));
  try {
    await namesTraffic(ports);
    await getText(admin, '/ready'); // the first admin request makes stats of its own
    const plain = plainNames(await getText(admin, '/stats'), ports);
    const exposed = exposedNames(await getText(admin, '/stats/prometheus'));
    return `${plain.join('\n')}\n\n${exposed.join('\n')}\n`;
  } finally {
    await proxy.stop();
    upstream.server.closeAllConnections();
    upstream.server.close();
    rmSync(folder, { recursive: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { update: { type: 'boolean', default: false } } });
  const envoy = findPeer('envoy');
  if (envoy === null) throw new Error(`no Envoy found: ${HOW_TO_GET.envoy}`);
  const theirs = await namesOf(envoy);
  if (values.update) {
    writeFileSync(GOLDEN, theirs);
    return;
  }
  if (theirs !== readFileSync(GOLDEN, 'utf8')) console.log('the golden file is out of date: run with --update');
  const ours = new Set((await namesOf(null)).split('\n'));
  const missing = theirs.split('\n').filter((line) => !ours.has(line));
  const extra = [...ours].filter((line) => !theirs.split('\n').includes(line));
  for (const line of missing) console.log(`missing: ${line}`);
  for (const line of extra) console.log(`extra: ${line}`);
  console.log(`${ours.size} names, ${missing.length} missing, ${extra.length} extra`);
  if (missing.length + extra.length > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
