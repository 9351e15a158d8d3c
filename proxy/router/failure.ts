// How an attempt's end is told: Envoy's words, response flag and status for each kind of failure.

import { FLAG_DPE, FLAG_LR, FLAG_UC, FLAG_UF, FLAG_UH, FLAG_UO, FLAG_UPE, FLAG_UR } from '../observe/flags.ts';
import type { PoolFailure, ResetReason } from '../upstream/upstream.ts';
import type { Downstream } from './downstream.ts';

/** What users read of a failure. */
export interface FailureText {
  /** In bodies and, with underscores, in `%RESPONSE_CODE_DETAILS%`. */
  readonly reason: string;
  readonly flag: number;
  readonly status: 502 | 503;
}

const TEXTS: Readonly<Record<PoolFailure | ResetReason, FailureText>> = {
  no_healthy_host: { reason: 'no healthy upstream', flag: FLAG_UH, status: 503 },
  overflow: { reason: 'overflow', flag: FLAG_UO, status: 503 },
  connect_failure: { reason: 'remote connection failure', flag: FLAG_UF, status: 503 },
  local_connect_failure: { reason: 'local connection failure', flag: FLAG_UF, status: 503 },
  connect_timeout: { reason: 'connection timeout', flag: FLAG_UF, status: 503 },
  connection_termination: { reason: 'connection termination', flag: FLAG_UC, status: 503 },
  protocol_error: { reason: 'protocol error', flag: FLAG_UPE, status: 502 },
  remote_reset: { reason: 'remote reset', flag: FLAG_UR, status: 503 },
  remote_refused_stream: { reason: 'remote refused stream reset', flag: FLAG_UR, status: 503 },
  connect_error: { reason: 'remote error with CONNECT request', flag: FLAG_UR, status: 503 },
  local_reset: { reason: 'local reset', flag: FLAG_LR, status: 503 },
};

/** Envoy's words for a failure (Envoy: http/utility `resetReasonToString`). */
export function failureText(reason: PoolFailure | ResetReason): FailureText {
  return TEXTS[reason];
}

/** What the client reads. @param retried there was an attempt before the one that failed */
export function failureBody(reason: string, retried: boolean): string {
  const again = retried ? 'retried and the latest ' : '';
  return `upstream connect error or disconnect/reset before headers. ${again}reset reason: ${reason}`;
}

/** `upstream_reset_before_response_started{connection_termination}` and its relatives; blanks become `_`. */
export function resetDetails(responseStarted: boolean, reason: string, transportFailure: string): string {
  const moment = responseStarted ? 'after' : 'before';
  const tail = transportFailure === '' ? '' : `|${transportFailure}`;
  return `upstream_reset_${moment}_response_started{${reason}${tail}}`.replaceAll(' ', '_');
}

/**
 * Answers a request that no upstream has answered.
 * @param overloaded a circuit breaker stood in the way
 * @param counted the answer says how many attempts there were
 */
export function answerFailure(
  down: Downstream,
  status: number,
  body: string,
  details: string,
  overloaded: boolean,
  counted: boolean,
): void {
  const attempts = counted && down.attemptCount > 0;
  down.localReply(
    status,
    body,
    details,
    overloaded || attempts
      ? (reply) => {
          if (overloaded) reply.set('x-envoy-overloaded', 'true');
          if (attempts) reply.set('x-envoy-attempt-count', `${down.attemptCount}`);
        }
      : null,
  );
}

/** Answers a request with a header that no upstream may be sent, before one is asked. */
export function refuseUnsafe(down: Downstream): void {
  const why = `invalid header value for: ${down.unsafeHeader}`;
  down.flags |= FLAG_DPE;
  const details = `filter_removed_required_request_headers{${why.replaceAll(' ', '_')}}`;
  down.localReply(503, why, details, null);
}
