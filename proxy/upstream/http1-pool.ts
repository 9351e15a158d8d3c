// The HTTP/1 connections of one host and priority, and the requests that wait for one.
//
// Envoy's rules: the connection used last is used first; a request without an idle connection waits and, if fewer
// connections are being opened than requests wait, opens one; a connection that cannot be opened fails everybody who
// waits; the connection limit never keeps a pool from having its first connection.

import type { H1Options } from '../codec/http1.ts';
import type { ConnectFailure, ConnectionContext, ConnectionSeed } from './account.ts';
import type { Host } from './host.ts';
import { Http1Connection, type Http1Owner } from './http1-connection.ts';
import { ConnectionPool, type HttpPool, type PoolBase } from './pool.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** See the head of this file. */
export class Http1Pool extends ConnectionPool<Http1Connection> implements Http1Owner, HttpPool {
  readonly decoderOptions: H1Options;

  constructor(context: ConnectionContext, host: Host, decoderOptions: H1Options, before: PoolBase | null) {
    super(context, host, before);
    this.decoderOptions = decoderOptions;
  }

  /** As described at `HttpPool`; for a fresh one, an idle connection makes room instead of being used. */
  startStream(handler: UpstreamStreamHandler, fresh: boolean): PendingStream | null {
    if (fresh) this.available?.drain();
    const connection = fresh ? null : this.available;
    if (connection === null) return this.wait(handler, fresh);
    if (this.admit(handler)) {
      this.unlink(connection);
      connection.attach(handler);
    }
    return null;
  }

  protected openConnection(): void {
    this.connecting++;
    this.connections.add(new Http1Connection(this, null));
  }

  /** Takes a connection that turned out to speak HTTP/1. */
  adopt(seed: ConnectionSeed): void {
    const connection = new Http1Connection(this, seed);
    this.connecting++;
    this.connections.add(connection);
    connection.onConnect();
    // One is not enough for those who waited for an HTTP/2 connection.
    this.openWhereNeeded();
  }

  // === What connections say ===

  onConnected(connection: Http1Connection): void {
    this.connecting--;
    this.serveOrKeep(connection);
  }

  onConnectFailed(connection: Http1Connection, failure: ConnectFailure): void {
    this.connecting--;
    this.connections.delete(connection);
    this.failPending(failure);
  }

  onIdle(connection: Http1Connection): void {
    this.serveOrKeep(connection);
  }

  onClosed(connection: Http1Connection, wasIdle: boolean): void {
    this.connections.delete(connection);
    if (wasIdle) this.unlink(connection);
    this.afterClose();
  }

  private serveOrKeep(connection: Http1Connection): void {
    const { pending } = this;
    const used = connection.requests > 0;
    for (let handler = pending.take(used); handler !== null; handler = pending.take(used)) {
      if (!this.admit(handler)) continue;
      connection.attach(handler);
      // There may be room now for the connections that the others wait for.
      if (pending.length > 0) this.openWhereNeeded();
      return;
    }
    this.link(connection);
    // Where only a new connection will do, this one makes room for it.
    if (this.draining || pending.freshLength > this.connecting) connection.drain();
  }
}
