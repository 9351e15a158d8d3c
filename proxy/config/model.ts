// The configuration model: what `lower` makes of Envoy's messages and all that the data plane ever sees.
//
// Rule 1: plain structured-cloneable data; no functions, classes or protobuf messages.
// Rule 2: nothing optional is left undecided. Defaults are applied in `lower`; absence is `null`, never `undefined`.
// Rule 3: durations are milliseconds (0 = disabled unless said otherwise), sizes are bytes, one-ofs are tagged unions.
// Rule 4: strings that are compared with or written to the wire are latin1 images of their UTF-8 bytes
//         (heads are read as latin1).

import type { AccessLogModel } from './model-access-log.ts';
import type { ClusterModel } from './model-cluster.ts';
import type { HashPolicyModel } from './model-hash.ts';
import type { HeaderAddModel, HttpConnectionManagerModel } from './model-http.ts';
import type { ListenerFilterModel } from './model-listener-filter.ts';
import type { MatcherModel } from './model-matcher.ts';
import type { SetConnectionStateModel } from './model-metadata-filter.ts';
import type { OverloadModel } from './model-overload.ts';
import type { DownstreamTransportModel, TlvModel } from './model-tls.ts';

/** `envoy.config.core.v3.Address`: a TCP or UDP socket, a Unix socket path (`@name` = abstract) or an internal listener. */
export type AddressModel =
  | {
      readonly kind: 'socket';
      readonly protocol: 'tcp' | 'udp';
      /** Literal IP, or a host name where DNS clusters allow one. */
      readonly address: string;
      readonly port: number;
      /** `ipv4_compat`: an IPv6 socket also takes IPv4. */
      readonly ipv4Compat: boolean;
    }
  | { readonly kind: 'pipe'; readonly path: string /** 0 = leave as created. */; readonly mode: number }
  | { readonly kind: 'internal'; readonly listenerName: string; readonly endpointId: string };

/** An address range; `address` is a literal IP. */
export interface CidrModel {
  readonly address: string;
  readonly prefixLength: number;
}

/** `core.v3.Metadata.filter_metadata`: namespace → struct as JSON. */
export type MetadataModel = { readonly [namespace: string]: JsonObject };
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export type JsonObject = { readonly [key: string]: JsonValue };

/** `type.v3.FractionalPercent` under an optional runtime key; `numerator / denominator` is the share. */
export interface FractionModel {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
  /** Empty when not runtime-controlled. */
  readonly runtimeKey: string;
}

export interface TcpKeepaliveModel {
  /** Unanswered probes before the connection is dropped; 0 = the kernel's default. */
  readonly probes: number;
  /** Idle time before the first probe, seconds; 0 = the kernel's default. */
  readonly timeSeconds: number;
  /** Between probes, seconds; 0 = the kernel's default. */
  readonly intervalSeconds: number;
}

export interface SocketOptionModel {
  readonly description: string;
  readonly level: number;
  readonly name: number;
  /** Base64 when `buffer`, otherwise an integer. */
  readonly value:
    | { readonly kind: 'int'; readonly value: number }
    | { readonly kind: 'bytes'; readonly base64: string };
  readonly state: 'prebind' | 'bound' | 'listening';
}

// === Listener ===

export interface ListenerModel {
  /** Never empty: an unnamed listener is given its address, as Envoy's stats and dumps do. */
  readonly name: string;
  readonly address: AddressModel;
  readonly additionalAddresses: readonly {
    readonly address: AddressModel;
    readonly socketOptions: readonly SocketOptionModel[];
  }[];
  /** Overrides the address part of `listener.<address>.` stats; empty = the address. */
  readonly statPrefix: string;
  readonly bindToPort: boolean;
  readonly enableReusePort: boolean;
  readonly exactBalance: boolean;
  /** 0 = the kernel's maximum (`net.core.somaxconn`). */
  readonly tcpBacklogSize: number;
  /** Per-listener runtime limit `envoy.resource_limits.listener.<name>.connection_limit`; 0 = none. */
  readonly maxConnections: number;
  readonly perConnectionBufferLimitBytes: number;
  readonly trafficDirection: 'unspecified' | 'inbound' | 'outbound';
  readonly useOriginalDst: boolean;
  readonly transparent: boolean;
  readonly freebind: boolean;
  readonly socketOptions: readonly SocketOptionModel[];
  readonly tcpKeepalive: TcpKeepaliveModel | null;
  readonly drainModifyOnly: boolean;
  readonly ignoreGlobalConnLimit: boolean;
  /** The overload manager has no say. */
  readonly bypassOverloadManager: boolean;
  /** In order; each looks at a connection before its chain is chosen. */
  readonly listenerFilters: readonly ListenerFilterModel[];
  /** For all filters together; 0 = they wait for ever. */
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  /**
   * Where filters wait for ever: after so long without a byte from the client its chain is chosen by what is known, so
   * that the server can speak first; 0 = never.
   */
  readonly serverFirstMs: number;
  readonly maxConnectionsPerSocketEvent: number;
  /** Filters of all chains that are not terminal: what they share is numbered. */
  readonly gates: number;
  readonly filterChains: readonly FilterChainModel[];
  readonly defaultFilterChain: FilterChainModel | null;
  /** Chooses by name instead of the chains' own matches; `null` = none. */
  readonly chainMatcher: MatcherModel<string> | null;
  readonly accessLogs: readonly AccessLogModel[];
  readonly metadata: MetadataModel;
}

/** `listener.v3.FilterChainMatch`; an empty list or `null` means the criterion is not set. */
export interface FilterChainMatchModel {
  readonly destinationPort: number | null;
  readonly prefixRanges: readonly CidrModel[];
  /** Lower case; `*.suffix` allowed. */
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly directSourcePrefixRanges: readonly CidrModel[];
  readonly sourceType: 'any' | 'same_ip_or_loopback' | 'external';
  readonly sourcePrefixRanges: readonly CidrModel[];
  readonly sourcePorts: readonly number[];
}

export interface FilterChainModel {
  readonly name: string;
  readonly match: FilterChainMatchModel;
  /** How clients speak below the filters. */
  readonly transport: DownstreamTransportModel;
  /** Until the handshake is done; 0 = no limit. */
  readonly transportSocketConnectTimeoutMs: number;
  readonly metadata: MetadataModel;
  /** The last one is terminal: `lower` refuses anything else. None: connections are closed at once. */
  readonly filters: readonly NetworkFilterModel[];
}

export type NetworkFilterModel =
  | { readonly kind: 'http_connection_manager'; readonly config: HttpConnectionManagerModel }
  | { readonly kind: 'tcp_proxy'; readonly config: TcpProxyModel }
  | { readonly kind: 'echo' }
  /** `body` is a latin1 image. */
  | { readonly kind: 'direct_response'; readonly body: string }
  // Not terminal: they let a connection pass or not.
  | { readonly kind: 'connection_limit'; readonly config: ConnectionLimitModel }
  | { readonly kind: 'local_ratelimit'; readonly config: LocalRateLimitModel }
  | { readonly kind: 'sni_cluster' }
  | SetConnectionStateModel;

/** `RuntimeFeatureFlag`. */
export interface RuntimeFlagModel {
  readonly defaultValue: boolean;
  /** Empty = not runtime-controlled. */
  readonly runtimeKey: string;
}

export interface ConnectionLimitModel {
  readonly statPrefix: string;
  readonly maxConnections: number;
  /** How long a refused connection is kept before it is closed. */
  readonly delayMs: number;
  readonly enabled: RuntimeFlagModel;
}

export interface LocalRateLimitModel {
  readonly statPrefix: string;
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
  /** Filters with the same key share a bucket; empty = its own. */
  readonly shareKey: string;
  readonly enabled: RuntimeFlagModel;
}

export interface TcpProxyModel {
  readonly statPrefix: string;
  /** Never empty; each connection draws one by weight. The sum of the weights is at least 1. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  /** 0 = never. Default one hour. */
  readonly idleTimeoutMs: number;
  readonly maxConnectAttempts: number;
  /** At most one. */
  readonly hashPolicy: readonly HashPolicyModel[];
  /** Between attempts; `null` = they follow each other at once. Milliseconds, doubled each time. */
  readonly backoff: { readonly baseMs: number; readonly maxMs: number } | null;
  /** The upstream is asked for when the client has sent something. */
  readonly connectsOnData: boolean;
  /** What is read before the upstream is there; −1 = nothing. */
  readonly maxEarlyDataBytes: number;
  /** Values for PROXY headers towards hosts, which pass what their clusters let pass. */
  readonly tlvs: readonly TlvModel[];
  /** How they go with those of a PROXY header that came in: not at all, in place of equal types, behind them. */
  readonly tlvMerge: 'if_absent' | 'overwrite' | 'append';
  /** While draining, connections that carry something are closed. */
  readonly checkDrainClose: boolean;
  /** Bytes travel in an HTTP tunnel; `null` = on a connection of their own. */
  readonly tunnel: TunnelModel | null;
  readonly maxDownstreamConnectionDurationMs: number;
  /** At most so many percent longer, by chance. */
  readonly maxDurationJitterPercent: number;
  /** A record each so many ms while a connection lives; 0 = none. */
  readonly accessLogFlushIntervalMs: number;
  /** A record when the connection is there. */
  readonly flushAccessLogOnStart: boolean;
  /** A record when the upstream is connected. */
  readonly flushAccessLogOnConnected: boolean;
  readonly accessLogs: readonly AccessLogModel[];
}

/** `TcpProxy.TunnelingConfig`. */
export interface TunnelModel {
  /** Format of the authority. */
  readonly hostname: string;
  /** POST instead of CONNECT. */
  readonly usePost: boolean;
  readonly postPath: string;
  readonly headersToAdd: readonly HeaderAddModel[];
  /** What is answered is kept in the filter state. */
  readonly propagateResponseHeaders: boolean;
  readonly propagateResponseTrailers: boolean;
}

// === Whole configuration ===

export interface NodeModel {
  readonly id: string;
  readonly cluster: string;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  readonly metadata: JsonObject;
}

export interface AdminModel {
  readonly address: AddressModel;
  readonly accessLogs: readonly AccessLogModel[];
  readonly ignoreGlobalConnLimit: boolean;
}

export interface StatsTagModel {
  readonly name: string;
  /** One of: an RE2 pattern (group 1 removed from the name, group 2 or 1 is the value), or a fixed value. */
  readonly rule:
    | { readonly kind: 'regex'; readonly pattern: string }
    | { readonly kind: 'fixed'; readonly value: string };
}

export interface StatsConfigModel {
  readonly useAllDefaultTags: boolean;
  readonly tags: readonly StatsTagModel[];
  /** Which names are kept. */
  readonly matcher:
    | { readonly kind: 'all' }
    | { readonly kind: 'none' }
    | { readonly kind: 'include' | 'exclude'; readonly patterns: readonly StringMatchModel[] };
  readonly histogramBuckets: readonly { readonly match: StringMatchModel; readonly buckets: readonly number[] }[];
}

/** `type.matcher.v3.StringMatcher`. With `ignoreCase`, `value` is already lower case. A regex matches in full (RE2 meaning). */
export interface StringMatchModel {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex';
  readonly value: string;
  readonly ignoreCase: boolean;
}

/** The whole of a static configuration, or the state after the last accepted dynamic update. */
export interface Model {
  readonly node: NodeModel;
  readonly admin: AdminModel | null;
  readonly stats: StatsConfigModel;
  readonly statsFlushIntervalMs: number;
  /** Static runtime layers merged, later layers winning: dotted key → value. */
  readonly runtime: { readonly [key: string]: string | number | boolean };
  /** Prefixes of stats (`http.ingress.`) of the connection managers that may inject faults: workers count them together. */
  readonly faultScopes: readonly string[];
  readonly runtimeLayers: readonly {
    readonly name: string;
    readonly values: { readonly [key: string]: string | number | boolean };
  }[];
  /** Process-wide limit on downstream connections; 0 = none. */
  readonly maxDownstreamConnections: number;
  /** `null` = there is no overload manager. */
  readonly overload: OverloadModel | null;
  /** e.g. `x-envoy`. */
  readonly headerPrefix: string;
  readonly listeners: readonly ListenerModel[];
  readonly clusters: readonly ClusterModel[];
  /** `application_log_config.log_format`: how the process writes its own log; `null` = by the command line. */
  readonly logFormat:
    | { readonly kind: 'text'; readonly format: string }
    | { readonly kind: 'json'; readonly format: JsonObject }
    | null;
  /** Cluster-manager defaults: local cluster's name, empty when none. */
  readonly localClusterName: string;
  /** Where ejections and returns of hosts are logged; empty = nowhere. */
  readonly outlierLogPath: string;
  /** Of one direction of a connection to an internal listener. */
  readonly internalBufferBytes: number;
}
