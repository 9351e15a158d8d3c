// One request and its answer: everything that filters, router, access log and formatters may read.
// One shape; every field is set in the constructor; times are `performance.now()` milliseconds, −1 = did not happen.

import type { ClientHello } from '../codec/client-hello.ts';
import type { HeaderMap } from '../codec/headers.ts';
import type { JsonObject, MetadataModel } from '../config/model/common.ts';
import type { DynamicMetadata } from './dynamic-metadata.ts';
import type { FilterState } from './filter-state.ts';

/** The downstream connection's facts, shared by its streams. */
export interface ConnectionInfo {
  readonly id: number;
  /** `ip:port`, `[ip6]:port` or a pipe's path, as `%DOWNSTREAM_LOCAL_ADDRESS%` prints it. */
  readonly localAddress: string;
  /** The client before any header is read: the peer of the socket, or whom a PROXY header names. */
  readonly remoteAddress: string;
  readonly remoteIp: string;
  readonly remotePort: number;
  /** The peer of the socket, `%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%`. */
  readonly directRemoteAddress: string;
  /** Bare IPs (no port); empty for pipes. */
  readonly localIp: string;
  readonly localPort: number;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  /** Set when the handshake is done. */
  tls: DownstreamTlsInfo | null;
  /** SNI seen by an inspector or TLS; empty. */
  requestedServerName: string;
  terminationDetails: string;
  transportFailureReason: string;
  readonly listenerName: string;
  readonly filterChainName: string;
  readonly startedMs: number;
  /** The socket's own address, when the original destination was restored into `localAddress`. */
  readonly directLocalAddress?: string;
  /** `localAddress` is where the client was going before it was redirected: original destination clusters need it. */
  readonly localAddressRestored?: boolean;
  /** Where upstream connections for it come from; `null` = as their cluster says. */
  readonly upstreamSource?: UpstreamSource | null;
  readonly listenerMetadata?: MetadataModel;
  readonly filterChainMetadata?: MetadataModel;
  /** Why the TLS inspector saw no TLS; of the connection's own records, not of its requests'. */
  readonly inspectorFailure?: string;
  /** The client's hello, when an inspector read it. */
  readonly hello?: ClientHello | null;
  /** Fingerprints of the client's hello; empty. */
  readonly ja3?: string;
  readonly ja4?: string;
  /** A PROXY header that came with the connection. */
  proxyHeader?: ProxyHeaderInfo | null;
  /** What listener filters wrote; requests do not see it, streams of the TCP proxy do. */
  readonly dynamicMetadata?: DynamicMetadata | null;
  /** What network filters keep for all of its requests (`readFilterState`); `null` until one does. */
  filterState?: FilterState | null;
  /** To be told once, of the bytes that came first; 0 = the end came instead. `null` = nobody wants to know. */
  onFirstData?: ((bytes: number) => void) | null;
  /** When the TLS handshake was done. */
  handshakeEndMs?: number;
  /** `%DOWNSTREAM_DETECTED_CLOSE_TYPE%`: `Normal`, `LocalReset` or `RemoteReset`. */
  detectedCloseType?: string;
  localCloseReason?: string;
  /** `%RESPONSE_CODE_DETAILS%` of a connection whose filter keeps no record. */
  closeDetails?: string;
  /** Set by a filter: the cluster that the TCP proxy uses instead of its own. */
  tcpCluster?: string;
  /** What a filter that keeps no record of its own says of the connection when it ends; bytes on the wire. */
  protocol?: string;
  bytesReceived?: number;
  bytesSent?: number;
}

/** A local end of upstream connections that a listener filter asked for. */
export interface UpstreamSource {
  readonly ip: string;
  /** 0 = any. */
  readonly port: number;
  /** Of their packets; 0 = none. */
  readonly mark: number;
}

/** What a PROXY header said beside its addresses. */
export interface ProxyHeaderInfo {
  /** Values that may be passed to upstreams, in the order received. */
  readonly tlvs: readonly { readonly type: number; readonly value: Buffer }[];
}

/** What one side presented in its certificate; strings are latin1 images, lists in certificate order. */
export interface CertificateInfo {
  /** RFC 2253 text; empty. */
  readonly subject: string;
  readonly issuer: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly otherNameSans: readonly string[];
  /** Lower-case hex digests of the DER form. */
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  /** URL-encoded PEM. */
  readonly pem: string;
  /** Validity, milliseconds since the epoch; NaN = unknown. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** One TLS connection; `null` stands for clear text. */
export interface TlsInfo {
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly version: string;
  /** OpenSSL's name of the suite. */
  readonly cipher: string;
  /** Lower-case hex; empty. */
  readonly sessionId: string;
  /** Key-exchange group; empty where it cannot be known. */
  readonly group: string;
  /** Server name sent (upstream); empty. */
  readonly serverName: string;
  /** Negotiated application protocol; empty. */
  readonly alpn: string;
  readonly peer: CertificateInfo | null;
  /** The peer's certificate was judged in this handshake, and well. */
  readonly peerValidated: boolean;
  readonly local: CertificateInfo | null;
  /** Who issued the peer's certificate, sent or trusted. */
  readonly issuer: CertificateInfo | null;
  /** As sent, leaf first. */
  readonly peerChain: readonly CertificateInfo[];
}
/** Filled by `net/tls-server.ts`; `null` on clear-text connections. */
export type DownstreamTlsInfo = TlsInfo;

/** The host an attempt went to. */
export interface UpstreamHostInfo {
  /** `ip:port` or a pipe's path. */
  readonly address: string;
  /** Configured or DNS name; empty. */
  readonly hostname: string;
  readonly metadata: MetadataModel;
  /** Empty = it is not said. */
  readonly zone: string;
  /** Its metadata says so. */
  readonly canary: boolean;
}

/** What formatters, log filters and header mutations read; the connection manager and the TCP proxy fill it. */
export class StreamInfo {
  readonly connection: ConnectionInfo;
  /** Wall clock of the start, milliseconds since the epoch with a fraction. */
  readonly startTimeMs: number;
  /** Monotonic marks. */
  readonly startMs: number;
  requestRxEndMs: number;
  upstreamConnectStartMs: number;
  upstreamConnectEndMs: number;
  upstreamTxStartMs: number;
  upstreamTxEndMs: number;
  upstreamRxStartMs: number;
  /** First body byte of the answer. */
  upstreamRxBodyStartMs: number;
  upstreamRxEndMs: number;
  downstreamTxStartMs: number;
  downstreamTxEndMs: number;
  endMs: number;

  /** `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`, or empty on TCP. */
  protocol: string;
  // Request head; pseudo-headers are fields
  method: string;
  scheme: string;
  authority: string;
  /** A host was named, and it is empty. */
  authorityIsEmpty: boolean;
  path: string;
  /** `null` before a head was decoded and on TCP. */
  requestHeaders: HeaderMap | null;
  requestTrailers: HeaderMap | null;
  // Response head
  /** 0 before a response head went (or would have gone) downstream. */
  status: number;
  responseHeaders: HeaderMap | null;
  responseTrailers: HeaderMap | null;
  /** `%RESPONSE_CODE_DETAILS%`; empty = not set. */
  details: string;
  /** Bits of `observe/flags.ts`. */
  flags: number;

  requestBodyBytes: number;
  responseBodyBytes: number;
  /** Fields of the head as received, without trailers. */
  requestHeaderBytes: number;
  /** Fields of head and trailers as sent. */
  responseHeaderBytes: number;
  upstreamWireBytesSent: number;
  upstreamWireBytesReceived: number;
  upstreamHeaderBytesSent: number;
  upstreamHeaderBytesReceived: number;
  downstreamWireBytesSent: number;
  downstreamWireBytesReceived: number;

  /** `%DOWNSTREAM_REMOTE_ADDRESS%`: the trusted client address (after XFF), as `ip:port` (`ip:0` from XFF). */
  remoteAddress: string;
  internal: boolean;
  /** How often a route was looked for. */
  routeResolutions: number;
  routeName: string;
  virtualClusterName: string;
  /** Observability name of the cluster; empty. */
  upstreamCluster: string;
  /** Name of the cluster where it differs from `upstreamCluster`; empty. */
  upstreamClusterRaw: string;
  upstreamHost: UpstreamHostInfo | null;
  upstreamLocalAddress: string;
  upstreamRemoteAddress: string;
  upstreamProtocol: string;
  upstreamConnectionId: number;
  upstreamTransportFailureReason: string;
  /** How long the (last) attempt waited for the pool's word, a connection or that there is none; ms; −1 = never asked. */
  upstreamPoolWaitMs: number;
  upstreamHandshakeEndMs: number;
  upstreamTls: TlsInfo | null;
  upstreamDetectedCloseType: string;
  upstreamLocalCloseReason: string;
  /** Hosts and connections of every attempt, in order; `null` = only `upstreamHost`. */
  upstreamHostsAttempted: UpstreamHostInfo[] | null;
  upstreamConnectionIdsAttempted: number[] | null;
  attemptCount: number;
  /** `null` until someone writes (`addMetadata`). */
  dynamicMetadata: DynamicMetadata | null;
  /** Its own objects; `null` until someone writes (`writeFilterState`). Read with `readFilterState`. */
  filterState: FilterState | null;
  routeMetadata: JsonObject | null;
  clusterMetadata: JsonObject | null;
  virtualHostMetadata: JsonObject | null;
  /** Empty until generated; the request id as sent. */
  requestId: string;
  traceSampled: boolean;
  healthCheck: boolean;
  /** UUID for `%STREAM_ID%`; empty until asked for. */
  streamId: string;
  /** Of the active span, lower-case hex; empty. */
  traceId: string;
  spanId: string;
  /** Set by whoever logs (`createAccessLogger`): `DownstreamEnd` and so on. */
  accessLogType: string;
  /** Comma-joined flags of `%CUSTOM_FLAGS%`; empty. */
  customFlags: string;
  /** A header of the request that a format gave a value which no message can carry (`:path` too); empty. */
  unsafeHeader: string;
  /** Body of the local reply while it is rendered; empty. */
  localReplyBody: string;

  constructor(connection: ConnectionInfo, startTimeMs: number, startMs: number) {
    this.connection = connection;
    this.startTimeMs = startTimeMs;
    this.startMs = startMs;
    this.requestRxEndMs = -1;
    this.upstreamConnectStartMs = -1;
    this.upstreamConnectEndMs = -1;
    this.upstreamTxStartMs = -1;
    this.upstreamTxEndMs = -1;
    this.upstreamRxStartMs = -1;
    this.upstreamRxBodyStartMs = -1;
    this.upstreamRxEndMs = -1;
    this.downstreamTxStartMs = -1;
    this.downstreamTxEndMs = -1;
    this.endMs = -1;
    this.protocol = '';
    this.method = '';
    this.scheme = '';
    this.authority = '';
    this.authorityIsEmpty = false;
    this.path = '';
    this.requestHeaders = null;
    this.requestTrailers = null;
    this.status = 0;
    this.responseHeaders = null;
    this.responseTrailers = null;
    this.details = '';
    this.flags = 0;
    this.requestBodyBytes = 0;
    this.responseBodyBytes = 0;
    this.requestHeaderBytes = 0;
    this.responseHeaderBytes = 0;
    this.upstreamWireBytesSent = 0;
    this.upstreamWireBytesReceived = 0;
    this.upstreamHeaderBytesSent = 0;
    this.upstreamHeaderBytesReceived = 0;
    this.downstreamWireBytesSent = 0;
    this.downstreamWireBytesReceived = 0;
    this.remoteAddress = '';
    this.internal = false;
    this.routeResolutions = 0;
    this.routeName = '';
    this.virtualClusterName = '';
    this.upstreamCluster = '';
    this.upstreamClusterRaw = '';
    this.upstreamHost = null;
    this.upstreamLocalAddress = '';
    this.upstreamRemoteAddress = '';
    this.upstreamProtocol = '';
    this.upstreamConnectionId = 0;
    this.upstreamTransportFailureReason = '';
    this.upstreamPoolWaitMs = -1;
    this.upstreamHandshakeEndMs = -1;
    this.upstreamTls = null;
    this.upstreamDetectedCloseType = '';
    this.upstreamLocalCloseReason = '';
    this.upstreamHostsAttempted = null;
    this.upstreamConnectionIdsAttempted = null;
    this.attemptCount = 0;
    this.dynamicMetadata = null;
    this.filterState = null;
    this.routeMetadata = null;
    this.clusterMetadata = null;
    this.virtualHostMetadata = null;
    this.requestId = '';
    this.traceSampled = false;
    this.healthCheck = false;
    this.streamId = '';
    this.traceId = '';
    this.spanId = '';
    this.accessLogType = 'NotSet';
    this.customFlags = '';
    this.unsafeHeader = '';
    this.localReplyBody = '';
  }
}
