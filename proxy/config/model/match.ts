// The model of matchers that are not about HTTP (Envoy: type.matcher.v3).

import type { CidrModel, StringMatchModel } from './common.ts';

/** `ValueMatcher`: what a value of metadata is compared with. */
export type ValueMatchModel =
  /** `present: false` matches nothing, as in Envoy. */
  | { readonly kind: 'present'; readonly present: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly match: StringMatchModel }
  | { readonly kind: 'range'; readonly start: number; readonly end: number }
  | { readonly kind: 'exact_number'; readonly value: number }
  /** Some element of a list matches. */
  | { readonly kind: 'list'; readonly oneOf: ValueMatchModel }
  | { readonly kind: 'or'; readonly matches: readonly ValueMatchModel[] };

/** `MetadataMatcher`. */
export interface MetadataMatchModel {
  readonly namespace: string;
  readonly path: readonly string[];
  readonly value: ValueMatchModel;
  readonly invert: boolean;
}

/** `FilterStateMatcher`. */
export interface FilterStateMatchModel {
  readonly key: string;
  readonly match:
    | { readonly kind: 'string'; readonly string: StringMatchModel }
    | { readonly kind: 'address'; readonly ranges: readonly CidrModel[]; readonly invert: boolean };
}
