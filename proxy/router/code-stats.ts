// Response codes per cluster, as Envoy's router charges them: `upstream_rq_completed`, `upstream_rq_<class>`,
// `upstream_rq_<code>`, and the same under `external.` or `internal.`, by canaries and zones, plus the time histograms.

import { UPSTREAM_RQ_COMPLETED } from '../observe/catalogue-cluster.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { UpstreamHostInfo } from '../observe/stream-info.ts';
import { CodeTable, HostCodes, isKnownCode } from '../route/code-table.ts';

/** Charges one cluster's codes. */
export class CodeStats {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly completed: Float64Array;
  private readonly completedAt: number;
  /** false = nothing is charged (`dynamic_stats` of the router). */
  readonly dynamic: boolean;
  private readonly byHost: HostCodes;
  private readonly zoned: boolean;
  private readonly internal: CodeTable;
  private readonly external: CodeTable;
  private readonly retried: CodeTable;
  private replays: Float64Array | null;
  private timeMs: Histogram | null;

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
    this.internal = new CodeTable(stats, `${prefix}internal.`, prefix, null);
    this.external = new CodeTable(stats, `${prefix}external.`, prefix, null);
    this.retried = new CodeTable(stats, `${prefix}retry.`, null, null);
    this.replays = null;
    this.timeMs = null;
  }

  /**
   * @param internal the request counts as internal (`x-envoy-internal`)
   * @param host where it went; `null` = nowhere
   * @param canary the answer says that it is a canary's
   */
  charge(status: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.dynamic) return;
    this.completed[this.completedAt] = (this.completed[this.completedAt] as number) + 1;
    if (internal) this.internal.charge(status);
    else this.external.charge(status);
    if (canary || (host !== null && this.countsApart(host)))
      this.byHost.charge(status, host === null ? '' : host.zone, canary || host?.canary === true);
  }

  /** An answer that led to another attempt: under `retry.` and nowhere else. */
  chargeRetry(status: number): void {
    if (this.dynamic && isKnownCode(status)) this.retried.charge(status);
  }

  /** A request was sent again after a stale connection; a counter of ours, there from its first value on. */
  countReplay(): void {
    this.replays ??= this.stats.cell(`${this.prefix}outrigger.upstream_rq_replay`, 'c');
    this.replays[0] = (this.replays[0] as number) + 1;
  }

  /** The time from the request's end to the response's end, in milliseconds; other parameters as those of `charge`. */
  recordTime(ms: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.dynamic) return;
    if (this.timeMs === null) this.timeMs = this.stats.histogram(`${this.prefix}upstream_rq_time`);
    this.timeMs.record(ms);
    if (internal) this.internal.recordTime(ms);
    else this.external.recordTime(ms);
    if (canary || (host !== null && this.countsApart(host)))
      this.byHost.recordTime(ms, host === null ? '' : host.zone, canary || host?.canary === true);
  }

  private countsApart(host: UpstreamHostInfo): boolean {
    return host.canary || (this.zoned && host.zone !== '');
  }
}
