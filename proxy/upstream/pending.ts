// Requests that wait for a connection of one pool, in order of arrival, with their counts.

import {
  HOST_RQ_PENDING_ACTIVE,
  UPSTREAM_RQ_PENDING_ACTIVE,
  UPSTREAM_RQ_PENDING_FAILURE_EJECT,
  UPSTREAM_RQ_PENDING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import type { ConnectFailure, ConnectionContext } from './account.ts';
import type { Host } from './host.ts';
import type { PendingStream, UpstreamStreamHandler } from './upstream.ts';

/** Whoever asked no longer wants the connection. */
export interface PendingOwner {
  onPendingCancelled(): void;
}

/** One waiting request; a link of the queue. */
class Pending implements PendingStream {
  readonly queue: PendingQueue;
  readonly host: Host;
  readonly handler: UpstreamStreamHandler;
  /** Only a new connection will do. */
  readonly fresh: boolean;
  previous: Pending | null;
  next: Pending | null;
  queued: boolean;

  constructor(queue: PendingQueue, handler: UpstreamStreamHandler, fresh: boolean) {
    this.queue = queue;
    this.host = queue.host;
    this.handler = handler;
    this.fresh = fresh;
    this.previous = null;
    this.next = null;
    this.queued = false;
  }

  cancel(): void {
    this.queue.cancel(this);
  }
}

/** See the head of this file. Its length is bounded by the breaker for pending requests, which it feeds. */
export class PendingQueue {
  readonly host: Host;
  length: number;
  /** How many of them wait for a new connection. */
  freshLength: number;
  private readonly context: ConnectionContext;
  /** Changes when the queue is handed over. */
  owner: PendingOwner;
  private head: Pending | null;
  private tail: Pending | null;

  constructor(context: ConnectionContext, host: Host, owner: PendingOwner) {
    this.context = context;
    this.host = host;
    this.owner = owner;
    this.length = 0;
    this.freshLength = 0;
    this.head = null;
    this.tail = null;
  }

  /** The place in the breaker has been taken before. */
  add(handler: UpstreamStreamHandler, fresh: boolean): PendingStream {
    const { stats } = this.context;
    (stats[UPSTREAM_RQ_PENDING_TOTAL] as number)++;
    (stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)++;
    (this.host.stats[HOST_RQ_PENDING_ACTIVE] as number)++;
    const pending = new Pending(this, handler, fresh);
    pending.queued = true;
    if (fresh) this.freshLength++;
    pending.previous = this.tail;
    if (this.tail === null) this.head = pending;
    else this.tail.next = pending;
    this.tail = pending;
    this.length++;
    return pending;
  }

  /**
   * The one that has waited longest leaves the queue; a new connection goes first to those who wait for one.
   * @param used the connection has carried requests before
   */
  take(used = false): UpstreamStreamHandler | null {
    let pending = this.head;
    if (this.freshLength > 0) while (pending !== null && pending.fresh === used) pending = pending.next;
    if (pending === null) return null;
    this.remove(pending);
    return pending.handler;
  }

  /** Fails those who wait now; a handler that tries again from inside is not failed by the same event. */
  fail(failure: ConnectFailure): void {
    for (let left = this.length; left > 0; left--) {
      const handler = this.take();
      if (handler === null) return;
      (this.context.stats[UPSTREAM_RQ_PENDING_FAILURE_EJECT] as number)++;
      this.host.countOutcome(false);
      handler.onPoolFailure(failure.reason, failure.text, this.host);
    }
  }

  /** @internal */
  cancel(pending: Pending): void {
    if (!pending.queued) return;
    this.remove(pending);
    this.owner.onPendingCancelled();
  }

  private remove(pending: Pending): void {
    const { previous, next } = pending;
    if (previous === null) this.head = next;
    else previous.next = next;
    if (next === null) this.tail = previous;
    else next.previous = previous;
    pending.previous = null;
    pending.next = null;
    pending.queued = false;
    this.length--;
    if (pending.fresh) this.freshLength--;
    (this.context.stats[UPSTREAM_RQ_PENDING_ACTIVE] as number)--;
    (this.host.stats[HOST_RQ_PENDING_ACTIVE] as number)--;
    this.context.breakers.pending.give();
  }
}
