// Whether an attempt is worth another one (Envoy: docs configuration/http/http_filters/router_filter, "x-envoy-retry-on").
// A policy is compiled once per route; request headers of trusted senders may widen it for one request.

import type { HeaderMap } from '../codec/headers.ts';
import type { RetryPolicyModel } from '../config/model-http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { PoolFailure, ResetReason, UpstreamHostInfo } from '../upstream/upstream.ts';

const ON_5XX = 1 << 0;
const ON_GATEWAY_ERROR = 1 << 1;
const ON_RESET = 1 << 2;
const ON_RESET_BEFORE_REQUEST = 1 << 3;
const ON_CONNECT_FAILURE = 1 << 4;
const ON_REFUSED_STREAM = 1 << 5;
const ON_RATELIMITED = 1 << 6;
const ON_RETRIABLE_4XX = 1 << 7;
const ON_STATUS_CODES = 1 << 8;
const ON_HEADERS = 1 << 9;
const ON_GRPC_SHIFT = 12;

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
const GRPC_ALL = [...GRPC_BITS.values()];

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

/** The retry decisions of one request. */
export class RetryState {
  readonly policy: RetryPolicy;
  private readonly bits: number;
  private readonly extraCodes: ReadonlySet<number> | null;
  private readonly extraHeaders: readonly string[];
  remaining: number;
  private tries: number;

  private constructor(
    policy: RetryPolicy,
    bits: number,
    retries: number,
    codes: ReadonlySet<number> | null,
    extraHeaders: readonly string[],
  ) {
    this.policy = policy;
    this.bits = bits;
    this.remaining = retries;
    this.extraCodes = codes;
    this.extraHeaders = extraHeaders;
    this.tries = 0;
  }

  /**
   * Takes the `x-envoy-*` retry headers out of a request and joins them with the route's policy.
   * @returns `null` when nothing asks for retries
   */
  static create(policy: RetryPolicy | null, headers: HeaderMap, mayHaveHeaders: boolean): RetryState | null {
    let bits = policy === null ? 0 : policy.bits;
    let retries = policy === null ? HEADERS_ONLY_POLICY.numRetries : policy.numRetries;
    let codes: ReadonlySet<number> | null = null;
    let extra: readonly string[] = [];
    if (mayHaveHeaders) {
      bits |= retryBits(take(headers, 'x-envoy-retry-on')) | retryBits(take(headers, 'x-envoy-retry-grpc-on'));
      const max = take(headers, 'x-envoy-max-retries');
      if (bits !== 0 && max.length === 1 && /^\d+$/.test(max[0] as string)) retries = Number(max[0]);
      const listed = take(headers, 'x-envoy-retriable-status-codes').map(Number).filter(Number.isInteger);
      if (listed.length > 0) codes = new Set(listed);
      extra = take(headers, 'x-envoy-retriable-header-names').map((name) => name.trim().toLowerCase());
    }
    if (bits === 0) return null;
    if (policy?.retriableRequest != null && !policy.retriableRequest(headers)) return null;
    return new RetryState(policy ?? HEADERS_ONLY_POLICY, bits, retries, codes, extra);
  }

  /** A complete response head came: is it an answer to try again? */
  wantsResponse(status: number, headers: HeaderMap): boolean {
    const { bits } = this;
    if (headers.has('x-envoy-ratelimited')) return (bits & ON_RATELIMITED) !== 0;
    if (status >= 500 && (bits & ON_5XX) !== 0) return true;
    if (status >= 502 && status <= 504 && (bits & ON_GATEWAY_ERROR) !== 0) return true;
    if (status === 409 && (bits & ON_RETRIABLE_4XX) !== 0) return true;
    if (
      (bits & ON_STATUS_CODES) !== 0 &&
      (this.policy.statusCodes.has(status) || this.extraCodes?.has(status) === true)
    )
      return true;
    if ((bits & ON_HEADERS) !== 0) {
      if (this.policy.retriableHeader?.(headers) === true) return true;
      for (const name of this.extraHeaders) if (headers.has(name)) return true;
    }
    if (bits >= 1 << ON_GRPC_SHIFT) {
      const grpcStatus = headers.get('grpc-status');
      if (grpcStatus !== null)
        for (const [bit, value] of GRPC_ALL) if ((bits & bit) !== 0 && Number(grpcStatus) === value) return true;
    }
    return false;
  }

  /**
   * An attempt ended without a response head.
   * @param headSent some of the request may have reached the upstream
   */
  wantsReset(reason: PoolFailure | ResetReason, headSent: boolean): boolean {
    const { bits } = this;
    if (reason === 'overflow' || reason === 'no_healthy_host') return false;
    if ((bits & (ON_5XX | ON_GATEWAY_ERROR | ON_RESET)) !== 0) return true;
    if ((bits & ON_CONNECT_FAILURE) !== 0 && (reason === 'connect_failure' || reason === 'connect_timeout'))
      return true;
    if ((bits & ON_REFUSED_STREAM) !== 0 && reason === 'remote_refused_stream') return true;
    return (bits & ON_RESET_BEFORE_REQUEST) !== 0 && !headSent;
  }

  /** Fully jittered: attempt N waits in [0, (2^N − 1) · base), at most the maximum. @param random in [0, 1) */
  nextBackOffMs(random: number): number {
    this.tries++;
    const ceiling = Math.min((2 ** this.tries - 1) * this.policy.backOffBaseMs, this.policy.backOffMaxMs);
    return Math.floor(random * ceiling);
  }
}

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

function take(headers: HeaderMap, name: string): string[] {
  const value = headers.getJoined(name);
  if (value === null) return [];
  headers.remove(name);
  return value.split(',');
}
