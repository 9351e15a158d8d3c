// Header mutations of four levels (weighted cluster, route, virtual host, route configuration): their order, every
// append action, removals, formats and empty values, for requests, answers of upstreams and answers of our own.

import { answer, bootstrap, cluster, get, http, request, router, STATS } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const ACTIONS = [
  'APPEND_IF_EXISTS_OR_ADD',
  'ADD_IF_ABSENT',
  'OVERWRITE_IF_EXISTS_OR_ADD',
  'OVERWRITE_IF_EXISTS',
] as const;
type Level = 'cluster' | 'route' | 'host' | 'config';

const add = (key: string, value: string, append_action?: string, extra: object = {}): object => ({
  header: { key, value },
  ...(append_action === undefined ? {} : { append_action }),
  ...extra,
});

/** What one level does to either direction; `from` reads a header of that direction. */
function changes(level: Level, from: (name: string) => string): readonly object[] {
  return [
    ...ACTIONS.map((action, i) => add(`x-all-${i}`, level, action)),
    ...ACTIONS.map((action, i) => add(`x-given-${i}`, level, action)),
    add('x-seen', `${level} saw ${from('x-seen')}`),
    add(`x-of-${level}`, `${from('x-given-0')}/${from('x-all-0')}`),
    add('x-empty', from('x-nothing'), undefined, { keep_empty_value: level === 'route' }),
    add('x-twice', `${level} first`),
    add('x-twice', `${level} second`, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    add('via', level),
    add('x-quoted', '100%% "of" it'),
  ];
}
const REMOVED: Readonly<Record<Level, readonly string[]>> = {
  cluster: ['x-drop-1', 'x-of-config'],
  route: ['x-drop-2', 'x-of-cluster'],
  host: ['X-Drop-3', 'x-all-1'],
  config: ['x-drop-4', 'x-of-host'],
};
const mutations = (level: Level): object => ({
  request_headers_to_add: changes(level, (name) => `%REQ(${name})%`),
  request_headers_to_remove: REMOVED[level],
  response_headers_to_add: changes(level, (name) => `%RESP(${name})%`),
  response_headers_to_remove: REMOVED[level],
});

/** Of answers of our own: which levels have a say. */
const own = (level: Level): object => ({
  response_headers_to_add: [
    add(`x-by-${level}`, '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%'),
    add('content-type', `text/${level}`, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    add('x-mapped', level),
    add('server', level, 'OVERWRITE_IF_EXISTS'),
  ],
  response_headers_to_remove: ['location', 'x-envoy-overloaded'],
});

const FAULT = {
  name: 'fault',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
    abort: { header_abort: {}, percentage: { numerator: 100 } },
  },
};
const weighted = (name: string, extra: object = {}): object => ({
  weighted_clusters: { clusters: [{ name, weight: 1, ...extra }] },
});
const local = (prefix: string, name: string, action: object = {}): object => ({
  match: { prefix },
  route: { ...weighted(name, own('cluster')), ...action },
  ...own('route'),
});

const GIVEN = ['x-given-0: client', 'x-given-1: client', 'x-given-2: client', 'x-given-3: client'];
const DROPPED = ['x-drop-1: 1', 'x-drop-2: 1', 'x-drop-3: 1', 'x-drop-4: 1', 'x-drop-4: 2'];
const both = (name: string, listener: string, headers: readonly string[]): Scenario => ({
  name,
  listener,
  client: [get('/grid', ...headers)],
  upstreams: { a: { replies: [[answer('200 OK', headers, 'ok')]] } },
});
const grid = (listener: string): readonly Scenario[] => [
  both(`${listener}: nothing there`, listener, []),
  both(`${listener}: headers there`, listener, GIVEN),
  both(`${listener}: headers there twice`, listener, [...GIVEN, ...GIVEN.map((header) => `${header} again`)]),
  both(`${listener}: empty headers there`, listener, ['x-given-0:', 'x-given-1:', 'x-given-2:', 'x-given-3:']),
  both(`${listener}: headers removed`, listener, DROPPED),
  both(`${listener}: headers joined`, listener, ['via: client', 'x-twice: client', 'x-empty: client']),
];
const alone = (name: string, sent: string, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  listener: 'own',
  client: [sent],
  ...extra,
});

export const headerLevels: Group = {
  name: 'header-levels',
  listeners: ['outer', 'inner', 'own', 'mapped'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const routesOf = (config: object): object => ({
      name: 'grid',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: weighted('a', mutations('cluster')), ...mutations('route') }],
          ...mutations('host'),
        },
      ],
      ...mutations('config'),
      ...config,
    });
    const ownRoutes = {
      name: 'own',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          include_attempt_count_in_response: true,
          routes: [
            local('/empty', 'empty'),
            local('/dead', 'dead'),
            local('/slow', 'a', { timeout: '0.4s' }),
            local('/idle', 'a', { timeout: '0s', idle_timeout: '0.4s' }),
            local('/full', 'full'),
            local('/plain', 'a'),
            {
              match: { prefix: '/direct' },
              direct_response: { status: 302, body: { inline_string: 'direct' } },
              ...own('route'),
            },
            { match: { prefix: '/redirect' }, redirect: { path_redirect: '/x' }, ...own('route') },
            { match: { prefix: '/no-cluster' }, route: { cluster_header: 'x-cluster' }, ...own('route') },
            { match: { prefix: '/nowhere' }, non_forwarding_action: {}, ...own('route') },
          ],
          ...own('host'),
        },
        { name: 'tls', domains: ['tls.example'], require_tls: 'ALL', routes: [], ...own('host') },
      ],
      ...own('config'),
    };
    const strict = {
      http_filters: [FAULT, router({ strict_check_headers: ['x-envoy-max-retries'] })],
      use_remote_address: true,
    };
    return bootstrap(
      ports,
      [
        http(ports, log, 'outer', routesOf({})),
        http(ports, log, 'inner', routesOf({ most_specific_header_mutations_wins: true })),
        http(ports, log, 'own', ownRoutes, {
          ...strict,
          internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
        }),
        http(ports, log, 'mapped', ownRoutes, {
          local_reply_config: {
            mappers: [
              {
                filter: {
                  status_code_filter: { comparison: { op: 'GE', value: { default_value: 300, runtime_key: 'k' } } },
                },
                status_code: 599,
                body: { inline_string: 'mapped' },
                headers_to_add: [
                  add('x-mapped', 'by the manager'),
                  add('x-saw', '%RESP(x-by-route)% %RESPONSE_CODE%'),
                  add('x-by-host', 'by the manager', 'OVERWRITE_IF_EXISTS'),
                ],
                body_format_override: {
                  text_format_source: { inline_string: '%LOCAL_REPLY_BODY% %RESP(x-by-route)%' },
                },
              },
            ],
          },
        }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('dead', [ports['dead']]),
        cluster('empty', []),
        cluster('full', [ports['a']], {
          circuit_breakers: { thresholds: [{ max_requests: 0, max_pending_requests: 0, max_connections: 0 }] },
        }),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    ...grid('outer'),
    ...grid('inner'),
    alone('own: no host', get('/empty')),
    alone('own: nobody there', get('/dead')),
    alone('own: too late', get('/slow'), { upstreams: { a: { replies: [[{ waitMs: 1_000 }]] } } }),
    alone('own: idle', get('/idle'), { upstreams: { a: { replies: [[{ waitMs: 1_000 }]] } } }),
    alone('own: no room', get('/full')),
    alone('own: broken off', get('/plain'), { upstreams: { a: { replies: [[{ close: 'full' }]] } } }),
    alone('own: broken answer', get('/plain'), { upstreams: { a: { replies: [['nonsense\r\n\r\n']] } } }),
    alone('own: direct', get('/direct')),
    alone('own: redirect', get('/redirect')),
    alone('own: no cluster', get('/no-cluster')),
    alone('own: unknown cluster', get('/no-cluster', 'x-cluster: zzz')),
    alone('own: not forwarded', get('/nowhere')),
    alone('own: no route', get('/')),
    alone('own: only by TLS', get('/plain', 'host: tls.example')),
    alone('own: upgrade', request('GET', '/plain', ['connection: upgrade', 'upgrade: websocket'])),
    alone('own: strict headers', get('/plain', 'x-envoy-max-retries: x')),
    ...['/plain', '/direct', '/redirect', '/nowhere', '/none'].map((path) =>
      alone(`own: a filter answers ${path}`, get(path, 'x-envoy-fault-abort-request: 418')),
    ),
    alone('own: no request', 'GET /plain HTTP/1.1\r\nhost: a\r\nhost: b\r\nx: \x01\r\n\r\n'),
    alone('own: no host header', 'GET /plain HTTP/1.1\r\n\r\n'),
    alone('own: gRPC', request('POST', '/empty', ['content-type: application/grpc', 'content-length: 0'])),
    alone('own: an answer of the upstream', get('/plain')),
    alone('mapped: no host', get('/empty'), { listener: 'mapped' }),
    alone('mapped: direct', get('/direct'), { listener: 'mapped' }),
    alone('mapped: redirect', get('/redirect'), { listener: 'mapped' }),
    alone('mapped: no route', get('/'), { listener: 'mapped' }),
    alone('mapped: an answer of the upstream', get('/plain'), {
      listener: 'mapped',
      upstreams: { a: { replies: [[answer('503 No')]] } },
    }),
  ],
};
