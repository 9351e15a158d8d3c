// Regular expressions of a configuration: Envoy promises RE2, so what RE2 refuses is refused here, in RE2's words.

import { createRequire } from 'node:module';
import { ConfigError } from '../../util/error.ts';

type Re2Module = typeof import('re2js');
let re2: Re2Module | null = null;

/** Patterns that RE2 certainly takes: literals, dots, escapes of punctuation, and simple repetition of one of those. */
const PLAIN_PATTERN = /^\^?(?:(?:[\w/:=,;@%&~!"'<> -]|\.|\\[.\-/+*?()[\]{}|^$\\dwsDWS])[*+?]?\??)*\$?$/;

const WORDING: readonly (readonly [RegExp, string])[] = [
  [/^missing closing \]/, 'missing ]'],
  [/^missing closing \)/, 'missing )'],
  [/^missing argument to repetition operator/, 'no argument for repetition operator'],
  [/^trailing backslash at end of expression/, 'trailing \\'],
  [/^invalid or unsupported Perl syntax/, 'invalid perl operator'],
  [/^invalid nested repetition operator/, 'bad repetition operator'],
  [/^invalid repeat count/, 'invalid repetition size'],
];

/**
 * Refuses what is not a regular expression in RE2's syntax.
 * @throws ConfigError with RE2's reason
 */
export function checkRegex(pattern: string, path: string): void {
  if (PLAIN_PATTERN.test(pattern)) return;
  re2 ??= createRequire(import.meta.url)('re2js') as Re2Module;
  try {
    re2.RE2JS.compile(pattern);
  } catch (error) {
    throw new ConfigError(`invalid regular expression ${JSON.stringify(pattern)}: ${re2Reason(error)}`, path);
  }
}

function re2Reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text.replace(/^error parsing regexp: /, '').replaceAll('`', '');
  for (const [from, to] of WORDING) if (from.test(reason)) return reason.replace(from, to);
  return reason;
}
