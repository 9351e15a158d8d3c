// Where a redirected connection was going, and whom it comes from on its way on (Envoy: the `original_dst` and
// `original_src` listener filters).
//
// After REDIRECT or DNAT the kernel's connection tracking knows; with TPROXY the socket's own address is the
// destination. Any other connection keeps the address it has.

import type { Socket } from 'node:net';
import type { ListenerModel } from '../config/model/listener.ts';
import {
  descriptorOf,
  IP_TRANSPARENT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TRANSPARENT,
  systemCalls,
} from '../net/sockopt.ts';
import { parseIpPort } from '../util/ip.ts';
import type { AcceptedConnection } from './connection.ts';
import { DONE, type FilterVerdict, type ListenerFilter } from './listener-filter.ts';

/** Metadata whose `local` is where an internal connection is going. */
const METADATA = 'envoy.filters.listener.original_dst';

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

/** `original_dst`. */
export class OriginalDstFilter implements ListenerFilter {
  private readonly transparent: boolean;

  /** @param transparent as for `restoreDestination` */
  constructor(transparent: boolean) {
    this.transparent = transparent;
  }

  begin(connection: AcceptedConnection, socket: Socket): FilterVerdict {
    const told = connection.localIp === '' ? connection.dynamicMetadata?.[METADATA]?.['local'] : undefined;
    const destination = typeof told === 'string' ? parseIpPort(told) : null;
    if (destination !== null) connection.restoreLocal(destination.ip, destination.port);
    else restoreDestination(socket, connection, this.transparent);
    return DONE;
  }

  look(): FilterVerdict {
    return DONE;
  }
}

/** `original_src`: upstream connections come from the client's address. */
export class OriginalSrcFilter implements ListenerFilter {
  private readonly bindPort: boolean;
  private readonly mark: number;

  constructor(bindPort: boolean, mark: number) {
    this.bindPort = bindPort;
    this.mark = mark;
  }

  begin(connection: AcceptedConnection): FilterVerdict {
    const { remoteIp, remotePort } = connection;
    if (remoteIp !== '')
      connection.upstreamSource = { ip: remoteIp, port: this.bindPort ? remotePort : 0, mark: this.mark };
    return DONE;
  }

  look(): FilterVerdict {
    return DONE;
  }
}
