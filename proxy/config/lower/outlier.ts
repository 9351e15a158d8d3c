// `config.cluster.v3.OutlierDetection` → `OutlierModel`. Each number has a runtime key that wins over its field.

import { ConfigError } from '../../util/error.ts';
import type { ErrorMatchModel, OutlierModel } from '../model/outlier.ts';
import { type RuntimeKeys, runtimeInteger } from '../model/runtime.ts';
import { bool, list, type Msg, num, oneof } from '../schema/message.ts';
import { snakeCase, wholeMs } from './duration.ts';
import { lowerHeaderMatch } from './header-match.ts';

const INTERVAL_MS = 10_000;
const BASE_EJECTION_MS = 30_000;
const MAX_EJECTION_MS = 300_000;

/** @throws ConfigError with the field's path below `path` */
export function lowerOutlier(
  message: Msg,
  errors: ErrorMatchModel | null,
  runtime: RuntimeKeys,
  path: string,
): OutlierModel {
  const value = (key: string, configured: number): number =>
    runtimeInteger(runtime, `outlier_detection.${key}`, configured);
  const count = (key: string, field: string, fallback: number): number => value(key, num(message, field, fallback));
  const ms = (key: string, field: string, fallbackMs: number): number =>
    value(key, wholeMs(message, field, fallbackMs, path));
  const baseMs = wholeMs(message, 'baseEjectionTime', BASE_EJECTION_MS, path);
  const maxMs = wholeMs(message, 'maxEjectionTime', Math.max(MAX_EJECTION_MS, baseMs), path);
  if (maxMs < baseMs)
    throw new ConfigError("outlier detector's max_ejection_time cannot be smaller than base_ejection_time", path);
  return {
    firstCell: -1,
    consecutive5xx: count('consecutive_5xx', 'consecutive5xx', 5),
    consecutiveGatewayFailure: count('consecutive_gateway_failure', 'consecutiveGatewayFailure', 5),
    consecutiveLocalOriginFailure: count('consecutive_local_origin_failure', 'consecutiveLocalOriginFailure', 5),
    splitsLocalOrigin: bool(message, 'splitExternalLocalOriginErrors'),
    intervalMs: ms('interval_ms', 'interval', INTERVAL_MS),
    baseEjectionTimeMs: value('base_ejection_time_ms', baseMs),
    maxEjectionTimeMs: value('max_ejection_time_ms', maxMs),
    maxEjectionTimeJitterMs: ms('max_ejection_time_jitter_ms', 'maxEjectionTimeJitter', 0),
    maxEjectionPercent: Math.min(100, count('max_ejection_percent', 'maxEjectionPercent', 10)),
    alwaysEjectOneHost: bool(message, 'alwaysEjectOneHost'),
    detectDegradedHosts: bool(message, 'detectDegradedHosts'),
    successRateMinimumHosts: count('success_rate_minimum_hosts', 'successRateMinimumHosts', 5),
    successRateRequestVolume: count('success_rate_request_volume', 'successRateRequestVolume', 100),
    successRateStdevFactor: count('success_rate_stdev_factor', 'successRateStdevFactor', 1900),
    failurePercentageThreshold: count('failure_percentage_threshold', 'failurePercentageThreshold', 85),
    failurePercentageMinimumHosts: count('failure_percentage_minimum_hosts', 'failurePercentageMinimumHosts', 5),
    failurePercentageRequestVolume: count('failure_percentage_request_volume', 'failurePercentageRequestVolume', 50),
    errors,
    enforcing: lowerEnforcing(count),
  };
}

function lowerEnforcing(count: (key: string, field: string, fallback: number) => number): OutlierModel['enforcing'] {
  const percent = (key: string, field: string, fallback: number): number =>
    Math.min(100, count(`enforcing_${key}`, field, fallback));
  return {
    consecutive_5xx: percent('consecutive_5xx', 'enforcingConsecutive5xx', 100),
    consecutive_gateway_failure: percent('consecutive_gateway_failure', 'enforcingConsecutiveGatewayFailure', 0),
    consecutive_local_origin_failure: percent(
      'consecutive_local_origin_failure',
      'enforcingConsecutiveLocalOriginFailure',
      100,
    ),
    success_rate: percent('success_rate', 'enforcingSuccessRate', 100),
    local_origin_success_rate: percent('local_origin_success_rate', 'enforcingLocalOriginSuccessRate', 100),
    failure_percentage: percent('failure_percentage', 'enforcingFailurePercentage', 0),
    local_origin_failure_percentage: percent(
      'failure_percentage_local_origin',
      'enforcingFailurePercentageLocalOrigin',
      0,
    ),
  };
}

/** `error_matcher`. Envoy shows it heads of answers and nothing else: what asks for more never matches. */
export function lowerErrorMatch(message: Msg, path: string): ErrorMatchModel {
  const rule = oneof(message, 'rule');
  const where = `${path}.${snakeCase(rule?.case ?? '')}`;
  const rules = (): ErrorMatchModel[] =>
    list(rule?.value as Msg, 'rules').map((each, i) => lowerErrorMatch(each, `${where}.rules[${i}]`));
  switch (rule?.case) {
    case 'orMatch':
      return { kind: 'any_of', rules: rules() };
    case 'andMatch':
      return { kind: 'all_of', rules: rules() };
    case 'notMatch':
      return { kind: 'not', rule: lowerErrorMatch(rule.value as Msg, where) };
    case 'anyMatch':
      return { kind: 'any' };
    case 'httpResponseHeadersMatch': {
      const headers = list(rule.value as Msg, 'headers');
      return { kind: 'headers', headers: headers.map((each, i) => lowerHeaderMatch(each, `${where}.headers[${i}]`)) };
    }
    default:
      return { kind: 'never' };
  }
}
