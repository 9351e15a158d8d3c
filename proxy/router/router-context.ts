// What a router is made of, as its requests see it: policies, dice, and where they are counted.

import type { RouterModel } from '../config/model/http-filter.ts';
import type { RetryPolicyModel } from '../config/model/route.ts';
import { runtimeInteger } from '../config/model/runtime.ts';
import { HTTP_ROUTER } from '../observe/catalogue-http.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { StatsStore } from '../observe/stats.ts';
import { ClusterHashPolicies } from '../route/hash-policy.ts';
import { compileRetry, headersOnlyPolicy, type RetryPolicy, usualBackOffMs } from '../route/retry.ts';
import type { RouteRules } from '../route/route.ts';
import type { RouteStats } from '../route/route-stats.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { Runtime } from '../util/runtime.ts';
import { ClusterHistograms } from './cluster-histograms.ts';
import { CodeStats } from './code-stats.ts';
import type { Downstream } from './downstream.ts';
import { RequestStats } from './request-stats.ts';
import { type MirrorEnv, Mirroring } from './shadow.ts';

/** Names by which the requests of one cluster may ask to be counted; those that come later are not. */
const OTHER_STATS_MAX = 1_000;

/** See the head of this file. */
export class RouterContext {
  readonly model: RouterModel;
  readonly runtime: Runtime;
  readonly shed: ShedPoint | null;
  readonly stats: Float64Array;
  readonly mirroring: Mirroring;
  readonly hashPolicies: ClusterHashPolicies;
  readonly headersOnlyPolicy: RetryPolicy;
  /** So many of 100 retries are allowed (runtime key `upstream.use_retry`). */
  private readonly retryPercent: number;
  private readonly store: StatsStore;
  private readonly zone: string;
  private readonly counted: WeakMap<Cluster, ClusterCounts>;
  private readonly retryPolicies: WeakMap<Cluster, RetryPolicy>;

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
  }

  count(index: number): void {
    this.stats[index] = (this.stats[index] as number) + 1;
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
