// What a listener needs of the terminal filter of a chain: the HTTP connection manager, the TCP proxy, or nothing.

import type { Socket } from 'node:net';
import type { NetworkFilterModel } from '../config/model/listener.ts';
import { closeUnread } from '../net/read-buffer.ts';
import type { ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';

/** One filter serves all connections of its chain in a worker. */
export interface NetworkFilter {
  readonly activeConnections: number;
  /**
   * Takes over an accepted socket; nothing has been read from it.
   * @param onClosed called once when the connection is gone, with the connection's own record if the filter keeps one
   */
  accept(socket: Socket, connection: ConnectionInfo, onClosed: (record?: StreamInfo) => void): void;
  /**
   * Keeps account of a connection that a filter before this one has closed.
   * @param flags response flags of its record
   * @returns the connection's own record if the filter keeps one
   */
  refused(connection: ConnectionInfo, flags: number): StreamInfo | undefined;
  /** No new work: idle connections are closed, busy ones when their present work is done. */
  drain(): void;
  /** Closes every connection at once. */
  closeAll(): void;
}

/** What a filter may know of the listener it is in. */
export interface FilterPlace {
  readonly listenerName: string;
  /** Prefix of the listener's stats with its trailing dot: `listener.0.0.0.0_80.`. */
  readonly listenerStatPrefix: string;
  readonly filterChainName: string;
  readonly direction: 'unspecified' | 'inbound' | 'outbound';
  readonly bufferLimitBytes: number;
  /** The overload manager's decisions do not concern its connections. */
  readonly bypassesOverload: boolean;
}

/** Makes the terminal filter of a chain. */
export type FilterFactory = (model: NetworkFilterModel, place: FilterPlace) => NetworkFilter;

/** Stands for the filters of an empty chain: its connections are closed as soon as they are accepted. */
export function closingFilter(count: () => void): NetworkFilter {
  return {
    activeConnections: 0,
    accept: (socket, _connection, onClosed) => {
      count();
      socket.on('close', () => onClosed());
      closeUnread(socket);
    },
    refused: () => undefined,
    drain: () => {},
    closeAll: () => {},
  };
}
