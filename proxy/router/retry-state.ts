// Whether an attempt is worth another one, and whether there may be one: the retries of one request.
// Request headers of trusted senders may widen the route's policy.

import type { HeaderMap } from '../codec/headers.ts';
import {
  UPSTREAM_RQ_RETRY,
  UPSTREAM_RQ_RETRY_BACKOFF_EXPONENTIAL,
  UPSTREAM_RQ_RETRY_BACKOFF_RATELIMITED,
  UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED,
  UPSTREAM_RQ_RETRY_OVERFLOW,
  UPSTREAM_RQ_RETRY_SUCCESS,
} from '../observe/catalogue-cluster.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import {
  GRPC_ALL,
  ON_5XX,
  ON_CONNECT_FAILURE,
  ON_GATEWAY_ERROR,
  ON_GRPC_SHIFT,
  ON_HEADERS,
  ON_RATELIMITED,
  ON_REFUSED_STREAM,
  ON_RESET,
  ON_RESET_BEFORE_REQUEST,
  ON_RETRIABLE_4XX,
  ON_STATUS_CODES,
  type RetryPolicy,
  retryBits,
} from '../route/retry.ts';
import { TriedPriorities } from '../upstream/tried-priorities.ts';
import type { Cluster, PoolFailure, ResetReason, UpstreamHostInfo } from '../upstream/upstream.ts';
import { wholeNumber } from '../util/whole-number.ts';
import type { RequestStats } from './request-stats.ts';

/** What became of the wish to try again. */
export type RetryVerdict =
  | 'retry'
  /** Nothing asks for it. */
  | 'no'
  /** No try is left. */
  | 'limit'
  /** The cluster has no place for another retry. */
  | 'overflow';

/** The retry decisions of one request. */
export class RetryState {
  readonly policy: RetryPolicy;
  private readonly bits: number;
  private readonly extraCodes: ReadonlySet<number> | null;
  private readonly extraHeaders: readonly string[];
  private remaining: number;
  /** The longest wait before the next try, ms. */
  private ceilingMs: number;
  /** What the last answer asks for, ms; −1 = nothing. */
  private resetMs: number;
  /** What to leave out; `null` = nothing. */
  readonly priorities: TriedPriorities | null;
  /** Where attempts went; `null` where nobody wants to know. */
  private tried: UpstreamHostInfo[] | null;
  /** Where a place for a retry is taken; `null` = nowhere. */
  private held: Cluster | null;
  /** There was a retry, and the wish for one has not ended since. */
  private retried: boolean;

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
    this.ceilingMs = policy.backOffBaseMs;
    this.resetMs = -1;
    this.tried = null;
    this.priorities = policy.previousPriorities > 0 ? new TriedPriorities(policy.previousPriorities) : null;
    this.held = null;
    this.retried = false;
  }

  /**
   * Takes the `x-envoy-*` retry headers out of a request and joins them with its policy.
   * @returns `null` when nothing asks for retries
   */
  static create(policy: RetryPolicy, info: StreamInfo, headers: HeaderMap, mayHaveHeaders: boolean): RetryState | null {
    let { bits, numRetries: retries } = policy;
    let codes: ReadonlySet<number> | null = null;
    let extra: readonly string[] = [];
    if (mayHaveHeaders) {
      bits |= retryBits(take(headers, 'x-envoy-retry-on')) | retryBits(take(headers, 'x-envoy-retry-grpc-on'));
      const max = take(headers, 'x-envoy-max-retries');
      const asked = max.length === 1 ? wholeNumber(max[0] as string) : Number.NaN;
      // As in Envoy, whose number has 64 bits and goes into 32.
      if (bits !== 0 && asked >= 0 && asked < 2 ** 64) retries = asked % 2 ** 32;
      const listed = take(headers, 'x-envoy-retriable-status-codes').map(wholeNumber).filter(Number.isInteger);
      if (listed.length > 0) codes = new Set(listed);
      extra = take(headers, 'x-envoy-retriable-header-names').map((name) => name.trim().toLowerCase());
      // Read before the route added anything; nobody upstream is told.
      headers.remove('x-envoy-hedge-on-per-try-timeout');
    }
    if (bits === 0) return null;
    if (policy.retriableRequest !== null && !policy.retriableRequest(info, headers)) return null;
    return new RetryState(policy, bits, retries, codes, extra);
  }

  /** A complete response head came: is it an answer to try again? */
  wantsResponse(status: number, headers: HeaderMap): boolean {
    if (!this.isRetriable(status, headers)) return false;
    if (this.policy.resetMs !== null) this.resetMs = this.policy.resetMs(headers);
    return true;
  }

  /** The conditions hold for an answer, whatever comes of it. */
  isRetriable(status: number, headers: HeaderMap): boolean {
    const { bits } = this;
    if (headers.has('x-envoy-ratelimited')) return (bits & ON_RATELIMITED) !== 0;
    if (status >= 500 && status < 600 && (bits & ON_5XX) !== 0) return true;
    if (status >= 502 && status <= 504 && (bits & ON_GATEWAY_ERROR) !== 0) return true;
    if (status === 409 && (bits & ON_RETRIABLE_4XX) !== 0) return true;
    if (
      (bits & ON_STATUS_CODES) !== 0 &&
      (this.policy.statusCodes.has(status) || this.extraCodes?.has(status) === true)
    )
      return true;
    if ((bits & ON_HEADERS) !== 0) {
      if (this.policy.retriableAnswer?.(status, headers) === true) return true;
      for (const name of this.extraHeaders) if (name === ':status' || headers.has(name)) return true;
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
    if ((bits & ON_CONNECT_FAILURE) !== 0 && isConnectFailure(reason)) return true;
    if ((bits & ON_REFUSED_STREAM) !== 0 && reason === 'remote_refused_stream') return true;
    return (bits & ON_RESET_BEFORE_REQUEST) !== 0 && !headSent;
  }

  /**
   * Takes a place for another attempt; the one for the attempt before is given back.
   * @param wants the conditions hold
   */
  decide(wants: boolean, cluster: Cluster, priority: 'default' | 'high', stats: RequestStats): RetryVerdict {
    if (!wants && this.retried) {
      this.retried = false;
      stats.count(UPSTREAM_RQ_RETRY_SUCCESS);
    }
    this.end(priority);
    if (!wants) return 'no';
    if (this.remaining === 0) {
      stats.count(UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED);
      return 'limit';
    }
    this.remaining--;
    if (!cluster.tryRetry(priority)) {
      stats.count(UPSTREAM_RQ_RETRY_OVERFLOW);
      return 'overflow';
    }
    this.held = cluster;
    return 'retry';
  }

  /** The time of the next attempt has come. */
  begin(stats: RequestStats): void {
    this.retried = true;
    stats.count(UPSTREAM_RQ_RETRY);
    stats.count(this.resetMs > 0 ? UPSTREAM_RQ_RETRY_BACKOFF_RATELIMITED : UPSTREAM_RQ_RETRY_BACKOFF_EXPONENTIAL);
    this.resetMs = -1;
  }

  /** No further attempt: the place is given back. */
  end(priority: 'default' | 'high'): void {
    const { held } = this;
    if (held === null) return;
    this.held = null;
    held.endRetry(priority);
  }

  /**
   * How long to wait. Fully jittered: in [0, base) before the first retry, twice as long before each further one, up to
   * the maximum. What an answer has asked for is waited for, and up to a half more. @param random in [0, 1)
   */
  nextBackOffMs(random: number): number {
    const { ceilingMs, resetMs } = this;
    if (resetMs > 0) return resetMs + Math.floor(random * Math.floor(resetMs / 2));
    const { backOffMaxMs } = this.policy;
    this.ceilingMs = ceilingMs < Math.floor(backOffMaxMs / 2) ? ceilingMs * 2 : backOffMaxMs;
    return Math.floor(random * ceilingMs);
  }

  /** An attempt has gone to a host. */
  noteHost(host: UpstreamHostInfo | null): void {
    if (host === null) return;
    this.priorities?.note(host);
    if (this.policy.avoids === null) return;
    this.tried ??= [];
    if (!this.tried.includes(host)) this.tried.push(host);
  }

  /** The next attempt had better not go to this host. */
  avoids(host: UpstreamHostInfo): boolean {
    return this.policy.avoids?.(host, this.tried ?? []) === true;
  }
}

function isConnectFailure(reason: PoolFailure | ResetReason): boolean {
  return reason === 'connect_failure' || reason === 'local_connect_failure' || reason === 'connect_timeout';
}

function take(headers: HeaderMap, name: string): string[] {
  const value = headers.getJoined(name);
  if (value === null) return [];
  headers.remove(name);
  return value.split(',');
}
