import t from 'tap';
import type { EndpointModel, LbPolicyModel } from '../../proxy/config/model/cluster.ts';
import { dial } from '../../proxy/net/dial.ts';
import { LB_HEALTHY_PANIC } from '../../proxy/observe/catalogue-cluster.ts';
import { buildBalancer } from '../../proxy/upstream/balancer.ts';
import { SharedBreakers } from '../../proxy/upstream/breakers.ts';
import { UpstreamCluster } from '../../proxy/upstream/cluster.ts';
import { formatAddress, Host } from '../../proxy/upstream/host.ts';
import { buildPicker } from '../../proxy/upstream/picker.ts';
import { type Runtime, SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { tlsEnv } from '../fixtures/tls-ends.ts';
import { clusterModel, endpoint, FakeStats, locality, PICK, Recorder } from '../fixtures/upstream.ts';

/** The same dice on every run. */
function dice(seed: number): Runtime {
  let state = seed;
  return {
    ...SYSTEM_RUNTIME,
    random: () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    },
  };
}

const store = new FakeStats();

function hosts(weights: readonly number[], health: readonly EndpointModel['health'][] = []): Host[] {
  return weights.map((weight, i) => {
    const model = endpoint(i + 1, { weight, health: health[i] ?? 'healthy' });
    return new Host(
      model,
      [{ address: model.address, hostname: '', bind: null, keepalive: null, bufferLimitBytes: 1, layer: null }],
      'c',
      store,
    );
  });
}

function count(pick: () => Host | null, times: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    const address = pick()?.address ?? 'none';
    counts.set(address, (counts.get(address) ?? 0) + 1);
  }
  return counts;
}

const at = (port: number): string => `127.0.0.1:${port}`;
const ROUND_ROBIN: LbPolicyModel = { kind: 'round_robin' };
const LEAST_REQUEST: LbPolicyModel = { kind: 'least_request', choiceCount: 2, activeRequestBias: 1 };

t.test('round robin takes turns from a random start', async (t) => {
  const starts = new Set<string>();
  for (let seed = 1; seed < 40; seed++) {
    const picker = buildPicker(hosts([1, 1, 1]), ROUND_ROBIN, dice(seed * 7_919));
    const first = [picker.pick(), picker.pick(), picker.pick()].map((host) => host.address);
    starts.add(first[0] as string);
    t.equal(new Set(first).size, 3);
    t.equal(picker.pick().address, first[0]);
  }
  t.equal(starts.size, 3);
});

t.test('weights: exact shares, smoothly interleaved', async (t) => {
  const list = hosts([5, 1, 2]);
  const picker = buildPicker(list, ROUND_ROBIN, dice(1));
  const counts = count(() => picker.pick(), 800);
  t.equal(counts.get(at(1)), 500);
  t.equal(counts.get(at(2)), 100);
  t.equal(counts.get(at(3)), 200);
  let run = 0;
  let longest = 0;
  for (let i = 0; i < 800; i++) {
    run = picker.pick() === list[0] ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  t.ok(longest <= 3, `the heavy host is picked ${longest} times in a row at most`);
});

t.test('random is even', async (t) => {
  const picker = buildPicker(hosts([1, 9]), { kind: 'random' }, dice(3));
  const counts = count(() => picker.pick(), 10_000);
  t.ok(Math.abs((counts.get(at(1)) as number) - 5_000) < 300, 'weights do not count, as in Envoy');
});

t.test('least request: the less busy of two, and weight over load', async (t) => {
  const list = hosts([1, 1]);
  const picker = buildPicker(list, LEAST_REQUEST, dice(4));
  (list[0] as Host).activeRequests = 10;
  const counts = count(() => picker.pick(), 10_000);
  // The busy one is taken only when both draws hit it.
  t.ok(Math.abs((counts.get(at(1)) as number) - 2_500) < 300);

  const weighted = hosts([4, 1]);
  const deadline = buildPicker(weighted, LEAST_REQUEST, dice(5));
  t.equal(count(() => deadline.pick(), 500).get(at(1)), 400);
  (weighted[0] as Host).activeRequests = 3;
  deadline.pick();
  const loaded = count(() => deadline.pick(), 500).get(at(1)) as number;
  t.ok(Math.abs(loaded - 250) <= 5, `4 / (3 + 1) against 1: ${loaded} of 500`);
});

interface PriorityCase {
  readonly name: string;
  /** Health letters by priority: h, d, u. */
  readonly levels: readonly string[];
  readonly panicPercent: number;
  /** Share of each priority's picks, and the letters picked there. */
  readonly shares: readonly (readonly [percent: number, letters: string])[];
  readonly panic?: boolean;
}

const PRIORITIES: readonly PriorityCase[] = [
  {
    name: 'all healthy',
    levels: ['hh', 'hh'],
    panicPercent: 50,
    shares: [
      [100, 'h'],
      [0, ''],
    ],
  },
  {
    name: 'still 100 % with 5 of 7',
    levels: ['hhhhhuu', 'h'],
    panicPercent: 50,
    shares: [
      [100, 'h'],
      [0, ''],
    ],
  },
  {
    name: 'half healthy spills over 30 %',
    levels: ['hhuu', 'hh'],
    panicPercent: 50,
    shares: [
      [70, 'h'],
      [30, 'h'],
    ],
  },
  {
    name: 'nobody in the first',
    levels: ['uu', 'hh'],
    panicPercent: 50,
    shares: [
      [0, ''],
      [100, 'h'],
    ],
  },
  {
    name: 'an empty first priority',
    levels: ['', 'hh'],
    panicPercent: 50,
    shares: [
      [0, ''],
      [100, 'h'],
    ],
  },
  { name: 'degraded take what is left', levels: ['hhdd'], panicPercent: 50, shares: [[100, 'hd']] },
  { name: 'degraded only', levels: ['dd'], panicPercent: 50, shares: [[100, 'd']] },
  { name: 'panic uses all', levels: ['huuu'], panicPercent: 50, shares: [[100, 'hu']], panic: true },
  { name: 'panic switched off', levels: ['huuu'], panicPercent: 0, shares: [[100, 'h']] },
  { name: 'nobody healthy, panic', levels: ['uu'], panicPercent: 50, shares: [[100, 'u']], panic: true },
  {
    name: 'total panic goes by number of hosts',
    levels: ['uuu', 'u'],
    panicPercent: 50,
    shares: [
      [75, 'u'],
      [25, 'u'],
    ],
    panic: true,
  },
];

for (const c of PRIORITIES) {
  t.test(`priorities: ${c.name}`, async (t) => {
    const health = { h: 'healthy', d: 'degraded', u: 'unhealthy' } as const;
    const letters = new Map<Host, readonly [priority: number, letter: string]>();
    const levels = c.levels.map((level, priority) => {
      const list = hosts(
        [...level].map(() => 1),
        [...level].map((letter) => health[letter as 'h']),
      );
      for (const [i, host] of list.entries()) letters.set(host, [priority, level[i] as string]);
      return list;
    });
    const stats = new Float64Array(200);
    const balancer = buildBalancer(levels, clusterModel([], { healthyPanicThreshold: c.panicPercent }), dice(6), stats);
    const picked = c.levels.map(() => ({ count: 0, letters: new Set<string>() }));
    for (let i = 0; i < 10_000; i++) {
      const [priority, letter] = letters.get(balancer.pick(PICK, 0) as Host) as readonly [number, string];
      (picked[priority] as { count: number }).count++;
      picked[priority]?.letters.add(letter);
    }
    c.shares.forEach(([percent, wanted], priority) => {
      const seen = picked[priority] as { count: number; letters: Set<string> };
      t.ok(Math.abs(seen.count / 100 - percent) < 2, `priority ${priority}: ${seen.count / 100} % of ${percent} %`);
      t.equal([...seen.letters].sort().join(''), [...wanted].sort().join(''));
    });
    t.equal((stats[LB_HEALTHY_PANIC] as number) > 0, c.panic === true);
  });
}

t.test('nobody to pick', async (t) => {
  const stats = new Float64Array(200);
  t.equal(buildBalancer([], clusterModel([]), dice(1), stats).pick(PICK, 0), null);
  t.equal(stats[LB_HEALTHY_PANIC], 1, 'an empty cluster is in panic');
  const model = clusterModel([], { healthyPanicThreshold: 0 });
  t.equal(buildBalancer([hosts([1], ['unhealthy'])], model, dice(1), stats).pick(PICK, 0), null);
  t.equal(buildBalancer([[]], model, dice(1), stats).pick(PICK, 0), null);
  t.equal(stats[LB_HEALTHY_PANIC], 1, 'unless there is no panic');
});

t.test('a priority is not in panic because another one is left out', async (t) => {
  const stats = new Float64Array(200);
  const few = hosts([1, 1, 1], ['healthy', 'unhealthy', 'unhealthy']);
  const levels = [few, hosts([1], ['healthy']), hosts([1], ['degraded'])];
  const rest = (mask: number) => buildBalancer(levels, clusterModel([]), dice(1), stats, null, mask);
  const first = rest(0b110);
  t.ok(Array.from({ length: 20 }, () => first.pick(PICK, 0)).every((host) => host === few[0]));
  t.equal(rest(0b011).pick(PICK, 0), levels[2]?.[0]);
  t.equal(stats[LB_HEALTHY_PANIC], 0);
});

t.test('no traffic in panic', async (t) => {
  const stats = new Float64Array(200);
  const level = hosts([1, 1, 1], ['healthy', 'unhealthy', 'unhealthy']);
  const model = clusterModel([], { failTrafficOnPanic: true });
  const picks = (levels: Host[][], policy = model.lbPolicy): boolean =>
    buildBalancer(levels, { ...model, lbPolicy: policy }, dice(1), stats).pick(PICK, 0) !== null;
  t.equal(picks([level]), false);
  t.equal(picks([level, level]), false, 'the panic of several priorities');
  t.equal(stats[LB_HEALTHY_PANIC], 2);
  t.equal(picks([level.slice(0, 2)]), true, 'half of them is enough');
});

t.test('a retry avoids hosts it has tried, a bounded number of times', async (t) => {
  const env = {
    stats: new FakeStats(),
    runtime: dice(1),
    wheel: new TimerWheel(SYSTEM_RUNTIME),
    breakers: new SharedBreakers(SharedBreakers.allocate(1, 1), 1, 0),
    dial,
    tls: tlsEnv(),
    outliers: null,
    shed: null,
  };
  const model = clusterModel([], { localities: [locality([endpoint(1), endpoint(2), endpoint(3)])] });
  const cluster = new UpstreamCluster(model, env, 0);
  cluster.setHosts(model.localities);
  for (const attempts of [0, 2, 5]) {
    let asked = 0;
    const avoidHost = (): boolean => {
      asked++;
      return true;
    };
    const recorder = new Recorder();
    cluster.startStream({ ...PICK, avoidHost, avoidHostMaxAttempts: attempts }, recorder)?.cancel();
    t.equal(asked, attempts);
  }
  cluster.close();
});

t.test('addresses are written as Envoy writes them', async (t) => {
  const socket = { kind: 'socket', protocol: 'tcp', port: 80, ipv4Compat: false } as const;
  t.equal(formatAddress({ ...socket, address: '10.0.0.1' }), '10.0.0.1:80');
  t.equal(formatAddress({ ...socket, address: '::1' }), '[::1]:80');
  t.equal(formatAddress({ kind: 'pipe', path: '/run/x', mode: 0 }), '/run/x');
  t.equal(formatAddress({ kind: 'internal', listenerName: 'l', endpointId: 'e' }), 'envoy://l/e');
});
