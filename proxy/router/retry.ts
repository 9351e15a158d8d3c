// What a route says about trying again, compiled once (Envoy: docs configuration/http/http_filters/router_filter,
// "x-envoy-retry-on"). What one request makes of it is `retry-state.ts`.

import type { HeaderMap } from '../codec/headers.ts';
import type { RetryPolicyModel } from '../config/model-http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { UpstreamHostInfo } from '../upstream/upstream.ts';

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

/** Response headers that make an answer retriable, given as compiled matchers. */
export type HeaderCheck = (headers: HeaderMap) => boolean;

/** A compiled policy. */
export interface RetryPolicy {
  readonly bits: number;
  readonly numRetries: number;
  readonly perTryTimeoutMs: number;
  /** An attempt without a byte in either direction for this long is given up; 0 = never. */
  readonly perTryIdleTimeoutMs: number;
  readonly statusCodes: ReadonlySet<number>;
  readonly retriableHeader: HeaderCheck | null;
  readonly retriableRequest: HeaderCheck | null;
  readonly backOffBaseMs: number;
  readonly backOffMaxMs: number;
  readonly hostAttemptsMax: number;
  readonly avoidPreviousHosts: boolean;
}

/** Names of `x-envoy-retry-on` and `x-envoy-retry-grpc-on` as bits; unknown ones are ignored, as Envoy does. */
export function retryBits(tokens: readonly string[]): number {
  let bits = 0;
  for (const token of tokens) {
    const name = token.trim();
    bits |= BITS.get(name) ?? GRPC_BITS.get(name)?.[0] ?? 0;
  }
  return bits;
}

/** @param matchers compiles a list of header matchers into "any of them holds" */
export function compileRetry(
  model: RetryPolicyModel,
  matchers: (list: RetryPolicyModel['retriableHeaders']) => HeaderCheck,
): RetryPolicy {
  return {
    bits: retryBits(model.retryOn),
    numRetries: model.numRetries,
    perTryTimeoutMs: model.perTryTimeoutMs,
    perTryIdleTimeoutMs: model.perTryIdleTimeoutMs,
    statusCodes: new Set(model.retriableStatusCodes),
    retriableHeader: model.retriableHeaders.length === 0 ? null : matchers(model.retriableHeaders),
    retriableRequest: model.retriableRequestHeaders.length === 0 ? null : matchers(model.retriableRequestHeaders),
    backOffBaseMs: model.backOffBaseMs,
    backOffMaxMs: model.backOffMaxMs,
    hostAttemptsMax: model.hostSelectionRetryMaxAttempts,
    avoidPreviousHosts: model.previousHosts,
  };
}

/** What a request gets when only its headers ask for retries. */
export const HEADERS_ONLY_POLICY: RetryPolicy = {
  bits: 0,
  numRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  statusCodes: new Set(),
  retriableHeader: null,
  retriableRequest: null,
  backOffBaseMs: 25,
  backOffMaxMs: 250,
  hostAttemptsMax: 1,
  avoidPreviousHosts: false,
};

/** `previous_hosts`: a predicate that turns down every host that the request has met. */
export function avoidTried(info: StreamInfo): (host: UpstreamHostInfo) => boolean {
  const tried: UpstreamHostInfo[] = [];
  return (host) => {
    const last = info.upstreamHost;
    if (last !== null && tried.indexOf(last) < 0) tried.push(last);
    return tried.indexOf(host) >= 0;
  };
}

/** Methods that a server may see twice without harm (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
