// The generator of random configurations: a seed makes the same case again, and most cases are accepted.

import t from 'tap';
import { makeCase } from './parity/fuzz-case.ts';
import { Field, ourRefusal } from './parity/fuzz-run.ts';
import { signatureOf } from './parity/fuzz-shrink.ts';

const CASES = 40;

t.test('a seed makes the same case', async (t) => {
  t.same(makeCase(7, 20), makeCase(7, 20));
  t.notSame(makeCase(7, 1).manager, makeCase(8, 1).manager);
});

t.test('what is not meant to be refused is accepted', async (t) => {
  const field = await Field.open();
  t.teardown(() => field.close());
  for (let seed = 0; seed < CASES; seed++) {
    const one = makeCase(seed, 1);
    if (!one.dubious) t.equal(ourRefusal(field, one), null, `seed ${seed}`);
  }
});

t.test('differences are of a kind by their places, lengths aside', async (t) => {
  const lines = [
    'answers.0.headers: missing "x-a: 1"',
    'answers.0.headers: unexpected "content-length: 4"',
    'log.0.sent: 3 expected, 4 seen',
  ];
  t.equal(signatureOf(lines), 'answers.0.headers missing x-a');
  t.equal(signatureOf(lines.slice(1)), 'answers.0.headers unexpected content-length | log.0.sent');
});
