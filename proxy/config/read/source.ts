// Where a configuration comes from: a file (kind by its name, as in Envoy) or the text of `--config-yaml`.

import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { ConfigError } from '../../util/error.ts';
import { library } from '../schema/library.ts';
import type { Msg } from '../schema/message.ts';
import { countJsonKeys, findJsonFault, mayLackSurrogate } from './json-position.ts';
import { readYaml } from './yaml.ts';

/** What was read: JSON values still to be decoded, or a message (`.pb`). */
export type Source =
  /** `text`: the JSON document itself when it was JSON, otherwise `null`. */
  | { readonly kind: 'json'; readonly value: unknown; readonly text: string | null }
  | { readonly kind: 'message'; readonly message: Msg };

/** The largest configuration that is read, bytes. */
const CONFIG_BYTES_MAX = 512 * 1024 * 1024;
/** Containers inside containers, as protobuf's JSON reader has it; what walks a configuration may recurse. */
const DEPTH_MAX = 100;

/**
 * Reads a configuration file: `.yaml` and `.yml` are YAML, `.pb` is binary, everything else is JSON.
 * @throws ConfigError with the file, and line and column where the syntax is wrong
 */
export function readConfigFile(path: string, typeName: string): Source {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new ConfigError(`unable to read file: ${reasonOf(error)}`, path);
  }
  if (bytes.length > CONFIG_BYTES_MAX) throw new ConfigError(`larger than ${CONFIG_BYTES_MAX} bytes`, path);
  const name = path.toLowerCase();
  if (name.endsWith('.pb')) return readBinary(bytes, path, typeName);
  if (name.endsWith('.pb_text')) {
    throw new ConfigError('text protobuf is not supported; use YAML, JSON or binary protobuf (.pb)', path);
  }
  if (name.endsWith('.yaml') || name.endsWith('.yml')) return yamlSource(bytes.toString('utf8'), path);
  return jsonSource(bytes, path);
}

/** Reads the value of `--config-yaml`; empty text is an empty configuration. */
export function readConfigText(text: string): Source {
  if (text.trim() === '') return { kind: 'json', value: {}, text: null };
  return yamlSource(text, '--config-yaml');
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function withoutBom(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function yamlSource(text: string, name: string): Source {
  const value = readYaml(withoutBom(text), name);
  countKeys(value, name);
  return { kind: 'json', value, text: null };
}

function jsonSource(bytes: Buffer, name: string): Source {
  if (!isUtf8(bytes)) throw new ConfigError('invalid UTF-8', name);
  const text = withoutBom(bytes.toString('utf8'));
  if (text.trim() === '') throw new ConfigError('the file is empty', name);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    refuseFault(text, name);
    throw new ConfigError(`invalid JSON: ${reasonOf(error)}`, name);
  }
  // `JSON.parse` keeps the last of equal keys, and would drop what the others say without a word.
  if (countKeys(value, name) !== countJsonKeys(bytes) || mayLackSurrogate(text)) refuseFault(text, name);
  return { kind: 'json', value, text };
}

function refuseFault(text: string, name: string): void {
  const fault = findJsonFault(text);
  if (fault !== null) throw new ConfigError(`invalid JSON: ${fault.reason}`, `${name}:${fault.line}:${fault.column}`);
}

/** @returns how many keys a document has, if it is a map and not too deep */
function countKeys(value: unknown, name: string): number {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const keys = keysWithin(value, DEPTH_MAX);
    if (keys === TOO_DEEP)
      throw new ConfigError(`nested deeper than ${DEPTH_MAX} levels, under ${deepPath(value)}`, name);
    return keys;
  }
  if (value === null) throw new ConfigError('the configuration is empty', name);
  throw new ConfigError(`the top level must be a map, not ${Array.isArray(value) ? 'a list' : typeof value}`, name);
}

const TOO_DEEP = -1;

function keysWithin(value: unknown, levels: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (levels === 0) return TOO_DEEP;
  const items = Array.isArray(value) ? value : Object.values(value);
  let keys = items === value ? 0 : items.length;
  for (const item of items) {
    const within = keysWithin(item, levels - 1);
    if (within === TOO_DEEP) return TOO_DEEP;
    keys += within;
  }
  return keys;
}

/** The way to what is too deep: its first three keys, which say enough. */
function deepPath(top: object): string {
  const keys: string[] = [];
  let at: unknown = top;
  for (let levels = DEPTH_MAX - 1; keys.length < 3 && typeof at === 'object' && at !== null; levels--) {
    const next = Object.entries(at).find(([, item]) => keysWithin(item, levels) === TOO_DEEP);
    if (next === undefined) break;
    keys.push(next[0]);
    at = next[1];
  }
  return keys.join('.');
}

function readBinary(bytes: Buffer, path: string, typeName: string): Source {
  try {
    return { kind: 'message', message: library().readBinary(typeName, bytes) };
  } catch {
    throw new ConfigError(`Unable to parse file as a binary protobuf (type ${typeName})`, path);
  }
}
