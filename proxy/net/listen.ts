// Opens listening sockets for Envoy addresses.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { isIP, type Server } from 'node:net';
import { constants } from 'node:os';
import type { AddressModel, SocketOptionModel, TcpKeepaliveModel } from '../config/model/common.ts';
import type { ListenerModel } from '../config/model/listener.ts';
import { ConfigError } from '../util/error.ts';
import { joinHostPort, parseIp } from '../util/ip.ts';
import { setSocketOptions } from './socket-options.ts';
import * as sys from './sockopt.ts';

/** Largest value `listen` takes; the kernel lowers it to `net.core.somaxconn`. */
const BACKLOG_MAX = 65_535;

/** How one address of a listener is opened. */
export interface ListenSpec {
  readonly address: AddressModel;
  readonly reusePort: boolean;
  /** 0 = the kernel's maximum. */
  readonly backlog: number;
  readonly freebind: boolean;
  readonly transparent: boolean;
  readonly socketOptions: readonly SocketOptionModel[];
  readonly tcpKeepalive: TcpKeepaliveModel | null;
}

/** All addresses of a listener, the main one first. */
export function listenSpecs(model: ListenerModel): ListenSpec[] {
  const common = {
    backlog: model.tcpBacklogSize,
    freebind: model.freebind,
    transparent: model.transparent,
    tcpKeepalive: model.tcpKeepalive,
  };
  const main = { address: model.address, socketOptions: model.socketOptions };
  return [main, ...model.additionalAddresses].map(({ address, socketOptions }) => ({
    ...common,
    address,
    socketOptions,
    reusePort: model.enableReusePort && address.kind === 'socket',
  }));
}

/** `127.0.0.1:80`, `[::1]:80` or a path, as Envoy prints an address. */
export function addressText(address: AddressModel): string {
  switch (address.kind) {
    case 'socket':
      return joinHostPort(address.address, address.port);
    case 'pipe':
      return address.path;
    case 'internal':
      return `envoy://${address.listenerName}/${address.endpointId}`;
  }
}

/** The address with the port that the kernel chose, where it had to. */
export function boundAddress(server: Server, address: AddressModel): AddressModel {
  const bound = server.address();
  if (address.kind !== 'socket' || bound === null || typeof bound === 'string') return address;
  return { ...address, port: bound.port };
}

/**
 * Opens and binds a socket that is not Node's yet, with all options that must be set before it listens.
 * The caller owns the descriptor.
 * @throws ConfigError in Envoy's words
 */
export function openSocket(spec: ListenSpec, calls: sys.SystemCalls): number {
  const { address } = spec;
  const text = addressText(address);
  const target = bindTarget(address);
  let fd = -1;
  try {
    fd = calls.socket(target.family);
    setPrebind(calls, fd, target.family, spec);
    if (address.kind === 'pipe') removeStale(address.path);
    calls.bind(fd, target.sockaddr);
    if (address.kind === 'pipe') setMode(address.path, address.mode);
    setSocketOptions(calls, fd, spec.socketOptions, 'bound');
    return fd;
  } catch (error) {
    if (fd >= 0) calls.close(fd);
    if (error instanceof sys.SystemCallError) throw bindError(text, error.errno, error.message);
    throw error;
  }
}

/** True when Node's own `listen` cannot set what the listener asks for. */
export function needsOwnSocket(spec: ListenSpec): boolean {
  return spec.freebind || spec.transparent || spec.socketOptions.length > 0;
}

/**
 * Makes a server listen.
 * @param fd a bound descriptor from `openSocket` that the server takes over, or −1 to bind here
 * @throws ConfigError in Envoy's words
 */
export async function listen(server: Server, spec: ListenSpec, fd: number): Promise<void> {
  const { address } = spec;
  const backlog = spec.backlog === 0 ? BACKLOG_MAX : spec.backlog;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onError = (error: NodeJS.ErrnoException): void =>
    reject(bindError(addressText(address), -(error.errno ?? 0), error.message));
  server.once('error', onError);
  if (fd >= 0) server.listen({ fd, backlog }, resolve);
  else if (address.kind === 'pipe') {
    removeStale(address.path);
    server.listen({ path: nodePath(address.path), backlog }, resolve);
  } else if (address.kind === 'socket') {
    const ipv6Only = isIP(address.address) === 6 && !address.ipv4Compat;
    server.listen({ host: address.address, port: address.port, backlog, ipv6Only, reusePort: spec.reusePort }, resolve);
  } else reject(new ConfigError('internal listeners cannot bind', addressText(address)));
  await promise;
  server.off('error', onError);
  if (fd < 0 && address.kind === 'pipe') setMode(address.path, address.mode);
  setListening(server, spec);
}

/** Options of a listening socket that accepted connections inherit. */
function setListening(server: Server, spec: ListenSpec): void {
  const keepalive = spec.tcpKeepalive;
  const options = spec.socketOptions.filter((option) => option.state === 'listening');
  if (keepalive === null && options.length === 0) return;
  const calls = sys.systemCalls();
  const fd = sys.descriptorOf(server as { readonly _handle?: { readonly fd?: number } });
  if (calls === null || fd < 0) throw unavailable(addressText(spec.address), 'tcp_keepalive and socket_options');
  setSocketOptions(calls, fd, options, 'listening');
  if (keepalive === null) return;
  calls.setInt(fd, sys.SOL_SOCKET, sys.SO_KEEPALIVE, 1);
  if (keepalive.probes > 0) calls.setInt(fd, sys.IPPROTO_TCP, sys.TCP_KEEPCNT, keepalive.probes);
  if (keepalive.timeSeconds > 0) calls.setInt(fd, sys.IPPROTO_TCP, sys.TCP_KEEPIDLE, keepalive.timeSeconds);
  if (keepalive.intervalSeconds > 0) calls.setInt(fd, sys.IPPROTO_TCP, sys.TCP_KEEPINTVL, keepalive.intervalSeconds);
}

/** What is said when an option needs foreign functions and the runtime has none. */
export function unavailable(where: string, what: string): ConfigError {
  return new ConfigError(`${what} need node:ffi, which this Node.js build does not offer`, where);
}

function setPrebind(calls: sys.SystemCalls, fd: number, family: number, spec: ListenSpec): void {
  const v6 = family === sys.AF_INET6;
  if (family !== sys.AF_UNIX) calls.setInt(fd, sys.SOL_SOCKET, sys.SO_REUSEADDR, 1);
  if (spec.reusePort) calls.setInt(fd, sys.SOL_SOCKET, sys.SO_REUSEPORT, 1);
  if (v6 && spec.address.kind === 'socket')
    calls.setInt(fd, sys.IPPROTO_IPV6, sys.IPV6_V6ONLY, spec.address.ipv4Compat ? 0 : 1);
  const level = v6 ? sys.IPPROTO_IPV6 : sys.IPPROTO_IP;
  if (spec.freebind) calls.setInt(fd, level, v6 ? sys.IPV6_FREEBIND : sys.IP_FREEBIND, 1);
  if (spec.transparent) setTransparent(calls, fd, v6, spec);
  setSocketOptions(calls, fd, spec.socketOptions, 'prebind');
}

function setTransparent(calls: sys.SystemCalls, fd: number, v6: boolean, spec: ListenSpec): void {
  const level = v6 ? sys.IPPROTO_IPV6 : sys.IPPROTO_IP;
  try {
    calls.setInt(fd, level, v6 ? sys.IPV6_TRANSPARENT : sys.IP_TRANSPARENT, 1);
  } catch (error) {
    if (!(error instanceof sys.SystemCallError) || error.errno !== constants.errno.EPERM) throw error;
    const text = addressText(spec.address);
    throw new ConfigError(
      `cannot bind '${text}': a transparent socket needs the capability NET_ADMIN or NET_RAW, which this process lacks`,
    );
  }
}

function bindTarget(address: AddressModel): { readonly family: number; readonly sockaddr: Buffer } {
  if (address.kind === 'pipe') return { family: sys.AF_UNIX, sockaddr: sys.unixSocketAddress(address.path) };
  const ip = address.kind === 'socket' ? parseIp(address.address) : null;
  if (ip === null || address.kind !== 'socket') throw new ConfigError('not an IP address', addressText(address));
  return { family: ip.length === 4 ? sys.AF_INET : sys.AF_INET6, sockaddr: sys.socketAddress(ip, address.port) };
}

/** Node writes the abstract name space as a leading NUL. */
function nodePath(path: string): string {
  return path.startsWith('@') ? `\0${path.slice(1)}` : path;
}

/** A socket file of an earlier run would make `bind` fail; what else stands there does so with a clear error. */
function removeStale(path: string): void {
  if (path.startsWith('@')) return;
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Missing is the normal case; anything else shows when binding.
  }
}

function setMode(path: string, mode: number): void {
  if (mode !== 0 && !path.startsWith('@')) chmodSync(path, mode);
}

/** The C library's words for what binding can meet. */
const ERROR_TEXTS: { readonly [errno: number]: string } = {
  [constants.errno.EADDRINUSE]: 'Address already in use',
  [constants.errno.EADDRNOTAVAIL]: 'Cannot assign requested address',
  [constants.errno.EACCES]: 'Permission denied',
  [constants.errno.EPERM]: 'Operation not permitted',
  [constants.errno.EINVAL]: 'Invalid argument',
  [constants.errno.ENOENT]: 'No such file or directory',
  [constants.errno.EAFNOSUPPORT]: 'Address family not supported by protocol',
  [constants.errno.EMFILE]: 'Too many open files',
};

function bindError(text: string, errno: number, fallback: string): ConfigError {
  return new ConfigError(`cannot bind '${text}': ${ERROR_TEXTS[errno] ?? fallback}`);
}
