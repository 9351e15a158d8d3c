// Messages → the JSON of `/config_dump`: proto names, set fields only, `Any` expanded with `@type` first, 64-bit
// integers as strings, enum names, sensitive fields redacted. The shape is Envoy's.

import type { JsonObject, JsonValue } from '../model/common.ts';
import { library } from '../schema/library.ts';
import type { Msg } from '../schema/message.ts';
import { loadRegistry, messageDesc, typeNameOf } from '../schema/registry.ts';
import { type FieldType, isWrapper, SCALAR } from '../schema/schema.ts';
import { unpackAnyAsWritten } from './any.ts';

type Mutable = { [key: string]: JsonValue };

const REDACTED = '[redacted]';

/** Number of the field option `udpa.annotations.sensitive`. */
const SENSITIVE = 76_569_463;

/** `sensitive`: what is marked so, with all below it (then `all`). */
type Redaction = 'none' | 'sensitive' | 'all';

/** One message as Envoy dumps it. */
export function messageToDumpJson(message: Msg): JsonObject {
  return dumpMessage(message, 'sensitive') as JsonObject;
}

/** The same with everything in it, to be decoded again. */
export function messageToJson(message: Msg): JsonObject {
  return dumpMessage(message, 'none') as JsonObject;
}

function dumpMessage(message: Msg, redact: Redaction): JsonValue {
  const special = specialJson(message, redact);
  if (special !== undefined) return special;
  const json: Mutable = {};
  dumpFields(message, json, redact);
  return json;
}

function dumpFields(message: Msg, json: Mutable, redact: Redaction): void {
  const source = message as unknown as Record<string, unknown>;
  for (const field of fieldsByNumber(message.$typeName)) {
    const value = fieldValue(source, field);
    if (value === undefined || isDefault(field, value)) continue;
    json[field.name] = dumpField(field, value, redact === 'sensitive' && isSensitive(field) ? 'all' : redact);
  }
}

const ordered = new Map<string, readonly FieldType[]>();

/** Envoy prints fields by number, not in the order of their declaration. */
function fieldsByNumber(typeName: string): readonly FieldType[] {
  let fields = ordered.get(typeName);
  if (fields === undefined) {
    fields = messageDesc(typeName).fields.toSorted((a, b) => a.number - b.number);
    ordered.set(typeName, fields);
  }
  return fields;
}

function fieldValue(source: Record<string, unknown>, field: FieldType): unknown {
  if (field.oneof === undefined) return source[field.localName];
  const group = source[field.oneof.localName] as { case?: string; value?: unknown };
  return group.case === field.localName ? group.value : undefined;
}

/** Fields with presence are there or not; the others are left out at their zero value. */
function isDefault(field: FieldType, value: unknown): boolean {
  if (field.oneof !== undefined || field.fieldKind === 'message') return false;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  if (field.fieldKind === 'map') return Object.keys(value as object).length === 0;
  return !value;
}

function dumpField(field: FieldType, value: unknown, redact: Redaction): JsonValue {
  if (field.fieldKind === 'list') return (value as unknown[]).map((item) => dumpValue(field, item, redact));
  if (field.fieldKind === 'map') {
    const map: Mutable = {};
    for (const [key, item] of Object.entries(value as object)) map[key] = dumpValue(field, item, redact);
    return map;
  }
  return dumpValue(field, value, redact);
}

function dumpValue(field: FieldType, value: unknown, redact: Redaction): JsonValue {
  if (field.message !== undefined) {
    if (isMessage(value)) return dumpMessage(value, redact);
    if (isWrapper(field.message)) return scalarJson(field.message.fields[0]?.scalar, value, redact);
    return redact === 'all' ? REDACTED : (value as JsonValue);
  }
  if (field.enum !== undefined) {
    if (redact === 'all') return REDACTED;
    return field.enum.value[value as number]?.name ?? (value as number);
  }
  return scalarJson(field.scalar, value, redact);
}

function isMessage(value: unknown): value is Msg {
  return typeof value === 'object' && value !== null && '$typeName' in value;
}

const LONGS = new Set<number | undefined>([
  SCALAR.INT64,
  SCALAR.UINT64,
  SCALAR.SINT64,
  SCALAR.FIXED64,
  SCALAR.SFIXED64,
]);

/** Redaction keeps the shape: strings say so, bytes say so in base64, numbers become zero. */
function scalarJson(type: number | undefined, value: unknown, redact: Redaction): JsonValue {
  if (value instanceof Uint8Array) return Buffer.from(redact === 'all' ? REDACTED : value).toString('base64');
  if (redact === 'all') return typeof value === 'string' ? REDACTED : typeof value === 'boolean' ? false : 0;
  if (LONGS.has(type)) return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value as JsonValue;
}

function isSensitive(field: FieldType): boolean {
  return field.options.flag(SENSITIVE);
}

// === Messages with a JSON form of their own ===

const BY_LIBRARY = new Set([
  'google.protobuf.Timestamp',
  'google.protobuf.FieldMask',
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
]);

function specialJson(message: Msg, redact: Redaction): JsonValue | undefined {
  const name = message.$typeName;
  if (!name.startsWith('google.protobuf.')) return undefined;
  if (name === 'google.protobuf.Any') return anyJson(message, redact);
  if (name === 'google.protobuf.Duration') return durationJson(message);
  const desc = loadRegistry().getMessage(name);
  if (desc === undefined) return undefined;
  if (isWrapper(desc)) {
    return scalarJson(desc.fields[0]?.scalar, (message as unknown as { value: unknown }).value, redact);
  }
  return BY_LIBRARY.has(name) ? (library().writeJson(message) as JsonValue) : undefined;
}

/** An Any of an unknown type keeps its bytes, so that nothing is lost from the dump. */
function anyJson(any: Msg, redact: Redaction): JsonValue {
  const { typeUrl } = any as unknown as { typeUrl: string };
  const json: Mutable = {};
  if (typeUrl === '') return json;
  json['@type'] = typeUrl;
  if (loadRegistry().getMessage(typeNameOf(typeUrl)) === undefined) {
    json['value'] = Buffer.from((any as unknown as { value: Uint8Array }).value).toString('base64');
    return json;
  }
  const message = unpackAnyAsWritten(any, '');
  const special = specialJson(message, redact);
  if (special !== undefined) json['value'] = special;
  else dumpFields(message, json, redact);
  return json;
}

/** Decimals in groups of three, as protobuf prints them. */
function durationJson(message: Msg): string {
  const { seconds, nanos } = message as unknown as { seconds: bigint; nanos: number };
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  const whole = seconds < 0n ? -seconds : seconds;
  if (nanos === 0) return `${sign}${whole}s`;
  const digits = String(Math.abs(nanos)).padStart(9, '0');
  const decimals = digits.endsWith('000000') ? 3 : digits.endsWith('000') ? 6 : 9;
  return `${sign}${whole}.${digits.slice(0, decimals)}s`;
}
