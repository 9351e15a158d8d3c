// What a route says about HTTP filters: `typed_per_filter_config` (Envoy: source/common/router/per_filter_config).

import { ConfigError } from '../../util/error.ts';
import { EXTENSION_ANSWERS, isLeftOut, isLeftOutAsOptional, missingImplementation } from '../fields/extensions.ts';
import type {
  HttpFilterModel,
  RouteFilterConfigModel,
  RouteFilterModel,
  RouteFiltersModel,
} from '../model/http-filter.ts';
import { routesOf } from '../model/matcher-actions.ts';
import type { RouteConfigModel } from '../model/route.ts';
import { unpackAny } from '../read/any.ts';
import { bool, type Msg, messageMap, str, sub } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import { lowerRouteBuffer } from './buffer.ts';
import type { LowerContext } from './common.ts';
import { EMPTY_CORS_POLICY, lowerCorsPolicy } from './cors.ts';
import { lowerFault } from './fault.ts';
import { lowerRouteHeaderMutation } from './header-mutation.ts';
import { lowerRouteHeaderToMetadata, lowerSetFilterState, lowerSetMetadata } from './metadata-filters.ts';

const FILTER_CONFIG = 'envoy.config.route.v3.FilterConfig';

const OFF: RouteFilterModel = { disabled: true, config: null };
const ON: RouteFilterModel = { disabled: false, config: null };

type LowerRouteConfig = (config: Msg, ctx: LowerContext, path: string) => RouteFilterConfigModel;

/** What filters understand per route, by the type of the configuration. */
const ROUTE_CONFIGS: ReadonlyMap<string, LowerRouteConfig> = new Map<string, LowerRouteConfig>([
  ['envoy.extensions.filters.http.buffer.v3.BufferPerRoute', lowerRouteBuffer],
  ['envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute', lowerRouteHeaderMutation],
  ['envoy.extensions.filters.http.header_to_metadata.v3.Config', lowerRouteHeaderToMetadata],
  ['envoy.extensions.filters.http.set_filter_state.v3.Config', lowerSetFilterState],
  ['envoy.extensions.filters.http.set_metadata.v3.Config', lowerSetMetadata],
  ['envoy.extensions.filters.http.cors.v3.CorsPolicy', (config, _ctx, path) => lowerCorsPolicy(config, path)],
  // Envoy takes the manager's type here too: a policy that says nothing.
  ['envoy.extensions.filters.http.cors.v3.Cors', () => EMPTY_CORS_POLICY],
  ['envoy.extensions.filters.http.fault.v3.HTTPFault', (config, _ctx, path) => lowerFault(config, path)],
]);

/** `typed_per_filter_config` of any level. */
export function lowerRouteFilters(message: Msg, ctx: LowerContext, path: string): RouteFiltersModel {
  const entries = Object.entries(messageMap(message, 'typedPerFilterConfig'));
  if (entries.length === 0) return null;
  const models: { [filter: string]: RouteFilterModel } = {};
  for (const [name, any] of entries) {
    models[name] = lowerEntry(name, any, ctx, `${path}.typed_per_filter_config["${name}"]`);
  }
  return models;
}

function lowerEntry(name: string, any: Msg, ctx: LowerContext, path: string): RouteFilterModel {
  if (str(any, 'typeUrl') === '') throw missingImplementation(name, '', path);
  const { message } = unpackAny(any, path);
  if (message.$typeName !== FILTER_CONFIG) return lowerOwn(name, message, false, ctx, path);
  if (bool(message, 'disabled')) return OFF;
  const config = sub(message, 'config');
  if (config === null) throw new ConfigError('Empty route/virtual host per filter configuration for a filter', path);
  if (str(config, 'typeUrl') === '') return ON;
  return lowerOwn(name, unpackAny(config, `${path}.config`).message, bool(message, 'isOptional'), ctx, path);
}

/** What is left out still turns its filter on, as in Envoy. */
function lowerOwn(name: string, config: Msg, optional: boolean, ctx: LowerContext, path: string): RouteFilterModel {
  const typeName = config.$typeName;
  const lower = ROUTE_CONFIGS.get(typeName);
  if (lower !== undefined) return { disabled: false, config: lower(config, ctx, path) };
  if (isLeftOut(typeName, ctx.options.skipTypes)) return ON;
  const known = EXTENSION_ANSWERS.has(typeName);
  if (known ? optional : isLeftOutAsOptional(typeName, { isOptional: optional })) return ON;
  if (!known) throw missingImplementation(name, typeName, path);
  throw new ConfigError(`The filter ${name} doesn't support virtual host or route specific configurations`, path);
}

/** A filter that is off may be of a type that there is not, as long as no route turns it on. */
export function checkTurnedOn(filters: readonly HttpFilterModel[], routes: RouteConfigModel, path: string): void {
  for (const [index, { name, disabled, config }] of filters.entries()) {
    if (!disabled || config.kind !== 'inert') continue;
    const typeName = typeNameOf(config.typeUrl);
    if (EXTENSION_ANSWERS.has(typeName)) continue;
    for (const level of levelsOf(routes)) {
      if (level?.[name]?.disabled === false) throw missingImplementation(name, typeName, `${path}[${index}]`);
    }
  }
}

function* levelsOf(routes: RouteConfigModel): Generator<RouteFiltersModel> {
  yield routes.filters;
  for (const host of routes.virtualHosts) {
    yield host.filters;
    for (const { filters, action } of routesOf(host)) {
      yield filters;
      if (action.kind !== 'route' || action.cluster.kind !== 'weighted') continue;
      for (const cluster of action.cluster.clusters) yield cluster.filters;
    }
  }
}
