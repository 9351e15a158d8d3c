// JSON formats: a tree whose strings are substitution formats, rendered as one line with sorted keys.
//
// A string that is one operator keeps the operator's type (`"%RESPONSE_CODE%"` → a number, absent → `null`, or the key
// vanishes under `omit_empty_values`); any other string is text. All that is constant, braces and keys included, is one
// literal between two operators; what an operator yields is escaped by itself, so constants are never looked at again.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { latin1Image } from '../util/latin1.ts';
import type { Operator } from './format-operator.ts';
import { parseFormat } from './format-parse.ts';
import { escapeJson, jsonString, sortedEntries } from './json-text.ts';
import type { StreamInfo } from './stream-info.ts';

type Write = (info: StreamInfo) => string;
/** `null` = nothing to write: the key or element is left out. */
type MaybeWrite = (info: StreamInfo) => string | null;

/** Literals around writers, one literal more than writers. */
class Template {
  readonly literals: string[] = [''];
  readonly writers: Write[] = [];

  literal(text: string): void {
    this.literals[this.literals.length - 1] += text;
  }

  writer(write: Write): void {
    this.writers.push(write);
    this.literals.push('');
  }

  compile(): Write {
    const { writers } = this;
    const first = this.literals[0] as string;
    const tails = this.literals.slice(1);
    return (info) => {
      let text = first;
      for (let i = 0; i < writers.length; i++) text += (writers[i] as Write)(info) + tails[i];
      return text;
    };
  }
}

/** The operator that is the whole of a format, or `null`. */
function onlyOperator(literals: readonly string[], operators: readonly Operator[]): Operator | null {
  const [first] = operators;
  if (first === undefined || operators.length > 1 || literals[0] !== '' || literals[1] !== '') return null;
  return first;
}

function addText(
  template: Template,
  literals: readonly string[],
  operators: readonly Operator[],
  absent: string,
): void {
  template.literal(`"${escapeJson(literals[0] as string)}`);
  for (let i = 0; i < operators.length; i++) {
    const { text } = operators[i] as Operator;
    template.writer((info) => {
      const value = text(info);
      return value === null ? absent : escapeJson(value);
    });
    template.literal(escapeJson(literals[i + 1] as string));
  }
  template.literal('"');
}

// === Absent values are written as null ===

function addValue(template: Template, value: JsonValue): void {
  if (typeof value === 'string') {
    const { literals, operators } = parseFormat(latin1Image(value));
    const only = onlyOperator(literals, operators);
    if (only === null) addText(template, literals, operators, '-');
    else template.writer((info) => only.json(info) ?? 'null');
  } else if (value === null || typeof value !== 'object') {
    template.literal(JSON.stringify(value));
  } else if (Array.isArray(value)) {
    template.literal('[');
    for (let i = 0; i < value.length; i++) {
      if (i > 0) template.literal(',');
      addValue(template, value[i] as JsonValue);
    }
    template.literal(']');
  } else {
    const entries = sortedEntries(value as JsonObject);
    template.literal('{');
    for (let i = 0; i < entries.length; i++) {
      const [key, item] = entries[i] as [string, JsonValue];
      template.literal(`${i > 0 ? ',' : ''}${jsonString(latin1Image(key))}:`);
      addValue(template, item);
    }
    template.literal('}');
  }
}

// === Absent values vanish ===

function omitting(value: JsonValue): MaybeWrite {
  if (typeof value === 'string') {
    const { literals, operators } = parseFormat(latin1Image(value));
    const only = onlyOperator(literals, operators);
    if (only !== null) return only.json;
    const template = new Template();
    addText(template, literals, operators, '');
    return template.compile();
  }
  if (value === null) return () => null;
  if (typeof value !== 'object') {
    const text = JSON.stringify(value);
    return () => text;
  }
  if (Array.isArray(value)) {
    const items = value.map(omitting);
    return (info) => `[${joinPresent(items, info)}]`;
  }
  const items = sortedEntries(value as JsonObject).map(([key, item]): MaybeWrite => {
    const head = `${jsonString(latin1Image(key))}:`;
    const write = omitting(item);
    return (info) => {
      const text = write(info);
      return text === null ? null : head + text;
    };
  });
  return (info) => {
    const text = joinPresent(items, info);
    return text === '' ? null : `{${text}}`;
  };
}

function joinPresent(items: readonly MaybeWrite[], info: StreamInfo): string {
  let text = '';
  for (let i = 0; i < items.length; i++) {
    const item = (items[i] as MaybeWrite)(info);
    if (item !== null) text += text === '' ? item : `,${item}`;
  }
  return text;
}

/**
 * Compiles a JSON format; its strings are ordinary ones, not latin1 images.
 * @throws ConfigError as `parseFormat`
 */
export function compileJson(format: JsonObject, omitEmpty: boolean): Write {
  if (omitEmpty) {
    const write = omitting(format);
    return (info) => `${write(info) ?? '{}'}\n`;
  }
  const template = new Template();
  addValue(template, format);
  template.literal('\n');
  return template.compile();
}
