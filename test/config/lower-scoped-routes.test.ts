// Routes by scope: the parts of keys, scopes, and what Envoy refuses.

import t from 'tap';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import type { HttpConnectionManagerModel } from '../../proxy/config/model/http.ts';
import { hcm, lowered, refusal } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const SCOPE = { name: 's', key: { fragments: [{ string_key: 'k' }] }, route_configuration: { name: 'r' } };

function lower(
  scopes: readonly object[],
  extractors: readonly object[],
  more: object = {},
): HttpConnectionManagerModel {
  const scoped_routes = {
    name: 'scopes',
    scope_key_builder: { fragments: extractors.map((header_value_extractor) => ({ header_value_extractor })) },
    scoped_route_configurations_list: { scoped_route_configurations: scopes },
    ...more,
  };
  // What is undefined is left out.
  return lowered(
    lowerHttpConnectionManager,
    HCM,
    JSON.parse(JSON.stringify(hcm({ route_config: undefined, scoped_routes }))),
  );
}

const WHOLE = { name: 'X-Scope', index: 0 };
const refused = (scope: object, extractor: object = WHOLE): string =>
  refusal(() => lower([{ ...SCOPE, ...scope }], [extractor]));

t.test('keys and scopes', async (t) => {
  const element = { separator: '=', key: 'Vip' };
  const key = { fragments: [{ string_key: 'a' }, { string_key: '' }, { string_key: 'ü' }] };
  const { routes } = lower(
    [SCOPE, { ...SCOPE, name: 'on demand', key, on_demand: true }],
    [WHOLE, { name: 'y', element_separator: '; ', index: 2 }, { name: ':path', element }],
  );
  if (routes.kind !== 'scoped') throw new Error(`routes are ${routes.kind}`);
  t.same(routes.config.keyBuilder, [
    { header: 'x-scope', elementSeparator: '', extract: { kind: 'index', index: 0 } },
    { header: 'y', elementSeparator: '; ', extract: { kind: 'index', index: 2 } },
    { header: ':path', elementSeparator: '', extract: { kind: 'element', separator: '=', key: 'Vip' } },
  ]);
  t.same(
    routes.config.scopes.map(({ name, key, config }) => [name, key, config.name]),
    [
      ['s', ['k'], 'r'],
      ['on demand', ['a', '', 'Ã¼'], 'r'],
    ],
  );
});

t.test('what Envoy refuses', async (t) => {
  t.match(refused({}, { name: 'x' }), 'HeaderValueExtractor extract_type not set.');
  t.match(refused({}, { name: 'x', index: 1 }), 'Index > 0 for empty string element separator.');
  t.match(
    refused({ route_configuration: undefined }),
    'You must specify a route_configuration with inline scoped routes.',
  );
  const byName = 'Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.';
  t.ok(refused({ route_configuration_name: 'r' }).includes(byName));
  t.ok(refused({ route_configuration_name: 'r', route_configuration: undefined }).includes(byName));
  const host = { name: 'h', domains: ['*'] };
  t.match(
    refused({ route_configuration: { name: 'r', virtual_hosts: [host, host] } }),
    'Only a single wildcard domain is permitted in route r',
  );
});

t.test('discovery of scopes', async (t) => {
  const discovered = {
    scoped_route_configurations_list: undefined,
    scoped_rds: { scoped_rds_config_source: { ads: {} } },
  };
  t.match(
    refusal(() => lower([], [WHOLE], discovered)),
    'scoped route discovery is not supported',
  );
});
