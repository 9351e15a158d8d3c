// Consistent hashing: the hash of a request chooses priority and host; a request without one goes to a random place.

import type { HashLbPolicyModel } from '../config/model/cluster.ts';
import { LB_HEALTHY_PANIC, UPSTREAM_RQ_ACTIVE } from '../observe/catalogue-cluster.ts';
import { U64 } from '../util/hash64.ts';
import type { Runtime } from '../util/runtime.ts';
import { buildHashTable, type HashTable, normalWeights, type TableGauge } from './hash-tables.ts';
import type { Host } from './host.ts';
import { MersenneTwister } from './mersenne-twister.ts';
import type { Balancer } from './picker.ts';
import type { PickContext } from './upstream.ts';

/** Hosts that take a share of the load. */
export interface HashShare {
  /** Of 100. */
  readonly percent: number;
  /** Not empty. */
  readonly hosts: readonly Host[];
  readonly panic: boolean;
}

/** What a hash balancer needs of its cluster. */
export interface HashBalancerEnv {
  readonly runtime: Runtime;
  /** Block of the cluster catalogue. */
  readonly stats: Float64Array;
  readonly gauge: TableGauge | null;
}

/** @param shares not empty, in the order of priorities */
export function buildHashBalancer(
  shares: readonly HashShare[],
  policy: HashLbPolicyModel,
  env: HashBalancerEnv,
): Balancer {
  const tables = shares.map(({ hosts, panic }) => {
    const table = buildHashTable(hosts, policy, env.gauge);
    const bounded =
      policy.balancePercent === 0 ? table : new BoundedTable(table, hosts, policy.balancePercent, env.stats);
    return { table: bounded, panic };
  });
  const percents = shares.map(({ percent }) => Math.floor(percent));
  const rest = 100 - percents.reduce((sum, percent) => sum + percent, 0);
  percents[0] = (percents[0] as number) + rest;
  return new HashBalancer(tables, percents, env);
}

class HashBalancer implements Balancer {
  private readonly tables: readonly { readonly table: HashTable; readonly panic: boolean }[];
  private readonly percents: readonly number[];
  private readonly runtime: Runtime;
  private readonly stats: Float64Array;
  private readonly hash: U64;

  constructor(
    tables: readonly { readonly table: HashTable; readonly panic: boolean }[],
    percents: readonly number[],
    { runtime, stats }: HashBalancerEnv,
  ) {
    this.tables = tables;
    this.percents = percents;
    this.runtime = runtime;
    this.stats = stats;
    this.hash = new U64();
  }

  pick(context: PickContext, attempt: number): Host {
    const { hash, runtime, tables } = this;
    // Another attempt follows at once, and is made with the same hash.
    if (attempt === 0 && !context.hash(hash))
      hash.setParts(runtime.random() * 0x1_0000_0000, runtime.random() * 0x1_0000_0000);
    const { table, panic } = tables[tables.length === 1 ? 0 : this.share()] as (typeof tables)[number];
    if (panic && attempt === 0) (this.stats[LB_HEALTHY_PANIC] as number)++;
    return table.pick(hash, attempt);
  }

  private share(): number {
    const { percents } = this;
    let left = this.hash.modulo(100);
    let at = 0;
    while (at < percents.length - 1 && left >= (percents[at] as number)) left -= percents[at++] as number;
    return at;
  }
}

/**
 * Bounded loads: a host that has more than its part of the requests under way, by so many percent of the average, lets
 * another one take the next; which one is decided by the same hash (arxiv.org/abs/1908.08762). Loads are this worker's.
 */
class BoundedTable implements HashTable {
  private readonly table: HashTable;
  private readonly hosts: readonly Host[];
  private readonly weights: Float64Array;
  private readonly weightOf: ReadonlyMap<Host, number>;
  private readonly percent: number;
  private readonly stats: Float64Array;

  constructor(table: HashTable, hosts: readonly Host[], percent: number, stats: Float64Array) {
    this.table = table;
    this.hosts = hosts;
    this.weights = normalWeights(hosts);
    this.weightOf = new Map(hosts.map((host, i) => [host, this.weights[i] as number]));
    this.percent = percent;
    this.stats = stats;
  }

  pick(hash: U64, attempt: number): Host {
    const { hosts, weights } = this;
    const first = this.table.pick(hash, attempt);
    let least = this.load(first, this.weightOf.get(first) as number);
    if (least <= 1) return first;
    let leastLoaded = first;
    const random = new MersenneTwister(hash.lo);
    const order = Uint32Array.from(hosts, (_, i) => i);
    for (let i = 0; i < order.length; i++) {
      const j = i + uniform(random, order.length - i);
      const at = order[j] as number;
      order[j] = order[i] as number;
      order[i] = at;
      const host = hosts[at] as Host;
      if (host === first) continue;
      const load = this.load(host, weights[at] as number);
      if (load <= 1) return host;
      if (load < least) {
        least = load;
        leastLoaded = host;
      }
    }
    return leastLoaded;
  }

  /** Requests under way in relation to what the host may have. */
  private load(host: Host, weight: number): number {
    const all = this.stats[UPSTREAM_RQ_ACTIVE] as number;
    const slots = Math.floor(((all + 1) * this.percent + 99) / 100);
    return host.activeRequests / Math.max(Math.ceil(slots * weight), 1);
  }
}

/** A whole number in [0, end), each as likely. */
function uniform(random: MersenneTwister, end: number): number {
  const part = Math.floor(0x1_0000_0000 / end);
  let value = end;
  while (value >= end) value = Math.floor(random.next() / part);
  return value;
}
