// Lowers generic matchers (Envoy: xds.type.matcher.v3.Matcher). Which inputs and actions there are is for the place to
// say that holds the matcher.

import { isIP } from 'node:net';
import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { CidrModel } from '../model/common.ts';
import type {
  InputTestModel,
  MatcherChoiceModel,
  MatcherModel,
  MatchInputModel,
  OnMatchModel,
  PredicateModel,
} from '../model/matcher.ts';
import { type UnpackedAny, unpackAny } from '../read/any.ts';
import { bool, list, type Msg, messageMap, num, oneof, str, strings, sub } from '../schema/message.ts';
import { lowerCidr, lowerRuntimeFraction, lowerStringMatch, wireString } from './common.ts';

const IP_TREE = 'xds.type.matcher.v3.IPMatcher';
const NAME_TREE = 'xds.type.matcher.v3.ServerNameMatcher';
const IP_TEST = 'envoy.extensions.matching.input_matchers.ip.v3.Ip';
const HASH_TEST = 'envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing';
const FRACTION_TEST = 'envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction';
const METADATA_TEST = 'envoy.extensions.matching.input_matchers.metadata.v3.Metadata';
const ENVIRONMENT = 'envoy.extensions.matching.common_inputs.environment_variable.v3.Config';
const FILTER_STATE = 'envoy.extensions.matching.common_inputs.network.v3.FilterStateInput';

/** What a matcher can see and lead to where it stands. */
export interface MatcherPlace<A> {
  /** @returns `null` when the place has no such input */
  input(config: Msg, path: string): MatchInputModel | null;
  /** @returns `null` when the place has no such action */
  action(config: Msg, path: string): A | null;
  readonly mayKeepMatching: boolean;
}

export function lowerMatcher<A>(message: Msg, place: MatcherPlace<A>, path: string): MatcherModel<A> {
  return new MatcherReader(place).matcher(message, path);
}

/** Reads one extension: what `named` makes of its configuration, or Envoy's refusal when that is nothing. */
function extension<T>(message: Msg, path: string, named: (config: Msg, path: string) => T | null): T {
  const any = sub(message, 'typedConfig');
  const unpacked: UnpackedAny | null = any === null ? null : unpackAny(any, `${path}.typed_config`);
  const found = unpacked === null ? null : named(unpacked.message, `${path}.typed_config`);
  if (found === null) throw missingImplementation(str(message, 'name'), unpacked?.message.$typeName ?? '', path);
  return found;
}

class MatcherReader<A> {
  private readonly place: MatcherPlace<A>;

  constructor(place: MatcherPlace<A>) {
    this.place = place;
  }

  matcher(message: Msg, path: string): MatcherModel<A> {
    const otherwise = sub(message, 'onNoMatch');
    return {
      choice: this.choice(message, path),
      onNoMatch: otherwise === null ? null : this.onMatch(otherwise, `${path}.on_no_match`),
    };
  }

  private choice(message: Msg, path: string): MatcherChoiceModel<A> {
    const type = oneof(message, 'matcherType');
    if (type === null) return { kind: 'none' };
    const value = type.value as Msg;
    if (type.case === 'matcherTree') return this.tree(value, `${path}.matcher_tree`);
    const entries = list(value, 'matchers').map((entry, index) => {
      const at = `${path}.matcher_list.matchers[${index}]`;
      return {
        predicate: this.predicate(required(entry, 'predicate', at), `${at}.predicate`),
        onMatch: this.onMatch(required(entry, 'onMatch', at), `${at}.on_match`),
      };
    });
    return { kind: 'list', entries };
  }

  private onMatch(message: Msg, path: string): OnMatchModel<A> {
    const skip = bool(message, 'keepMatching');
    if (skip && !this.place.mayKeepMatching) {
      throw new ConfigError(
        'requirement violation while creating route match tree: INVALID_ARGUMENT: keep_matching is not supported in this context',
        path,
      );
    }
    const on = oneof(message, 'onMatch');
    if (on === null) throw new ConfigError('on_match is required', path);
    if (on.case === 'matcher') {
      return { kind: 'matcher', matcher: this.matcher(on.value as Msg, `${path}.matcher`), skip };
    }
    const { place } = this;
    return { kind: 'action', action: extension(on.value as Msg, `${path}.action`, place.action.bind(place)), skip };
  }

  private input(message: Msg, path: string): MatchInputModel {
    const { place } = this;
    return extension(required(message, 'input', path), `${path}.input`, (config, at) => {
      if (config.$typeName === ENVIRONMENT) {
        const value = process.env[str(config, 'name')];
        return { kind: 'constant', value: value === undefined ? null : wireString(value) };
      }
      if (config.$typeName === FILTER_STATE) {
        return { kind: 'filter_state', key: str(config, 'key'), field: str(config, 'field') };
      }
      return place.input(config, at);
    });
  }

  // === Predicates ===

  private predicate(message: Msg, path: string): PredicateModel {
    const type = oneof(message, 'matchType');
    if (type === null) throw new ConfigError('match_type is required', path);
    const value = type.value as Msg;
    switch (type.case) {
      case 'singlePredicate': {
        const at = `${path}.single_predicate`;
        return { kind: 'single', input: this.input(value, at), test: lowerTest(value, at) };
      }
      case 'notMatcher':
        return { kind: 'not', predicate: this.predicate(value, `${path}.not_matcher`) };
      default: {
        const kind = type.case === 'andMatcher' ? 'and' : 'or';
        const predicates = list(value, 'predicate').map((one, index) =>
          this.predicate(one, `${path}.${kind}_matcher.predicate[${index}]`),
        );
        return { kind, predicates };
      }
    }
  }

  // === Trees ===

  private tree(message: Msg, path: string): MatcherChoiceModel<A> {
    const input = this.input(message, path);
    const type = oneof(message, 'treeType');
    if (type === null) throw new ConfigError('tree_type is required', path);
    const value = type.value as Msg;
    if (type.case === 'customMatch') {
      return extension(value, `${path}.custom_match`, (config, at) => this.customTree(config, input, at));
    }
    const kind = type.case === 'exactMatchMap' ? 'exact' : 'prefix';
    const at = `${path}.${kind}_match_map.map`;
    const entries = Object.entries(messageMap(value, 'map')).map(([key, on]) => ({
      keys: [wireString(key)],
      onMatch: this.onMatch(on, `${at}[${JSON.stringify(key)}]`),
    }));
    return { kind, input, entries };
  }

  private customTree(config: Msg, input: MatchInputModel, path: string): MatcherChoiceModel<A> | null {
    if (config.$typeName === IP_TREE) {
      const entries = list(config, 'rangeMatchers').map((entry, index) => {
        const at = `${path}.range_matchers[${index}]`;
        return {
          ranges: list(entry, 'ranges').map((range, i) => treeRange(range, `${at}.ranges[${i}]`)),
          exclusive: bool(entry, 'exclusive'),
          onMatch: this.onMatch(required(entry, 'onMatch', at), `${at}.on_match`),
        };
      });
      return { kind: 'ip', input, entries };
    }
    if (config.$typeName !== NAME_TREE) return null;
    const seen = new Set<string>();
    const entries = list(config, 'domainMatchers').map((entry, index) => {
      const at = `${path}.domain_matchers[${index}]`;
      const keys = strings(entry, 'domains');
      for (const [i, domain] of keys.entries()) checkDomain(domain, seen, `${at}.domains[${i}]`);
      return { keys, onMatch: this.onMatch(required(entry, 'onMatch', at), `${at}.on_match`) };
    });
    return { kind: 'names', input, entries };
  }
}

function lowerTest(message: Msg, path: string): InputTestModel {
  const matcher = oneof(message, 'matcher');
  if (matcher === null) throw new ConfigError('matcher is required', path);
  const value = matcher.value as Msg;
  if (matcher.case === 'valueMatch') {
    return { kind: 'string', string: lowerStringMatch(value, `${path}.value_match`) };
  }
  return extension(value, `${path}.custom_match`, (config, at) => {
    if (config.$typeName === HASH_TEST) {
      return { kind: 'hash', seed: seedOf(config), modulo: num(config, 'modulo'), from: num(config, 'threshold') };
    }
    if (config.$typeName === FRACTION_TEST) {
      const fraction = lowerRuntimeFraction(required(config, 'runtimeFraction', at));
      return { kind: 'fraction', seed: seedOf(config), fraction };
    }
    // Only inputs of dynamic metadata could satisfy it; there are none where Envoy lets matchers stand.
    if (config.$typeName === METADATA_TEST) return { kind: 'never' };
    if (config.$typeName !== IP_TEST) return null;
    const ranges = list(config, 'cidrRanges').map((range, i) => lowerCidr(range, `${at}.cidr_ranges[${i}]`));
    return { kind: 'ip', ranges };
  });
}

/** Too large for a number. */
function seedOf(message: Msg): string {
  return String((message as unknown as { readonly seed: bigint }).seed);
}

function required(message: Msg, field: string, path: string): Msg {
  const value = sub(message, field);
  if (value === null) throw new ConfigError('value is required', path);
  return value;
}

/** As `lowerCidr`, in the words of the tree's own reader. */
function treeRange(range: Msg, path: string): CidrModel {
  const address = str(range, 'addressPrefix');
  const family = isIP(address);
  if (family === 0) throw new ConfigError(`malformed IP address: ${address}`, `${path}.address_prefix`);
  return { address, prefixLength: Math.min(num(range, 'prefixLen'), family === 4 ? 32 : 128) };
}

function checkDomain(domain: string, seen: Set<string>, path: string): void {
  const rest = domain.startsWith('*.') ? domain.slice(2) : domain;
  if (domain !== '*' && (rest === '' || rest.includes('*'))) {
    throw new ConfigError(
      `Invalid wildcard domain format: ${domain}. Only '*' and '*.domain' patterns are supported`,
      path,
    );
  }
  if (seen.has(domain)) throw new ConfigError(`Duplicate domain in ServerNameMatcher: ${domain}`, path);
  seen.add(domain);
}
