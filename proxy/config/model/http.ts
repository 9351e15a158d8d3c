// The model of the HTTP connection manager (Envoy: extensions.filters.network.http_connection_manager.v3).

import type { AccessLogModel, LogFilterModel } from './access-log.ts';
import type { CidrModel, StringMatchModel } from './common.ts';
import type { HeaderAddModel, HeaderCase } from './headers.ts';
import type { HttpFilterModel } from './http-filter.ts';
import type { Http2Model } from './http2.ts';
import type { HeaderMutationModel } from './mirror.ts';
import type { BodyFormatModel, RouteConfigModel, UpgradeModel } from './route.ts';
import type { ScopedRoutesModel } from './scoped-routes.ts';

export interface HttpConnectionManagerModel {
  readonly statPrefix: string;
  readonly codec: 'auto' | 'http1' | 'http2';
  /** Inline configuration, several by scope, or the name of an RDS resource. */
  readonly routes:
    | { readonly kind: 'inline'; readonly config: RouteConfigModel }
    | { readonly kind: 'scoped'; readonly config: ScopedRoutesModel }
    | { readonly kind: 'rds'; readonly name: string };
  /** The last one is the router. */
  readonly httpFilters: readonly HttpFilterModel[];
  readonly accessLogs: readonly AccessLogModel[];
  readonly flushAccessLogOnNewRequest: boolean;
  readonly accessLogFlushIntervalMs: number;

  // Downstream protocol
  readonly http1: Http1ServerModel;
  readonly http2: Http2Model;
  readonly maxRequestHeadersBytes: number;
  readonly maxHeadersCount: number;
  readonly headersWithUnderscores: 'allow' | 'reject_request' | 'drop_header';
  readonly maxRequestsPerConnection: number;
  /** Downstream connection without streams; default one hour, 0 = never. */
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  /** A connection that is too old ends with its next response, not before. */
  readonly http1SafeMaxConnectionDuration: boolean;
  readonly maxStreamDurationMs: number;
  readonly streamIdleTimeoutMs: number;
  readonly streamFlushTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly delayedCloseTimeoutMs: number;
  /** `stream_error_on_invalid_http_message` for HTTP/1: keep the connection after a 400. */
  readonly streamErrorOnInvalidHttpMessage: boolean;
  readonly proxy100Continue: boolean;
  /** Lower-case upgrade types switched on for the manager (routes may override). */
  readonly upgrades: readonly UpgradeModel[];

  // Identity of the sender, and what the upstream is told
  readonly serverName: string;
  readonly serverHeader: 'overwrite' | 'append_if_absent' | 'pass_through';
  readonly schemeToOverwrite: '' | 'http' | 'https';
  readonly matchUpstreamScheme: boolean;
  readonly via: string;
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly appendXForwardedPort: boolean;
  readonly internalAddresses: { readonly unixSockets: boolean; readonly cidrs: readonly CidrModel[] };
  /** Done to a request before anything else is; empty = nothing. */
  readonly earlyMutations: readonly HeaderMutationModel[];
  readonly addUserAgent: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly packTraceReason: boolean;
  readonly useRequestIdForTraceSampling: boolean;
  readonly appendLocalOverload: boolean;
  readonly forwardClientCert: 'sanitize' | 'forward_only' | 'append_forward' | 'sanitize_set' | 'always_forward_only';
  readonly setCurrentClientCert: {
    readonly subject: boolean;
    readonly cert: boolean;
    readonly chain: boolean;
    readonly dns: boolean;
    readonly uri: boolean;
    readonly issuer: boolean;
  };

  // Path and host
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape_and_redirect' | 'unescape_and_forward';
  readonly stripHostPort: 'no' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;

  readonly localReply: LocalReplyModel;
  readonly proxyStatus: ProxyStatusModel | null;
}

export interface Http1ServerModel {
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly enableTrailers: boolean;
  readonly allowAbsoluteUrl: boolean;
  readonly allowChunkedLength: boolean;
  /** How response header names are written. */
  readonly headerCase: HeaderCase;
  readonly sendFullyQualifiedUrl: boolean;
  readonly allowCustomMethods: boolean;
  /** Upgrade tokens that are taken out of a request instead of refused. */
  readonly ignoreHttp11Upgrade: readonly StringMatchModel[];
}

export interface ProxyStatusModel {
  readonly removeDetails: boolean;
  readonly removeConnectionTerminationDetails: boolean;
  readonly removeResponseFlags: boolean;
  readonly setRecommendedResponseCode: boolean;
  readonly proxyName: string;
}

export interface LocalReplyModel {
  readonly mappers: readonly {
    readonly filter: LogFilterModel;
    /** 0 = keep. */
    readonly statusCode: number;
    /** `null` = keep. */
    readonly body: string | null;
    readonly bodyFormat: BodyFormatModel | null;
    readonly headersToAdd: readonly HeaderAddModel[];
  }[];
  readonly bodyFormat: BodyFormatModel | null;
}

// === Routes ===
