// JSON formats: a tree whose strings are substitution formats, rendered as one line.
//
// A string that is one operator keeps the operator's type (`"%RESPONSE_CODE%"` → a number, absent → `null`); any other
// string is text. All that is constant, braces and keys included, is one literal between two operators.

import type { JsonObject, JsonValue } from '../config/model.ts';
import type { Operator } from './format-operator.ts';
import { parseFormat } from './format-parse.ts';
import type { StreamInfo } from './stream-info.ts';

type Write = (info: StreamInfo) => string;

/** Characters that JSON escapes. */
const ESCAPED = /["\\\u0000-\u001f\u007f-\u00ff]/;

/** A JSON string literal of a latin1 image. */
export function jsonString(latin1: string): string {
  if (!ESCAPED.test(latin1)) return `"${latin1}"`;
  return JSON.stringify(latin1);
}

function jsonValue(value: JsonValue): string {
  if (typeof value === 'string') return jsonString(value);
  return JSON.stringify(value);
}

/** Collects literals and writers, merging literals. */
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
}

function addText(template: Template, format: string, omitEmpty: boolean): void {
  const { literals, operators } = parseFormat(format);
  const only = operators[0];
  if (operators.length === 1 && literals[0] === '' && literals[1] === '' && only !== undefined) {
    template.writer((info) => jsonValue(only.typed(info)));
    return;
  }
  if (operators.length === 0) {
    template.literal(jsonString(literals[0] as string));
    return;
  }
  const absent = omitEmpty ? '' : '-';
  const reads = operators.map((operator: Operator) => operator.text);
  template.writer((info) => {
    let text = literals[0] as string;
    for (let i = 0; i < reads.length; i++) text += ((reads[i] as Write)(info) ?? absent) + literals[i + 1];
    return jsonString(text);
  });
}

function addValue(template: Template, value: JsonValue, omitEmpty: boolean, sort: boolean): void {
  if (typeof value === 'string') {
    addText(template, value, omitEmpty);
  } else if (value === null || typeof value !== 'object') {
    template.literal(JSON.stringify(value));
  } else if (Array.isArray(value)) {
    template.literal('[');
    for (let i = 0; i < value.length; i++) {
      if (i > 0) template.literal(',');
      addValue(template, value[i] as JsonValue, omitEmpty, sort);
    }
    template.literal(']');
  } else {
    const entries = Object.entries(value as JsonObject);
    if (sort) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    template.literal('{');
    for (let i = 0; i < entries.length; i++) {
      const [key, item] = entries[i] as [string, JsonValue];
      template.literal(`${i > 0 ? ',' : ''}${jsonString(key)}:`);
      addValue(template, item, omitEmpty, sort);
    }
    template.literal('}');
  }
}

/** @throws ConfigError as `parseFormat` */
export function compileJson(format: JsonObject, omitEmpty: boolean, sort: boolean): Write {
  const template = new Template();
  addValue(template, format, omitEmpty, sort);
  template.literal('\n');
  const { writers } = template;
  const first = template.literals[0] as string;
  const tails = template.literals.slice(1);
  return (info) => {
    let line = first;
    for (let i = 0; i < writers.length; i++) line += (writers[i] as Write)(info) + tails[i];
    return line;
  };
}
