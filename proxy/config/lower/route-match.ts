// Lowers `config.route.v3.RouteMatch`.

import { ConfigError } from '../../util/error.ts';
import type { RouteMatchModel } from '../model/route.ts';
import { bool, has, list, type Msg, oneof, sub } from '../schema/message.ts';
import { lowerRegex, lowerRuntimeFraction, wireString } from './common.ts';
import { lowerCookieMatch, lowerHeaderMatch, lowerQueryMatch } from './header-match.ts';
import { lowerPathMatchPolicy } from './path-policy.ts';
import { lowerFilterStateMatch, lowerMetadataMatch } from './value-match.ts';

export function lowerRouteMatch(message: Msg, path: string): RouteMatchModel {
  const fraction = sub(message, 'runtimeFraction');
  const tls = sub(message, 'tlsContext');
  return {
    path: lowerPath(message, path),
    caseSensitive: bool(message, 'caseSensitive', true),
    headers: list(message, 'headers').map((header, index) => lowerHeaderMatch(header, `${path}.headers[${index}]`)),
    queryParameters: list(message, 'queryParameters').map((query, index) =>
      lowerQueryMatch(query, `${path}.query_parameters[${index}]`),
    ),
    cookies: list(message, 'cookies').map((cookie, index) => lowerCookieMatch(cookie, `${path}.cookies[${index}]`)),
    grpcOnly: has(message, 'grpc'),
    runtimeFraction: fraction === null ? null : lowerRuntimeFraction(fraction),
    tlsContext:
      tls === null ? null : { presented: optionalBool(tls, 'presented'), validated: optionalBool(tls, 'validated') },
    dynamicMetadata: list(message, 'dynamicMetadata').map((metadata, index) =>
      lowerMetadataMatch(metadata, `${path}.dynamic_metadata[${index}]`),
    ),
    filterState: list(message, 'filterState').map((state, index) =>
      lowerFilterStateMatch(state, `${path}.filter_state[${index}]`),
    ),
  };
}

function optionalBool(message: Msg, field: string): boolean | null {
  return has(message, field) ? bool(message, field) : null;
}

function lowerPath(message: Msg, path: string): RouteMatchModel['path'] {
  const specifier = oneof(message, 'pathSpecifier');
  if (specifier === null) throw new ConfigError('path_specifier is required', path);
  switch (specifier.case) {
    case 'prefix':
      return { kind: 'prefix', value: wireString(specifier.value as string) };
    case 'path':
      return { kind: 'exact', value: wireString(specifier.value as string) };
    case 'pathSeparatedPrefix':
      return { kind: 'path_separated_prefix', value: wireString(specifier.value as string) };
    case 'safeRegex':
      return { kind: 'regex', value: lowerRegex(specifier.value as Msg, `${path}.safe_regex`) };
    case 'connectMatcher':
      return { kind: 'connect' };
    default:
      return lowerPathMatchPolicy(specifier.value as Msg, `${path}.path_match_policy`);
  }
}
