// Values that few configure or send: stars that allow what is asked for, runtime keys of mappers, locations of redirects
// that are almost URLs.

import { answer, bootstrap, cluster, fileLog, get, http, request, router, routes, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const CORS = 'type.googleapis.com/envoy.extensions.filters.http.cors.v3';
const ORIGIN = 'origin: https://good.example';

const policy = (config: object): object => ({
  typed_per_filter_config: {
    cors: {
      '@type': `${CORS}.CorsPolicy`,
      allow_origin_string_match: [{ exact: 'https://good.example' }],
      ...config,
    },
  },
});
const preflight = (path: string, ...headers: string[]): string =>
  request('OPTIONS', path, [ORIGIN, 'access-control-request-method: PUT', ...headers]);

const STARS = routes([
  to('/both', 'a', {}, policy({ allow_methods: '*', allow_headers: '*', allow_credentials: true })),
  to('/strict', 'a', {}, policy({ allow_headers: '*', forward_not_matching_preflights: false })),
  to('/list', 'a', {}, policy({ allow_methods: '*, GET', allow_headers: ' *', expose_headers: '*' })),
]);

const comparison = (op: string, runtime_key: string): object => ({
  comparison: { op, value: { default_value: 1, runtime_key } },
});
const mapper = (filter: object, inline_string: string): object => ({ filter, body: { inline_string } });
const NESTED = { header_filter: { header: { name: 'x-nested', present_match: true } } };
const MAPPERS = [
  mapper({ status_code_filter: comparison('EQ', 'k.teapot') }, 'by its key'),
  mapper({ runtime_filter: { runtime_key: 'k.none', percent_sampled: { numerator: 100 } } }, 'never'),
  mapper({ and_filter: { filters: [{ status_code_filter: comparison('LE', 'k.found') }, NESTED] } }, 'nested'),
  mapper({ runtime_filter: { runtime_key: 'k.all', percent_sampled: { numerator: 0 } } }, 'always'),
];

const FOLLOWS = routes([
  to('/', 'a', { internal_redirect_policy: { allow_cross_scheme_redirect: true, max_internal_redirects: 1 } }),
]);

function config(ports: Ports, logPath: string): object {
  const listener = (name: string, config: object, manager: object): object =>
    http(ports, logPath, name, config, manager);
  return bootstrap(
    ports,
    [
      listener('stars', STARS, {
        http_filters: [{ name: 'cors', typed_config: { '@type': `${CORS}.Cors` } }, router({})],
      }),
      listener(
        'mapped',
        routes([
          { match: { prefix: '/teapot' }, direct_response: { status: 418, body: { inline_string: 'tea' } } },
          { match: { prefix: '/moved' }, redirect: { path_redirect: '/' } },
        ]),
        { local_reply_config: { mappers: MAPPERS } },
      ),
      listener('follows', FOLLOWS, { access_log: [fileLog(logPath, { scheme: '%REQ(:scheme)%' })] }),
    ],
    [cluster('a', [ports['a']])],
    {
      layered_runtime: {
        layers: [{ name: 'fixed', static_layer: { 'k.teapot': 418, 'k.none': 0, 'k.all': 100, 'k.found': 302 } }],
      },
    },
  );
}

const redirected = (location: string, ...headers: string[]): Scenario => ({
  name: `location ${JSON.stringify(location)} ${headers.join()}`,
  listener: 'follows',
  client: [get('/start', ...headers)],
  upstreams: {
    a: { replies: [[answer('302 Found', [`location: ${location}`], 'moved')], [answer('200 OK', [], 'done')]] },
  },
});

const starred = (name: string, text: string): Scenario => ({ name, listener: 'stars', client: [text] });
const mapped = (name: string, text: string): Scenario => ({ name, listener: 'mapped', client: [text] });

const SCENARIOS: readonly Scenario[] = [
  starred('stars and nothing asked', preflight('/both')),
  starred('stars and names asked', preflight('/both', 'access-control-request-headers: x-a, x-b')),
  starred(
    'stars and two lines of names',
    preflight('/both', 'access-control-request-headers: x-a', 'access-control-request-headers: x-b'),
  ),
  starred('stars and an answer', get('/both', ORIGIN)),
  starred('a star for names only', preflight('/strict', 'access-control-request-headers: x-a')),
  starred(
    'a star for another origin',
    request('OPTIONS', '/strict', ['origin: https://bad.example', 'access-control-request-method: GET']),
  ),
  starred('lists with stars', preflight('/list', 'access-control-request-headers: x-a')),
  mapped('a status by runtime key', get('/teapot')),
  mapped('a nested status by runtime key', get('/moved', 'x-nested: 1')),
  mapped('a share by runtime key', get('/moved')),
  redirected('http://b.example/n\x80'),
  redirected('http://b.example/n?\xc3\xa4'),
  redirected('http://b.example/n#\xc3\xa4'),
  redirected('http://b_c.example/n'),
  redirected('http://b.example#f'),
  redirected('http://-b.example./n#f'),
  redirected('ws://b.example/n'),
  redirected('ws://b.example/n', 'x-forwarded-proto: https'),
  redirected('ws://b.example/n', 'x-forwarded-proto: ws'),
];

export const oddValues: Group = {
  name: 'odd-values',
  listeners: ['stars', 'mapped', 'follows'],
  upstreams: ['a'],
  bootstrap: config,
  scenarios: SCENARIOS,
  stats: /^http\.(stars\.cors|follows\.passthrough)/,
};
