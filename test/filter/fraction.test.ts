// Whether something holds for a request, by chance.

import t from 'tap';
import { ALWAYS, compileDraw, NEVER } from '../../proxy/filter/fraction.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';

t.test('a draw holds below the share', async (t) => {
  let drawn = 0;
  const runtime = { ...SYSTEM_RUNTIME, random: () => drawn };
  const draw = compileDraw({ numerator: 25, denominator: 10_000 }, runtime);
  for (const [value, want] of [
    [0, true],
    [0.0024, true],
    [0.0025, false],
    [0.999, false],
  ] as const) {
    drawn = value;
    t.equal(draw(), want, `${value}`);
  }
  t.equal(compileDraw({ numerator: 0, denominator: 100 }, runtime), NEVER);
  t.equal(compileDraw({ numerator: 100, denominator: 100 }, runtime), ALWAYS);
  t.equal(compileDraw({ numerator: 200, denominator: 100 }, runtime), ALWAYS);
});
