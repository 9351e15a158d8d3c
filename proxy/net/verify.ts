// Whether a peer's certificate is accepted: chain, names, pins (Envoy: `DefaultCertValidator`, `SPIFFEValidator`).
//
// Rule 1: OpenSSL's word counts only when it says "no error at all": an error code may hide a worse one (an expired
//         certificate of a foreign root reads "expired"). Leniencies are decided on a path that we check ourselves.
// Rule 2: names and pins are checked on every handshake, resumed ones included; OpenSSL checks nothing on those, and
//         calls a TLS 1.3 session without any certificate verified.
// Rule 3: only what was accepted is kept, under the certificate's hash, for as long as its path is valid.

import type { SanMatchModel, TlsValidationModel } from '../config/model/tls.ts';
import { compileStringMatch } from '../match/string.ts';
import { type Certificate, CHAIN_MAX } from './certificate.ts';
import { RevocationLists } from './crl.ts';
import { bundleOf } from './pem.ts';
import { checkPath, type PathRules } from './verify-path.ts';

/** Accepted paths kept per context; the oldest goes first. */
const ACCEPTED_MAX = 4_096;

/** Which of `ssl.fail_verify_*` a refusal counts in. */
export type VerifyCounter = 'error' | 'san' | 'no_cert' | 'cert_hash';

/** The counter's name below `ssl.`. */
export function verifyCounter(failure: VerifyFailure): `fail_verify_${VerifyCounter}` {
  return `fail_verify_${failure.counter}`;
}

/** Why a peer is refused. */
export interface VerifyFailure {
  readonly counter: VerifyCounter;
  /** Envoy's words behind `CERTIFICATE_VERIFY_FAILED:`. */
  readonly text: string;
  /** For the log: names wanted and offered; empty. */
  readonly names: string;
}

/** What a handshake says of its peer. */
export interface PeerFacts {
  /** As sent, leaf first; only the leaf when the session was resumed; empty without a certificate. */
  readonly chain: readonly Certificate[];
  /** OpenSSL found no error in the chain, now or when the session began. */
  readonly libraryAccepts: boolean;
  /** OpenSSL's code (`CERT_HAS_EXPIRED`) when it found one; empty. */
  readonly libraryError: string;
  readonly resumed: boolean;
}

/** Names that one connection asks for. */
export interface WantedNames {
  /** The certificate must hold one of these (`auto_san_validation`); empty = no such wish. */
  readonly anyOf: readonly string[];
  /** A DNS name that replaces the model's names (`auto_sni_san_validation`); empty = it does not. */
  readonly serverName: string;
}

export const NO_WANTED_NAMES: WantedNames = { anyOf: [], serverName: '' };

type NamesMatch = (leaf: Certificate) => boolean;

/** One validation context of one version, for one role of the peer. */
export class PeerVerifier {
  readonly model: TlsValidationModel;
  /** PEM of everything trusted. */
  readonly trusted: string;
  /** The same for OpenSSL's own check and the hints in a server's request; empty = it is told nothing. */
  readonly trustedByLibrary: string;
  /** OpenSSL checks the lists too. */
  readonly crlForLibrary: string;
  /** A chain is accepted when OpenSSL accepts it: nothing is configured that it cannot do. */
  readonly libraryDecides: boolean;
  /** Nobody whom OpenSSL refuses may come in. */
  readonly enforcedByLibrary: boolean;
  /** Some root is configured. */
  readonly checksChain: boolean;
  private readonly rules: PathRules;
  private readonly domains: ReadonlyMap<string, PathRules> | null;
  private readonly matchesNames: NamesMatch | null;
  private readonly wantedNames: string;
  private readonly accepted: Map<string, number>;
  private allRoots: readonly Certificate[] | null;

  /** @throws when a bundle or list cannot be read; configurations are checked before they come here */
  constructor(model: TlsValidationModel, peer: 'client' | 'server', systemRoots: string) {
    const text = (data: { readonly base64: string } | null): string =>
      data === null ? '' : Buffer.from(data.base64, 'base64').toString('latin1');
    const own = text(model.trustedCa);
    const trusted = model.systemRoots ? own + systemRoots : own;
    const crlText = text(model.crl);
    const common = {
      // A trusted certificate ends the path, self-signed or not, as in Envoy.
      partial: true,
      depthMax: model.maxVerifyDepth < 0 ? CHAIN_MAX : model.maxVerifyDepth,
      allowExpired: model.allowExpired,
      crl: crlText === '' ? null : new RevocationLists(crlText),
      crlLeafOnly: model.onlyVerifyLeafCrl,
      peer,
    };
    this.model = model;
    this.checksChain = trusted !== '' || model.trustDomains !== null;
    this.domains =
      model.trustDomains === null
        ? null
        : new Map(model.trustDomains.map(({ name, bundle }) => [name, { ...common, roots: bundleOf(text(bundle)) }]));
    this.trusted = trusted + (model.trustDomains ?? []).map(({ bundle }) => text(bundle)).join('');
    // What the library trusts it names to clients.
    const hidesRoots = peer === 'client' && model.suppressCaList;
    this.trustedByLibrary = hidesRoots ? '' : this.trusted;
    this.libraryDecides =
      this.checksChain &&
      this.domains === null &&
      !hidesRoots &&
      !model.allowExpired &&
      model.maxVerifyDepth < 0 &&
      (crlText === '' || !model.onlyVerifyLeafCrl);
    this.enforcedByLibrary = this.libraryDecides && !model.acceptUntrusted;
    this.crlForLibrary = this.libraryDecides ? crlText : '';
    this.rules = { ...common, roots: this.libraryDecides ? [] : bundleOf(trusted) };
    this.matchesNames = compileNames(model.subjectAltNames);
    this.wantedNames = model.subjectAltNames.map(({ match }) => `${match.kind} ${match.value}`).join(', ');
    this.accepted = new Map();
    this.allRoots = null;
  }

  /** Everything trusted. */
  roots(): readonly Certificate[] {
    this.allRoots ??= bundleOf(this.trusted);
    return this.allRoots;
  }

  /**
   * @param wanted names beside those of the model
   * @returns `null` = accepted
   */
  verify(facts: PeerFacts, wanted: WantedNames, nowMs: number): VerifyFailure | null {
    const leaf = facts.chain[0];
    if (leaf === undefined) return { counter: 'no_cert', text: '', names: '' };
    const chainProblem = this.checksChain ? this.checkChain(leaf, facts, nowMs) : null;
    if (chainProblem !== null) return { counter: 'error', text: chainProblem, names: '' };
    const nameProblem = this.checkNames(leaf, wanted);
    if (nameProblem !== null) return nameProblem;
    const { certificateHashes, spkiHashes } = this.model;
    if (certificateHashes.length + spkiHashes.length === 0) return null;
    return certificateHashes.includes(leaf.fingerprint256) || spkiHashes.includes(leaf.spkiHash)
      ? null
      : { counter: 'cert_hash', text: 'verify cert failed: cert hash and spki', names: '' };
  }

  private checkNames(leaf: Certificate, { anyOf, serverName }: WantedNames): VerifyFailure | null {
    const offered = leaf.names.all.join(', ');
    if (anyOf.length > 0 && !holdsName(leaf, anyOf)) {
      const expected = anyOf.join(', ');
      return wrongName(
        `verify SAN list, expected SANs: [${expected}], certificate SANs: [${offered}]`,
        expected,
        offered,
      );
    }
    const matches =
      serverName === ''
        ? this.matchesNames === null || this.matchesNames(leaf)
        : leaf.names.dns.some((pattern) => dnsNameMatches(serverName, pattern));
    if (matches) return null;
    const expected = serverName === '' ? this.wantedNames : serverName;
    return wrongName(`SAN matcher, certificate SANs are [${offered}]`, expected, offered);
  }

  /** Envoy's words for OpenSSL's code, where nothing else is known any more. */
  describeLibrary(code: string): string {
    return errorAt(0, libraryText(code));
  }

  private checkChain(leaf: Certificate, facts: PeerFacts, nowMs: number): string | null {
    const validToMs = this.accepted.get(leaf.fingerprint256);
    if (!this.libraryDecides)
      return validToMs !== undefined && nowMs <= validToMs ? null : this.checkOwn(leaf, facts.chain, nowMs);
    if (!facts.libraryAccepts) return this.explain(facts, nowMs);
    if (!facts.resumed) {
      this.keep(leaf, Math.min(...facts.chain.map((certificate) => certificate.validToMs)));
      return null;
    }
    // The session's verdict dates from its beginning, and its intermediates may be forgotten.
    return nowMs <= (validToMs ?? leaf.validToMs) ? null : errorAt(0, 'certificate has expired');
  }

  private checkOwn(leaf: Certificate, chain: readonly Certificate[], nowMs: number): string | null {
    const rules = this.domains === null ? this.rules : this.rulesOfDomain(leaf);
    if (typeof rules === 'string') return rules;
    const result = checkPath(chain, rules, nowMs);
    if (!result.ok) return errorAt(result.depth, result.reason);
    this.keep(leaf, result.validToMs);
    return null;
  }

  /** SPIFFE: the roots are those of the trust domain that the leaf's one URI names. */
  private rulesOfDomain(leaf: Certificate): PathRules | string {
    const { isCa, keyUsage } = leaf.constraints;
    // keyCertSign, cRLSign: a signing certificate is nobody's identity.
    if (isCa || (keyUsage >= 0 && (keyUsage & 0x06) !== 0)) return 'verify cert failed: not a leaf certificate';
    for (const uri of leaf.names.uri) {
      const rules = this.domains?.get(trustDomainOf(uri));
      if (rules !== undefined) return rules;
    }
    return 'verify cert failed: no trust bundle store';
  }

  /** OpenSSL tells its last error without a depth: the path search finds the first one, in words. */
  private explain(facts: PeerFacts, nowMs: number): string {
    const roots = this.rules.roots.length > 0 ? this.rules.roots : this.roots();
    const result = checkPath(facts.chain, { ...this.rules, roots }, nowMs);
    if (!result.ok) return errorAt(result.depth, result.reason);
    return errorAt(0, facts.libraryError === '' ? 'unspecified error' : libraryText(facts.libraryError));
  }

  private keep(leaf: Certificate, untilMs: number): void {
    const { accepted } = this;
    if (accepted.size >= ACCEPTED_MAX) accepted.delete(accepted.keys().next().value as string);
    accepted.set(leaf.fingerprint256, untilMs);
  }
}

function wrongName(problem: string, wanted: string, offered: string): VerifyFailure {
  return {
    counter: 'san',
    text: `verify cert failed: ${problem}`,
    names: `wanted ${wanted}; offered ${offered === '' ? 'none' : offered}`,
  };
}

function errorAt(depth: number, reason: string): string {
  return `verify cert failed: X509_verify_cert: certificate verification error at depth ${depth}: ${reason}`;
}

/** Where OpenSSL's code and BoringSSL's text differ by more than case. */
const LIBRARY_TEXTS: ReadonlyMap<string, string> = new Map([
  // OpenSSL's last error for a leaf without an issuer; BoringSSL stops at the first.
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to get local issuer certificate'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unable to get local issuer certificate'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self signed certificate'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self signed certificate in certificate chain'],
  ['CERT_HAS_EXPIRED', 'certificate has expired'],
  ['CERT_NOT_YET_VALID', 'certificate is not yet valid'],
  ['CERT_REVOKED', 'certificate revoked'],
  ['CERT_SIGNATURE_FAILURE', 'certificate signature failure'],
  ['INVALID_PURPOSE', 'unsupported certificate purpose'],
  ['INVALID_CA', 'invalid CA certificate'],
  ['UNABLE_TO_GET_CRL', 'unable to get certificate CRL'],
  ['CRL_HAS_EXPIRED', 'CRL has expired'],
]);

function libraryText(code: string): string {
  return LIBRARY_TEXTS.get(code) ?? code.toLowerCase().replaceAll('_', ' ');
}

/** `spiffe://td/…` → `td`; empty when it is none. */
function trustDomainOf(uri: string): string {
  const match = /^spiffe:\/\/([^/]+)\//.exec(uri);
  return match?.[1] ?? '';
}

// === Names ===

/** Exact names over every type; wildcards of the certificate count for DNS names. */
function holdsName(leaf: Certificate, wanted: readonly string[]): boolean {
  const { uri, dns, ip, email } = leaf.names;
  return wanted.some(
    (name) =>
      dns.some((pattern) => dnsNameMatches(name, pattern)) ||
      uri.includes(name) ||
      ip.includes(name) ||
      email.includes(name),
  );
}

/**
 * Whether a certificate's DNS name, maybe with a wildcard, stands for a name: one `*` in the first label, which is no
 * A-label, for any characters of one label (Envoy: `Utility::dnsNameMatch`).
 */
export function dnsNameMatches(name: string, pattern: string): boolean {
  const wanted = name.toLowerCase();
  const offered = pattern.toLowerCase();
  if (wanted === offered) return true;
  const [wantedLabel, wantedRest] = splitLabel(wanted);
  const [offeredLabel, offeredRest] = splitLabel(offered);
  const star = offeredLabel.indexOf('*');
  if (star < 0 || offered.indexOf('*', star + 1) >= 0 || offeredRest === '' || wantedRest !== offeredRest) return false;
  if (offeredLabel.startsWith('xn--')) return false;
  return (
    wantedLabel.length >= offeredLabel.length - 1 &&
    wantedLabel !== '' &&
    wantedLabel.startsWith(offeredLabel.slice(0, star)) &&
    wantedLabel.endsWith(offeredLabel.slice(star + 1))
  );
}

/** The first label, and the rest from its dot on; the rest of a single label is empty. */
function splitLabel(name: string): [label: string, rest: string] {
  const dot = name.indexOf('.');
  return dot < 0 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
}

/** `null` = any name will do. */
function compileNames(models: readonly SanMatchModel[]): NamesMatch | null {
  if (models.length === 0) return null;
  const matchers = models.map(compileName);
  return (leaf) => matchers.some((matches) => matches(leaf));
}

function compileName({ type, match, oid }: SanMatchModel): NamesMatch {
  const holds = compileStringMatch(match);
  const dnsHolds = match.kind === 'exact' ? (pattern: string): boolean => dnsNameMatches(match.value, pattern) : holds;
  switch (type) {
    case 'dns':
      return (leaf) => leaf.names.dns.some(dnsHolds);
    case 'uri':
      return (leaf) => leaf.names.uri.some(holds);
    case 'email':
      return (leaf) => leaf.names.email.some(holds);
    case 'ip':
      return (leaf) => leaf.names.ip.some(holds);
    case 'other':
      return (leaf) => leaf.names.other.some((name) => name.oid === oid && holds(name.value));
    case 'any':
      return ({ names }) =>
        names.dns.some(dnsHolds) || names.uri.some(holds) || names.email.some(holds) || names.ip.some(holds);
  }
}
