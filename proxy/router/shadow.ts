// Mirrored requests: copies that go to another cluster, whose answers nobody waits for.
//
// A copy lives by itself. It has its own attempt, time limit and stats (as in Envoy, those of an internal request of the
// `async-client`), is not retried, and never holds the request it was made from: what a mirror does not take in time is
// kept up to the buffer limit, and beyond it the copy is given up. Of a request that ends before its body does, the copies
// end too.

import { HeaderMap } from '../codec/headers.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import {
  RETRY_OR_SHADOW_ABANDONED,
  UPSTREAM_RQ_MAINTENANCE_MODE,
  UPSTREAM_RQ_MAX_DURATION_REACHED,
  UPSTREAM_RQ_TIMEOUT,
} from '../observe/catalogue-cluster.ts';
import { HTTP_ROUTER, ROUTER_RQ_TOTAL } from '../observe/catalogue-http.ts';
import { NO_CONNECTION } from '../observe/no-connection.ts';
import type { StatsStore } from '../observe/stats.ts';
import { StreamInfo } from '../observe/stream-info.ts';
import { compileMirrors, type MirrorPolicy } from '../route/mirror-policy.ts';
import type {
  Cluster,
  ClusterManager,
  PickContext,
  PoolFailure,
  ResetReason,
  UpstreamStream,
} from '../upstream/upstream.ts';
import { Deadline } from '../util/deadline.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { CodeStats } from './code-stats.ts';
import type { Downstream } from './downstream.ts';
import { failureText } from './failure.ts';
import { KeptBody } from './kept-body.ts';
import { underMaintenance } from './maintenance.ts';

const EMPTY = new Uint8Array(0);

/** What copies need of their surroundings; one per router. */
export interface MirrorEnv {
  readonly clusters: ClusterManager;
  readonly runtimeKeys: RuntimeKeys;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly stats: StatsStore;
  /** What `x-forwarded-for` names us by. */
  readonly localIp: string;
  readonly node: { readonly locality: { readonly zone: string } };
}

/** Makes the copies of a router's requests. */
export class Mirroring {
  readonly env: MirrorEnv;
  private readonly stats: Float64Array;
  private readonly codes: WeakMap<Cluster, CodeStats>;
  private readonly policies: WeakMap<Cluster, readonly MirrorPolicy[] | null>;

  constructor(env: MirrorEnv) {
    this.env = env;
    this.stats = env.stats.block(HTTP_ROUTER, 'http.async-client.');
    this.codes = new WeakMap();
    this.policies = new WeakMap();
  }

  /** The policies of a cluster that has its own. */
  ofCluster(cluster: Cluster): readonly MirrorPolicy[] | null {
    let policies = this.policies.get(cluster);
    if (policies === undefined) {
      policies = compileMirrors(cluster.model.mirrors, this.env.clusters, this.env.runtimeKeys);
      this.policies.set(cluster, policies);
    }
    return policies;
  }

  /**
   * Copies a request whose head is ready to be sent; the copies wait for `start`.
   * @param cluster of the request
   * @param timeoutMs of its route; 0 = none
   * @param announced the head says how long there is
   */
  copy(
    policies: readonly MirrorPolicy[],
    down: Downstream,
    headers: HeaderMap,
    cluster: Cluster,
    timeoutMs: number,
    announced: boolean,
  ): Shadows | null {
    if (down.method === 'CONNECT') return null;
    const copies: Shadow[] = [];
    for (const policy of policies) {
      if (policy.applies !== null && !policy.applies(down.random)) continue;
      const target = policy.target(down, headers)?.current ?? null;
      if (target === null) continue;
      const copied = copyHeaders(headers);
      // A copy has one try, and the time of all for it.
      if (announced && timeoutMs > 0) copied.set('x-envoy-expected-rq-timeout-ms', `${timeoutMs}`);
      if (policy.mutate !== null) policy.mutate(copied, down);
      copied.set('x-envoy-internal', 'true');
      const forwarded = copied.getJoined('x-forwarded-for');
      copied.set('x-forwarded-for', forwarded === null ? this.env.localIp : `${forwarded},${this.env.localIp}`);
      const info = new StreamInfo(NO_CONNECTION, Date.now(), this.env.runtime.nowMs());
      info.protocol = 'HTTP/1.1';
      info.method = down.method;
      info.scheme = down.scheme;
      info.path = down.path;
      info.authority = policy.host !== '' ? policy.host : policy.hostSuffix ? suffixed(down.authority) : down.authority;
      info.requestHeaders = copied;
      copies.push(new Shadow(this, info, target, cluster, timeoutMs, down));
    }
    return copies.length === 0 ? null : new Shadows(copies);
  }

  countStarted(): void {
    this.stats[ROUTER_RQ_TOTAL] = (this.stats[ROUTER_RQ_TOTAL] as number) + 1;
  }

  /** What the copies that a cluster gets are charged to. */
  codeStats(cluster: Cluster): CodeStats {
    let codes = this.codes.get(cluster);
    if (codes === undefined) {
      const { stats, node } = this.env;
      codes = new CodeStats(stats, `cluster.${cluster.model.statName}.`, true, node.locality.zone, cluster.stats);
      this.codes.set(cluster, codes);
    }
    return codes;
  }
}

function copyHeaders(headers: HeaderMap): HeaderMap {
  const copied = new HeaderMap();
  copied.names = headers.names.slice();
  copied.values = headers.values.slice();
  copied.rawNames = headers.rawNames === null ? null : headers.rawNames.slice();
  return copied;
}

/** `a.example:80` → `a.example-shadow:80`. */
function suffixed(authority: string): string {
  const colon = authority.lastIndexOf(':');
  const end = colon > authority.lastIndexOf(']') ? colon : authority.length;
  return `${authority.slice(0, end)}-shadow${authority.slice(end)}`;
}

/** The copies of one request, which are told what it is told. */
export class Shadows {
  private readonly copies: readonly Shadow[];

  constructor(copies: readonly Shadow[]) {
    this.copies = copies;
  }

  /** @param endStream the request has no body */
  start(mirroring: Mirroring, endStream: boolean): void {
    for (const copy of this.copies) {
      mirroring.countStarted();
      copy.start(endStream);
    }
  }

  /** @param chunk is valid during the call */
  onData(chunk: Uint8Array, endStream: boolean): void {
    for (const copy of this.copies) copy.onData(chunk, endStream);
  }

  /** @param trailers `null` = the body has ended without any */
  onTrailers(trailers: HeaderMap | null): void {
    for (const copy of this.copies) copy.onTrailers(trailers);
  }

  /** The request is over: copies that have all of it go on. */
  release(): void {
    for (const copy of this.copies) copy.cancelUnlessWhole();
  }
}

/** One copy. See the head of this file. */
class Shadow implements AttemptOwner, PickContext {
  readonly info: StreamInfo;
  readonly priority: 'default';
  readonly avoidHost: null;
  readonly avoidHostMaxAttempts: number;
  readonly triedPriorities: null;
  readonly freshConnection: boolean;
  readonly isGrpc: boolean;
  private readonly env: MirrorEnv;
  private readonly codes: CodeStats;
  private readonly cluster: Cluster;
  /** The cluster of the request itself. */
  private readonly origin: Cluster;
  private readonly timeoutMs: number;
  private readonly bufferLimitBytes: number;
  private readonly attempt: Attempt;
  private timer: Deadline | null;
  private durationTimer: Deadline | null;
  private headOnly: boolean;
  /** All of the request is here. */
  private whole: boolean;
  /** What came before there was a connection. */
  private kept: KeptBody | null;
  private trailers: HeaderMap | null;
  /** Bytes given to a mirror that had asked to wait. */
  private unreadBytes: number;
  private isFull: boolean;
  private wholeMs: number;
  private over: boolean;

  /**
   * @param cluster gets the copy
   * @param origin the cluster of the request itself
   * @param timeoutMs of the request's route; 0 = none
   */
  constructor(
    mirroring: Mirroring,
    info: StreamInfo,
    cluster: Cluster,
    origin: Cluster,
    timeoutMs: number,
    down: Downstream,
  ) {
    this.info = info;
    this.priority = 'default';
    this.avoidHost = null;
    this.avoidHostMaxAttempts = 0;
    this.triedPriorities = null;
    this.freshConnection = false;
    this.env = mirroring.env;
    this.codes = mirroring.codeStats(cluster);
    this.cluster = cluster;
    this.origin = origin;
    this.timeoutMs = timeoutMs;
    this.bufferLimitBytes = down.bufferLimitBytes;
    this.isGrpc = down.isGrpc;
    this.attempt = new Attempt(this, cluster);
    this.timer = null;
    this.durationTimer = null;
    this.headOnly = false;
    this.whole = false;
    this.kept = null;
    this.trailers = null;
    this.unreadBytes = 0;
    this.isFull = false;
    this.wholeMs = -1;
    this.over = false;
  }

  hash(): boolean {
    return false;
  }

  start(endStream: boolean): void {
    const { cluster } = this;
    if (cluster.model.maintenancePercent > 0 && underMaintenance(cluster, this.env.runtime)) {
      this.codes.charge(503, true, null, false);
      (cluster.stats[UPSTREAM_RQ_MAINTENANCE_MODE] as number)++;
      this.over = true;
      return;
    }
    this.headOnly = endStream;
    if (endStream) this.end();
    this.attempt.start(this, null);
  }

  // === From the request ===

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    if (endStream) this.end();
    const { stream } = this.attempt;
    if (stream === null) {
      if (chunk.length === 0) return;
      this.kept ??= new KeptBody();
      if (this.kept.bytes > this.bufferLimitBytes) this.giveUp();
      else this.kept.add(chunk);
      return;
    }
    this.noteSent(stream.sendData(chunk, endStream), chunk.length);
  }

  onTrailers(trailers: HeaderMap | null): void {
    if (this.over) return;
    this.trailers = trailers === null ? null : copyHeaders(trailers);
    this.end();
    const { stream } = this.attempt;
    if (stream !== null) this.sendEnd(stream);
  }

  cancelUnlessWhole(): void {
    if (!this.whole) this.cancel();
  }

  // === From the attempt ===

  onAttemptReady(attempt: Attempt, stream: UpstreamStream): void {
    const { info, kept, trailers } = this;
    attempt.headSent = true;
    const headers = info.requestHeaders as HeaderMap;
    this.limitDuration();
    stream.sendHead(info.method, info.scheme, info.authority, info.path, headers, this.headOnly);
    if (this.headOnly) return;
    this.kept = null;
    if (kept !== null) this.noteSent(kept.sendTo(stream, this.whole && trailers === null), kept.bytes);
    if (this.whole && (kept === null || trailers !== null)) this.sendEnd(stream);
  }

  onAttemptFailure(_attempt: Attempt, reason: PoolFailure): void {
    this.settle(failureText(reason).status);
  }

  onAttemptReset(_attempt: Attempt, reason: ResetReason): void {
    // What broke off an answer has been charged with the answer.
    if (this.attempt.responseStarted) this.finish();
    else this.settle(failureText(reason).status);
  }

  onAttemptInformational(_attempt: Attempt, status: number): void {
    this.charge(status);
  }

  onAttemptHead(_attempt: Attempt, status: number, _headers: HeaderMap, endStream: boolean): void {
    this.charge(status);
    if (endStream) this.complete();
  }

  onAttemptData(_attempt: Attempt, _chunk: Uint8Array, endStream: boolean): void {
    if (endStream) this.complete();
  }

  onAttemptTrailers(): void {
    this.complete();
  }

  onAttemptDrain(): void {
    this.isFull = false;
    this.unreadBytes = 0;
  }

  // === Inside ===

  private end(): void {
    this.whole = true;
    this.wholeMs = this.env.runtime.nowMs();
    if (this.timeoutMs <= 0) return;
    this.timer = new Deadline(this.env.runtime, this.env.wheel, () => this.onTimeout());
    this.timer.arm(this.timeoutMs);
  }

  private sendEnd(stream: UpstreamStream): void {
    if (this.trailers === null) stream.sendData(EMPTY, true);
    else stream.sendTrailers(this.trailers);
  }

  private noteSent(more: boolean, bytes: number): void {
    if (this.isFull) this.unreadBytes += bytes;
    if (!more) this.isFull = true;
    if (this.unreadBytes > this.bufferLimitBytes) this.giveUp();
  }

  /** The mirror is too slow for the request. */
  private giveUp(): void {
    const { stats } = this.origin;
    stats[RETRY_OR_SHADOW_ABANDONED] = (stats[RETRY_OR_SHADOW_ABANDONED] as number) + 1;
    this.cancel();
  }

  private onTimeout(): void {
    if (this.over) return;
    const { stats } = this.cluster;
    stats[UPSTREAM_RQ_TIMEOUT] = (stats[UPSTREAM_RQ_TIMEOUT] as number) + 1;
    this.attempt.timeOut(504, false);
    this.cancel();
    if (!this.attempt.responseStarted) this.charge(504);
  }

  /** The mirror's cluster says how long an attempt may last. */
  private limitDuration(): void {
    const { upstreamStreamDurationMs } = this.cluster.model;
    if (upstreamStreamDurationMs === 0) return;
    this.durationTimer = new Deadline(this.env.runtime, this.env.wheel, () => this.onDuration());
    this.durationTimer.arm(upstreamStreamDurationMs);
  }

  private onDuration(): void {
    const { stats } = this.cluster;
    stats[UPSTREAM_RQ_MAX_DURATION_REACHED] = (stats[UPSTREAM_RQ_MAX_DURATION_REACHED] as number) + 1;
    this.cancel();
  }

  /** There is no answer. */
  private settle(status: number): void {
    this.finish();
    this.charge(status);
  }

  private charge(status: number): void {
    const { host, canary } = this.attempt;
    this.codes.charge(status, true, host, canary);
  }

  private complete(): void {
    this.finish();
    const { host, canary, stream } = this.attempt;
    if (this.whole) this.codes.recordTime(Math.floor(this.env.runtime.nowMs() - this.wholeMs), true, host, canary);
    else stream?.reset();
  }

  private cancel(): void {
    if (this.over) return;
    this.finish();
    this.attempt.abandon();
  }

  private finish(): void {
    this.over = true;
    this.kept = null;
    this.timer?.cancel();
    this.durationTimer?.cancel();
  }
}
