import t from 'tap';
import type { ClusterModel, DiscoveryModel, LocalityModel } from '../../proxy/config/model/cluster.ts';
import { DnsClusters } from '../../proxy/upstream/dns.ts';
import {
  candidates,
  createResolver,
  type LookUp,
  type LookupFamily,
  parseHosts,
  parseResolvConf,
  type Resolution,
  resolveFamilies,
} from '../../proxy/upstream/dns-resolver.ts';
import { clusterModel, endpoint, FakeStats, locality } from '../fixtures/upstream.ts';

/** Answers from a table; time moves when told. */
class Rig {
  readonly stats = new FakeStats();
  readonly published: { readonly name: string; readonly localities: readonly LocalityModel[] }[] = [];
  readonly asked: string[] = [];
  readonly timers: { readonly ms: number; readonly fn: () => void }[] = [];
  answers = new Map<string, Resolution | null>();
  random = 0;
  readonly dns = new DnsClusters({
    runtime: {
      nowMs: () => 0,
      random: () => this.random,
      after: (ms, fn) => {
        const timer = { ms, fn };
        this.timers.push(timer);
        return () => void this.timers.splice(this.timers.indexOf(timer), 1);
      },
    },
    stats: this.stats,
    publish: (name, localities) => this.published.push({ name, localities }),
    createResolver: () => ({
      resolve: async (name: string, family: LookupFamily) => {
        this.asked.push(`${name} ${family}`);
        const answer = this.answers.get(name);
        if (answer == null) throw new Error('SERVFAIL');
        return answer;
      },
      close: () => {},
    }),
  });

  answer(name: string, addresses: readonly string[], ttlSeconds = 0): void {
    this.answers.set(name, { addresses, ttlSeconds });
  }

  /** Fires the only timer; returns its length. */
  async tick(): Promise<number> {
    const [timer] = this.timers.splice(0, 1);
    timer?.fn();
    await new Promise((resolve) => setImmediate(resolve));
    return timer?.ms ?? -1;
  }

  get addresses(): string[] {
    const last = this.published.at(-1)?.localities ?? [];
    return last.flatMap(({ endpoints }) =>
      endpoints.map(({ address, hostname }) => `${address.kind === 'socket' ? address.address : '?'} ${hostname}`),
    );
  }
}

function dnsModel(
  kind: 'strict_dns' | 'logical_dns',
  names: readonly string[],
  changes: Partial<Extract<DiscoveryModel, { kind: 'strict_dns' | 'logical_dns' }>> = {},
): ClusterModel {
  const endpoints = names.map((address) =>
    endpoint(80, { address: { kind: 'socket', protocol: 'tcp', address, port: 80, ipv4Compat: false } }),
  );
  return clusterModel([], {
    localities: [locality(endpoints)],
    discovery: {
      kind,
      refreshMs: 5_000,
      failureRefreshBaseMs: 0,
      failureRefreshMaxMs: 0,
      respectTtl: false,
      jitterMs: 0,
      family: 'auto',
      waitForWarm: true,
      resolvers: [],
      ...changes,
    },
  });
}

t.test('every address of every name is a host', async (t) => {
  const rig = new Rig();
  rig.answer('a', ['10.0.0.2', '10.0.0.1']);
  rig.answer('b', ['10.0.1.1']);
  rig.dns.apply([dnsModel('strict_dns', ['a', 'b'])]);
  await rig.dns.warm();
  t.strictSame(rig.addresses, ['10.0.0.1 a', '10.0.0.2 a', '10.0.1.1 b']);
  t.equal(rig.dns.current.size, 1);
  t.equal(rig.stats.ofCluster('c')['update_success'], 2);
  rig.answer('a', ['10.0.0.1', '10.0.0.2']);
  t.equal(await rig.tick(), 5_000);
  t.equal(rig.published.length, 2, 'another order is no change');
  t.equal(rig.stats.ofCluster('c')['update_no_rebuild'], 1);
  rig.dns.close();
  t.equal(rig.timers.length, 0);
});

t.test('a failure keeps the hosts, an empty answer removes them', async (t) => {
  const rig = new Rig();
  rig.answer('a', ['10.0.0.1']);
  rig.dns.apply([dnsModel('strict_dns', ['a'])]);
  await rig.dns.warm();
  rig.answers.set('a', null);
  await rig.tick();
  t.strictSame(rig.addresses, ['10.0.0.1 a']);
  t.equal(rig.stats.ofCluster('c')['update_failure'], 1);
  rig.answer('a', []);
  await rig.tick();
  t.strictSame(rig.addresses, []);
  t.equal(rig.stats.ofCluster('c')['update_success'], 2);
  rig.dns.close();

  const logical = new Rig();
  logical.answer('a', []);
  logical.dns.apply([dnsModel('logical_dns', ['a'])]);
  await logical.dns.warm();
  t.equal(logical.stats.ofCluster('c')['update_failure'], 1);
  t.equal(logical.published.length, 0);
  logical.dns.close();
});

t.test('refresh: TTL, jitter, back-off after failures', async (t) => {
  const rig = new Rig();
  rig.random = 0.5;
  rig.answer('a', ['10.0.0.1'], 30);
  rig.dns.apply([
    dnsModel('strict_dns', ['a'], {
      respectTtl: true,
      jitterMs: 100,
      failureRefreshBaseMs: 1_000,
      failureRefreshMaxMs: 3_000,
    }),
  ]);
  await rig.dns.warm();
  rig.answers.set('a', null);
  const lengths = [];
  for (let i = 0; i < 4; i++) lengths.push(await rig.tick());
  rig.answer('a', ['10.0.0.1'], 0);
  lengths.push(await rig.tick(), await rig.tick());
  t.strictSame(lengths, [30_050, 500, 1_000, 1_500, 1_500, 5_050]);
  rig.dns.close();
});

t.test('refresh after a failure without an interval of its own', async (t) => {
  const rig = new Rig();
  rig.random = 0.5;
  rig.dns.apply([dnsModel('strict_dns', ['a'], { failureRefreshBaseMs: 5_000, failureRefreshMaxMs: 5_000 })]);
  await rig.dns.warm();
  t.equal(await rig.tick(), 5_000);
  rig.dns.close();
});

t.test('LOGICAL_DNS takes the first address; a failed first resolution is warm, too', async (t) => {
  const rig = new Rig();
  rig.answer('a', ['10.0.0.2', '10.0.0.1']);
  rig.dns.apply([dnsModel('logical_dns', ['a'])]);
  await rig.dns.warm();
  t.strictSame(rig.addresses, ['10.0.0.2 a']);
  rig.answer('a', ['10.0.0.1', '10.0.0.2']);
  await rig.tick();
  t.strictSame(rig.addresses, ['10.0.0.1 a'], 'the order counts here');
  const cold = new Rig();
  cold.dns.apply([dnsModel('logical_dns', ['gone'])]);
  await cold.dns.warm();
  t.equal(cold.published.length, 0);
  cold.dns.apply([], ['c']);
  t.equal(cold.timers.length, 0, 'a removed cluster asks no more');
  rig.dns.close();
});

t.test('hosts file, search list, literals, localhost', async (t) => {
  const hosts = parseHosts('127.0.0.1 localhost # x\n::1 localhost ip6\n#10.0.0.9 no\n10.0.0.1\tA.b c\nnonsense d\n');
  t.strictSame(hosts.get('localhost'), ['127.0.0.1', '::1']);
  t.strictSame(hosts.get('a.b'), ['10.0.0.1']);
  t.equal(hosts.has('no'), false);
  t.equal(hosts.has('d'), false);
  const conf = parseResolvConf('nameserver 10.0.0.10\nsearch ns.svc.x svc.x. x\noptions timeout:1 ndots:5\n');
  t.strictSame(conf, { search: ['ns.svc.x', 'svc.x', 'x'], ndots: 5 });
  t.strictSame(candidates('a', conf), ['a.ns.svc.x', 'a.svc.x', 'a.x', 'a']);
  t.strictSame(candidates('a.b.c.d.e.f', conf)[0], 'a.b.c.d.e.f');
  t.strictSame(candidates('a.b.', conf), ['a.b']);
  const resolver = createResolver([]);
  t.strictSame(await resolver.resolve('192.0.2.1', 'v6_only'), { addresses: ['192.0.2.1'], ttlSeconds: 0 });
  t.strictSame((await resolver.resolve('x.localhost', 'auto')).addresses, ['::1']);
  t.strictSame((await resolver.resolve('x.localhost', 'v4_preferred')).addresses, ['127.0.0.1']);
  t.strictSame((await resolver.resolve('x.localhost', 'all')).addresses, ['127.0.0.1', '::1']);
  resolver.close();
});

t.test('of both address families one answer is enough', async (t) => {
  const answers =
    (failing: readonly number[]): LookUp =>
    async (_, version) => {
      if (failing.includes(version)) throw new Error(`SERVFAIL ${version}`);
      return version === 4 ? { addresses: ['10.0.0.1'], ttlSeconds: 30 } : { addresses: ['::2'], ttlSeconds: 20 };
    };
  t.same(await resolveFamilies(answers([]), 'a', 'all'), { addresses: ['10.0.0.1', '::2'], ttlSeconds: 20 });
  t.same(await resolveFamilies(answers([6]), 'a', 'all'), { addresses: ['10.0.0.1'], ttlSeconds: 30 });
  t.same(await resolveFamilies(answers([4]), 'a', 'all'), { addresses: ['::2'], ttlSeconds: 20 });
  await t.rejects(resolveFamilies(answers([4, 6]), 'a', 'all'), /SERVFAIL/);
});
