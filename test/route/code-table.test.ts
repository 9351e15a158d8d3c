// What a status is counted under. Edges between codes that have a name of their own and all others.

import t from 'tap';
import { CodeTable } from '../../proxy/route/code-table.ts';
import { FakeStats } from '../fixtures/upstream.ts';

function charged(whole: string | null, classless: string | null, ...statuses: number[]): Record<string, number> {
  const stats = new FakeStats();
  const table = new CodeTable(stats, 'part.', whole, classless);
  for (const status of statuses) table.charge(status);
  return Object.fromEntries([...stats.blocks].map(([name, cell]) => [name, cell[0] as number]));
}

t.test('a code counts under its number, its class, and as completed', async (t) => {
  t.strictSame(charged(null, null, 200, 204, 200), {
    'part.upstream_rq_200': 2,
    'part.upstream_rq_204': 1,
    'part.upstream_rq_2xx': 3,
    'part.upstream_rq_completed': 3,
  });
});

t.test('codes from 100 to 599 have a name, all others share one and have no class', async (t) => {
  t.strictSame(charged(null, null, 100, 599), {
    'part.upstream_rq_100': 1,
    'part.upstream_rq_1xx': 1,
    'part.upstream_rq_599': 1,
    'part.upstream_rq_5xx': 1,
    'part.upstream_rq_completed': 2,
  });
  t.strictSame(charged(null, null, 0, 99, 600, 999), {
    'part.upstream_rq_unknown': 4,
    'part.upstream_rq_completed': 4,
  });
});

t.test('the whole counts codes and classes, and completes by itself', async (t) => {
  t.strictSame(charged('', null, 503, 700), {
    upstream_rq_503: 1,
    upstream_rq_5xx: 1,
    upstream_rq_unknown: 1,
    'part.upstream_rq_503': 1,
    'part.upstream_rq_5xx': 1,
    'part.upstream_rq_unknown': 1,
    'part.upstream_rq_completed': 2,
  });
});

t.test('codes without a class may have a counter of their own', async (t) => {
  t.strictSame(charged(null, 'part', 200, 600), {
    'part.upstream_rq_200': 1,
    'part.upstream_rq_2xx': 1,
    'part.upstream_rq_unknown': 1,
    'part.upstream_rq_completed': 2,
    part: 1,
  });
});
