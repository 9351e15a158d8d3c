// What is believed of the client and what is told to the upstream: addresses, ids, hosts, paths, and who is internal.

import {
  answer,
  bootstrap,
  cluster,
  FRIEND,
  get,
  http,
  request,
  router,
  routes,
  STATS,
  TRUSTING,
  to,
} from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const MANAGERS: Readonly<Record<string, Record<string, unknown>>> = {
  main: {},
  edge: { use_remote_address: true },
  hop: { use_remote_address: true, xff_num_trusted_hops: 1, append_x_forwarded_port: true },
  hops: { xff_num_trusted_hops: 2 },
  silent: { use_remote_address: true, skip_xff_append: true, via: 'relay-1' },
  internal: { internal_address_config: { cidr_ranges: [{ address_prefix: '203.0.113.0', prefix_len: 24 }] } },
  agent: { use_remote_address: true, add_user_agent: true },
  keepid: {
    use_remote_address: true,
    xff_num_trusted_hops: 1,
    preserve_external_request_id: true,
    always_set_request_id_in_response: true,
  },
  noid: { generate_request_id: false },
  absent: { server_header_transformation: 'APPEND_IF_ABSENT', server_name: 'ours' },
  through: { server_header_transformation: 'PASS_THROUGH' },
  named: { server_name: 'ours' },
  scheme: { scheme_header_transformation: { scheme_to_overwrite: 'https' } },
  normal: { normalize_path: true, merge_slashes: true },
  reject: { path_with_escaped_slashes_action: 'REJECT_REQUEST' },
  unescape: { path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD', normalize_path: true },
  bounce: { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' },
  matching: { strip_matching_host_port: true },
  anyport: { strip_any_host_port: true },
  dot: { strip_trailing_host_dot: true },
  nounderscore: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
  dropunderscore: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  mapped: { use_remote_address: true, represent_ipv4_remote_address_as_ipv4_mapped_ipv6: true },
  noenvoy: {
    ...TRUSTING,
    http_filters: [
      router({
        suppress_envoy_headers: true,
        strict_check_headers: ['x-envoy-upstream-rq-timeout-ms', 'x-envoy-max-retries'],
      }),
    ],
  },
};

const PROXIED = {
  listener_filters: [
    {
      name: 'proxy-protocol',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
      },
    },
  ],
};

const SECRETS = [
  'x-envoy-retry-on: 5xx',
  'x-envoy-upstream-rq-timeout-ms: 77',
  'x-envoy-internal: true',
  'x-envoy-expected-rq-timeout-ms: 5',
  'x-envoy-decorator-operation: op',
  'x-envoy-ip-tags: a',
  'x-envoy-original-url: /u',
  'x-envoy-downstream-service-cluster: c',
  'x-internal-only: s',
];
const at = (listener: string, name: string, path: string, ...headers: string[]): Scenario => ({
  name,
  listener,
  client: [get(path, ...headers)],
});
/** The client connected to port 80, says a proxy before us. */
const to80 = (name: string, host: string): Scenario => ({
  name,
  listener: 'matching',
  client: [`PROXY TCP4 127.0.0.2 127.0.0.3 1000 80\r\n${get('/', host)}`],
});
const reply = (listener: string, name: string, ...headers: string[]): Scenario => ({
  name,
  listener,
  client: [get('/')],
  upstreams: { a: { replies: [[answer('200 OK', headers)]] } },
});

export const edge: Group = {
  name: 'edge',
  listeners: Object.keys(MANAGERS),
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const config = routes(
      [to('/', 'a')],
      { include_request_attempt_count: true },
      { internal_only_headers: ['x-internal-only'] },
    );
    const plain = routes([to('/', 'a')], { include_attempt_count_in_response: true });
    const listeners = Object.entries(MANAGERS).map(([name, manager]) =>
      http(ports, log, name, name === 'noenvoy' ? plain : config, manager, name === 'matching' ? PROXIED : {}),
    );
    return bootstrap(ports, listeners, [cluster('a', [ports['a']])]);
  },
  stats: STATS,
  scenarios: [
    at('main', 'plain request of a neighbour', '/'),
    at('main', 'no remote address: forwarded-for believed', '/', 'x-forwarded-for: 8.8.8.8, 10.0.0.1'),
    at('main', 'no remote address: one internal address', '/', 'x-forwarded-for: 10.0.0.1', ...SECRETS),
    at('main', 'no remote address: one external address', '/', 'x-forwarded-for: 8.8.8.8', ...SECRETS),
    at('main', 'no remote address: two addresses', '/', 'x-forwarded-for: 10.0.0.1, 10.0.0.2', ...SECRETS),
    at('main', 'no remote address: nonsense', '/', 'x-forwarded-for: nonsense'),
    at('main', 'forwarded-proto of the client kept', '/', 'x-forwarded-proto: https'),
    at('main', 'forwarded-proto nonsense', '/', 'x-forwarded-proto: gopher'),
    at('edge', 'remote address: forwarded-for appended', '/', 'x-forwarded-for: 8.8.8.8'),
    at(
      'edge',
      'remote address: several forwarded-for headers',
      '/',
      'x-forwarded-for: 8.8.8.8',
      'x-forwarded-for: 9.9.9.9',
    ),
    at('edge', 'remote address: loopback is internal', '/', ...SECRETS),
    at(
      'edge',
      'remote address: forwarded-proto and port of the client',
      '/',
      'x-forwarded-proto: https',
      'x-forwarded-port: 443',
    ),
    at('edge', 'remote address: external address header of the client', '/', 'x-envoy-external-address: 1.2.3.4'),
    at('hop', 'one trusted hop, external', '/', 'x-forwarded-for: 1.1.1.1, 8.8.8.8', ...SECRETS),
    at('hop', 'one trusted hop, internal', '/', 'x-forwarded-for: 10.0.0.7', ...SECRETS),
    at('hop', 'one trusted hop, nothing forwarded', '/', ...SECRETS),
    at('hop', 'one trusted hop, forwarded-port kept', '/', 'x-forwarded-for: 8.8.8.8', 'x-forwarded-port: 444'),
    at('hop', 'one trusted hop, forwarded-proto kept', '/', 'x-forwarded-for: 8.8.8.8', 'x-forwarded-proto: https'),
    at('hops', 'two trusted hops', '/', 'x-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3'),
    at('hops', 'two trusted hops, too few addresses', '/', 'x-forwarded-for: 1.1.1.1'),
    at('silent', 'forwarded-for not appended, via added', '/', 'x-forwarded-for: 8.8.8.8', 'via: 1.1 other'),
    reply('silent', 'via added to the answer', 'via: 1.0 origin'),
    at('internal', 'internal by configured range', '/', 'x-forwarded-for: 203.0.113.9', ...SECRETS),
    at('internal', 'private range no longer internal', '/', 'x-forwarded-for: 10.0.0.1', ...SECRETS),
    at('agent', 'user agent added', '/'),
    at('agent', 'user agent of the client kept', '/', 'user-agent: curl'),
    // Envoy forwards an address of its own for a client at 127.0.0.1.
    { ...at('mapped', 'addresses that Envoy does not map, either', '/'), from: '127.0.0.2' },
    { ...at('edge', 'addresses as they are', '/'), from: '127.0.0.2' },
    at('main', 'request id of the client kept', '/', 'x-request-id: my-id'),
    at('edge', 'request id at the edge, internal', '/', 'x-request-id: my-id'),
    at('hop', 'request id at the edge, external', '/', 'x-forwarded-for: 8.8.8.8', 'x-request-id: my-id'),
    at('keepid', 'external request id preserved and answered', '/', 'x-forwarded-for: 8.8.8.8', 'x-request-id: my-id'),
    at('keepid', 'request id made and answered', '/'),
    at('noid', 'no request id made', '/'),
    at('noid', 'no request id made, client has one', '/', 'x-request-id: my-id'),
    reply('main', 'server header overwritten', 'server: origin/1'),
    reply('absent', 'server header kept when present', 'server: origin/1'),
    reply('absent', 'server header added when absent'),
    reply('through', 'server header passed through', 'server: origin/1'),
    reply('through', 'server header passed through when absent'),
    reply('named', 'server name configured'),
    at('scheme', 'scheme overwritten', '/'),
    at('noenvoy', 'no x-envoy headers, attempts in the answer', '/'),
    at('noenvoy', 'strictly checked header is wrong', '/', FRIEND, 'x-envoy-upstream-rq-timeout-ms: soon'),
    at(
      'internal',
      'expected timeout told to the upstream',
      '/',
      'x-forwarded-for: 203.0.113.9',
      'x-envoy-upstream-rq-timeout-ms: 900',
    ),
    at('main', 'dot segments kept when not normalising', '/a/../b/./c'),
    at('normal', 'dot segments removed', '/a/../b/./c//d?x=/../y'),
    at('normal', 'encoded dots and case', '/a/%2e%2E/%7Euser/%41'),
    at('normal', 'dots above the root', '/../../etc'),
    at('normal', 'slashes merged', '//a///b//'),
    at('normal', 'backslash', '/a\\b'),
    at('normal', 'escaped slash is kept', '/a%2Fb%5cc'),
    at('normal', 'broken percent escape', '/a%zz'),
    at('normal', 'escaped NUL', '/a%00b'),
    at('normal', 'fragment', '/a#frag?x'),
    at('main', 'fragment when not normalising', '/a#frag'),
    at('reject', 'escaped slash refused', '/a%2Fb'),
    at('reject', 'escaped backslash refused', '/a%5Cb'),
    at('reject', 'no escaped slash', '/a%20b'),
    at('unescape', 'escaped slash unescaped and normalised', '/a%2f..%2Fb?x=%2F'),
    at('bounce', 'escaped slash redirected', '/a%2Fb%5Cc?q=%2f'),
    to80('host port equal to ours stripped', 'host: a.example:80'),
    to80('host port of another kept', 'host: a.example:443'),
    at('anyport', 'any host port stripped', '/', 'host: a.example:443'),
    at('anyport', 'port of an IPv6 host stripped', '/', 'host: [::1]:443'),
    at('anyport', 'nothing to strip', '/', 'host: [::1]'),
    at('dot', 'trailing dot of the host stripped', '/', 'host: a.example.'),
    at('dot', 'trailing dot before a port stripped', '/', 'host: a.example.:80'),
    at('main', 'underscore allowed', '/', 'x_under: 1'),
    at('nounderscore', 'underscore refused', '/', 'x_under: 1'),
    at('dropunderscore', 'underscore dropped', '/', 'x_under: 1', 'x-keep: 1'),
    at(
      'main',
      'hop-by-hop headers removed',
      '/',
      'connection: keep-alive, x-hop',
      'keep-alive: timeout=5',
      'proxy-connection: keep-alive',
      'x-hop: 1',
      'te: gzip',
    ),
    at('main', 'te trailers kept', '/', 'te: trailers'),
    {
      name: 'hop-by-hop headers of the answer',
      client: [get('/')],
      upstreams: {
        a: {
          replies: [
            [
              answer('200 OK', [
                'connection: x-hop, keep-alive',
                'keep-alive: timeout=5',
                'x-hop: 1',
                'proxy-connection: close',
              ]),
            ],
          ],
        },
      },
    },
    {
      name: 'headers of an answer that only Envoy may set',
      client: [get('/')],
      upstreams: {
        a: {
          replies: [
            [
              answer('200 OK', [
                'x-envoy-upstream-service-time: 99',
                'x-envoy-overloaded: true',
                'x-envoy-degraded: true',
                'x-envoy-decorator-operation: op',
                'date: Mon, 01 Jan 2024 00:00:00 GMT',
              ]),
            ],
          ],
        },
      },
    },
    {
      name: 'grpc timeout header is passed',
      client: [request('POST', '/', ['content-type: application/grpc', 'grpc-timeout: 5S', 'content-length: 0'])],
    },
  ],
};
