// Histograms that a cluster keeps when it is asked to (Envoy: config.cluster.v3.TrackClusterStats).

import type { HeaderMap } from '../codec/headers.ts';
import type { ClusterModel } from '../config/model/cluster.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Attempt } from './attempt.ts';

/** `timeout_budgets`: how much of their time limits requests and attempts have used, in per cent. */
interface Budgets {
  readonly request: Histogram;
  readonly attempt: Histogram;
}

/** `request_response_sizes`: of each attempt. */
interface Sizes {
  readonly requestHeadBytes: Histogram;
  readonly requestHeadFields: Histogram;
  readonly requestBodyBytes: Histogram;
  readonly responseHeadBytes: Histogram;
  readonly responseHeadFields: Histogram;
  readonly responseBodyBytes: Histogram;
}

/** See the head of this file. */
export class ClusterHistograms {
  private readonly budgets: Budgets | null;
  private readonly sizes: Sizes | null;

  private constructor(budgets: Budgets | null, sizes: Sizes | null) {
    this.budgets = budgets;
    this.sizes = sizes;
  }

  /** @param prefix with its trailing dot. @returns `null` when the cluster keeps none */
  static of(model: ClusterModel, store: StatsStore, prefix: string): ClusterHistograms | null {
    if (!model.trackTimeoutBudgets && !model.trackRequestResponseSizes) return null;
    const open = (name: string): Histogram => store.histogram(`${prefix}${name}`);
    const budgets = model.trackTimeoutBudgets
      ? {
          request: open('upstream_rq_timeout_budget_percent_used'),
          attempt: open('upstream_rq_timeout_budget_per_try_percent_used'),
        }
      : null;
    if (!model.trackRequestResponseSizes) return new ClusterHistograms(budgets, null);
    return new ClusterHistograms(budgets, {
      requestHeadBytes: open('upstream_rq_headers_size'),
      requestHeadFields: open('upstream_rq_headers_count'),
      requestBodyBytes: open('upstream_rq_body_size'),
      responseHeadBytes: open('upstream_rs_headers_size'),
      responseHeadFields: open('upstream_rs_headers_count'),
      responseBodyBytes: open('upstream_rs_body_size'),
    });
  }

  /** A request has been answered, or its time is up. @param ms since it had come whole @param limitMs 0 = none */
  onRequestEnd(ms: number, limitMs: number): void {
    this.budgets?.request.record(percentOf(ms, limitMs));
  }

  /**
   * An attempt is over.
   * @param limitMs of a try; 0 = none
   * @param byLimitOfAll the time of the whole request was up, which says nothing about a try's
   */
  onAttemptEnd(attempt: Attempt, info: StreamInfo, ms: number, limitMs: number, byLimitOfAll: boolean): void {
    if (!byLimitOfAll) this.budgets?.attempt.record(percentOf(ms, limitMs));
    const { sizes } = this;
    const headers = info.requestHeaders;
    if (sizes === null || headers === null) return;
    sizes.requestHeadBytes.record(requestHeadBytes(info, headers));
    sizes.requestHeadFields.record(headers.size + pseudoFields(info));
    sizes.requestBodyBytes.record(attempt.headSent ? info.requestBodyBytes : 0);
    if (attempt.responseHeadBytes < 0) return;
    sizes.responseHeadBytes.record(attempt.responseHeadBytes);
    sizes.responseHeadFields.record(attempt.responseHeadFields);
    sizes.responseBodyBytes.record(attempt.responseBodyBytes);
  }
}

/** No part of no limit is ever used. */
function percentOf(ms: number, limitMs: number): number {
  return limitMs === 0 ? 0 : Math.floor((Math.floor(ms) * 100) / limitMs);
}

const PSEUDO = [':method', ':path', ':scheme', ':authority'] as const;

/** Names and values, those of the start line as pseudo-headers. */
function requestHeadBytes({ method, path, scheme, authority }: StreamInfo, headers: HeaderMap): number {
  let bytes = headers.byteSize();
  for (const [i, value] of [method, path, scheme, authority].entries())
    if (value !== '') bytes += (PSEUDO[i] as string).length + value.length;
  return bytes;
}

function pseudoFields({ method, path, scheme, authority }: StreamInfo): number {
  return [method, path, scheme, authority].filter((value) => value !== '').length;
}
