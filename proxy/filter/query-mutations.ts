// Query parameters as Envoy's `QueryParamsMulti` keeps them: decoded, sorted by name, written as they are.

import type { QueryMutationModel } from '../config/model-http-filter.ts';
import { compileText, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';

/** Name → values in order. */
export type Parameters = Map<string, string[]>;
export type MutateQuery = (parameters: Parameters, info: StreamInfo) => void;

/** Compiles one level's mutations; `null` when there are none. */
export function compileQueryMutations(models: readonly QueryMutationModel[]): MutateQuery | null {
  if (models.length === 0) return null;
  const steps = models.map(compileStep);
  return (parameters, info) => {
    for (const step of steps) step(parameters, info);
  };
}

/** The parameters of a path. */
export function parametersOf(path: string): Parameters {
  const query = path.indexOf('?');
  return query < 0 ? new Map() : parse(path.slice(query + 1));
}

/** The path with these parameters in place of its own. */
export function withParameters(path: string, parameters: Parameters): string {
  const query = path.indexOf('?');
  return (query < 0 ? path : path.slice(0, query)) + print(parameters);
}

function compileStep(model: QueryMutationModel): MutateQuery {
  const { key } = model;
  if (model.kind === 'remove') return (parameters) => parameters.delete(key);
  const { action } = model;
  const render: Formatter = compileText(model.value, true);
  return (parameters, info) => {
    const value = render(info);
    const present = parameters.get(key);
    if (action === 'add_if_absent' && present !== undefined) return;
    if (action === 'overwrite_if_exists' && present === undefined) return;
    if (action === 'append_if_exists_or_add' && present !== undefined) present.push(value);
    else parameters.set(key, [value]);
  };
}

function parse(query: string): Parameters {
  const parameters: Parameters = new Map();
  if (query === '') return parameters;
  for (const part of query.split('&')) {
    const equals = part.indexOf('=');
    const key = decode(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : decode(part.slice(equals + 1));
    const present = parameters.get(key);
    if (present === undefined) parameters.set(key, [value]);
    else present.push(value);
  }
  return parameters;
}

function print(parameters: Parameters): string {
  let out = '';
  const keys = [...parameters.keys()].sort();
  for (const key of keys) {
    for (const value of parameters.get(key) as string[]) out += `${out === '' ? '?' : '&'}${key}=${value}`;
  }
  return out;
}

/** What is no escape stays as it is. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
