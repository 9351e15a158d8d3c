// `config.cluster.v3.CircuitBreakers` → `BreakerModel`. Each limit has a runtime key that wins over its field:
// `circuit_breakers.<cluster>.<priority>.<limit>`.

import { ConfigError } from '../../util/error.ts';
import type { BreakerModel, ClusterModel } from '../model/cluster.ts';
import { type RuntimeKeys, runtimeInteger, runtimeNumber } from '../model/runtime.ts';
import { bool, list, type Msg, num, str, sub } from '../schema/message.ts';
import { wholeMs } from './duration.ts';

const HIGH_PRIORITY = 1;
const UINT32_MAX = 0xffff_ffff;
/** Pools have none unless one is set. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
const BUDGET_PERCENT = 20;
const BUDGET_CONCURRENCY = 3;
/** What `per_host_thresholds` may not say. */
const NOT_PER_HOST = ['maxPendingRequests', 'maxRequests', 'maxRetries', 'maxConnectionPools', 'retryBudget'];

/** @throws ConfigError with the field's path below `path` */
export function lowerBreakers(cluster: Msg, runtime: RuntimeKeys, path: string): ClusterModel['breakers'] {
  const breakers = sub(cluster, 'circuitBreakers');
  const where = `${path}.circuit_breakers`;
  const thresholds = breakers === null ? [] : list(breakers, 'thresholds');
  const perHost = breakers === null ? [] : list(breakers, 'perHostThresholds');
  for (const [index, item] of perHost.entries())
    if (NOT_PER_HOST.some((field) => sub(item, field) !== null))
      throw new ConfigError('Unsupported field in per_host_thresholds', `${where}.per_host_thresholds[${index}]`);
  const lower = (priority: 'default' | 'high'): BreakerModel => {
    const own = (item: Msg): boolean => isHigh(item) === (priority === 'high');
    const at = thresholds.findIndex(own);
    const source = { message: thresholds[at] ?? null, path: `${where}.thresholds[${at}]` };
    const limited = perHost.find(own);
    return {
      ...lowerBreaker(source, runtime, `circuit_breakers.${str(cluster, 'name')}.${priority}.`),
      maxConnectionsPerHost: limited === undefined ? UINT32_MAX : num(limited, 'maxConnections', UINT32_MAX),
    };
  };
  return { default: lower('default'), high: lower('high') };
}

interface Source {
  /** `null`: Envoy's defaults, unless the runtime says otherwise. */
  readonly message: Msg | null;
  readonly path: string;
}

function lowerBreaker(source: Source, runtime: RuntimeKeys, keys: string): Omit<BreakerModel, 'maxConnectionsPerHost'> {
  const { message } = source;
  const limit = (key: string, field: string, fallback: number): number =>
    runtimeInteger(runtime, keys + key, message === null ? fallback : num(message, field, fallback));
  return {
    maxConnections: limit('max_connections', 'maxConnections', 1024),
    maxPendingRequests: limit('max_pending_requests', 'maxPendingRequests', 1024),
    maxRequests: limit('max_requests', 'maxRequests', 1024),
    maxRetries: limit('max_retries', 'maxRetries', 3),
    maxConnectionPools: limit('max_connection_pools', 'maxConnectionPools', NO_LIMIT),
    retryBudget: lowerBudget(source, runtime, `${keys}retry_budget.`),
  };
}

/** There is one if the field or a runtime key says anything about it. */
function lowerBudget({ message, path }: Source, runtime: RuntimeKeys, keys: string): BreakerModel['retryBudget'] {
  const percentKey = `${keys}budget_percent`;
  const concurrencyKey = `${keys}min_retry_concurrency`;
  const budget = message === null ? null : sub(message, 'retryBudget');
  if (budget === null && !Object.hasOwn(runtime, percentKey) && !Object.hasOwn(runtime, concurrencyKey)) return null;
  const percent = budget === null ? null : sub(budget, 'budgetPercent');
  const intervalMs = budget === null ? 0 : wholeMs(budget, 'budgetInterval', 0, `${path}.retry_budget`);
  return {
    budgetPercent: runtimeNumber(runtime, percentKey, percent === null ? BUDGET_PERCENT : num(percent, 'value')),
    // The runtime may turn the interval off; its length is that of the parts that were made for it.
    intervalMs: runtimeInteger(runtime, `${keys}budget_interval`, intervalMs) === 0 ? 0 : intervalMs,
    minRetryConcurrency: runtimeInteger(
      runtime,
      concurrencyKey,
      budget === null ? BUDGET_CONCURRENCY : num(budget, 'minRetryConcurrency', BUDGET_CONCURRENCY),
    ),
  };
}

/** Which priorities show what is left of their limits. */
export function tracksRemaining(cluster: Msg): ClusterModel['trackRemaining'] {
  const breakers = sub(cluster, 'circuitBreakers');
  const tracking = breakers === null ? [] : list(breakers, 'thresholds').filter((item) => bool(item, 'trackRemaining'));
  return { default: tracking.some((item) => !isHigh(item)), high: tracking.some(isHigh) };
}

function isHigh(threshold: Msg): boolean {
  return num(threshold, 'priority') === HIGH_PRIORITY;
}
