// Fields of routes and connection managers that are seldom set, several to a route.

import { fileURLToPath } from 'node:url';
import { answer, bootstrap, cluster, get, http, request, router, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const BODY_FILE = fileURLToPath(new URL('body.txt', import.meta.url));
const CORS = { '@type': `${TYPE}envoy.extensions.filters.http.cors.v3.Cors` };
const CORS_POLICY = { '@type': `${TYPE}envoy.extensions.filters.http.cors.v3.CorsPolicy` };
const perFilter = {
  typed_per_filter_config: { cors: { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, config: CORS_POLICY } },
};
const off = {
  typed_per_filter_config: { cors: { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true } },
};
const previousHosts = {
  retry_host_predicate: [
    {
      name: 'previous',
      typed_config: { '@type': `${TYPE}envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate` },
    },
  ],
  host_selection_retry_max_attempts: 3,
};
const add = (key: string, value: string, more: object = {}): object => ({ header: { key, value }, ...more });
const named = (name: string, prefix: string, match: object = {}, more: object = {}): object => ({
  name,
  match: { prefix, ...match },
  direct_response: { status: 200, body: { inline_string: name } },
  ...more,
});
const header = (name: string, match: object): object => ({ headers: [{ name, ...match }] });

const LIST = [
  named('exact', '/h', header('x-a', { exact_match: 'one' })),
  named('begins', '/h', header('x-a', { prefix_match: 'pre' })),
  named('ends', '/h', header('x-a', { suffix_match: 'fix' })),
  named('holds', '/h', header('x-a', { contains_match: 'mid' })),
  named('matches', '/h', header('x-a', { safe_regex_match: { regex: '[0-9]+' } })),
  named('no cookie', '/c', { cookies: [{ name: 'k', string_match: { exact: 'v' }, invert_match: true }] }),
  named('cookie', '/c'),
  named('certificate', '/tls', { tls_context: { presented: true } }),
  named('clear text', '/tls', { tls_context: { presented: false } }),
  named('by runtime', '/run', {
    runtime_fraction: { default_value: { numerator: 10_000, denominator: 'TEN_THOUSAND' }, runtime_key: 'route.off' },
  }),
  named('by default', '/run', {
    runtime_fraction: { default_value: { numerator: 1_000_000, denominator: 'MILLION' }, runtime_key: 'not.set' },
  }),
  named('file', '/file', {}, { direct_response: { status: 200, body: { filename: BODY_FILE } } }),
  to('/again', 'a', { retry_policy: { retry_on: '5xx', num_retries: 1, ...previousHosts } }),
  to('/host-policy', 'a'),
  to('/larger', 'a', { retry_policy: { retry_on: '5xx' } }, { per_request_buffer_limit_bytes: 64 }),
  to('/large', 'a', { retry_policy: { retry_on: '5xx' } }, { request_body_buffer_limit: 4 }),
  to('/decorated', 'a', {}, { decorator: { operation: 'op', propagate: false }, ...perFilter }),
  to('/weights', 'a', {
    cluster: undefined,
    weighted_clusters: {
      clusters: [
        {
          cluster_header: 'x-cluster',
          weight: 1,
          request_headers_to_add: [add('x-weighted', 'yes')],
          request_headers_to_remove: ['x-gone'],
          response_headers_to_add: [add('x-weighted', 'answered')],
          response_headers_to_remove: ['x-origin'],
          ...off,
        },
      ],
    },
  }),
  to('/append', 'a', {}, { request_headers_to_add: [add('x-a', 'route', { append: false })] }),
  to('/', 'a'),
];

const VIRTUAL_HOST = {
  response_headers_to_remove: ['x-host-gone'],
  retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' }, ...previousHosts },
  request_body_buffer_limit: 1_024,
  ...off,
};
const CONFIG = {
  request_headers_to_remove: ['x-top-gone'],
  max_direct_response_body_size_bytes: 64,
  metadata: { filter_metadata: { 'com.test': { k: 'config' } } },
  ...perFilter,
};
const MANAGER = {
  codec_type: 'HTTP1',
  http_filters: [{ name: 'off', disabled: true, typed_config: CORS }, { name: 'cors', typed_config: CORS }, router({})],
  upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }],
  http_protocol_options: { ignore_http_11_upgrade: [{ exact: 'odd' }] },
  internal_address_config: { unix_sockets: true, cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
  request_id_extension: {
    typed_config: { '@type': `${TYPE}envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig` },
  },
};

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const post = (path: string, body: string): string => request('POST', path, [`content-length: ${body.length}`], body);
const twice = { a: { replies: [[answer('503 Busy')], [answer('200 OK', [], 'second')]] } };

export const fineRoutes: Group = {
  name: 'fine-routes',
  listeners: ['main', 'older'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(LIST, VIRTUAL_HOST, CONFIG), {
          ...MANAGER,
          forward_client_cert_details: 'ALWAYS_FORWARD_ONLY',
        }),
        http(ports, log, 'older', routes([to('/', 'a')], { per_request_buffer_limit_bytes: 8 }), {
          forward_client_cert_details: 'SANITIZE_SET',
        }),
      ],
      [cluster('a', [ports['a']])],
      {
        layered_runtime: {
          layers: [
            { name: 'static', static_layer: { route: { off: 0 } } },
            { name: 'admin', admin_layer: {} },
          ],
        },
      },
    ),
  stats: STATS,
  scenarios: [
    at('header is exactly', '/h', 'x-a: one'),
    at('header begins', '/h', 'x-a: prefixed'),
    at('header ends', '/h', 'x-a: suffix'),
    at('header holds', '/h', 'x-a: amidst'),
    at('header matches', '/h', 'x-a: 123'),
    at('header matches in full only', '/h', 'x-a: 123x'),
    at('cookie', '/c', 'cookie: k=v'),
    at('other cookie', '/c', 'cookie: k=w'),
    at('no certificate', '/tls'),
    at('fraction by runtime', '/run'),
    at('body from a file', '/file'),
    { name: 'the only host again for the second attempt', client: [get('/again')], upstreams: twice },
    { name: 'retry policy of the virtual host', client: [get('/host-policy')], upstreams: twice },
    { name: 'body above the limit of the route', client: [post('/large', '123456')], upstreams: twice },
    { name: 'body below the older limit', client: [post('/larger', '123456')], upstreams: twice },
    at('decorated, with a policy that is empty', '/decorated', 'x-envoy-decorator-operation: mine'),
    {
      name: 'weighted by a header, with headers of its own',
      client: [get('/weights', 'x-cluster: a', 'x-gone: 1', 'x-top-gone: 1')],
      upstreams: { a: { replies: [[answer('200 OK', ['x-origin: 1', 'x-host-gone: 1'])]] } },
    },
    at('header replaced in the older way', '/append', 'x-a: client'),
    at('certificate header forwarded', '/', 'x-forwarded-client-cert: By=x', 'x-forwarded-for: 10.1.1.1'),
    { name: 'certificate header taken out', listener: 'older', client: [get('/', 'x-forwarded-client-cert: By=x')] },
    at('upgrade ignored', '/', 'connection: upgrade', 'upgrade: odd'),
    at('upgrade switched off', '/', 'connection: upgrade', 'upgrade: websocket'),
    at('ten names in Connection', '/', 'connection: a, b, c, d, e, f, g, h, i, j'),
  ],
};
