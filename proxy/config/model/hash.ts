// The model of hash policies: what of a request chooses its host under consistent hashing
// (Envoy: config.route.v3.RouteAction.HashPolicy, type.v3.HashPolicy).

import type { RegexRewriteModel } from './headers.ts';

export type HashPolicyModel = {
  /** What follows is looked at only while there is no hash. */
  readonly terminal: boolean;
} & (
  | { readonly kind: 'header'; readonly name: string; readonly rewrite: RegexRewriteModel | null }
  | HashCookieModel
  | { readonly kind: 'source_ip' }
  | { readonly kind: 'query_parameter'; readonly name: string }
  | { readonly kind: 'filter_state'; readonly key: string }
);

export interface HashCookieModel {
  readonly kind: 'cookie';
  readonly name: string;
  /** A request without the cookie is given one that lives so long; 0 = as long as the client likes, −1 = it is not. */
  readonly ttlSeconds: number;
  /** Empty = none. */
  readonly path: string;
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
}
