// The model of listeners and of the network filters in their chains (Envoy: config.listener.v3).

import type { AccessLogModel } from './access-log.ts';
import type {
  AddressModel,
  CidrModel,
  LocalRateLimitModel,
  MetadataModel,
  RuntimeFlagModel,
  SocketOptionModel,
  TcpKeepaliveModel,
} from './common.ts';
import type { HashPolicyModel } from './hash.ts';
import type { HeaderAddModel } from './headers.ts';
import type { HttpConnectionManagerModel } from './http.ts';
import type { ListenerFilterModel } from './listener-filter.ts';
import type { MatcherModel } from './matcher.ts';
import type { SetConnectionStateModel } from './metadata-filter.ts';
import type { DownstreamTransportModel, TlvModel } from './tls.ts';

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

export interface ConnectionLimitModel {
  readonly statPrefix: string;
  readonly maxConnections: number;
  /** How long a refused connection is kept before it is closed. */
  readonly delayMs: number;
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
