// Shares of requests, and what runtime layers make of them.

import t from 'tap';
import { ALWAYS, compileDraw, NEVER, runtimeFraction } from '../../proxy/filter/fraction.ts';
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

t.test('the runtime decides where its value is a share', async (t) => {
  const fallback = { numerator: 7, denominator: 1_000_000 } as const;
  const table: readonly (readonly [value: string | number | boolean | null, numerator: number, denominator: number])[] =
    [
      [null, 7, 1_000_000],
      [30, 30, 100],
      [0.5, 0, 100],
      [-1, 7, 1_000_000],
      ['12', 12, 100],
      ['', 7, 1_000_000],
      ['much', 7, 1_000_000],
      [true, 7, 1_000_000],
      ['{"numerator":3,"denominator":"TEN_THOUSAND"}', 3, 10_000],
      ['{"numerator":3}', 3, 100],
      ['{"denominator":"MILLION"}', 0, 1_000_000],
      ['{"numerator":3,"denominator":"DOZEN"}', 7, 1_000_000],
    ];
  for (const [value, numerator, denominator] of table) {
    t.same(
      runtimeFraction(fallback, 'k', () => value),
      { numerator, denominator },
      JSON.stringify(value),
    );
  }
  t.same(
    runtimeFraction(fallback, '', () => 50),
    fallback,
    'without a key',
  );
});
