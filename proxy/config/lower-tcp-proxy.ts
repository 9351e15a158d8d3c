// Lowers `TcpProxy` (Envoy: extensions.filters.network.tcp_proxy.v3) in its simple form: one cluster.

import { ConfigError } from '../util/error.ts';
import { lowerAccessLogs } from './lower-access-log.ts';
import type { LowerContext } from './lower-common.ts';
import { wholeMs } from './lower-duration.ts';
import { list, type Msg, num, oneofCase, str } from './message.ts';
import type { TcpProxyModel } from './model.ts';

/** Envoy's default, one hour in ms. */
const IDLE_TIMEOUT_MS = 3_600_000;

export function lowerTcpProxy(message: Msg, ctx: LowerContext, path: string): TcpProxyModel {
  const cluster = oneofCase<string>(message, 'clusterSpecifier', 'cluster');
  if (cluster === null) throw new ConfigError('only a single cluster is supported; set cluster', path);
  return {
    statPrefix: str(message, 'statPrefix'),
    cluster,
    idleTimeoutMs: wholeMs(message, 'idleTimeout', IDLE_TIMEOUT_MS, path),
    maxConnectAttempts: num(message, 'maxConnectAttempts', 1),
    maxDownstreamConnectionDurationMs: wholeMs(message, 'maxDownstreamConnectionDuration', 0, path),
    accessLogs: lowerAccessLogs(list(message, 'accessLog'), ctx, `${path}.access_log`),
  };
}
