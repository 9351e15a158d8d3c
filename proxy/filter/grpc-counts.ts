// Envoy's stats of gRPC calls: `cluster.<name>.grpc.[<service>.<method>.]…` (Envoy: source/common/grpc/context_impl).

import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { FilterStream } from './filter.ts';

/** Methods that get stats of their own; calls of others are counted with the cluster only. Names come from traffic. */
const METHODS_MAX = 10_000;
/** Distinct `grpc-status` values kept for one method. */
const STATUSES_MAX = 32;

/** A gRPC path taken apart. */
export interface GrpcMethod {
  readonly service: string;
  readonly method: string;
}

/** `/service/method`, without its query; `null` when the path is anything else. */
export function grpcMethodOf(path: string): GrpcMethod | null {
  const query = path.indexOf('?');
  const parts = (query < 0 ? path : path.slice(0, query)).split('/', 4);
  const [before, service, method] = parts;
  if (parts.length !== 3 || before !== '' || !service || !method) return null;
  return { service, method };
}

/** The counters of one method of one cluster, or of the whole cluster; each is made at its first use, as in Envoy. */
export class GrpcCells {
  private readonly stats: StatsStore;
  private readonly prefix: string;
  private readonly cells: Map<string, Float64Array>;
  private time: Histogram | null;

  /** @param prefix with its trailing dot */
  constructor(stats: StatsStore, prefix: string) {
    this.stats = stats;
    this.prefix = prefix;
    this.cells = new Map();
    this.time = null;
  }

  /** Counts an outcome. @param status the header's value; `null` = there was none, nothing is counted */
  outcome(status: string | null): void {
    if (status === null) return;
    if (this.cells.size < STATUSES_MAX || this.cells.has(status)) this.add(status, 1);
    this.add(status === '0' ? 'success' : 'failure', 1);
    this.add('total', 1);
  }

  messages(direction: 'request' | 'response', count: number): void {
    if (count > 0) this.add(`${direction}_message_count`, count);
  }

  upstreamTime(ms: number): void {
    this.time ??= this.stats.histogram(`${this.prefix}upstream_rq_time`);
    this.time.record(Math.max(0, Math.floor(ms)));
  }

  private add(name: string, count: number): void {
    let cell = this.cells.get(name);
    if (cell === undefined) {
      cell = this.stats.cell(`${this.prefix}${name}`, 'c');
      this.cells.set(name, cell);
    }
    cell[0] = (cell[0] as number) + count;
  }
}

/** The cells of one filter, by cluster and method. */
export class GrpcCounts {
  private readonly stats: StatsStore;
  /** `grpc` or `grpc-web`. */
  private readonly protocol: string;
  private readonly known: Map<string, GrpcCells>;

  constructor(stats: StatsStore, protocol: string) {
    this.stats = stats;
    this.protocol = protocol;
    this.known = new Map();
  }

  /** @param method `null` = the cluster's own */
  of(cluster: string, method: GrpcMethod | null): GrpcCells {
    const own = method === null ? '' : `${method.service}.${method.method}.`;
    const prefix = `cluster.${cluster}.${this.protocol}.${own}`;
    let cells = this.known.get(prefix);
    if (cells !== undefined) return cells;
    if (method !== null && this.known.size >= METHODS_MAX) return this.of(cluster, null);
    cells = new GrpcCells(this.stats, prefix);
    this.known.set(prefix, cells);
    return cells;
  }
}

/** Stat name of the cluster that the request's route points to; empty when it points nowhere. */
export function clusterOf(stream: FilterStream): string {
  return stream.target?.cluster.current?.model.statName ?? '';
}
