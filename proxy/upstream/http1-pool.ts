// The HTTP/1 connections of one host and priority, and the requests that wait for one.
//
// Envoy's rules: the connection used last is used first; a request without an idle connection waits and, if fewer
// connections are being opened than requests wait, opens one; a connection that cannot be opened fails everybody who
// waits; the connection limit never keeps a pool from having its first connection.

import type { H1Options } from '../codec/http1.ts';
import {
  HOST_RQ_PENDING_ACTIVE,
  UPSTREAM_CX_OVERFLOW,
  UPSTREAM_CX_POOL_OVERFLOW,
  UPSTREAM_RQ_ACTIVE_OVERFLOW,
  UPSTREAM_RQ_CANCELLED,
  UPSTREAM_RQ_PENDING_ACTIVE,
  UPSTREAM_RQ_PENDING_FAILURE_EJECT,
  UPSTREAM_RQ_PENDING_OVERFLOW,
  UPSTREAM_RQ_PENDING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import type { ConnectFailure, ConnectionContext } from './account.ts';
import type { Host } from './host.ts';
import { Http1Connection, type Http1Owner } from './http1-connection.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** New connections that one event may open. */
const CONNECTS_PER_EVENT_MAX = 3;

/** A request that waits for a connection; a link of the pool's queue. */
class Pending implements PendingStream {
  readonly pool: Http1Pool;
  readonly host: Host;
  readonly handler: UpstreamStreamHandler;
  previous: Pending | null;
  next: Pending | null;
  queued: boolean;

  constructor(pool: Http1Pool, handler: UpstreamStreamHandler) {
    this.pool = pool;
    this.host = pool.host;
    this.handler = handler;
    this.previous = null;
    this.next = null;
    this.queued = false;
  }

  cancel(): void {
    this.pool.cancel(this);
  }
}

/** See the head of this file. */
export class Http1Pool implements Http1Owner {
  readonly context: ConnectionContext;
  readonly host: Host;
  readonly decoderOptions: H1Options;
  private readonly connections: Set<Http1Connection>;
  private idle: Http1Connection | null;
  private connecting: number;
  private pendingHead: Pending | null;
  private pendingTail: Pending | null;
  private pendingCount: number;
  private draining: boolean;
  private registered: boolean;

  constructor(context: ConnectionContext, host: Host, decoderOptions: H1Options) {
    this.context = context;
    this.host = host;
    this.decoderOptions = decoderOptions;
    this.connections = new Set();
    this.idle = null;
    this.connecting = 0;
    this.pendingHead = null;
    this.pendingTail = null;
    this.pendingCount = 0;
    this.draining = false;
    this.registered = false;
  }

  /** Without connections and without anybody waiting. */
  get empty(): boolean {
    return this.connections.size === 0 && this.pendingCount === 0;
  }

  /** Gives the request a connection, lets it wait, or fails it. `null` = the handler was told already. */
  /** @param fresh an idle connection makes room for a new one instead of being used */
  startStream(handler: UpstreamStreamHandler, fresh = false): PendingStream | null {
    if (fresh) this.idle?.drain();
    const connection = fresh ? null : this.idle;
    if (connection !== null) {
      if (!this.context.breakers.requests.canTake) this.overflow(handler, UPSTREAM_RQ_ACTIVE_OVERFLOW, this.host);
      else {
        this.unlinkIdle(connection);
        connection.attach(handler);
      }
      return null;
    }
    if (!this.register()) {
      handler.onPoolFailure('overflow', '', null);
      return null;
    }
    if (!this.context.breakers.pending.canTake) {
      this.overflow(handler, UPSTREAM_RQ_PENDING_OVERFLOW, null);
      this.releaseIfEmpty();
      return null;
    }
    const pending = new Pending(this, handler);
    this.enqueue(pending);
    this.openWhereNeeded();
    return pending;
  }

  cancel(pending: Pending): void {
    if (!pending.queued) return;
    this.dequeue(pending);
    (this.context.stats[UPSTREAM_RQ_CANCELLED] as number)++;
    this.releaseIfEmpty();
  }

  /** Takes no more than what waits already; idle connections close now, busy ones after their exchange. */
  drain(): void {
    this.draining = true;
    for (const connection of [...this.connections]) connection.drain();
  }

  /** Closes everything now; running exchanges and waiting requests fail. */
  close(): void {
    this.draining = true;
    this.failPending({ reason: 'connect_failure', text: '' });
    for (const connection of [...this.connections]) connection.closeNow();
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
    // Handlers may have asked anew from inside.
    this.openWhereNeeded();
    this.releaseIfEmpty();
  }

  onIdle(connection: Http1Connection): void {
    this.serveOrKeep(connection);
  }

  onClosed(connection: Http1Connection, wasIdle: boolean): void {
    this.connections.delete(connection);
    if (wasIdle) this.unlinkIdle(connection);
    this.openWhereNeeded();
    this.releaseIfEmpty();
  }

  private serveOrKeep(connection: Http1Connection): void {
    while (this.pendingHead !== null) {
      const pending = this.pendingHead;
      this.dequeue(pending);
      if (this.context.breakers.requests.canTake) {
        connection.attach(pending.handler);
        return;
      }
      this.overflow(pending.handler, UPSTREAM_RQ_ACTIVE_OVERFLOW, this.host);
    }
    this.linkIdle(connection);
    if (this.draining) connection.drain();
  }

  private openWhereNeeded(): void {
    for (let opened = 0; opened < CONNECTS_PER_EVENT_MAX && this.pendingCount > this.connecting; opened++) {
      if (!this.context.breakers.connections.canTake) {
        (this.context.stats[UPSTREAM_CX_OVERFLOW] as number)++;
        if (this.connections.size > 0) return;
      }
      this.connecting++;
      this.connections.add(new Http1Connection(this));
    }
  }

  private overflow(handler: UpstreamStreamHandler, counter: number, host: Host | null): void {
    (this.context.stats[counter] as number)++;
    handler.onPoolFailure('overflow', '', host);
  }

  private failPending(failure: ConnectFailure): void {
    // Only those who wait now: a handler that tries again must not be failed by the same event.
    for (let left = this.pendingCount; left > 0; left--) {
      const pending = this.pendingHead;
      if (pending === null) return;
      this.dequeue(pending);
      (this.context.stats[UPSTREAM_RQ_PENDING_FAILURE_EJECT] as number)++;
      this.host.countOutcome(false);
      pending.handler.onPoolFailure(failure.reason, failure.text, this.host);
    }
  }

  /** A pool counts as one while it holds anything. */
  private register(): boolean {
    if (this.registered) return true;
    const { pools } = this.context.breakers;
    if (!pools.canTake) {
      (this.context.stats[UPSTREAM_CX_POOL_OVERFLOW] as number)++;
      return false;
    }
    pools.take();
    this.registered = true;
    return true;
  }

  private releaseIfEmpty(): void {
    if (!this.registered || !this.empty) return;
    this.registered = false;
    this.context.breakers.pools.give();
  }

  // === Lists ===

  private enqueue(pending: Pending): void {
    const { stats, breakers } = this.context;
    (stats[UPSTREAM_RQ_PENDING_TOTAL] as number)++;
    (stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)++;
    (this.host.stats[HOST_RQ_PENDING_ACTIVE] as number)++;
    breakers.pending.take();
    pending.queued = true;
    pending.previous = this.pendingTail;
    if (this.pendingTail === null) this.pendingHead = pending;
    else this.pendingTail.next = pending;
    this.pendingTail = pending;
    this.pendingCount++;
  }

  private dequeue(pending: Pending): void {
    const { previous, next } = pending;
    if (previous === null) this.pendingHead = next;
    else previous.next = next;
    if (next === null) this.pendingTail = previous;
    else next.previous = previous;
    pending.previous = null;
    pending.next = null;
    pending.queued = false;
    this.pendingCount--;
    (this.context.stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)--;
    (this.host.stats[HOST_RQ_PENDING_ACTIVE] as number)--;
    this.context.breakers.pending.give();
  }

  private linkIdle(connection: Http1Connection): void {
    connection.previous = null;
    connection.next = this.idle;
    if (this.idle !== null) this.idle.previous = connection;
    this.idle = connection;
  }

  private unlinkIdle(connection: Http1Connection): void {
    const { previous, next } = connection;
    if (previous === null) this.idle = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    connection.previous = null;
    connection.next = null;
  }
}
