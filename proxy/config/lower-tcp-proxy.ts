// Lowers `TcpProxy` (Envoy: extensions.filters.network.tcp_proxy.v3) with one cluster or weighted ones.

import { ConfigError } from '../util/error.ts';
import { lowerAccessLogs } from './lower-access-log.ts';
import type { LowerContext } from './lower-common.ts';
import { wholeMs } from './lower-duration.ts';
import { bool, list, type Msg, num, oneof, str, sub } from './message.ts';
import type { TcpProxyModel } from './model.ts';

/** Envoy's default, one hour in ms. */
const IDLE_TIMEOUT_MS = 3_600_000;

export function lowerTcpProxy(message: Msg, ctx: LowerContext, path: string): TcpProxyModel {
  return {
    statPrefix: str(message, 'statPrefix'),
    clusters: lowerClusters(message, path),
    idleTimeoutMs: wholeMs(message, 'idleTimeout', IDLE_TIMEOUT_MS, path),
    maxConnectAttempts: num(message, 'maxConnectAttempts', 1),
    maxDownstreamConnectionDurationMs: wholeMs(message, 'maxDownstreamConnectionDuration', 0, path),
    ...lowerLogging(message, path),
    accessLogs: lowerAccessLogs(list(message, 'accessLog'), ctx, `${path}.access_log`),
  };
}

/** `access_log_options` wins over the older fields. */
function lowerLogging(
  message: Msg,
  path: string,
): Pick<TcpProxyModel, 'accessLogFlushIntervalMs' | 'flushAccessLogOnStart' | 'flushAccessLogOnConnected'> {
  const options = sub(message, 'accessLogOptions');
  const [from, at] = options === null ? [message, path] : [options, `${path}.access_log_options`];
  return {
    accessLogFlushIntervalMs: wholeMs(from, 'accessLogFlushInterval', 0, at),
    flushAccessLogOnStart: options !== null && bool(options, 'flushAccessLogOnStart'),
    flushAccessLogOnConnected: bool(from, 'flushAccessLogOnConnected'),
  };
}

function lowerClusters(message: Msg, path: string): TcpProxyModel['clusters'] {
  const specifier = oneof(message, 'clusterSpecifier');
  if (specifier?.case === 'cluster') return [{ name: specifier.value as string, weight: 1 }];
  if (specifier?.case !== 'weightedClusters') {
    throw new ConfigError('one of cluster and weighted_clusters is required', path);
  }
  return list(specifier.value as Msg, 'clusters').map((cluster) => ({
    name: str(cluster, 'name'),
    weight: num(cluster, 'weight'),
  }));
}
