// Switches of the router and of the connection manager that change what is counted, logged or believed.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  fileLog,
  get,
  http,
  request,
  router,
  routes,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const again = { retry_on: '5xx', num_retries: 1, retry_back_off: { base_interval: '0.01s' } };
const matching = (name: string, header: string, string_match: object, extra: object = {}): object => ({
  match: { prefix: `/${name}`, headers: [{ name: header, string_match, ...extra }] },
  direct_response: { status: 200, body: { inline_string: name } },
});
/** Loopback peers are trusted, and their `x-envoy-` headers kept. */
const believing = {
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
};
/** Headers that count as one field when they are repeated, and others that stay several. */
const repeated = [
  matching('inline-exact', 'accept', { exact: 'b' }),
  matching('inline-joined', 'accept', { exact: 'a,b' }),
  matching('plain-exact', 'x-many', { exact: 'b' }),
  matching('plain-joined', 'x-many', { exact: 'a,b' }),
  matching('plain-not', 'x-many', { exact: 'b' }, { invert_match: true }),
  matching('inline-not', 'accept', { exact: 'b' }, { invert_match: true }),
];
const on = (listener: string, name: string, ...client: Scenario['client']): Scenario => ({ name, listener, client });

export const options: Group = {
  name: 'options',
  listeners: ['main', 'strict', 'quiet', 'expected', 'scheme', 'overload', 'begun', 'grpc', 'weights', 'tunnel'],
  upstreams: ['a', 'slow'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(
            [
              ...repeated,
              to('/counted', 'a', {}, { stat_prefix: 'counted' }),
              to('/again', 'a', { retry_policy: again }, { stat_prefix: 'again' }),
              to('/late', 'slow', { timeout: '0.4s' }, { stat_prefix: 'late' }),
              to('/dead', 'dead', {}, { stat_prefix: 'dead' }),
              to('/nowhere', 'gone', {}, { stat_prefix: 'nowhere' }),
              { match: { prefix: '/direct' }, direct_response: { status: 200 }, stat_prefix: 'direct' },
              to('/', 'a'),
            ],
            {
              virtual_clusters: [
                { name: 'writes', headers: [{ name: ':method', string_match: { exact: 'POST' } }] },
                { name: 'agains', headers: [{ name: ':path', string_match: { prefix: '/again' } }] },
                { name: 'unused', headers: [{ name: ':path', string_match: { exact: '/unused' } }] },
              ],
            },
            { validate_clusters: false },
          ),
          { ...TRUSTING, access_log: [fileLog(log, { vcluster: '%VIRTUAL_CLUSTER_NAME%' })] },
        ),
        http(ports, log, 'strict', routes([to('/', 'a')]), {
          ...believing,
          http_filters: [
            router({
              strict_check_headers: [
                'x-envoy-upstream-rq-timeout-ms',
                'x-envoy-upstream-rq-per-try-timeout-ms',
                'x-envoy-max-retries',
                'x-envoy-retry-on',
                'x-envoy-retry-grpc-on',
              ],
            }),
          ],
        }),
        http(ports, log, 'quiet', routes([to('/', 'b')]), { http_filters: [router({ dynamic_stats: false })] }),
        http(ports, log, 'expected', routes([to('/late', 'slow', { timeout: '9s' }), to('/', 'a')]), {
          ...believing,
          http_filters: [router({ respect_expected_rq_timeout: true })],
        }),
        http(ports, log, 'scheme', routes([to('/', 'a')]), {
          scheme_header_transformation: { match_upstream: true },
          access_log: [fileLog(log, { scheme: '%REQ(:SCHEME)%' })],
        }),
        http(ports, log, 'overload', routes([to('/a', 'a'), to('/', 'full')]), { append_local_overload: true }),
        http(ports, log, 'begun', routes([to('/', 'a')]), {
          access_log: [fileLog(log, { type: '%ACCESS_LOG_TYPE%' })],
          access_log_options: { flush_access_log_on_new_request: true },
        }),
        http(
          ports,
          log,
          'grpc',
          routes([
            to('/max', 'slow', { max_stream_duration: { grpc_timeout_header_max: '0.4s' } }),
            to('/offset', 'slow', {
              max_stream_duration: { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '0.6s' },
            }),
            to('/none', 'slow', {
              max_stream_duration: { max_stream_duration: '0.4s', grpc_timeout_header_max: '9s' },
            }),
            to('/new', 'slow', { timeout: '0.4s', max_stream_duration: { max_stream_duration: '9s' } }),
            to('/old', 'slow', { max_grpc_timeout: '0.4s', timeout: '7s' }),
            to('/less', 'slow', { max_grpc_timeout: '0s', grpc_timeout_offset: '4.6s' }),
            to('/idle', 'slow', { retry_policy: { retry_on: '5xx', num_retries: 0, per_try_idle_timeout: '0.4s' } }),
          ]),
        ),
        http(
          ports,
          log,
          'weights',
          routes([
            {
              match: { prefix: '/' },
              route: {
                weighted_clusters: {
                  runtime_key_prefix: 'split',
                  clusters: [
                    { name: 'a', weight: 100 },
                    { name: 'slow', weight: 0 },
                  ],
                },
              },
            },
          ]),
        ),
        http(
          ports,
          log,
          'tunnel',
          routes([{ match: { connect_matcher: {} }, route: { cluster: 'slow' } }, to('/', 'a')]),
          { upgrade_configs: [{ upgrade_type: 'CONNECT' }] },
        ),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('b', [ports['a']]),
        cluster('slow', [ports['slow']]),
        cluster('dead', [ports['dead']]),
        cluster('full', [ports['a']], {
          circuit_breakers: { thresholds: [{ max_pending_requests: 0, max_connections: 0 }] },
        }),
      ],
      {
        layered_runtime: {
          layers: [{ name: 'static', static_layer: { 'split.a': 0, 'split.slow': 100 } }],
        },
      },
    ),
  stats:
    /^(vhost\..*|cluster\.(b|slow)\.(?!.*active)(upstream_rq_.*|internal.*|external.*|retry.*)|http\.(strict|overload)\.(downstream_rq_[1-5]xx|rq_.*))$/,
  scenarios: [
    ...['inline-exact', 'inline-joined', 'inline-not'].map((path) =>
      on('main', `a repeated accept: ${path}`, get(`/${path}`, 'accept: a', 'accept: b')),
    ),
    ...['plain-exact', 'plain-joined', 'plain-not'].map((path) =>
      on('main', `a repeated x-many: ${path}`, get(`/${path}`, 'x-many: a', 'x-many: b')),
    ),
    on('main', 'a route with stats', get('/counted')),
    on('main', 'a virtual cluster', request('POST', '/counted', ['content-length: 2'], 'hi')),
    {
      name: 'a retried request of a virtual cluster',
      client: [get('/again')],
      upstreams: { a: { replies: [[answer('503 X')], [answer('200 OK')]] } },
    },
    {
      name: 'retries at their limit in a virtual cluster',
      client: [get('/again')],
      upstreams: { a: { replies: [[answer('503 X')]] } },
    },
    {
      name: 'a route with stats and its time-out',
      client: [get('/late')],
      upstreams: { slow: { replies: [[{ waitMs: 900 }, answer('200 OK')]] } },
    },
    on('main', 'a route with stats whose host is dead', get('/dead')),
    on('main', 'a route with stats whose cluster is unknown', get('/nowhere')),
    on('main', 'a direct response with stats', get('/direct')),
    on('main', 'an internal request of a route with stats', get('/counted', FRIEND)),
    {
      name: 'an upgrade hint of the upstream',
      client: [get('/counted')],
      upstreams: { a: { replies: [['HTTP/1.1 100 Continue\r\n\r\n', answer('404 Not Found')]] } },
    },
    ...[
      'x-envoy-upstream-rq-timeout-ms: 12x',
      'x-envoy-upstream-rq-timeout-ms: 1200',
      'x-envoy-upstream-rq-per-try-timeout-ms: -1',
      'x-envoy-max-retries: many',
      'x-envoy-retry-on: 5xx,never',
      'x-envoy-retry-on: 5xx, reset',
      'x-envoy-retry-grpc-on: 5xx',
      'x-envoy-retry-grpc-on: cancelled,unavailable',
    ].map((header) => on('strict', `strict: ${header}`, get('/', header))),
    on('quiet', 'no stats by code', get('/')),
    on('expected', 'an expected time-out that is passed on', get('/', 'x-envoy-expected-rq-timeout-ms: 1234')),
    {
      name: 'an expected time-out that ends',
      listener: 'expected',
      client: [get('/late', 'x-envoy-expected-rq-timeout-ms: 400')],
      upstreams: { slow: { replies: [[{ waitMs: 900 }, answer('200 OK')]] } },
    },
    {
      name: 'an expected time-out beside a set one',
      listener: 'expected',
      client: [get('/late', 'x-envoy-expected-rq-timeout-ms: 400', 'x-envoy-upstream-rq-timeout-ms: 5000')],
      upstreams: { slow: { replies: [[{ waitMs: 900 }, answer('200 OK')]] } },
    },
    on('scheme', 'the scheme of a clear-text upstream', get('/', 'x-forwarded-proto: https')),
    on('overload', 'overload that is ours', get('/')),
    on('begun', 'a request is logged when it begins', get('/')),
    ...[
      ['/max', 'grpc-timeout: 5S'],
      ['/max', 'grpc-timeout: 350m'],
      ['/max', 'grpc-timeout: 5x'],
      ['/offset', 'grpc-timeout: 1S'],
      ['/none', 'x-none: 1'],
      ['/none', 'grpc-timeout: 5S'],
      ['/old', 'grpc-timeout: 5S'],
      ['/old', 'x-none: 1'],
      ['/less', 'grpc-timeout: 5S'],
      ['/less', 'grpc-timeout: 4500m'],
      ['/idle', 'x-none: 1'],
      ['/new', 'x-none: 1'],
    ].map(
      ([path = '', header = '']): Scenario => ({
        name: `a limit of ${path} with ${header}`,
        listener: 'grpc',
        client: [request('POST', path, ['content-type: application/grpc', 'content-length: 0', header])],
        upstreams: { slow: { replies: [[{ waitMs: 900 }, answer('200 OK', ['content-type: application/grpc'])]] } },
      }),
    ),
    {
      name: 'an answer that stops',
      listener: 'grpc',
      client: [get('/idle')],
      upstreams: {
        slow: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', { waitMs: 900 }, 'whole']] },
      },
    },
    on('weights', 'weights of the runtime', get('/')),
    {
      name: 'a tunnel',
      listener: 'tunnel',
      client: ['CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n', { answers: 1 }, 'ping', { bytes: 40 }],
      upstreams: { slow: { raw: [{ read: 60 }, 'HTTP/1.1 200 OK\r\n\r\n', { waitMs: 50 }, 'pong'] } },
    },
    {
      name: 'a refused tunnel',
      listener: 'tunnel',
      client: ['CONNECT b.example:443 HTTP/1.1\r\nhost: b.example:443\r\n\r\n'],
      upstreams: { slow: { raw: [{ read: 60 }, answer('403 Forbidden', [], 'no')] } },
    },
  ],
};
