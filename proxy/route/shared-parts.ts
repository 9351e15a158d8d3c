// What thousands of routes have in common exists once: rules, and targets with what is done to requests on their way
// there. A request then finds them in the processor's cache, whichever route the one before it took.

import type { RouteActionModel, RouteModel, VirtualHostModel } from '../config/model/route.ts';
import type { RouteRules } from './route.ts';
import type { CompiledTarget } from './target.ts';

/** Rules, and targets, that are looked for again; what comes later is not shared. */
const SHARED_MAX = 4_096;

/**
 * Routes with the same key have the same rules, wherever their requests go.
 * @returns `null` where a route's rules are its own: they count, or filters keep something for it
 */
export function rulesKey(model: RouteModel, virtualHost: VirtualHostModel): string | null {
  const { action, filters, headers, match, requestBodyBufferLimitBytes, statPrefix } = model;
  if (action.kind !== 'route' || action.cluster.kind !== 'cluster') return null;
  if (filters !== null || virtualHost.filters !== null) return null;
  if (statPrefix !== '' || virtualHost.virtualClusters.length > 0) return null;
  const { cluster: _, ...rest } = action;
  const { includeAttemptCountInResponse, includeIsTimeoutRetryHeader, includeRequestAttemptCount } = virtualHost;
  return JSON.stringify([
    rest,
    headers,
    requestBodyBufferLimitBytes,
    virtualHost.headers,
    [includeAttemptCountInResponse, includeIsTimeoutRetryHeader, includeRequestAttemptCount],
    // A path is rewritten by what it was matched with.
    rewritesPath(action) ? match : null,
  ]);
}

function rewritesPath({ pathFormat, prefixRewrite, regexRewrite, templateRewrite }: RouteActionModel): boolean {
  return pathFormat !== '' || prefixRewrite !== '' || regexRewrite !== null || templateRewrite !== null;
}

/** Those of one route configuration. */
export class SharedParts {
  private readonly allRules: Map<string, RouteRules>;
  private readonly targets: Map<string, CompiledTarget>;

  constructor() {
    this.allRules = new Map();
    this.targets = new Map();
  }

  rules(key: string | null, make: () => RouteRules): RouteRules {
    return key === null ? make() : once(this.allRules, key, make);
  }

  target(key: string | null, cluster: string, make: () => CompiledTarget): CompiledTarget {
    return key === null ? make() : once(this.targets, `${cluster}\n${key}`, make);
  }
}

function once<T>(known: Map<string, T>, key: string, make: () => T): T {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    if (known.size < SHARED_MAX) known.set(key, value);
  }
  return value;
}
