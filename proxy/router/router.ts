// The router: turns a matched request into an answer of our own or into attempts upstream.
// Compiled once per connection manager; a request that goes upstream gets a `RouterRequest`.

import type { HeaderMap } from '../codec/headers.ts';
import type { RouterModel } from '../config/model/http-filter.ts';
import type { RetryPolicyModel } from '../config/model/route.ts';
import { runtimeInteger } from '../config/model/runtime.ts';
import {
  HTTP_ROUTER,
  ROUTER_NO_CLUSTER,
  ROUTER_NO_ROUTE,
  ROUTER_RQ_DIRECT_RESPONSE,
  ROUTER_RQ_TOTAL,
} from '../observe/catalogue-http.ts';
import { FLAG_IH, FLAG_NC, FLAG_NR } from '../observe/flags.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { Runtime } from '../util/runtime.ts';
import { ClusterHistograms } from './cluster-histograms.ts';
import { CodeStats } from './code-stats.ts';
import type { Downstream } from './downstream.ts';
import { ClusterHashPolicies } from './hash-policy.ts';
import { refuseForMaintenance, underMaintenance } from './maintenance.ts';
import { RouterRequest } from './request.ts';
import { RequestStats } from './request-stats.ts';
import { compileRetry, headersOnlyPolicy, type RetryPolicy, usualBackOffMs } from './retry.ts';
import type { RouteRules } from './route.ts';
import type { RouteStats } from './route-stats.ts';
import { type MirrorEnv, Mirroring } from './shadow.ts';
import { compileStrictHeaders, type StrictCheck } from './strict-headers.ts';

/** Names by which the requests of one cluster may ask to be counted; those that come later are not. */
const OTHER_STATS_MAX = 1_000;

/** What a router is made of; lives as long as its connection manager. */
export class Router {
  readonly model: RouterModel;
  readonly runtime: Runtime;
  readonly shed: ShedPoint | null;
  readonly stats: Float64Array;
  readonly mirroring: Mirroring;
  readonly hashPolicies: ClusterHashPolicies;
  readonly headersOnlyPolicy: RetryPolicy;
  /** So many of 100 retries are allowed (runtime key `upstream.use_retry`). */
  readonly retryPercent: number;
  private readonly store: StatsStore;
  private readonly zone: string;
  private readonly counted: WeakMap<Cluster, ClusterCounts>;
  private readonly retryPolicies: WeakMap<Cluster, RetryPolicy>;
  private readonly strict: StrictCheck | null;

  /**
   * @param statPrefix of the connection manager, e.g. `http.ingress.`
   * @param shed asked before a request goes up; `null` = no load is shed there
   */
  constructor(model: RouterModel, env: MirrorEnv, statPrefix: string, shed: ShedPoint | null) {
    this.model = model;
    this.runtime = env.runtime;
    this.shed = shed;
    this.store = env.stats;
    this.zone = env.node.locality.zone;
    this.stats = env.stats.block(HTTP_ROUTER, statPrefix);
    this.mirroring = new Mirroring(env);
    this.hashPolicies = new ClusterHashPolicies();
    this.headersOnlyPolicy = headersOnlyPolicy(usualBackOffMs(env.runtimeKeys));
    this.retryPercent = runtimeInteger(env.runtimeKeys, 'upstream.use_retry', 100);
    this.counted = new WeakMap();
    this.retryPolicies = new WeakMap();
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

  count(index: number): void {
    this.stats[index] = (this.stats[index] as number) + 1;
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

  allowsRetry(): boolean {
    return this.retryPercent >= 100 || this.runtime.random() * 100 < this.retryPercent;
  }

  /** What a cluster says itself about retries of its requests. */
  retryPolicyOf(cluster: Cluster, model: RetryPolicyModel): RetryPolicy {
    let policy = this.retryPolicies.get(cluster);
    if (policy === undefined) {
      policy = compileRetry(model, this.headersOnlyPolicy.backOffBaseMs);
      this.retryPolicies.set(cluster, policy);
    }
    return policy;
  }

  /** Where a request of the route is counted that goes to the cluster. */
  statsFor(cluster: Cluster, route: RouteRules, down: Downstream): RequestStats {
    return this.statsOf(cluster, scopesOf(route, down));
  }

  /**
   * Where a request is counted besides that asks for it by name (`x-envoy-upstream-alt-stat-name`).
   * @returns `null` when it is not counted so
   */
  otherStatsFor(cluster: Cluster, name: string): CodeStats | null {
    const { others } = this.countsOf(cluster);
    const known = others.get(name);
    if (known !== undefined) return known;
    if (name === '' || others.size >= OTHER_STATS_MAX) return null;
    const prefix = `cluster.${cluster.model.statName}.${name}.`;
    const codes = new CodeStats(this.store, prefix, this.model.dynamicStats, this.zone, null);
    others.set(name, codes);
    return codes;
  }

  private statsOf(cluster: Cluster, scopes: readonly RouteStats[] | null): RequestStats {
    const counts = this.countsOf(cluster);
    if (scopes === null) return counts.plain;
    let stats = counts.scoped.get(scopes);
    if (stats === undefined) {
      stats = new RequestStats(counts.codes, cluster.stats, scopes, counts.plain.histograms);
      counts.scoped.set(scopes, stats);
    }
    return stats;
  }

  private countsOf(cluster: Cluster): ClusterCounts {
    let counts = this.counted.get(cluster);
    if (counts === undefined) {
      const prefix = `cluster.${cluster.model.statName}.`;
      const codes = new CodeStats(this.store, prefix, this.model.dynamicStats, this.zone, cluster.stats);
      const histograms = ClusterHistograms.of(cluster.model, this.store, prefix);
      counts = {
        codes,
        others: new Map(),
        plain: new RequestStats(codes, cluster.stats, null, histograms),
        scoped: new WeakMap(),
      };
      this.counted.set(cluster, counts);
    }
    return counts;
  }
}

/** The stats of one cluster's requests, alone and with those of the places where they are counted besides. */
interface ClusterCounts {
  readonly codes: CodeStats;
  /** Under names that requests ask for. */
  readonly others: Map<string, CodeStats>;
  readonly plain: RequestStats;
  readonly scoped: WeakMap<readonly RouteStats[], RequestStats>;
}

/** Where a request is counted besides its cluster. */
function scopesOf(route: RouteRules, down: Downstream): readonly RouteStats[] | null {
  const byName = route.virtualClusterStats;
  return byName === null ? route.stats : (byName.get(down.virtualClusterName) ?? null);
}
