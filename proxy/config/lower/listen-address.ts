// The addresses that listeners are bound to, and what Envoy refuses of them.

import { ConfigError } from '../../util/error.ts';
import type { AddressModel } from '../model/common.ts';
import type { ListenerModel } from '../model/listener.ts';
import { has, list, type Msg, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { addressText, lowerAddress, requireIp } from './common.ts';

/** Of a Unix socket's path, bytes with the closing zero. */
const PIPE_PATH_BYTES_MAX = 108;

/** The `address` of a `Listener`. */
export function lowerListenAddress(message: Msg, path: string): AddressModel {
  const at = `${path}.address`;
  const address = sub(message, 'address');
  if (oneofCase(message, 'listenerSpecifier', 'internalListener') !== null)
    return internalAddress(message, address, path);
  if (address === null) {
    throw new ConfigError(`error adding listener named '${str(message, 'name')}': address is necessary`, path);
  }
  if (oneof(address, 'address')?.case === 'envoyInternalAddress') {
    throw new ConfigError(
      `error adding listener named '${str(message, 'name')}': use internal_listener field instead of address for internal listeners`,
      path,
    );
  }
  return checkListenAddress(lowerAddress(address, at), at);
}

/** Fields that mean nothing without a TCP socket, and that Envoy refuses beside `internal_listener`. */
const TCP_ONLY = ['enableReusePort', 'freebind', 'tcpBacklogSize', 'tcpFastOpenQueueLength', 'transparent'];

function internalAddress(message: Msg, address: Msg | null, path: string): AddressModel {
  const name = str(message, 'name');
  if (address !== null || list(message, 'additionalAddresses').length > 0) {
    throw new ConfigError(
      `error adding listener '${name}': address should not be used when an internal listener config is provided`,
      path,
    );
  }
  const tcpOnly = TCP_ONLY.some((field) => has(message, field)) || sub(message, 'connectionBalanceConfig') !== null;
  if (tcpOnly)
    throw new ConfigError(`error adding listener named '${name}': has unsupported tcp listener feature`, path);
  if (list(message, 'socketOptions').length > 0)
    throw new ConfigError(`error adding listener named '${name}': does not support socket option`, path);
  return { kind: 'internal', listenerName: name, endpointId: '' };
}

/** What a server socket can be bound to. */
export function checkListenAddress(address: AddressModel, path: string): AddressModel {
  switch (address.kind) {
    case 'pipe':
      checkPipe(address, path);
      break;
    case 'internal':
      throw new ConfigError('an internal address is given by internal_listener', path);
    default:
      requireIp(address, `${path}.socket_address.address`);
      if (address.protocol === 'udp') {
        throw new ConfigError('UDP listeners are not supported; use protocol TCP', `${path}.socket_address.protocol`);
      }
      checkCompat(address, path);
  }
  return address;
}

function checkPipe(address: AddressModel & { kind: 'pipe' }, path: string): void {
  if (address.path.startsWith('@') && address.mode !== 0) {
    throw new ConfigError('Cannot set mode for Abstract AF_UNIX sockets', `${path}.pipe.mode`);
  }
  if (Buffer.byteLength(address.path) >= PIPE_PATH_BYTES_MAX) {
    throw new ConfigError(
      `Path "${address.path}" exceeds maximum UNIX domain socket path size of ${PIPE_PATH_BYTES_MAX}.`,
      `${path}.pipe.path`,
    );
  }
}

function checkCompat(address: AddressModel & { kind: 'socket' }, path: string): void {
  if (!address.ipv4Compat) return;
  const lower = address.address.toLowerCase();
  if (lower === '::' || lower.startsWith('::ffff:')) return;
  throw new ConfigError(
    `Only IPv6 address '::' or valid IPv4-mapped IPv6 address can set ipv4_compat: ${addressText(address)}`,
    `${path}.socket_address.ipv4_compat`,
  );
}

/**
 * Refuses a listener that takes an address of one before it; port 0 is a new one each time.
 * @param taken the addresses of the listeners before; gets those of this one
 */
export function claimAddresses(taken: Set<string>, listener: ListenerModel, path: string): void {
  const own = boundAddresses(listener);
  const twice = own.find((address) => taken.has(address));
  if (twice !== undefined) {
    throw new ConfigError(
      `error adding listener: '${listener.name}' has duplicate address '${twice}' as existing listener, to check if ` +
        "the listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener",
      path,
    );
  }
  for (const address of own) taken.add(address);
}

function boundAddresses(listener: ListenerModel): readonly string[] {
  return [listener.address, ...listener.additionalAddresses.map((entry) => entry.address)]
    .filter((address) => address.kind === 'pipe' || (address.kind === 'socket' && address.port !== 0))
    .map(addressText);
}
