// TLS contexts (Envoy: extensions.transport_sockets.tls.v3) → their models. Everything that can be refused is refused
// here: files are read and checked, keys fit their certificates, lists name what exists.

import { closeSync, openSync } from 'node:fs';
import { nodeCrypto } from '../../util/builtin.ts';
import { ConfigError } from '../../util/error.ts';
import type {
  DataModel,
  DownstreamTlsModel,
  TlsCertificateModel,
  TlsCommonModel,
  TlsValidationModel,
  UpstreamTlsModel,
} from '../model/tls.ts';
import { cloneMessage, mergeMessage } from '../read/merge.ts';
import { bool, has, list, type Msg, num, oneof, str, strings, sub } from '../schema/message.ts';
import type { LowerContext } from './common.ts';
import { readDataField, readOptionalData, readSource, watchedDirectory } from './data.ts';
import { wholeMs } from './duration.ts';
import { type FoundSecret, findSecret } from './secrets.ts';
import { checkCertificate } from './tls-material.ts';
import { lowerTlsParams } from './tls-params.ts';
import { lowerValidation } from './tls-validation.ts';

/** BoringSSL's. */
const SESSION_TIMEOUT_SECONDS = 7200;
const TICKET_KEY_BYTES = 80;
const ALPN_BYTES_MAX = 255;
const STAPLE_POLICIES = ['lenient', 'strict', 'must_staple'] as const;

type Role = 'server' | 'client';

/** `DownstreamTlsContext`. */
export function lowerDownstreamTls(message: Msg, ctx: LowerContext, path: string): DownstreamTlsModel {
  const common = lowerCommon(sub(message, 'commonTlsContext'), 'server', ctx, `${path}.common_tls_context`);
  if (common.certificates.length === 0)
    throw new ConfigError('No TLS certificates found for server context', `${path}.common_tls_context`);
  const ocspStaplePolicy = STAPLE_POLICIES[num(message, 'ocspStaplePolicy')] ?? 'lenient';
  if (ocspStaplePolicy === 'must_staple' && common.certificates.some(({ ocspStaple }) => ocspStaple === null))
    throw new ConfigError('Required OCSP response is missing from TLS context', `${path}.ocsp_staple_policy`);
  if (common.validation !== null && !has(message, 'requireClientCertificate')) {
    ctx.warn(
      `${path}.require_client_certificate`,
      'Using deprecated insecure default of not requiring client cert when a validation context is configured. This default will be changed in a future version. Please explicitly configure a value for require_client_certificate.',
    );
  }
  const keys = oneof(message, 'sessionTicketKeysType');
  const timeout = sub(message, 'sessionTimeout');
  return withDigest({
    ...common,
    requireClientCertificate: bool(message, 'requireClientCertificate'),
    fullScanCertsOnSniMismatch: bool(message, 'fullScanCertsOnSniMismatch'),
    sessionTickets: !(keys?.case === 'disableStatelessSessionResumption' && keys.value === true),
    statefulResumption: !bool(message, 'disableStatefulSessionResumption'),
    sessionTicketKeys: lowerTicketKeys(keys, ctx, path),
    sessionTimeoutSeconds:
      timeout === null ? SESSION_TIMEOUT_SECONDS : Math.floor(wholeMs(message, 'sessionTimeout', 0, path) / 1000),
    ocspStaplePolicy,
    preferClientCiphers: bool(message, 'preferClientCiphers'),
  });
}

/** `UpstreamTlsContext`. */
export function lowerUpstreamTls(message: Msg, ctx: LowerContext, path: string): UpstreamTlsModel {
  const common = lowerCommon(sub(message, 'commonTlsContext'), 'client', ctx, `${path}.common_tls_context`);
  const autoSniSanValidation = bool(message, 'autoSniSanValidation');
  if (autoSniSanValidation && common.validation === null) {
    throw new ConfigError(
      "'auto_sni_san_validation' was configured without a validation context",
      `${path}.auto_sni_san_validation`,
    );
  }
  return withDigest({
    ...common,
    sni: str(message, 'sni'),
    autoHostSni: bool(message, 'autoHostSni'),
    autoSniSanValidation,
    allowRenegotiation: bool(message, 'allowRenegotiation'),
    maxSessionKeys: num(message, 'maxSessionKeys', 1),
  });
}

function withDigest<T extends TlsCommonModel>(model: T): T {
  const text = JSON.stringify(model, (key, value) => (key === 'base64' || key === 'id' ? undefined : value));
  return { ...model, digest: nodeCrypto().createHash('sha256').update(text).digest('hex') };
}

function lowerCommon(message: Msg | null, role: Role, ctx: LowerContext, path: string): TlsCommonModel {
  const params = message === null ? null : sub(message, 'tlsParams');
  const base = { id: path, digest: '' };
  if (message === null) {
    return {
      ...base,
      ...lowerTlsParams(null, role, ctx, path),
      alpn: [],
      certificates: [],
      validation: null,
      keyLog: null,
    };
  }
  return {
    ...base,
    ...lowerTlsParams(params, role, ctx, `${path}.tls_params`),
    alpn: lowerAlpn(strings(message, 'alpnProtocols'), `${path}.alpn_protocols`),
    certificates: lowerCertificates(message, role, ctx, path),
    validation: lowerValidationOf(message, ctx, path),
    keyLog: lowerKeyLog(sub(message, 'keyLog'), `${path}.key_log`),
  };
}

/** Envoy joins the list and splits it at commas. */
function lowerAlpn(protocols: readonly string[], path: string): string[] {
  const joined = protocols.join(',');
  if (joined === '') return [];
  const names = joined.split(',');
  if (names.every((name) => name !== '' && Buffer.byteLength(name) <= ALPN_BYTES_MAX)) return names;
  throw new ConfigError('Invalid ALPN protocol string', path);
}

function lowerKeyLog(message: Msg | null, path: string): TlsCommonModel['keyLog'] {
  if (message === null) return null;
  const file = str(message, 'path');
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'No such file or directory' : `${error}`;
    throw new ConfigError(`unable to open file '${file}': ${reason}`, `${path}.path`);
  }
  return { path: file };
}

// === Certificates ===

function lowerCertificates(message: Msg, role: Role, ctx: LowerContext, path: string): TlsCertificateModel[] {
  const own = list(message, 'tlsCertificates');
  const named = list(message, 'tlsCertificateSdsSecretConfigs');
  if (own.length > 0 && named.length > 0) {
    throw new ConfigError(
      `SDS and non-SDS TLS certificates may not be mixed in ${role} contexts`,
      `${path}.tls_certificate_sds_secret_configs`,
    );
  }
  if (role === 'client' && own.length + named.length > 1)
    throw new ConfigError('Multiple TLS certificates are not supported for client contexts', path);
  const found: FoundSecret[] = [
    ...own.map((content, i) => ({ name: '', content, path: `${path}.tls_certificates[${i}]` })),
    ...named.map((config, i) =>
      findSecret(config, 'tlsCertificate', ctx, `${path}.tls_certificate_sds_secret_configs[${i}]`),
    ),
  ];
  return found.map((secret) => lowerCertificate(secret, role, ctx));
}

function lowerCertificate({ name, content, path }: FoundSecret, role: Role, ctx: LowerContext): TlsCertificateModel {
  const pkcs12 = sub(content, 'pkcs12');
  const chain = sub(content, 'certificateChain');
  const key = sub(content, 'privateKey');
  if (pkcs12 !== null) {
    const other = key !== null ? 'private_key' : chain !== null ? 'certificate_chain' : null;
    if (other !== null)
      throw new ConfigError(`Certificate configuration can't have both pkcs12 and ${other}`, `${path}.${other}`);
  } else if (chain === null && key === null && role === 'server') {
    throw new ConfigError('Server TlsCertificates must have a certificate specified', path);
  }
  const password = readDataField(content, 'password', ctx, `${path}.password`);
  return checkCertificate(
    {
      name,
      chain: readOptionalData(chain, ctx, `${path}.certificate_chain`),
      key: readOptionalData(key, ctx, `${path}.private_key`),
      password,
      pkcs12: pkcs12 === null ? null : readOptionalData(pkcs12, ctx, `${path}.pkcs12`),
      ocspStaple: lowerStaple(content, ctx, `${path}.ocsp_staple`),
      watchedDirectory: watchedDirectory(content, ctx),
    },
    role,
    path,
  );
}

function lowerStaple(certificate: Msg, ctx: LowerContext, path: string): DataModel | null {
  const source = sub(certificate, 'ocspStaple');
  if (source !== null && oneof(source, 'specifier')?.case === 'inlineString')
    throw new ConfigError('OCSP staple cannot be provided via inline_string', path);
  if (source === null) return null;
  const staple = readSource(source, ctx, path);
  // An empty file is none, as in Envoy.
  return staple.base64 === '' ? null : staple;
}

function lowerTicketKeys(keys: ReturnType<typeof oneof>, ctx: LowerContext, path: string): DataModel[] {
  let found: FoundSecret;
  if (keys?.case === 'sessionTicketKeys')
    found = { name: '', content: keys.value as Msg, path: `${path}.session_ticket_keys` };
  else if (keys?.case === 'sessionTicketKeysSdsSecretConfig') {
    const at = `${path}.session_ticket_keys_sds_secret_config`;
    found = findSecret(keys.value as Msg, 'sessionTicketKeys', ctx, at);
  } else return [];
  return list(found.content, 'keys').map((source, i) => {
    const where = `${found.path}.keys[${i}]`;
    const data = readOptionalData(source, ctx, where);
    const { length } = Buffer.from(data.base64, 'base64');
    if (length === TICKET_KEY_BYTES) return data;
    throw new ConfigError(
      `Incorrect TLS session ticket key length. Length ${length}, expected length ${TICKET_KEY_BYTES}.`,
      where,
    );
  });
}

// === Validation ===

function lowerValidationOf(message: Msg, ctx: LowerContext, path: string): TlsValidationModel | null {
  const type = oneof(message, 'validationContextType');
  switch (type?.case) {
    case 'validationContext':
      return lowerValidation(type.value as Msg, '', ctx, `${path}.validation_context`);
    case 'validationContextSdsSecretConfig': {
      const at = `${path}.validation_context_sds_secret_config`;
      const secret = findSecret(type.value as Msg, 'validationContext', ctx, at);
      return lowerValidation(secret.content, secret.name, ctx, at);
    }
    case 'combinedValidationContext':
      return lowerCombined(type.value as Msg, ctx, `${path}.combined_validation_context`);
    default:
      return null;
  }
}

/** The default, with the secret's fields over it. */
function lowerCombined(message: Msg, ctx: LowerContext, path: string): TlsValidationModel {
  const base = sub(message, 'defaultValidationContext');
  const config = sub(message, 'validationContextSdsSecretConfig');
  if (base === null) throw new ConfigError('default_validation_context is required', path);
  if (config === null) return lowerValidation(base, '', ctx, `${path}.default_validation_context`);
  const at = `${path}.validation_context_sds_secret_config`;
  const secret = findSecret(config, 'validationContext', ctx, at);
  const merged = cloneMessage(base);
  mergeMessage(merged, secret.content);
  return lowerValidation(merged, secret.name, ctx, path);
}
