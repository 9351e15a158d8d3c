// protobuf-es over our schema, for what a start does not need: the binary form, and the JSON forms of rare types.
// Loaded through `library.ts` only. A file of the set is decoded when one of its types is first asked for.

import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { entriesOf, headOf } from './descriptor-set.ts';
import type { Msg } from './message.ts';
import { readSchema } from './registry.ts';

let loaded: LibraryRegistry | null = null;

/** The library's descriptors of this thread. */
export function libraryRegistry(): LibraryRegistry {
  loaded ??= new LibraryRegistry(readSchema());
  return loaded;
}

function descOf(typeName: string): DescMessage {
  const desc = libraryRegistry().getMessage(typeName);
  if (desc === undefined) throw new Error(`schema.binpb does not define ${typeName}`);
  return desc;
}

/** @throws Error when the bytes are no such message */
export function readBinary(typeName: string, bytes: Uint8Array): Msg {
  return fromBinary(descOf(typeName), bytes);
}

export function writeBinary(message: Msg): Uint8Array<ArrayBuffer> {
  return toBinary(descOf(message.$typeName), message);
}

/** @throws Error when the JSON is no such message */
export function readJson(typeName: string, json: unknown): Msg {
  return fromJson(descOf(typeName), json as JsonValue);
}

export function writeJson(message: Msg): unknown {
  return toJson(descOf(message.$typeName), message);
}

/** One file of the set, decoded or not. */
interface SchemaFile {
  readonly bytes: Buffer;
  readonly dependencies: readonly string[];
  desc: DescFile | null;
}

export class LibraryRegistry {
  readonly #files = new Map<string, SchemaFile>();
  readonly #byPackage = new Map<string, string[]>();
  readonly #messages = new Map<string, DescMessage>();
  #batches = 0;

  /** @param set a `google.protobuf.FileDescriptorSet` */
  constructor(set: Buffer) {
    for (const bytes of entriesOf(set)) {
      const head = headOf(bytes);
      this.#files.set(head.name, { bytes, dependencies: head.dependencies, desc: null });
      const siblings = this.#byPackage.get(head.package);
      if (siblings === undefined) this.#byPackage.set(head.package, [head.name]);
      else siblings.push(head.name);
    }
  }

  getMessage(typeName: string): DescMessage | undefined {
    const known = this.#messages.get(typeName);
    if (known !== undefined) return known;
    this.#loadPackagesOf(typeName);
    return this.#messages.get(typeName);
  }

  /** Every message of the schema; decodes all of it. */
  *allMessages(): Iterable<DescMessage> {
    this.#load([...this.#files.keys()]);
    yield* this.#messages.values();
  }

  /** A type's package is some prefix of its name; nested types have longer names. */
  #loadPackagesOf(typeName: string): void {
    for (let dot = typeName.lastIndexOf('.'); dot > 0; dot = typeName.lastIndexOf('.', dot - 1)) {
      const files = this.#byPackage.get(typeName.slice(0, dot));
      if (files !== undefined) this.#load(files);
    }
  }

  #load(names: readonly string[]): void {
    const batch: string[] = [];
    const seen = new Set<string>();
    const visit = (name: string): void => {
      const file = this.#files.get(name);
      if (file === undefined) throw new Error(`schema.binpb lacks ${name}`);
      if (file.desc !== null || seen.has(name)) return;
      seen.add(name);
      file.dependencies.forEach(visit);
      batch.push(name);
    };
    names.forEach(visit);
    if (batch.length > 0) this.#decode(batch);
  }

  /** @param batch dependencies before dependents */
  #decode(batch: readonly string[]): void {
    // The library takes one root and finds the rest through `resolve`. A root without types that names the batch,
    // dependents first, makes it add the files in the order that it needs: the reverse.
    const root = create(FileDescriptorProtoSchema, {
      name: `batch-${this.#batches++}`,
      syntax: 'proto3',
      dependency: batch.toReversed(),
    });
    const registry = createFileRegistry(root, (name) => this.#resolve(name));
    for (const name of batch) {
      const desc = registry.getFile(name);
      const file = this.#files.get(name);
      if (desc === undefined || file === undefined) throw new Error(`schema.binpb: cannot decode ${name}`);
      file.desc = desc;
      for (const type of nestedTypes(desc)) {
        if (type.kind === 'message') this.#messages.set(type.typeName, type);
      }
    }
  }

  #resolve(name: string): DescFile | FileDescriptorProto | undefined {
    const file = this.#files.get(name);
    if (file === undefined) return undefined;
    return file.desc ?? fromBinary(FileDescriptorProtoSchema, file.bytes);
  }
}
