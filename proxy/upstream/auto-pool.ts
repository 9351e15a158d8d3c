// The connections of one host whose protocol ALPN decides (Envoy: `auto_config`): HTTP/2 where the host agrees to it,
// otherwise HTTP/1.1.
//
// The first connection tells, and the pool of that protocol takes it over together with all who wait. When that pool has
// become empty, the next connection is asked anew.

import type { DialHandler } from '../net/dial.ts';
import type { Transport } from '../net/transport.ts';
import { type ConnectFailure, ConnectionAccount, type ConnectionContext, type ConnectionSeed } from './account.ts';
import type { Host } from './host.ts';
import type { Http1Pool } from './http1-pool.ts';
import type { Http2Pool } from './http2-pool.ts';
import { type HttpPool, PoolBase } from './pool.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** Makes the pool that goes on. */
export interface PoolMaker {
  http1(before: PoolBase): Http1Pool;
  http2(before: PoolBase): Http2Pool;
}

/** See the head of this file. */
export class AutoPool extends PoolBase implements HttpPool {
  private readonly make: PoolMaker;
  private probe: Probe | null;
  private chosen: Http1Pool | Http2Pool | null;

  constructor(context: ConnectionContext, host: Host, make: PoolMaker) {
    super(context, host, null);
    this.make = make;
    this.probe = null;
    this.chosen = null;
  }

  startStream(handler: UpstreamStreamHandler, fresh: boolean): PendingStream | null {
    const { chosen } = this;
    if (chosen !== null && !chosen.empty) return chosen.startStream(handler, fresh);
    if (chosen !== null) {
      this.chosen = null;
      this.takeOver(chosen);
    }
    return this.wait(handler);
  }

  drain(): void {
    this.draining = true;
    this.chosen?.drain();
  }

  close(): void {
    this.draining = true;
    if (this.chosen !== null) this.chosen.close();
    else {
      this.pending.fail({ reason: 'connect_failure', text: '' });
      this.probe?.fail(null);
    }
  }

  protected get connectionCount(): number {
    return this.probe === null ? 0 : 1;
  }

  /** While one is asked, all wait for its answer. */
  protected get connectingCapacity(): number {
    return this.probe === null ? 0 : Number.POSITIVE_INFINITY;
  }

  protected openConnection(): void {
    this.probe = new Probe(this);
  }

  // === What the probe says ===

  onNegotiated(protocol: string, seed: ConnectionSeed): void {
    this.probe = null;
    const pool = protocol === 'h2' ? this.make.http2(this) : this.make.http1(this);
    this.chosen = pool;
    seed.account.handedOver();
    pool.adopt(seed);
    if (this.draining) pool.drain();
  }

  onProbeFailed(failure: ConnectFailure): void {
    this.probe = null;
    this.failPending(failure);
  }
}

/** A connection that is being opened. */
class Probe implements DialHandler {
  private readonly pool: AutoPool;
  private readonly account: ConnectionAccount;
  private transport: Transport;
  private cancelTimer: () => void;
  private over: boolean;
  private timedOut: boolean;

  constructor(pool: AutoPool) {
    const { context, host } = pool;
    this.pool = pool;
    this.over = false;
    this.timedOut = false;
    this.account = new ConnectionAccount(context, host);
    this.transport = this.account.dial(this);
    this.cancelTimer = context.runtime.after(context.model.connectTimeoutMs, () => {
      this.timedOut = true;
      this.fail(null);
    });
  }

  onConnect(): void {
    if (this.over) return;
    this.over = true;
    this.cancelTimer();
    const { account, transport } = this;
    this.pool.onNegotiated(transport.tls === null ? '' : transport.tls.alpn, { account, transport });
  }

  /** Nothing comes before the connection has got another handler. */
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.over) return;
    const next = this.account.dialNext(this);
    if (next === null) this.fail(error);
    else this.transport = next;
  }

  fail(error: NodeJS.ErrnoException | null): void {
    if (this.over) return;
    this.over = true;
    this.cancelTimer();
    const failure = this.account.failed(error, this.timedOut);
    this.transport.destroy();
    this.pool.onProbeFailed(failure);
  }
}
