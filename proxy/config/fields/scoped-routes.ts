// Answers for routes by scope (Envoy: ScopedRoutes of the HTTP connection manager, config.route.v3).

import { type FieldTable, fields, harmless, honoured, rejected } from './answer.ts';

const TEST = 'lower-scoped-routes';
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3';

export const SCOPED_ROUTES_FIELDS: FieldTable = {
  [`${HCM}.ScopedRoutes`]: fields(
    honoured(TEST, 'scope_key_builder scoped_route_configurations_list'),
    harmless('a name for /config_dump', 'http_connection_manager.proto', 'name'),
    rejected('route discovery is not supported yet; scopes hold their route_configuration', 'rds_config_source'),
    rejected(
      'scoped route discovery is not supported yet; write the scopes into scoped_route_configurations_list',
      'scoped_rds',
    ),
  ),
  [`${HCM}.ScopedRoutes.ScopeKeyBuilder`]: fields(honoured(TEST, 'fragments')),
  [`${HCM}.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder`]: fields(honoured(TEST, 'header_value_extractor')),
  [`${HCM}.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor`]: fields(
    honoured(TEST, 'name element_separator index element'),
  ),
  [`${HCM}.ScopedRoutes.ScopeKeyBuilder.FragmentBuilder.HeaderValueExtractor.KvElement`]: fields(
    honoured(TEST, 'separator key'),
  ),
  [`${HCM}.ScopedRouteConfigurationsList`]: fields(honoured(TEST, 'scoped_route_configurations')),
  'envoy.config.route.v3.ScopedRouteConfiguration': fields(
    honoured(TEST, 'name key route_configuration'),
    harmless('routes that are written inline are there from the start', 'scoped_route.proto', 'on_demand'),
    rejected(
      'Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.',
      'route_configuration_name',
    ),
  ),
  'envoy.config.route.v3.ScopedRouteConfiguration.Key': fields(honoured(TEST, 'fragments')),
  'envoy.config.route.v3.ScopedRouteConfiguration.Key.Fragment': fields(honoured(TEST, 'string_key')),
};
