// What is changed on the way: paths, hosts, headers at every level, redirects, direct responses.

import {
  address,
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
import type { Group, Ports, Scenario } from '../types.ts';

const add = (key: string, value: string, append_action?: string, keep_empty_value = false): object => ({
  header: { key, value },
  ...(append_action === undefined ? {} : { append_action }),
  ...(keep_empty_value ? { keep_empty_value } : {}),
});

const redirect = (prefix: string, config: object): object => ({ name: prefix, match: { prefix }, redirect: config });

const ROUTES = [
  to('/prefix/', 'a', { prefix_rewrite: '/' }),
  to('/Nocase', 'a', { prefix_rewrite: '/lower' }, { match: { prefix: '/nocase', case_sensitive: false } }),
  to('', 'a', { prefix_rewrite: '/exactly' }, { match: { path: '/exact' } }),
  to('', 'a', { prefix_rewrite: '/seg' }, { match: { path_separated_prefix: '/segment' } }),
  to('/regex', 'a', { regex_rewrite: { pattern: { regex: '^/regex/([^/]+)/([^/]+)' }, substitution: '/\\2/\\1' } }),
  to('/all', 'a', { regex_rewrite: { pattern: { regex: 'l' }, substitution: 'LL' } }),
  to('/host-literal', 'a', { host_rewrite_literal: 'literal.test' }),
  to('/host-header', 'a', { host_rewrite_header: 'x-host' }),
  to('/host-path', 'a', {
    host_rewrite_path_regex: { pattern: { regex: '^/host-path/([a-z.]+).*' }, substitution: '\\1' },
  }),
  to('/host-auto', 'a', { auto_host_rewrite: true }),
  to('/host-named', 'named', { auto_host_rewrite: true, append_x_forwarded_host: true }),
  to('/host-append', 'a', { host_rewrite_literal: 'literal.test', append_x_forwarded_host: true }),
  to(
    '/headers',
    'a',
    {},
    {
      request_headers_to_add: [
        add('x-append', 'route'),
        add('x-once', 'route', 'ADD_IF_ABSENT'),
        add('x-over', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD'),
        add('x-only-over', 'route', 'OVERWRITE_IF_EXISTS'),
        add('x-empty', ''),
        add('x-kept-empty', '', undefined, true),
        add('x-level', 'route'),
      ],
      request_headers_to_remove: ['x-remove-route', 'x-append-removed'],
      response_headers_to_add: [
        add('x-append', 'route'),
        add('x-once', 'route', 'ADD_IF_ABSENT'),
        add('x-over', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD'),
        add('x-only-over', 'route', 'OVERWRITE_IF_EXISTS'),
        add('x-level', 'route'),
      ],
      response_headers_to_remove: ['x-remove'],
    },
  ),
  to(
    '/operators',
    'a',
    {},
    {
      request_headers_to_add: [
        add('x-o-protocol', '%PROTOCOL%'),
        add('x-o-host', '%REQ(:AUTHORITY)%'),
        add('x-o-path', '%REQ(:PATH):5%'),
        add('x-o-alternative', '%REQ(X-NONE?X-TWO)%'),
        add('x-o-missing', '%REQ(X-NONE)%'),
        add('x-o-percent', '100%%'),
        add('x-o-remote', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
        add('x-o-route', '%ROUTE_NAME%'),
        add('x-o-cluster', '%UPSTREAM_CLUSTER%'),
        add('x-o-local', '%DOWNSTREAM_LOCAL_PORT%'),
        add('x-o-hostname', '%UPSTREAM_HOST%'),
        add('x-o-constant', 'Gr\u00fc\u00dfe'),
      ],
      response_headers_to_add: [
        add('x-o-code', '%RESPONSE_CODE%'),
        add('x-o-details', '%RESPONSE_CODE_DETAILS%'),
        add('x-o-flags', '%RESPONSE_FLAGS%'),
        add('x-o-upstream', '%UPSTREAM_HOST%'),
        add('x-o-resp', '%RESP(CONTENT-TYPE)%'),
        add('x-o-req', '%REQ(X-TWO)%'),
        add('x-o-cluster', '%UPSTREAM_CLUSTER%'),
        add('x-o-attempts', '%UPSTREAM_REQUEST_ATTEMPT_COUNT%'),
      ],
      name: 'operators',
    },
  ),
  {
    name: 'direct',
    match: { path: '/direct' },
    direct_response: { status: 418, body: { inline_string: 'short and stout\n' } },
    response_headers_to_add: [
      add('x-direct', '%RESPONSE_CODE%'),
      add('content-type', 'text/x-tea', 'OVERWRITE_IF_EXISTS_OR_ADD'),
    ],
  },
  { name: 'direct-empty', match: { path: '/direct-empty' }, direct_response: { status: 204 } },
  {
    name: 'direct-bytes',
    match: { path: '/direct-bytes' },
    direct_response: { status: 200, body: { inline_bytes: 'AAEC/w==' } },
  },
  redirect('/r/https', { https_redirect: true }),
  redirect('/r/scheme', { scheme_redirect: 'ftp' }),
  redirect('/r/host', { host_redirect: 'other.test' }),
  redirect('/r/port', { port_redirect: 8443 }),
  redirect('/r/path', { path_redirect: '/landed' }),
  redirect('/r/query', { path_redirect: '/landed?own=1' }),
  redirect('/r/strip', { path_redirect: '/landed', strip_query: true }),
  redirect('/r/keep', { host_redirect: 'other.test', strip_query: false, response_code: 'TEMPORARY_REDIRECT' }),
  redirect('/r/prefix', { prefix_rewrite: '/moved', response_code: 'PERMANENT_REDIRECT' }),
  redirect('/r/regex', {
    regex_rewrite: { pattern: { regex: '/r/regex/([0-9]+)' }, substitution: '/n\\1' },
    response_code: 'SEE_OTHER',
  }),
  redirect('/r/found', {
    host_redirect: 'other.test',
    https_redirect: true,
    port_redirect: 444,
    response_code: 'FOUND',
  }),
];

const LEVELS = {
  request_headers_to_add: [add('x-level', 'virtual-host'), add('x-append', 'virtual-host')],
  request_headers_to_remove: ['x-remove-vhost'],
  response_headers_to_add: [add('x-level', 'virtual-host')],
};
const TOP = {
  request_headers_to_add: [add('x-level', 'configuration')],
  response_headers_to_add: [add('x-level', 'configuration')],
  response_headers_to_remove: ['x-remove-top'],
  internal_only_headers: ['x-internal-only'],
};

/** A cluster whose endpoint has a name besides its address. */
const named = (ports: Ports): object =>
  cluster('named', [], {
    load_assignment: {
      cluster_name: 'named',
      endpoints: [{ lb_endpoints: [{ endpoint: { hostname: 'name.test', address: address(ports['a']) } }] }],
    },
  });

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const HEADERS_REPLY = answer('200 OK', [
  'x-append: upstream',
  'x-once: upstream',
  'x-over: upstream',
  'x-over: twice',
  'x-remove: 1',
  'x-remove-top: 1',
  'content-type: text/plain',
]);
const SENT = [
  'x-append: client',
  'x-once: client',
  'x-over: client',
  'x-only-over: client',
  'x-remove-route: 1',
  'x-remove-vhost: 1',
];

export const rewriting: Group = {
  name: 'rewriting',
  listeners: ['main', 'specific', 'quiet', 'tls'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(ROUTES, LEVELS, TOP)),
        http(ports, log, 'specific', routes(ROUTES, LEVELS, { ...TOP, most_specific_header_mutations_wins: true })),
        http(ports, log, 'quiet', routes(ROUTES), { http_filters: [router({ suppress_envoy_headers: true })] }),
        http(
          ports,
          log,
          'tls',
          {
            name: 'tls',
            virtual_hosts: [
              { name: 'all', domains: ['all.test'], require_tls: 'ALL', routes: [to('/', 'a')] },
              { name: 'external', domains: ['external.test'], require_tls: 'EXTERNAL_ONLY', routes: [to('/', 'a')] },
            ],
          },
          { use_remote_address: true, xff_num_trusted_hops: 1, ...TRUSTING },
        ),
      ],
      [cluster('a', [ports['a']]), named(ports)],
    ),
  stats: STATS,
  scenarios: [
    at('prefix rewritten', '/prefix/x?q=1'),
    at('prefix without case rewritten', '/NOCASE/y'),
    at('exact path rewritten', '/exact?q'),
    at('separated prefix rewritten', '/segment/x'),
    at('regex rewrite with groups', '/regex/one/two?k=v'),
    at('regex rewrite replaces everywhere, not in the query', '/all/lil?l=l'),
    at('original path of the client is overwritten', '/prefix/x', 'x-envoy-original-path: /faked'),
    at('host rewritten to a literal', '/host-literal'),
    at('host rewritten from a header', '/host-header', 'x-host: from.header'),
    at('host rewrite header missing', '/host-header'),
    at('host rewritten from the path', '/host-path/some.host/rest?q=1'),
    at('host rewrite automatic without a name', '/host-auto'),
    at('host rewritten to the name of the endpoint', '/host-named', 'x-forwarded-host: first.test'),
    ...['/prefix/x', '/host-literal', '/host-named'].map((path) => ({
      name: `originals are not told: ${path}`,
      listener: 'quiet',
      client: [get(path, 'x-envoy-original-path: /mine')],
    })),
    at('forwarded host appended', '/host-append', 'x-forwarded-host: first.test'),
    {
      name: 'request and response header actions',
      client: [get('/headers', ...SENT)],
      upstreams: { a: { replies: [[HEADERS_REPLY]] } },
    },
    { name: 'header actions on nothing', client: [get('/headers')] },
    {
      name: 'most specific mutations win',
      listener: 'specific',
      client: [get('/headers', ...SENT)],
      upstreams: { a: { replies: [[HEADERS_REPLY]] } },
    },
    {
      name: 'command operators in headers',
      client: [get('/operators/and/more', 'x-two: two')],
      upstreams: { a: { replies: [[answer('201 Created', ['content-type: text/x'], 'made')]] } },
    },
    at('direct response with headers', '/direct'),
    { name: 'direct response to HEAD', bodiless: true, client: [request('HEAD', '/direct', [])] },
    {
      name: 'direct response to a request with a body',
      client: [request('POST', '/direct', ['content-length: 5'], 'hello')],
    },
    at('direct response without body', '/direct-empty'),
    at('direct response of bytes', '/direct-bytes'),
    at('redirect to https', '/r/https/x?q=1'),
    at('redirect to https drops port 80', '/r/https', 'host: a.example:80'),
    at('redirect to https keeps another port', '/r/https', 'host: a.example:8080'),
    at('redirect to another scheme', '/r/scheme'),
    at('redirect to another host', '/r/host/x?q=1', 'host: a.example:8080'),
    at('redirect to another port', '/r/port', 'host: a.example:8080'),
    at('redirect to another port of an IPv6 host', '/r/port', 'host: [::1]:8080'),
    at('redirect to a path keeps the query', '/r/path?q=1'),
    at('redirect to a path with its own query', '/r/query?q=1'),
    at('redirect strips the query', '/r/strip?q=1'),
    at('redirect keeps method and query', '/r/keep?q=1'),
    at('redirect with a rewritten prefix', '/r/prefix/x?q=1'),
    at('redirect with a rewritten regex', '/r/regex/12?q=1'),
    at('redirect with everything', '/r/found/x'),
    { name: 'TLS required of all', listener: 'tls', client: [get('/x?y', 'host: all.test')] },
    {
      name: 'TLS required of strangers',
      listener: 'tls',
      client: [get('/x', 'host: external.test', 'x-forwarded-for: 8.8.8.8')],
    },
    {
      name: 'TLS not required of neighbours',
      listener: 'tls',
      client: [get('/x', 'host: external.test', FRIEND)],
    },
    {
      name: 'TLS required and claimed',
      listener: 'tls',
      client: [get('/x', 'host: all.test', 'x-forwarded-proto: https', FRIEND)],
    },
  ],
};
