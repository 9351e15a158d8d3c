// A raw connection that is told and written to as if it were a stream: for CONNECT requests that end here
// (Envoy: `connect_config`). The answer's head is ours, and it is there as soon as the connection is.

import { HeaderMap } from '../codec/headers.ts';
import { writeProxyHeader } from '../net/proxy-header.ts';
import type { Transport, TransportHandler } from '../net/transport.ts';
import {
  UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL,
  UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL,
  UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL,
  UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL,
} from '../observe/catalogue-cluster.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import { clientOf } from './request-names.ts';
import type {
  Cluster,
  PendingStream,
  PickContext,
  PoolFailure,
  TcpHandler,
  TcpLease,
  UpstreamHostInfo,
  UpstreamStream,
  UpstreamStreamHandler,
} from './upstream.ts';

/**
 * Opens the connection.
 * @param proxyHeader version of the PROXY header that names the client; 0 = none
 * @returns `null` when the handler was already told
 */
export function startTcpStream(
  cluster: Cluster,
  context: PickContext,
  handler: UpstreamStreamHandler,
  proxyHeader: 0 | 1 | 2,
): PendingStream | null {
  const start = new Start(cluster, handler, proxyHeader === 0 ? EMPTY : headerFor(context, proxyHeader));
  const pending = cluster.startTcp(context, start);
  return start.told ? null : pending;
}

/** Values of a PROXY header are not passed on here, as in Envoy. */
function headerFor(context: PickContext, version: 1 | 2): Uint8Array {
  return writeProxyHeader(version, clientOf(context)?.addresses ?? null, []);
}

class Start implements TcpHandler {
  told: boolean;
  private readonly cluster: Cluster;
  private readonly handler: UpstreamStreamHandler;
  private readonly header: Uint8Array;

  constructor(cluster: Cluster, handler: UpstreamStreamHandler, header: Uint8Array) {
    this.told = false;
    this.cluster = cluster;
    this.handler = handler;
    this.header = header;
  }

  onTcpReady(transport: Transport, host: UpstreamHostInfo, lease: TcpLease): void {
    this.told = true;
    const stream = new TcpUpstreamStream(this.cluster, this.handler, this.header, transport, host, lease);
    transport.handler = stream;
    this.handler.onReady(stream);
  }

  onTcpFailure(reason: PoolFailure, transportFailureReason: string, host: UpstreamHostInfo | null): void {
    this.told = true;
    this.handler.onPoolFailure(reason, transportFailureReason, host);
  }
}

/** See the head of this file. Inert after its end. */
class TcpUpstreamStream implements UpstreamStream, TransportHandler {
  readonly host: UpstreamHostInfo;
  readonly protocol: '';
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly connectionId: number;
  readonly connectStartMs: number;
  readonly connectEndMs: number;
  readonly tls: TlsInfo | null;
  closesAtEnd: boolean;
  wireBytesSent: number;
  wireBytesReceived: number;
  headerBytesSent: number;
  readonly headerBytesReceived: number;
  private readonly stats: Float64Array;
  private readonly handler: UpstreamStreamHandler;
  private readonly header: Uint8Array;
  private readonly transport: Transport;
  private readonly lease: TcpLease;
  private backedUp: boolean;
  private requestEnded: boolean;
  private over: boolean;

  constructor(
    cluster: Cluster,
    handler: UpstreamStreamHandler,
    header: Uint8Array,
    transport: Transport,
    host: UpstreamHostInfo,
    lease: TcpLease,
  ) {
    this.host = host;
    this.protocol = '';
    this.localAddress = transport.localAddress;
    this.remoteAddress = lease.remoteAddress;
    this.connectionId = lease.connectionId;
    this.connectStartMs = lease.connectStartMs;
    this.connectEndMs = lease.connectEndMs;
    this.tls = transport.tls;
    this.closesAtEnd = false;
    this.wireBytesSent = 0;
    this.wireBytesReceived = 0;
    this.headerBytesSent = 0;
    this.headerBytesReceived = 0;
    this.stats = cluster.stats;
    this.handler = handler;
    this.header = header;
    this.transport = transport;
    this.lease = lease;
    this.backedUp = false;
    this.requestEnded = false;
    this.over = false;
  }

  // === What the router asks ===

  sendHead(
    _method: string,
    _scheme: string,
    _authority: string,
    _path: string,
    _headers: HeaderMap,
    endStream: boolean,
  ): void {
    if (this.over) return;
    this.headerBytesSent = this.header.length;
    if (this.header.length > 0) this.send(this.header);
    if (endStream) this.endRequest();
    this.handler.onHead(200, new HeaderMap(), false);
  }

  sendData(chunk: Uint8Array, endStream: boolean): boolean {
    if (this.over) return true;
    const more = chunk.length === 0 || this.send(chunk);
    if (endStream) this.endRequest();
    if (more) return true;
    this.backedUp = true;
    this.count(UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL);
    return false;
  }

  /** They have no place among bytes: the request ends. */
  sendTrailers(): void {
    if (!this.over) this.endRequest();
  }

  reset(): void {
    if (this.over) return;
    this.finish(false);
    this.transport.destroy();
  }

  hold(): void {
    if (this.over) return;
    this.count(UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL);
    this.transport.hold();
  }

  release(): void {
    if (this.over) return;
    this.count(UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL);
    this.transport.release();
  }

  // === What the transport says ===

  onData(chunk: Buffer): void {
    if (this.over) return;
    this.wireBytesReceived += chunk.length;
    this.lease.received(chunk.length);
    this.handler.onData(chunk, false);
  }

  onEnd(): void {
    if (this.over) return;
    if (this.requestEnded) {
      this.finish(true);
      this.transport.closeSoon();
    }
    this.handler.onData(EMPTY, true);
  }

  onDrain(): void {
    if (this.over || !this.backedUp) return;
    this.backedUp = false;
    this.count(UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL);
    this.handler.onDrain();
  }

  onClose(): void {
    if (this.over) return;
    this.finish(true);
    this.handler.onReset('connection_termination', '', 'no');
  }

  // === Inside ===

  private send(bytes: Uint8Array): boolean {
    this.wireBytesSent += bytes.length;
    this.lease.sent(bytes.length);
    return this.transport.write(bytes);
  }

  private endRequest(): void {
    this.requestEnded = true;
    this.transport.end();
  }

  private finish(remote: boolean): void {
    this.over = true;
    this.lease.closed(remote);
  }

  private count(index: number): void {
    this.stats[index] = (this.stats[index] as number) + 1;
  }
}

const EMPTY = new Uint8Array(0);
