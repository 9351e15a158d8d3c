// The library that knows RE2's syntax, loaded with the first pattern that needs it: most configurations have none.

import { createRequire } from 'node:module';

type Re2 = typeof import('re2js').RE2JS;
let loaded: Re2 | null = null;

export function re2(): Re2 {
  loaded ??= (createRequire(import.meta.url)('re2js') as typeof import('re2js')).RE2JS;
  return loaded;
}

/** Where RE2 has other words than the library. */
const WORDING: readonly (readonly [RegExp, string])[] = [
  [/^missing closing \]/, 'missing ]'],
  [/^missing closing \)/, 'missing )'],
  [/^missing argument to repetition operator/, 'no argument for repetition operator'],
  [/^trailing backslash at end of expression/, 'trailing \\'],
  [/^invalid or unsupported Perl syntax/, 'invalid perl operator'],
  [/^invalid nested repetition operator/, 'bad repetition operator'],
  [/^invalid repeat count/, 'invalid repetition size'],
];

/** Why a pattern is refused, as RE2 says it. @param error thrown by `compile` */
export function re2Reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text.replace(/^error parsing regexp: /, '').replaceAll('`', '');
  const rule = WORDING.find(([from]) => from.test(reason));
  return rule === undefined ? reason : reason.replace(rule[0], rule[1]);
}
