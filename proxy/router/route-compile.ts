// One route of the model turned into what a request gets: every decision that does not need the request is taken here.

import type { HeaderMap } from '../codec/headers.ts';
import type {
  HeaderMatchModel,
  HeaderMutationsModel,
  RouteActionModel,
  RouteConfigModel,
  RouteModel,
  VirtualHostModel,
} from '../config/model-http.ts';
import type { RouteFiltersModel } from '../config/model-http-filter.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { ClusterManager, ClusterRef } from '../upstream/upstream.ts';
import { U64 } from '../util/hash64.ts';
import { compileDirectBody } from './direct-body.ts';
import { compileHashPolicies, type HashPolicy } from './hash-policy.ts';
import { compileInternalRedirect } from './internal-redirect.ts';
import { compileFirstRead, compileHeaderMatch, compileHeaderRead } from './match.ts';
import { compileMutations, sequence } from './mutations.ts';
import { compileRetry, usualBackOffMs } from './retry.ts';
import { compileRedirect, compileRewrite } from './rewrite.ts';
import type {
  CompiledRoute,
  CompiledTarget,
  FiltersOf,
  Mutate,
  PickTarget,
  RouteFilters,
  RouteRules,
} from './route.ts';
import { CATCH_ALL, type RouteStats, type RouteStatsSet } from './route-stats.ts';
import type { RuntimeValue } from './runtime-fraction.ts';
import { compileMirrors } from './shadow.ts';
import { rulesKey, type SharedParts } from './shared-parts.ts';

/** Targets named by a request header that are remembered, per route. */
const HEADER_TARGETS_MAX = 1_000;

/** What surrounds a route. */
export interface RouteScope {
  readonly config: RouteConfigModel;
  readonly virtualHost: VirtualHostModel;
  readonly clusters: ClusterManager;
  readonly stats: RouteStatsSet;
  readonly runtimeValue: RuntimeValue;
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
    pickTarget: forward === null ? null : compilePick(forward, model, scope),
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
    retryPolicy:
      forward?.retry == null ? null : compileRetry(forward.retry, usualBackOffMs(scope.runtimeValue), compileAnyOf),
    hashPolicy: forward === null ? null : compileHashPolicies(forward.hashPolicy),
    internalRedirect: forward?.internalRedirect == null ? null : compileInternalRedirect(forward.internalRedirect),
    mirrors: forward === null ? null : compileMirrors(forward.mirrors, scope.clusters, scope.runtimeValue),
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

function ownLocation(info: StreamInfo): string {
  return `${info.scheme}://${info.authority}${info.path}`;
}

/** Retry conditions look at plain headers only, never at pseudo-headers, so they need no record. */
/** Some matcher of the list holds. */
export function compileAnyOf(models: readonly HeaderMatchModel[]): (headers: HeaderMap) => boolean {
  const list = models.map(compileHeaderMatch);
  return (headers) => list.some((holds) => holds(NO_INFO, headers));
}

const NO_INFO = Object.freeze({ method: '', path: '', authority: '', scheme: '', status: 0 }) as unknown as StreamInfo;

function compileTarget(model: RouteModel, scope: RouteScope, cluster: string): CompiledTarget {
  return makeTarget(scope.clusters.ref(cluster), [model.headers], '', scope, filtersOf([model.filters], scope));
}

function compilePick(action: RouteActionModel, model: RouteModel, scope: RouteScope): PickTarget | null {
  const { cluster } = action;
  switch (cluster.kind) {
    case 'cluster':
      return null;
    case 'cluster_header':
      return compileHeaderTarget(cluster.header, [model.headers], '', scope, filtersOf([model.filters], scope));
    case 'weighted':
      return compileWeighted(cluster, action, model, scope);
  }
}

function makeTarget(
  cluster: ClusterRef,
  levels: readonly HeaderMutationsModel[],
  hostRewriteLiteral: string,
  scope: RouteScope,
  filters: RouteFilters,
): CompiledTarget {
  return {
    cluster,
    mutateRequest: requestMutations(levels, scope, hostRewriteLiteral),
    mutateResponse: responseMutations(levels, scope),
    filters,
  };
}

function compileHeaderTarget(
  header: string,
  levels: readonly HeaderMutationsModel[],
  hostRewriteLiteral: string,
  scope: RouteScope,
  filters: RouteFilters,
): PickTarget {
  const known = new Map<string, CompiledTarget>();
  const read = compileFirstRead(header);
  return (info, headers) => {
    const name = read(info, headers);
    if (name === null || name === '') return null;
    let target = known.get(name);
    if (target === undefined) {
      target = makeTarget(scope.clusters.find(name), levels, hostRewriteLiteral, scope, filters);
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
): PickTarget {
  const { headerName, runtimeKeyPrefix } = weighted;
  const picks = weighted.clusters.map((cluster) => {
    const levels = [cluster.headers, model.headers];
    const filters = filtersOf([model.filters, cluster.filters], scope);
    const target =
      cluster.clusterHeader !== ''
        ? compileHeaderTarget(cluster.clusterHeader, levels, cluster.hostRewriteLiteral, scope, filters)
        : constant(makeTarget(scope.clusters.ref(cluster.name), levels, cluster.hostRewriteLiteral, scope, filters));
    const given = runtimeKeyPrefix === '' ? null : scope.runtimeValue(`${runtimeKeyPrefix}.${cluster.name}`);
    return { weight: typeof given === 'number' ? given : cluster.weight, target };
  });
  const totalWeight = picks.reduce((sum, pick) => sum + pick.weight, 0);
  const choose = (value: number): PickTarget => {
    let left = value;
    for (const pick of picks) {
      if (left < pick.weight) return pick.target;
      left -= pick.weight;
    }
    return (picks[picks.length - 1] as (typeof picks)[number]).target;
  };
  if (weighted.useHashPolicy) return chooseByHash(compileHashPolicies(action.hashPolicy), totalWeight, choose);
  const read = headerName === '' ? null : compileHeaderRead(headerName);
  return (info, headers, random) => {
    if (totalWeight === 0) return choose(0)(info, headers, random);
    const given = read === null ? null : read(info, headers);
    const value = given === null ? -1 : remainderOf(given, totalWeight);
    return choose(value < 0 ? random % totalWeight : value)(info, headers, random);
  };
}

/** What a decimal number of 64 bits leaves when it is divided; −1 = it is none. */
function remainderOf(text: string, divisor: number): number {
  if (!DECIMAL.test(text)) return -1;
  if (text.length <= SAFE_DIGITS) return Number(text) % divisor;
  const value = BigInt(text.replace('+', ''));
  return value > U64_MAX ? -1 : Number(value % BigInt(divisor));
}

const DECIMAL = /^\+?[0-9]{1,32}$/;
const SAFE_DIGITS = 15;
const U64_MAX = 2n ** 64n - 1n;

/** The same request comes to the same cluster; without a hash, any will do. */
function chooseByHash(
  policy: HashPolicy | null,
  totalWeight: number,
  choose: (value: number) => PickTarget,
): PickTarget {
  const hash = new U64();
  return (info, headers, random) => {
    const hashed = policy?.(info, headers, null, hash) === true;
    return choose(hashed ? hash.modulo(totalWeight) : random % totalWeight)(info, headers, random);
  };
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
