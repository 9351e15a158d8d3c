// The downstream connections of one connection manager in one worker: what a listener hands over, and what befalls all of
// them together.

import type { Socket } from 'node:net';
import {
  HTTP_DOWNSTREAM_CX_DESTROY,
  HTTP_DOWNSTREAM_CX_DESTROY_LOCAL,
  HTTP_DOWNSTREAM_CX_TOTAL,
} from '../observe/catalogue-http.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { type ConnectionOwner, type DownstreamCodec, DownstreamConnection } from './downstream-connection.ts';
import { Http1Connection } from './http1-connection.ts';
import { Http2Connection } from './http2-connection.ts';
import type { LoadedStream } from './loaded-streams.ts';
import type { HttpManager } from './manager.ts';

/** See the head of this file. */
export class HttpConnections implements ConnectionOwner {
  readonly manager: HttpManager;
  private readonly connections: Set<DownstreamConnection>;

  constructor(manager: HttpManager) {
    this.manager = manager;
    this.connections = new Set();
  }

  // === From the listener ===

  /** Serves a connection. @param onClosed called once when the socket is gone */
  accept(socket: Socket, info: ConnectionInfo, onClosed: () => void): void {
    this.connections.add(new DownstreamConnection(this, socket, info, onClosed));
  }

  /** A connection that was closed before it came here; Envoy's manager has counted it by then. */
  refused(info: ConnectionInfo): undefined {
    const { manager } = this;
    manager.count(HTTP_DOWNSTREAM_CX_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_DESTROY);
    manager.count(HTTP_DOWNSTREAM_CX_DESTROY_LOCAL);
    manager.cxLength.record(Math.floor(manager.runtime.nowMs() - info.startedMs));
  }

  get activeConnections(): number {
    return this.connections.size;
  }

  /** Idle connections close now, busy ones after their present exchange. */
  drain(): void {
    for (const connection of this.connections) connection.drain();
  }

  /** Ends what is left, at once. */
  closeAll(): void {
    for (const connection of this.connections) connection.destroy();
  }

  // === From the overload manager ===

  /** Adds the streams that hold so many bytes or more. */
  collectLoaded(leastBytes: number, into: LoadedStream[]): void {
    for (const connection of this.connections) connection.collectLoaded(leastBytes, into);
  }

  /** Running time limits are other ones now. */
  rescale(): void {
    if (this.manager.timerScale !== null) for (const connection of this.connections) connection.rescale();
  }

  // === From the connections ===

  createCodec(connection: DownstreamConnection, first: Buffer): DownstreamCodec {
    const { codec } = this.manager.model;
    const isHttp2 = codec === 'auto' ? choosesHttp2(connection.info, first) : codec === 'http2';
    return isHttp2 ? new Http2Connection(connection) : new Http1Connection(connection);
  }

  onGone(connection: DownstreamConnection): void {
    this.connections.delete(connection);
  }
}

/** What Envoy looks for in the first bytes that it reads: less than that is HTTP/1. */
const HTTP2_MAGIC = Buffer.from('PRI * HTTP/2', 'latin1');

/** The protocol that TLS has agreed on decides; without one, the first bytes. */
function choosesHttp2(info: ConnectionInfo, first: Buffer): boolean {
  const agreed = info.tls === null ? '' : info.tls.alpn;
  if (agreed !== '') return agreed === 'h2';
  return first.length >= HTTP2_MAGIC.length && HTTP2_MAGIC.equals(first.subarray(0, HTTP2_MAGIC.length));
}
