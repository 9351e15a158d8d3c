// `tls.v3.CertificateValidationContext`: whom to believe.

import { nodeCrypto } from '../../util/builtin.ts';
import { ConfigError } from '../../util/error.ts';
import type { SanMatchModel, TlsValidationModel } from '../model/tls.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, str, strings, sub } from '../schema/message.ts';
import { type LowerContext, lowerStringMatch } from './common.ts';
import { NO_DATA, readData, readDataField, watchedDirectory } from './data.ts';
import { certificatesOf, checkCrl, checkTrustedCa, placeOf, textOf } from './tls-material.ts';

const SPIFFE = 'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';
/** Envoy finds validators by this name, not by their type. */
const SPIFFE_NAME = 'envoy.tls.cert_validator.spiffe';

const ACCEPT_UNTRUSTED = 1;
/** `SanType`. */
const SAN_TYPES = ['any', 'email', 'dns', 'uri', 'ip', 'other'] as const;

/** @param name of the secret that it came as; empty */
export function lowerValidation(message: Msg, name: string, ctx: LowerContext, path: string): TlsValidationModel {
  const trustDomains = lowerValidator(sub(message, 'customValidatorConfig'), ctx, `${path}.custom_validator_config`);
  const trustedCa = readDataField(message, 'trustedCa', ctx, `${path}.trusted_ca`);
  const crl = readDataField(message, 'crl', ctx, `${path}.crl`);
  const model: TlsValidationModel = {
    name,
    trustedCa,
    // Envoy takes the file when both are given
    systemRoots: trustedCa === null && sub(message, 'systemRootCerts') !== null,
    trustDomains,
    certificateHashes: strings(message, 'verifyCertificateHash').map((hash, i) =>
      hexDigest(hash, `${path}.verify_certificate_hash[${i}]`),
    ),
    spkiHashes: strings(message, 'verifyCertificateSpki').map((hash, i) =>
      base64Digest(hash, `${path}.verify_certificate_spki[${i}]`),
    ),
    subjectAltNames: lowerNames(message, ctx, path),
    crl,
    onlyVerifyLeafCrl: bool(message, 'onlyVerifyLeafCertCrl'),
    maxVerifyDepth: num(message, 'maxVerifyDepth', -1),
    acceptUntrusted: num(message, 'trustChainVerification') === ACCEPT_UNTRUSTED,
    allowExpired: bool(message, 'allowExpiredCertificate'),
    suppressCaList: bool(message, 'suppressClientCaList'),
    watchedDirectory: watchedDirectory(message, ctx),
  };
  checkValidation(model, path);
  return model;
}

/** What holds for the parts together; also when files were replaced. @throws ConfigError */
export function checkValidation(model: TlsValidationModel, path: string): void {
  const { trustedCa, crl } = model;
  if (trustedCa === null && !model.systemRoots && model.trustDomains === null) {
    if (model.subjectAltNames.length > 0) {
      throw new ConfigError(
        'SAN-based verification of peer certificates without trusted CA is insecure and not allowed',
        `${path}.match_typed_subject_alt_names`,
      );
    }
    if (model.allowExpired) {
      throw new ConfigError(
        'Certificate validity period is always ignored without trusted CA',
        `${path}.allow_expired_certificate`,
      );
    }
    if (crl !== null)
      throw new ConfigError(`Failed to load CRL from ${placeOf(crl)} without trusted CA`, `${path}.crl`);
  }
  if (trustedCa !== null && model.trustDomains === null) checkTrustedCa(trustedCa, `${path}.trusted_ca`);
  if (crl !== null) checkCrl(crl, `${path}.crl`);
}

function hexDigest(text: string, path: string): string {
  const hex = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new ConfigError(`Invalid hex-encoded SHA-256 ${text}`, path);
  return hex;
}

function base64Digest(text: string, path: string): string {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) throw new ConfigError(`Invalid base64-encoded SHA-256 ${text}`, path);
  return text;
}

// === Names ===

function lowerNames(message: Msg, ctx: LowerContext, path: string): SanMatchModel[] {
  const typed = list(message, 'matchTypedSubjectAltNames');
  const untyped = list(message, 'matchSubjectAltNames');
  if (typed.length > 0) {
    if (untyped.length > 0) {
      ctx.warn(
        `${path}.match_subject_alt_names`,
        'Ignoring match_subject_alt_names as match_typed_subject_alt_names is also specified, and the former is deprecated.',
      );
    }
    return typed.map((item, i) => lowerName(item, `${path}.match_typed_subject_alt_names[${i}]`));
  }
  return untyped.map((match, i) => ({
    type: 'any',
    match: lowerStringMatch(match, `${path}.match_subject_alt_names[${i}]`),
    oid: '',
  }));
}

function lowerName(message: Msg, path: string): SanMatchModel {
  const type = SAN_TYPES[num(message, 'sanType')] ?? 'any';
  const oid = str(message, 'oid');
  if (type === 'other' && !/^[0-2](\.\d+)+$/.test(oid))
    throw new ConfigError(`Failed to create SAN matcher for OTHER_NAME with OID: ${oid}`, `${path}.oid`);
  const matcher = sub(message, 'matcher');
  if (matcher === null) throw new ConfigError('matcher is required', path);
  return { type, match: lowerStringMatch(matcher, `${path}.matcher`), oid: type === 'other' ? oid : '' };
}

// === SPIFFE ===

function lowerValidator(message: Msg | null, ctx: LowerContext, path: string): TlsValidationModel['trustDomains'] {
  if (message === null) return null;
  const name = str(message, 'name');
  const any = sub(message, 'typedConfig');
  const config = any === null ? null : unpackAny(any, `${path}.typed_config`).message;
  if (name !== SPIFFE_NAME || config?.$typeName !== SPIFFE)
    throw new ConfigError(`Failed to get certificate validator factory for ${name}`, path);
  const at = `${path}.typed_config`;
  const bundles = sub(config, 'trustBundles');
  if (bundles !== null) return lowerBundleMap(bundles, ctx, `${at}.trust_bundles`);
  const names = new Set<string>();
  return list(config, 'trustDomains').map((domain, i) => {
    const where = `${at}.trust_domains[${i}]`;
    const domainName = str(domain, 'name');
    if (names.has(domainName)) {
      throw new ConfigError(
        `Multiple trust bundles are given for one trust domain for ${domainName}, workload: ${str(domain, 'workloadTrustDomain')}`,
        where,
      );
    }
    names.add(domainName);
    const source = sub(domain, 'trustBundle');
    const bundle = source === null ? NO_DATA : readData(source, ctx, `${where}.trust_bundle`);
    if ((certificatesOf(textOf(bundle))?.length ?? 0) === 0)
      throw new ConfigError(`Failed to load trusted CA certificate for ${domainName}`, where);
    return { name: domainName, bundle };
  });
}

/** SPIFFE's own form of several domains: JSON with a JWK set a domain, its roots in `x5c`. */
function lowerBundleMap(source: Msg, ctx: LowerContext, path: string): NonNullable<TlsValidationModel['trustDomains']> {
  const data = readData(source, ctx, path);
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(data.base64, 'base64').toString('utf8'));
  } catch {
    throw new ConfigError('Invalid JSON found in SPIFFE bundle', path);
  }
  const domains = objectAt(json, 'trust_domains');
  if (domains === null) throw new ConfigError('No trust domains found in SPIFFE bundle', path);
  return Object.entries(domains).map(([name, domain]) => {
    const keys = (domain as { keys?: unknown }).keys;
    if (!Array.isArray(keys)) throw new ConfigError(`No keys found in SPIFFE bundle for domain '${name}'`, path);
    const roots = keys.filter((key) => key?.use === 'x509-svid').flatMap((key) => rootsOf(key?.x5c, name, path));
    return { name, bundle: { base64: Buffer.from(roots.join('')).toString('base64'), path: data.path } };
  });
}

function rootsOf(x5c: unknown, domain: string, path: string): string[] {
  const refuse = () => new ConfigError(`Failed to create x509 object while loading certs in domain '${domain}'`, path);
  if (!Array.isArray(x5c)) throw refuse();
  return x5c.map((der: unknown) => {
    try {
      return new (nodeCrypto().X509Certificate)(Buffer.from(String(der), 'base64')).toString();
    } catch {
      throw refuse();
    }
  });
}

function objectAt(json: unknown, key: string): object | null {
  const value = typeof json === 'object' && json !== null ? (json as Record<string, unknown>)[key] : null;
  return typeof value === 'object' && value !== null ? value : null;
}
