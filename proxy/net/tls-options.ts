// Contexts of OpenSSL from the model, with Envoy's defaults.

import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { TlsCertificateModel, TlsCommonModel } from '../config/model/tls.ts';
import { nodeCrypto, nodeTls } from '../util/builtin.ts';
import type { Certificate } from './certificate.ts';
import { bundleOf } from './pem.ts';
import type { PeerVerifier } from './verify.ts';

/** TLS 1.2 suites in Envoy's order. BoringSSL's groups of equals have no counterpart: AES-GCM goes before ChaCha20. */
const DEFAULT_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');
/** Not configurable, as in Envoy. */
const TLS13_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
/** Envoy's groups, as names on the wire (IANA) are printed. */
const DEFAULT_GROUPS: readonly string[] = ['X25519MLKEM768', 'X25519', 'P-256'];
/** Groups for which a client sends a key right away, so that the server need not ask again. */
const FIRST_KEYS = 2;

/** What differs between contexts of one model. */
export interface ContextChoice {
  /** One per key type at most; OpenSSL takes the one that the peer can verify. */
  readonly certificates: readonly TlsCertificateModel[];
  readonly verifier: PeerVerifier | null;
  readonly role: 'server' | 'client';
  /** Ours decide, not the client's order. */
  readonly ownCipherOrder: boolean;
  readonly tickets: boolean;
  readonly renegotiation: boolean;
  readonly ticketKeys: Buffer | null;
  /** 0 = the library's default. */
  readonly sessionTimeoutSeconds: number;
  /** Sessions are resumed within equal ones only; at most 32 characters. */
  readonly sessionContext: string;
}

/** Names of the groups in order, as the model or Envoy's default has them. */
export function groupsOf(model: TlsCommonModel): readonly string[] {
  return model.curves === '' ? DEFAULT_GROUPS : model.curves.split(':');
}

/** @throws Error of OpenSSL for what it refuses; `lower` has made such a context before */
export function secureContext(model: TlsCommonModel, choice: ContextChoice): SecureContext {
  const { certificates, verifier } = choice;
  const groups = groupsOf(model);
  const options: SecureContextOptions = {
    minVersion: model.minVersion,
    maxVersion: model.maxVersion,
    ciphers: `${TLS13_SUITES}:${model.ciphers === '' ? DEFAULT_CIPHERS : model.ciphers}`,
    // Never left out: Node would trust its own roots, and its users' environment.
    ca: verifier === null || verifier.trustedByLibrary === '' ? [] : verifier.trustedByLibrary,
    honorCipherOrder: choice.ownCipherOrder,
    secureOptions:
      (choice.renegotiation ? 0 : nodeCrypto().constants.SSL_OP_NO_RENEGOTIATION) |
      nodeCrypto().constants.SSL_OP_NO_COMPRESSION |
      (choice.tickets ? 0 : nodeCrypto().constants.SSL_OP_NO_TICKET),
    ecdhCurve:
      choice.role === 'server'
        ? groups.join(':')
        : groups.map((name, i) => (i < FIRST_KEYS ? `*${name}` : name)).join(':'),
    sessionIdContext: choice.sessionContext,
    // As Envoy: a trusted certificate ends the path, self-signed or not.
    allowPartialTrustChain: true,
  };
  if (model.signatureAlgorithms !== '') options.sigalgs = model.signatureAlgorithms;
  if (verifier !== null && verifier.crlForLibrary !== '') options.crl = verifier.crlForLibrary;
  if (choice.ticketKeys !== null) options.ticketKeys = choice.ticketKeys;
  if (choice.sessionTimeoutSeconds > 0) options.sessionTimeout = choice.sessionTimeoutSeconds;
  addCertificates(options, certificates);
  return nodeTls().createSecureContext(options);
}

function addCertificates(options: SecureContextOptions, certificates: readonly TlsCertificateModel[]): void {
  const pem = certificates.filter(({ pkcs12 }) => pkcs12 === null);
  const archives = certificates.flatMap(({ pkcs12, password }) => (pkcs12 === null ? [] : [{ pkcs12, password }]));
  if (pem.length > 0) {
    options.cert = pem.map(({ chain }) => bytesOf(chain));
    options.key = pem.map(({ key, password }) =>
      password === null ? { pem: bytesOf(key) } : { pem: bytesOf(key), passphrase: textOf(password) },
    );
  }
  if (archives.length > 0)
    options.pfx = archives.map(({ pkcs12, password }) =>
      password === null ? { buf: bytesOf(pkcs12) } : { buf: bytesOf(pkcs12), passphrase: textOf(password) },
    );
}

/** What Envoy calls certificates that are no named secrets: a digest of their empty name. */
const UNNAMED = 'e3b0c442';

/** When certificates end, seconds since the epoch, by the names under which Envoy counts them. */
export function certificateEnds(model: TlsCommonModel): ReadonlyMap<string, number> {
  const ends = new Map<string, number>();
  // Of several certificates of a name the first to end counts.
  const note = (name: string, certificates: readonly Certificate[]): void => {
    const first = Math.floor(Math.min(...certificates.map(({ validToMs }) => validToMs)) / 1_000);
    if (certificates.length > 0) ends.set(name, Math.min(first, ends.get(name) ?? first));
  };
  for (const { name, chain } of model.certificates)
    note(name === '' ? `unnamed_cert_${UNNAMED}` : name, bundleOf(textOf(chain)).slice(0, 1));
  const { validation } = model;
  if (validation !== null && validation.trustedCa !== null)
    note(
      validation.name === '' ? `unnamed_ca_cert_${UNNAMED}` : validation.name,
      bundleOf(textOf(validation.trustedCa)),
    );
  return ends;
}

/** States when the certificates of a context end; again when they were replaced. */
export function stateCertificateEnds(
  model: TlsCommonModel,
  counts: { certificateEnds(name: string, ends: number): void },
): void {
  for (const [name, ends] of certificateEnds(model)) counts.certificateEnds(name, ends);
}

/** The bytes of a data source. */
export function bytesOf(data: { readonly base64: string }): Buffer {
  return Buffer.from(data.base64, 'base64');
}

function textOf(data: { readonly base64: string }): string {
  // Passwords in files end with a line feed that is not part of them.
  return bytesOf(data)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/**
 * What sessions of a context have in common: everything that decides who is let in. A rotated root, list or name makes
 * old sessions worthless, also those of tickets that another worker issued.
 */
export function sessionContextOf(model: TlsCommonModel, more: readonly string[]): string {
  const hash = nodeCrypto()
    .createHash('sha256')
    .update(model.digest)
    .update('\0')
    .update(JSON.stringify(model.validation ?? null));
  for (const part of more) hash.update('\0').update(part);
  return hash.digest('hex').slice(0, 32);
}
