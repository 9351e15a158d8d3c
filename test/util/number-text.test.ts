import t from 'tap';
import { protoDouble, sixDigits } from '../../proxy/util/number-text.ts';

t.test('numbers as C++ writes them', async (t) => {
  t.same([200 / 3, 0, 100, 1e-5, -22.900192, 1e6].map(sixDigits), [
    '66.6667',
    '0',
    '100',
    '1e-05',
    '-22.9002',
    '1e+06',
  ]);
  const doubles = [200 / 3, 100 / 7, 0.1, 97.61904761904762, 1 / 3e6, 4.263256414560601e-14, -12345678901234.56];
  t.same(doubles.map(protoDouble), [
    '66.666666666666671',
    '14.285714285714286',
    '0.1',
    '97.61904761904762',
    '3.3333333333333335e-07',
    '4.2632564145606011e-14',
    '-12345678901234.561',
  ]);
});
