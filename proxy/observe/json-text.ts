// JSON text as Envoy's access logs write it, over latin1 images of bytes.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { isUtf8, latin1Image } from '../util/latin1.ts';

/** Bytes that are not written as they stand; those from 0x80 on are only suspects. */
const SUSPECT = /["\\\u0000-\u001f\u0080-\u00ff]/;
const EACH_SUSPECT = /["\\\u0000-\u001f\u0080-\u00ff]/g;

/**
 * The inside of a JSON string. UTF-8 passes; when the bytes are not UTF-8, every byte that is not plain ASCII, and
 * every quote, backslash and control character with it, becomes `\u00xx`.
 */
export function escapeJson(latin1: string): string {
  if (!SUSPECT.test(latin1)) return latin1;
  if (!isUtf8(latin1)) {
    return latin1.replace(EACH_SUSPECT, (byte) => `\\u00${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  }
  return JSON.stringify(latin1).slice(1, -1);
}

/** A JSON string of a latin1 image. */
export function jsonString(latin1: string): string {
  return `"${escapeJson(latin1)}"`;
}

/** JSON of a tree of ordinary strings with sorted keys, as a latin1 image of its UTF-8 bytes. */
export function jsonOfTree(value: JsonValue): string {
  if (typeof value === 'string') return jsonOfText(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonOfTree).join(',')}]`;
  return `{${sortedEntries(value as JsonObject)
    .map(([key, item]) => `${jsonOfText(key)}:${jsonOfTree(item)}`)
    .join(',')}}`;
}

/** Entries in the order in which Envoy writes them, by the bytes of their keys. */
export function sortedEntries(object: JsonObject): [string, JsonValue][] {
  return Object.entries(object).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function jsonOfText(text: string): string {
  return text.isWellFormed() ? latin1Image(JSON.stringify(text)) : jsonString(latin1Image(text));
}
