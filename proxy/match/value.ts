// Matchers of values in metadata, compiled (Envoy: type.matcher.v3.ValueMatcher).

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import type { ValueMatchModel } from '../config/model/match.ts';
import { latin1Image } from '../util/latin1.ts';
import { compileStringMatch } from './string.ts';

/** Whether a value matches; `undefined` = there is none, which matches nothing. */
export type ValueTest = (value: JsonValue | undefined) => boolean;

export function compileValueTest(model: ValueMatchModel): ValueTest {
  switch (model.kind) {
    case 'present':
      return (value) => model.present && value !== undefined;
    case 'null':
      return (value) => value === null;
    case 'bool':
    case 'exact_number':
      return (value) => value === model.value;
    case 'range':
      return (value) => typeof value === 'number' && value >= model.start && value < model.end;
    case 'string': {
      const test = compileStringMatch(model.match);
      return (value) => typeof value === 'string' && test(latin1Image(value));
    }
    case 'list': {
      const test = compileValueTest(model.oneOf);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case 'or': {
      const tests = model.matches.map((one) => compileValueTest(one));
      return (value) => tests.some((test) => test(value));
    }
  }
}

/** The value at a path of keys; `undefined` = there is none. */
export function valueAt(root: JsonObject | null | undefined, keys: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = root ?? undefined;
  for (const key of keys) {
    if (value === undefined || value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, key) ? (value as JsonObject)[key] : undefined;
  }
  return value;
}
