// What the connections of one host have in common whatever they speak: who may wait, who is refused, and the place of
// the pool among a cluster's pools.

import {
  UPSTREAM_CX_OVERFLOW,
  UPSTREAM_CX_POOL_OVERFLOW,
  UPSTREAM_RQ_ACTIVE_OVERFLOW,
  UPSTREAM_RQ_CANCELLED,
  UPSTREAM_RQ_PENDING_OVERFLOW,
} from '../observe/catalogue-cluster.ts';
import { admitConnection, type ConnectFailure, type ConnectionContext, forceConnection } from './account.ts';
import type { Host } from './host.ts';
import { type PendingOwner, PendingQueue } from './pending.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** New connections that one event may open. */
const CONNECTS_PER_EVENT_MAX = 3;

/** A pool as its cluster sees it: the connections of one host, priority and protocol. */
export interface HttpPool {
  /**
   * Gives the request a connection, lets it wait, or fails it. `null` = the handler was told already.
   * @param fresh an idle connection will not do: it may be as dead as the one before it
   */
  startStream(handler: UpstreamStreamHandler, fresh: boolean): PendingStream | null;
  /** Takes no more than what waits already; idle connections close now, busy ones after their streams. */
  drain(): void;
  /** Closes everything now; running streams and waiting requests fail. */
  close(): void;
}

/** See the head of this file. Subclasses know their connections. */
export abstract class PoolBase implements PendingOwner {
  readonly context: ConnectionContext;
  readonly host: Host;
  protected readonly pending: PendingQueue;
  protected draining: boolean;
  private registered: boolean;

  /** @param before whose waiting requests this pool takes over, or `null` */
  constructor(context: ConnectionContext, host: Host, before: PoolBase | null) {
    this.context = context;
    this.host = host;
    this.pending = before === null ? new PendingQueue(context, host, this) : before.pending;
    this.pending.owner = this;
    this.draining = false;
    this.registered = before?.registered === true;
    if (before !== null) before.registered = false;
  }

  /** The queue comes back from a pool that has become empty. */
  protected takeOver(after: PoolBase): void {
    this.pending.owner = this;
    this.registered = after.registered;
    after.registered = false;
  }

  /** Nothing is left that it could serve with, or must. */
  get empty(): boolean {
    return this.connectionCount === 0 && this.pending.length === 0;
  }

  onPendingCancelled(): void {
    (this.context.stats[UPSTREAM_RQ_CANCELLED] as number)++;
    this.releaseIfEmpty();
  }

  /** Connections of any state. */
  protected abstract get connectionCount(): number;
  /** Requests that the connections being opened will take. */
  protected abstract get connectingCapacity(): number;
  protected abstract openConnection(): void;

  /** Lets the request wait for a connection. */
  protected wait(handler: UpstreamStreamHandler, fresh = false): PendingStream | null {
    if (!this.register()) {
      // As in Envoy: a host without a pool is no host.
      handler.onPoolFailure('no_healthy_host', '', null);
      return null;
    }
    if (!this.context.breakers.pending.tryTake()) {
      this.refuse(handler, UPSTREAM_RQ_PENDING_OVERFLOW, null);
      this.releaseIfEmpty();
      return null;
    }
    const pending = this.pending.add(handler, fresh);
    const { shed } = this.context;
    if (shed !== null && this.pending.length > this.connectingCapacity && shed.sheds()) {
      pending.cancel();
      handler.onPoolFailure('overflow', '', null);
      return null;
    }
    this.openWhereNeeded();
    return pending;
  }

  /** Takes a place for a running request; where there is none the request is refused. */
  protected admit(handler: UpstreamStreamHandler): boolean {
    if (this.context.breakers.requests.tryTake()) return true;
    this.refuse(handler, UPSTREAM_RQ_ACTIVE_OVERFLOW, this.host);
    return false;
  }

  protected openWhereNeeded(): void {
    for (let opened = 0; opened < CONNECTS_PER_EVENT_MAX && this.pending.length > this.connectingCapacity; opened++) {
      const { context, host } = this;
      if (!admitConnection(context, host)) {
        (context.stats[UPSTREAM_CX_OVERFLOW] as number)++;
        // The limit never keeps a pool from having its first connection.
        if (this.connectionCount > 0) return;
        forceConnection(context, host);
      }
      this.openConnection();
    }
  }

  /** A connection could not be opened: everybody who waits fails. */
  protected failPending(failure: ConnectFailure): void {
    this.pending.fail(failure);
    // Handlers may have asked anew from inside.
    this.openWhereNeeded();
    this.releaseIfEmpty();
  }

  protected afterClose(): void {
    this.openWhereNeeded();
    this.releaseIfEmpty();
  }

  private refuse(handler: UpstreamStreamHandler, counter: number, host: Host | null): void {
    (this.context.stats[counter] as number)++;
    handler.onPoolFailure('overflow', '', host);
  }

  /** A pool counts as one while it holds anything. */
  private register(): boolean {
    if (this.registered) return true;
    const { pools } = this.context.breakers;
    if (!pools.tryTake()) {
      (this.context.stats[UPSTREAM_CX_POOL_OVERFLOW] as number)++;
      return false;
    }
    this.registered = true;
    return true;
  }

  private releaseIfEmpty(): void {
    if (!this.registered || !this.empty) return;
    this.registered = false;
    this.context.breakers.pools.give();
  }
}

/** A connection as its pool sees it: a link of the list of those that can take a request. */
export interface PooledConnection<C> {
  previous: C | null;
  next: C | null;
  /** Closes now when idle, otherwise after what runs. */
  drain(): void;
  /** Closes now; what runs is told. */
  closeNow(): void;
}

/** The pool of one protocol. Subclasses decide which connection a request gets. */
export abstract class ConnectionPool<C extends PooledConnection<C>> extends PoolBase {
  protected readonly connections: Set<C>;
  /** First of the connections that can take a request: the one that became so last. */
  protected available: C | null;
  /** Requests that the connections being opened will take. */
  protected connecting: number;

  constructor(context: ConnectionContext, host: Host, before: PoolBase | null) {
    super(context, host, before);
    this.connections = new Set();
    this.available = null;
    this.connecting = 0;
  }

  drain(): void {
    this.draining = true;
    for (const connection of [...this.connections]) connection.drain();
  }

  close(): void {
    this.draining = true;
    this.pending.fail({ reason: 'connect_failure', text: '' });
    for (const connection of [...this.connections]) connection.closeNow();
  }

  protected get connectionCount(): number {
    return this.connections.size;
  }

  protected get connectingCapacity(): number {
    return this.connecting;
  }

  protected link(connection: C): void {
    connection.previous = null;
    connection.next = this.available;
    if (this.available !== null) this.available.previous = connection;
    this.available = connection;
  }

  protected unlink(connection: C): void {
    const { previous, next } = connection;
    if (previous === null) this.available = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    connection.previous = null;
    connection.next = null;
  }
}
