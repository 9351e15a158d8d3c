// The HTTP pools of one cluster and priority: one a host and protocol, each made at its first request.

import { H1_OPTIONS, type H1Options } from '../codec/http1.ts';
import type { H2Options } from '../codec/http2.ts';
import { http2Options } from '../codec/http2-options.ts';
import type { ClusterModel } from '../config/model/cluster.ts';
import type { DialNames } from '../net/dial.ts';
import { CLUSTER_HTTP1_CATALOGUE } from '../observe/catalogue-cluster.ts';
import { HTTP2_CODEC } from '../observe/catalogue-http2.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { ConnectionContext } from './account.ts';
import { AutoPool } from './auto-pool.ts';
import type { Host } from './host.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import type { HttpPool, PoolBase } from './pool.ts';
import type { PickContext } from './upstream.ts';

/** See the head of this file. */
export class HttpPools {
  private readonly http1Context: ConnectionContext;
  private readonly http2Context: ConnectionContext;
  private readonly stats: StatsStore;
  private readonly http1Options: H1Options;
  private readonly http2Options: H2Options;
  /** Every request goes over HTTP/2; or those do that came over it. */
  private readonly alwaysHttp2: boolean;
  private readonly followsDownstream: boolean;
  /** Where ALPN decides. */
  private readonly autoContext: ConnectionContext | null;
  /** Also the pools whose protocol ALPN decides. */
  private readonly http1: Map<Host, HttpPool>;
  private readonly http2: Map<Host, HttpPool>;
  private draining: boolean;

  /** @param names what connections want of their hosts; the protocols are added here */
  constructor(context: ConnectionContext, stats: StatsStore, names: DialNames) {
    const { model } = context;
    this.http1Context = { ...context, names: { ...names, alpn: ['http/1.1'] } };
    this.http2Context = { ...context, names: { ...names, alpn: ['h2'] } };
    this.stats = stats;
    this.http1Options = http1OptionsOf(model);
    this.http2Options = http2OptionsOf(model);
    this.alwaysHttp2 = model.protocol === 'http2';
    this.followsDownstream = model.protocol === 'downstream';
    this.autoContext = model.protocol === 'auto' ? { ...context, names: { ...names, alpn: ['h2', 'http/1.1'] } } : null;
    this.http1 = new Map();
    this.http2 = new Map();
    this.draining = false;
  }

  /** The pool for a request to the host. */
  of(host: Host, request: PickContext): HttpPool {
    return this.alwaysHttp2 || (this.followsDownstream && request.info?.protocol === 'HTTP/2')
      ? (this.http2.get(host) ?? this.addHttp2(host))
      : (this.http1.get(host) ?? this.addHttp1(host));
  }

  /** What runs or waits is finished; no connection is kept for later. */
  drain(): void {
    this.draining = true;
    for (const pools of [this.http1, this.http2]) for (const pool of pools.values()) pool.drain();
  }

  /** Closes everything now. */
  close(): void {
    for (const pools of [this.http1, this.http2]) for (const pool of pools.values()) pool.close();
  }

  /** The host is gone: its pools finish what they have. */
  drop(host: Host): void {
    for (const pools of [this.http1, this.http2]) {
      pools.get(host)?.drain();
      pools.delete(host);
    }
  }

  private addHttp1(host: Host): HttpPool {
    const { autoContext } = this;
    if (autoContext === null) return this.add(this.http1, host, this.makeHttp1(host, null));
    const make = {
      http1: (before: PoolBase) => this.makeHttp1(host, before),
      http2: (before: PoolBase) => this.makeHttp2(host, before),
    };
    return this.add(this.http1, host, new AutoPool(autoContext, host, make));
  }

  private addHttp2(host: Host): HttpPool {
    return this.add(this.http2, host, this.makeHttp2(host, null));
  }

  private makeHttp1(host: Host, before: PoolBase | null): Http1Pool {
    // Envoy prints the codec's counters of a cluster from its first connection on.
    this.stats.block(CLUSTER_HTTP1_CATALOGUE, `cluster.${this.http1Context.model.statName}.http1.`);
    return new Http1Pool(this.http1Context, host, this.http1Options, before);
  }

  private makeHttp2(host: Host, before: PoolBase | null): Http2Pool {
    const codecStats = this.stats.block(HTTP2_CODEC, `cluster.${this.http2Context.model.statName}.http2.`);
    return new Http2Pool(this.http2Context, host, this.http2Options, codecStats, before);
  }

  private add(pools: Map<Host, HttpPool>, host: Host, pool: HttpPool): HttpPool {
    pools.set(host, pool);
    if (this.draining) pool.drain();
    return pool;
  }
}

function http1OptionsOf(model: ClusterModel): H1Options {
  return {
    ...H1_OPTIONS,
    limits: { headBytesMax: model.maxResponseHeadersBytes, headersMax: model.maxResponseHeadersCount },
    allowChunkedLength: model.http1.allowChunkedLength,
    enableTrailers: model.http1.enableTrailers,
    acceptHttp10: true,
    preserveCase: model.http1.headerCase === 'preserve',
  };
}

function http2OptionsOf(model: ClusterModel): H2Options {
  return http2Options(model.http2, {
    headerListBytesMax: model.maxResponseHeadersBytes,
    headersMax: model.maxResponseHeadersCount,
    underscores: 'allow',
    streamSendBufferBytes: model.perConnectionBufferLimitBytes,
  });
}
