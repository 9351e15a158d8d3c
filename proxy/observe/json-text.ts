// JSON text as Envoy's access logs write it, over latin1 images of bytes.

import type { JsonObject, JsonValue } from '../config/model.ts';

/** Bytes that are not written as they stand; those from 0x80 on are only suspects. */
const SUSPECT = /["\\\u0000-\u001f\u0080-\u00ff]/;
const NON_ASCII = /[\u0080-\u00ff]/;
/** Well-formed UTF-8 of two to four bytes (Unicode, table 3-7). */
const UTF8 =
  /^(?:[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$/;
const EACH_SUSPECT = /["\\\u0000-\u001f\u0080-\u00ff]/g;

/**
 * The inside of a JSON string. UTF-8 passes; when the bytes are not UTF-8, every byte that is not plain ASCII, and
 * every quote, backslash and control character with it, becomes `\u00xx`.
 */
export function escapeJson(latin1: string): string {
  if (!SUSPECT.test(latin1)) return latin1;
  if (NON_ASCII.test(latin1) && !UTF8.test(latin1)) {
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
  if (value === null || typeof value !== 'object') {
    const text = JSON.stringify(value);
    return typeof value === 'string' ? latin1Image(text) : text;
  }
  if (Array.isArray(value)) return `[${value.map(jsonOfTree).join(',')}]`;
  return `{${sortedEntries(value as JsonObject)
    .map(([key, item]) => `${latin1Image(JSON.stringify(key))}:${jsonOfTree(item)}`)
    .join(',')}}`;
}

/** Entries in the order in which Envoy writes them, by the bytes of their keys. */
export function sortedEntries(object: JsonObject): [string, JsonValue][] {
  return Object.entries(object).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** The latin1 image of a string's UTF-8 bytes, for text that did not come from the wire. */
export function latin1Image(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
