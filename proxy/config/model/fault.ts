// The model of the fault filter (Envoy: extensions.filters.http.fault.v3.HTTPFault).

import type { FractionModel, JsonObject } from './common.ts';
import type { HeaderMatchModel } from './headers.ts';

/** A share of requests; the runtime key stands in `FaultModel.runtimeKeys`. */
export type FaultShareModel = Pick<FractionModel, 'numerator' | 'denominator'>;

export interface FaultModel {
  readonly kind: 'fault';
  /** `null` = none. */
  readonly delay: FaultDelayModel | null;
  readonly abort: FaultAbortModel | null;
  readonly responseRateLimit: FaultRateLimitModel | null;
  /** Empty = any. */
  readonly upstreamCluster: string;
  readonly headers: readonly HeaderMatchModel[];
  /** Empty = any. */
  readonly downstreamNodes: readonly string[];
  /** −1 = as many as there are. */
  readonly maxActiveFaults: number;
  readonly runtimeKeys: FaultRuntimeKeysModel;
  readonly disableDownstreamClusterStats: boolean;
  readonly filterMetadata: JsonObject;
}

export interface FaultDelayModel {
  /** −1 = what the request's header says. */
  readonly delayMs: number;
  readonly share: FaultShareModel;
}

export interface FaultAbortModel {
  readonly error:
    | { readonly kind: 'http'; readonly status: number }
    | { readonly kind: 'grpc'; readonly status: number }
    /** What the request's headers say. */
    | { readonly kind: 'header' };
  readonly share: FaultShareModel;
  /** Empty = Envoy's. */
  readonly responseBody: string;
}

export interface FaultRateLimitModel {
  /** KiB a second; −1 = what the request's header says. */
  readonly kibPerSecond: number;
  readonly share: FaultShareModel;
}

/** Runtime keys, Envoy's where none is configured. */
export interface FaultRuntimeKeysModel {
  readonly delayPercent: string;
  readonly abortPercent: string;
  readonly delayDuration: string;
  readonly abortHttpStatus: string;
  readonly abortGrpcStatus: string;
  readonly maxActiveFaults: string;
  readonly responseRateLimitPercent: string;
}
