// The running server as the admin endpoints see it.

import type { ClusterModel, EndpointModel, LocalityModel } from '../config/model/cluster.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { Model } from '../config/model/model.ts';
import { addressText } from '../net/listen.ts';
import { HOST_CATALOGUE } from '../observe/catalogue-cluster.ts';
import { logLevels } from '../observe/log.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import { isCanary } from '../upstream/host.ts';
import type { OutlierDetector, WatchedStatus } from '../upstream/outlier-detector.ts';
import { certificatesJson } from './admin-certs.ts';
import type {
  AdminResponse,
  AdminState,
  ClusterStatus,
  ConfigDumpQuery,
  DrainQuery,
  HealthFlag,
  HostStatus,
  ListenerStatus,
  LoggerStatus,
  MemoryInfo,
  RuntimeStatus,
  ServerInfo,
} from './admin-state.ts';
import { parseLogLevel } from './args.ts';
import { runConfigTask } from './config-task.ts';
import type { ServerView } from './server-view.ts';
import { decorateNode, VERSION_TEXT } from './version.ts';

/** See the head of this file. Only made once the model is loaded. */
export class ControlState implements AdminState {
  readonly stats: StatsRegistry;
  private readonly server: ServerView;
  private readonly model: Model;

  constructor(server: ServerView, model: Model, stats: StatsRegistry) {
    this.server = server;
    this.model = model;
    this.stats = stats;
  }

  serverInfo(): ServerInfo {
    const { server } = this;
    return {
      version: VERSION_TEXT,
      state: server.state,
      uptimeS: Math.floor((performance.now() - server.startedMs) / 1000),
      options: server.options,
      node: decorateNode(nodeJson(this.model), []),
    };
  }

  memory(): MemoryInfo {
    const memory = process.memoryUsage();
    return {
      allocated: memory.heapUsed + memory.external,
      heapSize: memory.heapTotal + memory.external,
      pageheapUnmapped: 0,
      pageheapFree: memory.heapTotal - memory.heapUsed,
      totalThreadCache: 0,
      totalPhysicalBytes: memory.rss,
    };
  }

  *clusters(matches: ((name: string) => boolean) | null): Generator<ClusterStatus> {
    const configured = this.server.configuredHosts();
    for (const cluster of this.model.clusters) {
      if (matches === null || matches(cluster.name))
        yield this.clusterStatus(cluster, configured.get(cluster.name) ?? []);
    }
  }

  listeners(): readonly ListenerStatus[] {
    return this.model.listeners.map((listener, i) => {
      const configured = [listener.address, ...listener.additionalAddresses.map(({ address }) => address)];
      const bound = this.server.addresses[i] ?? [];
      const [address = listener.address, ...additionalAddresses] = configured.map((each, at) => bound[at] ?? each);
      return { name: listener.name, address, additionalAddresses };
    });
  }

  certificates(): readonly JsonObject[] {
    return certificatesJson(this.server.tlsContexts(), Date.now());
  }

  runtime(): RuntimeStatus {
    const layers = this.model.runtimeLayers;
    const keys = new Set(layers.flatMap((layer) => Object.keys(layer.values)));
    return {
      layers: layers.map((layer) => layer.name),
      entries: new Map(
        [...keys].sort().map((key) => [
          key,
          {
            finalValue: layers.findLast((layer) => Object.hasOwn(layer.values, key))?.values[key] ?? '',
            layerValues: layers.map((layer) => layer.values[key] ?? ''),
          },
        ]),
      ),
    };
  }

  /** There is no admin layer: the runtime is read-only. */
  modifyRuntime(): boolean {
    return false;
  }

  async configDump(query: ConfigDumpQuery): Promise<AdminResponse> {
    const { server } = this;
    const { status, contentType, body } = await runConfigTask(
      {
        task: 'dump',
        options: server.options,
        bootstrapJson: server.bootstrapJson,
        loadedAt: server.loadedAt,
        clusters: query.includeEds ? [...this.clusters(null)] : [],
        query,
      },
      'dumped',
    );
    return { status, contentType, body };
  }

  unreadyTargets(): readonly { readonly name: string; readonly targets: readonly string[] }[] {
    if (this.server.state !== 'INITIALIZING') return [];
    const targets = this.model.clusters
      .filter((cluster) => /_dns$/.test(cluster.discovery.kind) && !this.server.hosts.has(cluster.name))
      .map((cluster) => `target ${cluster.name}`);
    return targets.length === 0 ? [] : [{ name: 'init manager Server', targets }];
  }

  loggers(): readonly LoggerStatus[] {
    return logLevels();
  }

  setLogLevel(component: string | null, level: string): void {
    this.server.setLogLevel(component, parseLogLevel(level));
  }

  reopenLogs(): void {
    this.server.reopenLogs();
  }

  drainListeners(query: DrainQuery): void {
    this.server.drainListeners(query);
  }

  failHealthChecks(failed: boolean): void {
    this.server.failHealthChecks(failed);
  }

  quit(): void {
    void this.server.stop(0);
  }

  private clusterStatus(cluster: ClusterModel, configured: readonly LocalityModel[]): ClusterStatus {
    const { breakers, discovery } = cluster;
    const outlier = this.server.outliers?.find(cluster.name) ?? null;
    const localities = this.server.hosts.get(cluster.name) ?? (isNamed(cluster) ? [] : configured);
    return {
      name: cluster.name,
      observabilityName: cluster.statName,
      addedViaApi: false,
      edsServiceName: discovery.kind === 'eds' ? discovery.serviceName : '',
      defaultLimits: breakers.default,
      highLimits: breakers.high,
      outlier: outlier?.thresholds ?? null,
      hosts: localities.flatMap((locality) =>
        locality.endpoints.map((endpoint) => this.hostStatus(cluster, locality, endpoint, outlier)),
      ),
    };
  }

  private hostStatus(
    cluster: ClusterModel,
    locality: LocalityModel,
    endpoint: EndpointModel,
    outlier: OutlierDetector | null,
  ): HostStatus {
    const watched = outlier?.hostStatus(endpoint) ?? null;
    return {
      address: endpoint.address,
      hostname: endpoint.hostname,
      healthFlags: healthFlags(endpoint, watched),
      edsHealthStatus: edsHealthStatus(endpoint),
      weight: endpoint.weight,
      region: locality.region,
      zone: locality.zone,
      subZone: locality.subZone,
      canary: isCanary(endpoint),
      priority: locality.priority,
      successRate: watched?.successRate ?? -1,
      localOriginSuccessRate: watched?.localOriginSuccessRate ?? -1,
      stats: this.stats.valuesOf(HOST_CATALOGUE, `${cluster.name}.${addressText(endpoint.address)}.`),
    };
  }
}

/** Hosts of such a cluster are what was resolved. */
function isNamed(cluster: ClusterModel): boolean {
  return cluster.discovery.kind === 'strict_dns' || cluster.discovery.kind === 'logical_dns';
}

/** In the order of Envoy. */
function healthFlags(endpoint: EndpointModel, watched: WatchedStatus | null): HealthFlag[] {
  const flags: HealthFlag[] = watched?.ejected === true ? ['failed_outlier_check'] : [];
  flags.push(...configuredFlags(endpoint));
  if (watched?.degraded === true) flags.push('degraded_outlier_detection');
  return flags;
}

function configuredFlags(endpoint: EndpointModel): readonly HealthFlag[] {
  switch (endpoint.health) {
    case 'unhealthy':
    case 'timeout':
      return ['failed_eds_health'];
    case 'degraded':
      return ['degraded_eds_health'];
    case 'draining':
      return ['eds_status_draining'];
    default:
      return [];
  }
}

function edsHealthStatus(endpoint: EndpointModel): string {
  if (endpoint.health === 'unknown') return 'HEALTHY';
  return endpoint.health === 'timeout' ? 'UNHEALTHY' : endpoint.health.toUpperCase();
}

/** Proto JSON of the node, defaults omitted. */
function nodeJson(model: Model): JsonObject {
  const { id, cluster, locality, metadata } = model.node;
  const place: Record<string, string> = {};
  if (locality.region !== '') place['region'] = locality.region;
  if (locality.zone !== '') place['zone'] = locality.zone;
  if (locality.subZone !== '') place['sub_zone'] = locality.subZone;
  return {
    ...(id === '' ? {} : { id }),
    ...(cluster === '' ? {} : { cluster }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(Object.keys(place).length === 0 ? {} : { locality: place }),
  };
}
