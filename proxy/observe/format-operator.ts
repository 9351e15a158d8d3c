// What a command operator of a substitution format is: two readers of the stream info, and the helpers that make them.

import type { JsonValue } from '../config/model/common.ts';
import { ConfigError } from '../util/error.ts';
import { latin1Image } from '../util/latin1.ts';
import { jsonOfTree, jsonString } from './json-text.ts';
import type { StreamInfo } from './stream-info.ts';

/** A compiled operator. `null` = absent: `-`, nothing, or JSON `null`. Results are latin1 images of bytes. */
export interface Operator {
  readonly text: (info: StreamInfo) => string | null;
  /** JSON text: numbers stay numbers, metadata stays a tree. */
  readonly json: (info: StreamInfo) => string | null;
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
  return {
    text: read,
    json: (info) => {
      const value = read(info);
      return value === null ? null : jsonString(value);
    },
  };
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
  const text = (info: StreamInfo): string | null => {
    const value = read(info);
    return value === null ? null : `${value}`;
  };
  return { text, json: text };
}

/** An operator that reads a tree of ordinary strings; a string is bare in text, all else JSON; `max` cuts the text. */
export function treeOperator(read: (info: StreamInfo) => JsonValue | undefined, max: number): Operator {
  return {
    text: (info) => {
      const value = read(info);
      if (value === undefined || value === null) return null;
      return cut(typeof value === 'string' ? latin1Image(value) : jsonOfTree(value), max);
    },
    json: (info) => {
      const value = read(info);
      if (value === undefined || value === null) return null;
      return typeof value === 'string' ? jsonString(cut(latin1Image(value), max)) : jsonOfTree(value);
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

/** @throws ConfigError in Envoy's words when there is a length */
export function refuseLength(max: number, name: string): void {
  if (max >= 0) throw new ConfigError(`${name} does not allow length to be specified.`);
}

/** @throws ConfigError in Envoy's words when there is no parameter */
export function requireArgument(argument: string, name: string): void {
  if (argument === '') throw new ConfigError(`${name} requires parameters`);
}
