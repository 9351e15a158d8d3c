// What a route says about trying again, compiled once (Envoy: docs configuration/http/http_filters/router_filter,
// "x-envoy-retry-on"). What one request makes of it is `retry-state.ts`.

import { isDeepStrictEqual } from 'node:util';
import type { HeaderMap } from '../codec/headers.ts';
import type { JsonValue } from '../config/model/common.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import type { HostPredicateModel, ResetHeaderModel, RetryPolicyModel } from '../config/model/route.ts';
import { type RuntimeKeys, runtimeInteger } from '../config/model/runtime.ts';
import { compileAnswerMatch, compileHeaderMatch } from '../match/head.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { UpstreamHostInfo } from '../upstream/upstream.ts';
import { wholeNumber } from '../util/whole-number.ts';

export const ON_5XX = 1 << 0;
export const ON_GATEWAY_ERROR = 1 << 1;
export const ON_RESET = 1 << 2;
export const ON_RESET_BEFORE_REQUEST = 1 << 3;
export const ON_CONNECT_FAILURE = 1 << 4;
export const ON_REFUSED_STREAM = 1 << 5;
export const ON_RATELIMITED = 1 << 6;
export const ON_RETRIABLE_4XX = 1 << 7;
export const ON_STATUS_CODES = 1 << 8;
export const ON_HEADERS = 1 << 9;
export const ON_GRPC_SHIFT = 12;

const BITS: ReadonlyMap<string, number> = new Map([
  ['5xx', ON_5XX],
  ['gateway-error', ON_GATEWAY_ERROR],
  ['reset', ON_RESET],
  ['reset-before-request', ON_RESET_BEFORE_REQUEST],
  ['connect-failure', ON_CONNECT_FAILURE],
  ['refused-stream', ON_REFUSED_STREAM],
  ['envoy-ratelimited', ON_RATELIMITED],
  ['retriable-4xx', ON_RETRIABLE_4XX],
  ['retriable-status-codes', ON_STATUS_CODES],
  ['retriable-headers', ON_HEADERS],
]);

/** gRPC conditions and the `grpc-status` each one retries. */
const GRPC_BITS: ReadonlyMap<string, readonly [bit: number, status: number]> = new Map([
  ['cancelled', [1 << ON_GRPC_SHIFT, 1]],
  ['deadline-exceeded', [1 << (ON_GRPC_SHIFT + 1), 4]],
  ['resource-exhausted', [1 << (ON_GRPC_SHIFT + 2), 8]],
  ['internal', [1 << (ON_GRPC_SHIFT + 3), 13]],
  ['unavailable', [1 << (ON_GRPC_SHIFT + 4), 14]],
]);
export const GRPC_ALL = [...GRPC_BITS.values()];

/** What `x-envoy-retry-on` may list. */
export const HTTP_CONDITIONS: ReadonlySet<string> = new Set(BITS.keys());
/** What `x-envoy-retry-grpc-on` may list. */
export const GRPC_CONDITIONS: ReadonlySet<string> = new Set(GRPC_BITS.keys());

/** The head of a request makes it retriable. */
export type RequestCheck = (info: StreamInfo, headers: HeaderMap) => boolean;
/** The head of an answer makes it retriable. */
export type AnswerCheck = (status: number, headers: HeaderMap) => boolean;

/** A compiled policy. */
export interface RetryPolicy {
  readonly bits: number;
  readonly numRetries: number;
  readonly perTryTimeoutMs: number;
  /** An attempt without a byte in either direction for this long is given up; 0 = never. */
  readonly perTryIdleTimeoutMs: number;
  readonly statusCodes: ReadonlySet<number>;
  readonly retriableAnswer: AnswerCheck | null;
  readonly retriableRequest: RequestCheck | null;
  readonly backOffBaseMs: number;
  readonly backOffMaxMs: number;
  /** When to come again, by headers of an answer; `null` = nobody asks. */
  readonly resetMs: ((headers: HeaderMap) => number) | null;
  /** Whether a retry avoids a host; `null` = it takes what comes. */
  readonly avoids: AvoidHost | null;
  readonly hostAttemptsMax: number;
  /** As in `RetryPolicyModel`. */
  readonly refreshCluster: boolean;
  readonly previousPriorities: number;
}

/** @param tried where attempts of this request went */
export type AvoidHost = (host: UpstreamHostInfo, tried: readonly UpstreamHostInfo[]) => boolean;

/** Names of `x-envoy-retry-on` and `x-envoy-retry-grpc-on` as bits; unknown ones are ignored, as Envoy does. */
export function retryBits(tokens: readonly string[]): number {
  let bits = 0;
  for (const token of tokens) {
    const name = token.trim();
    bits |= BITS.get(name) ?? GRPC_BITS.get(name)?.[0] ?? 0;
  }
  return bits;
}

/**
 * @param usualBackOffMs the first back-off of policies that say nothing
 */
export function compileRetry(model: RetryPolicyModel, usualBackOffMs: number): RetryPolicy {
  return {
    bits: retryBits(model.retryOn),
    numRetries: model.numRetries,
    perTryTimeoutMs: model.perTryTimeoutMs,
    perTryIdleTimeoutMs: model.perTryIdleTimeoutMs,
    statusCodes: new Set(model.retriableStatusCodes),
    retriableAnswer: model.retriableHeaders.length === 0 ? null : anyAnswer(model.retriableHeaders),
    retriableRequest: model.retriableRequestHeaders.length === 0 ? null : anyRequest(model.retriableRequestHeaders),
    backOffBaseMs: model.backOffBaseMs < 0 ? usualBackOffMs : model.backOffBaseMs,
    backOffMaxMs: model.backOffBaseMs < 0 ? usualBackOffMs * BACK_OFF_MAX_FACTOR : model.backOffMaxMs,
    resetMs: model.resetHeaders.length === 0 ? null : compileReset(model.resetHeaders, model.resetMaxMs),
    avoids: model.hostPredicates.length === 0 ? null : compileAvoid(model.hostPredicates),
    hostAttemptsMax: model.hostSelectionRetryMaxAttempts,
    refreshCluster: model.refreshCluster,
    previousPriorities: model.previousPriorities,
  };
}

function anyAnswer(models: readonly HeaderMatchModel[]): AnswerCheck {
  const list = models.map(compileAnswerMatch);
  return (status, headers) => list.some((holds) => holds(status, headers));
}

function anyRequest(models: readonly HeaderMatchModel[]): RequestCheck {
  const list = models.map(compileHeaderMatch);
  return (info, headers) => list.some((holds) => holds(info, headers));
}

/** The first back-off of policies that say nothing, ms. */
export function usualBackOffMs(runtimeKeys: RuntimeKeys): number {
  return Math.max(1, runtimeInteger(runtimeKeys, 'upstream.base_retry_backoff_ms', BACK_OFF_MS));
}

/** What a request gets when only its headers ask for retries. */
export function headersOnlyPolicy(backOffMs: number): RetryPolicy {
  return { ...HEADERS_ONLY, backOffBaseMs: backOffMs, backOffMaxMs: backOffMs * BACK_OFF_MAX_FACTOR };
}

const BACK_OFF_MS = 25;
/** As in `config/lower/retry.ts`. */
const BACK_OFF_MAX_FACTOR = 10;

const HEADERS_ONLY: RetryPolicy = {
  bits: 0,
  numRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  statusCodes: new Set(),
  retriableAnswer: null,
  retriableRequest: null,
  backOffBaseMs: BACK_OFF_MS,
  backOffMaxMs: BACK_OFF_MS * BACK_OFF_MAX_FACTOR,
  resetMs: null,
  avoids: null,
  hostAttemptsMax: 1,
  refreshCluster: false,
  previousPriorities: 0,
};

/** Milliseconds until an upstream wants to be asked again; −1 = it does not say, or says more than `maxMs`. */
function compileReset(list: readonly ResetHeaderModel[], maxMs: number): (headers: HeaderMap) => number {
  return (headers) => {
    for (const { name, format } of list) {
      const value = headers.get(name);
      const number = value === null ? Number.NaN : wholeNumber(value);
      const seconds = format === 'seconds' ? number : number - Math.floor(Date.now() / 1000);
      if (seconds >= 0 && seconds * 1000 <= maxMs) return seconds * 1000;
    }
    return -1;
  };
}

function compileAvoid(list: readonly HostPredicateModel[]): AvoidHost {
  const checks = list.map(compilePredicate);
  return (host, tried) => checks.some((avoids) => avoids(host, tried));
}

function compilePredicate(predicate: HostPredicateModel): AvoidHost {
  switch (predicate.kind) {
    case 'previous_hosts':
      return (host, tried) => tried.includes(host);
    case 'omit_canary_hosts':
      return (host) => host.canary;
    case 'omit_metadata': {
      const labels = Object.entries(predicate.labels);
      return (host) => labels.length > 0 && labels.every(([key, value]) => hasLabel(host, key, value));
    }
  }
}

/** A list of values stands for any of them. */
function hasLabel(host: UpstreamHostInfo, key: string, wanted: JsonValue): boolean {
  const value = host.metadata['envoy.lb']?.[key];
  if (Array.isArray(value)) return value.some((each) => isDeepStrictEqual(each, wanted));
  return value !== undefined && isDeepStrictEqual(value, wanted);
}
