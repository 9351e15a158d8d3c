// Fields of bootstraps and clusters that the tests of those files do not set.

import t from 'tap';
import { checkFieldAnswers } from '../../proxy/config/answers.ts';
import { lowerBootstrap } from '../../proxy/config/lower/bootstrap.ts';
import { DEFAULT_LOWER_OPTIONS, LowerContext } from '../../proxy/config/lower/common.ts';
import type { Model } from '../../proxy/config/model/model.ts';
import { decode, fileLog, hcmFilter, refusal, TYPE } from '../fixtures/lower.ts';

function lower(json: object, ctx = new LowerContext({ checkFields: checkFieldAnswers })): Model {
  return lowerBootstrap(decode('envoy.config.bootstrap.v3.Bootstrap', json), ctx);
}

const socket = (port_value: number) => ({ socket_address: { address: '127.0.0.1', port_value } });

t.test('bootstrap extensions are left out or refused by type', async (t) => {
  const ctx = new LowerContext({ checkFields: checkFieldAnswers });
  const extension = (type: string) => ({
    bootstrap_extensions: [{ name: 'x', typed_config: { '@type': TYPE + type } }],
  });
  const internal = extension('envoy.extensions.bootstrap.internal_listener.v3.InternalListener');
  t.equal(lower(internal, ctx).internalBufferBytes, 1024 * 1024);
  t.same(ctx.unsupportedFields, []);
  const wasm = 'envoy.extensions.wasm.v3.WasmService';
  t.equal(
    refusal(() => lower(extension(wasm))),
    `bootstrap_extensions[0].typed_config: Didn't find a registered implementation for 'x' with type URL: '${wasm}'`,
  );
  const options = { ...DEFAULT_LOWER_OPTIONS, skipTypes: new Set([TYPE + wasm]) };
  const skipping = new LowerContext({ options, checkFields: checkFieldAnswers });
  lower(extension(wasm), skipping);
  t.equal(skipping.unsupportedFields.length, 1, 'OUTRIGGER_SKIP_TYPES');
});

t.test('admin access log, stats exclusion, the default source address', async (t) => {
  const model = lower({
    admin: { address: socket(9901), access_log: [fileLog('/dev/null')] },
    stats_config: { stats_matcher: { exclusion_list: { patterns: [{ prefix: 'a' }] } } },
    cluster_manager: { upstream_bind_config: { source_address: { address: '127.0.0.6', port_value: 0 } } },
    static_resources: { clusters: [{ name: 'c' }] },
  });
  t.same(model.admin?.accessLogs[0]?.sink, { kind: 'file', path: '/dev/null' });
  t.same(model.stats.matcher, { kind: 'exclude', patterns: [{ kind: 'prefix', value: 'a', ignoreCase: false }] });
  t.equal(model.clusters[0]?.bind?.sources[0]?.address, '127.0.0.6');
});

t.test('named endpoints and network filters of clusters', async (t) => {
  const endpoints = [{ lb_endpoints: [{ endpoint_name: 'one' }] }];
  const load_assignment = { cluster_name: 'c', endpoints, named_endpoints: { one: { address: socket(80) } } };
  const exchange = {
    name: 'mx',
    typed_config: { '@type': `${TYPE}envoy.tcp.metadataexchange.config.MetadataExchange` },
  };
  const ctx = new LowerContext({ checkFields: checkFieldAnswers });
  const { clusters } = lower(
    { static_resources: { clusters: [{ name: 'c', load_assignment, filters: [exchange] }] } },
    ctx,
  );
  t.match(clusters[0]?.localities[0]?.endpoints[0]?.address, { kind: 'socket', port: 80 });
  t.same(ctx.unsupportedFields, ['static_resources.clusters[0].filters[0].typed_config']);
});

t.test('listeners learn the runtime and the node', async (t) => {
  const filters = [hcmFilter({ proxy_status_config: { use_node_id: true } })];
  const key = 'envoy.resource_limits.listener.web.connection_limit';
  const model = lower({
    node: { id: 'node-7', cluster: 'c' },
    layered_runtime: { layers: [{ name: 'static', static_layer: { [key]: 12 } }] },
    static_resources: { listeners: [{ name: 'web', address: socket(0), filter_chains: [{ filters }] }] },
  });
  const [listener] = model.listeners;
  t.equal(listener?.maxConnections, 12);
  const filter = listener?.filterChains[0]?.filters[0];
  if (filter?.kind !== 'http_connection_manager') throw new Error('no connection manager');
  t.equal(filter.config.proxyStatus?.proxyName, 'node-7');
});

t.test('two listeners cannot have one address', async (t) => {
  const filter_chains = [{ filters: [hcmFilter()] }];
  const pair = (first: object, second: object) =>
    lower({
      static_resources: {
        listeners: [
          { name: 'a', filter_chains, ...first },
          { name: 'b', filter_chains, ...second },
        ],
      },
    });
  const text = (address: string) =>
    `static_resources.listeners[1]: error adding listener: 'b' has duplicate address '${address}' as existing listener, to check if the listener has duplicated addresses with other listeners or 'enable_reuse_port' is set to 'false' for the listener`;
  const same = { address: socket(8080) };
  t.equal(
    refusal(() => pair(same, { ...same, bind_to_port: false })),
    text('127.0.0.1:8080'),
  );
  const additional_addresses = [{ address: { pipe: { path: '/run/x' } } }];
  const pipe = { address: { pipe: { path: '/run/x' } } };
  t.equal(
    refusal(() => pair({ ...same, additional_addresses }, pipe)),
    text('/run/x'),
  );
  t.equal(pair({ address: socket(0) }, { address: socket(0) }).listeners.length, 2, 'port 0 is never the same');
});
