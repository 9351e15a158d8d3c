// SEAM: contract of the HTTP/1 decoder and encoder (RFC 9112), to be replaced by the implementation.
//
// Rule 1: no I/O, no clock. Rule 2: errors are values. Rule 3: the sink may pause from inside any call.
import type { HeaderMap } from './headers.ts';

/** What a decoded request head says; `headers` is owned by the receiver and may be mutated. */
export interface RequestHead {
  method: string;
  /** Request target's path and query (absolute-form already split), e.g. `/a?b`; authority-form for CONNECT leaves it empty. */
  path: string;
  /** From absolute-form, else `host`; empty when absent. `host` itself is not in `headers`. */
  authority: string;
  /** From absolute-form (`http`/`https`), else empty. */
  scheme: string;
  /** 0 or 1: the minor version. */
  minor: number;
  headers: HeaderMap;
}
export interface ResponseHead {
  status: number;
  reason: string;
  minor: number;
  headers: HeaderMap;
}
