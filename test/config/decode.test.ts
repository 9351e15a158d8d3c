// JSON → messages: case rules, scalars, unknown names with their paths, Any and TypedStruct.

import t from 'tap';
import { unpackAny } from '../../proxy/config/read/any.ts';
import { decodeJson } from '../../proxy/config/read/decode.ts';
import {
  bool,
  durationMs,
  list,
  type Msg,
  num,
  oneof,
  oneofCase,
  str,
  struct,
  sub,
} from '../../proxy/config/schema/message.ts';

const BOOTSTRAP = 'envoy.config.bootstrap.v3.Bootstrap';
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

function decode(type: string, json: unknown, allowUnknown = false): { message: Msg; warnings: string[] } {
  const warnings: string[] = [];
  return { message: decodeJson(type, json, { allowUnknown, warnings }), warnings };
}

function cluster(json: object): Msg {
  return decode(CLUSTER, json).message;
}

t.test('names in both cases, enums in any case and by number', async (t) => {
  t.equal(str(cluster({ alt_stat_name: 'a' }), 'altStatName'), 'a');
  t.equal(str(cluster({ altStatName: 'a' }), 'altStatName'), 'a');
  t.equal(num(cluster({ lb_policy: 'RANDOM' }), 'lbPolicy'), 3);
  t.equal(num(cluster({ lbPolicy: 'least_request' }), 'lbPolicy'), 1);
  t.equal(num(cluster({ lb_policy: 3 }), 'lbPolicy'), 3);
  t.equal(num(cluster({ lb_policy: 'RANDOM', lbPolicy: 'MAGLEV' }), 'lbPolicy'), 5, 'the last one wins, as in Envoy');
});

t.test('scalars', async (t) => {
  const limit = (value: unknown) =>
    num(cluster({ per_connection_buffer_limit_bytes: value }), 'perConnectionBufferLimitBytes');
  t.equal(limit(800), 800);
  t.equal(limit('800'), 800);
  t.equal(limit('80.0'), 80);
  t.equal(limit('1e2'), 100);
  t.equal(limit(4_294_967_295), 4_294_967_295);
  t.equal(limit(null), 0);
  t.equal(bool(cluster({ ignore_health_on_host_removal: 'true' }), 'ignoreHealthOnHostRemoval'), true);
  t.equal(durationMs(cluster({ connect_timeout: '0.25s' }), 'connectTimeout', -1), 250);
  t.equal(durationMs(cluster({ connect_timeout: '-1.5s' }), 'connectTimeout', -1), -1500);
  t.equal(durationMs(cluster({}), 'connectTimeout', -1), -1);
  const body = decode('envoy.config.core.v3.DataSource', { inline_bytes: 'aGk_' }).message;
  t.same(Buffer.from(oneof(body, 'specifier')?.value as Uint8Array).toString('latin1'), 'hi?');
});

t.test('other forms that Envoy 1.40 takes, with the values that its configuration dump shows', async (t) => {
  const limit = (value: unknown) =>
    num(cluster({ per_connection_buffer_limit_bytes: value }), 'perConnectionBufferLimitBytes', -1);
  t.same(['0x12', '0X1F', '12.', '+1e3', '010'].map(limit), [18, 31, 12, 1000, 10]);
  t.same([{ value: 1234 }, { value: '5' }, { value: null }, {}].map(limit), [1234, 5, 0, 0], 'a wrapper as an object');
  const timeoutMs = (value: unknown) => durationMs(cluster({ connect_timeout: value }), 'connectTimeout', -1);
  t.same(
    [{ seconds: 5 }, { seconds: '5', nanos: 500e6 }, {}].map(timeoutMs),
    [5000, 5500, 0],
    'a duration as an object',
  );
  t.same(
    ['0', '3', '-1'].map((value) => num(cluster({ lb_policy: value }), 'lbPolicy')),
    [0, 3, -1],
  );
  const keeps = (value: unknown) =>
    bool(cluster({ ignore_health_on_host_removal: value }), 'ignoreHealthOnHostRemoval');
  for (const word of ['t', 'Y', 'yEs', '1', 'TRUE']) t.equal(keeps(word), true, word);
  for (const word of ['f', 'N', 'no', '0', 'FALSE']) t.equal(keeps(word), false, word);
  const panic = (value: unknown) =>
    num(
      sub(
        sub(cluster({ common_lb_config: { healthy_panic_threshold: { value } } }), 'commonLbConfig') as Msg,
        'healthyPanicThreshold',
      ) as Msg,
      'value',
    );
  t.same(['0x10', '5. ', ' .5', '+1e1'].map(panic), [16, 5, 0.5, 10]);
  const domains = (value: unknown) =>
    (decode('envoy.config.route.v3.VirtualHost', { domains: value }).message as unknown as { domains: string[] })
      .domains;
  t.same(domains('*'), ['*'], 'a list of one');
  t.same(domains([['*', 'a'], null, 'b']), ['*', 'a', '', 'b'], 'lists and nothing in a list');
  const breakers = cluster({ circuit_breakers: { thresholds: [[{ max_retries: 5 }, { max_retries: { value: 6 } }]] } });
  const thresholds = list(sub(breakers, 'circuitBreakers') as Msg, 'thresholds');
  t.same(
    thresholds.map((threshold) => num(threshold, 'maxRetries')),
    [5, 6],
  );
  const metadata = sub(cluster({ metadata: { filter_metadata: { x: null } } }), 'metadata') as Msg;
  t.same((metadata as unknown as { filterMetadata: object }).filterMetadata, { x: {} });
});

t.test('texts of wrong values', async (t) => {
  const cases: [object, string][] = [
    [{ alt_stat_name: 123 }, 'alt_stat_name: expected a string, got 123 (quote it)'],
    [{ alt_stat_name: {} }, 'alt_stat_name: expected a string, got an object'],
    [{ connect_timeout: 1 }, 'connect_timeout: expected a duration such as "1.5s", got 1'],
    [{ connect_timeout: '1ms' }, `connect_timeout: expected a duration such as "1.5s", got '1ms'`],
    [{ per_connection_buffer_limit_bytes: 80.5 }, 'per_connection_buffer_limit_bytes: expected an integer, got 80.5'],
    [{ per_connection_buffer_limit_bytes: -1 }, 'per_connection_buffer_limit_bytes: -1 is out of range for uint32'],
    [{ ignore_health_on_host_removal: 'oN' }, `ignore_health_on_host_removal: expected true or false, got 'oN'`],
    [
      { load_assignment: { endpoints: 3 } },
      'load_assignment.endpoints: expected an object (envoy.config.endpoint.v3.LocalityLbEndpoints), got 3',
    ],
    [{ connect_timeout: { secs: 5 } }, 'connect_timeout.secs: unknown field'],
    [
      { connect_timeout: { seconds: 5, nanos: -5 } },
      'connect_timeout: duration of 5 seconds and -5 nanos is out of range',
    ],
    [{ per_connection_buffer_limit_bytes: { val: 3 } }, 'per_connection_buffer_limit_bytes.val: unknown field'],
    [
      { per_connection_buffer_limit_bytes: '-0x12' },
      `per_connection_buffer_limit_bytes: '-0x12' is out of range for uint32`,
    ],
    [{ per_connection_buffer_limit_bytes: ' 12' }, `per_connection_buffer_limit_bytes: expected an integer, got ' 12'`],
    [
      { load_assignment: [] },
      'load_assignment: expected an object (envoy.config.endpoint.v3.ClusterLoadAssignment), got a list',
    ],
    [{ type: 'STATIC', cluster_type: { name: 'x' } }, 'cluster_type: only one of type and cluster_type may be set'],
    [{ metadata: { filter_metadata: { a: 1 } } }, 'metadata.filter_metadata["a"]: expected an object, got 1'],
  ];
  for (const [json, text] of cases) t.throws(() => cluster(json), { message: text }, text);
});

t.test('unknown names carry the path and the nearest known one', async (t) => {
  const filter = { '@type': ROUTER, dynamic_stat: true };
  const hcm = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    http_filters: [{ name: 'r', typed_config: filter }],
  };
  const listener = { filter_chains: [{ filters: [{ name: 'h', typed_config: hcm }] }] };
  const json = { static_resources: { listeners: [listener] } };
  const path = 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config';
  t.throws(() => decode(BOOTSTRAP, json), {
    message: `${path}.dynamic_stat: unknown field, did you mean dynamic_stats?`,
    where: `${path}.dynamic_stat`,
  });
  t.throws(() => cluster({ lb_policy: 'ROUND_ROBN' }), {
    message: `lb_policy: unknown enum value 'ROUND_ROBN', did you mean ROUND_ROBIN?`,
  });
  const any = (typeUrl: string) => () => cluster({ typed_extension_protocol_options: { a: { '@type': typeUrl } } });
  t.throws(any('type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOption'), {
    message:
      `typed_extension_protocol_options["a"]: unknown type URL 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOption'` +
      ', did you mean envoy.extensions.upstreams.http.v3.HttpProtocolOptions?',
  });
  t.throws(any('nonsense'), { message: /invalid type URL 'nonsense'/ });
  t.throws(() => cluster({ typed_extension_protocol_options: { a: { x: 1 } } }), { message: /@type is missing/ });
});

t.test('unknown names as warnings', async (t) => {
  const { message, warnings } = decode(CLUSTER, { name: 'c', nam: 1, lb_policy: 'NO' }, true);
  t.equal(str(message, 'name'), 'c');
  t.equal(num(message, 'lbPolicy'), 0);
  t.match(warnings, [/^nam: unknown field, did you mean name\?$/, /^lb_policy: unknown enum value 'NO'/]);
});

t.test('a null list item is an empty message', async (t) => {
  const { message } = decode(BOOTSTRAP, { static_resources: { clusters: [null] } });
  t.equal(list(sub(message, 'staticResources') as Msg, 'clusters').length, 1);
});

t.test('structs stay JSON, also with a key that is a trap', async (t) => {
  const json = JSON.parse('{"metadata": {"filter_metadata": {"__proto__": {"a": [1, "x", null]}}}}');
  const metadata = sub(cluster(json), 'metadata') as unknown as { filterMetadata: object };
  t.same(Object.entries(metadata.filterMetadata), [['__proto__', { a: [1, 'x', null] }]]);
  t.same(struct(decode('envoy.config.core.v3.Node', { metadata: { a: { b: 1 } } }).message, 'metadata'), {
    a: { b: 1 },
  });
});

t.test('TypedStruct is unwrapped, unknown fields inside it named', async (t) => {
  for (const wrapper of ['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct']) {
    const wrapped = (value: object) => ({
      name: 'r',
      typed_config: { '@type': `type.googleapis.com/${wrapper}`, type_url: ROUTER, value },
    });
    const type = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter';
    const filter = decode(type, wrapped({ dynamic_stats: false, suppress_envoy_headers: true })).message;
    const { typeUrl, message } = unpackAny(oneofCase(filter, 'configType', 'typedConfig') as Msg, 'x');
    t.equal(typeUrl, ROUTER);
    t.equal(bool(message, 'suppressEnvoyHeaders'), true);
    t.equal(bool(message, 'dynamicStats', true), false);
    t.throws(() => decode(type, wrapped({ dynamic: 1 })), { message: /^typed_config\.value\.dynamic: unknown field/ });
  }
});

t.test('a misspelt accessor is a mistake of ours', async (t) => {
  t.throws(() => str(cluster({}), 'altStatname'), {
    message: 'envoy.config.cluster.v3.Cluster has no member altStatname',
  });
});

t.test('nesting has a limit', async (t) => {
  let filter: object = { status_code_filter: { comparison: {} } };
  for (let i = 0; i < 150; i++) filter = { and_filter: { filters: [filter] } };
  t.throws(() => decode('envoy.config.accesslog.v3.AccessLogFilter', filter), { message: /nested too deep/ });
});
