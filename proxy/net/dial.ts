// Opens connections to upstream hosts.

import { connect as connectSocket, type OnReadOpts, type Socket, type TcpNetConnectOpts } from 'node:net';
import type { AddressModel, MetadataModel, TcpKeepaliveModel } from '../config/model.ts';
import { InternalNetwork } from './internal.ts';
import { readIntoShared } from './read-buffer.ts';
import { systemCalls } from './sockopt.ts';
import { connectBound, type SourceBinding } from './source.ts';
import { enterTurn, leaveTurn, Transport, type TransportHandler } from './transport.ts';

/** Where to and how; one object per host, shared by its connections. */
export interface DialTarget {
  readonly address: AddressModel;
  /** The local end; `null` = as the kernel chooses. */
  readonly bind: SourceBinding | null;
  readonly keepalive: TcpKeepaliveModel | null;
  /** High watermark of the send buffer, bytes. */
  readonly bufferLimitBytes: number;
  /** What an internal listener is told of the connection. */
  readonly metadata?: MetadataModel | null;
}

/** Told when a connection that is being opened is usable; a failure is an `onClose` without an `onConnect`. */
export interface DialHandler extends TransportHandler {
  onConnect(): void;
}

/** Opens a connection. The handler is never called before this returns. */
export type Dial = (target: DialTarget, handler: DialHandler) => Transport;

/**
 * Dials with `node:net`, or to internal listeners. Half-open connections are kept open: the peer's end reaches `onEnd`.
 * @param network the worker's internal listeners
 */
export function dialWith(network: InternalNetwork): Dial {
  return (target, handler) => {
    const { address } = target;
    if (address.kind !== 'internal') return dialSocket(target, handler);
    const { listenerName, endpointId } = address;
    const socket = network.connect(listenerName, endpointId, target.metadata ?? null, target.bufferLimitBytes);
    return transportOf(socket, handler);
  };
}

/** Dials where there are no internal listeners. */
export const dial: Dial = dialWith(new InternalNetwork());

function dialSocket(target: DialTarget, handler: DialHandler): Transport {
  const reading = readIntoShared();
  const socket = openSocket(target, reading.onread);
  reading.attach(socket);
  socket.setNoDelay(true);
  const keepalive = target.keepalive;
  if (keepalive !== null && target.address.kind === 'socket')
    // Zero leaves the kernel's value; Node takes milliseconds and passes seconds on.
    socket.setKeepAlive({
      enable: true,
      initialDelay: keepalive.timeSeconds * 1_000,
      interval: keepalive.intervalSeconds === 0 ? undefined : keepalive.intervalSeconds * 1_000,
      count: keepalive.probes === 0 ? undefined : keepalive.probes,
    });
  return transportOf(socket, handler);
}

function transportOf(socket: Socket, handler: DialHandler): Transport {
  const transport = new Transport(socket, handler);
  socket.once('connect', () => {
    enterTurn();
    (transport.handler as DialHandler).onConnect();
    leaveTurn();
  });
  return transport;
}

function openSocket(target: DialTarget, onread: OnReadOpts): Socket {
  const { address, bind, bufferLimitBytes } = target;
  // Envoy's buffer limit is per direction; an HTTP stream is held long before the read side fills.
  const buffers = { allowHalfOpen: true, writableHighWaterMark: bufferLimitBytes, onread };
  if (address.kind === 'pipe') {
    // An abstract name is written with `@` in configuration and with a zero byte for the kernel.
    const path = address.path.startsWith('@') ? `\0${address.path.slice(1)}` : address.path;
    return connectSocket({ path, ...buffers });
  }
  if (address.kind === 'internal') throw new Error('an internal address has no socket');
  const options: TcpNetConnectOpts = { host: address.address, port: address.port, autoSelectFamily: false, ...buffers };
  if (bind === null) return connectSocket(options);
  const calls = systemCalls();
  if (calls !== null) return connectBound(bind, address.address, address.port, buffers, calls);
  // Options were refused at the start; an address Node can bind too.
  if (bind.address !== '') {
    options.localAddress = bind.address;
    if (bind.port !== 0) options.localPort = bind.port;
  }
  return connectSocket(options);
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
