// RE2 patterns at run time. Envoy promises linear time and a match of the whole value; V8's engine backtracks.
//
// A pattern that cannot make a backtracking engine slow becomes a `RegExp`, an order of magnitude faster; any other
// runs in re2js, which is linear. What makes it slow are *choices*: a repetition or option followed by something it
// could have taken itself, and alternatives that begin alike. Without a choice time is linear; with one it is linear
// when nothing is repeated behind it, and else quadratic, which is fine for short texts only.

import { re2 } from '../util/re2.ts';

/** A full match on a latin1 string. */
export type TextMatch = (text: string) => boolean;

/** Longest text, in characters, for a pattern that may take quadratic time: at most some 100 µs. */
const QUADRATIC_TEXT_MAX = 256;
/** Longer patterns are not looked at. */
const PATTERN_MAX = 512;

/** One item that both engines read alike on latin1 text: a literal, an escape, `.`, or a simple class. */
const ATOM =
  /(?:[A-Za-z0-9_/:=,;@%&~!"'<> #-]|\\[.\-/+*?()[\]{}|^$\\_:]|\\[dwDW]|\.|\[\^?(?:[A-Za-z0-9_/:=,;@%&~!"'<>.+*() $?#-]|\\[-.\]\\/^]|\\[dw])+\])/y;
const REPEAT = /[*+]\??/y;
const BOUNDED = /\?\??|\{\d{1,2}\}/y;

/** `linear`: V8 may run it on anything; `short`: on short texts; `unsafe`: never. */
export type BacktrackClass = 'linear' | 'short' | 'unsafe';

/** A group being read: what stood open before it, at the ends of its finished alternatives, and how these begin. */
interface Group {
  readonly entry: readonly string[];
  exits: readonly string[];
  readonly firsts: string[];
}

/** Reads a pattern once and counts its choices. */
class PatternReader {
  private readonly pattern: string;
  private readonly end: number;
  private at: number;
  private readonly groups: Group[];
  /** Atoms of repetitions and options that end right before `at`. */
  private open: readonly string[];
  /** The next atom begins an alternative. */
  private fresh: boolean;
  private choices: number;
  /** Something is repeated behind the first choice. */
  private repeatsAfterChoice: boolean;
  private hasAlternatives: boolean;
  /** What a match begins with; `null` = nothing yet, `''` = this and that. */
  private first: string | null;
  /** Atoms that are repeated without a bound, and whether anything stands behind one. */
  private readonly repeated: string[];
  private isBehindRepeated: boolean;

  constructor(pattern: string) {
    this.pattern = pattern;
    this.end = pattern.endsWith('$') && !pattern.endsWith('\\$') ? pattern.length - 1 : pattern.length;
    this.at = pattern.startsWith('^') ? 1 : 0;
    this.groups = [{ entry: [], exits: [], firsts: [] }];
    this.open = [];
    this.fresh = true;
    this.choices = 0;
    this.repeatsAfterChoice = false;
    this.hasAlternatives = false;
    this.first = null;
    this.repeated = [];
    this.isBehindRepeated = false;
  }

  classify(): BacktrackClass {
    if (this.pattern.length > PATTERN_MAX) return 'unsafe';
    while (this.at < this.end) if (!this.readOne()) return 'unsafe';
    if (this.groups.length !== 1 || this.choices > 1) return 'unsafe';
    return this.choices === 0 || !this.repeatsAfterChoice ? 'linear' : 'short';
  }

  /**
   * Whether all matches in a text are found in linear time, too; of a pattern that was found to be linear. A match is
   * looked for from each place, so what was repeated before one fails must not be walked through again and again:
   * nothing can fail behind it, or no match begins within it.
   */
  findsInLinearTime(): boolean {
    const { repeated, first, pattern } = this;
    if (repeated.length === 0) return true;
    if (this.hasAlternatives) return false;
    if (pattern.startsWith('^') || (!this.isBehindRepeated && this.end === pattern.length)) return true;
    return first !== null && first !== '' && !repeated.some((atom) => overlap(first, atom));
  }

  private readOne(): boolean {
    const char = this.pattern[this.at] as string;
    if (char === '(') return this.openGroup();
    if (char === '|') return this.nextAlternative();
    return char === ')' ? this.closeGroup() : this.readAtom();
  }

  private openGroup(): boolean {
    this.at += this.pattern.startsWith('?:', this.at + 1) ? 3 : 1;
    // What begins an alternative with a group is not compared with the others: a choice.
    if (this.fresh) this.noteFirst('');
    this.groups.push({ entry: this.open, exits: [], firsts: [] });
    this.fresh = true;
    return this.pattern[this.at] !== '?';
  }

  private nextAlternative(): boolean {
    const group = this.groups[this.groups.length - 1] as Group;
    this.hasAlternatives = true;
    if (this.fresh) this.noteFirst('');
    group.exits = group.exits.concat(this.open);
    this.open = group.entry;
    this.fresh = true;
    this.at++;
    return true;
  }

  private closeGroup(): boolean {
    if (this.groups.length === 1) return false;
    if (this.fresh) this.noteFirst('');
    const group = this.groups.pop() as Group;
    this.open = group.exits.concat(this.open);
    this.fresh = false;
    this.at++;
    const next = this.pattern[this.at] ?? '';
    if (next === '*' || next === '+' || next === '{') return false;
    if (next === '?') {
      this.at++;
      this.choices++;
      this.first = '';
      this.open = this.open.concat(group.entry);
    }
    return true;
  }

  private readAtom(): boolean {
    const atom = match(ATOM, this.pattern, this.at);
    if (atom === '') return false;
    this.at += atom.length;
    const repeat = match(REPEAT, this.pattern, this.at);
    const bounded = repeat === '' ? match(BOUNDED, this.pattern, this.at) : '';
    this.at += repeat.length + bounded.length;
    for (const before of this.open) if (overlap(before, atom)) this.choices++;
    if (repeat !== '' && this.choices > 0) this.repeatsAfterChoice = true;
    const optional = repeat.startsWith('*') || bounded.startsWith('?');
    this.first ??= optional || repeat !== '' ? '' : atom;
    if (this.repeated.length > 0) this.isBehindRepeated = true;
    if (repeat !== '') this.repeated.push(atom);
    if (this.fresh) this.noteFirst(optional ? '' : atom);
    this.fresh = false;
    const repeated = repeat !== '' || optional ? [atom] : [];
    this.open = optional ? this.open.concat(repeated) : repeated;
    return true;
  }

  /** How an alternative begins; `''` = in a way that is not compared. Beginning like another one is a choice. */
  private noteFirst(atom: string): void {
    const { firsts } = this.groups[this.groups.length - 1] as Group;
    for (const other of firsts) if (other === '' || atom === '' || overlap(other, atom)) this.choices++;
    firsts.push(atom);
    this.fresh = false;
  }
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

/** How V8's engine does on this pattern. */
export function backtrackClass(pattern: string): BacktrackClass {
  return new PatternReader(pattern).classify();
}

/** Whether V8 may look for all matches in a text of any length. */
export function findsInLinearTime(pattern: string): boolean {
  const reader = new PatternReader(pattern);
  return reader.classify() === 'linear' && reader.findsInLinearTime();
}

const DOTS = /\\.|\[\^?(?:\\.|[^\]])*\]|\./g;

/** A pattern that was admitted, for V8. To RE2 a dot is everything but a line feed, to V8 no carriage return either. */
function forV8(pattern: string): string {
  return pattern.replace(DOTS, (item) => (item === '.' ? '[^\\n]' : item));
}

function fullExpression(pattern: string): RegExp {
  return new RegExp(`^(?:${forV8(pattern)})$`);
}

/**
 * Compiles a pattern that must match the whole text (RE2 `FullMatch`).
 * @param pattern valid RE2; `lower` has refused anything else
 */
export function compileFullMatch(pattern: string): TextMatch {
  const kind = backtrackClass(pattern);
  if (kind === 'unsafe') {
    const compiled = re2().compile(pattern);
    return (text) => compiled.matches(text);
  }
  const expression = fullExpression(pattern);
  if (kind === 'linear') return (text) => expression.test(text);
  let compiled: ReturnType<ReturnType<typeof re2>['compile']> | null = null;
  return (text) => {
    if (text.length <= QUADRATIC_TEXT_MAX) return expression.test(text);
    compiled ??= re2().compile(pattern);
    return compiled.matches(text);
  };
}

/** Groups of a full match by number, unset ones empty, or `null`. As `compileFullMatch`. */
export type TextCapture = (text: string) => readonly string[] | null;

export function compileCapture(pattern: string): TextCapture {
  if (backtrackClass(pattern) === 'linear') {
    const expression = fullExpression(pattern);
    return (text) => expression.exec(text)?.map((group) => group ?? '') ?? null;
  }
  const compiled = re2().compile(pattern);
  return (text) => {
    const matcher = compiled.matcher(text);
    if (!matcher.matches()) return null;
    return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? '');
  };
}

/**
 * Replaces every match of an RE2 pattern; in the substitution `\1` is group 1 and `\\` a backslash. As with RE2, a
 * group that the pattern does not have makes it replace nothing, and any other escape ends the substitution.
 */
export function compileReplaceAll(pattern: string, substitution: string): (text: string) => string {
  if (backtrackClass(pattern) !== 'linear') return replaceByRe2(pattern, substitution);
  const source = forV8(pattern);
  const groups = (new RegExp(`${source}|`).exec('')?.length ?? 1) - 1;
  if (highestGroup(substitution) > groups) return (text) => text;
  const expression = new RegExp(source, 'g');
  const parts = substitutionParts(substitution);
  const replace = new RegExp(`^(?:${source})`).test('')
    ? replaceByV8(expression, parts)
    : replaceAllByV8(expression, parts);
  if (findsInLinearTime(pattern)) return replace;
  let careful: ((text: string) => string) | null = null;
  return (text) => {
    if (text.length <= QUADRATIC_TEXT_MAX) return replace(text);
    careful ??= replaceByRe2(pattern, substitution);
    return careful(text);
  };
}

/** For a pattern that matches nothing empty: about the others the engines think differently. */
function replaceAllByV8(expression: RegExp, parts: readonly (string | number)[]): (text: string) => string {
  // Two digits, so that a digit behind them is none of theirs.
  const template = parts.map((part) => (typeof part === 'string' ? part.replaceAll('$', '$$$$') : groupName(part)));
  const replacement = template.join('');
  return (text) => text.replace(expression, replacement);
}

function groupName(group: number): string {
  return group === 0 ? '$&' : `$0${group}`;
}

function replaceByV8(expression: RegExp, parts: readonly (string | number)[]): (text: string) => string {
  return (text) => {
    let out = '';
    let at = 0;
    let last = -1;
    expression.lastIndex = 0;
    for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
      const start = match.index;
      const end = expression.lastIndex;
      if (start === end) expression.lastIndex++;
      // RE2 does not let an empty match stand right behind another match.
      if (end === last && start === last) continue;
      last = end;
      out += text.slice(at, start);
      for (const part of parts) out += typeof part === 'string' ? part : (match[part] ?? '');
      at = end;
    }
    return last < 0 ? text : out + text.slice(at);
  };
}

function replaceByRe2(pattern: string, substitution: string): (text: string) => string {
  const compiled = re2().compile(pattern);
  if (highestGroup(substitution) > compiled.groupCount()) return (text) => text;
  const parts = substitutionParts(substitution);
  return (text) => {
    const matcher = compiled.matcher(text);
    let out = '';
    let at = 0;
    let last = -1;
    while (matcher.find()) {
      if (matcher.end() === last && matcher.start() === last) continue;
      last = matcher.end();
      out += text.slice(at, matcher.start());
      for (const part of parts) out += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      at = matcher.end();
    }
    return last < 0 ? text : out + text.slice(at);
  };
}

/** The largest group number that a substitution names, also behind a bad escape; 0 = none. */
function highestGroup(substitution: string): number {
  let highest = 0;
  for (const [, digit] of substitution.matchAll(/\\(.)/gs)) {
    if (digit !== undefined && digit >= '0' && digit <= '9') highest = Math.max(highest, Number(digit));
  }
  return highest;
}

/** Literals and group numbers in order; RE2 knows `\0` to `\9` only. */
function substitutionParts(substitution: string): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = '';
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution[i] as string;
    const next = substitution[i + 1] ?? '';
    if (char !== '\\') {
      literal += char;
      continue;
    }
    i++;
    if (next === '\\') literal += next;
    else if (next >= '0' && next <= '9') {
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(Number(next));
    } else break;
  }
  if (literal !== '') parts.push(literal);
  return parts;
}
