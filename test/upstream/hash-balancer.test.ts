// Consistent hashing beyond what the parity group "hashing" shows: bounded loads, priorities, requests without a hash,
// and how little moves when a host goes.

import t from 'tap';
import type { HashLbPolicyModel } from '../../proxy/config/model/cluster.ts';
import { UPSTREAM_RQ_ACTIVE } from '../../proxy/observe/catalogue-cluster.ts';
import { buildBalancer } from '../../proxy/upstream/balancer.ts';
import { buildHashTable } from '../../proxy/upstream/hash-tables.ts';
import { Host } from '../../proxy/upstream/host.ts';
import { MersenneTwister } from '../../proxy/upstream/mersenne-twister.ts';
import type { PickContext } from '../../proxy/upstream/upstream.ts';
import { U64, xxHash64 } from '../../proxy/util/hash64.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { clusterModel, endpoint, PICK } from '../fixtures/upstream.ts';

const COMMON = { useHostname: false, balancePercent: 0, hashPolicy: [] } as const;
const RING: HashLbPolicyModel = {
  kind: 'ring_hash',
  minRingSize: 1024,
  maxRingSize: 8_388_608,
  hashFunction: 'xx',
  ...COMMON,
};
const MAGLEV: HashLbPolicyModel = { kind: 'maglev', tableSize: 65_537, ...COMMON };

const hosts = (count: number, from = 1): Host[] =>
  Array.from({ length: count }, (_, i) => new Host(endpoint(from + i), [], 'c', null));

function balance(priorities: readonly Host[][], lbPolicy: HashLbPolicyModel, stats = new Float64Array(200)) {
  const balancer = buildBalancer(priorities, clusterModel([], { lbPolicy }), SYSTEM_RUNTIME, stats);
  return (key: string, attempt = 0): Host => {
    const context: PickContext = {
      ...PICK,
      hash: (out: U64) => {
        xxHash64(key, out);
        return key !== '';
      },
    };
    const host = balancer.pick(context, attempt);
    if (host === null) throw new Error('no host');
    return host;
  };
}

for (const policy of [RING, MAGLEV]) {
  t.test(`${policy.kind}: a host that goes takes hardly more than its own keys along`, async (t) => {
    const all = hosts(10);
    const before = balance([all], policy);
    const after = balance([all.slice(1)], policy);
    let moved = 0;
    let lost = 0;
    for (let i = 0; i < 2_000; i++) {
      const was = before(`key ${i}`);
      if (was === all[0]) lost++;
      else if (was !== after(`key ${i}`)) moved++;
    }
    t.ok(lost > 100 && lost < 320, `${lost} keys of the host`);
    // As many places as before are shared by fewer hosts, so a few others move too.
    t.ok(moved < 200, `${moved} other keys moved`);
  });

  t.test(`${policy.kind}: without a hash any host will do`, async (t) => {
    const pick = balance([hosts(4)], policy);
    const seen = new Set<Host>();
    for (let i = 0; i < 500; i++) seen.add(pick(''));
    t.equal(seen.size, 4);
  });

  t.test(`${policy.kind}: the hash chooses the priority too`, async (t) => {
    const first = hosts(2);
    const second = hosts(2, 11);
    (first[0] as Host).health = 'unhealthy';
    const pick = balance([first, second], policy);
    let firstPicked = 0;
    for (let i = 0; i < 2_000; i++) {
      const host = pick(`key ${i}`);
      t.not(host, first[0]);
      t.equal(host, pick(`key ${i}`));
      if (host === first[1]) firstPicked++;
    }
    t.ok(Math.abs(firstPicked / 20 - 70) < 4, `${firstPicked / 20} % of 70 %`);
  });

  t.test(`${policy.kind}: an attempt after another one may go elsewhere`, async (t) => {
    const pick = balance([hosts(5)], policy);
    const seen = new Set<Host>();
    for (let attempt = 0; attempt < 20; attempt++) seen.add(pick('key', attempt));
    t.ok(seen.size > 2);
  });

  t.test(`${policy.kind}: a bound on each host's load`, async (t) => {
    const all = hosts(4);
    const stats = new Float64Array(200);
    const pick = balance([all], { ...policy, balancePercent: 150 }, stats);
    const favourite = pick('key');
    for (let i = 0; i < 40; i++) {
      const host = pick('key');
      t.equal(host, pick('key'), 'the same hash, the same way round');
      host.activeRequests++;
      stats[UPSTREAM_RQ_ACTIVE] = (stats[UPSTREAM_RQ_ACTIVE] as number) + 1;
    }
    const most = Math.max(...all.map(({ activeRequests }) => activeRequests));
    t.ok(favourite.activeRequests === most && most <= 17, `${all.map(({ activeRequests }) => activeRequests)}`);
    t.equal(all.filter(({ activeRequests }) => activeRequests > 0).length >= 3, true);
  });
}

t.test('more hosts than a call may have arguments', async (t) => {
  const many = hosts(150_000);
  for (const policy of [RING, MAGLEV])
    t.ok(many.includes(buildHashTable(many, policy, () => {}).pick(xxHash64('key', new U64()), 0)), policy.kind);
});

t.test('places on a ring are in order, those of hosts that share a key too', async (t) => {
  const all = Array.from({ length: 300 }, (_, i) => {
    const hostname = i < 290 ? 'shared' : `own ${i}`;
    return new Host({ ...endpoint(i + 1), hostname }, [], 'c', null);
  });
  for (const [few, minRingSize] of [
    [all, 60_000],
    [all.slice(289), 5_000],
    [all.slice(0, 1), 1],
  ] as const) {
    const table = buildHashTable(few, { ...RING, useHostname: true, minRingSize }, null);
    const perHost = Math.ceil(minRingSize / few.length);
    const places = few.flatMap((host) =>
      Array.from({ length: perHost }, (_, n) => {
        const { hi, lo } = xxHash64(`${host.hostname}_${n}`, new U64());
        return { hash: (BigInt(hi) << 32n) | BigInt(lo), name: host.hostname };
      }),
    );
    places.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
    const wrong = Array.from({ length: 500 }, (_, i) => {
      const { hi, lo } = xxHash64(`key ${i}`, new U64());
      const hash = (BigInt(hi) << 32n) | BigInt(lo);
      const due = places.find((place) => place.hash >= hash) ?? places[0];
      return table.pick(new U64(hi, lo), 0).hostname === due?.name ? 0 : 1;
    }).filter(Boolean);
    t.equal(wrong.length, 0, `${places.length} places of ${few.length} hosts`);
  }
});

t.test('MT19937, the standard’s own check', async (t) => {
  // ISO C++ [rand.predef]: the 10,000th number of a generator with the default seed.
  const random = new MersenneTwister(5_489);
  let last = 0;
  for (let i = 0; i < 10_000; i++) last = random.next();
  t.equal(last, 4_123_659_995);
});
