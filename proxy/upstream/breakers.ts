// Circuit breakers: how many connections, pending requests, requests, retries and pools a cluster may have.
//
// The limits hold for the whole process, as Envoy's do. Each worker owns one cell per limit in shared memory and
// writes no other; the sum over the workers decides. With one worker the sum is the cell.
// Workers read each other's cells without a lock: two of them may pass a limit at the same moment and overshoot it by
// one each, as Envoy's threads do.

import type { BreakerModel, ClusterModel } from '../config/model-cluster.ts';
import * as stat from '../observe/catalogue-cluster.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import { bug } from '../util/error.ts';

export const LIMIT_CX = 0;
export const LIMIT_PENDING = 1;
export const LIMIT_RQ = 2;
export const LIMIT_RETRIES = 3;
export const LIMIT_POOLS = 4;
/** What a breaker limits; the index of its cell within the priority's run. */
export type Limit = 0 | 1 | 2 | 3 | 4;

const LIMITS = 5;
/** Clusters that every table has room for. */
const CLUSTERS_MIN = 16_384;
/** Cells of one cluster: both priorities. `ClusterModel.breakerBase` is a multiple of it. */
export const CELLS_PER_CLUSTER = LIMITS * 2;

/** Slots of the "open" gauges in a cluster's block, by `Limit`. */
export const OPEN_GAUGES: { readonly [priority in 'default' | 'high']: readonly number[] } = {
  default: [
    stat.CIRCUIT_BREAKERS_DEFAULT_CX_OPEN,
    stat.CIRCUIT_BREAKERS_DEFAULT_RQ_PENDING_OPEN,
    stat.CIRCUIT_BREAKERS_DEFAULT_RQ_OPEN,
    stat.CIRCUIT_BREAKERS_DEFAULT_RQ_RETRY_OPEN,
    stat.CIRCUIT_BREAKERS_DEFAULT_CX_POOL_OPEN,
  ],
  high: [
    stat.CIRCUIT_BREAKERS_HIGH_CX_OPEN,
    stat.CIRCUIT_BREAKERS_HIGH_RQ_PENDING_OPEN,
    stat.CIRCUIT_BREAKERS_HIGH_RQ_OPEN,
    stat.CIRCUIT_BREAKERS_HIGH_RQ_RETRY_OPEN,
    stat.CIRCUIT_BREAKERS_HIGH_CX_POOL_OPEN,
  ],
};

/** The shared table as one worker sees it. Layout: per cell one run of `workers` counts, then the "open" flag. */
export class SharedBreakers {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  /** Index of the worker that owns this view. */
  readonly worker: number;
  readonly cells: Int32Array;
  /** Values from one cell to the next. */
  readonly stride: number;

  constructor(buffer: SharedArrayBuffer, workers: number, worker: number) {
    this.buffer = buffer;
    this.workers = workers;
    this.worker = worker;
    this.cells = new Int32Array(buffer);
    this.stride = workers + 1;
  }

  /**
   * Memory for the clusters there are and those that may come. Its size is fixed, because access to a growable buffer
   * is several times slower; pages that nobody touches cost nothing.
   */
  static allocate(workers: number, clusters: number): SharedArrayBuffer {
    const capacity = Math.max(clusters * 2, CLUSTERS_MIN);
    return new SharedArrayBuffer(capacity * CELLS_PER_CLUSTER * (workers + 1) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Whether the table has room for the cluster at `base`. */
  fits(base: number): boolean {
    return (base + CELLS_PER_CLUSTER) * this.stride <= this.cells.length;
  }

  /** The last run of cells. */
  get lastBase(): number {
    return (Math.floor(this.cells.length / (CELLS_PER_CLUSTER * this.stride)) - 1) * CELLS_PER_CLUSTER;
  }

  /** Whether the gauge of a cell shows "open". */
  isOpen(cell: number): boolean {
    return Atomics.load(this.cells, cell * this.stride + this.workers) === 1;
  }

  /**
   * Gives back what a dead worker held; what it helped to fill is open no longer. Called before its successor starts.
   * The worker's gauges are gone, so that `settleOpenGauges` must follow.
   */
  clearWorker(worker: number): void {
    const { cells, stride, workers } = this;
    for (let first = 0; first < cells.length; first += stride)
      if (Atomics.exchange(cells, first + worker, 0) > 0) Atomics.store(cells, first + workers, 0);
  }
}

/**
 * After the gauges of a dead worker are gone: makes the sum of each "open" gauge equal to its flag again. Workers move
 * their own gauge by one whenever they turn a flag, so the difference is the dead worker's share; the main thread
 * carries it from now on.
 */
export function settleOpenGauges(
  breakers: SharedBreakers,
  clusters: readonly Pick<ClusterModel, 'statName' | 'breakerBase'>[],
  stats: StatsRegistry,
): void {
  for (const { statName, breakerBase } of clusters) {
    if (!breakers.fits(breakerBase)) continue;
    const prefix = `cluster.${statName}.`;
    const shown = stats.valuesOf(stat.CLUSTER_CATALOGUE, prefix);
    for (const priority of ['default', 'high'] as const)
      for (const [limit, gauge] of OPEN_GAUGES[priority].entries()) {
        const open = breakers.isOpen(priorityBase(breakerBase, priority) + limit) ? 1 : 0;
        const missing = open - (shown[gauge] as number);
        if (missing !== 0) (stats.local.block(stat.CLUSTER_CATALOGUE, prefix)[gauge] as number) += missing;
      }
  }
}

/** Gauges of one limit that follow it: `open` is 0 or 1, `remaining` is `null` unless tracked. */
export interface LimitGauges {
  readonly block: Float64Array;
  readonly open: number;
  readonly remaining: Float64Array | null;
  readonly remainingAt: number;
}

/** One limit of one cluster and priority. */
export class Breaker {
  /** Changes when a cluster's thresholds change while its cells stay. */
  max: number;
  private readonly shared: SharedBreakers;
  private readonly cells: Int32Array;
  private readonly first: number;
  private readonly own: number;
  /** The cell that says whether the gauge shows "open". */
  private readonly flag: number;
  private readonly alone: boolean;
  private readonly gauges: LimitGauges;

  constructor(shared: SharedBreakers, cell: number, max: number, gauges: LimitGauges) {
    this.max = max;
    this.shared = shared;
    this.cells = shared.cells;
    this.first = cell * shared.stride;
    this.own = this.first + shared.worker;
    this.flag = this.first + shared.workers;
    this.alone = shared.workers === 1;
    this.gauges = gauges;
    // The gauge is summed over the workers: the first one brings in the limit, each takes off what it uses.
    if (gauges.remaining !== null)
      gauges.remaining[gauges.remainingAt] = (shared.worker === 0 ? max : 0) - (this.cells[this.own] as number);
  }

  /** Uses of all workers now. */
  get used(): number {
    const { cells, first, shared } = this;
    if (this.alone) return cells[first] as number;
    let sum = 0;
    for (let at = first; at < first + shared.workers; at++) sum += cells[at] as number;
    return sum;
  }

  get canTake(): boolean {
    return this.used < this.max;
  }

  take(): void {
    const { cells, own } = this;
    const mine = (cells[own] as number) + 1;
    cells[own] = mine;
    const { remaining, remainingAt } = this.gauges;
    if (remaining !== null) (remaining[remainingAt] as number)--;
    if ((this.alone ? mine : this.used) >= this.max) this.setOpen(1);
  }

  give(): void {
    const { cells, own } = this;
    const mine = cells[own] as number;
    if (mine === 0) {
      bug('breaker_underflow', `cell ${own}`);
      return;
    }
    cells[own] = mine - 1;
    const { remaining, remainingAt } = this.gauges;
    if (remaining !== null) (remaining[remainingAt] as number)++;
    if (cells[this.flag] === 1 && this.used < this.max) this.setOpen(0);
  }

  /** Whoever turns the shared flag moves its own gauge by one, so that the sum over the workers is the flag. */
  private setOpen(open: 0 | 1): void {
    if (this.cells[this.flag] === open) return;
    if (Atomics.compareExchange(this.cells, this.flag, 1 - open, open) === 1 - open)
      (this.gauges.block[this.gauges.open] as number) += open === 1 ? 1 : -1;
  }
}

/** The five limits of one priority. */
export class PriorityBreakers {
  readonly connections: Breaker;
  readonly pending: Breaker;
  readonly requests: Breaker;
  readonly retries: Breaker;
  readonly pools: Breaker;
  readonly model: BreakerModel;

  constructor(shared: SharedBreakers, base: number, model: BreakerModel, gauges: (limit: Limit) => LimitGauges) {
    const breaker = (limit: Limit, max: number) => new Breaker(shared, base + limit, max, gauges(limit));
    this.model = model;
    this.connections = breaker(LIMIT_CX, model.maxConnections);
    this.pending = breaker(LIMIT_PENDING, model.maxPendingRequests);
    this.requests = breaker(LIMIT_RQ, model.maxRequests);
    this.retries = breaker(LIMIT_RETRIES, model.maxRetries);
    this.pools = breaker(LIMIT_POOLS, model.maxConnectionPools);
  }

  /** Takes a place for a retry: among `max_retries`, or within the budget (a share of what is active and pending). */
  tryRetry(): boolean {
    const budget = this.model.retryBudget;
    if (budget === null) {
      if (!this.retries.canTake) return false;
    } else {
      const active = this.requests.used + this.pending.used;
      const max = Math.max(Math.floor((active * budget.budgetPercent) / 100), budget.minRetryConcurrency);
      this.retries.max = max;
      if (this.retries.used >= max) return false;
    }
    this.retries.take();
    return true;
  }
}

/** First cell of a priority within a cluster's run. */
export function priorityBase(clusterBase: number, priority: 'default' | 'high'): number {
  return clusterBase + (priority === 'high' ? LIMITS : 0);
}
