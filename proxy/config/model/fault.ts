// The model of the fault filter (Envoy: extensions.filters.http.fault.v3.HTTPFault).

import type { JsonObject } from './common.ts';
import type { HeaderMatchModel } from './headers.ts';
import type { Share } from './runtime.ts';

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
  readonly share: Share;
}

export interface FaultAbortModel {
  readonly error:
    | { readonly kind: 'http'; readonly status: number }
    | { readonly kind: 'grpc'; readonly status: number }
    /** What the request's headers say. */
    | { readonly kind: 'header' };
  readonly share: Share;
  /** Empty = Envoy's. */
  readonly responseBody: string;
}

export interface FaultRateLimitModel {
  /** KiB a second; −1 = what the request's header says. */
  readonly kibPerSecond: number;
  readonly share: Share;
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
