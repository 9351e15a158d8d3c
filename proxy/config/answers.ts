// Walks the set fields of a message before it is lowered and says what the field tables answer: nothing for what is
// honoured or harmless, one warning per path for what is left out, a refusal for what would change security or routing.
// It does not look below a field that is not honoured.

import { ConfigError } from '../util/error.ts';
import type { FieldAnswer, ValueAnswers } from './fields/answer.ts';
import { EXTENSION_ANSWERS, isLeftOutAsOptional, isSkipped, missingImplementation } from './fields/extensions.ts';
import { FIELDS } from './fields/fields.ts';
import type { FieldCheck } from './lower/common.ts';
import { unpackAny } from './read/any.ts';
import { FieldPath, keySegment } from './schema/field-path.ts';
import { type Msg, str } from './schema/message.ts';
import { messageDesc } from './schema/registry.ts';
import { type FieldType, type MessageType, SCALAR } from './schema/schema.ts';

/** Receives what the walk finds. */
export interface AnswerReport {
  /** A set field that is left out. */
  warn(path: string, text: string): void;
  /** A set field that must not be left out. May throw to end the walk. */
  reject(error: ConfigError): void;
  /** Extension types that the operator lets us leave out. */
  readonly skipTypes: ReadonlySet<string>;
}

/** The walk as `LowerContext` runs it. */
export const checkFieldAnswers: FieldCheck = (message, path, ctx) => {
  checkAnswers(message, path, {
    warn: (at, text) => ctx.unsupported(at, text),
    reject: (error) => {
      if (ctx.refusals === null) throw error;
      ctx.refusals.push(error);
    },
    skipTypes: ctx.options.skipTypes,
  });
};

/** Checks a message and all that is below its honoured fields. */
export function checkAnswers(message: Msg, path: string, report: AnswerReport): void {
  new Walk(report, path).message(message);
}

/** A message type's fields for which there is something to do, with what it is. */
interface Step {
  readonly field: FieldType;
  /** Name of the one-of group's property; `null` outside of one. */
  readonly group: string | null;
  readonly answer: FieldAnswer;
  readonly child: 'none' | 'message' | 'any';
  /** A filter's configuration, beside fields that say how much it matters. */
  readonly ofFilter: boolean;
}

const steps = new Map<string, readonly Step[]>();

const FILTER_CONFIG = 'envoy.config.route.v3.FilterConfig';
const ANY = 'google.protobuf.Any';

function stepsOf(typeName: string): readonly Step[] {
  let known = steps.get(typeName);
  if (known === undefined) {
    known = compileSteps(messageDesc(typeName));
    steps.set(typeName, known);
  }
  return known;
}

function compileSteps(desc: MessageType): readonly Step[] {
  const answers = FIELDS[desc.typeName];
  if (answers === undefined) throw new Error(`no field answers for ${desc.typeName}`);
  const out: Step[] = [];
  for (const field of desc.fields) {
    const answer = answers[field.name];
    if (answer === undefined) throw new Error(`no answer for ${desc.typeName}.${field.name}`);
    const child = answer.kind === 'honoured' ? childOf(field) : 'none';
    const values = answer.kind === 'honoured' && Object.keys(answer.values).length > 0;
    if (answer.kind !== 'unsupported' && child === 'none' && !values) continue;
    const ofFilter = child === 'any' && desc.fields.some((other) => other.name === 'disabled');
    out.push({ field, group: field.oneof?.localName ?? null, answer, child, ofFilter });
  }
  return out;
}

/** What there is to walk below an honoured field; Google's own types have nothing. */
export function childOf(field: FieldType): Step['child'] {
  if (!field.isMessage) return 'none';
  const { typeName } = field;
  if (typeName === ANY) return 'any';
  return typeName.startsWith('google.protobuf.') ? 'none' : 'message';
}

class Walk {
  readonly #report: AnswerReport;
  readonly #path: FieldPath;

  constructor(report: AnswerReport, path: string) {
    this.#report = report;
    this.#path = new FieldPath(path);
  }

  message(message: Msg): void {
    for (const step of stepsOf(message.$typeName)) {
      if (step.ofFilter && isUnread(message)) continue;
      const value = setValueOf(message, step);
      if (value === undefined) continue;
      this.#path.push(step.field.name);
      this.#step(message, step, value);
      this.#path.pop();
    }
  }

  #step(message: Msg, step: Step, value: unknown): void {
    const { answer, field } = step;
    if (answer.kind === 'unsupported') {
      this.#unsupported(answer.how, answer.text);
      return;
    }
    if (answer.kind !== 'honoured') return;
    if (step.child === 'none') {
      this.#enumValue(field, value as number, answer.values);
      return;
    }
    if (field.fieldKind === 'list') {
      for (const [index, item] of (value as readonly Msg[]).entries()) this.#below(step, item, index, nameOf(message));
    } else if (field.fieldKind === 'map') {
      for (const [key, item] of Object.entries(value as { [key: string]: Msg })) {
        this.#below(step, item, keySegment(key), key);
      }
    } else {
      this.#child(step, value as Msg, nameOf(message), step.ofFilter ? (message as unknown as OfFilter) : REQUIRED);
    }
  }

  #below(step: Step, item: Msg, segment: string | number, name: string): void {
    this.#path.push(segment);
    this.#child(step, item, name);
    this.#path.pop();
  }

  #child(step: Step, value: Msg, name: string, filter: OfFilter = REQUIRED): void {
    if (step.child === 'message') this.message(value);
    else this.#any(value, name, filter);
  }

  #any(any: Msg, name: string, filter: OfFilter): void {
    const path = String(this.#path);
    let message: Msg;
    try {
      message = unpackAny(any, path).message;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#report.reject(error);
      return;
    }
    const answer = EXTENSION_ANSWERS.get(message.$typeName);
    if (answer === undefined) {
      if (isSkipped(message.$typeName, this.#report.skipTypes)) {
        this.#report.warn(path, `${message.$typeName} is left out, as OUTRIGGER_SKIP_TYPES says`);
      } else if (isLeftOutAsOptional(message.$typeName, filter)) {
        this.#report.warn(path, `${message.$typeName} is left out, as the configuration allows (is_optional)`);
      } else if (!filter.disabled) {
        this.#report.reject(missingImplementation(name, message.$typeName, path));
      }
    } else if (answer.kind === 'left_out') {
      this.#report.warn(path, `${message.$typeName} is not supported and left out: ${answer.text}`);
    } else {
      this.message(message);
    }
  }

  #enumValue(field: FieldType, value: number, values: ValueAnswers): void {
    const name = field.enum?.value[value]?.name ?? '';
    const answer = values[name];
    if (answer !== undefined) this.#unsupported(answer.how, answer.text);
  }

  #unsupported(how: 'warn' | 'reject', text: string): void {
    const path = String(this.#path);
    if (how === 'warn') this.#report.warn(path, `not supported and left out: ${text}`);
    else this.#report.reject(new ConfigError(text.includes('not supported') ? text : `not supported; ${text}`, path));
  }
}

/** What stands beside a filter's configuration. */
interface OfFilter {
  /** Routes may still turn the filter on; then its type must be known. */
  readonly disabled: boolean;
  readonly isOptional: boolean;
}

const REQUIRED: OfFilter = { disabled: false, isOptional: false };

/** A route's configuration for a filter that it turns off, or merely on. */
function isUnread(message: Msg): boolean {
  if (message.$typeName !== FILTER_CONFIG) return false;
  const { config, disabled } = message as unknown as { config: Msg | undefined; disabled: boolean };
  return disabled || config === undefined || str(config, 'typeUrl') === '';
}

/** For Envoy's words about a missing extension, which name it as the configuration does. */
function nameOf(message: Msg): string {
  const name = (message as unknown as { name?: unknown }).name;
  return typeof name === 'string' ? name : '';
}

/** The value of a field that is set, otherwise `undefined`. A plain `false` counts as not set. */
function setValueOf(message: Msg, step: Step): unknown {
  const members = message as unknown as Record<string, unknown>;
  const { field } = step;
  if (step.group !== null) {
    const group = members[step.group] as { case?: string; value?: unknown };
    return group.case === field.localName ? group.value : undefined;
  }
  const value = members[field.localName];
  switch (field.fieldKind) {
    case 'list':
      return (value as readonly unknown[]).length === 0 ? undefined : value;
    case 'map':
      return Object.keys(value as object).length === 0 ? undefined : value;
    case 'scalar':
      return isDefault(field.scalar, value) ? undefined : value;
    case 'enum':
      return value === 0 && step.answer.kind === 'unsupported' ? undefined : value;
    default:
      return value === false ? undefined : value;
  }
}

function isDefault(scalar: number | undefined, value: unknown): boolean {
  if (scalar === SCALAR.BYTES) return (value as Uint8Array).length === 0;
  return value === '' || value === false || value === 0 || value === 0n;
}
