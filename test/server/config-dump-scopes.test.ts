// `/config_dump` of routes by scope, as Envoy prints it.

import t from 'tap';
import type { JsonObject } from '../../proxy/config/model/common.ts';
import { dumpSections } from '../../proxy/server/config-dump.ts';

const TYPE = 'type.googleapis.com/';
const MANAGER = `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const SCOPE = `${TYPE}envoy.config.route.v3.ScopedRouteConfiguration`;

function scope(name: string): JsonObject {
  return { name, key: { fragments: [{ string_key: name }] }, route_configuration: { name: `routes ${name}` } };
}

const scopes = [scope('b'), scope('a')];
const scoped_routes = {
  name: 'scopes',
  scoped_route_configurations_list: { scoped_route_configurations: scopes },
};
const manager = (fields: JsonObject): JsonObject => ({ typed_config: { '@type': MANAGER, ...fields } });
const filters = [manager({ scoped_routes }), manager({ route_config: { name: 'plain' } })];
const bootstrap = { static_resources: { listeners: [{ name: 'l', filter_chains: [{ filters }] }] } };

function dumped(section: string, named: ((name: string) => boolean) | null): JsonObject | undefined {
  const sections = dumpSections({ bootstrap, loadedAt: 'then', clusters: [] }, false, named);
  return sections.find((one) => one['@type'] === `${TYPE}envoy.admin.v3.${section}`);
}

t.test('scopes in their order', async (t) => {
  t.same(dumped('ScopedRoutesConfigDump', null)?.['inline_scoped_route_configs'], [
    {
      name: 'scopes',
      scoped_route_configs: scopes.map((one) => ({ '@type': SCOPE, ...one })),
      last_updated: 'then',
    },
  ]);
});

t.test('routes of scopes are no static routes', async (t) => {
  t.match(dumped('RoutesConfigDump', null)?.['static_route_configs'], [{ route_config: { name: 'plain' } }]);
  t.equal((dumped('RoutesConfigDump', null)?.['static_route_configs'] as JsonObject[] | undefined)?.length, 1);
});

t.test('scopes are chosen by their names, what holds them is always there', async (t) => {
  const chosen = dumped('ScopedRoutesConfigDump', (name) => name === 'a')?.['inline_scoped_route_configs'];
  t.same(chosen, [{ name: 'scopes', scoped_route_configs: [{ '@type': SCOPE, ...scopes[1] }], last_updated: 'then' }]);
  const none = dumped('ScopedRoutesConfigDump', () => false)?.['inline_scoped_route_configs'];
  t.same(none, [{ name: 'scopes', last_updated: 'then' }]);
});
