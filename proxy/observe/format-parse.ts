// The grammar of substitution format strings: literals and `%COMMAND(argument):length%`, `%%` for a percent sign.

import { didYouMean } from '../config/nearest.ts';
import { ConfigError } from '../util/error.ts';
import { HEADER_OPERATORS } from './format-headers.ts';
import { METADATA_OPERATORS } from './format-metadata.ts';
import type { Operator, OperatorFactory } from './format-operator.ts';
import { STREAM_OPERATORS } from './format-stream.ts';
import { TLS_OPERATORS } from './format-tls.ts';

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
]);

/** Every command operator there is, for documentation and tests. */
export function operatorNames(): readonly string[] {
  return [...OPERATORS.keys()];
}

const COMMAND = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::([0-9]+))?%/suy;

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
