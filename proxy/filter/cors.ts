// Cross-origin requests (Envoy: extensions.filters.http.cors.v3): answers preflights and says in answers who may read
// them. Acts where a route or something above it has a policy; what the most specific level leaves open, others say.

import { HeaderMap } from '../codec/headers.ts';
import type { CorsPolicyModel } from '../config/model/http-filter.ts';
import { runtimeFraction } from '../config/model/runtime.ts';
import { compileStringMatch } from '../match/string.ts';
import {
  CONTINUE,
  type FilterCall,
  type FilterEnv,
  type FilterRunControl,
  type HttpFilter,
  REPLIED,
  type Verdict,
} from './filter.ts';
import { ALWAYS, compileDraw, type Draw, NEVER } from './fraction.ts';

/** The policies of one route as one. */
interface Policy {
  readonly enabled: Draw;
  readonly shadowed: Draw;
  readonly allows: (origin: string) => boolean;
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly allowPrivateNetwork: boolean;
  readonly forwardsNotMatching: boolean;
}

/** Counters of one connection manager, one slot each. */
interface CorsStats {
  readonly valid: Float64Array;
  readonly invalid: Float64Array;
}

/**
 * Compiles the filter for one connection manager.
 * @returns the filter of routes with these policies, least specific first; `null` where there are none
 */
export function compileCors(env: FilterEnv): (policies: readonly CorsPolicyModel[]) => HttpFilter | null {
  const stats: CorsStats = {
    valid: env.stats.cell(`${env.statPrefix}cors.origin_valid`, 'c'),
    invalid: env.stats.cell(`${env.statPrefix}cors.origin_invalid`, 'c'),
  };
  return (policies) => (policies.length === 0 ? null : corsFilter(compilePolicy(policies.toReversed(), env), stats));
}

function corsFilter(policy: Policy, stats: CorsStats): HttpFilter {
  return {
    open: (run: FilterRunControl) => {
      // Routes that answer themselves have no say in it, whatever their policy; one without an action does not.
      const kind = run.stream.route?.kind;
      if (kind !== 'route' && kind !== 'non_forwarding') return null;
      const origin = (run.stream.requestHeaders as HeaderMap).get('origin');
      if (origin === null || origin === '') return null;
      const enabled = policy.enabled();
      if (!enabled && !policy.shadowed()) return null;
      return new CorsCall(run, policy, stats, origin, enabled);
    },
  };
}

/** @param policies most specific first */
function compilePolicy(policies: readonly CorsPolicyModel[], env: FilterEnv): Policy {
  const first = policies[0] as CorsPolicyModel;
  const text = (of: (policy: CorsPolicyModel) => string): string =>
    policies.map(of).find((value) => value !== '') ?? '';
  const said = (of: (policy: CorsPolicyModel) => boolean | null, fallback: boolean): boolean =>
    policies.map(of).find((value) => value !== null) ?? fallback;
  const origins = policies.find(({ allowOrigin }) => allowOrigin.length > 0)?.allowOrigin ?? [];
  // Whatever takes a star takes all.
  const matches = origins.map((origin) => {
    const holds = compileStringMatch(origin);
    return holds('*') ? () => true : holds;
  });
  return {
    enabled: draw(first.filterEnabled, ALWAYS, env),
    shadowed: draw(first.shadowEnabled, NEVER, env),
    allows: (origin) => matches.some((holds) => holds(origin)),
    allowMethods: text((policy) => policy.allowMethods),
    allowHeaders: text((policy) => policy.allowHeaders),
    exposeHeaders: text((policy) => policy.exposeHeaders),
    maxAge: text((policy) => policy.maxAge),
    allowCredentials: said((policy) => policy.allowCredentials, false),
    allowPrivateNetwork: said((policy) => policy.allowPrivateNetworkAccess, false),
    forwardsNotMatching: said((policy) => policy.forwardNotMatchingPreflights, true),
  };
}

function draw(fraction: CorsPolicyModel['filterEnabled'], unset: Draw, env: FilterEnv): Draw {
  if (fraction === null) return unset;
  return compileDraw(runtimeFraction(env.runtimeKeys, fraction), env.runtime);
}

/** A star allows what is asked for, by name, so that it holds for requests with credentials too (Fetch, §3.2.3). */
function allowed(list: string, request: HeaderMap, asked: string): string {
  return list === '*' ? (request.getJoined(asked) ?? '') : list;
}

class CorsCall implements FilterCall {
  private readonly run: FilterRunControl;
  private readonly policy: Policy;
  private readonly stats: CorsStats;
  private readonly origin: string;
  private readonly enabled: boolean;
  /** The answer says that this origin may read it. */
  private admitted: boolean;

  constructor(run: FilterRunControl, policy: Policy, stats: CorsStats, origin: string, enabled: boolean) {
    this.run = run;
    this.policy = policy;
    this.stats = stats;
    this.origin = origin;
    this.enabled = enabled;
    this.admitted = false;
  }

  onRequestHead(headers: HeaderMap): Verdict {
    const { policy, run, stats } = this;
    const preflight = run.stream.method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== '';
    if (!policy.allows(this.origin)) {
      (stats.invalid[0] as number)++;
      if (!this.enabled || !preflight || policy.forwardsNotMatching) return CONTINUE;
      return this.answer(this.permission(headers));
    }
    (stats.valid[0] as number)++;
    if (!this.enabled) return CONTINUE;
    this.admitted = true;
    return preflight ? this.answer(this.permission(headers)) : CONTINUE;
  }

  onResponseHead(_status: number, headers: HeaderMap): Verdict {
    if (!this.admitted) return CONTINUE;
    headers.set('access-control-allow-origin', this.origin);
    if (this.policy.allowCredentials) headers.set('access-control-allow-credentials', 'true');
    if (this.policy.exposeHeaders !== '') headers.set('access-control-expose-headers', this.policy.exposeHeaders);
    return CONTINUE;
  }

  /** What a preflight asks to know. */
  private permission(request: HeaderMap): HeaderMap {
    const { policy } = this;
    const reply = new HeaderMap();
    if (policy.allowCredentials) reply.set('access-control-allow-credentials', 'true');
    const { allowMethods, allowHeaders } = policy;
    if (allowMethods !== '')
      reply.set('access-control-allow-methods', allowed(allowMethods, request, 'access-control-request-method'));
    if (allowHeaders !== '')
      reply.set('access-control-allow-headers', allowed(allowHeaders, request, 'access-control-request-headers'));
    if (policy.maxAge !== '') reply.set('access-control-max-age', policy.maxAge);
    if (policy.allowPrivateNetwork && request.get('access-control-request-private-network') === 'true')
      reply.set('access-control-allow-private-network', 'true');
    return reply;
  }

  private answer(headers: HeaderMap): Verdict {
    this.run.stream.respond(200, headers, 'cors_response');
    return REPLIED;
  }
}
