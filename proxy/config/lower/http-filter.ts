// Lowers the HTTP filter chain. The last filter is the router; filters that do nothing by their configuration stay as
// inert entries, and what would act but is not supported is refused by name.

import { ConfigError } from '../../util/error.ts';
import { factoryName, isLeftOut, isLeftOutAsOptional, missingImplementation } from '../fields/extensions.ts';
import type { HttpFilterConfigModel, HttpFilterModel, RouterModel } from '../model/http-filter.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, oneofCase, str, strings } from '../schema/message.ts';
import { lowerAccessLogs } from './access-log.ts';
import { lowerBuffer } from './buffer.ts';
import type { LowerContext } from './common.ts';
import { lowerFault } from './fault.ts';
import { lowerGrpcBridge, lowerGrpcStats } from './grpc-filters.ts';
import { lowerHeaderMutation } from './header-mutation.ts';
import { lowerHeaderToMetadata, lowerSetFilterState, lowerSetMetadata } from './metadata-filters.ts';

const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';

/** Filters that act, by the type of their configuration. */
const FILTERS: ReadonlyMap<string, (config: Msg, ctx: LowerContext, path: string) => HttpFilterConfigModel> = new Map<
  string,
  (config: Msg, ctx: LowerContext, path: string) => HttpFilterConfigModel
>([
  ['envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', lowerGrpcStats],
  ['envoy.extensions.filters.http.cors.v3.Cors', (): HttpFilterConfigModel => ({ kind: 'cors' })],
  ['envoy.extensions.filters.http.fault.v3.HTTPFault', (config, _ctx, path) => lowerFault(config, path)],
  ['envoy.extensions.filters.http.grpc_web.v3.GrpcWeb', (): HttpFilterConfigModel => ({ kind: 'grpc_web' })],
  ['envoy.extensions.filters.http.grpc_http1_bridge.v3.Config', lowerGrpcBridge],
  ['envoy.extensions.filters.http.buffer.v3.Buffer', lowerBuffer],
  ['envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', lowerHeaderMutation],
  ['envoy.extensions.filters.http.header_to_metadata.v3.Config', lowerHeaderToMetadata],
  ['envoy.extensions.filters.http.set_metadata.v3.Config', lowerSetMetadata],
  ['envoy.extensions.filters.http.set_filter_state.v3.Config', lowerSetFilterState],
]);

export function lowerHttpFilters(filters: readonly Msg[], ctx: LowerContext, path: string): readonly HttpFilterModel[] {
  // Envoy takes an empty chain and then leaves every request without an answer
  if (filters.length === 0) throw new ConfigError('the last filter must be the router; the list is empty', path);
  const models: HttpFilterModel[] = [];
  for (const [index, filter] of filters.entries()) {
    const at = `${path}[${index}]`;
    const model = ctx.attempt(() => lowerHttpFilter(filter, index === filters.length - 1, ctx, at));
    if (model !== null) models.push(model);
  }
  return models;
}

function lowerHttpFilter(message: Msg, last: boolean, ctx: LowerContext, path: string): HttpFilterModel {
  const name = str(message, 'name');
  const any = oneofCase(message, 'configType', 'typedConfig');
  if (any === null) throw missingImplementation(name, '', path);
  const { typeUrl, message: config } = unpackAny(any, `${path}.typed_config`);
  const typeName = config.$typeName;
  const terminal = typeName === ROUTER;
  const disabled = bool(message, 'disabled');
  if (terminal !== last) {
    const which = `${terminal ? 'terminal' : 'non-terminal'} filter named ${name} of type ${factoryName(typeName)}`;
    const what = terminal ? 'must be the last filter' : 'is the last filter';
    throw new ConfigError(`Error: ${which} ${what} in a http filter chain.`, path);
  }
  if (terminal) {
    if (disabled) {
      throw new ConfigError(
        `Error: the last (terminal) filter (${name}) in the chain cannot be disabled by default.`,
        path,
      );
    }
    return { name, disabled, config: lowerRouter(config, ctx, `${path}.typed_config`) };
  }
  const lower = FILTERS.get(typeName);
  if (lower !== undefined) return { name, disabled, config: lower(config, ctx, `${path}.typed_config`) };
  const idle =
    isLeftOut(typeName, ctx.options.skipTypes) ||
    isLeftOutAsOptional(typeName, { isOptional: bool(message, 'isOptional') });
  if (idle || disabled) return { name, disabled, config: { kind: 'inert', typeUrl } };
  throw missingImplementation(name, typeName, path);
}

function lowerRouter(message: Msg, ctx: LowerContext, path: string): RouterModel {
  return {
    kind: 'router',
    dynamicStats: bool(message, 'dynamicStats', true),
    suppressEnvoyHeaders: bool(message, 'suppressEnvoyHeaders'),
    respectExpectedRqTimeout: bool(message, 'respectExpectedRqTimeout'),
    suppressGrpcRequestFailureCodeStats: bool(message, 'suppressGrpcRequestFailureCodeStats'),
    strictCheckHeaders: strings(message, 'strictCheckHeaders').map((header) => header.toLowerCase()),
    upstreamLogs: lowerAccessLogs(list(message, 'upstreamLog'), ctx, `${path}.upstream_log`),
  };
}
