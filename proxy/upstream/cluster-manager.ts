// All clusters of a worker: made, replaced and removed by configuration, found by name. Where there are many, those that
// nobody has used yet are made a few at a time once the worker serves: together they take longer than all else it does
// at start.

import type { ClusterModel, LocalityModel } from '../config/model/cluster.ts';
import type { UpstreamTlsModel } from '../config/model/tls.ts';
import { bug } from '../util/error.ts';
import { CELLS_PER_CLUSTER } from './breakers.ts';
import { UpstreamCluster, type UpstreamEnv } from './cluster.ts';
import type { ClusterManager, ClusterRef } from './upstream.ts';

/** Kinds of clusters that begin without hosts: from DNS, or by the connections that come. */
const FINDS_ITS_HOSTS: ReadonlySet<string> = new Set(['strict_dns', 'logical_dns', 'original_dst']);

/** So many clusters are made at once; the rest follow, or are made when first used. */
const CLUSTERS_AT_ONCE = 64;
/** Clusters made in one turn of those that nobody waits for: 1 to 2 ms. */
const CLUSTERS_PER_TURN = 16;
/** Between those turns, so that others have theirs; milliseconds. */
const TURN_MS = 4;

class Ref implements ClusterRef {
  readonly name: string;
  private made: UpstreamCluster | null;
  /** Makes the cluster that is still to be made; `null` = there is none. */
  private make: (() => UpstreamCluster) | null;

  constructor(name: string) {
    this.name = name;
    this.made = null;
    this.make = null;
  }

  get current(): UpstreamCluster | null {
    return this.make === null ? this.made : this.makeNow(this.make);
  }

  /** What there is already, for who needs no other. */
  get existing(): UpstreamCluster | null {
    return this.made;
  }

  replace(make: (() => UpstreamCluster) | null): void {
    // A cluster in use is replaced at once, so that what runs on it drains from now on.
    const old = this.made;
    this.make = make;
    if (old === null) return;
    this.made = null;
    if (make !== null) this.makeNow(make);
    old.drain();
  }

  private makeNow(make: () => UpstreamCluster): UpstreamCluster {
    this.make = null;
    this.made = make();
    return this.made;
  }
}

/** See the head of this file. */
export class UpstreamClusterManager implements ClusterManager {
  private readonly env: UpstreamEnv;
  private readonly refs: Map<string, Ref>;
  private readonly ownBases: Map<string, number>;
  /** To be made when there is time. */
  private readonly waiting: Ref[];
  private cancelTurn: (() => void) | null;

  constructor(env: UpstreamEnv) {
    this.env = env;
    this.refs = new Map();
    this.ownBases = new Map();
    this.waiting = [];
    this.cancelTurn = null;
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
    for (const [i, model] of models.entries()) {
      const ref = this.own(model.name);
      ref.replace(() => this.make(model));
      if (i < CLUSTERS_AT_ONCE) void ref.current;
      else this.waiting.push(ref);
    }
    this.makeLater();
    for (const name of removed) this.refs.get(name)?.replace(null);
  }

  private make(model: ClusterModel): UpstreamCluster {
    const cluster = new UpstreamCluster(model, this.env, this.breakerBase(model));
    if (!FINDS_ITS_HOSTS.has(model.discovery.kind)) cluster.setHosts(model.localities);
    return cluster;
  }

  private makeLater(): void {
    if (this.cancelTurn !== null || this.waiting.length === 0) return;
    this.cancelTurn = this.env.runtime.after(TURN_MS, () => {
      this.cancelTurn = null;
      for (const ref of this.waiting.splice(0, CLUSTERS_PER_TURN)) void ref.current;
      this.makeLater();
    });
  }

  /** New hosts of a cluster whose discovery runs elsewhere; ignored when the cluster is gone. */
  updateHosts(name: string, localities: readonly LocalityModel[], cells: readonly number[] | null = null): void {
    this.refs.get(name)?.current?.setHosts(localities, cells);
  }

  /** Outlier detection has changed its mind about hosts; a cluster that is still to be made will find them so. */
  noteHealth(name: string, ejected: readonly number[], rebuild: boolean): void {
    this.refs.get(name)?.existing?.noteHealth(ejected, rebuild);
  }

  /** New secrets of one of the clusters' TLS contexts. */
  replaceTls(context: UpstreamTlsModel): void {
    for (const cluster of this.clusters) cluster.transports.replaceTls(context);
  }

  /** Every cluster there is, for `/clusters`. */
  get clusters(): readonly UpstreamCluster[] {
    const list: UpstreamCluster[] = [];
    for (const ref of this.refs.values()) if (ref.current !== null) list.push(ref.current);
    return list;
  }

  /** Whether no cluster waits to be made. */
  get isComplete(): boolean {
    return this.waiting.length === 0;
  }

  /** Closes every connection now. */
  close(): void {
    this.cancelTurn?.();
    this.waiting.length = 0;
    for (const ref of this.refs.values()) ref.existing?.close();
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
