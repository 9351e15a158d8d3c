// Cross-origin requests: preflights, answers, and policies of several levels, in the present and the older form.

import { answer, bootstrap, cluster, fileLog, http, request, router, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const CORS_TYPE = { '@type': `${TYPE}envoy.extensions.filters.http.cors.v3.Cors` };
const OFF = { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true };
const FILTER = { name: 'cors', typed_config: CORS_TYPE };

const typed = (policy: object): object => ({
  typed_per_filter_config: {
    cors: { '@type': `${TYPE}envoy.extensions.filters.http.cors.v3.CorsPolicy`, ...policy },
  },
});
const fraction = (numerator: number, key: string, denominator = 'HUNDRED'): object => ({
  default_value: { numerator, denominator },
  runtime_key: key,
});
const exactly = (...origins: string[]): object => ({
  allow_origin_string_match: origins.map((exact) => ({ exact })),
});

const GOOD = 'https://good.example';
const FULL = {
  allow_origin_string_match: [
    { exact: GOOD },
    { prefix: 'http://pre.' },
    { suffix: '.SUFFIX', ignore_case: true },
    { safe_regex: { regex: 'https://r[0-9]+' } },
  ],
  allow_methods: 'GET, PUT',
  allow_headers: 'x-a, x-b',
  expose_headers: 'x-seen',
  max_age: '60',
  allow_credentials: true,
};
const PLAIN = exactly(GOOD);

/** Path → policy, in either form. */
const POLICIES: Readonly<Record<string, object>> = {
  '/full': FULL,
  '/star': exactly('*'),
  '/none-allowed': { allow_methods: 'GET' },
  '/disabled': { ...PLAIN, filter_enabled: fraction(0, 'k.unset') },
  '/shadow': { ...PLAIN, filter_enabled: fraction(0, 'k.unset'), shadow_enabled: fraction(100, 'k.unset') },
  '/both': { ...PLAIN, filter_enabled: fraction(100, ''), shadow_enabled: fraction(100, 'k.unset') },
  '/runtime-off': { ...PLAIN, filter_enabled: fraction(100, 'k.zero') },
  '/runtime-text': { ...PLAIN, filter_enabled: fraction(0, 'k.text') },
  '/runtime-fraction': { ...PLAIN, filter_enabled: fraction(0, 'k.fraction') },
  '/runtime-odd': { ...PLAIN, filter_enabled: fraction(1_000_000, 'k.odd', 'MILLION') },
  '/private': { ...PLAIN, allow_private_network_access: true },
  '/strict-shadow': {
    ...PLAIN,
    forward_not_matching_preflights: false,
    filter_enabled: fraction(0, ''),
    shadow_enabled: fraction(100, ''),
  },
  '/strict': { ...PLAIN, forward_not_matching_preflights: false },
  '/lenient': { ...PLAIN, forward_not_matching_preflights: true },
};

const HOST_POLICY = {
  ...exactly('https://host.example'),
  allow_methods: 'HOST',
  allow_credentials: true,
  max_age: '7',
};
const CONFIG_POLICY = { expose_headers: 'x-config', allow_headers: 'config', forward_not_matching_preflights: false };

/** Routes below a virtual host with a policy. */
const levels = (policy: (policy: object) => [action: object, route: object]): readonly object[] => [
  to('/own-origin', 'a', ...policy({ ...PLAIN, allow_credentials: false })),
  to('/own-methods', 'a', ...policy({ allow_methods: 'ROUTE' })),
  to('/own-off', 'a', ...policy({ filter_enabled: fraction(0, '') })),
  to('/own-shadow', 'a', ...policy({ filter_enabled: fraction(0, ''), shadow_enabled: fraction(100, '') })),
  to('/own-nothing', 'a', ...policy({})),
  to('/off', 'a', {}, { typed_per_filter_config: { cors: OFF } }),
  to('/', 'a'),
];

const weighted = (entry: object): object => ({
  cluster: undefined,
  weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...entry }] },
});

const TYPED = {
  name: 'typed',
  ...typed(CONFIG_POLICY),
  virtual_hosts: [
    { name: 'levels', domains: ['levels.example'], routes: levels((p) => [{}, typed(p)]), ...typed(HOST_POLICY) },
    {
      name: 'hostless',
      domains: ['*'],
      routes: [
        ...Object.entries(POLICIES).map(([path, policy]) => to(path, 'a', {}, typed(policy))),
        {
          match: { prefix: '/direct' },
          direct_response: { status: 403, body: { inline_string: 'no' } },
          ...typed(FULL),
        },
        { match: { prefix: '/empty' }, direct_response: { status: 204 }, typed_per_filter_config: { cors: CORS_TYPE } },
        to('/weighted', 'a', weighted(typed({ ...exactly('https://weighted.example') })), typed(PLAIN)),
        to('/', 'a'),
      ],
    },
  ],
};

const LEGACY = {
  name: 'legacy',
  virtual_hosts: [
    { name: 'levels', domains: ['levels.example'], routes: levels((p) => [{ cors: p }, {}]), cors: HOST_POLICY },
    {
      name: 'mixed',
      domains: ['mixed.example'],
      routes: [to('/typed', 'a', { cors: PLAIN }, typed({ allow_methods: 'TYPED' })), to('/', 'a', { cors: PLAIN })],
      cors: HOST_POLICY,
      ...typed({ max_age: '3' }),
    },
    {
      name: 'rest',
      domains: ['*'],
      routes: [...Object.entries(POLICIES).map(([path, policy]) => to(path, 'a', { cors: policy })), to('/', 'a')],
    },
  ],
};

const ALREADY: Readonly<Record<string, UpstreamScript>> = {
  a: { replies: [[answer('200 OK', ['access-control-allow-origin: mine', 'access-control-expose-headers: x'])]] },
};
const MAPPER = {
  mappers: [
    {
      filter: { status_code_filter: { comparison: { value: { default_value: 200, runtime_key: 'k' } } } },
      status_code: 418,
    },
  ],
};

const PREFLIGHT = 'access-control-request-method: PUT';
const PRIVATE = 'access-control-request-private-network: true';
const from = (origin: string): string => `origin: ${origin}`;
const at = (host: string): string => `host: ${host}.example`;
const BAD = 'https://bad.example';
const HOST = 'https://host.example';

/** Requests one after the other on one connection. */
const ask = (listener: string, name: string, ...requests: readonly string[]): Scenario => ({
  name: `${listener} ${name}`,
  listener,
  client: requests.flatMap((text, index) => (index === 0 ? [text] : [{ answers: index }, text])),
  answers: requests.length,
});

/** A plain request and a preflight for each origin. */
const questions = (path: string, origins: readonly string[], ...headers: string[]): readonly string[] =>
  origins.flatMap((origin) => [
    request('GET', path, [...headers, from(origin)]),
    request('OPTIONS', path, [...headers, from(origin), PREFLIGHT]),
  ]);

const both = (name: string, requests: readonly string[]): readonly Scenario[] => [
  ask('main', name, ...requests),
  ask('legacy', name, ...requests),
];

export const cors: Group = {
  name: 'cors',
  listeners: ['main', 'legacy'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', TYPED, {
          http_filters: [FILTER, router({})],
          local_reply_config: MAPPER,
          access_log: [fileLog(log)],
        }),
        http(ports, log, 'legacy', LEGACY, { http_filters: [FILTER, router({})] }),
      ],
      [cluster('a', [ports['a']])],
      {
        layered_runtime: {
          layers: [
            {
              name: 'static',
              static_layer: {
                k: { zero: 0, text: '100', odd: 0.5, fraction: { numerator: 100, denominator: 'HUNDRED' } },
              },
            },
          ],
        },
      },
    ),
  stats: /\.cors\./,
  scenarios: [
    ...[...Object.keys(POLICIES), '/'].flatMap((path) => both(path, questions(path, [GOOD, BAD]))),
    ask(
      'main',
      'origins',
      ...['http://pre.x', 'http://a.suffix', 'https://r12', 'https://r1x', 'https://GOOD.example', ''].map((origin) =>
        request('GET', '/full', [from(origin)]),
      ),
      request('GET', '/full', []),
      request('GET', '/full', [from(GOOD), from(BAD)]),
    ),
    ask(
      'main',
      'preflights',
      request('OPTIONS', '/full', [from(GOOD)]),
      request('OPTIONS', '/full', [PREFLIGHT]),
      request('OPTIONS', '/full', [from(GOOD), 'access-control-request-method: ']),
      request('OPTIONS', '/full', [from(GOOD), PREFLIGHT, PRIVATE]),
      request('OPTIONS', '/private', [from(GOOD), PREFLIGHT, PRIVATE]),
    ),
    ask('legacy', 'preflights', request('OPTIONS', '/private', [from(GOOD), PREFLIGHT, PRIVATE])),
    ask('main', 'direct', ...questions('/direct', [GOOD])),
    ask('main', 'empty', ...questions('/empty', [GOOD])),
    ask('main', 'weighted', ...questions('/weighted', ['https://weighted.example', GOOD])),
    { ...ask('main', 'said by the upstream', request('GET', '/full', [from(GOOD)])), upstreams: ALREADY },
    ...['/own-origin', '/own-methods', '/own-off', '/own-shadow', '/own-nothing', '/off', '/'].flatMap((path) =>
      both(`levels ${path}`, questions(path, [GOOD, HOST, BAD], at('levels'))),
    ),
    ...['/typed', '/'].map((path) => ask('legacy', `mixed ${path}`, ...questions(path, [GOOD, HOST], at('mixed')))),
  ],
};
