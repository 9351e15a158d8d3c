// SEAM: where one request goes, and what is done to it on the way.

import type { HeaderMap } from '../codec/headers.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { ClusterRef } from '../upstream/upstream.ts';
import type { Mutate } from './mutations.ts';

/** The HTTP filters that act on a request, known to who runs them only; `null` = none acts. */
export type RouteFilters = readonly object[] | null;

/** The cluster of one request with the mutations that hold for it (weighted cluster → route → virtual host → configuration, in Envoy's order). */
export interface CompiledTarget {
  readonly cluster: ClusterRef;
  /** Sets the authority, too, where a weighted cluster has one of its own. */
  readonly mutateRequest: Mutate | null;
  /** It may give requests `x-envoy-*` headers that they did not come with. */
  readonly addsEnvoyHeaders: boolean;
  readonly mutateResponse: Mutate | null;
  /** The route's, and what the target itself says. */
  readonly filters: RouteFilters;
  /** Among the weighted clusters of its route. */
  readonly place: number;
}

/** See `RouteRules.pickTarget`. */
export type PickTarget = (info: StreamInfo, headers: HeaderMap, random: number) => CompiledTarget | null;
