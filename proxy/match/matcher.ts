// Generic matchers compiled to closures: a map where the tree is a map, one call per step where it is a list.
//
// Nothing that is found ends the search unless it leads to an action: a matcher below that finds nothing sends it on to
// the next entry, the next shorter prefix or range, and at last to `onNoMatch`.

import type {
  InputTestModel,
  MatcherModel,
  MatchInputModel,
  OnMatchModel,
  PredicateModel,
} from '../config/model/matcher.ts';
import { type RuntimeKeys, runtimeFraction } from '../config/model/runtime.ts';
import { U64, xxHash64 } from '../util/hash64.ts';
import { CidrMap, compileRanges, parseIp, parseIpAsWritten } from '../util/ip.ts';
import { compileStringMatch } from './string.ts';

/** Finds what a subject leads to; `null` = nothing. */
export type Matcher<S, R> = (subject: S) => R | null;

/** Reads an input; `null` = it is absent. */
export type ReadInput<S> = (subject: S) => string | null;

/** What a matcher works on, and what its actions become. */
export interface MatcherEnv<A, S, R> {
  readonly runtimeKeys: RuntimeKeys;
  input(model: MatchInputModel): ReadInput<S>;
  action(model: A): R;
}

export function compileMatcher<A, S, R>(model: MatcherModel<A>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const choose = compileChoice(model.choice, env);
  if (model.onNoMatch === null) return choose;
  const otherwise = compileOnMatch(model.onNoMatch, env);
  return (subject) => choose(subject) ?? otherwise(subject);
}

function compileChoice<A, S, R>(model: MatcherModel<A>['choice'], env: MatcherEnv<A, S, R>): Matcher<S, R> {
  switch (model.kind) {
    case 'none':
      return nothing;
    case 'list':
      return compileList(model.entries, env);
    case 'exact':
      return compileExact(model, env);
    case 'prefix':
      return compilePrefix(model, env);
    case 'names':
      return compileNames(model, env);
    case 'ip':
      return compileIp(model, env);
  }
}

function nothing(): null {
  return null;
}

function compileOnMatch<A, S, R>(model: OnMatchModel<A>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  if (model.skip) return nothing;
  if (model.kind === 'matcher') return compileMatcher(model.matcher, env);
  const action = env.action(model.action);
  return () => action;
}

type ChoiceOf<A, K extends string> = Extract<MatcherModel<A>['choice'], { readonly kind: K }>;

function compileList<A, S, R>(entries: ChoiceOf<A, 'list'>['entries'], env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const holds = entries.map(({ predicate }) => compilePredicate(predicate, env));
  const leads = entries.map(({ onMatch }) => compileOnMatch(onMatch, env));
  return (subject) => {
    for (let i = 0; i < holds.length; i++) {
      if (!(holds[i] as (subject: S) => boolean)(subject)) continue;
      const found = (leads[i] as Matcher<S, R>)(subject);
      if (found !== null) return found;
    }
    return null;
  };
}

// === Maps ===

type Keyed<A> = ChoiceOf<A, 'exact' | 'prefix' | 'names'>;

function mapOf<A, S, R>({ entries }: Keyed<A>, env: MatcherEnv<A, S, R>): Map<string, Matcher<S, R>> {
  const map = new Map<string, Matcher<S, R>>();
  for (const { keys, onMatch } of entries) {
    const lead = compileOnMatch(onMatch, env);
    for (const key of keys) map.set(key, lead);
  }
  return map;
}

function compileExact<A, S, R>(model: Keyed<A>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const read = env.input(model.input);
  const map = mapOf(model, env);
  return (subject) => {
    const text = read(subject);
    const lead = text === null ? undefined : map.get(text);
    return lead === undefined ? null : lead(subject);
  };
}

/** One lookup per length in use, the longest first. */
function compilePrefix<A, S, R>(model: Keyed<A>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const read = env.input(model.input);
  const map = mapOf(model, env);
  const lengths = [...new Set([...map.keys()].map((key) => key.length))].sort((a, b) => b - a);
  return (subject) => {
    const text = read(subject);
    if (text === null) return null;
    for (const length of lengths) {
      if (length > text.length) continue;
      const found = map.get(text.slice(0, length))?.(subject) ?? null;
      if (found !== null) return found;
    }
    return null;
  };
}

/** The name itself, `*.` with what follows each of its dots, and `*`. Upper case is not folded, as in Envoy. */
function compileNames<A, S, R>(model: Keyed<A>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const read = env.input(model.input);
  const map = mapOf(model, env);
  return (subject) => {
    const name = read(subject);
    if (name === null || name === '') return null;
    let found = map.get(name)?.(subject) ?? null;
    for (let dot = name.indexOf('.'); found === null && dot >= 0; dot = name.indexOf('.', dot + 1))
      found = map.get(`*${name.slice(dot)}`)?.(subject) ?? null;
    return found ?? map.get('*')?.(subject) ?? null;
  };
}

interface RangeLead<S, R> {
  readonly exclusive: boolean;
  readonly lead: Matcher<S, R>;
}

function compileIp<A, S, R>(model: ChoiceOf<A, 'ip'>, env: MatcherEnv<A, S, R>): Matcher<S, R> {
  const read = env.input(model.input);
  const map = new CidrMap<RangeLead<S, R>[]>();
  for (const { ranges, exclusive, onMatch } of model.entries) {
    const entry = { exclusive, lead: compileOnMatch(onMatch, env) };
    for (const { address, prefixLength } of ranges) {
      const bytes = parseIp(address);
      if (bytes !== null) map.at(bytes, prefixLength, () => []).push(entry);
    }
  }
  const take = (entries: readonly RangeLead<S, R>[], subject: S, first: boolean): R | null => {
    for (const { exclusive, lead } of entries) {
      const found = exclusive && !first ? null : lead(subject);
      if (found !== null) return found;
    }
    return null;
  };
  return (subject) => {
    const text = read(subject);
    const bytes = text === null ? null : parseIpAsWritten(text);
    return bytes === null ? null : map.search(bytes, subject, take);
  };
}

// === Predicates ===

function compilePredicate<A, S, R>(model: PredicateModel, env: MatcherEnv<A, S, R>): (subject: S) => boolean {
  switch (model.kind) {
    case 'single': {
      const read = env.input(model.input);
      const test = compileTest(model.test, env.runtimeKeys);
      return (subject) => {
        const text = read(subject);
        return text !== null && test(text);
      };
    }
    case 'not': {
      const holds = compilePredicate(model.predicate, env);
      return (subject) => !holds(subject);
    }
    default: {
      const list = model.predicates.map((predicate) => compilePredicate(predicate, env));
      const all = model.kind === 'and';
      return (subject) => {
        for (let i = 0; i < list.length; i++) {
          if ((list[i] as (subject: S) => boolean)(subject) !== all) return !all;
        }
        return all;
      };
    }
  }
}

function compileTest(model: InputTestModel, runtimeKeys: RuntimeKeys): (text: string) => boolean {
  switch (model.kind) {
    case 'string':
      return compileStringMatch(model.string);
    case 'ip':
      return compileRanges(model.ranges);
    case 'hash': {
      const { modulo, from } = model;
      const seed = seedOf(model.seed);
      const hash = new U64();
      return (text) => xxHash64(text, hash, seed).modulo(modulo) >= from;
    }
    case 'fraction': {
      const { numerator, denominator } = runtimeFraction(runtimeKeys, model.fraction);
      const seed = seedOf(model.seed);
      const hash = new U64();
      return (text) => xxHash64(text, hash, seed).modulo(denominator) < numerator;
    }
    case 'never':
      return () => false;
  }
}

function seedOf(text: string): U64 {
  const bits = BigInt(text);
  return new U64(Number(bits >> 32n), Number(bits & 0xffff_ffffn));
}
