// `config.cluster.v3.Cluster` → `ClusterModel`, with Envoy's defaults. Refusals use Envoy's sentences behind the path.

import { ConfigError } from '../util/error.ts';
import { unpackAny } from './any.ts';
import { lowerBalancer } from './lower-balancer.ts';
import { lowerBind } from './lower-bind.ts';
import { type LowerContext, lowerMetadata, lowerTcpKeepalive } from './lower-common.ts';
import { lowerDiscovery } from './lower-discovery.ts';
import { wholeMs } from './lower-duration.ts';
import { lowerLocalities } from './lower-endpoints.ts';
import { lowerOutlier } from './lower-outlier.ts';
import { lowerTransportMatches, lowerUpstreamTransport } from './lower-transport.ts';
import { HTTP_OPTIONS_KEY, lowerErrorMatcher, lowerUpstreamHttp } from './lower-upstream-http.ts';
import { bool, list, type Msg, messageMap, num, str, sub } from './message.ts';
import type { BreakerModel, ClusterModel, DiscoveryModel, LocalityModel } from './model-cluster.ts';
import type { OutlierModel } from './model-outlier.ts';
import type { TransportMatchModel, UpstreamTransportModel } from './model-tls.ts';
import { typeNameOf } from './registry.ts';

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_PANIC_PERCENT = 50;
const UPDATE_MERGE_MS = 1000;
const UINT32_MAX = 0xffff_ffff;

/** @throws ConfigError with the field's path below `path` */
export function lowerCluster(message: Msg, ctx: LowerContext, path: string): ClusterModel {
  const name = str(message, 'name');
  const discovery = lowerDiscovery(message, path);
  checkProtocolOptions(message, ctx, path);
  const common = sub(message, 'commonLbConfig');
  const panic = common === null ? null : sub(common, 'healthyPanicThreshold');
  const tracked = sub(message, 'trackClusterStats');
  const connection = sub(message, 'upstreamConnectionOptions');
  const protocol = lowerUpstreamHttp(message, path);
  const transport = lowerUpstreamTransport(sub(message, 'transportSocket'), ctx, `${path}.transport_socket`);
  const transportMatches = lowerTransportMatches(message, ctx, path);
  if (protocol.protocol === 'auto') checkAlpn(name, transport, transportMatches, path);
  return {
    name,
    statName: sanitizeStatName(str(message, 'altStatName') || name),
    discovery,
    lbPolicy: lowerBalancer(message, discovery, path),
    localities: checkedLocalities(message, discovery, path),
    healthyPanicThreshold: panic === null ? DEFAULT_PANIC_PERCENT : num(panic, 'value'),
    connectTimeoutMs: wholeMs(message, 'connectTimeout', DEFAULT_CONNECT_TIMEOUT_MS, path),
    perConnectionBufferLimitBytes: num(message, 'perConnectionBufferLimitBytes', DEFAULT_BUFFER_LIMIT_BYTES),
    breakers: lowerBreakers(message, path),
    breakerBase: 0,
    updateMergeWindowMs:
      common === null
        ? UPDATE_MERGE_MS
        : wholeMs(common, 'updateMergeWindow', UPDATE_MERGE_MS, `${path}.common_lb_config`),
    outlier: watchedBy(message, discovery, ctx, path),
    ...protocol,
    bind: lowerBind(sub(message, 'upstreamBindConfig'), ctx.defaultBind, `Cluster ${name}`, path),
    tcpKeepalive: lowerTcpKeepalive(connection === null ? null : sub(connection, 'tcpKeepalive')),
    transport,
    transportMatches,
    ignoreHealthOnHostRemoval: bool(message, 'ignoreHealthOnHostRemoval'),
    closeConnectionsOnHostHealthFailure: bool(message, 'closeConnectionsOnHostHealthFailure'),
    connectionPoolPerDownstreamConnection: bool(message, 'connectionPoolPerDownstreamConnection'),
    trackTimeoutBudgets: bool(message, 'trackTimeoutBudgets') || (tracked !== null && bool(tracked, 'timeoutBudgets')),
    trackRequestResponseSizes: tracked !== null && bool(tracked, 'requestResponseSizes'),
    trackRemaining: tracksRemaining(message),
    metadata: lowerMetadata(sub(message, 'metadata')),
  };
}

/** `auto_config` asks every host for its protocol, which only TLS can. */
function checkAlpn(
  name: string,
  transport: UpstreamTransportModel,
  matches: readonly TransportMatchModel[],
  path: string,
): void {
  const asks = (socket: UpstreamTransportModel): boolean =>
    socket.kind === 'tls' || (socket.kind !== 'raw' && asks(socket.inner));
  const sentence = `ALPN configured for cluster ${name} which has a non-ALPN transport socket`;
  if (!asks(transport)) throw new ConfigError(`${sentence}; use explicit_http_config`, path);
  if (!matches.every((match) => asks(match.transport))) throw new ConfigError(`${sentence} matcher`, path);
}

function watchedBy(cluster: Msg, discovery: DiscoveryModel, ctx: LowerContext, parent: string): OutlierModel | null {
  const message = sub(cluster, 'outlierDetection');
  const path = `${parent}.outlier_detection`;
  const errors = lowerErrorMatcher(cluster, parent);
  if (message === null) return null;
  const model = lowerOutlier(message, errors, ctx.runtime, path);
  if (discovery.kind !== 'original_dst') return model;
  ctx.unsupported(path, 'clients choose the hosts of an ORIGINAL_DST cluster, ejected or not: they are not watched');
  return null;
}

/** The characters that Envoy does not let into a stat name. */
export function sanitizeStatName(name: string): string {
  return name.replace(/:\/\/|:\/|:|\0/g, '_');
}

function checkedLocalities(cluster: Msg, discovery: DiscoveryModel, path: string): LocalityModel[] {
  const assignment = sub(cluster, 'loadAssignment');
  const where = `${path}.load_assignment`;
  const localities = lowerLocalities(assignment, discovery, where);
  if (discovery.kind === 'logical_dns') {
    if (assignment === null) throw new ConfigError('LOGICAL_DNS clusters must have a single host', path);
    if (localities.length !== 1 || localities[0]?.endpoints.length !== 1) {
      throw new ConfigError(
        'LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint',
        where,
      );
    }
  }
  if (discovery.kind === 'original_dst' && localities.length > 0) {
    throw new ConfigError('ORIGINAL_DST clusters must have no load assignment configured', where);
  }
  return localities;
}

// === Circuit breakers ===

const HIGH_PRIORITY = 1;

function lowerBreakers(cluster: Msg, path: string): ClusterModel['breakers'] {
  const breakers = sub(cluster, 'circuitBreakers');
  const thresholds = breakers === null ? [] : list(breakers, 'thresholds');
  const perHost = breakers === null ? [] : list(breakers, 'perHostThresholds');
  for (const [index, item] of perHost.entries())
    if (NOT_PER_HOST.some((field) => sub(item, field) !== null))
      throw new ConfigError(
        'Unsupported field in per_host_thresholds',
        `${path}.circuit_breakers.per_host_thresholds[${index}]`,
      );
  const of = (items: readonly Msg[], high: boolean) =>
    items.find((item) => (num(item, 'priority') === HIGH_PRIORITY) === high) ?? null;
  const lower = (high: boolean) => lowerBreaker(of(thresholds, high), of(perHost, high));
  return { default: lower(false), high: lower(true) };
}

const NOT_PER_HOST = ['maxPendingRequests', 'maxRequests', 'maxRetries', 'maxConnectionPools', 'retryBudget'];

const BREAKER_DEFAULTS: BreakerModel = {
  maxConnections: 1024,
  maxConnectionsPerHost: UINT32_MAX,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
  maxConnectionPools: UINT32_MAX,
  retryBudget: null,
};

function lowerBreaker(message: Msg | null, perHost: Msg | null): BreakerModel {
  const maxConnectionsPerHost = perHost === null ? UINT32_MAX : num(perHost, 'maxConnections', UINT32_MAX);
  if (message === null) return { ...BREAKER_DEFAULTS, maxConnectionsPerHost };
  const budget = sub(message, 'retryBudget');
  const percent = budget === null ? null : sub(budget, 'budgetPercent');
  return {
    maxConnections: num(message, 'maxConnections', BREAKER_DEFAULTS.maxConnections),
    maxConnectionsPerHost,
    maxPendingRequests: num(message, 'maxPendingRequests', BREAKER_DEFAULTS.maxPendingRequests),
    maxRequests: num(message, 'maxRequests', BREAKER_DEFAULTS.maxRequests),
    maxRetries: num(message, 'maxRetries', BREAKER_DEFAULTS.maxRetries),
    maxConnectionPools: num(message, 'maxConnectionPools', BREAKER_DEFAULTS.maxConnectionPools),
    retryBudget:
      budget === null
        ? null
        : {
            budgetPercent: percent === null ? 20 : num(percent, 'value'),
            minRetryConcurrency: num(budget, 'minRetryConcurrency', 3),
          },
  };
}

function tracksRemaining(cluster: Msg): ClusterModel['trackRemaining'] {
  const breakers = sub(cluster, 'circuitBreakers');
  const tracking = breakers === null ? [] : list(breakers, 'thresholds').filter((item) => bool(item, 'trackRemaining'));
  const of = (high: boolean) => tracking.some((item) => (num(item, 'priority') === HIGH_PRIORITY) === high);
  return { default: of(false), high: of(true) };
}

function checkProtocolOptions(cluster: Msg, ctx: LowerContext, path: string): void {
  for (const [key, any] of Object.entries(messageMap(cluster, 'typedExtensionProtocolOptions'))) {
    if (key === HTTP_OPTIONS_KEY) continue;
    const where = `${path}.typed_extension_protocol_options["${key}"]`;
    // Options of filters that are not here concern nobody, but their type must exist.
    const { typeUrl } = unpackAny(any, where);
    ctx.unsupported(where, `protocol options ${typeNameOf(typeUrl)} are not supported and are ignored`);
  }
}
