// Lowers the fault filter (Envoy: extensions.filters.http.fault.v3.HTTPFault), of a connection manager or of a route.

import type {
  FaultAbortModel,
  FaultDelayModel,
  FaultModel,
  FaultRateLimitModel,
  FaultRuntimeKeysModel,
} from '../model/fault.ts';
import type { Share } from '../model/runtime.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, strings, struct, sub, toMs } from '../schema/message.ts';
import { lowerFraction, wireString } from './common.ts';
import { lowerHeaderMatch } from './header-match.ts';

/** A value that the request's header says. */
const BY_HEADER = -1;

export function lowerFault(message: Msg, path: string): FaultModel {
  const delay = sub(message, 'delay');
  const abort = sub(message, 'abort');
  const limit = sub(message, 'responseRateLimit');
  return {
    kind: 'fault',
    delay: delay === null ? null : lowerDelay(delay),
    abort: abort === null ? null : lowerAbort(abort),
    responseRateLimit: limit === null ? null : lowerRateLimit(limit),
    upstreamCluster: str(message, 'upstreamCluster'),
    headers: list(message, 'headers').map((header, index) => lowerHeaderMatch(header, `${path}.headers[${index}]`)),
    downstreamNodes: strings(message, 'downstreamNodes').map(wireString),
    maxActiveFaults: num(message, 'maxActiveFaults', -1),
    runtimeKeys: lowerRuntimeKeys(message),
    disableDownstreamClusterStats: bool(message, 'disableDownstreamClusterStats'),
    filterMetadata: struct(message, 'filterMetadata') ?? {},
  };
}

function lowerDelay(message: Msg): FaultDelayModel {
  const fixed = oneofCase<Msg>(message, 'faultDelaySecifier', 'fixedDelay');
  return { delayMs: fixed === null ? BY_HEADER : Math.floor(toMs(fixed)), share: lowerShare(message) };
}

function lowerAbort(message: Msg): FaultAbortModel {
  return {
    error: lowerError(message),
    share: lowerShare(message),
    responseBody: wireString(str(message, 'responseBody')),
  };
}

function lowerError(message: Msg): FaultAbortModel['error'] {
  const error = oneof(message, 'errorType');
  switch (error?.case) {
    case 'httpStatus':
      return { kind: 'http', status: error.value as number };
    case 'grpcStatus':
      return { kind: 'grpc', status: error.value as number };
    default:
      return { kind: 'header' };
  }
}

function lowerRateLimit(message: Msg): FaultRateLimitModel {
  const limit = oneof(message, 'limitType');
  const fixed = limit?.case === 'fixedLimit';
  return { kibPerSecond: fixed ? num(limit.value as Msg, 'limitKbps') : BY_HEADER, share: lowerShare(message) };
}

/** Without a percentage a fault never happens. */
function lowerShare(message: Msg): Share {
  const percentage = sub(message, 'percentage');
  const { numerator, denominator } =
    percentage === null ? ({ numerator: 0, denominator: 100 } as const) : lowerFraction(percentage);
  return { numerator, denominator };
}

function lowerRuntimeKeys(message: Msg): FaultRuntimeKeysModel {
  return {
    delayPercent: str(message, 'delayPercentRuntime') || 'fault.http.delay.fixed_delay_percent',
    abortPercent: str(message, 'abortPercentRuntime') || 'fault.http.abort.abort_percent',
    delayDuration: str(message, 'delayDurationRuntime') || 'fault.http.delay.fixed_duration_ms',
    abortHttpStatus: str(message, 'abortHttpStatusRuntime') || 'fault.http.abort.http_status',
    abortGrpcStatus: str(message, 'abortGrpcStatusRuntime') || 'fault.http.abort.grpc_status',
    maxActiveFaults: str(message, 'maxActiveFaultsRuntime') || 'fault.http.max_active_faults',
    responseRateLimitPercent:
      str(message, 'responseRateLimitPercentRuntime') || 'fault.http.rate_limit.response_percent',
  };
}
