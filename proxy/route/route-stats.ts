// Stats of a part of the traffic: a virtual cluster's, or those of a route with a `stat_prefix`.

import { routesOf } from '../config/model/matcher-actions.ts';
import type { VirtualHostModel } from '../config/model/route.ts';
import {
  UPSTREAM_RQ_RETRY,
  UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED,
  UPSTREAM_RQ_RETRY_OVERFLOW,
  UPSTREAM_RQ_RETRY_SUCCESS,
  UPSTREAM_RQ_TIMEOUT,
} from '../observe/catalogue-cluster.ts';
import {
  VCLUSTER_UPSTREAM_RQ_RETRY,
  VCLUSTER_UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED,
  VCLUSTER_UPSTREAM_RQ_RETRY_OVERFLOW,
  VCLUSTER_UPSTREAM_RQ_RETRY_SUCCESS,
  VCLUSTER_UPSTREAM_RQ_TIMEOUT,
  VCLUSTER_UPSTREAM_RQ_TOTAL,
  VIRTUAL_CLUSTER,
} from '../observe/catalogue-http.ts';
import type { StatsStore } from '../observe/stats.ts';
import { CodeTable } from './code-table.ts';

/** Index in the `cluster` catalogue → index in the `vcluster` catalogue. */
const EVENTS: ReadonlyMap<number, number> = new Map([
  [UPSTREAM_RQ_RETRY, VCLUSTER_UPSTREAM_RQ_RETRY],
  [UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED, VCLUSTER_UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED],
  [UPSTREAM_RQ_RETRY_OVERFLOW, VCLUSTER_UPSTREAM_RQ_RETRY_OVERFLOW],
  [UPSTREAM_RQ_RETRY_SUCCESS, VCLUSTER_UPSTREAM_RQ_RETRY_SUCCESS],
  [UPSTREAM_RQ_TIMEOUT, VCLUSTER_UPSTREAM_RQ_TIMEOUT],
]);

/** The virtual cluster of requests that none claims; it has no name in the access log. */
export const CATCH_ALL = 'other';

/** See the head of this file. Counters are there from the start; codes and times appear with their first value. */
export class RouteStats {
  /** Block of the `vcluster` catalogue. */
  private readonly block: Float64Array;
  private readonly codes: CodeTable;

  /** @param prefix with its trailing dot, e.g. `vhost.web.vcluster.writes.` */
  constructor(stats: StatsStore, prefix: string) {
    this.block = stats.block(VIRTUAL_CLUSTER, prefix);
    // Envoy puts a class without a name behind the prefix, and so its counter is that of the prefix.
    this.codes = new CodeTable(stats, prefix, null, prefix.slice(0, -1));
  }

  /** What the cluster counts is counted here too, where there is a stat for it. @param index of the `cluster` catalogue */
  countEvent(index: number): void {
    const own = EVENTS.get(index);
    if (own !== undefined) this.count(own);
  }

  /** An attempt has got a connection. */
  countRequest(): void {
    this.count(VCLUSTER_UPSTREAM_RQ_TOTAL);
  }

  charge(status: number): void {
    this.codes.charge(status);
  }

  recordTime(ms: number): void {
    this.codes.recordTime(ms);
  }

  private count(index: number): void {
    this.block[index] = (this.block[index] as number) + 1;
  }
}

/** The stats of one route configuration by their prefix: what is counted twice under one name shares its cells. */
export class RouteStatsSet {
  private readonly stats: StatsStore;
  private readonly byPrefix: Map<string, RouteStats>;

  constructor(stats: StatsStore) {
    this.stats = stats;
    this.byPrefix = new Map();
  }

  /** Stats are there before the first request, with zeros. */
  open(host: VirtualHostModel): void {
    for (const { name } of host.virtualClusters) this.virtualCluster(host.name, name);
    if (host.virtualClusters.length > 0) this.virtualCluster(host.name, CATCH_ALL);
    for (const { statPrefix } of routesOf(host)) if (statPrefix !== '') this.route(host.name, statPrefix);
  }

  virtualCluster(virtualHost: string, name: string): RouteStats {
    return this.get(`vhost.${virtualHost}.vcluster.${name}.`);
  }

  route(virtualHost: string, statPrefix: string): RouteStats {
    return this.get(`vhost.${virtualHost}.route.${statPrefix}.`);
  }

  private get(prefix: string): RouteStats {
    let found = this.byPrefix.get(prefix);
    if (found === undefined) {
      found = new RouteStats(this.stats, prefix);
      this.byPrefix.set(prefix, found);
    }
    return found;
  }
}
