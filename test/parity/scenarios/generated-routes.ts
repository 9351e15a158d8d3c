// What random configurations found about routes, redirects and answers of the proxy itself, made small.

import {
  address,
  answer,
  bootstrap,
  cluster,
  fileLog,
  get,
  http,
  request,
  router,
  routes,
  STATS,
  to,
} from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http.';
const add = (key: string, value: string): object => ({ header: { key, value } });
const metadata = (k: string): object => ({ metadata: { filter_metadata: { m: { k } } } });
const corsOf = (...allow_origin_string_match: object[]): object => ({
  typed_per_filter_config: { cors: { '@type': `${FILTERS}cors.v3.CorsPolicy`, allow_origin_string_match } },
});
const cors = corsOf({ exact: '*' });
const redirect = (prefix: string, action: object, more: object = {}): object => ({
  name: prefix,
  match: { prefix },
  redirect: action,
  ...more,
});
const substitution = (regex: string, text: string): object => ({ pattern: { regex }, substitution: text });

const ROUTES = [
  { match: { prefix: '/hosted', headers: [{ name: 'host' }] }, direct_response: { status: 200 } },
  { name: 'nowhere', match: { prefix: '/nowhere' }, non_forwarding_action: {}, ...cors },
  { name: 'own', match: { prefix: '/own' }, direct_response: { status: 200 }, ...metadata('route'), ...cors },
  redirect('/pre', { prefix_rewrite: '/moved' }, { response_headers_to_add: [add('x-seen', '%REQ(:PATH)%')] }),
  redirect('/query', { prefix_rewrite: '/moved?x=1', strip_query: true }),
  redirect('/rx', { regex_rewrite: substitution('x', 'yy') }),
  redirect('/same', { regex_rewrite: substitution('none', 'yy') }),
  redirect('/empty', { regex_rewrite: substitution('.*', '') }),
  redirect('/ftp', { scheme_redirect: 'ftp' }),
  redirect('/secure', { https_redirect: true }),
  to('/starred', 'a', {}, corsOf({ safe_regex: { regex: '[^a]+' } })),
  redirect('/whole', { path_redirect: '/landed' }),
  redirect('/details', { path_rewrite: '/%RESPONSE_CODE_DETAILS%' }),
  redirect('/levels', {}, { response_headers_to_add: [add('x-a', 'route')] }),
  to(
    '/weighted',
    '',
    {
      cluster: undefined,
      weighted_clusters: {
        clusters: [
          {
            name: 'a',
            weight: 1,
            host_rewrite_literal: 'weighted.test',
            request_headers_to_add: [add('x-cluster-saw', '%REQ(:AUTHORITY)%')],
          },
        ],
      },
    },
    { request_headers_to_add: [add('x-route-saw', '%REQ(:AUTHORITY)%')] },
  ),
  to('/named', 'named', {
    auto_host_rewrite: true,
    append_x_forwarded_host: true,
    retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.001s' } },
  }),
  to('/internal', 'a', { internal_redirect_policy: {} }),
  to('/a/b', 'a', {}, { name: 'forwards', ...metadata('route') }),
];

const HOSTS = {
  name: 'hosts',
  virtual_hosts: [
    { name: 'tls', domains: ['tls.test'], require_tls: 'ALL', routes: [to('/', 'a')], ...metadata('tls host') },
    {
      name: 'all',
      domains: ['*'],
      routes: ROUTES,
      response_headers_to_add: [add('x-b', '%RESP(x-a)%')],
      ...metadata('host'),
    },
  ],
};

/** A number of the runtime replaces a numerator, whatever else it may say; thresholds are read in the same way. */
const RUNTIME = {
  whole: 100,
  none: 0,
  point: 1.9,
  text: '100.7',
  spaced: ' 100',
  flag: true,
  negative: -5,
  huge: 1e30,
  word: 'x',
  blank: '',
  share: { numerator: 100, denominator: 'HUNDRED' },
};
function sampledLogs(log: string): object[] {
  const sampled = (key: string, numerator: number, denominator: string): object =>
    fileLog(
      log,
      { key, of: denominator },
      {
        runtime_filter: { runtime_key: `r.${key}`, percent_sampled: { numerator, denominator } },
      },
    );
  const compared = (key: string): object =>
    fileLog(
      log,
      { key, of: 'status' },
      {
        status_code_filter: { comparison: { op: 'GE', value: { default_value: 250, runtime_key: `r.${key}` } } },
      },
    );
  return Object.keys(RUNTIME).flatMap((key) => [
    sampled(key, 0, 'TEN_THOUSAND'),
    sampled(key, 10_000, 'TEN_THOUSAND'),
    sampled(key, 100, 'HUNDRED'),
    compared(key),
  ]);
}

/** Its only host has a name. */
const named = (port: number | undefined): object =>
  cluster('named', [], {
    load_assignment: {
      cluster_name: 'named',
      endpoints: [{ lb_endpoints: [{ endpoint: { hostname: 'name.test', address: address(port) } }] }],
    },
  });

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const on = (listener: string, scenario: Scenario): Scenario => ({ ...scenario, listener });
const PROTO = 'x-forwarded-proto: http';
const ID = 'x-request-id: 0000000a-1111-4111-8111-111111111111';

export const generatedRoutes: Group = {
  name: 'generated-routes',
  listeners: ['main', 'filtered', 'quiet', 'by-header', 'grpc-json', 'grpc-text', 'sampled'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const access_log = [
      fileLog(log, {
        now: '%REQ(:PATH)%',
        original: '%REQ(X-ENVOY-ORIGINAL-PATH)%',
        virtualHost: '%METADATA(VIRTUAL_HOST:m:k)%',
        ofRoute: '%METADATA(ROUTE:m:k)%',
        query: '%QUERY_PARAMS% %QUERY_PARAMS(DECODED)% %QUERY_PARAM(q)% %PATH(NQ)%',
        size: '%REQUEST_HEADERS_BYTES%',
        resolved: '%ROUTE_RESOLUTION_COUNT%',
      }),
    ];
    const main = {
      access_log,
      path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
      always_set_request_id_in_response: true,
      http_filters: [{ name: 'cors', typed_config: { '@type': `${FILTERS}cors.v3.Cors` } }, router({})],
    };
    const removal = { remove_on_match: { key_matcher: { prefix: 'x-' } } };
    const filtered = {
      access_log,
      always_set_request_id_in_response: true,
      http_filters: [
        {
          name: 'mutation',
          typed_config: {
            '@type': `${FILTERS}header_mutation.v3.HeaderMutation`,
            mutations: {
              request_mutations: [removal],
              response_mutations: [{ append: add('x-flags', '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%') }],
            },
          },
        },
        router({}),
      ],
    };
    const quiet = { access_log, http_filters: [router({ suppress_envoy_headers: true })] };
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', HOSTS, main),
        http(ports, log, 'filtered', HOSTS, filtered),
        http(ports, log, 'quiet', HOSTS, quiet),
        http(ports, log, 'by-header', routes([to('/', 'a')], {}, { vhost_header: 'x-host' }), {
          add_user_agent: true,
        }),
        http(ports, log, 'grpc-json', routes([]), {
          local_reply_config: { body_format: { json_format: { a: 'b' }, content_type: 'text/html' } },
        }),
        http(ports, log, 'grpc-text', routes([]), {
          local_reply_config: {
            body_format: { text_format_source: { inline_string: 'abc\n' }, content_type: 'application/json' },
          },
        }),
        http(ports, log, 'sampled', routes([to('/', 'a')]), { access_log: sampledLogs(log) }),
      ],
      [cluster('a', [ports['a']]), named(ports['a'])],
      { layered_runtime: { layers: [{ name: 'static', static_layer: { r: RUNTIME } }] } },
    );
  },
  // Envoy does not keep a connection whose answer is followed at once.
  stats: new RegExp(`^(?!.*(cx_total|pending_total))(${STATS.source})`),
  scenarios: [
    at('no route, but a virtual host', '/none'),
    at('no route: plain where TLS is required', '/none', 'host: tls.test'),
    at('answered before it is routed', '/a%2Fb', ID),
    at('answered before it is routed, and it is known how it came', '/a%2Fb', PROTO),
    at('answered before it is routed, plain where TLS is required', '/a%2Fb', PROTO, 'host: tls.test'),
    { name: 'without a host', client: [`GET /own HTTP/1.1\r\n${PROTO}\r\n\r\n`] },
    { name: 'with an empty host', client: [`GET /own HTTP/1.1\r\nhost:\r\n${PROTO}\r\n\r\n`] },
    {
      name: 'a method that needs a content type',
      client: [request('QUERY', '/own', [PROTO, 'content-length: 0'])],
    },
    at('redirect by prefix', '/pre/a?q=1', 'x-envoy-original-path: /before'),
    at('redirect by prefix with a query', '/query/a?q=1'),
    at('redirect by pattern', '/rx/x?q=x'),
    at('redirect by pattern: no match', '/same'),
    at('redirect by pattern: nothing left', '/empty?q=1', 'x-envoy-original-path: /before'),
    at('redirect to a path', '/whole?q=1', 'x-envoy-original-path: /before'),
    at('redirect to another scheme', '/ftp', 'host: a:80'),
    at('redirect to another scheme: none', '/secure', 'host: a:443', 'x-forwarded-proto: https'),
    at('redirect to another scheme: written otherwise', '/secure', 'host: a:443', 'x-forwarded-proto: HTTPS'),
    at('redirect to another scheme: a port alone', '/secure', 'host: :80'),
    at('an origin where a star is allowed', '/starred', 'origin: a'),
    at('redirect by details', '/details'),
    at('redirect: levels see each other', '/levels'),
    on('quiet', at('redirect by prefix, quietly', '/pre/a')),
    at('route without an action: origin', '/nowhere', 'origin: http://o.test'),
    at('route with its own answer: origin', '/own', 'origin: http://o.test'),
    at('weighted cluster with a host', '/weighted'),
    at('the host that was asked for is the one that is found', '/named', 'host: name.test'),
    {
      name: 'each try rewrites the host',
      client: [get('/named', 'x-envoy-original-host: before')],
      upstreams: { a: { replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    {
      name: 'a redirect to a host that requires TLS',
      client: [get('/internal')],
      upstreams: { a: { replies: [[answer('302 Found', ['location: http://tls.test/a/b'])], [answer('200 OK')]] } },
    },
    on('by-header', at('a name for who has an empty one', '/', 'user-agent:')),
    on('grpc-json', at('a gRPC message of JSON that has another name', '/', 'content-type: application/grpc')),
    on('grpc-text', at('a gRPC message of text that is called JSON', '/', 'content-type: application/grpc')),
    {
      name: 'a redirect to http of what came in clear text as https',
      client: [get('/internal', 'x-forwarded-proto: https')],
      upstreams: { a: { replies: [[answer('302 Found', ['location: http://a.example/a/b'])], [answer('200 OK')]] } },
    },
    {
      name: 'a redirect to https of what came in clear text as https',
      client: [get('/internal', 'x-forwarded-proto: https')],
      upstreams: { a: { replies: [[answer('302 Found', ['location: https://a.example/a/b'])], [answer('200 OK')]] } },
    },
    on('filtered', at('request id taken out', '/a/b', ID)),
    on('filtered', at('request id taken out: answered here', '/own', ID)),
    on('filtered', { name: 'what is no HTTP', client: ['GET /\xe9 HTTP/1.1\r\nhost: a\r\n\r\n'] }),
    at('escapes in a query', '/a?%20%21%22%25%2f%3C%3e%40%5B%5c%5D%5e%5f%60%7B%7c%7D%7e%7F%80'),
    at('a fragment behind the query', '/a?q=1#f'),
    at('a fragment before the query', '/a#f?q=1'),
    at('an empty host is a header', '/hosted', 'host:'),
    on('by-header', at('a virtual host for all needs no name', '/')),
    {
      name: 'a body that is none, behind an answer',
      client: [`GET /own HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`],
      answers: 0,
    },
    on('sampled', at('records by share: in', '/in', ID)),
    on('sampled', at('records by share: out', '/out', 'x-request-id: 00000063-1111-4111-8111-111111111111')),
  ],
};
