// Lowers route configurations and virtual hosts (Envoy: config.route.v3.{RouteConfiguration,VirtualHost,Route}).

import { ConfigError } from '../../util/error.ts';
import type { RouteConfigModel, RouteMatchModel, RouteModel, VirtualHostModel } from '../model/route.ts';
import { bool, has, list, type Msg, num, oneof, oneofCase, str, strings, sub } from '../schema/message.ts';
import { asciiLower, type LowerContext, lowerMetadata, wireString } from './common.ts';
import { withLegacyCors } from './cors.ts';
import { lowerHeaderMatch } from './header-match.ts';
import { lowerHeaderMutations } from './header-mutations.ts';
import { lowerMirrors } from './mirror.ts';
import { lowerHedge, lowerRetryPolicy } from './retry.ts';
import { type BufferLimit, lowerRouteAction, type RouteScope } from './route-action.ts';
import { lowerRouteFilters } from './route-filters.ts';
import { lowerRouteMatch } from './route-match.ts';
import { lowerRouteMatcher } from './route-matcher.ts';
import { lowerDirectResponse, lowerRedirect } from './route-reply.ts';

const TLS_REQUIREMENTS = ['none', 'external_only', 'all'] as const;

/** Envoy's limit on the body of a direct response, bytes. */
const DIRECT_RESPONSE_BODY_BYTES_DEFAULT = 4096;

/** `config.route.v3.RouteConfiguration`. Clusters are checked when the context knows them, unless it says otherwise. */
export function lowerRouteConfig(message: Msg, ctx: LowerContext, path: string): RouteConfigModel {
  const name = str(message, 'name');
  const maxDirectResponseBodySizeBytes = num(
    message,
    'maxDirectResponseBodySizeBytes',
    DIRECT_RESPONSE_BODY_BYTES_DEFAULT,
  );
  const clusterNames = bool(message, 'validateClusters', true) ? ctx.clusterNames : null;
  const scope: RouteScope = {
    ctx,
    retry: null,
    mirrors: lowerMirrors(message, clusterNames, [], path),
    hedgeOnPerTryTimeout: false,
    bufferLimit: { body: null, older: null },
    directResponseBytesMax: maxDirectResponseBodySizeBytes,
    clusterNames,
  };
  const virtualHosts: VirtualHostModel[] = [];
  for (const [index, host] of list(message, 'virtualHosts').entries()) {
    const model = ctx.attempt(() => lowerVirtualHost(host, scope, `${path}.virtual_hosts[${index}]`));
    if (model !== null) virtualHosts.push(model);
  }
  checkDomains(virtualHosts, name, path);
  return {
    name,
    virtualHosts,
    headers: lowerHeaderMutations(message, path),
    internalOnlyHeaders: strings(message, 'internalOnlyHeaders').map((header) => asciiLower(wireString(header))),
    mostSpecificHeaderMutationsWins: bool(message, 'mostSpecificHeaderMutationsWins'),
    ignorePortInHostMatching: bool(message, 'ignorePortInHostMatching'),
    vhostHeader: asciiLower(wireString(str(message, 'vhostHeader'))),
    ignorePathParametersInPathMatching: bool(message, 'ignorePathParametersInPathMatching'),
    maxDirectResponseBodySizeBytes,
    metadata: lowerMetadata(sub(message, 'metadata')),
    filters: lowerRouteFilters(message, ctx, path),
  };
}

function checkDomains(hosts: readonly VirtualHostModel[], routeName: string, path: string): void {
  const seen = new Set<string>();
  for (const [index, host] of hosts.entries()) {
    for (const [at, domain] of host.domains.entries()) {
      if (!seen.has(domain)) {
        seen.add(domain);
        continue;
      }
      const where = `${path}.virtual_hosts[${index}].domains[${at}]`;
      throw new ConfigError(
        domain === '*'
          ? `Only a single wildcard domain is permitted in route ${routeName}`
          : `Only unique values for domains are permitted. Duplicate entry of domain ${domain} in route ${routeName}`,
        where,
      );
    }
  }
}

/** `config.route.v3.VirtualHost`. */
export function lowerVirtualHost(message: Msg, outer: RouteScope, path: string): VirtualHostModel {
  const retry = sub(message, 'retryPolicy');
  const hedge = sub(message, 'hedgePolicy');
  const scope: RouteScope = {
    ...outer,
    retry: retry === null ? null : lowerRetryPolicy(retry, `${path}.retry_policy`),
    mirrors: lowerMirrors(message, outer.clusterNames, outer.mirrors, path),
    hedgeOnPerTryTimeout: hedge !== null && lowerHedge(hedge),
    bufferLimit: lowerBufferLimit(message, outer.bufferLimit),
  };
  const routes: RouteModel[] = [];
  for (const [index, route] of list(message, 'routes').entries()) {
    const model = outer.ctx.attempt(() => lowerRoute(route, scope, `${path}.routes[${index}]`));
    if (model !== null) routes.push(model);
  }
  const matcher = sub(message, 'matcher');
  if (matcher !== null && list(message, 'routes').length > 0) {
    throw new ConfigError('cannot set both matcher and routes on virtual host', path);
  }
  // As in Envoy the clusters of these routes are not looked for.
  const unchecked: RouteScope = { ...scope, clusterNames: null };
  return {
    name: str(message, 'name'),
    domains: strings(message, 'domains').map((domain) => asciiLower(wireString(domain))),
    requireTls: TLS_REQUIREMENTS[num(message, 'requireTls')] ?? 'none',
    routes,
    matcher:
      matcher === null
        ? null
        : lowerRouteMatcher(matcher, (route, at) => lowerRoute(route, unchecked, at), `${path}.matcher`),
    virtualClusters: list(message, 'virtualClusters').map((cluster, index) =>
      lowerVirtualCluster(cluster, `${path}.virtual_clusters[${index}]`),
    ),
    headers: lowerHeaderMutations(message, path),
    includeRequestAttemptCount: bool(message, 'includeRequestAttemptCount'),
    includeAttemptCountInResponse: bool(message, 'includeAttemptCountInResponse'),
    includeIsTimeoutRetryHeader: bool(message, 'includeIsTimeoutRetryHeader'),
    metadata: lowerMetadata(sub(message, 'metadata')),
    filters: withLegacyCors(lowerRouteFilters(message, outer.ctx, path), message, path),
  };
}

/** Each field is inherited by itself: that of a virtual host wins over the older one of its route. */
function lowerBufferLimit(message: Msg, inherited: BufferLimit): BufferLimit {
  return {
    body: has(message, 'requestBodyBufferLimit') ? num(message, 'requestBodyBufferLimit') : inherited.body,
    older: has(message, 'perRequestBufferLimitBytes') ? num(message, 'perRequestBufferLimitBytes') : inherited.older,
  };
}

function lowerVirtualCluster(message: Msg, path: string): VirtualHostModel['virtualClusters'][number] {
  const headers = list(message, 'headers');
  if (headers.length === 0) throw new ConfigError("virtual clusters must define 'headers'", path);
  return {
    name: str(message, 'name'),
    headers: headers.map((header, index) => lowerHeaderMatch(header, `${path}.headers[${index}]`)),
  };
}

/** `config.route.v3.Route`. */
export function lowerRoute(message: Msg, scope: RouteScope, path: string): RouteModel {
  const match = sub(message, 'match');
  if (match === null) throw new ConfigError('match is required', path);
  const decorator = sub(message, 'decorator');
  const matchModel = lowerRouteMatch(match, `${path}.match`);
  const filters = lowerRouteFilters(message, scope.ctx, path);
  const action = oneofCase<Msg>(message, 'action', 'route');
  const limit = lowerBufferLimit(message, scope.bufferLimit);
  return {
    name: str(message, 'name'),
    match: matchModel,
    action: lowerAction(message, matchModel.path, scope, path),
    headers: lowerHeaderMutations(message, path),
    decoratorOperation: decorator === null ? '' : wireString(str(decorator, 'operation')),
    decoratorPropagate: decorator === null || bool(decorator, 'propagate', true),
    metadata: lowerMetadata(sub(message, 'metadata')),
    requestBodyBufferLimitBytes: limit.body ?? limit.older,
    statPrefix: str(message, 'statPrefix'),
    filters: action === null ? filters : withLegacyCors(filters, action, `${path}.route`),
  };
}

function lowerAction(
  message: Msg,
  match: RouteMatchModel['path'],
  scope: RouteScope,
  path: string,
): RouteModel['action'] {
  const action = oneof(message, 'action');
  if (action === null) throw new ConfigError('one action is required', path);
  const value = action.value as Msg;
  switch (action.case) {
    case 'route':
      return lowerRouteAction(value, match, scope, `${path}.route`);
    case 'redirect':
      return lowerRedirect(value, match, `${path}.redirect`);
    case 'directResponse':
      return lowerDirectResponse(value, scope.ctx, scope.directResponseBytesMax, `${path}.direct_response`);
    case 'nonForwardingAction':
      return { kind: 'non_forwarding' };
    default:
      throw new ConfigError('filter actions are not supported; use route, redirect or direct_response', path);
  }
}
