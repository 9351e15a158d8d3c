// JSON (or YAML already read into JSON values) → messages, by the rules of proto3 JSON as Envoy applies them:
// both `snake_case` and `lowerCamel` names, enum names in any case or as numbers, numbers as strings, `Any` by `@type`,
// durations and wrappers also as objects of their fields, a list of one without brackets.
// Every error names the full field path. A reader is compiled per message type when first needed.

import { ConfigError } from '../../util/error.ts';
import { didYouMean } from '../../util/nearest.ts';
import { creatorOf } from '../schema/create-message.ts';
import { DecodedAny, isTypedStruct } from '../schema/decoded-any.ts';
import { keySegment } from '../schema/field-path.ts';
import { library } from '../schema/library.ts';
import { type Msg, str, struct } from '../schema/message.ts';
import { loadRegistry, messageDesc, typeNameOf } from '../schema/registry.ts';
import { type ScalarParser, scalarParser, shown } from '../schema/scalar.ts';
import { type EnumType, type FieldType, isWrapper, type MessageType, SCALAR } from '../schema/schema.ts';
import {
  attentionOf,
  type FieldAttention,
  isKnownExtension,
  neededMembers,
  needsAttention,
  type ValueCheck,
  valueCheck,
} from './decode-checks.ts';
import { type DecodeOptions, Walk } from './walk.ts';

/**
 * Decodes one JSON document.
 * @param path where the document stands, for error texts; empty for a whole file
 * @throws ConfigError naming the field path
 */
export function decodeJson(typeName: string, json: unknown, options: DecodeOptions, path = ''): Msg {
  const walk = new Walk(options, path);
  const message = readerOf(messageDesc(typeName)).read(json, walk);
  const { findings } = options;
  if (findings !== undefined && walk.invalid) findings.invalid = true;
  if (findings !== undefined && walk.unanswered) findings.unanswered = true;
  return message;
}

/** What a `TypedStruct` message names, decoded; `null` when it names nothing. */
export function decodeTypedStruct(message: Msg, path: string, options?: DecodeOptions): DecodedAny['inner'] {
  const walk = new Walk(options ?? { allowUnknown: false, warnings: [] }, path);
  return readTypedStruct(message, walk);
}

export function unknownTypeError(typeUrl: string, path: string): ConfigError {
  const wanted = typeNameOf(typeUrl);
  if (wanted === '') {
    return new ConfigError(`invalid type URL ${shown(typeUrl)}: expected type.googleapis.com/<message name>`, path);
  }
  return new ConfigError(`unknown type URL ${shown(typeUrl)}${didYouMean(wanted, configTypeNames())}`, path);
}

function* configTypeNames(): Iterable<string> {
  for (const desc of loadRegistry().allMessages()) yield desc.typeName;
}

type Target = Record<string, unknown>;
type ValueReader = (json: unknown, walk: Walk) => unknown;

/** `read` returned this for an unknown enum name that is tolerated: the field stays unset. */
const IGNORED = Symbol('ignored');

interface FieldEntry {
  readonly name: string;
  readonly localName: string;
  /** Property of the one-of that the field is in; empty = none. */
  readonly oneof: string;
  readonly read: ValueReader;
  /** Whether `null` is a value, as it is for `google.protobuf.Value` only. */
  readonly keepsNull: boolean;
  readonly isValid: ValueCheck;
  readonly attention: FieldAttention['attention'];
  readonly values: FieldAttention['values'];
}

class MessageReader {
  readonly #desc: MessageType;
  /** An empty message. */
  readonly create: () => Msg;
  /** By either name; read from the schema and compiled when first seen. */
  readonly #fields = new Map<string, FieldEntry>();
  readonly #special: ValueReader | null;
  /** Properties without which the message breaks a rule; found out with the first message. */
  #needed: readonly string[] | null = null;
  readonly #needsAttention: boolean;

  constructor(desc: MessageType) {
    this.#desc = desc;
    this.create = creatorOf(desc);
    this.#special = specialReader(desc);
    this.#needsAttention = needsAttention(desc);
  }

  read(json: unknown, walk: Walk): Msg {
    if (this.#special !== null) return this.#special(json, walk) as Msg;
    return this.readFields(json, walk, '');
  }

  /** Reads an object's members as fields; `skip` is a member that is not one (`@type`). */
  readFields(json: unknown, walk: Walk, skip: string): Msg {
    if (!isObject(json)) {
      throw walk.error(`expected an object (${this.#desc.typeName}), got ${shown(json)}`);
    }
    const message = this.create();
    const target = message as unknown as Target;
    for (const key in json) {
      if (key === skip) continue;
      const field = this.#fields.get(key) ?? this.#compile(key);
      const value = (json as Target)[key];
      if (field === undefined) {
        walk.push(key);
        walk.unknown(`unknown field${didYouMean(key, this.#names())}`);
        walk.pop();
      } else if (value !== null || field.keepsNull) {
        walk.push(field.name);
        if (field.oneof !== '' && value !== null) this.#refuseSecondCase(target, field, walk);
        readField(target, field, value, walk);
        walk.pop();
      }
    }
    this.#needed ??= neededMembers(this.#desc);
    for (const name of this.#needed) if (!Object.hasOwn(target, name)) walk.invalid = true;
    if (this.#needsAttention) walk.unanswered = true;
    return message;
  }

  #compile(key: string): FieldEntry | undefined {
    const field = this.#desc.fields.find((candidate) => candidate.name === key || candidate.jsonName === key);
    if (field === undefined) return undefined;
    const entry = compileField(field);
    this.#fields.set(key, entry);
    return entry;
  }

  /** Whether this type's JSON form is not an object of its fields (in an Any it then stands under `value`). */
  get isSpecial(): boolean {
    return this.#special !== null;
  }

  #refuseSecondCase(target: Target, field: FieldEntry, walk: Walk): void {
    const set = (target[field.oneof] as { case?: string }).case;
    if (set === undefined) return;
    const other = this.#desc.fields.find((candidate) => candidate.localName === set)?.name ?? set;
    if (other !== field.name) throw walk.error(`only one of ${other} and ${field.name} may be set`);
  }

  #names(): string[] {
    return this.#desc.fields.map((field) => field.name);
  }
}

const readers = new Map<MessageType, MessageReader>();

function readerOf(desc: MessageType): MessageReader {
  let reader = readers.get(desc);
  if (reader === undefined) {
    reader = new MessageReader(desc);
    readers.set(desc, reader);
  }
  return reader;
}

// === Fields ===

function compileField(field: FieldType): FieldEntry {
  return {
    name: field.name,
    localName: field.localName,
    oneof: field.oneof?.localName ?? '',
    read: fieldReader(field),
    keepsNull: isValueField(field),
    isValid: valueCheck(field),
    ...attentionOf(field),
  };
}

function readField(target: Target, field: FieldEntry, json: unknown, walk: Walk): void {
  const { unanswered } = walk;
  const value = field.read(json, walk);
  if (field.attention === 'unseen') walk.unanswered = unanswered;
  if (value === IGNORED) return;
  if (field.oneof === '') target[field.localName] = value;
  else target[field.oneof] = { case: field.localName, value };
  if (field.isValid !== null && !field.isValid(value)) walk.invalid = true;
  if (field.attention === 'notice' || field.values?.has(value as number) === true) walk.unanswered = true;
}

function fieldReader(field: FieldType): ValueReader {
  switch (field.fieldKind) {
    case 'list':
      return listReader(itemReader(field), nullItem(field));
    case 'map':
      return mapReader(scalarParser(field.mapKey), itemReader(field), nullItem(field));
    default:
      return itemReader(field);
  }
}

/** What is no list is one of a single item; lists within it are as if their items stood there. */
function listReader(read: ValueReader, nullAs: unknown): ValueReader {
  const readInto = (items: unknown[], json: unknown, walk: Walk): void => {
    if (!Array.isArray(json)) {
      const value = read(json ?? nullAs, walk);
      if (value !== IGNORED) items.push(value);
      return;
    }
    for (let i = 0; i < json.length; i++) {
      walk.push(i);
      readInto(items, json[i], walk);
      walk.pop();
    }
  };
  return (json, walk) => {
    const items: unknown[] = [];
    readInto(items, json, walk);
    return items;
  };
}

/** What `null` means as an item of a list or a map. */
function nullItem(field: FieldType): unknown {
  if (field.isMessage) return field.typeName === 'google.protobuf.Value' ? null : {};
  switch (field.enum === undefined ? field.scalar : SCALAR.INT32) {
    case SCALAR.STRING:
    case SCALAR.BYTES:
      return '';
    case SCALAR.BOOL:
      return false;
    default:
      return 0;
  }
}

function mapReader(parseKey: ScalarParser, read: ValueReader, nullAs: unknown): ValueReader {
  return (json, walk) => {
    if (!isObject(json)) throw walk.error(`expected a map, got ${shown(json)}`);
    const map: Target = {};
    for (const [key, item] of Object.entries(json)) {
      walk.push(keySegment(key));
      const value = read(item ?? nullAs, walk);
      if (value !== IGNORED) defineOwn(map, String(orFail(parseKey(key), walk)), value);
      walk.pop();
    }
    return map;
  };
}

/** Assignment that also holds for a key called `__proto__`. */
function defineOwn(target: Target, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, writable: true });
  else target[key] = value;
}

/** `scalar.ts` returns its complaint as an Error, so that it need not know where it stands. */
function orFail(value: unknown, walk: Walk): unknown {
  if (value instanceof Error) throw walk.error(value.message);
  return value;
}

/** Reads one value of a field: the field itself, a list item or a map value. */
function itemReader(field: FieldType): ValueReader {
  const { message, enum: enumeration } = field;
  if (message !== undefined) return messageReader(field, message);
  if (enumeration !== undefined) return enumReader(enumeration);
  const parse = scalarParser(field.scalar ?? SCALAR.STRING);
  return (json, walk) => {
    const value = parse(json);
    if (value instanceof Error) throw walk.error(value.message);
    return value;
  };
}

/** Mirrors how protobuf-es stores message fields: singular wrappers unwrapped, `Struct` as JSON. */
function messageReader(field: FieldType, desc: MessageType): ValueReader {
  if (field.fieldKind === 'message' && field.oneof === undefined && isWrapper(desc)) {
    const read = wrapperReader(desc);
    return (json, walk) => read(json, walk)['value'];
  }
  if (desc.typeName === 'google.protobuf.Struct' && field.parent.typeName !== 'google.protobuf.Value') {
    return (json, walk) => {
      if (isObject(json)) return json;
      throw walk.error(`expected an object, got ${shown(json)}`);
    };
  }
  let reader: MessageReader | null = null;
  return (json, walk) => {
    reader ??= readerOf(desc);
    return reader.read(json, walk);
  };
}

function isValueField(field: FieldType): boolean {
  return field.fieldKind === 'message' && field.typeName === 'google.protobuf.Value';
}

const ENUM_NUMBER = /^-?\d{1,10}$/;

function enumReader(desc: EnumType): ValueReader {
  const numbers = new Map<string, number>();
  for (const value of desc.values) numbers.set(value.name.toUpperCase(), value.number);
  return (json, walk) => {
    if (typeof json === 'number' && Number.isInteger(json)) return json;
    if (typeof json !== 'string') throw walk.error(`expected a name of ${desc.typeName}, got ${shown(json)}`);
    const number = numbers.get(json) ?? numbers.get(json.toUpperCase());
    if (number !== undefined) return number;
    if (ENUM_NUMBER.test(json)) return Number(json);
    const names = desc.values.map((value) => value.name);
    walk.unknown(`unknown enum value ${shown(json)}${didYouMean(json, names) || ` (known: ${names.join(', ')})`}`);
    return IGNORED;
  };
}

// === Well-known types with a JSON form of their own ===

const LIBRARY_READ = new Set([
  'google.protobuf.Timestamp',
  'google.protobuf.FieldMask',
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
]);

function specialReader(desc: MessageType): ValueReader | null {
  if (!desc.typeName.startsWith('google.protobuf.')) return null;
  if (desc.typeName === 'google.protobuf.Any') return readAny;
  if (desc.typeName === 'google.protobuf.Duration') return durationReader(desc);
  if (isWrapper(desc)) return wrapperReader(desc);
  if (!LIBRARY_READ.has(desc.typeName)) return null;
  return (json, walk) => {
    try {
      return library().readJson(desc.typeName, json);
    } catch {
      throw walk.error(`not a ${desc.typeName}: ${shown(json)}`);
    }
  };
}

/** Its value alone, or an object with it. */
function wrapperReader(desc: MessageType): (json: unknown, walk: Walk) => Target {
  const parse = scalarParser(desc.fields[0]?.scalar ?? SCALAR.STRING);
  return (json, walk) => {
    if (isObject(json)) return readerOf(desc).readFields(json, walk, '') as unknown as Target;
    const message = readerOf(desc).create() as unknown as Target;
    message['value'] = orFail(parse(json), walk);
    return message;
  };
}

/** Seconds with up to nine decimals and an `s`; the range is protobuf's 10,000 years. */
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const DURATION_SECONDS_MAX = 315_576_000_000;
const NANOS_MAX = 999_999_999;

function durationReader(desc: MessageType): ValueReader {
  return (json, walk) => {
    if (isObject(json)) return durationOfFields(readerOf(desc).readFields(json, walk, ''), walk);
    const parts = typeof json === 'string' ? DURATION.exec(json) : null;
    if (parts === null) throw walk.error(`expected a duration such as "1.5s", got ${shown(json)}`);
    const sign = parts[1] === '-' ? -1 : 1;
    const seconds = Number(parts[2]);
    if (seconds > DURATION_SECONDS_MAX) throw walk.error(`duration ${json} is out of range`);
    const nanos = Number((parts[3] ?? '').padEnd(9, '0'));
    return { $typeName: desc.typeName, seconds: BigInt(sign * seconds), nanos: nanos === 0 ? 0 : sign * nanos };
  };
}

function durationOfFields(message: Msg, walk: Walk): Msg {
  const { seconds, nanos } = message as unknown as { readonly seconds: bigint; readonly nanos: number };
  const whole = Number(seconds);
  if (Math.abs(whole) > DURATION_SECONDS_MAX || Math.abs(nanos) > NANOS_MAX || whole * nanos < 0)
    throw walk.error(`duration of ${seconds} seconds and ${nanos} nanos is out of range`);
  return message;
}

function isObject(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

const NO_VALUE = Symbol('no value');

function readAny(json: unknown, walk: Walk): DecodedAny | Msg {
  if (!isObject(json)) {
    throw walk.error(`expected an object with @type, got ${shown(json)}`);
  }
  const typeUrl = (json as Target)['@type'];
  if (typeof typeUrl !== 'string' || typeUrl === '') {
    for (const _ in json) throw walk.error('@type is missing: an extension configuration must name its type');
    walk.unanswered = true;
    return readerOf(messageDesc('google.protobuf.Any')).create();
  }
  const desc = loadRegistry().getMessage(typeNameOf(typeUrl));
  if (desc === undefined) throw unknownTypeError(typeUrl, walk.path());
  const reader = readerOf(desc);
  if (!isKnownExtension(desc.typeName) && !isTypedStruct(desc.typeName)) walk.unanswered = true;
  if (reader.isSpecial) {
    const value = Object.hasOwn(json, 'value') ? (json as Target)['value'] : NO_VALUE;
    return new DecodedAny(typeUrl, value === NO_VALUE ? reader.create() : reader.read(value, walk), null);
  }
  const message = reader.readFields(json, walk, '@type');
  return new DecodedAny(typeUrl, message, isTypedStruct(desc.typeName) ? readTypedStruct(message, walk) : null);
}

function readTypedStruct(message: Msg, walk: Walk): DecodedAny['inner'] {
  const typeUrl = str(message, 'typeUrl');
  // The struct itself has no answers; what it names is checked like any other.
  if (!isKnownExtension(typeNameOf(typeUrl))) walk.unanswered = true;
  if (typeUrl === '') return null;
  const desc = loadRegistry().getMessage(typeNameOf(typeUrl));
  if (desc === undefined) throw unknownTypeError(typeUrl, walk.path());
  walk.push('value');
  const inner = readerOf(desc).read(struct(message, 'value') ?? {}, walk);
  walk.pop();
  return { typeUrl, message: inner };
}
