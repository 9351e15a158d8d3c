// Finds a path from a peer's certificate to a trusted root and checks it (RFC 5280 §6), for the leniencies that OpenSSL
// through Node cannot be asked for. Where there is none, OpenSSL's own verdict counts (see `verify.ts`).
//
// Rule: whatever is not understood is refused. Name constraints and unknown critical extensions never pass here.

import type { KeyObject } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import type { CrlAnswer, RevocationLists } from './crl.ts';

/** What a path must fulfil. */
export interface PathRules {
  readonly roots: readonly Certificate[];
  /** A root need not be self-signed. */
  readonly partial: boolean;
  /** Intermediate certificates allowed. */
  readonly depthMax: number;
  readonly allowExpired: boolean;
  readonly crl: RevocationLists | null;
  readonly crlLeafOnly: boolean;
  /** The peer's role. */
  readonly peer: 'client' | 'server';
}

/** A path found, with its end of validity; or why there is none, at which depth, in OpenSSL's words. */
export type PathResult =
  | { readonly ok: true; readonly validToMs: number }
  | { readonly ok: false; readonly depth: number; readonly reason: string };

/** Signatures checked for one chain at most: a peer must not choose how long we work. */
const SIGNATURE_CHECKS_MAX = 64;

const KEY_CERT_SIGN = 0x04;
/** Of key usage. */
export const DIGITAL_SIGNATURE = 0x80;
const KEY_ENCIPHERMENT = 0x20;
const KEY_AGREEMENT = 0x08;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * @param chain the peer's certificates, leaf first; not empty
 * @returns the first path that holds, or the first reason against one
 */
export function checkPath(chain: readonly Certificate[], rules: PathRules, nowMs: number): PathResult {
  const search = new Search(chain, rules, nowMs);
  return search.from([chain[0] as Certificate]);
}

/** By their bytes: there are several objects of a certificate when it was forgotten in between. */
function isSame(one: Certificate, other: Certificate): boolean {
  return one.fingerprint256 === other.fingerprint256;
}

class Search {
  private readonly intermediates: readonly Certificate[];
  private readonly rules: PathRules;
  private readonly nowMs: number;
  private checksLeft: number;
  /** The first complete path that failed a check tells more than "no issuer". */
  private refusal: PathResult | null;

  constructor(chain: readonly Certificate[], rules: PathRules, nowMs: number) {
    this.intermediates = chain.slice(1);
    this.rules = rules;
    this.nowMs = nowMs;
    this.checksLeft = SIGNATURE_CHECKS_MAX;
    this.refusal = null;
  }

  from(path: readonly Certificate[]): PathResult {
    const last = path[path.length - 1] as Certificate;
    const { roots } = this.rules;
    if (roots.some((root) => isSame(root, last)) && this.isAnchor(last)) return this.judge(path);
    for (const root of roots)
      if (this.isAnchor(root) && this.issued(root, last)) {
        const result = this.judge([...path, root]);
        if (result.ok) return result;
      }
    for (const next of this.intermediates)
      if (!path.some((one) => isSame(one, next)) && this.issued(next, last)) {
        const result = this.from([...path, next]);
        if (result.ok) return result;
      }
    return this.refusal ?? { ok: false, depth: path.length - 1, reason: this.withoutIssuer(path) };
  }

  private isAnchor(certificate: Certificate): boolean {
    return this.rules.partial || certificate.subjectDer.equals(certificate.issuerDer);
  }

  private issued(issuer: Certificate, certificate: Certificate): boolean {
    if (!issuer.subjectDer.equals(certificate.issuerDer) || this.checksLeft-- <= 0) return false;
    const key = issuer.publicKey;
    return key !== null && certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(key);
  }

  private withoutIssuer(path: readonly Certificate[]): string {
    const last = path[path.length - 1] as Certificate;
    if (!last.subjectDer.equals(last.issuerDer)) return 'unable to get local issuer certificate';
    return path.length === 1 ? 'self signed certificate' : 'self signed certificate in certificate chain';
  }

  /** @param path leaf first, trusted root last; all signatures hold */
  private judge(path: readonly Certificate[]): PathResult {
    let validToMs = Number.POSITIVE_INFINITY;
    for (const [depth, certificate] of path.entries()) {
      const reason =
        this.usageProblem(certificate, depth, path) ?? this.timeProblem(certificate) ?? this.crlProblem(path, depth);
      if (reason !== null) {
        this.refusal ??= { ok: false, depth, reason };
        return { ok: false, depth, reason };
      }
      if (!this.rules.allowExpired) validToMs = Math.min(validToMs, certificate.validToMs);
      if (this.rules.crl !== null) validToMs = Math.min(validToMs, this.rules.crl.validToMs(certificate));
    }
    return { ok: true, validToMs };
  }

  private usageProblem(certificate: Certificate, depth: number, path: readonly Certificate[]): string | null {
    const { isCa, pathLength, keyUsage, extendedKeyUsage, unknownCritical, nameConstrained } = certificate.constraints;
    const { peer, depthMax } = this.rules;
    // Leaf and root are not counted.
    if (depth > depthMax && depth < path.length - 1) return 'unable to get local issuer certificate';
    if (unknownCritical) return 'unhandled critical extension';
    if (nameConstrained) return 'unsupported name constraint type';
    const wanted = peer === 'client' ? CLIENT_AUTH : SERVER_AUTH;
    if (extendedKeyUsage !== null && !extendedKeyUsage.includes(wanted)) return 'unsupported certificate purpose';
    if (depth === 0) {
      const uses = DIGITAL_SIGNATURE | KEY_AGREEMENT | (peer === 'server' ? KEY_ENCIPHERMENT : 0);
      return keyUsage >= 0 && (keyUsage & uses) === 0 ? 'unsupported certificate purpose' : null;
    }
    if (!isCa || (keyUsage >= 0 && (keyUsage & KEY_CERT_SIGN) === 0)) return 'invalid CA certificate';
    // Self-issued certificates do not count, but OpenSSL's texts do not need that much.
    return pathLength >= 0 && depth - 1 > pathLength ? 'path length constraint exceeded' : null;
  }

  private timeProblem(certificate: Certificate): string | null {
    if (this.rules.allowExpired) return null;
    if (!(certificate.validFromMs <= this.nowMs)) return 'certificate is not yet valid';
    return certificate.validToMs >= this.nowMs ? null : 'certificate has expired';
  }

  private crlProblem(path: readonly Certificate[], depth: number): string | null {
    const { crl, crlLeafOnly } = this.rules;
    const certificate = path[depth] as Certificate;
    const issuer = path[depth + 1];
    // A root is not looked up: nobody above it could revoke it.
    if (crl === null || issuer === undefined || (crlLeafOnly && depth > 0)) return null;
    // It has verified the certificate, so there is one.
    return CRL_REASONS[crl.check(certificate, issuer.publicKey as KeyObject, this.nowMs)];
  }
}

const CRL_REASONS: Readonly<Record<CrlAnswer, string | null>> = {
  good: null,
  revoked: 'certificate revoked',
  not_covered: 'unable to get certificate CRL',
  expired: 'CRL has expired',
  not_yet_valid: 'CRL is not yet valid',
  bad_signature: 'CRL signature failure',
};
