// `tls.v3.TlsParameters`: versions, cipher suites, groups and signature algorithms, checked against what BoringSSL knows
// and written as OpenSSL knows them.

import { ConfigError } from '../../util/error.ts';
import type { TlsCommonModel } from '../model/tls.ts';
import { type Msg, num, strings } from '../schema/message.ts';
import type { LowerContext } from './common.ts';

type Version = TlsCommonModel['minVersion'];
export type TlsParamsModel = Pick<
  TlsCommonModel,
  'minVersion' | 'maxVersion' | 'ciphers' | 'curves' | 'signatureAlgorithms'
>;

/** `TlsProtocol`: AUTO, 1.0, 1.1, 1.2, 1.3. */
const TLS_1_1 = 2;
const TLS_1_2 = 3;
const TLS_1_3 = 4;

/** TLS 1.2 suites of BoringSSL: OpenSSL's name → IANA's. */
const SUITES: ReadonlyMap<string, string> = new Map([
  ['ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'],
  ['ECDHE-RSA-AES128-GCM-SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'],
  ['ECDHE-ECDSA-AES256-GCM-SHA384', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'],
  ['ECDHE-RSA-AES256-GCM-SHA384', 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'],
  ['ECDHE-ECDSA-CHACHA20-POLY1305', 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'],
  ['ECDHE-RSA-CHACHA20-POLY1305', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256'],
  ['ECDHE-ECDSA-AES128-SHA', 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA'],
  ['ECDHE-RSA-AES128-SHA', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA'],
  ['ECDHE-ECDSA-AES256-SHA', 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA'],
  ['ECDHE-RSA-AES256-SHA', 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA'],
  ['ECDHE-ECDSA-AES128-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256'],
  ['ECDHE-RSA-AES128-SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256'],
  ['AES128-GCM-SHA256', 'TLS_RSA_WITH_AES_128_GCM_SHA256'],
  ['AES256-GCM-SHA384', 'TLS_RSA_WITH_AES_256_GCM_SHA384'],
  ['AES128-SHA', 'TLS_RSA_WITH_AES_128_CBC_SHA'],
  ['AES256-SHA', 'TLS_RSA_WITH_AES_256_CBC_SHA'],
]);
const BY_IANA: ReadonlyMap<string, string> = new Map([...SUITES].map(([name, iana]) => [iana, name]));

/** Suites that BoringSSL knows and that can never be chosen here: nobody has a shared key, OpenSSL has no triple DES. */
const NEVER: ReadonlySet<string> = new Set([
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-PSK-AES128-CBC-SHA',
  'ECDHE-PSK-AES256-CBC-SHA',
  'PSK-AES128-CBC-SHA',
  'PSK-AES256-CBC-SHA',
  'DES-CBC3-SHA',
]);

/** BoringSSL's names of groups → OpenSSL's; `null` = OpenSSL has none. */
const GROUPS: ReadonlyMap<string, string | null> = new Map([
  ['P-256', 'P-256'],
  ['prime256v1', 'P-256'],
  ['P-384', 'P-384'],
  ['secp384r1', 'P-384'],
  ['P-521', 'P-521'],
  ['secp521r1', 'P-521'],
  ['X25519', 'X25519'],
  ['x25519', 'X25519'],
  ['X25519MLKEM768', 'X25519MLKEM768'],
  ['MLKEM1024', 'MLKEM1024'],
]);

const SIGNATURES: ReadonlySet<string> = new Set(
  'rsa_pkcs1_sha1 rsa_pkcs1_sha256 rsa_pkcs1_sha384 rsa_pkcs1_sha512 ecdsa_sha1 ecdsa_secp256r1_sha256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512 rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512 ed25519'.split(
    ' ',
  ),
);
/** The older spelling, a key type and a digest. */
const SIGNATURE_PAIR = /^(RSA|RSA-PSS|PSS|ECDSA)\+SHA(1|256|384|512)$/;

export function lowerTlsParams(
  message: Msg | null,
  role: 'server' | 'client',
  ctx: LowerContext,
  path: string,
): TlsParamsModel {
  const none = { ciphers: '', curves: '', signatureAlgorithms: '' };
  const highest = role === 'server' ? 'TLSv1.3' : 'TLSv1.2';
  if (message === null) return { minVersion: 'TLSv1.2', maxVersion: highest, ...none };
  const minVersion = lowestVersion(num(message, 'tlsMinimumProtocolVersion'), ctx, path);
  const maxVersion = highestVersion(num(message, 'tlsMaximumProtocolVersion'), highest, path);
  if (minVersion > maxVersion) {
    throw new ConfigError(
      `the lowest version is ${minVersion} and the highest ${maxVersion}: no handshake can succeed; set tls_maximum_protocol_version`,
      `${path}.tls_minimum_protocol_version`,
    );
  }
  return {
    minVersion,
    maxVersion,
    ciphers: lowerCiphers(strings(message, 'cipherSuites'), ctx, `${path}.cipher_suites`),
    curves: lowerGroups(strings(message, 'ecdhCurves'), `${path}.ecdh_curves`),
    signatureAlgorithms: lowerSignatures(strings(message, 'signatureAlgorithms'), `${path}.signature_algorithms`),
  };
}

function lowestVersion(value: number, ctx: LowerContext, path: string): Version {
  if (value === TLS_1_3) return 'TLSv1.3';
  if (value !== 0 && value <= TLS_1_1)
    ctx.unsupported(`${path}.tls_minimum_protocol_version`, 'TLS below 1.2 is not supported: 1.2 is the lowest');
  return 'TLSv1.2';
}

function highestVersion(value: number, fallback: Version, path: string): Version {
  if (value === 0) return fallback;
  if (value < TLS_1_2)
    throw new ConfigError('TLS below 1.2 is not supported; use TLSv1_2', `${path}.tls_maximum_protocol_version`);
  return value === TLS_1_3 ? 'TLSv1.3' : 'TLSv1.2';
}

function lowerCiphers(wanted: readonly string[], ctx: LowerContext, path: string): string {
  const out: string[] = [];
  const rejected: string[] = [];
  for (const item of wanted) {
    // A group of equal preference, [A|B]: the first that the client prefers too is not known here, so in order
    const names = /^\[(.+)\]$/.exec(item)?.[1]?.split('|') ?? [item];
    for (const name of names) {
      const known = SUITES.has(name) ? name : BY_IANA.get(name);
      if (known !== undefined) out.push(known);
      else if (NEVER.has(name)) ctx.unsupported(path, `cipher suite ${name} is left out: it can never be chosen`);
      else if (!rejected.includes(item)) rejected.push(item);
    }
  }
  const all = wanted.join(':');
  if (rejected.length > 0) {
    throw new ConfigError(
      `Failed to initialize cipher suites ${all}. The following ciphers were rejected when tried individually: ${rejected.join(', ')}`,
      path,
    );
  }
  if (wanted.length > 0 && out.length === 0) throw new ConfigError(`no suite of ${all} can be chosen`, path);
  return out.join(':');
}

function lowerGroups(wanted: readonly string[], path: string): string {
  const out = wanted.map((name) => GROUPS.get(name) ?? null);
  if (out.includes(null)) throw new ConfigError(`Failed to initialize ECDH curves ${wanted.join(':')}`, path);
  return [...new Set(out)].join(':');
}

function lowerSignatures(wanted: readonly string[], path: string): string {
  if (wanted.every((name) => SIGNATURES.has(name) || SIGNATURE_PAIR.test(name))) return wanted.join(':');
  throw new ConfigError(`Failed to initialize TLS signature algorithms ${wanted.join(':')}`, path);
}
