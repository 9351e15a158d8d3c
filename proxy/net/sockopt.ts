// System calls that Node does not offer: descriptors and socket options through `node:ffi`.
//
// Rule 1: nobody else calls foreign functions or reads a socket's descriptor.
// Rule 2: `node:ffi` is experimental, so `systemCalls()` tries every call on a socket of its own first; when anything is
//         not as expected it is `null` for good, and callers say what they cannot do without it.

import type { Socket } from 'node:net';
import { constants, endianness } from 'node:os';
import { formatIpv4, formatIpv6, type IpPort } from '../util/ip.ts';

// Linux numbers, the same on x64 and arm64.
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_KEEPALIVE = 9;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;
export const IP_FREEBIND = 15;
export const IP_TRANSPARENT = 19;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPV6_V6ONLY = 26;
export const IPV6_TRANSPARENT = 75;
export const IPV6_FREEBIND = 78;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
/** The destination before netfilter's REDIRECT or DNAT: the same number for both families. */
const SO_ORIGINAL_DST = 80;
/** Bytes of a `sockaddr_in6`, which hold a `sockaddr_in` too. */
const SOCKADDR_BYTES = 28;
/** `mallopt` parameter (glibc): how many allocation arenas threads may share. */
const M_ARENA_MAX = -8;

/** Thrown by `SystemCalls`; `errno` is positive. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(`${call}: errno ${errno}`);
    this.errno = errno;
  }
}

/** What is available when foreign functions work. Every method throws `SystemCallError` on failure. */
export interface SystemCalls {
  /** A second descriptor of the same open socket; the caller owns it. */
  dup(fd: number): number;
  close(fd: number): void;
  /** A non-blocking stream socket; the caller owns it. */
  socket(family: number): number;
  /** @param address a `sockaddr` of the socket's family */
  bind(fd: number, address: Buffer): void;
  setInt(fd: number, level: number, name: number, value: number): void;
  setBytes(fd: number, level: number, name: number, value: Buffer): void;
  getInt(fd: number, level: number, name: number): number;
  /**
   * Where an accepted connection was going before netfilter redirected it; `null` when it was not, and where the
   * kernel tracks no connections. The only call that does not throw: it is made for every connection.
   */
  originalDestination(fd: number, v6: boolean): IpPort | null;
  /** Whether the kernel answers that question at all. */
  tracksConnections(): boolean;
}

let known: SystemCalls | null | undefined;

/** The calls, or `null` when this runtime does not offer them; decided once per thread. */
export function systemCalls(): SystemCalls | null {
  if (known === undefined) known = loadChecked();
  return known;
}

/**
 * Makes all threads allocate from one arena, which keeps a process of several threads some megabytes smaller.
 * @returns false where the C library has no such switch
 */
export function useOneMallocArena(): boolean {
  // The launcher, or whoever started us, has decided.
  if (process.env['MALLOC_ARENA_MAX'] !== undefined) return true;
  try {
    const ffi = process.getBuiltinModule('node:ffi');
    const library = ffi.dlopen(null, { mallopt: { arguments: ['i32', 'i32'], return: 'i32' } });
    return library.functions.mallopt(M_ARENA_MAX, 1) === 1;
  } catch {
    return false;
  }
}

/** Returns free pages of the C heap to the system; nothing where the C library has no such call. */
export function trimMalloc(): void {
  try {
    const ffi = process.getBuiltinModule('node:ffi');
    const library = ffi.dlopen(null, { malloc_trim: { arguments: ['u64'], return: 'i32' } });
    library.functions.malloc_trim(0n);
  } catch {
    // Not glibc.
  }
}

/** Descriptor of a socket that Node made (private field of its handle); −1 when it cannot be had. */
export function descriptorOf(socket: Socket | { readonly _handle?: { readonly fd?: number } | null }): number {
  const handle = (socket as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return handle?.fd ?? -1;
}

/** `sockaddr_in`, `sockaddr_in6` or (empty address bytes) nothing. */
export function socketAddress(ip: Buffer, port: number): Buffer {
  if (ip.length === 4) {
    const out = Buffer.alloc(16);
    writeFamily(out, AF_INET);
    out.writeUInt16BE(port, 2);
    ip.copy(out, 4);
    return out;
  }
  const out = Buffer.alloc(28);
  writeFamily(out, AF_INET6);
  out.writeUInt16BE(port, 2);
  ip.copy(out, 8);
  return out;
}

/** `sockaddr_un`; a leading `@` means the abstract name space. */
export function unixSocketAddress(path: string): Buffer {
  const abstract = path.startsWith('@');
  const name = Buffer.from(abstract ? path.slice(1) : path);
  const out = Buffer.alloc(2 + 1 + name.length);
  writeFamily(out, AF_UNIX);
  name.copy(out, abstract ? 3 : 2);
  return out;
}

function writeFamily(out: Buffer, family: number): void {
  if (endianness() === 'LE') out.writeUInt16LE(family, 0);
  else out.writeUInt16BE(family, 0);
}

function loadChecked(): SystemCalls | null {
  try {
    const calls = load();
    check(calls);
    return calls;
  } catch {
    return null;
  }
}

function load(): SystemCalls {
  const ffi = process.getBuiltinModule('node:ffi');
  const { functions } = ffi.dlopen(null, {
    dup: { arguments: ['i32'], return: 'i32' },
    close: { arguments: ['i32'], return: 'i32' },
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  // The same call with addresses as numbers: measured a quarter cheaper than with buffers, which counts per connection.
  const quick = ffi.dlopen(null, { getsockopt: { arguments: ['i32', 'i32', 'i32', 'u64', 'u64'], return: 'i32' } });
  const { getsockopt: getOption } = quick.functions;
  const answer = Buffer.allocUnsafeSlow(SOCKADDR_BYTES);
  const answerLength = new Uint32Array(1);
  const answerAt = ffi.getRawPointer(answer);
  const answerLengthAt = ffi.getRawPointer(bytes(answerLength));
  const checked = (call: string, result: number): number => {
    if (result < 0) throw new SystemCallError(call, ffi.getInt32(functions.__errno_location(), 0));
    return result;
  };
  const setBytes = (fd: number, level: number, name: number, value: Buffer): void => {
    checked('setsockopt', functions.setsockopt(fd, level, name, value, value.length));
  };
  return {
    dup: (fd) => checked('dup', functions.dup(fd)),
    close: (fd) => void checked('close', functions.close(fd)),
    socket: (family) => checked('socket', functions.socket(family, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0)),
    bind: (fd, address) => void checked('bind', functions.bind(fd, address, address.length)),
    setBytes,
    setInt: (fd, level, name, value) => setBytes(fd, level, name, Buffer.from(Int32Array.of(value).buffer)),
    getInt: (fd, level, name) => {
      const value = new Int32Array(1);
      const length = Uint32Array.of(4);
      checked('getsockopt', functions.getsockopt(fd, level, name, bytes(value), bytes(length)));
      return value[0] ?? 0;
    },
    originalDestination: (fd, v6) => {
      answerLength[0] = SOCKADDR_BYTES;
      if (getOption(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, SO_ORIGINAL_DST, answerAt, answerLengthAt) !== 0) return null;
      const port = answer.readUInt16BE(2);
      return { ip: v6 ? formatIpv6(answer, 8) : formatIpv4(answer, 4), port };
    },
    tracksConnections: () => {
      const fd = checked('socket', functions.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK_CLOEXEC, 0));
      answerLength[0] = SOCKADDR_BYTES;
      const result = getOption(fd, IPPROTO_IP, SO_ORIGINAL_DST, answerAt, answerLengthAt);
      const errno = ffi.getInt32(functions.__errno_location(), 0);
      functions.close(fd);
      return result === 0 || errno !== constants.errno.ENOPROTOOPT;
    },
  };
}

function bytes(array: Int32Array | Uint32Array): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/** Uses every call once on sockets of its own. */
function check(calls: SystemCalls): void {
  const fd = calls.socket(AF_INET);
  try {
    calls.setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (calls.getInt(fd, SOL_SOCKET, SO_KEEPALIVE) !== 1) throw new Error('socket option was not kept');
    calls.bind(fd, socketAddress(Buffer.from([127, 0, 0, 1]), 0));
    const copy = calls.dup(fd);
    if (copy === fd || calls.getInt(copy, SOL_SOCKET, SO_KEEPALIVE) !== 1) throw new Error('descriptor not duplicated');
    calls.close(copy);
    if (failsWith(() => calls.dup(-1)) <= 0) throw new Error('no error number');
    if (calls.originalDestination(fd, false) !== null) throw new Error('a destination of a socket without a peer');
  } finally {
    calls.close(fd);
  }
}

function failsWith(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    return error instanceof SystemCallError ? error.errno : 0;
  }
}
