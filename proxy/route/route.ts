// SEAM: what route matching gives the router. Everything is decided at compile time; a request gets one of these objects.
//
// A route is in two parts: what is its own, and its rules, which thousands of routes have in common. With one object a
// route for everything, a request of a large mesh waits for memory more than for anything else that routing does.

import type { HeaderMap } from '../codec/headers.ts';
import type { JsonObject, MetadataModel } from '../config/model/common.ts';
import type { RouteFiltersModel } from '../config/model/http-filter.ts';
import type {
  ConnectModel,
  DirectResponseModel,
  GrpcLimitsModel,
  RedirectModel,
  RouteModel,
} from '../config/model/route.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { DirectBody } from './direct-body.ts';
import type { HashPolicy } from './hash-policy.ts';
import type { MirrorPolicy } from './mirror-policy.ts';
import type { Mutate } from './mutations.ts';
import type { InternalRedirect } from './redirect-policy.ts';
import type { RetryPolicy } from './retry.ts';
import type { RouteStats } from './route-stats.ts';
import type { CompiledTarget, PickTarget, RouteFilters } from './target.ts';
import type { WeightedTargets } from './weighted.ts';

/** Makes the filters of a route. @param levels of configuration, virtual host, route and weighted cluster, in that order */
export type FiltersOf = (levels: readonly RouteFiltersModel[]) => RouteFilters;

/** A route compiled for one worker: what is its own. One shape for all kinds. */
export interface CompiledRoute {
  readonly name: string;
  readonly metadata: MetadataModel;
  readonly virtualHostMetadata: MetadataModel;
  /** The target of each of its requests; `null` = there is none, or `rules.pickTarget` tells. */
  readonly target: CompiledTarget | null;
  readonly rules: RouteRules;
}

/** What a route does with its requests. One shape for all kinds; routes that do the same share it. */
export interface RouteRules {
  readonly kind: RouteModel['action']['kind'];
  /**
   * Picks the target; `null` when the cluster header is absent. `random`: 32 bits of the request, for weights.
   * `null` = all requests of a route go to the same one, or none does.
   */
  readonly pickTarget: PickTarget | null;
  /** Where retries may go instead; `null` = the route has one cluster. */
  readonly weighted: WeightedTargets | null;
  /** Rewrites `info.path` (setting `x-envoy-original-path`) and `info.authority` before the request goes up; `null` = nothing to do. `hostname` is the picked host's, for `auto`. */
  readonly rewrite: ((info: StreamInfo, headers: HeaderMap, keepOriginals: boolean) => void) | null;
  readonly autoHostRewrite: boolean;
  /** The host that `auto` replaces is kept in `x-forwarded-host`. */
  readonly appendXForwardedHost: boolean;
  readonly redirect: CompiledRedirect | null;
  readonly redirectModel: RedirectModel | null;
  readonly directResponse: DirectResponseModel | null;
  /** Renders the body of a direct response; `null` = it is as configured. */
  readonly directBody: DirectBody | null;
  /** `location` of a direct response with 201 or 3xx; `null` for other statuses. */
  readonly directLocation: ((info: StreamInfo) => string) | null;
  readonly timeoutMs: number;
  /** −1 = the manager's. */
  readonly idleTimeoutMs: number;
  readonly maxStreamDurationMs: number;
  /** −1 = the manager's. */
  readonly flushTimeoutMs: number;
  /** `grpc_timeout_header_max`; `null` = the stream's life does not follow the `grpc-timeout` header. */
  readonly grpcStreamLimits: GrpcLimitsModel | null;
  /** `max_grpc_timeout`; `null` = the time-out does not follow the `grpc-timeout` header. */
  readonly grpcLimits: GrpcLimitsModel | null;
  readonly priority: 'default' | 'high';
  readonly includeAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetryHeader: boolean;
  /** `null` = the connection's limit. */
  readonly requestBodyBufferLimitBytes: number | null;
  readonly clusterNotFoundCode: number;
  /** Upgrade overrides of the route: lower-case type → enabled. */
  readonly upgrades: ReadonlyMap<string, boolean> | null;
  /** CONNECT requests end here; `null` = they are passed on. */
  readonly connect: ConnectModel | null;
  /** Response mutations for answers without a target (direct responses, redirects): route, virtual host, configuration. */
  readonly mutateLocalResponse: Mutate | null;
  /** Of requests that go nowhere; a target has its own. */
  readonly filters: RouteFilters;
  /** `retry` compiled; `null` = none. */
  readonly retryPolicy: RetryPolicy | null;
  /** `null` = none. */
  readonly hashPolicy: HashPolicy | null;
  /** Redirects of upstreams that are followed; `null` = none is. */
  readonly internalRedirect: InternalRedirect | null;
  /** Where copies of its requests go; `null` = nowhere. */
  readonly mirrors: readonly MirrorPolicy[] | null;
  /** As in `RouteActionModel`. */
  readonly hedgeOnPerTryTimeout: boolean;
  /** Name of the virtual cluster of a request, empty = none matches; `null` = the virtual host has none. */
  readonly virtualClusterOf: ((info: StreamInfo, headers: HeaderMap) => string) | null;
  /** By virtual cluster name; `null` = the virtual host has none. */
  readonly virtualClusterStats: ReadonlyMap<string, readonly RouteStats[]> | null;
  /** Of the route alone (`stat_prefix`); `null` = none. */
  readonly stats: readonly RouteStats[] | null;
}

/** An answer that sends a request elsewhere. */
export interface CompiledRedirect {
  readonly status: number;
  /** Done to the request first, as `RouteRules.rewrite` is; `null` = nothing. */
  readonly rewrite: RouteRules['rewrite'];
  /** Made with the answer, whose details are known by then. */
  readonly location: (info: StreamInfo) => string;
}

export type RouteResult =
  | CompiledRoute
  /** No virtual host or no route. */
  | null;

/** A compiled route configuration. */
export interface RouteTable {
  readonly name: string;
  /**
   * First matching route of the best virtual host.
   * @param info `authority`, `path`, `method`, `scheme` set
   * @param random 32-bit unsigned value for runtime fractions and weights of this request
   */
  match(info: StreamInfo, headers: HeaderMap, random: number): RouteResult;
  /** Of the best virtual host, whether it has a route for the request or not; `null` = there is no host. */
  virtualHostMetadata(info: StreamInfo, headers: HeaderMap): JsonObject | null;
  /** `require_tls` of the matched virtual host says that this plain request must be redirected. */
  needsTls(info: StreamInfo, headers: HeaderMap): boolean;
  /** Lower-case names of headers that are taken from requests of the outside. */
  internalOnlyHeaders(info: StreamInfo, headers: HeaderMap): readonly string[];
}
