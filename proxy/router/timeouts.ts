// The time limits of one request: the route's, or what a trusted sender asks for in headers
// (Envoy: docs configuration/http/http_filters/router_filter, "x-envoy-upstream-rq-timeout-ms").

import type { HeaderMap } from '../codec/headers.ts';
import { wholeNumber } from '../util/whole-number.ts';
import { writeGrpcTimeout } from './grpc-timeout.ts';

/** Beyond it Envoy's clock cannot count. */
const MS_END = 2 ** 63;

/** Milliseconds; 0 = none. */
export interface RequestTimeouts {
  globalMs: number;
  perTryMs: number;
  /** An attempt that meets its limit goes on, beside the next one. */
  hedging: boolean;
  /** A time-out answers 204 instead of 504. */
  alternativeResponse: boolean;
}

/**
 * Takes the time-out headers out of a request.
 * @param into filled in place, starting from the route's values
 * @param respectExpected what `x-envoy-expected-rq-timeout-ms` says comes first
 */
export function takeTimeoutHeaders(headers: HeaderMap, into: RequestTimeouts, respectExpected: boolean): void {
  const expected = respectExpected ? headers.get('x-envoy-expected-rq-timeout-ms') : null;
  if (expected !== null) {
    const ms = milliseconds(expected);
    if (ms >= 0) into.globalMs = ms;
  } else {
    const global = takeMs(headers, 'x-envoy-upstream-rq-timeout-ms');
    if (global >= 0) into.globalMs = global;
  }
  const perTry = takeMs(headers, 'x-envoy-upstream-rq-per-try-timeout-ms');
  if (perTry >= 0) into.perTryMs = perTry;
  into.alternativeResponse = headers.remove('x-envoy-upstream-rq-timeout-alt-response');
  const hedging = headers.get('x-envoy-hedge-on-per-try-timeout');
  if (hedging === null) return;
  headers.remove('x-envoy-hedge-on-per-try-timeout');
  if (hedging === 'true') into.hedging = true;
  else if (hedging === 'false') into.hedging = false;
}

/**
 * Tells the upstream how long an attempt that starts now may take.
 * @param elapsedMs since the request began
 * @param grpc the `grpc-timeout` header says it too
 * @param silent `x-envoy-expected-rq-timeout-ms` does not
 */
export function announceTimeouts(
  headers: HeaderMap,
  limits: RequestTimeouts,
  elapsedMs: number,
  grpc: boolean,
  silent: boolean,
): void {
  if (silent && !grpc) return;
  const ms = expectedTimeoutMs(limits, elapsedMs);
  if (ms === 0) return;
  if (grpc) writeGrpcTimeout(headers, ms);
  if (!silent) headers.set('x-envoy-expected-rq-timeout-ms', ms === 15_000 ? '15000' : `${ms}`);
}

/** How long an attempt may take that starts now, milliseconds; 0 = without a limit. */
function expectedTimeoutMs({ globalMs, perTryMs: ownMs, hedging }: RequestTimeouts, elapsedMs: number): number {
  const perTryMs = hedging ? 0 : ownMs;
  if (globalMs === 0) return perTryMs;
  const left = Math.max(1, Math.floor(globalMs - elapsedMs));
  return perTryMs === 0 ? left : Math.min(perTryMs, left);
}

/** Takes the name out of a request under which it is counted besides; empty = none. */
export function takeOtherStatName(headers: HeaderMap): string {
  const name = headers.get('x-envoy-upstream-alt-stat-name');
  if (name === null) return '';
  headers.remove('x-envoy-upstream-alt-stat-name');
  return name;
}

function takeMs(headers: HeaderMap, name: string): number {
  const value = headers.get(name);
  if (value === null) return -1;
  headers.remove(name);
  return milliseconds(value);
}

/** −1 for what is no number of milliseconds. */
export function milliseconds(text: string): number {
  const ms = wholeNumber(text);
  return ms >= 0 && ms < MS_END ? ms : -1;
}
