// The model of clusters and their endpoints (Envoy: config.cluster.v3, config.endpoint.v3, extensions.upstreams.http.v3).

import type { AddressModel, MetadataModel, SocketOptionModel, TcpKeepaliveModel } from './common.ts';
import type { HashPolicyModel } from './hash.ts';
import type { HeaderCase } from './headers.ts';
import type { Http2Model } from './http2.ts';
import type { MirrorModel } from './mirror.ts';
import type { OutlierModel } from './outlier.ts';
import type { RetryPolicyModel } from './route.ts';
import type { TransportMatchModel, UpstreamTransportModel } from './tls.ts';

export interface ClusterModel {
  readonly name: string;
  /** `alt_stat_name`, or the name; what stands in `cluster.<statName>.`. */
  readonly statName: string;
  readonly discovery: DiscoveryModel;
  readonly lbPolicy: LbPolicyModel;
  readonly localities: readonly LocalityModel[];
  /** 0 to 100; below this share of healthy hosts all are used. */
  readonly healthyPanicThreshold: number;
  /** Then none is used instead, unless a hash chooses the host. */
  readonly failTrafficOnPanic: boolean;
  readonly connectTimeoutMs: number;
  readonly perConnectionBufferLimitBytes: number;
  /** So many of 100 requests are answered at once (runtime key `upstream.maintenance_mode.<name>`). */
  readonly maintenancePercent: number;
  readonly breakers: { readonly default: BreakerModel; readonly high: BreakerModel };
  /** Changes of hosts' health within so much time after another one are taken note of together; 0 = each at once. */
  readonly updateMergeWindowMs: number;
  /** `null` = hosts are not watched. */
  readonly outlier: OutlierModel | null;
  /** Index of this cluster's cells in the shared breaker table; set by the control thread when a model is published. */
  readonly breakerBase: number;
  readonly maxRequestsPerConnection: number;
  /** Upstream HTTP connection without streams; default one hour, 0 = never. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  /** Of one attempt; 0 = no limit. */
  readonly upstreamStreamDurationMs: number;
  readonly maxResponseHeadersBytes: number;
  readonly maxResponseHeadersCount: number;
  /** `downstream`: the version of the request's own connection; `auto`: what ALPN says, HTTP/1.1 when it says nothing. */
  readonly protocol: 'http1' | 'http2' | 'downstream' | 'auto';
  readonly http1: Http1ClientModel;
  readonly http2: Http2Model;
  readonly bind: BindModel | null;
  readonly tcpKeepalive: TcpKeepaliveModel | null;
  /** How hosts are spoken to below HTTP, unless one of `transportMatches` names their metadata. */
  readonly transport: UpstreamTransportModel;
  /** Tried in order; empty = `transport` for every host. */
  readonly transportMatches: readonly TransportMatchModel[];
  /** `upstream_http_protocol_options`: what TLS to a host takes from the request. */
  readonly httpTls: UpstreamHttpTlsModel;
  /** Copies of all its requests, instead of what their routes say; empty = as their routes say. */
  readonly mirrors: readonly MirrorModel[];
  /** How all its requests are retried, whatever routes and headers say; `null` = as those say. */
  readonly retry: RetryPolicyModel | null;
  /** In place of what routes say; empty = as they say. */
  readonly hashPolicy: readonly HashPolicyModel[];
  readonly ignoreHealthOnHostRemoval: boolean;
  readonly closeConnectionsOnHostHealthFailure: boolean;
  readonly connectionPoolPerDownstreamConnection: boolean;
  /** Added to stats `upstream_rq_time` and friends: nothing, budgets or sizes. */
  readonly trackTimeoutBudgets: boolean;
  readonly trackRequestResponseSizes: boolean;
  /** Whether the `remaining_*` gauges of a priority exist. */
  readonly trackRemaining: { readonly default: boolean; readonly high: boolean };
  readonly metadata: MetadataModel;
}

/** `core.v3.BindConfig`: the local end of upstream connections. */
export interface BindModel {
  /** At most one of each family; the one of the upstream's family is used, otherwise the first. None: any address. */
  readonly sources: readonly {
    readonly address: string;
    /** 0 = any. */
    readonly port: number;
    readonly socketOptions: readonly SocketOptionModel[];
  }[];
  readonly freebind: boolean;
  /** Where there is no source. */
  readonly socketOptions: readonly SocketOptionModel[];
}

export type DiscoveryModel =
  | { readonly kind: 'static' }
  | {
      readonly kind: 'strict_dns' | 'logical_dns';
      readonly refreshMs: number;
      readonly failureRefreshBaseMs: number;
      readonly failureRefreshMaxMs: number;
      readonly respectTtl: boolean;
      readonly jitterMs: number;
      readonly family: 'auto' | 'v4_only' | 'v6_only' | 'v4_preferred' | 'all';
      readonly waitForWarm: boolean;
      /** `host:port` of resolvers; empty = the system's. */
      readonly resolvers: readonly string[];
    }
  | { readonly kind: 'eds'; readonly serviceName: string }
  | {
      readonly kind: 'original_dst';
      /** Lower-case name of the request header that names the host; empty = none does. */
      readonly headerName: string;
      /** Where dynamic metadata of the request names the host; `null` = nowhere. */
      readonly metadataKey: { readonly key: string; readonly path: readonly string[] } | null;
      /** 0 = the destination's own port. */
      readonly portOverride: number;
      readonly cleanupIntervalMs: number;
    };

export type LbPolicyModel =
  | { readonly kind: 'round_robin' }
  | { readonly kind: 'random' }
  | { readonly kind: 'least_request'; readonly choiceCount: number; readonly activeRequestBias: number }
  | { readonly kind: 'cluster_provided' }
  | HashLbPolicyModel;

/** Consistent hashing. */
export type HashLbPolicyModel = {
  /** Hosts are told apart by their names, not by their addresses. */
  readonly useHostname: boolean;
  /** A host has at most so many percent of its part of the requests under way; 0 = no bound. */
  readonly balancePercent: number;
  /** In place of what routes say; empty = as they say. */
  readonly hashPolicy: readonly HashPolicyModel[];
} & (
  | {
      readonly kind: 'ring_hash';
      readonly minRingSize: number;
      readonly maxRingSize: number;
      readonly hashFunction: 'xx' | 'murmur2';
    }
  | { readonly kind: 'maglev'; readonly tableSize: number }
);

export interface LocalityModel {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly priority: number;
  /** 0 = not weighted. */
  readonly weight: number;
  readonly endpoints: readonly EndpointModel[];
}

export interface EndpointModel {
  readonly address: AddressModel;
  readonly additionalAddresses: readonly AddressModel[];
  /** Configured name, for DNS clusters and `auto_host_rewrite`; empty = none. */
  readonly hostname: string;
  readonly health: 'healthy' | 'unhealthy' | 'degraded' | 'draining' | 'timeout' | 'unknown';
  /** At least 1. */
  readonly weight: number;
  readonly metadata: MetadataModel;
}

export interface BreakerModel {
  readonly maxConnections: number;
  /** `per_host_thresholds`. */
  readonly maxConnectionsPerHost: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  /** `Number.MAX_SAFE_INTEGER` = no limit. */
  readonly maxConnectionPools: number;
  /** In place of `maxRetries`; `null` = none. */
  readonly retryBudget: RetryBudgetModel | null;
}

/** How many retries may run at once: a share of requests, and some in any case. */
export interface RetryBudgetModel {
  readonly budgetPercent: number;
  /** The share is of the requests that began within so long; 0 = of those under way. */
  readonly intervalMs: number;
  readonly minRetryConcurrency: number;
}

export interface Http1ClientModel {
  readonly headerCase: HeaderCase;
  readonly enableTrailers: boolean;
  readonly allowChunkedLength: boolean;
  readonly acceptHttp10: boolean;
}

/** `core.v3.UpstreamHttpProtocolOptions`. */
export interface UpstreamHttpTlsModel {
  /** The server name is the request's authority (without port), unless the TLS context fixes one. */
  readonly autoSni: boolean;
  /** A header that is taken instead of the authority; lower case, empty = none. */
  readonly autoSniHeader: string;
  /** The certificate must hold the authority (or that header's value) as a DNS name. */
  readonly autoSanValidation: boolean;
}
