// The API's validation rules: path, sentence and value; inside Any; deprecated fields.

import t from 'tap';
import { decodeJson } from '../../proxy/config/read/decode.ts';
import { validateMessage } from '../../proxy/config/read/validate.ts';

const CLUSTER = 'envoy.config.cluster.v3.Cluster';

function validate(type: string, json: object): string[] {
  const deprecated: string[] = [];
  const message = decodeJson(type, json, { allowUnknown: false, warnings: [] });
  validateMessage(message, 'x', {
    onDeprecated: (path, name) => deprecated.push(`${path} ${name}`),
    onUnknown: (path) => t.fail(`unknown fields at ${path}`),
  });
  return deprecated;
}

t.test('sentences', async (t) => {
  const route = 'envoy.config.route.v3.';
  const cases: [string, object, string][] = [
    [CLUSTER, {}, `x.name: value length must be at least 1 characters (got '')`],
    [CLUSTER, { name: 'c', connect_timeout: '0s' }, 'x.connect_timeout: value must be greater than 0s (got 0s)'],
    [
      CLUSTER,
      { name: 'c', dns_refresh_rate: '0.0001s' },
      'x.dns_refresh_rate: value must be greater than 1ms (got 100us)',
    ],
    [
      CLUSTER,
      { name: 'c', dns_lookup_family: 9 },
      'x.dns_lookup_family: value must be one of the defined enum values (got 9)',
    ],
    [
      CLUSTER,
      { name: 'c', common_lb_config: { healthy_panic_threshold: { value: 101 } } },
      'x.common_lb_config.healthy_panic_threshold.value: value must be inside range [0, 100] (got 101)',
    ],
    [
      CLUSTER,
      { name: 'c', load_assignment: { cluster_name: 'c', endpoints: [{ priority: 129 }] } },
      'x.load_assignment.endpoints[0].priority: value must be less than or equal to 128 (got 129)',
    ],
    [
      CLUSTER,
      {
        name: 'c',
        load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ load_balancing_weight: 0 }] }] },
      },
      'x.load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: value must be greater than or equal to 1 (got 0)',
    ],
    [
      CLUSTER,
      { name: 'c', dns_failure_refresh_rate: {} },
      'x.dns_failure_refresh_rate.base_interval: value is required',
    ],
    [`${route}VirtualHost`, { name: 'v' }, 'x.domains: value must contain at least 1 item(s) (got 0 items)'],
    [
      `${route}Route`,
      { match: { prefix: '/' } },
      'x.action: field is required: set one of route, redirect, direct_response, filter_action, non_forwarding_action',
    ],
    [`${route}Route`, { redirect: {} }, 'x.match: value is required'],
    [`${route}DirectResponseAction`, { status: 99 }, 'x.status: value must be inside range [200, 600) (got 99)'],
    [
      `${route}RouteConfiguration`,
      { request_headers_to_remove: ['a\nb'] },
      `x.request_headers_to_remove[0]: value does not match regex pattern "^[^\\x00\\n\\r]*$" (got 'a\\nb')`,
    ],
    [
      'envoy.config.core.v3.Pipe',
      { path: 'p', mode: 512 },
      'x.mode: value must be less than or equal to 511 (got 512)',
    ],
    [
      'envoy.config.metrics.v3.HistogramBucketSettings',
      { match: { prefix: 'a' }, buckets: [1, 0] },
      'x.buckets[1]: value must be greater than 0 (got 0)',
    ],
  ];
  for (const [type, json, text] of cases) {
    t.throws(() => validate(type, json), { message: text }, text);
  }
});

t.test('inside Any and TypedStruct', async (t) => {
  const extension = 'envoy.config.core.v3.TypedExtensionConfig';
  const tcp = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
  t.throws(() => validate(extension, { name: 'a', typed_config: { '@type': tcp, cluster: 'c' } }), {
    message: `x.typed_config.stat_prefix: value length must be at least 1 characters (got '')`,
  });
  const struct = { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', type_url: tcp, value: { stat_prefix: 's' } };
  t.throws(() => validate(extension, { name: 'a', typed_config: struct }), {
    message: /^x\.typed_config\.value\.cluster_specifier: field is required/,
  });
});

t.test('what is not set is not judged unless it must be set', async (t) => {
  t.same(validate(CLUSTER, { name: 'c' }), []);
  t.same(validate('envoy.config.route.v3.RouteConfiguration', { vhost_header: '' }), [], 'ignore_empty');
});

t.test('deprecated fields are noted once by name', async (t) => {
  t.same(validate(CLUSTER, { name: 'c', dns_refresh_rate: '5s', max_requests_per_connection: 1 }), [
    'x.max_requests_per_connection envoy.config.cluster.v3.Cluster.max_requests_per_connection',
    'x.dns_refresh_rate envoy.config.cluster.v3.Cluster.dns_refresh_rate',
  ]);
  const cluster = { name: 'c', dns_refresh_rate: '5s' };
  const found = validate('envoy.config.bootstrap.v3.Bootstrap', { static_resources: { clusters: [cluster, cluster] } });
  t.equal(found.length, 1);
  const action = { dynamic_metadata: { descriptor_key: 'a', metadata_key: { key: 'a', path: [{ key: 'b' }] } } };
  t.throws(() => validate('envoy.config.route.v3.RateLimit.Action', action), {
    message:
      "x.dynamic_metadata: Using the deprecated option 'envoy.config.route.v3.RateLimit.Action.dynamic_metadata', which is disallowed by default",
  });
});
