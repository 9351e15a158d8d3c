// One upstream host of one cluster as a worker sees it.

import type { EndpointModel } from '../config/model/cluster.ts';
import type { AddressModel, MetadataModel } from '../config/model/common.ts';
import type { DialTarget } from '../net/dial.ts';
import { HOST_CATALOGUE, HOST_RQ_ERROR, HOST_RQ_SUCCESS, HOST_RQ_TIMEOUT } from '../observe/catalogue-cluster.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { UpstreamHostInfo } from '../observe/stream-info.ts';
import type { HostMonitor } from './outlier-monitor.ts';

/** How far a host may be used: what the endpoint's configured health and outlier detection say. */
export type HostHealth = 'healthy' | 'degraded' | 'unhealthy';

/**
 * What makes two endpoints of different configurations the same host: pools and counts are kept. The one host of a
 * LOGICAL_DNS cluster is its name: a new address is for new connections only.
 */
export function hostKeyIn(endpoint: EndpointModel, isLogicalDns: boolean): string {
  return isLogicalDns ? endpoint.hostname : `${formatAddress(endpoint.address)}|${endpoint.hostname}`;
}

/** A connection without HTTP. */
export interface RawConnection {
  /** Closes it from our side. */
  closeNow(): void;
}

/** See the head of this file. */
export class Host implements UpstreamHostInfo {
  address: string;
  readonly hostname: string;
  /** Where new connections go: the address, then its alternatives, tried in order. Never empty. */
  targets: readonly DialTarget[];
  /** The newest configuration of this address. */
  endpoint: EndpointModel;
  /** Of its locality. */
  zone: string;
  canary: boolean;
  weight: number;
  /** As balancers were last told. */
  health: HostHealth;
  /** Requests under way from this worker; what LEAST_REQUEST compares. */
  activeRequests: number;
  /** `null` = outlier detection does not watch it. */
  monitor: HostMonitor | null;
  /** Raw connections that are closed when the host is ejected; `null` = none are. */
  raw: Set<RawConnection> | null;
  private readonly store: StatsStore | null;
  private readonly statsPrefix: string;
  private block: Float64Array | null;

  /** @param store `null` = the host's counts are this worker's own: hosts that clients name may come and go */
  constructor(endpoint: EndpointModel, targets: readonly DialTarget[], clusterName: string, store: StatsStore | null) {
    this.address = formatAddress(endpoint.address);
    this.hostname = endpoint.hostname;
    this.targets = targets;
    this.endpoint = endpoint;
    this.zone = '';
    this.canary = isCanary(endpoint);
    this.weight = endpoint.weight;
    this.health = healthOf(endpoint);
    this.activeRequests = 0;
    this.monitor = null;
    this.raw = null;
    this.store = store;
    this.statsPrefix = `${clusterName}.${this.address}.`;
    this.block = null;
  }

  get metadata(): MetadataModel {
    return this.endpoint.metadata;
  }

  /** Block of the host catalogue; allocated when the host is first used. */
  get stats(): Float64Array {
    if (this.block === null)
      this.block = this.store?.block(HOST_CATALOGUE, this.statsPrefix) ?? new Float64Array(HOST_CATALOGUE.names.length);
    return this.block;
  }

  /** Takes over weight, health, metadata (and, for a logical host, the address) of a newer configuration. */
  update(endpoint: EndpointModel, targets: readonly DialTarget[]): void {
    this.address = formatAddress(endpoint.address);
    this.targets = targets;
    this.endpoint = endpoint;
    this.canary = isCanary(endpoint);
    this.weight = endpoint.weight;
    this.refreshHealth();
  }

  /** Takes note of what outlier detection has decided. */
  refreshHealth(): void {
    this.health = this.currentHealth;
  }

  /** What `health` will be when it is next refreshed. */
  get currentHealth(): HostHealth {
    const configured = healthOf(this.endpoint);
    const { monitor } = this;
    if (monitor === null || configured === 'unhealthy') return configured;
    if (monitor.ejected) return 'unhealthy';
    return monitor.degraded ? 'degraded' : configured;
  }

  /** A final response head, or the lack of one, as `/clusters` counts it: 5xx and failures are errors. */
  countOutcome(success: boolean): void {
    (this.stats[success ? HOST_RQ_SUCCESS : HOST_RQ_ERROR] as number)++;
  }
}

/** A host that gets a part of the traffic to be tried out. */
export function isCanary({ metadata }: EndpointModel): boolean {
  return metadata['envoy.lb']?.['canary'] === true;
}

/** Who watches a host; `null` = nobody. */
export function monitorOf(host: UpstreamHostInfo | null): HostMonitor | null {
  return host instanceof Host ? host.monitor : null;
}

/**
 * Counts a request that the router gave up by time-out (Envoy: `rq_timeout`, and `rq_error` unless a response had begun).
 */
export function countHostTimeout(host: UpstreamHostInfo | null, responseStarted: boolean): void {
  if (!(host instanceof Host)) return;
  (host.stats[HOST_RQ_TIMEOUT] as number)++;
  if (!responseStarted) host.countOutcome(false);
}

function healthOf(endpoint: EndpointModel): HostHealth {
  switch (endpoint.health) {
    case 'healthy':
    case 'unknown':
      return 'healthy';
    case 'degraded':
      return 'degraded';
    case 'unhealthy':
    case 'draining':
    case 'timeout':
      return 'unhealthy';
  }
}

/** `ip:port`, `[ip6]:port`, a pipe's path, or `envoy://listener/id`, as Envoy prints addresses. */
export function formatAddress(address: AddressModel): string {
  switch (address.kind) {
    case 'socket':
      return address.address.includes(':')
        ? `[${address.address}]:${address.port}`
        : `${address.address}:${address.port}`;
    case 'pipe':
      return address.path;
    case 'internal':
      return `envoy://${address.listenerName}/${address.endpointId}`;
  }
}
