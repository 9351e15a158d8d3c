// Counts gRPC messages and outcomes (Envoy: extensions.filters.http.grpc_stats.v3).

import type { HeaderMap } from '../codec/headers.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { GrpcStatsModel } from '../config/model/http-filter.ts';
import { isGrpcContentType } from '../match/head.ts';
import { type FilterStateObject, writeFilterState } from '../observe/filter-state.ts';
import type { StatsStore } from '../observe/stats.ts';
import {
  CONTINUE,
  type FilterCall,
  type FilterRunControl,
  type FilterStream,
  type HttpFilter,
  type Verdict,
} from './filter.ts';
import { clusterOf, type GrpcCells, GrpcCounts, type GrpcMethod, grpcMethodOf } from './grpc-counts.ts';
import { FrameWalk } from './grpc-frames.ts';

/** Under which the message counts of a call are kept as filter state. */
const STATE_KEY = 'envoy.filters.http.grpc_stats';

/** Whose stats a method goes to; `null` = the cluster's. */
type MethodChoice = (method: GrpcMethod) => GrpcMethod | null;

/** Compiles the filter for one connection manager. */
export function compileGrpcStats(model: GrpcStatsModel, stats: StatsStore): HttpFilter {
  const counts = new GrpcCounts(stats, 'grpc');
  const choose = compileChoice(model);
  return {
    open: ({ stream }: FilterRunControl) => {
      const headers = stream.requestHeaders as HeaderMap;
      // Not what the client sent: a filter before this one may have turned the request into gRPC.
      if (!isGrpcContentType(headers.get('content-type'))) return null;
      const method = grpcMethodOf(stream.path);
      const cluster = method === null ? '' : clusterOf(stream);
      const cells = method === null || cluster === '' ? null : counts.of(cluster, choose(method));
      if (cells === null && !model.emitFilterState) return null;
      return new GrpcStatsCall(stream, cells, model);
    },
  };
}

function compileChoice(model: GrpcStatsModel): MethodChoice {
  const { allMethods, allowlist, replaceDots } = model;
  if (allowlist !== null) {
    const allowed = new Set(
      allowlist.flatMap(({ service, methods }) => methods.map((method) => `${service}/${method}`)),
    );
    return (method) => (allowed.has(`${method.service}/${method.method}`) ? method : null);
  }
  if (!allMethods) return () => null;
  if (!replaceDots) return (method) => method;
  return ({ service, method }) => ({ service: service.replaceAll('.', '_'), method });
}

class GrpcStatsCall implements FilterCall, FilterStateObject {
  private readonly stream: FilterStream;
  private readonly cells: GrpcCells | null;
  private readonly model: GrpcStatsModel;
  private readonly requests: FrameWalk;
  private readonly responses: FrameWalk;
  /** The body that comes back is made of frames. */
  private answersGrpc: boolean;

  constructor(stream: FilterStream, cells: GrpcCells | null, model: GrpcStatsModel) {
    this.stream = stream;
    this.cells = cells;
    this.model = model;
    this.requests = new FrameWalk();
    this.responses = new FrameWalk();
    this.answersGrpc = false;
  }

  onRequestData(chunk: Uint8Array): Uint8Array {
    this.count('request', this.requests, chunk);
    return chunk;
  }

  onResponseHead(_status: number, headers: HeaderMap, endStream: boolean): Verdict {
    this.answersGrpc = isGrpcContentType(headers.get('content-type'));
    if (endStream) this.end(headers);
    return CONTINUE;
  }

  onResponseData(chunk: Uint8Array): Uint8Array {
    if (this.answersGrpc) this.count('response', this.responses, chunk);
    return chunk;
  }

  onResponseTrailers(trailers: HeaderMap): Verdict {
    this.end(trailers);
    return CONTINUE;
  }

  plain(): string {
    return `${this.requests.frames},${this.responses.frames}`;
  }

  /** As in proto JSON, 64-bit numbers are strings and zeros are left out. */
  typed(): JsonObject {
    const out: { [name: string]: string } = {};
    if (this.requests.frames > 0) out['request_message_count'] = `${this.requests.frames}`;
    if (this.responses.frames > 0) out['response_message_count'] = `${this.responses.frames}`;
    return out;
  }

  field(): null {
    return null;
  }

  private count(direction: 'request' | 'response', walk: FrameWalk, chunk: Uint8Array): void {
    const before = walk.frames;
    walk.walk(chunk);
    if (walk.frames === before) return;
    this.cells?.messages(direction, walk.frames - before);
    if (this.model.emitFilterState) writeFilterState(this.stream, STATE_KEY, this);
  }

  private end(headers: HeaderMap): void {
    const { cells, stream } = this;
    if (cells === null) return;
    cells.outcome(headers.get('grpc-status'));
    if (this.model.upstreamStats && stream.requestRxEndMs >= 0)
      cells.upstreamTime(performance.now() - stream.requestRxEndMs);
  }
}
