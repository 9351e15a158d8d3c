// A limit holds across real threads at every moment, also after one of them was killed while it held places.

import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { PriorityBreakers, SharedBreakers } from '../../proxy/upstream/breakers.ts';
import { type BreakerWork, HELD, HOLDERS, ROUNDS, STOP, WORST } from '../fixtures/breaker-worker.ts';

const WORKERS = 3;
const MAX = 7;
/** Places taken that make a phase, and the longest that one may take. */
const ROUNDS_PER_PHASE = 100_000;
const PHASE_MS_MAX = 15_000;

t.test('no thread gets a place too many, and a dead one keeps none', async (t) => {
  const table = SharedBreakers.allocate(WORKERS, 1);
  const notes = new SharedArrayBuffer((HELD + WORKERS) * 4);
  const seen = new Int32Array(notes);
  const main = new SharedBreakers(table, WORKERS, 0);
  const start = async (worker: number): Promise<Worker> => {
    const workerData: BreakerWork = { table, notes, workers: WORKERS, worker, max: MAX };
    const thread = new Worker(new URL('../fixtures/breaker-worker.ts', import.meta.url), { workerData });
    await once(thread, 'online');
    return thread;
  };
  const phase = async (): Promise<void> => {
    const until = Atomics.load(seen, ROUNDS) + ROUNDS_PER_PHASE;
    const giveUp = performance.now() + PHASE_MS_MAX;
    while (Atomics.load(seen, ROUNDS) < until && performance.now() < giveUp) await wait(5);
    t.ok(Atomics.load(seen, ROUNDS) >= until, 'the threads get on');
  };

  const threads = await Promise.all([0, 1, 2].map(start));
  await phase();
  t.ok(Atomics.load(seen, WORST) <= MAX, `${Atomics.load(seen, WORST)} places held at once`);

  // Killed where it is, with whatever it holds.
  const victim = threads[1] as Worker;
  do {
    await wait(1);
  } while (Atomics.load(seen, HELD + 1) === 0);
  await victim.terminate();
  Atomics.sub(seen, HOLDERS, Atomics.exchange(seen, HELD + 1, 0));
  main.clearWorker(1);
  await phase();
  t.ok(Atomics.load(seen, WORST) <= MAX + 1, 'one more only where the thread died between its two notes');

  threads[1] = await start(1);
  await phase();
  Atomics.store(seen, STOP, 1);
  await Promise.all(threads.map((thread) => (thread.threadId < 0 ? null : once(thread, 'exit'))));
  const limits = {
    maxConnections: MAX,
    maxConnectionsPerHost: MAX,
    maxPendingRequests: MAX,
    maxRequests: MAX,
    maxRetries: MAX,
    maxConnectionPools: MAX,
    retryBudget: null,
  };
  const gauges = (limit: number) => ({ block: new Float64Array(5), open: limit, remaining: null, remainingAt: 0 });
  const { requests } = new PriorityBreakers(main, 0, limits, gauges, () => 0);
  t.equal(requests.used, 0, 'all places are given back');
  for (let i = 0; i < MAX; i++) t.ok(requests.tryTake());
  t.notOk(requests.tryTake());
});
