// Header additions and removals, compiled (Envoy: docs configuration/http/http_conn_man/headers, "Custom request/response headers").
//
// Within a level, as Envoy 1.40 does it: removals, then every value is rendered, then what overwrites, then what adds.
// Levels run from the most specific to the least, or the other way round under
// `most_specific_header_mutations_wins`, so that the winner writes last.

import type { HeaderMap } from '../codec/headers.ts';
import { headerName } from '../codec/known-headers.ts';
import type { HeaderAddModel } from '../config/model/headers.ts';
import type { HeaderMutationModel } from '../config/model/mirror.ts';
import { compileStringMatch } from '../match/string.ts';
import { compileText, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';

/** A compiled header mutation list: applied to request or response headers; `null` where nothing is configured. */
export type Mutate = (headers: HeaderMap, info: StreamInfo) => void;

/** What no header value may hold. */
export const UNSAFE: RegExp = /[\0\r\n]/;

/** One level's lists; `lower` has refused pseudo-headers and `host`. @returns `null` when there is nothing to do */
export function compileMutations(
  add: readonly HeaderAddModel[],
  remove: readonly string[],
  direction: 'request' | 'response' = 'response',
): Mutate | null {
  if (add.length === 0 && remove.length === 0) return null;
  const adds = add.map((model) => new Addition(model, direction));
  const removals: Mutate = (headers) => {
    for (let i = 0; i < remove.length; i++) headers.remove(remove[i] as string);
  };
  if (adds.length === 0) return removals;
  const additions = adds.length === 1 ? compileOne(adds[0] as Addition) : compileMany(adds);
  return remove.length === 0 ? additions : sequence([removals, additions]);
}

/** Steps that are made one after the other, each seeing what those before it did. */
export function compileMutationSteps(
  steps: readonly HeaderMutationModel[],
  direction: 'request' | 'response' = 'response',
): Mutate | null {
  return sequence(steps.map((step) => compileStep(step, direction)));
}

function compileStep(step: HeaderMutationModel, direction: 'request' | 'response'): Mutate | null {
  if (step.kind === 'add') return compileMutations([step.add], [], direction);
  if (step.kind === 'remove') return compileMutations([], [step.name], direction);
  const matches = compileStringMatch(step.match);
  return (headers) => {
    for (const name of new Set(headers.names)) if (matches(name)) headers.remove(name);
  };
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

/** One header to add. */
class Addition {
  readonly name: string;
  readonly overwrites: boolean;
  private readonly render: Formatter;
  /** The value depends on the request. */
  private readonly dynamic: boolean;
  private readonly ofRequest: boolean;
  private readonly action: HeaderAddModel['action'];
  private readonly keepEmpty: boolean;
  /** Envoy keeps one entry of this name and joins values. */
  private readonly inline: boolean;

  constructor(model: HeaderAddModel, direction: 'request' | 'response') {
    const known = headerName(model.name);
    this.name = model.name;
    this.render = compileText(model.value, true);
    this.dynamic = model.value.includes('%');
    this.ofRequest = direction === 'request';
    this.action = model.action;
    this.overwrites = model.action === 'overwrite_if_exists_or_add' || model.action === 'overwrite_if_exists';
    this.keepEmpty = model.keepEmptyValue;
    this.inline = known !== null && (direction === 'request' ? known.requestInline : known.responseInline) >= 0;
  }

  /**
   * The value; `null` when it would end its line or the message. Such a request is refused later, as in Envoy; an answer
   * goes without the header, which Envoy would send.
   */
  valueFor(info: StreamInfo): string | null {
    const value = this.render(info);
    if (!this.dynamic || !UNSAFE.test(value)) return value;
    if (this.ofRequest) info.unsafeHeader = this.name;
    return null;
  }

  /** Whether the value is to be written, judged before anything of the level is. */
  applies(headers: HeaderMap, value: string): boolean {
    if (value === '' && !this.keepEmpty) return false;
    if (this.action === 'add_if_absent') return !headers.has(this.name);
    return this.action !== 'overwrite_if_exists' || headers.has(this.name);
  }

  write(headers: HeaderMap, value: string): void {
    const { name } = this;
    if (this.overwrites) headers.remove(name);
    else if (this.inline) {
      const at = headers.names.indexOf(name);
      if (at >= 0) {
        const before = headers.values[at] as string;
        headers.values[at] = before === '' || value === '' ? before + value : `${before},${value}`;
        return;
      }
    }
    headers.add(name, value);
  }
}

function compileOne(addition: Addition): Mutate {
  return (headers, info) => {
    const value = addition.valueFor(info);
    if (value !== null && addition.applies(headers, value)) addition.write(headers, value);
  };
}

function compileMany(additions: readonly Addition[]): Mutate {
  const count = additions.length;
  return (headers, info) => {
    // `null` = not to be written.
    const values: (string | null)[] = [];
    for (let i = 0; i < count; i++) {
      const addition = additions[i] as Addition;
      const value = addition.valueFor(info);
      values.push(value !== null && addition.applies(headers, value) ? value : null);
    }
    writeWhere(additions, values, headers, true);
    writeWhere(additions, values, headers, false);
  };
}

function writeWhere(
  additions: readonly Addition[],
  values: readonly (string | null)[],
  headers: HeaderMap,
  overwrites: boolean,
): void {
  for (let i = 0; i < additions.length; i++) {
    const addition = additions[i] as Addition;
    const value = values[i] as string | null;
    if (value !== null && addition.overwrites === overwrites) addition.write(headers, value);
  }
}
