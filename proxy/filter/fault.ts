// Injects delays, aborts and slow responses (Envoy: extensions.filters.http.fault.v3). A request to which nothing happens
// opens no call.

import type { HeaderMap } from '../codec/headers.ts';
import type { FaultModel } from '../config/model/fault.ts';
import { addMetadata } from '../observe/dynamic-metadata.ts';
import { FLAG_DI, FLAG_FI } from '../observe/flags.ts';
import { type Abort, downstreamClusterOf, FaultRules } from './fault-rules.ts';
import {
  CONTINUE,
  type FilterCall,
  type FilterEnv,
  type FilterRunControl,
  type HttpFilter,
  PAUSE,
  REPLIED,
  type Verdict,
} from './filter.ts';
import { RateLimiter } from './rate-limiter.ts';

const BODY = 'fault filter abort';
/** Downstream clusters that get stats of their own. Their names come from requests. */
const DOWNSTREAM_CLUSTERS_MAX = 1_000;

/**
 * Compiles the filter for one connection manager.
 * @param name as configured: the namespace of its metadata
 * @returns the filter of a model; `null` where it has no fault to inject
 */
export function compileFault(env: FilterEnv, name: string): (model: FaultModel) => HttpFilter | null {
  const counts = new FaultCounts(env, name);
  return (model) => {
    if (model.delay === null && model.abort === null && model.responseRateLimit === null) return null;
    const rules = new FaultRules(model, env);
    return { open: (run, at) => open(run, at, rules, counts) };
  };
}

function open(run: FilterRunControl, at: number, rules: FaultRules, counts: FaultCounts): FilterCall | null {
  const headers = run.stream.requestHeaders as HeaderMap;
  if (!rules.concerns(run.stream, headers)) return null;
  const cluster = downstreamClusterOf(headers);
  const call = new FaultCall(run, at, rules, counts, cluster);
  return call.begin(headers) ? call : null;
}

/** What the faults of one connection manager share: stats, one slot each, and the filter's name. */
class FaultCounts {
  readonly env: FilterEnv;
  readonly name: string;
  readonly overflow: Float64Array;
  readonly slowed: Float64Array;
  private readonly aborts: Float64Array;
  private readonly delays: Float64Array;
  private readonly active: Float64Array;
  private readonly ofClusters: Map<string, Float64Array>;

  constructor(env: FilterEnv, name: string) {
    const cell = (name: string, kind: 'c' | 'g' = 'c'): Float64Array =>
      env.stats.cell(`${env.statPrefix}fault.${name}`, kind);
    this.env = env;
    this.name = name;
    this.overflow = cell('faults_overflow');
    this.slowed = cell('response_rl_injected');
    this.aborts = cell('aborts_injected');
    this.delays = cell('delays_injected');
    this.active = cell('active_faults', 'g');
    this.ofClusters = new Map();
  }

  /** @param cluster whose stats count too; empty = none */
  count(what: 'aborts_injected' | 'delays_injected', cluster: string): void {
    const total = what === 'aborts_injected' ? this.aborts : this.delays;
    (total[0] as number)++;
    if (cluster === '') return;
    const name = `${cluster}.${what}`;
    let own = this.ofClusters.get(name);
    if (own === undefined) {
      if (this.ofClusters.size >= 2 * DOWNSTREAM_CLUSTERS_MAX) return;
      own = this.env.stats.cell(`${this.env.statPrefix}fault.${name}`, 'c');
      this.ofClusters.set(name, own);
    }
    (own[0] as number)++;
  }

  /** Begins a fault unless there are too many in the process. */
  enter(max: number): boolean {
    const { activeFaults } = this.env;
    if (max !== Number.POSITIVE_INFINITY && activeFaults.sum() >= max) {
      (this.overflow[0] as number)++;
      return false;
    }
    activeFaults.add(1);
    (this.active[0] as number)++;
    return true;
  }

  leave(): void {
    this.env.activeFaults.add(-1);
    (this.active[0] as number)--;
  }
}

class FaultCall implements FilterCall {
  private readonly run: FilterRunControl;
  private readonly at: number;
  private readonly rules: FaultRules;
  private readonly counts: FaultCounts;
  private readonly downstreamCluster: string;
  /** Counted among the active ones: once, however many faults the request meets. */
  private active: boolean;
  private delayMs: number;
  private abort: Abort | null;
  private limiter: RateLimiter | null;
  private cancelDelay: (() => void) | null;

  constructor(run: FilterRunControl, at: number, rules: FaultRules, counts: FaultCounts, downstreamCluster: string) {
    this.run = run;
    this.at = at;
    this.rules = rules;
    this.counts = counts;
    this.downstreamCluster = downstreamCluster;
    this.active = false;
    this.delayMs = 0;
    this.abort = null;
    this.limiter = null;
    this.cancelDelay = null;
  }

  /** Draws. @returns false when nothing happens to the request */
  begin(headers: HeaderMap): boolean {
    const { downstreamCluster, rules, run } = this;
    const rate = rules.responseRate(headers);
    if (rate > 0 && this.enter()) {
      (this.counts.slowed[0] as number)++;
      this.limiter = new RateLimiter(run, this.at, this.counts.env.runtime, rate);
    }
    const delayMs = rules.delayMs(headers, downstreamCluster);
    if (delayMs > 0 && this.enter()) this.delayMs = delayMs;
    else this.drawAbort(headers);
    return this.active;
  }

  onRequestHead(headers: HeaderMap): Verdict {
    if (this.delayMs === 0) return this.answer() ? REPLIED : CONTINUE;
    this.record('delays_injected', FLAG_DI);
    this.cancelDelay = this.counts.env.runtime.after(this.delayMs, () => this.afterDelay(headers));
    return PAUSE;
  }

  onResponseData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    if (this.limiter === null) return chunk;
    this.limiter.add(chunk, endStream);
    return null;
  }

  onResponseTrailers(trailers: HeaderMap): Verdict {
    return this.limiter?.addTrailers(trailers) === true ? PAUSE : CONTINUE;
  }

  onDone(): void {
    this.cancelDelay?.();
    this.limiter?.cancel();
    if (this.active) this.counts.leave();
  }

  private enter(): boolean {
    this.active ||= this.counts.enter(this.rules.maxActive);
    return this.active;
  }

  private drawAbort(headers: HeaderMap): void {
    const abort = this.rules.abort(headers, this.downstreamCluster);
    if (abort !== null && this.enter()) this.abort = abort;
  }

  /** A delay may be followed by an abort. */
  private afterDelay(headers: HeaderMap): void {
    this.cancelDelay = null;
    this.drawAbort(headers);
    if (!this.answer()) this.run.resumeRequest(this.at);
  }

  /** @returns whether the request was aborted */
  private answer(): boolean {
    const { abort, run } = this;
    if (abort === null) return false;
    const { stream } = run;
    const { responseBody } = this.rules.model.abort as NonNullable<FaultModel['abort']>;
    this.record('aborts_injected', FLAG_FI);
    const { status, grpcStatus } = abort;
    const addStatus =
      grpcStatus < 0 || !stream.isGrpc ? null : (reply: HeaderMap) => reply.set('grpc-status', `${grpcStatus}`);
    stream.localReply(status, responseBody === '' ? BODY : responseBody, 'fault_filter_abort', addStatus);
    return true;
  }

  private record(what: 'aborts_injected' | 'delays_injected', flag: number): void {
    const { model } = this.rules;
    const { stream } = this.run;
    this.counts.count(what, model.disableDownstreamClusterStats ? '' : this.downstreamCluster);
    stream.flags |= flag;
    addMetadata(stream, this.counts.name, model.filterMetadata);
  }
}
