import t from 'tap';
import { ConnectionCounts } from '../../proxy/listener/connection-counts.ts';

function table(workers: number): ConnectionCounts {
  return new ConnectionCounts(ConnectionCounts.allocate(2, workers), workers);
}

t.test('the least loaded worker is one that accepts hand-overs', async (t) => {
  const counts = table(3);
  for (let i = 0; i < 3; i++) counts.add(1, 0, 1);
  t.equal(counts.leastLoaded(1, 0), 0, 'nobody else listens yet');
  counts.setAccepting(1);
  counts.setAccepting(2);
  counts.add(1, 1, 1);
  t.equal(counts.leastLoaded(1, 0), 2);
  counts.add(1, 2, 1);
  counts.add(1, 2, 1);
  counts.clearWorker(2);
  t.notOk(counts.accepts(2));
  t.equal(counts.leastLoaded(1, 0), 1, 'the dead worker looks empty and gets nothing');
  counts.setAccepting(2);
  t.equal(counts.leastLoaded(1, 0), 2, 'its successor does');
});

t.test('counts are exact however a hand-over crosses a crash', async (t) => {
  const counts = table(2);
  counts.setAccepting(1);
  counts.add(0, 1, 1);
  counts.clearWorker(1);
  counts.takeBack(0, 1);
  t.equal(counts.total(null), 0, 'counted before the crash');
  counts.add(0, 1, 1);
  counts.takeBack(0, 1);
  t.equal(counts.total(null), 0, 'counted after it');
  t.equal(counts.nextConnectionId(), 0);
  t.equal(counts.ofListener(0) + counts.ofListener(1), 0);
});

t.test('a limit may be one of some listeners', async (t) => {
  const counts = table(2);
  counts.add(0, 0, 1);
  counts.add(1, 0, 1);
  counts.add(1, 1, 1);
  t.same([counts.total(null), counts.total([0]), counts.total([1]), counts.total([])], [3, 1, 2, 0]);
});
