// The model of generic matchers (Envoy: xds.type.matcher.v3.Matcher): trees that lead from inputs to an action.
// What an action is depends on the place: routes of a virtual host, the name of a filter chain.

import type { CidrModel, FractionModel, StringMatchModel } from './common.ts';

export interface MatcherModel<A> {
  readonly choice: MatcherChoiceModel<A>;
  /** Where nothing in `choice` leads to an action; `null` = nowhere. */
  readonly onNoMatch: OnMatchModel<A> | null;
}

export type MatcherChoiceModel<A> =
  | { readonly kind: 'none' }
  /** The first one that holds and leads to an action. */
  | {
      readonly kind: 'list';
      readonly entries: readonly { readonly predicate: PredicateModel; readonly onMatch: OnMatchModel<A> }[];
    }
  /** `prefix`: from the longest on. `names`: the exact name, then `*.suffix` from the longest on, then `*`. */
  | {
      readonly kind: 'exact' | 'prefix' | 'names';
      readonly input: MatchInputModel;
      readonly entries: readonly { readonly keys: readonly string[]; readonly onMatch: OnMatchModel<A> }[];
    }
  /** From the longest range on; an exclusive one is left out where a longer one holds. */
  | {
      readonly kind: 'ip';
      readonly input: MatchInputModel;
      readonly entries: readonly {
        readonly ranges: readonly CidrModel[];
        readonly exclusive: boolean;
        readonly onMatch: OnMatchModel<A>;
      }[];
    };

/** `skip`: the action is passed over and matching goes on (`keep_matching`). */
export type OnMatchModel<A> =
  | { readonly kind: 'action'; readonly action: A; readonly skip: boolean }
  | { readonly kind: 'matcher'; readonly matcher: MatcherModel<A>; readonly skip: boolean };

export type PredicateModel =
  | { readonly kind: 'single'; readonly input: MatchInputModel; readonly test: InputTestModel }
  | { readonly kind: 'and' | 'or'; readonly predicates: readonly PredicateModel[] }
  | { readonly kind: 'not'; readonly predicate: PredicateModel };

/** What a value is compared with; a value that is absent matches nothing. */
export type InputTestModel =
  | { readonly kind: 'string'; readonly string: StringMatchModel }
  | { readonly kind: 'ip'; readonly ranges: readonly CidrModel[] }
  /** The remainder of the value's hash is `from` or more. */
  | {
      readonly kind: 'hash';
      /** Decimal, unsigned 64 bits. */
      readonly seed: string;
      readonly modulo: number;
      readonly from: number;
    }
  /** The value's hash lies in a share of all. */
  | { readonly kind: 'fraction'; readonly seed: string; readonly fraction: FractionModel }
  /** It asks for something that no input here is. */
  | { readonly kind: 'never' };

/** A fact about a connection. */
export type ConnectionFact =
  | 'destination_ip'
  | 'destination_port'
  | 'source_ip'
  | 'source_port'
  | 'direct_source_ip'
  /** `local` or absent. */
  | 'source_type'
  | 'server_name'
  | 'transport_protocol'
  /** All of them: `'h2','http/1.1'`. */
  | 'application_protocol';

export type MatchInputModel =
  /** Lower case; pseudo-headers too. Values of a repeated one are joined. */
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'filter_state'; readonly key: string; readonly field: string }
  | { readonly kind: 'connection'; readonly fact: ConnectionFact }
  /** Not known yet when it is asked for: whatever asks leads nowhere. */
  | { readonly kind: 'unknown' }
  /** Known when the configuration is read; `null` = absent. */
  | { readonly kind: 'constant'; readonly value: string | null };
