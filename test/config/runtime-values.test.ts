// What values of runtime keys say, to whoever asks. All rows were seen on Envoy 1.40.

import t from 'tap';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import {
  runtimeFlag,
  runtimeFraction,
  runtimeInteger,
  runtimeNumber,
  runtimeShare,
} from '../../proxy/config/model/runtime.ts';

type Value = Parameters<typeof runtimeEntries>[0][string];

/** `null` = what is configured holds. */
type Row = readonly [value: Value, integer: number | null, flag: boolean | null];

const ROWS: readonly Row[] = [
  [30, 30, true],
  [30.7, 30, null],
  [0, 0, false],
  [0.4, 0, null],
  [-5, null, true],
  [-0.5, null, null],
  [4_294_967_296, 4_294_967_296, null],
  [1e19, 1e19, null],
  [1e20, null, null],
  ['30', 30, true],
  ['30.7', 30, null],
  [' 30 ', 30, true],
  ['+30', 30, true],
  ['3e1', 30, true],
  ['.5', 0, null],
  ['0x1E', 30, true],
  ['0b1', null, null],
  ['-5', null, true],
  ['99999999999999999999', null, null],
  ['', null, null],
  ['nan', null, null],
  ['inf', null, null],
  ['30abc', null, null],
  ['true', null, null],
  [true, null, true],
  [false, null, false],
  [{ numerator: 30 }, null, null],
];

t.test('numbers and flags', async (t) => {
  for (const [value, integer, flag] of ROWS) {
    const keys = runtimeEntries({ k: value });
    const name = JSON.stringify(value);
    t.equal(runtimeInteger(keys, 'k', 77), integer ?? 77, name);
    t.equal(runtimeFlag(keys, 'k', true), flag ?? true, name);
    t.equal(runtimeFlag(keys, 'k', false), flag ?? false, name);
    const percent = integer === null ? null : { numerator: integer, denominator: 100 };
    if (typeof value !== 'object') t.same(runtimeShare(keys, 'k'), percent, name);
  }
  const keys = runtimeEntries({ low: -0.5, half: '.5', '': 5 });
  t.same(
    [runtimeNumber(keys, 'low', 1), runtimeNumber(keys, 'half', 1), runtimeNumber(keys, 'other', 1)],
    [-0.5, 0.5, 1],
  );
  t.equal(runtimeInteger(keys, '', 1), 1, 'without a key');
  t.equal(runtimeInteger(keys, 'toString', 1), 1);
});

t.test('shares', async (t) => {
  const keys = runtimeEntries({
    fine: { numerator: 3, denominator: 'TEN_THOUSAND' },
    percent: { numerator: 3 },
    nothing: { denominator: 'MILLION' },
    dozen: { numerator: 3, denominator: 'DOZEN' },
    inherited: { numerator: 3, denominator: 'toString' },
    text: '{"numerator":3}',
  });
  t.same(runtimeShare(keys, 'fine'), { numerator: 3, denominator: 10_000 });
  t.same(runtimeShare(keys, 'percent'), { numerator: 3, denominator: 100 });
  t.same(runtimeShare(keys, 'nothing'), { numerator: 0, denominator: 1_000_000 });
  for (const key of ['dozen', 'inherited', 'text', 'other', '']) t.equal(runtimeShare(keys, key), null, key);
  const fraction = { numerator: 7, denominator: 100, runtimeKey: 'fine' } as const;
  t.match(runtimeFraction(keys, fraction), { numerator: 3, denominator: 10_000 });
  t.match(runtimeFraction(keys, { ...fraction, runtimeKey: 'dozen' }), { numerator: 7, denominator: 100 });
});
