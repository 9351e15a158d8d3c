// The schema: every message, enum and validation rule of the Envoy v3 API that a configuration can name.
// `schema.binpb` is a compiled descriptor set (see NOTICE and `scripts/trim-schema.ts`); nothing is generated from it.

import { readFileSync } from 'node:fs';
import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

export type Registry = FileRegistry;

let loaded: Registry | null = null;

/** Loads the schema once per thread (about 0.1 s and 25 MB). */
export function loadRegistry(): Registry {
  if (loaded === null) {
    const bytes = readFileSync(new URL('schema.binpb', import.meta.url));
    loaded = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
  }
  return loaded;
}

/** The descriptor of a message that the schema must hold; a missing one is a mistake of ours, not of a configuration. */
export function messageDesc(typeName: string): DescMessage {
  const desc = loadRegistry().getMessage(typeName);
  if (desc === undefined) throw new Error(`schema.binpb does not define ${typeName}`);
  return desc;
}

/** `type.googleapis.com/envoy.x.Y` → `envoy.x.Y`; empty when there is no slash. */
export function typeNameOf(typeUrl: string): string {
  const slash = typeUrl.lastIndexOf('/');
  return slash < 0 ? '' : typeUrl.slice(slash + 1);
}

export function typeUrlOf(typeName: string): string {
  return `type.googleapis.com/${typeName}`;
}
