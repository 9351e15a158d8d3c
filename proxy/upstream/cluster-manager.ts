// All clusters of a worker: made, replaced and removed by configuration, found by name.

import type { ClusterModel, LocalityModel } from '../config/model-cluster.ts';
import { bug } from '../util/error.ts';
import { CELLS_PER_CLUSTER } from './breakers.ts';
import { UpstreamCluster, type UpstreamEnv } from './cluster.ts';
import type { ClusterManager, ClusterRef } from './upstream.ts';

/** Kinds of clusters that begin without hosts: from DNS, or by the connections that come. */
const FINDS_ITS_HOSTS: ReadonlySet<string> = new Set(['strict_dns', 'logical_dns', 'original_dst']);

class Ref implements ClusterRef {
  readonly name: string;
  current: UpstreamCluster | null;

  constructor(name: string) {
    this.name = name;
    this.current = null;
  }
}

/** See the head of this file. */
export class UpstreamClusterManager implements ClusterManager {
  private readonly env: UpstreamEnv;
  private readonly refs: Map<string, Ref>;
  private readonly ownBases: Map<string, number>;

  constructor(env: UpstreamEnv) {
    this.env = env;
    this.refs = new Map();
    this.ownBases = new Map();
  }

  /** References of unknown names are kept: the cluster may come later. */
  ref(name: string): ClusterRef {
    return this.own(name);
  }

  find(name: string): ClusterRef {
    return this.refs.get(name) ?? { name, current: null };
  }

  /**
   * Adds or replaces clusters. A replaced one finishes its exchanges on its old connections. Clusters whose hosts
   * come from elsewhere (DNS) begin without any: see `updateHosts`.
   */
  apply(changed: readonly ClusterModel[], removed: readonly string[] = []): void {
    // A lone worker shares its breakers with nobody and numbers them itself.
    const models = this.env.breakers.workers === 1 ? assignBreakerBases(changed, this.ownBases) : changed;
    for (const model of models) {
      const next = new UpstreamCluster(model, this.env, this.breakerBase(model));
      if (!FINDS_ITS_HOSTS.has(model.discovery.kind)) next.setHosts(model.localities);
      const ref = this.own(model.name);
      ref.current?.drain();
      ref.current = next;
    }
    for (const name of removed) {
      const ref = this.refs.get(name);
      if (ref === undefined) continue;
      ref.current?.drain();
      ref.current = null;
    }
  }

  /** New hosts of a cluster whose discovery runs elsewhere; ignored when the cluster is gone. */
  updateHosts(name: string, localities: readonly LocalityModel[]): void {
    this.refs.get(name)?.current?.setHosts(localities);
  }

  /** Every cluster there is, for `/clusters`. */
  get clusters(): readonly UpstreamCluster[] {
    const list: UpstreamCluster[] = [];
    for (const ref of this.refs.values()) if (ref.current !== null) list.push(ref.current);
    return list;
  }

  /** Closes every connection now. */
  close(): void {
    for (const cluster of this.clusters) cluster.close();
  }

  /** Beyond the table's room clusters share the last cells: limits may then bite early, but memory is never exceeded. */
  private breakerBase(model: ClusterModel): number {
    const { breakers } = this.env;
    if (breakers.fits(model.breakerBase)) return model.breakerBase;
    bug('breaker_table_full', `no cells for cluster ${model.name}`);
    return breakers.lastBase;
  }

  private own(name: string): Ref {
    let ref = this.refs.get(name);
    if (ref === undefined) {
      ref = new Ref(name);
      this.refs.set(name, ref);
    }
    return ref;
  }
}

/** Makes the manager of a worker and its first clusters. */
export function createClusterManager(models: readonly ClusterModel[], env: UpstreamEnv): UpstreamClusterManager {
  const manager = new UpstreamClusterManager(env);
  manager.apply(models);
  return manager;
}

/**
 * Gives every cluster its run of cells in the shared breaker table. For the thread that publishes models: a name keeps
 * its run for as long as `taken` remembers it.
 */
export function assignBreakerBases(models: readonly ClusterModel[], taken: Map<string, number>): ClusterModel[] {
  return models.map((model) => {
    let base = taken.get(model.name);
    if (base === undefined) {
      base = taken.size * CELLS_PER_CLUSTER;
      taken.set(model.name, base);
    }
    return base === model.breakerBase ? model : { ...model, breakerBase: base };
  });
}
