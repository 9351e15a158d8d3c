// The header_mutation filter: headers, query parameters and trailers, at every level.

import { answer, bootstrap, cluster, fileLog, get, http, httpOptions, request, router, routes, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.';
const mutation = (config: object): object => ({
  name: 'mutate',
  typed_config: { '@type': `${TYPE}header_mutation.v3.HeaderMutation`, ...config },
});
const perRoute = (mutations: object): object => ({
  typed_per_filter_config: { mutate: { '@type': `${TYPE}header_mutation.v3.HeaderMutationPerRoute`, mutations } },
});
const append = (key: string, value: string, action = 'APPEND_IF_EXISTS_OR_ADD', more: object = {}): object => ({
  append: { header: { key, value }, append_action: action, ...more },
});
const parameter = (key: string, value: string, action = 'APPEND_IF_EXISTS_OR_ADD'): object => ({
  append: { record: { key, value }, action },
});
const matching = (key_matcher: object): object => ({ remove_on_match: { key_matcher } });

const ADD = 'ADD_IF_ABSENT';
const SET = 'OVERWRITE_IF_EXISTS_OR_ADD';
const CHANGE = 'OVERWRITE_IF_EXISTS';

const EVERY_ACTION = [
  append('x-append', 'new'),
  append('X-Add', 'new', ADD),
  append('x-set', 'new', SET),
  append('x-change', 'new', CHANGE),
  append('x-append', '', undefined, { keep_empty_value: true }),
  append('x-empty', ''),
  append('x-absent', '%REQ(x-none)%'),
  append('x-kept', '%REQ(x-none)%', SET, { keep_empty_value: true }),
  append('x-seen', '%REQ(x-append)% %REQ(x-set)% %RESP(x-set)%'),
  { remove: 'X-Gone' },
  append('x-gone', 'again %REQ(x-gone)%'),
  append('accept', 'text/new'),
  append('cache-control', 'new'),
  append('content-type', 'text/other', SET),
  append('user-agent', 'ours'),
  append('x-legacy', 'new', undefined),
  { append: { header: { key: 'x-legacy', value: 'over' }, append: false } },
];

/** Path → what its route's filter does. */
const ROUTES: Readonly<Record<string, object>> = {
  '/request': { request_mutations: EVERY_ACTION },
  '/response': { response_mutations: EVERY_ACTION },
  '/raw': {
    request_mutations: [{ append: { header: { key: 'x-raw', raw_value: 'eA==' } } }],
    response_mutations: [{ append: { header: { key: 'x-raw', raw_value: 'eA==' } } }],
  },
  '/matched': {
    request_mutations: [
      matching({ prefix: 'x-a' }),
      matching({ exact: 'X-Case', ignore_case: true }),
      matching({ exact: 'X-Upper' }),
      matching({ safe_regex: { regex: 'x-[0-9]' } }),
      matching({ suffix: '-end' }),
      matching({ contains: 'mid' }),
    ],
    response_mutations: [matching({ prefix: 'x-a' }), matching({ exact: 'x-envoy-upstream-service-time' })],
  },
  '/remove-length': {
    request_mutations: [{ remove: 'content-length' }],
    response_mutations: [{ remove: 'content-length' }],
  },
  '/format': {
    request_mutations: [append('x-bare', '%REQ_WITHOUT_QUERY(:PATH)%')],
    formatters: [
      {
        name: 'envoy.formatter.req_without_query',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery',
        },
      },
    ],
  },
  '/query': {
    query_parameter_mutations: [
      parameter('append', 'new'),
      parameter('add', 'new', ADD),
      parameter('set', 'new', SET),
      parameter('change', 'new', CHANGE),
      { remove: 'gone' },
      parameter('seen', '%REQ(x-a)% %REQ(:PATH)%'),
      parameter('no value', '%REQ(x-none)%'),
      parameter('odd', 'a b+c&d=e%%/?#ü'),
    ],
  },
  '/one': { query_parameter_mutations: [parameter('a', '1', SET)] },
  '/cut': { query_parameter_mutations: [{ remove: 'a' }] },
  '/unsafe': { request_mutations: [append('x-unsafe', '<%QUERY_PARAM(a)%>')] },
  '/split': { response_mutations: [append('x-unsafe', '<%QUERY_PARAM(a)%>')] },
  '/both': {
    request_mutations: [append('x-path', '%REQ(:PATH)%'), append('x-q', '1')],
    query_parameter_mutations: [parameter('q', '%REQ(x-q)%')],
  },
  '/trailers': {
    request_trailers_mutations: [
      append('x-added', 'req %REQ(:PATH)%'),
      { remove: 'x-gone' },
      append('x-set', 'new', SET),
      matching({ prefix: 'x-m' }),
    ],
    response_trailers_mutations: [
      append('x-added', 'resp %RESP(x-head)% %TRAILER(x-set)%'),
      { remove: 'x-gone' },
      append('x-set', 'new', SET),
    ],
  },
  '/direct': { response_mutations: [append('x-direct', '%RESPONSE_CODE% %RESP(content-type)%')] },
  '/level': {
    request_mutations: [append('x-level', 'route'), append('x-set', 'route', SET)],
    response_mutations: [append('x-level', 'route'), append('x-set', 'route', SET)],
    query_parameter_mutations: [parameter('level', 'route')],
  },
};

const LEVEL = (name: string): object => ({
  request_mutations: [append('x-level', name), append('x-set', name, SET)],
  response_mutations: [append('x-level', name), append('x-set', name, SET)],
  query_parameter_mutations: [parameter('level', name)],
});

const CHUNKED = 'transfer-encoding: chunked\r\ntrailer: x-set\r\nx-head: h\r\n\r\n2\r\nhi\r\n0\r\n';
const TRAILERS = 'x-set: old\r\nx-gone: g\r\nx-m1: m\r\nx-added: a\r\n\r\n';
const WITH_TRAILERS = `HTTP/1.1 200 OK\r\n${CHUNKED}${TRAILERS}`;
const HEADERS = [
  'x-append: old',
  'x-add: old',
  'x-set: old',
  'x-set: older',
  'x-change: old',
  'x-gone: old',
  'accept: text/old',
  'cache-control: old',
  'user-agent: theirs',
  'x-legacy: old',
];

const ask = (path: string, name: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const query = (text: string): Scenario => ask(`/query${text}`, `query ${text}`, 'x-a: b');

export const mutationFilter: Group = {
  name: 'mutation-filter',
  listeners: ['main', 'wins', 'base', 'differs'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes(
      [
        ...Object.entries(ROUTES).map(([path, mutations]) =>
          path === '/direct'
            ? {
                match: { prefix: path },
                direct_response: { status: 202, body: { inline_string: 'direct' } },
                response_headers_to_add: [{ header: { key: 'x-direct', value: 'of the route' } }],
                ...perRoute(mutations),
              }
            : to(
                path,
                'a',
                {},
                { request_headers_to_add: [{ header: { key: 'x-set', value: 'by route' } }], ...perRoute(mutations) },
              ),
        ),
        {
          match: { prefix: '/weighted' },
          route: { weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...perRoute(LEVEL('cluster')) }] } },
          ...perRoute(LEVEL('route')),
        },
        to('/dead', 'dead'),
        to('/plain', 'a'),
      ],
      perRoute({ request_mutations: [append('x-vh', 'v')], response_mutations: [append('x-vh', 'v')] }),
      perRoute(LEVEL('configuration')),
    );
    const trailers = { http_protocol_options: { enable_trailers: true } };
    const listener = (name: string, config: object): object =>
      http(ports, log, name, list, {
        ...trailers,
        access_log: [fileLog(log, { path: '%REQ(:PATH)%', length: '%REQ(content-length)%' })],
        http_filters: [mutation(config), router({})],
      });
    return bootstrap(
      ports,
      [
        listener('main', {}),
        listener('wins', { most_specific_header_mutations_wins: true, mutations: LEVEL('filter') }),
        listener('base', { mutations: LEVEL('filter') }),
        listener('differs', {}),
      ],
      [cluster('a', [ports['a']], httpOptions({ enable_trailers: true })), cluster('dead', [ports['dead']])],
    );
  },
  stats: /mutation/,
  scenarios: [
    ask('/request', 'request', ...HEADERS),
    ask('/request', 'request without those headers'),
    {
      name: 'response',
      client: [get('/response', 'x-append: request')],
      upstreams: { a: { replies: [[answer('200 OK', [...HEADERS, 'content-type: text/plain'], 'hello')]] } },
    },
    { name: 'response without those headers', client: [get('/response')] },
    ask('/raw', 'raw value'),
    {
      name: 'removed by name',
      client: [
        get(
          '/matched',
          'x-a: 1',
          'x-ab: 2',
          'x-case: 3',
          'x-upper: 4',
          'x-1: 5',
          'x-12: 6',
          'the-end: 7',
          'a-mid-b: 8',
          'y: 9',
        ),
      ],
      upstreams: { a: { replies: [[answer('200 OK', ['x-a: 1', 'x-ab: 2', 'y: 3'])]] } },
    },
    {
      name: 'length removed',
      client: [request('POST', '/remove-length', ['content-length: 2'], 'hi')],
      upstreams: { a: { replies: [[answer('200 OK', [], 'hello')]] } },
    },
    ask('/format?a=b', 'formatter'),
    ...[
      '',
      '?',
      '?append=old&add=old&set=old&set=older&change=old&gone=x&gone=y&other',
      '?append=a&append=b&change=a&change=b',
      '?other=%41%20b+c&plus=%2B&x=%C3%BC',
      '?=empty&&a=',
      '?gone',
      '?set',
      '?a=%zz&b=%',
    ].map(query),
    ask('/one?a=0&b=1', 'one parameter'),
    ask('/one?b=1&a=0&a=2&c=3', 'parameters keep their order'),
    ask('/cut?a=1', 'the last parameter is removed'),
    ask('/cut?b=1&a=1&c', 'a parameter is removed'),
    ask('/cut', 'no parameter to remove'),
    ask('/both?x', 'headers first'),
    {
      name: 'trailers',
      client: [`POST /trailers HTTP/1.1\r\nhost: a.example\r\n${CHUNKED}${TRAILERS}`],
      upstreams: { a: { replies: [[WITH_TRAILERS]] } },
    },
    {
      name: 'no trailers',
      client: [`POST /trailers HTTP/1.1\r\nhost: a.example\r\n${CHUNKED}\r\n`],
      upstreams: { a: { replies: [[`HTTP/1.1 200 OK\r\n${CHUNKED}\r\n`]] } },
    },
    ask('/trailers', 'nothing but heads'),
    ask('/direct', 'an answer of the proxy'),
    ask('/dead', 'no connection'),
    ...['%0d%0aevil:%201', '%00', '%0A'].flatMap((value): Scenario[] => [
      {
        name: `a parameter that would end the line: ${value}`,
        listener: 'differs',
        client: [get(`/one?b=${value}`)],
        differs: {
          why: 'the path stays as it was, or a text log would have lines that nobody wrote; and no connection is made',
          parts: ['log'],
          ours: 'HTTP/1.1 503 Service Unavailable',
        },
      },
      {
        name: `a header that would end its line: ${value}`,
        listener: 'differs',
        client: [get(`/unsafe?a=${value}`)],
        differs: {
          why: 'Envoy notices when it has a connection for the request; here none is asked for',
          parts: ['log'],
          ours: 'HTTP/1.1 503 Service Unavailable',
        },
      },
      {
        name: `a header of the answer that would end its line: ${value}`,
        listener: 'differs',
        client: [get(`/split?a=${value.replace('%', '%25').replace('%0a', '%250a')}`)],
        differs: {
          why: 'Envoy sends it and so lets clients write its answers; here the header is left out',
          parts: ['answers'],
          ours: 'HTTP/1.1 200 OK',
        },
      },
    ]),
    ask('/nowhere', 'no route'),
    { name: 'no request', client: ['GET\r\n\r\n'] },
    { name: 'no request: with mutations of the filter', listener: 'base', client: ['GET\r\n\r\n'] },
    { name: 'no host: with mutations of the filter', listener: 'base', client: ['GET / HTTP/1.1\r\n\r\n'] },
    ...['main', 'wins', 'base'].flatMap((listener) =>
      ['/level', '/weighted', '/plain', '/nowhere'].map(
        (path): Scenario => ({
          name: `${listener}: levels of ${path}`,
          listener,
          client: [get(path, 'x-level: client')],
          upstreams: { a: { replies: [[answer('200 OK', ['x-level: upstream'])]] } },
        }),
      ),
    ),
  ],
};
