// TLS towards upstream hosts: one context of one version of its secrets, in one worker.
//
// Rule 1: a connection is told to its handler when `verify.ts` has accepted the host, not before; Node's own checks are
//         off, because they know neither URI names nor leniencies.
// Rule 2: sessions are kept per server name and wanted names, of accepted hosts only, and names are checked on resumed
//         ones again. A host is offered its own one first: hosts of a cluster seldom read each other's tickets.
// Rule 3: a connection belongs to the version of the secrets that it was dialled with, whose verdict its sessions carry:
//         a host that was trusted once cannot hand out sessions to come back with.

import type { ConnectionOptions, SecureContext, TLSSocket } from 'node:tls';
import type { UpstreamTlsModel } from '../config/model/tls.ts';
import { nodeTls } from '../util/builtin.ts';
import type { Certificate } from './certificate.ts';
import {
  connectOptions,
  type DialHandler,
  type DialLayer,
  type DialNames,
  type DialTarget,
  type OpenSocket,
  prepareSocket,
  TransportFailure,
} from './dial.ts';
import { readIntoShared } from './read-buffer.ts';
import { clientGroup, localCertificate, NO_CERTIFICATES, plainSession, TlsConnection } from './tls-connection.ts';
import { failureOf, sslText, type TlsFailure, verifyFailure } from './tls-failure.ts';
import { secureContext } from './tls-options.ts';
import type { TlsEnv } from './tls-server.ts';
import { enterTurn, leaveTurn, Transport } from './transport.ts';
import { PeerVerifier, verifyCounter, type WantedNames } from './verify.ts';
import { DIGITAL_SIGNATURE } from './verify-path.ts';

/** Counts kept by whoever owns the stats, and the log. */
export interface TlsClientCounts {
  secured(connection: TlsConnection): void;
  failed(failure: TlsFailure): void;
}

/** What upstream TLS needs of its cluster. */
export interface TlsClientEnv {
  readonly tls: TlsEnv;
  readonly counts: TlsClientCounts;
  /** A line for the operator: which host was refused, and why. */
  readonly onRefused: (target: DialTarget, failure: TlsFailure) => void;
}

/** Server names with sessions; the oldest goes first. */
const SESSION_NAMES_MAX = 1_024;

/** A session and whom it was made with. */
interface Session {
  /** Server name and wanted names. */
  readonly key: string;
  readonly bytes: Buffer;
  readonly chain: readonly Certificate[];
}

/** What is made of one version of the secrets. */
interface Version {
  readonly model: UpstreamTlsModel;
  readonly verifier: PeerVerifier | null;
  readonly context: SecureContext;
}

/** @throws Error of OpenSSL for what it refuses; configurations are checked before they come here */
function compileVersion(model: UpstreamTlsModel, tls: TlsEnv): Version {
  const { validation } = model;
  const verifier =
    validation === null
      ? null
      : new PeerVerifier(validation, 'server', validation.systemRoots ? tls.systemRoots() : '');
  const context = secureContext(model, {
    certificates: model.certificates.slice(0, 1),
    verifier,
    role: 'client',
    ownCipherOrder: true,
    tickets: true,
    renegotiation: model.allowRenegotiation,
    ticketKeys: null,
    sessionTimeoutSeconds: 0,
    sessionContext: '',
  });
  return { model, verifier, context };
}

/** See the head of this file. */
export class UpstreamTls implements DialLayer {
  private readonly env: TlsClientEnv;
  private current: Version;
  /** Of any host, by key; newest last. */
  private readonly sessions: Map<string, Session[]>;
  /** The newest one of each host, as long as there is the host. */
  private hostSessions: WeakMap<DialTarget, Session>;

  constructor(model: UpstreamTlsModel, env: TlsClientEnv) {
    this.env = env;
    this.current = compileVersion(model, env.tls);
    this.sessions = new Map();
    this.hostSessions = new WeakMap();
  }

  get model(): UpstreamTlsModel {
    return this.current.model;
  }

  /** New secrets: handshakes from now on use them, connections live on, sessions do not. */
  replace(model: UpstreamTlsModel): void {
    this.current = compileVersion(model, this.env.tls);
    this.sessions.clear();
    this.hostSessions = new WeakMap();
  }

  dial(target: DialTarget, handler: DialHandler, names: DialNames, open: OpenSocket): Transport {
    const version = this.current;
    const { model } = version;
    const serverName = this.serverNameOf(target, names);
    const key = `${serverName}\0${names.exactNames.join('\0')}`;
    const reading = readIntoShared();
    const plain = target.opensBelow === true ? null : connectOptions(target, reading.onread);
    const options: ConnectionOptions & { highWaterMark: number } = {
      ...(plain ?? { socket: open(target) }),
      secureContext: version.context,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      highWaterMark: target.bufferLimitBytes,
    };
    if (serverName !== '') options.servername = serverName;
    const alpn = model.alpn.length > 0 ? model.alpn : names.alpn;
    if (alpn.length > 0) options.ALPNProtocols = [...alpn];
    const session = model.maxSessionKeys > 0 ? this.takeSession(target, key) : undefined;
    if (session !== undefined) options.session = session.bytes;
    const socket = nodeTls().connect(options);
    if (plain !== null) reading.attach(socket);
    prepareSocket(socket, target);
    const handshake = new ClientHandshake(this, target, socket, {
      version,
      serverName,
      names: { anyOf: names.exactNames, serverName: model.autoSniSanValidation ? serverName : '' },
      key,
      remembered: session?.chain ?? NO_CERTIFICATES,
    });
    const transport = new Transport(socket, handler);
    handshake.transport = transport;
    return transport;
  }

  /** Judges a host whose handshake is done. @returns `null` = accepted */
  judge(socket: TLSSocket, connection: TlsConnection, { version, names }: Wanted): TlsFailure | null {
    const { env } = this;
    const { verifier } = version;
    const usage = connection.peer?.constraints.keyUsage ?? -1;
    // Every suite that is left signs with the host's key; BoringSSL insists that the key may.
    if (usage >= 0 && (usage & DIGITAL_SIGNATURE) === 0)
      return { text: sslText('KEY_USAGE_BIT_INCORRECT'), counter: 'connection_error', names: '' };
    if (verifier === null) return null;
    const facts = {
      chain: connection.peerChain,
      libraryAccepts: socket.authorized,
      libraryError: String(socket.authorizationError ?? ''),
      resumed: connection.resumed,
    };
    const verdict = verifier.verify(facts, names, env.tls.dateMs());
    if (verdict === null) return null;
    const failure = verifyFailure(verifyCounter(verdict), verdict.text, verdict.names);
    if (!verifier.model.acceptUntrusted) return failure;
    env.counts.failed(failure);
    return null;
  }

  accepted(connection: TlsConnection): void {
    this.env.counts.secured(connection);
  }

  refused(target: DialTarget, { version, key }: Wanted, failure: TlsFailure): void {
    if (version === this.current) {
      this.sessions.delete(key);
      this.hostSessions.delete(target);
    }
    this.env.counts.failed(failure);
    this.env.onRefused(target, failure);
  }

  broken(failure: TlsFailure): void {
    this.env.counts.failed(failure);
  }

  keepSession(target: DialTarget, version: Version, session: Session): void {
    const { sessions, model } = this;
    const { key } = session;
    if (model.maxSessionKeys === 0 || version !== this.current) return;
    this.hostSessions.set(target, session);
    let kept = sessions.get(key);
    if (kept === undefined) {
      if (sessions.size >= SESSION_NAMES_MAX) sessions.delete(sessions.keys().next().value as string);
      kept = [];
      sessions.set(key, kept);
    }
    kept.push(session);
    if (kept.length > model.maxSessionKeys) kept.shift();
  }

  /** The host's own or the newest one. It stays: a server that wants tickets used once gives a new one each time. */
  private takeSession(target: DialTarget, key: string): Session | undefined {
    const own = this.hostSessions.get(target);
    return own?.key === key ? own : this.sessions.get(key)?.at(-1);
  }

  private serverNameOf(target: DialTarget, names: DialNames): string {
    if (names.serverName !== '') return names.serverName;
    return this.model.autoHostSni && target.hostname !== '' ? target.hostname : this.model.sni;
  }
}

/** What one handshake wants. */
interface Wanted {
  readonly version: Version;
  readonly serverName: string;
  readonly names: WantedNames;
  /** Of its sessions. */
  readonly key: string;
  /** Certificates behind the session that was offered. */
  readonly remembered: readonly Certificate[];
}

/** One connection on its way to being secure. */
class ClientHandshake {
  transport: Transport | null;
  private readonly tls: UpstreamTls;
  private readonly target: DialTarget;
  private readonly socket: TLSSocket;
  private readonly wanted: Wanted;
  private connection: TlsConnection | null;

  constructor(tls: UpstreamTls, target: DialTarget, socket: TLSSocket, wanted: Wanted) {
    this.transport = null;
    this.tls = tls;
    this.target = target;
    this.socket = socket;
    this.wanted = wanted;
    this.connection = null;
    socket.once('secureConnect', () => this.onSecure());
    // Before the transport's own listener, which ends the connection.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (!(error instanceof TransportFailure)) tls.broken(failureOf(error));
    });
    socket.on('session', (session: Buffer) => {
      const { connection } = this;
      if (connection === null) return;
      tls.keepSession(target, wanted.version, {
        key: wanted.key,
        bytes: plainSession(session),
        chain: connection.peerChain,
      });
    });
  }

  private onSecure(): void {
    const { socket, transport, tls, wanted } = this;
    if (transport === null || transport.closed) return;
    const connection = new TlsConnection(
      socket,
      wanted.serverName,
      clientGroup(socket),
      localCertificate(socket),
      wanted.remembered,
    );
    connection.verifier = wanted.version.verifier;
    const failure = tls.judge(socket, connection, wanted);
    if (failure !== null) {
      tls.refused(this.target, wanted, failure);
      socket.destroy(new TransportFailure(failure.text));
      return;
    }
    this.connection = connection;
    transport.tls = connection;
    tls.accepted(connection);
    enterTurn();
    (transport.handler as DialHandler).onConnect();
    leaveTurn();
  }
}
