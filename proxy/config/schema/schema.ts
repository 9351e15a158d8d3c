// The types of the schema as this configuration reader needs them: names, kinds and options of fields. Made from a
// descriptor's bytes when a type is first asked for. Properties are named as in protobuf-es, whose descriptors these
// replace: those take 0.1 s of a start (measured), because they come with everything that they depend on.

import { WireReader } from './descriptor-set.ts';

/** `FieldDescriptorProto.Type` of scalars. */
export const SCALAR = {
  DOUBLE: 1,
  FLOAT: 2,
  INT64: 3,
  UINT64: 4,
  INT32: 5,
  FIXED64: 6,
  FIXED32: 7,
  BOOL: 8,
  STRING: 9,
  BYTES: 12,
  UINT32: 13,
  SFIXED32: 15,
  SFIXED64: 16,
  SINT32: 17,
  SINT64: 18,
} as const;

const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const LABEL_REPEATED = 3;

/** Numbers of the options `envoy.annotations.disallowed_by_default` (of a field) and `..._enum` (of a value). */
export const DISALLOWED = 189_503_207;
export const DISALLOWED_VALUE = 70_100_853;

/** Finds a type by its full name. @throws when the schema lacks it */
export interface TypeSource {
  message(typeName: string): MessageType;
  enumeration(typeName: string): EnumType;
}

/** The options of a field, one-of or enum value, still on the wire. */
export class Options {
  readonly #bytes: Buffer | null;

  constructor(bytes: Buffer | null) {
    this.#bytes = bytes;
  }

  /** A boolean option by its number. */
  flag(number: number): boolean {
    const reader = this.#find(number);
    return reader !== null && reader.varint() !== 0;
  }

  /** A message option by its number, on the wire; `null` when not set. */
  block(number: number): Buffer | null {
    return this.#find(number)?.block() ?? null;
  }

  #find(number: number): WireReader | null {
    if (this.#bytes === null) return null;
    const reader = new WireReader(this.#bytes);
    while (reader.next()) {
      if (reader.field === number) return reader;
      reader.skip();
    }
    return null;
  }
}

export interface EnumValueType {
  readonly name: string;
  readonly number: number;
  readonly deprecated: boolean;
  readonly options: Options;
}

export class EnumType {
  readonly typeName: string;
  readonly values: readonly EnumValueType[];
  /** By number; of several names for one number, the first. */
  readonly value: { readonly [number: number]: EnumValueType };

  /** @param bytes an `EnumDescriptorProto` */
  constructor(typeName: string, bytes: Buffer) {
    this.typeName = typeName;
    const values: EnumValueType[] = [];
    const byNumber: { [number: number]: EnumValueType } = {};
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.field !== 2) {
        reader.skip();
        continue;
      }
      const value = readEnumValue(reader.block());
      values.push(value);
      byNumber[value.number] ??= value;
    }
    this.values = values;
    this.value = byNumber;
  }
}

const ENUM_VALUE_DEPRECATED = 1;

function readEnumValue(bytes: Buffer): EnumValueType {
  let name = '';
  let number = 0;
  let options: Buffer | null = null;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) number = Number(BigInt.asIntN(32, reader.varint64()));
    else if (reader.field === 3) options = reader.block();
    else reader.skip();
  }
  const read = new Options(options);
  return { name, number, deprecated: read.flag(ENUM_VALUE_DEPRECATED), options: read };
}

export class OneofType {
  readonly kind = 'oneof';
  readonly name: string;
  readonly localName: string;
  readonly options: Options;
  readonly fields: FieldType[] = [];

  constructor(name: string, options: Options) {
    this.name = name;
    this.localName = localNameOf(name);
    this.options = options;
  }
}

/** What a `FieldDescriptorProto` says. */
interface FieldProto {
  name: string;
  number: number;
  repeated: boolean;
  type: number;
  typeName: string;
  jsonName: string;
  oneofIndex: number;
  proto3Optional: boolean;
  defaultText: string;
  options: Options;
}

const FIELD_DEPRECATED = 3;

export class FieldType {
  readonly kind = 'field';
  readonly parent: MessageType;
  readonly name: string;
  readonly number: number;
  /** The property of a message. */
  readonly localName: string;
  readonly jsonName: string;
  readonly fieldKind: 'scalar' | 'enum' | 'message' | 'list' | 'map';
  /** `SCALAR` type of the field, the list items or the map values. */
  readonly scalar: number | undefined;
  /** `SCALAR` type of a map's keys. */
  readonly mapKey: number;
  readonly oneof: OneofType | undefined;
  /** A scalar or enum that can be told from its zero value. */
  readonly explicit: boolean;
  readonly deprecated: boolean;
  /** proto2 only; empty = the zero value. */
  readonly defaultText: string;
  readonly options: Options;
  /** Full name of the message or enum; empty for scalars. */
  readonly typeName: string;
  readonly #type: number;
  readonly #source: TypeSource;

  constructor(parent: MessageType, proto: FieldProto, entry: MapEntry | null, oneof: OneofType | undefined) {
    const value = entry === null ? proto : entry.value;
    this.parent = parent;
    this.name = proto.name;
    this.number = proto.number;
    this.localName = localNameOf(proto.name);
    this.jsonName = proto.jsonName === '' ? camelCase(proto.name) : proto.jsonName;
    this.fieldKind = entry !== null ? 'map' : proto.repeated ? 'list' : kindOf(proto.type);
    this.scalar = kindOf(value.type) === 'scalar' ? value.type : undefined;
    this.mapKey = entry === null ? 0 : entry.key;
    this.oneof = oneof;
    this.explicit = !proto.repeated && (parent.isProto2 || proto.proto3Optional);
    this.deprecated = proto.options.flag(FIELD_DEPRECATED);
    this.defaultText = proto.defaultText;
    this.options = proto.options;
    this.typeName = value.typeName.slice(1);
    this.#type = value.type;
    this.#source = parent.source;
  }

  get isMessage(): boolean {
    return this.#type === TYPE_MESSAGE;
  }

  /** Message type of the field, the list items or the map values. */
  get message(): MessageType | undefined {
    return this.#type === TYPE_MESSAGE ? this.#source.message(this.typeName) : undefined;
  }

  /** Enum type of the field, the list items or the map values. */
  get enum(): EnumType | undefined {
    return this.#type === TYPE_ENUM ? this.#source.enumeration(this.typeName) : undefined;
  }
}

function kindOf(type: number): 'scalar' | 'enum' | 'message' {
  return type === TYPE_MESSAGE ? 'message' : type === TYPE_ENUM ? 'enum' : 'scalar';
}

interface MapEntry {
  readonly key: number;
  readonly value: FieldProto;
}

export class MessageType {
  readonly typeName: string;
  readonly fields: readonly FieldType[];
  readonly oneofs: readonly OneofType[];
  /** Fields outside of one-ofs, and one-ofs, in the order of their first field. */
  readonly members: readonly (FieldType | OneofType)[];
  readonly isProto2: boolean;
  readonly source: TypeSource;

  /** @param bytes a `DescriptorProto` */
  constructor(typeName: string, bytes: Buffer, isProto2: boolean, source: TypeSource) {
    this.typeName = typeName;
    this.isProto2 = isProto2;
    this.source = source;
    const protos: FieldProto[] = [];
    const groups: OneofType[] = [];
    const entries = new Map<string, MapEntry>();
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.field === 2) protos.push(readField(reader.block()));
      else if (reader.field === 3) readMapEntry(`.${typeName}`, reader.block(), entries);
      else if (reader.field === 8) groups.push(readOneof(reader.block()));
      else reader.skip();
    }
    const members: (FieldType | OneofType)[] = [];
    this.fields = protos.map((proto) => {
      // A proto3 `optional` stands in a one-of of its own that only says so.
      const group = proto.proto3Optional ? undefined : groups[proto.oneofIndex];
      const field = new FieldType(this, proto, entries.get(proto.typeName) ?? null, group);
      if (group === undefined) members.push(field);
      else if (group.fields.push(field) === 1) members.push(group);
      return field;
    });
    this.oneofs = groups.filter((group) => group.fields.length > 0);
    this.members = members;
  }
}

function readField(bytes: Buffer): FieldProto {
  let options: Buffer | null = null;
  const proto: FieldProto = {
    name: '',
    number: 0,
    repeated: false,
    type: 0,
    typeName: '',
    jsonName: '',
    oneofIndex: -1,
    proto3Optional: false,
    defaultText: '',
    options: NO_OPTIONS,
  };
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) proto.name = reader.text();
    else if (reader.field === 3) proto.number = reader.varint();
    else if (reader.field === 4) proto.repeated = reader.varint() === LABEL_REPEATED;
    else if (reader.field === 5) proto.type = reader.varint();
    else if (reader.field === 6) proto.typeName = reader.text();
    else if (reader.field === 7) proto.defaultText = reader.text();
    else if (reader.field === 8) options = reader.block();
    else if (reader.field === 9) proto.oneofIndex = reader.varint();
    else if (reader.field === 10) proto.jsonName = reader.text();
    else if (reader.field === 17) proto.proto3Optional = reader.varint() !== 0;
    else reader.skip();
  }
  if (options !== null) proto.options = new Options(options);
  return proto;
}

const NO_OPTIONS = new Options(null);

function readOneof(bytes: Buffer): OneofType {
  let name = '';
  let options: Buffer | null = null;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) options = reader.block();
    else reader.skip();
  }
  return new OneofType(name, new Options(options));
}

const MESSAGE_OPTIONS = 7;
const MESSAGE_MAP_ENTRY = 7;

/** Whether a nested message (a `DescriptorProto`) is what a map field is made of. */
export function isMapEntry(bytes: Buffer): boolean {
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === MESSAGE_OPTIONS) return new Options(reader.block()).flag(MESSAGE_MAP_ENTRY);
    // protoc names them so, which spares looking into all others.
    if (reader.field === 1 && !reader.text().endsWith('Entry')) return false;
    if (reader.field !== 1) reader.skip();
  }
  return false;
}

function readMapEntry(outer: string, bytes: Buffer, entries: Map<string, MapEntry>): void {
  if (!isMapEntry(bytes)) return;
  let name = '';
  const fields: FieldProto[] = [];
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.field === 1) name = reader.text();
    else if (reader.field === 2) fields.push(readField(reader.block()));
    else reader.skip();
  }
  const [key, value] = fields;
  if (key !== undefined && value !== undefined) entries.set(`${outer}.${name}`, { key: key.type, value });
}

const WRAPPER = /^google\.protobuf\.(?:Double|Float|U?Int64|U?Int32|Bool|String|Bytes)Value$/;

/** Whether a message stands for one scalar that may be absent. */
export function isWrapper(type: MessageType): boolean {
  return WRAPPER.test(type.typeName);
}

// === Names ===

/** `lower_snake` → `lowerCamel`, as protoc makes JSON names. */
function camelCase(name: string): string {
  return name.replace(/_+([^_]?)/g, (_, next: string) => next.toUpperCase());
}

const RESERVED = new Set(['constructor', 'toString', 'toJSON', 'valueOf']);

function localNameOf(name: string): string {
  const camel = camelCase(name);
  return RESERVED.has(camel) ? `${camel}$` : camel;
}
