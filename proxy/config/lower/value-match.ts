// Lowers matchers of metadata and filter state (Envoy: type.matcher.v3.{ValueMatcher,MetadataMatcher,FilterStateMatcher}).

import { ConfigError } from '../../util/error.ts';
import type { FilterStateMatchModel, MetadataMatchModel, ValueMatchModel } from '../model/match.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { lowerCidr, lowerStringMatch } from './common.ts';

/** `type.matcher.v3.ValueMatcher`. */
export function lowerValueMatch(message: Msg, path: string): ValueMatchModel {
  const pattern = oneof(message, 'matchPattern');
  if (pattern === null) throw new ConfigError('match_pattern is required', path);
  switch (pattern.case) {
    case 'nullMatch':
      return { kind: 'null' };
    case 'boolMatch':
      return { kind: 'bool', value: pattern.value as boolean };
    case 'presentMatch':
      return { kind: 'present', present: pattern.value as boolean };
    case 'stringMatch':
      return { kind: 'string', match: lowerStringMatch(pattern.value as Msg, `${path}.string_match`) };
    case 'doubleMatch':
      return lowerDouble(pattern.value as Msg, `${path}.double_match`);
    case 'listMatch': {
      const oneOf = oneofCase(pattern.value as Msg, 'matchPattern', 'oneOf');
      if (oneOf === null) throw new ConfigError('match_pattern is required', `${path}.list_match`);
      return { kind: 'list', oneOf: lowerValueMatch(oneOf, `${path}.list_match.one_of`) };
    }
    default:
      return {
        kind: 'or',
        matches: list(pattern.value as Msg, 'valueMatchers').map((value, index) =>
          lowerValueMatch(value, `${path}.or_match.value_matchers[${index}]`),
        ),
      };
  }
}

function lowerDouble(message: Msg, path: string): ValueMatchModel {
  const double = oneof(message, 'matchPattern');
  if (double === null) throw new ConfigError('one of range and exact is required', path);
  if (double.case === 'exact') return { kind: 'exact_number', value: double.value as number };
  return { kind: 'range', start: num(double.value as Msg, 'start'), end: num(double.value as Msg, 'end') };
}

/** `type.matcher.v3.MetadataMatcher`. */
export function lowerMetadataMatch(message: Msg, path: string): MetadataMatchModel {
  const value = sub(message, 'value');
  if (value === null) throw new ConfigError('value is required', path);
  return {
    namespace: str(message, 'filter'),
    path: list(message, 'path').map((segment) => oneofCase<string>(segment, 'segment', 'key') ?? ''),
    value: lowerValueMatch(value, `${path}.value`),
    invert: bool(message, 'invert'),
  };
}

/** `type.matcher.v3.FilterStateMatcher`. */
export function lowerFilterStateMatch(message: Msg, path: string): FilterStateMatchModel {
  const key = str(message, 'key');
  const matcher = oneof(message, 'matcher');
  if (matcher === null) throw new ConfigError('matcher is required', path);
  const value = matcher.value as Msg;
  if (matcher.case === 'stringMatch') {
    return { key, match: { kind: 'string', string: lowerStringMatch(value, `${path}.string_match`) } };
  }
  const ranges = list(value, 'ranges').map((range, index) =>
    lowerCidr(range, `${path}.address_match.ranges[${index}]`),
  );
  return { key, match: { kind: 'address', ranges, invert: bool(value, 'invertMatch') } };
}
