// The time limits of one request: the route's, or what a trusted sender asks for in headers
// (Envoy: docs configuration/http/http_filters/router_filter, "x-envoy-upstream-rq-timeout-ms").

import type { HeaderMap } from '../codec/headers.ts';

/** Milliseconds; 0 = none. */
export interface RequestTimeouts {
  globalMs: number;
  perTryMs: number;
  /** A time-out answers 204 instead of 504. */
  alternativeResponse: boolean;
}

/**
 * Takes the time-out headers out of a request.
 * @param into filled in place, starting from the route's values
 */
export function takeTimeoutHeaders(headers: HeaderMap, into: RequestTimeouts): void {
  const global = takeMs(headers, 'x-envoy-upstream-rq-timeout-ms');
  if (global >= 0) into.globalMs = global;
  const perTry = takeMs(headers, 'x-envoy-upstream-rq-per-try-timeout-ms');
  if (perTry >= 0) into.perTryMs = perTry;
  into.alternativeResponse = headers.remove('x-envoy-upstream-rq-timeout-alt-response');
  headers.remove('x-envoy-upstream-alt-stat-name');
}

function takeMs(headers: HeaderMap, name: string): number {
  const value = headers.get(name);
  if (value === null) return -1;
  headers.remove(name);
  return /^\d{1,15}$/.test(value) ? Number(value) : -1;
}
