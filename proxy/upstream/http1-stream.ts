// One request and its response on an HTTP/1 connection: what the router writes to. Inert after its end.

import type { HeaderMap } from '../codec/headers.ts';
import { FRAMING_CHUNKED, type Framing } from '../codec/http1.ts';
import type { ResponseDecoder } from '../codec/http1-response.ts';
import {
  CHUNK_END,
  chunkHead,
  LAST_CHUNK,
  requestFraming,
  writeRequestHead,
  writeTrailers,
} from '../codec/http1-write.ts';
import type { Transport } from '../net/transport.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import type { ConnectionAccount, ConnectionContext } from './account.ts';
import type { Host } from './host.ts';
import type { UpstreamStream, UpstreamStreamHandler } from './upstream.ts';

/** Of a request head, besides method and target, what is no field: blanks, version and two line ends. */
const START_AND_END_BYTES = '  HTTP/1.1\r\n\r\n'.length;

/** The connection as its stream sees it. */
export interface Http1Carrier {
  readonly owner: { readonly host: Host; readonly context: ConnectionContext };
  readonly account: ConnectionAccount;
  readonly transport: Transport;
  readonly decoder: ResponseDecoder;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Bytes of the request have left. */
  countSent(bytes: number): void;
  /** The upstream takes bytes too slowly. */
  countBackedUp(): void;
  /** The stream was given up by its owner. */
  abandon(stream: Http1UpstreamStream): void;
  /** The stream and the connection end as soon as what was written has left. */
  closeAfter(stream: Http1UpstreamStream): void;
  holdReading(): void;
  releaseReading(): void;
}

/** See the head of this file. */
export class Http1UpstreamStream implements UpstreamStream {
  readonly host: Host;
  readonly protocol: 'HTTP/1.1';
  readonly connectionId: number;
  readonly connectStartMs: number;
  readonly connectEndMs: number;
  readonly tls: TlsInfo | null;
  closesAtEnd: boolean;
  readonly handler: UpstreamStreamHandler;
  headSent: boolean;
  requestEnded: boolean;
  responseStarted: boolean;
  /** `sendData` has returned false and no drain was told yet. */
  backedUp: boolean;
  /** Nothing more may be asked of the connection. */
  over: boolean;
  private readonly connection: Http1Carrier;
  private readonly bytesReadBefore: number;
  private framing: Framing;
  wireBytesSent: number;
  headerBytesSent: number;
  headerBytesReceived: number;

  constructor(connection: Http1Carrier, handler: UpstreamStreamHandler) {
    this.host = connection.owner.host;
    this.protocol = 'HTTP/1.1';
    this.connectionId = connection.account.id;
    this.connectStartMs = connection.account.startMs;
    this.connectEndMs = connection.account.connectedMs;
    this.tls = connection.transport.tls;
    this.closesAtEnd = false;
    this.handler = handler;
    this.headSent = false;
    this.requestEnded = false;
    this.responseStarted = false;
    this.backedUp = false;
    this.over = false;
    this.connection = connection;
    this.bytesReadBefore = connection.transport.bytesRead;
    this.framing = 0;
    this.wireBytesSent = 0;
    this.headerBytesSent = 0;
    this.headerBytesReceived = 0;
  }

  get localAddress(): string {
    return this.connection.localAddress;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  get wireBytesReceived(): number {
    return this.connection.transport.bytesRead - this.bytesReadBefore;
  }

  sendHead(
    method: string,
    _scheme: string,
    authority: string,
    path: string,
    headers: HeaderMap,
    endStream: boolean,
  ): void {
    if (this.over) return;
    const { connection } = this;
    const upgrade = method === 'CONNECT' || headers.has('upgrade');
    this.framing = requestFraming(method, headers, endStream, upgrade);
    // A tunnel's target is an authority (RFC 9112 §3.2.3).
    const target = method === 'CONNECT' && path === '' ? authority : path;
    if (method === 'CONNECT') this.closesAtEnd = true;
    const text = writeRequestHead(
      method,
      target,
      authority,
      headers,
      this.framing,
      connection.owner.context.model.http1.headerCase,
    );
    connection.decoder.expect(method, upgrade);
    this.headSent = true;
    this.requestEnded = endStream;
    this.headerBytesSent = text.length - method.length - target.length - START_AND_END_BYTES;
    this.count(text.length);
    connection.transport.writeHead(text);
  }

  sendData(chunk: Uint8Array, endStream: boolean): boolean {
    if (this.over) return true;
    const { transport } = this.connection;
    this.requestEnded = endStream;
    let more = true;
    if (this.framing === FRAMING_CHUNKED) {
      const prefix = chunk.length === 0 ? '' : chunkHead(chunk.length);
      const suffix = (chunk.length === 0 ? '' : CHUNK_END) + (endStream ? LAST_CHUNK : '');
      if (suffix === '') return true;
      this.count(prefix.length + chunk.length + suffix.length);
      more = transport.writeFramed(prefix, chunk, suffix);
    } else if (chunk.length > 0) {
      this.count(chunk.length);
      more = transport.write(chunk);
    }
    if (endStream && this.closesAtEnd) {
      this.connection.closeAfter(this);
      return true;
    }
    if (more) return true;
    this.backedUp = true;
    this.connection.countBackedUp();
    return false;
  }

  sendTrailers(trailers: HeaderMap): void {
    if (this.over) return;
    const { connection } = this;
    this.requestEnded = true;
    if (this.framing !== FRAMING_CHUNKED) return;
    const { headerCase, enableTrailers } = connection.owner.context.model.http1;
    const text = enableTrailers ? writeTrailers(trailers, headerCase) : LAST_CHUNK;
    this.headerBytesSent += text.length - LAST_CHUNK.length;
    this.count(text.length);
    connection.transport.writeHead(text);
  }

  reset(): void {
    if (!this.over) this.connection.abandon(this);
  }

  hold(): void {
    if (!this.over) this.connection.holdReading();
  }

  release(): void {
    if (!this.over) this.connection.releaseReading();
  }

  private count(bytes: number): void {
    this.wireBytesSent += bytes;
    this.connection.countSent(bytes);
  }
}
