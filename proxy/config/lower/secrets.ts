// Secrets by name (`tls.v3.SdsSecretConfig`): static ones of the bootstrap, and those of a file (`path_config_source`).

import { ConfigError } from '../../util/error.ts';
import { unpackAny } from '../read/any.ts';
import { decodeJson } from '../read/decode.ts';
import { readConfigFile } from '../read/source.ts';
import { list, type Msg, oneof, oneofCase, str, sub } from '../schema/message.ts';
import type { LowerContext } from './common.ts';

const RESPONSE = 'envoy.service.discovery.v3.DiscoveryResponse';
const SECRET = 'envoy.extensions.transport_sockets.tls.v3.Secret';

/** What a secret holds, and Envoy's words for one that is not there. */
const KINDS = {
  tlsCertificate: 'Unknown static secret',
  validationContext: 'Unknown static certificate validation context',
  sessionTicketKeys: 'Unknown tls session ticket keys',
} as const;
export type SecretKind = keyof typeof KINDS;

const STATIC_WORDS = {
  tlsCertificate: 'TlsCertificate',
  validationContext: 'CertificateValidationContext',
  sessionTicketKeys: 'TlsSessionTicketKeys',
  genericSecret: 'GenericSecret',
} as const;

/** The static secrets of a bootstrap: `kind/name` → message. */
export function collectSecrets(messages: readonly Msg[], path: string): ReadonlyMap<string, Msg> {
  const secrets = new Map<string, Msg>();
  for (const [i, message] of messages.entries()) {
    const type = oneof(message, 'type');
    if (type === null) throw new ConfigError('Secret type not implemented', `${path}[${i}]`);
    const key = `${type.case}/${str(message, 'name')}`;
    if (secrets.has(key)) {
      const words = STATIC_WORDS[type.case as keyof typeof STATIC_WORDS];
      throw new ConfigError(`Duplicate static ${words} secret name ${str(message, 'name')}`, `${path}[${i}]`);
    }
    secrets.set(key, type.value as Msg);
  }
  return secrets;
}

/** A secret's content. */
export interface FoundSecret {
  readonly name: string;
  readonly content: Msg;
  /** For errors. */
  readonly path: string;
}

/** @throws ConfigError when there is no such secret, or it would have to be asked for */
export function findSecret(config: Msg, kind: SecretKind, ctx: LowerContext, path: string): FoundSecret {
  const name = str(config, 'name');
  const source = sub(config, 'sdsConfig');
  const content = source === null ? ctx.secrets.get(`${kind}/${name}`) : secretOfFile(source, name, kind, ctx, path);
  if (content === undefined) throw new ConfigError(`${KINDS[kind]}: ${name}`, path);
  return { name, content, path };
}

function secretOfFile(source: Msg, name: string, kind: SecretKind, ctx: LowerContext, path: string): Msg | undefined {
  const where = `${path}.sds_config`;
  const from = oneof(source, 'configSourceSpecifier');
  const file =
    from?.case === 'path'
      ? (from.value as string)
      : from?.case === 'pathConfigSource'
        ? str(from.value as Msg, 'path')
        : '';
  if (file === '')
    throw new ConfigError('secrets cannot be asked for over the network yet; use static secrets or a file', where);
  ctx.tlsFiles.add(file);
  const read = readConfigFile(file, RESPONSE);
  const response =
    read.kind === 'message' ? read.message : decodeJson(RESPONSE, read.value, { allowUnknown: false, warnings: [] });
  for (const [i, any] of list(response, 'resources').entries()) {
    const { message } = unpackAny(any, `${file}: resources[${i}]`);
    if (message.$typeName !== SECRET) continue;
    if (str(message, 'name') === name) return oneofCase(message, 'type', kind) ?? undefined;
  }
  throw new ConfigError(`${file} has no secret named '${name}'`, where);
}
