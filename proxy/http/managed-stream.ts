// SEAM: a stream of the connection manager as those see it who check, prepare, answer and time its messages. They stand
// below the stream, which calls them in their order.

import type { Downstream } from '../router/downstream.ts';
import type { RouterRequest } from '../router/request.ts';
import type { HttpManager } from './manager.ts';

/** Implemented by `HttpStream`. */
export interface ManagedStream extends Downstream {
  readonly manager: HttpManager;
  /** `null` = the request has not come to the router. */
  readonly request: RouterRequest | null;
  /** `x-forwarded-proto` is empty or gone. */
  lacksProto: boolean;
  isGrpc: boolean;
  /** Some `x-envoy-` header may be in the request. */
  hasEnvoyHeaders: boolean;
  /** Token of an admitted upgrade, lower case, or `connect`; empty. */
  upgrade: string;
  /** The stream has had its last word: nothing may be asked of it. */
  readonly over: boolean;
  /** `access_log_flush_interval` has passed once more. */
  onLogTimer(): void;
}
