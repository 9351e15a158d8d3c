// What a client of the TCP proxy sent last, when the client itself is gone.

import type { Transport, TransportHandler } from '../net/transport.ts';
import {
  TCP_IDLE_TIMEOUT,
  TCP_UPSTREAM_FLUSH_ACTIVE,
  TCP_UPSTREAM_FLUSH_TOTAL,
} from '../observe/catalogue-listener.ts';
import type { TcpLease } from '../upstream/upstream.ts';
import type { TimerWheel, WheelTimer } from '../util/timer-wheel.ts';
import { add } from './count.ts';

/** What it needs of its proxy. */
export interface FlushEnv {
  /** Block of the TCP proxy. */
  readonly stats: Float64Array;
  readonly wheel: TimerWheel;
  /** 0 = never. */
  readonly idleTimeoutMs: number;
}

/**
 * What a client sent last, on its way upstream after the client is gone. The connection keeps its places until all has
 * left, the upstream is gone, or it took nothing for the idle time.
 */
export class UpstreamFlush implements TransportHandler {
  private readonly env: FlushEnv;
  private readonly upstream: Transport;
  private readonly lease: TcpLease;
  private readonly idle: WheelTimer | null;
  private readonly onOver: () => void;
  private left: number;

  constructor(env: FlushEnv, upstream: Transport, lease: TcpLease, onOver: () => void) {
    this.env = env;
    this.upstream = upstream;
    this.lease = lease;
    this.onOver = onOver;
    this.left = upstream.bufferedBytes;
    this.idle = env.idleTimeoutMs > 0 ? env.wheel.add(env.idleTimeoutMs, () => this.onIdle()) : null;
    add(env.stats, TCP_UPSTREAM_FLUSH_TOTAL, 1);
    add(env.stats, TCP_UPSTREAM_FLUSH_ACTIVE, 1);
    upstream.handler = this;
    upstream.closeSoon();
  }

  /** Drops what is left. */
  cancel(): void {
    this.upstream.destroy();
  }

  onData(): void {}

  onEnd(): void {}

  onDrain(): void {}

  onClose(error: NodeJS.ErrnoException | null): void {
    this.idle?.cancel();
    add(this.env.stats, TCP_UPSTREAM_FLUSH_ACTIVE, -1);
    this.lease.closed(error !== null);
    this.onOver();
  }

  /** A socket that is ended tells nothing of its progress, so it is looked at now. */
  private onIdle(): void {
    const { bufferedBytes } = this.upstream;
    if (bufferedBytes < this.left) {
      this.left = bufferedBytes;
      this.idle?.start(this.env.idleTimeoutMs);
      return;
    }
    add(this.env.stats, TCP_IDLE_TIMEOUT, 1);
    this.cancel();
  }
}
