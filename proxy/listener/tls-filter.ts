// A chain whose clients speak TLS: the handshake stands before the chain's terminal filter.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { DownstreamTlsModel } from '../config/model/tls.ts';
import { unshiftEarly } from '../net/read-buffer.ts';
import type { TlsConnection } from '../net/tls-connection.ts';
import type { TlsFailure } from '../net/tls-failure.ts';
import { stateCertificateEnds } from '../net/tls-options.ts';
import { DownstreamTls, type Handshake, type TlsAcceptHandler, type TlsEnv } from '../net/tls-server.ts';
import { LISTENER_DOWNSTREAM_CX_TRANSPORT_SOCKET_CONNECT_TIMEOUT } from '../observe/catalogue-listener.ts';
import { logger } from '../observe/log.ts';
import type { ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import type { TlsStats } from '../observe/tls-stats.ts';
import type { Runtime } from '../util/runtime.ts';
import { add } from './count.ts';
import type { NetworkFilter } from './network-filter.ts';

/** Refusals because of a name are worth a line each, but not as many as an attacker likes: milliseconds apart. */
const WARNING_INTERVAL_MS = 1_000;

/** What a chain's TLS needs beside its context. */
export interface TlsFilterEnv {
  readonly tls: TlsEnv;
  readonly runtime: Runtime;
  readonly counts: TlsStats;
  /** Block of the listener. */
  readonly listenerStats: Float64Array;
  readonly listenerName: string;
  /** This worker states when certificates end, for all. */
  readonly statesEnds: boolean;
  /** 0 = the handshake may take for ever. */
  readonly connectTimeoutMs: number;
}

type OnClosed = (record?: StreamInfo) => void;

/** See the head of this file. */
export class TlsFilter implements NetworkFilter {
  readonly env: TlsFilterEnv;
  readonly inner: NetworkFilter;
  private tls: DownstreamTls;
  private readonly handshakes: Set<PendingConnection>;
  private warnedMs: number;

  constructor(model: DownstreamTlsModel, inner: NetworkFilter, env: TlsFilterEnv) {
    this.env = env;
    this.inner = inner;
    this.tls = new DownstreamTls(model, env.tls, env.counts);
    if (env.statesEnds) stateCertificateEnds(model, env.counts);
    this.handshakes = new Set();
    this.warnedMs = Number.NEGATIVE_INFINITY;
  }

  /** New secrets: handshakes from now on use them, connections live on. Not ours: nothing happens. */
  replace(model: DownstreamTlsModel): void {
    if (model.id !== this.tls.model.id) return;
    const next = new DownstreamTls(model, this.env.tls, this.env.counts);
    next.prepare();
    this.tls = next;
    if (this.env.statesEnds) stateCertificateEnds(model, this.env.counts);
  }

  get activeConnections(): number {
    return this.inner.activeConnections + this.handshakes.size;
  }

  accept(socket: Socket, connection: ConnectionInfo, onClosed: OnClosed): void {
    const pending = new PendingConnection(this, connection, onClosed);
    this.handshakes.add(pending);
    pending.start(this.tls, socket);
  }

  refused(connection: ConnectionInfo, flags: number): StreamInfo | undefined {
    return this.inner.refused(connection, flags);
  }

  drain(): void {
    this.inner.drain();
  }

  closeAll(): void {
    for (const pending of [...this.handshakes]) pending.cancel();
    this.inner.closeAll();
  }

  forget(pending: PendingConnection): void {
    this.handshakes.delete(pending);
  }

  warn(connection: ConnectionInfo, failure: TlsFailure): void {
    const log = logger('connection');
    const nowMs = this.env.runtime.nowMs();
    const text = `[C${connection.id}] listener ${this.env.listenerName}: client ${connection.directRemoteAddress} refused: `;
    if (failure.names === '' || nowMs - this.warnedMs < WARNING_INTERVAL_MS) {
      log.debug(text + (failure.text === '' ? 'it went away' : failure.text));
      return;
    }
    this.warnedMs = nowMs;
    log.warning(`${text}${failure.names}`);
  }
}

/** A connection during its handshake. */
class PendingConnection implements TlsAcceptHandler {
  private readonly filter: TlsFilter;
  private readonly connection: ConnectionInfo;
  private readonly onClosed: OnClosed;
  private handshake: Handshake | null;
  private cancelTimer: (() => void) | null;

  constructor(filter: TlsFilter, connection: ConnectionInfo, onClosed: OnClosed) {
    this.filter = filter;
    this.connection = connection;
    this.onClosed = onClosed;
    this.handshake = null;
    this.cancelTimer = null;
  }

  start(tls: DownstreamTls, socket: Socket): void {
    const { runtime, connectTimeoutMs } = this.filter.env;
    if (connectTimeoutMs > 0) this.cancelTimer = runtime.after(connectTimeoutMs, () => this.onTimeout());
    unshiftEarly(socket);
    this.handshake = tls.accept(socket, this.connection.hello ?? null, this);
  }

  cancel(): void {
    this.handshake?.cancel();
  }

  onSecure(socket: TLSSocket, connection: TlsConnection): void {
    const { filter } = this;
    this.settle();
    this.connection.tls = connection;
    this.connection.handshakeEndMs = filter.env.runtime.nowMs();
    filter.inner.accept(socket, this.connection, this.onClosed);
  }

  onRefused(failure: TlsFailure): void {
    this.settle();
    this.connection.transportFailureReason = failure.text;
    this.filter.warn(this.connection, failure);
    this.onClosed();
  }

  private onTimeout(): void {
    this.cancelTimer = null;
    add(this.filter.env.listenerStats, LISTENER_DOWNSTREAM_CX_TRANSPORT_SOCKET_CONNECT_TIMEOUT, 1);
    this.connection.terminationDetails = 'transport socket timeout was reached';
    this.cancel();
  }

  private settle(): void {
    this.filter.forget(this);
    this.cancelTimer?.();
    this.cancelTimer = null;
  }
}
