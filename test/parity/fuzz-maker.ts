// Dice, words, and hints for requests: what the generators of configurations share.
//
// Words are few, so that what one matcher asks for is often what another one meets. Each matcher that is made leaves hints,
// values that it likes, and requests are made of hints and words.

import { Dice } from '../fixtures/dice.ts';

export type Json = { readonly [field: string]: unknown };

/** What requests are made of, besides words. */
export interface Hints {
  readonly paths: string[];
  readonly hosts: string[];
  readonly queries: string[];
  /** Whole lines. */
  readonly headers: string[];
  /** Each request has the header that chooses among weighted clusters: nothing is left to chance. */
  picks: boolean;
}

export const HEADER_NAMES = ['x-a', 'x-b', 'x-c', 'x-d'] as const;
export const VALUES = ['1', '2', '10', 'a', 'ab', 'abc', 'B', 'a,b', 'a b', '', '-5', 'x.y', '%', 'é'] as const;
export const QUERY_NAMES = ['p', 'q', 'P', 'long-name'] as const;
export const SEGMENTS = ['a', 'b', 'A', 'ab', 'a.b', 'c', '1', '42', 'x-y', 'a;v=1'] as const;
export const HOSTS = [
  'a.test',
  'b.test',
  'sub.a.test',
  'deep.sub.a.test',
  'a.other',
  'A.Test',
  'test',
  'a.test:8080',
  'b.test:80',
  '10.0.0.1',
  '[::1]:80',
] as const;

/** Regular expressions, each with texts that it takes whole, and some that it almost takes. */
const REGEXES: readonly (readonly [regex: string, near: readonly string[]])[] = [
  ['[0-9]+', ['1', '42', '']],
  ['a|b', ['a', 'b', 'ab']],
  ['(a|ab)(c|bcd)?', ['ab', 'abcd', 'abc']],
  ['(?i)AB?', ['a', 'Ab', 'AB']],
  ['a.*', ['a', 'abc', 'A']],
  ['.*b', ['b', 'ab', 'bb']],
  ['[^a]+', ['1', 'b', 'a']],
  ['\\w+', ['abc', 'a b']],
  ['x\\.y', ['x.y', 'x-y']],
  ['a{2,3}', ['aa', 'aaa', 'a']],
  ['()', ['', 'a']],
  ['^a$', ['a', 'ab']],
  ['\\d*', ['', '10']],
  ['(?:a b|é)', ['a b', 'é']],
];

const PATH_REGEXES: readonly (readonly [regex: string, near: readonly string[]])[] = [
  ['/a/[^/]+', ['/a/b', '/a/', '/a/b/c']],
  ['/(a|b).*', ['/a', '/b/c', '/c']],
  ['/[0-9]+', ['/1', '/42', '/x']],
  ['.*', ['/', '/a/b/c']],
  ['/a|/b', ['/a', '/b', '/ab']],
  ['.*\\.b', ['/a.b', '/a.bc']],
  ['(?i)/AB(/.*)?', ['/ab', '/aB/c', '/abc']],
  ['/a/?', ['/a', '/a/', '/a//']],
  ['/[^/]*/(b|c)/.*', ['/a/b/', '//c/1', '/a/b']],
  ['/a%2Fb', ['/a%2Fb', '/a%2fb', '/a/b']],
];

export class Maker {
  readonly dice: Dice;
  readonly hints: Hints;

  constructor(seed: number) {
    // Seeds that follow each other must not begin alike.
    this.dice = new Dice(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed >>> 13));
    for (let i = 0; i < 8; i++) this.dice.below(2);
    this.hints = { paths: [], hosts: [], queries: [], headers: [], picks: false };
  }

  pick<T>(from: readonly T[]): T {
    return this.dice.pick(from);
  }

  /** True in so many of a hundred cases. */
  chance(percent: number): boolean {
    return this.dice.below(100) < percent;
  }

  /** Up to so many of a thing, few more often than many. */
  some<T>(most: number, make: () => T): T[] {
    const count = Math.min(this.dice.below(most + 1), this.dice.below(most + 1));
    return Array.from({ length: count }, make);
  }

  /** The fields, in so many of a hundred cases. */
  maybe(percent: number, make: () => Json): Json {
    return this.chance(percent) ? make() : {};
  }

  /** `field` with a list, unless that is empty. */
  list(field: string, most: number, make: () => unknown): Json {
    const items = this.some(most, make);
    return items.length === 0 ? {} : { [field]: items };
  }

  path(most = 3): string {
    return `/${this.some(most, () => this.pick(SEGMENTS)).join('/')}`;
  }

  /** `type.matcher.v3.RegexMatcher`; `hint` hears of texts to try. */
  regex(hint: (text: string) => void): Json {
    const [regex, near] = this.pick(REGEXES);
    hint(this.pick(near));
    return { regex };
  }

  pathRegex(hint: (text: string) => void): Json {
    const [regex, near] = this.pick(PATH_REGEXES);
    for (const text of near) hint(text);
    return { regex };
  }

  /** `type.matcher.v3.StringMatcher` in any of its forms. */
  stringMatch(hint: (text: string) => void): Json {
    const value = this.pick(VALUES);
    // Prefixes, suffixes and parts may not be empty.
    const part = value === '' ? 'a' : value;
    const ignoreCase = this.maybe(30, () => ({ ignore_case: true }));
    switch (this.dice.below(5)) {
      case 0:
        hint(value);
        return { exact: value, ...ignoreCase };
      case 1:
        hint(this.pick([part, `${part}z`]));
        return { prefix: part, ...ignoreCase };
      case 2:
        hint(this.pick([part, `z${part}`, part.toUpperCase()]));
        return { suffix: part, ...ignoreCase };
      case 3:
        hint(this.pick([`z${part}z`, part.toUpperCase()]));
        return { contains: part, ...ignoreCase };
      default:
        return { safe_regex: this.regex(hint) };
    }
  }

  /** A share of all, or of none: nothing here is left to chance. */
  fraction(): Json {
    const [denominator, all] = this.pick([
      ['HUNDRED', 100],
      ['TEN_THOUSAND', 10_000],
      ['MILLION', 1_000_000],
    ] as const);
    const numerator = this.chance(80) ? all : 0;
    return { numerator, denominator };
  }

  runtimeFraction(): Json {
    return {
      default_value: this.fraction(),
      ...this.maybe(40, () => ({ runtime_key: this.pick(['k.all', 'k.none', 'k.unset', 'k.text', 'k.fraction']) })),
    };
  }
}

/** Runtime values that `runtimeFraction` names. */
export const RUNTIME: Json = {
  k: {
    all: 100,
    none: 0,
    text: 'hello',
    fraction: { numerator: 1_000_000, denominator: 'MILLION' },
  },
};
