// What is known of one TLS connection: taken when the handshake ends, because the socket forgets it when it closes.

import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { derElement, derElements } from '../util/der.ts';
import { type Certificate, certificateOf, chainOf } from './certificate.ts';

export const NO_CERTIFICATES: readonly Certificate[] = [];

/** Roots of a validation context. */
export interface PeerRoots {
  roots(): readonly Certificate[];
}

/** Implements `TlsInfo`. Certificates' details are read when something asks for them. */
export class TlsConnection {
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** Lower-case hex; empty on TLS 1.3. */
  readonly sessionId: string;
  /** `X25519`; empty where it cannot be known. */
  readonly group: string;
  readonly serverName: string;
  /** Negotiated protocol; empty. */
  readonly alpn: string;
  readonly resumed: boolean;
  /** As sent, leaf first; the leaf alone on resumed sessions. */
  readonly peerChain: readonly Certificate[];
  readonly local: Certificate | null;
  /** The peer's certificate was judged in this connection's own handshake, and well; as in Envoy never of a resumed one. */
  peerValidated: boolean;
  /** Whose roots may have issued the peer's certificate; `null` = nobody's. */
  verifier: PeerRoots | null;

  /**
   * @param group key-exchange group
   * @param remembered the peer's certificates of the handshake that a client's session comes from: OpenSSL tells a
   *   client nothing of its peer when it resumes
   */
  constructor(
    socket: TLSSocket,
    serverName: string,
    group: string,
    local: Certificate | null,
    remembered: readonly Certificate[],
  ) {
    this.version = socket.getProtocol() ?? '';
    this.cipher = socket.getCipher().name;
    this.sessionId = this.version === 'TLSv1.2' ? sessionIdOf(socket.getSession()) : '';
    this.group = group;
    this.serverName = serverName;
    this.alpn = socket.alpnProtocol === false || socket.alpnProtocol === null ? '' : socket.alpnProtocol;
    this.resumed = socket.isSessionReused();
    const leaf: X509Certificate | undefined = socket.getPeerX509Certificate();
    this.peerChain = leaf !== undefined ? chainOf(leaf) : this.resumed ? remembered : NO_CERTIFICATES;
    this.local = local;
    this.peerValidated = false;
    this.verifier = null;
  }

  get peer(): Certificate | null {
    return this.peerChain[0] ?? null;
  }

  /** Who issued the peer's certificate: the next one that it sent, or a root. */
  get issuer(): Certificate | null {
    const { peer } = this;
    if (peer === null) return null;
    const sent = this.peerChain[1];
    if (sent !== undefined) return sent;
    return this.verifier?.roots().find((root) => root.subjectDer.equals(peer.issuerDer)) ?? null;
  }

  /** What the peer signed the handshake with, as its key tells; empty. */
  get peerSignature(): string {
    return this.peer?.signatureScheme ?? '';
  }
}

/** The certificate that the socket's own side sent. */
export function localCertificate(socket: TLSSocket): Certificate | null {
  const own = socket.getX509Certificate();
  return own === undefined ? null : certificateOf(own);
}

/** From OpenSSL's DER form of a session: version, protocol, cipher, then the id. */
function sessionIdOf(session: Buffer | undefined): string {
  if (session === undefined) return '';
  return derElements(derElement(plainSession(session)).content)[3]?.content.toString('hex') ?? '';
}

/** How Node marks sessions of clients: with the name or address they were made with, which it compares. */
const SESSION_MARK = Buffer.from('\0nodejs:tls:session:1\0');

/** OpenSSL's form of a session: hosts of a cluster share them, whatever their address. */
export function plainSession(session: Buffer): Buffer {
  const { length } = SESSION_MARK;
  if (session.length < length + 2 || SESSION_MARK.compare(session, 0, length) !== 0) return session;
  return session.subarray(length + 2 + session.readUInt16BE(length));
}

/** Names that Envoy prints by names that OpenSSL prints. */
const GROUP_NAMES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'P-256'],
  ['secp256r1', 'P-256'],
  ['secp384r1', 'P-384'],
  ['secp521r1', 'P-521'],
  ['x25519', 'X25519'],
]);

/** The group of a client's handshake; empty for a resumed session of TLS 1.2. */
export function clientGroup(socket: TLSSocket): string {
  const name = (socket.getEphemeralKeyInfo() as { readonly name?: string } | null)?.name;
  return name === undefined ? '' : (GROUP_NAMES.get(name) ?? name);
}

/** Groups by their numbers on the wire (IANA). */
const GROUPS_BY_NUMBER: ReadonlyMap<number, string> = new Map([
  [0x0017, 'P-256'],
  [0x0018, 'P-384'],
  [0x0019, 'P-521'],
  [0x001d, 'X25519'],
  [0x11ec, 'X25519MLKEM768'],
  [0x11eb, 'SecP256r1MLKEM768'],
]);

/** The group that a server with this list takes: its first one that the client offered. Node does not tell a server. */
export function serverGroup(ours: readonly string[], offered: readonly number[], is13: boolean): string {
  const theirs = new Set(offered.map((number) => GROUPS_BY_NUMBER.get(number)));
  // The hybrid ones are of TLS 1.3
  return ours.find((name) => theirs.has(name) && (is13 || !name.includes('MLKEM'))) ?? '';
}
