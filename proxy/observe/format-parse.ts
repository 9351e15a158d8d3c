// The grammar of substitution format strings: literals and `%COMMAND(argument):length%`, `%%` for a percent sign.

import { ConfigError } from '../util/error.ts';
import { didYouMean } from '../util/nearest.ts';
import { HEADER_OPERATORS } from './format-headers.ts';
import { METADATA_OPERATORS } from './format-metadata.ts';
import { cut, type Operator, type OperatorFactory, requireArgument } from './format-operator.ts';
import { STREAM_OPERATORS } from './format-stream.ts';
import { TLS_OPERATORS } from './format-tls.ts';
import { escapeJson } from './json-text.ts';

/** `literals[0] operators[0] literals[1] … literals[n]`: one literal more than operators, empty ones included. */
export interface ParsedFormat {
  readonly literals: readonly string[];
  readonly operators: readonly Operator[];
}

const OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map([
  ...HEADER_OPERATORS,
  ...STREAM_OPERATORS,
  ...METADATA_OPERATORS,
  ...TLS_OPERATORS,
  ['COALESCE', coalesce],
  ['CEL', refuseCel],
]);

/** Every command operator there is, for documentation and tests. */
export function operatorNames(): readonly string[] {
  return [...OPERATORS.keys()];
}

const COMMAND = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%/uy;

/**
 * Parses a format.
 * @throws ConfigError naming the position and, for an unknown operator, the nearest known one
 */
export function parseFormat(format: string): ParsedFormat {
  const literals: string[] = [];
  const operators: Operator[] = [];
  let literal = '';
  for (let at = 0; at < format.length; ) {
    const next = format.indexOf('%', at);
    if (next < 0) {
      literal += format.slice(at);
      break;
    }
    literal += format.slice(at, next);
    if (format[next + 1] === '%') {
      literal += '%';
      at = next + 2;
      continue;
    }
    COMMAND.lastIndex = next;
    const found = COMMAND.exec(format);
    if (found === null) {
      throw new ConfigError(
        `Incorrect configuration: ${format}. Couldn't find valid command at position ${next} (write %% for a percent sign)`,
      );
    }
    operators.push(makeOperator(found[1] as string, found[2] ?? '', found[3], next));
    literals.push(literal);
    literal = '';
    at = next + found[0].length;
  }
  literals.push(literal);
  return { literals, operators };
}

/** Lengths beyond this are as good as none; keeps the number exact. */
const CUT_MAX = 0xffff_ffff;

function makeOperator(name: string, argument: string, length: string | undefined, position: number): Operator {
  const factory = OPERATORS.get(name);
  if (factory === undefined) {
    throw new ConfigError(
      `Not supported field in StreamInfo: ${name} at position ${position}${didYouMean(name, OPERATORS.keys())}`,
    );
  }
  return factory(argument, length === undefined ? -1 : Math.min(CUT_MAX, Number(length)), name);
}

function refuseCel(): Operator {
  throw new ConfigError('CEL expressions (%CEL(…)%) are not supported; use a command operator instead');
}

// === %COALESCE({"operators": […]}):n%: the first operator that has a value ===

function coalesce(argument: string, max: number, name: string): Operator {
  requireArgument(argument, name);
  const operators = coalesceEntries(argument).map((entry, index) => {
    try {
      return coalesceOperator(entry);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(`COALESCE: failed to parse operator at index ${index}: ${error.message}`);
    }
  });
  const firstOf =
    (read: 'text' | 'json'): Operator['text'] =>
    (info) => {
      for (const operator of operators) {
        const value = operator[read](info);
        if (value !== null) return value;
      }
      return null;
    };
  const text = firstOf('text');
  const cutText: Operator['text'] = (info) => {
    const value = text(info);
    return value === null ? null : cut(value, max);
  };
  if (max < 0) return { text, json: firstOf('json') };
  const json = firstOf('json');
  return {
    text: cutText,
    json: (info) => {
      const value = json(info);
      // Text alone is cut.
      return value?.[0] === '"' ? `"${escapeJson(cutText(info) ?? '')}"` : value;
    },
  };
}

function coalesceEntries(argument: string): unknown[] {
  let config: unknown;
  try {
    config = JSON.parse(argument);
  } catch (error) {
    throw new ConfigError(`COALESCE: failed to parse JSON configuration: ${(error as Error).message}`);
  }
  if (typeof config !== 'object' || config === null || !('operators' in config)) {
    throw new ConfigError("COALESCE: JSON configuration must contain 'operators' array");
  }
  const { operators } = config;
  if (!Array.isArray(operators)) throw new ConfigError("COALESCE: 'operators' must be an array");
  if (operators.length === 0) throw new ConfigError("COALESCE: 'operators' array must not be empty");
  return operators;
}

function coalesceOperator(entry: unknown): Operator {
  if (typeof entry === 'string') return coalesceCommand(entry, '', -1);
  if (typeof entry !== 'object' || entry === null) {
    throw new ConfigError("operator entry must be either a string (command name) or an object with 'command' field");
  }
  const { command, param, max_length: max } = entry as { command?: unknown; param?: unknown; max_length?: unknown };
  if (typeof command !== 'string') throw new ConfigError("operator object must have 'command' field");
  if (param !== undefined && typeof param !== 'string') throw new ConfigError("'param' field must be a string");
  if (max !== undefined && !Number.isInteger(max)) throw new ConfigError("'max_length' field must be an integer");
  if (max !== undefined && (max as number) <= 0) throw new ConfigError("'max_length' must be a positive integer");
  return coalesceCommand(command, param ?? '', max === undefined ? -1 : (max as number));
}

function coalesceCommand(name: string, argument: string, max: number): Operator {
  const factory = OPERATORS.get(name);
  if (factory === undefined) throw new ConfigError(`unknown command: '${name}'${didYouMean(name, OPERATORS.keys())}`);
  return factory(argument, max, name);
}
