// Certificates, keys and roots, checked before anything uses them, in Envoy's words. No protobuf: the same checks run
// when a configuration is lowered and when watched files were replaced.

import type { KeyObject, X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { nodeCrypto, nodeTls } from '../../util/builtin.ts';
import { ConfigError } from '../../util/error.ts';
import type { DataModel, TlsCertificateModel } from '../model/tls.ts';
import { checkOcspResponse, wantsStaple } from './ocsp-response.ts';

/** What a `TlsCertificate` is made of, read but not checked. */
export type CertificateSources = Omit<TlsCertificateModel, 'dnsNames' | 'keyType' | 'stapleEndsMs' | 'mustStaple'>;

const RSA_BITS_MIN = 2048;
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/**
 * Checks that a chain can be read and that the key fits its leaf.
 * @throws ConfigError at the field below `path`
 */
export function checkCertificate(
  sources: CertificateSources,
  role: 'server' | 'client',
  path: string,
): TlsCertificateModel {
  const leaf = sources.pkcs12 === null ? checkPair(sources, path) : checkPkcs12(sources.pkcs12, sources, path);
  const keyType = checkKeyType(leaf, sources.pkcs12 ?? sources.chain, path);
  const dnsNames = dnsNamesOf(leaf);
  if (role === 'server' && dnsNames === null)
    throw new ConfigError('Invalid TLS context has neither subject CN nor SAN names', path);
  const { ocspStaple } = sources;
  const mustStaple = wantsStaple(leaf);
  if (role === 'server' && mustStaple && ocspStaple === null)
    throw new ConfigError('OCSP response is required for must-staple certificate', `${path}.ocsp_staple`);
  const stapleEndsMs =
    ocspStaple === null || role === 'client'
      ? -1
      : checkOcspResponse(Buffer.from(ocspStaple.base64, 'base64'), leaf, `${path}.ocsp_staple`);
  return { ...sources, dnsNames: dnsNames ?? [], keyType, stapleEndsMs, mustStaple };
}

function checkPair(sources: CertificateSources, path: string): X509Certificate {
  const { chain, key } = sources;
  if (chain.base64 === '') {
    throw new ConfigError(
      `Failed to load incomplete certificate from ${chain.path}: certificate chain not set`,
      `${path}.certificate_chain`,
    );
  }
  if (key.base64 === '') {
    throw new ConfigError(`Failed to load incomplete private key from path: ${key.path}`, `${path}.private_key`);
  }
  const certificates = certificatesOf(textOf(chain));
  const leaf = certificates?.[0];
  if (leaf === undefined) {
    throw new ConfigError(`Failed to load certificate chain from ${placeOf(chain)}`, `${path}.certificate_chain`);
  }
  const cause = keyFault(leaf, textOf(key), sources.password);
  if (cause !== null) {
    throw new ConfigError(`Failed to load private key from ${placeOf(key)}, Cause: ${cause}`, `${path}.private_key`);
  }
  return leaf;
}

/** Envoy's name of where data came from. */
export function placeOf(data: DataModel): string {
  return data.path === '' ? '<inline>' : data.path;
}

export function textOf(data: DataModel): string {
  return Buffer.from(data.base64, 'base64').toString('latin1');
}

/** BoringSSL's words for a key that cannot be used with a leaf; `null` when it can. */
function keyFault(leaf: X509Certificate, pem: string, password: DataModel | null): string | null {
  if (!/-----BEGIN (?:\w+ )?PRIVATE KEY-----/.test(pem))
    return 'error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE';
  const encrypted = pem.includes('ENCRYPTED');
  if (encrypted && password === null) return 'error:09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ';
  let key: KeyObject;
  try {
    key = nodeCrypto().createPrivateKey(
      encrypted && password !== null ? { key: pem, passphrase: textOf(password) } : { key: pem },
    );
  } catch {
    return encrypted
      ? 'error:1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT'
      : 'error:0c00006d:ASN.1 encoding routines:OPENSSL_internal:DECODE_ERROR';
  }
  if (leaf.checkPrivateKey(key)) return null;
  return leaf.publicKey.asymmetricKeyType === key.asymmetricKeyType
    ? 'error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH'
    : 'error:0b000073:X.509 certificate routines:OPENSSL_internal:KEY_TYPE_MISMATCH';
}

function checkPkcs12(pkcs12: DataModel, { password }: CertificateSources, path: string): X509Certificate {
  const leaf = pkcs12Leaf(pkcs12, password);
  if (leaf === null) throw new ConfigError(`Failed to load pkcs12 from ${placeOf(pkcs12)}`, `${path}.pkcs12`);
  return leaf;
}

/** Node reads PKCS#12 into contexts only; a socket that is never connected tells the leaf of its context. */
export function pkcs12Leaf(pkcs12: DataModel, password: DataModel | null): X509Certificate | null {
  let context: SecureContext;
  try {
    const pfx = Buffer.from(pkcs12.base64, 'base64');
    context = nodeTls().createSecureContext({ pfx, passphrase: password === null ? '' : textOf(password) });
  } catch {
    return null;
  }
  const socket = new (nodeTls().TLSSocket)(new Socket(), { isServer: true, secureContext: context });
  const leaf = socket.getX509Certificate();
  socket.destroy();
  return leaf ?? null;
}

function checkKeyType(leaf: X509Certificate, data: DataModel, path: string): TlsCertificateModel['keyType'] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey;
  const refuse = (what: string): never => {
    throw new ConfigError(
      `Failed to load certificate chain from ${placeOf(data)}, ${what}`,
      `${path}.certificate_chain`,
    );
  };
  switch (type) {
    case 'ed25519':
      return type;
    case 'ec':
      if (!CURVES.has(details?.namedCurve ?? ''))
        return refuse('only P-256, P-384 or P-521 ECDSA certificates are supported');
      return type;
    case 'rsa':
      if ((details?.modulusLength ?? 0) < RSA_BITS_MIN)
        return refuse('only RSA certificates with 2048-bit or larger keys are supported');
      return type;
    default:
      return refuse('only RSA, ECDSA and Ed25519 keys are supported');
  }
}

/** DNS names, lower case; without subject alternative names the common name; `null` without either. */
function dnsNamesOf(leaf: X509Certificate): string[] | null {
  const names = leaf.subjectAltName;
  if (names !== undefined) {
    return [...names.matchAll(/(?:^|, )DNS:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(([, name = '']) =>
      (name.startsWith('"') ? (JSON.parse(name) as string) : name).toLowerCase(),
    );
  }
  const common = /^CN=(.*)$/m.exec(leaf.subject)?.[1];
  return common === undefined ? null : [common.toLowerCase()];
}

/** Every certificate of a PEM text in order; `null` when one of them cannot be read. */
export function certificatesOf(pem: string): readonly X509Certificate[] | null {
  const blocks = pem.match(
    /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g,
  );
  try {
    return (blocks ?? []).map((block) => new (nodeCrypto().X509Certificate)(block));
  } catch {
    return null;
  }
}

/** @throws ConfigError when no root can be read from a bundle */
export function checkTrustedCa(data: DataModel, path: string): void {
  if ((certificatesOf(textOf(data))?.length ?? 0) > 0) return;
  throw new ConfigError(`Failed to load trusted CA certificates from ${placeOf(data)}`, path);
}

/** @throws ConfigError when there is no revocation list; Envoy takes such a file, and then refuses every peer */
export function checkCrl(data: DataModel, path: string): void {
  if (/-----BEGIN X509 CRL-----[\s\S]+-----END X509 CRL-----/.test(textOf(data))) return;
  throw new ConfigError(`Failed to load CRL from ${placeOf(data)}`, path);
}
