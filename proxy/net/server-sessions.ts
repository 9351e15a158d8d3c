// What servers let clients resume: the keys of their tickets, and sessions kept for clients without tickets.

import type { Server } from 'node:tls';
import type { DownstreamTlsModel } from '../config/model/tls.ts';
import { nodeCrypto } from '../util/builtin.ts';
import { bytesOf } from './tls-options.ts';

/** Of a key and of the tickets that it encrypts: their first bytes are its name. */
export const TICKET_NAME_BYTES = 16;
/** Sessions kept per context and worker; the oldest goes first. */
const SESSIONS_MAX = 1_024;

/** Keys in order: the first encrypts, all decrypt. */
export class TicketKeys {
  private readonly keys: readonly Buffer[];
  private readonly names: readonly string[];

  /** @param ownKey used where none is configured */
  constructor({ sessionTicketKeys }: DownstreamTlsModel, ownKey: Buffer) {
    // Node's keys are 48 bytes, Envoy's 80: they are derived.
    const configured = sessionTicketKeys.map((key) => nodeCrypto().createHash('sha384').update(bytesOf(key)).digest());
    this.keys = configured.length === 0 ? [ownKey] : configured;
    this.names = this.keys.map((key) => key.toString('latin1', 0, TICKET_NAME_BYTES));
  }

  get count(): number {
    return this.keys.length;
  }

  at(index: number): Buffer {
    return this.keys[index] as Buffer;
  }

  /**
   * Which key a handshake needs. OpenSSL knows one at a time through Node, so that a session that came with an older key
   * is given on under it; only full handshakes move to the first.
   * @param ticketName the first bytes of the client's ticket, latin1; empty
   */
  indexFor(ticketName: string): number {
    return this.names.length === 1 || ticketName === '' ? 0 : Math.max(0, this.names.indexOf(ticketName));
  }
}

/** Sessions of TLS 1.2 by their id. */
export class SessionStore {
  private readonly sessions: Map<string, Buffer>;

  constructor() {
    this.sessions = new Map();
  }

  /** Makes a server keep and find its sessions here. */
  serve(server: Server): void {
    server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
      if (this.sessions.size >= SESSIONS_MAX) this.sessions.delete(this.sessions.keys().next().value as string);
      this.sessions.set(id.toString('latin1'), session);
      done();
    });
    server.on('resumeSession', (id: Buffer, done: (error: null, session: Buffer | null) => void) =>
      done(null, this.sessions.get(id.toString('latin1')) ?? null),
    );
  }
}
