// Header additions and removals, compiled (Envoy: docs configuration/http/http_conn_man/headers, "Custom request/response headers").
// Within a level removals follow additions; levels run from the most specific to the least, or the other way round
// under `most_specific_header_mutations_wins`, so that the winner writes last.

import type { HeaderAddModel } from '../config/model-http.ts';
import { compileText } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Mutate } from './route.ts';

/** One level's lists. @returns `null` when there is nothing to do */
export function compileMutations(add: readonly HeaderAddModel[], remove: readonly string[]): Mutate | null {
  if (add.length === 0 && remove.length === 0) return null;
  const steps: Mutate[] = add.map(compileAdd);
  for (const name of remove)
    if (name !== 'host' && !name.startsWith(':')) steps.push((headers) => headers.remove(name));
  return sequence(steps);
}

/** Runs levels in order; `null` ones cost nothing. */
export function sequence(levels: readonly (Mutate | null)[]): Mutate | null {
  const steps = levels.filter((step) => step !== null);
  const [first, second] = steps;
  if (first === undefined) return null;
  if (second === undefined) return first;
  return (headers, info) => {
    for (let i = 0; i < steps.length; i++) (steps[i] as Mutate)(headers, info);
  };
}

function compileAdd(model: HeaderAddModel): Mutate {
  const { name, action, keepEmptyValue } = model;
  const render = compileText(model.value, true);
  const pseudo = compilePseudo(name, render);
  if (pseudo !== null) return pseudo;
  switch (action) {
    case 'append_if_exists_or_add':
      return (headers, info) => {
        const value = render(info);
        if (value !== '' || keepEmptyValue) headers.add(name, value);
      };
    case 'add_if_absent':
      return (headers, info) => {
        if (headers.has(name)) return;
        const value = render(info);
        if (value !== '' || keepEmptyValue) headers.add(name, value);
      };
    case 'overwrite_if_exists_or_add':
      return (headers, info) => {
        const value = render(info);
        if (value !== '' || keepEmptyValue) headers.set(name, value);
      };
    case 'overwrite_if_exists':
      return (headers, info) => {
        if (!headers.has(name)) return;
        const value = render(info);
        if (value !== '' || keepEmptyValue) headers.set(name, value);
      };
  }
}

/** Pseudo-headers are fields of the record. */
function compilePseudo(name: string, render: (info: StreamInfo) => string): Mutate | null {
  switch (name) {
    case ':authority':
    case 'host':
      return (_headers, info) => {
        info.authority = render(info);
      };
    case ':path':
      return (_headers, info) => {
        info.path = render(info);
      };
    case ':method':
      return (_headers, info) => {
        info.method = render(info);
      };
    default:
      return null;
  }
}
