// One try of a request on one upstream host. Told by the upstream side, it tells its request; it decides nothing.

import type { HeaderMap } from '../codec/headers.ts';
import type { ConnectModel } from '../config/model/route.ts';
import { countHostTimeout, monitorOf } from '../upstream/host.ts';
import { startTcpStream } from '../upstream/tcp-stream.ts';
import type {
  Cluster,
  PendingStream,
  PickContext,
  PoolFailure,
  Replay,
  ResetReason,
  UpstreamHostInfo,
  UpstreamStream,
  UpstreamStreamHandler,
} from '../upstream/upstream.ts';

/** What an attempt reports; every call names the attempt, so that a late one can be told from the current one. */
export interface AttemptOwner {
  /** The request is gRPC's: how it went, `grpc-status` says. */
  readonly isGrpc: boolean;
  onAttemptReady(attempt: Attempt, stream: UpstreamStream): void;
  onAttemptFailure(
    attempt: Attempt,
    reason: PoolFailure,
    transportFailure: string,
    host: UpstreamHostInfo | null,
  ): void;
  onAttemptInformational(attempt: Attempt, status: number, headers: HeaderMap): void;
  onAttemptHead(attempt: Attempt, status: number, headers: HeaderMap, endStream: boolean): void;
  onAttemptData(attempt: Attempt, chunk: Uint8Array, endStream: boolean): void;
  onAttemptTrailers(attempt: Attempt, trailers: HeaderMap): void;
  onAttemptReset(attempt: Attempt, reason: ResetReason, transportFailure: string, replay: Replay): void;
  onAttemptDrain(attempt: Attempt): void;
}

/** The request's body goes to the host as it is, and what the host says is the answer's. */
function endsHere({ info }: PickContext, { allowPost }: ConnectModel): boolean {
  return info?.method === 'CONNECT' || (allowPost && info?.method === 'POST');
}

/** See the head of this file. After `abandon` it is silent. */
export class Attempt implements UpstreamStreamHandler {
  private readonly owner: AttemptOwner;
  readonly cluster: Cluster;
  stream: UpstreamStream | null;
  host: UpstreamHostInfo | null;
  /** The request head was handed to a connection. */
  headSent: boolean;
  responseStarted: boolean;
  /** When it was begun; monotonic ms. */
  startMs: number;
  /** When its time is over, in clusters that limit it; monotonic ms; −1 = never, or not while it has no connection. */
  dueMs: number;
  /** As it came, for clusters with histograms; −1 = none came. */
  responseHeadBytes: number;
  responseHeadFields: number;
  responseBodyBytes: number;
  /** An interim response has come. */
  informed: boolean;
  /** Its answer says that it is a canary's. */
  canary: boolean;
  /** Another attempt has been asked for in its place, while it goes on. */
  hedged: boolean;
  /** It has met its time limit and may go on. */
  private late: boolean;
  private pending: PendingStream | null;
  private over: boolean;

  constructor(owner: AttemptOwner, cluster: Cluster) {
    this.owner = owner;
    this.cluster = cluster;
    this.stream = null;
    this.host = null;
    this.headSent = false;
    this.responseStarted = false;
    this.startMs = 0;
    this.dueMs = -1;
    this.responseHeadBytes = -1;
    this.responseHeadFields = 0;
    this.responseBodyBytes = 0;
    this.informed = false;
    this.canary = false;
    this.hedged = false;
    this.late = false;
    this.pending = null;
    this.over = false;
  }

  /** Something of its answer has come, be it an interim response. */
  get begun(): boolean {
    return this.responseStarted || this.informed;
  }

  /** @param connect of the route */
  start(context: PickContext, connect: ConnectModel | null): void {
    const pending =
      connect !== null && endsHere(context, connect)
        ? startTcpStream(this.cluster, context, this, connect.proxyHeader)
        : this.cluster.startStream(context, this);
    // The answer may have come from inside the call already.
    if (this.stream !== null || this.over || pending === null) return;
    this.pending = pending;
    this.host = pending.host;
  }

  /** Gives the attempt up without a report: cancels the wait or resets the stream. */
  abandon(): void {
    if (this.over) return;
    this.over = true;
    if (this.pending !== null) this.pending.cancel();
    if (this.stream !== null) this.stream.reset();
  }

  /**
   * Gives the attempt up because it took too long.
   * @param status what the client gets
   * @param ofTry its own limit is over, and not the request's: that is the host's doing even in the middle of a response
   */
  timeOut(status: number, ofTry: boolean): void {
    this.abandon();
    countHostTimeout(this.host, this.responseStarted);
    if ((ofTry || !this.responseStarted) && !this.late) monitorOf(this.host)?.onTimeout(status);
  }

  /** The attempt has taken too long, and goes on. @param status what the client would get */
  runLate(status: number): void {
    if (this.late) return;
    this.late = true;
    monitorOf(this.host)?.onTimeout(status);
  }

  onReady(stream: UpstreamStream): void {
    this.pending = null;
    this.stream = stream;
    this.host = stream.host;
    monitorOf(stream.host)?.onConnected();
    this.owner.onAttemptReady(this, stream);
  }

  onPoolFailure(reason: PoolFailure, transportFailure: string, host: UpstreamHostInfo | null): void {
    this.pending = null;
    this.over = true;
    this.host = host;
    // A full breaker is the cluster's, not the host's.
    if (reason !== 'overflow') monitorOf(host)?.onUnreachable();
    this.owner.onAttemptFailure(this, reason, transportFailure, host);
  }

  onInformational(status: number, headers: HeaderMap): void {
    // As in Envoy the first one alone: a host that sends them without end has no other effect.
    if (this.over || this.informed) return;
    this.informed = true;
    this.noteCanary(headers);
    this.owner.onAttemptInformational(this, status, headers);
  }

  onHead(status: number, headers: HeaderMap, endStream: boolean): void {
    if (this.over) return;
    this.responseStarted = true;
    this.over = endStream;
    this.noteCanary(headers);
    const monitor = monitorOf(this.host);
    if (monitor !== null) monitor.onAnswer(status, headers, this.owner.isGrpc);
    this.owner.onAttemptHead(this, status, headers, endStream);
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    this.over = endStream;
    this.responseBodyBytes += chunk.length;
    this.owner.onAttemptData(this, chunk, endStream);
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.over) return;
    this.over = true;
    this.owner.onAttemptTrailers(this, trailers);
  }

  onReset(reason: ResetReason, transportFailure: string, replay: Replay): void {
    if (this.over) return;
    this.over = true;
    if (reason !== 'overflow') monitorOf(this.host)?.onUnreachable();
    this.owner.onAttemptReset(this, reason, transportFailure, replay);
  }

  onDrain(): void {
    if (!this.over) this.owner.onAttemptDrain(this);
  }

  private noteCanary(headers: HeaderMap): void {
    this.canary = headers.get('x-envoy-upstream-canary') === 'true';
  }
}
