// The HTTP connection manager and its filters: every honoured field with a non-default value, Envoy's defaults, refusals.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import { HTTP2_DEFAULTS } from '../../proxy/config/lower/http2.ts';
import type { HttpConnectionManagerModel } from '../../proxy/config/model/http.ts';
import { CORS, fileLog, hcm, lowered, ROUTER, refusal, TYPE } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

function lower(extra: object = {}, ctx = new LowerContext()): HttpConnectionManagerModel {
  return lowered(lowerHttpConnectionManager, HCM, hcm(extra), ctx);
}

function refused(extra: object): string {
  return refusal(() => lower(extra));
}

t.test('defaults', async (t) => {
  const { routes, httpFilters, ...model } = lower();
  t.equal(routes.kind, 'inline');
  t.same(httpFilters, [
    {
      name: 'envoy.filters.http.router',
      disabled: false,
      config: {
        kind: 'router',
        dynamicStats: true,
        suppressEnvoyHeaders: false,
        respectExpectedRqTimeout: false,
        suppressGrpcRequestFailureCodeStats: false,
        strictCheckHeaders: [],
        upstreamLogs: [],
      },
    },
  ]);
  t.same(model, {
    statPrefix: 'h',
    codec: 'auto',
    accessLogs: [],
    flushAccessLogOnNewRequest: false,
    accessLogFlushIntervalMs: 0,
    maxRequestHeadersBytes: 61_440,
    maxHeadersCount: 100,
    headersWithUnderscores: 'allow',
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    http1SafeMaxConnectionDuration: false,
    maxStreamDurationMs: 0,
    streamIdleTimeoutMs: 300_000,
    streamFlushTimeoutMs: 300_000,
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 0,
    drainTimeoutMs: 5_000,
    delayedCloseTimeoutMs: 1_000,
    http1: {
      acceptHttp10: false,
      defaultHostForHttp10: '',
      enableTrailers: false,
      allowAbsoluteUrl: true,
      allowChunkedLength: false,
      headerCase: 'lower',
      sendFullyQualifiedUrl: false,
      allowCustomMethods: false,
      ignoreHttp11Upgrade: [],
    },
    http2: HTTP2_DEFAULTS,
    streamErrorOnInvalidHttpMessage: false,
    proxy100Continue: false,
    upgrades: [],
    serverName: 'envoy',
    serverHeader: 'overwrite',
    schemeToOverwrite: '',
    matchUpstreamScheme: false,
    via: '',
    useRemoteAddress: false,
    xffNumTrustedHops: 0,
    skipXffAppend: false,
    appendXForwardedPort: false,
    internalAddresses: { unixSockets: false, cidrs: [] },
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    packTraceReason: true,
    useRequestIdForTraceSampling: true,
    forwardClientCert: 'sanitize',
    setCurrentClientCert: { subject: false, cert: false, chain: false, dns: false, uri: false, issuer: false },
    normalizePath: false,
    mergeSlashes: false,
    escapedSlashes: 'keep',
    stripHostPort: 'no',
    stripTrailingHostDot: false,
    earlyMutations: [],
    addUserAgent: false,
    appendLocalOverload: false,
    localReply: { mappers: [], bodyFormat: null },
    proxyStatus: null,
  });
});

t.test('limits, timeouts and logs', async (t) => {
  const model = lower({
    codec_type: 'HTTP1',
    max_request_headers_kb: 8,
    common_http_protocol_options: {
      idle_timeout: '0s',
      max_connection_duration: '60s',
      max_headers_count: 7,
      max_stream_duration: '9s',
      headers_with_underscores_action: 'DROP_HEADER',
      max_requests_per_connection: 3,
    },
    stream_idle_timeout: '0.0005s',
    stream_flush_timeout: '4s',
    request_timeout: '1s',
    request_headers_timeout: '2s',
    drain_timeout: '3s',
    http1_safe_max_connection_duration: true,
    delayed_close_timeout: '0s',
    access_log: [fileLog('/dev/null')],
    access_log_options: { access_log_flush_interval: '5s', flush_access_log_on_new_request: true },
    stream_error_on_invalid_http_message: true,
    proxy_100_continue: true,
    upgrade_configs: [{ upgrade_type: 'WebSocket' }, { upgrade_type: 'x', enabled: false }],
  });
  t.match(model, {
    codec: 'http1',
    maxRequestHeadersBytes: 8192,
    maxHeadersCount: 7,
    headersWithUnderscores: 'drop_header',
    maxRequestsPerConnection: 3,
    idleTimeoutMs: 0,
    maxConnectionDurationMs: 60_000,
    maxStreamDurationMs: 9_000,
    streamIdleTimeoutMs: 0,
    streamFlushTimeoutMs: 4_000,
    requestTimeoutMs: 1_000,
    requestHeadersTimeoutMs: 2_000,
    drainTimeoutMs: 3_000,
    http1SafeMaxConnectionDuration: true,
    delayedCloseTimeoutMs: 0,
    flushAccessLogOnNewRequest: true,
    accessLogFlushIntervalMs: 5_000,
    streamErrorOnInvalidHttpMessage: true,
    proxy100Continue: true,
  });
  t.same(model.upgrades, [
    { type: 'websocket', enabled: true, connect: null },
    { type: 'x', enabled: false, connect: null },
  ]);
  t.equal(model.accessLogs.length, 1);
  const older = lower({ access_log_flush_interval: '10s', flush_access_log_on_new_request: true });
  t.equal(older.accessLogFlushIntervalMs, 10_000, 'older place');
  t.equal(older.flushAccessLogOnNewRequest, true, 'older place');
  t.equal(lower({ stream_idle_timeout: '7s' }).streamFlushTimeoutMs, 7_000, 'the flush timeout follows');
});

t.test('HTTP/1 options', async (t) => {
  const preserve = 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';
  const model = lower({
    stream_error_on_invalid_http_message: true,
    http_protocol_options: {
      allow_absolute_url: false,
      accept_http_10: true,
      default_host_for_http_10: 'old.example',
      header_key_format: { proper_case_words: {} },
      enable_trailers: true,
      allow_chunked_length: true,
      override_stream_error_on_invalid_http_message: false,
      send_fully_qualified_url: true,
      allow_custom_methods: true,
      ignore_http_11_upgrade: [{ exact: 'TLS/1.0', ignore_case: true }],
    },
  });
  t.same(model.http1, {
    acceptHttp10: true,
    defaultHostForHttp10: 'old.example',
    enableTrailers: true,
    allowAbsoluteUrl: false,
    allowChunkedLength: true,
    headerCase: 'proper',
    sendFullyQualifiedUrl: true,
    allowCustomMethods: true,
    ignoreHttp11Upgrade: [{ kind: 'exact', value: 'tls/1.0', ignoreCase: true }],
  });
  t.equal(model.streamErrorOnInvalidHttpMessage, false, 'the own switch of HTTP/1 wins');
  const stateful_formatter = { name: 'p', typed_config: { '@type': TYPE + preserve } };
  const kept = lower({ http_protocol_options: { header_key_format: { stateful_formatter } } });
  t.equal(kept.http1.headerCase, 'preserve');
});

t.test('HTTP/2 options', async (t) => {
  const model = lower({ codec_type: 'HTTP2', http2_protocol_options: { max_concurrent_streams: 5 } });
  t.equal(model.codec, 'http2');
  t.equal(model.http2.maxConcurrentStreams, 5);
  t.equal(lower({ stream_error_on_invalid_http_message: true }).http2.streamErrorOnInvalidMessage, true);
});

t.test('early header mutations', async (t) => {
  const type = `${TYPE}envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation`;
  const extension = (mutations: object[]): object => ({ name: 'early', typed_config: { '@type': type, mutations } });
  const add = { append: { header: { key: 'x-a', value: '%REQ(x-b)%' } } };
  const { earlyMutations } = lower({
    early_header_mutation_extensions: [extension([add]), extension([{ remove: 'x-b' }])],
  });
  t.match(earlyMutations, [
    { kind: 'add', add: { name: 'x-a' } },
    { kind: 'remove', name: 'x-b' },
  ]);
  t.throws(() => lower({ early_header_mutation_extensions: [{ name: 'early', typed_config: ROUTER.typed_config }] }), {
    message: /early_header_mutation_extensions\[0\]: Didn't find a registered implementation for 'early'/,
  });
});

t.test('who the sender is, and what the upstream is told', async (t) => {
  const uuid = `${TYPE}envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig`;
  const model = lower({
    server_name: 'srv',
    server_header_transformation: 'APPEND_IF_ABSENT',
    scheme_header_transformation: { scheme_to_overwrite: 'https', match_upstream: true },
    via: 'me',
    use_remote_address: true,
    xff_num_trusted_hops: 2,
    skip_xff_append: true,
    append_x_forwarded_port: true,
    represent_ipv4_remote_address_as_ipv4_mapped_ipv6: true,
    internal_address_config: { unix_sockets: true, cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
    add_user_agent: true,
    generate_request_id: false,
    preserve_external_request_id: true,
    always_set_request_id_in_response: true,
    request_id_extension: {
      typed_config: { '@type': uuid, pack_trace_reason: false, use_request_id_for_trace_sampling: false },
    },
    append_local_overload: true,
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true, issuer: true },
  });
  t.match(model, {
    serverName: 'srv',
    serverHeader: 'append_if_absent',
    schemeToOverwrite: 'https',
    matchUpstreamScheme: true,
    via: 'me',
    useRemoteAddress: true,
    xffNumTrustedHops: 2,
    skipXffAppend: true,
    appendXForwardedPort: true,
    internalAddresses: { unixSockets: true, cidrs: [{ address: '10.0.0.0', prefixLength: 8 }] },
    addUserAgent: true,
    generateRequestId: false,
    preserveExternalRequestId: true,
    alwaysSetRequestIdInResponse: true,
    packTraceReason: false,
    useRequestIdForTraceSampling: false,
    appendLocalOverload: true,
    forwardClientCert: 'append_forward',
    setCurrentClientCert: { subject: true, cert: true, chain: true, dns: true, uri: true, issuer: true },
  });
});

t.test('routes', async (t) => {
  t.match(lower({ route_config: { name: 'inline' } }).routes, { kind: 'inline', config: { name: 'inline' } });
  const rds = { route_config_name: 'later', config_source: { ads: {} } };
  const { route_config: _, ...rest } = hcm({ rds });
  t.same(lowered(lowerHttpConnectionManager, HCM, rest).routes, { kind: 'rds', name: 'later' });
});

t.test('path and host', async (t) => {
  const model = lower({
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
    strip_matching_host_port: true,
    strip_trailing_host_dot: true,
  });
  t.match(model, {
    normalizePath: true,
    mergeSlashes: true,
    escapedSlashes: 'unescape_and_forward',
    stripHostPort: 'matching',
    stripTrailingHostDot: true,
  });
  t.equal(lower({ strip_any_host_port: true }).stripHostPort, 'any');
  const actions = ['IMPLEMENTATION_SPECIFIC_DEFAULT', 'KEEP_UNCHANGED', 'REJECT_REQUEST', 'UNESCAPE_AND_REDIRECT'];
  const lowerings = actions.map((action) => lower({ path_with_escaped_slashes_action: action }).escapedSlashes);
  t.same(lowerings, ['keep', 'keep', 'reject', 'unescape_and_redirect']);
});

t.test('local replies and proxy-status', async (t) => {
  const ctx = new LowerContext();
  ctx.nodeId = 'node-1';
  const model = lower(
    {
      local_reply_config: {
        mappers: [
          {
            filter: {
              status_code_filter: { comparison: { op: 'GE', value: { default_value: 500, runtime_key: 'k' } } },
            },
            status_code: 418,
            body: { inline_string: 'töst' },
            body_format_override: { text_format_source: { inline_string: '%LOCAL_REPLY_BODY%' }, content_type: 'a/b' },
            headers_to_add: [{ header: { key: 'X-A', value: 'b' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
          },
        ],
        body_format: { json_format: { body: '%LOCAL_REPLY_BODY%' } },
      },
      proxy_status_config: {
        remove_details: true,
        remove_connection_termination_details: true,
        remove_response_flags: true,
        set_recommended_response_code: true,
        use_node_id: true,
      },
    },
    ctx,
  );
  t.same(model.localReply.mappers, [
    {
      filter: { kind: 'status_code', op: 'ge', value: 500, runtimeKey: 'k' },
      statusCode: 418,
      body: 't\u00c3\u00b6st',
      bodyFormat: {
        format: { kind: 'text', format: '%LOCAL_REPLY_BODY%', omitEmptyValues: false },
        contentType: 'a/b',
      },
      headersToAdd: [{ name: 'x-a', value: 'b', action: 'overwrite_if_exists_or_add', keepEmptyValue: false }],
    },
  ]);
  t.equal(model.localReply.bodyFormat?.format.kind, 'json');
  t.same(model.proxyStatus, {
    removeDetails: true,
    removeConnectionTerminationDetails: true,
    removeResponseFlags: true,
    setRecommendedResponseCode: true,
    proxyName: 'node-1',
  });
  t.equal(lower({ proxy_status_config: { literal_proxy_name: 'p' } }).proxyStatus?.proxyName, 'p');
  t.equal(lower({ server_name: 's', proxy_status_config: {} }).proxyStatus?.proxyName, 's', 'as the server header');
});

t.test('HTTP filters', async (t) => {
  const rbac = { '@type': `${TYPE}envoy.extensions.filters.http.rbac.v3.RBAC` };
  const router = {
    ...ROUTER.typed_config,
    dynamic_stats: false,
    suppress_envoy_headers: true,
    respect_expected_rq_timeout: true,
    suppress_grpc_request_failure_code_stats: true,
    strict_check_headers: ['x-envoy-max-retries'],
    upstream_log: [fileLog('/dev/null')],
  };
  const { httpFilters } = lower({
    http_filters: [
      CORS,
      { name: 'stats', typed_config: { '@type': `${TYPE}stats.PluginConfig` } },
      { name: 'off', disabled: true, typed_config: rbac },
      { name: 'r', typed_config: router },
    ],
  });
  t.same(
    httpFilters.map((filter) => filter.config.kind),
    ['cors', 'inert', 'inert', 'router'],
  );
  t.match(httpFilters[3], {
    config: {
      dynamicStats: false,
      suppressEnvoyHeaders: true,
      respectExpectedRqTimeout: true,
      suppressGrpcRequestFailureCodeStats: true,
      strictCheckHeaders: ['x-envoy-max-retries'],
      upstreamLogs: [{ sink: { kind: 'file', path: '/dev/null' } }],
    },
  });
  const name = 'envoy.filters.http.router';
  const cases: readonly (readonly [filters: readonly object[], text: string])[] = [
    [
      [ROUTER, CORS],
      `it.http_filters[0]: Error: terminal filter named ${name} of type ${name} must be the last filter in a http filter chain.`,
    ],
    [
      [CORS],
      'it.http_filters[0]: Error: non-terminal filter named envoy.filters.http.cors of type envoy.filters.http.cors is the last filter in a http filter chain.',
    ],
    [
      [{ ...ROUTER, disabled: true }],
      `it.http_filters[0]: Error: the last (terminal) filter (${name}) in the chain cannot be disabled by default.`,
    ],
    [[{ name }], `it.http_filters[0]: Didn't find a registered implementation for '${name}' with type URL: ''`],
    [
      [{ name: 'authz', typed_config: rbac }, ROUTER],
      "it.http_filters[0]: Didn't find a registered implementation for 'authz' with type URL: 'envoy.extensions.filters.http.rbac.v3.RBAC'",
    ],
    [[], 'it.http_filters: the last filter must be the router; the list is empty'],
  ];
  for (const [http_filters, text] of cases) t.equal(refused({ http_filters }), text);
});

t.test('refusals', async (t) => {
  const both = { access_log_flush_interval: '10s', access_log_options: {} };
  t.match(refused(both), 'it: Only one of access_log_flush_interval or access_log_options can be specified.');
  t.match(refused({ codec_type: 'HTTP3' }), 'it.codec_type: HTTP/3 codec configured on non-QUIC listener.');
  t.match(
    refused({ strip_matching_host_port: true, strip_any_host_port: true }),
    'Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.',
  );
  t.match(
    refused({ upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'WebSocket' }] }),
    "it.upgrade_configs[1]: Error: multiple upgrade configs with the same name: 'WebSocket'",
  );
  t.equal(
    refused({ upgrade_configs: [{ upgrade_type: 'CONNECT-UDP' }] }),
    'it.upgrade_configs[0]: UDP is not proxied; remove CONNECT-UDP',
  );
  t.match(
    refused({ common_http_protocol_options: { max_response_headers_kb: 5 } }),
    'Error: max_response_headers_kb cannot be set on http_connection_manager.',
  );
  t.match(
    refused({ request_id_extension: { typed_config: ROUTER.typed_config } }),
    "it.request_id_extension: Didn't find a registered implementation for type: 'envoy.extensions.filters.http.router.v3.Router'",
  );
});
