// Terminal filters without an upstream: `echo` and `direct_response` (Envoy: extensions.filters.network.*).

import type { Socket } from 'node:net';
import { Transport, type TransportHandler } from '../net/transport.ts';
import type { ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import type { NetworkFilter } from './network-filter.ts';

type OnClosed = (record?: StreamInfo) => void;

/** Serves connections by themselves. @param respond what is sent at once, before the connection is closed; `null` = echo */
export class DirectFilter implements NetworkFilter {
  private readonly respond: Buffer | null;
  private readonly connections: Set<DirectConnection>;

  constructor(respond: Buffer | null) {
    this.respond = respond;
    this.connections = new Set();
  }

  get activeConnections(): number {
    return this.connections.size;
  }

  accept(socket: Socket, connection: ConnectionInfo, onClosed: OnClosed): void {
    if (this.respond !== null) connection.closeDetails = 'direct_response';
    const one = new DirectConnection(socket, connection, () => {
      this.connections.delete(one);
      connection.bytesReceived = one.transport.bytesRead;
      connection.bytesSent = one.transport.bytesWritten;
      onClosed();
    });
    this.connections.add(one);
    if (this.respond === null) return;
    one.deaf = true;
    if (this.respond.length > 0) one.transport.write(this.respond);
    one.transport.closeSoon();
  }

  refused(): undefined {}

  drain(): void {}

  closeAll(): void {
    for (const one of [...this.connections]) one.transport.destroy();
  }
}

class DirectConnection implements TransportHandler {
  readonly transport: Transport;
  /** What comes in means nothing. */
  deaf: boolean;
  private readonly connection: ConnectionInfo;
  private readonly onGone: () => void;
  private held: boolean;

  constructor(socket: Socket, connection: ConnectionInfo, onGone: () => void) {
    this.connection = connection;
    this.deaf = false;
    this.held = false;
    this.onGone = onGone;
    this.transport = new Transport(socket, this);
  }

  onData(chunk: Buffer): void {
    this.connection.onFirstData?.(chunk.length);
    if (this.deaf || this.transport.write(chunk) || this.held) return;
    this.held = true;
    this.transport.hold();
  }

  onEnd(): void {
    this.connection.onFirstData?.(0);
    this.transport.closeSoon();
  }

  onDrain(): void {
    if (!this.held) return;
    this.held = false;
    this.transport.release();
  }

  onClose(): void {
    this.onGone();
  }
}
