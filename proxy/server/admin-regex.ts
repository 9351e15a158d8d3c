// Regular expressions that a reader of the admin port sends: RE2's syntax, tried anywhere in the text.

import { backtrackClass } from '../match/regex.ts';
import { re2, re2Reason } from '../util/re2.ts';

/** A test, or RE2's reason to refuse the pattern. */
export type AdminRegex = { readonly test: (text: string) => boolean } | { readonly refused: string };

/**
 * Longest text, in characters, that V8 searches: it begins anew at every character, so that even a pattern which is
 * matched in linear time takes quadratic time to find.
 */
const SEARCHED_TEXT_MAX = 256;

/** Compiles a pattern; `whole` = it must match the full text. */
export function adminRegex(pattern: string, whole = false): AdminRegex {
  try {
    const compiled = re2().compile(pattern);
    const slow = whole ? (text: string) => compiled.matches(text) : (text: string) => compiled.matcher(text).find();
    if (backtrackClass(pattern) !== 'linear') return { test: slow };
    const fast = new RegExp(whole ? `^(?:${pattern})$` : pattern);
    return { test: (text) => (text.length <= SEARCHED_TEXT_MAX ? fast.test(text) : slow(text)) };
  } catch (error) {
    return { refused: re2Reason(error) };
  }
}
