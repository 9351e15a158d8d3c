// How a cluster finds its endpoints: the `type` field, or a typed `cluster_type`.

import { ConfigError } from '../../util/error.ts';
import type { DiscoveryModel } from '../model/cluster.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import { addressText, lowerAddress } from './common.ts';
import { wholeMs } from './duration.ts';

const TYPES = ['static', 'strict_dns', 'logical_dns', 'eds', 'original_dst'] as const;

/** Envoy's names of the cluster factories that need no configuration of their own. */
const FACTORIES: ReadonlyMap<string, (typeof TYPES)[number]> = new Map([
  ['envoy.cluster.static', 'static'],
  ['envoy.cluster.strict_dns', 'strict_dns'],
  ['envoy.cluster.logical_dns', 'logical_dns'],
  ['envoy.cluster.eds', 'eds'],
  ['envoy.cluster.original_dst', 'original_dst'],
]);

const DEFAULT_REFRESH_MS = 5000;
const DEFAULT_CLEANUP_MS = 5000;

export function lowerDiscovery(cluster: Msg, path: string): DiscoveryModel {
  const type = oneof(cluster, 'clusterDiscoveryType');
  if (type !== null && type.case === 'clusterType') return customType(cluster, type.value as Msg, path);
  return builtIn(TYPES[type === null ? 0 : (type.value as number)] ?? 'static', cluster, path);
}

function customType(cluster: Msg, custom: Msg, path: string): DiscoveryModel {
  const name = str(custom, 'name');
  const any = sub(custom, 'typedConfig');
  if (any !== null) {
    const { message, typeUrl } = unpackAny(any, `${path}.cluster_type.typed_config`);
    if (typeNameOf(typeUrl) === 'envoy.extensions.clusters.dns.v3.DnsCluster') {
      const kind = bool(message, 'allAddressesInSingleEndpoint') ? 'logical_dns' : 'strict_dns';
      return dns(kind, cluster, message, 'typed', `${path}.cluster_type.typed_config`);
    }
  }
  const factory = FACTORIES.get(name);
  if (factory !== undefined) return builtIn(factory, cluster, path);
  throw new ConfigError(
    `Didn't find a registered cluster factory implementation for name: '${name}'`,
    `${path}.cluster_type`,
  );
}

function builtIn(kind: (typeof TYPES)[number], cluster: Msg, path: string): DiscoveryModel {
  switch (kind) {
    case 'static':
      return { kind };
    case 'strict_dns':
    case 'logical_dns':
      return dns(kind, cluster, cluster, 'plain', path);
    case 'eds': {
      const config = sub(cluster, 'edsClusterConfig');
      if (config === null) throw new ConfigError('cannot create an EDS cluster without an EDS config', path);
      return { kind, serviceName: str(config, 'serviceName') || str(cluster, 'name') };
    }
    case 'original_dst':
      return originalDst(cluster, path);
  }
}

function originalDst(cluster: Msg, path: string): DiscoveryModel {
  const lb = oneofCase(cluster, 'lbConfig', 'originalDstLbConfig');
  const useHttpHeader = lb !== null && bool(lb, 'useHttpHeader');
  const headerName = lb === null ? '' : str(lb, 'httpHeaderName');
  return {
    kind: 'original_dst',
    headerName: useHttpHeader ? headerName.toLowerCase() || 'x-envoy-original-dst-host' : '',
    metadataKey: lb === null ? null : lowerMetadataKey(sub(lb, 'metadataKey')),
    portOverride: lb === null ? 0 : num(lb, 'upstreamPortOverride'),
    cleanupIntervalMs: wholeMs(cluster, 'cleanupInterval', DEFAULT_CLEANUP_MS, path),
  };
}

function lowerMetadataKey(message: Msg | null): { readonly key: string; readonly path: readonly string[] } | null {
  if (message === null) return null;
  const path = list(message, 'path').map((segment) => oneofCase<string>(segment, 'segment', 'key') ?? '');
  return { key: str(message, 'key'), path };
}

const FAMILIES = ['auto', 'v4_only', 'v6_only', 'v4_preferred', 'all'] as const;

/** `DnsCluster` counts its families from "unspecified". */
const TYPED_FAMILIES = ['auto', 'auto', 'v4_only', 'v6_only', 'v4_preferred', 'all'] as const;

function dns(
  kind: 'strict_dns' | 'logical_dns',
  cluster: Msg,
  settings: Msg,
  spelling: 'plain' | 'typed',
  path: string,
): DiscoveryModel {
  const refreshMs = wholeMs(settings, 'dnsRefreshRate', DEFAULT_REFRESH_MS, path);
  const failure = sub(settings, 'dnsFailureRefreshRate');
  const baseMs = failure === null ? refreshMs : wholeMs(failure, 'baseInterval', refreshMs, path);
  const maxMs = failure === null ? refreshMs : wholeMs(failure, 'maxInterval', baseMs * 10, path);
  if (maxMs < baseMs) {
    throw new ConfigError(
      'dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval',
      `${path}.dns_failure_refresh_rate`,
    );
  }
  const family = num(settings, 'dnsLookupFamily');
  return {
    kind,
    refreshMs,
    failureRefreshBaseMs: baseMs,
    failureRefreshMaxMs: maxMs,
    respectTtl: bool(settings, 'respectDnsTtl'),
    jitterMs: wholeMs(settings, 'dnsJitter', 0, path),
    family: (spelling === 'plain' ? FAMILIES : TYPED_FAMILIES)[family] ?? 'auto',
    waitForWarm: bool(cluster, 'waitForWarmOnInit', true),
    resolvers: resolvers(cluster, settings, path),
  };
}

const CARES = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig';
const GETADDRINFO = 'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig';

/** The typed configuration wins over the older spellings, as in Envoy. */
function resolvers(cluster: Msg, settings: Msg, path: string): string[] {
  const typed = sub(settings, 'typedDnsResolverConfig');
  if (typed !== null) return typedResolvers(typed, `${path}.typed_dns_resolver_config`);
  if (settings !== cluster) return [];
  const older = sub(cluster, 'dnsResolutionConfig');
  const field = older === null ? 'dns_resolvers' : 'dns_resolution_config.resolvers';
  const addresses = older === null ? list(cluster, 'dnsResolvers') : list(older, 'resolvers');
  return addresses.map((address, i) => addressText(lowerAddress(address, `${path}.${field}[${i}]`)));
}

function typedResolvers(extension: Msg, path: string): string[] {
  const any = sub(extension, 'typedConfig');
  if (any === null) throw new ConfigError('typed_config is required', path);
  const { typeUrl, message } = unpackAny(any, `${path}.typed_config`);
  const name = typeNameOf(typeUrl);
  if (name === GETADDRINFO) return [];
  if (name !== CARES) {
    throw new ConfigError(`DNS resolver ${name} is not supported; use ${CARES}`, `${path}.typed_config`);
  }
  return list(message, 'resolvers').map((address, i) =>
    addressText(lowerAddress(address, `${path}.typed_config.resolvers[${i}]`)),
  );
}
