// Lowers the HTTP connection manager (Envoy: extensions.filters.network.http_connection_manager.v3).

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { HttpConnectionManagerModel, ProxyStatusModel } from '../model/http.ts';
import type { HeaderMutationModel } from '../model/mirror.ts';
import type { RouteConfigModel, UpgradeModel } from '../model/route.ts';
import { type RuntimeKeys, runtimeInteger } from '../model/runtime.ts';
import { unpackAny } from '../read/any.ts';
import { bool, has, list, type Msg, num, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { lowerAccessLogs } from './access-log.ts';
import { asciiLower, type LowerContext, lowerCidr, wireString } from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerHttpFilters } from './http-filter.ts';
import { lowerHttp1Server } from './http1.ts';
import { lowerHttp2 } from './http2.ts';
import { lowerLocalReply } from './local-reply.ts';
import { lowerMutationSteps } from './mirror.ts';
import { lowerRouteConfig } from './route.ts';
import { CONNECT_UDP, NO_UDP } from './route-action.ts';
import { checkTurnedOn } from './route-filters.ts';
import { lowerScopedRoutes } from './scoped-routes.ts';

// Envoy's defaults
const MAX_REQUEST_HEADERS_KB = 60;
const MAX_HEADERS_COUNT = 100;
const IDLE_TIMEOUT_MS = 3_600_000;
const STREAM_IDLE_TIMEOUT_MS = 300_000;
const DRAIN_TIMEOUT_MS = 5_000;
const DELAYED_CLOSE_TIMEOUT_MS = 1_000;
const SERVER_NAME = 'envoy';

const EARLY_MUTATION = 'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation';
const UUID_REQUEST_ID = 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig';

const SERVER_HEADER = ['overwrite', 'append_if_absent', 'pass_through'] as const;
const UNDERSCORES = ['allow', 'reject_request', 'drop_header'] as const;
const RUNTIME = 'http_connection_manager.';
/** 0 is the implementation's own choice, which is to keep them. */
const ESCAPED_SLASHES = ['keep', 'keep', 'reject', 'unescape_and_redirect', 'unescape_and_forward'] as const;
const CLIENT_CERT = ['sanitize', 'forward_only', 'append_forward', 'sanitize_set', 'always_forward_only'] as const;

type Part<K extends keyof HttpConnectionManagerModel> = Pick<HttpConnectionManagerModel, K>;

/** `HttpConnectionManager`. */
export function lowerHttpConnectionManager(message: Msg, ctx: LowerContext, path: string): HttpConnectionManagerModel {
  const routes = lowerRoutes(message, ctx, path);
  const httpFilters = lowerHttpFilters(list(message, 'httpFilters'), ctx, `${path}.http_filters`);
  if (httpFilters.some(({ config }) => config.kind === 'fault'))
    ctx.faultScopes.add(`http.${str(message, 'statPrefix')}.`);
  for (const config of configsOf(routes)) checkTurnedOn(httpFilters, config, `${path}.http_filters`);
  return {
    statPrefix: str(message, 'statPrefix'),
    codec: lowerCodec(message, path),
    routes,
    httpFilters,
    ...lowerLogging(message, ctx, path),
    ...lowerLimits(message, path),
    ...lowerTimeouts(message, path),
    http1: lowerHttp1Server(sub(message, 'httpProtocolOptions'), `${path}.http_protocol_options`),
    http2: lowerHttp2(
      sub(message, 'http2ProtocolOptions'),
      has(message, 'streamErrorOnInvalidHttpMessage') ? bool(message, 'streamErrorOnInvalidHttpMessage') : null,
      `${path}.http2_protocol_options`,
    ),
    streamErrorOnInvalidHttpMessage: streamError(message),
    proxy100Continue: bool(message, 'proxy100Continue'),
    upgrades: lowerUpgrades(list(message, 'upgradeConfigs'), `${path}.upgrade_configs`),
    ...lowerServerHeaders(message),
    ...lowerForwardedFor(message, path),
    ...lowerRequestId(message, path),
    ...lowerClientCert(message),
    ...lowerPathAndHost(message, ctx.runtime, path),
    earlyMutations: lowerEarlyMutations(message, path),
    addUserAgent: bool(message, 'addUserAgent'),
    appendLocalOverload: bool(message, 'appendLocalOverload'),
    localReply: lowerLocalReply(sub(message, 'localReplyConfig'), ctx, `${path}.local_reply_config`),
    proxyStatus: lowerProxyStatus(sub(message, 'proxyStatusConfig'), lowerServerName(message), ctx),
  };
}

function lowerCodec(message: Msg, path: string): HttpConnectionManagerModel['codec'] {
  switch (num(message, 'codecType')) {
    case 0:
      return 'auto';
    case 1:
      return 'http1';
    case 2:
      return 'http2';
    default:
      throw new ConfigError('HTTP/3 codec configured on non-QUIC listener.', `${path}.codec_type`);
  }
}

function lowerRoutes(message: Msg, ctx: LowerContext, path: string): HttpConnectionManagerModel['routes'] {
  const specifier = oneof(message, 'routeSpecifier');
  switch (specifier?.case) {
    case 'routeConfig':
      return { kind: 'inline', config: lowerRouteConfig(specifier.value as Msg, ctx, `${path}.route_config`) };
    case 'rds':
      return { kind: 'rds', name: str(specifier.value as Msg, 'routeConfigName') };
    case 'scopedRoutes':
      return { kind: 'scoped', config: lowerScopedRoutes(specifier.value as Msg, ctx, `${path}.scoped_routes`) };
    default:
      throw new ConfigError('route_specifier is required', path);
  }
}

function configsOf(routes: HttpConnectionManagerModel['routes']): readonly RouteConfigModel[] {
  switch (routes.kind) {
    case 'inline':
      return [routes.config];
    case 'scoped':
      return routes.config.scopes.map((scope) => scope.config);
    case 'rds':
      return [];
  }
}

/** One extension after the other, as one list. */
function lowerEarlyMutations(message: Msg, path: string): readonly HeaderMutationModel[] {
  return list(message, 'earlyHeaderMutationExtensions').flatMap((extension, index) => {
    const at = `${path}.early_header_mutation_extensions[${index}]`;
    const any = sub(extension, 'typedConfig');
    const config = any === null ? null : unpackAny(any, `${at}.typed_config`).message;
    const typeName = config?.$typeName ?? '';
    if (config === null || typeName !== EARLY_MUTATION)
      throw missingImplementation(str(extension, 'name'), typeName, at);
    return lowerMutationSteps(list(config, 'mutations'), `${at}.typed_config.mutations`);
  });
}

/** `access_log_options` is the newer place of two fields. */
function lowerLogging(
  message: Msg,
  ctx: LowerContext,
  path: string,
): Part<'accessLogs' | 'flushAccessLogOnNewRequest' | 'accessLogFlushIntervalMs'> {
  const options = sub(message, 'accessLogOptions');
  if (options !== null && has(message, 'accessLogFlushInterval')) {
    throw new ConfigError('Only one of access_log_flush_interval or access_log_options can be specified.', path);
  }
  if (options !== null && bool(message, 'flushAccessLogOnNewRequest')) {
    throw new ConfigError('Only one of flush_access_log_on_new_request or access_log_options can be specified.', path);
  }
  const from = options ?? message;
  const at = options === null ? path : `${path}.access_log_options`;
  return {
    accessLogs: lowerAccessLogs(list(message, 'accessLog'), ctx, `${path}.access_log`),
    flushAccessLogOnNewRequest: bool(from, 'flushAccessLogOnNewRequest'),
    accessLogFlushIntervalMs: wholeMs(from, 'accessLogFlushInterval', 0, at),
  };
}

function lowerLimits(
  message: Msg,
  path: string,
): Part<'maxRequestHeadersBytes' | 'maxHeadersCount' | 'headersWithUnderscores' | 'maxRequestsPerConnection'> {
  const common = sub(message, 'commonHttpProtocolOptions');
  if (common !== null && has(common, 'maxResponseHeadersKb')) {
    throw new ConfigError('Error: max_response_headers_kb cannot be set on http_connection_manager.', path);
  }
  return {
    maxRequestHeadersBytes: num(message, 'maxRequestHeadersKb', MAX_REQUEST_HEADERS_KB) * 1024,
    maxHeadersCount: common === null ? MAX_HEADERS_COUNT : num(common, 'maxHeadersCount', MAX_HEADERS_COUNT),
    headersWithUnderscores: UNDERSCORES[common === null ? 0 : num(common, 'headersWithUnderscoresAction')] ?? 'allow',
    maxRequestsPerConnection: common === null ? 0 : num(common, 'maxRequestsPerConnection'),
  };
}

function lowerTimeouts(
  message: Msg,
  path: string,
): Part<
  | 'idleTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'http1SafeMaxConnectionDuration'
  | 'maxStreamDurationMs'
  | 'streamIdleTimeoutMs'
  | 'streamFlushTimeoutMs'
  | 'requestTimeoutMs'
  | 'requestHeadersTimeoutMs'
  | 'drainTimeoutMs'
  | 'delayedCloseTimeoutMs'
> {
  const common = sub(message, 'commonHttpProtocolOptions');
  const at = `${path}.common_http_protocol_options`;
  const streamIdleTimeoutMs = wholeMs(message, 'streamIdleTimeout', STREAM_IDLE_TIMEOUT_MS, path);
  return {
    idleTimeoutMs: common === null ? IDLE_TIMEOUT_MS : wholeMs(common, 'idleTimeout', IDLE_TIMEOUT_MS, at),
    maxConnectionDurationMs: common === null ? 0 : wholeMs(common, 'maxConnectionDuration', 0, at),
    http1SafeMaxConnectionDuration: bool(message, 'http1SafeMaxConnectionDuration'),
    maxStreamDurationMs: common === null ? 0 : wholeMs(common, 'maxStreamDuration', 0, at),
    streamIdleTimeoutMs,
    streamFlushTimeoutMs: wholeMs(message, 'streamFlushTimeout', streamIdleTimeoutMs, path),
    requestTimeoutMs: wholeMs(message, 'requestTimeout', 0, path),
    requestHeadersTimeoutMs: wholeMs(message, 'requestHeadersTimeout', 0, path),
    drainTimeoutMs: wholeMs(message, 'drainTimeout', DRAIN_TIMEOUT_MS, path),
    delayedCloseTimeoutMs: wholeMs(message, 'delayedCloseTimeout', DELAYED_CLOSE_TIMEOUT_MS, path),
  };
}

/** HTTP/1's own switch wins over the manager's. */
function streamError(message: Msg): boolean {
  const http1 = sub(message, 'httpProtocolOptions');
  const general = bool(message, 'streamErrorOnInvalidHttpMessage');
  return http1 === null ? general : bool(http1, 'overrideStreamErrorOnInvalidHttpMessage', general);
}

function lowerUpgrades(configs: readonly Msg[], path: string): readonly UpgradeModel[] {
  const seen = new Set<string>();
  return configs.map((config, index) => {
    const written = str(config, 'upgradeType');
    const type = asciiLower(written);
    if (seen.has(type)) {
      throw new ConfigError(`Error: multiple upgrade configs with the same name: '${written}'`, `${path}[${index}]`);
    }
    seen.add(type);
    if (type === CONNECT_UDP) throw new ConfigError(NO_UDP, `${path}[${index}]`);
    return { type, enabled: bool(config, 'enabled', true), connect: null };
  });
}

function lowerServerHeaders(
  message: Msg,
): Part<'serverName' | 'serverHeader' | 'schemeToOverwrite' | 'matchUpstreamScheme' | 'via'> {
  const scheme = sub(message, 'schemeHeaderTransformation');
  const overwrite = scheme === null ? null : oneofCase<string>(scheme, 'transformation', 'schemeToOverwrite');
  return {
    serverName: lowerServerName(message),
    serverHeader: SERVER_HEADER[num(message, 'serverHeaderTransformation')] ?? 'overwrite',
    schemeToOverwrite: overwrite === 'http' || overwrite === 'https' ? overwrite : '',
    matchUpstreamScheme: scheme !== null && bool(scheme, 'matchUpstream'),
    via: wireString(str(message, 'via')),
  };
}

function lowerServerName(message: Msg): string {
  return wireString(str(message, 'serverName')) || SERVER_NAME;
}

function lowerForwardedFor(
  message: Msg,
  path: string,
): Part<'useRemoteAddress' | 'xffNumTrustedHops' | 'skipXffAppend' | 'appendXForwardedPort' | 'internalAddresses'> {
  const internal = sub(message, 'internalAddressConfig');
  const at = `${path}.internal_address_config.cidr_ranges`;
  return {
    useRemoteAddress: bool(message, 'useRemoteAddress'),
    xffNumTrustedHops: num(message, 'xffNumTrustedHops'),
    skipXffAppend: bool(message, 'skipXffAppend'),
    appendXForwardedPort: bool(message, 'appendXForwardedPort'),
    internalAddresses: {
      unixSockets: internal !== null && bool(internal, 'unixSockets'),
      cidrs:
        internal === null
          ? []
          : list(internal, 'cidrRanges').map((range, index) => lowerCidr(range, `${at}[${index}]`)),
    },
  };
}

function lowerRequestId(
  message: Msg,
  path: string,
): Part<
  | 'generateRequestId'
  | 'preserveExternalRequestId'
  | 'alwaysSetRequestIdInResponse'
  | 'packTraceReason'
  | 'useRequestIdForTraceSampling'
> {
  const extension = sub(message, 'requestIdExtension');
  const any = extension === null ? null : sub(extension, 'typedConfig');
  const uuid = any === null ? null : unpackAny(any, `${path}.request_id_extension.typed_config`).message;
  if (uuid !== null && uuid.$typeName !== UUID_REQUEST_ID) {
    throw new ConfigError(
      `Didn't find a registered implementation for type: '${uuid.$typeName}'`,
      `${path}.request_id_extension`,
    );
  }
  return {
    generateRequestId: bool(message, 'generateRequestId', true),
    preserveExternalRequestId: bool(message, 'preserveExternalRequestId'),
    alwaysSetRequestIdInResponse: bool(message, 'alwaysSetRequestIdInResponse'),
    packTraceReason: uuid === null || bool(uuid, 'packTraceReason', true),
    useRequestIdForTraceSampling: uuid === null || bool(uuid, 'useRequestIdForTraceSampling', true),
  };
}

function lowerClientCert(message: Msg): Part<'forwardClientCert' | 'setCurrentClientCert'> {
  const details = sub(message, 'setCurrentClientCertDetails');
  return {
    forwardClientCert: CLIENT_CERT[num(message, 'forwardClientCertDetails')] ?? 'sanitize',
    setCurrentClientCert: {
      subject: details !== null && bool(details, 'subject'),
      cert: details !== null && bool(details, 'cert'),
      chain: details !== null && bool(details, 'chain'),
      dns: details !== null && bool(details, 'dns'),
      uri: details !== null && bool(details, 'uri'),
      issuer: details !== null && bool(details, 'issuer'),
    },
  };
}

function lowerPathAndHost(
  message: Msg,
  runtime: RuntimeKeys,
  path: string,
): Part<'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripHostPort' | 'stripTrailingHostDot'> {
  const matching = bool(message, 'stripMatchingHostPort');
  const any = oneofCase<boolean>(message, 'stripPortMode', 'stripAnyHostPort') === true;
  if (matching && any) {
    throw new ConfigError('Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.', path);
  }
  return {
    normalizePath: bool(message, 'normalizePath', runtimeInteger(runtime, `${RUNTIME}normalize_path`, 0) >= 100),
    mergeSlashes: bool(message, 'mergeSlashes'),
    escapedSlashes: lowerEscapedSlashes(num(message, 'pathWithEscapedSlashesAction'), runtime),
    stripHostPort: any ? 'any' : matching ? 'matching' : 'no',
    stripTrailingHostDot: bool(message, 'stripTrailingHostDot'),
  };
}

/** @param action 0 = as the runtime says, which may also turn off all of it */
function lowerEscapedSlashes(action: number, runtime: RuntimeKeys): HttpConnectionManagerModel['escapedSlashes'] {
  const key = `${RUNTIME}path_with_escaped_slashes_action`;
  if (runtimeInteger(runtime, `${key}_enabled`, 100) === 0) return 'keep';
  return ESCAPED_SLASHES[action === 0 ? runtimeInteger(runtime, key, 0) : action] ?? 'keep';
}

function lowerProxyStatus(message: Msg | null, serverName: string, ctx: LowerContext): ProxyStatusModel | null {
  if (message === null) return null;
  const name = oneof(message, 'proxyName');
  return {
    removeDetails: bool(message, 'removeDetails'),
    removeConnectionTerminationDetails: bool(message, 'removeConnectionTerminationDetails'),
    removeResponseFlags: bool(message, 'removeResponseFlags'),
    setRecommendedResponseCode: bool(message, 'setRecommendedResponseCode'),
    proxyName: proxyName(name?.case, name?.value, serverName, ctx),
  };
}

/** Envoy names itself as its `server` header does unless it is told otherwise. */
function proxyName(kind: string | undefined, value: unknown, serverName: string, ctx: LowerContext): string {
  if (kind === 'literalProxyName' && value !== '') return wireString(value as string);
  if (kind === 'useNodeId' && value === true) return wireString(ctx.nodeId);
  return serverName;
}
