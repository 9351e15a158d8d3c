// Filters of the admin port run on the main thread: none may hold it up.

import t from 'tap';
import { adminRegex } from '../../proxy/server/admin-regex.ts';

function run(pattern: string, text: string, whole = false): boolean | string {
  const regex = adminRegex(pattern, whole);
  return 'refused' in regex ? regex.refused : regex.test(text);
}

t.test('finds anywhere or matches the whole text', async (t) => {
  t.equal(run('rq', 'cluster.c.upstream_rq_total'), true);
  t.equal(run('^rq', 'cluster.c.upstream_rq_total'), false);
  t.equal(run('cluster.*total', 'cluster.c.upstream_rq_total'), true);
  t.equal(run('cluster', 'cluster.c', true), false);
  t.equal(run('cluster.*', 'cluster.c', true), true);
  t.equal(run('(?i)CLUSTER', 'cluster.c'), true);
  t.equal(run('(', 'x'), 'missing ): (');
});

t.test('no pattern makes time run away', async (t) => {
  const name = 'a'.repeat(20_000);
  // Backtracking takes minutes for the first four on a text of 250, and for the last one on one of 20,000.
  for (const pattern of ['.*.*.*.*.*.*Z', 'a*a*a*a*a*aZ', '(.*)(.*)(.*)(.*)Z', '(a|a)(a+)(a+)(a+)(a+)Z', '.*Z'])
    for (const text of [name.slice(0, 250), name]) {
      const startedMs = performance.now();
      t.equal(run(pattern, text), false, pattern);
      t.ok(performance.now() - startedMs < 5_000, `${pattern} on ${text.length} characters`);
    }
});
