// Regular expressions of a configuration: Envoy promises RE2, so what RE2 refuses is refused here, in RE2's words.

import { ConfigError } from '../../util/error.ts';
import { re2, re2Reason } from '../../util/re2.ts';

/** Patterns that RE2 certainly takes: literals, dots, escapes of punctuation, and simple repetition of one of those. */
const PLAIN_PATTERN = /^\^?(?:(?:[\w/:=,;@%&~!"'<> -]|\.|\\[.\-/+*?()[\]{}|^$\\dwsDWS])[*+?]?\??)*\$?$/;

/**
 * Refuses what is not a regular expression in RE2's syntax.
 * @throws ConfigError with RE2's reason
 */
export function checkRegex(pattern: string, path: string): void {
  if (PLAIN_PATTERN.test(pattern)) return;
  try {
    re2().compile(pattern);
  } catch (error) {
    throw new ConfigError(`invalid regular expression ${JSON.stringify(pattern)}: ${re2Reason(error)}`, path);
  }
}
