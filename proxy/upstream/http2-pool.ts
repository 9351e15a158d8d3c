// The HTTP/2 connections of one host and priority, and the requests that wait for one.
//
// Envoy's rules: streams go to the connection that became ready last until it carries as many as it may; before the
// peer's settings are there, as many as are configured. A request that finds no ready connection waits, and another one
// is opened when more wait than those being opened will take.

import type { H2Options } from '../codec/http2.ts';
import type { ConnectFailure, ConnectionContext, ConnectionSeed } from './account.ts';
import type { Host } from './host.ts';
import { Http2Connection, type Http2Owner } from './http2-connection.ts';
import { ConnectionPool, type HttpPool, type PoolBase } from './pool.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** See the head of this file. */
export class Http2Pool extends ConnectionPool<Http2Connection> implements Http2Owner, HttpPool {
  readonly options: H2Options;
  readonly codecStats: Float64Array;

  constructor(
    context: ConnectionContext,
    host: Host,
    options: H2Options,
    codecStats: Float64Array,
    before: PoolBase | null,
  ) {
    super(context, host, before);
    this.options = options;
    this.codecStats = codecStats;
  }

  /** As described at `HttpPool`; where no connection may be opened, one that is in use will do for a fresh one. */
  startStream(handler: UpstreamStreamHandler, fresh: boolean): PendingStream | null {
    const connection = this.available;
    if (connection === null) return this.wait(handler);
    if (fresh && connection.answered && this.context.breakers.connections.hasRoom) {
      const pending = this.wait(handler, true);
      if (this.connecting === 0) this.serve();
      return pending;
    }
    if (this.admit(handler)) connection.attach(handler);
    return null;
  }

  protected openConnection(): void {
    this.add(new Http2Connection(this, null));
  }

  private add(connection: Http2Connection): void {
    this.connecting += connection.initialCapacity;
    this.connections.add(connection);
  }

  /** Takes a connection that turned out to speak HTTP/2. */
  adopt(seed: ConnectionSeed): void {
    const connection = new Http2Connection(this, seed);
    this.add(connection);
    connection.onConnect();
  }

  // === What connections say ===

  onConnected(connection: Http2Connection): void {
    this.connecting -= connection.initialCapacity;
    this.onReady(connection);
    if (this.draining) connection.drain();
  }

  onConnectFailed(connection: Http2Connection, failure: ConnectFailure): void {
    this.connecting -= connection.initialCapacity;
    this.connections.delete(connection);
    this.failPending(failure);
  }

  onReady(connection: Http2Connection): void {
    this.link(connection);
    this.serve();
  }

  onUnready(connection: Http2Connection): void {
    this.unlink(connection);
  }

  onClosed(connection: Http2Connection): void {
    this.connections.delete(connection);
    this.afterClose();
  }

  private serve(): void {
    for (let connection = this.available; connection !== null; connection = this.available) {
      const handler = this.pending.take(connection.answered && this.connecting > 0);
      if (handler === null) return;
      if (this.admit(handler)) connection.attach(handler);
    }
    // There may be room now for the connections that the others wait for.
    if (this.pending.length > 0) this.openWhereNeeded();
  }
}
