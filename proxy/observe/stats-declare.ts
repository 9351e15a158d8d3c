// Makes known what Envoy prints for a configuration before anything happened: zeros for every listener and cluster, and
// a few facts that follow from the configuration alone. Filters make their own stats known when a worker builds them.

import type { Model } from '../config/model/model.ts';
import { CLUSTER_CATALOGUE } from './catalogue-cluster.ts';
import { HTTP_ROUTER } from './catalogue-http.ts';
import { LISTENER, LISTENER_EXTENSION, LISTENER_WORKER } from './catalogue-listener.ts';
import {
  DNS,
  OVERLOAD,
  OVERLOAD_RESET,
  RUNTIME,
  RUNTIME_LOAD_SUCCESS,
  RUNTIME_NUM_KEYS,
  RUNTIME_NUM_LAYERS,
  RUNTIME_OVERRIDE_DIR_NOT_EXISTS,
  THREAD_LOCAL_CLUSTERS,
  THREAD_LOCAL_CLUSTERS_INFLATED,
} from './catalogue-server.ts';
import { listenerStatPrefix } from './stats-prefix.ts';
import type { StatsRegistry } from './stats-registry.ts';

/** Declares all stats of a model that so many workers run. */
export function declareModelStats(stats: StatsRegistry, model: Model, workers: number): void {
  for (const listener of model.listeners) declareListener(stats, listenerStatPrefix(listener), workers);
  for (const cluster of model.clusters) stats.declare(CLUSTER_CATALOGUE, `cluster.${cluster.statName}.`);
  if (model.clusters.some(({ discovery }) => discovery.kind === 'strict_dns' || discovery.kind === 'logical_dns')) {
    stats.declare(DNS, 'dns.cares.');
  }
  stats.declare(HTTP_ROUTER, 'http.async-client.');
  stats.declare(OVERLOAD_RESET, 'envoy.overload_actions.reset_high_memory_stream.');
  stats.declare(OVERLOAD, 'overload.');
  declareRuntime(stats, model);
  const threads = ['main_thread', ...Array.from({ length: workers }, (_, i) => `worker_${i}`)];
  for (const thread of threads) {
    const slots = stats.local.block(THREAD_LOCAL_CLUSTERS, `thread_local_cluster_manager.${thread}.`);
    slots[THREAD_LOCAL_CLUSTERS_INFLATED] = model.clusters.length;
  }
}

function declareListener(stats: StatsRegistry, prefix: string, workers: number): void {
  stats.declare(LISTENER, prefix);
  stats.declare(LISTENER_EXTENSION, prefix);
  for (let i = 0; i < workers; i++) stats.declare(LISTENER_WORKER, `${prefix}worker_${i}.`);
}

/** Envoy loads its runtime twice at start and finds no override folder either time. */
function declareRuntime(stats: StatsRegistry, model: Model): void {
  const slots = stats.local.block(RUNTIME, 'runtime.');
  slots[RUNTIME_LOAD_SUCCESS] = 2;
  slots[RUNTIME_OVERRIDE_DIR_NOT_EXISTS] = 2;
  slots[RUNTIME_NUM_KEYS] = Object.keys(model.runtime).length;
  slots[RUNTIME_NUM_LAYERS] = model.runtimeLayers.length;
}
