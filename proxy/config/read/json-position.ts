// Where a text stops being JSON. `JSON.parse` reads documents; its errors often name no position, so a text that it
// refused is scanned once more by this small recogniser (RFC 8259).

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
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

/** The first fault of a text, or `null` when it is JSON. Line and column count from 1. */
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
    reason: `expected ${DESCRIPTION[expected]}, found ${got}`,
  };
}

class Scan {
  readonly #text: string;
  /** `{` and `[` that are open. */
  readonly #open: string[] = [];
  offset = 0;

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
      return this.#advance(found === '{' ? 'key or }' : 'value or ]');
    }
    return this.#take(STRING) || this.#take(ATOM) ? this.#afterValue() : null;
  }

  #key(): Expected | null {
    return this.#take(STRING) ? ':' : null;
  }

  #close(): Expected {
    this.#open.pop();
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
