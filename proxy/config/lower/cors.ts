// Lowers CORS policies (Envoy: extensions.filters.http.cors.v3.CorsPolicy and the older config.route.v3.CorsPolicy,
// which has the same fields).

import type { FractionModel } from '../model/common.ts';
import { type CorsPolicyModel, LEGACY_CORS, type RouteFiltersModel } from '../model/http-filter.ts';
import { bool, has, list, type Msg, oneofCase, str, sub } from '../schema/message.ts';
import { lowerRuntimeFraction, lowerStringMatch, wireString } from './common.ts';

export const EMPTY_CORS_POLICY: CorsPolicyModel = {
  kind: 'cors',
  allowOrigin: [],
  allowMethods: '',
  allowHeaders: '',
  exposeHeaders: '',
  maxAge: '',
  allowCredentials: null,
  allowPrivateNetworkAccess: null,
  forwardNotMatchingPreflights: null,
  filterEnabled: null,
  shadowEnabled: null,
};

/** A policy of either type. */
export function lowerCorsPolicy(message: Msg, path: string): CorsPolicyModel {
  const said = (field: string): boolean | null => (has(message, field) ? bool(message, field) : null);
  const enabled =
    message.$typeName === LEGACY_CORS
      ? oneofCase<Msg>(message, 'enabledSpecifier', 'filterEnabled')
      : sub(message, 'filterEnabled');
  return {
    kind: 'cors',
    allowOrigin: list(message, 'allowOriginStringMatch').map((origin, index) =>
      lowerStringMatch(origin, `${path}.allow_origin_string_match[${index}]`),
    ),
    allowMethods: wireString(str(message, 'allowMethods')),
    allowHeaders: wireString(str(message, 'allowHeaders')),
    exposeHeaders: wireString(str(message, 'exposeHeaders')),
    maxAge: wireString(str(message, 'maxAge')),
    allowCredentials: said('allowCredentials'),
    allowPrivateNetworkAccess: said('allowPrivateNetworkAccess'),
    forwardNotMatchingPreflights: said('forwardNotMatchingPreflights'),
    filterEnabled: fraction(enabled),
    shadowEnabled: fraction(sub(message, 'shadowEnabled')),
  };
}

function fraction(message: Msg | null): FractionModel | null {
  return message === null ? null : lowerRuntimeFraction(message);
}

/** Adds the deprecated `cors` of a virtual host or an action to what its level says to filters. */
export function withLegacyCors(filters: RouteFiltersModel, owner: Msg, path: string): RouteFiltersModel {
  const cors = sub(owner, 'cors');
  if (cors === null) return filters;
  return { ...filters, [LEGACY_CORS]: { disabled: false, config: lowerCorsPolicy(cors, `${path}.cors`) } };
}
