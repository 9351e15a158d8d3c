// One request on its way through the router: attempts, their time limits, retries, and the body kept for a replay.
//
// States: waiting for a connection or a response head → streaming the response → over. A retry is possible only before
// the response head went downstream and while the whole request body is still held.

import type { HeaderMap } from '../codec/headers.ts';
import {
  UPSTREAM_INTERNAL_REDIRECT_FAILED_TOTAL,
  UPSTREAM_INTERNAL_REDIRECT_SUCCEEDED_TOTAL,
} from '../observe/catalogue-cluster.ts';
import { ROUTER_RQ_OVERLOAD_LOCAL_REPLY } from '../observe/catalogue-http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { CookieSink } from '../route/hash-policy.ts';
import type { MirrorPolicy } from '../route/mirror-policy.ts';
import type { InternalRedirect } from '../route/redirect-policy.ts';
import { applyRequestChanges, rewriteToHost } from '../route/rewrite.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type {
  Cluster,
  PickContext,
  PoolFailure,
  Replay,
  ResetReason,
  UpstreamHostInfo,
  UpstreamStream,
} from '../upstream/upstream.ts';
import type { U64 } from '../util/hash64.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { Downstream } from './downstream.ts';
import { failureText, refuseUnsafe, resetDetails } from './failure.ts';
import { readGrpcTimeout, routeLimit } from './grpc-timeout.ts';
import { followRedirect } from './internal-redirect.ts';
import { addBytes, noteConnection, noteRequestEnd } from './record.ts';
import { mayReplay } from './request-body.ts';
import { EndingRequest } from './request-end.ts';
import type { RequestStats } from './request-stats.ts';
import { RetryState } from './retry-state.ts';
import type { RouterContext } from './router-context.ts';
import { announceTimeouts, type RequestTimeouts, takeOtherStatName, takeTimeoutHeaders } from './timeouts.ts';

/** `:status` and its value. */
const STATUS_FIELD_BYTES = 10;
/** A new connection is stale at once where it is shared, and its other requests are done before this one arrives. */
const REPLAYS_MAX = 3;

/** See the head of this file. */
export class RouterRequest extends EndingRequest implements AttemptOwner, PickContext, CookieSink, RequestTimeouts {
  freshConnection: boolean;

  /** How often the request was sent again after a stale connection had swallowed it. */
  private replays: number;
  private beganMs: number;
  /** Its route follows redirects, and all of the body is kept for one. */
  private redirectable: boolean;
  /** `set-cookie` values for the answer; `null` = none. */
  private newCookies: string[] | null;
  private responseHeld: boolean;
  /** The upstream has agreed to an upgrade: bytes flow both ways until a side closes. */
  private tunnel: boolean;

  constructor(
    router: RouterContext,
    down: Downstream,
    route: RouteRules,
    target: CompiledTarget,
    cluster: Cluster,
    stats: RequestStats,
  ) {
    super(router, down, route, target, cluster, stats);
    this.freshConnection = false;
    this.replays = 0;
    this.beganMs = 0;
    this.redirectable = route.internalRedirect !== null;
    this.newCookies = null;
    this.responseHeld = false;
    this.tunnel = false;
  }

  /** The record, for balancers. */
  get info(): StreamInfo {
    return this.down;
  }

  get isGrpc(): boolean {
    return this.down.isGrpc;
  }

  hash(out: U64): boolean {
    const { down, route, cluster, router } = this;
    const policy = router.hashPolicies.of(cluster) ?? route.hashPolicy;
    const headers = down.requestHeaders;
    return policy !== null && headers !== null && policy(down, headers, this, out);
  }

  addSetCookie(value: string): void {
    this.newCookies ??= [];
    this.newCookies.push(value);
  }

  /** Prepares the request's head once and starts the first attempt. */
  begin(headers: HeaderMap, endStream: boolean): void {
    const { down, route, target } = this;
    this.beganMs = this.router.runtime.nowMs();
    this.internal = down.internal;
    this.body.headOnly = endStream;
    this.body.ended = endStream;
    this.noteCluster();
    const policy = route.retryPolicy;
    if (policy !== null) {
      this.perTryMs = policy.perTryTimeoutMs;
      this.perTryIdleMs = policy.perTryIdleTimeoutMs;
    }
    if (route.grpcLimits !== null && down.isGrpc)
      this.globalMs = routeLimit(readGrpcTimeout(headers), route.grpcLimits);
    const { cluster, router } = this;
    if (down.hasEnvoyHeaders) {
      takeTimeoutHeaders(headers, this, router.model.respectExpectedRqTimeout);
      const other = takeOtherStatName(headers);
      if (other !== '') this.otherStats = router.otherStatsFor(cluster, other);
    }
    const own = cluster.model.retry === null ? null : router.retryPolicyOf(cluster, cluster.model.retry);
    const retries = own ?? policy;
    if (retries?.refreshCluster === true && route.weighted !== null)
      this.refresh = route.weighted.remember(down, headers, down.random);
    if (this.perTryMs >= this.globalMs && this.globalMs !== 0) this.perTryMs = 0;
    this.announceTimeouts(headers, 0);
    this.countAttempt(headers);
    applyRequestChanges(route, target, down, headers, !this.router.model.suppressEnvoyHeaders);
    const asks = down.hasEnvoyHeaders || target.addsEnvoyHeaders;
    if (retries !== null || asks)
      this.retry = RetryState.create(retries ?? router.headersOnlyPolicy, down, headers, asks);
    if (down.unsafeHeader !== '') {
      refuseUnsafe(down);
      return;
    }
    if (router.shed?.sheds() === true) {
      router.count(ROUTER_RQ_OVERLOAD_LOCAL_REPLY);
      this.finish();
      down.localReply(503, 'envoy overloaded', 'overload', null);
      return;
    }
    const mirrors = cluster.model.mirrors.length === 0 ? route.mirrors : router.mirroring.ofCluster(cluster);
    if (mirrors === null) this.startAttempt(headers, this.beganMs);
    else this.startMirrored(mirrors, headers, endStream);
    if (endStream && !this.over) this.onRequestEnd();
  }

  // === From downstream ===

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    const forReplay = (this.retry !== null || this.redirectable) && !this.down.responseStarted;
    const stream = this.attempt?.stream ?? null;
    if (!this.body.keep(stream, chunk, forReplay)) {
      this.giveUpRetries();
      this.redirectable = false;
      if (this.attempt === null) {
        this.failWithoutRoom();
        return;
      }
    }
    this.body.pass(stream, chunk, endStream);
    if (this.shadows !== null) this.shadows.onData(chunk, endStream);
    if (endStream) this.onRequestEnd();
  }

  onTrailers(trailers: HeaderMap | null): void {
    if (this.over) return;
    this.body.end(this.attempt?.stream ?? null, trailers);
    if (this.shadows !== null) this.shadows.onTrailers(trailers);
    this.onRequestEnd();
  }

  /** The peer went away or the stream was answered otherwise: nothing more is wanted from upstream. */
  cancel(): void {
    if (this.over) return;
    this.finish();
    // What is sent to be rid of the stream is nobody's traffic.
    if (this.attempt !== null) this.noteAttempt(this.attempt);
    this.attempt?.abandon();
  }

  /** The peer reads again. */
  onDownstreamDrain(): void {
    if (!this.responseHeld) return;
    this.responseHeld = false;
    this.attempt?.stream?.release();
  }

  /** The back-off is over. */
  onRetryTimer(): void {
    const headers = this.down.requestHeaders;
    if (this.over || headers === null) return;
    this.countAttempt(headers);
    if (this.refresh !== null && !this.goElsewhere(this.refresh, headers)) {
      this.failWithoutHost();
      return;
    }
    this.beginRetry();
    const now = this.router.runtime.nowMs();
    this.announceTimeouts(headers, now - this.beganMs);
    this.startAttempt(headers, now);
  }

  /** Adds what the running attempt has moved so far, or takes it off again, around a record of a request under way. */
  countRunning(sign: 1 | -1): void {
    const stream = this.attempt?.stream ?? null;
    if (stream !== null && !this.over) addBytes(this.down, stream, sign);
  }

  // === From the attempt ===

  onAttemptReady(attempt: Attempt, stream: UpstreamStream): void {
    const { down } = this;
    const headers = down.requestHeaders;
    if (headers === null) return;
    const now = this.router.runtime.nowMs();
    noteConnection(down, stream, now, attempt.startMs, this.body.ended && !this.body.paused);
    if (down.matchesUpstreamScheme) down.scheme = 'http';
    // What we send again ourselves, unlike a retry, has its name already.
    if (this.route.autoHostRewrite && (this.replays === 0 || down.authority !== stream.host.hostname))
      rewriteToHost(this.route, down, headers, stream.host.hostname, !this.router.model.suppressEnvoyHeaders);
    attempt.headSent = true;
    this.stats.countAttempt();
    this.armDuration(attempt, now);
    // A head may be answered at once, from inside.
    const { body } = this;
    const { paused } = body;
    stream.sendHead(down.method, down.scheme, down.authority, down.path, headers, body.headOnly);
    if (!body.headOnly && !paused) body.sendTo(stream, this.retry === null && !this.redirectable);
    if (body.ended && attempt === this.attempt) this.armPerTry();
    if (!paused) body.release();
  }

  onAttemptFailure(
    attempt: Attempt,
    reason: PoolFailure,
    transportFailure: string,
    host: UpstreamHostInfo | null,
  ): void {
    if (host !== null) this.down.upstreamHost = host;
    if (reason !== 'no_healthy_host') this.down.upstreamPoolWaitMs = this.router.runtime.nowMs() - attempt.startMs;
    if (this.stats.histograms !== null) this.noteAttempt(attempt);
    if (reason === 'no_healthy_host') this.failWithoutHost();
    else this.onFailure(attempt, reason, transportFailure);
  }

  onAttemptReset(attempt: Attempt, reason: ResetReason, transportFailure: string, replay: Replay): void {
    this.noteAttempt(attempt);
    const headers = this.down.requestHeaders;
    const may = this.replays < REPLAYS_MAX && !attempt.hedged && !attempt.begun;
    if (may && headers !== null && mayReplay(replay, this.body, this.down.method)) this.replay(headers);
    else this.onFailure(attempt, reason, transportFailure);
  }

  onAttemptInformational(attempt: Attempt, status: number, headers: HeaderMap): void {
    // What the client is told of an attempt binds it to that one.
    this.endRetries();
    if (this.rivals !== null && this.win(attempt, this.rivals)) this.armPerTryIdle();
    this.charge(status, attempt);
    this.down.respondInformational(status, headers);
  }

  onAttemptHead(attempt: Attempt, status: number, headers: HeaderMap, endStream: boolean): void {
    const { down, route, target, retry } = this;
    const now = this.router.runtime.nowMs();
    if (down.upgrade !== '') {
      this.tunnel = down.upgrade === 'connect' ? status >= 200 && status < 300 : status === 101;
      if (!this.tunnel && down.upgrade !== 'connect' && status < 400 && attempt.stream?.protocol === 'HTTP/1.1') {
        this.refuseUpgrade(attempt, status, headers);
        return;
      }
    }
    if (this.stats.histograms !== null) {
      attempt.responseHeadBytes = headers.byteSize() + STATUS_FIELD_BYTES;
      attempt.responseHeadFields = headers.size + 1;
    }
    if (attempt === this.attempt) {
      down.perTryTimer.cancel();
      this.armPerTryIdle();
    }
    if (retry !== null) {
      if (this.isPassedOver(attempt, retry, status, headers)) return;
      this.endRetries();
    }
    if (this.rivals !== null && this.win(attempt, this.rivals)) this.armPerTryIdle();
    if (route.internalRedirect !== null && this.follow(route.internalRedirect, attempt, status, headers)) return;
    if (retry !== null && !this.body.paused) this.body.forget();
    down.upstreamRxStartMs = now;
    if (!this.router.model.suppressEnvoyHeaders && down.requestRxEndMs >= 0)
      headers.set('x-envoy-upstream-service-time', `${Math.floor(now - down.requestRxEndMs)}`);
    if (route.includeAttemptCountInResponse) headers.set('x-envoy-attempt-count', `${down.attemptCount}`);
    this.charge(status, attempt);
    if (this.newCookies !== null) for (const cookie of this.newCookies) headers.add('set-cookie', cookie);
    down.details = 'via_upstream';
    down.status = status;
    down.responseHeaders = headers;
    if (target.mutateResponse !== null) target.mutateResponse(headers, down);
    if (endStream) this.complete(now);
    down.respondHead(status, headers, endStream);
    if (this.tunnel && this.body.paused && !this.over) this.openTunnel(attempt);
  }

  /** @returns true when the answer is a redirect that became a request of its own; nothing else is told of it */
  private follow(policy: InternalRedirect, attempt: Attempt, status: number, headers: HeaderMap): boolean {
    const { down, body, redirectable } = this;
    this.redirectable = false;
    if (!policy.codes.has(status)) {
      if (!body.paused) body.forget();
      return false;
    }
    const { method } = down;
    const sent = down.requestHeaders;
    const followed =
      redirectable && body.ended && sent !== null && followRedirect(policy, down, sent, status, headers, this.router);
    this.stats.count(followed ? UPSTREAM_INTERNAL_REDIRECT_SUCCEEDED_TOTAL : UPSTREAM_INTERNAL_REDIRECT_FAILED_TOTAL);
    if (!followed) return false;
    attempt.abandon();
    this.noteAttempt(attempt);
    const kept = body.take();
    this.finish();
    down.details = 'internal_redirect';
    down.status = status;
    down.responseHeaders = headers;
    down.restart(down.method === method ? kept : null);
    return true;
  }

  /** The upstream has agreed: what waited for that may go. */
  private openTunnel(attempt: Attempt): void {
    this.body.paused = false;
    if (attempt.stream !== null && !this.body.headOnly) this.body.sendTo(attempt.stream, true);
    this.body.release();
  }

  onAttemptData(attempt: Attempt, chunk: Uint8Array, endStream: boolean): void {
    if (endStream && this.tunnel && attempt.stream?.protocol === 'HTTP/1.1') {
      this.endUpgrade(chunk);
      return;
    }
    const { down } = this;
    const now = endStream || down.upstreamRxBodyStartMs < 0 ? this.router.runtime.nowMs() : 0;
    if (down.upstreamRxBodyStartMs < 0) down.upstreamRxBodyStartMs = now;
    if (endStream) this.complete(now);
    else this.armPerTryIdle();
    if (!down.respondData(chunk, endStream) && !endStream) {
      this.responseHeld = true;
      attempt.stream?.hold();
    }
  }

  onAttemptTrailers(_attempt: Attempt, trailers: HeaderMap): void {
    this.complete(this.router.runtime.nowMs());
    this.down.respondTrailers(trailers);
  }

  /** HTTP/1: the upstream answered an upgrade with neither a switch nor an error; its head is passed on, its body not. */
  private refuseUpgrade(attempt: Attempt, status: number, headers: HeaderMap): void {
    attempt.abandon();
    this.noteAttempt(attempt);
    this.finish();
    headers.remove('content-length');
    this.down.localReply(status, '', 'websocket_handshake_unsuccessful', (reply) => reply.setAll(headers));
  }

  /** HTTP/1: an upgraded stream has no end of its own, the upstream has closed its connection. */
  private endUpgrade(last: Uint8Array): void {
    if (last.length > 0) this.down.respondData(last, false);
    const { flag, reason } = failureText('connection_termination');
    this.fail(flag, 503, '', resetDetails(true, reason, ''));
  }

  onAttemptDrain(_attempt: Attempt): void {
    this.body.release();
  }

  // === Inside ===

  /** Whatever the route adds to a request can tell which attempt it is. */
  private countAttempt(headers: HeaderMap): void {
    const { down } = this;
    down.attemptCount++;
    if (this.route.includeAttemptCount) headers.set('x-envoy-attempt-count', `${down.attemptCount}`);
  }

  private startAttempt(headers: HeaderMap, nowMs: number): void {
    const { down, route } = this;
    if (down.attemptCount > 1 && route.includeIsTimeoutRetryHeader)
      headers.set('x-envoy-is-timeout-retry', this.afterTimeout ? 'true' : 'false');
    const attempt = new Attempt(this, this.cluster);
    this.attempt = attempt;
    attempt.startMs = nowMs;
    attempt.start(this, route.connect);
    if (attempt.host !== null) down.upstreamHost = attempt.host;
  }

  /** The request goes first. One that failed at once has nothing to be compared with, and is not copied. */
  private startMirrored(mirrors: readonly MirrorPolicy[], headers: HeaderMap, endStream: boolean): void {
    const { down, router } = this;
    const shadows = router.mirroring.copy(
      mirrors,
      down,
      headers,
      this.cluster,
      this.globalMs,
      !router.model.suppressEnvoyHeaders,
    );
    this.startAttempt(headers, this.beganMs);
    if (shadows === null || this.over) return;
    this.shadows = shadows;
    shadows.start(router.mirroring, endStream);
  }

  private onRequestEnd(): void {
    if (this.over) return;
    if (this.globalMs > 0) this.down.routeTimer.arm(this.globalMs);
    if (this.attempt?.headSent !== true) return;
    if (!this.body.paused) noteRequestEnd(this.down);
    this.armPerTry();
  }

  /**
   * A kept-alive connection that died before a byte came back, or that its peer was leaving, says nothing about this
   * request, which is sent again, on a new connection and without counting a retry. Seldom more than once: what kills a
   * connection that has carried nothing else is the request itself.
   */
  private replay(headers: HeaderMap): void {
    this.replays++;
    this.stats.countReplay();
    this.cancelTryTimers();
    if (this.attempt !== null) this.stopTiming(this.attempt);
    this.freshConnection = true;
    this.startAttempt(headers, this.router.runtime.nowMs());
    this.freshConnection = false;
  }

  private announceTimeouts(headers: HeaderMap, elapsedMs: number): void {
    const { route, down } = this;
    const silent = this.router.model.suppressEnvoyHeaders;
    announceTimeouts(headers, this, elapsedMs, route.grpcLimits !== null && down.isGrpc, silent);
  }
}
