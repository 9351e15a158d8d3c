// A downstream connection whatever it speaks: its socket, its times, its way to the end, its counters.
//
// States: silent (not a byte has come, so nobody knows the protocol) → a codec reads and writes → closing → gone. The
// codec takes the socket's events itself; here is what every codec needs and does alike.

import type { Socket } from 'node:net';
import { Transport, type TransportHandler } from '../net/transport.ts';
import {
  HTTP_DOWNSTREAM_CX_ACTIVE,
  HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT,
  HTTP_DOWNSTREAM_CX_DESTROY,
  HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_DESTROY_LOCAL,
  HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_DESTROY_REMOTE,
  HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ,
  HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT,
  HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED,
  HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL,
  HTTP_DOWNSTREAM_CX_SSL_ACTIVE,
  HTTP_DOWNSTREAM_CX_SSL_TOTAL,
  HTTP_DOWNSTREAM_CX_TOTAL,
  HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL,
} from '../observe/catalogue-http.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { Deadline } from '../util/deadline.ts';
import type { WheelTimer } from '../util/timer-wheel.ts';
import type { LoadedStream } from './loaded-streams.ts';
import type { HttpManager } from './manager.ts';

/** Reads and writes a connection once its protocol is known. */
export interface DownstreamCodec extends TransportHandler {
  readonly activeStreams: number;
  /** No new exchanges: an idle connection ends now, a busy one after what is under way. */
  drain(): void;
  /** `idle_timeout` is over and nothing is under way. */
  onIdle(): void;
  onMaxDuration(): void;
  /** Time limits of streams are other ones now. */
  rescale(): void;
  /** Adds the streams that hold so many bytes or more; those of HTTP/1 are not watched, as in Envoy. */
  collectLoaded(leastBytes: number, into: LoadedStream[]): void;
  /** The socket is gone: the last thing that it is told. */
  endStreams(details: string): void;
}

/** All connections of a manager as one of them sees them. */
export interface ConnectionOwner {
  readonly manager: HttpManager;
  /** Chooses the protocol by what the peer sends first. */
  createCodec(connection: DownstreamConnection, first: Buffer): DownstreamCodec;
  /** The socket is gone; called once. */
  onGone(connection: DownstreamConnection): void;
}

/** See the head of this file. */
export class DownstreamConnection implements TransportHandler {
  readonly manager: HttpManager;
  readonly info: ConnectionInfo;
  readonly transport: Transport;
  /** The end was our doing. */
  closedByUs: boolean;
  /** Something was under way when the peer ended it. */
  endsBusy: boolean;
  /** The peer goes on sending what nobody reads; closing then says so with a reset. */
  ignoredBytes: boolean;
  /** Bytes that have been counted so far. */
  countedRead: number;
  private countedWritten: number;
  private codec: DownstreamCodec | null;
  private readonly owner: ConnectionOwner;
  private readonly onClosed: () => void;
  private readonly idleTimer: WheelTimer | null;
  private readonly durationTimer: Deadline | null;
  private drainTimer: Deadline | null;
  private closeTimer: Deadline | null;

  /** @param onClosed called once when the socket is gone */
  constructor(owner: ConnectionOwner, socket: Socket, info: ConnectionInfo, onClosed: () => void) {
    const { manager } = owner;
    const { model, runtime, wheel } = manager;
    this.owner = owner;
    this.manager = manager;
    this.info = info;
    this.onClosed = onClosed;
    this.closedByUs = false;
    this.endsBusy = false;
    this.ignoredBytes = false;
    this.countedRead = 0;
    this.countedWritten = 0;
    this.codec = null;
    this.drainTimer = null;
    this.closeTimer = null;
    this.idleTimer = model.idleTimeoutMs > 0 ? wheel.add(manager.idleMs, () => this.onIdle()) : null;
    this.durationTimer =
      model.maxConnectionDurationMs > 0 ? new Deadline(runtime, wheel, () => this.onMaxDuration()) : null;
    this.durationTimer?.arm(model.maxConnectionDurationMs);
    manager.count(HTTP_DOWNSTREAM_CX_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_ACTIVE);
    if (info.tls !== null) {
      manager.count(HTTP_DOWNSTREAM_CX_SSL_TOTAL);
      manager.count(HTTP_DOWNSTREAM_CX_SSL_ACTIVE);
    }
    this.transport = new Transport(socket, this);
  }

  drain(): void {
    if (this.codec === null) this.close();
    else this.codec.drain();
  }

  /** Time limits are other ones now. */
  rescale(): void {
    this.idleTimer?.resize(this.manager.idleMs);
    this.codec?.rescale();
  }

  collectLoaded(leastBytes: number, into: LoadedStream[]): void {
    this.codec?.collectLoaded(leastBytes, into);
  }

  destroy(): void {
    this.closedByUs = true;
    this.transport.destroy();
  }

  // === From the socket, while it is silent; its end always ===

  onData(chunk: Buffer): void {
    this.info.onFirstData?.(chunk.length);
    if (this.manager.shedsConnection()) {
      this.destroy();
      return;
    }
    const codec = this.owner.createCodec(this, chunk);
    this.codec = codec;
    this.transport.handler = codec;
    codec.onData(chunk);
  }

  onEnd(): void {
    this.transport.destroy();
  }

  onDrain(): void {}

  onClose(error: NodeJS.ErrnoException | null): void {
    const { manager, info, codec } = this;
    this.idleTimer?.cancel();
    this.durationTimer?.cancel();
    this.drainTimer?.cancel();
    this.closeTimer?.cancel();
    this.countBytes();
    // Who waits for the peer's end does not see a reset as one, in Envoy.
    if (error !== null && this.closeTimer !== null) this.closedByUs = true;
    if (error !== null && info.terminationDetails === '') info.transportFailureReason = '';
    info.bytesReceived = this.countedRead;
    info.bytesSent = this.countedWritten;
    manager.uncount(HTTP_DOWNSTREAM_CX_ACTIVE);
    if (this.info.tls !== null) manager.uncount(HTTP_DOWNSTREAM_CX_SSL_ACTIVE);
    manager.count(HTTP_DOWNSTREAM_CX_DESTROY);
    manager.count(this.closedByUs ? HTTP_DOWNSTREAM_CX_DESTROY_LOCAL : HTTP_DOWNSTREAM_CX_DESTROY_REMOTE);
    manager.cxLength.record(Math.floor(manager.runtime.nowMs() - info.startedMs));
    if (codec !== null) {
      if (this.endsBusy || codec.activeStreams > 0) this.countActiveAtEnd();
      codec.endStreams(this.closedByUs ? 'downstream_local_disconnect' : 'downstream_remote_disconnect');
    }
    this.owner.onGone(this);
    this.onClosed();
  }

  // === From the codec ===

  /** Nothing is under way any more. */
  startIdle(): void {
    this.idleTimer?.start(this.manager.idleMs);
  }

  stopIdle(): void {
    this.idleTimer?.cancel();
  }

  /** Has `onOver` called when `drain_timeout` is over. */
  startDrainTimer(onOver: () => void): void {
    const { runtime, wheel, model } = this.manager;
    this.drainTimer = new Deadline(runtime, wheel, onOver);
    this.drainTimer.arm(Math.max(1, model.drainTimeoutMs));
  }

  /** Sends what is written, then closes both ways; a peer that does not take it is given `delayed_close_timeout`. */
  close(): void {
    const { transport, manager } = this;
    this.closedByUs = true;
    transport.closeSoon();
    const { delayedCloseTimeoutMs } = manager.model;
    if (delayedCloseTimeoutMs > 0 && transport.bufferedBytes > 0) this.armClose(delayedCloseTimeoutMs);
  }

  /** Gives the peer `delayed_close_timeout` to read the answer and close first: then it was the peer who closed. */
  closeAfterFlush(): void {
    const delayMs = this.manager.model.delayedCloseTimeoutMs;
    if (delayMs === 0) {
      this.close();
      return;
    }
    if (this.closeTimer !== null) return;
    this.transport.flush();
    this.armClose(delayMs);
  }

  countBytes(): void {
    const { stats } = this.manager;
    const { bytesRead } = this.transport;
    const rx = HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL;
    stats[rx] = (stats[rx] as number) + bytesRead - this.countedRead;
    this.countedRead = bytesRead;
    this.countWritten();
  }

  countWritten(): void {
    const { stats } = this.manager;
    const { bytesWritten } = this.transport;
    const tx = HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL;
    stats[tx] = (stats[tx] as number) + bytesWritten - this.countedWritten;
    this.countedWritten = bytesWritten;
  }

  // === Inside ===

  private countActiveAtEnd(): void {
    const { manager } = this;
    manager.count(HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ);
    manager.count(
      this.closedByUs ? HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ : HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ,
    );
  }

  private onIdle(): void {
    if (this.codec !== null && this.codec.activeStreams > 0) return;
    this.manager.count(HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT);
    if (this.codec === null) this.close();
    else this.codec.onIdle();
  }

  private onMaxDuration(): void {
    this.manager.count(HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED);
    if (this.codec === null) this.close();
    else this.codec.onMaxDuration();
  }

  /** The time begins anew while the peer takes something, as in Envoy. */
  private armClose(delayMs: number): void {
    let left = this.transport.bufferedBytes;
    const timer = new Deadline(this.manager.runtime, this.manager.wheel, () => {
      const { bufferedBytes } = this.transport;
      if (bufferedBytes < left) {
        left = bufferedBytes;
        timer.arm(delayMs);
        return;
      }
      this.closedByUs = true;
      this.manager.count(HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT);
      if (this.ignoredBytes) this.transport.reset();
      else this.transport.destroy();
    });
    this.closeTimer = timer;
    timer.arm(delayMs);
  }
}
