// Opens connections to upstream hosts.

import {
  connect as connectSocket,
  type NetConnectOpts,
  type OnReadOpts,
  type Socket,
  type TcpNetConnectOpts,
} from 'node:net';
import type { AddressModel, MetadataModel, TcpKeepaliveModel } from '../config/model/common.ts';
import { InternalNetwork } from './internal.ts';
import type { ProxyAddresses, Tlv } from './proxy-header.ts';
import { readIntoShared } from './read-buffer.ts';
import { systemCalls } from './sockopt.ts';
import { connectBound, type SocketBuffers, type SourceBinding } from './source.ts';
import { enterTurn, leaveTurn, Transport, type TransportHandler } from './transport.ts';

/** Where to and how; one object per host, shared by its connections. */
export interface DialTarget {
  readonly address: AddressModel;
  /** Name of the host; empty. */
  readonly hostname: string;
  /** The local end; `null` = as the kernel chooses. */
  readonly bind: SourceBinding | null;
  readonly keepalive: TcpKeepaliveModel | null;
  /** High watermark of the send buffer, bytes. */
  readonly bufferLimitBytes: number;
  /** What an internal listener is told of the connection. */
  readonly metadata?: MetadataModel | null;
  /** What lies between the socket and its user; `null` = nothing. */
  readonly layer: DialLayer | null;
  /** A layer must open its socket with `OpenSocket`: something goes before its bytes. */
  readonly opensBelow?: boolean;
}

/** The downstream connection that an upstream one is opened for. */
export interface DialClient {
  /** `null` where an end has no IP address. */
  readonly addresses: ProxyAddresses | null;
  /** Values of the PROXY header that came with it. */
  readonly tlvs: readonly Tlv[];
}

/** What a request wants of the host's identity; the same for all connections of a pool. */
export interface DialNames {
  /** Overrides the configured server name; empty. */
  readonly serverName: string;
  /** The host must prove one of these; empty = what its context says. */
  readonly exactNames: readonly string[];
  /** Protocols to offer where the context offers none. */
  readonly alpn: readonly string[];
  /** Whose connection it is, for layers that say so; `null` = nobody's, or nobody asks. */
  readonly client: DialClient | null;
}

export const NO_NAMES: DialNames = { serverName: '', exactNames: [], alpn: [], client: null };

/** A transport socket above plain ones. */
export interface DialLayer {
  /** As `Dial`; the handler's `onConnect` comes when the layer is ready for its bytes. */
  dial(target: DialTarget, handler: DialHandler, names: DialNames, open: OpenSocket): Transport;
}

/** Opens the socket below a layer where its own `connect` cannot: it is read in the usual way. */
export type OpenSocket = (target: DialTarget) => Socket;

/** Told when a connection that is being opened is usable; a failure is an `onClose` without an `onConnect`. */
export interface DialHandler extends TransportHandler {
  onConnect(): void;
}

/** Opens a connection. The handler is never called before this returns. */
export type Dial = (target: DialTarget, handler: DialHandler, names: DialNames) => Transport;

/** A layer refused the peer; the message is Envoy's. */
export class TransportFailure extends Error {}

/**
 * Dials with `node:net`, or to internal listeners. Half-open connections are kept open: the peer's end reaches `onEnd`.
 * @param network the worker's internal listeners
 */
export function dialWith(network: InternalNetwork): Dial {
  const open: OpenSocket = (target) => {
    const { address } = target;
    if (address.kind !== 'internal') return openSocket(target, null);
    const { listenerName, endpointId } = address;
    return network.connect(listenerName, endpointId, target.metadata ?? null, target.bufferLimitBytes);
  };
  return (target, handler, names) => {
    if (target.layer !== null) return target.layer.dial(target, handler, names, open);
    return target.address.kind === 'internal'
      ? transportOf(open(target), handler)
      : transportOf(openShared(target), handler);
  };
}

/** Dials where there are no internal listeners. */
export const dial: Dial = dialWith(new InternalNetwork());

function openShared(target: DialTarget): Socket {
  const reading = readIntoShared();
  const socket = openSocket(target, reading.onread);
  reading.attach(socket);
  prepareSocket(socket, target);
  return socket;
}

/** A transport over a socket that connects. */
export function transportOf(socket: Socket, handler: DialHandler): Transport {
  const transport = new Transport(socket, handler);
  socket.once('connect', () => {
    enterTurn();
    (transport.handler as DialHandler).onConnect();
    leaveTurn();
  });
  return transport;
}

/** What every dialled socket is set to. */
export function prepareSocket(socket: Socket, target: DialTarget): void {
  socket.setNoDelay(true);
  const { keepalive } = target;
  if (keepalive === null || target.address.kind !== 'socket') return;
  // Zero leaves the kernel's value; Node takes milliseconds and passes seconds on.
  socket.setKeepAlive({
    enable: true,
    initialDelay: keepalive.timeSeconds * 1_000,
    interval: keepalive.intervalSeconds === 0 ? undefined : keepalive.intervalSeconds * 1_000,
    count: keepalive.probes === 0 ? undefined : keepalive.probes,
  });
}

/** Opens a socket. @param onread where its bytes go; `null` = it is read in the usual way */
function openSocket(target: DialTarget, onread: OnReadOpts | null): Socket {
  const options = connectOptions(target, onread);
  if (options !== null) return connectSocket(options);
  const { bind, address, bufferLimitBytes } = target;
  const calls = systemCalls();
  if (bind === null || calls === null || address.kind !== 'socket') throw new Error('this socket needs no system call');
  return connectBound(bind, address.address, address.port, buffersOf(bufferLimitBytes, onread), calls);
}

/** Options of `connect`, of `node:net` and `node:tls` alike; `null` = only `openSocket` can do it. */
export function connectOptions(target: DialTarget, onread: OnReadOpts | null): NetConnectOpts | null {
  const { address, bind } = target;
  const buffers = buffersOf(target.bufferLimitBytes, onread);
  if (address.kind === 'pipe') {
    // An abstract name is written with `@` in configuration and with a zero byte for the kernel.
    const path = address.path.startsWith('@') ? `\0${address.path.slice(1)}` : address.path;
    return { path, ...buffers };
  }
  if (address.kind === 'internal') return null;
  const options: TcpNetConnectOpts = { host: address.address, port: address.port, autoSelectFamily: false, ...buffers };
  if (bind === null) return options;
  if (systemCalls() !== null) return null;
  // Options were refused at the start; an address Node can bind too.
  if (bind.address !== '') {
    options.localAddress = bind.address;
    if (bind.port !== 0) options.localPort = bind.port;
  }
  return options;
}

/** Envoy's buffer limit is per direction; an HTTP stream is held long before the read side fills. */
function buffersOf(limitBytes: number, onread: OnReadOpts | null): SocketBuffers & { readonly allowHalfOpen: true } {
  const buffers = { allowHalfOpen: true, writableHighWaterMark: limitBytes } as const;
  return onread === null ? buffers : { ...buffers, onread };
}

/** The C library's texts, which is what Envoy prints. */
const ERROR_TEXTS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'Permission denied'],
  ['EADDRINUSE', 'Address already in use'],
  ['EADDRNOTAVAIL', 'Cannot assign requested address'],
  ['EAFNOSUPPORT', 'Address family not supported by protocol'],
  ['EAGAIN', 'Resource temporarily unavailable'],
  ['ECONNREFUSED', 'Connection refused'],
  ['ECONNRESET', 'Connection reset by peer'],
  ['EHOSTUNREACH', 'No route to host'],
  ['EINVAL', 'Invalid argument'],
  ['EMFILE', 'Too many open files'],
  ['ENETUNREACH', 'Network is unreachable'],
  ['ENOENT', 'No such file or directory'],
  ['ENOTSOCK', 'Socket operation on non-socket'],
  ['EPERM', 'Operation not permitted'],
  ['EPIPE', 'Broken pipe'],
  ['ETIMEDOUT', 'Connection timed out'],
]);

/** The C library's text of a socket error, e.g. `Connection refused`. */
export function socketErrorText(error: NodeJS.ErrnoException): string {
  return ERROR_TEXTS.get(error.code ?? '') ?? error.code ?? error.message;
}
