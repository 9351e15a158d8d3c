// The table of a session's streams against a Map, with streams that stay while thousands come and go.

import t from 'tap';
import { Http2Stream } from '../../proxy/codec/http2-stream.ts';
import { StreamTable } from '../../proxy/codec/http2-table.ts';
import { Dice } from '../fixtures/dice.ts';

const STEPS = 20_000;
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

t.test(`as a Map would, SEED=${seed}`, async (t) => {
  const dice = new Dice(seed);
  const table = new StreamTable();
  const map = new Map<number, Http2Stream>();
  let nextId = 1;
  let wrong = 0;
  for (let step = 0; step < STEPS; step++) {
    if (map.size === 0 || dice.below(100) < (map.size < 60 ? 55 : 45)) {
      const stream = new Http2Stream(nextId, null, 0, 0);
      // Gaps: not every number is used.
      nextId += 2 * (1 + (dice.below(10) === 0 ? dice.below(40) : 0));
      table.add(stream);
      map.set(stream.id, stream);
    } else {
      // The first ones live long, as streams of gRPC do.
      const ids = [...map.keys()];
      const id = ids[dice.below(20) === 0 ? 0 : dice.below(ids.length)] as number;
      table.delete(id);
      map.delete(id);
    }
    const asked = 1 + 2 * dice.below(nextId);
    if (table.get(asked) !== map.get(asked) || table.size !== map.size) wrong++;
    if (step % 500 === 0) {
      for (const [id, stream] of map) if (table.get(id) !== stream) wrong++;
      t.same(
        table.values().map(({ id }) => id),
        [...map.keys()],
      );
    }
  }
  t.equal(wrong, 0);
  table.delete(nextId);
  t.equal(table.size, map.size, 'what is not there is not taken away');
});
