// Reads a `google.protobuf.Value` from the wire: the only message that comes in headers.

import { isUtf8 } from 'node:buffer';
import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { WireReader } from '../config/schema/descriptor-set.ts';

/** Messages within messages that are read: protobuf's own limit. */
const DEPTH_MAX = 100;
/** Messages that a struct or list puts around the values in it. */
const STRUCT_DEPTH = 3;
const LIST_DEPTH = 2;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;

/** @returns `undefined` when the bytes are no `Value`; one without a kind is `null` */
export function protoValue(bytes: Buffer): JsonValue | undefined {
  try {
    return readValue(bytes, 0);
  } catch {
    // The reader says so of bytes that end too early or make no sense.
    return undefined;
  }
}

/** @throws Error when the bytes are no `Value` */
function readValue(bytes: Buffer, depth: number): JsonValue {
  if (depth > DEPTH_MAX) throw new Error('values nest too deep');
  const reader = new WireReader(bytes);
  let value: JsonValue = null;
  while (next(reader)) {
    const { field, wireType } = reader;
    if (field === 1 && wireType === VARINT) {
      reader.varint64();
      value = null;
    } else if (field === 2 && wireType === FIXED64) value = reader.double();
    else if (field === 3 && wireType === LENGTH) value = readText(reader);
    else if (field === 4 && wireType === VARINT) value = reader.varint64() !== 0n;
    else if (field === 5 && wireType === LENGTH)
      value = { ...asStruct(value), ...readStruct(reader.block(), depth + STRUCT_DEPTH) };
    else if (field === 6 && wireType === LENGTH)
      value = [...asList(value), ...readList(reader.block(), depth + LIST_DEPTH)];
    else reader.skip();
  }
  return value;
}

/** A message that comes twice is merged. */
function asStruct(value: JsonValue): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as JsonObject) : {};
}

function asList(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function next(reader: WireReader): boolean {
  if (!reader.next()) return false;
  if (reader.field === 0) throw new Error('no field has the number 0');
  return true;
}

function readText(reader: WireReader): string {
  const bytes = reader.block();
  if (!isUtf8(bytes)) throw new Error('a string is no UTF-8');
  return bytes.toString('utf8');
}

function readStruct(bytes: Buffer, depth: number): JsonObject {
  const reader = new WireReader(bytes);
  const entries: [string, JsonValue][] = [];
  while (next(reader)) {
    if (reader.field === 1 && reader.wireType === LENGTH) entries.push(readEntry(reader.block(), depth));
    else reader.skip();
  }
  return Object.fromEntries(entries);
}

function readEntry(bytes: Buffer, depth: number): [string, JsonValue] {
  const reader = new WireReader(bytes);
  let key = '';
  let value: JsonValue = null;
  while (next(reader)) {
    if (reader.field === 1 && reader.wireType === LENGTH) key = readText(reader);
    else if (reader.field === 2 && reader.wireType === LENGTH) value = readValue(reader.block(), depth);
    else reader.skip();
  }
  return [key, value];
}

function readList(bytes: Buffer, depth: number): JsonValue[] {
  const reader = new WireReader(bytes);
  const values: JsonValue[] = [];
  while (next(reader)) {
    if (reader.field === 1 && reader.wireType === LENGTH) values.push(readValue(reader.block(), depth));
    else reader.skip();
  }
  return values;
}
