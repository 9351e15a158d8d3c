// The router: turns a matched request into an answer of our own or into attempts upstream.
// Compiled once per connection manager; a request that goes upstream gets a `RouterRequest`.

import type { HeaderMap } from '../codec/headers.ts';
import type { RouterModel } from '../config/model/http-filter.ts';
import {
  ROUTER_NO_CLUSTER,
  ROUTER_NO_ROUTE,
  ROUTER_RQ_DIRECT_RESPONSE,
  ROUTER_RQ_TOTAL,
} from '../observe/catalogue-http.ts';
import { FLAG_IH, FLAG_NC, FLAG_NR } from '../observe/flags.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { RouteRules } from '../route/route.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { Downstream } from './downstream.ts';
import { refuseForMaintenance, underMaintenance } from './maintenance.ts';
import { RouterRequest } from './request.ts';
import { RouterContext } from './router-context.ts';
import type { MirrorEnv } from './shadow.ts';
import { compileStrictHeaders, type StrictCheck } from './strict-headers.ts';

/** See the head of this file. Lives as long as its connection manager. */
export class Router extends RouterContext {
  private readonly strict: StrictCheck | null;

  /** See `RouterContext`. */
  constructor(model: RouterModel, env: MirrorEnv, statPrefix: string, shed: ShedPoint | null) {
    super(model, env, statPrefix, shed);
    this.strict = compileStrictHeaders(model.strictCheckHeaders);
  }

  /**
   * Serves a request whose route is known (or known to be missing).
   * @param endStream the request has no body
   * @returns the running upstream request, or `null` when the answer was given at once
   */
  start(down: Downstream, headers: HeaderMap, endStream: boolean): RouterRequest | null {
    this.count(ROUTER_RQ_TOTAL);
    const { route } = down;
    if (route === null) {
      this.count(ROUTER_NO_ROUTE);
      down.flags |= FLAG_NR;
      down.localReply(404, '', 'route_not_found', null);
      return null;
    }
    if (route.kind !== 'route') {
      this.answer(down, route, headers);
      return null;
    }
    const { target } = down;
    const cluster = target === null ? null : target.cluster.current;
    if (target === null || cluster === null) {
      this.count(ROUTER_NO_CLUSTER);
      down.flags |= FLAG_NC;
      down.localReply(route.clusterNotFoundCode, '', 'cluster_not_found', null);
      return null;
    }
    if (this.strict !== null && down.hasEnvoyHeaders) {
      const bad = this.strict(headers);
      if (bad !== null) {
        this.refuse(down, cluster, bad.name, bad.value);
        return null;
      }
    }
    if (route.virtualClusterOf !== null) down.virtualClusterName = route.virtualClusterOf(down, headers);
    const stats = this.statsFor(cluster, route, down);
    if (cluster.model.maintenancePercent > 0 && underMaintenance(cluster, this.runtime)) {
      refuseForMaintenance(down, cluster, stats, this.model.suppressEnvoyHeaders);
      return null;
    }
    const request = new RouterRequest(this, down, route, target, cluster, stats);
    request.begin(headers, endStream);
    return request;
  }

  /** Sends a plain request to the same place under `https`, as a virtual host with `require_tls` asks for. */
  redirectToTls(down: Downstream): void {
    const location = `https://${down.authority}${down.path}`;
    this.count(ROUTER_RQ_TOTAL);
    this.count(ROUTER_RQ_DIRECT_RESPONSE);
    down.localReply(301, '', 'direct_response', (reply) => reply.set('location', location));
  }

  /** A trusted peer has set a header that says nothing. */
  private refuse(down: Downstream, cluster: Cluster, name: string, value: string): void {
    down.upstreamCluster = cluster.model.statName;
    down.flags |= FLAG_IH;
    down.localReply(
      400,
      `invalid header '${name}' with value '${value}'`,
      `request_headers_failed_strict_check{${name}}`,
      null,
    );
  }

  private answer(down: Downstream, route: RouteRules, headers: HeaderMap): void {
    const mutate = route.mutateLocalResponse;
    const redirect = route.redirect;
    if (redirect !== null) {
      this.count(ROUTER_RQ_DIRECT_RESPONSE);
      if (redirect.rewrite !== null) redirect.rewrite(down, headers, !this.model.suppressEnvoyHeaders);
      down.localReply(redirect.status, '', 'direct_response', (reply) => {
        reply.set('location', redirect.location(down));
        if (mutate !== null) mutate(reply, down);
      });
      return;
    }
    const direct = route.directResponse;
    if (direct === null) {
      // A non-forwarding route takes part in matching only; as Envoy sees it, it names no cluster.
      this.count(ROUTER_NO_CLUSTER);
      down.flags |= FLAG_NC;
      down.localReply(503, '', 'cluster_not_found', null);
      return;
    }
    this.count(ROUTER_RQ_DIRECT_RESPONSE);
    const { directLocation } = route;
    const location = directLocation === null ? '' : directLocation(down);
    const { directBody } = route;
    const body = directBody === null ? direct.body : directBody.render(down);
    const add = (reply: HeaderMap): void => {
      if (location !== '') reply.set('location', location);
      if (mutate !== null) mutate(reply, down);
      if (directBody !== null && directBody.contentType !== '') reply.set('content-type', directBody.contentType);
    };
    down.localReply(direct.status, body, 'direct_response', add);
  }
}
