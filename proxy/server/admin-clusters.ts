// `/clusters`: every cluster with its limits and hosts, as text lines or as `envoy.admin.v3.Clusters`.

import type { AddressModel, JsonObject, JsonValue } from '../config/model/common.ts';
import { addressText } from '../net/listen.ts';
import { HOST_CATALOGUE } from '../observe/catalogue-cluster.ts';
import { sixDigits } from '../util/number-text.ts';
import { protoJson } from './admin-answer.ts';
import type { BreakerLimits, ClusterStatus, HealthFlag, HostStatus } from './admin-state.ts';

const HOST_STATS = HOST_CATALOGUE.names;

/** Hosts of a piece: the caller may pause between pieces. */
const HOSTS_PER_PIECE = 50;

/** The text form in pieces. */
export function* renderClustersText(clusters: Iterable<ClusterStatus>): Generator<string> {
  for (const cluster of clusters) {
    const { name } = cluster;
    let piece = `${name}::observability_name::${cluster.observabilityName}\n`;
    if (cluster.outlier !== null) {
      const { outlier } = cluster;
      const start = `${name}::outlier::`;
      piece += `${start}success_rate_average::${sixDigits(outlier.successRateAverage)}\n`;
      piece += `${start}success_rate_ejection_threshold::${sixDigits(outlier.successRateEjectionThreshold)}\n`;
      piece += `${start}local_origin_success_rate_average::${sixDigits(outlier.localOriginSuccessRateAverage)}\n`;
      piece += `${start}local_origin_success_rate_ejection_threshold::${sixDigits(outlier.localOriginSuccessRateEjectionThreshold)}\n`;
    }
    piece += limitsText(name, 'default', cluster.defaultLimits);
    piece += limitsText(name, 'high', cluster.highLimits);
    piece += `${name}::added_via_api::${cluster.addedViaApi}\n`;
    if (cluster.edsServiceName !== '') piece += `${name}::eds_service_name::${cluster.edsServiceName}\n`;
    for (const [i, host] of cluster.hosts.entries()) {
      piece += hostText(name, host);
      if (i % HOSTS_PER_PIECE !== HOSTS_PER_PIECE - 1) continue;
      yield piece;
      piece = '';
    }
    yield piece;
  }
}

function limitsText(name: string, priority: 'default' | 'high', limits: BreakerLimits): string {
  const start = `${name}::${priority}_priority::`;
  return (
    `${start}max_connections::${limits.maxConnections}\n${start}max_pending_requests::${limits.maxPendingRequests}\n` +
    `${start}max_requests::${limits.maxRequests}\n${start}max_retries::${limits.maxRetries}\n`
  );
}

function hostText(name: string, host: HostStatus): string {
  const start = `${name}::${addressText(host.address)}::`;
  const flags = host.healthFlags.map((flag) => `/${flag}`).join('');
  let text = '';
  HOST_STATS.forEach((stat, i) => {
    text += `${start}${stat}::${host.stats[i]}\n`;
  });
  return (
    `${text}${start}hostname::${host.hostname}\n${start}health_flags::${flags === '' ? 'healthy' : flags}\n` +
    `${start}weight::${host.weight}\n${start}region::${host.region}\n${start}zone::${host.zone}\n` +
    `${start}sub_zone::${host.subZone}\n${start}canary::${host.canary}\n${start}priority::${host.priority}\n` +
    `${start}success_rate::${host.successRate}\n${start}local_origin_success_rate::${host.localOriginSuccessRate}\n`
  );
}

/** `core.v3.Address` as proto JSON. */
export function addressJson(address: AddressModel): JsonObject {
  switch (address.kind) {
    case 'socket':
      return {
        socket_address: {
          ...(address.protocol === 'udp' ? { protocol: 'UDP' } : {}),
          address: address.address,
          port_value: address.port,
        },
      };
    case 'pipe':
      return { pipe: { path: address.path, ...(address.mode === 0 ? {} : { mode: address.mode }) } };
    case 'internal':
      return {
        envoy_internal_address: { server_listener_name: address.listenerName, endpoint_id: address.endpointId },
      };
  }
}

/** The JSON form in pieces: as `protoJson` would print the whole. */
export function* renderClustersJson(clusters: Iterable<ClusterStatus>): Generator<string> {
  let before = '{\n "cluster_statuses": [\n';
  for (const cluster of clusters) {
    yield `${before}  {\n`;
    yield* clusterPieces(cluster);
    yield '\n  }';
    before = ',\n';
  }
  yield before === ',\n' ? '\n ]\n}\n' : protoJson({});
}

function* clusterPieces(cluster: ClusterStatus): Generator<string> {
  yield indented(headJson(cluster), 2);
  if (cluster.hosts.length > 0) {
    let piece = ',\n   "host_statuses": [';
    for (const [i, host] of cluster.hosts.entries()) {
      piece += `${i === 0 ? '' : ','}\n    {\n${indented(hostJson(host), 4)}\n    }`;
      if (i % HOSTS_PER_PIECE !== HOSTS_PER_PIECE - 1) continue;
      yield piece;
      piece = '';
    }
    yield `${piece}\n   ]`;
  }
  yield `,\n${indented(tailJson(cluster), 2)}`;
}

/** The fields of an object, not empty, without its brackets, so deep inside others. */
function indented(value: JsonObject, depth: number): string {
  const space = ' '.repeat(depth);
  return space + protoJson(value).slice(2, -3).replaceAll('\n', `\n${space}`);
}

/** What stands before hosts. */
function headJson(cluster: ClusterStatus): JsonObject {
  const out: Record<string, JsonValue> = { name: cluster.name };
  if (cluster.addedViaApi) out['added_via_api'] = true;
  if (cluster.outlier !== null) {
    const { outlier } = cluster;
    if (outlier.successRateEjectionThreshold > 0) {
      out['success_rate_ejection_threshold'] = { value: outlier.successRateEjectionThreshold };
    }
    if (outlier.localOriginSuccessRateEjectionThreshold > 0) {
      out['local_origin_success_rate_ejection_threshold'] = { value: outlier.localOriginSuccessRateEjectionThreshold };
    }
  }
  return out;
}

/** What stands behind them. */
function tailJson(cluster: ClusterStatus): JsonObject {
  return {
    circuit_breakers: {
      thresholds: [limitsJson(cluster.defaultLimits), { priority: 'HIGH', ...limitsJson(cluster.highLimits) }],
    },
    observability_name: cluster.observabilityName,
    ...(cluster.edsServiceName === '' ? {} : { eds_service_name: cluster.edsServiceName }),
  };
}

function limitsJson(limits: BreakerLimits): JsonObject {
  return {
    max_connections: limits.maxConnections,
    max_pending_requests: limits.maxPendingRequests,
    max_requests: limits.maxRequests,
    max_retries: limits.maxRetries,
  };
}

const HEALTH_JSON: ReadonlyMap<HealthFlag, string> = new Map([
  ['failed_active_hc', 'failed_active_health_check'],
  ['failed_outlier_check', 'failed_outlier_check'],
  ['degraded_active_hc', 'failed_active_degraded_check'],
  ['pending_dynamic_removal', 'pending_dynamic_removal'],
  ['pending_active_hc', 'pending_active_hc'],
  ['excluded_via_immediate_hc_fail', 'excluded_via_immediate_hc_fail'],
  ['active_hc_timeout', 'active_hc_timeout'],
  ['degraded_outlier_detection', 'failed_degraded_outlier_detection'],
]);

function hostJson(host: HostStatus): JsonObject {
  const out: Record<string, JsonValue> = { address: addressJson(host.address), stats: hostStatsJson(host.stats) };
  const health: Record<string, JsonValue> = {};
  for (const flag of host.healthFlags) {
    const field = HEALTH_JSON.get(flag);
    if (field !== undefined) health[field] = true;
  }
  health['eds_health_status'] = host.edsHealthStatus;
  out['health_status'] = health;
  if (host.successRate >= 0) out['success_rate'] = percentJson(host.successRate);
  out['weight'] = host.weight;
  if (host.hostname !== '') out['hostname'] = host.hostname;
  if (host.priority !== 0) out['priority'] = host.priority;
  if (host.localOriginSuccessRate >= 0) out['local_origin_success_rate'] = percentJson(host.localOriginSuccessRate);
  out['locality'] = localityJson(host);
  return out;
}

/** `type.v3.Percent` as proto JSON. */
function percentJson(value: number): JsonObject {
  return value === 0 ? {} : { value };
}

function localityJson(host: HostStatus): JsonObject {
  const out: Record<string, JsonValue> = {};
  if (host.region !== '') out['region'] = host.region;
  if (host.zone !== '') out['zone'] = host.zone;
  if (host.subZone !== '') out['sub_zone'] = host.subZone;
  return out;
}

/** Counters first, then gauges, each by name; zero is the default and not printed, 64-bit numbers are strings. */
function hostStatsJson(values: readonly number[]): JsonObject[] {
  const stats = HOST_STATS.map((name, i) => ({ name, kind: HOST_CATALOGUE.kinds[i], value: values[i] as number }));
  const one = (stat: (typeof stats)[number]): JsonObject => ({
    ...(stat.kind === 'g' ? { type: 'GAUGE' } : {}),
    ...(stat.value === 0 ? {} : { value: String(stat.value) }),
    name: stat.name,
  });
  return [...stats.filter((stat) => stat.kind === 'c'), ...stats.filter((stat) => stat.kind === 'g')].map(one);
}
