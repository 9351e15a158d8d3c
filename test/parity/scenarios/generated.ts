// What random configurations found (`npm run test:parity -- fuzz`), made small.

import { bootstrap, cluster, fileLog, get, http, request, router, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.';
const add = (key: string, value: string, append_action = 'APPEND_IF_EXISTS_OR_ADD'): object => ({
  header: { key, value },
  append_action,
});
const parameter = (key: string, value: string, action = 'APPEND_IF_EXISTS_OR_ADD'): object => ({
  append: { record: { key, value }, action },
});
const filter = (mutations: object): object => ({
  name: 'mutation',
  typed_config: { '@type': `${TYPE}HeaderMutation`, mutations },
});
const ofRoute = (mutations: object): object => ({
  typed_per_filter_config: { mutation: { '@type': `${TYPE}HeaderMutationPerRoute`, mutations } },
});

const NAMES = 'c=%UPSTREAM_CLUSTER% n=%UPSTREAM_REQUEST_ATTEMPT_COUNT% v=%VIRTUAL_CLUSTER_NAME%';
const VIRTUAL_CLUSTERS = { virtual_clusters: [{ name: 'vc', headers: [{ name: 'x-vc', present_match: true }] }] };
const level = (name: string): object => ({
  request_headers_to_add: [add('x-level', name), add('x-over', name, 'OVERWRITE_IF_EXISTS_OR_ADD')],
  response_headers_to_add: [add('x-level', name), add('x-over', name, 'OVERWRITE_IF_EXISTS_OR_ADD')],
});

/** Hardly a request is for `b`, unless the header says so. */
const weighted = (header_name: string): object => ({
  cluster: undefined,
  weighted_clusters: {
    header_name,
    clusters: [
      { name: 'a', weight: 4_294_000_000 },
      { name: 'b', weight: 1_000 },
    ],
  },
});
const MAIN = [
  to('/authority', '', { cluster: undefined, cluster_header: ':authority' }),
  to('/host', '', { cluster: undefined, cluster_header: 'host' }),
  to('/header', '', { cluster: undefined, cluster_header: 'x-cluster' }),
  to('/weighted', '', weighted('x-pick')),
  to('/by-host', '', weighted(':authority')),
  to('/code', 'a', {}, { request_headers_to_add: [add('x-code', '%RESPONSE_CODE%')] }),
  {
    match: { prefix: '/nocase', headers: [{ name: 'x-h', string_match: { exact: 'AÉ', ignore_case: true } }] },
    redirect: { path_redirect: '/matched' },
  },
  { match: { prefix: '/to' }, redirect: { host_redirect: 'to.example:81', port_redirect: 443 } },
  { match: { prefix: '/port' }, redirect: { port_redirect: 443 } },
  {
    match: { prefix: '/cookie', cookies: [{ name: 'user', string_match: { exact: 'a,b' } }] },
    redirect: { path_redirect: '/matched' },
  },
  to('/rewritten', 'a', { host_rewrite_literal: 'literal' }),
  to('/emptied', 'a', { regex_rewrite: { pattern: { regex: '.*' }, substitution: '' } }),
  { match: { prefix: '/any', headers: [{ name: 'x-h', exact_match: '' }] }, redirect: { path_redirect: '/matched' } },
  to('/names', 'a', {}, { request_headers_to_add: [add('x-names', NAMES)] }),
  { match: { prefix: '/direct' }, direct_response: { status: 200 } },
  {
    match: { prefix: '/length' },
    direct_response: { status: 200 },
    response_headers_to_add: [add('content-length', '7')],
  },
  { match: { prefix: '/redirect' }, redirect: { path_redirect: '/' } },
  to('/', 'a'),
];
const FILTERED = [
  to('/header', '', { cluster: undefined, cluster_header: 'x-cluster' }),
  to('/names', 'a'),
  to('/encoded', 'a', {}, ofRoute({ query_parameter_mutations: [parameter('q', 'a b/%REQ(x-a)%+é~*')] })),
  to('/', 'a'),
];
const LEVELS = {
  name: 'levels',
  most_specific_header_mutations_wins: true,
  ...level('configuration'),
  virtual_hosts: [
    {
      name: 'all',
      domains: ['*'],
      ...level('virtual host'),
      routes: [
        to(
          '/weighted',
          '',
          { cluster: undefined, weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...level('cluster') }] } },
          level('route'),
        ),
        to('/', 'a', {}, level('route')),
      ],
    },
  ],
};

/** The virtual host is named by a header; `a.test` has no routes. */
const BY_HEADER = {
  name: 'by-header',
  vhost_header: 'x-host',
  virtual_hosts: [
    { name: 'none', domains: ['a.test'], routes: [] },
    { name: 'some', domains: ['a.*'], routes: [to('/', 'a')] },
  ],
};

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const on = (listener: string, scenario: Scenario): Scenario => ({ ...scenario, listener });
const absolute = (target: string, ...headers: string[]): Scenario =>
  at(`absolute target ${target}`, target, ...headers);

const CONTINUE = ['expect: 100-continue', 'content-length: 0'];

export const generated: Group = {
  name: 'generated',
  listeners: ['main', 'filtered', 'levels', 'port', 'tls', 'by-header', 'slashes'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const access_log = [fileLog(log, { vc: '%VIRTUAL_CLUSTER_NAME%' })];
    const filtered = {
      access_log,
      http_filters: [
        filter({
          request_mutations: [{ append: add('x-cluster', 'b') }, { append: add('x-names', NAMES) }],
          query_parameter_mutations: [parameter('p', '%REQ(x-a)%')],
        }),
        router({}),
      ],
    };
    const wantsTls = routes([to('/', 'a')], { require_tls: 'ALL', response_headers_to_add: [add('x-v', 'host')] });
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(MAIN, VIRTUAL_CLUSTERS), { access_log }),
        http(ports, log, 'filtered', routes(FILTERED), filtered),
        http(ports, log, 'levels', LEVELS),
        http(ports, log, 'port', routes([to('/', 'a')]), { append_x_forwarded_port: true }),
        http(ports, log, 'slashes', routes([to('/', 'a')]), {
          path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
        }),
        http(ports, log, 'by-header', BY_HEADER, { access_log, strip_trailing_host_dot: true }),
        http(ports, log, 'tls', wantsTls, filtered),
      ],
      [cluster('a', [ports['a']]), cluster('b', [ports['b']])],
    );
  },
  stats: STATS,
  scenarios: [
    at('cluster by authority', '/authority', 'host: a'),
    at('cluster by authority that names none', '/authority', 'host: a:80'),
    at('cluster by host', '/host', 'host: b'),
    at('cluster by the first of two headers', '/header', 'x-cluster: b', 'x-cluster: nobody'),
    at('request headers know the first attempt', '/names', 'x-vc: 1'),
    at('virtual cluster of a direct response', '/direct', 'x-vc: 1'),
    at('virtual cluster of a redirect', '/redirect', 'x-vc: 1'),
    at('virtual cluster where there is no cluster', '/header', 'x-vc: 1', 'x-cluster: nobody'),
    at('length added to an answer without body', '/length'),
    at('weight by a number with a sign', '/weighted', 'x-pick: +4294000001'),
    at('weight by a number of 64 bits', '/weighted', 'x-pick: 18446744071779808500'),
    at('weight by two numbers', '/weighted', 'x-pick: 4294000001', 'x-pick: 4294000002'),
    at('weight by host', '/by-host', 'host: 4294000001'),
    at('one name in two lines, nothing in the first', '/', 'origin:', 'origin: a'),
    at('one name in two lines, nothing in either', '/', 'origin:', 'origin:'),
    at('new host with a port, and a new port', '/to'),
    at('new port of a host with two', '/port', 'host: a:1:2'),
    at('cookie with a comma', '/cookie', 'cookie: user="a,b"; user=2'),
    at('cookie in the second line', '/cookie', 'cookie: x', 'cookie: user=a,b'),
    at('rewritten host that was empty', '/rewritten', 'host:'),
    at('path rewritten to nothing', '/emptied'),
    at('path rewritten to nothing, with a query', '/emptied?q=1'),
    at('empty exact match of a header', '/any', 'x-h: value'),
    at('empty exact match of no header', '/any'),
    at('letters beyond ASCII have a case', '/nocase', 'x-h: a\u00c3\u00a9'),
    at('letters within ASCII have none', '/nocase', 'x-h: a\u00c3\u0089'),
    { name: 'code of a request that is told to go on', client: [request('POST', '/code', CONTINUE)] },
    on('by-header', at('virtual host by the first of two headers', '/', 'x-host: a.test', 'x-host: b')),
    on('by-header', at('virtual host by the first of two other headers', '/', 'x-host: a.x', 'x-host: a.test')),
    on('by-header', at('host is but a dot', '/', 'host: .', 'x-host: a.x')),
    on('filtered', at('a filter comes too late to choose the cluster', '/header')),
    on('filtered', at('a filter knows the cluster', '/names')),
    on('filtered', at('parameters of two levels', '/encoded?x=%2F', 'x-a: v/%2')),
    on('filtered', at('parameters of one level', '/?x=%252F&p', 'x-a: v/%2')),
    on('levels', at('most specific wins, with weighted clusters', '/weighted')),
    on('levels', at('most specific wins', '/')),
    on('port', at('forwarded port', '/')),
    on('port', at('forwarded port is there', '/', 'x-forwarded-port: 9')),
    on('port', at('forwarded port behind a proxy', '/', 'x-forwarded-for: 1.2.3.4')),
    on('tls', at('to TLS with what filters made of the path', '/a?b=1', 'x-a: v/')),
    on('tls', at('to TLS, said twice', '/', 'x-forwarded-proto: https', 'x-forwarded-proto: https')),
    on('slashes', at('escaped slashes', '/a%2Fb')),
    on('slashes', at('escaped slashes of gRPC', '/a%2Fb', 'content-type: application/grpc')),
    on('tls', at('TLS before the proxy', '/a', 'x-forwarded-proto: https', 'x-a: v')),
    absolute('http://a.example/x', 'host: \u00c3\u00a9'),
    ...['b*', 'b:', 'b:65536', 'b:1x', 'b_c', '[::1]', '[::1', '::1', 'u@b', 'a@b@c', ':80', 'b!c'].map((host) =>
      absolute(`http://${host}/x`),
    ),
    { name: 'old version, bad path', client: [request('GET', '/\u00c3\u00a9', []).replace('HTTP/1.1', 'HTTP/1.0')] },
    { name: 'old version, bad host', client: [get('http://a:8*').replace('HTTP/1.1', 'HTTP/1.0')] },
    { name: 'old version, asterisk', client: [request('GET', '*', []).replace('HTTP/1.1', 'HTTP/1.0')] },
  ],
};
