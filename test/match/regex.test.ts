// RE2 patterns at run time: same answers from both engines, and never a slow one.

import fc from 'fast-check';
import { RE2JS } from 're2js';
import t from 'tap';
import { backtrackClass, compileFullMatch, compileReplaceAll } from '../../proxy/match/regex.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);

t.test('which patterns V8 may run', (t) => {
  const classes = {
    linear: [
      ...['/a', '/a.*', '/api/v[0-9]+/.*', '^/x$', 'a|b', '(foo|bar)', '[a-z]+-[0-9]+', '\\d{3}', '/a/[^/]+/b'],
      ...['.*\\.css', '/(foo|bar)/.*', 'a+b+c+', '(a.*|b.*)', '', '/v1/(?:[^/]+)/x', 'a?b'],
    ],
    short: ['/a.*/b/[^/]+', '(v1|v2)/.*', '.*a[^c]*', '(a|ab)c*'],
    unsafe: [
      ...[
        '(a+)+',
        '(a|a)*',
        '(.*)*',
        '.*.*.*x',
        'a*a*a*b',
        '(?i)abc',
        'a{1,50}',
        '\\bx',
        '(?=x)',
        '[[:alpha:]]+',
        '\\pL',
      ],
      ...['[ab]+a?[ab]+', 'a?a?a?aaa', '(a|a)(a|a)(a|a)', '.*(a)?[^c]*', '(', ')', 'a'.repeat(600)],
    ],
  } as const;
  for (const kind of ['linear', 'short', 'unsafe'] as const)
    for (const pattern of classes[kind]) t.equal(backtrackClass(pattern), kind, pattern.slice(0, 40));
  t.end();
});

t.test('matches are full', (t) => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['a|b', 'ab', false],
    ['a|b', 'b', true],
    ['/a', '/ab', false],
    ['/a.*', '/a\xff', true],
    ['(?i)abc', 'ABC', true],
    ['^/x$', '/x', true],
    ['', '', true],
    ['', 'a', false],
    ['a$|b', 'b', true],
    ['[[:alpha:]]+', 'abc', true],
  ];
  for (const [pattern, text, want] of rows) t.equal(compileFullMatch(pattern)(text), want, `${pattern} on «${text}»`);
  t.end();
});

const piece = fc.constantFrom(
  'a',
  'b',
  '/',
  '.',
  '[ab]',
  '[^/]',
  '\\.',
  '\\d',
  'a*',
  'b+',
  '.*',
  '[ab]+',
  'a?',
  '(a|b)',
  '(?:ab|a)',
  '(b+)',
  'x{2}',
);
const pattern = fc.array(piece, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '1', 'x'), maxLength: 12 });

t.test('both engines agree', (t) => {
  fc.assert(
    fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 8 }), (source, texts) => {
      const full = compileFullMatch(source);
      const oracle = RE2JS.compile(source);
      for (const one of texts)
        if (full(one) !== oracle.matches(one)) throw new Error(`${source} on «${one}»: ${full(one)}`);
    }),
    { seed: SEED, numRuns: 1_500 },
  );
  t.pass('held for every run');
  t.end();
});

t.test('no admitted pattern is slow', (t) => {
  const long = ['a'.repeat(4_000), 'ab'.repeat(2_000), '/'.repeat(4_000), `${'a'.repeat(3_999)}/`];
  let slowestMs = 0;
  let slowest = '';
  fc.assert(
    fc.property(pattern, (source) => {
      if (backtrackClass(source) === 'unsafe') return;
      const full = compileFullMatch(source);
      for (const one of long) {
        const { user: before } = process.threadCpuUsage();
        full(one);
        const ms = (process.threadCpuUsage().user - before) / 1_000;
        if (ms > slowestMs) {
          slowestMs = ms;
          slowest = source;
        }
      }
    }),
    { seed: SEED, numRuns: 400 },
  );
  // A quadratic pattern needs 16 million steps here, which is more than ten times this.
  t.ok(slowestMs < 15, `${slowest}: ${slowestMs} ms for 4,000 bytes`);
  t.end();
});

t.test('replacements, as RE2 GlobalReplace', (t) => {
  const rows: readonly (readonly [string, string, string, string])[] = [
    ['l', 'L', '/all', '/aLL'],
    ['^/rx/([^/]+)(/.*)$', '\\2/to/\\1', '/rx/a/b', '/b/to/a'],
    ['/zero', '/\\0\\0', '/zero', '//zero/zero'],
    ['/esc', '/a\\\\b$1', '/esc', '/a\\b$1'],
    ['x*', '-', '/xe', '-/-e-'],
    ['a(b)?', '<\\1>', 'aab', '<><b>'],
    ['nope', 'x', '/a', '/a'],
    ['a', '', 'aaa', ''],
    ['^', '>', 'ab', '>ab'],
    ['$', '<', 'ab', 'ab<'],
    ['a|', '-', 'bab', '-b-b-'],
    ['l', '<\\1>', 'alb', 'alb'],
    ['(l)', '<\\2>', 'alb', 'alb'],
    ['l', 'a\\', 'alb', 'aab'],
    ['l', '\\q', 'alb', 'ab'],
    ['l', 'a\\qb\\0c', 'alb', 'aab'],
    ['(l)', 'x\\1\\qy', 'alb', 'axlb'],
    ['l', '$$$&$1', 'alb', 'a$$$&$1b'],
    ['(l)', '$\\10$\\0', 'alb', 'a$l0$lb'],
    ['[a-z]+', '<\\0>', 'al/b', '<al>/<b>'],
    ['/+', '/', 'a//b///', 'a/b/'],
  ];
  for (const [source, substitution, from, want] of rows)
    t.equal(compileReplaceAll(source, substitution)(from), want, `s/${source}/${substitution}/ on ${from}`);
  t.end();
});

t.test('both engines replace alike', (t) => {
  const anchored = fc.tuple(fc.constantFrom('', '^'), pattern, fc.constantFrom('', '$'));
  fc.assert(
    fc.property(anchored, fc.array(text, { minLength: 1, maxLength: 8 }), (source, texts) => {
      const joined = source.join('');
      const replace = compileReplaceAll(joined, '<\\0>');
      // Flags that change nothing keep V8 away.
      const oracle = compileReplaceAll(`(?s-s)${joined}`, '<\\0>');
      for (const one of texts)
        if (replace(one) !== oracle(one)) throw new Error(`${joined} on «${one}»: ${replace(one)}, ${oracle(one)}`);
    }),
    { seed: SEED, numRuns: 1_500 },
  );
  t.pass('held for every run');
  t.end();
});

t.test('no replacement is slow', (t) => {
  const long = ['a'.repeat(20_000), 'ab'.repeat(10_000), '/'.repeat(20_000), `${'a'.repeat(19_999)}/`];
  // V8 would look for a match of the last ones from every place to the end.
  for (const source of [
    '.',
    '(a)',
    '^/rx/([^/]+)(/.*)$',
    '^a*b$',
    '^.*[^a]',
    '/x|a/',
    'a*b',
    '[^/]+x',
    '^b|a*b',
    '/[^/]+$',
    '[a-z]+[^a-z]!',
    'a.*x$',
  ]) {
    const replace = compileReplaceAll(source, '\\0');
    for (const one of long) {
      const { user: before } = process.threadCpuUsage();
      t.equal(replace(one), one);
      const ms = (process.threadCpuUsage().user - before) / 1_000;
      t.ok(ms < 100, `${source}: ${ms} ms for 20,000 bytes`);
    }
  }
  t.end();
});
