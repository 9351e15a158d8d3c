// JSON text as Envoy's access logs write it, over latin1 images of bytes.

import type { JsonObject, JsonValue } from '../config/model/common.ts';

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

/** The latin1 image of a text's UTF-8 bytes; the inverse of `textOf`. */
export function latin1Image(text: string): string {
  if (!text.isWellFormed()) return text.replace(LONE_BYTES, bytesOfSurrogates);
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * The text of a latin1 image of UTF-8 bytes, as metadata keeps it. Where the bytes are no UTF-8, those beyond ASCII
 * become lone surrogates, so that nothing is lost.
 */
export function textOf(latin1: string): string {
  if (!NON_ASCII.test(latin1)) return latin1;
  if (UTF8.test(latin1)) return Buffer.from(latin1, 'latin1').toString('utf8');
  return latin1.replace(NON_ASCII_BYTES, (byte) => String.fromCharCode(SURROGATES + byte.charCodeAt(0)));
}

const SURROGATES = 0xdc00;
const NON_ASCII_BYTES = /[\u0080-\u00ff]/g;
const LONE_BYTES = /[\udc80-\udcff]/g;

function bytesOfSurrogates(surrogate: string): string {
  return String.fromCharCode(surrogate.charCodeAt(0) - SURROGATES);
}

function jsonOfText(text: string): string {
  return text.isWellFormed() ? latin1Image(JSON.stringify(text)) : jsonString(latin1Image(text));
}
