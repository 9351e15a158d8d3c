// What routes say about HTTP filters, and filters that routes turn on. Texts are Envoy 1.40's.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import type { HttpConnectionManagerModel } from '../../proxy/config/model/http.ts';
import type { RouteConfigModel } from '../../proxy/config/model/route.ts';
import { CORS, hcm, lowered, ROUTER, refusal, TYPE } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FILTER_CONFIG = `${TYPE}envoy.config.route.v3.FilterConfig`;
const OFF = { '@type': FILTER_CONFIG, disabled: true };
const ON = { '@type': FILTER_CONFIG, config: {} };
const POLICY = { '@type': CORS.typed_config['@type'].replace('.Cors', '.CorsPolicy') };
const GRPC_WEB = { '@type': `${TYPE}envoy.extensions.filters.http.grpc_web.v3.GrpcWeb` };
const RBAC = { '@type': `${TYPE}envoy.extensions.filters.http.rbac.v3.RBAC` };
const NO_FILTER = { '@type': `${TYPE}google.protobuf.BoolValue`, value: true };

function lower(extra: object): HttpConnectionManagerModel {
  return lowered(lowerHttpConnectionManager, HCM, hcm(extra), new LowerContext());
}

/** A manager with one route that says this to the filter `it`. */
function said(entry: object, more: object = {}): HttpConnectionManagerModel {
  const route = { match: { prefix: '/' }, direct_response: { status: 200 }, typed_per_filter_config: { it: entry } };
  return lower({ route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }] }, ...more });
}

function inline({ routes }: HttpConnectionManagerModel): RouteConfigModel {
  if (routes.kind !== 'inline') throw new Error('routes are inline');
  return routes.config;
}

const filtersOf = (entry: object): unknown => inline(said(entry)).virtualHosts[0]?.routes[0]?.filters;

t.test('at every level', async (t) => {
  const off = { typed_per_filter_config: { it: OFF } };
  const on = { typed_per_filter_config: { it: POLICY } };
  const route = {
    match: { prefix: '/' },
    route: { weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...on }] } },
    ...off,
  };
  const config = inline(
    lower({ route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route], ...on }], ...off } }),
  );
  const [host] = config.virtualHosts;
  t.match(config.filters, { it: { disabled: true, config: null } });
  t.match(host?.filters, { it: { disabled: false, config: { kind: 'cors' } } });
  t.match(host?.routes[0]?.filters, { it: { disabled: true } });
  const action = host?.routes[0]?.action;
  if (action?.kind !== 'route' || action.cluster.kind !== 'weighted') throw new Error('not weighted');
  t.match(action.cluster.clusters[0]?.filters, { it: { disabled: false, config: { kind: 'cors' } } });
});

t.test('the wrapping', async (t) => {
  t.same(filtersOf(ON), { it: { disabled: false, config: null } }, 'on, and nothing else');
  t.match(filtersOf({ '@type': FILTER_CONFIG, config: POLICY }), { it: { disabled: false, config: { kind: 'cors' } } });
  t.same(filtersOf({ ...OFF, config: RBAC }), { it: { disabled: true, config: null } }, 'what is off is not read');
  t.match(
    refusal(() => filtersOf({ '@type': FILTER_CONFIG })),
    'Empty route/virtual host per filter configuration for a filter',
  );
  t.match(
    refusal(() => filtersOf({})),
    "Didn't find a registered implementation for 'it' with type URL: ''",
  );
});

t.test('what filters do not understand', async (t) => {
  const LEFT_OUT = { it: { disabled: false, config: null } };
  const words = "The filter it doesn't support virtual host or route specific configurations";
  t.match(
    refusal(() => filtersOf(GRPC_WEB)),
    words,
  );
  t.match(
    refusal(() => filtersOf(ROUTER.typed_config)),
    words,
  );
  t.same(filtersOf({ '@type': FILTER_CONFIG, is_optional: true, config: GRPC_WEB }), LEFT_OUT, 'optional');
  const missing = "Didn't find a registered implementation for 'it' with type URL: 'google.protobuf.BoolValue'";
  t.match(
    refusal(() => filtersOf(NO_FILTER)),
    missing,
  );
  t.same(filtersOf({ '@type': FILTER_CONFIG, is_optional: true, config: NO_FILTER }), LEFT_OUT, 'optional');
  const guard = { '@type': FILTER_CONFIG, is_optional: true, config: RBAC };
  t.match(
    refusal(() => filtersOf(guard)),
    'rbac',
    'what Envoy has, and would act, is not left out',
  );
});

t.test('filters of the manager', async (t) => {
  const filters = (filter: object): unknown =>
    lower({ http_filters: [{ name: 'it', ...filter }, ROUTER] }).httpFilters[0];
  t.match(filters({ disabled: true, typed_config: GRPC_WEB }), { disabled: true, config: { kind: 'grpc_web' } });
  t.match(filters({ is_optional: true, typed_config: NO_FILTER }), { config: { kind: 'inert' } });
  t.match(
    refusal(() => filters({ typed_config: NO_FILTER })),
    'BoolValue',
  );
  t.match(
    refusal(() => filters({ is_optional: true, typed_config: RBAC })),
    'rbac',
  );
  const off = { http_filters: [{ name: 'it', disabled: true, typed_config: RBAC }, ROUTER] };
  t.match(said(OFF, off).httpFilters[0], { config: { kind: 'inert' } }, 'off everywhere');
  t.match(
    refusal(() => said(ON, off)),
    'rbac',
    'a route turns it on',
  );
});
