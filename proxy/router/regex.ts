// RE2 patterns at run time. Envoy promises linear time and a match of the whole value; V8's engine backtracks.
//
// A pattern that cannot make a backtracking engine slow becomes a `RegExp`, an order of magnitude faster; any other
// runs in re2js, which is linear. Slow needs two repetitions that can divide the same text between them, so a pattern
// is taken when at most one of its repetitions is followed by something it could have swallowed itself.

import { createRequire } from 'node:module';

/** A full match on a latin1 string. */
export type TextMatch = (text: string) => boolean;

type Re2 = typeof import('re2js').RE2JS;
let loaded: Re2 | null = null;

/** Loaded with the first pattern that needs it. */
function re2(): Re2 {
  loaded ??= (createRequire(import.meta.url)('re2js') as typeof import('re2js')).RE2JS;
  return loaded;
}

/** Repetitions that may give back what they took; one costs time proportional to text × pattern, two are quadratic. */
const AMBIGUOUS_MAX = 1;

/** One item that both engines read alike on latin1 text: a literal, an escape, `.`, or a simple class. */
const ATOM =
  /(?:[A-Za-z0-9_/:=,;@%&~!"'<> #-]|\\[.\-/+*?()[\]{}|^$\\_:]|\\[dwDW]|\.|\[\^?(?:[A-Za-z0-9_/:=,;@%&~!"'<>.+*() $?#-]|\\[-.\]\\/^]|\\[dw])+\])/y;
const REPEAT = /[*+]\??/y;
const BOUNDED = /\?\??|\{\d{1,2}\}/y;

/** Whether V8's engine is as good as RE2's for this pattern. */
export function isBacktrackSafe(pattern: string): boolean {
  let at = 0;
  let depth = 0;
  let ambiguous = 0;
  let repeated = '';
  const end = pattern.endsWith('$') && !pattern.endsWith('\\$') ? pattern.length - 1 : pattern.length;
  if (pattern.startsWith('^')) at = 1;
  while (at < end) {
    const char = pattern[at] as string;
    if (char === '(' || char === ')' || char === '|') {
      if (repeated !== '') ambiguous++;
      repeated = '';
      if (char === '(') {
        depth++;
        at += pattern.startsWith('?:', at + 1) ? 3 : 1;
        if (pattern[at] === '?') return false;
      } else {
        at++;
        if (char === ')') {
          if (--depth < 0) return false;
          if (/[*+{]/.test(pattern[at] ?? '')) return false;
          if (pattern[at] === '?') at++;
        }
      }
      continue;
    }
    const atom = match(ATOM, pattern, at);
    if (atom === '') return false;
    at += atom.length;
    const repeat = match(REPEAT, pattern, at);
    const bounded = repeat === '' ? match(BOUNDED, pattern, at) : '';
    at += repeat.length + bounded.length;
    if (repeated !== '' && (overlap(repeated, atom) || repeat.startsWith('*') || bounded.startsWith('?'))) ambiguous++;
    repeated = repeat === '' ? '' : atom;
  }
  return depth === 0 && ambiguous <= AMBIGUOUS_MAX;
}

function match(expression: RegExp, text: string, at: number): string {
  expression.lastIndex = at;
  return expression.exec(text)?.[0] ?? '';
}

function overlap(a: string, b: string): boolean {
  const first = new RegExp(`^${a}$`, 's');
  const second = new RegExp(`^${b}$`, 's');
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code);
    if (first.test(char) && second.test(char)) return true;
  }
  return false;
}

/**
 * Compiles a pattern that must match the whole text (RE2 `FullMatch`).
 * @param pattern valid RE2; `lower` has refused anything else
 */
export function compileFullMatch(pattern: string): TextMatch {
  if (isBacktrackSafe(pattern)) {
    const expression = new RegExp(`^(?:${pattern})$`);
    return (text) => expression.test(text);
  }
  const compiled = re2().compile(pattern);
  return (text) => compiled.matches(text);
}

/** Replaces every match of an RE2 pattern; in the substitution `\1` is group 1 and `\\` a backslash. */
export function compileReplaceAll(pattern: string, substitution: string): (text: string) => string {
  const compiled = re2().compile(pattern);
  const parts = substitutionParts(substitution);
  return (text) => {
    const matcher = compiled.matcher(text);
    let out = '';
    let at = 0;
    let last = -1;
    while (matcher.find()) {
      // RE2 does not let an empty match stand right behind another match.
      if (matcher.end() === last && matcher.start() === last) continue;
      last = matcher.end();
      out += text.slice(at, matcher.start());
      for (const part of parts) out += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      at = matcher.end();
    }
    return last < 0 ? text : out + text.slice(at);
  };
}

/** Literals and group numbers in order; RE2 knows `\0` to `\9` only. */
function substitutionParts(substitution: string): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution[i] as string;
    const next = substitution[i + 1] ?? '';
    if (char !== '\\' || next === '') {
      literal += char;
      continue;
    }
    i++;
    if (next >= '0' && next <= '9') {
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(Number(next));
    } else literal += next;
  }
  if (literal !== '') parts.push(literal);
  return parts;
}
