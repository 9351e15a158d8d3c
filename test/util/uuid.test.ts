import t from 'tap';
import { randomUuid } from '../../proxy/util/uuid.ts';

/** Several reads of the kernel's generator. */
const COUNT = 2_000;

t.test('version 4, variant 10, and no two alike', async (t) => {
  const all = Array.from({ length: COUNT }, randomUuid);
  for (const id of all)
    if (!/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)) t.fail(id);
  t.equal(new Set(all).size, COUNT);
});

t.test('every other digit takes every value', async (t) => {
  const ids = Array.from({ length: COUNT }, () => randomUuid().replaceAll('-', ''));
  for (let place = 0; place < 32; place++) {
    const values = new Set(ids.map((id) => id[place]));
    t.equal(values.size, place === 12 ? 1 : place === 16 ? 4 : 16, `digit ${place}`);
  }
});
