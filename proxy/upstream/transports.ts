// What lies between a cluster and its hosts' sockets: TLS or nothing, chosen by host metadata
// (Envoy: `transport_socket`, `transport_socket_matches`).

import type { ClusterModel } from '../config/model/cluster.ts';
import type { MetadataModel } from '../config/model/common.ts';
import type { TlvModel, TransportMatchModel, UpstreamTlsModel, UpstreamTransportModel } from '../config/model/tls.ts';
import type { DialLayer, DialTarget } from '../net/dial.ts';
import { type AddedTlvs, ProxyProtocolLayer } from '../net/proxy-client.ts';
import { UpstreamTls } from '../net/tls-client.ts';
import type { TlsFailure } from '../net/tls-failure.ts';
import { stateCertificateEnds } from '../net/tls-options.ts';
import type { TlsEnv } from '../net/tls-server.ts';
import { logger } from '../observe/log.ts';
import type { StatsStore } from '../observe/stats.ts';
import { TlsStats } from '../observe/tls-stats.ts';
import type { Runtime } from '../util/runtime.ts';
import { formatAddress } from './host.ts';
import { compileTlvs, infoOfUpstream } from './tlv-values.ts';

/** Key of endpoint metadata that is matched against. */
const MATCH_METADATA = 'envoy.transport_socket_match';
/** What Envoy calls `transport_socket` where hosts are counted. */
const DEFAULT_MATCH = 'default';
/** Lines about refused hosts, at most one a cluster in so many milliseconds. */
const WARNING_INTERVAL_MS = 1_000;

/** What transports need of their worker. */
export interface TransportsEnv {
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  readonly tls: TlsEnv;
  /** The worker that states what all know alike. */
  readonly isFirstWorker: boolean;
}

/** See the head of this file. */
export class ClusterTransports {
  private readonly model: ClusterModel;
  private readonly env: TransportsEnv;
  private readonly prefix: string;
  private readonly fallback: DialLayer | null;
  private readonly matches: readonly { readonly model: TransportMatchModel; readonly layer: DialLayer | null }[];
  /** By the ids of their contexts. */
  private readonly contexts: Map<string, { readonly layer: UpstreamTls; readonly counts: TlsStats }>;
  /** Some host is told whose connection it gets. */
  readonly namesClient: boolean;
  private warnedMs: number;

  constructor(model: ClusterModel, env: TransportsEnv) {
    this.model = model;
    this.env = env;
    this.prefix = `cluster.${model.statName}.`;
    this.contexts = new Map();
    this.warnedMs = Number.NEGATIVE_INFINITY;
    this.namesClient = [model.transport, ...model.transportMatches.map(({ transport }) => transport)].some(namesClient);
    this.fallback = this.compile(model.transport);
    this.matches = model.transportMatches.map((match) => ({ model: match, layer: this.compile(match.transport) }));
    for (const { name } of [{ name: DEFAULT_MATCH }, ...model.transportMatches])
      if (env.isFirstWorker) env.stats.cell(this.nameOf(name), 'c');
  }

  /** The layer for a host. @param count a host that is new: matches are counted once */
  layerOf(metadata: MetadataModel, count: boolean): DialLayer | null {
    const facts = metadata[MATCH_METADATA];
    for (const { model, layer } of this.matches) {
      const holds = Object.entries(model.match).every(([key, value]) => facts?.[key] === value);
      if (!holds) continue;
      if (count) this.count(model.name);
      return layer;
    }
    if (count) this.count(DEFAULT_MATCH);
    return this.fallback;
  }

  /** New secrets of a context; of another cluster's: nothing happens. */
  replaceTls(context: UpstreamTlsModel): void {
    const known = this.contexts.get(context.id);
    if (known === undefined) return;
    known.layer.replace(context);
    if (this.env.isFirstWorker) stateCertificateEnds(context, known.counts);
  }

  /** Every worker has the same hosts. */
  private count(match: string): void {
    if (this.env.isFirstWorker) (this.env.stats.cell(this.nameOf(match), 'c')[0] as number)++;
  }

  private nameOf(match: string): string {
    return `${this.prefix}${match}.total_match_count`;
  }

  private compile(model: UpstreamTransportModel): DialLayer | null {
    switch (model.kind) {
      case 'raw':
        return null;
      case 'tls': {
        const { env, prefix } = this;
        const counts = new TlsStats(env.stats, prefix, 'client');
        if (env.isFirstWorker) stateCertificateEnds(model.tls, counts);
        const onRefused = (target: DialTarget, why: TlsFailure): void => this.warn(target, why);
        const layer = new UpstreamTls(model.tls, { tls: env.tls, counts, onRefused });
        this.contexts.set(model.tls.id, { layer, counts });
        return layer;
      }
      // What it passes on is the target's: see `DialTarget.metadata`.
      case 'internal':
        return this.compile(model.inner);
      case 'proxy_protocol':
        return new ProxyProtocolLayer(model, this.compile(model.inner), this.addedTlvs(model.addedTlvs));
    }
  }

  private addedTlvs(models: readonly TlvModel[]): AddedTlvs {
    const { fixed, render } = compileTlvs(models);
    if (render === null) return { fixed, made: null };
    const { runtime } = this.env;
    const made: AddedTlvs['made'] = (socket, target) =>
      render(infoOfUpstream(socket, target, runtime)).filter(({ value }) => value.length > 0);
    return { fixed, made };
  }

  private warn(target: DialTarget, failure: TlsFailure): void {
    const nowMs = this.env.runtime.nowMs();
    const text = `cluster ${this.model.name}: host ${formatAddress(target.address)} refused: `;
    if (failure.names === '' || nowMs - this.warnedMs < WARNING_INTERVAL_MS) {
      logger('connection').debug(text + failure.text);
      return;
    }
    this.warnedMs = nowMs;
    logger('connection').warning(text + failure.names);
  }
}

function namesClient(model: UpstreamTransportModel): boolean {
  switch (model.kind) {
    case 'proxy_protocol':
      return true;
    case 'internal':
      return namesClient(model.inner);
    default:
      return false;
  }
}
