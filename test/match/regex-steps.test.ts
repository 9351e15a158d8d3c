// The proof behind `backtrackClass`, attacked without a clock: a backtracking matcher of our own counts its steps on
// texts that grow. What is called linear may double with the text, what is called short may grow fourfold; and both
// engines give the same answers on bytes of every kind. The classic catastrophic patterns never reach V8.

import fc from 'fast-check';
import { RE2JS } from 're2js';
import t from 'tap';
import { backtrackClass, compileFullMatch, findsInLinearTime } from '../../proxy/match/regex.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);

interface Atom {
  readonly source: string;
  readonly repeat: '' | '*' | '+' | '?' | '*?' | '+?' | '??' | '{2}';
}
interface Group {
  readonly alternatives: readonly (readonly Atom[])[];
  readonly optional: boolean;
}
type Item = Atom | Group;

const isGroup = (item: Item): item is Group => 'alternatives' in item;
const sourceOf = (items: readonly Item[]): string =>
  items
    .map((item) =>
      isGroup(item)
        ? `(${item.alternatives.map(sourceOf).join('|')})${item.optional ? '?' : ''}`
        : item.source + item.repeat,
    )
    .join('');

// === Counting ===

type Next = (at: number) => boolean;

/** Matches as a backtracking engine does and counts what it looks at. */
class Steps {
  count = 0;
  private readonly text: string;
  private readonly tests = new Map<string, RegExp>();

  constructor(text: string) {
    this.text = text;
  }

  /** Steps of a full match. */
  static of(items: readonly Item[], text: string): number {
    const steps = new Steps(text);
    steps.items(items, 0, 0, (at) => at === text.length);
    return steps.count;
  }

  /** Steps until all matches are found. */
  static ofAll(items: readonly Item[], text: string): number {
    const steps = new Steps(text);
    for (let from = 0; from <= text.length; ) {
      let end = from;
      steps.count++;
      steps.items(items, 0, from, (at) => {
        end = at;
        return true;
      });
      from = Math.max(end, from + 1);
    }
    return steps.count;
  }

  private items(items: readonly Item[], index: number, at: number, next: Next): boolean {
    const item = items[index];
    if (item === undefined) return next(at);
    const rest: Next = (behind) => this.items(items, index + 1, behind, next);
    if (!isGroup(item)) return this.atom(item, at, rest);
    for (const alternative of item.alternatives) if (this.items(alternative, 0, at, rest)) return true;
    return item.optional && rest(at);
  }

  private atom({ source, repeat }: Atom, at: number, next: Next): boolean {
    const least = repeat === '{2}' ? 2 : repeat === '' || repeat.startsWith('+') ? 1 : 0;
    const most = repeat === '{2}' ? 2 : repeat === '' || repeat.startsWith('?') ? 1 : Number.POSITIVE_INFINITY;
    if (repeat.length === 2) {
      for (let taken = 0; taken <= most; taken++) {
        if (taken >= least && next(at + taken)) return true;
        if (!this.holds(source, at + taken)) return false;
      }
      return false;
    }
    let taken = 0;
    while (taken < most && this.holds(source, at + taken)) taken++;
    for (; taken >= least; taken--) if (next(at + taken)) return true;
    return false;
  }

  private holds(source: string, at: number): boolean {
    this.count++;
    let test = this.tests.get(source);
    if (test === undefined) {
      test = new RegExp(`^${source}$`);
      this.tests.set(source, test);
    }
    return at < this.text.length && test.test(this.text[at] as string);
  }
}

// === What is tried ===

const source = fc.constantFrom('a', 'b', '/', '.', '[ab]', '[^/]', '[^a]', '\\.', '\\d', '\\w', '\\W', '[a-c1]');
const repeat = fc.constantFrom('' as const, '' as const, '*' as const, '+' as const, '?' as const, '*?' as const);
const rare = fc.constantFrom('+?' as const, '??' as const, '{2}' as const);
const atom = fc.record({ source, repeat: fc.oneof({ weight: 6, arbitrary: repeat }, { weight: 1, arbitrary: rare }) });
const group = fc.record({
  alternatives: fc.array(fc.array(atom, { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  optional: fc.boolean(),
});
const items = fc.array(fc.oneof({ weight: 4, arbitrary: atom }, { weight: 1, arbitrary: group }), {
  minLength: 1,
  maxLength: 6,
});

const unit = fc.constantFrom('a', 'b', '/', '.', '1', 'ab', 'a/', '/a', 'aab', 'a1');
const shape = fc.record({
  before: fc.constantFrom('', '', 'a', '/', 'b'),
  unit,
  behind: fc.constantFrom('', '!', 'b', '/', 'ab'),
});
const SIZE = 120;
/** Above these the growth is of a higher order; the constant part of a text counts too. */
const RATIO_MAX = { linear: 2.3, short: 4.5 } as const;

t.test('what is called linear or quadratic grows so', async (t) => {
  const tried = { linear: 0, short: 0, unsafe: 0 };
  fc.assert(
    fc.property(items, fc.array(shape, { minLength: 8, maxLength: 16 }), (pattern, shapes) => {
      const text = sourceOf(pattern);
      const kind = backtrackClass(text);
      tried[kind]++;
      if (kind === 'unsafe') return;
      for (const { before, unit: piece, behind } of shapes) {
        const make = (n: number): string => before + piece.repeat(n) + behind;
        const small = Steps.of(pattern, make(SIZE));
        const large = Steps.of(pattern, make(SIZE * 2));
        const bound = RATIO_MAX[kind] * (small + SIZE);
        if (large > bound)
          throw new Error(`${text} (${kind}) on «${before}» ${piece}… «${behind}»: ${small} → ${large}`);
      }
    }),
    { seed: SEED, numRuns: 1_500 },
  );
  t.comment(JSON.stringify(tried));
  t.ok(tried.linear > 100 && tried.short > 20, 'enough patterns of either class');
});

t.test('all matches are found in time that grows so', async (t) => {
  let tried = 0;
  fc.assert(
    fc.property(items, fc.array(shape, { minLength: 8, maxLength: 16 }), (pattern, shapes) => {
      const text = sourceOf(pattern);
      if (!/[*+]/.test(text) || !findsInLinearTime(text)) return;
      tried++;
      for (const { before, unit: piece, behind } of shapes) {
        const make = (n: number): string => before + piece.repeat(n) + behind;
        const small = Steps.ofAll(pattern, make(SIZE));
        const large = Steps.ofAll(pattern, make(SIZE * 2));
        if (large > RATIO_MAX.linear * (small + SIZE))
          throw new Error(`${text} on «${before}» ${piece}… «${behind}»: ${small} → ${large}`);
      }
    }),
    { seed: SEED, numRuns: 3_000 },
  );
  t.comment(`${tried} patterns`);
  t.ok(tried > 50, 'enough patterns');
  t.same(
    ['[a-z]+', '/+', 'ab*', '/(a+)', '/[^/]+/', '/[^/]*$'].filter((one) => !findsInLinearTime(one)),
    [],
  );
  t.same(
    ['a*b', 'a+$', '[^/]+x', 'a.*x', 'a+|b', 'a?b+c', '(a)?b+c', '(a+)b'].filter((one) => findsInLinearTime(one)),
    [],
    'a match may begin within what was walked through',
  );
});

t.test('both engines agree on every byte', async (t) => {
  const char = fc.constantFrom(
    'a',
    'b',
    '/',
    '.',
    '1',
    '_',
    '!',
    '\n',
    '\r',
    '\t',
    ' ',
    '\0',
    '\x85',
    '\xa0',
    '\xff',
    '\xe4',
    '$',
    '^',
  );
  const texts = fc.array(fc.string({ unit: char, maxLength: 6 }), { minLength: 4, maxLength: 12 });
  const anchors = fc.tuple(fc.constantFrom('', '^'), fc.constantFrom('', '$'));
  fc.assert(
    fc.property(items, anchors, texts, (pattern, [begin, end], list) => {
      const text = begin + sourceOf(pattern) + end;
      if (backtrackClass(text) === 'unsafe') return;
      const full = compileFullMatch(text);
      const oracle = RE2JS.compile(text);
      for (const one of list) {
        if (full(one) !== oracle.matches(one)) throw new Error(`${text} on ${JSON.stringify(one)}: ${full(one)}`);
      }
    }),
    { seed: SEED, numRuns: 1_500 },
  );
  t.pass('held for every run');
});

t.test('the classic catastrophes stay away from V8', async (t) => {
  const CLASSICS = [
    ...['(a+)+', '(a*)*b', '(a|aa)+', '(a|a?)+', '(.*)*x', '(.*a){12}', 'a*a*a*a*b', '([a-zA-Z]+)*', '(x+x+)+y'],
    ...['^(([a-z])+.)+[A-Z]([a-z])+$', '(.*)(.*)(.*)(.*)(.*)x', '([a-z0-9]+[-._]?)*@', '/.*/.*/.*/z', '(\\w+\\s?)*$'],
    ...['.*.*=.*', '(foo|bar|foobar)*baz', '[ab]+a?[ab]+c', '(/[^/]+)+/x', '.*a.*b.*c.*d', '(a|b|ab)*c'],
  ];
  const BYTES = 60 * 1_024;
  for (const pattern of CLASSICS) {
    t.equal(backtrackClass(pattern), 'unsafe', pattern);
    const full = compileFullMatch(pattern);
    const text = `${'a'.repeat(BYTES)}!`;
    full(text);
    const { user: before } = process.threadCpuUsage();
    full(text);
    const ms = (process.threadCpuUsage().user - before) / 1_000;
    t.ok(ms <= 50, `${ms} ms for 60 KiB`);
  }
});
