// The filters around gRPC, and what routes say about filters.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower-common.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower-hcm.ts';
import type { HttpConnectionManagerModel, HttpFilterModel } from '../../proxy/config/model-http.ts';
import { CORS, hcm, lowered, ROUTER, TYPE } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FILTERS = `${TYPE}envoy.extensions.filters.http.`;
const FILTER_CONFIG = `${TYPE}envoy.config.route.v3.FilterConfig`;

function lower(extra: object): HttpConnectionManagerModel {
  return lowered(lowerHttpConnectionManager, HCM, hcm(extra), new LowerContext());
}

function filter(config: object): HttpFilterModel | undefined {
  return lower({ http_filters: [{ name: 'it', typed_config: config }, ROUTER] }).httpFilters[0];
}

t.test('grpc_stats', async (t) => {
  const type = { '@type': `${FILTERS}grpc_stats.v3.FilterConfig` };
  const defaults = {
    emitFilterState: false,
    allMethods: false,
    allowlist: null,
    upstreamStats: false,
    replaceDots: false,
  };
  t.same(filter(type), { kind: 'grpc_stats', name: 'it', config: defaults });
  t.same(
    filter({
      ...type,
      emit_filter_state: true,
      stats_for_all_methods: true,
      enable_upstream_stats: true,
      replace_dots_in_grpc_service_name: true,
    }),
    {
      kind: 'grpc_stats',
      name: 'it',
      config: { emitFilterState: true, allMethods: true, allowlist: null, upstreamStats: true, replaceDots: true },
    },
  );
  t.same(
    filter({ ...type, individual_method_stats_allowlist: { services: [{ name: 'a.B', method_names: ['C', 'D'] }] } }),
    { kind: 'grpc_stats', name: 'it', config: { ...defaults, allowlist: [{ service: 'a.B', methods: ['C', 'D'] }] } },
  );
});

t.test('grpc_web and grpc_http1_bridge', async (t) => {
  t.same(filter({ '@type': `${FILTERS}grpc_web.v3.GrpcWeb` }), { kind: 'grpc_web', name: 'it' });
  const bridge = `${FILTERS}grpc_http1_bridge.v3.Config`;
  t.same(filter({ '@type': bridge, upgrade_protobuf_to_grpc: true, ignore_query_parameters: true }), {
    kind: 'grpc_http1_bridge',
    name: 'it',
    config: { upgradeProtobuf: true, ignoreQueryParameters: true },
  });
});

t.test('typed_per_filter_config at every level', async (t) => {
  const off = { typed_per_filter_config: { it: { '@type': FILTER_CONFIG, disabled: true } } };
  const inert = CORS.typed_config['@type'].replace('.Cors', '.CorsPolicy');
  const on = { typed_per_filter_config: { it: { '@type': inert } } };
  const cluster = { name: 'a', weight: 1, ...on };
  const { routes } = lower({
    route_config: {
      virtual_hosts: [
        {
          name: 'v',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { weighted_clusters: { clusters: [cluster] } }, ...off }],
          ...on,
        },
      ],
      ...off,
    },
  });
  if (routes.kind !== 'inline') throw new Error('routes are inline');
  const [host] = routes.config.virtualHosts;
  t.same(routes.config.filters, { it: { disabled: true } });
  t.same(host?.filters, { it: { disabled: false } });
  const route = host?.routes[0];
  t.same(route?.filters, { it: { disabled: true } });
  if (route?.action.kind !== 'route' || route.action.cluster.kind !== 'weighted') throw new Error('not weighted');
  t.same(route.action.cluster.clusters[0]?.filters, { it: { disabled: false } });
});
