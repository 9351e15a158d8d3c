// Small makers of admin answers, and the query parser.

import type { JsonValue } from '../config/model/common.ts';
import { protoDouble } from '../util/number-text.ts';
import type { AdminResponse } from './admin-state.ts';

const TEXT = 'text/plain; charset=UTF-8';
export const JSON_TYPE = 'application/json';

export function text(body: string | Iterable<string>, status = 200): AdminResponse {
  return { status, contentType: TEXT, body };
}

export function json(body: string | Iterable<string>): AdminResponse {
  return { status: 200, contentType: JSON_TYPE, body };
}

export function html(body: string | Iterable<string>): AdminResponse {
  return { status: 200, contentType: 'text/html; charset=UTF-8', body };
}

/** A number that may have 16 digits or more. Strings end with a quote, so what ends a line is none. */
const LONG_NUMBER = /(?<= )-?\d+\.\d{9,}(?:e[+-]\d+)?(?=,?$)/gm;

/** A message as Envoy's `/config_dump` and others print it: one space of indentation, a newline at the end. */
export function protoJson(value: JsonValue): string {
  const indented = JSON.stringify(value, null, 1).replace(LONG_NUMBER, (text) => protoDouble(Number(text)));
  return `${indented.replace(/[<>\u007f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

/** `5` → `5s`, `1500` ms → `1.500s`: a duration in proto JSON. */
export function durationJson(ms: number): string {
  const whole = Math.floor(ms / 1000);
  const rest = ms % 1000;
  return rest === 0 ? `${whole}s` : `${whole}.${String(rest).padStart(3, '0')}s`;
}

/**
 * Reads the part after `?`. Percent escapes are decoded; `+` stays a plus, for it is common in regular expressions.
 * The first of several values of a name counts.
 */
export function parseQuery(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals));
    if (!parameters.has(name)) parameters.set(name, equals < 0 ? '' : decode(part.slice(equals + 1)));
  }
  return parameters;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray percent sign stands for itself
  }
}
