// What the router needs of the request it serves: the record, the request as it stands, and the way back.

import type { HeaderMap } from '../codec/headers.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { RedirectState } from '../route/redirect-policy.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type { Deadline } from '../util/deadline.ts';
import type { KeptBody } from './kept-body.ts';

/** Adds headers to a local reply before it is finished; `null` = none. */
export type ReplyHeaders = ((headers: HeaderMap) => void) | null;

/** The downstream half of a proxied request. Implemented by the connection manager's stream. */
export interface Downstream extends StreamInfo {
  /** Never `null` once the router is entered. */
  readonly requestHeaders: HeaderMap | null;
  readonly route: RouteRules | null;
  /** Where the route sends the request, chosen when the route was, or when a retry went elsewhere; `null` = nowhere. */
  target: CompiledTarget | null;
  readonly isGrpc: boolean;
  /** Token of an admitted upgrade, lower case, or `connect`; empty. */
  readonly upgrade: string;
  /** Some `x-envoy-` header may be in the request. */
  readonly hasEnvoyHeaders: boolean;
  /** The peer has sent the whole request. */
  readonly requestComplete: boolean;
  readonly responseStarted: boolean;
  /** The scheme is that of the upstream connection. */
  readonly matchesUpstreamScheme: boolean;
  /** 32 random bits drawn once for the request: weights, fractions, sampling. */
  readonly random: number;
  /** Timers that live as long as the connection; the router arms them and they call it back through the stream. */
  readonly routeTimer: Deadline;
  readonly perTryTimer: Deadline;
  readonly perTryIdleTimer: Deadline;
  /** `max_stream_duration` of the upstream. */
  readonly attemptTimer: Deadline;
  readonly retryTimer: Deadline;
  /** Bytes of request body the router may keep before it must stop the sender. */
  readonly bufferLimitBytes: number;
  /** Bytes of request body it may keep for another try; a request with more has none. */
  readonly replayLimitBytes: number;

  /** `null` = the client's request was never redirected. */
  redirects: RedirectState | null;

  /** Looks for the route of a request that was changed. @returns its name; `null` = there is none */
  matchAgain(): string | null;
  /**
   * The request starts anew, as another stream that the client does not know of; this one is over.
   * @param body all of it; `null` = none
   */
  restart(body: KeptBody | null): void;
  /** 1xx from upstream. */
  respondInformational(status: number, headers: HeaderMap): void;
  respondHead(status: number, headers: HeaderMap, endStream: boolean): void;
  /** False: the peer reads too slowly, stop until `RouterRequest.onDownstreamDrain`. */
  respondData(chunk: Uint8Array, endStream: boolean): boolean;
  respondTrailers(trailers: HeaderMap): void;
  /** An answer of our own. The body may be replaced by the manager's `local_reply_config`. */
  localReply(status: number, body: string, details: string, headers: ReplyHeaders): void;
  /** The response cannot be finished: the peer must notice. */
  abortResponse(details: string): void;
  /** Counted: stop and go on reading request body from the peer. */
  holdRequest(): void;
  releaseRequest(): void;
}
