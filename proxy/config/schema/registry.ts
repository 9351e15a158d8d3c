// The schema: every message, enum and validation rule of the Envoy v3 API that a configuration can name.
// `schema.binpb` is a compiled descriptor set (see NOTICE and `scripts/trim-schema.ts`); nothing is generated from it.
// A configuration uses a fraction of it: a file of the set is looked into when one of its types is first asked for, and
// a type is read when it is itself asked for.

import { readFileSync } from 'node:fs';
import { entriesOf, packageOf, WireReader } from './descriptor-set.ts';
import { EnumType, isMapEntry, MessageType, type TypeSource } from './schema.ts';

let loaded: Registry | null = null;

/** The schema of this thread. */
export function loadRegistry(): Registry {
  loaded ??= new Registry(readSchema());
  return loaded;
}

/** The compiled descriptor set. */
export function readSchema(): Buffer {
  return readFileSync(new URL('schema.binpb', import.meta.url));
}

/** The type of a message that the schema must hold; a missing one is a mistake of ours, not of a configuration. */
export function messageDesc(typeName: string): MessageType {
  return loadRegistry().message(typeName);
}

/** `type.googleapis.com/envoy.x.Y` → `envoy.x.Y`; empty when there is no slash. */
export function typeNameOf(typeUrl: string): string {
  const slash = typeUrl.lastIndexOf('/');
  return slash < 0 ? '' : typeUrl.slice(slash + 1);
}

/** A file of the set that nobody has looked into yet. */
interface SchemaFile {
  readonly bytes: Buffer;
  readonly package: string;
}

/** A type that nobody has asked for yet. */
interface RawType {
  readonly bytes: Buffer;
  readonly isProto2: boolean;
}

// Field numbers of `FileDescriptorProto` and `DescriptorProto`
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
const FILE_SYNTAX = 12;
const MESSAGE_NESTED = 3;
const MESSAGE_ENUM = 4;

export class Registry implements TypeSource {
  readonly #byPackage = new Map<string, SchemaFile[]>();
  readonly #rawMessages = new Map<string, RawType>();
  readonly #rawEnums = new Map<string, Buffer>();
  readonly #messages = new Map<string, MessageType>();
  readonly #enums = new Map<string, EnumType>();

  /** @param set a `google.protobuf.FileDescriptorSet` */
  constructor(set: Buffer) {
    for (const bytes of entriesOf(set)) {
      const file = { bytes, package: packageOf(bytes) };
      const siblings = this.#byPackage.get(file.package);
      if (siblings === undefined) this.#byPackage.set(file.package, [file]);
      else siblings.push(file);
    }
  }

  getMessage(typeName: string): MessageType | undefined {
    const known = this.#messages.get(typeName);
    if (known !== undefined) return known;
    if (!this.#rawMessages.has(typeName)) this.#openPackagesOf(typeName);
    const raw = this.#rawMessages.get(typeName);
    if (raw === undefined) return undefined;
    const type = new MessageType(typeName, raw.bytes, raw.isProto2, this);
    this.#messages.set(typeName, type);
    return type;
  }

  message(typeName: string): MessageType {
    const type = this.getMessage(typeName);
    if (type === undefined) throw new Error(`schema.binpb does not define ${typeName}`);
    return type;
  }

  enumeration(typeName: string): EnumType {
    const known = this.#enums.get(typeName);
    if (known !== undefined) return known;
    if (!this.#rawEnums.has(typeName)) this.#openPackagesOf(typeName);
    const bytes = this.#rawEnums.get(typeName);
    if (bytes === undefined) throw new Error(`schema.binpb does not define ${typeName}`);
    const type = new EnumType(typeName, bytes);
    this.#enums.set(typeName, type);
    return type;
  }

  /** Every message of the schema. */
  *allMessages(): Iterable<MessageType> {
    for (const name of [...this.#byPackage.keys()]) this.#openPackage(name);
    for (const typeName of this.#rawMessages.keys()) yield this.getMessage(typeName) as MessageType;
  }

  /** A type's package is some prefix of its name; nested types have longer names. */
  #openPackagesOf(typeName: string): void {
    for (let dot = typeName.lastIndexOf('.'); dot > 0; dot = typeName.lastIndexOf('.', dot - 1)) {
      this.#openPackage(typeName.slice(0, dot));
    }
  }

  #openPackage(name: string): void {
    const files = this.#byPackage.get(name);
    if (files === undefined) return;
    this.#byPackage.delete(name);
    for (const file of files) this.#openFile(file);
  }

  #openFile(file: SchemaFile): void {
    const messages: Buffer[] = [];
    // Without a word about it, a file is proto2.
    let isProto2 = true;
    const reader = new WireReader(file.bytes);
    while (reader.next()) {
      if (reader.field === FILE_MESSAGE) messages.push(reader.block());
      else if (reader.field === FILE_ENUM) this.#addEnum(file.package, reader.block());
      else if (reader.field === FILE_SYNTAX) isProto2 = reader.text() !== 'proto3';
      else reader.skip();
    }
    for (const bytes of messages) this.#addMessage(file.package, bytes, isProto2);
  }

  #addMessage(scope: string, bytes: Buffer, isProto2: boolean): void {
    const typeName = qualified(scope, nameOf(bytes));
    this.#rawMessages.set(typeName, { bytes, isProto2 });
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.field === MESSAGE_NESTED) this.#addNested(typeName, reader.block(), isProto2);
      else if (reader.field === MESSAGE_ENUM) this.#addEnum(typeName, reader.block());
      else reader.skip();
    }
  }

  /** The entry of a map is no type that anybody can name. */
  #addNested(scope: string, bytes: Buffer, isProto2: boolean): void {
    if (!isMapEntry(bytes)) this.#addMessage(scope, bytes, isProto2);
  }

  #addEnum(scope: string, bytes: Buffer): void {
    this.#rawEnums.set(qualified(scope, nameOf(bytes)), bytes);
  }
}

function qualified(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}

/** The name of a message or enum: the first field of its descriptor. */
function nameOf(bytes: Buffer): string {
  const reader = new WireReader(bytes);
  return reader.next() && reader.field === 1 ? reader.text() : '';
}
