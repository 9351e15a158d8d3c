// The model of mirrored requests (Envoy: config.route.v3.RouteAction.RequestMirrorPolicy) and of header mutations that
// hold in their order (config.common.mutation_rules.v3.HeaderMutation).

import type { FractionModel, StringMatchModel } from './common.ts';
import type { HeaderAddModel } from './headers.ts';

export interface MirrorModel {
  /** One of the two is empty. */
  readonly cluster: string;
  readonly clusterHeader: string;
  /** `null` = every request. */
  readonly fraction: FractionModel | null;
  /** `-shadow` follows the host's name. */
  readonly hostSuffix: boolean;
  /** The mirror's host; empty = the request's. */
  readonly hostRewrite: string;
  readonly mutations: readonly HeaderMutationModel[];
}

export type HeaderMutationModel =
  | { readonly kind: 'add'; readonly add: HeaderAddModel }
  /** Lower case. */
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'remove_matching'; readonly match: StringMatchModel };
