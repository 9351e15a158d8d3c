// YAML → JSON values as Envoy reads YAML: plain scalars are booleans (`yes`, `on`, `Y`, ...), 32-bit integers or null,
// everything else is a string, also `1.5` (a number field takes a string). Quoted scalars are strings; tags and merge
// keys mean nothing; a repeated key overrides; only the first document is read. Keys are never interpreted.

import { type Event, getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent, YAMLException } from 'js-yaml';
import { ConfigError } from '../../util/error.ts';

/** Values that aliases may expand to in all, so that a small file cannot ask for endless work. */
const EXPANDED_VALUES_MAX = 10_000_000;

/** Containers inside containers. */
const DEPTH_MAX = 100;

/**
 * @param name the file, for `name:line:column` in errors
 * @throws ConfigError naming the place
 */
export function readYaml(text: string, name: string): unknown {
  let events: Event[];
  try {
    events = parseEvents(text, { maxDepth: DEPTH_MAX });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const mark = error.mark;
    const where = mark === undefined ? name : `${name}:${mark.line + 1}:${mark.column + 1}`;
    throw new ConfigError(error.reason, where);
  }
  return new Builder(text, name, events).document();
}

// Event types as js-yaml numbers them.
const DOCUMENT = 1;
const SEQUENCE = 2;
const MAPPING = 3;
const SCALAR = 4;
const ALIAS = 5;

interface Anchored {
  readonly value: unknown;
  readonly size: number;
}

class Builder {
  readonly #text: string;
  readonly #name: string;
  readonly #events: readonly Event[];
  readonly #anchors = new Map<string, Anchored>();
  #next = 0;
  /** Values built so far, aliases counted in full. */
  #size = 0;

  constructor(text: string, name: string, events: readonly Event[]) {
    this.#text = text;
    this.#name = name;
    this.#events = events;
  }

  /** The first document; `null` when there is none. */
  document(): unknown {
    const first = this.#events[this.#next];
    if (first === undefined || first.type !== DOCUMENT) return null;
    this.#next++;
    return this.#value();
  }

  #value(): unknown {
    const event = this.#events[this.#next++] as Event;
    const before = this.#size++;
    if (this.#size > EXPANDED_VALUES_MAX) throw this.#error('too many values (aliases expand too far)', 0);
    if (event.type === ALIAS) return this.#alias(event.anchorStart, event.anchorEnd);
    if (event.type !== SCALAR && event.type !== SEQUENCE && event.type !== MAPPING) return null;
    let value: unknown;
    if (event.type === SCALAR) value = this.#scalar(event);
    else if (event.type === SEQUENCE) value = this.#sequence();
    else value = this.#mapping();
    if (event.anchorStart >= 0) {
      const anchor = this.#text.slice(event.anchorStart, event.anchorEnd);
      this.#anchors.set(anchor, { value, size: this.#size - before });
    }
    return value;
  }

  #alias(start: number, end: number): unknown {
    const anchored = this.#anchors.get(this.#text.slice(start, end));
    if (anchored === undefined) throw this.#error(`unknown alias '${this.#text.slice(start, end)}'`, start);
    this.#size += anchored.size;
    return anchored.value;
  }

  #sequence(): unknown[] {
    const items: unknown[] = [];
    while (this.#opensValue()) items.push(this.#value());
    this.#next++;
    return items;
  }

  #mapping(): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    while (this.#opensValue()) {
      const key = this.#key();
      const value = this.#value();
      if (key === '__proto__')
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      else map[key] = value;
    }
    this.#next++;
    return map;
  }

  #key(): string {
    const event = this.#events[this.#next++] as Event;
    if (event.type === SCALAR) {
      const text = this.#textOf(event);
      if (event.anchorStart >= 0) {
        this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), { value: text, size: 1 });
      }
      return text;
    }
    if (event.type === ALIAS) {
      const value = this.#alias(event.anchorStart, event.anchorEnd);
      if (typeof value !== 'object') return String(value);
    }
    throw this.#error('a key must be a scalar', 'start' in event ? event.start : 0);
  }

  #opensValue(): boolean {
    const event = this.#events[this.#next];
    return event !== undefined && event.type >= SEQUENCE && event.type <= ALIAS;
  }

  #scalar(event: ScalarEvent): unknown {
    const text = this.#textOf(event);
    return event.style === SCALAR_STYLE.PLAIN ? plainScalar(text) : text;
  }

  #textOf(event: ScalarEvent): string {
    const text = getScalarValue(this.#text, event);
    if (!text.isWellFormed()) throw this.#error('unpaired surrogate in a string', event.valueStart);
    return text;
  }

  #error(text: string, offset: number): ConfigError {
    const lines = this.#text.slice(0, offset).split('\n');
    return new ConfigError(text, `${this.#name}:${lines.length}:${(lines.at(-1) ?? '').length + 1}`);
  }
}

const NULL = /^(?:~|null|Null|NULL)?$/;
const TRUE = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
/** Decimal, `0x` and C-style octal. */
const INTEGER = /^[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/;
const INT32_MIN = -0x8000_0000;
const INT32_MAX = 0x7fff_ffff;

/** A plain (unquoted) scalar. Integers beyond 32 bits stay decimal text, as in Envoy. */
function plainScalar(text: string): unknown {
  const first = text.charCodeAt(0);
  // Digits and signs can only be numbers; most others are words.
  if ((first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d) {
    return INTEGER.test(text) ? integer(text) : text;
  }
  if (text.length > 5) return text;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  return NULL.test(text) ? null : text;
}

function integer(text: string): number | string {
  const negative = text.startsWith('-');
  const digits = text.replace(/^[+-]/, '');
  let magnitude: bigint;
  if (/^0[xX]/.test(digits)) magnitude = BigInt(digits);
  else if (digits.length > 1 && digits.startsWith('0')) magnitude = BigInt(`0o${digits.slice(1)}`);
  else magnitude = BigInt(digits);
  const value = negative ? -magnitude : magnitude;
  const number = Number(value);
  return number >= INT32_MIN && number <= INT32_MAX ? number : String(value);
}
