// Lowers `TcpProxy` (Envoy: extensions.filters.network.tcp_proxy.v3) with one cluster or weighted ones, and tunnels.

import { ConfigError } from '../../util/error.ts';
import type { TcpProxyModel, TunnelModel } from '../model/listener.ts';
import { bool, list, type Msg, num, oneof, str, sub } from '../schema/message.ts';
import { lowerAccessLogs } from './access-log.ts';
import { type LowerContext, wireString } from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerTcpHashPolicies } from './hash.ts';
import { checkFormat, lowerHeaderAdds } from './header-mutations.ts';
import { lowerTlvs } from './transport.ts';

/** Envoy's default, one hour in ms. */
const IDLE_TIMEOUT_MS = 3_600_000;
/** Envoy's, for the longest interval between attempts. */
const BACKOFF_FACTOR = 10;
/** `ProxyProtocolTlvMergePolicy`, by its numbers. */
const TLV_MERGES = ['if_absent', 'overwrite', 'append'] as const;
/** `UpstreamConnectMode`. */
const CONNECT_IMMEDIATE = 0;
const CONNECT_ON_DATA = 1;

export function lowerTcpProxy(message: Msg, ctx: LowerContext, path: string): TcpProxyModel {
  return {
    statPrefix: str(message, 'statPrefix'),
    clusters: lowerClusters(message, path),
    idleTimeoutMs: wholeMs(message, 'idleTimeout', IDLE_TIMEOUT_MS, path),
    maxConnectAttempts: num(message, 'maxConnectAttempts', 1),
    hashPolicy: lowerTcpHashPolicies(list(message, 'hashPolicy'), `${path}.hash_policy`),
    backoff: lowerBackoff(sub(message, 'backoffOptions'), `${path}.backoff_options`),
    ...lowerConnecting(message, path),
    checkDrainClose: bool(message, 'checkDrainClose'),
    tlvs: lowerTlvs(list(message, 'proxyProtocolTlvs'), ctx, `${path}.proxy_protocol_tlvs`),
    tlvMerge: TLV_MERGES[num(message, 'proxyProtocolTlvMergePolicy')] ?? 'if_absent',
    tunnel: lowerTunnel(sub(message, 'tunnelingConfig'), `${path}.tunneling_config`),
    maxDownstreamConnectionDurationMs: wholeMs(message, 'maxDownstreamConnectionDuration', 0, path),
    maxDurationJitterPercent: jitterPercent(message),
    ...lowerLogging(message, path),
    accessLogs: lowerAccessLogs(list(message, 'accessLog'), ctx, `${path}.access_log`),
  };
}

function jitterPercent(message: Msg): number {
  const percent = sub(message, 'maxDownstreamConnectionDurationJitterPercentage');
  return percent === null ? 0 : num(percent, 'value');
}

/** `BackoffStrategy`. Without a maximum it is ten times the base. */
function lowerBackoff(message: Msg | null, path: string): TcpProxyModel['backoff'] {
  if (message === null) return null;
  const baseMs = wholeMs(message, 'baseInterval', 0, path);
  const maxMs = wholeMs(message, 'maxInterval', baseMs * BACKOFF_FACTOR, path);
  if (maxMs < baseMs)
    throw new ConfigError(
      'max_backoff_interval must be greater or equal to base_backoff_interval',
      `${path}.max_interval`,
    );
  return { baseMs, maxMs };
}

/** When the upstream is asked for, and what is read until it is there. */
function lowerConnecting(message: Msg, path: string): Pick<TcpProxyModel, 'connectsOnData' | 'maxEarlyDataBytes'> {
  const mode = num(message, 'upstreamConnectMode');
  const maxEarlyDataBytes = num(message, 'maxEarlyDataBytes', -1);
  if (mode !== CONNECT_IMMEDIATE && maxEarlyDataBytes < 0) {
    throw new ConfigError(
      'max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE',
      `${path}.upstream_connect_mode`,
    );
  }
  // The filter sees no connection before its handshake: waiting for that is waiting for nothing.
  return { connectsOnData: mode === CONNECT_ON_DATA, maxEarlyDataBytes };
}

function lowerTunnel(message: Msg | null, path: string): TunnelModel | null {
  if (message === null) return null;
  const hostname = wireString(str(message, 'hostname'));
  checkFormat(hostname, `${path}.hostname`);
  const usePost = bool(message, 'usePost');
  const postPath = wireString(str(message, 'postPath'));
  if (postPath !== '' && !usePost) {
    throw new ConfigError("Can't set a post path when POST method isn't used", `${path}.post_path`);
  }
  return {
    hostname,
    usePost,
    postPath: postPath === '' ? '/' : postPath,
    headersToAdd: lowerHeaderAdds(list(message, 'headersToAdd'), `${path}.headers_to_add`),
    propagateResponseHeaders: bool(message, 'propagateResponseHeaders'),
    propagateResponseTrailers: bool(message, 'propagateResponseTrailers'),
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
