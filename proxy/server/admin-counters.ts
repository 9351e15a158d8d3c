// Counts the admin port's own traffic: `listener.admin.*`, `http.admin.*`.

import type { Socket } from 'node:net';
import * as http from '../observe/catalogue-http.ts';
import * as listener from '../observe/catalogue-listener.ts';
import type { Histogram } from '../observe/stats.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';

export class AdminCounters {
  private readonly listener: Float64Array;
  private readonly mainThread: Float64Array;
  private readonly http: Float64Array;
  private readonly classes: Float64Array;
  private readonly connectionMs: readonly Histogram[];
  private readonly acceptedPerEvent: Histogram;
  private readonly requestMs: Histogram;

  constructor(stats: StatsRegistry) {
    const store = stats.local;
    this.listener = store.block(listener.LISTENER, 'listener.admin.');
    this.mainThread = store.block(listener.LISTENER_WORKER, 'listener.admin.main_thread.');
    this.http = store.block(http.HTTP, 'http.admin.');
    this.classes = store.block(http.LISTENER_HTTP, 'listener.admin.http.admin.');
    store.block(http.HTTP1_CODEC, 'http1.');
    this.connectionMs = [
      store.histogram('listener.admin.downstream_cx_length_ms'),
      store.histogram('http.admin.downstream_cx_length_ms'),
    ];
    this.acceptedPerEvent = store.histogram('listener.admin.connections_accepted_per_socket_event');
    this.requestMs = store.histogram('http.admin.downstream_rq_time');
  }

  connectionOpened(socket: Socket): void {
    const startedMs = performance.now();
    add(this.listener, listener.LISTENER_DOWNSTREAM_CX_TOTAL, 1);
    add(this.listener, listener.LISTENER_DOWNSTREAM_CX_ACTIVE, 1);
    add(this.mainThread, listener.LISTENER_WORKER_DOWNSTREAM_CX_TOTAL, 1);
    add(this.mainThread, listener.LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE, 1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_TOTAL, 1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_ACTIVE, 1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_HTTP1_TOTAL, 1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE, 1);
    this.acceptedPerEvent.record(1);
    let remote = false;
    socket.once('end', () => {
      remote = true;
    });
    socket.once('close', () => this.connectionClosed(socket, remote, performance.now() - startedMs));
  }

  private connectionClosed(socket: Socket, remote: boolean, ms: number): void {
    add(this.listener, listener.LISTENER_DOWNSTREAM_CX_DESTROY, 1);
    add(this.listener, listener.LISTENER_DOWNSTREAM_CX_ACTIVE, -1);
    add(this.mainThread, listener.LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE, -1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_DESTROY, 1);
    add(this.http, remote ? http.HTTP_DOWNSTREAM_CX_DESTROY_REMOTE : http.HTTP_DOWNSTREAM_CX_DESTROY_LOCAL, 1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_ACTIVE, -1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE, -1);
    add(this.http, http.HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL, socket.bytesRead);
    add(this.http, http.HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL, socket.bytesWritten);
    for (const histogram of this.connectionMs) histogram.record(ms);
  }

  protocolError(): void {
    add(this.http, http.HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR, 1);
  }

  requestStarted(): void {
    add(this.http, http.HTTP_DOWNSTREAM_RQ_TOTAL, 1);
    add(this.http, http.HTTP_DOWNSTREAM_RQ_ACTIVE, 1);
    add(this.http, http.HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL, 1);
  }

  requestEnded(status: number, ms: number): void {
    add(this.http, http.HTTP_DOWNSTREAM_RQ_ACTIVE, -1);
    add(this.http, http.HTTP_DOWNSTREAM_RQ_COMPLETED, 1);
    add(this.classes, http.LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED, 1);
    const above1xx = Math.floor(status / 100) - 1;
    add(this.http, http.HTTP_DOWNSTREAM_RQ_1XX + above1xx, 1);
    add(this.classes, http.LISTENER_HTTP_DOWNSTREAM_RQ_1XX + above1xx, 1);
    this.requestMs.record(ms);
  }
}

function add(slots: Float64Array, index: number, by: number): void {
  slots[index] = (slots[index] as number) + by;
}
