// What is wrong with a JSON text, and where. `JSON.parse` reads documents; its errors often name no position, it keeps the
// last of equal keys and lets half a surrogate pair pass. A text that it refused, or that has more keys than came of it, is
// scanned once more by this small recogniser (RFC 8259).

const SPACE = /[ \t\n\r]*/y;
/** Unrolled, so that a long string costs no memory. */
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const ATOM = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** What may come next. */
type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or ]' | ', or }' | 'the end';

const DESCRIPTION: { readonly [expected in Expected]: string } = {
  value: 'a value',
  'value or ]': "a value or ']'",
  key: 'a key in double quotes',
  'key or }': "a key in double quotes or '}'",
  ':': "':'",
  ', or ]': "',' or ']'",
  ', or }': "',' or '}'",
  'the end': 'the end',
};

export interface JsonFault {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/** The first fault of a text, or `null` when it is JSON that says everything once. Line and column count from 1. */
export function findJsonFault(text: string): JsonFault | null {
  const scan = new Scan(text);
  const expected = scan.run();
  if (expected === null) return null;
  const before = text.slice(0, scan.offset);
  const found = text[scan.offset];
  const got = found === undefined ? 'the end of the text' : JSON.stringify(found);
  return {
    line: before.split('\n').length,
    column: before.length - before.lastIndexOf('\n'),
    reason: scan.objection === '' ? `expected ${DESCRIPTION[expected]}, found ${got}` : scan.objection,
  };
}

/** So many keys stand in a JSON text, equal ones included. */
export function countJsonKeys(text: Uint8Array): number {
  let keys = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) quoted = !quoted;
    else if (byte === BACKSLASH) i++;
    else if (byte === COLON && !quoted) keys++;
  }
  return keys;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** An escape that half a surrogate pair could be written with. */
const SURROGATE = /\\u[dD][89a-fA-F]/;

/** Whether a JSON text may hold half a surrogate pair; its bytes cannot. */
export function mayLackSurrogate(text: string): boolean {
  return SURROGATE.test(text);
}

class Scan {
  readonly #text: string;
  /** `{` and `[` that are open. */
  readonly #open: string[] = [];
  /** The keys of each open object; empty for lists. */
  readonly #keys: Set<string>[] = [];
  offset = 0;
  /** What is wrong with a token that is well-formed; empty = nothing. */
  objection = '';

  constructor(text: string) {
    this.#text = text;
  }

  /** What was expected where the fault is, or `null`. */
  run(): Expected | null {
    let expected: Expected = 'value';
    for (;;) {
      this.#take(SPACE);
      if (this.offset >= this.#text.length) return expected === 'the end' ? null : expected;
      const next = this.#step(expected, this.#text[this.offset] as string);
      if (next === null) return expected;
      expected = next;
    }
  }

  /** Takes one token; `null` when it is not among the expected ones. */
  #step(expected: Expected, found: string): Expected | null {
    switch (expected) {
      case 'value or ]':
        return found === ']' ? this.#close() : this.#value(found);
      case 'value':
        return this.#value(found);
      case 'key or }':
        return found === '}' ? this.#close() : this.#key();
      case 'key':
        return this.#key();
      case ':':
        return found === ':' ? this.#advance('value') : null;
      case ', or ]':
        return found === ']' ? this.#close() : found === ',' ? this.#advance('value') : null;
      case ', or }':
        return found === '}' ? this.#close() : found === ',' ? this.#advance('key') : null;
      case 'the end':
        return null;
    }
  }

  #value(found: string): Expected | null {
    if (found === '{' || found === '[') {
      this.#open.push(found);
      this.#keys.push(new Set());
      return this.#advance(found === '{' ? 'key or }' : 'value or ]');
    }
    return this.#string() !== null || (this.objection === '' && this.#take(ATOM)) ? this.#afterValue() : null;
  }

  #key(): Expected | null {
    const from = this.offset;
    const key = this.#string();
    if (key === null) return null;
    const keys = this.#keys.at(-1);
    if (keys?.has(key) === true) return this.#object(from, `${JSON.stringify(key)} stands twice in one object`);
    keys?.add(key);
    return ':';
  }

  /** Takes a string and says what it means; `null` when there is none, or not all of it means something. */
  #string(): string | null {
    const from = this.offset;
    if (!this.#take(STRING)) return null;
    const value = JSON.parse(this.#text.slice(from, this.offset)) as string;
    return value.isWellFormed() ? value : this.#object(from, 'unpaired surrogate in a string');
  }

  #object(offset: number, objection: string): null {
    this.offset = offset;
    this.objection = objection;
    return null;
  }

  #close(): Expected {
    this.#open.pop();
    this.#keys.pop();
    this.offset++;
    return this.#afterValue();
  }

  #afterValue(): Expected {
    const open = this.#open.at(-1);
    if (open === undefined) return 'the end';
    return open === '{' ? ', or }' : ', or ]';
  }

  #advance(next: Expected): Expected {
    this.offset++;
    return next;
  }

  #take(token: RegExp): boolean {
    token.lastIndex = this.offset;
    if (!token.test(this.#text)) return false;
    this.offset = token.lastIndex;
    return true;
  }
}
