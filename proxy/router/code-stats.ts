// Response codes per cluster, as Envoy's router charges them: `upstream_rq_completed`, `upstream_rq_<class>`,
// `upstream_rq_<code>`, and the same under `external.` or `internal.`, by canaries and zones, plus the time histograms.

import { UPSTREAM_RQ_COMPLETED } from '../observe/catalogue-cluster.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { UpstreamHostInfo } from '../observe/stream-info.ts';
import { HostCodes } from '../route/code-table.ts';

/** Codes that get a cell of their own are 100 to 599; all others share `upstream_rq_unknown` and have no class. */
const CODE_MIN = 100;
const CODE_END = 600;
/** Stands for every other code; its place is behind the codes. */
const UNKNOWN = CODE_END;
const PLACES = UNKNOWN - CODE_MIN + 1;

/** The cells that one status touches under one origin. */
interface CodeCells {
  readonly code: Float64Array;
  readonly codeByOrigin: Float64Array;
  readonly group: Float64Array;
  readonly groupByOrigin: Float64Array;
  readonly completedByOrigin: Float64Array;
}

/** Charges one cluster's codes; cells are made at their first use, as Envoy does. */
export class CodeStats {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly completed: Float64Array;
  private readonly completedAt: number;
  /** false = nothing is charged (`dynamic_stats` of the router). */
  readonly dynamic: boolean;
  private readonly byHost: HostCodes;
  private readonly zoned: boolean;
  private readonly internal: (CodeCells | null)[];
  private readonly external: (CodeCells | null)[];
  private readonly retried: (CodeCells | null)[];
  private replays: Float64Array | null;
  private timeMs: Histogram | null;
  private internalTimeMs: Histogram | null;
  private externalTimeMs: Histogram | null;

  /**
   * @param prefix with its trailing dot, e.g. `cluster.reviews.`
   * @param zone where this proxy is; empty = unknown
   * @param block of the cluster; `null` = stats of another name
   */
  constructor(stats: StatsStore, prefix: string, dynamic: boolean, zone: string, block: Float64Array | null) {
    this.stats = stats;
    this.prefix = prefix;
    this.completed = block ?? stats.cell(`${prefix}upstream_rq_completed`, 'c');
    this.completedAt = block === null ? 0 : UPSTREAM_RQ_COMPLETED;
    this.dynamic = dynamic;
    this.byHost = new HostCodes(stats, prefix, zone);
    this.zoned = zone !== '';
    this.internal = new Array<CodeCells | null>(PLACES).fill(null);
    this.external = new Array<CodeCells | null>(PLACES).fill(null);
    this.retried = new Array<CodeCells | null>(PLACES).fill(null);
    this.replays = null;
    this.timeMs = null;
    this.internalTimeMs = null;
    this.externalTimeMs = null;
  }

  /**
   * @param internal the request counts as internal (`x-envoy-internal`)
   * @param host where it went; `null` = nowhere
   * @param canary the answer says that it is a canary's
   */
  charge(status: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.dynamic) return;
    this.completed[this.completedAt] = (this.completed[this.completedAt] as number) + 1;
    const table = internal ? this.internal : this.external;
    const code = status < CODE_MIN || status >= CODE_END ? UNKNOWN : status;
    const cells = table[code - CODE_MIN] ?? this.open(table, code, internal ? 'internal.' : 'external.');
    increment(cells.code);
    increment(cells.codeByOrigin);
    increment(cells.group);
    increment(cells.groupByOrigin);
    increment(cells.completedByOrigin);
    if (canary || (host !== null && this.countsApart(host)))
      this.byHost.charge(status, host === null ? '' : host.zone, canary || host?.canary === true);
  }

  /** An answer that led to another attempt: under `retry.` and nowhere else. */
  chargeRetry(status: number): void {
    if (!this.dynamic || status < CODE_MIN || status >= CODE_END) return;
    const cells = this.retried[status - CODE_MIN] ?? this.open(this.retried, status, 'retry.');
    increment(cells.codeByOrigin);
    increment(cells.groupByOrigin);
    increment(cells.completedByOrigin);
  }

  /** A request was sent again after a stale connection; a counter of ours, there from its first value on. */
  countReplay(): void {
    this.replays ??= this.stats.cell(`${this.prefix}outrigger.upstream_rq_replay`, 'c');
    increment(this.replays);
  }

  /** The time from the request's end to the response's end; parameters as those of `charge`. */
  recordTime(ms: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.dynamic) return;
    if (this.timeMs === null) this.timeMs = this.stats.histogram(`${this.prefix}upstream_rq_time`);
    this.timeMs.record(ms);
    if (internal) {
      if (this.internalTimeMs === null)
        this.internalTimeMs = this.stats.histogram(`${this.prefix}internal.upstream_rq_time`);
      this.internalTimeMs.record(ms);
    } else {
      if (this.externalTimeMs === null)
        this.externalTimeMs = this.stats.histogram(`${this.prefix}external.upstream_rq_time`);
      this.externalTimeMs.record(ms);
    }
    if (canary || (host !== null && this.countsApart(host)))
      this.byHost.recordTime(ms, host === null ? '' : host.zone, canary || host?.canary === true);
  }

  private countsApart(host: UpstreamHostInfo): boolean {
    return host.canary || (this.zoned && host.zone !== '');
  }

  private open(table: (CodeCells | null)[], status: number, origin: string): CodeCells {
    const known = status !== UNKNOWN;
    const code = `upstream_rq_${known ? status : 'unknown'}`;
    const group = `upstream_rq_${Math.floor(status / 100)}xx`;
    const cell = (name: string) => this.stats.cell(`${this.prefix}${name}`, 'c');
    const cells: CodeCells = {
      code: origin === 'retry.' ? NOWHERE : cell(code),
      codeByOrigin: cell(`${origin}${code}`),
      group: origin === 'retry.' || !known ? NOWHERE : cell(group),
      groupByOrigin: known ? cell(`${origin}${group}`) : NOWHERE,
      completedByOrigin: cell(`${origin}upstream_rq_completed`),
    };
    table[status - CODE_MIN] = cells;
    return cells;
  }
}

/** Stands for stats that an origin does not have. */
const NOWHERE = new Float64Array(1);

function increment(cell: Float64Array): void {
  cell[0] = (cell[0] as number) + 1;
}
