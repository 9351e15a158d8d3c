// One TCP session's way through an HTTP tunnel: a CONNECT (or POST) on an HTTP connection of the cluster, whose body and
// answer carry the bytes (Envoy: tcp_proxy `tunneling_config`).
//
// To its session a tunnel is what a connected transport is: bytes, ends, holds. Over HTTP/1.1 it has no half-close, as in
// Envoy: the end of either side is the end of both.

import { HeaderMap } from '../codec/headers.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { TunnelModel } from '../config/model/listener.ts';
import { type FilterStateObject, writeFilterState } from '../observe/filter-state.ts';
import { compileText, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Mutate } from '../route/mutations.ts';
import { compileMutations } from '../route/mutations.ts';
import { addBytes } from '../router/record.ts';
import type {
  Cluster,
  PendingStream,
  PickContext,
  PoolFailure,
  ResetReason,
  UpstreamHostInfo,
  UpstreamStream,
  UpstreamStreamHandler,
} from '../upstream/upstream.ts';

/** Names under which the filter state holds what came back. */
const RESPONSE_HEADERS = 'envoy.tcp_proxy.propagate_response_headers';
const RESPONSE_TRAILERS = 'envoy.tcp_proxy.propagate_response_trailers';

const EMPTY = new Uint8Array(0);

/** The tunnels of one TCP proxy, compiled. */
export interface TunnelPlan {
  readonly model: TunnelModel;
  readonly hostname: Formatter;
  readonly mutate: Mutate | null;
}

export function compileTunnel(model: TunnelModel): TunnelPlan {
  return {
    model,
    hostname: compileText(model.hostname, false),
    mutate: compileMutations(model.headersToAdd, [], 'request'),
  };
}

/** The session of a tunnel. After a failure or a close nothing more is told. */
export interface TunnelOwner extends PickContext {
  readonly info: StreamInfo;
  /** The host has agreed. */
  onTunnelReady(stream: UpstreamStream): void;
  /** There is no tunnel: another one may be tried. */
  onTcpFailure(reason: PoolFailure, transportFailureReason: string, host: UpstreamHostInfo | null): void;
  onUpstreamData(chunk: Uint8Array): void;
  onUpstreamEnd(): void;
  onUpstreamDrain(): void;
  onUpstreamClose(error: null): void;
  onUpstreamReset(): void;
}

/** See the head of this file. */
export class Tunnel implements UpstreamStreamHandler {
  private readonly plan: TunnelPlan;
  private readonly owner: TunnelOwner;
  private pending: PendingStream | null;
  private stream: UpstreamStream | null;
  private established: boolean;
  /** Nothing is told any more. */
  private over: boolean;

  constructor(plan: TunnelPlan, owner: TunnelOwner) {
    this.plan = plan;
    this.owner = owner;
    this.pending = null;
    this.stream = null;
    this.established = false;
    this.over = false;
  }

  start(cluster: Cluster): void {
    const pending = cluster.startStream(this.owner, this);
    if (this.stream === null && !this.over) this.pending = pending;
  }

  // === What a session asks ===

  write(chunk: Uint8Array): boolean {
    return this.over || this.stream === null || this.stream.sendData(chunk, false);
  }

  /** The client has sent everything. */
  end(): void {
    if (!this.over) this.stream?.sendData(EMPTY, true);
  }

  hold(): void {
    this.stream?.hold();
  }

  release(): void {
    this.stream?.release();
  }

  /** Gives everything up, and puts what was moved to the record. Silent. */
  destroy(): void {
    if (this.over) return;
    this.over = true;
    this.pending?.cancel();
    this.settle();
  }

  /** Adds what has been moved so far to the record, or takes it off again. */
  countRunning(sign: 1 | -1): void {
    if (this.stream !== null && !this.over) addBytes(this.owner.info, this.stream, sign);
  }

  // === What the cluster says ===

  onReady(stream: UpstreamStream): void {
    const { plan, owner } = this;
    const { usePost, postPath } = plan.model;
    this.pending = null;
    this.stream = stream;
    stream.closesAtEnd = true;
    const headers = new HeaderMap();
    if (plan.mutate !== null) plan.mutate(headers, owner.info);
    const method = usePost ? 'POST' : 'CONNECT';
    const scheme = stream.tls === null ? 'http' : 'https';
    stream.sendHead(method, scheme, plan.hostname(owner.info), usePost ? postPath : '', headers, false);
  }

  onPoolFailure(reason: PoolFailure, transportFailureReason: string, host: UpstreamHostInfo | null): void {
    this.pending = null;
    this.over = true;
    this.owner.onTcpFailure(reason, transportFailureReason, host);
  }

  onInformational(): void {}

  onHead(status: number, headers: HeaderMap, endStream: boolean): void {
    const { stream, plan, owner } = this;
    if (this.over || stream === null) return;
    if (plan.model.propagateResponseHeaders) tell(owner.info, RESPONSE_HEADERS, headers, status);
    const agreed = stream.protocol === 'HTTP/2' ? status === 200 : status >= 200 && status < 300;
    if (!agreed || endStream) {
      this.fail(`tunnel_response:${status}`);
      return;
    }
    this.established = true;
    owner.onTunnelReady(stream);
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    if (chunk.length > 0) this.owner.onUpstreamData(chunk);
    if (endStream) this.onAnswerEnd();
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.over) return;
    if (this.plan.model.propagateResponseTrailers) tell(this.owner.info, RESPONSE_TRAILERS, trailers, -1);
    this.onAnswerEnd();
  }

  onReset(reason: ResetReason): void {
    if (this.over) return;
    if (!this.established) this.fail('');
    else if (reason === 'connection_termination') this.owner.onUpstreamClose(null);
    else this.owner.onUpstreamReset();
  }

  onDrain(): void {
    if (!this.over) this.owner.onUpstreamDrain();
  }

  private onAnswerEnd(): void {
    if (this.over) return;
    if (this.stream?.protocol === 'HTTP/2') this.owner.onUpstreamEnd();
    else this.owner.onUpstreamClose(null);
  }

  private fail(why: string): void {
    const host = this.stream?.host ?? null;
    this.over = true;
    this.settle();
    this.owner.onTcpFailure('connect_failure', why, host);
  }

  /** What the reset itself takes is counted, as in Envoy. */
  private settle(): void {
    const { stream } = this;
    if (stream === null) return;
    stream.reset();
    addBytes(this.owner.info, stream, 1);
  }
}

/** @param status −1 for trailers */
function tell(info: StreamInfo, name: string, headers: HeaderMap, status: number): void {
  writeFilterState(info, name, new ToldHeaders(headers, status));
}

/** What a host has answered, as `envoy.config.core.v3.HeaderMap`. */
class ToldHeaders implements FilterStateObject {
  private readonly headers: HeaderMap;
  private readonly status: number;

  constructor(headers: HeaderMap, status: number) {
    this.headers = headers;
    this.status = status;
  }

  plain(): null {
    return null;
  }

  typed(): JsonObject {
    const { names, values } = this.headers;
    const fields = names.map((key, i) => ({ key, value: values[i] as string }));
    return { headers: this.status < 0 ? fields : [{ key: ':status', value: `${this.status}` }, ...fields] };
  }

  field(): null {
    return null;
  }
}
