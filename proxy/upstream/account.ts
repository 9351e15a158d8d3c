// The accounts of one upstream connection, HTTP or raw: Envoy's `upstream_cx_*` stats, the host's, and the breaker.

import type { ClusterModel } from '../config/model/cluster.ts';
import {
  type Dial,
  type DialHandler,
  type DialNames,
  type DialTarget,
  socketErrorText,
  TransportFailure,
} from '../net/dial.ts';
import { failureOf } from '../net/tls-failure.ts';
import type { Transport } from '../net/transport.ts';
import {
  BIND_ERRORS,
  HOST_CX_ACTIVE,
  HOST_CX_CONNECT_FAIL,
  HOST_CX_TOTAL,
  HOST_RQ_ACTIVE,
  HOST_RQ_TOTAL,
  UPSTREAM_CX_ACTIVE,
  UPSTREAM_CX_CONNECT_FAIL,
  UPSTREAM_CX_CONNECT_TIMEOUT,
  UPSTREAM_CX_DESTROY,
  UPSTREAM_CX_DESTROY_LOCAL,
  UPSTREAM_CX_DESTROY_LOCAL_WITH_ACTIVE_RQ,
  UPSTREAM_CX_DESTROY_REMOTE,
  UPSTREAM_CX_DESTROY_REMOTE_WITH_ACTIVE_RQ,
  UPSTREAM_CX_DESTROY_WITH_ACTIVE_RQ,
  UPSTREAM_CX_TOTAL,
  UPSTREAM_RQ_ACTIVE,
  UPSTREAM_RQ_TOTAL,
} from '../observe/catalogue-cluster.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { Histogram } from '../observe/stats.ts';
import { joinHostPort } from '../util/ip.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import type { PriorityBreakers } from './breakers.ts';
import { formatAddress, type Host } from './host.ts';
import type { HostConnections } from './host-connections.ts';
import type { PoolFailure } from './upstream.ts';

/** What all connections of one cluster and priority share. */
export interface ConnectionContext {
  readonly model: ClusterModel;
  readonly stats: Float64Array;
  readonly breakers: PriorityBreakers;
  /** `null` = a host may have as many connections as the cluster. */
  readonly perHost: HostConnections | null;
  /** Asked before connections are made; `null` = no load is shed there. */
  readonly shed: ShedPoint | null;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly dial: Dial;
  /** What its connections want of a host's identity. */
  readonly names: DialNames;
  readonly connectMs: Histogram;
  readonly lengthMs: Histogram;
  readonly requestsPerConnection: Histogram;
}

/** Why a connection was not established. */
export interface ConnectFailure {
  readonly reason: PoolFailure;
  /** `%UPSTREAM_TRANSPORT_FAILURE_REASON%` with blanks. */
  readonly text: string;
}

/** A connection that was opened before it was known what it speaks; whoever takes it becomes its handler. */
export interface ConnectionSeed {
  readonly account: ConnectionAccount;
  readonly transport: Transport;
}

/** Takes a place for a connection, among the cluster's and the host's. @returns false: there is none */
export function admitConnection({ breakers, perHost }: ConnectionContext, host: Host): boolean {
  if (perHost !== null && !perHost.of(host).tryTake()) return false;
  if (breakers.connections.tryTake()) return true;
  perHost?.of(host).give();
  return false;
}

/** Takes a place for a connection whether there is one or not. */
export function forceConnection({ breakers, perHost }: ConnectionContext, host: Host): void {
  perHost?.of(host).take();
  breakers.connections.take();
}

/** A connection's place is free again. */
export function releaseConnection({ breakers, perHost }: ConnectionContext, host: Host): void {
  breakers.connections.give();
  perHost?.of(host).give();
}

/**
 * A request has got a connection: Envoy's `upstream_rq_*` stats, and the host's. Its place in the breaker has been taken
 * before. `closeRequest` follows, which gives that back.
 */
export function openRequest(context: ConnectionContext, host: Host): void {
  const { stats } = context;
  (stats[UPSTREAM_RQ_TOTAL] as number)++;
  (stats[UPSTREAM_RQ_ACTIVE] as number)++;
  (host.stats[HOST_RQ_TOTAL] as number)++;
  (host.stats[HOST_RQ_ACTIVE] as number)++;
  host.activeRequests++;
}

/** The request is over. */
export function closeRequest(context: ConnectionContext, host: Host): void {
  (context.stats[UPSTREAM_RQ_ACTIVE] as number)--;
  (host.stats[HOST_RQ_ACTIVE] as number)--;
  host.activeRequests--;
  context.breakers.requests.give();
}

let lastConnectionId = 0;

/** Opens the books when a connection is begun, whose place has been taken before; closes them exactly once. */
export class ConnectionAccount {
  readonly id: number;
  startMs: number;
  /** −1 until connected. */
  connectedMs: number;
  private readonly context: ConnectionContext;
  private readonly host: Host;
  private open: boolean;
  /** Which of the host's addresses is being tried. */
  private targetAt: number;

  constructor(context: ConnectionContext, host: Host) {
    this.id = ++lastConnectionId;
    this.startMs = context.runtime.nowMs();
    this.connectedMs = -1;
    this.context = context;
    this.host = host;
    this.open = true;
    this.targetAt = 0;
    const { stats } = context;
    (stats[UPSTREAM_CX_TOTAL] as number)++;
    (stats[UPSTREAM_CX_ACTIVE] as number)++;
    (host.stats[HOST_CX_TOTAL] as number)++;
    (host.stats[HOST_CX_ACTIVE] as number)++;
  }

  /** Dials the first address. */
  dial(handler: DialHandler): Transport {
    return this.context.dial(this.target, handler, this.context.names);
  }

  /** Dials the next address after a failure; `null` = there is none left. */
  dialNext(handler: DialHandler): Transport | null {
    if (this.targetAt + 1 >= this.host.targets.length) return null;
    this.targetAt++;
    return this.context.dial(this.target, handler, this.context.names);
  }

  private get target(): DialTarget {
    return (this.host.targets[this.targetAt] ?? this.host.targets[0]) as DialTarget;
  }

  /** Where the connection goes: the host's address, or one of its alternatives. */
  get remoteAddress(): string {
    return this.targetAt === 0 ? this.host.address : formatAddress(this.target.address);
  }

  connected(): void {
    this.connectedMs = this.context.runtime.nowMs();
    this.context.connectMs.record(Math.floor(this.connectedMs - this.startMs));
  }

  /** It turned out what it speaks, and another pool takes it: Envoy counts it anew then (seen on 1.40). */
  handedOver(): void {
    const { stats, connectMs, lengthMs, runtime } = this.context;
    const nowMs = runtime.nowMs();
    const tookMs = Math.floor(nowMs - this.startMs);
    connectMs.record(tookMs);
    lengthMs.record(tookMs);
    (stats[UPSTREAM_CX_TOTAL] as number)++;
    (this.host.stats[HOST_CX_TOTAL] as number)++;
    this.startMs = nowMs;
  }

  /** @param active a request was under way */
  closed(remote: boolean, active: boolean): void {
    if (!this.open) return;
    this.open = false;
    const { stats, lengthMs, runtime } = this.context;
    (stats[UPSTREAM_CX_DESTROY] as number)++;
    (stats[remote ? UPSTREAM_CX_DESTROY_REMOTE : UPSTREAM_CX_DESTROY_LOCAL] as number)++;
    if (active) {
      (stats[UPSTREAM_CX_DESTROY_WITH_ACTIVE_RQ] as number)++;
      (stats[
        remote ? UPSTREAM_CX_DESTROY_REMOTE_WITH_ACTIVE_RQ : UPSTREAM_CX_DESTROY_LOCAL_WITH_ACTIVE_RQ
      ] as number)++;
    }
    (stats[UPSTREAM_CX_ACTIVE] as number)--;
    (this.host.stats[HOST_CX_ACTIVE] as number)--;
    releaseConnection(this.context, this.host);
    lengthMs.record(Math.floor(runtime.nowMs() - this.startMs));
  }

  /** Counts a connection that never came to be, and says why. @param timedOut by the connect time-out */
  failed(error: NodeJS.ErrnoException | null, timedOut: boolean): ConnectFailure {
    const { stats } = this.context;
    const failure = timedOut ? TIMED_OUT : this.failureOf(error);
    if (timedOut) (stats[UPSTREAM_CX_CONNECT_TIMEOUT] as number)++;
    if (failure.reason === 'local_connect_failure' && failure.text !== '') (stats[BIND_ERRORS] as number)++;
    (stats[UPSTREAM_CX_CONNECT_FAIL] as number)++;
    (this.host.stats[HOST_CX_CONNECT_FAIL] as number)++;
    this.closed(failure.reason === 'connect_failure', false);
    return failure;
  }

  private failureOf(error: NodeJS.ErrnoException | null): ConnectFailure {
    if (error === null) return { reason: 'connect_failure', text: '' };
    if (error instanceof TransportFailure) return { reason: 'connect_failure', text: error.message };
    const { bind, address, layer } = this.target;
    if (layer !== null && !SOCKET_CALLS.has(error.syscall ?? ''))
      return { reason: 'connect_failure', text: failureOf(error).text };
    const text = socketErrorText(error);
    if (error.syscall === 'setsockopt') return { reason: 'local_connect_failure', text: '' };
    if (bind !== null && (error.syscall === 'bind' || error.code === 'EADDRINUSE'))
      return {
        reason: 'local_connect_failure',
        text: `failed to bind to ${joinHostPort(bind.address, bind.port)}: ${text}`,
      };
    // Errors that the kernel reports from connect() itself carry the address in Envoy's text, later ones do not.
    return address.kind === 'pipe' || IMMEDIATE_ERRORS.has(error.code ?? '')
      ? { reason: 'connect_failure', text: `immediate connect error: ${text}|remote address:${formatAddress(address)}` }
      : { reason: 'connect_failure', text: `delayed connect error: ${text}` };
  }
}

/** What fails before a layer has begun. */
const SOCKET_CALLS: ReadonlySet<string> = new Set(['connect', 'bind', 'setsockopt']);

const TIMED_OUT: ConnectFailure = { reason: 'connect_timeout', text: '' };
const IMMEDIATE_ERRORS: ReadonlySet<string> = new Set(['ENETUNREACH', 'EACCES', 'EPERM', 'EINVAL']);
