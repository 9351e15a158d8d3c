// From the model of listener filters to the filters of one listener in one worker.

import type { ListenerFilterModel } from '../config/model/listener-filter.ts';
import type { StatsStore } from '../observe/stats.ts';
import { PASS } from './gate.ts';
import { HttpInspector } from './http-inspector.ts';
import { type GateEnv, LocalRateLimit } from './limits.ts';
import { CLOSE, compilePredicate, DONE, exceptFor, type ListenerFilter } from './listener-filter.ts';
import { OriginalDstFilter, OriginalSrcFilter } from './original-dst.ts';
import { ProxyProtocolFilter } from './proxy-protocol.ts';
import { TlsInspector } from './tls-inspector.ts';

/**
 * The filters in their order.
 * @param transparent whether the listener takes connections to foreign addresses
 */
export function compileListenerFilters(
  models: readonly ListenerFilterModel[],
  stats: StatsStore,
  transparent: boolean,
  gates: GateEnv,
): ListenerFilter[] {
  return models.map((model) => {
    const filter = createFilter(model, stats, transparent, gates);
    return model.disabled === null ? filter : exceptFor(compilePredicate(model.disabled), filter);
  });
}

function createFilter(
  model: ListenerFilterModel,
  stats: StatsStore,
  transparent: boolean,
  gates: GateEnv,
): ListenerFilter {
  switch (model.kind) {
    case 'tls_inspector':
      return new TlsInspector(model, stats);
    case 'http_inspector':
      return new HttpInspector(stats);
    case 'proxy_protocol':
      return new ProxyProtocolFilter(model, stats);
    case 'local_ratelimit':
      return rateLimited(new LocalRateLimit(model.config, gates, 'listener_local_ratelimit.'));
    case 'original_dst':
      return new OriginalDstFilter(transparent);
    case 'original_src':
      return new OriginalSrcFilter(model.bindPort, model.mark);
  }
}

/** A gate that stands before everything else; it looks at no bytes. */
function rateLimited(limit: LocalRateLimit): ListenerFilter {
  return { begin: () => (limit.admit() === PASS ? DONE : CLOSE), look: () => DONE };
}
