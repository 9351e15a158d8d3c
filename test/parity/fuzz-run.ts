// Runs many random configurations in one process, each behind a listener of its own.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadStaticModel } from '../../proxy/config/load.ts';
import { ConfigError } from '../../proxy/util/error.ts';
import { address, bootstrap, cluster, fileLog, http } from './config.ts';
import { CLUSTERS } from './fuzz-action.ts';
import type { FuzzCase } from './fuzz-case.ts';
import { FuzzClient, type Sent } from './fuzz-client.ts';
import { RUNTIME } from './fuzz-maker.ts';
import { EchoUpstream } from './fuzz-upstream.ts';
import { Normaliser } from './normalise.ts';
import { type Binary, freePorts, startProxy } from './proxy-process.ts';
import type { Observation, ObservedMessage, Ports } from './types.ts';

/** Configurations whose requests are under way at the same time. */
const PARALLEL = 12;
const VALIDATE_TIMEOUT_MS = 30_000;

/** Something that an observation is made with: a seeded case, or a part of one. */
export type Runnable = Pick<FuzzCase, 'manager' | 'requests'>;

/** The upstreams of a whole run. Both proxies use the same ones, so that even the lengths of addresses are the same. */
export class Field {
  private readonly upstreams: readonly EchoUpstream[];
  readonly dir: string;

  private constructor(upstreams: readonly EchoUpstream[]) {
    this.upstreams = upstreams;
    this.dir = mkdtempSync(join(tmpdir(), 'parity-fuzz-'));
  }

  static async open(): Promise<Field> {
    return new Field(await Promise.all(CLUSTERS.map((name) => EchoUpstream.start(name))));
  }

  ports(): Record<string, number> {
    return Object.fromEntries(CLUSTERS.map((name, i) => [name, this.upstreams[i]?.port ?? 0]));
  }

  /** Requests that an upstream has answered. */
  served(name: string): number {
    return this.upstreams[CLUSTERS.indexOf(name as (typeof CLUSTERS)[number])]?.served ?? 0;
  }

  close(): void {
    for (const upstream of this.upstreams) upstream.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What a record says besides. */
const LOGGED = {
  at: '%DOWNSTREAM_LOCAL_PORT%',
  vc: '%VIRTUAL_CLUSTER_NAME%',
  path: '%REQ(:PATH)%',
  originals: '%REQ(X-ENVOY-ORIGINAL-PATH)% %REQ(X-ENVOY-ORIGINAL-HOST)% %REQ(X-FORWARDED-HOST)%',
  metadata: '%METADATA(ROUTE:m:k)% %METADATA(VIRTUAL_HOST:m:k)% %CLUSTER_METADATA(m:k)%',
  resolved: '%ROUTE_RESOLUTION_COUNT%',
  answer: '%RESP(CONTENT-TYPE)% %RESP(LOCATION)% %RESP(X-A)%',
  seen: '%REQ(X-A)% %REQ(X-B)% %REQ(HOST)% %REQ(:SCHEME)% %REQ(X-FORWARDED-PROTO)%',
};

/** Cases that run at the same time do not take retries from each other. */
const BREAKERS = { circuit_breakers: { thresholds: [{ max_retries: 1_000 }] } };

/** One listener a case, named by its place. */
function makeBootstrap(cases: readonly Runnable[], ports: Ports, logPath: string): object {
  const access_log = [fileLog(logPath, LOGGED)];
  const listeners = cases.map(({ manager }, i) => http(ports, logPath, `case-${i}`, {}, { ...manager, access_log }));
  const clusters = CLUSTERS.map((name) =>
    name === 'named'
      ? cluster(name, [], {
          ...BREAKERS,
          load_assignment: {
            cluster_name: name,
            endpoints: [{ lb_endpoints: [{ endpoint: { hostname: 'name.test', address: address(ports[name]) } }] }],
          },
        })
      : cluster(name, [ports[name]], BREAKERS),
  );
  const layers = [{ name: 'static', static_layer: RUNTIME }];
  return bootstrap(ports, listeners, clusters, { layered_runtime: { layers } });
}

function namedPorts(field: Field, numbers: readonly number[]): Ports {
  const own = numbers.map((port, i) => [i === 0 ? 'admin' : `case-${i - 1}`, port] as const);
  return { ...field.ports(), ...Object.fromEntries(own) };
}

// === Who accepts what ===

/** Why this proxy refuses a configuration; `null` = it does not. */
export function ourRefusal(field: Field, one: Runnable): string | null {
  const configPath = join(field.dir, 'ours.json');
  writeFileSync(configPath, JSON.stringify(makeBootstrap([one], namedPorts(field, [1, 2]), '/dev/null')));
  try {
    loadStaticModel({
      configPath,
      configYaml: '',
      serviceNode: '',
      serviceCluster: '',
      serviceZone: '',
      allowUnknownStaticFields: false,
      skipDeprecatedLogs: true,
      statsTags: [],
    });
    return null;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

/** Why Envoy refuses these together; `null` = it does not. */
function envoyRefusal(field: Field, envoy: string, cases: readonly Runnable[]): string | null {
  const path = join(field.dir, 'validate.json');
  const numbers = Array.from({ length: cases.length + 1 }, (_, i) => 1_000 + i);
  writeFileSync(path, JSON.stringify(makeBootstrap(cases, namedPorts(field, numbers), '/dev/null')));
  const { status, stderr } = spawnSync(envoy, ['-c', path, '--mode', 'validate', '-l', 'critical'], {
    encoding: 'utf8',
    timeout: VALIDATE_TIMEOUT_MS,
  });
  return status === 0 ? null : stderr.trim();
}

/** Refusals of Envoy by place. Only the `dubious` are asked for one by one, the others together, as long as all are well. */
export function envoyRefusals(
  field: Field,
  envoy: string,
  cases: readonly Runnable[],
  dubious: (index: number) => boolean,
): Map<number, string> {
  const refused = new Map<number, string>();
  const ask = (places: readonly number[]): void => {
    if (places.length === 0) return;
    const text = envoyRefusal(
      field,
      envoy,
      places.map((place) => cases[place] as Runnable),
    );
    if (text === null) return;
    if (places.length === 1) refused.set(places[0] as number, text);
    else {
      const half = places.length >> 1;
      ask(places.slice(0, half));
      ask(places.slice(half));
    }
  };
  const places = cases.map((_, place) => place);
  for (const place of places) if (dubious(place)) ask([place]);
  ask(places.filter((place) => !dubious(place)));
  return refused;
}

// === Requests ===

/** What was observed of each request of each case, in order; the cases must be acceptable. */
export async function runCases(field: Field, binary: Binary, cases: readonly Runnable[]): Promise<Observation[][]> {
  const ports = namedPorts(field, await freePorts(cases.length + 1));
  const who = binary === null ? 'ours' : 'envoy';
  const config = join(field.dir, `${who}.json`);
  const logPath = join(field.dir, `${who}.log`);
  rmSync(logPath, { force: true });
  writeFileSync(config, JSON.stringify(makeBootstrap(cases, ports, logPath)));
  const proxy = await startProxy(binary, config, ports['admin'] ?? 0, join(field.dir, `${who}.out`));
  const sent: Sent[][] = cases.map(() => []);
  try {
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < cases.length; i = next++) {
        const client = new FuzzClient(ports[`case-${i}`] ?? 0);
        for (const request of cases[i]?.requests ?? []) sent[i]?.push(await client.ask(request));
        client.close();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } finally {
    await proxy.stop();
  }
  const logs = readLog(logPath);
  return sent.map((requests, i) => requests.map((one) => observe(one, field.ports(), ports[`case-${i}`] ?? 0, logs)));
}

type LogRecord = Record<string, unknown>;

/** Records by listener and client, in the order of writing. */
function readLog(path: string): Map<string, LogRecord[]> {
  const records = new Map<string, LogRecord[]>();
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const { client, at, ...record } = JSON.parse(line) as LogRecord;
    const key = `${at} ${client}`;
    const known = records.get(key);
    if (known === undefined) records.set(key, [record]);
    else known.push(record);
  }
  return records;
}

/** Requests of one connection are logged in their order; each takes the next record of its connection. */
function observe(sent: Sent, upstreams: Ports, port: number, logs: ReadonlyMap<string, LogRecord[]>): Observation {
  const normaliser = new Normaliser({ ...upstreams, listener: port, client: sent.localPort });
  const record = logs.get(`${port} 127.0.0.1:${sent.localPort}`)?.shift();
  const echo = readEcho(sent.answer);
  const answer = normaliser.message(echo === null ? sent.answer : { ...sent.answer, body: 'echo' });
  return {
    answers: [answer],
    ...(sent.rest === '' ? {} : { rest: sent.rest }),
    end: sent.end,
    upstream: echo === null ? {} : { [echo.upstream]: [normaliser.message(echo)] },
    log: record === undefined ? [] : [normaliser.value(record) as LogRecord],
  };
}

/** What the upstream saw, if it is what answered. */
function readEcho(answer: ObservedMessage): (ObservedMessage & { upstream: string }) | null {
  if (!answer.body.startsWith('{"upstream"')) return null;
  return JSON.parse(answer.body) as ObservedMessage & { upstream: string };
}
