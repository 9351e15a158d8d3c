// The TLS contexts of a model, wherever they stand: what is replaced when files are, and what `/certs` shows.

import { nodeCrypto } from '../../util/builtin.ts';
import type { Model } from './model.ts';
import type { DownstreamTlsModel, TlsCommonModel, UpstreamTlsModel, UpstreamTransportModel } from './tls.ts';

export type TlsContextModel = DownstreamTlsModel | UpstreamTlsModel;

export function tlsContexts(model: Pick<Model, 'listeners' | 'clusters'>): TlsContextModel[] {
  const contexts: TlsContextModel[] = [];
  for (const { filterChains, defaultFilterChain } of model.listeners)
    for (const chain of defaultFilterChain === null ? filterChains : [...filterChains, defaultFilterChain])
      if (chain.transport.kind === 'tls') contexts.push(chain.transport.tls);
  for (const { transport, transportMatches } of model.clusters)
    for (const one of [transport, ...transportMatches.map((match) => match.transport)]) {
      const context = upstreamContext(one);
      if (context !== null) contexts.push(context);
    }
  return contexts;
}

/** The context of a transport, inside others or not. */
export function upstreamContext(transport: UpstreamTransportModel): UpstreamTlsModel | null {
  switch (transport.kind) {
    case 'raw':
      return null;
    case 'tls':
      return transport.tls;
    default:
      return upstreamContext(transport.inner);
  }
}

/** Digest of all that a context's files say: another one means that they were replaced. */
export function secretsHash(context: TlsCommonModel): string {
  return nodeCrypto().createHash('sha256').update(JSON.stringify(context)).digest('base64');
}
