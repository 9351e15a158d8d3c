// Contract of HTTP filters: what stands between the connection manager and the router.
//
// A filter is compiled once per connection manager, and once more for routes that configure it otherwise. For each
// request it acts on, it opens a call: an object with only the hooks it needs. Requests pass the filters in configured
// order, responses in reverse order. Hooks of one direction come in message order; `onDone` comes once, last.

import type { HeaderMap } from '../codec/headers.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type { ReplyHeaders } from '../router/downstream.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';

/** Go on with the next filter. */
export const CONTINUE = 0;
/**
 * This message stops here until the filter resumes it. Body that follows is still given to the filter, which keeps or
 * drops it (returns `null`); without a body hook it is kept up to the stream's limit, then its sender is held.
 */
export const PAUSE = 1;
/** The filter has answered the request itself. */
export const REPLIED = 2;
export type Verdict = typeof CONTINUE | typeof PAUSE | typeof REPLIED;

/** What a filter may know of its request, and the answer it may give. */
export interface FilterStream extends StreamInfo {
  /** Never `null` while a filter is asked. */
  readonly requestHeaders: HeaderMap | null;
  readonly route: RouteRules | null;
  /** Chosen with the route; `null` = it forwards nowhere. */
  readonly target: CompiledTarget | null;
  /** The client speaks gRPC: local replies are turned into it. */
  readonly isGrpc: boolean;
  /** Some `x-envoy-` header may be in the request: to be set by a filter that adds one. */
  hasEnvoyHeaders: boolean;
  /** Bytes of body that a filter may keep, per direction. */
  readonly bufferLimitBytes: number;
  localReply(status: number, body: string, details: string, headers: ReplyHeaders): void;
  /** Answers 413: more body has come than a filter may keep. */
  refuseRequestBody(): void;
  /** Looks for the route anew: what it depends on has changed. So may what routes say to filters behind this one. */
  refreshRoute(headers: HeaderMap): void;
  /** Answers without a body; `local_reply_config` has no word in it. */
  respond(status: number, headers: HeaderMap, details: string): void;
}

/** One request as one filter sees it. All hooks are optional; the prototype of a class decides, not the request. */
export interface FilterCall {
  onRequestHead?(headers: HeaderMap, endStream: boolean): Verdict;
  /**
   * @param chunk valid during the call; empty when it only carries the end
   * @returns what goes on in its place; `null` = nothing, not even the end
   */
  onRequestData?(chunk: Uint8Array, endStream: boolean): Uint8Array | null;
  onRequestTrailers?(trailers: HeaderMap): Verdict;
  /** `headers` may be changed; the status is changed by the run (`setStatus`). */
  onResponseHead?(status: number, headers: HeaderMap, endStream: boolean): Verdict;
  /** As `onRequestData`. */
  onResponseData?(chunk: Uint8Array, endStream: boolean): Uint8Array | null;
  /** `PAUSE`: the trailers go no further; the filter ends the response by other means. */
  onResponseTrailers?(trailers: HeaderMap): Verdict;
  onDone?(): void;
}

/** How a call drives what it has paused. `at` is the position given to `open`. */
export interface FilterRunControl {
  readonly stream: FilterStream;
  /** Lets a paused request head go on. */
  resumeRequest(at: number): void;
  /** Sends body towards the upstream, behind the filter. */
  sendRequestData(at: number, chunk: Uint8Array, endStream: boolean): void;
  /** Lets a paused response head go on. @param endStream nothing follows it */
  resumeResponse(at: number, endStream: boolean): void;
  /** Sends body towards the downstream, behind the filter. */
  sendResponseData(at: number, chunk: Uint8Array, endStream: boolean): void;
  /** Sends paused trailers towards the downstream, behind the filter. */
  sendResponseTrailers(at: number, trailers: HeaderMap): void;
  /** Counted: stop and go on reading response body from the upstream. */
  holdResponse(): void;
  releaseResponse(): void;
  /** Changes the status of a response whose head has not gone on yet. */
  setStatus(status: number): void;
}

/** A number that all workers of the process change. */
export interface SharedCount {
  /** Of all workers. */
  sum(): number;
  add(delta: 1 | -1): void;
}

/** What a filter is compiled with. */
export interface FilterEnv {
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  /** A configured value of the runtime layers; `null` = not set. */
  readonly runtimeKeys: RuntimeKeys;
  /** The connection manager's, e.g. `http.ingress.`. */
  readonly statPrefix: string;
  /** Faults that are going on for the connection managers of this stat prefix. */
  readonly activeFaults: SharedCount;
}

/** One filter of one connection manager, as it acts on the requests of some of its routes. */
export interface HttpFilter {
  /** @returns `null` when the filter has nothing to do with this request */
  open(run: FilterRunControl, at: number): FilterCall | null;
  /**
   * Asked instead of `open` when the request is answered before it has come to this filter: as in Envoy, the answer
   * passes all filters. There may be no request head and no route. Only response hooks of the call are used; absent:
   * the filter leaves such answers alone.
   */
  openResponse?(run: FilterRunControl, at: number): FilterCall | null;
}
