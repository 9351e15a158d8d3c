// What every part of `lower` shares: its context, and the small messages that occur everywhere (addresses, ranges,
// fractions, string matchers, data sources, header mutations).

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { ConfigError } from '../../util/error.ts';
import type {
  AddressModel,
  CidrModel,
  FractionModel,
  JsonObject,
  MetadataModel,
  SocketOptionModel,
  StringMatchModel,
  TcpKeepaliveModel,
} from '../model/common.ts';
import type { HeaderAddModel } from '../model/headers.ts';
import type { RuntimeKeys } from '../model/runtime.ts';
import { bool, type Msg, messageMap, num, oneof, oneofCase, str, struct, sub } from '../schema/message.ts';
import { checkRegex } from './regex.ts';

/** What the command line says about reading configuration. */
export interface LowerOptions {
  /** `--allow-unknown-static-fields`: an unknown field is a warning. */
  readonly allowUnknownFields: boolean;
  /** `--service-node`, `--service-cluster`, `--service-zone`; empty = not given. */
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  /** Type URLs whose extensions may be left out (`OUTRIGGER_SKIP_TYPES`). */
  readonly skipTypes: ReadonlySet<string>;
  /** See `ListenerModel.serverFirstMs` (`OUTRIGGER_SERVER_FIRST_MS`). */
  readonly serverFirstMs: number;
  /** `--stats-tag`: name and value. */
  readonly statsTags: readonly (readonly [name: string, value: string])[];
}

export const DEFAULT_LOWER_OPTIONS: LowerOptions = {
  allowUnknownFields: false,
  serviceNode: '',
  serviceCluster: '',
  serviceZone: '',
  skipTypes: new Set(),
  serverFirstMs: 0,
  statsTags: [],
};

/** Walks the set fields of a message before it is lowered, and warns of or refuses what is not supported. */
export type FieldCheck = (message: Msg, path: string, ctx: LowerContext) => void;

/** The largest data source file that is read, bytes. */
const DATA_SOURCE_BYTES_MAX = 64 * 1024 * 1024;

/** One run of `lower`: its inputs, and what it has to say besides the model. */
export class LowerContext {
  readonly options: LowerOptions;
  /** One sentence each, with its field path. */
  readonly warnings: string[];
  /** `null`: the first refusal is thrown. Otherwise `attempt` collects them. */
  readonly refusals: ConfigError[] | null;
  /** Paths of set fields that are not supported; counted in `outrigger.config.unsupported_field`. */
  readonly unsupportedFields: string[];
  /** Names of the clusters that routes may point to; `null` when they are not known yet. */
  clusterNames: ReadonlySet<string> | null;
  /** `cluster_manager.upstream_bind_config`, for clusters without their own. */
  defaultBind: Msg | null;
  /** The node's id, for `use_node_id`. */
  nodeId: string;
  /** Static secrets, `kind/name` → their content. */
  secrets: ReadonlyMap<string, Msg>;
  /** Files that TLS contexts were read from, and what is in directories that they name to be watched. */
  readonly tlsFiles: Set<string>;
  /** See `Model.faultScopes`. */
  readonly faultScopes: Set<string>;
  /** The merged runtime layers, for limits that have no field of their own. */
  runtime: RuntimeKeys;
  readonly #checkFields: FieldCheck | null;

  constructor(init: { options?: LowerOptions; collectRefusals?: boolean; checkFields?: FieldCheck | null } = {}) {
    this.options = init.options ?? DEFAULT_LOWER_OPTIONS;
    this.warnings = [];
    this.refusals = init.collectRefusals === true ? [] : null;
    this.unsupportedFields = [];
    this.clusterNames = null;
    this.defaultBind = null;
    this.nodeId = '';
    this.secrets = new Map();
    this.tlsFiles = new Set();
    this.faultScopes = new Set();
    this.runtime = {};
    this.#checkFields = init.checkFields ?? null;
  }

  warn(path: string, text: string): void {
    this.warnings.push(path === '' ? text : `${path}: ${text}`);
  }

  /** Names a set field that this version does not support and goes on. */
  unsupported(path: string, text: string): void {
    this.unsupportedFields.push(path);
    this.warn(path, text);
  }

  /** Gives the message to the table of field answers. */
  checkFields(message: Msg, path: string): void {
    this.#checkFields?.(message, path, this);
  }

  /** Runs one independent part; in collecting mode its refusal is kept and `null` returned. */
  attempt<T>(part: () => T): T | null {
    try {
      return part();
    } catch (error) {
      if (this.refusals === null || !(error instanceof ConfigError)) throw error;
      this.refusals.push(error);
      return null;
    }
  }

  /** Reads a file that the configuration names. Relative names are relative to the working directory, as in Envoy. */
  readFile(path: string, where: string): Buffer {
    let content: Buffer;
    try {
      content = readFileSync(path);
    } catch (error) {
      throw new ConfigError(`unable to read file ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`, where);
    }
    if (content.length > DATA_SOURCE_BYTES_MAX) {
      throw new ConfigError(`file ${path} has ${content.length} bytes; the limit is ${DATA_SOURCE_BYTES_MAX}`, where);
    }
    return content;
  }
}

/** The latin1 image of a string's UTF-8 bytes: the form in which heads are read and written. */
export function wireString(text: string): string {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

// === Addresses ===

/** `config.core.v3.Address`. */
export function lowerAddress(message: Msg, path: string): AddressModel {
  const address = oneof(message, 'address');
  if (address === null) throw new ConfigError('address must be a socket, pipe or internal address', path);
  const value = address.value as Msg;
  switch (address.case) {
    case 'socketAddress':
      return lowerSocketAddress(value, `${path}.socket_address`);
    case 'pipe':
      return { kind: 'pipe', path: str(value, 'path'), mode: num(value, 'mode') };
    default: {
      const listenerName = oneofCase<string>(value, 'addressNameSpecifier', 'serverListenerName') ?? '';
      return { kind: 'internal', listenerName, endpointId: str(value, 'endpointId') };
    }
  }
}

/** `config.core.v3.SocketAddress`; its address may still be a host name. */
export function lowerSocketAddress(message: Msg, path: string): AddressModel {
  const port = oneof(message, 'portSpecifier');
  if (port !== null && port.case === 'namedPort') {
    throw new ConfigError('named ports are not supported; use port_value', `${path}.named_port`);
  }
  return {
    kind: 'socket',
    protocol: num(message, 'protocol') === 1 ? 'udp' : 'tcp',
    address: str(message, 'address'),
    port: port === null ? 0 : (port.value as number),
    ipv4Compat: bool(message, 'ipv4Compat'),
  };
}

/** Refuses a socket address that is not a literal IP, in Envoy's words. */
export function requireIp(address: AddressModel, path: string): void {
  if (address.kind !== 'socket' || isIP(address.address) !== 0) return;
  throw new ConfigError(
    `malformed IP address: ${address.address}. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'`,
    path,
  );
}

/** `host:port` as stats, dumps and logs show it: IPv6 in brackets, a pipe as its path. */
export function addressText(address: AddressModel): string {
  switch (address.kind) {
    case 'socket':
      return isIP(address.address) === 6
        ? `[${address.address}]:${address.port}`
        : `${address.address}:${address.port}`;
    case 'pipe':
      return address.path;
    case 'internal':
      return `envoy://${address.listenerName}/${address.endpointId}`;
  }
}

/** `config.core.v3.CidrRange`; the length is cut to the family's. */
export function lowerCidr(message: Msg, path: string): CidrModel {
  const address = str(message, 'addressPrefix');
  const prefixLength = num(message, 'prefixLen');
  const family = isIP(address);
  if (family === 0) {
    throw new ConfigError(
      `invalid ip/mask combo '${address}/${prefixLength}' (format is <ip>/<# mask bits>)`,
      `${path}.address_prefix`,
    );
  }
  return { address, prefixLength: Math.min(prefixLength, family === 4 ? 32 : 128) };
}

// === Small values ===

const DENOMINATORS = [100, 10_000, 1_000_000] as const;

/** `type.v3.FractionalPercent`. */
export function lowerFraction(message: Msg, runtimeKey = ''): FractionModel {
  const denominator = DENOMINATORS[num(message, 'denominator')] ?? 100;
  return { numerator: num(message, 'numerator'), denominator, runtimeKey };
}

/** `config.core.v3.RuntimeFractionalPercent`. */
export function lowerRuntimeFraction(message: Msg): FractionModel {
  const value = sub(message, 'defaultValue');
  const runtimeKey = str(message, 'runtimeKey');
  return value === null ? { numerator: 0, denominator: 100, runtimeKey } : lowerFraction(value, runtimeKey);
}

/** `type.matcher.v3.RegexMatcher` as its pattern, checked. */
export function lowerRegex(message: Msg, path: string): string {
  const pattern = str(message, 'regex');
  checkRegex(pattern, `${path}.regex`);
  return wireString(pattern);
}

/** `type.matcher.v3.StringMatcher`. */
export function lowerStringMatch(message: Msg, path: string): StringMatchModel {
  const pattern = oneof(message, 'matchPattern');
  const ignoreCase = bool(message, 'ignoreCase');
  if (pattern === null) throw new ConfigError('match_pattern is required', path);
  const plain = (kind: 'exact' | 'prefix' | 'suffix' | 'contains'): StringMatchModel => {
    const value = wireString(pattern.value as string);
    return { kind, value: ignoreCase ? asciiLower(value) : value, ignoreCase };
  };
  switch (pattern.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return plain(pattern.case);
    case 'safeRegex':
      if (ignoreCase) throw new ConfigError('ignore_case has no effect for safe_regex.', path);
      return { kind: 'regex', value: lowerRegex(pattern.value as Msg, `${path}.safe_regex`), ignoreCase: false };
    default:
      throw new ConfigError('custom string matchers are not supported', `${path}.custom`);
  }
}

/** Lower case of ASCII letters only: what Envoy does to header names, hosts and case-insensitive patterns. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (run) => run.toLowerCase());
}

/** `config.core.v3.Metadata`; typed metadata is for extensions and does not reach the model. */
export function lowerMetadata(message: Msg | null): MetadataModel {
  if (message === null) return {};
  return messageMap(message, 'filterMetadata') as unknown as { [namespace: string]: JsonObject };
}

/** `config.core.v3.TcpKeepalive`. */
export function lowerTcpKeepalive(message: Msg | null): TcpKeepaliveModel | null {
  if (message === null) return null;
  return {
    probes: num(message, 'keepaliveProbes'),
    timeSeconds: num(message, 'keepaliveTime'),
    intervalSeconds: num(message, 'keepaliveInterval'),
  };
}

const SOCKET_STATES = ['prebind', 'bound', 'listening'] as const;

/** `config.core.v3.SocketOption`. */
export function lowerSocketOption(message: Msg): SocketOptionModel {
  const value = oneof(message, 'value');
  return {
    description: str(message, 'description'),
    level: num(message, 'level'),
    name: num(message, 'name'),
    value:
      value !== null && value.case === 'bufValue'
        ? { kind: 'bytes', base64: Buffer.from(value.value as Uint8Array).toString('base64') }
        : { kind: 'int', value: value === null ? 0 : Number(value.value) },
    state: SOCKET_STATES[num(message, 'state')] ?? 'prebind',
  };
}

/** `config.core.v3.DataSource`: the bytes it names. */
export function readDataSource(message: Msg, ctx: LowerContext, path: string): Buffer {
  const source = oneof(message, 'specifier');
  if (source === null) throw new ConfigError('data source is empty', path);
  switch (source.case) {
    case 'filename':
      return ctx.readFile(source.value as string, `${path}.filename`);
    case 'inlineBytes':
      return Buffer.from(source.value as Uint8Array);
    case 'inlineString':
      return Buffer.from(source.value as string, 'utf8');
    default: {
      const value = process.env[source.value as string];
      if (value === undefined) {
        throw new ConfigError(`Environment variable doesn't exist: ${source.value}`, `${path}.environment_variable`);
      }
      return Buffer.from(value, 'utf8');
    }
  }
}

// === Header mutations ===

const APPEND_ACTIONS = [
  'append_if_exists_or_add',
  'add_if_absent',
  'overwrite_if_exists_or_add',
  'overwrite_if_exists',
] as const;

/** `config.core.v3.HeaderValueOption`. `append` is the older spelling of the action. */
export function lowerHeaderAdd(message: Msg, path: string): HeaderAddModel {
  const header = sub(message, 'header');
  if (header === null) throw new ConfigError('header is required', path);
  const name = asciiLower(wireString(str(header, 'key')));
  requireMutableHeader(name, `${path}.header.key`);
  const append = (message as unknown as { append?: boolean }).append;
  const action = APPEND_ACTIONS[num(message, 'appendAction')] ?? 'append_if_exists_or_add';
  return {
    name,
    // Envoy does not read `raw_value` here
    value: wireString(str(header, 'value')),
    action: append === false ? 'overwrite_if_exists_or_add' : action,
    keepEmptyValue: bool(message, 'keepEmptyValue'),
  };
}

/** Pseudo headers and `host` cannot be added or removed. */
export function requireMutableHeader(lowerName: string, path: string): void {
  if (lowerName.startsWith(':') || lowerName === 'host') {
    throw new ConfigError(':-prefixed or host headers may not be modified', path);
  }
}

/** A `Struct` field as JSON; empty when not set. */
export function structOrEmpty(message: Msg, field: string): JsonObject {
  return struct(message, field) ?? {};
}
