// Walks a decoded message and refuses what breaks a rule of the API: `path: sentence (got value)`.
// The walk goes into every Any, and notes deprecated fields on its way. Compiled per message type when first needed.

import { ConfigError } from '../../util/error.ts';
import { DecodedAny } from '../schema/decoded-any.ts';
import { FieldPath, keySegment } from '../schema/field-path.ts';
import type { Msg } from '../schema/message.ts';
import { loadRegistry, typeNameOf } from '../schema/registry.ts';
import { shown } from '../schema/scalar.ts';
import { DISALLOWED, DISALLOWED_VALUE, type EnumType, type FieldType, type MessageType } from '../schema/schema.ts';
import { unpackAny } from './any.ts';
import { durationText, type FieldRules, isRequiredOneof, type Rule, rulesOf } from './validate-rules.ts';

export interface ValidateOptions {
  /** Called once per deprecated field or enum value, by its full name. */
  readonly onDeprecated: (path: string, fullName: string) => void;
  /** Called for field numbers that the schema does not know (only in messages read from the wire). May throw. */
  readonly onUnknown: (path: string, numbers: readonly number[]) => void;
}

/**
 * Checks a message and all inside it.
 * @param path where the message stands, for error texts
 * @throws ConfigError for the first broken rule
 */
export function validateMessage(message: Msg, path: string, options: ValidateOptions): void {
  visit(message, new State(path, options));
}

class State {
  readonly path: FieldPath;
  readonly #options: ValidateOptions;
  readonly #deprecatedSeen = new Set<string>();

  constructor(path: string, options: ValidateOptions) {
    this.path = new FieldPath(path);
    this.#options = options;
  }

  deprecated(fullName: string): void {
    if (this.#deprecatedSeen.has(fullName)) return;
    this.#deprecatedSeen.add(fullName);
    this.#options.onDeprecated(this.path.toString(), fullName);
  }

  fail(problem: string, value: unknown): never {
    const got = value === undefined ? '' : ` (got ${valueText(value)})`;
    throw new ConfigError(`${problem}${got}`, this.path.toString());
  }

  unknown(fields: readonly { readonly no: number }[]): void {
    this.#options.onUnknown(
      this.path.toString(),
      fields.map((field) => field.no),
    );
  }

  failAt(field: string, problem: string, value: unknown): never {
    this.path.push(field);
    this.fail(problem, value);
  }

  test(rule: Rule | null, value: unknown): void {
    const problem = rule === null ? null : rule(value);
    if (problem !== null) this.fail(problem, value);
  }
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return `${value.length} items`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  const isDuration = (value as { $typeName?: string } | null)?.$typeName === 'google.protobuf.Duration';
  return isDuration ? durationText(value) : shown(value);
}

type FieldVisit = (target: Record<string, unknown>, state: State) => void;

/** Envoy takes these as they are, whatever their rules say (seen on 1.40: without any trust domain). */
const NOT_CHECKED: ReadonlySet<string> = new Set([
  'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig',
]);

const compiled = new Map<string, readonly FieldVisit[]>();

function visit(message: Msg, state: State): void {
  if (message.$typeName === 'google.protobuf.Any') {
    visitAny(message, state);
    return;
  }
  let fields = compiled.get(message.$typeName);
  if (fields === undefined) {
    const desc = loadRegistry().getMessage(message.$typeName);
    fields = desc === undefined || NOT_CHECKED.has(message.$typeName) ? [] : compile(desc);
    compiled.set(message.$typeName, fields);
  }
  if (message.$unknown !== undefined && message.$unknown.length > 0) state.unknown(message.$unknown);
  for (const field of fields) field(message as unknown as Record<string, unknown>, state);
}

/** An Any of a type outside the schema is left to whoever reads it. */
function visitAny(any: Msg | DecodedAny, state: State): void {
  if (any instanceof DecodedAny) {
    visit(any.message, state);
    if (any.inner === null) return;
    state.path.push('value');
    visit(any.inner.message, state);
    state.path.pop();
    return;
  }
  const { typeUrl } = any as unknown as { typeUrl: string };
  if (loadRegistry().getMessage(typeNameOf(typeUrl)) === undefined) return;
  visit(unpackAny(any, state.path.toString()).message, state);
}

// === Compiling ===

function compile(desc: MessageType): FieldVisit[] {
  const visits: FieldVisit[] = [];
  for (const field of desc.fields) {
    const check = compileField(field);
    if (check !== null) visits.push(check);
  }
  for (const group of desc.oneofs) {
    if (!isRequiredOneof(group)) continue;
    const name = group.localName;
    const names = group.fields.map((field) => field.name).join(', ');
    visits.push((target, state) => {
      if ((target[name] as { case?: string }).case !== undefined) return;
      state.failAt(group.name, `field is required: set one of ${names}`, undefined);
    });
  }
  return visits;
}

function compileField(field: FieldType): FieldVisit | null {
  const rules = rulesOf(field);
  const inner = innerVisit(field, rules);
  const deprecation = deprecationOf(field);
  const below = inner !== null || rules.items !== null || rules.keys !== null;
  if (!below && rules.value === null && deprecation === null && !rules.required) return null;
  const read = reader(field);
  const isCollection = field.fieldKind === 'list' || field.fieldKind === 'map';
  // Most fields hold and have nothing below them: the path is only touched where there is something to say or visit.
  return (target, state) => {
    const value = read(target);
    if (value === undefined) {
      if (rules.required && field.oneof === undefined) state.failAt(field.name, 'value is required', undefined);
      return;
    }
    const problem = rules.value === null ? null : rules.value(value);
    if (problem !== null) state.failAt(field.name, problem, value);
    if (deprecation === null && (!below || (isCollection && isUnset(value)))) return;
    state.path.push(field.name);
    deprecation?.(value, state);
    if (field.fieldKind === 'list') visitList(value as unknown[], rules, inner, state);
    else if (field.fieldKind === 'map') visitMap(value as Record<string, unknown>, rules, inner, state);
    else inner?.(value, state);
    state.path.pop();
  };
}

type ValueVisit = (value: unknown, state: State) => void;

function innerVisit(field: FieldType, rules: FieldRules): ValueVisit | null {
  if (!field.isMessage || rules.skip || isPlainData(field.typeName)) return null;
  return (value, state) => {
    if (typeof value === 'object' && value !== null && '$typeName' in value) visit(value as Msg, state);
  };
}

/** Types without rules of their own, of which there are many in a configuration. */
function isPlainData(typeName: string): boolean {
  return typeName.startsWith('google.protobuf.') && typeName !== 'google.protobuf.Any';
}

function visitList(items: readonly unknown[], rules: FieldRules, inner: ValueVisit | null, state: State): void {
  if (rules.items === null && inner === null) return;
  for (let i = 0; i < items.length; i++) {
    state.path.push(i);
    state.test(rules.items, items[i]);
    inner?.(items[i], state);
    state.path.pop();
  }
}

function visitMap(map: Record<string, unknown>, rules: FieldRules, inner: ValueVisit | null, state: State): void {
  if (rules.items === null && rules.keys === null && inner === null) return;
  for (const [key, value] of Object.entries(map)) {
    state.path.push(keySegment(key));
    state.test(rules.keys, key);
    state.test(rules.items, value);
    inner?.(value, state);
    state.path.pop();
  }
}

function reader(field: FieldType): (target: Record<string, unknown>) => unknown {
  const name = field.localName;
  if (field.oneof === undefined) return (target) => target[name];
  const group = field.oneof.localName;
  return (target) => {
    const value = target[group] as { case?: string; value?: unknown };
    return value.case === name ? value.value : undefined;
  };
}

function isUnset(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof Uint8Array) return value.length === 0;
  if (typeof value === 'object' && value !== null) {
    for (const _ in value) return false;
    return true;
  }
  return !value;
}

// === Deprecation ===

/** Refuses what Envoy disallows by default and notes what is only deprecated. */
function deprecationOf(field: FieldType): ValueVisit | null {
  const fullName = `${field.parent.typeName}.${field.name}`;
  const disallowed = field.options.flag(DISALLOWED);
  const forEnum = enumDeprecation(field.enum);
  if (!field.deprecated && !disallowed) return forEnum;
  return (value, state) => {
    if (field.fieldKind !== 'message' && field.oneof === undefined && isUnset(value)) return;
    if (disallowed) state.fail(`Using the deprecated option '${fullName}', which is disallowed by default`, undefined);
    state.deprecated(fullName);
    forEnum?.(value, state);
  };
}

function enumDeprecation(desc: EnumType | undefined): ValueVisit | null {
  const noted = desc?.values.filter((value) => value.deprecated) ?? [];
  if (desc === undefined || noted.length === 0) return null;
  return (value, state) => {
    const item = noted.find((candidate) => candidate.number === value);
    if (item === undefined) return;
    if (item.options.flag(DISALLOWED_VALUE)) {
      state.fail(
        `Using the deprecated value ${item.name} of ${desc.typeName}, which is disallowed by default`,
        undefined,
      );
    }
    // The default of an enum is not "using" it.
    if (item.number !== 0) state.deprecated(`${desc.typeName}.${item.name}`);
  };
}
