// The TCP proxy: which cluster each connection goes to, for how long, and what is left to send when clients are gone.

import type { Socket } from 'node:net';
import type { TcpProxyModel } from '../config/model/listener.ts';
import type { Transport } from '../net/transport.ts';
import { HTTP_ROUTER } from '../observe/catalogue-http.ts';
import * as stat from '../observe/catalogue-listener.ts';
import { type ConnectionInfo, type ProxyHeaderInfo, StreamInfo } from '../observe/stream-info.ts';
import { compileHashPolicies, type HashPolicy } from '../route/hash-policy.ts';
import { compileTlvs, type TlvValues } from '../upstream/tlv-values.ts';
import type { ClusterRef, TcpLease } from '../upstream/upstream.ts';
import { add } from './count.ts';
import type { NetworkFilter } from './network-filter.ts';
import { objectOf, type SessionOwner, type TcpLogs, type TcpProxyEnv, TcpSession } from './tcp-session.ts';
import { compileTunnel, type TunnelPlan } from './tunnel.ts';
import { UpstreamFlush } from './upstream-flush.ts';

const CLUSTER_OBJECT = 'envoy.tcp_proxy.cluster';

/** One TCP proxy filter of one chain in one worker. */
export class TcpProxy implements NetworkFilter, SessionOwner {
  readonly model: TcpProxyModel;
  readonly env: TcpProxyEnv;
  private readonly clusters: readonly { readonly ref: ClusterRef; readonly weight: number }[];
  private readonly totalWeight: number;
  readonly stats: Float64Array;
  readonly logs: TcpLogs;
  /** What consistent hashing goes by; `null` = nothing. */
  readonly hashPolicy: HashPolicy | null;
  /** `null` = connections of their own. */
  readonly tunnel: TunnelPlan | null;
  private readonly tlvs: TlvValues;
  private readonly sessions: Set<TcpSession>;
  private readonly flushes: Set<UpstreamFlush>;

  constructor(model: TcpProxyModel, env: TcpProxyEnv, logs: TcpLogs) {
    this.model = model;
    this.env = env;
    this.clusters = model.clusters.map(({ name, weight }) => ({ ref: env.clusters.ref(name), weight }));
    this.totalWeight = model.clusters.reduce((sum, { weight }) => sum + weight, 0);
    this.stats = env.stats.block(stat.TCP_PROXY, `tcp.${model.statPrefix}.`);
    this.logs = logs;
    this.hashPolicy = compileHashPolicies(model.hashPolicy);
    this.tunnel = model.tunnel === null ? null : compileTunnel(model.tunnel);
    // Nothing counts there unless HTTP filters run in tunnels; Envoy shows them all the same.
    if (this.tunnel !== null) env.stats.block(HTTP_ROUTER, `tcp.${model.statPrefix}.tcpproxy_tunneling.`);
    this.tlvs = compileTlvs(model.tlvs);
    this.sessions = new Set();
    this.flushes = new Set();
  }

  /** The cluster of one connection: what a filter said, or drawn by weight. */
  pickCluster(connection: ConnectionInfo): ClusterRef {
    const kept = objectOf(connection, CLUSTER_OBJECT, 'cluster');
    if (kept !== null) return this.env.clusters.find(kept);
    if (connection.tcpCluster !== undefined && connection.tcpCluster !== '')
      return this.env.clusters.find(connection.tcpCluster);
    const [first] = this.clusters;
    if (first === undefined) throw new Error('a TCP proxy without clusters was lowered');
    if (this.clusters.length === 1) return first.ref;
    let left = Math.floor(this.env.runtime.random() * this.totalWeight);
    for (const { ref, weight } of this.clusters) {
      if (left < weight) return ref;
      left -= weight;
    }
    return first.ref;
  }

  /** How long the next connection may live, milliseconds. */
  durationMs(): number {
    const { maxDownstreamConnectionDurationMs: ms, maxDurationJitterPercent } = this.model;
    if (maxDurationJitterPercent === 0) return ms;
    return ms + Math.floor(this.env.runtime.random() * ((ms * maxDurationJitterPercent) / 100));
  }

  /** The wait behind the n-th failed attempt, milliseconds: at least one, as the timers have it. */
  backoffMs(failed: number): number {
    const { backoff } = this.model;
    if (backoff === null) return 1;
    const interval = Math.min(backoff.baseMs * 2 ** (failed - 1), backoff.maxMs);
    return Math.max(1, Math.floor(this.env.runtime.random() * interval));
  }

  get activeConnections(): number {
    return this.sessions.size;
  }

  accept(socket: Socket, connection: ConnectionInfo, onClosed: (record?: StreamInfo) => void): void {
    const session = new TcpSession(this, socket, connection, (record) => {
      this.sessions.delete(session);
      onClosed(record);
    });
    this.sessions.add(session);
    session.start();
  }

  /** Before the first attempt: what PROXY headers towards hosts may say beside addresses. */
  tellHosts(info: StreamInfo): void {
    if (this.model.tlvs.length === 0) return;
    const came = info.connection.proxyHeader ?? null;
    if (came !== null && this.model.tlvMerge === 'if_absent') return;
    const { fixed, render } = this.tlvs;
    const tlvs = render === null ? fixed : [...fixed, ...render(info)];
    info.connection.proxyHeader = { tlvs: came === null ? tlvs : this.merged(came.tlvs, tlvs) };
  }

  private merged(came: ProxyHeaderInfo['tlvs'], tlvs: ProxyHeaderInfo['tlvs']): ProxyHeaderInfo['tlvs'] {
    if (this.model.tlvMerge === 'append') return [...came, ...tlvs];
    return [...tlvs, ...came.filter(({ type }) => !tlvs.some((own) => own.type === type))];
  }

  refused(connection: ConnectionInfo, flags: number): StreamInfo {
    const { runtime } = this.env;
    add(this.stats, stat.TCP_DOWNSTREAM_CX_TOTAL, 1);
    const info = new StreamInfo(connection, Date.now(), connection.startedMs);
    info.remoteAddress = connection.directRemoteAddress;
    info.flags |= flags;
    info.endMs = runtime.nowMs();
    if (this.logs.end !== null) this.logs.end(info);
    return info;
  }

  /** Sends what is buffered for an upstream, whose client is gone, and closes it. */
  flush(upstream: Transport, lease: TcpLease): void {
    const { stats, env, model } = this;
    const flush = new UpstreamFlush(
      { stats, wheel: env.wheel, idleTimeoutMs: model.idleTimeoutMs },
      upstream,
      lease,
      () => this.flushes.delete(flush),
    );
    this.flushes.add(flush);
  }

  /** A byte stream has no point at which it could be asked to end: it runs on until the grace is over. */
  drain(): void {}

  closeAll(): void {
    for (const session of [...this.sessions]) session.closeLocally('');
    for (const flush of [...this.flushes]) flush.cancel();
  }
}
