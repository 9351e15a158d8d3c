// Makes a difference small: takes away what is not needed for it.

import { compareScenario } from './compare.ts';
import type { FuzzRequest } from './fuzz-case.ts';
import type { Json } from './fuzz-maker.ts';
import { envoyRefusals, type Field, ourRefusal, type Runnable, runCases } from './fuzz-run.ts';
import type { Observation } from './types.ts';

/** A difference: at most one request, none = about who accepts the configuration. */
export interface Finding {
  readonly seed: number;
  readonly one: Runnable;
  /** As `compare.ts` writes them. */
  readonly lines: readonly string[];
}

/** Rounds, each of which may take away several things. */
const ROUNDS_MAX = 5;
/** Attempts of one round, all in one process. */
const ATTEMPTS_MAX = 70;

/** What kind of difference it is: where, not what. Lengths only follow from other differences, unless they are all there is. */
export function signatureOf(lines: readonly string[]): string {
  return placesOf(lines).join(' | ');
}

function placesOf(lines: readonly string[]): string[] {
  const all = [...new Set(lines.map(placeOf))].sort();
  const own = all.filter((place) => !/content-length$|\.sent$/.test(place));
  return own.length === 0 ? all : own;
}

function placeOf(line: string): string {
  const header = /^(\S+\.headers): (missing|unexpected|order)(?: "([^:"]*))?/.exec(line);
  if (header !== null) return header.slice(1).join(' ');
  return line.slice(0, line.indexOf(':'));
}

export async function shrink(field: Field, envoy: string, finding: Finding): Promise<Finding> {
  let best = finding;
  const wanted = new Set(placesOf(finding.lines));
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const cuts = cutsOf(best.one);
    const alone = cuts.map((cut) => closed(cut(best.one)));
    const single = await persisting(field, envoy, alone, wanted);
    if (single.size === 0) return best;
    // Several at once, as many as still leave the difference there.
    const joined: Runnable[] = [];
    let current = best.one;
    for (const place of single.keys()) {
      current = (cuts[place] as Cut)(current);
      joined.push(closed(current));
    }
    const both = await persisting(field, envoy, joined, wanted);
    const [first = 0] = single.keys();
    const place = Math.max(...both.keys(), -1);
    best =
      place < 0
        ? { seed: best.seed, one: alone[first] as Runnable, lines: single.get(first) ?? best.lines }
        : { seed: best.seed, one: joined[place] as Runnable, lines: both.get(place) ?? best.lines };
  }
  return best;
}

/** Takes something away; what it takes from the manager leaves a hole until `closed`, so that places keep their numbers. */
type Cut = (one: Runnable) => Runnable;

/** Which of these still differ in the way that is wanted, by place, with their lines. */
async function persisting(
  field: Field,
  envoy: string,
  all: readonly Runnable[],
  wanted: ReadonlySet<string>,
): Promise<Map<number, readonly string[]>> {
  const found = new Map<number, readonly string[]>();
  if (wanted.has('refusal')) {
    const theirs = envoyRefusals(field, envoy, all, () => true);
    for (const [place, one] of all.entries()) {
      const [envoySays, weSay] = [theirs.get(place) ?? null, ourRefusal(field, one)];
      if ((envoySays === null) !== (weSay === null))
        found.set(place, [`refusal: ${envoySays ?? 'none'} expected, ${weSay ?? 'none'} seen`]);
    }
    return found;
  }
  const places = all.map((_, place) => place).filter((place) => ourRefusal(field, all[place] as Runnable) === null);
  const own = places.map((place) => all[place] as Runnable);
  const refused = envoyRefusals(field, envoy, own, () => false);
  const left = places.filter((_, i) => !refused.has(i));
  const cases = left.map((place) => all[place] as Runnable);
  if (cases.length === 0) return found;
  const [expected, actual] = await Promise.all([runCases(field, envoy, cases), runCases(field, null, cases)]);
  for (const [i, place] of left.entries()) {
    const [theirs, ours] = [expected[i]?.[0], actual[i]?.[0]];
    const lines = compareScenario({ name: '', client: [] }, theirs as Observation, ours as Observation, false);
    if (lines.some((line) => wanted.has(placeOf(line)))) found.set(place, lines);
  }
  return found;
}

// === What can be taken away ===

type Path = readonly (string | number)[];

/** The largest parts come first. */
function cutsOf(one: Runnable): Cut[] {
  const parts: { readonly path: Path; readonly size: number }[] = [];
  const walk = (value: unknown, path: Path): void => {
    if (path.length > 0 && path.at(-1) !== '@type') parts.push({ path, size: JSON.stringify(value).length });
    if (typeof value !== 'object' || value === null) return;
    for (const [key, item] of Object.entries(value)) walk(item, [...path, Array.isArray(value) ? Number(key) : key]);
  };
  walk(one.manager, []);
  parts.sort((a, b) => b.size - a.size);
  const cuts: Cut[] = requestCuts(one.requests[0]);
  for (const { path } of parts) cuts.push((from) => ({ ...from, manager: cut(from.manager, path) as Json }));
  return cuts.slice(0, ATTEMPTS_MAX);
}

const GONE = Symbol('gone');

function cut(value: unknown, [key, ...rest]: Path): unknown {
  if (key === undefined) return GONE;
  if (Array.isArray(value)) return value.map((item, i) => (i === key ? cut(item, rest) : item));
  if (typeof value !== 'object' || value === null || !(key in value)) return value;
  return { ...value, [key]: cut((value as Record<string, unknown>)[key], rest) };
}

function closed(one: Runnable): Runnable {
  return { ...one, manager: close(one.manager) as Json };
}

function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== GONE).map(close);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([, item]) => item !== GONE);
  return Object.fromEntries(kept.map(([key, item]) => [key, close(item)]));
}

/** Header lines that frame a message stay. */
function requestCuts(request: FuzzRequest | undefined): Cut[] {
  if (request === undefined) return [];
  const head = request.text.slice(0, request.text.indexOf('\r\n\r\n'));
  const lines = head.split('\r\n').slice(1);
  const removable = lines.filter((line) => !/^(host|content-length|transfer-encoding):/i.test(line));
  const edit = (change: (text: string) => string): Cut => {
    return (from) => ({ ...from, requests: from.requests.map((one) => ({ ...one, text: change(one.text) })) });
  };
  const query = edit((text) => text.replace(/^(\S+ [^ ?]*)\?[^ ]*/, '$1'));
  const cuts = removable.map((line) => edit((text) => text.replace(`\r\n${line}\r\n`, '\r\n')));
  return head.split('\r\n')[0]?.includes('?') === true ? [query, ...cuts] : cuts;
}
