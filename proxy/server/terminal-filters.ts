// The terminal filters of one worker's filter chains: makes each with what it may know of its listener, and passes on what
// the overload manager wants of their connections.

import type { HttpConnectionManagerModel } from '../config/model/http.ts';
import type { NetworkFilterModel, TcpProxyModel } from '../config/model/listener.ts';
import { HttpConnections } from '../http/connections.ts';
import { type LoadedStream, resetLoaded } from '../http/loaded-streams.ts';
import { type HttpEnv, HttpManager } from '../http/manager.ts';
import type { TimerScale } from '../http/timer-scale.ts';
import { DirectFilter } from '../listener/direct.ts';
import type { FilterPlace, NetworkFilter } from '../listener/network-filter.ts';
import { TcpProxy } from '../listener/tcp-proxy.ts';
import type { TcpLogs } from '../listener/tcp-session.ts';
import { OVERLOAD_RESET, OVERLOAD_RESET_COUNT } from '../observe/catalogue-server.ts';
import type { FindShedPoint } from '../observe/shed-point.ts';
import type { OverloadState } from '../util/overload.ts';

/** See the head of this file. */
export class TerminalFilters {
  private readonly env: HttpEnv;
  private readonly overload: OverloadState | null;
  private readonly timerScale: TimerScale | null;
  private readonly shedPoint: FindShedPoint;
  private readonly http: HttpConnections[];

  /**
   * @param overload `null` = there is no overload manager
   * @param timerScale `null` = time limits stay as they are
   */
  constructor(env: HttpEnv, overload: OverloadState | null, timerScale: TimerScale | null, shedPoint: FindShedPoint) {
    this.env = env;
    this.overload = overload;
    this.timerScale = timerScale;
    this.shedPoint = shedPoint;
    this.http = [];
  }

  create(filter: NetworkFilterModel, place: FilterPlace): NetworkFilter {
    switch (filter.kind) {
      case 'http_connection_manager':
        return this.createHttp(filter.config, place);
      case 'tcp_proxy':
        return this.createTcp(filter.config, place);
      case 'echo':
        return new DirectFilter(null);
      case 'direct_response':
        return new DirectFilter(Buffer.from(filter.body, 'latin1'));
      default:
        throw new Error(`${filter.kind} is not terminal and last`);
    }
  }

  /** Time limits are other ones now. */
  rescale(): void {
    for (const connections of this.http) connections.rescale();
  }

  /**
   * Ends and counts streams that hold much memory.
   * @param pressure above 0, up to 1
   * @param leastBytes of the lightest stream that may go
   */
  resetStreams(pressure: number, leastBytes: number): void {
    const loaded: LoadedStream[] = [];
    for (const connections of this.http) connections.collectLoaded(leastBytes, loaded);
    const counts = this.env.stats.block(OVERLOAD_RESET, 'envoy.overload_actions.reset_high_memory_stream.');
    (counts[OVERLOAD_RESET_COUNT] as number) += resetLoaded(loaded, pressure, leastBytes);
  }

  private createHttp(model: HttpConnectionManagerModel, place: FilterPlace): HttpConnections {
    const manager = new HttpManager(model, this.env, {
      statPrefix: place.listenerStatPrefix,
      trafficDirection: place.direction,
      perConnectionBufferLimitBytes: place.bufferLimitBytes,
      overload: place.bypassesOverload ? null : this.overload,
      // As in Envoy, no listener is spared shorter time limits.
      timerScale: this.timerScale,
      shedPoint: place.bypassesOverload ? () => null : this.shedPoint,
    });
    const connections = new HttpConnections(manager);
    this.http.push(connections);
    return connections;
  }

  private createTcp(model: TcpProxyModel, place: FilterPlace): TcpProxy {
    const { stats, runtime, wheel, clusters } = this.env;
    const env = {
      stats,
      runtime,
      wheel,
      clusters,
      drainClose: () => this.env.drainClose(place.direction),
      shedConnect: place.bypassesOverload ? null : this.shedPoint('tcp_proxy_upstream_connect'),
      shedData: place.bypassesOverload ? null : this.shedPoint('tcp_proxy_on_data'),
    };
    return new TcpProxy(model, env, tcpLogs(model, this.env));
  }
}

function tcpLogs(model: TcpProxyModel, { accessLogger }: HttpEnv): TcpLogs {
  const { accessLogs, accessLogFlushIntervalMs } = model;
  return {
    end: accessLogger(accessLogs, 'TcpConnectionEnd'),
    start: model.flushAccessLogOnStart ? accessLogger(accessLogs, 'TcpConnectionStart') : null,
    connected: model.flushAccessLogOnConnected ? accessLogger(accessLogs, 'TcpUpstreamConnected') : null,
    periodic: accessLogFlushIntervalMs > 0 ? accessLogger(accessLogs, 'TcpPeriodic') : null,
  };
}
