// One request and its response on an HTTP/2 connection: what the router writes to. Inert after its end.
//
// An upgrade of HTTP/1 travels as an extended CONNECT (RFC 8441) and comes back as a 101, as in Envoy.

import { HeaderMap } from '../codec/headers.ts';
import type { H2Stream } from '../codec/http2.ts';
import type { Transport } from '../net/transport.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import type { ConnectionAccount } from './account.ts';
import type { Host } from './host.ts';
import type { UpstreamStream, UpstreamStreamHandler } from './upstream.ts';

/** The connection as its streams see it. */
export interface Http2Carrier {
  readonly owner: { readonly host: Host };
  readonly account: ConnectionAccount;
  readonly transport: Transport;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Sends the head; sets `stream.wire`, or resets a stream that has no number left. */
  open(
    stream: Http2UpstreamStream,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void;
  /** @returns false when the upstream takes bytes too slowly: `UpstreamStreamHandler.onDrain` follows */
  sendData(stream: Http2UpstreamStream, wire: H2Stream, chunk: Uint8Array, endStream: boolean): boolean;
  sendTrailers(wire: H2Stream, trailers: HeaderMap): void;
  /** The stream was given up by its owner. */
  abandon(stream: Http2UpstreamStream): void;
  holdReading(wire: H2Stream): void;
  releaseReading(wire: H2Stream): void;
}

/** See the head of this file. */
export class Http2UpstreamStream implements UpstreamStream {
  readonly host: Host;
  readonly protocol: 'HTTP/2';
  readonly connectionId: number;
  readonly connectStartMs: number;
  readonly connectEndMs: number;
  readonly tls: TlsInfo | null;
  closesAtEnd: boolean;
  readonly handler: UpstreamStreamHandler;
  /** `null` until the head is sent. */
  wire: H2Stream | null;
  responseStarted: boolean;
  /** `sendData` has returned false and no drain was told yet. */
  backedUp: boolean;
  /** Nothing more may be asked of the connection. */
  over: boolean;
  /** Token of an upgrade that travels as an extended CONNECT; empty. */
  upgrade: string;
  private readonly connection: Http2Carrier;

  constructor(connection: Http2Carrier, handler: UpstreamStreamHandler) {
    this.host = connection.owner.host;
    this.protocol = 'HTTP/2';
    this.connectionId = connection.account.id;
    this.connectStartMs = connection.account.startMs;
    this.connectEndMs = connection.account.connectedMs;
    this.tls = connection.transport.tls;
    this.closesAtEnd = false;
    this.handler = handler;
    this.wire = null;
    this.responseStarted = false;
    this.backedUp = false;
    this.over = false;
    this.upgrade = '';
    this.connection = connection;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get wireBytesSent(): number {
    return this.wire === null ? 0 : this.wire.wireBytesSent;
  }

  get wireBytesReceived(): number {
    return this.wire === null ? 0 : this.wire.wireBytesReceived;
  }

  get headerBytesSent(): number {
    return this.wire === null ? 0 : this.wire.headerWireBytesSent;
  }

  get headerBytesReceived(): number {
    return this.wire === null ? 0 : this.wire.headerWireBytesReceived;
  }

  sendHead(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void {
    if (this.over) return;
    const { connection } = this;
    if (method === 'CONNECT') connection.open(this, method, '', authority, '', '', headers, endStream);
    else {
      const token = headers.get('upgrade');
      if (token === null) connection.open(this, method, scheme, authority, path, '', headers, endStream);
      else {
        this.upgrade = token;
        connection.open(this, 'CONNECT', scheme, authority, path, token, withoutUpgrade(headers), endStream);
      }
    }
  }

  sendData(chunk: Uint8Array, endStream: boolean): boolean {
    return this.over || this.wire === null || this.connection.sendData(this, this.wire, chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.over && this.wire !== null) this.connection.sendTrailers(this.wire, trailers);
  }

  reset(): void {
    if (!this.over) this.connection.abandon(this);
  }

  hold(): void {
    if (!this.over && this.wire !== null) this.connection.holdReading(this.wire);
  }

  release(): void {
    if (!this.over && this.wire !== null) this.connection.releaseReading(this.wire);
  }
}

/** The fields of an extended CONNECT. A copy: the request may be sent again, and its record shows what came. */
function withoutUpgrade(headers: HeaderMap): HeaderMap {
  const copy = new HeaderMap();
  for (let i = 0; i < headers.names.length; i++) {
    const name = headers.names[i] as string;
    const value = headers.values[i] as string;
    if (name === 'upgrade' || name === 'connection' || (name === 'content-length' && value === '0')) continue;
    copy.add(name, value);
  }
  return copy;
}
