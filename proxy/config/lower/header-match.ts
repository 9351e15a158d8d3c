// Lowers header, query parameter and cookie matchers (Envoy: config.route.v3.{HeaderMatcher,QueryParameterMatcher,CookieMatcher}).

import type { StringMatchModel } from '../model/common.ts';
import type { HeaderMatchModel } from '../model/headers.ts';
import type { QueryMatchModel, RouteMatchModel } from '../model/route.ts';
import { bool, type Msg, num, oneof, str, sub } from '../schema/message.ts';
import { asciiLower, lowerRegex, lowerStringMatch, wireString } from './common.ts';

const PRESENT = { kind: 'present', present: true } as const;

/** `config.route.v3.HeaderMatcher`, older spellings included. Without a specifier the header must be present. */
export function lowerHeaderMatch(message: Msg, path: string): HeaderMatchModel {
  return {
    name: asciiLower(wireString(str(message, 'name'))),
    match: lowerHeaderSpecifier(message, path),
    invert: bool(message, 'invertMatch'),
    treatMissingAsEmpty: bool(message, 'treatMissingHeaderAsEmpty'),
  };
}

function lowerHeaderSpecifier(message: Msg, path: string): HeaderMatchModel['match'] {
  const specifier = oneof(message, 'headerMatchSpecifier');
  if (specifier === null) return PRESENT;
  switch (specifier.case) {
    case 'exactMatch':
      return string('exact', specifier.value);
    case 'prefixMatch':
      return string('prefix', specifier.value);
    case 'suffixMatch':
      return string('suffix', specifier.value);
    case 'containsMatch':
      return string('contains', specifier.value);
    case 'safeRegexMatch': {
      const value = lowerRegex(specifier.value as Msg, `${path}.safe_regex_match`);
      return { kind: 'string', string: { kind: 'regex', value, ignoreCase: false } };
    }
    case 'rangeMatch':
      return {
        kind: 'range',
        start: num(specifier.value as Msg, 'start'),
        end: num(specifier.value as Msg, 'end'),
      };
    case 'presentMatch':
      return { kind: 'present', present: specifier.value as boolean };
    default:
      return { kind: 'string', string: lowerStringMatch(specifier.value as Msg, `${path}.string_match`) };
  }
}

function string(kind: StringMatchModel['kind'], value: unknown): HeaderMatchModel['match'] {
  // As in Envoy nothing in particular is everything: an empty `exact_match` takes any value.
  const any = kind === 'exact' && value === '';
  return {
    kind: 'string',
    string: { kind: any ? 'prefix' : kind, value: wireString(value as string), ignoreCase: false },
  };
}

/** `config.route.v3.QueryParameterMatcher`. Without a specifier the parameter must be present. */
export function lowerQueryMatch(message: Msg, path: string): QueryMatchModel {
  const name = wireString(str(message, 'name'));
  const specifier = oneof(message, 'queryParameterMatchSpecifier');
  if (specifier === null) return { name, match: PRESENT };
  if (specifier.case === 'presentMatch') {
    return { name, match: { kind: 'present', present: specifier.value as boolean } };
  }
  return {
    name,
    match: { kind: 'string', string: lowerStringMatch(specifier.value as Msg, `${path}.string_match`) },
  };
}

/** `config.route.v3.CookieMatcher`. */
export function lowerCookieMatch(message: Msg, path: string): RouteMatchModel['cookies'][number] {
  const match = sub(message, 'stringMatch');
  return {
    name: wireString(str(message, 'name')),
    match:
      match === null
        ? { kind: 'prefix', value: '', ignoreCase: false }
        : lowerStringMatch(match, `${path}.string_match`),
    invert: bool(message, 'invertMatch'),
  };
}
