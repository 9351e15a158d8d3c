// Matchers of texts, compiled (Envoy: type.matcher.v3.StringMatcher). A text is the latin1 image of its bytes.

import type { StringMatchModel } from '../config/model/common.ts';
import { compileFullMatch, type TextMatch } from './regex.ts';

/** Compiles `StringMatcher`; an ignored case folds the text, never the pattern again. */
export function compileStringMatch(model: StringMatchModel): TextMatch {
  const { value } = model;
  if (model.kind === 'regex') return compileFullMatch(value);
  const plain = plainMatch(model.kind, value);
  return model.ignoreCase ? (text) => plain(asciiLower(text)) : plain;
}

/** Bytes beyond ASCII have no case. */
function asciiLower(text: string): string {
  return BEYOND_ASCII.test(text) ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text.toLowerCase();
}

const BEYOND_ASCII = /[^\0-\x7f]/;

function plainMatch(kind: 'exact' | 'prefix' | 'suffix' | 'contains', value: string): TextMatch {
  switch (kind) {
    case 'exact':
      return (text) => text === value;
    case 'prefix':
      return (text) => text.startsWith(value);
    case 'suffix':
      return (text) => text.endsWith(value);
    case 'contains':
      return (text) => text.includes(value);
  }
}
