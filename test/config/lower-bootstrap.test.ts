// The bootstrap as a whole: from file and command line to the model, merging, duplicates, and the dump.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type LoadOptions, loadStaticModel, renderBootstrapDump } from '../../proxy/config/load.ts';
import type { Model } from '../../proxy/config/model/model.ts';

const NO_OPTIONS: LoadOptions = {
  configPath: '',
  configYaml: '',
  serviceNode: '',
  serviceCluster: '',
  serviceZone: '',
  allowUnknownStaticFields: false,
  skipDeprecatedLogs: false,
  statsTags: [],
};

function load(json: object, options: Partial<LoadOptions> = {}): Model {
  return loadStaticModel({ ...NO_OPTIONS, configYaml: JSON.stringify(json), ...options }).model;
}

const admin = { address: { socket_address: { address: '127.0.0.1', port_value: 9901 } } };

t.test('an empty bootstrap has defaults', async (t) => {
  t.same(load({}), {
    node: { id: '', cluster: '', locality: { region: '', zone: '', subZone: '' }, metadata: {} },
    admin: null,
    stats: { useAllDefaultTags: true, tags: [], matcher: { kind: 'all' }, histogramBuckets: [] },
    statsFlushIntervalMs: 5000,
    runtime: {},
    faultScopes: [],
    runtimeLayers: [],
    maxDownstreamConnections: 0,
    limitedListeners: null,
    headerPrefix: 'x-envoy',
    listeners: [],
    clusters: [],
    logFormat: null,
    localClusterName: '',
    outlierLogPath: '',
    overload: null,
    internalBufferBytes: 1_048_576,
  });
});

t.test('node: the command line wins', async (t) => {
  const node = { id: 'a', cluster: 'b', locality: { region: 'r', zone: 'z', sub_zone: 's' }, metadata: { k: [1] } };
  t.same(load({ node }).node, {
    id: 'a',
    cluster: 'b',
    locality: { region: 'r', zone: 'z', subZone: 's' },
    metadata: { k: [1] },
  });
  const flags = { serviceNode: 'A', serviceCluster: 'B', serviceZone: 'Z' };
  const { id, cluster, locality } = load({ node }, flags).node;
  t.same([id, cluster, locality.zone], ['A', 'B', 'Z']);
});

t.test('admin', async (t) => {
  const model = load({ admin: { ...admin, access_log_path: '/dev/null', ignore_global_conn_limit: true } }).admin;
  t.match(model, {
    address: { kind: 'socket', address: '127.0.0.1', port: 9901 },
    accessLogs: [{ name: 'envoy.access_loggers.file', sink: { kind: 'file', path: '/dev/null' } }],
    ignoreGlobalConnLimit: true,
  });
  t.equal(load({ admin: {} }).admin, null, 'no address, no admin');
  const named = { address: { socket_address: { address: 'foo', port_value: 0 } } };
  t.throws(() => load({ admin: named }), {
    message: 'admin.address.socket_address.address: malformed IP address: foo',
  });
});

t.test('runtime layers are flattened, later ones win', async (t) => {
  const layers = [
    { name: 'a', static_layer: { x: { y: 1, z: true }, 'p.q': 'text', f: { numerator: 5, denominator: 'HUNDRED' } } },
    { name: 'b', static_layer: { x: { y: 2 }, overload: { global_downstream_max_connections: 50 } } },
    { name: 'admin', admin_layer: {} },
  ];
  const model = load({ layered_runtime: { layers } });
  t.same(model.runtime, {
    'x.y': { number: 2, flag: true, share: null },
    'x.z': { number: null, flag: true, share: null },
    'p.q': { number: null, flag: null, share: null },
    f: { number: null, flag: null, share: { numerator: 5, denominator: 100 } },
    'overload.global_downstream_max_connections': { number: 50, flag: true, share: null },
  });
  const values = { 'x.y': '2', 'overload.global_downstream_max_connections': '50' };
  t.same(model.runtimeLayers[1], { name: 'b', values });
  t.equal(model.maxDownstreamConnections, 50);
  const twice = [layers[2], layers[2]];
  t.throws(() => load({ layered_runtime: { layers: twice } }), {
    message: 'layered_runtime.layers[1]: Duplicate layer name: admin',
  });
});

t.test('stats', async (t) => {
  const { stats } = load({
    stats_config: {
      use_all_default_tags: false,
      stats_tags: [
        { tag_name: 'a', regex: '^x(?=\\.)((.+))' },
        { tag_name: 'b', fixed_value: 'v' },
        { tag_name: 'envoy.response_code' },
      ],
      stats_matcher: { inclusion_list: { patterns: [{ prefix: 'cluster.' }, { safe_regex: { regex: 'a.*' } }] } },
      histogram_bucket_settings: [{ match: { suffix: 'time' }, buckets: [10, 1] }],
    },
    stats_flush_interval: '2s',
  });
  t.same(stats, {
    useAllDefaultTags: false,
    tags: [
      { name: 'a', rule: { kind: 'regex', pattern: '^x(?=\\.)((.+))' } },
      { name: 'b', rule: { kind: 'fixed', value: 'v' } },
      { name: 'envoy.response_code', rule: { kind: 'regex', pattern: '' } },
    ],
    matcher: {
      kind: 'include',
      patterns: [
        { kind: 'prefix', value: 'cluster.', ignoreCase: false },
        { kind: 'regex', value: 'a.*', ignoreCase: false },
      ],
    },
    histogramBuckets: [{ match: { kind: 'suffix', value: 'time', ignoreCase: false }, buckets: [1, 10] }],
  });
  const tagged = load({}, { statsTags: [['zone', 'a']] }).stats.tags;
  t.same(tagged, [{ name: 'zone', rule: { kind: 'fixed', value: 'a' } }], '--stats-tag');
  t.same(load({ stats_config: { stats_matcher: { reject_all: true } } }).stats.matcher, { kind: 'none' });
  const bad = (tag: object) => () => load({ stats_config: { stats_tags: [tag] } });
  t.throws(bad({ tag_name: 'a', regex: 'a[' }), {
    message: /^stats_config\.stats_tags\[0\]\.regex: Invalid regex 'a\['/,
  });
  t.throws(bad({ tag_name: 'a' }), {
    message: "stats_config.stats_tags[0]: No regex specified for tag specifier and no default regex for name: 'a'",
  });
});

t.test('other fields', async (t) => {
  const limit = {
    '@type':
      'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
    max_active_downstream_connections: 1000,
  };
  const model = load({
    overload_manager: {
      resource_monitors: [{ name: 'envoy.resource_monitors.global_downstream_max_connections', typed_config: limit }],
    },
    application_log_config: { log_format: { text_format: '%v' } },
    cluster_manager: { local_cluster_name: 'c', outlier_detection: { event_log_path: '/dev/null' } },
    bootstrap_extensions: [
      {
        name: 'internal',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener',
          buffer_size_kb: 64,
        },
      },
    ],
    static_resources: { clusters: [{ name: 'c' }] },
  });
  t.equal(model.maxDownstreamConnections, 1000);
  t.same(model.logFormat, { kind: 'text', format: '%v' });
  t.equal(model.localClusterName, 'c');
  t.equal(model.outlierLogPath, '/dev/null');
  t.equal(model.internalBufferBytes, 65_536);
  const json = load({ application_log_config: { log_format: { json_format: { m: '%j' } } } });
  t.same(json.logFormat, { kind: 'json', format: { m: '%j' } });
  t.throws(
    () => load({ application_log_config: { log_format: { json_format: { m: '%v' } } } }),
    /Usage of %v is unavailable for JSON log formats/,
  );
});

t.test('refusals', async (t) => {
  const listener = (name: string, port: number) => ({
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'tcp',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
              stat_prefix: 's',
              cluster: 'c',
            },
          },
        ],
      },
    ],
  });
  const cases: [object, string][] = [
    [
      { static_resources: { clusters: [{ name: 'c' }, { name: 'c' }] } },
      "static_resources.clusters[1]: cluster manager: duplicate cluster 'c'",
    ],
    [
      { static_resources: { clusters: [{ name: 'c' }], listeners: [listener('l', 1), listener('l', 2)] } },
      'static_resources.listeners[1]: duplicate listener l found',
    ],
    [
      { cluster_manager: { local_cluster_name: 'x' } },
      "cluster_manager.local_cluster_name: local cluster 'x' must be defined",
    ],
    [
      { static_resources: { clusters: [{}] } },
      "static_resources.clusters[0].name: value length must be at least 1 characters (got '')",
    ],
    [{ static_resourcs: {} }, 'static_resourcs: unknown field, did you mean static_resources?'],
  ];
  for (const [json, text] of cases) t.throws(() => load(json), { message: text }, text);
});

t.test('warnings', async (t) => {
  const json = { nod: {}, static_resources: { clusters: [{ name: 'c', dns_refresh_rate: '1s' }] } };
  const options = { ...NO_OPTIONS, configYaml: JSON.stringify(json), allowUnknownStaticFields: true };
  const told: string[] = [];
  const { warnings } = loadStaticModel(options, (text) => told.push(text));
  t.same(warnings, [
    'nod: unknown field, did you mean node?',
    "static_resources.clusters[0].dns_refresh_rate: Using deprecated option 'envoy.config.cluster.v3.Cluster.dns_refresh_rate'",
  ]);
  t.same(told, warnings);
  t.equal(loadStaticModel({ ...options, skipDeprecatedLogs: true }).warnings.length, 1);
});

t.test('a binary file with fields that the schema does not know', async (t) => {
  const file = join(t.testdir({}), 'b.pb');
  // node { id: "abc", 2000: 1 }
  writeFileSync(file, Buffer.from('0a080a03616263807d01', 'hex'));
  const options = { ...NO_OPTIONS, configPath: file };
  t.throws(() => loadStaticModel(options), { message: 'node: unknown field number 2000' });
  const { model, warnings } = loadStaticModel({ ...options, allowUnknownStaticFields: true });
  t.equal(model.node.id, 'abc');
  t.same(warnings, ['node: unknown field number 2000']);
});

t.test('--config-yaml goes over the file as a protobuf merge', async (t) => {
  const file = join(t.testdir({}), 'b.json');
  const cluster = (name: string, more: object = {}) => ({ name, ...more });
  const base = {
    node: { id: 'a', cluster: 'b', metadata: { x: 1, y: 1 } },
    stats_flush_interval: '2s',
    static_resources: { clusters: [cluster('one', { connect_timeout: '1s' })] },
    stats_config: { use_all_default_tags: true },
    cluster_manager: { local_cluster_name: 'one' },
    layered_runtime: { layers: [{ name: 'l', static_layer: { a: 1 } }] },
  };
  writeFileSync(file, JSON.stringify(base));
  const over =
    '{node: {id: A, metadata: {y: 2}}, stats_config: {use_all_default_tags: false}, admin: {}, ' +
    'static_resources: {clusters: [{name: two}]}, stats_flush_interval: 0.5s}';
  const options = { ...NO_OPTIONS, configPath: file, configYaml: over };
  const { model, rawBootstrapJson } = loadStaticModel(options);
  t.same(model.node.id, 'A');
  t.same(model.node.cluster, 'b');
  t.same(model.node.metadata, { x: 1, y: 2 });
  t.same(
    model.clusters.map((item) => item.name),
    ['one', 'two'],
    'lists are appended',
  );
  t.equal(model.localClusterName, 'one');
  t.equal(model.stats.useAllDefaultTags, true, 'a false wrapper is a zero and does not overwrite');
  t.equal(model.statsFlushIntervalMs, 2500, 'a duration is a message: its seconds stay, its nanos are set');
  t.match(JSON.parse(rawBootstrapJson), {
    node: { id: 'A' },
    static_resources: { clusters: [{ name: 'one' }, { name: 'two' }] },
  });
});

t.test('the dump has the shape of what Envoy dumps', async (t) => {
  const json = {
    staticResources: { clusters: [{ name: 'c', connectTimeout: '0.250s', lbPolicy: 1, type: 'STATIC' }] },
    admin,
    stats_config: { use_all_default_tags: false },
    stats_server_version_override: 7,
  };
  t.same(renderBootstrapDump(JSON.stringify(json), { ...NO_OPTIONS, serviceNode: 'N', serviceZone: 'Z' }), {
    node: { id: 'N', locality: { zone: 'Z' } },
    static_resources: {
      clusters: [{ name: 'c', type: 'STATIC', connect_timeout: '0.250s', lb_policy: 'LEAST_REQUEST' }],
    },
    admin,
    stats_config: { use_all_default_tags: false },
    stats_server_version_override: '7',
  });
  const secret = { name: 's', generic_secret: { secret: { inline_string: 'very' } } };
  const dump = renderBootstrapDump(JSON.stringify({ static_resources: { secrets: [secret] } }), NO_OPTIONS);
  t.notMatch(JSON.stringify(dump), 'very', 'secrets are redacted');
});

t.test('the dump equals what Envoy 1.40 dumped for the same file', async (t) => {
  const golden = (name: string) => readFileSync(new URL(`../golden/config/${name}.json`, import.meta.url), 'utf8');
  const { node, ...dump } = renderBootstrapDump(golden('bootstrap'), NO_OPTIONS);
  const { node: envoyNode, ...envoyDump } = JSON.parse(golden('bootstrap-dump'));
  t.equal(JSON.stringify(dump), JSON.stringify(envoyDump), 'also in the order of fields');
  t.same(node, envoyNode, 'struct members have no order');
});

t.test('a file that cannot be read', async (t) => {
  t.throws(() => loadStaticModel({ ...NO_OPTIONS, configPath: '/nonexistent.yaml' }), {
    message: '/nonexistent.yaml: unable to read file: no such file',
  });
});
