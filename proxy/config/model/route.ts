// The model of routes (Envoy: config.route.v3).

import type { FormatModel } from './access-log.ts';
import type { FractionModel, JsonObject, MetadataModel, StringMatchModel } from './common.ts';
import type { HashPolicyModel } from './hash.ts';
import type { HeaderMatchModel, HeaderMutationsModel, RegexRewriteModel } from './headers.ts';
import type { RouteFiltersModel } from './http-filter.ts';
import type { FilterStateMatchModel, MetadataMatchModel } from './match.ts';
import type { MatcherModel } from './matcher.ts';
import type { MirrorModel } from './mirror.ts';
import type { InternalRedirectModel } from './redirect.ts';

export interface RouteConfigModel {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHostModel[];
  readonly headers: HeaderMutationsModel;
  readonly internalOnlyHeaders: readonly string[];
  readonly mostSpecificHeaderMutationsWins: boolean;
  readonly ignorePortInHostMatching: boolean;
  /** Empty = `:authority`. */
  readonly vhostHeader: string;
  readonly ignorePathParametersInPathMatching: boolean;
  readonly maxDirectResponseBodySizeBytes: number;
  readonly metadata: MetadataModel;
  readonly filters: RouteFiltersModel;
}

export interface VirtualHostModel {
  readonly name: string;
  /** As configured: exact, `*.suffix`, `prefix.*` or `*`; lower case. */
  readonly domains: readonly string[];
  readonly requireTls: 'none' | 'external_only' | 'all';
  readonly routes: readonly RouteModel[];
  /** Leads to lists of routes, and then `routes` is empty; `null` = none. */
  readonly matcher: MatcherModel<readonly RouteModel[]> | null;
  readonly virtualClusters: readonly { readonly name: string; readonly headers: readonly HeaderMatchModel[] }[];
  readonly headers: HeaderMutationsModel;
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetryHeader: boolean;
  readonly metadata: MetadataModel;
  readonly filters: RouteFiltersModel;
}

export interface RouteModel {
  readonly name: string;
  readonly match: RouteMatchModel;
  readonly action: RouteActionModel | RedirectModel | DirectResponseModel | { readonly kind: 'non_forwarding' };
  readonly headers: HeaderMutationsModel;
  /** `decorator.operation`; empty = none. */
  readonly decoratorOperation: string;
  readonly decoratorPropagate: boolean;
  readonly metadata: MetadataModel;
  /** `null` = the connection's limit. */
  readonly requestBodyBufferLimitBytes: number | null;
  readonly statPrefix: string;
  readonly filters: RouteFiltersModel;
}

export interface RouteMatchModel {
  readonly path:
    | { readonly kind: 'prefix' | 'exact' | 'path_separated_prefix' | 'regex'; readonly value: string }
    /** A URI template and its regular expression; `null` = it matches nothing. */
    | { readonly kind: 'template'; readonly value: string; readonly pattern: string | null }
    | { readonly kind: 'connect' };
  readonly caseSensitive: boolean;
  readonly headers: readonly HeaderMatchModel[];
  readonly queryParameters: readonly QueryMatchModel[];
  readonly cookies: readonly { readonly name: string; readonly match: StringMatchModel; readonly invert: boolean }[];
  readonly grpcOnly: boolean;
  readonly runtimeFraction: FractionModel | null;
  readonly tlsContext: { readonly presented: boolean | null; readonly validated: boolean | null } | null;
  readonly dynamicMetadata: readonly MetadataMatchModel[];
  readonly filterState: readonly FilterStateMatchModel[];
}

export interface QueryMatchModel {
  readonly name: string;
  readonly match:
    | { readonly kind: 'present'; readonly present: boolean }
    | { readonly kind: 'string'; readonly string: StringMatchModel };
}

export interface TemplateRewriteModel {
  readonly pattern: string;
  /** Literals, and groups of the pattern by number. */
  readonly parts: readonly (string | number)[];
}

export interface RouteActionModel {
  readonly kind: 'route';
  readonly cluster:
    | { readonly kind: 'cluster'; readonly name: string }
    | { readonly kind: 'cluster_header'; readonly header: string }
    | {
        readonly kind: 'weighted';
        readonly clusters: readonly WeightedClusterModel[];
        readonly headerName: string;
        /** The route's hash chooses, where there is one. */
        readonly useHashPolicy: boolean;
      };
  readonly clusterNotFoundCode: 503 | 404 | 500;
  readonly prefixRewrite: string;
  readonly regexRewrite: RegexRewriteModel | null;
  readonly templateRewrite: TemplateRewriteModel | null;
  /** A format of the new path; empty = none. */
  readonly pathFormat: string;
  readonly hostRewrite:
    | { readonly kind: 'none' }
    | { readonly kind: 'literal'; readonly value: string }
    | { readonly kind: 'auto' }
    | { readonly kind: 'header'; readonly header: string }
    | { readonly kind: 'format'; readonly format: string }
    | { readonly kind: 'path_regex'; readonly rewrite: RegexRewriteModel };
  readonly appendXForwardedHost: boolean;
  /** Default 15,000; 0 = off. */
  readonly timeoutMs: number;
  /** −1 = not set (the connection manager's value holds), 0 = off. */
  readonly idleTimeoutMs: number;
  /** −1 = not set. */
  readonly maxStreamDurationMs: number;
  /** `max_stream_duration.grpc_timeout_header_max` and `_offset`; `null` = the `grpc-timeout` header is not read. */
  readonly grpcStreamLimits: GrpcLimitsModel | null;
  /** `max_grpc_timeout` and `grpc_timeout_offset`; `null` = the `grpc-timeout` header is not read. */
  readonly grpcLimits: GrpcLimitsModel | null;
  readonly flushTimeoutMs: number;
  readonly priority: 'default' | 'high';
  readonly retry: RetryPolicyModel | null;
  /** The route's own, or those of the places around it. */
  readonly mirrors: readonly MirrorModel[];
  readonly hashPolicy: readonly HashPolicyModel[];
  /** Redirects of upstreams that are followed; `null` = none is. */
  readonly internalRedirect: InternalRedirectModel | null;
  /** At its time limit a try goes on, beside the next one. */
  readonly hedgeOnPerTryTimeout: boolean;
  readonly upgrades: readonly UpgradeModel[];
  readonly metadataMatch: JsonObject | null;
  readonly includeVirtualHostRateLimits: boolean;
}

export interface UpgradeModel {
  readonly type: string;
  readonly enabled: boolean;
  /** Tunnels end here; `null` = they are passed on. Of routes' CONNECT alone. */
  readonly connect: ConnectModel | null;
}

/** `UpgradeConfig.ConnectConfig`: the payload goes to the host on a connection of its own. */
export interface ConnectModel {
  /** A PROXY header of that version comes first; 0 = none. */
  readonly proxyHeader: 0 | 1 | 2;
  /** POST counts as CONNECT. */
  readonly allowPost: boolean;
}

/** Limits of what a gRPC client says in `grpc-timeout`. */
export interface GrpcLimitsModel {
  /** 0 = what the client says. */
  readonly maxMs: number;
  /** Taken off, for the way back. */
  readonly offsetMs: number;
}

export interface WeightedClusterModel {
  readonly name: string;
  readonly clusterHeader: string;
  readonly weight: number;
  readonly headers: HeaderMutationsModel;
  readonly hostRewriteLiteral: string;
  readonly metadataMatch: JsonObject | null;
  readonly filters: RouteFiltersModel;
}

export interface RetryPolicyModel {
  /** Known tokens only, e.g. `5xx`, `connect-failure`, `unavailable`. */
  readonly retryOn: readonly string[];
  readonly numRetries: number;
  /** 0 = none. */
  readonly perTryTimeoutMs: number;
  readonly perTryIdleTimeoutMs: number;
  readonly retriableStatusCodes: readonly number[];
  readonly retriableHeaders: readonly HeaderMatchModel[];
  readonly retriableRequestHeaders: readonly HeaderMatchModel[];
  /** −1, like `backOffMaxMs`: as the runtime says (`upstream.base_retry_backoff_ms`). */
  readonly backOffBaseMs: number;
  readonly backOffMaxMs: number;
  /** Where an answer says when to come again, in order; the first one that can be read counts. */
  readonly resetHeaders: readonly ResetHeaderModel[];
  /** A longer wait is not heeded. */
  readonly resetMaxMs: number;
  readonly hostSelectionRetryMaxAttempts: number;
  readonly hostPredicates: readonly HostPredicateModel[];
  /** Each retry may go to another of the weighted clusters. */
  readonly refreshCluster: boolean;
  /** `update_frequency`: after so many attempts the priorities they went to are left out; 0 = never. */
  readonly previousPriorities: number;
}

export interface ResetHeaderModel {
  /** Lower case. */
  readonly name: string;
  readonly format: 'seconds' | 'unix_timestamp';
}

/** Which hosts a retry avoids. */
export type HostPredicateModel =
  | { readonly kind: 'previous_hosts' }
  | { readonly kind: 'omit_canary_hosts' }
  /** Hosts whose `envoy.lb` metadata has all of these; none = no host. */
  | { readonly kind: 'omit_metadata'; readonly labels: JsonObject };

export interface RedirectModel {
  readonly kind: 'redirect';
  readonly scheme:
    | { readonly kind: 'keep' }
    | { readonly kind: 'https' }
    | { readonly kind: 'literal'; readonly value: string };
  readonly host: string;
  /** 0 = keep. */
  readonly port: number;
  readonly path:
    | { readonly kind: 'keep' }
    | { readonly kind: 'literal'; readonly value: string }
    | { readonly kind: 'prefix'; readonly value: string }
    | { readonly kind: 'format'; readonly format: string }
    | { readonly kind: 'regex'; readonly rewrite: RegexRewriteModel };
  readonly code: 301 | 302 | 303 | 307 | 308;
  readonly stripQuery: boolean;
}

export interface DirectResponseModel {
  readonly kind: 'direct_response';
  readonly status: number;
  /** latin1 image of the body's bytes; read from its file, if it has one, by `lower`. */
  readonly body: string;
  readonly bodyFormat: BodyFormatModel | null;
}

export interface BodyFormatModel {
  readonly format: FormatModel;
  /** Empty = by format kind (`text/plain` or `application/json`). */
  readonly contentType: string;
}
