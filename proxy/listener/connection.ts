// The facts of one accepted connection.

import type { Socket } from 'node:net';
import type { ClientHello } from '../codec/client-hello.ts';
import type { AddressModel, JsonObject, MetadataModel } from '../config/model/common.ts';
import type { ListenerModel } from '../config/model/listener.ts';
import { INTERNAL_CLIENT_ADDRESS } from '../net/internal.ts';
import { addressText } from '../net/listen.ts';
import { addMetadata, type DynamicMetadata } from '../observe/dynamic-metadata.ts';
import type { FilterState } from '../observe/filter-state.ts';
import type { ConnectionInfo, DownstreamTlsInfo, ProxyHeaderInfo, UpstreamSource } from '../observe/stream-info.ts';
import { joinHostPort, unmapIpv4 } from '../util/ip.ts';
import type { MatchInput } from './chain-match.ts';

const NO_PROTOCOLS: readonly string[] = [];
const NO_METADATA: MetadataModel = {};

/** Filled when a connection is accepted; one shape for every kind of listener. */
export class AcceptedConnection implements ConnectionInfo, MatchInput {
  readonly id: number;
  /** The destination: where the client was going before it was redirected, otherwise the socket's own address. */
  localAddress: string;
  localIp: string;
  localPort: number;
  /** A listener filter set the destination. */
  localAddressRestored: boolean;
  readonly directLocalAddress: string;
  upstreamSource: UpstreamSource | null;
  /** The client: the peer of the socket, or whom a PROXY header names. */
  remoteAddress: string;
  remoteIp: string;
  remotePort: number;
  readonly directRemoteAddress: string;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  tls: DownstreamTlsInfo | null;
  requestedServerName: string;
  terminationDetails: string;
  transportFailureReason: string;
  inspectorFailure: string;
  detectedCloseType: string;
  localCloseReason: string;
  tcpCluster: string;
  closeDetails: string;
  protocol: string;
  bytesReceived: number;
  bytesSent: number;
  /** The listener that serves it: not the one that accepted it, when it was handed on. */
  listenerName: string;
  listenerMetadata: MetadataModel;
  /** Set once the chain is chosen. */
  filterChainName: string;
  filterChainMetadata: MetadataModel;
  readonly startedMs: number;
  /** What listener filters found. */
  transportProtocol: string;
  applicationProtocols: readonly string[];
  hello: ClientHello | null;
  /** Fingerprints of the client's hello; empty unless the inspector makes them. */
  ja3: string;
  ja4: string;
  /** Of a PROXY header, kept to be passed on; `null` = there was none. */
  proxyHeader: ProxyHeaderInfo | null;
  /** Written by listener filters; `null` until one does. */
  dynamicMetadata: DynamicMetadata | null;
  /** Written by network filters; `null` until one does. */
  filterState: FilterState | null;
  onFirstData: ((bytes: number) => void) | null;

  constructor(id: number, socket: Socket, bound: AddressModel, listener: ListenerModel, startedMs: number) {
    const local = bound.kind === 'socket' ? localEnd(socket, bound, listener.transparent) : null;
    const remoteIp = local === null ? '' : unmapIpv4(socket.remoteAddress ?? '');
    const remotePort = local === null ? 0 : (socket.remotePort ?? 0);
    this.id = id;
    this.localAddress = local === null ? pathOf(bound) : joinHostPort(local.ip, local.port);
    this.localIp = local?.ip ?? '';
    this.localPort = local?.port ?? 0;
    this.localAddressRestored = false;
    this.directLocalAddress = this.localAddress;
    this.upstreamSource = null;
    this.directRemoteAddress = remoteIp === '' ? internalPeer(bound) : joinHostPort(remoteIp, remotePort);
    this.remoteAddress = this.directRemoteAddress;
    this.remoteIp = remoteIp;
    this.remotePort = remotePort;
    this.directRemoteIp = remoteIp;
    this.directRemotePort = remotePort;
    this.tls = null;
    this.requestedServerName = '';
    this.terminationDetails = '';
    this.transportFailureReason = '';
    this.inspectorFailure = '';
    this.detectedCloseType = 'Normal';
    this.localCloseReason = '';
    this.tcpCluster = '';
    this.closeDetails = '';
    this.protocol = '';
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.listenerName = listener.name;
    this.listenerMetadata = listener.metadata;
    this.filterChainName = '';
    this.filterChainMetadata = NO_METADATA;
    this.startedMs = startedMs;
    this.transportProtocol = 'raw_buffer';
    this.applicationProtocols = NO_PROTOCOLS;
    this.hello = null;
    this.ja3 = '';
    this.ja4 = '';
    this.proxyHeader = null;
    this.dynamicMetadata = null;
    this.filterState = null;
    this.onFirstData = null;
  }

  /** Sets the destination that a listener filter found. */
  restoreLocal(ip: string, port: number): void {
    this.localIp = ip;
    this.localPort = port;
    this.localAddress = joinHostPort(ip, port);
    this.localAddressRestored = true;
  }

  get serverName(): string {
    return this.requestedServerName;
  }

  /** Sets the client that a listener filter found. */
  restoreRemote(ip: string, port: number): void {
    this.remoteIp = ip;
    this.remotePort = port;
    this.remoteAddress = joinHostPort(ip, port);
  }

  /** Adds to the dynamic metadata of the connection. @param value an ordinary string */
  setMetadata(namespace: string, key: string, value: string): void {
    const fields: JsonObject = { [key]: value };
    addMetadata(this, namespace, fields);
  }
}

/** A listener on one address knows its connections' local end without asking the kernel, unless it takes any address. */
function localEnd(
  socket: Socket,
  bound: AddressModel & { readonly kind: 'socket' },
  transparent: boolean,
): { readonly ip: string; readonly port: number } {
  const wildcard = bound.address === '0.0.0.0' || bound.address === '::';
  if (!wildcard && !transparent) return { ip: bound.address, port: bound.port };
  return { ip: unmapIpv4(socket.localAddress ?? bound.address), port: socket.localPort ?? bound.port };
}

function pathOf(bound: AddressModel): string {
  return bound.kind === 'socket' ? '' : addressText(bound);
}

function internalPeer(bound: AddressModel): string {
  return bound.kind === 'internal' ? INTERNAL_CLIENT_ADDRESS : '';
}
