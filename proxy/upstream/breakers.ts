// Circuit breakers: how many connections, pending requests, requests, retries and pools a cluster may have.
//
// The limits hold for the whole process, as Envoy's do. Each worker owns one cell per limit in shared memory and
// writes no other; the sum over the workers decides. With one worker the sum is the cell.
// No worker waits for another: each takes a place first, adds up, and gives it back when that was too much. So a limit is
// never passed, not even for a moment; where Envoy's threads may overshoot, two workers that reach for the last place at
// once may both miss it.

import type { BreakerModel, ClusterModel } from '../config/model/cluster.ts';
import * as stat from '../observe/catalogue-cluster.ts';
import { WITHOUT_LIMIT } from '../observe/stats-group.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import { bug } from '../util/error.ts';
import { BegunRequests, CELLS_PER_WINDOW } from './begun-requests.ts';
import { HostCells } from './host-cells.ts';

export const LIMIT_CX = 0;
export const LIMIT_PENDING = 1;
export const LIMIT_RQ = 2;
export const LIMIT_RETRIES = 3;
export const LIMIT_POOLS = 4;
/** What a breaker limits; the index of its cell within the priority's run. */
export type Limit = 0 | 1 | 2 | 3 | 4;

const LIMITS = 5;
const PRIORITIES = 2;
/** Clusters that every table has room for. */
const CLUSTERS_MIN = 16_384;
/** What a limit is that is not set, or as good as that. */
export const UNLIMITED = 0xffff_ffff;
/** No number at all: what is left of it is shown as 2⁶⁴ − 1, as far as Envoy counts. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** Cells of one cluster: both priorities. `ClusterModel.breakerBase` is a multiple of it. */
export const CELLS_PER_CLUSTER = LIMITS * PRIORITIES;

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

/**
 * The shared table as one worker sees it: cells of clusters, each one run of `workers` counts and the "open" flag, what
 * clusters with a budget for retries count, and cells of hosts.
 */
export class SharedBreakers {
  readonly buffer: SharedArrayBuffer;
  readonly workers: number;
  /** Index of the worker that owns this view. */
  readonly worker: number;
  readonly cells: Int32Array;
  /** A window for each priority of each cluster and each worker; see `begun-requests.ts`. */
  readonly begun: Int32Array;
  readonly hosts: HostCells;
  /** Values from one cell to the next. */
  readonly stride: number;

  constructor(buffer: SharedArrayBuffer, workers: number, worker: number) {
    this.buffer = buffer;
    this.workers = workers;
    this.worker = worker;
    this.stride = workers + 1;
    const perCluster = CELLS_PER_CLUSTER * this.stride + PRIORITIES * workers * CELLS_PER_WINDOW;
    const capacity = (buffer.byteLength / Int32Array.BYTES_PER_ELEMENT - HostCells.length(workers)) / perCluster;
    this.cells = new Int32Array(buffer, 0, capacity * CELLS_PER_CLUSTER * this.stride);
    this.begun = new Int32Array(buffer, this.cells.byteLength, capacity * PRIORITIES * workers * CELLS_PER_WINDOW);
    this.hosts = new HostCells(buffer, this.cells.byteLength + this.begun.byteLength, workers, worker);
  }

  /**
   * Memory for the clusters there are and those that may come. Its size is fixed, because access to a growable buffer
   * is several times slower; pages that nobody touches cost nothing.
   */
  static allocate(workers: number, clusters: number): SharedArrayBuffer {
    const capacity = Math.max(clusters * 2, CLUSTERS_MIN);
    const perCluster = CELLS_PER_CLUSTER * (workers + 1) + PRIORITIES * workers * CELLS_PER_WINDOW;
    return new SharedArrayBuffer((capacity * perCluster + HostCells.length(workers)) * Int32Array.BYTES_PER_ELEMENT);
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
    this.hosts.clearWorker(worker);
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

  /** @param cells the array that holds the cell */
  constructor(shared: SharedBreakers, cells: Int32Array, cell: number, max: number, gauges: LimitGauges) {
    this.max = max;
    this.shared = shared;
    this.cells = cells;
    this.first = cell * shared.stride;
    this.own = this.first + shared.worker;
    this.flag = this.first + shared.workers;
    this.alone = shared.workers === 1;
    this.gauges = gauges;
    const shown = max === NO_LIMIT ? WITHOUT_LIMIT : max;
    // The gauge is summed over the workers: the first one brings in the limit, each takes off what it uses.
    if (gauges.remaining !== null)
      gauges.remaining[gauges.remainingAt] = (shared.worker === 0 ? shown : 0) - (this.cells[this.own] as number);
  }

  /** Uses of all workers now. */
  get used(): number {
    const { cells, first, shared } = this;
    if (this.alone) return cells[first] as number;
    let sum = 0;
    for (let at = first; at < first + shared.workers; at++) sum += Atomics.load(cells, at);
    return sum;
  }

  /** Uses of this worker now. */
  protected get ownUses(): number {
    return this.cells[this.own] as number;
  }

  get hasRoom(): boolean {
    return this.used < this.max;
  }

  /** Takes a place. @returns false: there is none */
  tryTake(): boolean {
    const { cells, own, max } = this;
    let used: number;
    if (this.alone || max >= UNLIMITED) {
      used = (cells[own] as number) + 1;
      if (used > max) return false;
      cells[own] = used;
    } else {
      Atomics.add(cells, own, 1);
      used = this.used;
      if (used > max) {
        Atomics.sub(cells, own, 1);
        return false;
      }
    }
    this.noteTaken(used);
    return true;
  }

  /** Takes a place within another limit than its own, which its gauge goes on to follow. @returns false: there is none */
  tryTakeWithin(limit: number): boolean {
    const { cells, own } = this;
    Atomics.add(cells, own, 1);
    const { used } = this;
    if (used > limit) {
      Atomics.sub(cells, own, 1);
      return false;
    }
    this.noteTaken(used);
    return true;
  }

  /** Takes a place whether there is one or not. */
  take(): void {
    const { cells, own } = this;
    Atomics.add(cells, own, 1);
    this.noteTaken(this.used);
  }

  protected noteTaken(used: number): void {
    const { remaining, remainingAt } = this.gauges;
    if (remaining !== null) (remaining[remainingAt] as number)--;
    if (used >= this.max) this.setOpen(1);
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

/** Requests that are counted for a budget, besides. */
class CountedBreaker extends Breaker {
  private readonly begun: BegunRequests;

  constructor(
    shared: SharedBreakers,
    cells: Int32Array,
    cell: number,
    max: number,
    gauges: LimitGauges,
    begun: BegunRequests,
  ) {
    super(shared, cells, cell, max, gauges);
    this.begun = begun;
  }

  protected override noteTaken(used: number): void {
    super.noteTaken(used);
    this.begun.count();
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
  /** What the budget's share is of; `null` = of what is under way. */
  private readonly begun: BegunRequests | null;

  /** @param nowMs monotonic, of this thread */
  constructor(
    shared: SharedBreakers,
    base: number,
    model: BreakerModel,
    gauges: (limit: Limit) => LimitGauges,
    nowMs: () => number,
  ) {
    const breaker = (limit: Limit, max: number) => new Breaker(shared, shared.cells, base + limit, max, gauges(limit));
    this.model = model;
    this.begun = begunOf(shared, base, model, nowMs);
    this.connections = breaker(LIMIT_CX, model.maxConnections);
    this.pending = breaker(LIMIT_PENDING, model.maxPendingRequests);
    this.requests =
      this.begun === null
        ? breaker(LIMIT_RQ, model.maxRequests)
        : new CountedBreaker(shared, shared.cells, base + LIMIT_RQ, model.maxRequests, gauges(LIMIT_RQ), this.begun);
    this.retries = breaker(LIMIT_RETRIES, model.maxRetries);
    this.pools = breaker(LIMIT_POOLS, model.maxConnectionPools);
  }

  /** Takes a place for a retry: among `max_retries`, or within the budget. */
  tryRetry(): boolean {
    const budget = this.model.retryBudget;
    if (budget !== null) {
      const active = this.begun === null ? this.requests.used + this.pending.used : this.begun.sum;
      const share = Math.floor((active * budget.budgetPercent) / 100);
      return this.retries.tryTakeWithin(Math.max(share, budget.minRetryConcurrency));
    }
    return this.retries.tryTake();
  }
}

function begunOf(
  shared: SharedBreakers,
  base: number,
  { retryBudget }: BreakerModel,
  nowMs: () => number,
): BegunRequests | null {
  if (retryBudget === null || retryBudget.intervalMs === 0) return null;
  // Threads start their clocks at different times.
  const { timeOrigin } = performance;
  const first = (base / LIMITS) * shared.workers * CELLS_PER_WINDOW;
  const clock = (): number => timeOrigin + nowMs();
  return new BegunRequests(shared.begun, first, shared.workers, shared.worker, retryBudget.intervalMs, clock);
}

/** First cell of a priority within a cluster's run. */
export function priorityBase(clusterBase: number, priority: 'default' | 'high'): number {
  return clusterBase + (priority === 'high' ? LIMITS : 0);
}
