// TLS towards downstream: one filter chain's context, of one version of its secrets, in one worker.
//
// Rule 1: a connection enters only through a `tls.Server` that never listens (`emit('connection')`): a bare `TLSSocket`
//         enforces nothing about client certificates.
// Rule 2: what OpenSSL accepts is judged again by `verify.ts`, on resumed sessions too, before a byte reaches a filter.
// Rule 3: the ClientHello is read first. OpenSSL through Node ends a handshake without a common protocol, Envoy goes on
//         without one; and with it we know the group of the handshake, which Node does not tell.

import type { Socket } from 'node:net';
import type { SecureContext, Server, TLSSocket } from 'node:tls';
import type { DownstreamTlsModel, TlsCertificateModel } from '../config/model/tls.ts';
import { nodeTls } from '../util/builtin.ts';
import type { Certificate } from './certificate.ts';
import { bundleOf } from './pem.ts';
import { ofKeyType, ServerNames, takesEcdsa } from './server-names.ts';
import { SessionStore, TicketKeys } from './server-sessions.ts';
import { type StapleAction, Staples } from './staples.ts';
import { localCertificate, NO_CERTIFICATES, serverGroup, TlsConnection } from './tls-connection.ts';
import { failureOf, sslText, type TlsFailure, verifyFailure } from './tls-failure.ts';
import { bytesOf, groupsOf, secureContext, sessionContextOf } from './tls-options.ts';
import { NO_WANTED_NAMES, PeerVerifier, verifyCounter } from './verify.ts';

/** What a ClientHello says; the rest of it is for the inspector. */
export interface HelloFacts {
  readonly serverName: string;
  readonly alpn: readonly string[];
  readonly groups: readonly number[];
  readonly supportedVersions: readonly number[];
  readonly extensions: readonly number[];
  readonly cipherSuites: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  /** First bytes of the ticket that is offered, latin1; empty. */
  readonly ticketName: string;
}

/** A number: so many bytes in all are needed. A string: BoringSSL's reason why this is no TLS. */
export type ReadHello = (bytes: Buffer) => number | string | HelloFacts;

/** What TLS needs of its worker. */
export interface TlsEnv {
  readonly readHello: ReadHello;
  /** PEM of the operating system's roots; read when first asked for. */
  readonly systemRoots: () => string;
  /** 48 bytes, the same in every worker of the process. */
  readonly ticketKeys: Buffer;
  /** Wall clock, milliseconds since the epoch. */
  readonly dateMs: () => number;
  /** Appends a line of NSS key log. */
  readonly keyLog: (path: string, line: Buffer) => void;
}

/**
 * Told how a handshake ends: exactly one call. The socket below is TLS's own: destroying it from here brings Node down
 * (measured: segmentation fault).
 */
export interface TlsAcceptHandler {
  /** The socket carries clear text of an accepted peer from now on; nothing has been read from it. */
  onSecure(socket: TLSSocket, connection: TlsConnection): void;
  /** The socket is gone or going. */
  onRefused(failure: TlsFailure): void;
}

/** Bytes of a ClientHello that we wait for; BoringSSL's own limit. */
const HELLO_BYTES_MAX = 16_384 + 4 + 5 * 16;
/** Node counts handshakes from zero and knows no "never"; ours is the chain's time-out. Milliseconds. */
const NO_TIMEOUT_MS = 2_147_483_647;
const TLS_1_3 = 0x0304;
const EXT_STATUS_REQUEST = 5;
const EXT_SESSION_TICKET = 35;
/** Kinds of servers of one context. */
const SERVER_KINDS = 16;

/** A fatal alert, in a record of the version in which everybody understands it. */
const HANDSHAKE_FAILURE = Buffer.from([21, 3, 1, 0, 2, 2, 40]);

/** A view of a hello would keep the whole of it. */
const NOTHING = Buffer.alloc(0);

/** The private link from a TLS socket to the socket below it. */
interface TlsSocketInside {
  readonly _parent: Socket | undefined;
}

/** What differs between the servers of one context. */
interface ServerKind {
  /** Number of the key of tickets. */
  readonly ticketKey: number;
  /** Keeps sessions of clients without tickets. */
  readonly stateful: boolean;
  /** Our order of suites. */
  readonly ownOrder: boolean;
  readonly alpn: boolean;
  readonly ecdsa: boolean;
}

/** What is shown to a client. */
interface Choice {
  readonly ecdsa: boolean;
  /** For who asks for one. */
  readonly staple: StapleAction;
}

/** Handshakes under way, by the socket below. */
const underWay = new WeakMap<Socket, Handshake>();

/** Counts kept by whoever owns the stats. */
export interface TlsServerCounts {
  secured(connection: TlsConnection): void;
  failed(failure: TlsFailure): void;
  /** A client asked for a staple. @param action what it gets */
  stapleAsked(action: StapleAction): void;
}

/** See the head of this file. */
export class DownstreamTls {
  readonly model: DownstreamTlsModel;
  readonly env: TlsEnv;
  readonly counts: TlsServerCounts;
  readonly verifier: PeerVerifier | null;
  readonly groups: readonly string[];
  /** The only certificate; `null` when the handshake chooses among several. */
  readonly soleCertificate: Certificate | null;
  readonly staples: Staples;
  private readonly sessionContext: string;
  private readonly ticketKeys: TicketKeys;
  private readonly sessions: SessionStore;
  private readonly names: ServerNames;
  /** By ticket key, and within one by `keeps sessions`, `own order`, `with protocols` and `ECDSA`: made when first needed. */
  private readonly servers: (Server | null)[];
  private readonly contexts: Map<string, SecureContext>;

  constructor(model: DownstreamTlsModel, env: TlsEnv, counts: TlsServerCounts) {
    const { validation } = model;
    this.model = model;
    this.env = env;
    this.counts = counts;
    this.verifier =
      validation === null
        ? null
        : new PeerVerifier(validation, 'client', validation.systemRoots ? env.systemRoots() : '');
    this.groups = groupsOf(model);
    this.staples = new Staples(model);
    this.sessionContext = sessionContextOf(model, [String(model.requireClientCertificate)]);
    this.ticketKeys = new TicketKeys(model, env.ticketKeys);
    this.sessions = new SessionStore();
    this.names = new ServerNames(model.certificates, model.fullScanCertsOnSniMismatch);
    const [only, ...others] = model.certificates;
    this.soleCertificate =
      only === undefined || others.length > 0 || only.pkcs12 !== null
        ? null
        : (bundleOf(bytesOf(only.chain).toString('latin1'))[0] ?? null);
    this.servers = new Array<Server | null>(SERVER_KINDS * this.ticketKeys.count).fill(null);
    this.contexts = new Map();
  }

  /** Compiles what the first connection would need, so that mistakes show at once. @throws Error of OpenSSL */
  prepare(): void {
    this.server({ ticketKey: 0, stateful: false, ownOrder: true, alpn: this.model.alpn.length > 0, ecdsa: false });
  }

  /**
   * Takes over an accepted socket of which nothing was consumed.
   * @param hello what an inspector read already; `null` = not yet looked at
   * @returns a handle that ends the handshake (time-outs)
   */
  accept(raw: Socket, hello: HelloFacts | null, handler: TlsAcceptHandler): Handshake {
    const handshake = new Handshake(this, raw, handler);
    handshake.start(hello);
    return handshake;
  }

  /** The certificate peers see, for operators over the local side. */
  localOf(socket: TLSSocket): Certificate | null {
    return this.soleCertificate ?? localCertificate(socket);
  }

  /** What a client that asks for a staple gets, if it does; `null` = it does not. */
  stapleFor(hello: HelloFacts): StapleAction | null {
    return hello.extensions.includes(EXT_STATUS_REQUEST) ? this.choose(hello, this.speaks13(hello)).staple : null;
  }

  private speaks13(hello: HelloFacts | null): boolean {
    return hello?.supportedVersions.includes(TLS_1_3) === true && this.model.maxVersion === 'TLSv1.3';
  }

  /** Which kind of certificate is shown: ECDSA to who can verify it, unless that lacks its staple and another one does not. */
  private choose(hello: HelloFacts, is13: boolean): Choice {
    const { names, staples, env } = this;
    const asks = hello.extensions.includes(EXT_STATUS_REQUEST);
    const capable = takesEcdsa(hello, is13);
    const candidates = hello.serverName === '' ? names.unnamed : names.find(hello.serverName);
    const [first] = ofKeyType(candidates, capable);
    if (!asks || first === undefined) return { ecdsa: capable, staple: 'omit' };
    const nowMs = env.dateMs();
    const staple = staples.action(first, nowMs);
    if (staple !== 'fail') return { ecdsa: capable, staple };
    const other = capable && candidates.find((one) => one.keyType !== 'ec' && staples.action(one, nowMs) !== 'fail');
    // Without another one it is the first of all, whether the client can verify it or not.
    const shown = other || (this.model.certificates[0] as TlsCertificateModel);
    return { ecdsa: shown.keyType === 'ec', staple: staples.action(shown, nowMs) };
  }

  /** Hands the socket to OpenSSL. */
  enter(raw: Socket, hello: HelloFacts | null): void {
    const { model } = this;
    const speaksAlpn =
      model.alpn.length > 0 && (hello === null || hello.alpn.some((name) => model.alpn.includes(name)));
    // Among TLS 1.3 suites BoringSSL follows the client, among others its own order.
    const is13 = this.speaks13(hello);
    const ecdsa = hello !== null && this.names.several && this.choose(hello, is13).ecdsa;
    const ticketKey = hello === null ? 0 : this.ticketKeys.indexFor(hello.ticketName);
    // Sessions are kept for those who could not come back otherwise: telling Node to keep them is dear.
    const ticketless = !model.sessionTickets || hello?.extensions.includes(EXT_SESSION_TICKET) !== true;
    const stateful = hello !== null && ticketless && !is13 && model.statefulResumption && this.mayResume;
    const ownOrder = !is13 && !model.preferClientCiphers;
    this.server({ ticketKey, stateful, ownOrder, alpn: speaksAlpn, ecdsa }).emit('connection', raw);
  }

  private server(kind: ServerKind): Server {
    const { ticketKey, stateful, ownOrder, alpn, ecdsa } = kind;
    const at = ticketKey * SERVER_KINDS + (stateful ? 8 : 0) + (ownOrder ? 4 : 0) + (alpn ? 2 : 0) + (ecdsa ? 1 : 0);
    let server = this.servers[at] ?? null;
    if (server === null) {
      server = this.createServer(kind);
      this.servers[at] = server;
    }
    return server;
  }

  private createServer(kind: ServerKind): Server {
    const { model, verifier } = this;
    const { alpn, ecdsa } = kind;
    const contextOf = (certificates: readonly TlsCertificateModel[]): SecureContext =>
      this.context(ofKeyType(certificates, ecdsa), kind);
    const asks = verifier !== null || model.requireClientCertificate;
    const server = nodeTls().createServer({
      allowHalfOpen: true,
      // The context is ours (below): the server's own is never used, and must not load Node's roots.
      ca: [],
      requestCert: asks,
      // OpenSSL's verdict is enforced where it is ours too; otherwise `verify.ts` alone decides.
      rejectUnauthorized: model.requireClientCertificate && verifier?.enforcedByLibrary === true,
      handshakeTimeout: NO_TIMEOUT_MS,
      ...(alpn ? { ALPNProtocols: [...model.alpn] } : {}),
      ...(this.names.several
        ? {
            SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void) =>
              done(null, contextOf(this.names.find(name))),
          }
        : {}),
    });
    // A server passes on most options of a context, but not that of partial chains. If this private name went away, the
    // server would have no certificate, and no handshake would succeed.
    (server as Server & { _sharedCreds: SecureContext })._sharedCreds = contextOf(this.names.unnamed);
    server.on('secureConnection', (socket: TLSSocket) => handshakeOf(socket)?.onSecure(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) =>
      handshakeOf(socket)?.onError(error, socket),
    );
    if (kind.stateful) this.sessions.serve(server);
    if (!this.staples.none) this.answerStaples(server);
    const { keyLog } = model;
    if (keyLog !== null) server.on('keylog', (line: Buffer) => this.env.keyLog(keyLog.path, line));
    return server;
  }

  private context(certificates: readonly TlsCertificateModel[], { ownOrder, ticketKey }: ServerKind): SecureContext {
    const { model } = this;
    const key = `${ownOrder} ${ticketKey} ${certificates.map((one) => model.certificates.indexOf(one)).join(',')}`;
    let context = this.contexts.get(key);
    if (context === undefined) {
      context = secureContext(model, {
        certificates,
        verifier: this.verifier,
        role: 'server',
        ownCipherOrder: ownOrder,
        tickets: model.sessionTickets && this.mayResume,
        renegotiation: false,
        ticketKeys: this.ticketKeys.at(ticketKey),
        sessionTimeoutSeconds: model.sessionTimeoutSeconds,
        sessionContext: this.sessionContext,
      });
      this.contexts.set(key, context);
    }
    return context;
  }

  /** A resumed session shows the leaf alone: where OpenSSL's word on the chain does not count, it could not be judged. */
  private get mayResume(): boolean {
    return this.verifier === null || this.verifier.libraryDecides || !this.verifier.checksChain;
  }

  private answerStaples(server: Server): void {
    server.on('OCSPRequest', (der: Buffer, _issuer: Buffer, done: (error: null, staple: Buffer | null) => void) => {
      done(null, this.staples.find(der, this.env.dateMs()));
    });
  }
}

/** The two ways of a `tls.Server` to tell of a socket both lead here. */
function handshakeOf(socket: TLSSocket): Handshake | undefined {
  const raw = (socket as unknown as TlsSocketInside)._parent;
  return raw === undefined ? undefined : underWay.get(raw);
}

/** One connection on its way to being secure. */
export class Handshake {
  private readonly tls: DownstreamTls;
  private readonly raw: Socket;
  private handler: TlsAcceptHandler | null;
  private hello: HelloFacts | null;
  private heard: Buffer;
  private needed: number;

  constructor(tls: DownstreamTls, raw: Socket, handler: TlsAcceptHandler) {
    this.tls = tls;
    this.raw = raw;
    this.handler = handler;
    this.hello = null;
    this.heard = NOTHING;
    this.needed = 0;
  }

  /** Over, one way or the other. */
  get done(): boolean {
    return this.handler === null;
  }

  start(hello: HelloFacts | null): void {
    this.raw.on('error', () => {});
    this.raw.on('close', this.onRawClose);
    if (hello !== null) {
      this.enter(hello);
      return;
    }
    this.raw.on('readable', this.onReadable);
    this.raw.on('end', this.onRawEnd);
  }

  /** Ends it without a reason of TLS's own (time-outs, shutdown). */
  cancel(): void {
    this.raw.destroy();
    this.refuse(failureOf(null));
  }

  private readonly onRawClose = (): void => this.refuse(failureOf(null));

  private readonly onRawEnd = (): void => {
    this.raw.destroy();
  };

  private readonly onReadable = (): void => {
    const chunk = this.raw.read() as Buffer | null;
    if (chunk === null) return;
    this.heard = this.heard.length === 0 ? chunk : Buffer.concat([this.heard, chunk]);
    if (this.heard.length < this.needed) return;
    const answer = this.tls.env.readHello(this.heard);
    if (typeof answer === 'number' && answer <= HELLO_BYTES_MAX) {
      this.needed = answer;
      return;
    }
    this.raw.off('readable', this.onReadable);
    this.raw.off('end', this.onRawEnd);
    this.raw.unshift(this.heard);
    this.heard = NOTHING;
    // What is no hello is left to OpenSSL, which answers it with the right alert.
    this.enter(typeof answer === 'object' ? answer : null);
  };

  private enter(hello: HelloFacts | null): void {
    this.hello = hello;
    underWay.set(this.raw, this);
    // From here on the server tells how it ends, and why. That a client ends its side during the handshake it tells
    // nobody; but what is not half-open (a TLS socket takes that from the one below) closes then.
    this.raw.off('close', this.onRawClose);
    this.raw.allowHalfOpen = false;
    const staple = hello === null ? null : this.tls.stapleFor(hello);
    if (staple !== null) this.tls.counts.stapleAsked(staple);
    if (staple === 'fail') {
      this.raw.end(HANDSHAKE_FAILURE);
      this.raw.on('close', this.onRawClose);
      this.refuse({ text: sslText('CONNECTION_REJECTED'), counter: 'connection_error', names: '' });
      return;
    }
    this.tls.enter(this.raw, hello);
  }

  onSecure(socket: TLSSocket): void {
    const { handler, hello, tls } = this;
    socket.allowHalfOpen = true;
    this.raw.allowHalfOpen = true;
    if (handler === null) {
      socket.destroy();
      return;
    }
    const group = hello === null ? '' : serverGroup(tls.groups, hello.groups, socket.getProtocol() === 'TLSv1.3');
    const connection = new TlsConnection(socket, hello?.serverName ?? '', group, tls.localOf(socket), NO_CERTIFICATES);
    connection.verifier = tls.verifier;
    const failure = this.judge(socket, connection);
    if (failure !== null) {
      this.refuse(failure);
      socket.destroy();
      return;
    }
    this.finish();
    tls.counts.secured(connection);
    handler.onSecure(socket, connection);
  }

  private judge(socket: TLSSocket, connection: TlsConnection): TlsFailure | null {
    const { model, verifier, env } = this.tls;
    const hasCertificate = connection.peerChain.length > 0;
    if (!hasCertificate) return model.requireClientCertificate ? verifyFailure('fail_verify_no_cert', '', '') : null;
    if (verifier === null) return null;
    const verdict = verifier.verify(
      {
        chain: connection.peerChain,
        libraryAccepts: socket.authorized,
        libraryError: String(socket.authorizationError ?? ''),
        resumed: connection.resumed,
      },
      NO_WANTED_NAMES,
      env.dateMs(),
    );
    if (verdict === null) {
      connection.peerValidated = !connection.resumed;
      return null;
    }
    const failure = verifyFailure(verifyCounter(verdict), verdict.text, verdict.names);
    if (!verifier.model.acceptUntrusted) return failure;
    this.tls.counts.failed(failure);
    return null;
  }

  onError(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    this.refuse(this.explain(error, socket));
  }

  private explain(error: NodeJS.ErrnoException, socket: TLSSocket): TlsFailure {
    if (error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return verifyFailure('fail_verify_no_cert', '', '');
    // `tls.Server` refused the chain itself and tells only that the connection ended.
    const code = socket.authorizationError as unknown as string | null;
    if (code !== null && this.tls.verifier !== null)
      return verifyFailure('fail_verify_error', this.tls.verifier.describeLibrary(String(code)), '');
    return failureOf(error);
  }

  private refuse(failure: TlsFailure): void {
    const { handler } = this;
    if (handler === null) return;
    this.finish();
    this.tls.counts.failed(failure);
    handler.onRefused(failure);
  }

  private finish(): void {
    this.handler = null;
    underWay.delete(this.raw);
    this.raw.off('close', this.onRawClose);
    this.raw.off('readable', this.onReadable);
    this.raw.off('end', this.onRawEnd);
  }
}
