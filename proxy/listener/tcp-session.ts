// One connection of the TCP proxy: joined with one to a cluster, byte for byte, half-closes included.
//
// Nothing is read from the client before the upstream is connected, unless early data is allowed, which is kept: a failed
// attempt can be repeated elsewhere.
// Each side is held while the other's send buffer is above its high watermark.

import type { Socket } from 'node:net';
import { HeaderMap } from '../codec/headers.ts';
import type { TcpProxyModel } from '../config/model/listener.ts';
import { Transport, type TransportHandler } from '../net/transport.ts';
import {
  UPSTREAM_CX_CONNECT_ATTEMPTS_EXCEEDED,
  UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import * as stat from '../observe/catalogue-listener.ts';
import { type FilterStateObject, readObject } from '../observe/filter-state.ts';
import { FLAG_DT, FLAG_NC, FLAG_OM, FLAG_UF, FLAG_UH, FLAG_UO, FLAG_UR, FLAG_URX } from '../observe/flags.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { StatsStore } from '../observe/stats.ts';
import { type ConnectionInfo, StreamInfo, type UpstreamHostInfo } from '../observe/stream-info.ts';
import type { HashPolicy } from '../route/hash-policy.ts';
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
import { EarlyData } from './early-data.ts';
import { Tunnel, type TunnelOwner, type TunnelPlan } from './tunnel.ts';

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
  /** Whether a connection that carries something now should be closed. */
  drainClose(): boolean;
  /** Asked before an upstream is; `null` = no load is shed there. */
  readonly shedConnect: ShedPoint | null;
  /** Asked when a client's bytes come. */
  readonly shedData: ShedPoint | null;
}

/** The filter that a session belongs to. */
export interface SessionOwner {
  readonly model: TcpProxyModel;
  readonly env: TcpProxyEnv;
  readonly stats: Float64Array;
  readonly logs: TcpLogs;
  /** What consistent hashing goes by; `null` = nothing. */
  readonly hashPolicy: HashPolicy | null;
  /** `null` = connections of their own. */
  readonly tunnel: TunnelPlan | null;
  /** The cluster of one connection. */
  pickCluster(connection: ConnectionInfo): ClusterRef;
  /** Before the first attempt: what PROXY headers towards hosts may say beside addresses. */
  tellHosts(info: StreamInfo): void;
  /** How long the next connection may live, milliseconds. */
  durationMs(): number;
  /** The wait behind the n-th failed attempt, milliseconds. */
  backoffMs(failed: number): number;
  /** Sends what is buffered for an upstream, whose client is gone, and closes it. */
  flush(upstream: Transport, lease: TcpLease): void;
}

/** Numbers of Envoy's `UpstreamFailureReason`, which its close reasons print. */
const CONNECT_FAILED = 0;
const NO_HEALTHY_UPSTREAM = 1;
const RESOURCE_LIMIT_EXCEEDED = 2;
const NO_ROUTE = 3;
const NO_HEADERS = new HeaderMap();
type InitFailure = 0 | 1 | 2 | 3;

// Objects of the filter state that decide.
const NO_TUNNEL_OBJECT = 'envoy.tcp_proxy.disable_tunneling';
/** More than this is for ever: 24 days. */
const IDLE_MS_MAX = 0x7fff_ffff;
const IDLE_OBJECT = 'envoy.tcp_proxy.per_connection_idle_timeout_ms';

/** Text of an object that a filter before the proxy keeps; `null` = there is none. */
export function objectOf(connection: ConnectionInfo, key: string, is: FilterStateObject['is']): string | null {
  const state = connection.filterState ?? null;
  return state === null ? null : readObject({ filterState: null, connection }, key, is);
}

/** One downstream connection and its upstream. The session is the handler of the downstream transport. */
export class TcpSession implements TransportHandler, TcpHandler, TunnelOwner {
  readonly info: StreamInfo;
  readonly priority = 'default';
  readonly avoidHost = null;
  readonly avoidHostMaxAttempts = 0;
  readonly triedPriorities = null;
  readonly freshConnection = false;
  private readonly proxy: SessionOwner;
  private readonly connection: ConnectionInfo;
  private readonly downstream: Transport;
  private readonly onOver: (record: StreamInfo) => void;
  private readonly maxDuration: Deadline | null;
  private readonly logTimer: Deadline | null;
  private readonly backoff: Deadline | null;
  private readonly idle: WheelTimer | null;
  private readonly idleTimeoutMs: number;
  private readonly target: ClusterRef;
  private firstData: ((bytes: number) => void) | null;
  private cluster: Cluster | null;
  private pending: PendingStream | null;
  private upstream: Transport | null;
  /** Instead of `upstream`; also while it is being asked for. */
  private tunnel: Tunnel | null;
  private lease: TcpLease | null;
  /** Read before the upstream is there; `null` = nothing is, or it is there. */
  private early: EarlyData | null;
  private downstreamEnded: boolean;
  private upstreamEnded: boolean;
  /** The upstream's end was the last one: it closed the connection, not we. */
  private closedByUpstream: boolean;
  private holdsDownstream: boolean;
  private holdsUpstream: boolean;
  private over: boolean;

  constructor(proxy: SessionOwner, socket: Socket, connection: ConnectionInfo, onOver: (record: StreamInfo) => void) {
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
    this.backoff = proxy.model.backoff === null ? null : new Deadline(runtime, wheel, () => this.connectUpstream());
    this.idle = idleTimeoutMs > 0 ? wheel.timer(() => this.onIdle()) : null;
    this.target = proxy.pickCluster(connection);
    this.firstData = connection.onFirstData ?? null;
    this.cluster = null;
    this.pending = null;
    this.upstream = null;
    this.tunnel = null;
    this.lease = null;
    this.early = proxy.model.maxEarlyDataBytes < 0 ? null : new EarlyData(proxy.model.maxEarlyDataBytes);
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
    if (this.early === null) this.downstream.hold();
    this.maxDuration?.arm(proxy.durationMs());
    this.logTimer?.arm(proxy.model.accessLogFlushIntervalMs);
    if (proxy.logs.start !== null) proxy.logs.start(this.info);
    if (proxy.env.shedConnect?.sheds() === true) {
      this.closeForOverload();
      return;
    }
    if (proxy.model.connectsOnData) this.idle?.start(this.idleTimeoutMs);
    else this.connectUpstream();
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

  private closeForOverload(): void {
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_CX_OVERLOAD_CLOSE, 1);
    this.info.flags |= FLAG_OM;
    this.closeLocally('');
  }

  // === Downstream ===

  onData(chunk: Buffer): void {
    const bytes = chunk.length;
    this.info.requestBodyBytes += bytes;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_CX_RX_BYTES_TOTAL, bytes);
    if (this.firstData !== null) this.tellFirstData(bytes);
    if (this.proxy.env.shedData?.sheds() === true) {
      this.closeForOverload();
      return;
    }
    this.idle?.refresh();
    if (this.early === null) this.sendUp(chunk);
    else this.keepEarly(this.early, chunk);
    if (this.proxy.model.checkDrainClose) this.closeIfDraining();
  }

  private tellFirstData(bytes: number): void {
    this.firstData?.(bytes);
    this.firstData = null;
  }

  private sendUp(chunk: Buffer): void {
    const upstream = this.upstream ?? this.tunnel;
    if (upstream === null) return;
    this.lease?.sent(chunk.length);
    if (upstream.write(chunk) || this.holdsDownstream) return;
    this.holdsDownstream = true;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL, 1);
    this.downstream.hold();
  }

  private keepEarly(early: EarlyData, chunk: Buffer): void {
    const { proxy } = this;
    add(proxy.stats, stat.TCP_EARLY_DATA_RECEIVED_COUNT_TOTAL, 1);
    const waits = proxy.model.connectsOnData && this.cluster === null && !early.full;
    if (!early.add(chunk) && !this.holdsDownstream) {
      this.holdsDownstream = true;
      this.downstream.hold();
    }
    if (waits) this.connectUpstream();
  }

  onEnd(): void {
    if (this.firstData !== null) this.tellFirstData(0);
    this.downstreamEnded = true;
    this.idle?.refresh();
    // It is passed on behind the early data.
    if (this.early !== null) {
      if (this.early.empty) add(this.proxy.stats, stat.TCP_EARLY_DATA_RECEIVED_COUNT_TOTAL, 1);
      return;
    }
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
    info.upstreamPoolWaitMs = lease.connectEndMs - lease.connectStartMs;
    info.upstreamTls = transport.tls;
    if (transport.tls !== null) info.upstreamHandshakeEndMs = lease.connectEndMs;
    info.upstreamLocalAddress = transport.localAddress;
    info.upstreamRemoteAddress = lease.remoteAddress;
    this.onConnected();
  }

  onTcpFailure(reason: PoolFailure | 'shed', transportFailureReason: string, host: UpstreamHostInfo | null): void {
    this.pending = null;
    this.tunnel = null;
    const { info } = this;
    if (reason === 'shed') {
      info.attemptCount++;
      this.connectUpstream();
      return;
    }
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
    if (this.backoff !== null && info.attemptCount < this.proxy.model.maxConnectAttempts)
      this.backoff.arm(this.proxy.backoffMs(info.attemptCount));
    else this.connectUpstream();
  }

  onTunnelReady(stream: UpstreamStream): void {
    const { info } = this;
    info.attemptCount++;
    monitorOf(stream.host)?.onConnectedFinally();
    const askedMs = Math.max(info.startMs, stream.connectStartMs);
    noteConnection(info, stream, this.proxy.env.runtime.nowMs(), askedMs, false);
    // A TCP proxy's record has no protocol.
    info.upstreamProtocol = '';
    this.onConnected();
  }

  private onConnected(): void {
    this.idle?.start(this.idleTimeoutMs);
    if (this.proxy.logs.connected !== null) this.proxy.logs.connected(this.info);
    if (this.early === null) this.downstream.release();
    else this.sendEarly(this.early);
  }

  private sendEarly(early: EarlyData): void {
    this.early = null;
    const bytes = early.take();
    const held = this.holdsDownstream;
    this.holdsDownstream = false;
    if (bytes !== null) this.sendUp(bytes);
    if (held) this.downstream.release();
    if (!this.downstreamEnded || this.over) return;
    if (this.tunnel !== null) this.tunnel.end();
    else this.upstream?.end();
  }

  /** What is written is sent before the end. */
  private closeIfDraining(): void {
    const { proxy } = this;
    if (this.over || !proxy.env.drainClose()) return;
    add(proxy.stats, stat.TCP_DOWNSTREAM_CX_DRAIN_CLOSE, 1);
    this.connection.localCloseReason = 'tcp_proxy_drain_close';
    this.finish();
    this.upstream?.closeSoon();
    this.downstream.closeSoon();
  }

  onUpstreamData(chunk: Uint8Array): void {
    const bytes = chunk.length;
    this.info.responseBodyBytes += bytes;
    add(this.proxy.stats, stat.TCP_DOWNSTREAM_CX_TX_BYTES_TOTAL, bytes);
    this.lease?.received(bytes);
    this.idle?.refresh();
    const goesOn = this.downstream.write(chunk);
    if (this.proxy.model.checkDrainClose) this.closeIfDraining();
    if (goesOn || this.holdsUpstream || this.over) return;
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
    if (info.attemptCount === 0) proxy.tellHosts(info);
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
    this.backoff?.cancel();
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
