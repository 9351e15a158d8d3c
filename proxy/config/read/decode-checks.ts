// What the decoder notices on its way, so that the walks that say what is wrong (`validate.ts`) or left out
// (`answers.ts`) run only where they have something to say: together they take as long as decoding.
// These checks may err in one direction only: noticing what those walks then find to be fine.

import { EXTENSION_ANSWERS } from '../fields/extensions.ts';
import { FIELDS } from '../fields/fields.ts';
import { defaultOf } from '../schema/create-message.ts';
import { DISALLOWED, DISALLOWED_VALUE, type FieldType, type MessageType } from '../schema/schema.ts';
import { isRequiredOneof, type Rule, rulesOf } from './validate-rules.ts';

/** What was noticed in one document. */
export interface Findings {
  /** A rule may be broken, or something deprecated used: `validateMessage` knows. */
  invalid: boolean;
  /** A field, value or extension may be unsupported: `checkFieldAnswers` knows. */
  unanswered: boolean;
}

/** Whether a value that was set needs no word of `validateMessage`; `null` when any is fine. */
export type ValueCheck = ((value: unknown) => boolean) | null;

export function valueCheck(field: FieldType): ValueCheck {
  if (field.deprecated || field.options.flag(DISALLOWED)) return () => false;
  const rules = rulesOf(field);
  const deprecated = field.enum?.values.filter((value) => value.deprecated).map((value) => value.number) ?? [];
  const checks: ((value: unknown) => boolean)[] = [];
  if (deprecated.length > 0) checks.push((value) => !deprecated.includes(value as number));
  const { value: whole, items, keys } = rules;
  if (whole !== null) checks.push((value) => whole(value) === null);
  if (items !== null) checks.push((value) => holdsForAll(items, Object.values(value as object)));
  if (keys !== null) checks.push((value) => holdsForAll(keys, Object.keys(value as object)));
  const [first] = checks;
  if (first === undefined) return null;
  return checks.length === 1 ? first : (value) => checks.every((check) => check(value));
}

function holdsForAll(rule: Rule, values: readonly unknown[]): boolean {
  return values.every((value) => rule(value) === null);
}

/** Names of the properties without which a message breaks a rule. */
export function neededMembers(type: MessageType): readonly string[] {
  const needed: string[] = [];
  for (const field of type.fields) {
    if (field.oneof !== undefined) continue;
    const rules = rulesOf(field);
    if (rules.required || isRefusedUnset(field, rules.value)) needed.push(field.localName);
  }
  for (const group of type.oneofs) if (isRequiredOneof(group)) needed.push(group.localName);
  return needed;
}

/** Whether the value that an unset field reads as breaks its rule, or is a value that may not be used. */
function isRefusedUnset(field: FieldType, rule: Rule | null): boolean {
  const values = field.fieldKind === 'enum' ? field.enum?.values : undefined;
  if (rule === null && values === undefined) return false;
  const unset = defaultOf(field);
  if (unset === undefined) return false;
  if (values?.some((value) => value.number === unset && value.options.flag(DISALLOWED_VALUE)) === true) return true;
  return rule !== null && rule(unset) !== null;
}

/** What a field's answer means for a message that sets it. */
export type Attention =
  /** Nothing, though what is below it may mean something. */
  | 'none'
  /** The field, or one of its values, may be unsupported. */
  | 'notice'
  /** Nothing, and nobody looks below it. */
  | 'unseen';

export interface FieldAttention {
  readonly attention: Attention;
  /** Enum values that are not supported, by number; `null` = all are. */
  readonly values: ReadonlySet<number> | null;
}

export function attentionOf(field: FieldType): FieldAttention {
  const answer = FIELDS[field.parent.typeName]?.[field.name];
  if (answer === undefined || answer.kind === 'unsupported') return { attention: 'notice', values: null };
  if (answer.kind === 'harmless') return { attention: 'unseen', values: null };
  const names = Object.keys(answer.values);
  if (names.length === 0) return { attention: 'none', values: null };
  const values = field.enum?.values.filter((value) => names.includes(value.name)).map((value) => value.number) ?? [];
  return { attention: 'none', values: new Set(values) };
}

/** Whether a message needs a word of the answers for being there: rules of its own, or no table. */
export function needsAttention(type: MessageType): boolean {
  if (type.typeName.startsWith('google.protobuf.')) return false;
  return FIELDS[type.typeName] === undefined;
}

/** Whether an extension may stand in a configuration without a word. */
export function isKnownExtension(typeName: string): boolean {
  const answer = EXTENSION_ANSWERS.get(typeName);
  return answer !== undefined && answer.kind !== 'left_out';
}
