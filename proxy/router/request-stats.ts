// What requests of one cluster are counted in: the cluster's stats, and those of a virtual cluster or a route.

import type { UpstreamHostInfo } from '../observe/stream-info.ts';
import type { RouteStats } from '../route/route-stats.ts';
import type { ClusterHistograms } from './cluster-histograms.ts';
import type { CodeStats } from './code-stats.ts';

/** Shared by all requests that are counted in the same places; made when the first of them comes. */
export class RequestStats {
  private readonly codes: CodeStats;
  /** Block of the `cluster` catalogue. */
  private readonly block: Float64Array;
  /** `null` = the cluster alone. */
  private readonly scopes: readonly RouteStats[] | null;
  /** What the cluster keeps on request; `null` = nothing. */
  readonly histograms: ClusterHistograms | null;

  constructor(
    codes: CodeStats,
    block: Float64Array,
    scopes: readonly RouteStats[] | null,
    histograms: ClusterHistograms | null,
  ) {
    this.codes = codes;
    this.block = block;
    this.scopes = scopes;
    this.histograms = histograms;
  }

  /** @param index of the `cluster` catalogue */
  count(index: number): void {
    const { block, scopes } = this;
    block[index] = (block[index] as number) + 1;
    if (scopes !== null) for (const scope of scopes) scope.countEvent(index);
  }

  /** An attempt has got a connection. */
  countAttempt(): void {
    if (this.scopes !== null) for (const scope of this.scopes) scope.countRequest();
  }

  /** As described at `CodeStats`. */
  charge(status: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.codes.dynamic) return;
    this.codes.charge(status, internal, host, canary);
    if (this.scopes !== null) for (const scope of this.scopes) scope.charge(status);
  }

  /** An answer that led to another attempt. */
  chargeRetry(status: number): void {
    this.codes.chargeRetry(status);
  }

  /** A request was sent again after a stale connection. */
  countReplay(): void {
    this.codes.countReplay();
  }

  /** The time from the request's end to the response's end. */
  recordTime(ms: number, internal: boolean, host: UpstreamHostInfo | null, canary: boolean): void {
    if (!this.codes.dynamic) return;
    this.codes.recordTime(ms, internal, host, canary);
    if (this.scopes !== null) for (const scope of this.scopes) scope.recordTime(ms);
  }
}
