// `npm run test:parity -- distribution`: where chance decides, are the shares those that were configured, and Envoy's?

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fitsShares, sameDistribution, withinBinomial } from './chance.ts';
import { bootstrap, cluster, http, router, routes, to } from './config.ts';
import { FuzzClient } from './fuzz-client.ts';
import { Field } from './fuzz-run.ts';
import { type Binary, freePorts, startProxy } from './proxy-process.ts';
import type { Ports } from './types.ts';

/** Of each experiment, with each proxy. */
const SAMPLE = 10_000;
const CANARY_SAMPLE = 100_000;
const CANARY = { a: 90, b: 9, named: 1 } as const;
const CONNECTIONS = 16;
const WORKERS = 2;
const MIRRORS_SETTLE_MS = 300;
const FAULT_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const CLUSTER_FAULT = { name: 'fault', typed_config: { '@type': FAULT_TYPE } };

interface Experiment {
  /** Also the path of its route. */
  readonly name: string;
  /** Outcomes (an upstream's name, else a status) and their shares. */
  readonly shares: Readonly<Record<string, number>>;
  readonly route: object;
}

const weighted = (shares: Readonly<Record<string, number>>): object => ({
  cluster: undefined,
  weighted_clusters: { clusters: Object.entries(shares).map(([name, weight]) => ({ name, weight })) },
});
const percent = (numerator: number, denominator = 'HUNDRED'): object => ({ numerator, denominator });
const fault = (abort: object): object => ({
  typed_per_filter_config: { fault: { '@type': FAULT_TYPE, abort: { http_status: 418, ...abort } } },
});

const THIRDS = { a: 1, b: 1, named: 1 };
const UNEVEN = { a: 700, b: 0, named: 33 };
const EXPERIMENTS: readonly Experiment[] = [
  { name: '/canary', shares: CANARY, route: to('/canary', 'a', weighted(CANARY)) },
  { name: '/thirds', shares: THIRDS, route: to('/thirds', 'a', weighted(THIRDS)) },
  { name: '/uneven', shares: UNEVEN, route: to('/uneven', 'a', weighted(UNEVEN)) },
  { name: '/random', shares: THIRDS, route: to('/random', 'random') },
  {
    name: '/fraction',
    shares: { a: 30, b: 70 },
    route: to('', 'a', {}, { match: { prefix: '/fraction', runtime_fraction: { default_value: percent(30) } } }),
  },
  {
    name: '/runtime',
    shares: { a: 5, b: 95 },
    route: to(
      '',
      'a',
      {},
      { match: { prefix: '/runtime', runtime_fraction: { default_value: percent(100), runtime_key: 'share' } } },
    ),
  },
  { name: '/abort', shares: { '418': 25, b: 75 }, route: to('/abort', 'b', {}, fault({ percentage: percent(25) })) },
  {
    name: '/rare',
    shares: { '418': 125, b: 9_875 },
    route: to('/rare', 'b', {}, fault({ percentage: percent(12_500, 'MILLION') })),
  },
];
const MIRROR_SHARE = 0.2;
const MIRROR = to('/mirror', 'a', {
  request_mirror_policies: [{ cluster: 'b', runtime_fraction: { default_value: percent(MIRROR_SHARE * 100) } }],
});

function makeBootstrap(ports: Ports): object {
  const list = [...EXPERIMENTS.map(({ route }) => route), MIRROR, to('/', 'b')];
  const manager = { http_filters: [CLUSTER_FAULT, router({})], access_log: [] };
  const hosts = [ports['a'], ports['b'], ports['named']];
  return bootstrap(
    ports,
    [http(ports, '/dev/null', 'main', routes(list), manager)],
    [
      ...['a', 'b', 'named'].map((name) => cluster(name, [ports[name]])),
      cluster('random', hosts, { lb_policy: 'RANDOM' }),
    ],
    { layered_runtime: { layers: [{ name: 'static', static_layer: { share: 5 } }] } },
  );
}

/** Outcomes of so many GETs, by upstream or status. */
async function sample(port: number, path: string, count: number): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  const request = { text: `GET ${path} HTTP/1.1\r\nhost: h\r\n\r\n`, bodiless: false };
  const work = async (share: number): Promise<void> => {
    const client = new FuzzClient(port);
    for (let i = 0; i < share; i++) {
      const { line, headers } = (await client.ask(request)).answer;
      const upstream = headers.find((header) => header.startsWith('x-up: '))?.slice(6);
      const outcome = upstream ?? line.split(' ')[1] ?? line;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, () => work(count / CONNECTIONS)));
  return outcomes;
}

type Samples = Map<string, readonly number[]>;

async function sampleAll(field: Field, binary: Binary): Promise<Samples> {
  const [admin = 0, main = 0] = await freePorts(2);
  const config = join(field.dir, 'distribution.json');
  writeFileSync(config, JSON.stringify(makeBootstrap({ ...field.ports(), admin, main })));
  const proxy = await startProxy(binary, config, admin, join(field.dir, 'out'), WORKERS);
  const samples: Samples = new Map();
  try {
    for (const { name, shares } of EXPERIMENTS) {
      const outcomes = await sample(main, name, name === '/canary' && binary === null ? CANARY_SAMPLE : SAMPLE);
      for (const outcome of outcomes.keys())
        if (!(outcome in shares)) throw new Error(`${name}: an answer that nobody asked for: ${outcome}`);
      samples.set(
        name,
        Object.keys(shares).map((outcome) => outcomes.get(outcome) ?? 0),
      );
    }
    const before = field.served('b');
    await sample(main, '/mirror', SAMPLE);
    await new Promise((resolve) => setTimeout(resolve, MIRRORS_SETTLE_MS));
    const copies = field.served('b') - before;
    samples.set('/mirror', [copies, SAMPLE - copies]);
  } finally {
    await proxy.stop();
  }
  return samples;
}

/** @returns the exit code: 0 = all shares are as configured and as Envoy's, 1 = some are not */
export async function distribution(envoy: string): Promise<number> {
  const field = await Field.open();
  let failed = 0;
  const check = (name: string, counts: readonly number[], holds: boolean): void => {
    if (!holds) failed++;
    console.log(`${holds ? 'ok    ' : 'FAILED'} ${name}: ${counts.join(' ')}`);
  };
  try {
    const theirs = await sampleAll(field, envoy);
    const ours = await sampleAll(field, null);
    const shares = new Map(EXPERIMENTS.map((experiment) => [experiment.name, Object.values(experiment.shares)]));
    shares.set('/mirror', [MIRROR_SHARE, 1 - MIRROR_SHARE]);
    for (const [name, configured] of shares) {
      const [envoys, own] = [theirs.get(name) ?? [], ours.get(name) ?? []];
      check(`${name} of Envoy`, envoys, fitsShares(envoys, configured));
      check(`${name} of ours`, own, fitsShares(own, configured));
      check(`${name} of both`, own, sameDistribution(envoys, own));
    }
    const canary = ours.get('/canary') ?? [];
    for (const [i, share] of Object.values(CANARY).entries())
      check(
        `/canary: ${share} of 100 within the binomial bounds`,
        canary,
        withinBinomial(canary[i] ?? 0, CANARY_SAMPLE, share / 100),
      );
  } finally {
    field.close();
  }
  return failed === 0 ? 0 : 1;
}
