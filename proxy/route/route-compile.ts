// One route of the model turned into what a request gets: every decision that does not need the request is taken here.

import { isEnvoyHeader } from '../codec/known-headers.ts';
import type { HeaderMutationsModel } from '../config/model/headers.ts';
import type { RouteFiltersModel } from '../config/model/http-filter.ts';
import type { RouteActionModel, RouteConfigModel, RouteModel, VirtualHostModel } from '../config/model/route.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { compileFirstRead, compileHeaderMatch, compileHeaderRead } from '../match/head.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { ClusterManager, ClusterRef } from '../upstream/upstream.ts';
import { compileDirectBody } from './direct-body.ts';
import { compileHashPolicies } from './hash-policy.ts';
import { compileMirrors } from './mirror-policy.ts';
import type { Mutate } from './mutations.ts';
import { compileMutations, sequence } from './mutations.ts';
import { compileInternalRedirect } from './redirect-policy.ts';
import { compileRetry, usualBackOffMs } from './retry.ts';
import { compileRedirect, compileRewrite } from './rewrite.ts';
import type { CompiledRoute, FiltersOf, RouteRules } from './route.ts';
import { CATCH_ALL, type RouteStats, type RouteStatsSet } from './route-stats.ts';
import { rulesKey, type SharedParts } from './shared-parts.ts';
import type { CompiledTarget, PickTarget, RouteFilters } from './target.ts';
import { WeightedTargets } from './weighted.ts';

/** Targets named by a request header that are remembered, per route. */
const HEADER_TARGETS_MAX = 1_000;

/** What surrounds a route. */
export interface RouteScope {
  readonly config: RouteConfigModel;
  readonly virtualHost: VirtualHostModel;
  readonly clusters: ClusterManager;
  readonly stats: RouteStatsSet;
  readonly runtimeKeys: RuntimeKeys;
  readonly filtersOf: FiltersOf;
  readonly shared: SharedParts;
}

/** Compiles a route of any kind. */
export function compileRoute(model: RouteModel, scope: RouteScope): CompiledRoute {
  const { virtualHost, shared } = scope;
  const { action } = model;
  const cluster = action.kind === 'route' && action.cluster.kind === 'cluster' ? action.cluster.name : null;
  const key = rulesKey(model, virtualHost);
  return {
    name: model.name,
    metadata: model.metadata,
    virtualHostMetadata: virtualHost.metadata,
    target: cluster === null ? null : shared.target(key, cluster, () => compileTarget(model, scope, cluster)),
    rules: shared.rules(key, () => compileRules(model, scope)),
  };
}

function compileRules(model: RouteModel, scope: RouteScope): RouteRules {
  const { virtualHost } = scope;
  const { action } = model;
  const forward = action.kind === 'route' ? action : null;
  return {
    kind: action.kind,
    ...compilePick(forward, model, scope),
    rewrite: forward === null ? null : compileRewrite(forward, model.match),
    autoHostRewrite: forward?.hostRewrite.kind === 'auto',
    appendXForwardedHost: forward?.appendXForwardedHost === true,
    redirect: action.kind === 'redirect' ? compileRedirect(action, model.match) : null,
    redirectModel: action.kind === 'redirect' ? action : null,
    directResponse: action.kind === 'direct_response' ? action : null,
    directBody: action.kind === 'direct_response' ? compileDirectBody(action) : null,
    directLocation: action.kind === 'direct_response' && needsLocation(action.status) ? ownLocation : null,
    timeoutMs: forward?.timeoutMs ?? 0,
    idleTimeoutMs: forward?.idleTimeoutMs ?? -1,
    maxStreamDurationMs: forward?.maxStreamDurationMs ?? -1,
    flushTimeoutMs: forward?.flushTimeoutMs ?? -1,
    grpcStreamLimits: forward?.grpcStreamLimits ?? null,
    grpcLimits: forward?.grpcLimits ?? null,
    priority: forward?.priority ?? 'default',
    includeAttemptCount: virtualHost.includeRequestAttemptCount,
    includeAttemptCountInResponse: virtualHost.includeAttemptCountInResponse,
    includeIsTimeoutRetryHeader: virtualHost.includeIsTimeoutRetryHeader,
    requestBodyBufferLimitBytes: model.requestBodyBufferLimitBytes,
    clusterNotFoundCode: forward?.clusterNotFoundCode ?? 503,
    upgrades:
      forward === null || forward.upgrades.length === 0
        ? null
        : new Map(forward.upgrades.map((upgrade) => [upgrade.type, upgrade.enabled])),
    connect: forward?.upgrades.find(({ type }) => type === 'connect')?.connect ?? null,
    filters: filtersOf([model.filters], scope),
    mutateLocalResponse: responseMutations([model.headers], scope),
    hedgeOnPerTryTimeout: forward?.hedgeOnPerTryTimeout === true,
    retryPolicy: forward?.retry == null ? null : compileRetry(forward.retry, usualBackOffMs(scope.runtimeKeys)),
    hashPolicy: forward === null ? null : compileHashPolicies(forward.hashPolicy),
    internalRedirect: forward?.internalRedirect == null ? null : compileInternalRedirect(forward.internalRedirect),
    mirrors: forward === null ? null : compileMirrors(forward.mirrors, scope.clusters, scope.runtimeKeys),
    virtualClusterOf: compileVirtualClusters(virtualHost),
    ...compileStats(model, scope),
  };
}

/** @param levels of the route and what is below it */
function filtersOf(levels: readonly RouteFiltersModel[], scope: RouteScope): RouteFilters {
  return scope.filtersOf([scope.config.filters, scope.virtualHost.filters, ...levels]);
}

/** What a request of the route is counted under, besides its cluster. */
function compileStats(
  model: RouteModel,
  { virtualHost, stats }: RouteScope,
): Pick<RouteRules, 'stats' | 'virtualClusterStats'> {
  const own = model.statPrefix === '' ? [] : [stats.route(virtualHost.name, model.statPrefix)];
  const { virtualClusters } = virtualHost;
  if (virtualClusters.length === 0) return { stats: own.length === 0 ? null : own, virtualClusterStats: null };
  const byName = new Map<string, readonly RouteStats[]>();
  for (const { name } of virtualClusters) byName.set(name, [stats.virtualCluster(virtualHost.name, name), ...own]);
  byName.set('', [stats.virtualCluster(virtualHost.name, CATCH_ALL), ...own]);
  return { stats: null, virtualClusterStats: byName };
}

function compileVirtualClusters({ virtualClusters }: VirtualHostModel): RouteRules['virtualClusterOf'] {
  if (virtualClusters.length === 0) return null;
  const list = virtualClusters.map(({ name, headers }) => ({ name, matchers: headers.map(compileHeaderMatch) }));
  return (info, headers) =>
    list.find(({ matchers }) => matchers.every((matches) => matches(info, headers)))?.name ?? '';
}

/** Envoy gives every 201 and 3xx of its own a `location`, pointing where the request went. */
function needsLocation(status: number): boolean {
  return status === 201 || (status >= 300 && status < 400);
}

/** Empty for a CONNECT, which goes to no place. */
function ownLocation(info: StreamInfo): string {
  return info.path === '' ? '' : `${info.scheme}://${info.authority}${info.path}`;
}

function compileTarget(model: RouteModel, scope: RouteScope, cluster: string): CompiledTarget {
  return makeTarget(scope.clusters.ref(cluster), partsOf(model, scope), scope);
}

/** How requests come to targets that are not all the same, and how retries come to others. */
function compilePick(
  action: RouteActionModel | null,
  model: RouteModel,
  scope: RouteScope,
): Pick<RouteRules, 'pickTarget' | 'weighted'> {
  switch (action?.cluster.kind) {
    case 'cluster_header': {
      const pickTarget = compileHeaderTarget(action.cluster.header, partsOf(model, scope), scope);
      return { pickTarget, weighted: null };
    }
    case 'weighted': {
      const weighted = compileWeighted(action.cluster, action, model, scope);
      return { pickTarget: weighted.compile(), weighted };
    }
    default:
      return { pickTarget: null, weighted: null };
  }
}

/** What a target is made of besides its cluster. */
interface TargetParts extends Pick<CompiledTarget, 'filters' | 'place'> {
  readonly hostRewriteLiteral: string;
  readonly levels: readonly HeaderMutationsModel[];
}

/** Of a target that is alone. */
function partsOf(model: RouteModel, scope: RouteScope): TargetParts {
  return { levels: [model.headers], hostRewriteLiteral: '', filters: filtersOf([model.filters], scope), place: 0 };
}

function makeTarget(cluster: ClusterRef, parts: TargetParts, scope: RouteScope): CompiledTarget {
  return {
    cluster,
    mutateRequest: requestMutations(parts.levels, scope, parts.hostRewriteLiteral),
    addsEnvoyHeaders: inOrder(parts.levels, scope).some(({ requestAdd }) =>
      requestAdd.some(({ name }) => isEnvoyHeader(name)),
    ),
    mutateResponse: responseMutations(parts.levels, scope),
    filters: parts.filters,
    place: parts.place,
  };
}

function compileHeaderTarget(header: string, parts: TargetParts, scope: RouteScope): PickTarget {
  const known = new Map<string, CompiledTarget>();
  const read = compileFirstRead(header);
  return (info, headers) => {
    const name = read(info, headers);
    if (name === null || name === '') return null;
    let target = known.get(name);
    if (target === undefined) {
      target = makeTarget(scope.clusters.find(name), parts, scope);
      if (target.cluster.current !== null && known.size < HEADER_TARGETS_MAX) known.set(name, target);
    }
    return target;
  };
}

type WeightedModel = Extract<RouteActionModel['cluster'], { kind: 'weighted' }>;

function compileWeighted(
  weighted: WeightedModel,
  action: RouteActionModel,
  model: RouteModel,
  scope: RouteScope,
): WeightedTargets {
  const { headerName } = weighted;
  const picks = weighted.clusters.map((cluster, place) => {
    const levels = [cluster.headers, model.headers];
    const filters = filtersOf([model.filters, cluster.filters], scope);
    const parts = { levels, hostRewriteLiteral: cluster.hostRewriteLiteral, filters, place };
    const target =
      cluster.clusterHeader !== ''
        ? compileHeaderTarget(cluster.clusterHeader, parts, scope)
        : constant(makeTarget(scope.clusters.ref(cluster.name), parts, scope));
    return { weight: cluster.weight, target };
  });
  if (weighted.useHashPolicy)
    return new WeightedTargets(picks, { kind: 'hash', policy: compileHashPolicies(action.hashPolicy) });
  if (headerName === '') return new WeightedTargets(picks, { kind: 'random' });
  return new WeightedTargets(picks, { kind: 'header', read: compileHeaderRead(headerName) });
}

function constant(target: CompiledTarget): PickTarget {
  return () => target;
}

function rename(host: string): Mutate {
  return (_headers, info) => {
    info.authority = host;
  };
}

/** @param host what a weighted cluster says of it, which those behind it see; empty = nothing */
function requestMutations(levels: readonly HeaderMutationsModel[], scope: RouteScope, host: string): Mutate | null {
  const steps = inOrder(levels, scope).map((level) =>
    compileMutations(level.requestAdd, level.requestRemove, 'request'),
  );
  if (host !== '') steps.splice(levels.length - 1, 0, rename(host));
  return sequence(steps);
}

function responseMutations(levels: readonly HeaderMutationsModel[], scope: RouteScope): Mutate | null {
  return sequence(inOrder(levels, scope).map((level) => compileMutations(level.responseAdd, level.responseRemove)));
}

/**
 * The last one wins: the whole configuration's, or the route's where the most specific one shall. What a weighted cluster
 * says comes first in any case (seen on Envoy 1.40).
 * @param levels the route's, perhaps behind that of its weighted cluster
 */
function inOrder(levels: readonly HeaderMutationsModel[], scope: RouteScope): readonly HeaderMutationsModel[] {
  const around = [levels[levels.length - 1] as HeaderMutationsModel, scope.virtualHost.headers, scope.config.headers];
  if (scope.config.mostSpecificHeaderMutationsWins) around.reverse();
  return [...levels.slice(0, -1), ...around];
}
