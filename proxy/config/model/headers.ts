// Headers in the model: what is matched, rewritten and added (Envoy: config.route.v3.HeaderMatcher,
// config.core.v3.HeaderValueOption).

import type { StringMatchModel } from './common.ts';

/** `lower` = Envoy's default; `proper` = `Proper-Case-Words`; `preserve` = as the peer wrote it. */
export type HeaderCase = 'lower' | 'proper' | 'preserve';

export interface HeaderMatchModel {
  /** Lower case; `:method`, `:path`, `:authority`, `:scheme` allowed. */
  readonly name: string;
  readonly match:
    | { readonly kind: 'present'; readonly present: boolean }
    /** Half-open: start <= value < end, decimal integers only. */
    | { readonly kind: 'range'; readonly start: number; readonly end: number }
    | { readonly kind: 'string'; readonly string: StringMatchModel };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

export interface RegexRewriteModel {
  readonly pattern: string;
  /** RE2 substitution with `\1`. */
  readonly substitution: string;
}

export interface HeaderMutationsModel {
  readonly requestAdd: readonly HeaderAddModel[];
  readonly requestRemove: readonly string[];
  readonly responseAdd: readonly HeaderAddModel[];
  readonly responseRemove: readonly string[];
}

export interface HeaderAddModel {
  /** Lower case. */
  readonly name: string;
  /** A substitution format string. */
  readonly value: string;
  readonly action: 'append_if_exists_or_add' | 'add_if_absent' | 'overwrite_if_exists_or_add' | 'overwrite_if_exists';
  readonly keepEmptyValue: boolean;
}
