// Injected faults: delays, aborts and slow responses, by configuration, by header and by runtime, at every level.

import { answer, bootstrap, cluster, fileLog, http, request, router, routes, to } from '../config.ts';
import type { ClientStep, Group, Scenario, UpstreamScript } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const FAULT_TYPE = `${TYPE}envoy.extensions.filters.http.fault.v3.HTTPFault`;
const OFF = { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true };
const fault = (config: object): object => ({ '@type': FAULT_TYPE, ...config });
const says = (config: object): object => ({ typed_per_filter_config: { fault: fault(config) } });

const ALWAYS = { percentage: { numerator: 100 } };
const MILLION = { percentage: { numerator: 1_000_000, denominator: 'MILLION' } };
const NEVER = { percentage: { numerator: 0, denominator: 'TEN_THOUSAND' } };
const http503 = { http_status: 503, ...ALWAYS };
const delayed = (time: string): object => ({ delay: { fixed_delay: time, ...ALWAYS } });
const SHORT = delayed('0.030s');
const BY_HEADER = {
  delay: { header_delay: {}, ...ALWAYS },
  abort: { header_abort: {}, ...ALWAYS },
  response_rate_limit: { header_limit: {}, ...ALWAYS },
};

/** Path → what its route says to the filter. */
const FAULTS: Readonly<Record<string, object>> = {
  '/abort': { abort: http503 },
  '/teapot': { abort: { http_status: 418, response_body: 'short and stout', ...MILLION } },
  '/grpc': { abort: { grpc_status: 7, ...ALWAYS } },
  '/never': { abort: { http_status: 503, ...NEVER }, delay: { fixed_delay: '1s', ...NEVER } },
  '/unsaid': { abort: { http_status: 503 } },
  '/delay': { ...SHORT, filter_metadata: { why: 'delay', list: [1] } },
  '/both': { ...SHORT, abort: { http_status: 500, ...ALWAYS }, filter_metadata: { why: 'both' } },
  '/header-share': {
    abort: { header_abort: {}, percentage: { numerator: 50, denominator: 'MILLION' } },
    delay: { header_delay: {}, ...NEVER },
  },
  '/header': BY_HEADER,
  '/matched': {
    abort: http503,
    headers: [
      { name: 'x-user', string_match: { exact: 'jason' } },
      { name: ':method', string_match: { exact: 'GET' } },
    ],
  },
  '/cluster': { abort: http503, upstream_cluster: 'a' },
  '/other-cluster': { abort: http503, upstream_cluster: 'b' },
  '/nodes': { abort: http503, downstream_nodes: ['one', 'two'] },
  '/none-active': { ...SHORT, abort: http503, max_active_faults: 0 },
  '/one-active': { ...SHORT, abort: http503, max_active_faults: 1 },
  '/runtime-grpc': {
    abort: { grpc_status: 3, ...ALWAYS },
    abort_grpc_status_runtime: 'k.grpc',
    max_active_faults_runtime: 'k.many',
  },
  '/runtime-full': { abort: http503, max_active_faults_runtime: 'k.zero' },
  '/runtime-fast': {
    response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS },
    response_rate_limit_percent_runtime: 'k.zero',
  },
  '/runtime': {
    abort: { http_status: 503, ...NEVER },
    delay: { fixed_delay: '60s', ...NEVER },
    abort_percent_runtime: 'k.always',
    abort_http_status_runtime: 'k.status',
    delay_percent_runtime: 'k.always',
    delay_duration_runtime: 'k.short',
  },
  '/default-keys': { abort: http503, delay: { fixed_delay: '60s', ...ALWAYS } },
  '/slow-abort': { response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS }, abort: http503 },
  '/slow': { response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } },
  '/uncounted': { abort: http503, ...SHORT, disable_downstream_cluster_stats: true },
  '/metadata-only': { filter_metadata: { why: 'nothing' } },
  '/weak': { response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...NEVER } },
};

/** The request finds itself on another route before it comes to the fault filter. */
const MOVE = {
  name: 'move',
  typed_config: {
    '@type': `${TYPE}envoy.extensions.filters.http.set_filter_state.v3.Config`,
    on_request_headers: [
      {
        object_key: 'moved',
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: 'yes' } },
      },
    ],
    clear_route_cache: true,
  },
};
const moved = (path: string, route: object): object => ({
  match: { prefix: path, filter_state: [{ key: 'moved', string_match: { exact: 'yes' } }] },
  route: { cluster: 'a' },
  ...route,
});

const LIST = [
  moved('/to-abort', says({ abort: http503 })),
  moved('/off-to-abort', says({ abort: http503 })),
  moved('/abort-to-nothing', {}),
  to('/abort-to-nothing', 'a', {}, says({ abort: http503 })),
  moved('/abort-to-teapot', says({ abort: { http_status: 418, ...ALWAYS } })),
  to('/abort-to-teapot', 'a', {}, says({ abort: http503 })),
  to('/off-to-abort', 'a', {}, { typed_per_filter_config: { fault: OFF } }),
  ...Object.entries(FAULTS).map(([path, config]) => to(path, 'a', {}, says(config))),
  to('/timed', 'a', { timeout: '0.400s' }, says(delayed('0.500s'))),
  to(
    '/nowhere',
    'a',
    { cluster: undefined, cluster_header: 'x-cluster' },
    says({ abort: http503, upstream_cluster: 'missing' }),
  ),
  to('/off', 'a', {}, { typed_per_filter_config: { fault: OFF } }),
  {
    match: { prefix: '/direct' },
    direct_response: { status: 200, body: { inline_string: 'direct' } },
    ...says({ abort: http503 }),
  },
  to(
    '/weighted',
    'a',
    {
      cluster: undefined,
      weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...says({ abort: { http_status: 410, ...ALWAYS } }) }] },
    },
    says({ abort: http503 }),
  ),
  to('/', 'a'),
];

const DEFAULTS = {
  fault: {
    http: {
      abort: { http_status: 599 },
      delay: { fixed_duration_ms: 10 },
      mobile: {
        abort: { abort_percent: 100, http_status: 451 },
        delay: { fixed_delay_percent: 100, fixed_duration_ms: 20 },
      },
      desk: { abort: { abort_percent: 100, grpc_status: 9 } },
    },
  },
};
const K = { k: { always: 100, status: 504, short: 20, grpc: 5, many: 7, zero: 0 } };

/** `main` has no fault of its own, `base` has one, `defaults` runs with Envoy's own runtime keys. */
const LISTENERS: Readonly<Record<string, object>> = {
  main: {},
  base: { abort: { http_status: 555, ...ALWAYS } },
  mapped: {},
  edge: {},
  moved: {},
};

const ask = (listener: string, name: string, ...requests: readonly string[]): Scenario => ({
  name: `${listener} ${name}`,
  listener,
  client: requests.flatMap((text, index): ClientStep[] => (index === 0 ? [text] : [{ answers: index }, text])),
  answers: requests.length,
});
const get = (path: string, ...headers: string[]): string => request('GET', path, headers);
const GRPC = 'content-type: application/grpc';
const CLUSTER = 'x-envoy-downstream-service-cluster';
const BIG: Readonly<Record<string, UpstreamScript>> = { a: { replies: [[answer('200 OK', [], 'x'.repeat(150))]] } };
const CHUNKED: Readonly<Record<string, UpstreamScript>> = {
  a: {
    replies: [
      [
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n78\r\n${'y'.repeat(120)}\r\n`,
        '5\r\nlater\r\n',
        '0\r\nx-trailer: 1\r\n\r\n',
      ],
    ],
  },
};
const post = (path: string, ...headers: string[]): string =>
  request('POST', path, ['content-length: 5', ...headers], 'hello');

export const faults: Group = {
  name: 'fault',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, config]) =>
        http(ports, log, name, routes(LIST, {}, name === 'mapped' ? says({ abort: http503 }) : {}), {
          http_filters: [
            ...(name === 'moved' ? [MOVE] : []),
            { name: 'fault', typed_config: fault(config) },
            router({}),
          ],
          http_protocol_options: { enable_trailers: true },
          access_log: [fileLog(log, { metadata: '%DYNAMIC_METADATA(fault)%' })],
          ...(name === 'mapped' ? { local_reply_config: MAPPER } : {}),
          ...(name === 'edge' ? EDGE : {}),
        }),
      ),
      [
        cluster('a', [ports['a']], {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: { http_protocol_options: { enable_trailers: true } },
            },
          },
        }),
      ],
      { layered_runtime: { layers: [{ name: 'static', static_layer: { ...K, ...DEFAULTS } }] } },
    ),
  stats: /\.fault\./,
  scenarios: [
    ...['/abort', '/teapot', '/grpc', '/never', '/unsaid', '/delay', '/both'].map((path) =>
      ask('main', path, get(path), post(path), get(path, GRPC), request('HEAD', path, [])),
    ),
    ask(
      'main',
      '/header',
      get('/header'),
      get('/header', 'x-envoy-fault-abort-request: 429'),
      get('/header', 'x-envoy-fault-abort-request: 199'),
      get('/header', 'x-envoy-fault-abort-request: 600'),
      get('/header', 'x-envoy-fault-abort-request: 4x'),
      get('/header', 'x-envoy-fault-abort-grpc-request: 4'),
      get('/header', 'x-envoy-fault-abort-grpc-request: 4', GRPC),
      get('/header', 'x-envoy-fault-abort-request: 404', 'x-envoy-fault-abort-grpc-request: 4', GRPC),
      get('/header', 'x-envoy-fault-delay-request: 20'),
      get('/header', 'x-envoy-fault-delay-request: 0'),
      get('/header', 'x-envoy-fault-delay-request: soon'),
      get('/header', 'x-envoy-fault-delay-request: 10', 'x-envoy-fault-abort-request: 400'),
      get('/header', 'x-envoy-fault-throughput-response: 1'),
      get('/header', 'x-envoy-fault-throughput-response: 0'),
      get('/header', 'x-envoy-fault-throughput-response: fast'),
    ),
    ask(
      'main',
      '/header with shares',
      get('/header', 'x-envoy-fault-abort-request: 429', 'x-envoy-fault-abort-request-percentage: 0'),
      get('/header', 'x-envoy-fault-abort-request: 429', 'x-envoy-fault-abort-request-percentage: 300'),
      get('/header', 'x-envoy-fault-abort-request: 429', 'x-envoy-fault-abort-request-percentage: all'),
      get('/header', 'x-envoy-fault-delay-request: 500', 'x-envoy-fault-delay-request-percentage: 0'),
      get('/header', 'x-envoy-fault-throughput-response: 1', 'x-envoy-fault-throughput-response-percentage: 0'),
      get('/header-share', 'x-envoy-fault-abort-request: 429', 'x-envoy-fault-abort-request-percentage: 0'),
      get('/header-share', 'x-envoy-fault-delay-request: 500', 'x-envoy-fault-delay-request-percentage: 100'),
    ),
    ask(
      'main',
      'who is concerned',
      get('/matched', 'x-user: jason'),
      get('/matched', 'x-user: other'),
      post('/matched', 'x-user: jason'),
      get('/cluster'),
      get('/other-cluster'),
      get('/nodes'),
      get('/nodes', 'x-envoy-downstream-service-node: two'),
      get('/nodes', 'x-envoy-downstream-service-node: three'),
      get('/direct'),
      get('/weighted'),
      get('/nowhere', 'x-cluster: missing'),
      get('/nowhere'),
      get('/off'),
      get('/metadata-only'),
      get('/'),
    ),
    ask('main', 'limits', get('/none-active'), get('/one-active'), get('/one-active')),
    ask(
      'main',
      'runtime',
      get('/runtime'),
      get('/runtime-grpc', GRPC),
      get('/runtime-full'),
      get('/runtime-fast'),
      get('/default-keys'),
    ),
    ask(
      'main',
      'downstream clusters',
      get('/never', `${CLUSTER}: mobile`),
      get('/never', `${CLUSTER}: a.b`),
      get('/grpc', `${CLUSTER}: desk`, GRPC),
      get('/abort', `${CLUSTER}: mobile`),
      get('/abort', `${CLUSTER}: other`),
      get('/delay', `${CLUSTER}: mobile`),
      get('/both', `${CLUSTER}: other`),
      get('/uncounted', `${CLUSTER}: other`),
      get('/runtime', `${CLUSTER}: other`),
      get('/runtime', `${CLUSTER}: mobile`),
    ),
    { ...ask('main', '/slow', get('/slow'), get('/weak')), upstreams: BIG },
    { ...ask('main', '/slow in chunks', get('/slow', 'te: trailers')), upstreams: CHUNKED },
    ask('main', '/slow-abort', get('/slow-abort'), get('/slow')),
    ask('main', 'a delay is no part of the time-out', get('/timed')),
    { name: 'client leaves while delayed', client: [get('/timed'), { waitMs: 60 }, { close: 'full' }], answers: 0 },
    {
      name: 'aborted before the body has come',
      client: [request('POST', '/both', ['content-length: 10'], 'half')],
    },
    ask('base', 'its own and those of routes', get('/'), get('/delay'), get('/off'), get('/metadata-only')),
    ask(
      'moved',
      'the route changes before the filter',
      get('/to-abort'),
      get('/off-to-abort'),
      get('/abort-to-nothing'),
      get('/abort-to-teapot'),
    ),
    ask(
      'edge',
      'strangers ask too',
      get('/header', 'x-envoy-fault-abort-request: 429', `${CLUSTER}: mobile`),
      get('/never', `${CLUSTER}: mobile`),
      get('/nodes', 'x-envoy-downstream-service-node: two'),
    ),
    ask('mapped', 'the host says it', get('/'), get('/grpc', GRPC), get('/off'), get('/teapot')),
  ],
};

/** Every client is a stranger. */
const EDGE = {
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
};

const MAPPER = {
  mappers: [
    {
      filter: { response_flag_filter: { flags: ['FI'] } },
      status_code: 509,
      body_format_override: { text_format_source: { inline_string: 'mapped %RESPONSE_FLAGS% %LOCAL_REPLY_BODY%' } },
    },
  ],
};
