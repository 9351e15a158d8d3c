// Where a redirected connection was going (Envoy: the `original_dst` listener filter).
//
// After REDIRECT or DNAT the kernel's connection tracking knows; with TPROXY the socket's own address is the
// destination. Any other connection keeps the address it has.

import type { Socket } from 'node:net';
import type { ListenerModel } from '../config/model.ts';
import {
  descriptorOf,
  IP_TRANSPARENT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TRANSPARENT,
  systemCalls,
} from '../net/sockopt.ts';
import type { AcceptedConnection } from './connection.ts';

/** Whether the listener's sockets take connections to foreign addresses. */
export function isTransparent(model: ListenerModel): boolean {
  return (
    model.transparent ||
    model.socketOptions.some(
      ({ level, name, value }) =>
        ((level === IPPROTO_IP && name === IP_TRANSPARENT) || (level === IPPROTO_IPV6 && name === IPV6_TRANSPARENT)) &&
        value.kind === 'int' &&
        value.value !== 0,
    )
  );
}

/**
 * Puts the original destination into `connection`, where there is one.
 * @param transparent of the listener that accepted
 */
export function restoreDestination(socket: Socket, connection: AcceptedConnection, transparent: boolean): void {
  if (connection.localIp === '') return;
  const destination =
    systemCalls()?.originalDestination(descriptorOf(socket), connection.localIp.includes(':')) ?? null;
  if (destination !== null) connection.restoreLocal(destination.ip, destination.port);
  else if (transparent) connection.restoreLocal(connection.localIp, connection.localPort);
}
