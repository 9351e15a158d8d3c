// The TCP proxy: joins each downstream connection with one connection to a cluster, byte for byte, half-closes included.
//
// Nothing is read from the client before the upstream is connected, so that a failed attempt can be repeated elsewhere.
// Each side is held while the other's send buffer is above its high watermark.

import type { Socket } from 'node:net';
import { HeaderMap } from '../codec/headers.ts';
import type { TcpProxyModel } from '../config/model.ts';
import { Transport, type TransportHandler } from '../net/transport.ts';
import {
  UPSTREAM_CX_CONNECT_ATTEMPTS_EXCEEDED,
  UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import { HTTP_ROUTER } from '../observe/catalogue-http.ts';
import * as stat from '../observe/catalogue-listener.ts';
import { type FilterStateObject, readObject } from '../observe/filter-state.ts';
import { FLAG_DT, FLAG_NC, FLAG_UF, FLAG_UH, FLAG_UO, FLAG_UR, FLAG_URX } from '../observe/flags.ts';
import type { StatsStore } from '../observe/stats.ts';
import { type ConnectionInfo, StreamInfo, type UpstreamHostInfo } from '../observe/stream-info.ts';
import { compileHashPolicies, type HashPolicy } from '../router/hash-policy.ts';
import { noteConnection } from '../router/record.ts';
import { monitorOf } from '../upstream/host.ts';
import type {
  Cluster,
  ClusterManager,
  ClusterRef,
  PendingStream,
  PoolFailure,
  TcpHandler,
  TcpLease,
  UpstreamStream,
} from '../upstream/upstream.ts';
import { Deadline } from '../util/deadline.ts';
import type { U64 } from '../util/hash64.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel, WheelTimer } from '../util/timer-wheel.ts';
import { add } from './count.ts';
import type { NetworkFilter } from './network-filter.ts';
import { compileTunnel, Tunnel, type TunnelOwner, type TunnelPlan } from './tunnel.ts';
import { UpstreamFlush } from './upstream-flush.ts';

/** Writes a record of a connection; `null` = this kind of record is not kept. */
type Log = ((info: StreamInfo) => void) | null;

/** The records of a connection, by when they are written. */
export interface TcpLogs {
  readonly end: Log;
  readonly start: Log;
  readonly connected: Log;
  readonly periodic: Log;
}

/** What a TCP proxy needs of its worker. */
export interface TcpProxyEnv {
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly clusters: ClusterManager;
}

/** Numbers of Envoy's `UpstreamFailureReason`, which its close reasons print. */
const CONNECT_FAILED = 0;
const NO_HEALTHY_UPSTREAM = 1;
const RESOURCE_LIMIT_EXCEEDED = 2;
const NO_ROUTE = 3;
const NO_HEADERS = new HeaderMap();
type InitFailure = 0 | 1 | 2 | 3;

/** One TCP proxy filter of one chain in one worker. */
export class TcpProxy implements NetworkFilter {
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

// Objects of the filter state that decide.
const CLUSTER_OBJECT = 'envoy.tcp_proxy.cluster';
const NO_TUNNEL_OBJECT = 'envoy.tcp_proxy.disable_tunneling';
/** More than this is for ever: 24 days. */
const IDLE_MS_MAX = 0x7fff_ffff;
const IDLE_OBJECT = 'envoy.tcp_proxy.per_connection_idle_timeout_ms';

/** Text of an object that a filter before the proxy keeps; `null` = there is none. */
function objectOf(connection: ConnectionInfo, key: string, is: FilterStateObject['is']): string | null {
  const state = connection.filterState ?? null;
  return state === null ? null : readObject({ filterState: null, connection }, key, is);
}

/** One downstream connection and its upstream. The session is the handler of the downstream transport. */
class TcpSession implements TransportHandler, TcpHandler, TunnelOwner {
  readonly info: StreamInfo;
  readonly priority = 'default';
  readonly avoidHost = null;
  readonly avoidHostMaxAttempts = 0;
  readonly freshConnection = false;
  private readonly proxy: TcpProxy;
  private readonly connection: ConnectionInfo;
  private readonly downstream: Transport;
  private readonly onOver: (record: StreamInfo) => void;
  private readonly maxDuration: Deadline | null;
  private readonly logTimer: Deadline | null;
  private readonly idle: WheelTimer | null;
  private readonly idleTimeoutMs: number;
  private readonly target: ClusterRef;
  private cluster: Cluster | null;
  private pending: PendingStream | null;
  private upstream: Transport | null;
  /** Instead of `upstream`; also while it is being asked for. */
  private tunnel: Tunnel | null;
  private lease: TcpLease | null;
  private downstreamEnded: boolean;
  private upstreamEnded: boolean;
  /** The upstream's end was the last one: it closed the connection, not we. */
  private closedByUpstream: boolean;
  private holdsDownstream: boolean;
  private holdsUpstream: boolean;
  private over: boolean;

  constructor(proxy: TcpProxy, socket: Socket, connection: ConnectionInfo, onOver: (record: StreamInfo) => void) {
    const { runtime, wheel } = proxy.env;
    const { maxDownstreamConnectionDurationMs } = proxy.model;
    const keptMs = Math.min(IDLE_MS_MAX, Number(objectOf(connection, IDLE_OBJECT, 'number') ?? 0));
    const idleTimeoutMs = keptMs > 0 ? keptMs : proxy.model.idleTimeoutMs;
    this.idleTimeoutMs = idleTimeoutMs;
    this.info = new StreamInfo(connection, Date.now(), runtime.nowMs());
    this.info.remoteAddress = connection.remoteAddress;
    this.info.dynamicMetadata = connection.dynamicMetadata ?? null;
    if (connection.transportFailureReason === '') connection.transportFailureReason = connection.inspectorFailure ?? '';
    this.info.upstreamDetectedCloseType = 'Normal';
    this.proxy = proxy;
    this.connection = connection;
    this.downstream = new Transport(socket, this);
    this.onOver = onOver;
    this.maxDuration =
      maxDownstreamConnectionDurationMs > 0 ? new Deadline(runtime, wheel, () => this.onMaxDuration()) : null;
    this.logTimer = proxy.logs.periodic === null ? null : new Deadline(runtime, wheel, () => this.onLogTimer());
    this.idle = idleTimeoutMs > 0 ? wheel.timer(() => this.onIdle()) : null;
    this.target = proxy.pickCluster(connection);
    this.cluster = null;
    this.pending = null;
    this.upstream = null;
    this.tunnel = null;
    this.lease = null;
    this.downstreamEnded = false;
    this.upstreamEnded = false;
    this.closedByUpstream = false;
    this.holdsDownstream = false;
    this.holdsUpstream = false;
    this.over = false;
  }

  start(): void {
    const { proxy } = this;
    add(proxy.stats, stat.TCP_DOWNSTREAM_CX_TOTAL, 1);
    this.downstream.hold();
    this.maxDuration?.arm(proxy.model.maxDownstreamConnectionDurationMs);
    this.logTimer?.arm(proxy.model.accessLogFlushIntervalMs);
    if (proxy.logs.start !== null) proxy.logs.start(this.info);
    this.connectUpstream();
  }

  /** Closes from our side; unsent bytes are dropped. `reason` is Envoy's, empty when it has none. */
  closeLocally(reason: string): void {
    if (this.over) return;
    this.connection.localCloseReason = reason;
    this.info.upstreamLocalCloseReason = this.upstream === null ? '' : reason;
    this.finish();
    this.upstream?.destroy();
    this.downstream.destroy();
  }

  // === Downstream ===

  onData(chunk: Buffer): void {
    const upstream = this.upstream ?? this.tunnel;
    if (upstream === null) return;
    const bytes = chunk.length;
    this.info.requestBodyBytes += bytes;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_CX_RX_BYTES_TOTAL, bytes);
    this.lease?.sent(bytes);
    this.idle?.refresh();
    if (upstream.write(chunk) || this.holdsDownstream) return;
    this.holdsDownstream = true;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL, 1);
    this.downstream.hold();
  }

  onEnd(): void {
    this.downstreamEnded = true;
    this.idle?.refresh();
    if (this.tunnel !== null) this.tunnel.end();
    else this.upstream?.end();
    if (this.upstreamEnded) this.downstream.closeSoon();
  }

  onDrain(): void {
    this.idle?.refresh();
    if (!this.holdsUpstream) return;
    this.holdsUpstream = false;
    if (this.tunnel !== null) {
      this.tunnel.release();
      return;
    }
    this.countUpstreamFlow(UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL);
    this.upstream?.release();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.over) return;
    if (error !== null) this.connection.detectedCloseType = 'RemoteReset';
    const { upstream, lease } = this;
    if (upstream === null || lease === null || upstream.closed) {
      this.finish();
      return;
    }
    const flushes = error === null && upstream.bufferedBytes > 0;
    if (flushes) this.lease = null;
    this.finish();
    if (flushes) this.proxy.flush(upstream, lease);
    // The upstream must not take what it has got for the whole of it.
    else if (error !== null) upstream.reset();
    else upstream.closeSoon();
  }

  // === Upstream ===

  onTcpReady(transport: Transport, host: UpstreamHostInfo, lease: TcpLease): void {
    this.pending = null;
    monitorOf(host)?.onConnectedFinally();
    this.lease = lease;
    this.upstream = transport;
    transport.handler = new UpstreamSide(this);
    const { info } = this;
    info.attemptCount++;
    info.upstreamHost = host;
    info.upstreamConnectionId = lease.connectionId;
    info.upstreamConnectStartMs = lease.connectStartMs;
    info.upstreamConnectEndMs = lease.connectEndMs;
    info.upstreamPoolReadyMs = lease.connectEndMs;
    info.upstreamTls = transport.tls;
    if (transport.tls !== null) info.upstreamHandshakeEndMs = lease.connectEndMs;
    info.upstreamLocalAddress = transport.localAddress;
    info.upstreamRemoteAddress = lease.remoteAddress;
    this.onConnected();
  }

  onTcpFailure(reason: PoolFailure, transportFailureReason: string, host: UpstreamHostInfo | null): void {
    this.pending = null;
    this.tunnel = null;
    const { info } = this;
    if (reason === 'no_healthy_host') {
      info.flags |= FLAG_UH;
      this.failInit(NO_HEALTHY_UPSTREAM);
      return;
    }
    if (reason === 'overflow') {
      info.flags |= FLAG_UO;
      this.failInit(RESOURCE_LIMIT_EXCEEDED);
      return;
    }
    info.upstreamHost = host;
    if (reason === 'connect_failure') monitorOf(host)?.onUnreachable();
    else if (reason === 'connect_timeout') monitorOf(host)?.onTimeout(504);
    info.attemptCount++;
    info.flags |= FLAG_UF;
    info.upstreamTransportFailureReason = transportFailureReason.replaceAll(' ', '_');
    this.connectUpstream();
  }

  onTunnelReady(stream: UpstreamStream): void {
    const { info } = this;
    info.attemptCount++;
    monitorOf(stream.host)?.onConnectedFinally();
    noteConnection(info, stream, this.proxy.env.runtime.nowMs());
    // A TCP proxy's record has no protocol.
    info.upstreamProtocol = '';
    this.onConnected();
  }

  private onConnected(): void {
    this.idle?.start(this.idleTimeoutMs);
    if (this.proxy.logs.connected !== null) this.proxy.logs.connected(this.info);
    this.downstream.release();
  }

  onUpstreamData(chunk: Uint8Array): void {
    const bytes = chunk.length;
    this.info.responseBodyBytes += bytes;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_CX_TX_BYTES_TOTAL, bytes);
    this.lease?.received(bytes);
    this.idle?.refresh();
    if (this.downstream.write(chunk) || this.holdsUpstream) return;
    this.holdsUpstream = true;
    if (this.tunnel !== null) {
      this.tunnel.hold();
      return;
    }
    this.countUpstreamFlow(UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL);
    this.upstream?.hold();
  }

  onUpstreamEnd(): void {
    this.upstreamEnded = true;
    this.closedByUpstream = this.downstreamEnded;
    this.idle?.refresh();
    if (this.downstreamEnded) this.downstream.closeSoon();
    else this.downstream.end();
  }

  onUpstreamDrain(): void {
    this.idle?.refresh();
    if (!this.holdsDownstream) return;
    this.holdsDownstream = false;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL, 1);
    this.downstream.release();
  }

  onUpstreamClose(error: NodeJS.ErrnoException | null): void {
    if (this.over) return;
    if (error === null) this.downstream.closeSoon();
    else this.onUpstreamReset();
  }

  onUpstreamReset(): void {
    if (this.over) return;
    this.info.flags |= FLAG_UR;
    this.info.upstreamDetectedCloseType = 'RemoteReset';
    this.connection.detectedCloseType = 'LocalReset';
    this.closedByUpstream = true;
    this.finish();
    this.downstream.reset();
  }

  // === Life ===

  /** Tries the cluster until it connects, fails for good, or the attempts are used up. */
  private connectUpstream(): void {
    const { info, proxy } = this;
    const cluster = this.target.current;
    if (cluster === null) {
      info.flags |= FLAG_NC;
      add(proxy.stats, stat.TCP_DOWNSTREAM_CX_NO_ROUTE, 1);
      this.failInit(NO_ROUTE);
      return;
    }
    this.cluster = cluster;
    info.upstreamCluster = cluster.model.statName;
    info.upstreamClusterRaw = cluster.model.name;
    if (info.attemptCount >= proxy.model.maxConnectAttempts) {
      info.flags |= FLAG_URX;
      add(cluster.stats, UPSTREAM_CX_CONNECT_ATTEMPTS_EXCEEDED, 1);
      this.failInit(CONNECT_FAILED);
      return;
    }
    if (proxy.tunnel === null || objectOf(this.connection, NO_TUNNEL_OBJECT, 'boolean') === 'true') {
      this.pending = cluster.startTcp(this, this);
      if (this.upstream !== null) this.pending = null;
      return;
    }
    const tunnel = new Tunnel(proxy.tunnel, this);
    this.tunnel = tunnel;
    tunnel.start(cluster);
  }

  hash(out: U64): boolean {
    const { hashPolicy } = this.proxy;
    return hashPolicy === null ? false : hashPolicy(this.info, NO_HEADERS, null, out);
  }

  private failInit(reason: InitFailure): void {
    // The misspelling is Envoy's.
    this.closeLocally(`tcp_initializion_failure:${reason}`);
  }

  private onIdle(): void {
    add(this.proxy.stats, stat.TCP_IDLE_TIMEOUT, 1);
    this.closeLocally('tcp_session_idle_timeout');
  }

  private onMaxDuration(): void {
    this.info.flags |= FLAG_DT;
    add(this.proxy.stats, stat.TCP_MAX_DOWNSTREAM_CONNECTION_DURATION, 1);
    this.closeLocally('max_connection_duration_reached');
  }

  private onLogTimer(): void {
    const { proxy } = this;
    if (proxy.logs.periodic === null) return;
    this.tunnel?.countRunning(1);
    this.measure(1);
    proxy.logs.periodic(this.info);
    this.measure(-1);
    this.tunnel?.countRunning(-1);
    this.logTimer?.arm(proxy.model.accessLogFlushIntervalMs);
  }

  /** Bytes on the wire, for a record: added, or taken off again. Envoy counts those of tunnels on top of their HTTP. */
  private measure(sign: 1 | -1): void {
    const { info } = this;
    info.downstreamWireBytesReceived = info.requestBodyBytes;
    info.downstreamWireBytesSent = info.responseBodyBytes;
    info.upstreamWireBytesSent += sign * info.requestBodyBytes;
    info.upstreamWireBytesReceived += sign * info.responseBodyBytes;
  }

  private countUpstreamFlow(index: number): void {
    if (this.cluster !== null) add(this.cluster.stats, index, 1);
  }

  /** Once: accounts, record, and word to the listener. */
  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.maxDuration?.cancel();
    this.logTimer?.cancel();
    this.idle?.cancel();
    this.pending?.cancel();
    this.pending = null;
    this.lease?.closed(this.closedByUpstream);
    this.tunnel?.destroy();
    if (this.upstream !== null) this.upstream.handler = IGNORE;
    const { info, proxy } = this;
    info.endMs = proxy.env.runtime.nowMs();
    this.measure(1);
    this.onOver(info);
    if (proxy.logs.end !== null) proxy.logs.end(info);
  }
}

/** The handler of a session's upstream transport. */
class UpstreamSide implements TransportHandler {
  private readonly session: TcpSession;

  constructor(session: TcpSession) {
    this.session = session;
  }

  onData(chunk: Buffer): void {
    this.session.onUpstreamData(chunk);
  }

  onEnd(): void {
    this.session.onUpstreamEnd();
  }

  onDrain(): void {
    this.session.onUpstreamDrain();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.session.onUpstreamClose(error);
  }
}

/** Of a transport whose session is over. */
const IGNORE: TransportHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
