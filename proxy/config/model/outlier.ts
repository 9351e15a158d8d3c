// The model of outlier detection (Envoy: config.cluster.v3.OutlierDetection), runtime keys of static layers applied.

import type { HeaderMatchModel } from './headers.ts';

export interface OutlierModel {
  /** Cell of the cluster's first host in the shared table, −1 = hosts get theirs when they are found. */
  readonly firstCell: number;
  /** So many failures in a row make an outlier; 0 = never. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  /** Failures to reach a host are judged apart from what it answers. */
  readonly splitsLocalOrigin: boolean;
  /** Between sweeps. */
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionTimeJitterMs: number;
  /** Of the cluster's hosts, 0 to 100. */
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  /** Hosts whose answers say `x-envoy-degraded` are used less. */
  readonly detectDegradedHosts: boolean;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** Thousandths of a standard deviation. */
  readonly successRateStdevFactor: number;
  /** Percent of failed requests. */
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Which answers are errors; `null` = those with a status of 500 and above. */
  readonly errors: ErrorMatchModel | null;
  /** Percent of detections that are acted upon. */
  readonly enforcing: { readonly [type in EjectionType]: number };
}

/** `config.common.matcher.v3.MatchPredicate` over the head of an answer. */
export type ErrorMatchModel =
  | { readonly kind: 'any' }
  | { readonly kind: 'all_of' | 'any_of'; readonly rules: readonly ErrorMatchModel[] }
  | { readonly kind: 'not'; readonly rule: ErrorMatchModel }
  /** All of them must match. */
  | { readonly kind: 'headers'; readonly headers: readonly HeaderMatchModel[] }
  /** Asks for something that is not looked at. */
  | { readonly kind: 'never' };

/** Why a host is an outlier. */
export type EjectionType =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage';
