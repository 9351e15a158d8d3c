// `layered_runtime`: static layers, flattened to dotted keys and merged, later layers winning.

import { ConfigError } from '../../util/error.ts';
import type { JsonObject, JsonValue } from '../model/common.ts';
import type { Model } from '../model/model.ts';
import { list, type Msg, oneof, str, sub } from '../schema/message.ts';

type Values = { [key: string]: string | number | boolean };

export function lowerRuntime(bootstrap: Msg, path: string): Pick<Model, 'runtime' | 'runtimeLayers'> {
  const layered = sub(bootstrap, 'layeredRuntime');
  const layers: { name: string; values: Values }[] = [];
  const merged: Values = {};
  for (const [i, layer] of (layered === null ? [] : list(layered, 'layers')).entries()) {
    const where = `${path}.layers[${i}]`;
    const name = str(layer, 'name');
    if (layers.some((known) => known.name === name)) throw new ConfigError(`Duplicate layer name: ${name}`, where);
    const specifier = oneof(layer, 'layerSpecifier');
    const values: Values = {};
    if (specifier?.case === 'staticLayer') flatten(specifier.value as JsonObject, '', values, `${where}.static_layer`);
    layers.push({ name, values });
    Object.assign(merged, values);
  }
  return { runtime: merged, runtimeLayers: layers };
}

/** `{a: {b: 1}}` → `a.b`. A `FractionalPercent` stays one value, as JSON text. */
function flatten(object: JsonObject, prefix: string, into: Values, path: string): void {
  for (const [key, value] of Object.entries(object)) {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    if (isObject(value)) {
      if ('numerator' in value || 'denominator' in value) into[name] = JSON.stringify(value);
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
