// How a request ends: with a whole answer, with a failure, or when its time is up.

import {
  UPSTREAM_RQ_MAX_DURATION_REACHED,
  UPSTREAM_RQ_PER_TRY_IDLE_TIMEOUT,
  UPSTREAM_RQ_PER_TRY_TIMEOUT,
  UPSTREAM_RQ_TIMEOUT,
} from '../observe/catalogue-cluster.ts';
import { ROUTER_RQ_RESET_AFTER_DOWNSTREAM_RESPONSE_STARTED } from '../observe/catalogue-http.ts';
import { FLAG_UH, FLAG_UMSDR, FLAG_UT } from '../observe/flags.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type { Cluster, PoolFailure, ResetReason } from '../upstream/upstream.ts';
import type { Attempt } from './attempt.ts';
import type { CodeStats } from './code-stats.ts';
import type { Downstream } from './downstream.ts';
import { answerFailure, failureBody, failureText, resetDetails } from './failure.ts';
import { RequestAttempts } from './request-attempts.ts';
import { RequestBody } from './request-body.ts';
import type { RequestStats } from './request-stats.ts';
import type { RouterContext } from './router-context.ts';
import type { Shadows } from './shadow.ts';

const TIMEOUT_BODY = 'upstream request timeout';

/** The part of a `RouterRequest` that knows no heads: what its attempts come to, and the limits of their time. */
export class EndingRequest extends RequestAttempts {
  /** The limit of all attempts, ms; 0 = none. */
  globalMs: number;
  /** An attempt that has met its limit goes on, beside another one. */
  hedging: boolean;
  /** Running out of time is answered with 204. */
  alternativeResponse: boolean;
  protected readonly body: RequestBody;
  /** Copies under way; `null` = none. */
  protected shadows: Shadows | null;
  protected internal: boolean;
  protected over: boolean;
  /** Where it asks to be counted besides; `null` = nowhere. */
  protected otherStats: CodeStats | null;

  constructor(
    router: RouterContext,
    down: Downstream,
    route: RouteRules,
    target: CompiledTarget,
    cluster: Cluster,
    stats: RequestStats,
  ) {
    super(router, down, route, target, cluster, stats);
    this.globalMs = route.timeoutMs;
    this.hedging = route.hedgeOnPerTryTimeout;
    this.alternativeResponse = false;
    this.body = new RequestBody(down);
    this.shadows = null;
    this.internal = false;
    this.over = false;
    this.otherStats = null;
  }

  // === From the timers ===

  /** The route's time-out. */
  onRouteTimeout(): void {
    if (this.over) return;
    if (this.attempt !== null) this.timeOut(this.attempt);
    if (this.rivals !== null) for (const rival of this.rivals.splice(0)) this.timeOut(rival);
    this.failByTime('response_timeout');
  }

  /** The limit of one attempt. */
  onPerTryTimeout(): void {
    if (this.over || this.attempt === null || this.attempt.begun) return;
    if (this.hedging) this.hedge(this.attempt, this.timeoutStatus);
    else this.giveUpAttempt(UPSTREAM_RQ_PER_TRY_TIMEOUT, this.attempt, 'upstream_per_try_timeout');
  }

  /** Nothing has moved on the attempt for too long. */
  onPerTryIdle(): void {
    if (this.over || this.attempt === null) return;
    if (this.hedging) this.hedge(this.attempt, this.timeoutStatus);
    else this.giveUpAttempt(UPSTREAM_RQ_PER_TRY_IDLE_TIMEOUT, this.attempt, 'upstream_per_try_idle_timeout');
  }

  /** The attempt has lasted as long as its cluster lets it. */
  onAttemptDuration(): void {
    const { nextDue: attempt, down } = this;
    if (this.over || attempt === null) return;
    this.stats.count(UPSTREAM_RQ_MAX_DURATION_REACHED);
    attempt.abandon();
    attempt.dueMs = -1;
    this.noteAttempt(attempt);
    this.afterTimeout = false;
    const wants = this.retry?.wantsReset('local_reset', attempt.headSent) === true;
    if (!attempt.hedged && this.tryAgain(wants, 0) === 'retry') return;
    this.endRace(attempt);
    const status = down.requestComplete ? 504 : 408;
    this.fail(FLAG_UMSDR, status, 'upstream max stream duration reached', 'upstream_max_stream_duration_reached');
  }

  // === For the rest of the request ===

  /** The limits of a try: its time runs from where the request is whole, for a slow sender is not the host's doing. */
  protected armPerTry(): void {
    if (this.over) return;
    if (this.perTryMs > 0) this.down.perTryTimer.arm(this.perTryMs);
    this.armPerTryIdle();
  }

  protected armPerTryIdle(): void {
    if (this.perTryIdleMs > 0 && this.body.ended) this.down.perTryIdleTimer.arm(this.perTryIdleMs);
  }

  /** Takes an attempt for lost that has met its own limit. @param counter index of the `cluster` catalogue */
  private giveUpAttempt(counter: number, attempt: Attempt, details: string): void {
    this.stats.count(counter);
    attempt.timeOut(this.timeoutStatus, true);
    this.noteAttempt(attempt);
    this.afterTimeout = true;
    const wants = this.retry?.wantsReset('local_reset', attempt.headSent) === true;
    if (this.tryAgain(wants, 0) === 'retry') return;
    if (!attempt.begun) this.charge(this.timeoutStatus, attempt);
    this.failByTime(details);
  }

  /** The time of all attempts is up. */
  private timeOut(attempt: Attempt): void {
    this.stats.count(UPSTREAM_RQ_TIMEOUT);
    attempt.timeOut(this.timeoutStatus, false);
    this.noteAttempt(attempt, !attempt.responseStarted);
    if (!attempt.begun && !this.down.responseStarted) this.charge(this.timeoutStatus, attempt);
  }

  private get timeoutStatus(): number {
    return this.alternativeResponse ? 204 : 504;
  }

  private failByTime(details: string): void {
    this.stats.histograms?.onRequestEnd(this.router.runtime.nowMs() - this.down.requestRxEndMs, this.globalMs);
    this.fail(FLAG_UT, this.timeoutStatus, this.alternativeResponse ? '' : TIMEOUT_BODY, details);
  }

  protected onFailure(attempt: Attempt, reason: PoolFailure | ResetReason, transportFailure: string): void {
    const { down, retry } = this;
    if (attempt === this.attempt) this.cancelTryTimers();
    this.stopTiming(attempt);
    if (transportFailure !== '') down.upstreamTransportFailureReason = transportFailure.replaceAll(' ', '_');
    const begun = down.responseStarted || attempt.begun;
    if (!attempt.hedged) {
      this.afterTimeout = false;
      const wants = retry?.wantsReset(reason, attempt.headSent) === true;
      if (this.tryAgain(wants, 0) === 'retry') return;
    }
    const text = failureText(reason);
    if (!begun) this.charge(text.status, attempt);
    if (this.leave(attempt)) return;
    const details = resetDetails(begun, text.reason, transportFailure);
    const overloaded = reason === 'overflow' && !this.router.model.suppressEnvoyHeaders;
    this.fail(text.flag, text.status, failureBody(text.reason, this.retryTaken), details, overloaded);
  }

  /** More body has come than may be kept, while the next attempt waits for its time. */
  protected failWithoutRoom(): void {
    const text = 'exceeded request buffer limit while retrying upstream';
    this.fail(0, 507, text, 'request_payload_exceeded_retry_buffer_limit');
  }

  protected failWithoutHost(): void {
    this.charge(503, null);
    this.fail(FLAG_UH, 503, 'no healthy upstream', 'no_healthy_upstream');
  }

  /** Answers with an error, or breaks off what was begun. */
  protected fail(flag: number, status: number, body: string, details: string, overloaded = false): void {
    const { down, route } = this;
    this.finish();
    down.flags |= flag;
    if (down.responseStarted) {
      if (down.isGrpc) this.router.count(ROUTER_RQ_RESET_AFTER_DOWNSTREAM_RESPONSE_STARTED);
      down.abortResponse(details);
      return;
    }
    answerFailure(down, status, body, details, overloaded, route.includeAttemptCountInResponse);
  }

  /** The upstream response is whole. */
  protected complete(now: number): void {
    const { down, attempt } = this;
    this.finish();
    down.upstreamRxEndMs = now;
    if (attempt !== null) this.noteAttempt(attempt);
    if (down.requestRxEndMs >= 0) {
      const ms = Math.floor(now - down.requestRxEndMs);
      const host = attempt === null ? null : attempt.host;
      const canary = attempt?.canary === true;
      this.stats.recordTime(ms, this.internal, host, canary);
      if (this.otherStats !== null) this.otherStats.recordTime(ms, this.internal, host, canary);
      this.stats.histograms?.onRequestEnd(ms, this.globalMs);
    }
    // A response that ends before its request: the rest of the request has nobody to go to.
    if ((!this.body.ended || this.body.paused) && attempt?.stream != null) attempt.stream.reset();
  }

  protected finish(): void {
    const { down } = this;
    this.over = true;
    this.endRetries();
    this.dropRivals();
    down.routeTimer.cancel();
    down.retryTimer.cancel();
    this.cancelTryTimers();
    this.endTiming();
    this.body.forget();
    this.body.release();
    if (this.shadows !== null) this.shadows.release();
  }

  /** @param attempt that has come to this; `null` = none was made */
  protected charge(status: number, attempt: Attempt | null): void {
    const host = attempt === null ? null : attempt.host;
    const canary = attempt?.canary === true;
    this.stats.charge(status, this.internal, host, canary);
    if (this.otherStats !== null) this.otherStats.charge(status, this.internal, host, canary);
  }
}
