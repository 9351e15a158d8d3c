// Scalar values of proto3 JSON. A parser returns the value or an `Error` that says what is wrong with it; where it
// stands is the caller's knowledge.

import { SCALAR } from './schema.ts';

export type ScalarParser = (json: unknown) => unknown;

const SHOWN_CHARACTERS_MAX = 80;

/** A JSON value in an error text: one line, shortened. */
export function shown(json: unknown): string {
  if (Array.isArray(json)) return 'a list';
  if (typeof json === 'object' && json !== null) return 'an object';
  if (typeof json !== 'string') return String(json);
  const text = json.length <= SHOWN_CHARACTERS_MAX ? json : `${json.slice(0, SHOWN_CHARACTERS_MAX - 3)}...`;
  return `'${text.replace(/[\u0000-\u001f\u007f]/g, escapeControl)}'`;
}

function escapeControl(character: string): string {
  return character === '\n' ? '\\n' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** @param type one of `SCALAR` */
export function scalarParser(type: number): ScalarParser {
  switch (type) {
    case SCALAR.STRING:
      return parseString;
    case SCALAR.BOOL:
      return parseBool;
    case SCALAR.BYTES:
      return parseBytes;
    case SCALAR.DOUBLE:
    case SCALAR.FLOAT:
      return parseFloating;
    case SCALAR.UINT32:
    case SCALAR.FIXED32:
      return (json) => parseInteger(json, 0, 0xffff_ffff, 'uint32');
    case SCALAR.INT32:
    case SCALAR.SINT32:
    case SCALAR.SFIXED32:
      return (json) => parseInteger(json, -0x8000_0000, 0x7fff_ffff, 'int32');
    case SCALAR.UINT64:
    case SCALAR.FIXED64:
      return (json) => parseLong(json, 0n, 0xffff_ffff_ffff_ffffn, 'uint64');
    default:
      return (json) => parseLong(json, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn, 'int64');
  }
}

function parseString(json: unknown): unknown {
  if (typeof json === 'string') return json;
  const hint = typeof json === 'number' || typeof json === 'boolean' ? ' (quote it)' : '';
  return new Error(`expected a string, got ${shown(json)}${hint}`);
}

const TRUE: ReadonlySet<string> = new Set(['true', 't', 'yes', 'y', '1']);
const FALSE: ReadonlySet<string> = new Set(['false', 'f', 'no', 'n', '0']);

function parseBool(json: unknown): unknown {
  if (typeof json === 'boolean') return json;
  const word = typeof json === 'string' ? json.toLowerCase() : '';
  if (TRUE.has(word)) return true;
  if (FALSE.has(word)) return false;
  return new Error(`expected true or false, got ${shown(json)}`);
}

/** Standard or URL-safe base64, padded or not. */
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function parseBytes(json: unknown): unknown {
  if (typeof json !== 'string' || !BASE64.test(json)) return new Error(`expected base64, got ${shown(json)}`);
  return new Uint8Array(Buffer.from(json, 'base64'));
}

function parseFloating(json: unknown): unknown {
  if (typeof json === 'number') return json;
  if (json === 'NaN') return Number.NaN;
  if (json === 'Infinity') return Number.POSITIVE_INFINITY;
  if (json === '-Infinity') return Number.NEGATIVE_INFINITY;
  const value = typeof json === 'string' ? numberOf(json.trim()) : Number.NaN;
  return Number.isNaN(value) ? new Error(`expected a number, got ${shown(json)}`) : value;
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEXADECIMAL = /^([+-]?)(0[xX][0-9a-fA-F]+)$/;

/** A number as C reads it. */
function numberOf(text: string): number {
  if (DECIMAL.test(text)) return Number(text);
  const [, sign, digits] = HEXADECIMAL.exec(text) ?? [];
  if (digits === undefined) return Number.NaN;
  return sign === '-' ? -Number(digits) : Number(digits);
}

function parseInteger(json: unknown, min: number, max: number, type: string): unknown {
  const value = typeof json === 'string' ? numberOf(json) : json;
  if (typeof value !== 'number' || !Number.isInteger(value))
    return new Error(`expected an integer, got ${shown(json)}`);
  if (value < min || value > max) return new Error(`${shown(json)} is out of range for ${type}`);
  return value;
}

function parseLong(json: unknown, min: bigint, max: bigint, type: string): unknown {
  let value: bigint;
  if (typeof json === 'string' && /^-?\d+$/.test(json)) value = BigInt(json);
  else {
    const number = typeof json === 'string' ? numberOf(json) : json;
    if (typeof number !== 'number' || !Number.isInteger(number)) {
      return new Error(`expected an integer, got ${shown(json)}`);
    }
    value = BigInt(number);
  }
  if (value < min || value > max) return new Error(`${shown(json)} is out of range for ${type}`);
  return value;
}
