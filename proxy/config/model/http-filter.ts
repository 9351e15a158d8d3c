// The model of HTTP filters: in a connection manager, and as routes change them.

import type { AccessLogModel } from './access-log.ts';
import type { FractionModel, StringMatchModel } from './common.ts';
import type { FaultModel } from './fault.ts';
import type { HeaderAddModel } from './headers.ts';
import type { HeaderToMetadataModel, SetFilterStateModel, SetMetadataModel } from './metadata-filter.ts';
import type { HeaderMutationModel } from './mirror.ts';

/** One entry of `http_filters`. */
export interface HttpFilterModel {
  /** By which routes address it. */
  readonly name: string;
  /** Off, except for routes that say otherwise. */
  readonly disabled: boolean;
  readonly config: HttpFilterConfigModel;
}

export type HttpFilterConfigModel =
  | RouterModel
  | GrpcStatsModel
  | GrpcBridgeModel
  | BufferModel
  | HeaderMutationFilterModel
  | HeaderToMetadataModel
  | SetMetadataModel
  | SetFilterStateModel
  | { readonly kind: 'grpc_web' | 'cors' }
  | FaultModel
  /** A filter that by its configuration does nothing here, kept so that dumps and order stay true. */
  | { readonly kind: 'inert'; readonly typeUrl: string };

export interface GrpcStatsModel {
  readonly kind: 'grpc_stats';
  readonly emitFilterState: boolean;
  /** Every method has stats of its own. */
  readonly allMethods: boolean;
  /** These methods have stats of their own; `null` = not set. */
  readonly allowlist: readonly { readonly service: string; readonly methods: readonly string[] }[] | null;
  readonly upstreamStats: boolean;
  readonly replaceDots: boolean;
}

export interface GrpcBridgeModel {
  readonly kind: 'grpc_http1_bridge';
  readonly upgradeProtobuf: boolean;
  readonly ignoreQueryParameters: boolean;
}

export interface BufferModel {
  readonly kind: 'buffer';
  /** Longer requests are refused; −1 = requests are not kept. */
  readonly requestBytesMax: number;
}

export interface HeaderMutationFilterModel {
  readonly kind: 'header_mutation';
  readonly mutations: MutationsModel;
  /** The most specific level's mutations come last, not first. */
  readonly mostSpecificWins: boolean;
}

/** `header_mutation.v3.Mutations`. */
export interface MutationsModel {
  readonly request: readonly HeaderMutationModel[];
  readonly response: readonly HeaderMutationModel[];
  readonly requestTrailers: readonly HeaderMutationModel[];
  readonly responseTrailers: readonly HeaderMutationModel[];
  readonly query: readonly QueryMutationModel[];
}

/** `core.v3.KeyValueMutation` of a query parameter; latin1 images. */
export type QueryMutationModel =
  | { readonly kind: 'append'; readonly key: string; readonly value: string; readonly action: HeaderAddModel['action'] }
  | { readonly kind: 'remove'; readonly key: string };

export interface RouterModel {
  readonly kind: 'router';
  readonly dynamicStats: boolean;
  readonly suppressEnvoyHeaders: boolean;
  readonly respectExpectedRqTimeout: boolean;
  readonly suppressGrpcRequestFailureCodeStats: boolean;
  readonly strictCheckHeaders: readonly string[];
  readonly upstreamLogs: readonly AccessLogModel[];
}

// === Per route ===

/**
 * The name under which the deprecated `cors` of a virtual host or an action stands: it speaks to every CORS filter to
 * which no `typed_per_filter_config` does.
 */
export const LEGACY_CORS = 'envoy.config.route.v3.CorsPolicy';

/** `typed_per_filter_config` of one level: filter name → what it says; `null` = nothing. */
export type RouteFiltersModel = { readonly [filter: string]: RouteFilterModel } | null;

/** What one level says about one filter. */
export interface RouteFilterModel {
  readonly disabled: boolean;
  /** `null` = nothing but that. */
  readonly config: RouteFilterConfigModel | null;
}

/** A filter's configuration of its own for a route; `kind` names the filter as in `HttpFilterConfigModel`. */
export type RouteFilterConfigModel =
  | CorsPolicyModel
  | FaultModel
  | HeaderToMetadataModel
  | SetFilterStateModel
  | SetMetadataModel
  | BufferModel
  | { readonly kind: 'header_mutation'; readonly mutations: MutationsModel };

/** `cors.v3.CorsPolicy`. What one level leaves open, the next less specific one may say. */
export interface CorsPolicyModel {
  readonly kind: 'cors';
  readonly allowOrigin: readonly StringMatchModel[];
  /** Values of the headers of the same names; empty = not said. */
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  /** `null` = not said. */
  readonly allowCredentials: boolean | null;
  readonly allowPrivateNetworkAccess: boolean | null;
  readonly forwardNotMatchingPreflights: boolean | null;
  /** `null` = always. */
  readonly filterEnabled: FractionModel | null;
  /** Requests are judged and counted, not answered; `null` = never. */
  readonly shadowEnabled: FractionModel | null;
}
