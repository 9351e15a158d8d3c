// Runs a group of scenarios against one proxy and returns what was observed.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientResult, playClient, Waiter } from './client.ts';
import { eventLog } from './config.ts';
import { Normaliser } from './normalise.ts';
import { type Binary, freePorts, getText, startProxy } from './proxy-process.ts';
import type { Group, GroupObservation, Observation, ObservedMessage, Ports, Scenario } from './types.ts';
import { ScriptedUpstream } from './upstream.ts';

/** How long a connection is watched for a close that an earlier run has seen. */
const CLOSE_EXPECTED_MS = 3_000;
/** How long a connection is watched that has been seen to stay open. */
const OPEN_EXPECTED_MS = 15;
/** How long it is watched when nothing is known. */
const UNKNOWN_MS = 2_000;
const HANG_UP_MS = 2_000;
/** `tcpmux`: nothing listens there. */
const DEAD_PORT = 1;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}){0,2}Z$/;

interface Played {
  readonly scenario: Scenario;
  readonly client: ClientResult;
  readonly upstream: Record<string, readonly ObservedMessage[]>;
}

/**
 * Runs all scenarios of a group in order on one process.
 * @param expected an earlier observation, which only tells how long to wait for closes
 */
export async function runGroup(
  group: Group,
  binary: Binary,
  expected: GroupObservation | null,
): Promise<GroupObservation> {
  const dir = mkdtempSync(join(tmpdir(), 'parity-'));
  const waiter = new Waiter();
  const upstreams = new Map<string, ScriptedUpstream>();
  try {
    for (const name of group.upstreams) upstreams.set(name, await ScriptedUpstream.start(waiter));
    const names = ['admin', ...group.listeners];
    const free = await freePorts(names.length);
    const ports: Record<string, number> = { dead: DEAD_PORT };
    for (const [i, name] of names.entries()) ports[name] = free[i] ?? 0;
    for (const [name, upstream] of upstreams) ports[name] = upstream.port;

    const logPath = join(dir, 'access.log');
    const config = join(dir, 'bootstrap.json');
    writeFileSync(config, JSON.stringify(group.bootstrap(ports, logPath)));
    const proxy = await startProxy(binary, config, ports['admin'] ?? 0, join(dir, 'out.log'));
    waiter.pid = proxy.pid;
    waiter.adminPort = ports['admin'] ?? 0;
    let played: Played[];
    let stats: Record<string, number>;
    try {
      played = await playAll(group, ports, upstreams, waiter, expected);
      await waiter.rest();
      stats = await readStats(group, ports['admin'] ?? 0);
    } finally {
      await proxy.stop();
    }
    const events = readLog(eventLog(logPath)).map((event) => withoutTimes(event, new Normaliser(ports)));
    return {
      scenarios: observe(played, ports, logPath),
      stats,
      ...(events.length === 0 ? {} : { events: Object.groupBy(events, (event) => String(event['cluster_name'])) }),
    };
  } finally {
    for (const upstream of upstreams.values()) upstream.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function playAll(
  group: Group,
  ports: Ports,
  upstreams: ReadonlyMap<string, ScriptedUpstream>,
  waiter: Waiter,
  expected: GroupObservation | null,
): Promise<Played[]> {
  const played: Played[] = [];
  const saw = (): number => {
    let sum = 0;
    for (const upstream of upstreams.values()) sum += upstream.saw;
    return sum;
  };
  for (const scenario of group.scenarios) {
    for (const [name, upstream] of upstreams) upstream.reset(scenario.upstreams?.[name]);
    const known = expected?.scenarios[scenario.name]?.end;
    const lingerMs = known === undefined ? UNKNOWN_MS : known === 'open' ? OPEN_EXPECTED_MS : CLOSE_EXPECTED_MS;
    const port = ports[scenario.listener ?? 'main'];
    if (port === undefined) throw new Error(`scenario ${scenario.name}: no listener ${scenario.listener}`);
    const client = await playClient(scenario, port, waiter, saw, lingerMs);
    const upstream: Record<string, readonly ObservedMessage[]> = {};
    for (const [name, one] of upstreams) {
      await one.hangUp(HANG_UP_MS);
      if (one.seen().length > 0) upstream[name] = one.seen();
    }
    played.push({ scenario, client, upstream });
  }
  return played;
}

async function readStats(group: Group, adminPort: number): Promise<Record<string, number>> {
  const stats: Record<string, number> = {};
  if (group.stats === undefined) return stats;
  for (const [, name = '', value] of (await getText(adminPort, '/stats')).matchAll(/^(\S+): (\d+)$/gm))
    if (group.stats.test(name)) stats[name] = Number(value);
  return stats;
}

/** Puts log records to the scenarios whose connection they name, and normalises. */
function observe(played: readonly Played[], ports: Ports, logPath: string): Record<string, Observation> {
  const logs = readLog(logPath);
  const scenarios: Record<string, Observation> = {};
  for (const { scenario, client, upstream } of played) {
    const normaliser = new Normaliser({ ...ports, client: client.port });
    const mine = logs.filter((record) => String(record['client']).endsWith(`:${client.port}`));
    const seen = Object.entries(upstream).map(([name, messages]) => [name, messages.map((m) => normaliser.message(m))]);
    scenarios[scenario.name] = {
      answers: client.answers.map((answer) => normaliser.message(answer)),
      ...(client.rest === '' ? {} : { rest: normaliser.text(client.rest) }),
      end: client.end,
      ...(client.tls === null ? {} : { tls: client.tls }),
      upstream: Object.fromEntries(seen),
      log: mine.map(({ client: _, ...record }) => normaliser.value(record) as Record<string, unknown>),
    };
  }
  return scenarios;
}

/** An event of outlier detection without what varies. */
function withoutTimes(event: Record<string, unknown>, normaliser: Normaliser): Record<string, unknown> {
  const { timestamp, ...rest } = event;
  if (!TIMESTAMP.test(String(timestamp))) throw new Error(`no timestamp: ${JSON.stringify(event)}`);
  if (typeof rest['secs_since_last_action'] === 'string') rest['secs_since_last_action'] = '<seconds>';
  return normaliser.value(rest) as Record<string, unknown>;
}

function readLog(path: string): Record<string, unknown>[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'latin1').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
}
