// Virtual hosts and routes of one configuration, compiled for lookup.
//
// Virtual host: exact name, then the longest `*.suffix`, then the longest `prefix.*`, then `*`. Its routes: see
// `path-index.ts` and `route-tree.ts`. Hosts are compiled when first used.

import type { HeaderMap } from '../codec/headers.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { RouteConfigModel, VirtualHostModel } from '../config/model/route.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { compileFirstRead } from '../match/head.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { ClusterManager } from '../upstream/upstream.ts';
import { barePath } from './bare-path.ts';
import { indexRoutes, type RouteSource, type RouteTrees } from './path-index.ts';
import { PathTrees } from './path-tree.ts';
import type { FiltersOf, RouteResult, RouteTable } from './route.ts';
import type { RouteScope } from './route-compile.ts';
import { RouteStatsSet } from './route-stats.ts';
import { compileRouteTree } from './route-tree.ts';
import { SharedParts } from './shared-parts.ts';

/** What a table needs besides its configuration. */
export interface RouteTableEnv {
  readonly clusters: ClusterManager;
  readonly stats: StatsStore;
  readonly runtimeKeys: RuntimeKeys;
}

/** Compiles a route configuration for one worker; it cannot fail on what `lower` has accepted. */
export function compileRouteTable(
  config: RouteConfigModel,
  env: RouteTableEnv,
  filtersOf: FiltersOf = () => null,
): RouteTable {
  return new CompiledRouteTable(config, env, filtersOf);
}

class CompiledRouteTable implements RouteTable {
  readonly name: string;
  private readonly exact: Map<string, HostRoutes>;
  private readonly suffixes: WildcardMap;
  private readonly prefixes: WildcardMap;
  private readonly fallback: HostRoutes | null;
  private readonly only: HostRoutes | null;
  private readonly ignorePort: boolean;
  private readonly stripParameters: boolean;
  private readonly anyTls: boolean;
  private readonly hidden: readonly string[];
  private readonly readHost: ((info: StreamInfo, headers: HeaderMap) => string | null) | null;

  constructor(config: RouteConfigModel, env: RouteTableEnv, filtersOf: FiltersOf) {
    this.name = config.name;
    this.exact = new Map();
    this.suffixes = new WildcardMap((host, length) => host.slice(host.length - length));
    this.prefixes = new WildcardMap((host, length) => host.slice(0, length));
    this.ignorePort = config.ignorePortInHostMatching;
    this.stripParameters = config.ignorePathParametersInPathMatching;
    this.anyTls = config.virtualHosts.some((host) => host.requireTls !== 'none');
    this.hidden = config.internalOnlyHeaders;
    this.readHost = config.vhostHeader === '' ? null : compileFirstRead(config.vhostHeader);
    const stats = new RouteStatsSet(env.stats);
    const { clusters, runtimeKeys } = env;
    const trees: RouteTrees = new PathTrees();
    const around = { config, clusters, stats, runtimeKeys, filtersOf, shared: new SharedParts() };
    let fallback: HostRoutes | null = null;
    for (const model of config.virtualHosts) {
      stats.open(model);
      const host = new HostRoutes(model, around, trees);
      for (const domain of model.domains) {
        if (domain === '*') fallback = host;
        else if (domain.startsWith('*')) this.suffixes.set(domain.slice(1), host);
        else if (domain.endsWith('*')) this.prefixes.set(domain.slice(0, -1), host);
        else this.exact.set(domain, host);
      }
    }
    this.fallback = fallback;
    const onlyFallback = this.exact.size === 0 && this.suffixes.empty && this.prefixes.empty;
    // Nobody asks for a host then, and be it to find that there is none.
    this.only = onlyFallback ? fallback : null;
  }

  match(info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    const host = this.only ?? this.find(info, headers);
    return host === null ? null : host.match(this.pathOf(info.path), info, headers, random);
  }

  virtualHostMetadata(info: StreamInfo, headers: HeaderMap): JsonObject | null {
    return (this.only ?? this.find(info, headers))?.model.metadata ?? null;
  }

  needsTls(info: StreamInfo, headers: HeaderMap): boolean {
    if (!this.anyTls) return false;
    const requirement = (this.only ?? this.find(info, headers))?.model.requireTls ?? 'none';
    if (requirement === 'none' || (requirement === 'external_only' && info.internal)) return false;
    const proto = headers.getJoined('x-forwarded-proto');
    return proto !== null && proto !== '' && proto !== 'https';
  }

  internalOnlyHeaders(): readonly string[] {
    return this.hidden;
  }

  private find(info: StreamInfo, headers: HeaderMap): HostRoutes | null {
    // A configured header that is missing finds nothing, not even `*`.
    let host = this.readHost === null ? info.authority : this.readHost(info, headers);
    if (host === null) return null;
    // A host that was never named is none, other than one without letters.
    if (host === '' && this.readHost === null && !info.authorityIsEmpty) return null;
    host = host.toLowerCase();
    if (this.ignorePort) host = withoutPort(host);
    return this.exact.get(host) ?? this.suffixes.find(host) ?? this.prefixes.find(host) ?? this.fallback;
  }

  private pathOf(path: string): string {
    return this.stripParameters && path.includes(';') ? barePath(path).replace(PATH_PARAMETERS, '') : path;
  }
}

/** Host names known by their end or their beginning; the longest wins. */
class WildcardMap {
  private readonly byLength: { readonly length: number; readonly hosts: Map<string, HostRoutes> }[];
  private readonly cut: (host: string, length: number) => string;

  constructor(cut: (host: string, length: number) => string) {
    this.byLength = [];
    this.cut = cut;
  }

  get empty(): boolean {
    return this.byLength.length === 0;
  }

  set(part: string, host: HostRoutes): void {
    let row = this.byLength.find((r) => r.length === part.length);
    if (row === undefined) {
      row = { length: part.length, hosts: new Map() };
      this.byLength.push(row);
      this.byLength.sort((a, b) => b.length - a.length);
    }
    row.hosts.set(part, host);
  }

  /** The wildcard stands for at least one character. */
  find(host: string): HostRoutes | null {
    for (const { length, hosts } of this.byLength) {
      if (length >= host.length) continue;
      const found = hosts.get(this.cut(host, length));
      if (found !== undefined) return found;
    }
    return null;
  }
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon < 0 || host.indexOf(']', colon) >= 0 ? host : host.slice(0, colon);
}

/** The routes of one virtual host. */
class HostRoutes {
  readonly model: VirtualHostModel;
  private readonly around: Omit<RouteScope, 'virtualHost'>;
  private readonly trees: RouteTrees;
  private compiled: RouteSource | null;

  constructor(model: VirtualHostModel, around: Omit<RouteScope, 'virtualHost'>, trees: RouteTrees) {
    this.model = model;
    this.around = around;
    this.trees = trees;
    this.compiled = null;
  }

  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    this.compiled ??= this.compile();
    return this.compiled.match(path, info, headers, random);
  }

  private compile(): RouteSource {
    const scope = { ...this.around, virtualHost: this.model };
    const { matcher, routes } = this.model;
    return matcher === null ? indexRoutes(routes, scope, this.trees) : compileRouteTree(matcher, scope, this.trees);
  }
}

const PATH_PARAMETERS = /;[^/]*/g;
