// `config.cluster.v3.Cluster` → `ClusterModel`, with Envoy's defaults. Refusals use Envoy's sentences behind the path.

import { ConfigError } from '../../util/error.ts';
import type { ClusterModel, DiscoveryModel, LocalityModel } from '../model/cluster.ts';
import type { OutlierModel } from '../model/outlier.ts';
import { runtimeInteger } from '../model/runtime.ts';
import type { TransportMatchModel, UpstreamTransportModel } from '../model/tls.ts';
import { unpackAny } from '../read/any.ts';
import { bool, type Msg, messageMap, num, oneof, str, sub } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import { lowerBalancer } from './balancer.ts';
import { lowerBind } from './bind.ts';
import { lowerBreakers, tracksRemaining } from './breakers.ts';
import { type LowerContext, lowerMetadata, lowerTcpKeepalive } from './common.ts';
import { lowerDiscovery } from './discovery.ts';
import { wholeMs } from './duration.ts';
import { lowerLocalities } from './endpoints.ts';
import { lowerOutlier } from './outlier.ts';
import { lowerTransportMatches, lowerUpstreamTransport } from './transport.ts';
import { HTTP_OPTIONS_KEY, lowerErrorMatcher, lowerUpstreamHttp, type UpstreamHttpModel } from './upstream-http.ts';

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_BUFFER_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_PANIC_PERCENT = 50;
const UPDATE_MERGE_MS = 1000;

/** @throws ConfigError with the field's path below `path` */
export function lowerCluster(message: Msg, ctx: LowerContext, path: string): ClusterModel {
  const name = str(message, 'name');
  const discovery = lowerDiscovery(message, path);
  checkProtocolOptions(message, ctx, path);
  const common = sub(message, 'commonLbConfig');
  const panic = common === null ? null : sub(common, 'healthyPanicThreshold');
  const tracked = sub(message, 'trackClusterStats');
  const connection = sub(message, 'upstreamConnectionOptions');
  const protocol = withoutHttp2(lowerUpstreamHttp(message, path), ctx);
  const transport = lowerUpstreamTransport(sub(message, 'transportSocket'), ctx, `${path}.transport_socket`);
  const transportMatches = lowerTransportMatches(message, ctx, path);
  if (protocol.protocol === 'auto') checkAlpn(name, transport, transportMatches, path);
  return {
    name,
    statName: sanitizeStatName(str(message, 'altStatName') || name),
    discovery,
    lbPolicy: lowerBalancer(message, discovery, path),
    localities: checkedLocalities(message, discovery, path),
    healthyPanicThreshold: Math.min(
      100,
      runtimeInteger(
        ctx.runtime,
        'upstream.healthy_panic_threshold',
        panic === null ? DEFAULT_PANIC_PERCENT : num(panic, 'value'),
      ),
    ),
    failTrafficOnPanic: common !== null && failsOnPanic(common),
    maintenancePercent: Math.min(100, runtimeInteger(ctx.runtime, `upstream.maintenance_mode.${name}`, 0)),
    connectTimeoutMs: wholeMs(message, 'connectTimeout', DEFAULT_CONNECT_TIMEOUT_MS, path),
    perConnectionBufferLimitBytes: num(message, 'perConnectionBufferLimitBytes', DEFAULT_BUFFER_LIMIT_BYTES),
    breakers: lowerBreakers(message, ctx.runtime, path),
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

function failsOnPanic(common: Msg): boolean {
  const policy = oneof(common, 'localityConfigSpecifier');
  return policy?.case === 'zoneAwareLbConfig' && bool(policy.value as Msg, 'failTrafficOnPanic');
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

/** `upstream.use_http2`: 0 takes HTTP/2 away from the clusters that have nothing else. */
function withoutHttp2(model: UpstreamHttpModel, ctx: LowerContext): UpstreamHttpModel {
  const percent = runtimeInteger(ctx.runtime, USE_HTTP2, 100);
  if (percent >= 100 || model.protocol === 'http1' || model.protocol === 'auto') return model;
  if (percent === 0) return { ...model, protocol: 'http1' };
  ctx.unsupported('layered_runtime', `${USE_HTTP2} is all or nothing: 0 or 100`);
  return model;
}

const USE_HTTP2 = 'upstream.use_http2';

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

function checkProtocolOptions(cluster: Msg, ctx: LowerContext, path: string): void {
  for (const [key, any] of Object.entries(messageMap(cluster, 'typedExtensionProtocolOptions'))) {
    if (key === HTTP_OPTIONS_KEY) continue;
    const where = `${path}.typed_extension_protocol_options["${key}"]`;
    // Options of filters that are not here concern nobody, but their type must exist.
    const { typeUrl } = unpackAny(any, where);
    ctx.unsupported(where, `protocol options ${typeNameOf(typeUrl)} are not supported and are ignored`);
  }
}
