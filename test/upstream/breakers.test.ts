import t from 'tap';
import type { BreakerModel } from '../../proxy/config/model/cluster.ts';
import type { StatsConfigModel } from '../../proxy/config/model/model.ts';
import { CLUSTER_CATALOGUE } from '../../proxy/observe/catalogue-cluster.ts';
import { StatsRegistry } from '../../proxy/observe/stats-registry.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import {
  CELLS_PER_CLUSTER,
  OPEN_GAUGES,
  PriorityBreakers,
  priorityBase,
  SharedBreakers,
  settleOpenGauges,
} from '../../proxy/upstream/breakers.ts';
import { assignBreakerBases } from '../../proxy/upstream/cluster-manager.ts';
import { HOSTS_MAX } from '../../proxy/upstream/host-cells.ts';
import { HostConnections } from '../../proxy/upstream/host-connections.ts';
import { clusterModel } from '../fixtures/upstream.ts';

const LIMITS = {
  maxConnections: 3,
  maxConnectionsPerHost: 0xffff_ffff,
  maxPendingRequests: 2,
  maxRequests: 10,
  maxRetries: 1,
  maxConnectionPools: 5,
  retryBudget: null,
};

const STATS: StatsConfigModel = { useAllDefaultTags: true, tags: [], matcher: { kind: 'all' }, histogramBuckets: [] };

let clockMs = 0;

function unexpected(): never {
  throw new Error('the table is not full');
}

/** The same cluster as several workers see it. */
function workers(count: number, model: BreakerModel = LIMITS) {
  const buffer = SharedBreakers.allocate(count, 1);
  return Array.from({ length: count }, (_, worker) => {
    const shared = new SharedBreakers(buffer, count, worker);
    const block = new Float64Array(5);
    const remaining = new Float64Array(5);
    const gauges = (limit: number) => ({ block, open: limit, remaining, remainingAt: limit });
    return { shared, block, remaining, breakers: new PriorityBreakers(shared, 0, model, gauges, () => clockMs) };
  });
}

const sum = (list: readonly { block: Float64Array }[], at: number): number =>
  list.reduce((total, { block }) => total + (block[at] as number), 0);

t.test('a limit holds for all workers together, and its gauges add up', async (t) => {
  const all = workers(3);
  const [a, b, c] = all.map(({ breakers }) => breakers.connections);
  a?.take();
  b?.take();
  t.equal(sum(all, 0), 0);
  t.ok(c?.tryTake());
  t.notOk(a?.tryTake());
  t.notOk(b?.tryTake());
  t.equal(sum(all, 0), 1, 'open');
  t.equal(
    all.reduce((total, { remaining }) => total + (remaining[0] as number), 0),
    0,
    'remaining',
  );
  b?.give();
  t.equal(c?.used, 2);
  t.equal(sum(all, 0), 0, 'closed, whoever opened it');
  t.equal(
    all.reduce((total, { remaining }) => total + (remaining[0] as number), 0),
    1,
  );
});

t.test('what a dead worker held is given back', async (t) => {
  const [a, b] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  for (let i = 0; i < 3; i++) b.breakers.connections.take();
  t.notOk(a.breakers.connections.tryTake());
  a.shared.clearWorker(1);
  t.equal(a.breakers.connections.used, 0);
});

t.test('a host has a limit for all workers together', async (t) => {
  const [a, b] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  const host = { address: '10.0.0.1:80', hostname: 'h' };
  const [ofA, ofB] = [a, b].map(({ shared }) => new HostConnections(shared, 'c', 3, unexpected));
  for (const breaker of [ofA?.of(host), ofB?.of({ ...host }), ofA?.of(host)]) t.ok(breaker?.tryTake());
  t.notOk(ofB?.of(host).tryTake());
  t.ok(ofB?.of({ ...host, hostname: 'other' }).tryTake(), 'another host');
  t.ok(new HostConnections(b.shared, 'd', 1, unexpected).of(host).tryTake(), 'another cluster');
  a.shared.clearWorker(0);
  t.equal(ofB?.of(host).used, 1, 'what a dead worker held is given back');
});

t.test('hosts beyond the table have a limit in each worker, and that is told', async (t) => {
  const [a] = workers(1) as [ReturnType<typeof workers>[0]];
  let full = 0;
  const hosts = new HostConnections(a.shared, 'c', 1, () => full++);
  for (let i = 0; i < 20_000; i++) {
    const breaker = hosts.of({ address: `10.0.0.1:${i}`, hostname: '' });
    if (!breaker.tryTake() || breaker.tryTake()) t.fail(`host ${i}`);
  }
  t.ok(full >= 20_000 - HOSTS_MAX && full < 6_000, `${full} times`);
});

t.test('the cells of hosts that are gone go to others', async (t) => {
  const [a, b] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  const [ofA, ofB] = [a, b].map(({ shared }) => new HostConnections(shared, 'c', 2, unexpected)) as [
    HostConnections,
    HostConnections,
  ];
  for (let round = 0; round < 5; round++) {
    const hosts = Array.from({ length: HOSTS_MAX / 2 }, (_, i) => ({ address: `10.0.${round}.1:${i}`, hostname: '' }));
    for (const host of hosts) {
      if (!ofA.of(host).tryTake() || !ofB.of(host).tryTake() || ofB.of(host).tryTake()) t.fail(host.address);
      ofA.forget(host);
      ofB.forget(host);
      ofA.of(host).give();
      ofB.of(host).give();
    }
  }
  t.equal(HOSTS_MAX, 16_384);
});

t.test('a host that is gone keeps its cell as long as it has connections', async (t) => {
  const [a, b] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  const [ofA, ofB] = [a, b].map(({ shared }) => new HostConnections(shared, 'c', 2, unexpected)) as [
    HostConnections,
    HostConnections,
  ];
  const host = { address: '10.0.0.1:80', hostname: 'h' };
  t.ok(ofA.of(host).tryTake());
  ofA.forget(host);
  t.ok(ofB.of({ ...host }).tryTake(), 'it is back, in another worker first');
  t.notOk(ofB.of({ ...host }).tryTake(), 'what it had counts');
  const old = ofA.of(host);
  old.give();
  const waiting = ofA.of(host);
  t.not(waiting, old, 'whoever still waited for it');
  t.ok(waiting.tryTake());
  t.notOk(ofB.of({ ...host }).tryTake());
  b.shared.clearWorker(1);
  t.equal(ofA.of(host).used, 1, 'a dead worker holds nothing');
  waiting.give();
  t.equal(a.shared.hosts.acquire('other'), a.shared.hosts.acquire('other'), 'all can be had again');
});

t.test('after a crash the gauge tells whether a breaker is open', async (t) => {
  const registry = new StatsRegistry(STATS);
  const buffer = SharedBreakers.allocate(3, 1);
  const all = [0, 1, 2].map((worker) => {
    const shared = new SharedBreakers(buffer, 3, worker);
    const store = new WorkerStats((message) => registry.apply(worker, message));
    const block = store.block(CLUSTER_CATALOGUE, 'cluster.c.');
    store.flush();
    const gauges = (limit: number) => ({
      block,
      open: OPEN_GAUGES.default[limit] as number,
      remaining: null,
      remainingAt: 0,
    });
    return { shared, connections: new PriorityBreakers(shared, 0, LIMITS, gauges, () => clockMs).connections };
  });
  const [a, b, c] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
  const shown = () => registry.valueOf('cluster.c.circuit_breakers.default.cx_open');
  const crash = (worker: number) => {
    a.shared.clearWorker(worker);
    registry.threadGone(worker);
    settleOpenGauges(a.shared, [{ statName: 'c', breakerBase: 0 }], registry);
  };

  a.connections.take();
  a.connections.take();
  b.connections.take();
  t.equal(shown(), 1, 'opened by b');
  crash(1);
  t.equal(shown(), 0, 'closed: b gave back what it held');
  c.connections.take();
  t.equal(shown(), 1, 'opened by c');
  a.connections.give();
  t.equal(shown(), 0, 'closed by a');
  c.connections.give();
  a.connections.take();
  a.connections.take();
  t.equal(shown(), 1, 'opened by a');
  crash(2);
  t.equal(shown(), 1, 'still open: c held nothing');
  a.connections.give();
  t.equal(shown(), 0, 'closed by a');
});

t.test('retries: a number, or a share of what is active', async (t) => {
  const [plain] = workers(1) as [ReturnType<typeof workers>[0]];
  t.ok(plain.breakers.tryRetry());
  t.notOk(plain.breakers.tryRetry());
  plain.breakers.retries.give();
  t.ok(plain.breakers.tryRetry());

  const model = { ...LIMITS, retryBudget: { budgetPercent: 20, intervalMs: 0, minRetryConcurrency: 1 } };
  const [budget] = workers(1, model) as [ReturnType<typeof workers>[0]];
  t.ok(budget.breakers.tryRetry(), 'the minimum');
  t.notOk(budget.breakers.tryRetry());
  for (let i = 0; i < 10; i++) budget.breakers.requests.take();
  t.ok(budget.breakers.tryRetry(), '20 % of 10');
  t.notOk(budget.breakers.tryRetry());
});

t.test('retries: a share of what has begun lately, in any worker', async (t) => {
  clockMs = 5_000;
  const model = { ...LIMITS, retryBudget: { budgetPercent: 50, intervalMs: 1_000, minRetryConcurrency: 0 } };
  const [a, b] = workers(2, model) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  const request = ({ breakers }: typeof a): void => {
    t.ok(breakers.requests.tryTake());
    breakers.requests.give();
  };
  const retries = (): number => {
    let taken = 0;
    while (b.breakers.tryRetry()) taken++;
    for (let i = 0; i < taken; i++) b.breakers.retries.give();
    return taken;
  };
  t.equal(retries(), 0, 'nothing has begun');
  request(a);
  request(a);
  clockMs += 350;
  request(b);
  request(a);
  t.equal(retries(), 2, 'half of four');
  clockMs += 650;
  t.equal(retries(), 2, 'the tenth part still counts');
  clockMs += 150;
  t.equal(retries(), 1, 'half of the two that came later');
  clockMs += 60_000;
  t.equal(retries(), 0);
  request(b);
  request(b);
  t.equal(retries(), 1);
});

t.test('the gauge of a budget follows max_retries, as in Envoy', async (t) => {
  const model = { ...LIMITS, maxRetries: 2, retryBudget: { budgetPercent: 0, intervalMs: 0, minRetryConcurrency: 3 } };
  const [{ breakers, block }] = workers(1, model) as [ReturnType<typeof workers>[0]];
  const open = (): number => block[3] as number;
  t.ok(breakers.tryRetry());
  t.equal(open(), 0);
  t.ok(breakers.tryRetry());
  t.equal(open(), 1);
  t.ok(breakers.tryRetry(), 'open, and within the budget');
  t.notOk(breakers.tryRetry());
  for (let i = 0; i < 3; i++) breakers.retries.give();
  t.equal(open(), 0);
});

t.test('clusters and priorities have cells of their own', async (t) => {
  const taken = new Map<string, number>();
  const first = assignBreakerBases([clusterModel([], { name: 'a' }), clusterModel([], { name: 'b' })], taken);
  const second = assignBreakerBases([clusterModel([], { name: 'c' }), clusterModel([], { name: 'a' })], taken);
  t.strictSame(
    [...first, ...second].map(({ breakerBase }) => breakerBase),
    [0, CELLS_PER_CLUSTER, 2 * CELLS_PER_CLUSTER, 0],
  );
  t.equal(priorityBase(CELLS_PER_CLUSTER, 'high') - priorityBase(CELLS_PER_CLUSTER, 'default'), CELLS_PER_CLUSTER / 2);
  const shared = new SharedBreakers(SharedBreakers.allocate(2, 1), 2, 0);
  t.ok(shared.fits(shared.lastBase));
  t.notOk(shared.fits(shared.lastBase + CELLS_PER_CLUSTER));
  t.ok(shared.fits(10_000 * CELLS_PER_CLUSTER), 'room for clusters that come later');
});
