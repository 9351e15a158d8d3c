// The attempts of one request: which are under way, and when another one follows.
//
// Most requests have one. A retry takes the place of the attempt before it. A hedged one runs beside it: an attempt that
// has met its time limit goes on, another follows, and the first good answer wins.

import type { HeaderMap } from '../codec/headers.ts';
import { RETRY_OR_SHADOW_ABANDONED } from '../observe/catalogue-cluster.ts';
import { FLAG_UO, FLAG_URX } from '../observe/flags.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type { Refresh } from '../route/weighted.ts';
import type { TriedPriorities } from '../upstream/tried-priorities.ts';
import type { Cluster, UpstreamHostInfo } from '../upstream/upstream.ts';
import type { Attempt } from './attempt.ts';
import type { Downstream } from './downstream.ts';
import { addBytes } from './record.ts';
import type { RequestStats } from './request-stats.ts';
import type { RetryState, RetryVerdict } from './retry-state.ts';
import type { RouterContext } from './router-context.ts';

/** The part of a `RouterRequest` that knows neither bodies nor answers. */
export class RequestAttempts {
  readonly down: Downstream;
  readonly priority: 'default' | 'high';
  avoidHostMaxAttempts: number;
  /** The limit of one attempt, ms; 0 = none. */
  perTryMs: number;
  /** How long nothing may move on an attempt, ms; 0 = without a limit. */
  protected perTryIdleMs: number;
  /** How long an attempt may last, ms; 0 = without a limit. */
  protected streamMs: number;
  protected readonly router: RouterContext;
  protected readonly route: RouteRules;
  /** Changes when a retry goes elsewhere, as what depends on it does. */
  protected target: CompiledTarget;
  protected cluster: Cluster;
  protected stats: RequestStats;
  /** What retries that go elsewhere go by; `null` = they stay. */
  protected refresh: Refresh | null;
  /** The newest; `null` while the next one waits for its time. */
  protected attempt: Attempt | null;
  /** Older ones under way, as many as there are retries; `null` = none has ever been hedged. */
  protected rivals: Attempt[] | null;
  /** `null` = there is no further attempt. */
  protected retry: RetryState | null;
  protected retryTaken: boolean;
  /** Some attempt has had a limit for how long it may last. */
  private timed: boolean;
  /** The attempt before met its time limit. */
  protected afterTimeout: boolean;

  constructor(
    router: RouterContext,
    down: Downstream,
    route: RouteRules,
    target: CompiledTarget,
    cluster: Cluster,
    stats: RequestStats,
  ) {
    this.down = down;
    this.priority = route.priority;
    this.avoidHostMaxAttempts = 0;
    this.perTryMs = 0;
    this.perTryIdleMs = 0;
    this.streamMs = cluster.model.upstreamStreamDurationMs;
    this.router = router;
    this.route = route;
    this.target = target;
    this.cluster = cluster;
    this.stats = stats;
    this.refresh = null;
    this.attempt = null;
    this.rivals = null;
    this.retry = null;
    this.retryTaken = false;
    this.timed = false;
    this.afterTimeout = false;
  }

  /** What a retry leaves out. */
  get triedPriorities(): TriedPriorities | null {
    return this.retry === null ? null : this.retry.priorities;
  }

  /** Asked from the first retry on. */
  avoidHost(host: UpstreamHostInfo): boolean {
    return this.retry?.avoids(host) === true;
  }

  /** Chooses another cluster for the attempts that follow. @returns false: there is none where the choice has fallen */
  protected goElsewhere(refresh: Refresh, headers: HeaderMap): boolean {
    const { down, route } = this;
    const next = route.weighted?.next(refresh, this.target, down, headers) ?? null;
    if (next === this.target) return true;
    down.target = next;
    const cluster = next === null ? null : next.cluster.current;
    if (next === null || cluster === null) {
      down.upstreamCluster = '';
      return false;
    }
    this.target = next;
    this.cluster = cluster;
    this.stats = this.router.statsFor(cluster, route, down);
    this.streamMs = cluster.model.upstreamStreamDurationMs;
    this.noteCluster();
    return true;
  }

  /** Says in the record where the request goes. */
  protected noteCluster(): void {
    const { down } = this;
    const { statName, name, metadata } = this.cluster.model;
    down.upstreamCluster = statName;
    down.upstreamClusterRaw = name === statName ? '' : name;
    down.clusterMetadata = metadata;
  }

  /** The time of the attempt has come that was decided on. */
  protected beginRetry(): void {
    const { retry } = this;
    if (retry === null) return;
    retry.begin(this.stats);
    retry.noteHost(this.down.upstreamHost);
    if (retry.policy.avoids !== null) this.avoidHostMaxAttempts = retry.policy.hostAttemptsMax;
  }

  /**
   * Decides on another attempt in place of the newest one, and schedules it.
   * @param wants the policy's conditions hold
   * @param status of the answer that is not good enough; 0 = there was none
   */
  protected tryAgain(wants: boolean, status: number): RetryVerdict {
    const verdict = this.decide(wants);
    if (verdict !== 'retry') return verdict;
    const { attempt } = this;
    if (status !== 0 && attempt !== null) {
      this.stats.chargeRetry(status);
      this.noteAttempt(attempt);
      // An answer may be whole before its request is.
      if (!this.down.requestComplete) attempt.stream?.reset();
    }
    attempt?.abandon();
    this.attempt = null;
    this.cancelTryTimers();
    this.timeOldest();
    return verdict;
  }

  /**
   * The newest attempt has met its limit and may still answer: another one is sent after it. Not before the request is
   * whole: what is still to come goes to one attempt alone.
   */
  protected hedge(attempt: Attempt, status: number): void {
    if (!this.down.requestComplete) return;
    attempt.runLate(status);
    this.afterTimeout = true;
    if (this.decide(true) !== 'retry') return;
    attempt.hedged = true;
    this.rivals ??= [];
    this.rivals.push(attempt);
    this.attempt = null;
    this.cancelTryTimers();
  }

  /** Another attempt will do, or may do, better than this one, whose head has come. */
  protected isPassedOver(attempt: Attempt, retry: RetryState, status: number, headers: HeaderMap): boolean {
    let verdict: RetryVerdict;
    if (attempt.hedged) verdict = retry.isRetriable(status, headers) ? 'limit' : 'no';
    else {
      this.afterTimeout = false;
      verdict = this.tryAgain(retry.wantsResponse(status, headers), status);
    }
    if (verdict === 'retry') return true;
    if (verdict === 'no' || !this.leave(attempt)) return false;
    attempt.abandon();
    this.noteAttempt(attempt);
    return true;
  }

  /** An attempt leaves the race without an answer that is good enough. @returns false: it was the last one */
  protected leave(attempt: Attempt): boolean {
    const { rivals } = this;
    if (rivals === null) return false;
    if (attempt !== this.attempt) rivals.splice(rivals.indexOf(attempt), 1);
    else {
      const older = rivals.pop();
      if (older === undefined) return false;
      this.attempt = older;
      this.cancelTryTimers();
    }
    this.timeOldest();
    return true;
  }

  /**
   * The answer of this attempt is the one: the others are not waited for.
   * @returns true when it was not the newest, whose time limits ran until now
   */
  protected win(attempt: Attempt, rivals: Attempt[]): boolean {
    const { attempt: newest, down } = this;
    const older = newest !== attempt;
    if (older) {
      rivals.splice(rivals.indexOf(attempt), 1);
      if (newest !== null) rivals.push(newest);
      this.attempt = attempt;
      down.retryTimer.cancel();
      down.upstreamHost = attempt.host;
      this.cancelTryTimers();
    }
    this.dropRivals();
    this.timeOldest();
    return older;
  }

  /** Times an attempt, which has a connection now, by what its cluster leaves it. */
  protected armDuration(attempt: Attempt, now: number): void {
    if (this.streamMs === 0) return;
    attempt.dueMs = now + this.streamMs;
    this.timed = true;
    this.timeOldest();
  }

  /** The attempt whose time is over first; `null` = none is timed. */
  protected get nextDue(): Attempt | null {
    const { attempt, rivals } = this;
    let due = attempt !== null && attempt.dueMs >= 0 ? attempt : null;
    if (rivals !== null)
      for (const rival of rivals) if (rival.dueMs >= 0 && (due === null || rival.dueMs < due.dueMs)) due = rival;
    return due;
  }

  /** One timer is enough for all attempts. */
  protected timeOldest(): void {
    if (!this.timed) return;
    const due = this.nextDue;
    const { attemptTimer } = this.down;
    if (due === null) attemptTimer.cancel();
    else attemptTimer.arm(Math.max(1, due.dueMs - this.router.runtime.nowMs()));
  }

  /** An attempt is over before its time. */
  protected stopTiming(attempt: Attempt): void {
    attempt.dueMs = -1;
    this.timeOldest();
  }

  /** All attempts are over. */
  protected endTiming(): void {
    if (this.timed) this.down.attemptTimer.cancel();
  }

  /** What limits the newest try must not go on to limit another one. */
  protected cancelTryTimers(): void {
    const { down } = this;
    if (this.perTryMs > 0) down.perTryTimer.cancel();
    if (this.perTryIdleMs > 0) down.perTryIdleTimer.cancel();
  }

  /** The time of a hedged attempt is over, and with it that of the others. */
  protected endRace(attempt: Attempt): void {
    const { attempt: newest, rivals } = this;
    if (newest === attempt) return;
    rivals?.splice(rivals.indexOf(attempt), 1);
    if (newest === null) return;
    newest.abandon();
    this.noteAttempt(newest);
  }

  protected dropRivals(): void {
    if (this.rivals === null) return;
    for (const rival of this.rivals.splice(0)) {
      rival.abandon();
      this.noteAttempt(rival);
    }
  }

  /** No further attempt: the place in the breaker is given back. */
  protected endRetries(): void {
    this.retry?.end(this.priority);
    this.retry = null;
  }

  /** More body than may be kept: this try is the last. */
  protected giveUpRetries(): void {
    this.stats.count(RETRY_OR_SHADOW_ABANDONED);
    this.endRetries();
  }

  /** What an attempt leaves in the record. */
  protected noteAttempt(attempt: Attempt, byLimitOfAll = false): void {
    const { down, stats } = this;
    if (attempt.host !== null) down.upstreamHost = attempt.host;
    if (attempt.stream !== null) addBytes(down, attempt.stream, 1);
    if (stats.histograms === null) return;
    const ms = this.router.runtime.nowMs() - attempt.startMs;
    stats.histograms.onAttemptEnd(attempt, down, ms, this.perTryMs, byLimitOfAll);
  }

  private decide(wants: boolean): RetryVerdict {
    const { retry, down } = this;
    if (retry === null || down.responseStarted) return 'no';
    const verdict = retry.decide(wants, this.cluster, this.priority, this.stats);
    if (verdict === 'retry' && !this.router.allowsRetry()) {
      retry.end(this.priority);
      return 'no';
    }
    if (verdict === 'limit') down.flags |= FLAG_URX;
    else if (verdict === 'overflow') down.flags |= FLAG_UO;
    else if (verdict === 'retry') {
      this.retryTaken = true;
      down.retryTimer.arm(Math.max(1, retry.nextBackOffMs(this.router.runtime.random())));
    }
    return verdict;
  }
}
