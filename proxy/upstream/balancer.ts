// Choosing a host: first a priority (and healthy or degraded in it), then a host of that list.
//
// Priorities follow Envoy: each takes load in proportion to its health times 1.4, lower ones take what is left over;
// a priority whose healthy share is below the panic threshold, while the whole cluster cannot carry 100 %, uses all of
// its hosts. Localities of a priority are merged; weighting them is a matter of the locality-weighted policy.

import type { ClusterModel } from '../config/model/cluster.ts';
import { LB_HEALTHY_PANIC } from '../observe/catalogue-cluster.ts';
import type { Runtime } from '../util/runtime.ts';
import { buildHashBalancer, type HashShare } from './hash-balancer.ts';
import type { TableGauge } from './hash-tables.ts';
import type { Host } from './host.ts';
import { type Balancer, buildPicker, type Picker } from './picker.ts';
import { holdsPriority } from './tried-priorities.ts';

/** Envoy's overprovisioning factor: full load is carried down to 71 % healthy hosts. */
const OVERPROVISIONING_PERCENT = 140;

/** Hosts of one priority, sorted by health. */
interface Level {
  readonly all: readonly Host[];
  readonly healthy: readonly Host[];
  readonly degraded: readonly Host[];
}

/** One list that takes a share of the load. */
interface Share {
  readonly percent: number;
  /** `null` = in panic, where no host is to be used. */
  readonly picker: Picker | null;
  readonly panic: boolean;
}

/**
 * @param priorities hosts by priority; holes are empty lists
 * @param stats block of the cluster catalogue, for `lb_healthy_panic`
 * @param gauge told of the tables of consistent hashing
 * @param leftOut one bit for each priority that gets no load; whether the others are in panic is decided with it
 */
export function buildBalancer(
  priorities: readonly (readonly Host[])[],
  model: ClusterModel,
  runtime: Runtime,
  stats: Float64Array,
  gauge: TableGauge | null = null,
  leftOut = 0,
): Balancer {
  const { lbPolicy } = model;
  const hostShares = computeShares(priorities.map(sortByHealth), model, leftOut);
  if (hostShares.length === 0) {
    const isEmpty = priorities.every((hosts) => hosts.length === 0);
    return isEmpty && model.healthyPanicThreshold > 0 ? new PanicBalancer(null, stats) : NO_HOST;
  }
  if (lbPolicy.kind === 'ring_hash' || lbPolicy.kind === 'maglev')
    return buildHashBalancer(hostShares, lbPolicy, { runtime, stats, gauge });
  const shares = hostShares.map(
    ({ percent, hosts, panic }): Share => ({
      percent,
      picker: panic && model.failTrafficOnPanic ? null : buildPicker(hosts, lbPolicy, runtime),
      panic,
    }),
  );
  const only = shares[0] as Share;
  if (shares.length === 1 && !only.panic && only.picker !== null) return only.picker;
  if (shares.length === 1) return new PanicBalancer(only.picker, stats);
  return new PriorityBalancer(shares, runtime, stats);
}

const NO_HOST: Balancer = { pick: () => null };

class PanicBalancer implements Balancer {
  private readonly picker: Picker | null;
  private readonly stats: Float64Array;

  constructor(picker: Picker | null, stats: Float64Array) {
    this.picker = picker;
    this.stats = stats;
  }

  pick(): Host | null {
    (this.stats[LB_HEALTHY_PANIC] as number)++;
    return this.picker === null ? null : this.picker.pick();
  }
}

class PriorityBalancer implements Balancer {
  private readonly shares: readonly Share[];
  private readonly runtime: Runtime;
  private readonly stats: Float64Array;

  constructor(shares: readonly Share[], runtime: Runtime, stats: Float64Array) {
    this.shares = shares;
    this.runtime = runtime;
    this.stats = stats;
  }

  pick(): Host | null {
    const { shares } = this;
    let left = this.runtime.random() * 100;
    let at = 0;
    while (at < shares.length - 1 && left >= (shares[at] as Share).percent) left -= (shares[at++] as Share).percent;
    const share = shares[at] as Share;
    if (share.panic) (this.stats[LB_HEALTHY_PANIC] as number)++;
    return share.picker === null ? null : share.picker.pick();
  }
}

function sortByHealth(hosts: readonly Host[]): Level {
  return {
    all: hosts,
    healthy: hosts.filter((host) => host.health === 'healthy'),
    degraded: hosts.filter((host) => host.health === 'degraded'),
  };
}

/** What a level can carry, 0 to 100. */
function capacity(usable: number, total: number): number {
  return total === 0 ? 0 : Math.min(100, Math.floor((OVERPROVISIONING_PERCENT * usable) / total));
}

/** Whether anything may be used without panic. */
export function hasCapacity(priorities: readonly (readonly Host[])[]): boolean {
  return priorities.some((hosts) => hosts.some(({ health }) => health !== 'unhealthy'));
}

/** Shares that add up to 100, healthy lists of all priorities before degraded ones; empty = nothing may be used. */
function computeShares(levels: readonly Level[], model: ClusterModel, leftOut: number): HashShare[] {
  const healthy = levels.map((level) => capacity(level.healthy.length, level.all.length));
  const degraded = levels.map((level) => capacity(level.degraded.length, level.all.length));
  let available = Math.min(100, sum(healthy) + sum(degraded));
  const isShort = available < 100;
  const inPanic = levels.map((level) => isShort && isInPanic(level, model.healthyPanicThreshold));
  const hosts = sum(levels.map((level) => level.all.length));
  // Every priority in panic: the load goes by the number of hosts.
  if (leftOut === 0 && hosts > 0 && levels.every((level, i) => inPanic[i] || level.all.length === 0))
    return levels
      .filter((level) => level.all.length > 0)
      .map((level) => ({ percent: (100 * level.all.length) / hosts, hosts: level.all, panic: true }));
  if (leftOut !== 0) {
    for (const capacities of [healthy, degraded])
      capacities.forEach((_, i) => {
        if (holdsPriority(leftOut, i)) capacities[i] = 0;
      });
    available = Math.min(100, sum(healthy) + sum(degraded));
  }
  if (available === 0) return [];
  const shares: HashShare[] = [];
  let left = 100;
  const add = (capacities: readonly number[], list: (level: Level) => readonly Host[]): void => {
    for (const [i, level] of levels.entries()) {
      const wanted = ((capacities[i] as number) * 100) / available;
      const percent = Math.min(left, wanted);
      if (percent <= 0) continue;
      left -= percent;
      const panic = inPanic[i] as boolean;
      shares.push({ percent, hosts: panic ? level.all : list(level), panic });
    }
  };
  add(healthy, (level) => level.healthy);
  add(degraded, (level) => level.degraded);
  return shares;
}

function isInPanic(level: Level, thresholdPercent: number): boolean {
  if (level.all.length === 0) return false;
  const usable = level.healthy.length + level.degraded.length;
  return (100 * usable) / level.all.length < Math.min(100, thresholdPercent);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
