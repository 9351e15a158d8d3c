// Lowers the forwarding action of a route (Envoy: config.route.v3.{RouteAction,WeightedCluster,RetryPolicy}).

import { ConfigError } from '../../util/error.ts';
import { didYouMean } from '../../util/nearest.ts';
import type { JsonObject } from '../model/common.ts';
import type { MirrorModel } from '../model/mirror.ts';
import type {
  ConnectModel,
  GrpcLimitsModel,
  RetryPolicyModel,
  RouteActionModel,
  RouteMatchModel,
  UpgradeModel,
  WeightedClusterModel,
} from '../model/route.ts';
import { runtimeInteger } from '../model/runtime.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { asciiLower, type LowerContext, lowerMetadata, wireString } from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerHashPolicies } from './hash.ts';
import { checkFormat, lowerHeaderMutations } from './header-mutations.ts';
import { lowerMirrors } from './mirror.ts';
import { lowerPathRewritePolicy } from './path-policy.ts';
import { lowerInternalRedirect } from './redirect.ts';
import { lowerHedge, lowerRetryPolicy } from './retry.ts';
import { lowerRouteFilters } from './route-filters.ts';
import { lowerRegexRewrite } from './route-reply.ts';

const CLUSTER_NOT_FOUND_CODES = [503, 404, 500] as const;
const PRIORITIES = ['default', 'high'] as const;

/** Envoy's route timeout when none is given, ms. */
const ROUTE_TIMEOUT_MS_DEFAULT = 15_000;
/** The two fields that limit what is kept of a request's body, each in bytes; `null` = not set. */
export interface BufferLimit {
  /** `request_body_buffer_limit`. */
  readonly body: number | null;
  /** `per_request_buffer_limit_bytes`. */
  readonly older: number | null;
}

/** What a route inherits from the places around it. */
export interface RouteScope {
  readonly ctx: LowerContext;
  readonly retry: RetryPolicyModel | null;
  readonly mirrors: readonly MirrorModel[];
  readonly hedgeOnPerTryTimeout: boolean;
  /** What the virtual host says. */
  readonly bufferLimit: BufferLimit;
  readonly directResponseBytesMax: number;
  /** Clusters that may be named; `null` = any. */
  readonly clusterNames: ReadonlySet<string> | null;
}

export function lowerRouteAction(
  message: Msg,
  match: RouteMatchModel['path'],
  scope: RouteScope,
  path: string,
): RouteActionModel {
  const retry = sub(message, 'retryPolicy');
  const hedge = sub(message, 'hedgePolicy');
  const maxStream = sub(message, 'maxStreamDuration');
  const metadataMatch = sub(message, 'metadataMatch');
  const regexRewrite = sub(message, 'regexRewrite');
  const prefixRewrite = wireString(str(message, 'prefixRewrite'));
  const pathFormat = wireString(str(message, 'pathRewrite'));
  const template = sub(message, 'pathRewritePolicy');
  const rewrites = [prefixRewrite !== '', regexRewrite !== null, template !== null, pathFormat !== ''];
  if (rewrites.filter(Boolean).length > 1) {
    throw new ConfigError('Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy', path);
  }
  if (prefixRewrite !== '' && match.kind === 'template') {
    throw new ConfigError('Cannot use prefix_rewrite with matcher extension', path);
  }
  if (pathFormat !== '') checkFormat(pathFormat, `${path}.path_rewrite`, 'Failed to create path rewrite formatter: ');
  return {
    kind: 'route',
    cluster: lowerTarget(message, scope, path),
    clusterNotFoundCode: CLUSTER_NOT_FOUND_CODES[num(message, 'clusterNotFoundResponseCode')] ?? 503,
    prefixRewrite,
    regexRewrite: regexRewrite === null ? null : lowerRegexRewrite(regexRewrite, `${path}.regex_rewrite`),
    templateRewrite: template === null ? null : lowerPathRewritePolicy(template, match, `${path}.path_rewrite_policy`),
    pathFormat,
    hostRewrite: lowerHostRewrite(message, path),
    appendXForwardedHost: bool(message, 'appendXForwardedHost'),
    // Where `max_stream_duration` is given, even empty, Envoy leaves the route's own time-out out of account.
    timeoutMs: maxStream === null ? wholeMs(message, 'timeout', ROUTE_TIMEOUT_MS_DEFAULT, path) : 0,
    idleTimeoutMs: wholeMs(message, 'idleTimeout', -1, path),
    maxStreamDurationMs:
      maxStream === null ? -1 : wholeMs(maxStream, 'maxStreamDuration', -1, `${path}.max_stream_duration`),
    grpcStreamLimits:
      maxStream === null
        ? null
        : lowerGrpcLimits(maxStream, 'grpcTimeoutHeaderMax', 'grpcTimeoutHeaderOffset', `${path}.max_stream_duration`),
    grpcLimits: lowerGrpcLimits(message, 'maxGrpcTimeout', 'grpcTimeoutOffset', path),
    flushTimeoutMs: wholeMs(message, 'flushTimeout', -1, path),
    priority: PRIORITIES[num(message, 'priority')] ?? 'default',
    retry: retry === null ? scope.retry : lowerRetryPolicy(retry, `${path}.retry_policy`),
    mirrors: lowerMirrors(message, scope.clusterNames, scope.mirrors, path),
    hashPolicy: lowerHashPolicies(list(message, 'hashPolicy'), `${path}.hash_policy`),
    internalRedirect: lowerInternalRedirect(message, path),
    hedgeOnPerTryTimeout: hedge === null ? scope.hedgeOnPerTryTimeout : lowerHedge(hedge),
    upgrades: lowerUpgrades(list(message, 'upgradeConfigs'), path),
    metadataMatch: lbMetadata(metadataMatch),
    includeVirtualHostRateLimits: bool(message, 'includeVhRateLimits'),
  };
}

function lowerGrpcLimits(message: Msg, max: string, offset: string, path: string): GrpcLimitsModel | null {
  const maxMs = wholeMs(message, max, -1, path);
  return maxMs < 0 ? null : { maxMs, offsetMs: wholeMs(message, offset, 0, path) };
}

/** Only the balancer's own namespace selects endpoints. */
function lbMetadata(message: Msg | null): JsonObject | null {
  return lowerMetadata(message)['envoy.lb'] ?? null;
}

/** Envoy's words, and the name that was perhaps meant. */
function requireCluster(name: string, what: string, scope: RouteScope, path: string): void {
  const known = scope.clusterNames;
  if (known === null || known.has(name)) return;
  throw new ConfigError(`route: unknown ${what} '${name}'${didYouMean(name, known)}`, path);
}

function lowerTarget(message: Msg, scope: RouteScope, path: string): RouteActionModel['cluster'] {
  const specifier = oneof(message, 'clusterSpecifier');
  switch (specifier?.case) {
    case 'cluster': {
      const name = specifier.value as string;
      requireCluster(name, 'cluster', scope, `${path}.cluster`);
      return { kind: 'cluster', name };
    }
    case 'clusterHeader':
      return { kind: 'cluster_header', header: asciiLower(wireString(specifier.value as string)) };
    case 'weightedClusters':
      return lowerWeighted(specifier.value as Msg, scope, `${path}.weighted_clusters`);
    case undefined:
      throw new ConfigError('cluster_specifier is required', path);
    default:
      throw new ConfigError(
        'cluster specifier plugins are not supported; use cluster, cluster_header or weighted_clusters',
        path,
      );
  }
}

function lowerWeighted(message: Msg, scope: RouteScope, path: string): RouteActionModel['cluster'] {
  const keys = str(message, 'runtimeKeyPrefix');
  const clusters = list(message, 'clusters').map((cluster, index) =>
    lowerClusterWeight(cluster, keys, scope, `${path}.clusters[${index}]`),
  );
  const totalWeight = clusters.reduce((sum, cluster) => sum + cluster.weight, 0);
  if (totalWeight === 0) {
    throw new ConfigError('Sum of weights in the weighted_cluster must be greater than 0.', path);
  }
  if (totalWeight > 0xffff_ffff) {
    throw new ConfigError(`The sum of weights of all weighted clusters of a route exceeds 4294967295`, path);
  }
  return {
    kind: 'weighted',
    clusters,
    headerName: asciiLower(wireString(oneofCase<string>(message, 'randomValueSpecifier', 'headerName') ?? '')),
    useHashPolicy: isTrue(oneofCase(message, 'randomValueSpecifier', 'useHashPolicy')),
  };
}

/** Wrappers stay messages inside a one-of. */
function isTrue(wrapper: Msg | null): boolean {
  return wrapper !== null && bool(wrapper, 'value');
}

/** @param runtimeKeys what its weight's key begins with; empty = it has none */
function lowerClusterWeight(message: Msg, runtimeKeys: string, scope: RouteScope, path: string): WeightedClusterModel {
  const name = str(message, 'name');
  const clusterHeader = asciiLower(wireString(str(message, 'clusterHeader')));
  if (name !== '' && clusterHeader !== '') {
    throw new ConfigError('Only one of name or cluster_header can be specified', path);
  }
  if (name === '' && clusterHeader === '') {
    throw new ConfigError('At least one of name or cluster_header need to be specified', path);
  }
  if (name !== '') requireCluster(name, 'weighted cluster', scope, `${path}.name`);
  const weight = num(message, 'weight', -1);
  if (weight < 0) throw new ConfigError("Field 'weight' is missing", path);
  return {
    name,
    clusterHeader,
    weight: runtimeKeys === '' ? weight : runtimeInteger(scope.ctx.runtime, `${runtimeKeys}.${name}`, weight),
    filters: lowerRouteFilters(message, scope.ctx, path),
    headers: lowerHeaderMutations(message, path),
    hostRewriteLiteral: wireString(oneofCase<string>(message, 'hostRewriteSpecifier', 'hostRewriteLiteral') ?? ''),
    metadataMatch: lbMetadata(sub(message, 'metadataMatch')),
  };
}

function lowerHostRewrite(message: Msg, path: string): RouteActionModel['hostRewrite'] {
  const specifier = oneof(message, 'hostRewriteSpecifier');
  if (specifier === null) return { kind: 'none' };
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      return specifier.value === ''
        ? { kind: 'none' }
        : { kind: 'literal', value: wireString(specifier.value as string) };
    case 'autoHostRewrite':
      // Wrappers stay messages inside a one-of
      return { kind: bool(specifier.value as Msg, 'value') ? 'auto' : 'none' };
    case 'hostRewriteHeader':
      return specifier.value === ''
        ? { kind: 'none' }
        : { kind: 'header', header: asciiLower(wireString(specifier.value as string)) };
    case 'hostRewritePathRegex':
      return {
        kind: 'path_regex',
        rewrite: lowerRegexRewrite(specifier.value as Msg, `${path}.host_rewrite_path_regex`),
      };
    default:
      return lowerHostFormat(wireString(specifier.value as string), `${path}.host_rewrite`);
  }
}

function lowerHostFormat(format: string, path: string): RouteActionModel['hostRewrite'] {
  if (format === '') return { kind: 'none' };
  checkFormat(format, path, 'Failed to create host rewrite formatter: ');
  return { kind: 'format', format };
}

/** `ProxyProtocolConfig.Version.V2`. */
const PROXY_V2 = 1;
export const CONNECT_UDP = 'connect-udp';
export const NO_UDP = 'UDP is not proxied; remove CONNECT-UDP';

function lowerUpgrades(configs: readonly Msg[], path: string): readonly UpgradeModel[] {
  const seen = new Set<string>();
  return configs.map((config, index) => {
    const at = `${path}.upgrade_configs[${index}]`;
    const written = str(config, 'upgradeType');
    const type = asciiLower(written);
    if (seen.has(type)) throw new ConfigError(`Duplicate upgrade ${written}`, at);
    seen.add(type);
    const connect = sub(config, 'connectConfig');
    if (connect !== null && type !== 'connect' && type !== CONNECT_UDP) {
      throw new ConfigError(`Non-CONNECT upgrade type ${written} has ConnectConfig`, at);
    }
    if (type === CONNECT_UDP) throw new ConfigError(NO_UDP, at);
    return { type, enabled: bool(config, 'enabled', true), connect: connect === null ? null : lowerConnect(connect) };
  });
}

function lowerConnect(config: Msg): ConnectModel {
  const proxy = sub(config, 'proxyProtocolConfig');
  const proxyHeader = proxy === null ? 0 : num(proxy, 'version') === PROXY_V2 ? 2 : 1;
  return { proxyHeader, allowPost: bool(config, 'allowPost') };
}
