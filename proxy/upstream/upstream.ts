// SEAM: what the router (and the TCP proxy) asks of the upstream side, and what it is told.

import type { HeaderMap } from '../codec/headers.ts';
import type { ClusterModel } from '../config/model/cluster.ts';
import type { Transport } from '../net/transport.ts';
import type { StreamInfo, TlsInfo, UpstreamHostInfo } from '../observe/stream-info.ts';
import type { U64 } from '../util/hash64.ts';
import type { TriedPriorities } from './tried-priorities.ts';

export type { UpstreamHostInfo } from '../observe/stream-info.ts';

/** Why an attempt found no connection. */
export type PoolFailure =
  | 'no_healthy_host'
  | 'overflow'
  /** The peer refused or could not be reached (Envoy: "remote connection failure"). */
  | 'connect_failure'
  /** The socket could not be bound (Envoy: "local connection failure"). */
  | 'local_connect_failure'
  | 'connect_timeout';

/** Why a running upstream stream ended early. */
export type ResetReason =
  /** The peer closed or reset the connection (Envoy: UC, "connection termination"). */
  | 'connection_termination'
  /** The peer's bytes are no HTTP (Envoy: UPE, "protocol error"). */
  | 'protocol_error'
  | 'remote_reset'
  /** The peer did not begin to work on the stream: REFUSED_STREAM, or a GOAWAY before it. */
  | 'remote_refused_stream'
  /** The peer could not reach the target of a CONNECT. */
  | 'connect_error'
  | 'overflow'
  | 'local_reset';

/** What a reset says about sending the same request again. */
export type Replay =
  | 'no'
  /** The connection had carried a request before and died before a byte of this one's answer: it was stale. */
  | 'idempotent'
  /** The peer is leaving and has said that it did not begin this request. */
  | 'any';

/** Told to whoever started an upstream HTTP stream. Calls come in wire order; after a reset or an end none follows. */
export interface UpstreamStreamHandler {
  /** The stream is bound to a connection: send the head now. May be called from inside `startStream`. */
  onReady(stream: UpstreamStream): void;
  onPoolFailure(reason: PoolFailure, transportFailureReason: string, host: UpstreamHostInfo | null): void;
  onInformational(status: number, headers: HeaderMap): void;
  onHead(status: number, headers: HeaderMap, endStream: boolean): void;
  /** `chunk` is valid during the call only, unless it is written at once or copied. */
  onData(chunk: Uint8Array, endStream: boolean): void;
  onTrailers(trailers: HeaderMap): void;
  onReset(reason: ResetReason, transportFailureReason: string, replay: Replay): void;
  /** The upstream socket has drained below its low watermark after `sendData` returned false. */
  onDrain(): void;
}

/** A request on an upstream connection; one shape per protocol. */
export interface UpstreamStream {
  readonly host: UpstreamHostInfo;
  /** Empty on a connection without HTTP. */
  readonly protocol: 'HTTP/1.1' | 'HTTP/2' | '';
  readonly localAddress: string;
  /** The host's address, or the one of its alternatives that was reached. */
  readonly remoteAddress: string;
  readonly connectionId: number;
  /** When this stream's connection was asked for and established; monotonic ms. */
  readonly connectStartMs: number;
  readonly connectEndMs: number;
  /** `null` on clear text. */
  readonly tls: TlsInfo | null;
  /**
   * Set before the head of a tunnel: its request's end closes an HTTP/1 connection, there is no other way to tell it.
   * Of a CONNECT that is so without asking.
   */
  closesAtEnd: boolean;
  /** @param scheme what HTTP/2 says beside the path */
  sendHead(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void;
  /** Returns false when the upstream's send buffer is above its high watermark. */
  sendData(chunk: Uint8Array, endStream: boolean): boolean;
  sendTrailers(trailers: HeaderMap): void;
  /** Ends the stream without notice to its handler; the connection is closed unless it can be reused safely. */
  reset(): void;
  /** Counted: stop and resume reading response bytes. */
  hold(): void;
  release(): void;
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
  /** Fields of heads and trailers, as Envoy counts them. */
  readonly headerBytesSent: number;
  readonly headerBytesReceived: number;
}

/** Facts a balancer may use; the stream info and the request head come through it. */
export interface PickContext {
  readonly info: StreamInfo | null;
  readonly priority: 'default' | 'high';
  /** Returns true when a host was tried already and should be skipped (retry host predicate). */
  readonly avoidHost: ((host: UpstreamHostInfo) => boolean) | null;
  readonly avoidHostMaxAttempts: number;
  /** Priorities to leave out; `null` = none is. */
  readonly triedPriorities: TriedPriorities | null;
  /**
   * What consistent hashing goes by; asked only where that is in use.
   * @returns false: there is nothing, any host will do
   */
  hash(out: U64): boolean;
  /** An idle connection will not do: it may be as dead as the one before it. */
  readonly freshConnection: boolean;
}

/** Cancels a pending wait for a connection; a no-op once ready or failed. */
export interface PendingStream {
  /** Where the stream will go. */
  readonly host: UpstreamHostInfo;
  cancel(): void;
}

/** One cluster as a worker runs it. */
export interface Cluster {
  readonly model: ClusterModel;
  /** Block of the `cluster` catalogue (`observe/catalogue-cluster.ts`). */
  readonly stats: Float64Array;
  /** Starts an HTTP stream. `null` when the handler was already told (ready or failed). */
  startStream(context: PickContext, handler: UpstreamStreamHandler): PendingStream | null;
  /** Opens a raw connection. `null` when the handler was already told (failed). */
  startTcp(context: PickContext, handler: TcpHandler): PendingStream | null;
  /** Retry breaker: takes a place among `max_retries` (or the budget); false = full. */
  tryRetry(priority: 'default' | 'high'): boolean;
  endRetry(priority: 'default' | 'high'): void;
}

/** Told how a raw connection for the TCP proxy fares. */
export interface TcpHandler {
  /**
   * Connected: from now on the transport is the handler's. Its `handler` must be set inside this call; whoever holds
   * it must call `lease.closed()` when it is gone.
   */
  onTcpReady(transport: Transport, host: UpstreamHostInfo, lease: TcpLease): void;
  /** @param reason `shed`: the pressure is too high for another connection */
  onTcpFailure(reason: PoolFailure | 'shed', transportFailureReason: string, host: UpstreamHostInfo | null): void;
}

/** Accounts of a raw connection: counters, breaker, maximum duration. */
export interface TcpLease {
  /** As in `UpstreamStream`. */
  readonly remoteAddress: string;
  readonly connectionId: number;
  readonly connectStartMs: number;
  readonly connectEndMs: number;
  /** Adds to `upstream_cx_rx_bytes_total` and `upstream_cx_tx_bytes_total`. */
  received(bytes: number): void;
  sent(bytes: number): void;
  /** Once, when the connection is gone. `remote`: the upstream ended it first. */
  closed(remote: boolean): void;
}

/** All clusters of a worker; looked up by name once per route compile, not per request, wherever the name is fixed. */
export interface ClusterManager {
  /** A stable reference whose `current` changes when the cluster is replaced or removed (`null`). */
  ref(name: string): ClusterRef;
  /** For names that come from traffic: as `ref`, but of an unknown name nothing is kept. */
  find(name: string): ClusterRef;
}
export interface ClusterRef {
  readonly name: string;
  readonly current: Cluster | null;
}
