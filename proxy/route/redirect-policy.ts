// Which redirects of upstreams the proxy follows itself (Envoy: config.route.v3.InternalRedirectPolicy).

import type { InternalRedirectModel, RedirectPredicateModel } from '../config/model/redirect.ts';

/** How often, and from where to where, a client's request was redirected; goes with it from stream to stream. */
export class RedirectState {
  count: number;
  /** Route name → names of the routes that redirects from it have led to. */
  readonly visited: Map<string, Set<string>>;

  constructor() {
    this.count = 0;
    this.visited = new Map();
  }
}

/** A redirect that is being judged. */
export interface Step {
  readonly state: RedirectState;
  readonly fromRoute: string;
  readonly toRoute: string;
  readonly fromHttp: boolean;
  readonly toHttp: boolean;
}

type Predicate = (step: Step) => boolean;

/** A compiled policy. */
export interface InternalRedirect {
  readonly codes: ReadonlySet<number>;
  readonly maxRedirects: number;
  readonly allowCrossScheme: boolean;
  /** All must hold. */
  readonly predicates: readonly Predicate[];
  readonly headersToCopy: readonly string[];
}

export function compileInternalRedirect(model: InternalRedirectModel): InternalRedirect {
  return {
    codes: new Set(model.codes),
    maxRedirects: model.maxRedirects,
    allowCrossScheme: model.allowCrossScheme,
    predicates: model.predicates.map(compilePredicate),
    headersToCopy: model.headersToCopy,
  };
}

function compilePredicate(model: RedirectPredicateModel): Predicate {
  switch (model.kind) {
    case 'previous_routes':
      return isNewRoute;
    case 'safe_cross_scheme':
      return ({ fromHttp, toHttp }) => !fromHttp || toHttp;
    case 'allow_listed_routes': {
      const names = new Set(model.names);
      return ({ toRoute }) => names.has(toRoute);
    }
  }
}

function isNewRoute({ state, fromRoute, toRoute }: Step): boolean {
  const seen = state.visited.get(fromRoute);
  if (seen === undefined) {
    state.visited.set(fromRoute, new Set([toRoute]));
    return true;
  }
  if (seen.has(toRoute)) return false;
  seen.add(toRoute);
  return true;
}
