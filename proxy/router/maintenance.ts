// Clusters that an operator has taken out of service by a runtime key, wholly or in part: their requests are answered
// at once (`upstream.maintenance_mode.<cluster>`).

import type { HeaderMap } from '../codec/headers.ts';
import { UPSTREAM_RQ_MAINTENANCE_MODE } from '../observe/catalogue-cluster.ts';
import { FLAG_UO } from '../observe/flags.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { Runtime } from '../util/runtime.ts';
import type { Downstream } from './downstream.ts';
import type { RequestStats } from './request-stats.ts';

/** The answer that no upstream gives. */
const STATUS = 503;

/** Whether a request for the cluster, whose share is above zero, is one of those. */
export function underMaintenance(cluster: Cluster, runtime: Runtime): boolean {
  return runtime.random() * 100 < cluster.model.maintenancePercent;
}

/** @param silent `suppress_envoy_headers` */
export function refuseForMaintenance(down: Downstream, cluster: Cluster, stats: RequestStats, silent: boolean): void {
  down.upstreamCluster = cluster.model.statName;
  down.flags |= FLAG_UO;
  stats.charge(STATUS, down.internal, null, false);
  stats.count(UPSTREAM_RQ_MAINTENANCE_MODE);
  down.localReply(STATUS, 'maintenance mode', 'maintenance_mode', silent ? null : sayOverloaded);
}

function sayOverloaded(reply: HeaderMap): void {
  reply.set('x-envoy-overloaded', 'true');
}
