// `strict_check_headers`: a trusted request whose `x-envoy-` header cannot be read is refused instead of read in part
// (Envoy: extensions.filters.http.router.v3).

import type { HeaderMap } from '../codec/headers.ts';
import { GRPC_CONDITIONS, HTTP_CONDITIONS } from '../route/retry.ts';
import { milliseconds } from './timeouts.ts';

const isNumber = (text: string): boolean => milliseconds(text) >= 0;
const lists = (known: ReadonlySet<string>) => (text: string) =>
  text.split(',').every((token) => known.has(token.trim()));

const CHECKS: Readonly<Record<string, (text: string) => boolean>> = {
  'x-envoy-upstream-rq-timeout-ms': isNumber,
  'x-envoy-upstream-rq-per-try-timeout-ms': isNumber,
  'x-envoy-max-retries': isNumber,
  'x-envoy-retry-on': lists(HTTP_CONDITIONS),
  'x-envoy-retry-grpc-on': lists(GRPC_CONDITIONS),
};

/** Finds the first configured header with a value that cannot be read; `null` = all is well. */
export type StrictCheck = (headers: HeaderMap) => { readonly name: string; readonly value: string } | null;

/** @returns `null` when nothing is to be checked */
export function compileStrictHeaders(names: readonly string[]): StrictCheck | null {
  if (names.length === 0) return null;
  return (headers) => {
    for (const name of names) {
      const value = headers.getJoined(name);
      if (value !== null && CHECKS[name]?.(value) === false) return { name, value };
    }
    return null;
  };
}
