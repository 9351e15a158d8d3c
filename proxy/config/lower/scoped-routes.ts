// Lowers scoped routes (Envoy: ScopedRoutes of the HTTP connection manager, config.route.v3.ScopedRouteConfiguration).

import { ConfigError } from '../../util/error.ts';
import type { RouteScopeModel, ScopedRoutesModel, ScopeKeyPartModel } from '../model/scoped-routes.ts';
import { list, type Msg, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { asciiLower, type LowerContext, wireString } from './common.ts';
import { lowerRouteConfig } from './route.ts';

/** `ScopedRoutes`; scopes are those that are written inline. @throws ConfigError with Envoy's words */
export function lowerScopedRoutes(message: Msg, ctx: LowerContext, path: string): ScopedRoutesModel {
  const inline = oneofCase(message, 'configSpecifier', 'scopedRouteConfigurationsList');
  if (inline === null) {
    throw new ConfigError('scoped route discovery is not supported; write the scopes inline', `${path}.scoped_rds`);
  }
  const builder = sub(message, 'scopeKeyBuilder');
  const at = `${path}.scoped_route_configurations_list.scoped_route_configurations`;
  return {
    keyBuilder: (builder === null ? [] : list(builder, 'fragments')).map((part, index) =>
      lowerKeyPart(part, `${path}.scope_key_builder.fragments[${index}]`),
    ),
    scopes: list(inline, 'scopedRouteConfigurations').map((scope, index) => lowerScope(scope, ctx, `${at}[${index}]`)),
  };
}

function lowerKeyPart(message: Msg, path: string): ScopeKeyPartModel {
  const extractor = oneofCase(message, 'type', 'headerValueExtractor');
  if (extractor === null) throw new ConfigError('header_value_extractor is required', path);
  return {
    header: asciiLower(wireString(str(extractor, 'name'))),
    elementSeparator: wireString(str(extractor, 'elementSeparator')),
    extract: lowerExtract(extractor, `${path}.header_value_extractor`),
  };
}

function lowerExtract(extractor: Msg, path: string): ScopeKeyPartModel['extract'] {
  const chosen = oneof(extractor, 'extractType');
  switch (chosen?.case) {
    case 'index': {
      const index = chosen.value as number;
      if (index > 0 && str(extractor, 'elementSeparator') === '') {
        throw new ConfigError('Index > 0 for empty string element separator.', path);
      }
      return { kind: 'index', index };
    }
    case 'element': {
      const element = chosen.value as Msg;
      const [separator, key] = [wireString(str(element, 'separator')), wireString(str(element, 'key'))];
      return { kind: 'element', separator, key };
    }
    default:
      throw new ConfigError('HeaderValueExtractor extract_type not set.', path);
  }
}

function lowerScope(message: Msg, ctx: LowerContext, path: string): RouteScopeModel {
  if (str(message, 'routeConfigurationName') !== '') {
    throw new ConfigError(
      'Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.',
      path,
    );
  }
  const config = sub(message, 'routeConfiguration');
  if (config === null) {
    throw new ConfigError('You must specify a route_configuration with inline scoped routes.', path);
  }
  const key = sub(message, 'key');
  return {
    name: str(message, 'name'),
    key: (key === null ? [] : list(key, 'fragments')).map((part) =>
      wireString(oneofCase<string>(part, 'type', 'stringKey') ?? ''),
    ),
    config: lowerRouteConfig(config, ctx, `${path}.route_configuration`),
  };
}
