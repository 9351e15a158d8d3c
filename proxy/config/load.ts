// The way from the command line to the model of a static configuration:
// read → decode → merge → validate → check field answers → lower. The configuration thread calls `loadStaticModel`.

import { ConfigError } from '../util/error.ts';
import { checkFieldAnswers } from './answers.ts';
import { lowerBootstrap } from './lower/bootstrap.ts';
import { LowerContext, type LowerOptions } from './lower/common.ts';
import type { JsonObject } from './model/common.ts';
import type { Model } from './model/model.ts';
import { type TlsContextModel, tlsContexts } from './model/tls-contexts.ts';
import { decodeJson } from './read/decode.ts';
import type { Findings } from './read/decode-checks.ts';
import { messageToDumpJson, messageToJson } from './read/dump-json.ts';
import { mergeMessage } from './read/merge.ts';
import { readConfigFile, readConfigText, type Source } from './read/source.ts';
import { validateMessage } from './read/validate.ts';
import type { Msg } from './schema/message.ts';

const BOOTSTRAP = 'envoy.config.bootstrap.v3.Bootstrap';

/** What of the command line decides how a static configuration is read (`Options` of `server/args.ts` fits). */
export interface LoadOptions {
  readonly configPath: string;
  readonly configYaml: string;
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  readonly allowUnknownStaticFields: boolean;
  readonly skipDeprecatedLogs: boolean;
  /** `--stats-tag`: fixed tags of every stat. */
  readonly statsTags: readonly (readonly [name: string, value: string])[];
}

export interface LoadedModel {
  readonly model: Model;
  /** One sentence each, with its field path. */
  readonly warnings: readonly string[];
  /** Paths of set fields that are not supported (`outrigger.config.unsupported_field`). */
  readonly unsupportedFields: readonly string[];
  /** The bootstrap as JSON, for `renderBootstrapDump`. */
  readonly rawBootstrapJson: string;
  /** Files that TLS contexts were read from. */
  readonly tlsFiles: readonly string[];
}

/**
 * Loads, checks and lowers the static configuration.
 * @param warn receives every warning as it is found; they are in the result too
 * @throws ConfigError with the file position or field path
 */
export function loadStaticModel(options: LoadOptions, warn: (text: string) => void = () => {}): LoadedModel {
  const warnings: string[] = [];
  const { message, json, findings } = readBootstrap(options, warnings);
  if (findings.invalid) validate(message, options, warnings);
  const ctx = new LowerContext({
    options: lowerOptions(options),
    checkFields: findings.unanswered ? checkFieldAnswers : null,
  });
  const model = lowerBootstrap(message, ctx);
  for (const warning of ctx.warnings) warnings.push(warning);
  warnings.forEach(warn);
  return {
    model,
    warnings,
    unsupportedFields: ctx.unsupportedFields,
    rawBootstrapJson: json,
    tlsFiles: [...ctx.tlsFiles],
  };
}

function lowerOptions(options: LoadOptions): LowerOptions {
  return {
    allowUnknownFields: options.allowUnknownStaticFields,
    serviceNode: options.serviceNode,
    serviceCluster: options.serviceCluster,
    serviceZone: options.serviceZone,
    skipTypes: skipTypes(),
    serverFirstMs: serverFirstMs(),
    statsTags: options.statsTags,
  };
}

/** TLS contexts read anew. */
export interface ReloadedTls {
  readonly contexts: readonly TlsContextModel[];
  /** Why some could not be: a sentence each, with its field path. */
  readonly refusals: readonly string[];
  readonly tlsFiles: readonly string[];
}

/**
 * Reads the files of TLS contexts again; everything else is as when it was loaded.
 * @param rawBootstrapJson as `loadStaticModel` returned it
 */
export function reloadTls(rawBootstrapJson: string, options: LoadOptions): ReloadedTls {
  const message = decodeJson(BOOTSTRAP, JSON.parse(rawBootstrapJson), { allowUnknown: true, warnings: [] });
  const ctx = new LowerContext({ options: lowerOptions(options), collectRefusals: true });
  const contexts = tlsContexts(lowerBootstrap(message, ctx));
  const refusals = (ctx.refusals ?? []).map((refusal) => refusal.message);
  return { contexts, refusals, tlsFiles: [...ctx.tlsFiles] };
}

function validate(message: Msg, options: LoadOptions, warnings: string[]): void {
  validateMessage(message, '', {
    onDeprecated: (path, fullName) => {
      if (!options.skipDeprecatedLogs) warnings.push(`${path}: Using deprecated option '${fullName}'`);
    },
    onUnknown: (path, numbers) => {
      const text = `unknown field${numbers.length === 1 ? '' : 's'} number ${numbers.join(', ')}`;
      if (!options.allowUnknownStaticFields) throw new ConfigError(text, path);
      warnings.push(path === '' ? text : `${path}: ${text}`);
    },
  });
}

/** `OUTRIGGER_SKIP_TYPES`: message names or type URLs, comma-separated. */
function skipTypes(): ReadonlySet<string> {
  const names = (process.env['OUTRIGGER_SKIP_TYPES'] ?? '').split(',').map((name) => name.trim());
  return new Set(names.filter(Boolean));
}

/** Longest time that `OUTRIGGER_SERVER_FIRST_MS` may name. */
const SERVER_FIRST_MS_MAX = 3_600_000;

/** `OUTRIGGER_SERVER_FIRST_MS`: whole milliseconds; 0 or not set = off. */
function serverFirstMs(): number {
  const text = process.env['OUTRIGGER_SERVER_FIRST_MS'] ?? '';
  const value = text === '' ? 0 : /^[0-9]{1,7}$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > SERVER_FIRST_MS_MAX) {
    throw new ConfigError(
      `OUTRIGGER_SERVER_FIRST_MS must be a whole number from 0 to ${SERVER_FIRST_MS_MAX}, not '${text}'`,
    );
  }
  return value;
}

interface Bootstrap {
  readonly message: Msg;
  readonly json: string;
  readonly findings: Findings;
}

function readBootstrap(options: LoadOptions, warnings: string[]): Bootstrap {
  const { configPath, configYaml } = options;
  if (configPath === '' && configYaml === '') {
    throw new ConfigError('at least one of --config-path and --config-yaml should be non-empty');
  }
  const base = configPath === '' ? null : readConfigFile(configPath, BOOTSTRAP);
  const over = configYaml === '' ? null : readConfigText(configYaml);
  const only = base ?? over;
  if (only === null) throw new ConfigError('no configuration');
  const findings = { invalid: false, unanswered: false };
  const message = decodeSource(only, options, warnings, findings);
  if (base === null || over === null) return { message, json: sourceJson(only, message), findings };
  mergeMessage(message, decodeSource(over, options, warnings, findings));
  const json = JSON.stringify(messageToJson(message));
  // Two lists that are short enough may be too long together.
  return { message, json, findings: { ...findings, invalid: true } };
}

function decodeSource(source: Source, options: LoadOptions, warnings: string[], findings: Findings): Msg {
  if (source.kind === 'message') {
    findings.invalid = true;
    findings.unanswered = true;
    return source.message;
  }
  return decodeJson(BOOTSTRAP, source.value, { allowUnknown: options.allowUnknownStaticFields, warnings, findings });
}

function sourceJson(source: Source, message: Msg): string {
  if (source.kind === 'message') return JSON.stringify(messageToJson(message));
  return source.text ?? JSON.stringify(source.value);
}

/** The bootstrap of `/config_dump`, from the JSON that `loadStaticModel` kept: node overrides of the command line in it. */
export function renderBootstrapDump(rawBootstrapJson: string, options: LoadOptions): JsonObject {
  const message = decodeJson(BOOTSTRAP, JSON.parse(rawBootstrapJson), { allowUnknown: true, warnings: [] });
  const dump = messageToDumpJson(message);
  const node = { ...((dump['node'] as JsonObject | undefined) ?? {}) } as Record<string, JsonObject | string>;
  if (options.serviceNode !== '') node['id'] = options.serviceNode;
  if (options.serviceCluster !== '') node['cluster'] = options.serviceCluster;
  if (options.serviceZone !== '') {
    node['locality'] = { ...((node['locality'] as JsonObject | undefined) ?? {}), zone: options.serviceZone };
  }
  return { node, ...without(dump, 'node') };
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}
