// A random configuration of one HTTP connection manager, and the requests that are sent to it.

import { router } from './config.ts';
import { makeAction } from './fuzz-action.ts';
import { makeFilterOverrides, makeFilters, makeHeaderMutations } from './fuzz-headers.ts';
import { HEADER_NAMES, HOSTS, type Json, Maker, QUERY_NAMES, SEGMENTS, VALUES } from './fuzz-maker.ts';
import { makeHeaderMatch, makeMatch } from './fuzz-match.ts';
import { makeLocalReplies } from './fuzz-replies.ts';

export interface FuzzRequest {
  /** All bytes of one request. */
  readonly text: string;
  /** Its answer has no body. */
  readonly bodiless: boolean;
}

export interface FuzzCase {
  /** What it was made from, and what makes it again. */
  readonly seed: number;
  /** Fields of the connection manager, routes and filters included. */
  readonly manager: Json;
  readonly requests: readonly FuzzRequest[];
  /** It may well be refused. */
  readonly dubious: boolean;
}

const DOMAINS = [
  '*',
  'a.test',
  'A.TEST',
  'b.test',
  '*.test',
  '*.a.test',
  '*-a.test',
  'a.*',
  'sub.*',
  'a.test:8080',
  '*:8080',
  'b.test:*',
  '10.0.0.1',
  '[::1]:80',
] as const;

export function makeCase(seed: number, requests: number): FuzzCase {
  const maker = new Maker(seed);
  const routes = makeRouteConfiguration(maker);
  const manager = { ...makeManager(maker), route_config: routes };
  const dubious = maker.chance(DUBIOUS_PERCENT);
  return {
    seed,
    manager: dubious ? { ...manager, route_config: spoil(maker, routes) } : manager,
    requests: Array.from({ length: requests }, () => makeRequest(maker)),
    dubious,
  };
}

// === The connection manager ===

function makeManager(maker: Maker): Json {
  return {
    http_filters: [...makeFilters(maker), router(maker.maybe(15, () => ({ suppress_envoy_headers: true })))],
    ...maker.maybe(40, () => ({ normalize_path: maker.chance(70) })),
    ...maker.maybe(30, () => ({ merge_slashes: true })),
    ...maker.maybe(30, () => ({
      path_with_escaped_slashes_action: maker.pick([
        'KEEP_UNCHANGED',
        'REJECT_REQUEST',
        'UNESCAPE_AND_REDIRECT',
        'UNESCAPE_AND_FORWARD',
      ]),
    })),
    ...maker.maybe(25, () => (maker.chance(50) ? { strip_any_host_port: true } : { strip_matching_host_port: true })),
    ...maker.maybe(15, () => ({ strip_trailing_host_dot: true })),
    ...maker.maybe(30, () => ({ use_remote_address: maker.chance(70) })),
    ...maker.maybe(10, () => ({ xff_num_trusted_hops: 1 })),
    ...maker.maybe(10, () => ({ skip_xff_append: true })),
    ...maker.maybe(10, () => ({ append_x_forwarded_port: true })),
    ...maker.maybe(10, () => ({ via: 'v' })),
    ...maker.maybe(10, () => ({ server_name: 's' })),
    ...maker.maybe(15, () => ({
      server_header_transformation: maker.pick(['APPEND_IF_ABSENT', 'PASS_THROUGH', 'OVERWRITE']),
    })),
    ...maker.maybe(20, () => ({ local_reply_config: makeLocalReplies(maker) })),
    ...maker.maybe(10, () => ({ add_user_agent: true })),
    ...maker.maybe(15, () => ({ generate_request_id: false })),
    ...maker.maybe(10, () => ({ always_set_request_id_in_response: true, preserve_external_request_id: true })),
    ...maker.maybe(10, () => ({ scheme_header_transformation: { scheme_to_overwrite: 'https' } })),
    ...maker.maybe(15, () => ({
      common_http_protocol_options: { headers_with_underscores_action: maker.pick(['REJECT_REQUEST', 'DROP_HEADER']) },
    })),
    ...maker.maybe(15, () => ({
      http_protocol_options: maker.pick([
        { accept_http_10: true, default_host_for_http_10: 'b.test' },
        { header_key_format: { proper_case_words: {} } },
        { allow_absolute_url: false },
      ]),
    })),
  };
}

// === Routes ===

function makeRouteConfiguration(maker: Maker): Json {
  const left = new Set(DOMAINS.map((domain) => domain.toLowerCase()));
  const takeDomains = (): string[] => {
    const taken: string[] = [];
    for (let i = 1 + maker.dice.below(3); i > 0; i--) {
      const domain = maker.pick(DOMAINS);
      if (left.delete(domain.toLowerCase())) taken.push(domain);
    }
    return taken;
  };
  const hosts: Json[] = [];
  for (let i = 1 + maker.dice.below(3); i > 0; i--) {
    const domains = takeDomains();
    if (hosts.length === 0 && maker.chance(70) && left.delete('*')) domains.push('*');
    if (domains.length === 0) continue;
    maker.hints.hosts.push(...domains.map((domain) => domain.replace('*', maker.pick(['a', 'x.y', '80']))));
    hosts.push(makeVirtualHost(maker, `host-${i}`, domains));
  }
  return {
    name: 'r',
    virtual_hosts: hosts,
    ...makeHeaderMutations(maker),
    ...makeFilterOverrides(maker, 20),
    ...maker.maybe(15, () => ({ most_specific_header_mutations_wins: true })),
    ...maker.maybe(15, () => ({ ignore_port_in_host_matching: true })),
    ...maker.maybe(15, () => ({ ignore_path_parameters_in_path_matching: true })),
    ...maker.maybe(8, () => {
      maker.hints.headers.push('x-vhost: a.test', 'x-vhost: sub.b.test:80');
      return { vhost_header: 'x-vhost' };
    }),
    ...maker.maybe(10, () => ({ internal_only_headers: ['x-a'] })),
    ...maker.maybe(4, () => ({ max_direct_response_body_size_bytes: 4096 })),
  };
}

function makeVirtualHost(maker: Maker, name: string, domains: readonly string[]): Json {
  return {
    name,
    domains,
    routes: maker.some(6, () => 0).map((_, i) => makeRoute(maker, `${name}-${i}`)),
    ...makeHeaderMutations(maker),
    ...makeFilterOverrides(maker, 20),
    ...maker.maybe(12, () => ({ require_tls: maker.pick(['NONE', 'EXTERNAL_ONLY', 'ALL']) })),
    ...maker.maybe(10, () => ({ include_request_attempt_count: true })),
    ...maker.maybe(10, () => ({ include_attempt_count_in_response: true })),
    ...maker.maybe(15, () => ({
      virtual_clusters: [{ name: 'vc', headers: [makeHeaderMatch(maker)] }],
    })),
    ...maker.maybe(15, () => ({ metadata: { filter_metadata: { m: { k: 'host' } } } })),
  };
}

function makeRoute(maker: Maker, name: string): Json {
  const made = makeMatch(maker);
  return {
    ...maker.maybe(80, () => ({ name })),
    match: made.match,
    ...makeAction(maker, made),
    ...makeHeaderMutations(maker),
    ...makeFilterOverrides(maker, 20),
    ...maker.maybe(15, () => ({ metadata: { filter_metadata: { m: { k: maker.pick(['v', 1, true, [1, 'a']]) } } } })),
  };
}

// === What is refused ===

const DUBIOUS_PERCENT = 6;

/** Things that a proxy may refuse: each is put into a route, or in place of something of it. */
const FLAWS: readonly Json[] = [
  { match: { prefix: '/', headers: [{ name: 'x-a', string_match: { safe_regex: { regex: '(' } } }] } },
  { match: { prefix: '/', headers: [{ name: '', present_match: true }] } },
  { match: { prefix: '/', headers: [{ name: 'x-a', string_match: { prefix: '' } }] } },
  { match: { prefix: '/', headers: [{ name: 'x-a', range_match: { start: 5, end: 1 } }] } },
  { match: { prefix: '/', headers: [{ name: 'x y', present_match: true }] } },
  { match: { safe_regex: { regex: '' } } },
  { match: { safe_regex: { regex: '/(?=a)' } } },
  { match: { safe_regex: { regex: '/[' } } },
  { match: { path_separated_prefix: '/a/' } },
  { match: { path_separated_prefix: '/a?b' } },
  { match: { prefix: '/', query_parameters: [{ name: '' }] } },
  { match: { prefix: '/', query_parameters: [{ name: 'q', string_match: {} }] } },
  { match: {} },
  { match: { prefix: 'a' } },
  { match: { path: '' } },
  { match: { prefix: '/', runtime_fraction: {} } },
  { match: { prefix: '/', runtime_fraction: { default_value: { numerator: 200 } } } },
  { route: { cluster: 'nobody' } },
  { route: { cluster: '' } },
  { route: {} },
  { route: { weighted_clusters: { clusters: [] } } },
  { route: { weighted_clusters: { clusters: [{ name: 'a', weight: 0 }] } } },
  {
    route: {
      weighted_clusters: {
        clusters: [
          { name: 'a', weight: 4_294_967_295 },
          { name: 'b', weight: 1 },
        ],
      },
    },
  },
  { route: { weighted_clusters: { clusters: [{ weight: 1 }] } } },
  { route: { weighted_clusters: { clusters: [{ name: 'a', cluster_header: 'x-a', weight: 1 }] } } },
  { route: { weighted_clusters: { clusters: [{ name: 'a', weight: 1 }], header_name: 'x y' } } },
  { route: { cluster: 'a', prefix_rewrite: '/a', regex_rewrite: { pattern: { regex: 'a' }, substitution: 'b' } } },
  { route: { cluster: 'a', regex_rewrite: { pattern: { regex: 'a' }, substitution: '\\1' } } },
  { route: { cluster: 'a', regex_rewrite: { pattern: { regex: 'a' }, substitution: '\\' } } },
  { route: { cluster: 'a', regex_rewrite: { substitution: '\\0' } } },
  { route: { cluster: 'a', path_rewrite: '%NOTHING%' } },
  { route: { cluster: 'a', host_rewrite: '%REQ(' } },
  { route: { cluster: 'a', host_rewrite_literal: 'a\nb' } },
  { route: { cluster: 'a', host_rewrite_header: ' ' } },
  { route: { cluster: 'a', timeout: '-1s' } },
  { route: { cluster_header: '' } },
  { redirect: {} },
  { redirect: { path_redirect: '/a\n' } },
  { redirect: { host_redirect: 'a\r' } },
  { redirect: { port_redirect: 70_000 } },
  { redirect: { response_code: 'OK' } },
  { redirect: { prefix_rewrite: '/a', regex_rewrite: { pattern: { regex: '(' } } } },
  { redirect: { path_redirect: '/a', path_rewrite: '/b' } },
  { direct_response: {} },
  { direct_response: { status: 100 } },
  { direct_response: { status: 600 } },
  { direct_response: { status: 200, body: { inline_string: 'x'.repeat(5_000) } } },
  { request_headers_to_add: [{ header: { key: '', value: 'a' } }] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: '' } }] },
  { request_headers_to_add: [{ header: { key: ':path', value: '/a' } }] },
  { request_headers_to_add: [{ header: { key: 'host', value: 'a' } }] },
  { request_headers_to_add: [{ header: { key: 'Host', value: 'a' } }] },
  { request_headers_to_add: [{ header: { key: 'x a', value: 'a' } }] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: '%' } }] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: '%REQ()%' } }] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: '%REQ(a):x%' } }] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: 'a\nb' } }] },
  { request_headers_to_add: [{}] },
  { request_headers_to_add: [{ header: { key: 'x-a', value: 'a' }, append: true, append_action: 'ADD_IF_ABSENT' }] },
  { request_headers_to_remove: [':path'] },
  { request_headers_to_remove: ['host'] },
  { request_headers_to_remove: [''] },
  { response_headers_to_remove: [':status'] },
  { response_headers_to_remove: ['host'] },
  { typed_per_filter_config: { cors: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig' } } },
  {
    typed_per_filter_config: {
      nobody: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy' },
    },
  },
  { typed_per_filter_config: { cors: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } } },
];

const ACTION_FIELDS = ['route', 'redirect', 'direct_response', 'non_forwarding_action'];
const HOST_FLAWS: readonly (readonly string[])[] = [[], ['*', '*'], ['a.test', 'A.test'], ['*a*'], ['a.*.b'], ['']];

/** One route or virtual host has a flaw. */
function spoil(maker: Maker, config: Json): Json {
  const [first, ...others] = config['virtual_hosts'] as readonly Json[];
  if (first === undefined || maker.chance(10))
    return { ...config, virtual_hosts: [{ name: 'flawed', domains: maker.pick(HOST_FLAWS) }, ...others] };
  const flaw = maker.pick(FLAWS);
  const acts = ACTION_FIELDS.some((field) => field in flaw);
  const flawed = { match: { prefix: '/' }, ...(acts ? {} : { route: { cluster: 'a' } }), ...flaw };
  return {
    ...config,
    virtual_hosts: [{ ...first, routes: [flawed, ...(first['routes'] as readonly Json[])] }, ...others],
  };
}

// === Requests ===

const METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE'] as const;
const ODD_PATHS = [
  '//',
  '/a//b',
  '/./a',
  '/a/../b',
  '/a/..',
  '/../a',
  '/a/%2e%2e/b',
  '/a%2Fb',
  '/a%5cb',
  '/%61',
  '/a%zz',
  '/a%00b',
  '/a\\b',
  '/a#frag',
  '/a?',
  '/a?#',
  '/a??q=1',
  '/a?q=/../b',
  '/é',
  '/a b',
  '/a;v=1/b',
  '/%',
  '*',
  '/a/.',
  '/a/b/./../c',
] as const;
const ODD_HOSTS = [
  'a.test.',
  'a.test:',
  'a.test:80',
  'A.TEST',
  'a.test:99999',
  '',
  'a_b',
  'a.test:8080.',
  '.',
  'é',
] as const;
const ODD_HEADERS = [
  'x-forwarded-for: 1.2.3.4',
  'x-forwarded-for: 10.0.0.1, 8.8.8.8',
  'x-forwarded-proto: https',
  'x-forwarded-host: elsewhere.test',
  'x-forwarded-port: 81',
  'x-request-id: mine',
  'x-envoy-internal: true',
  'x-envoy-original-path: /before',
  'x-envoy-upstream-rq-timeout-ms: 9000',
  'x-envoy-attempt-count: 7',
  'x-envoy-retry-on: 5xx',
  'x-envoy-max-retries: 2',
  'x-envoy-decorator-operation: o',
  'user-agent: fuzz',
  'x_a: under',
  'te: trailers',
  'te: gzip',
  'origin: http://a.test',
  'origin: ab',
  'access-control-request-method: PUT',
  'access-control-request-private-network: true',
  'via: 1.0 other',
  'forwarded: for=1',
  'x-empty:',
  'connection: x-a',
  'connection: close',
  'keep-alive: 5',
  'expect: 100-continue',
  'upgrade: other',
  'content-type: application/grpc',
  'grpc-timeout: 4S',
] as const;

function makeRequest(maker: Maker): FuzzRequest {
  const method = maker.pick(METHODS);
  const body = method === 'POST' || method === 'PUT' ? maker.pick(['', 'body', 'long '.repeat(100)]) : '';
  const chunked = body !== '' && maker.chance(30);
  const version = maker.chance(4) ? '1.0' : '1.1';
  const host = makeHost(maker);
  const path = makePath(maker);
  const absolute = maker.chance(3);
  const lines = [
    `${method} ${absolute ? `http://${maker.pick(HOSTS)}` : ''}${path} HTTP/${version}`,
    ...(host === null ? [] : [`${maker.pick(['host', 'Host'])}: ${host}`]),
    `x-answer: ${maker.dice.below(ANSWERS)}`,
    ...(maker.hints.picks ? [`x-pick: ${maker.pick(PICKS)}`] : []),
    ...makeHeaders(maker),
    ...(chunked
      ? ['transfer-encoding: chunked']
      : body === '' && method !== 'POST'
        ? []
        : [`content-length: ${body.length}`]),
  ];
  const payload = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
  // Sources are UTF-8, and so are the bytes.
  const text = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${payload}`, 'utf8').toString('latin1');
  return { text, bodiless: method === 'HEAD' };
}

/** Numbers that all of them can read. */
const PICKS = [
  '0',
  '1',
  '9',
  '10',
  '29',
  '50',
  '99',
  '100',
  '007',
  '+5',
  '99999999999',
  '18446744073709551615',
] as const;

/** How many ways the upstream answers (`fuzz-upstream.ts`). */
export const ANSWERS = 8;

function makeHost(maker: Maker): string | null {
  const dice = maker.dice.below(100);
  if (dice < 55 && maker.hints.hosts.length > 0) return maker.pick(maker.hints.hosts);
  if (dice < 90) return maker.pick(HOSTS);
  return dice < 99 ? maker.pick(ODD_HOSTS) : null;
}

function makePath(maker: Maker): string {
  const dice = maker.dice.below(100);
  if (dice >= 85) return maker.pick(ODD_PATHS);
  const { paths, queries } = maker.hints;
  let path = dice < 70 && paths.length > 0 ? maker.pick(paths) : maker.path();
  if (!path.startsWith('/')) path = `/${path}`;
  if (maker.chance(8)) path += maker.pick(['/', '//', '/../b', '?', ';x=y', '%2F', '/.']);
  const parameters = maker.some(3, () =>
    maker.chance(60) && queries.length > 0 ? maker.pick(queries) : `${maker.pick(QUERY_NAMES)}=${maker.pick(SEGMENTS)}`,
  );
  if (parameters.length > 0 && !path.includes('?')) path += `?${parameters.join(maker.chance(95) ? '&' : ';')}`;
  return path.replaceAll(' ', '%20');
}

function makeHeaders(maker: Maker): string[] {
  const { headers } = maker.hints;
  return maker.some(8, () => {
    const dice = maker.dice.below(100);
    if (dice < 55 && headers.length > 0) return maker.pick(headers);
    if (dice < 85) {
      const name = maker.pick(HEADER_NAMES);
      return `${maker.chance(20) ? name.toUpperCase() : name}: ${maker.pick(VALUES)}`;
    }
    return maker.pick(ODD_HEADERS);
  });
}
