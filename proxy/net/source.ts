// The local end of upstream connections: the address they come from, and what must be set on a socket before it binds.
//
// A bound socket gets its port only when it connects (IP_BIND_ADDRESS_NO_PORT). Node binds at once, and then the kernel
// takes ports from one pool for all destinations: a pod whose inbound connections come from 127.0.0.6 would stop at some
// 28,000 of them.

import { type OnReadOpts, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { BindModel } from '../config/model/cluster.ts';
import type { SocketOptionModel } from '../config/model/common.ts';
import { parseIp } from '../util/ip.ts';
import { setSocketOptions } from './socket-options.ts';
import * as sys from './sockopt.ts';

/** How the sockets to one host are bound; made once per host. */
export interface SourceBinding {
  /** Empty: the kernel chooses. */
  readonly address: string;
  /** 0 = any. */
  readonly port: number;
  /** `address` and `port` for the kernel; `null` without an address. */
  readonly sockaddr: Buffer | null;
  readonly freebind: boolean;
  /** May be another machine's address. */
  readonly transparent: boolean;
  /** Packet mark; 0 = none. */
  readonly mark: number;
  readonly options: readonly SocketOptionModel[];
}

/** How a socket holds bytes. */
export interface SocketBuffers {
  readonly writableHighWaterMark: number;
  readonly onread?: OnReadOpts;
}

/** Why a socket could not be prepared: an error of `bind` itself, or of an option (Envoy says nothing of those). */
export interface PrepareError extends NodeJS.ErrnoException {
  readonly syscall: 'bind' | 'setsockopt';
}

/** The source for connections to an upstream address: the configured one of its family, otherwise the first. */
export function sourceFor(bind: BindModel | null, upstreamIp: string): SourceBinding | null {
  if (bind === null) return null;
  const v6 = upstreamIp.includes(':');
  const { sources } = bind;
  const source = sources.find(({ address }) => address.includes(':') === v6) ?? sources[0];
  return {
    address: source?.address ?? '',
    port: source?.port ?? 0,
    sockaddr: source === undefined ? null : sockaddrOf(source.address, source.port),
    freebind: bind.freebind,
    transparent: false,
    mark: 0,
    options: source?.socketOptions ?? bind.socketOptions,
  };
}

/** `sockaddr` of a literal IP. */
export function sockaddrOf(ip: string, port: number): Buffer {
  const bytes = parseIp(ip);
  if (bytes === null) throw new Error(`not an IP address: ${ip}`);
  return sys.socketAddress(bytes, port);
}

/**
 * A socket that is bound and begins to connect. What fails is told later, as by `net.connect`.
 * @param ip literal address of the upstream
 */
export function connectBound(
  binding: SourceBinding,
  ip: string,
  port: number,
  buffers: SocketBuffers,
  calls: sys.SystemCalls,
): Socket {
  const prepared = prepare(binding, ip.includes(':'), calls);
  if (typeof prepared !== 'number') {
    const failed = new Socket({ allowHalfOpen: true, ...buffers } as SocketOptions);
    process.nextTick(() => failed.destroy(prepared));
    return failed;
  }
  // Without `manualStart` the constructor would read from a socket that is not connected.
  const socket = new Socket({ fd: prepared, manualStart: true, allowHalfOpen: true, ...buffers } as SocketOptions);
  return socket.connect({ host: ip, port, autoSelectFamily: false });
}
type SocketOptions = ConstructorParameters<typeof Socket>[0];

/** A descriptor with everything set, or why there is none. */
function prepare(binding: SourceBinding, v6: boolean, calls: sys.SystemCalls): number | PrepareError {
  let fd = -1;
  let syscall: PrepareError['syscall'] = 'setsockopt';
  try {
    fd = calls.socket(v6 ? sys.AF_INET6 : sys.AF_INET);
    const level = v6 ? sys.IPPROTO_IPV6 : sys.IPPROTO_IP;
    if (binding.freebind) calls.setInt(fd, level, v6 ? sys.IPV6_FREEBIND : sys.IP_FREEBIND, 1);
    if (binding.mark !== 0) calls.setInt(fd, sys.SOL_SOCKET, sys.SO_MARK, binding.mark);
    if (binding.transparent) calls.setInt(fd, level, v6 ? sys.IPV6_TRANSPARENT : sys.IP_TRANSPARENT, 1);
    // Those of the other states are for listeners: Envoy leaves them out here.
    setSocketOptions(calls, fd, binding.options, 'prebind');
    if (binding.sockaddr !== null) {
      // An option of IPv4's level, which sockets of both families take.
      if (binding.port === 0) calls.setInt(fd, sys.IPPROTO_IP, sys.IP_BIND_ADDRESS_NO_PORT, 1);
      syscall = 'bind';
      calls.bind(fd, binding.sockaddr);
    }
    return fd;
  } catch (error) {
    if (!(error instanceof sys.SystemCallError)) throw error;
    if (fd >= 0) calls.close(fd);
    const code = getSystemErrorName(-error.errno);
    return Object.assign(new Error(`${syscall} ${code}`), { code, errno: -error.errno, syscall });
  }
}
