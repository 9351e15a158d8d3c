// The rules of protoc-gen-validate (`validate.rules`), compiled to one function per field. The sentences are Envoy's.

import type { Msg } from '../schema/message.ts';
import { messageDesc } from '../schema/registry.ts';
import { shown } from '../schema/scalar.ts';
import type { FieldType, OneofType } from '../schema/schema.ts';
import { readWireMessage } from '../schema/wire-message.ts';

/** Says what is wrong with a value, or `null`. */
export type Rule = (value: unknown) => string | null;

export interface FieldRules {
  /** For the field's value, the whole list or the whole map; `null` when anything goes. */
  readonly value: Rule | null;
  /** For each list item or map value. */
  readonly items: Rule | null;
  /** For each map key. */
  readonly keys: Rule | null;
  /** A message, wrapper or duration that must be set. */
  readonly required: boolean;
  /** The message inside is not looked at. */
  readonly skip: boolean;
}

/** Number of the options `validate.rules` (of a field) and `validate.required` (of a one-of). */
const OPTION = 1071;

type Rules = Msg & Record<string, unknown>;

const NO_RULES: FieldRules = { value: null, items: null, keys: null, required: false, skip: false };

export function rulesOf(field: FieldType): FieldRules {
  const bytes = field.options.block(OPTION);
  if (bytes === null) return NO_RULES;
  const rules = readWireMessage(messageDesc('validate.FieldRules'), bytes) as Rules;
  const type = rules['type'] as { case?: string; value?: Rules };
  const message = rules['message'] as { required?: boolean; skip?: boolean } | undefined;
  const values = new Set(field.enum?.values.map((item) => item.number) ?? []);
  return {
    value: type.case === undefined ? null : compileRule(type.case, type.value as Rules, values),
    items: nestedRule(type.value, type.case === 'map' ? 'values' : 'items', values),
    keys: type.case === 'map' ? nestedRule(type.value, 'keys', values) : null,
    required: message?.required === true || (set(type.value, 'required') && type.value?.['required'] === true),
    skip: message?.skip === true,
  };
}

export function isRequiredOneof(group: OneofType): boolean {
  return group.options.flag(OPTION);
}

/** proto2 presence: an unset field only shows a default through the prototype. */
function set(rules: Rules | undefined, name: string): boolean {
  return rules !== undefined && Object.hasOwn(rules, name) && rules[name] !== undefined;
}

function nestedRule(outer: Rules | undefined, name: string, enumValues: ReadonlySet<number>): Rule | null {
  if (outer === undefined || !set(outer, name)) return null;
  const type = (outer[name] as Rules)['type'] as { case?: string; value?: Rules };
  return type.case === undefined ? null : compileRule(type.case, type.value as Rules, enumValues);
}

function compileRule(kind: string, rules: Rules, enumValues: ReadonlySet<number>): Rule | null {
  switch (kind) {
    case 'string':
      return ignoringEmpty(rules, allOf(stringRules(rules)));
    case 'bytes':
      return ignoringEmpty(rules, allOf(bytesRules(rules)));
    case 'enum':
      return allOf(enumRules(rules, enumValues));
    case 'bool':
      return set(rules, 'const')
        ? (value) => (value === rules['const'] ? null : `value must equal ${rules['const']}`)
        : null;
    case 'repeated':
      return ignoringEmpty(rules, allOf(listRules(rules)));
    case 'map':
      return ignoringEmpty(rules, allOf(mapRules(rules)));
    case 'duration':
      return allOf([rangeRule(rules, durationNanos, durationText), ...listedRules(rules, durationNanos)]);
    case 'timestamp':
    case 'any':
      return null;
    default:
      return ignoringEmpty(rules, allOf([rangeRule(rules, Number, String), ...listedRules(rules, Number)]));
  }
}

function allOf(rules: readonly (Rule | null)[]): Rule | null {
  const present = rules.filter((rule) => rule !== null);
  const [first] = present;
  if (first === undefined) return null;
  if (present.length === 1) return first;
  return (value) => {
    for (const rule of present) {
      const problem = rule(value);
      if (problem !== null) return problem;
    }
    return null;
  };
}

function ignoringEmpty(rules: Rules, rule: Rule | null): Rule | null {
  if (rule === null || !set(rules, 'ignoreEmpty') || rules['ignoreEmpty'] !== true) return rule;
  return (value) => (isEmpty(value) ? null : rule(value));
}

function isEmpty(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value) || typeof value === 'string') return value.length === 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return !value;
}

// === Numbers and durations ===

type Measure = (value: unknown) => number;

function rangeRule(rules: Rules, measure: Measure, text: (value: unknown) => string): Rule | null {
  const bound = (name: string) => (set(rules, name) ? measure(rules[name]) : null);
  const label = (name: string) => text(rules[name]);
  const [gt, gte, lt, lte] = [bound('gt'), bound('gte'), bound('lt'), bound('lte')];
  const low = gte ?? gt;
  const high = lte ?? lt;
  if (low === null && high === null) return null;
  const aboveLow = (n: number) => low === null || (gte === null ? n > low : n >= low);
  const belowHigh = (n: number) => high === null || (lte === null ? n < high : n <= high);
  if (low === null) {
    const problem =
      lte === null ? `value must be less than ${label('lt')}` : `value must be less than or equal to ${label('lte')}`;
    return (value) => (belowHigh(measure(value)) ? null : problem);
  }
  if (high === null) {
    const problem =
      gte === null
        ? `value must be greater than ${label('gt')}`
        : `value must be greater than or equal to ${label('gte')}`;
    return (value) => (aboveLow(measure(value)) ? null : problem);
  }
  const from = gte === null ? `(${label('gt')}` : `[${label('gte')}`;
  const to = lte === null ? `${label('lt')})` : `${label('lte')}]`;
  // Crossed bounds mean "outside", as in protoc-gen-validate.
  if (high < low) {
    return (value) => {
      const n = measure(value);
      return aboveLow(n) || belowHigh(n) ? null : `value must be outside range ${from}, ${to}`;
    };
  }
  return (value) => {
    const n = measure(value);
    return aboveLow(n) && belowHigh(n) ? null : `value must be inside range ${from}, ${to}`;
  };
}

function listedRules(rules: Rules, measure: Measure): Rule[] {
  const found: Rule[] = [];
  const allowed = ((rules['in'] as unknown[] | undefined) ?? []).map(measure);
  const refused = ((rules['notIn'] as unknown[] | undefined) ?? []).map(measure);
  if (set(rules, 'const')) {
    const wanted = measure(rules['const']);
    found.push((value) => (measure(value) === wanted ? null : `value must equal ${wanted}`));
  }
  if (allowed.length > 0) {
    found.push((value) => (allowed.includes(measure(value)) ? null : `value must be in list [${allowed.join(' ')}]`));
  }
  if (refused.length > 0) {
    found.push((value) =>
      refused.includes(measure(value)) ? `value must not be in list [${refused.join(' ')}]` : null,
    );
  }
  return found;
}

interface DurationParts {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** Exact for the durations that rules compare (2^53 ns is 104 days); beyond it the order still holds. */
function durationNanos(value: unknown): number {
  const { seconds, nanos } = value as DurationParts;
  return Number(seconds) * 1e9 + nanos;
}

/** `0s`, `1ms`, `5m0s`: as Envoy's rules print them (Go's form). */
export function durationText(value: unknown): string {
  const nanos = durationNanos(value);
  const size = Math.abs(nanos);
  if (size === 0) return '0s';
  if (size < 1e3) return `${nanos}ns`;
  if (size < 1e6) return `${nanos / 1e3}us`;
  if (size < 1e9) return `${nanos / 1e6}ms`;
  const minutes = Math.floor(size / 60e9);
  const seconds = `${(size - minutes * 60e9) / 1e9}s`;
  const hours = Math.floor(minutes / 60);
  const sign = nanos < 0 ? '-' : '';
  if (minutes === 0) return sign + seconds;
  return hours === 0 ? `${sign}${minutes}m${seconds}` : `${sign}${hours}h${minutes % 60}m${seconds}`;
}

function enumRules(rules: Rules, values: ReadonlySet<number>): Rule[] {
  const found = listedRules(rules, Number);
  if (set(rules, 'definedOnly') && rules['definedOnly'] === true) {
    found.unshift((value) => (values.has(value as number) ? null : 'value must be one of the defined enum values'));
  }
  return found;
}

// === Strings and bytes ===

const HEADER_NAME = /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/;
const HEADER_VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;
/** `strict: false`, names and values alike. */
const LAX_HEADER = /^[^\x00\n\r]*$/;
const WELL_KNOWN_HEADER_NAME = 1;

/** Code points, as protoc-gen-validate counts them. */
function characters(text: string): number {
  let count = text.length;
  for (let i = 1; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) count--;
  }
  return count;
}

function stringRules(rules: Rules): Rule[] {
  const found: Rule[] = [];
  const add = (name: string, problem: string, holds: (text: string) => boolean) => {
    if (set(rules, name)) found.push((value) => (holds(value as string) ? null : problem));
  };
  const n = (name: string) => Number(rules[name] ?? 0);
  const s = (name: string) => String(rules[name] ?? '');
  add('minLen', `value length must be at least ${n('minLen')} characters`, (text) => characters(text) >= n('minLen'));
  add('maxLen', `value length must be at most ${n('maxLen')} characters`, (text) => characters(text) <= n('maxLen'));
  add(
    'minBytes',
    `value length must be at least ${n('minBytes')} bytes`,
    (text) => Buffer.byteLength(text) >= n('minBytes'),
  );
  add(
    'maxBytes',
    `value length must be at most ${n('maxBytes')} bytes`,
    (text) => Buffer.byteLength(text) <= n('maxBytes'),
  );
  add('prefix', `value does not have prefix ${shown(s('prefix'))}`, (text) => text.startsWith(s('prefix')));
  add('suffix', `value does not have suffix ${shown(s('suffix'))}`, (text) => text.endsWith(s('suffix')));
  add('contains', `value does not contain substring ${shown(s('contains'))}`, (text) => text.includes(s('contains')));
  add('const', `value must equal ${shown(s('const'))}`, (text) => text === s('const'));
  if (set(rules, 'pattern')) found.push(patternRule(new RegExp(s('pattern'), 'u'), s('pattern')));
  const allowed = (rules['in'] as string[] | undefined) ?? [];
  if (allowed.length > 0) {
    found.push((value) => (allowed.includes(value as string) ? null : `value must be in list [${allowed.join(' ')}]`));
  }
  const wellKnown = wellKnownRule(rules);
  if (wellKnown !== null) found.push(wellKnown);
  return found;
}

function wellKnownRule(rules: Rules): Rule | null {
  const group = rules['wellKnown'] as { case?: string; value?: unknown } | undefined;
  if (group?.case !== 'wellKnownRegex') return null;
  const isStrict = !set(rules, 'strict') || rules['strict'] !== false;
  const strictPattern = group.value === WELL_KNOWN_HEADER_NAME ? HEADER_NAME : HEADER_VALUE;
  const pattern = isStrict ? strictPattern : LAX_HEADER;
  return patternRule(pattern, pattern.source);
}

function patternRule(pattern: RegExp, source: string): Rule {
  const problem = `value does not match regex pattern "${source}"`;
  return (value) => (pattern.test(value as string) ? null : problem);
}

function bytesRules(rules: Rules): Rule[] {
  const found: Rule[] = [];
  const least = set(rules, 'minLen') ? Number(rules['minLen']) : 0;
  if (least > 0) {
    found.push((value) =>
      (value as Uint8Array).length >= least ? null : `value length must be at least ${least} bytes`,
    );
  }
  if (set(rules, 'maxLen')) {
    const most = Number(rules['maxLen']);
    found.push((value) => ((value as Uint8Array).length <= most ? null : `value length must be at most ${most} bytes`));
  }
  return found;
}

// === Lists and maps ===

function listRules(rules: Rules): Rule[] {
  const found: Rule[] = [];
  if (set(rules, 'minItems')) {
    const least = Number(rules['minItems']);
    found.push((value) =>
      (value as unknown[]).length >= least ? null : `value must contain at least ${least} item(s)`,
    );
  }
  if (set(rules, 'maxItems')) {
    const most = Number(rules['maxItems']);
    found.push((value) =>
      (value as unknown[]).length <= most ? null : `value must contain no more than ${most} item(s)`,
    );
  }
  if (rules['unique'] === true) {
    found.push((value) => (isUnique(value as unknown[]) ? null : 'repeated value must contain unique items'));
  }
  return found;
}

function isUnique(items: readonly unknown[]): boolean {
  return new Set(items).size === items.length;
}

function mapRules(rules: Rules): Rule[] {
  if (!set(rules, 'minPairs')) return [];
  const least = Number(rules['minPairs']);
  return [
    (value) => (Object.keys(value as object).length >= least ? null : `value must contain at least ${least} pair(s)`),
  ];
}
