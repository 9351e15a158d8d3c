// What all connections of an HTTP connection manager share in one worker: its model compiled, its stats, its routes.

import type { HeaderMap } from '../codec/headers.ts';
import type { H1Options } from '../codec/http1.ts';
import type { H2Options } from '../codec/http2.ts';
import { http2Options } from '../codec/http2-options.ts';
import type { AccessLogModel } from '../config/model/access-log.ts';
import type { HttpConnectionManagerModel } from '../config/model/http.ts';
import type { RouteConfigModel } from '../config/model/route.ts';
import { type RuntimeKeys, runtimeInteger } from '../config/model/runtime.ts';
import { type FilterChain, FilterChains } from '../filter/compile.ts';
import type { FilterEnv, FilterStream, SharedCount } from '../filter/filter.ts';
import type { FilterRun } from '../filter/run.ts';
import { compileStringMatch } from '../match/string.ts';
import type { AccessLogger, AccessLogType } from '../observe/access-log.ts';
import {
  HTTP,
  HTTP_DOWNSTREAM_CX_OVERLOAD_DISABLE_KEEPALIVE,
  HTTP_DOWNSTREAM_RQ_1XX,
  HTTP_DOWNSTREAM_RQ_2XX,
  HTTP_DOWNSTREAM_RQ_ACTIVE,
  HTTP_DOWNSTREAM_RQ_COMPLETED,
  HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE,
  HTTP_TRACING,
  HTTP1_CODEC,
  LISTENER_HTTP,
  LISTENER_HTTP_DOWNSTREAM_RQ_1XX,
  LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED,
} from '../observe/catalogue-http.ts';
import { HTTP2_CODEC } from '../observe/catalogue-http2.ts';
import type { FindShedPoint, ShedPoint } from '../observe/shed-point.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { compileMutationSteps, type Mutate } from '../route/mutations.ts';
import type { FiltersOf, RouteRules, RouteTable } from '../route/route.ts';
import { compileRouteTable } from '../route/route-table.ts';
import { compileScopedRoutes } from '../route/scoped-routes.ts';
import { Router } from '../router/router.ts';
import type { ClusterManager } from '../upstream/upstream.ts';
import { DISABLE_KEEPALIVE, type OverloadState, STOP_REQUESTS } from '../util/overload.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import { type ClientCertRule, compileClientCert } from './client-cert.ts';
import { DispatchSheds } from './dispatch-sheds.ts';
import { compileForwardedIp, compileInternal } from './forwarded.ts';
import { HttpDate } from './http-date.ts';
import { compileLocalReply, type ReplyRewrite } from './reply-rewrite.ts';
import type { ResetLimits } from './reset-guard.ts';
import type { TimerScale } from './timer-scale.ts';

/** What a worker lends to its connection managers. */
export interface HttpEnv {
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly clusters: ClusterManager;
  /** Compiles access logs into one call; `null` when there are none. */
  accessLogger(models: readonly AccessLogModel[], type: AccessLogType): AccessLogger | null;
  readonly runtimeKeys: RuntimeKeys;
  /** See `FilterEnv`. */
  activeFaults(statPrefix: string): SharedCount;
  /** True while responses should tell their connections to close (listener drain, failed health check). */
  drainClose(direction: 'unspecified' | 'inbound' | 'outbound'): boolean;
  /** This host's address, for `x-forwarded-for` of loopback peers. */
  readonly localIp: string;
  readonly node: { readonly id: string; readonly cluster: string; readonly locality: { readonly zone: string } };
}

/** What a connection manager must know of its listener. */
export interface HttpListenerInfo {
  /** e.g. `listener.0.0.0.0_15006.` */
  readonly statPrefix: string;
  readonly trafficDirection: 'unspecified' | 'inbound' | 'outbound';
  readonly perConnectionBufferLimitBytes: number;
  /** `null` = there is no overload manager, or it has no say here. */
  readonly overload: OverloadState | null;
  /** `null` = time limits stay as they are. */
  readonly timerScale: TimerScale | null;
  /** Where load is shed of its connections. */
  readonly shedPoint: FindShedPoint;
}

/** See the head of this file. */
export class HttpManager {
  readonly model: HttpConnectionManagerModel;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly stats: Float64Array;
  readonly codecStats: Float64Array;
  readonly codecOptions: H1Options;
  /** Of connections without TLS. */
  readonly plainCodecOptions: H1Options;
  readonly http2Options: H2Options;
  readonly resetLimits: ResetLimits;
  readonly clock: HttpDate;
  readonly router: Router;
  readonly overload: OverloadState | null;
  readonly dispatchSheds: DispatchSheds | null;
  private readonly codecShed: ShedPoint | null;
  private readonly requestShed: ShedPoint | null;
  /** `null` = time limits stay as they are. */
  readonly timerScale: TimerScale | null;
  private readonly chains: FilterChains;
  routes: RouteTable;
  readonly bufferLimitBytes: number;
  readonly isInternal: (ip: string) => boolean;
  readonly forwardedIp: (remoteIp: string) => string;
  readonly clientCert: ClientCertRule;
  /** Done to a request before anything else is. */
  readonly mutateEarly: Mutate | null;
  readonly localReply: ReplyRewrite | null;
  readonly cxLength: Histogram;
  private readonly listenerStats: Float64Array;
  private readonly rqTime: Histogram;
  /** Written when a request's head is there; `null` unless `flush_access_log_on_new_request`. */
  readonly startLog: AccessLogger | null;
  /** Written every `access_log_flush_interval` while a stream lives; `null` without one. */
  readonly periodicLog: AccessLogger | null;
  /** Made with the first HTTP/2 connection, as in Envoy. */
  private http2Block: Float64Array | null;
  private readonly log: AccessLogger | null;
  private readonly env: HttpEnv;
  private readonly listener: HttpListenerInfo;
  private readonly upgrades: ReadonlyMap<string, boolean>;

  constructor(model: HttpConnectionManagerModel, env: HttpEnv, listener: HttpListenerInfo) {
    const prefix = `http.${model.statPrefix}.`;
    this.model = model;
    this.env = env;
    this.listener = listener;
    this.runtime = env.runtime;
    this.wheel = env.wheel;
    this.clock = new HttpDate();
    this.overload = listener.overload;
    this.timerScale = listener.timerScale;
    this.dispatchSheds = DispatchSheds.of(listener.shedPoint);
    this.codecShed = listener.shedPoint('hcm_ondata_creating_codec');
    this.requestShed = listener.shedPoint('http_connection_manager_decode_headers');
    this.stats = env.stats.block(HTTP, prefix);
    env.stats.block(HTTP_TRACING, `${prefix}tracing.`); // printed also when nothing is traced
    this.codecStats = env.stats.block(HTTP1_CODEC, 'http1.');
    this.listenerStats = env.stats.block(LISTENER_HTTP, `${listener.statPrefix}${prefix}`);
    this.rqTime = env.stats.histogram(`${prefix}downstream_rq_time`);
    this.cxLength = env.stats.histogram(`${prefix}downstream_cx_length_ms`);
    this.codecOptions = codecOptions(model);
    this.plainCodecOptions = { ...this.codecOptions, allowHttps: !model.useRemoteAddress };
    this.http2Options = http2Options(model.http2, {
      headerListBytesMax: model.maxRequestHeadersBytes,
      headersMax: model.maxHeadersCount,
      underscores: model.headersWithUnderscores,
      streamSendBufferBytes: Math.min(listener.perConnectionBufferLimitBytes, model.http2.initialStreamWindowBytes),
    });
    this.resetLimits = resetLimits(model, env);
    this.http2Block = null;
    this.log = env.accessLogger(model.accessLogs, 'DownstreamEnd');
    this.startLog = model.flushAccessLogOnNewRequest ? env.accessLogger(model.accessLogs, 'DownstreamStart') : null;
    this.periodicLog =
      model.accessLogFlushIntervalMs > 0 ? env.accessLogger(model.accessLogs, 'DownstreamPeriodic') : null;
    this.bufferLimitBytes = listener.perConnectionBufferLimitBytes;
    this.isInternal = compileInternal(model.internalAddresses);
    this.forwardedIp = compileForwardedIp(env.localIp);
    this.clientCert = compileClientCert(model);
    this.mutateEarly = compileMutationSteps(model.earlyMutations, 'request');
    this.localReply = compileLocalReply(model.localReply, env.runtimeKeys);
    this.upgrades = new Map(model.upgrades.map((upgrade) => [upgrade.type, upgrade.enabled]));
    this.chains = new FilterChains(model.httpFilters, filterEnv(env, prefix));
    const filter = model.httpFilters[model.httpFilters.length - 1];
    if (filter?.config.kind !== 'router') throw new Error('the last HTTP filter is not the router');
    this.router = new Router(filter.config, env, prefix, listener.shedPoint('http_downstream_filter_check'));
    this.routes = compileRoutes(model.routes, env, (levels) => this.chains.of(levels));
  }

  /** The idle limit of a connection now, milliseconds; 0 = none. */
  get idleMs(): number {
    const { idleTimeoutMs } = this.model;
    return this.timerScale === null ? idleTimeoutMs : this.timerScale.scaled('connection_idle', idleTimeoutMs);
  }

  /** The idle limit of a stream now. @param configuredMs 0 = none */
  streamIdleMs(configuredMs: number): number {
    return this.timerScale === null ? configuredMs : this.timerScale.scaled('stream_idle', configuredMs);
  }

  /** The filters that act on a request; `null` = none. */
  filtersOf({ route, target }: Pick<FilterStream, 'route' | 'target'>): FilterChain {
    if (route === null) return this.chains.base;
    // They come from `chains`.
    return (target ?? route).filters as FilterChain;
  }

  /** The filters that a request has not come to yet are those of its present route. */
  refilter(run: FilterRun, stream: FilterStream): void {
    const chain = this.filtersOf(stream);
    run.follow((from, last) => this.chains.rest(from, last, chain));
  }

  /** Asked once per request; counts one that is turned away. */
  shedsRequest(): boolean {
    const { overload } = this;
    if (overload === null) return false;
    if (this.requestShed?.sheds() !== true && !overload.applies(STOP_REQUESTS, this.runtime)) return false;
    this.count(HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE);
    return true;
  }

  /** Asked when a connection's first bytes come; counts one that is closed instead of served. */
  shedsConnection(): boolean {
    if (this.codecShed?.sheds() !== true) return false;
    this.count(HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE);
    return true;
  }

  /** Asked once per response, as long as the connection goes on. */
  drainClose(): boolean {
    if (this.overload?.applies(DISABLE_KEEPALIVE, this.runtime) === true) {
      this.count(HTTP_DOWNSTREAM_CX_OVERLOAD_DISABLE_KEEPALIVE);
      return true;
    }
    return this.env.drainClose(this.listener.trafficDirection);
  }

  count(index: number): void {
    this.stats[index] = (this.stats[index] as number) + 1;
  }

  uncount(index: number): void {
    this.stats[index] = (this.stats[index] as number) - 1;
  }

  /** Block of `HTTP2_CODEC`. */
  get http2Stats(): Float64Array {
    this.http2Block ??= this.env.stats.block(HTTP2_CODEC, 'http2.');
    return this.http2Block;
  }

  addHttp2(index: number, amount: number): void {
    const { http2Stats } = this;
    http2Stats[index] = (http2Stats[index] as number) + amount;
  }

  chargeStatus(status: number): void {
    const { stats, listenerStats } = this;
    stats[HTTP_DOWNSTREAM_RQ_COMPLETED] = (stats[HTTP_DOWNSTREAM_RQ_COMPLETED] as number) + 1;
    listenerStats[LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED] =
      (listenerStats[LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED] as number) + 1;
    const group = (status / 100) | 0;
    if (group < 1 || group > 5) return;
    const at = HTTP_DOWNSTREAM_RQ_2XX - 2 + group;
    stats[at] = (stats[at] as number) + 1;
    const listenerAt = LISTENER_HTTP_DOWNSTREAM_RQ_1XX - 1 + group;
    listenerStats[listenerAt] = (listenerStats[listenerAt] as number) + 1;
  }

  recordRequestTime(ms: number): void {
    this.rqTime.record(Math.floor(ms));
  }

  /** The stream's last word. */
  onStreamOver(info: StreamInfo): void {
    this.uncount(HTTP_DOWNSTREAM_RQ_ACTIVE);
    if (this.log !== null) this.log(info);
  }

  allowsUpgrade(token: string, route: RouteRules): boolean {
    return route.upgrades?.get(token) ?? this.upgrades.get(token) ?? false;
  }

  /** `add_user_agent`: who this proxy is, where the request does not say. */
  identifySelf(headers: HeaderMap): void {
    const { node } = this.env;
    const agent = headers.get('user-agent');
    if (agent === null || agent === '') headers.set('user-agent', node.cluster);
    headers.set('x-envoy-downstream-service-cluster', node.cluster);
    if (node.id !== '') headers.set('x-envoy-downstream-service-node', node.id);
  }
}

function filterEnv(env: HttpEnv, statPrefix: string): FilterEnv {
  const { stats, runtime, wheel, runtimeKeys } = env;
  return { stats, runtime, wheel, runtimeKeys, statPrefix, activeFaults: env.activeFaults(statPrefix) };
}

/** `HTTP_DOWNSTREAM_RQ_1XX` stands right before 2XX, which `chargeStatus` relies on. */
if (HTTP_DOWNSTREAM_RQ_1XX + 1 !== HTTP_DOWNSTREAM_RQ_2XX) throw new Error('catalogue order of response classes');

function codecOptions(model: HttpConnectionManagerModel): H1Options {
  const { http1 } = model;
  const ignored = http1.ignoreHttp11Upgrade.map((match) => compileStringMatch(match));
  return {
    limits: { headBytesMax: model.maxRequestHeadersBytes, headersMax: model.maxHeadersCount },
    allowChunkedLength: http1.allowChunkedLength,
    enableTrailers: http1.enableTrailers,
    acceptHttp10: http1.acceptHttp10,
    defaultHostForHttp10: http1.defaultHostForHttp10,
    allowAbsoluteUrl: http1.allowAbsoluteUrl,
    allowHttps: true,
    allowCustomMethods: http1.allowCustomMethods,
    preserveCase: http1.headerCase === 'preserve',
    underscores: model.headersWithUnderscores,
    ignoreUpgrade: ignored.length === 0 ? null : (token) => ignored.some((match) => match(token)),
  };
}

const PREMATURE_STREAMS = 500;
const PREMATURE_SECONDS = 1;

function resetLimits(model: HttpConnectionManagerModel, env: HttpEnv): ResetLimits {
  const { resetBurst, resetsPerSecond } = model.http2;
  const integer = (key: string, fallback: number): number => runtimeInteger(env.runtimeKeys, key, fallback);
  return {
    burst: resetBurst,
    perSecond: resetsPerSecond,
    streams: integer('overload.premature_reset_total_stream_count', PREMATURE_STREAMS),
    lifetimeSeconds: integer('overload.premature_reset_min_stream_lifetime_seconds', PREMATURE_SECONDS),
  };
}

function compileRoutes(routes: HttpConnectionManagerModel['routes'], env: HttpEnv, filtersOf: FiltersOf): RouteTable {
  if (routes.kind === 'scoped') return compileScopedRoutes(routes.config, env, filtersOf);
  return compileRouteTable(routes.kind === 'inline' ? routes.config : emptyRoutes(routes.name), env, filtersOf);
}

/** Until its RDS resource comes, a manager routes nothing. */
function emptyRoutes(name: string): RouteConfigModel {
  return {
    name,
    virtualHosts: [],
    headers: { requestAdd: [], requestRemove: [], responseAdd: [], responseRemove: [] },
    internalOnlyHeaders: [],
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    vhostHeader: '',
    ignorePathParametersInPathMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    metadata: {},
    filters: null,
  };
}
