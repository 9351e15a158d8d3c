import t from 'tap';
import { CELLS_PER_CLUSTER, PriorityBreakers, priorityBase, SharedBreakers } from '../../proxy/upstream/breakers.ts';
import { assignBreakerBases } from '../../proxy/upstream/cluster-manager.ts';
import { clusterModel } from '../fixtures/upstream.ts';

const LIMITS = {
  maxConnections: 3,
  maxPendingRequests: 2,
  maxRequests: 10,
  maxRetries: 1,
  maxConnectionPools: 5,
  retryBudget: null,
};

/** The same cluster as several workers see it. */
function workers(count: number, model = LIMITS) {
  const buffer = SharedBreakers.allocate(count, 1);
  return Array.from({ length: count }, (_, worker) => {
    const shared = new SharedBreakers(buffer, count, worker);
    const block = new Float64Array(5);
    const remaining = new Float64Array(5);
    const gauges = (limit: number) => ({ block, open: limit, remaining, remainingAt: limit });
    return { shared, block, remaining, breakers: new PriorityBreakers(shared, 0, model, gauges) };
  });
}

const sum = (list: readonly { block: Float64Array }[], at: number): number =>
  list.reduce((total, { block }) => total + (block[at] as number), 0);

t.test('a limit holds for all workers together, and its gauges add up', async (t) => {
  const all = workers(3);
  const [a, b, c] = all.map(({ breakers }) => breakers.connections);
  a?.take();
  b?.take();
  t.ok(c?.canTake);
  t.equal(sum(all, 0), 0);
  c?.take();
  t.notOk(a?.canTake);
  t.notOk(b?.canTake);
  t.equal(sum(all, 0), 1, 'open');
  t.equal(
    all.reduce((total, { remaining }) => total + (remaining[0] as number), 0),
    0,
    'remaining',
  );
  b?.give();
  t.ok(c?.canTake);
  t.equal(sum(all, 0), 0, 'closed, whoever opened it');
  t.equal(
    all.reduce((total, { remaining }) => total + (remaining[0] as number), 0),
    1,
  );
});

t.test('what a dead worker held is given back', async (t) => {
  const [a, b] = workers(2) as [ReturnType<typeof workers>[0], ReturnType<typeof workers>[0]];
  for (let i = 0; i < 3; i++) b.breakers.connections.take();
  t.notOk(a.breakers.connections.canTake);
  a.shared.clearWorker(1);
  t.equal(a.breakers.connections.used, 0);
});

t.test('retries: a number, or a share of what is active', async (t) => {
  const [plain] = workers(1) as [ReturnType<typeof workers>[0]];
  t.ok(plain.breakers.tryRetry());
  t.notOk(plain.breakers.tryRetry());
  plain.breakers.retries.give();
  t.ok(plain.breakers.tryRetry());

  const model = { ...LIMITS, retryBudget: { budgetPercent: 20, minRetryConcurrency: 1 } } as unknown as typeof LIMITS;
  const [budget] = workers(1, model) as [ReturnType<typeof workers>[0]];
  t.ok(budget.breakers.tryRetry(), 'the minimum');
  t.notOk(budget.breakers.tryRetry());
  for (let i = 0; i < 10; i++) budget.breakers.requests.take();
  t.ok(budget.breakers.tryRetry(), '20 % of 10');
  t.notOk(budget.breakers.tryRetry());
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
