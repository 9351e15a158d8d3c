// Discovery by DNS: resolves the names of STRICT_DNS and LOGICAL_DNS clusters again and again and publishes endpoints.
//
// Runs once, in the main thread; workers get plain localities and know nothing of names.
// As in Envoy: a failed resolution keeps the hosts, an empty answer removes them (LOGICAL_DNS takes it for a failure); a cluster is warm after the first
// outcome of each of its names, good or bad.

import type { ClusterModel, DiscoveryModel, EndpointModel, LocalityModel } from '../config/model/cluster.ts';
import {
  CLUSTER_CATALOGUE,
  UPDATE_ATTEMPT,
  UPDATE_FAILURE,
  UPDATE_NO_REBUILD,
  UPDATE_SUCCESS,
} from '../observe/catalogue-cluster.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { Runtime } from '../util/runtime.ts';
import { createResolver, type NameResolver, type Resolution } from './dns-resolver.ts';

type DnsDiscovery = Extract<DiscoveryModel, { readonly kind: 'strict_dns' | 'logical_dns' }>;

/** Never ask more often than this, whatever a TTL says. */
const REFRESH_MS_MIN = 1_000;

/** What the DNS clusters need of their surroundings. */
export interface DnsEnv {
  readonly runtime: Runtime;
  /** The main thread's own stats: `update_*` are counted here, once per process. */
  readonly stats: StatsStore;
  /** New hosts of a cluster, to be handed to every worker (and to those that start later: see `current`). */
  readonly publish: (clusterName: string, localities: readonly LocalityModel[]) => void;
  /** Made once per set of servers; replaced in tests. */
  readonly createResolver?: (servers: readonly string[]) => NameResolver;
}

/** All DNS clusters of the process. */
export class DnsClusters {
  private readonly env: DnsEnv;
  private readonly clusters: Map<string, DnsCluster>;
  private readonly resolvers: Map<string, NameResolver>;

  constructor(env: DnsEnv) {
    this.env = env;
    this.clusters = new Map();
    this.resolvers = new Map();
  }

  /** Starts, restarts or stops clusters; models with other kinds of discovery only stop what had their name. */
  apply(changed: readonly ClusterModel[], removed: readonly string[] = []): void {
    for (const name of [...removed, ...changed.map((model) => model.name)]) {
      this.clusters.get(name)?.stop();
      this.clusters.delete(name);
    }
    for (const model of changed) {
      const { discovery } = model;
      if (discovery.kind !== 'strict_dns' && discovery.kind !== 'logical_dns') continue;
      const cluster = new DnsCluster(model, discovery, this.resolver(discovery.resolvers), this.env);
      this.clusters.set(model.name, cluster);
      cluster.start();
    }
  }

  /** Settles when every cluster that wants to be waited for (`wait_for_warm_on_init`) has had its first outcome. */
  async warm(): Promise<void> {
    await Promise.all([...this.clusters.values()].filter((c) => c.waitForWarm).map((cluster) => cluster.warm));
  }

  /** Published so far, for a worker that starts later. */
  get current(): ReadonlyMap<string, readonly LocalityModel[]> {
    const all = new Map<string, readonly LocalityModel[]>();
    for (const [name, cluster] of this.clusters) if (cluster.published !== null) all.set(name, cluster.published);
    return all;
  }

  close(): void {
    for (const cluster of this.clusters.values()) cluster.stop();
    for (const resolver of this.resolvers.values()) resolver.close();
    this.clusters.clear();
    this.resolvers.clear();
  }

  private resolver(servers: readonly string[]): NameResolver {
    const key = servers.join(' ');
    let resolver = this.resolvers.get(key);
    if (resolver === undefined) {
      resolver = (this.env.createResolver ?? createResolver)(servers);
      this.resolvers.set(key, resolver);
    }
    return resolver;
  }
}

/** One name of a cluster with its own refresh. */
interface Target {
  readonly name: string;
  addresses: readonly string[];
  failures: number;
  cancelTimer: (() => void) | null;
}

class DnsCluster {
  readonly waitForWarm: boolean;
  readonly warm: Promise<void>;
  published: readonly LocalityModel[] | null;
  private readonly model: ClusterModel;
  private readonly discovery: DnsDiscovery;
  private readonly resolver: NameResolver;
  private readonly env: DnsEnv;
  private readonly stats: Float64Array;
  private readonly targets: Map<string, Target>;
  private readonly cold: Set<string>;
  private setWarm: () => void;
  private stopped: boolean;

  constructor(model: ClusterModel, discovery: DnsDiscovery, resolver: NameResolver, env: DnsEnv) {
    this.waitForWarm = discovery.waitForWarm;
    this.published = null;
    this.model = model;
    this.discovery = discovery;
    this.resolver = resolver;
    this.env = env;
    this.stats = env.stats.block(CLUSTER_CATALOGUE, `cluster.${model.statName}.`);
    this.targets = new Map();
    for (const name of namesOf(model)) this.targets.set(name, { name, addresses: [], failures: 0, cancelTimer: null });
    this.cold = new Set(this.targets.keys());
    this.setWarm = () => {};
    this.warm = new Promise((resolve) => {
      this.setWarm = resolve;
    });
    this.stopped = false;
  }

  start(): void {
    // Pipes need no name: publish them even when there is nothing to resolve.
    if (this.targets.size === 0) {
      this.rebuild();
      this.setWarm();
    }
    for (const target of this.targets.values()) void this.refresh(target);
  }

  stop(): void {
    this.stopped = true;
    for (const target of this.targets.values()) target.cancelTimer?.();
    this.setWarm();
  }

  private async refresh(target: Target): Promise<void> {
    target.cancelTimer = null;
    (this.stats[UPDATE_ATTEMPT] as number)++;
    let resolution: Resolution | null = null;
    try {
      resolution = await this.resolver.resolve(target.name, this.discovery.family);
    } catch {
      // Counted below; the name is asked again after the back-off.
    }
    if (this.stopped) return;
    this.settle(target, resolution);
    this.cold.delete(target.name);
    if (this.cold.size === 0) this.setWarm();
    target.cancelTimer = this.env.runtime.after(this.nextRefreshMs(target, resolution), () => {
      void this.refresh(target);
    });
  }

  private settle(target: Target, resolution: Resolution | null): void {
    if (resolution === null || (this.discovery.kind === 'logical_dns' && resolution.addresses.length === 0)) {
      (this.stats[UPDATE_FAILURE] as number)++;
      target.failures++;
      return;
    }
    (this.stats[UPDATE_SUCCESS] as number)++;
    target.failures = 0;
    // Servers rotate their answers: only the set matters, except for LOGICAL_DNS, which takes the first.
    const next =
      this.discovery.kind === 'logical_dns' ? resolution.addresses.slice(0, 1) : [...resolution.addresses].sort();
    if (sameList(target.addresses, next)) {
      (this.stats[UPDATE_NO_REBUILD] as number)++;
      return;
    }
    target.addresses = next;
    this.rebuild();
  }

  private rebuild(): void {
    this.published = this.model.localities.map((locality) => ({
      ...locality,
      endpoints: locality.endpoints.flatMap((endpoint) => this.resolved(endpoint)),
    }));
    this.env.publish(this.model.name, this.published);
  }

  private resolved(endpoint: EndpointModel): EndpointModel[] {
    const { address } = endpoint;
    if (address.kind !== 'socket') return [endpoint];
    const addresses = this.targets.get(address.address)?.addresses ?? [];
    const hostname = endpoint.hostname === '' ? address.address : endpoint.hostname;
    return addresses.map((ip) => ({ ...endpoint, hostname, address: { ...address, address: ip } }));
  }

  private nextRefreshMs(target: Target, resolution: Resolution | null): number {
    const { refreshMs, failureRefreshBaseMs, failureRefreshMaxMs, respectTtl, jitterMs } = this.discovery;
    const { random } = this.env.runtime;
    // Without a failure interval of its own a cluster repeats its refresh interval, and that one is not jittered.
    const backsOff =
      failureRefreshBaseMs > 0 && (failureRefreshBaseMs !== refreshMs || failureRefreshMaxMs !== refreshMs);
    if (target.failures > 0 && backsOff) {
      const bound = Math.min(failureRefreshBaseMs * 2 ** Math.min(target.failures - 1, 30), failureRefreshMaxMs);
      return Math.max(1, random() * bound);
    }
    const ttlMs = resolution === null || !respectTtl ? 0 : resolution.ttlSeconds * 1_000;
    const base = ttlMs > 0 ? Math.max(ttlMs, REFRESH_MS_MIN) : refreshMs;
    return base + random() * jitterMs;
  }
}

function namesOf(model: ClusterModel): Set<string> {
  const names = new Set<string>();
  for (const locality of model.localities)
    for (const { address } of locality.endpoints) if (address.kind === 'socket') names.add(address.address);
  return names;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
