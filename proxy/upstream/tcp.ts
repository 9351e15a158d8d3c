// Raw connections for the TCP proxy: one per downstream connection, never pooled.

import type { DialHandler } from '../net/dial.ts';
import type { Transport } from '../net/transport.ts';
import {
  HOST_RQ_PENDING_ACTIVE,
  UPSTREAM_CX_MAX_DURATION_REACHED,
  UPSTREAM_CX_OVERFLOW,
  UPSTREAM_CX_RX_BYTES_TOTAL,
  UPSTREAM_CX_TX_BYTES_TOTAL,
  UPSTREAM_RQ_ACTIVE_OVERFLOW,
  UPSTREAM_RQ_CANCELLED,
  UPSTREAM_RQ_PENDING_ACTIVE,
  UPSTREAM_RQ_PENDING_FAILURE_EJECT,
  UPSTREAM_RQ_PENDING_OVERFLOW,
  UPSTREAM_RQ_PENDING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import type { WheelTimer } from '../util/timer-wheel.ts';
import {
  admitConnection,
  ConnectionAccount,
  type ConnectionContext,
  closeRequest,
  openRequest,
  releaseConnection,
} from './account.ts';
import type { Host, RawConnection } from './host.ts';
import type { PendingStream, TcpHandler, TcpLease } from './upstream.ts';

/** Opens a raw connection to a host, or fails at once when the connection limit is reached. */
export function connectTcp(context: ConnectionContext, host: Host, handler: TcpHandler): PendingStream | null {
  const { breakers, stats } = context;
  if (!admitConnection(context, host)) {
    (stats[UPSTREAM_CX_OVERFLOW] as number)++;
    handler.onTcpFailure('overflow', '', host);
    return null;
  }
  if (!breakers.pending.tryTake()) {
    releaseConnection(context, host);
    (stats[UPSTREAM_RQ_PENDING_OVERFLOW] as number)++;
    handler.onTcpFailure('overflow', '', host);
    return null;
  }
  if (context.shed?.sheds() === true) {
    releaseConnection(context, host);
    breakers.pending.give();
    (stats[UPSTREAM_RQ_PENDING_TOTAL] as number)++;
    (stats[UPSTREAM_RQ_CANCELLED] as number)++;
    handler.onTcpFailure('shed', '', host);
    return null;
  }
  return new TcpConnection(context, host, handler);
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** One raw connection: its way up, then its accounts. */
class TcpConnection implements DialHandler, PendingStream, RawConnection, TcpLease {
  private readonly context: ConnectionContext;
  readonly host: Host;
  private readonly handler: TcpHandler;
  private readonly account: ConnectionAccount;
  private transport: Transport;
  private state: 0 | 1 | 2;
  private cancelConnectTimer: (() => void) | null;
  private durationTimer: WheelTimer | null;

  constructor(context: ConnectionContext, host: Host, handler: TcpHandler) {
    const { stats } = context;
    this.context = context;
    this.host = host;
    this.handler = handler;
    (stats[UPSTREAM_RQ_PENDING_TOTAL] as number)++;
    (stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)++;
    (host.stats[HOST_RQ_PENDING_ACTIVE] as number)++;
    this.account = new ConnectionAccount(context, host);
    this.state = CONNECTING;
    this.durationTimer = null;
    this.transport = this.account.dial(this);
    this.cancelConnectTimer = context.runtime.after(context.model.connectTimeoutMs, () => {
      this.cancelConnectTimer = null;
      this.fail(null, true);
    });
  }

  get remoteAddress(): string {
    return this.account.remoteAddress;
  }

  get connectionId(): number {
    return this.account.id;
  }

  get connectStartMs(): number {
    return this.account.startMs;
  }

  get connectEndMs(): number {
    return this.account.connectedMs;
  }

  /** The downstream went away while the connection was being opened. */
  cancel(): void {
    if (this.state !== CONNECTING) return;
    this.leavePending();
    (this.context.stats[UPSTREAM_RQ_CANCELLED] as number)++;
    this.account.closed(false, false);
    this.transport.destroy();
  }

  onConnect(): void {
    if (this.state !== CONNECTING) return;
    const { context, host } = this;
    if (!context.breakers.requests.tryTake()) {
      this.leavePending();
      (context.stats[UPSTREAM_RQ_ACTIVE_OVERFLOW] as number)++;
      this.account.closed(false, false);
      this.transport.destroy();
      this.handler.onTcpFailure('overflow', '', host);
      return;
    }
    this.leavePending();
    this.state = OPEN;
    this.account.connected();
    host.raw?.add(this);
    openRequest(context, host);
    const { maxConnectionDurationMs } = context.model;
    if (maxConnectionDurationMs > 0)
      this.durationTimer = context.wheel.add(maxConnectionDurationMs, () => {
        (context.stats[UPSTREAM_CX_MAX_DURATION_REACHED] as number)++;
        this.transport.destroy();
      });
    this.handler.onTcpReady(this.transport, host, this);
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.state !== CONNECTING) return;
    const next = this.account.dialNext(this);
    if (next === null) this.fail(error, false);
    else this.transport = next;
  }

  // Before the connection is handed over there is nothing to read or to drain.
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}

  closeNow(): void {
    this.transport.destroy();
  }

  received(bytes: number): void {
    (this.context.stats[UPSTREAM_CX_RX_BYTES_TOTAL] as number) += bytes;
  }

  sent(bytes: number): void {
    (this.context.stats[UPSTREAM_CX_TX_BYTES_TOTAL] as number) += bytes;
  }

  closed(remote: boolean): void {
    if (this.state !== OPEN) return;
    this.state = CLOSED;
    this.host.raw?.delete(this);
    this.durationTimer?.cancel();
    closeRequest(this.context, this.host);
    this.account.closed(remote, true);
  }

  private fail(error: NodeJS.ErrnoException | null, timedOut: boolean): void {
    if (this.state !== CONNECTING) return;
    this.leavePending();
    (this.context.stats[UPSTREAM_RQ_PENDING_FAILURE_EJECT] as number)++;
    const failure = this.account.failed(error, timedOut);
    this.transport.destroy();
    this.handler.onTcpFailure(failure.reason, failure.text, this.host);
  }

  private leavePending(): void {
    this.state = CLOSED;
    this.cancelConnectTimer?.();
    this.cancelConnectTimer = null;
    (this.context.stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)--;
    (this.host.stats[HOST_RQ_PENDING_ACTIVE] as number)--;
    this.context.breakers.pending.give();
  }
}
