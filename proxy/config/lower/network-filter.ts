// Lowers the small network filters: those that let a connection pass or not, and those that answer it themselves
// (Envoy: extensions.filters.network.*).

import { ConfigError } from '../../util/error.ts';
import type { LocalRateLimitModel, RuntimeFlagModel } from '../model/common.ts';
import type { NetworkFilterModel } from '../model/listener.ts';
import { bool, type Msg, num, str, sub, toMs } from '../schema/message.ts';
import { type LowerContext, readDataSource } from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerSetConnectionState } from './metadata-filters.ts';

/** Shortest time between two fills of a token bucket, ms; Envoy's words name it. */
const FILL_INTERVAL_MS_MIN = 50;
const NETWORK = 'envoy.extensions.filters.network.';

type Lower = (config: Msg, ctx: LowerContext, path: string) => NetworkFilterModel;

/** By type of the configuration. */
const FILTERS: ReadonlyMap<string, { readonly terminal: boolean; readonly lower: Lower }> = new Map([
  [`${NETWORK}connection_limit.v3.ConnectionLimit`, { terminal: false, lower: lowerConnectionLimit }],
  [`${NETWORK}local_ratelimit.v3.LocalRateLimit`, { terminal: false, lower: lowerLocalRateLimit }],
  [
    `${NETWORK}sni_cluster.v3.SniCluster`,
    { terminal: false, lower: (): NetworkFilterModel => ({ kind: 'sni_cluster' }) },
  ],
  [`${NETWORK}set_filter_state.v3.Config`, { terminal: false, lower: lowerSetConnectionState }],
  [`${NETWORK}echo.v3.Echo`, { terminal: true, lower: (): NetworkFilterModel => ({ kind: 'echo' }) }],
  [`${NETWORK}direct_response.v3.Config`, { terminal: true, lower: lowerDirectResponse }],
]);

/** Whether the filter is one of these and ends its chain; `null` = it is none of these. */
export function smallFilter(typeName: string): { readonly terminal: boolean; readonly lower: Lower } | null {
  return FILTERS.get(typeName) ?? null;
}

function lowerConnectionLimit(message: Msg, _ctx: LowerContext, path: string): NetworkFilterModel {
  return {
    kind: 'connection_limit',
    config: {
      statPrefix: str(message, 'statPrefix'),
      maxConnections: num(message, 'maxConnections'),
      delayMs: wholeMs(message, 'delay', 0, path),
      enabled: lowerFlag(sub(message, 'runtimeEnabled')),
    },
  };
}

function lowerLocalRateLimit(message: Msg, _ctx: LowerContext, path: string): NetworkFilterModel {
  return { kind: 'local_ratelimit', config: lowerRateLimit(message, str(message, 'shareKey'), path) };
}

/** `LocalRateLimit`, of a network filter or a listener filter, which has no `share_key`. */
export function lowerRateLimit(message: Msg, shareKey: string, path: string): LocalRateLimitModel {
  const bucket = sub(message, 'tokenBucket');
  const interval = bucket === null ? null : sub(bucket, 'fillInterval');
  if (bucket === null || interval === null) throw new ConfigError('token_bucket is required', path);
  const fillIntervalMs = toMs(interval);
  if (fillIntervalMs < FILL_INTERVAL_MS_MIN) {
    throw new ConfigError('local rate limit token bucket fill timer must be >= 50ms', `${path}.token_bucket`);
  }
  return {
    statPrefix: str(message, 'statPrefix'),
    maxTokens: num(bucket, 'maxTokens'),
    tokensPerFill: num(bucket, 'tokensPerFill', 1),
    fillIntervalMs,
    shareKey,
    enabled: lowerFlag(sub(message, 'runtimeEnabled')),
  };
}

function lowerDirectResponse(message: Msg, ctx: LowerContext, path: string): NetworkFilterModel {
  const source = sub(message, 'response');
  return {
    kind: 'direct_response',
    body: source === null ? '' : readDataSource(source, ctx, `${path}.response`).toString('latin1'),
  };
}

/** `RuntimeFeatureFlag`; on when there is none. */
function lowerFlag(message: Msg | null): RuntimeFlagModel {
  if (message === null) return { defaultValue: true, runtimeKey: '' };
  return { defaultValue: bool(message, 'defaultValue', true), runtimeKey: str(message, 'runtimeKey') };
}
