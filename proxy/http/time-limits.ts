// How long a stream may take, and what it is told when it has taken too long.

import type { HeaderMap } from '../codec/headers.ts';
import {
  HTTP_DOWNSTREAM_RQ_HEADER_TIMEOUT,
  HTTP_DOWNSTREAM_RQ_IDLE_TIMEOUT,
  HTTP_DOWNSTREAM_RQ_MAX_DURATION_REACHED,
  HTTP_DOWNSTREAM_RQ_TIMEOUT,
} from '../observe/catalogue-http.ts';
import { FLAG_SI } from '../observe/flags.ts';
import type { RouteRules } from '../route/route.ts';
import { readGrpcTimeout, streamLimit, writeGrpcTimeout } from '../router/grpc-timeout.ts';
import type { ManagedStream } from './managed-stream.ts';

interface TimeLimit {
  readonly counter: number;
  readonly flag: number;
  readonly body: string;
  readonly details: string;
}

/** `stream_idle_timeout`, or the route's `idle_timeout`. */
export const IDLE_TIMEOUT: TimeLimit = {
  counter: HTTP_DOWNSTREAM_RQ_IDLE_TIMEOUT,
  flag: FLAG_SI,
  body: 'stream timeout',
  details: 'stream_idle_timeout',
};
/** `request_timeout`: for the whole request to come. */
export const REQUEST_TIMEOUT: TimeLimit = {
  counter: HTTP_DOWNSTREAM_RQ_TIMEOUT,
  flag: 0,
  body: 'request timeout',
  details: 'request_overall_timeout',
};
/** `request_headers_timeout`. */
export const HEADERS_TIMEOUT: TimeLimit = {
  counter: HTTP_DOWNSTREAM_RQ_HEADER_TIMEOUT,
  flag: 0,
  body: 'request header timeout',
  details: 'request_header_timeout',
};
/** `max_stream_duration`. */
export const MAX_DURATION: TimeLimit = {
  counter: HTTP_DOWNSTREAM_RQ_MAX_DURATION_REACHED,
  flag: 0,
  body: 'downstream duration timeout',
  details: 'max_duration_timeout',
};

/** The limit is reached: the stream is answered, or broken off when its answer has begun. */
export function endByTime(stream: ManagedStream, limit: TimeLimit): void {
  stream.manager.count(limit.counter);
  stream.flags |= limit.flag;
  if (stream.over) return;
  if (stream.responseStarted) stream.abortResponse(limit.details);
  else stream.localReply(stream.requestComplete ? 504 : 408, limit.body, limit.details, null);
}

/**
 * `max_stream_duration`, which the `grpc-timeout` header may shorten; tells the upstream of it.
 * @returns milliseconds from now; 0 = no limit
 */
export function limitDuration(stream: ManagedStream, route: RouteRules, headers: HeaderMap): number {
  let ms = route.maxStreamDurationMs >= 0 ? route.maxStreamDurationMs : stream.manager.model.maxStreamDurationMs;
  if (stream.isGrpc) {
    const asked = route.grpcStreamLimits === null ? -1 : readGrpcTimeout(headers);
    if (route.grpcStreamLimits !== null && asked >= 0) {
      ms = streamLimit(asked, route.grpcStreamLimits);
      writeGrpcTimeout(headers, ms);
      return Math.max(1, ms);
    }
    if (ms > 0) writeGrpcTimeout(headers, ms);
  }
  return ms;
}
