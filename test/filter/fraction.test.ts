// Shares of requests, and what runtime layers make of them.

import t from 'tap';
import { ALWAYS, compileDraw, NEVER } from '../../proxy/filter/fraction.ts';
import { RuntimeFractions, runtimeFraction } from '../../proxy/router/runtime-fraction.ts';
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
      ['{"numerator":3,"denominator":"toString"}', 7, 1_000_000],
      ['{oops', 7, 1_000_000],
      ['{', 7, 1_000_000],
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

t.test('keys that requests name are no share unless they are set to one', async (t) => {
  const values: Readonly<Record<string, string | number | boolean>> = {
    torn: '{oops',
    number: 30,
    text: '12',
    share: '{"numerator":3,"denominator":"TEN_THOUSAND"}',
    flag: true,
    '': 50,
  };
  const shares = new RuntimeFractions((key) => values[key] ?? null);
  t.same(shares.of('number'), { numerator: 30, denominator: 100 });
  t.same(shares.of('text'), { numerator: 12, denominator: 100 });
  t.same(shares.of('share'), { numerator: 3, denominator: 10_000 });
  t.equal(shares.of('share'), shares.of('share'), 'read once');
  for (const key of ['torn', 'torn', 'flag', 'other', '']) t.equal(shares.of(key), null, key);
});
