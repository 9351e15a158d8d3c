// The model of routes that are chosen by what headers say, before virtual hosts are.

import type { RouteConfigModel } from './route.ts';

/** Route configurations by key. Of two equal keys the later one counts, of two equal names too. */
export interface ScopedRoutesModel {
  /** Makes the key of a request, a part each. */
  readonly keyBuilder: readonly ScopeKeyPartModel[];
  readonly scopes: readonly RouteScopeModel[];
}

/** Reads a part of a key from the first value of a header. */
export interface ScopeKeyPartModel {
  /** Lower case. */
  readonly header: string;
  /** What the value is cut at; empty = the whole value is the one element. */
  readonly elementSeparator: string;
  readonly extract:
    | { readonly kind: 'index'; readonly index: number }
    /** What follows the first `separator` of the first element that says `key` before it. */
    | { readonly kind: 'element'; readonly separator: string; readonly key: string };
}

export interface RouteScopeModel {
  readonly name: string;
  /** Matches keys of as many parts alone. */
  readonly key: readonly string[];
  readonly config: RouteConfigModel;
}
