// The store, the registry, and what they say after crashes, removals and resets.

import { Worker } from 'node:worker_threads';
import t from 'tap';
import type { StatsConfigModel } from '../../proxy/config/model/model.ts';
import { catalogue } from '../../proxy/observe/stats-catalogue.ts';
import { ALL_STATS } from '../../proxy/observe/stats-query.ts';
import { StatsRegistry } from '../../proxy/observe/stats-registry.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import { renderStatsText } from '../../proxy/observe/stats-text.ts';

const PLAIN: StatsConfigModel = { useAllDefaultTags: true, tags: [], matcher: { kind: 'all' }, histogramBuckets: [] };
const RQ_TOTAL = 0;
const RQ_ACTIVE = 1;
const THING = catalogue('thing', [
  [RQ_TOTAL, 'c', 'rq_total'],
  [RQ_ACTIVE, 'g', 'rq_active'],
  [2, 'h', 'rq_time'],
]);

function setUp(workers: number, config = PLAIN) {
  const registry = new StatsRegistry(config);
  const stores = Array.from(
    { length: workers },
    (_, id) => new WorkerStats((message) => registry.apply(id, structuredClone(message))),
  );
  const flush = () => {
    for (const store of stores) store.flush();
  };
  const text = (query: Partial<typeof ALL_STATS> = {}) => {
    flush();
    return [...renderStatsText(registry, { ...ALL_STATS, ...query })].join('');
  };
  return { registry, stores, flush, text };
}

function bump(slots: Float64Array, index: number, by = 1): void {
  slots[index] = (slots[index] as number) + by;
}

t.test('blocks, cells and histograms come back the same', (t) => {
  const { stores } = setUp(1);
  const [store] = stores as [WorkerStats];
  t.equal(store.block(THING, 'a.'), store.block(THING, 'a.'));
  t.not(store.block(THING, 'a.'), store.block(THING, 'b.'));
  t.equal(store.block(THING, 'a.').length, 2, 'histograms own no slot');
  t.equal(store.cell('x', 'c'), store.cell('x', 'c'));
  t.equal(store.histogram('h'), store.histogram('h'));
  t.end();
});

t.test('announcements come once a turn and survive cloning', async (t) => {
  const messages: unknown[] = [];
  const store = new WorkerStats((message) => messages.push(structuredClone(message)));
  store.block(THING, 'a.');
  store.cell('x', 'g');
  t.equal(messages.length, 0);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(messages.length, 1);
  store.block(THING, 'a.');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(messages.length, 1, 'nothing new, nothing sent');
});

t.test('values of workers are summed, also across threads', async (t) => {
  const { registry, stores, flush } = setUp(2);
  for (const store of stores) {
    bump(store.block(THING, 'a.'), RQ_TOTAL, 3);
    store.histogram('a.rq_time').record(5);
  }
  flush();
  t.equal(registry.valueOf('a.rq_total'), 6);
  t.same(registry.histograms()[0]?.cumulative, { bins: [41], counts: [2] });

  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { WorkerStats } = await import(workerData);
    const store = new WorkerStats((message) => parentPort.postMessage(message));
    store.cell('far.away', 'c')[0] += 7;
    setInterval(() => {}, 1000);
  `;
  const module = new URL('../../proxy/observe/stats-store.ts', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: module });
  const message = await new Promise<never>((resolve) => worker.once('message', resolve));
  registry.apply(9, message);
  t.equal(registry.valueOf('far.away'), 7);
  await worker.terminate();
});

t.test('declared stats are printed with zeros, in order, histograms last', (t) => {
  const { registry, text } = setUp(0);
  registry.declare(THING, 'b.');
  registry.declare(THING, 'a.');
  t.equal(
    text(),
    'a.rq_active: 0\na.rq_total: 0\nb.rq_active: 0\nb.rq_total: 0\n' +
      'a.rq_time: No recorded values\nb.rq_time: No recorded values\n',
  );
  t.end();
});

t.test('prefixes inside one another print in one sorted run', (t) => {
  const { stores, text } = setUp(1);
  const [store] = stores as [WorkerStats];
  store.block(THING, 'a.');
  store.block(THING, 'a.b.');
  store.block(THING, 'a-b.');
  store.cell('a.rq_503', 'c');
  store.cell('a.aaa', 'c');
  const names = text()
    .split('\n')
    .map((line) => line.split(':')[0]);
  const plain = names.filter((name) => name !== '' && !name?.endsWith('rq_time'));
  t.same(plain, [...plain].sort(), 'sorted');
  t.equal(plain.length, 8);
  t.end();
});

t.test('used only: what was written, even if it is zero again', (t) => {
  const { stores, text } = setUp(1);
  const [store] = stores as [WorkerStats];
  const slots = store.block(THING, 'a.');
  bump(slots, RQ_ACTIVE, 1);
  bump(slots, RQ_ACTIVE, -1);
  store.cell('server.state', 'g')[0] = 0;
  store.cell('never', 'c');
  t.equal(text({ usedOnly: true }), 'a.rq_active: 0\nserver.state: 0\n');
  t.end();
});

t.test('a crashed worker leaves its counts and takes its gauges along', (t) => {
  const { registry, stores, flush } = setUp(2);
  for (const store of stores) {
    bump(store.block(THING, 'a.'), RQ_TOTAL, 5);
    bump(store.block(THING, 'a.'), RQ_ACTIVE, 2);
    store.histogram('a.rq_time').record(1);
  }
  flush();
  registry.threadGone(0);
  t.equal(registry.valueOf('a.rq_total'), 10);
  t.equal(registry.valueOf('a.rq_active'), 2);
  t.same(registry.histograms()[0]?.cumulative.counts, [2]);
  const successor = new WorkerStats((message) => registry.apply(0, structuredClone(message)));
  bump(successor.block(THING, 'a.'), RQ_TOTAL, 1);
  successor.histogram('a.rq_time').record(1);
  successor.flush();
  t.equal(registry.valueOf('a.rq_total'), 11);
  t.same(registry.histograms()[0]?.cumulative.counts, [3]);
  t.end();
});

t.test('what all workers state alike is not summed', (t) => {
  const { registry, stores, flush } = setUp(2);
  const cluster = catalogue('cluster', [
    [0, 'g', 'membership_total'],
    [1, 'c', 'upstream_rq_total'],
  ]);
  for (const store of stores) {
    store.block(cluster, 'cluster.a.')[0] = 4;
    store.block(cluster, 'cluster.a.')[1] = 4;
  }
  flush();
  t.equal(registry.valueOf('cluster.a.membership_total'), 4);
  t.equal(registry.valueOf('cluster.a.upstream_rq_total'), 8);
  t.end();
});

t.test('forgetting a prefix spares longer names of the same kind', (t) => {
  const { registry, stores, text } = setUp(1);
  const [store] = stores as [WorkerStats];
  bump(store.block(THING, 'cluster.a.'), RQ_TOTAL);
  bump(store.block(THING, 'cluster.a.b.'), RQ_TOTAL);
  bump(store.cell('cluster.a.rq_200', 'c'), 0);
  bump(store.cell('cluster.a.b.rq_200', 'c'), 0);
  store.histogram('cluster.a.rq_time').record(1);
  registry.declare(THING, 'cluster.a.');
  t.match(text(), 'cluster.a.rq_200: 1');
  store.forget('cluster.a.');
  t.match(text(), 'cluster.a.rq_total: 0', 'declared: zeros stay');
  registry.forget('cluster.a.');
  t.equal(text({ usedOnly: true }), 'cluster.a.b.rq_200: 1\ncluster.a.b.rq_total: 1\n');
  t.end();
});

t.test('slots of forgotten stats are reused, clean', (t) => {
  const { registry, stores, flush } = setUp(1);
  const [store] = stores as [WorkerStats];
  const old = store.block(THING, 'a.');
  bump(old, RQ_TOTAL, 9);
  store.forget('a.');
  const fresh = store.block(THING, 'b.');
  t.equal(fresh, old);
  flush();
  t.equal(registry.valueOf('b.rq_total'), 0);
  t.equal(registry.valueOf('a.rq_total'), undefined);
  t.end();
});

t.test('removing and adding again does not grow', (t) => {
  let segments = 0;
  const store = new WorkerStats((message) => {
    segments += message.segments.length;
  });
  for (let i = 0; i < 20_000; i++) {
    store.block(THING, `x${i}.`);
    store.cell(`x${i}.rq_200`, 'c');
    store.histogram(`x${i}.rq_time`).record(1);
    store.forget(`x${i}.`);
  }
  store.flush();
  t.equal(segments, 1);
  t.end();
});

t.test('reset sets counters to zero and leaves gauges', (t) => {
  const { registry, stores, flush } = setUp(1);
  const [store] = stores as [WorkerStats];
  const slots = store.block(THING, 'a.');
  bump(slots, RQ_TOTAL, 5);
  bump(slots, RQ_ACTIVE, 2);
  flush();
  registry.resetCounters();
  t.equal(registry.valueOf('a.rq_total'), 0);
  t.equal(registry.valueOf('a.rq_active'), 2);
  bump(slots, RQ_TOTAL, 3);
  t.equal(registry.valueOf('a.rq_total'), 3);
  t.end();
});

t.test('intervals hold what the last flush period brought', (t) => {
  const { registry, stores, flush } = setUp(1);
  const [store] = stores as [WorkerStats];
  const histogram = store.histogram('a.rq_time');
  histogram.record(1);
  histogram.record(3);
  flush();
  registry.flushInterval();
  t.same(registry.histograms()[0]?.interval.counts, [1, 1]);
  histogram.record(3);
  registry.flushInterval();
  t.same(registry.histograms()[0]?.interval.counts, [1]);
  registry.flushInterval();
  t.same(registry.histograms()[0]?.interval.counts, []);
  t.same(registry.histograms()[0]?.cumulative.counts, [1, 2]);
  t.end();
});

t.test('the matcher decides which stats exist', (t) => {
  const pattern = (kind: 'prefix' | 'suffix' | 'regex' | 'exact' | 'contains', value: string, ignoreCase = false) =>
    ({ kind, value, ignoreCase }) as const;
  const cases = [
    { matcher: { kind: 'none' }, kept: [] },
    {
      matcher: { kind: 'include', patterns: [pattern('prefix', 'a.')] },
      kept: ['a.rq_active', 'a.rq_total', 'a.rq_time'],
    },
    {
      matcher: { kind: 'include', patterns: [pattern('suffix', 'RQ_TOTAL'.toLowerCase(), true)] },
      kept: ['a.rq_total', 'b.rq_total'],
    },
    {
      matcher: { kind: 'exclude', patterns: [pattern('regex', 'b\\..*'), pattern('contains', 'time')] },
      kept: ['a.rq_active', 'a.rq_total'],
    },
    { matcher: { kind: 'include', patterns: [pattern('regex', 'a')] }, kept: [] },
  ] as const;
  for (const { matcher, kept } of cases) {
    const { stores, text } = setUp(1, { ...PLAIN, matcher });
    const [store] = stores as [WorkerStats];
    store.block(THING, 'a.');
    store.block(THING, 'b.');
    const names = text()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(':')[0]);
    t.same(names, kept, JSON.stringify(matcher));
  }
  t.end();
});

t.test('catalogues refuse a constant that is out of place', (t) => {
  t.throws(() => catalogue('x', [[1, 'c', 'a']]), /a is row 0 but its constant is 1/);
  t.throws(
    () =>
      catalogue('x', [
        [0, 'h', 'a'],
        [1, 'c', 'b'],
      ]),
    /b stands after a histogram/,
  );
  t.end();
});
