// The `grpc-timeout` header: how long a gRPC client will wait (gRPC over HTTP/2, "Timeout").

import type { HeaderMap } from '../codec/headers.ts';
import type { GrpcLimitsModel } from '../config/model/route.ts';
import { wholeNumber } from '../util/whole-number.ts';

/** Milliseconds of a unit. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Each with how many of the one before, milliseconds at first, are one of it. */
const LARGER_UNITS: readonly (readonly [unit: string, factor: number])[] = [
  ['S', 1_000],
  ['M', 60],
  ['H', 60],
];

/** The largest number the header can carry. */
const VALUE_MAX = 99_999_999;

/** What the client asks for, in whole milliseconds, a fraction being a whole one; −1 = nothing, or nothing readable. */
export function readGrpcTimeout(headers: HeaderMap): number {
  const value = headers.get('grpc-timeout');
  if (value === null) return -1;
  const unit = UNITS[value.charAt(value.length - 1)];
  if (unit === undefined) return -1;
  const number = wholeNumber(value.slice(0, -1));
  return number >= 0 && number <= VALUE_MAX ? Math.ceil(number * unit) : -1;
}

/** Says to the upstream how long there is. */
export function writeGrpcTimeout(headers: HeaderMap, ms: number): void {
  let value = ms;
  let unit = 'm';
  for (const [larger, factor] of LARGER_UNITS) {
    if (value <= VALUE_MAX) break;
    value = Math.floor(value / factor);
    unit = larger;
  }
  headers.set('grpc-timeout', `${Math.min(VALUE_MAX, value)}${unit}`);
}

/** `grpc_timeout_header_max`: the life of a stream whose client has set a time-out. 0 = over at once. */
export function streamLimit(askedMs: number, limits: GrpcLimitsModel): number {
  const capped = limits.maxMs > 0 && askedMs > limits.maxMs ? limits.maxMs : askedMs;
  return Math.max(0, capped - limits.offsetMs);
}

/** `max_grpc_timeout`: the time-out of a route for a gRPC request. 0 = none. @param askedMs −1 = not said */
export function routeLimit(askedMs: number, limits: GrpcLimitsModel): number {
  let ms = Math.max(0, askedMs);
  // No time left would be no limit at all, so an offset that takes it all is not applied.
  if (limits.offsetMs < ms) ms -= limits.offsetMs;
  return limits.maxMs > 0 && (ms === 0 || ms > limits.maxMs) ? limits.maxMs : ms;
}
