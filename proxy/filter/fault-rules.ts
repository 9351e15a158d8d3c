// What a fault filter does to a request, before it does it (Envoy: extensions/filters/http/fault/fault_filter.cc and
// filters/common/fault/fault_config.cc). Runtime values hold as they are when the rules are compiled, but for those that
// are named by the request's downstream cluster.

import type { HeaderMap } from '../codec/headers.ts';
import type { FaultModel } from '../config/model/fault.ts';
import { runtimeInteger, runtimeShare, type Share } from '../config/model/runtime.ts';
import { compileHeaderMatch } from '../match/head.ts';
import type { FilterEnv, FilterStream } from './filter.ts';
import { compileDraw } from './fraction.ts';

const DOWNSTREAM_CLUSTER = 'x-envoy-downstream-service-cluster';
const DOWNSTREAM_NODE = 'x-envoy-downstream-service-node';

/** Headers by which a request asks for faults, where the configuration lets it. */
const DELAY = 'x-envoy-fault-delay-request';
const DELAY_PERCENTAGE = 'x-envoy-fault-delay-request-percentage';
const ABORT = 'x-envoy-fault-abort-request';
const ABORT_GRPC = 'x-envoy-fault-abort-grpc-request';
const ABORT_PERCENTAGE = 'x-envoy-fault-abort-request-percentage';
const THROUGHPUT = 'x-envoy-fault-throughput-response';
const THROUGHPUT_PERCENTAGE = 'x-envoy-fault-throughput-response-percentage';

/** How a request is aborted. */
export interface Abort {
  readonly status: number;
  /** `grpc-status` of gRPC requests; −1 = what follows from the status. */
  readonly grpcStatus: number;
}

/** The rules of one route. Every question that is asked draws anew. */
export class FaultRules {
  readonly model: FaultModel;
  /** Faults that may be going on when one more begins. */
  readonly maxActive: number;
  private readonly env: FilterEnv;
  private readonly nodes: ReadonlySet<string> | null;
  private readonly headers: readonly ReturnType<typeof compileHeaderMatch>[];
  /** What the runtime says under the configured keys; `null` = nothing. */
  private readonly delayShare: Share | null;
  private readonly abortShare: Share | null;
  private readonly rateShare: Share | null;

  constructor(model: FaultModel, env: FilterEnv) {
    const max = model.maxActiveFaults < 0 ? Number.POSITIVE_INFINITY : model.maxActiveFaults;
    this.model = model;
    this.env = env;
    this.maxActive = runtimeInteger(env.runtimeKeys, model.runtimeKeys.maxActiveFaults, max);
    this.nodes = model.downstreamNodes.length === 0 ? null : new Set(model.downstreamNodes);
    this.headers = model.headers.map(compileHeaderMatch);
    const { delayPercent, abortPercent, responseRateLimitPercent } = model.runtimeKeys;
    this.delayShare = runtimeShare(env.runtimeKeys, delayPercent);
    this.abortShare = runtimeShare(env.runtimeKeys, abortPercent);
    this.rateShare = runtimeShare(env.runtimeKeys, responseRateLimitPercent);
  }

  concerns(stream: FilterStream, headers: HeaderMap): boolean {
    const { upstreamCluster } = this.model;
    if (upstreamCluster !== '' && stream.target?.cluster.name !== upstreamCluster) return false;
    if (this.nodes !== null && !this.nodes.has(headers.get(DOWNSTREAM_NODE) ?? '')) return false;
    return this.headers.every((holds) => holds(stream, headers));
  }

  /** KiB a second; 0 = the response is not slowed down. */
  responseRate(headers: HeaderMap): number {
    const { responseRateLimit: limit } = this.model;
    if (limit === null) return 0;
    const byHeader = limit.kibPerSecond < 0;
    const rate = byHeader ? (unsigned(headers.get(THROUGHPUT)) ?? 0) : limit.kibPerSecond;
    if (rate === 0) return 0;
    const share = byHeader ? asked(limit.share, headers.get(THROUGHPUT_PERCENTAGE)) : limit.share;
    return this.draws(this.rateShare ?? share) ? rate : 0;
  }

  /** @returns ms; 0 = none */
  delayMs(headers: HeaderMap, downstreamCluster: string): number {
    const { delay, runtimeKeys } = this.model;
    if (delay === null) return 0;
    const byHeader = delay.delayMs < 0;
    const share = byHeader ? asked(delay.share, headers.get(DELAY_PERCENTAGE)) : delay.share;
    if (!this.happens(share, this.delayShare, downstreamCluster, 'delay.fixed_delay_percent')) return 0;
    const ms = byHeader ? unsigned(headers.get(DELAY)) : delay.delayMs;
    if (ms === null) return 0;
    const set = this.integer(runtimeKeys.delayDuration, ms);
    return this.ofCluster(downstreamCluster, 'delay.fixed_duration_ms', set, set);
  }

  /** @returns `null` = the request goes on */
  abort(headers: HeaderMap, downstreamCluster: string): Abort | null {
    const { abort, runtimeKeys } = this.model;
    if (abort === null) return null;
    const { error } = abort;
    const share = error.kind === 'header' ? asked(abort.share, headers.get(ABORT_PERCENTAGE)) : abort.share;
    if (!this.happens(share, this.abortShare, downstreamCluster, 'abort.abort_percent')) return null;
    const http = error.kind === 'http' ? error.status : error.kind === 'header' ? httpStatus(headers.get(ABORT)) : null;
    if (http !== null) {
      const set = this.integer(runtimeKeys.abortHttpStatus, http);
      return { status: this.ofCluster(downstreamCluster, 'abort.http_status', http, set), grpcStatus: -1 };
    }
    const grpc = error.kind === 'grpc' ? error.status : unsigned(headers.get(ABORT_GRPC));
    if (grpc === null) return null;
    const set = this.integer(runtimeKeys.abortGrpcStatus, grpc);
    return { status: 200, grpcStatus: this.ofCluster(downstreamCluster, 'abort.grpc_status', grpc, set) };
  }

  /** For a request that names its cluster, the key of that cluster stands in the place of the general one. */
  private happens(share: Share, general: Share | null, downstreamCluster: string, ofCluster: string): boolean {
    const { runtimeKeys } = this.env;
    const set =
      downstreamCluster === '' ? general : runtimeShare(runtimeKeys, clusterKey(downstreamCluster, ofCluster));
    return this.draws(set ?? share);
  }

  private draws(share: Share): boolean {
    return compileDraw(share, this.env.runtime)();
  }

  private integer(key: string, fallback: number): number {
    return runtimeInteger(this.env.runtimeKeys, key, fallback);
  }

  /**
   * @param configured holds when the runtime says nothing for the cluster
   * @param general holds when the request names no cluster
   */
  private ofCluster(downstreamCluster: string, key: string, configured: number, general: number): number {
    return downstreamCluster === '' ? general : this.integer(clusterKey(downstreamCluster, key), configured);
  }
}

/** Who sends the request, by its own words; empty. */
export function downstreamClusterOf(headers: HeaderMap): string {
  return headers.get(DOWNSTREAM_CLUSTER) ?? '';
}

function clusterKey(downstreamCluster: string, key: string): string {
  return `fault.http.${downstreamCluster}.${key}`;
}

/** A request may ask for a smaller share than the configured one. */
function asked(share: Share, header: string | null): Share {
  const numerator = unsigned(header);
  return numerator === null ? share : { ...share, numerator: Math.min(numerator, share.numerator) };
}

function httpStatus(header: string | null): number | null {
  const status = unsigned(header);
  return status !== null && status >= 200 && status < 600 ? status : null;
}

/** A whole number of at most ten digits, blanks around it allowed as in Envoy; `null` = none. */
function unsigned(text: string | null): number | null {
  return text !== null && /^\s*\+?\d{1,10}\s*$/.test(text) ? Number(text) : null;
}
