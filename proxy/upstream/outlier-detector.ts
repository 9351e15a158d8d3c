// Outlier detection of one cluster, as the main thread decides it: which hosts are ejected and when they come back.
// Workers count (`outlier-monitor.ts`) and tell of runs of failures; every interval a sweep compares the hosts' success
// rates and takes back ejections whose time is over. The rules, and their order, are Envoy's.

import type { ClusterModel, EndpointModel, LocalityModel } from '../config/model/cluster.ts';
import type { EjectionType, OutlierModel } from '../config/model/outlier.ts';
import { OUTLIER_CATALOGUE, type OutlierStat, outlierStat } from '../observe/catalogue-outlier.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { Runtime } from '../util/runtime.ts';
import { formatAddress, hostKeyIn } from './host.ts';
import {
  DEGRADED,
  EJECTED,
  FAILED,
  LOCAL_FAILED,
  LOCAL_TOTAL,
  NOBODY,
  type OutlierCells,
  RUN_5XX,
  RUN_GATEWAY,
  RUN_LOCAL_ORIGIN,
  TOTAL,
} from './outlier-cells.ts';
import type { OutlierSign } from './outlier-monitor.ts';

/** What happened to a host, for whoever keeps a log. */
export interface OutlierEvent {
  readonly action: 'EJECT' | 'UNEJECT';
  /** `null` of a host that comes back. */
  readonly type: EjectionType | 'degraded' | null;
  readonly clusterName: string;
  readonly address: string;
  /** Of this host so far, this one included. */
  readonly ejections: number;
  readonly enforced: boolean;
  /** Since the host came back, or since it went; −1 = that never happened. */
  readonly msSinceLastAction: number;
  /** Percent; of success rates and failure percentages only, otherwise −1. */
  readonly hostSuccessRate: number;
  readonly clusterSuccessRate: number;
  readonly threshold: number;
}

/** What the detector knows of one host. */
export interface WatchedStatus {
  readonly ejected: boolean;
  readonly degraded: boolean;
  /** Percent; −1 = too few requests to tell. */
  readonly successRate: number;
  readonly localOriginSuccessRate: number;
}

/** What came of the last sweep: percent, −1 = too little was known. */
export interface SuccessRates {
  readonly successRateAverage: number;
  readonly successRateEjectionThreshold: number;
  readonly localOriginSuccessRateAverage: number;
  readonly localOriginSuccessRateEjectionThreshold: number;
}

/** What a detector needs of its surroundings. */
export interface DetectorEnv {
  readonly runtime: Runtime;
  readonly stats: StatsStore;
  readonly cells: OutlierCells;
  /** A cell for a host that has just been found; `NOBODY` = there is none left. */
  takeCell(): number;
  giveCell(cell: number): void;
  /** Flags of the cluster's hosts have changed. @param ejected cells of those that have just been ejected */
  publish(clusterName: string, ejected: readonly number[]): void;
  log(event: OutlierEvent): void;
}

/** How the requests of one origin (the hosts' answers, or the way to them) went. */
interface Origin {
  /** Fields of the cells. */
  readonly total: number;
  readonly failed: number;
  readonly rateType: 'success_rate' | 'local_origin_success_rate';
  readonly percentageType: 'failure_percentage' | 'local_origin_failure_percentage';
  /** Of the last sweep, percent; −1 = too little was known. */
  average: number;
  threshold: number;
}

/** What is remembered of a host about one origin: the counts at the last sweep, and what came of it. */
class Rate {
  total = 0;
  failed = 0;
  /** Requests between the last two sweeps, and how many of them went well, percent. */
  volume = 0;
  percent = 0;
  /** As `/clusters` shows it; −1 = too few requests. */
  shown = -1;
}

/** One host as the detector knows it. */
export class WatchedHost {
  readonly cell: number;
  address: string;
  ejections = 0;
  /** How many base times the next ejection lasts. */
  backOff = 0;
  degradedBackOff = 0;
  jitterMs = 0;
  ejectedMs = -1;
  returnedMs = -1;
  degradedMs = -1;
  readonly rates: readonly [Rate, Rate];

  constructor(cell: number, address: string) {
    this.cell = cell;
    this.address = address;
    this.rates = [new Rate(), new Rate()];
  }
}

/** Fields of a cell that hold the run of a sign. */
const RUNS = {
  consecutive_5xx: RUN_5XX,
  consecutive_gateway_failure: RUN_GATEWAY,
  consecutive_local_origin_failure: RUN_LOCAL_ORIGIN,
} as const;

/**
 * A timer may come so much too early, and ejections are dated behind the beginning of their sweep: a time that is a
 * multiple of the interval must not last an interval longer for that.
 */
const EARLY_MS = 5;

/** See the head of this file. */
export class OutlierDetector {
  private readonly origins: readonly [Origin, Origin];
  private readonly clusterName: string;
  private readonly isLogicalDns: boolean;
  private readonly model: OutlierModel;
  private readonly env: DetectorEnv;
  private readonly stats: Float64Array;
  private hosts: Map<string, WatchedHost>;
  private active: number;
  private changed: boolean;
  /** Since the last publication. */
  private ejected: number[];
  private cancelTimer: () => void;

  constructor(cluster: ClusterModel, model: OutlierModel, env: DetectorEnv) {
    this.clusterName = cluster.name;
    this.isLogicalDns = cluster.discovery.kind === 'logical_dns';
    this.model = model;
    this.env = env;
    this.stats = env.stats.block(OUTLIER_CATALOGUE, `cluster.${cluster.statName}.outlier_detection.`);
    this.stats.fill(0);
    this.hosts = new Map();
    this.active = 0;
    this.changed = false;
    this.ejected = [];
    this.origins = [
      {
        total: TOTAL,
        failed: FAILED,
        rateType: 'success_rate',
        percentageType: 'failure_percentage',
        average: -1,
        threshold: -1,
      },
      {
        total: LOCAL_TOTAL,
        failed: LOCAL_FAILED,
        rateType: 'local_origin_success_rate',
        percentageType: 'local_origin_failure_percentage',
        average: -1,
        threshold: -1,
      },
    ];
    this.cancelTimer = () => {};
    this.arm();
  }

  /**
   * The cluster's hosts now.
   * @returns their cells, in the order of first mention
   */
  setHosts(localities: readonly LocalityModel[]): number[] {
    const { model, env, hosts } = this;
    const next = new Map<string, WatchedHost>();
    for (const { endpoints } of localities)
      for (const endpoint of endpoints) {
        const key = hostKeyIn(endpoint, this.isLogicalDns);
        if (next.has(key)) continue;
        const address = formatAddress(endpoint.address);
        const cell = model.firstCell < 0 ? null : model.firstCell + next.size;
        const host = hosts.get(key) ?? this.watch(cell ?? env.takeCell(), address);
        host.address = address;
        next.set(key, host);
      }
    for (const [key, host] of hosts) if (!next.has(key)) this.forget(host);
    this.hosts = next;
    return this.cells;
  }

  /** Of the hosts now, in the order of first mention. */
  get cells(): number[] {
    return Array.from(this.hosts.values(), ({ cell }) => cell);
  }

  /** By host keys. */
  get watched(): ReadonlyMap<string, WatchedHost> {
    return this.hosts;
  }

  /** For `/clusters`; `null` when there is no such host. */
  hostStatus(endpoint: EndpointModel): WatchedStatus | null {
    const host = this.hosts.get(hostKeyIn(endpoint, this.isLogicalDns));
    if (host === undefined) return null;
    const flags = this.env.cells.flags(host.cell);
    const [external, local] = host.rates;
    return {
      ejected: (flags & EJECTED) !== 0,
      degraded: (flags & DEGRADED) !== 0,
      successRate: external.shown,
      localOriginSuccessRate: local.shown,
    };
  }

  /** For `/clusters`. */
  get thresholds(): SuccessRates {
    const [external, local] = this.origins;
    return {
      successRateAverage: external.average,
      successRateEjectionThreshold: external.threshold,
      localOriginSuccessRateAverage: local.average,
      localOriginSuccessRateEjectionThreshold: local.threshold,
    };
  }

  /** A worker has seen so many failures in a row of a host, or that it is degraded. */
  onSign(host: WatchedHost, sign: OutlierSign): void {
    const { cells } = this.env;
    const flags = cells.flags(host.cell);
    if (sign === 'degraded') {
      if ((flags & DEGRADED) === 0) this.degrade(host);
    } else if ((flags & EJECTED) === 0) {
      this.count(`ejections_detected_${sign}`);
      this.eject(host, sign);
      if (sign === 'consecutive_5xx') this.count('ejections_consecutive_5xx');
      cells.clearRun(host.cell, RUNS[sign]);
    }
    this.publish();
  }

  stop(): void {
    this.cancelTimer();
    for (const host of this.hosts.values()) this.forget(host);
    this.hosts = new Map();
  }

  // === Hosts come and go ===

  private watch(cell: number, address: string): WatchedHost {
    const { cells } = this.env;
    const host = new WatchedHost(cell, address);
    cells.clearRuns(cell);
    cells.setFlag(cell, EJECTED | DEGRADED, false);
    for (const [i, { total, failed }] of this.origins.entries()) {
      const rate = host.rates[i] as Rate;
      rate.total = cells.sum(cell, total);
      rate.failed = cells.sum(cell, failed);
    }
    return host;
  }

  private forget(host: WatchedHost): void {
    if ((this.env.cells.flags(host.cell) & EJECTED) !== 0) this.setActive(this.active - 1);
    if (this.model.firstCell < 0) this.env.giveCell(host.cell);
  }

  // === The sweep ===

  private arm(): void {
    this.cancelTimer = this.env.runtime.after(this.model.intervalMs, () => {
      this.sweep();
      this.arm();
    });
  }

  private sweep(): void {
    const now = this.env.runtime.nowMs();
    for (const host of this.hosts.values()) {
      this.returnIfTime(host, now);
      this.measure(host);
    }
    this.judgeRates(0);
    if (this.model.splitsLocalOrigin) this.judgeRates(1);
    for (const host of this.hosts.values()) this.makeUp(host, now);
    this.publish();
  }

  /** A host that was in service for a whole interval, and still is, has made up for one of its ejections. */
  private makeUp(host: WatchedHost, now: number): void {
    if ((this.env.cells.flags(host.cell) & EJECTED) === 0 && host.returnedMs !== now)
      host.backOff = Math.max(0, host.backOff - 1);
  }

  private returnIfTime(host: WatchedHost, now: number): void {
    const { cells } = this.env;
    const flags = cells.flags(host.cell);
    if ((flags & DEGRADED) === 0) host.degradedBackOff = Math.max(0, host.degradedBackOff - 1);
    else if (this.lasted(host.degradedBackOff, host.degradedMs, 0, now)) {
      cells.setFlag(host.cell, DEGRADED, false);
      this.changed = true;
      this.logReturn(host, now);
    }
    if ((flags & EJECTED) !== 0 && this.lasted(host.backOff, host.ejectedMs, host.jitterMs, now))
      this.takeBack(host, now);
  }

  private takeBack(host: WatchedHost, now: number): void {
    const { cells } = this.env;
    this.setActive(this.active - 1);
    cells.setFlag(host.cell, EJECTED, false);
    cells.clearRuns(host.cell);
    host.returnedMs = now;
    this.changed = true;
    this.logReturn(host, now);
  }

  /** Of a host that is no longer degraded Envoy says, too, how long ago it was ejected. */
  private logReturn(host: WatchedHost, now: number): void {
    const sinceMs = host.ejectedMs < 0 ? -1 : now - host.ejectedMs;
    this.env.log({ ...this.eventOf(host, null, false, sinceMs), action: 'UNEJECT' });
  }

  private lasted(backOff: number, sinceMs: number, jitterMs: number, now: number): boolean {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.model;
    return Math.min(baseEjectionTimeMs * backOff, maxEjectionTimeMs) + jitterMs <= now + EARLY_MS - sinceMs;
  }

  /** What each worker has counted since the last sweep. */
  private measure(host: WatchedHost): void {
    const { cells } = this.env;
    for (const [i, origin] of this.origins.entries()) {
      const rate = host.rates[i] as Rate;
      const total = cells.sum(host.cell, origin.total);
      const failed = cells.sum(host.cell, origin.failed);
      rate.volume = (total - rate.total) >>> 0;
      rate.percent = ((rate.volume - ((failed - rate.failed) >>> 0)) * 100) / Math.max(1, rate.volume);
      rate.total = total;
      rate.failed = failed;
      rate.shown = -1;
    }
  }

  private judgeRates(origin: 0 | 1): void {
    const { model, env } = this;
    const numbers = this.origins[origin];
    numbers.average = -1;
    numbers.threshold = -1;
    if (this.hosts.size < Math.min(model.successRateMinimumHosts, model.failurePercentageMinimumHosts)) return;
    const busy = [...this.hosts.values()].filter(
      ({ cell, rates }) => cell !== NOBODY && rates[origin].volume > 0 && (env.cells.flags(cell) & EJECTED) === 0,
    );
    const least = Math.min(model.successRateRequestVolume, model.failurePercentageRequestVolume);
    for (const { rates } of busy) if (rates[origin].volume >= least) rates[origin].shown = rates[origin].percent;
    const rated = busy.filter((host) => host.rates[origin].volume >= model.successRateRequestVolume);
    const measured = busy.filter((host) => host.rates[origin].volume >= model.failurePercentageRequestVolume);
    if (rated.length > 0 && rated.length >= model.successRateMinimumHosts) this.judgeByDeviation(rated, origin);
    if (measured.length > 0 && measured.length >= model.failurePercentageMinimumHosts)
      this.judgeByPercentage(measured, origin);
  }

  /** Hosts whose success rate is so many standard deviations below the average. */
  private judgeByDeviation(hosts: readonly WatchedHost[], origin: 0 | 1): void {
    const numbers = this.origins[origin];
    let sum = 0;
    for (const { rates } of hosts) sum += rates[origin].percent;
    const average = sum / hosts.length;
    let squares = 0;
    for (const { rates } of hosts) squares += (rates[origin].percent - average) ** 2;
    const deviation = Math.sqrt(squares / hosts.length);
    numbers.average = average;
    numbers.threshold = average - (this.model.successRateStdevFactor / 1000) * deviation;
    for (const host of hosts) {
      if (host.rates[origin].percent >= numbers.threshold) continue;
      this.count('ejections_success_rate');
      this.count(`ejections_detected_${numbers.rateType}`);
      this.eject(host, numbers.rateType);
    }
  }

  private judgeByPercentage(hosts: readonly WatchedHost[], origin: 0 | 1): void {
    const { percentageType } = this.origins[origin];
    for (const host of hosts) {
      if (100 - host.rates[origin].percent < this.model.failurePercentageThreshold) continue;
      this.count(`ejections_detected_${percentageType}`);
      // Its success rate may just have ejected it: then this is another ejection of the same host.
      this.eject(host, percentageType);
    }
  }

  // === Ejections ===

  private eject(host: WatchedHost, type: EjectionType): void {
    const { model } = this;
    const percent = (100 * (this.active + 1)) / this.hosts.size;
    const may = percent <= model.maxEjectionPercent || (model.alwaysEjectOneHost && this.active === 0);
    if (!may) {
      this.count('ejections_overflow');
      return;
    }
    if (type === 'consecutive_5xx' || type === 'success_rate') this.count('ejections_total');
    const enforced = this.isEnforced(type);
    if (enforced) this.enforce(host, type);
    this.logEjection(host, type, enforced);
  }

  private logEjection(host: WatchedHost, type: OutlierEvent['type'], enforced: boolean): void {
    const sinceMs = host.returnedMs < 0 ? -1 : this.env.runtime.nowMs() - host.returnedMs;
    this.env.log(this.eventOf(host, type, enforced, sinceMs));
  }

  private enforce(host: WatchedHost, type: EjectionType): void {
    const { model, env } = this;
    // Envoy counts a host twice that is ejected twice, and takes it back once: it leaks.
    if ((env.cells.flags(host.cell) & EJECTED) === 0) this.setActive(this.active + 1);
    this.count('ejections_enforced_total');
    this.count(`ejections_enforced_${type}`);
    env.cells.setFlag(host.cell, EJECTED, true);
    host.ejections++;
    host.ejectedMs = env.runtime.nowMs();
    host.jitterMs = Math.floor(env.runtime.random() * (model.maxEjectionTimeJitterMs + 1));
    if (host.backOff * model.baseEjectionTimeMs < model.maxEjectionTimeMs + model.baseEjectionTimeMs) host.backOff++;
    this.changed = true;
    this.ejected.push(host.cell);
  }

  private degrade(host: WatchedHost): void {
    const { model, env } = this;
    this.count('ejections_detected_degradation');
    env.cells.setFlag(host.cell, DEGRADED, true);
    host.degradedMs = env.runtime.nowMs();
    if (host.degradedBackOff * model.baseEjectionTimeMs < model.maxEjectionTimeMs + model.baseEjectionTimeMs)
      host.degradedBackOff++;
    this.changed = true;
    this.logEjection(host, 'degraded', true);
  }

  private isEnforced(type: EjectionType): boolean {
    const percent = this.model.enforcing[type];
    return percent >= 100 || (percent > 0 && this.env.runtime.random() * 100 < percent);
  }

  private eventOf(
    host: WatchedHost,
    type: OutlierEvent['type'],
    enforced: boolean,
    msSinceLastAction: number,
  ): OutlierEvent {
    const at = type === null ? -1 : this.origins.findIndex((each) => each.rateType === type);
    const of = this.origins.findIndex((each) => each.rateType === type || each.percentageType === type);
    return {
      action: 'EJECT',
      type,
      clusterName: this.clusterName,
      address: host.address,
      ejections: host.ejections,
      enforced,
      msSinceLastAction,
      hostSuccessRate: of < 0 ? -1 : (host.rates[of] as Rate).shown,
      clusterSuccessRate: at < 0 ? -1 : (this.origins[at] as Origin).average,
      threshold: at < 0 ? -1 : (this.origins[at] as Origin).threshold,
    };
  }

  private setActive(active: number): void {
    this.active = active;
    this.stats[outlierStat('ejections_active')] = active;
  }

  private count(name: OutlierStat): void {
    (this.stats[outlierStat(name)] as number)++;
  }

  private publish(): void {
    if (!this.changed) return;
    const { ejected } = this;
    this.changed = false;
    this.ejected = [];
    this.env.publish(this.clusterName, ejected);
  }
}
