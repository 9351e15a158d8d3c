// The facts of one accepted connection.

import type { Socket } from 'node:net';
import type { AddressModel, ListenerModel, MetadataModel } from '../config/model.ts';
import type { ConnectionInfo, DownstreamTlsInfo } from '../observe/stream-info.ts';
import { joinHostPort, unmapIpv4 } from '../util/ip.ts';
import type { MatchInput } from './chain-match.ts';

const NO_PROTOCOLS: readonly string[] = [];
const NO_METADATA: MetadataModel = {};

/** Filled when a connection is accepted; one shape for every kind of listener. */
export class AcceptedConnection implements ConnectionInfo, MatchInput {
  readonly id: number;
  readonly localAddress: string;
  readonly directRemoteAddress: string;
  readonly localIp: string;
  readonly localPort: number;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  readonly tls: DownstreamTlsInfo | null;
  requestedServerName: string;
  terminationDetails: string;
  transportFailureReason: string;
  detectedCloseType: string;
  localCloseReason: string;
  protocol: string;
  bytesReceived: number;
  bytesSent: number;
  readonly listenerName: string;
  readonly listenerMetadata: MetadataModel;
  /** Set once the chain is chosen. */
  filterChainName: string;
  filterChainMetadata: MetadataModel;
  readonly startedMs: number;
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];

  constructor(id: number, socket: Socket, bound: AddressModel, listener: ListenerModel, startedMs: number) {
    const local = bound.kind === 'socket' ? localEnd(socket, bound) : null;
    const remoteIp = local === null ? '' : unmapIpv4(socket.remoteAddress ?? '');
    const remotePort = local === null ? 0 : (socket.remotePort ?? 0);
    this.id = id;
    this.localAddress = local === null ? pathOf(bound) : joinHostPort(local.ip, local.port);
    this.directRemoteAddress = remoteIp === '' ? '' : joinHostPort(remoteIp, remotePort);
    this.localIp = local?.ip ?? '';
    this.localPort = local?.port ?? 0;
    this.directRemoteIp = remoteIp;
    this.directRemotePort = remotePort;
    this.tls = null;
    this.requestedServerName = '';
    this.terminationDetails = '';
    this.transportFailureReason = '';
    this.detectedCloseType = 'Normal';
    this.localCloseReason = '';
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
  }

  get serverName(): string {
    return this.requestedServerName;
  }

  get remoteIp(): string {
    return this.directRemoteIp;
  }

  get remotePort(): number {
    return this.directRemotePort;
  }
}

/** A listener on one address knows its connections' local end without asking the kernel. */
function localEnd(
  socket: Socket,
  bound: AddressModel & { readonly kind: 'socket' },
): { readonly ip: string; readonly port: number } {
  const wildcard = bound.address === '0.0.0.0' || bound.address === '::';
  if (!wildcard) return { ip: bound.address, port: bound.port };
  return { ip: unmapIpv4(socket.localAddress ?? bound.address), port: bound.port };
}

function pathOf(bound: AddressModel): string {
  return bound.kind === 'pipe' ? bound.path : '';
}
