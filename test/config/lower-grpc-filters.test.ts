// The filters around gRPC.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import type { HttpConnectionManagerModel } from '../../proxy/config/model/http.ts';
import type { HttpFilterModel } from '../../proxy/config/model/http-filter.ts';
import { hcm, lowered, ROUTER, TYPE } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const FILTERS = `${TYPE}envoy.extensions.filters.http.`;

function lower(extra: object): HttpConnectionManagerModel {
  return lowered(lowerHttpConnectionManager, HCM, hcm(extra), new LowerContext());
}

function filter(config: object): HttpFilterModel | undefined {
  return lower({ http_filters: [{ name: 'it', typed_config: config }, ROUTER] }).httpFilters[0];
}

t.test('grpc_stats', async (t) => {
  const type = { '@type': `${FILTERS}grpc_stats.v3.FilterConfig` };
  const defaults = {
    kind: 'grpc_stats',
    emitFilterState: false,
    allMethods: false,
    allowlist: null,
    upstreamStats: false,
    replaceDots: false,
  };
  t.same(filter(type), { name: 'it', disabled: false, config: defaults });
  t.same(
    filter({
      ...type,
      emit_filter_state: true,
      stats_for_all_methods: true,
      enable_upstream_stats: true,
      replace_dots_in_grpc_service_name: true,
    }),
    {
      name: 'it',
      disabled: false,
      config: {
        kind: 'grpc_stats',
        emitFilterState: true,
        allMethods: true,
        allowlist: null,
        upstreamStats: true,
        replaceDots: true,
      },
    },
  );
  t.same(
    filter({ ...type, individual_method_stats_allowlist: { services: [{ name: 'a.B', method_names: ['C', 'D'] }] } }),
    { name: 'it', disabled: false, config: { ...defaults, allowlist: [{ service: 'a.B', methods: ['C', 'D'] }] } },
  );
});

t.test('grpc_web and grpc_http1_bridge', async (t) => {
  t.same(filter({ '@type': `${FILTERS}grpc_web.v3.GrpcWeb` }), {
    name: 'it',
    disabled: false,
    config: { kind: 'grpc_web' },
  });
  const bridge = `${FILTERS}grpc_http1_bridge.v3.Config`;
  t.same(filter({ '@type': bridge, upgrade_protobuf_to_grpc: true, ignore_query_parameters: true }), {
    name: 'it',
    disabled: false,
    config: { kind: 'grpc_http1_bridge', upgradeProtobuf: true, ignoreQueryParameters: true },
  });
});
