// Response codes under one prefix: `upstream_rq_<code>`, `upstream_rq_<class>`, `upstream_rq_completed`, and the time that
// requests took. Stats are made at their first use, as Envoy does.

import type { Histogram, StatsStore } from '../observe/stats.ts';

const CODE_MIN = 100;
const CODE_END = 600;

/** See the head of this file. */
export class CodeTable {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly countsNameless: boolean;
  private readonly codes: Map<number, readonly Float64Array[]>;
  private timeMs: Histogram | null;

  /**
   * @param prefix with its trailing dot, e.g. `vhost.web.vcluster.writes.`
   * @param countsNameless codes without a class have a counter nevertheless
   */
  constructor(stats: StatsStore, prefix: string, countsNameless = false) {
    this.stats = stats;
    this.prefix = prefix;
    this.countsNameless = countsNameless;
    this.codes = new Map();
    this.timeMs = null;
  }

  charge(status: number): void {
    for (const cell of this.codes.get(status) ?? this.open(status)) cell[0] = (cell[0] as number) + 1;
  }

  recordTime(ms: number): void {
    this.timeMs ??= this.stats.histogram(`${this.prefix}upstream_rq_time`);
    this.timeMs.record(ms);
  }

  private open(status: number): readonly Float64Array[] {
    const known = status >= CODE_MIN && status < CODE_END;
    const names = known ? [`${status}`, `${Math.floor(status / 100)}xx`, 'completed'] : ['unknown', 'completed'];
    const cells = names.map((name) => this.stats.cell(`${this.prefix}upstream_rq_${name}`, 'c'));
    // The class has no name, and so its counter is that of the prefix.
    if (!known && this.countsNameless) cells.push(this.stats.cell(this.prefix.slice(0, -1), 'c'));
    this.codes.set(status, cells);
    return cells;
  }
}

/** What requests of a cluster are counted under by the host they went to: canaries, and pairs of zones. */
export class HostCodes {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly ownZone: string;
  private canaries: CodeTable | null;
  private readonly zones: Map<string, CodeTable>;
  /** The zone asked for last, and its table. */
  private lastZone: string;
  private last: CodeTable | null;

  /**
   * @param prefix of the cluster, with its trailing dot
   * @param ownZone where this proxy is; empty = unknown
   */
  constructor(stats: StatsStore, prefix: string, ownZone: string) {
    this.stats = stats;
    this.prefix = prefix;
    this.ownZone = ownZone;
    this.canaries = null;
    this.zones = new Map();
    this.lastZone = '';
    this.last = null;
  }

  charge(status: number, zone: string, canary: boolean): void {
    if (canary) this.canary.charge(status);
    this.ofZone(zone)?.charge(status);
  }

  recordTime(ms: number, zone: string, canary: boolean): void {
    if (canary) this.canary.recordTime(ms);
    this.ofZone(zone)?.recordTime(ms);
  }

  private get canary(): CodeTable {
    this.canaries ??= new CodeTable(this.stats, `${this.prefix}canary.`);
    return this.canaries;
  }

  private ofZone(zone: string): CodeTable | null {
    if (zone === '' || this.ownZone === '') return null;
    if (zone === this.lastZone) return this.last;
    let table = this.zones.get(zone);
    if (table === undefined) {
      table = new CodeTable(this.stats, `${this.prefix}zone.${this.ownZone}.${zone}.`);
      this.zones.set(zone, table);
    }
    this.lastZone = zone;
    this.last = table;
    return table;
  }
}
