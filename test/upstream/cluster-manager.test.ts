// Many clusters: which are made when, and what becomes of those that wait.

import t from 'tap';
import { SharedBreakers } from '../../proxy/upstream/breakers.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { clusterModel, endpoint, locality, Rig } from '../fixtures/upstream.ts';

const COUNT = 200;

/** A rig whose timers fire when asked. */
function rig() {
  const timers: (() => void)[] = [];
  let cancelled = 0;
  const runtime = {
    ...SYSTEM_RUNTIME,
    after: (_ms: number, fn: () => void) => {
      timers.push(fn);
      return () => void cancelled++;
    },
  };
  const models = Array.from({ length: COUNT }, (_, i) => clusterModel([1 + i], { name: `c${i}`, statName: `c${i}` }));
  const breakers = new SharedBreakers(SharedBreakers.allocate(1, COUNT + 1), 1, 0);
  const made = new Rig(clusterModel([1], { name: 'first', statName: 'first' }), { runtime, breakers });
  return { made, models, timers, cancelled: () => cancelled };
}

const hosts = (made: Rig, name: string): number | undefined => made.stats.ofCluster(name)['membership_total'];

t.test('the first ones at once, the others in turns or when used', async (t) => {
  const { made, models, timers } = rig();
  made.manager.apply(models);
  t.equal(made.manager.isComplete, false);
  t.equal(hosts(made, 'c63'), 1, 'made at once');
  t.notOk(hosts(made, 'c64'), 'not yet');
  t.ok(made.manager.ref('c199').current, 'used');
  t.equal(hosts(made, 'c199'), 1);
  t.equal(made.manager.ref('c199').current, made.manager.ref('c199').current, 'made once');
  made.manager.updateHosts('c150', [locality([endpoint(1), endpoint(2)])]);
  t.equal(hosts(made, 'c150'), 2, 'new hosts are not overwritten by those of the model');
  let turns = 0;
  for (let turn = timers.shift(); turn !== undefined; turn = timers.shift(), turns++) turn();
  t.equal(turns, 9, 'turns');
  t.equal(made.manager.isComplete, true);
  t.same(
    models.filter(({ name }) => hosts(made, name) !== (name === 'c150' ? 2 : 1)),
    [],
    'every cluster is there',
  );
  t.equal(made.manager.clusters.length, COUNT + 1);
});

t.test('one that waits can be replaced and removed', async (t) => {
  const { made, models, timers, cancelled } = rig();
  made.manager.apply(models);
  const two = clusterModel([1, 2], { name: 'c100', statName: 'c100' });
  made.manager.apply([two], ['c101']);
  t.equal(hosts(made, 'c100'), 2);
  t.equal(made.manager.ref('c101').current, null);
  t.equal(timers.length, 1, 'one turn at a time');
  made.manager.close();
  t.equal(cancelled(), 1, 'nothing is made after the end');
});
