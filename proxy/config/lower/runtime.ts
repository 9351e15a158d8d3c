// `layered_runtime`: static layers, flattened to dotted keys and merged, later layers winning.

import { ConfigError } from '../../util/error.ts';
import { sixDigits } from '../../util/number-text.ts';
import type { JsonObject, JsonValue } from '../model/common.ts';
import type { Model } from '../model/model.ts';
import type { RuntimeEntry, RuntimeKeys, Share } from '../model/runtime.ts';
import { list, type Msg, oneof, str, sub } from '../schema/message.ts';

type Value = string | number | boolean | JsonObject;

/** What one layer says. */
type Values = { [key: string]: Value };

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;
const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;
// As C++ reads one; hexadecimal fractions aside.
const DECIMAL = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/;
const HEXADECIMAL = /^\s*\+?(0[xX][\da-fA-F]+)\s*$/;

export function lowerRuntime(bootstrap: Msg, path: string): Pick<Model, 'runtime' | 'runtimeLayers'> {
  const layered = sub(bootstrap, 'layeredRuntime');
  const layers: Model['runtimeLayers'][number][] = [];
  const runtime: { [key: string]: RuntimeEntry } = {};
  for (const [i, layer] of (layered === null ? [] : list(layered, 'layers')).entries()) {
    const where = `${path}.layers[${i}]`;
    const name = str(layer, 'name');
    if (layers.some((known) => known.name === name)) throw new ConfigError(`Duplicate layer name: ${name}`, where);
    const specifier = oneof(layer, 'layerSpecifier');
    const values: Values = {};
    if (specifier?.case === 'staticLayer') flatten(specifier.value as JsonObject, '', values, `${where}.static_layer`);
    layers.push({ name, values: mapped(values, textOf) });
    Object.assign(runtime, runtimeEntries(values));
  }
  return { runtime, runtimeLayers: layers };
}

/** Entries of values by dotted key. */
export function runtimeEntries(values: { readonly [key: string]: Value }): RuntimeKeys {
  return mapped(values, entryOf);
}

function mapped<T>(values: { readonly [key: string]: Value }, of: (value: Value) => T): { [key: string]: T } {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, of(value)]));
}

/** `{a: {b: 1}}` → `a.b`. A `FractionalPercent` stays one value. */
function flatten(object: JsonObject, prefix: string, into: Values, path: string): void {
  for (const [key, value] of Object.entries(object)) {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    if (isObject(value)) {
      if ('numerator' in value || 'denominator' in value) into[name] = value;
      else flatten(value, name, into, path);
    } else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      into[name] = value;
    } else {
      throw new ConfigError(`Invalid runtime entry value for ${name}`, path);
    }
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function entryOf(value: Value): RuntimeEntry {
  const number = typeof value === 'number' ? value : typeof value === 'string' ? numberIn(value) : null;
  const isInt = number !== null && Number.isInteger(number) && number >= INT_MIN && number < INT_MAX;
  return {
    number,
    flag: typeof value === 'boolean' ? value : isInt ? number !== 0 : null,
    share: typeof value === 'object' ? shareOf(value) : null,
  };
}

function numberIn(text: string): number | null {
  const hexadecimal = HEXADECIMAL.exec(text)?.[1];
  const number = hexadecimal !== undefined || DECIMAL.test(text) ? Number(hexadecimal ?? text) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

function shareOf({ numerator = 0, denominator = 'HUNDRED' }: JsonObject): Share | null {
  if (typeof numerator !== 'number' || typeof denominator !== 'string') return null;
  if (!Object.hasOwn(DENOMINATORS, denominator)) return null;
  return { numerator: Math.trunc(numerator), denominator: DENOMINATORS[denominator as keyof typeof DENOMINATORS] };
}

/** As the admin port shows it. */
function textOf(value: Value): string {
  if (typeof value === 'object') return JSON.stringify(value);
  return typeof value === 'number' ? sixDigits(value) : String(value);
}
