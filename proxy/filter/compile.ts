// The registry of HTTP filters: model → compiled filter. The only list of what there is.

import type { HttpFilterModel } from '../config/model-http.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { HttpFilter } from './filter.ts';
import { compileGrpcBridge } from './grpc-http1-bridge.ts';
import { compileGrpcStats } from './grpc-stats.ts';
import { compileGrpcWeb } from './grpc-web.ts';

/** @returns the acting filters in configured order; `null` when there are none */
export function compileFilters(models: readonly HttpFilterModel[], stats: StatsStore): readonly HttpFilter[] | null {
  const filters = models.map((model) => compileFilter(model, stats)).filter((filter) => filter !== null);
  return filters.length === 0 ? null : filters;
}

function compileFilter(model: HttpFilterModel, stats: StatsStore): HttpFilter | null {
  switch (model.kind) {
    case 'router':
    case 'inert':
      return null;
    case 'grpc_stats':
      return compileGrpcStats(model.name, model.config, stats);
    case 'grpc_web':
      return compileGrpcWeb(model.name, stats);
    case 'grpc_http1_bridge':
      return compileGrpcBridge(model.name, model.config);
  }
}
