// Response codes as Envoy counts them under a prefix: `upstream_rq_<code>`, `upstream_rq_<class>`, `upstream_rq_completed`,
// and the time that requests took. Stats are made at their first use, as Envoy does.

import type { Histogram, StatsStore } from '../observe/stats.ts';

/** Codes that are counted by number and class are 100 to 599; all others are `upstream_rq_unknown` and have no class. */
const CODE_MIN = 100;
const CODE_END = 600;
/** One for each code, and the last one for all others. */
const PLACES = CODE_END - CODE_MIN + 1;

/** Whether a status is counted by its number. */
export function isKnownCode(status: number): boolean {
  return status >= CODE_MIN && status < CODE_END;
}

/** See the head of this file. */
export class CodeTable {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly whole: string | null;
  private readonly classless: string | null;
  /** What each place counts in; `null` before the first code. */
  private places: (readonly Float64Array[] | null)[] | null;
  private timeMs: Histogram | null;

  /**
   * @param prefix with its trailing dot, e.g. `vhost.web.vcluster.writes.`
   * @param whole of what this is a part of, as `prefix` is; codes and classes are counted there, too. `null` = nothing
   * @param classless counter of codes that have no class; `null` = there is none
   */
  constructor(stats: StatsStore, prefix: string, whole: string | null, classless: string | null) {
    this.stats = stats;
    this.prefix = prefix;
    this.whole = whole;
    this.classless = classless;
    this.places = null;
    this.timeMs = null;
  }

  charge(status: number): void {
    const places = this.places ?? this.begin();
    const place = isKnownCode(status) ? status - CODE_MIN : PLACES - 1;
    const cells = places[place] ?? this.open(places, place);
    for (let i = 0; i < cells.length; i++) {
      const cell = cells[i] as Float64Array;
      cell[0] = (cell[0] as number) + 1;
    }
  }

  /** Under the prefix alone. */
  recordTime(ms: number): void {
    if (this.timeMs === null) this.timeMs = this.stats.histogram(`${this.prefix}upstream_rq_time`);
    this.timeMs.record(ms);
  }

  private begin(): (readonly Float64Array[] | null)[] {
    this.places = new Array<readonly Float64Array[] | null>(PLACES).fill(null);
    return this.places;
  }

  private open(places: (readonly Float64Array[] | null)[], place: number): readonly Float64Array[] {
    const { prefix, whole, classless } = this;
    const status = place + CODE_MIN;
    const names = isKnownCode(status) ? [`${status}`, `${Math.floor(status / 100)}xx`] : ['unknown'];
    const ofWhole = whole === null ? [] : names.map((name) => `${whole}upstream_rq_${name}`);
    const own = [...names, 'completed'].map((name) => `${prefix}upstream_rq_${name}`);
    const ofClassless = isKnownCode(status) || classless === null ? [] : [classless];
    const cells = [...ofWhole, ...own, ...ofClassless].map((name) => this.stats.cell(name, 'c'));
    places[place] = cells;
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
    this.canaries ??= new CodeTable(this.stats, `${this.prefix}canary.`, null, null);
    return this.canaries;
  }

  private ofZone(zone: string): CodeTable | null {
    if (zone === '' || this.ownZone === '') return null;
    let table = this.zones.get(zone);
    if (table === undefined) {
      table = new CodeTable(this.stats, `${this.prefix}zone.${this.ownZone}.${zone}.`, null, null);
      this.zones.set(zone, table);
    }
    return table;
  }
}
