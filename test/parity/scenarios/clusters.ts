// Where requests go and on which connections: host sets, priorities, panic, limits, connection options, buffers.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  fileLog,
  get,
  http,
  httpOptions,
  request,
  router,
  routes,
  STATS,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const at = (name: string, path: string, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  client: [get(path)],
  ...extra,
});
const endpoint = (ports: Ports, name: string, health: string): object => ({
  health_status: health,
  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: ports[name] } } },
});
const assignment = (name: string, endpoints: readonly object[]): object => ({
  load_assignment: { cluster_name: name, endpoints },
});
const dns = (ports: Ports, name: string, extra: object = {}): object => ({
  dns_lookup_family: 'V4_ONLY',
  ...assignment(name, [
    { lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'localhost', port_value: ports['a'] } } } }] },
  ]),
  ...extra,
});

export const clusters: Group = {
  name: 'clusters',
  listeners: ['main', 'respect', 'small', 'early'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const list = routes([
      to('/random', 'random'),
      to('/least', 'least'),
      to('/strict-dns', 'strict-dns'),
      to('/logical-dns', 'logical-dns', { auto_host_rewrite: true }),
      to('/priority', 'priority'),
      to('/panic', 'panic'),
      to('/no-panic', 'no-panic'),
      to('/draining', 'draining'),
      to('/high', 'limits', { priority: 'HIGH' }),
      to('/default-bound', 'bound-by-default'),
      to('/default', 'limits'),
      to('/bound', 'bound'),
      to('/idle', 'idle'),
      to('/single', 'single'),
      to('/few-headers', 'few-headers'),
      to('/downstream-protocol', 'downstream-protocol'),
      to('/automatic', 'automatic'),
      to('/retry', 'a', { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } }),
      to('/', 'a'),
    ]);
    const extra = { local: '%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%', stat: '%UPSTREAM_CLUSTER_RAW%' };
    const access_log = [fileLog(log, extra)];
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', list, { access_log }),
        http(ports, log, 'respect', list, {
          ...TRUSTING,
          access_log,
          http_filters: [router({ respect_expected_rq_timeout: true })],
        }),
        http(ports, log, 'small', list, { access_log }, { per_connection_buffer_limit_bytes: 1024 }),
        http(ports, log, 'early', list, {
          access_log: [fileLog(log, { type: '%ACCESS_LOG_TYPE%' })],
          access_log_options: { flush_access_log_on_new_request: true },
        }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('random', [ports['a']], { lb_policy: 'RANDOM' }),
        cluster('least', [ports['a']], { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { choice_count: 3 } }),
        cluster('strict-dns', [], { type: 'STRICT_DNS', dns_refresh_rate: '60s', ...dns(ports, 'strict-dns') }),
        cluster('logical-dns', [], { type: 'LOGICAL_DNS', respect_dns_ttl: true, ...dns(ports, 'logical-dns') }),
        cluster(
          'priority',
          [],
          assignment('priority', [
            { priority: 0, lb_endpoints: [endpoint(ports, 'a', 'UNHEALTHY')] },
            { priority: 1, lb_endpoints: [endpoint(ports, 'b', 'HEALTHY')] },
          ]),
        ),
        cluster('panic', [], assignment('panic', [{ lb_endpoints: [endpoint(ports, 'a', 'UNHEALTHY')] }])),
        cluster('no-panic', [], {
          ...assignment('no-panic', [{ lb_endpoints: [endpoint(ports, 'a', 'UNHEALTHY')] }]),
          common_lb_config: { healthy_panic_threshold: { value: 0 } },
        }),
        cluster(
          'draining',
          [],
          assignment('draining', [
            { lb_endpoints: [endpoint(ports, 'a', 'DRAINING'), endpoint(ports, 'b', 'HEALTHY')] },
          ]),
        ),
        cluster('limits', [ports['a']], {
          circuit_breakers: {
            thresholds: [
              { priority: 'HIGH', max_requests: 0 },
              { priority: 'DEFAULT', max_requests: 10, track_remaining: true },
            ],
          },
        }),
        cluster('bound', [ports['a']], {
          upstream_bind_config: { source_address: { address: '127.0.0.9', port_value: 0 } },
        }),
        cluster('bound-by-default', [ports['a']]),
        cluster('idle', [ports['a']], httpOptions({}, { idle_timeout: '0.1s' })),
        cluster('single', [ports['a']], httpOptions({}, { max_requests_per_connection: 1 })),
        cluster('few-headers', [ports['a']], httpOptions({}, { max_headers_count: 5 })),
        cluster(
          'downstream-protocol',
          [ports['a']],
          httpOptions(
            {},
            {},
            { explicit_http_config: undefined, use_downstream_protocol_config: { http_protocol_options: {} } },
          ),
        ),
        cluster('automatic', [ports['a']], {
          upstream_connection_options: {
            tcp_keepalive: { keepalive_probes: 3, keepalive_time: 30, keepalive_interval: 5 },
          },
        }),
      ],
      { cluster_manager: { upstream_bind_config: { source_address: { address: '127.0.0.8', port_value: 0 } } } },
    );
  },
  stats: STATS,
  scenarios: [
    at('random balancing', '/random'),
    at('least request balancing', '/least'),
    at('strict DNS', '/strict-dns'),
    at('logical DNS with its name as host', '/logical-dns'),
    at('second priority when the first is unhealthy', '/priority'),
    at('panic', '/panic'),
    at('no panic', '/no-panic'),
    at('draining host is left out', '/draining'),
    at('limit of the high priority', '/high'),
    at('limit of the default priority', '/default'),
    at('source address of upstream connections', '/bound'),
    at('source address of all upstream connections', '/default-bound'),
    at('idle upstream connection is closed', '/idle', {
      answers: 2,
      client: [get('/idle'), { answers: 1 }, { waitMs: 250 }, get('/idle')],
    }),
    at('one request per upstream connection', '/single', {
      answers: 2,
      client: [get('/single'), { answers: 1 }, get('/single')],
    }),
    at('upstream connection is used again', '/', {
      answers: 3,
      client: [get('/'), { answers: 1 }, get('/'), { answers: 2 }, get('/')],
    }),
    at('too many headers in an answer', '/few-headers', {
      upstreams: { a: { replies: [[answer('200 OK', ['x-1: 1', 'x-2: 2', 'x-3: 3', 'x-4: 4', 'x-5: 5'])]] } },
    }),
    at('protocol of the client', '/downstream-protocol'),
    at('keepalive on upstream connections', '/automatic'),
    {
      name: 'expected timeout respected',
      listener: 'respect',
      client: [get('/', FRIEND, 'x-envoy-expected-rq-timeout-ms: 80')],
      upstreams: { a: { replies: [[{ waitMs: 500 }, answer('200 OK')]] } },
    },
    {
      name: 'body too large to be sent again',
      listener: 'small',
      client: [request('POST', '/retry', ['content-length: 4096'], 'b'.repeat(4_096))],
      upstreams: { a: { replies: [[answer('503 Busy')], [answer('200 OK')]] } },
    },
    {
      name: 'large body through small buffers',
      listener: 'small',
      client: [request('POST', '/', ['content-length: 20000'], 'b'.repeat(20_000))],
      upstreams: { a: { replies: [[answer('200 OK', [], 'c'.repeat(20_000))]] } },
    },
    { name: 'log record of a new request', listener: 'early', client: [get('/')] },
  ],
};
