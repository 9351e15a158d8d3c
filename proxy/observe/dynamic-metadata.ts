// Dynamic metadata: what filters say about a request or connection, a struct per namespace (Envoy:
// `StreamInfo::dynamicMetadata`). Structs are never changed in place: some of them belong to the configuration.

import type { JsonObject, JsonValue } from '../config/model/common.ts';

/** Namespace → struct of ordinary strings. */
export interface DynamicMetadata {
  [namespace: string]: JsonObject;
}

interface MetadataHolder {
  dynamicMetadata: DynamicMetadata | null;
}

/** Puts fields into a namespace over those with the same names. */
export function addMetadata(holder: MetadataHolder, namespace: string, fields: JsonObject): void {
  const all = metadataOf(holder);
  const present = all[namespace];
  all[namespace] = present === undefined ? fields : { ...present, ...fields };
}

/** Merges fields into a namespace (Envoy: `StructUtil::update`): structs are merged, lists are joined, the rest replaced. */
export function mergeMetadata(holder: MetadataHolder, namespace: string, fields: JsonObject): void {
  const all = metadataOf(holder);
  const present = all[namespace];
  all[namespace] = present === undefined ? fields : mergeStructs(present, fields);
}

function metadataOf(holder: MetadataHolder): DynamicMetadata {
  // No namespace may find what all objects inherit.
  holder.dynamicMetadata ??= Object.create(null) as DynamicMetadata;
  return holder.dynamicMetadata;
}

function mergeStructs(under: JsonObject, over: JsonObject): JsonObject {
  const merged: { [key: string]: JsonValue } = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const present = Object.hasOwn(under, key) ? (under[key] as JsonValue) : undefined;
    merged[key] = present === undefined ? value : mergeValues(present, value);
  }
  return merged;
}

function mergeValues(under: JsonValue, over: JsonValue): JsonValue {
  if (Array.isArray(under) && Array.isArray(over)) return [...under, ...over];
  return isStruct(under) && isStruct(over) ? mergeStructs(under, over) : over;
}

function isStruct(value: JsonValue): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
