// Query parameters as Envoy's `QueryParamsMulti` keeps them: decoded, sorted by name, written as they are. Values that are
// put there are encoded first, and names are not.

import type { QueryMutationModel } from '../config/model/http-filter.ts';
import { compileText, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Mutate } from '../route/mutations.ts';
import { UNSAFE } from '../route/mutations.ts';

/** Name → values in order. */
type Parameters = Map<string, string[]>;
type Step = (parameters: Parameters, info: StreamInfo) => void;

/** Compiles one level's mutations of `info.path`; `null` when there are none. */
export function compileQueryMutations(models: readonly QueryMutationModel[]): Mutate | null {
  if (models.length === 0) return null;
  const steps = models.map(compileStep);
  return (_headers, info) => {
    const query = info.path.indexOf('?');
    const parameters = query < 0 ? new Map() : parse(info.path.slice(query + 1));
    for (const step of steps) step(parameters, info);
    const path = (query < 0 ? info.path : info.path.slice(0, query)) + print(parameters);
    // Decoded, it may hold what would end its line: the router refuses the request, and the path stays as it is.
    if (UNSAFE.test(path)) info.unsafeHeader = ':path';
    else info.path = path;
  };
}

function compileStep(model: QueryMutationModel): Step {
  const { key } = model;
  if (model.kind === 'remove') return (parameters) => parameters.delete(key);
  const { action } = model;
  const render: Formatter = compileText(model.value, true);
  return (parameters, info) => {
    const value = encode(render(info));
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

/** Envoy's `PercentEncoding::urlEncode`. */
function encode(text: string): string {
  return text.replace(/[^\w.*-]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
