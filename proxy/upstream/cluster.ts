// One cluster as a worker runs it: its hosts, the balancer over them, its pools, breakers and stats.

import type { ClusterModel, DiscoveryModel, LocalityModel } from '../config/model/cluster.ts';
import type { JsonObject, MetadataModel } from '../config/model/common.ts';
import { type Dial, type DialNames, type DialTarget, NO_NAMES } from '../net/dial.ts';
import { sourceFor } from '../net/source.ts';
import type { TlsEnv } from '../net/tls-server.ts';
import {
  CLUSTER_CATALOGUE,
  MAX_HOST_WEIGHT,
  MEMBERSHIP_CHANGE,
  MEMBERSHIP_DEGRADED,
  MEMBERSHIP_HEALTHY,
  MEMBERSHIP_TOTAL,
  REMAINING_CATALOGUE,
  REMAINING_CX,
  REMAINING_CX_POOLS,
  REMAINING_PENDING,
  REMAINING_RETRIES,
  REMAINING_RQ,
  UPSTREAM_CX_NONE_HEALTHY,
} from '../observe/catalogue-cluster.ts';
import { logger } from '../observe/log.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import type { ConnectionContext } from './account.ts';
import { buildBalancer, hasCapacity } from './balancer.ts';
import {
  LIMIT_RETRIES,
  type LimitGauges,
  OPEN_GAUGES,
  PriorityBreakers,
  priorityBase,
  type SharedBreakers,
  UNLIMITED,
} from './breakers.ts';
import type { TableGauge } from './hash-tables.ts';
import { formatAddress, Host, hostKeyIn } from './host.ts';
import { HOSTS_MAX } from './host-cells.ts';
import { HostConnections } from './host-connections.ts';
import { HttpPools } from './http-pools.ts';
import { OriginalDstBalancer } from './original-dst.ts';
import { HostMonitor, type IsError, type OutlierEnv } from './outlier-monitor.ts';
import type { Balancer } from './picker.ts';
import { clientKey, clientOf, compileRequestNames } from './request-names.ts';
import { SourcedHosts } from './sourced-hosts.ts';
import { connectTcp } from './tcp.ts';
import { ClusterTransports } from './transports.ts';
import { holdsPriority, type TriedPriorities } from './tried-priorities.ts';
import type { Cluster, PendingStream, PickContext, TcpHandler, UpstreamStreamHandler } from './upstream.ts';

/** What the upstream side needs of its surroundings; one per worker. */
export interface UpstreamEnv {
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly breakers: SharedBreakers;
  readonly dial: Dial;
  readonly tls: TlsEnv;
  readonly outliers: OutlierEnv | null;
  /** `null` = no load is shed where connections are made. */
  readonly shed: ShedPoint | null;
}

/** Repicks of a host that a retry should avoid; beyond it the last one is taken. */
const REPICKS_MAX = 1_000;

/** Balancers kept for retries that leave priorities out. */
const PARTIAL_MAX = 64;

/** Names of one priority that have connections of their own; the oldest goes first. */
const NAMES_MAX = 1_024;

/** What all hosts of ORIGINAL_DST clusters share. */
const ORIGINAL_DST_ENDPOINT = { additionalAddresses: [], health: 'unknown', weight: 1, metadata: {} } as const;

/** Everything of one routing priority. */
interface PriorityState {
  readonly context: ConnectionContext;
  readonly pools: HttpPools;
  /** Where hosts must prove what requests ask for, by that: connections are not shared between names. */
  readonly named: Map<string, HttpPools>;
}

/** See the head of this file. */
export class UpstreamCluster implements Cluster {
  readonly model: ClusterModel;
  readonly stats: Float64Array;
  private readonly env: UpstreamEnv;
  private readonly default: PriorityState;
  private readonly high: PriorityState;
  private hosts: Map<string, Host>;
  /** The same hosts by priority. */
  private priorities: readonly (readonly Host[])[];
  private balancer: Balancer;
  /** Balancers of a part of the priorities, by those left out; at most `PARTIAL_MAX`. */
  private readonly partial: Map<number, Balancer>;
  private draining: boolean;
  /** Answers that outlier detection takes for errors; `null` = the usual ones. */
  private isError: IsError | null;
  readonly transports: ClusterTransports;
  /** `auto_sni` and `auto_san_validation`; `null` = requests have no say. */
  private readonly namesByRequest: ((context: PickContext) => DialNames) | null;
  /** Hosts as clients reach them from their own addresses; `null` until one does. */
  private sourced: SourcedHosts | null;

  /** @param breakerBase first cell of this cluster in the shared table */
  constructor(model: ClusterModel, env: UpstreamEnv, breakerBase: number) {
    this.model = model;
    this.env = env;
    const prefix = `cluster.${model.statName}.`;
    this.stats = env.stats.block(CLUSTER_CATALOGUE, prefix);
    this.transports = new ClusterTransports(model, { ...env, isFirstWorker: this.isFirstWorker });
    this.namesByRequest = compileRequestNames(model.httpTls, this.transports.namesClient);
    this.default = this.buildPriority('default', prefix, breakerBase);
    this.high = this.buildPriority('high', prefix, breakerBase);
    this.hosts = new Map();
    this.partial = new Map();
    this.priorities = [];
    this.balancer = model.discovery.kind === 'original_dst' ? this.originalDst(model.discovery) : { pick: () => null };
    this.draining = false;
    this.isError = null;
    this.sourced = null;
  }

  startStream(context: PickContext, handler: UpstreamStreamHandler): PendingStream | null {
    const host = this.pick(context);
    if (host === null) {
      (this.stats[UPSTREAM_CX_NONE_HEALTHY] as number)++;
      handler.onPoolFailure('no_healthy_host', '', null);
      return null;
    }
    return this.poolsFor(context).of(host, context).startStream(handler, context.freshConnection);
  }

  startTcp(context: PickContext, handler: TcpHandler): PendingStream | null {
    const host = this.pick(context);
    if (host === null) {
      (this.stats[UPSTREAM_CX_NONE_HEALTHY] as number)++;
      handler.onTcpFailure('no_healthy_host', '', null);
      return null;
    }
    const state = context.priority === 'high' ? this.high : this.default;
    const connection = this.transports.namesClient
      ? { ...state.context, names: { ...NO_NAMES, client: clientOf(context) } }
      : state.context;
    return connectTcp(connection, host, handler);
  }

  tryRetry(priority: 'default' | 'high'): boolean {
    return (priority === 'high' ? this.high : this.default).context.breakers.tryRetry();
  }

  endRetry(priority: 'default' | 'high'): void {
    (priority === 'high' ? this.high : this.default).context.breakers.retries.give();
  }

  /** The hosts now; for `/clusters`. */
  get hostList(): readonly Host[] {
    return [...this.hosts.values()];
  }

  /**
   * Replaces the hosts. A host whose address stays keeps its connections and counts; pools of those that are gone
   * finish what runs and close.
   * @param cells of outlier detection, by order of first mention; `null` = the model says the first
   */
  setHosts(localities: readonly LocalityModel[], cells: readonly number[] | null = null): void {
    const next = new Map<string, Host>();
    const priorities: Host[][] = [];
    for (const locality of localities) {
      while (priorities.length <= locality.priority) priorities.push([]);
      for (const endpoint of locality.endpoints) {
        const key = hostKeyIn(endpoint, this.model.discovery.kind === 'logical_dns');
        if (next.has(key)) continue;
        let host = this.hosts.get(key);
        const layer = this.transports.layerOf(endpoint.metadata, host === undefined);
        const targets = [endpoint.address, ...endpoint.additionalAddresses].map((address) =>
          this.targetOf(address, endpoint.hostname, endpoint.metadata, layer),
        );
        if (host === undefined) host = new Host(endpoint, targets, this.model.name, this.env.stats);
        else host.update(endpoint, targets);
        host.zone = locality.zone;
        if (host.monitor === null) this.watch(host, cells, next.size);
        next.set(key, host);
        (priorities[locality.priority] as Host[]).push(host);
      }
    }
    const gone = [...this.hosts].filter(([key]) => !next.has(key)).map(([, host]) => host);
    const changes = countChanges(this.priorities, priorities);
    this.hosts = next;
    this.priorities = priorities;
    this.rebuild();
    for (const host of gone) {
      host.monitor?.detach();
      this.forget(host);
    }
    this.countMembers(changes);
  }

  /**
   * Outlier detection has changed its mind about hosts.
   * @param ejected cells of hosts that keep no connections for later
   * @param rebuild whether balancers are told now
   */
  noteHealth(ejected: readonly number[], rebuild: boolean): void {
    for (const host of this.hosts.values()) {
      if (host.monitor?.isOneOf(ejected) === true) this.leave(host);
      if (rebuild) host.refreshHealth();
    }
    if (rebuild) this.rebuild();
    this.countMembers(0);
  }

  /** The cluster was removed or replaced: what runs or waits is finished, no connection is kept for later. */
  drain(): void {
    this.draining = true;
    for (const pools of this.allPools()) pools.drain();
    for (const host of this.hosts.values()) this.forgetLimits(host);
  }

  /** Closes everything now. */
  close(): void {
    for (const pools of this.allPools()) pools.close();
  }

  private allPools(): readonly HttpPools[] {
    return [this.default, this.high].flatMap(({ pools, named }) => [pools, ...named.values()]);
  }

  private poolsFor(context: PickContext): HttpPools {
    const state = context.priority === 'high' ? this.high : this.default;
    return this.namesByRequest === null ? state.pools : this.namedPools(state, this.namesByRequest(context));
  }

  private namedPools(state: PriorityState, names: DialNames): HttpPools {
    const client = names.client === null ? '' : clientKey(names.client);
    const key = `${names.serverName}\0${client}\0${names.exactNames.join('\0')}`;
    let pools = state.named.get(key);
    if (pools === undefined) {
      if (state.named.size >= NAMES_MAX) dropOldest(state.named);
      pools = new HttpPools(state.context, this.env.stats, names);
      if (this.draining) pools.drain();
      state.named.set(key, pools);
    }
    return pools;
  }

  private pick(context: PickContext): Host | null {
    const host = this.choose(context);
    const source = context.info?.connection.upstreamSource ?? null;
    if (host === null || source === null) return host;
    const { env, model } = this;
    this.sourced ??= new SourcedHosts(model.name, model.bind, env.wheel, (each) => this.forget(each));
    return this.sourced.find(host, source);
  }

  private choose(context: PickContext): Host | null {
    const balancer = context.triedPriorities === null ? this.balancer : this.balancerWithout(context.triedPriorities);
    let host = balancer.pick(context, 0);
    if (context.avoidHost === null) return host;
    const repicks = Math.min(context.avoidHostMaxAttempts, REPICKS_MAX);
    for (let repick = 0; host !== null && repick < repicks && context.avoidHost(host); repick++)
      host = balancer.pick(context, repick + 1);
    return host;
  }

  /** Chooses among what a request has not tried; among all, where that is nothing. */
  private balancerWithout(tried: TriedPriorities): Balancer {
    const mask = tried.leftOut(this.priorities);
    if (mask === 0) return this.balancer;
    const known = this.partial.get(mask);
    if (known !== undefined) return known;
    const rest = this.priorities.map((level, priority) => (holdsPriority(mask, priority) ? [] : level));
    if (!hasCapacity(rest)) {
      tried.reset();
      return this.balancer;
    }
    const balancer = buildBalancer(this.priorities, this.model, this.env.runtime, this.stats, null, mask);
    if (this.partial.size < PARTIAL_MAX) this.partial.set(mask, balancer);
    return balancer;
  }

  private rebuild(): void {
    const { env, model } = this;
    const gauge: TableGauge | null = this.isFirstWorker
      ? (name, value) => {
          env.stats.cell(`cluster.${model.statName}.${name}`, 'g')[0] = value;
        }
      : null;
    this.balancer = buildBalancer(this.priorities, model, env.runtime, this.stats, gauge);
    this.partial.clear();
  }

  private originalDst(discovery: DiscoveryModel & { readonly kind: 'original_dst' }): Balancer {
    const { name } = this.model;
    return new OriginalDstBalancer(discovery, {
      wheel: this.env.wheel,
      stats: this.stats,
      makeHost: ({ ip, port }) => {
        const address = { kind: 'socket', protocol: 'tcp', address: ip, port, ipv4Compat: false } as const;
        const hostname = name + formatAddress(address);
        const endpoint = { ...ORIGINAL_DST_ENDPOINT, address, hostname };
        const layer = this.transports.layerOf({}, false);
        return new Host(endpoint, [this.targetOf(address, hostname, {}, layer)], name, null);
      },
      dropHost: (host) => this.forget(host),
    });
  }

  private targetOf(
    address: DialTarget['address'],
    hostname: string,
    hostMetadata: MetadataModel,
    layer: DialTarget['layer'],
  ): DialTarget {
    const { tcpKeepalive, perConnectionBufferLimitBytes: bufferLimitBytes } = this.model;
    const bind = address.kind === 'socket' ? sourceFor(this.model.bind, address.address) : null;
    const metadata = address.kind === 'internal' ? passedMetadata(this.model, hostMetadata) : null;
    return { address, hostname, bind, keepalive: tcpKeepalive, bufferLimitBytes, layer, metadata };
  }

  /** Nothing is kept of an ejected host that could be used later; raw connections live on, unless they are to be closed. */
  private leave(host: Host): void {
    this.dropPools(host);
    if (host.raw !== null) for (const connection of [...host.raw]) connection.closeNow();
  }

  private watch(host: Host, cells: readonly number[] | null, index: number): void {
    const { outlier } = this.model;
    const { outliers } = this.env;
    if (outlier === null || outliers === null) return;
    const cell = cells?.[index] ?? (outlier.firstCell < 0 ? -1 : outlier.firstCell + index);
    if (cell < 0) return;
    if (this.isError === null && outlier.errors !== null) this.isError = outliers.compileErrors(outlier.errors);
    if (this.model.closeConnectionsOnHostHealthFailure) host.raw = new Set();
    host.monitor = new HostMonitor(outliers, outlier, this.isError, cell);
    host.refreshHealth();
  }

  /** The host is gone: what it has is finished. */
  private forget(host: Host): void {
    this.dropPools(host);
    this.forgetLimits(host);
  }

  private forgetLimits(host: Host): void {
    for (const { context } of [this.default, this.high]) context.perHost?.forget(host);
  }

  private dropPools(host: Host): void {
    for (const pools of this.allPools()) pools.drop(host);
  }

  private get isFirstWorker(): boolean {
    return this.env.breakers.worker === 0;
  }

  /** Gauges are summed over the workers, who all have the same hosts: only the first one writes them. */
  private countMembers(changes: number): void {
    if (!this.isFirstWorker) return;
    const { stats, hosts } = this;
    let healthy = 0;
    let degraded = 0;
    let maxWeight = 0;
    for (const host of hosts.values()) {
      const { currentHealth } = host;
      if (currentHealth === 'healthy') healthy++;
      else if (currentHealth === 'degraded') degraded++;
      maxWeight = Math.max(maxWeight, host.weight);
    }
    if (changes > 0) (stats[MEMBERSHIP_CHANGE] as number) += changes;
    stats[MEMBERSHIP_TOTAL] = hosts.size;
    stats[MEMBERSHIP_HEALTHY] = healthy;
    stats[MEMBERSHIP_DEGRADED] = degraded;
    // Envoy keeps it for STRICT_DNS clusters and leaves it at zero for static and logical ones.
    stats[MAX_HOST_WEIGHT] = this.model.discovery.kind === 'strict_dns' ? maxWeight : 0;
  }

  private buildPriority(priority: 'default' | 'high', prefix: string, breakerBase: number): PriorityState {
    const { model, env, stats } = this;
    const open = OPEN_GAUGES[priority];
    const remaining = model.trackRemaining[priority]
      ? env.stats.block(REMAINING_CATALOGUE, `${prefix}circuit_breakers.${priority}.`)
      : null;
    const gauges = (limit: number): LimitGauges => ({
      block: stats,
      open: open[limit] as number,
      // Of a budget there is no telling: it moves with the requests.
      remaining: limit === LIMIT_RETRIES && model.breakers[priority].retryBudget !== null ? null : remaining,
      remainingAt: REMAINING[limit] as number,
    });
    const cells = priorityBase(breakerBase, priority);
    const context = {
      model,
      stats,
      breakers: new PriorityBreakers(env.breakers, cells, model.breakers[priority], gauges, () => env.runtime.nowMs()),
      perHost: limitsHosts(model)
        ? new HostConnections(env.breakers, model.name, model.breakers[priority].maxConnectionsPerHost, () =>
            warnOfHosts(env),
          )
        : null,
      shed: env.shed,
      runtime: env.runtime,
      wheel: env.wheel,
      dial: env.dial,
      names: NO_NAMES,
      connectMs: env.stats.histogram(`${prefix}upstream_cx_connect_ms`),
      lengthMs: env.stats.histogram(`${prefix}upstream_cx_length_ms`),
      requestsPerConnection: env.stats.histogram(`${prefix}upstream_rq_per_cx`),
    };
    return { context, pools: new HttpPools(context, env.stats, NO_NAMES), named: new Map() };
  }
}

/** Priorities that have gained or lost hosts: Envoy updates one after the other. */
function countChanges(before: readonly (readonly Host[])[], after: readonly (readonly Host[])[]): number {
  let changes = 0;
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const old = new Set(before[i]);
    const now = after[i] ?? [];
    if (now.length !== old.size || now.some((host) => !old.has(host))) changes++;
  }
  return changes;
}

/** The table of hosts with limits is full: somebody should know, where workers do not count alone anyway. */
function warnOfHosts({ stats, breakers }: UpstreamEnv): void {
  if (breakers.workers === 1) return;
  const full = stats.cell('outrigger.per_host_limits_full', 'c');
  full[0] = (full[0] as number) + 1;
  if (full[0] === 1)
    logger('upstream').warning(
      `there is no place for another of ${HOSTS_MAX} hosts with limits of their own: theirs hold in each worker`,
    );
}

/** A host's limit counts the connections of both priorities. */
function limitsHosts({ breakers }: ClusterModel): boolean {
  return Math.min(breakers.default.maxConnectionsPerHost, breakers.high.maxConnectionsPerHost) < UNLIMITED;
}

/** What an internal listener is told of its connections from this cluster. */
function passedMetadata(model: ClusterModel, hostMetadata: MetadataModel): MetadataModel | null {
  if (model.transport.kind !== 'internal') return null;
  const passed: { [namespace: string]: JsonObject } = {};
  for (const { of, name } of model.transport.passthrough) {
    const value = (of === 'host' ? hostMetadata : model.metadata)[name];
    if (value !== undefined) passed[name] = value;
  }
  return passed;
}

function dropOldest(named: Map<string, HttpPools>): void {
  const [key, oldest] = named.entries().next().value as [string, HttpPools];
  oldest.drain();
  named.delete(key);
}

// Gauges by `Limit`.
const REMAINING: readonly number[] = [
  REMAINING_CX,
  REMAINING_PENDING,
  REMAINING_RQ,
  REMAINING_RETRIES,
  REMAINING_CX_POOLS,
];
