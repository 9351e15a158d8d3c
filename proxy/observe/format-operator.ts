// What a command operator of a substitution format is: two readers of the stream info, and the helpers that make them.

import type { JsonValue } from '../config/model.ts';
import { ConfigError } from '../util/error.ts';
import type { StreamInfo } from './stream-info.ts';

/** A compiled operator. `null` = absent: `-`, nothing, or JSON `null`. */
export interface Operator {
  readonly text: (info: StreamInfo) => string | null;
  /** The value for JSON: numbers stay numbers, metadata stays a tree. */
  readonly typed: (info: StreamInfo) => JsonValue;
}

/**
 * Makes an operator of what stood in the format.
 * @param argument text between the parentheses; empty = none
 * @param max number behind the colon; −1 = none
 * @param name the operator's, for messages
 */
export type OperatorFactory = (argument: string, max: number, name: string) => Operator;

/** An operator that reads a string. */
export function stringOperator(read: (info: StreamInfo) => string | null): Operator {
  return { text: read, typed: read };
}

/** A string operator whose empty string means absent. */
export function filledOperator(read: (info: StreamInfo) => string): Operator {
  return stringOperator((info) => {
    const value = read(info);
    return value === '' ? null : value;
  });
}

/** An operator that reads a number. */
export function numberOperator(read: (info: StreamInfo) => number | null): Operator {
  return {
    text: (info) => {
      const value = read(info);
      return value === null ? null : `${value}`;
    },
    typed: read,
  };
}

/** An operator that reads a tree; strings are written bare in text, all else as JSON; `max` cuts the text. */
export function jsonOperator(read: (info: StreamInfo) => JsonValue | undefined, max: number): Operator {
  return {
    text: (info) => {
      const value = read(info);
      if (value === undefined || value === null) return null;
      return cut(typeof value === 'string' ? value : JSON.stringify(value), max);
    },
    typed: (info) => {
      const value = read(info) ?? null;
      return typeof value === 'string' ? cut(value, max) : value;
    },
  };
}

/** First `max` bytes; −1 = all. */
export function cut(text: string, max: number): string {
  return max >= 0 && text.length > max ? text.slice(0, max) : text;
}

/** An operator without parameters. */
export function plain(operator: Operator): OperatorFactory {
  return (argument, max, name) => {
    if (argument !== '' || max >= 0) throw new ConfigError(`${name} does not take any parameters or length`);
    return operator;
  };
}

/** @throws ConfigError in Envoy's words when there is no parameter */
export function requireArgument(argument: string, name: string): void {
  if (argument === '') throw new ConfigError(`${name} requires parameters`);
}

/** The latin1 image of a string's UTF-8 bytes, for text that did not come from the wire. */
export function latin1Image(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
