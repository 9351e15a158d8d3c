// Network filters that stand before the terminal one: each lets a new connection pass or has it closed.

import type { Socket } from 'node:net';
import type { ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import type { Runtime } from '../util/runtime.ts';
import type { NetworkFilter } from './network-filter.ts';

/** What `admit` answers when the connection may go on; anything else is the delay, ms, after which it is closed. */
export const PASS = -1;

/** One filter serves all connections of its chain in a worker. */
export interface ConnectionGate {
  /** Why connections are closed, as `%DOWNSTREAM_LOCAL_CLOSE_REASON%` prints it. */
  readonly closeReason: string;
  /** Response flags of the records of such connections. */
  readonly flags: number;
  admit(connection: ConnectionInfo): number;
  /** Told of the end of the TLS handshake, where there is one. */
  onSecure?(connection: ConnectionInfo): void;
  /** Told of the first bytes of a connection that has passed, or of its end before any. */
  onData?(connection: ConnectionInfo, bytes: number): void;
  /** Once for each connection that was asked about. @param admitted what `admit` had said */
  onClosed(admitted: boolean): void;
}

type OnClosed = (record?: StreamInfo) => void;

/** A terminal filter behind TLS whose gates want to know of handshakes. */
export class SecureFilter implements NetworkFilter {
  private readonly gates: readonly ConnectionGate[];
  private readonly inner: NetworkFilter;

  constructor(gates: readonly ConnectionGate[], inner: NetworkFilter) {
    this.gates = gates;
    this.inner = inner;
  }

  get activeConnections(): number {
    return this.inner.activeConnections;
  }

  accept(socket: Socket, connection: ConnectionInfo, onClosed: OnClosed): void {
    for (const gate of this.gates) gate.onSecure?.(connection);
    this.inner.accept(socket, connection, onClosed);
  }

  refused(connection: ConnectionInfo, flags: number): StreamInfo | undefined {
    return this.inner.refused(connection, flags);
  }

  drain(): void {
    this.inner.drain();
  }

  closeAll(): void {
    this.inner.closeAll();
  }
}

/** A terminal filter behind gates. */
export class GatedFilter implements NetworkFilter {
  private readonly gates: readonly ConnectionGate[];
  private readonly inner: NetworkFilter;
  private readonly runtime: Runtime;
  /** Those that want to know of bytes. */
  private readonly curious: readonly ConnectionGate[];
  /** Connections that wait to be closed. */
  private readonly waiting: Set<Socket>;

  constructor(gates: readonly ConnectionGate[], inner: NetworkFilter, runtime: Runtime) {
    this.gates = gates;
    this.inner = inner;
    this.runtime = runtime;
    this.curious = gates.filter(({ onData }) => onData !== undefined);
    this.waiting = new Set();
  }

  get activeConnections(): number {
    return this.inner.activeConnections + this.waiting.size;
  }

  accept(socket: Socket, connection: ConnectionInfo, onClosed: OnClosed): void {
    const { gates } = this;
    for (let passed = 0; passed < gates.length; passed++) {
      const gate = gates[passed] as ConnectionGate;
      const delayMs = gate.admit(connection);
      if (delayMs === PASS) continue;
      connection.localCloseReason = gate.closeReason;
      this.refuse(socket, delayMs, () => {
        this.leave(passed);
        gate.onClosed(false);
        onClosed(this.inner.refused(connection, gate.flags));
      });
      return;
    }
    if (this.curious.length > 0) connection.onFirstData = (bytes) => this.tell(connection, bytes);
    this.inner.accept(socket, connection, (record) => {
      this.leave(gates.length);
      onClosed(record);
    });
  }

  refused(connection: ConnectionInfo, flags: number): StreamInfo | undefined {
    return this.inner.refused(connection, flags);
  }

  drain(): void {
    this.inner.drain();
  }

  closeAll(): void {
    for (const socket of [...this.waiting]) socket.destroy();
    this.inner.closeAll();
  }

  private tell(connection: ConnectionInfo, bytes: number): void {
    connection.onFirstData = null;
    for (const gate of this.curious) gate.onData?.(connection, bytes);
  }

  /** Tells the gates that a connection has passed of its end. */
  private leave(passed: number): void {
    for (let i = 0; i < passed; i++) (this.gates[i] as ConnectionGate).onClosed(true);
  }

  private refuse(socket: Socket, delayMs: number, onGone: () => void): void {
    this.waiting.add(socket);
    const cancel = delayMs > 0 ? this.runtime.after(delayMs, () => socket.destroy()) : null;
    socket.on('error', () => {});
    socket.once('close', () => {
      cancel?.();
      this.waiting.delete(socket);
      onGone();
    });
    if (delayMs === 0) socket.destroy();
    else socket.pause();
  }
}
