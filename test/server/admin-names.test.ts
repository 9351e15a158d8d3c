// The set of stats after some traffic equals the one recorded from Envoy 1.40: names, types, label names.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { namesOf } from '../parity/admin-names.ts';

t.test("names, types and labels equal Envoy's", async (t) => {
  const golden = readFileSync(new URL('../golden/admin/names.txt', import.meta.url), 'utf8');
  t.same((await namesOf(null)).split('\n'), golden.split('\n'));
});
