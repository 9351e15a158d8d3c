// Listener filters: what looks at a connection before its chain is chosen (Envoy: listener filters).
//
// A filter is one object per listener and worker, and keeps nothing of a connection. It looks at bytes without consuming
// them, apart from a PROXY header, and says how many it needs to see; it is asked again when they are there.

import type { Socket } from 'node:net';
import type { ConnectionPredicateModel } from '../config/model/listener-filter.ts';
import type { AcceptedConnection } from './connection.ts';

/** What a filter says: `DONE`, `CLOSE`, or a positive number: how many bytes it must see at least. */
export type FilterVerdict = number;
export const DONE = 0;
/** Ends the connection; the filter has counted it. */
export const CLOSE = -1;

/** A connection whose first bytes are being looked at. */
export interface Peek {
  readonly connection: AcceptedConnection;
  /** All bytes there are; valid during the call only. */
  readonly bytes: Buffer;
  /** Bytes that the same filter has searched before; kept between its calls. */
  searched: number;
  /** Takes bytes away from the front: nobody else sees them. */
  consume(count: number): void;
}

export interface ListenerFilter {
  /** Called on the filter's turn, before any bytes are asked for. */
  begin(connection: AcceptedConnection, socket: Socket): FilterVerdict;
  /** Called when the bytes that it asked for are there. */
  look(peek: Peek): FilterVerdict;
}

/** Compiles `filter_disabled`. */
export function compilePredicate(model: ConnectionPredicateModel): (connection: AcceptedConnection) => boolean {
  switch (model.kind) {
    case 'any':
      return () => true;
    case 'not': {
      const rule = compilePredicate(model.rule);
      return (connection) => !rule(connection);
    }
    case 'and': {
      const rules = model.rules.map(compilePredicate);
      return (connection) => rules.every((rule) => rule(connection));
    }
    case 'or': {
      const rules = model.rules.map(compilePredicate);
      return (connection) => rules.some((rule) => rule(connection));
    }
    case 'destination_port': {
      const { start, end } = model;
      return ({ localIp, localPort }) => localIp !== '' && localPort >= start && localPort < end;
    }
  }
}

/** A filter that is passed over for some connections. */
export function exceptFor(
  disabled: (connection: AcceptedConnection) => boolean,
  filter: ListenerFilter,
): ListenerFilter {
  return {
    begin: (connection, socket) => (disabled(connection) ? DONE : filter.begin(connection, socket)),
    look: (peek) => filter.look(peek),
  };
}
