// Regular expressions that a reader of the admin port sends: RE2's syntax, tried anywhere in the text.

import { createRequire } from 'node:module';
import { backtrackClass } from '../router/regex.ts';

type Re2Module = typeof import('re2js');
/** Loaded with the first filter: few processes ever see one. */
let re2: Re2Module | null = null;

/** A test, or RE2's reason to refuse the pattern. */
export type AdminRegex = { readonly test: (text: string) => boolean } | { readonly refused: string };

const WORDING: readonly (readonly [RegExp, string])[] = [
  [/^missing closing \]/, 'missing ]'],
  [/^missing closing \)/, 'missing )'],
  [/^missing argument to repetition operator/, 'no argument for repetition operator'],
  [/^trailing backslash at end of expression/, 'trailing \\'],
  [/^invalid or unsupported Perl syntax/, 'invalid perl operator'],
  [/^invalid nested repetition operator/, 'bad repetition operator'],
];

/**
 * Longest text, in characters, that V8 searches: it begins anew at every character, so that even a pattern which is
 * matched in linear time takes quadratic time to find.
 */
const SEARCHED_TEXT_MAX = 256;

/** Compiles a pattern; `whole` = it must match the full text. */
export function adminRegex(pattern: string, whole = false): AdminRegex {
  re2 ??= createRequire(import.meta.url)('re2js') as Re2Module;
  try {
    const compiled = re2.RE2JS.compile(pattern);
    const slow = whole ? (text: string) => compiled.matches(text) : (text: string) => compiled.matcher(text).find();
    if (backtrackClass(pattern) !== 'linear') return { test: slow };
    const fast = new RegExp(whole ? `^(?:${pattern})$` : pattern);
    return { test: (text) => (text.length <= SEARCHED_TEXT_MAX ? fast.test(text) : slow(text)) };
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error))
      .replace(/^error parsing regexp: /, '')
      .replaceAll('`', '');
    const rule = WORDING.find(([from]) => from.test(reason));
    return { refused: rule === undefined ? reason : reason.replace(rule[0], rule[1]) };
  }
}
