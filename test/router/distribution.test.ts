// Shares where chance decides, with seeded dice: weighted clusters and runtime fractions. `npm run test:parity --
// distribution` does the same to the whole proxy, with more draws and a stock Envoy beside it.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import { compileRouteTable } from '../../proxy/route/route-table.ts';
import type { ClusterManager } from '../../proxy/upstream/upstream.ts';
import { Dice } from '../fixtures/dice.ts';
import { lowered } from '../fixtures/lower.ts';
import { FakeStats } from '../fixtures/upstream.ts';
import { fitsShares, sameDistribution, withinBinomial } from '../parity/chance.ts';

const SEED = 20_260_704;
const DRAWS = 100_000;

const ref = (name: string) => ({ name, current: null });
const clusters: ClusterManager = { ref, find: ref };

/** How often requests go to each cluster. */
function draw(routes: readonly object[], names: readonly string[]): number[] {
  const config = lowered(lowerRouteConfig, 'envoy.config.route.v3.RouteConfiguration', {
    name: 'r',
    virtual_hosts: [{ name: 'v', domains: ['*'], routes }],
  });
  const runtimeKeys = runtimeEntries({ share: 5 });
  const table = compileRouteTable(config, { clusters, stats: new FakeStats(), runtimeKeys });
  const info = new StreamInfo({ tls: null } as unknown as ConnectionInfo, 0, 0);
  Object.assign(info, { method: 'GET', path: '/', authority: 'a' });
  const headers = new HeaderMap();
  const dice = new Dice(SEED);
  const counts = names.map(() => 0);
  for (let i = 0; i < DRAWS; i++) {
    const random = dice.below(2 ** 32);
    const found = table.match(info, headers, random);
    const target = found?.target ?? found?.rules.pickTarget?.(info, headers, random);
    const name = target?.cluster.name ?? '';
    const at = names.indexOf(name);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  return counts;
}

const weighted = (weights: readonly number[]): object => ({
  match: { prefix: '/' },
  route: { weighted_clusters: { clusters: weights.map((weight, i) => ({ name: `c${i}`, weight })) } },
});

t.test(`weights, seed ${SEED}`, async (t) => {
  for (const weights of [
    [90, 9, 1],
    [1, 1, 1],
    [700, 0, 33],
    [1, 4_294_967_294],
  ]) {
    const names = weights.map((_, i) => `c${i}`);
    const counts = draw([weighted(weights)], names);
    t.ok(fitsShares(counts, weights), `${weights}: ${counts}`);
  }
});

t.test('a canary lies within the binomial bounds', async (t) => {
  const counts = draw([weighted([90, 9, 1])], ['c0', 'c1', 'c2']);
  for (const [i, share] of [0.9, 0.09, 0.01].entries())
    t.ok(withinBinomial(counts[i] ?? 0, DRAWS, share), `${counts[i]} of ${share}`);
});

t.test('runtime fractions', async (t) => {
  const route = (fraction: object): object[] => [
    { match: { prefix: '/', runtime_fraction: fraction }, route: { cluster: 'c0' } },
    { match: { prefix: '/' }, route: { cluster: 'c1' } },
  ];
  const of = (numerator: number, denominator: string): object => ({ default_value: { numerator, denominator } });
  for (const [fraction, share] of [
    [of(30, 'HUNDRED'), 30],
    [of(25, 'TEN_THOUSAND'), 0.25],
    [of(125_000, 'MILLION'), 12.5],
    [{ ...of(100, 'HUNDRED'), runtime_key: 'share' }, 5],
    [of(0, 'HUNDRED'), 0],
  ] as const) {
    const counts = draw(route(fraction), ['c0', 'c1']);
    t.ok(fitsShares(counts, [share, 100 - share]), `${share}: ${counts}`);
  }
});

t.test('the judge', async (t) => {
  t.ok(fitsShares([9_030, 890, 80], [90, 9, 1]));
  t.notOk(fitsShares([8_850, 1_030, 120], [90, 9, 1]));
  t.notOk(fitsShares([99, 1], [1, 0]), 'what has no share never happens');
  t.ok(sameDistribution([500, 500], [5_100, 4_900]));
  t.notOk(sameDistribution([500, 500], [6_000, 4_000]));
  t.notOk(withinBinomial(1_200, 100_000, 0.01));
  t.ok(withinBinomial(1_100, 100_000, 0.01));
});
