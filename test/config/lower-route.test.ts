// Route configurations: every honoured field with a non-default value, Envoy's defaults, refusals.
// The refusals' sentences are those of Envoy 1.40 in validate mode.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { RouteConfigModel, RouteModel } from '../../proxy/config/model/route.ts';
import { lowered, refusal, TYPE } from '../fixtures/lower.ts';

const ROUTES = 'envoy.config.route.v3.RouteConfiguration';
const NO_HEADERS = { requestAdd: [], requestRemove: [], responseAdd: [], responseRemove: [] };
const ANY = { match: { prefix: '/' } };
const OK = { ...ANY, direct_response: { status: 200 } };

function lower(json: object, ctx = new LowerContext()): RouteConfigModel {
  return lowered(lowerRouteConfig, ROUTES, { name: 'r', ...json }, ctx);
}

function hosts(...virtual_hosts: object[]): object {
  return { virtual_hosts };
}

/** The one route, in a virtual host with further fields. */
function route(json: object, host: object = {}): RouteModel {
  const config = lower(hosts({ name: 'v', domains: ['*'], routes: [json], ...host }));
  const [model] = config.virtualHosts[0]?.routes ?? [];
  if (model === undefined) throw new Error('no route');
  return model;
}

function action(json: object, host: object = {}): unknown {
  return route({ ...ANY, route: json }, host).action;
}

function match(json: object): RouteModel['match'] {
  return route({ ...OK, match: json }).match;
}

function refusedRoute(json: object): string {
  return refusal(() => route(json)).replace('it.virtual_hosts[0].routes[0]', 'route');
}

const header = (key: string, value: string, extra: object = {}) => ({ header: { key, value }, ...extra });
const MUTATIONS = {
  request_headers_to_add: [header('X-A', '%REQ(b)%', { append_action: 'ADD_IF_ABSENT', keep_empty_value: true })],
  request_headers_to_remove: ['X-B'],
  response_headers_to_add: [header('c', 'ü', { append: false }), header('d', 'e')],
  response_headers_to_remove: ['F'],
};
const MUTATIONS_MODEL = {
  requestAdd: [{ name: 'x-a', value: '%REQ(b)%', action: 'add_if_absent', keepEmptyValue: true }],
  requestRemove: ['x-b'],
  responseAdd: [
    { name: 'c', value: '\u00c3\u00bc', action: 'overwrite_if_exists_or_add', keepEmptyValue: false },
    { name: 'd', value: 'e', action: 'append_if_exists_or_add', keepEmptyValue: false },
  ],
  responseRemove: ['f'],
};

t.test('route configuration', async (t) => {
  const DEFAULTS = {
    name: 'r',
    virtualHosts: [],
    headers: NO_HEADERS,
    internalOnlyHeaders: [],
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    vhostHeader: '',
    ignorePathParametersInPathMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    metadata: {},
    filters: null,
  };
  t.same(lower({}), DEFAULTS);
  t.same(
    lower({
      ...MUTATIONS,
      internal_only_headers: ['X-Internal'],
      most_specific_header_mutations_wins: true,
      ignore_port_in_host_matching: true,
      vhost_header: 'X-Host',
      ignore_path_parameters_in_path_matching: true,
      max_direct_response_body_size_bytes: 1,
      metadata: { filter_metadata: { a: { b: 1 } } },
    }),
    {
      ...DEFAULTS,
      headers: MUTATIONS_MODEL,
      internalOnlyHeaders: ['x-internal'],
      mostSpecificHeaderMutationsWins: true,
      ignorePortInHostMatching: true,
      vhostHeader: 'x-host',
      ignorePathParametersInPathMatching: true,
      maxDirectResponseBodySizeBytes: 1,
      metadata: { a: { b: 1 } },
      filters: null,
    },
  );
});

t.test('virtual host', async (t) => {
  const cors = { 'envoy.filters.http.cors': { '@type': `${TYPE}envoy.extensions.filters.http.cors.v3.CorsPolicy` } };
  const [bare, full] = lower(
    hosts(
      { name: 'v', domains: ['A.Example', '*.B.example', 'c.*'] },
      {
        name: 'w',
        domains: ['*'],
        routes: [OK],
        require_tls: 'EXTERNAL_ONLY',
        virtual_clusters: [{ name: 'vc', headers: [{ name: ':method', string_match: { exact: 'GET' } }] }],
        typed_per_filter_config: cors,
        include_request_attempt_count: true,
        include_attempt_count_in_response: true,
        include_is_timeout_retry_header: true,
        metadata: { filter_metadata: { a: {} } },
        ...MUTATIONS,
      },
    ),
  ).virtualHosts;
  t.same(bare, {
    name: 'v',
    domains: ['a.example', '*.b.example', 'c.*'],
    requireTls: 'none',
    routes: [],
    matcher: null,
    virtualClusters: [],
    headers: NO_HEADERS,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    includeIsTimeoutRetryHeader: false,
    metadata: {},
    filters: null,
  });
  t.match(full, {
    requireTls: 'external_only',
    virtualClusters: [{ name: 'vc', headers: [{ name: ':method' }] }],
    headers: MUTATIONS_MODEL,
    includeRequestAttemptCount: true,
    includeAttemptCountInResponse: true,
    includeIsTimeoutRetryHeader: true,
    metadata: { a: {} },
    filters: { 'envoy.filters.http.cors': { disabled: false } },
  });
});

t.test('route', async (t) => {
  t.same(route(OK), {
    name: '',
    match: {
      path: { kind: 'prefix', value: '/' },
      caseSensitive: true,
      headers: [],
      queryParameters: [],
      cookies: [],
      grpcOnly: false,
      runtimeFraction: null,
      tlsContext: null,
      dynamicMetadata: [],
      filterState: [],
    },
    action: { kind: 'direct_response', status: 200, body: '', bodyFormat: null },
    headers: NO_HEADERS,
    decoratorOperation: '',
    decoratorPropagate: true,
    metadata: {},
    filters: null,
    requestBodyBufferLimitBytes: null,
    statPrefix: '',
  });
  const filterConfig = { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true };
  const full = route({
    ...ANY,
    name: 'n',
    non_forwarding_action: {},
    decorator: { operation: 'op', propagate: false },
    metadata: { filter_metadata: { a: { b: [1] } } },
    request_body_buffer_limit: '12',
    per_request_buffer_limit_bytes: 13,
    stat_prefix: 'st',
    typed_per_filter_config: { f: filterConfig },
    ...MUTATIONS,
  });
  t.match(full, {
    name: 'n',
    action: { kind: 'non_forwarding' },
    headers: MUTATIONS_MODEL,
    decoratorOperation: 'op',
    decoratorPropagate: false,
    metadata: { a: { b: [1] } },
    filters: { f: { disabled: true } },
    requestBodyBufferLimitBytes: 12,
    statPrefix: 'st',
  });
  t.equal(route({ ...OK, per_request_buffer_limit_bytes: 9 }).requestBodyBufferLimitBytes, 9, 'older spelling');
  t.equal(route(OK, { request_body_buffer_limit: '8' }).requestBodyBufferLimitBytes, 8, 'of the virtual host');
  t.equal(route({ ...OK, request_body_buffer_limit: '0' }).requestBodyBufferLimitBytes, 0, 'nothing is kept');
});

t.test('match', async (t) => {
  const paths: readonly (readonly [config: object, kind: string, value?: string])[] = [
    [{ prefix: '/ü' }, 'prefix', '/\u00c3\u00bc'],
    [{ path: '/a' }, 'exact', '/a'],
    [{ path_separated_prefix: '/a' }, 'path_separated_prefix', '/a'],
    [{ safe_regex: { regex: '/a+' } }, 'regex', '/a+'],
    [{ connect_matcher: {} }, 'connect'],
  ];
  for (const [config, kind, value] of paths) {
    t.same(match(config).path, value === undefined ? { kind } : { kind, value }, kind);
  }
  const string = (kind: string, value: string, ignoreCase = false) => ({
    kind: 'string',
    string: { kind, value, ignoreCase },
  });
  const headers: readonly (readonly [config: object, match: object])[] = [
    [{}, { kind: 'present', present: true }],
    [{ present_match: false }, { kind: 'present', present: false }],
    [{ range_match: { start: '-5', end: '10' } }, { kind: 'range', start: -5, end: 10 }],
    [{ exact_match: 'A' }, string('exact', 'A')],
    [{ prefix_match: 'A' }, string('prefix', 'A')],
    [{ suffix_match: 'A' }, string('suffix', 'A')],
    [{ contains_match: 'A' }, string('contains', 'A')],
    [{ safe_regex_match: { regex: 'A|B' } }, string('regex', 'A|B')],
    [{ string_match: { exact: 'Aü', ignore_case: true } }, string('exact', 'a\u00c3\u00bc', true)],
    [{ string_match: { suffix: 'A' } }, string('suffix', 'A')],
    [{ string_match: { contains: 'A' } }, string('contains', 'A')],
    [{ string_match: { safe_regex: { regex: '[a-z]' } } }, string('regex', '[a-z]')],
  ];
  for (const [config, want] of headers) {
    const [got] = match({ prefix: '/', headers: [{ name: 'X-N', ...config }] }).headers;
    t.same(got, { name: 'x-n', match: want, invert: false, treatMissingAsEmpty: false }, JSON.stringify(config));
  }
  const [inverted] = match({
    prefix: '/',
    headers: [{ name: 'a', invert_match: true, treat_missing_header_as_empty: true }],
  }).headers;
  t.match(inverted, { invert: true, treatMissingAsEmpty: true });
  t.match(
    match({
      prefix: '/',
      case_sensitive: false,
      runtime_fraction: { default_value: { numerator: 3, denominator: 'MILLION' }, runtime_key: 'k' },
      query_parameters: [
        { name: 'Q' },
        { name: 'p', present_match: false },
        { name: 's', string_match: { prefix: 'x' } },
      ],
      cookies: [{ name: 'c', string_match: { exact: 'v' }, invert_match: true }],
      grpc: {},
      tls_context: { presented: true, validated: false },
    }),
    {
      caseSensitive: false,
      runtimeFraction: { numerator: 3, denominator: 1_000_000, runtimeKey: 'k' },
      queryParameters: [
        { name: 'Q', match: { kind: 'present', present: true } },
        { name: 'p', match: { kind: 'present', present: false } },
        { name: 's', match: { kind: 'string', string: { kind: 'prefix', value: 'x' } } },
      ],
      cookies: [{ name: 'c', match: { kind: 'exact', value: 'v' }, invert: true }],
      grpcOnly: true,
      tlsContext: { presented: true, validated: false },
    },
  );
  t.same(match({ prefix: '/', tls_context: {} }).tlsContext, { presented: null, validated: null });
});

t.test('forwarding', async (t) => {
  const DEFAULTS = {
    kind: 'route',
    cluster: { kind: 'cluster', name: 'c' },
    clusterNotFoundCode: 503,
    prefixRewrite: '',
    regexRewrite: null,
    templateRewrite: null,
    pathFormat: '',
    hostRewrite: { kind: 'none' },
    appendXForwardedHost: false,
    timeoutMs: 15_000,
    idleTimeoutMs: -1,
    maxStreamDurationMs: -1,
    grpcStreamLimits: null,
    grpcLimits: null,
    flushTimeoutMs: -1,
    priority: 'default',
    retry: null,
    hedgeOnPerTryTimeout: false,
    mirrors: [],
    hashPolicy: [],
    internalRedirect: null,
    upgrades: [],
    metadataMatch: null,
    includeVirtualHostRateLimits: false,
  };
  t.same(action({ cluster: 'c' }), DEFAULTS);
  t.same(
    action({
      cluster_header: 'X-Cluster',
      cluster_not_found_response_code: 'NOT_FOUND',
      prefix_rewrite: '/p',
      host_rewrite_literal: 'h',
      append_x_forwarded_host: true,
      timeout: '0s',
      idle_timeout: '2s',
      flush_timeout: '3s',
      priority: 'HIGH',
      upgrade_configs: [
        { upgrade_type: 'WebSocket', enabled: false },
        { upgrade_type: 'CONNECT', connect_config: { proxy_protocol_config: { version: 'V2' }, allow_post: true } },
      ],
      max_stream_duration: {
        max_stream_duration: '4s',
        grpc_timeout_header_max: '5s',
        grpc_timeout_header_offset: '1s',
      },
      max_grpc_timeout: '6s',
      grpc_timeout_offset: '2s',
    }),
    {
      ...DEFAULTS,
      cluster: { kind: 'cluster_header', header: 'x-cluster' },
      clusterNotFoundCode: 404,
      prefixRewrite: '/p',
      hostRewrite: { kind: 'literal', value: 'h' },
      appendXForwardedHost: true,
      timeoutMs: 0,
      idleTimeoutMs: 2_000,
      flushTimeoutMs: 3_000,
      priority: 'high',
      upgrades: [
        { type: 'websocket', enabled: false, connect: null },
        { type: 'connect', enabled: true, connect: { proxyHeader: 2, allowPost: true } },
      ],
      maxStreamDurationMs: 4_000,
      grpcStreamLimits: { maxMs: 5_000, offsetMs: 1_000 },
      grpcLimits: { maxMs: 6_000, offsetMs: 2_000 },
    },
  );
  // With a stream's life limited, the route's own time-out is out of account.
  t.match(action({ cluster: 'c', timeout: '9s', max_stream_duration: {} }), { timeoutMs: 0, grpcStreamLimits: null });
  const regex = { pattern: { regex: '^/a' }, substitution: '\\0b' };
  const rewrite = { pattern: '^/a', substitution: '\\0b' };
  t.match(action({ cluster: 'c', regex_rewrite: regex }), { regexRewrite: rewrite });
  const rewrites: readonly (readonly [config: object, model: object])[] = [
    [{ auto_host_rewrite: true }, { kind: 'auto' }],
    [{ auto_host_rewrite: false }, { kind: 'none' }],
    [{ host_rewrite_header: 'X-H' }, { kind: 'header', header: 'x-h' }],
    [{ host_rewrite_path_regex: regex }, { kind: 'path_regex', rewrite }],
  ];
  for (const [config, hostRewrite] of rewrites) t.match(action({ cluster: 'c', ...config }), { hostRewrite });
  const weighted = {
    clusters: [
      { name: 'a', weight: 1, host_rewrite_literal: 'h', typed_per_filter_config: {}, ...MUTATIONS },
      { cluster_header: 'X-C', weight: 0 },
    ],
    runtime_key_prefix: 'k',
    header_name: 'X-Random',
  };
  t.match(action({ weighted_clusters: weighted }), {
    cluster: {
      kind: 'weighted',
      headerName: 'x-random',
      clusters: [
        { name: 'a', clusterHeader: '', weight: 1, headers: MUTATIONS_MODEL, hostRewriteLiteral: 'h' },
        { name: '', clusterHeader: 'x-c', weight: 0, headers: NO_HEADERS, hostRewriteLiteral: '' },
      ],
    },
  });
});

t.test('redirects and direct responses', async (t) => {
  const redirect = (config: object) => route({ ...ANY, redirect: config }).action;
  const DEFAULTS = {
    kind: 'redirect',
    scheme: { kind: 'keep' },
    host: '',
    port: 0,
    path: { kind: 'keep' },
    code: 301,
    stripQuery: false,
  };
  t.same(redirect({}), DEFAULTS);
  t.same(
    redirect({
      scheme_redirect: 'ftp',
      host_redirect: 'h',
      port_redirect: 8443,
      path_redirect: '/x',
      response_code: 'PERMANENT_REDIRECT',
      strip_query: true,
    }),
    {
      kind: 'redirect',
      scheme: { kind: 'literal', value: 'ftp' },
      host: 'h',
      port: 8443,
      path: { kind: 'literal', value: '/x' },
      code: 308,
      stripQuery: true,
    },
  );
  t.match(redirect({ https_redirect: true, prefix_rewrite: '/p' }), {
    scheme: { kind: 'https' },
    path: { kind: 'prefix', value: '/p' },
  });
  t.match(redirect({ regex_rewrite: { pattern: { regex: 'a' }, substitution: 'b' } }), {
    path: { kind: 'regex', rewrite: { pattern: 'a', substitution: 'b' } },
  });
  const direct = {
    status: 503,
    body: { inline_string: 'ü' },
    body_format: { text_format: '%RESPONSE_CODE%', content_type: 'text/x' },
  };
  t.same(route({ ...ANY, direct_response: direct }).action, {
    kind: 'direct_response',
    status: 503,
    body: '\u00c3\u00bc',
    bodyFormat: {
      format: { kind: 'text', format: '%RESPONSE_CODE%', omitEmptyValues: false },
      contentType: 'text/x',
    },
  });
});

t.test('clusters must exist where they are known', async (t) => {
  const ctx = new LowerContext();
  ctx.clusterNames = new Set(['known']);
  const to = (target: object) => hosts({ name: 'v', domains: ['*'], routes: [{ ...ANY, route: target }] });
  const path = 'it.virtual_hosts[0].routes[0].route';
  t.equal(
    refusal(() => lower(to({ cluster: 'nope' }), ctx)),
    `${path}.cluster: route: unknown cluster 'nope'`,
  );
  t.equal(
    refusal(() => lower(to({ cluster: 'knwon' }), ctx)),
    `${path}.cluster: route: unknown cluster 'knwon', did you mean known?`,
  );
  const weighted_clusters = { clusters: [{ name: 'nope', weight: 1 }] };
  t.equal(
    refusal(() => lower(to({ weighted_clusters }), ctx)),
    `${path}.weighted_clusters.clusters[0].name: route: unknown weighted cluster 'nope'`,
  );
  lower(to({ cluster: 'known' }), ctx);
  lower({ ...to({ cluster: 'nope' }), validate_clusters: false }, ctx);
});

t.test('refusals in Envoy’s words', async (t) => {
  const domains = (...lists: string[][]) =>
    refusal(() => lower(hosts(...lists.map((list, index) => ({ name: `v${index}`, domains: list })))));
  t.equal(
    domains(['x.com'], ['y', 'X.com']),
    'it.virtual_hosts[1].domains[1]: Only unique values for domains are permitted. Duplicate entry of domain x.com in route r',
  );
  t.equal(
    domains(['*'], ['*']),
    'it.virtual_hosts[1].domains[0]: Only a single wildcard domain is permitted in route r',
  );
  t.match(domains(['*.x.com'], ['*.x.com']), 'Duplicate entry of domain *.x.com in route r');
  t.match(
    refusal(() => lower(hosts({ name: 'v', domains: ['*'], virtual_clusters: [{ name: 'x' }] }))),
    "it.virtual_hosts[0].virtual_clusters[0]: virtual clusters must define 'headers'",
  );
  const to = (extra: object) => ({ ...ANY, route: { cluster: 'c', ...extra } });
  const add = (key: string, value: string, extra: object = {}) => ({
    ...OK,
    request_headers_to_add: [header(key, value, extra)],
  });
  const weighted = (...clusters: object[]) => ({ ...ANY, route: { weighted_clusters: { clusters } } });
  const regex = (pattern: string) => ({ ...OK, match: { safe_regex: { regex: pattern } } });
  const rewrite = { pattern: { regex: 'a' }, substitution: 'b' };
  const cases: readonly (readonly [json: object, text: RegExp])[] = [
    [regex('(a'), /^route\.match\.safe_regex\.regex: .*missing \): \(a$/],
    [regex('(?=a)'), /invalid perl operator: \(\?=/],
    [
      add(':path', 'x'),
      /^route\.request_headers_to_add\[0\]\.header\.key: :-prefixed or host headers may not be modified$/,
    ],
    [add('Host', 'x'), /:-prefixed or host headers may not be modified/],
    [add('a b', 'x'), /invalid header name "a b"/],
    [add('a', '%FOO%'), /^route\.request_headers_to_add\[0\]\.header\.value: .*FOO/],
    [
      add('a', 'b', { append: true, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
      /^route\.request_headers_to_add\[0\]: Both append and append_action are set and it's not allowed$/,
    ],
    [
      { ...OK, response_headers_to_remove: [':status'] },
      /^route\.response_headers_to_remove\[0\]: :-prefixed or host headers may not be removed$/,
    ],
    [
      to({ prefix_rewrite: '/x', regex_rewrite: rewrite }),
      /^route\.route: Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy$/,
    ],
    [to({ upgrade_configs: [{ upgrade_type: 'a' }, { upgrade_type: 'A' }] }), /Duplicate upgrade A$/],
    [
      to({ upgrade_configs: [{ upgrade_type: 'Connect-UDP', connect_config: {} }] }),
      /UDP is not proxied; remove CONNECT-UDP$/,
    ],
    [
      to({ upgrade_configs: [{ upgrade_type: 'websocket', connect_config: {} }] }),
      /Non-CONNECT upgrade type websocket has ConnectConfig$/,
    ],
    [
      to({ retry_policy: { retry_back_off: { base_interval: '1s', max_interval: '0.5s' } } }),
      /retry_policy\.max_interval must greater than or equal to the base_interval$/,
    ],
    [weighted({ name: 'c', weight: 0 }), /Sum of weights in the weighted_cluster must be greater than 0\.$/],
    [weighted({ name: 'c' }), /Field 'weight' is missing$/],
    [weighted({ name: 'c', cluster_header: 'x', weight: 1 }), /Only one of name or cluster_header can be specified$/],
    [weighted({ weight: 1 }), /At least one of name or cluster_header need to be specified$/],
    [
      { ...ANY, direct_response: { status: 200, body: { inline_string: 'x'.repeat(5000) } } },
      /^route\.direct_response\.body: response body size is 5000 bytes; maximum is 4096$/,
    ],
    [to({ timeout: '-1s' }), /^route\.route\.timeout: Invalid duration: Expected positive duration$/],
    [
      {
        ...OK,
        match: {
          prefix: '/',
          headers: [{ name: 'a', string_match: { safe_regex: { regex: 'A' }, ignore_case: true } }],
        },
      },
      /ignore_case has no effect for safe_regex\.$/,
    ],
  ];
  for (const [json, text] of cases) t.match(refusedRoute(json), text);
});
