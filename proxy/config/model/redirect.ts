// The model of redirects that the proxy follows itself (Envoy: config.route.v3.InternalRedirectPolicy).

export interface InternalRedirectModel {
  /** Of one client's request. */
  readonly maxRedirects: number;
  readonly codes: readonly number[];
  readonly allowCrossScheme: boolean;
  readonly predicates: readonly RedirectPredicateModel[];
  /** Lower case; taken from the answer into the next request. */
  readonly headersToCopy: readonly string[];
}

/** Each may refuse a route that a redirect leads to. */
export type RedirectPredicateModel =
  /** Not a second time from the same route. */
  | { readonly kind: 'previous_routes' }
  /** Not from `http` to `https`. */
  | { readonly kind: 'safe_cross_scheme' }
  | { readonly kind: 'allow_listed_routes'; readonly names: readonly string[] };
