// What a route says about HTTP filters: `typed_per_filter_config`.

import { unpackAny } from './any.ts';
import { bool, type Msg, messageMap } from './message.ts';
import type { RouteFiltersModel } from './model-http.ts';

const FILTER_CONFIG = 'envoy.config.route.v3.FilterConfig';

/** `typed_per_filter_config` of any level. Types whose filters do nothing say nothing here either. */
export function lowerRouteFilters(message: Msg, path: string): RouteFiltersModel {
  const entries = Object.entries(messageMap(message, 'typedPerFilterConfig'));
  if (entries.length === 0) return null;
  return Object.fromEntries(
    entries.map(([name, any]) => {
      const config = unpackAny(any, `${path}.typed_per_filter_config[${name}]`).message;
      return [name, { disabled: config.$typeName === FILTER_CONFIG && bool(config, 'disabled') }];
    }),
  );
}
