// Lowers the policy of redirects that the proxy follows itself, and the two older fields that it replaces
// (Envoy: config.route.v3.InternalRedirectPolicy).

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { InternalRedirectModel, RedirectPredicateModel } from '../model/redirect.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, numbers, str, strings, sub } from '../schema/message.ts';
import { asciiLower, wireString } from './common.ts';
import { requireHeaderName } from './header-mutations.ts';

const PREDICATES = 'envoy.extensions.internal_redirect.';
/** `RouteAction.InternalRedirectAction.HANDLE_INTERNAL_REDIRECT`. */
const HANDLE = 1;
const REDIRECT_CODES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const DEFAULT_CODES: readonly number[] = [302];

/** @returns `null` = redirects are passed on */
export function lowerInternalRedirect(action: Msg, path: string): InternalRedirectModel | null {
  const policy = sub(action, 'internalRedirectPolicy');
  if (policy !== null) return lowerPolicy(policy, `${path}.internal_redirect_policy`);
  if (num(action, 'internalRedirectAction') !== HANDLE) return null;
  return {
    maxRedirects: num(action, 'maxInternalRedirects', 1),
    codes: DEFAULT_CODES,
    allowCrossScheme: false,
    predicates: [],
    headersToCopy: [],
  };
}

function lowerPolicy(message: Msg, path: string): InternalRedirectModel {
  const codes = numbers(message, 'redirectResponseCodes');
  return {
    maxRedirects: num(message, 'maxInternalRedirects', 1),
    // What is no redirect is never followed, listed or not.
    codes: codes.length === 0 ? DEFAULT_CODES : codes.filter((code) => REDIRECT_CODES.has(code)),
    allowCrossScheme: bool(message, 'allowCrossSchemeRedirect'),
    predicates: list(message, 'predicates').map((predicate, i) =>
      lowerPredicate(predicate, `${path}.predicates[${i}]`),
    ),
    headersToCopy: strings(message, 'responseHeadersToCopy').map((name, i) =>
      lowerHeaderToCopy(name, `${path}.response_headers_to_copy[${i}]`),
    ),
  };
}

function lowerHeaderToCopy(name: string, path: string): string {
  const lower = asciiLower(wireString(name));
  if (lower.startsWith(':') || lower === 'host')
    throw new ConfigError(':-prefixed headers or Hosts may not be specified here.', path);
  requireHeaderName(lower, path);
  return lower;
}

function lowerPredicate(extension: Msg, path: string): RedirectPredicateModel {
  const config = sub(extension, 'typedConfig');
  if (config === null) throw new ConfigError('typed_config is required', path);
  const { message } = unpackAny(config, `${path}.typed_config`);
  switch (message.$typeName) {
    case `${PREDICATES}previous_routes.v3.PreviousRoutesConfig`:
      return { kind: 'previous_routes' };
    case `${PREDICATES}safe_cross_scheme.v3.SafeCrossSchemeConfig`:
      return { kind: 'safe_cross_scheme' };
    case `${PREDICATES}allow_listed_routes.v3.AllowListedRoutesConfig`:
      return { kind: 'allow_listed_routes', names: strings(message, 'allowedRouteNames') };
    default:
      throw missingImplementation(str(extension, 'name'), message.$typeName, `${path}.typed_config`);
  }
}
