// Filters that say something about a request for others to read: header_to_metadata, set_metadata, set_filter_state.

import { answer, bootstrap, cluster, fileLog, get, http, request, router, routes, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const filter = (name: string, type: string, config: object = {}): object => ({
  name,
  typed_config: { '@type': `${TYPE}envoy.extensions.filters.http.${type}`, ...config },
});
const toMetadata = (config: object): object => filter('to-metadata', 'header_to_metadata.v3.Config', config);
const setMetadata = (config: object): object => filter('set-metadata', 'set_metadata.v3.Config', config);
const setState = (...values: object[]): object =>
  filter('set-state', 'set_filter_state.v3.Config', { on_request_headers: values, clear_route_cache: true });

/** A rule that keeps a header under its own name. */
const keeps = (header: string, pair: object = {}, rule: object = {}): object => ({
  header,
  on_header_present: { key: header, ...pair },
  ...rule,
});

const REQUEST_RULES = [
  keeps('x-text'),
  keeps('x-fixed', { value: 'fixed' }),
  keeps('x-gone', {}, { remove: true }),
  keeps('x-both', { metadata_namespace: 'other' }, { on_header_missing: { key: 'x-both', value: 'missing' } }),
  {
    header: 'x-lacking',
    on_header_missing: { metadata_namespace: 'other', key: 'lacking', value: '7', type: 'NUMBER' },
  },
  keeps('x-number', { type: 'NUMBER' }),
  keeps('x-base', { encode: 'BASE64' }),
  keeps('x-base-number', { encode: 'BASE64', type: 'NUMBER' }),
  keeps('x-proto', { encode: 'BASE64', type: 'PROTOBUF_VALUE' }),
  keeps('x-bare-proto', { type: 'PROTOBUF_VALUE' }),
  keeps('x-rewritten', {
    regex_value_rewrite: { pattern: { google_re2: {}, regex: '(\\w+)-(\\d+)' }, substitution: '\\2:\\1' },
  }),
  keeps('x-emptied', { regex_value_rewrite: { pattern: { google_re2: {}, regex: '.*' }, substitution: '' } }),
  keeps(':path'),
  keeps(':authority'),
  keeps('host'),
  { cookie: 'session', on_header_present: { key: 'session' }, on_header_missing: { key: 'session', value: 'none' } },
  { header: 'X-Twice', on_header_present: { key: 'twice' } },
  { header: 'x-last', on_header_present: { key: 'twice' } },
];
const RESPONSE_RULES = [
  keeps('x-answer', {}, { remove: true }),
  keeps(':status', { type: 'NUMBER' }),
  { header: 'x-no-answer', on_header_missing: { key: 'no-answer', value: 'true' } },
  keeps('content-type', { metadata_namespace: 'other' }),
  { cookie: 'session', on_header_present: { key: 'response-session' } },
];

const READ = {
  own: '%DYNAMIC_METADATA(envoy.filters.http.header_to_metadata)%',
  other: '%DYNAMIC_METADATA(other)%',
  text: '%DYNAMIC_METADATA(envoy.filters.http.header_to_metadata:x-text)%',
  number: '%DYNAMIC_METADATA(envoy.filters.http.header_to_metadata:x-number)%',
  set: '%DYNAMIC_METADATA(ns)% %DYNAMIC_METADATA(ns:struct:deep)% %DYNAMIC_METADATA(ns:ü)%',
  old: '%DYNAMIC_METADATA(old)%',
};

const METADATA = [
  { metadata_namespace: 'ns', value: { text: 'a', number: 1.5, list: [1, 'x'], struct: { deep: 'b' }, none: null } },
  { metadata_namespace: 'ns', value: { text: 'denied' } },
  {
    metadata_namespace: 'ns',
    allow_overwrite: true,
    value: { list: [true], struct: { also: 'c' }, number: [5], none: 'x', ü: 'ö' },
  },
  { metadata_namespace: 'typed', typed_value: { '@type': `${TYPE}google.protobuf.StringValue`, value: 'x' } },
  { metadata_namespace: 'typed', typed_value: { '@type': `${TYPE}google.protobuf.StringValue`, value: 'y' } },
  { metadata_namespace: 'empty' },
];

/** Every kind of object that is more than what was formatted, with values that make none. */
const OBJECTS: Readonly<Record<string, readonly string[]>> = {
  'envoy.string': ['a "text"', '%REQ(x-text)%'],
  'envoy.hashable_string': ['text', ''],
  'envoy.bool': ['true', 'false', '1', 'TRUE', 'no', '0', 'x', 'y'],
  'envoy.network.ip': ['1.2.3.4', '::1', 'bad', '1.2.3.4:80', '2001:DB8::0:1', '01.2.3.4'],
  'envoy.ratelimit.hits_addend': ['5', 'x', '-1', '', ' 7 ', '18446744073709551615', '18446744073709551616'],
  'envoy.ai.model.request': ['model'],
};
const objectName = (key: string, at: number): string => `${key.replaceAll('.', '-')}-${at}`;
const OBJECT_VALUES = Object.entries(OBJECTS).flatMap(([key, values]) =>
  values.map((text, at) => state(objectName(key, at), text === '' ? '%REQ(x-none)%' : text, { factory_key: key })),
);
const READ_OBJECTS = Object.fromEntries(
  Object.entries(OBJECTS).flatMap(([key, values]) =>
    values.map((text, at) => {
      const name = objectName(key, at);
      return [`${key} ${text}`, { typed: `%FILTER_STATE(${name})%`, plain: `%FILTER_STATE(${name}:PLAIN)%` }];
    }),
  ),
);

function state(objectKey: string, format: string, more: object = {}): object {
  return {
    object_key: objectKey,
    format_string: { text_format_source: { inline_string: format }, omit_empty_values: true },
    ...more,
  };
}

const STATES = [
  state('envoy.string', '%REQ(:PATH)%|%REQ(x-text)%'),
  state('changed', 'one', { factory_key: 'envoy.string' }),
  state('changed', 'two', { factory_key: 'envoy.string' }),
  state('fixed', 'one', { factory_key: 'envoy.string', read_only: true }),
  state('fixed', 'two', { factory_key: 'envoy.string', read_only: true }),
  state('fixed', 'three', { factory_key: 'envoy.string' }),
  state('hardened', 'one', { factory_key: 'envoy.string' }),
  state('hardened', 'two', { factory_key: 'envoy.string', read_only: true }),
  state('skipped', '%REQ(x-none)%', { factory_key: 'envoy.string', skip_if_empty: true }),
  state('empty', '%REQ(x-none)%', { factory_key: 'envoy.string' }),
  state('once', 'o', { factory_key: 'envoy.string', shared_with_upstream: 'ONCE' }),
  state('transitive', 't', { factory_key: 'envoy.string', shared_with_upstream: 'TRANSITIVE' }),
  {
    object_key: 'json',
    factory_key: 'envoy.string',
    format_string: { json_format: { path: '%REQ(:PATH)%', code: 1 } },
  },
];
const READ_STATE = Object.fromEntries(
  ['envoy.string', 'changed', 'fixed', 'hardened', 'skipped', 'empty', 'once', 'transitive', 'json'].map((key) => [
    key,
    {
      typed: `%FILTER_STATE(${key})%`,
      plain: `%FILTER_STATE(${key}:PLAIN)%`,
      text: `<%FILTER_STATE(${key}:PLAIN):3%>`,
      field: `%FILTER_STATE(${key}:FIELD:x)%`,
      upstream: `%UPSTREAM_FILTER_STATE(${key}:PLAIN)%`,
    },
  ]),
);

/** Listener → its filters before the router, and what its records say. */
const LISTENERS: Readonly<Record<string, { readonly filters: readonly object[]; readonly log: object }>> = {
  main: {
    filters: [
      toMetadata({ request_rules: REQUEST_RULES, response_rules: RESPONSE_RULES, stat_prefix: 'counted' }),
      setMetadata({ metadata_namespace: 'old', value: { a: { b: [] } }, metadata: METADATA }),
    ],
    log: READ,
  },
  states: { filters: [setState(...STATES)], log: READ_STATE },
  objects: { filters: [setState(...OBJECT_VALUES)], log: READ_OBJECTS },
};

// === Per route ===

const HTTP_FILTERS = `${TYPE}envoy.extensions.filters.http.`;
/** What a level says to each filter: its own namespaces and keys, and one that all levels write. */
const level = (name: string): object => ({
  typed_per_filter_config: {
    'to-metadata': {
      '@type': `${HTTP_FILTERS}header_to_metadata.v3.Config`,
      request_rules: [
        { header: 'x-text', on_header_present: { metadata_namespace: 'headers', key: name } },
        { header: 'x-none', on_header_missing: { metadata_namespace: 'headers', key: 'level', value: name } },
      ],
    },
    'set-metadata': {
      '@type': `${HTTP_FILTERS}set_metadata.v3.Config`,
      metadata: [
        { metadata_namespace: name, value: { by: name } },
        { metadata_namespace: 'all', value: { denied: name } },
        { metadata_namespace: 'all', allow_overwrite: true, value: { [name]: true } },
      ],
    },
    'set-state': {
      '@type': `${HTTP_FILTERS}set_filter_state.v3.Config`,
      on_request_headers: [
        state('level', name, { factory_key: 'envoy.string' }),
        state(`of-${name}`, name, { factory_key: 'envoy.string' }),
      ],
    },
  },
});
const LEVELS = ['filter', 'configuration', 'host', 'route', 'cluster'];
const READ_LEVELS = {
  headers: '%DYNAMIC_METADATA(headers)%',
  all: '%DYNAMIC_METADATA(all)%',
  ...Object.fromEntries(LEVELS.map((name) => [name, `%DYNAMIC_METADATA(${name})%`])),
  states: LEVELS.map((name) => `%FILTER_STATE(of-${name}:PLAIN)%`).join(' '),
  state: '%FILTER_STATE(level:PLAIN)%',
};
const filtersOf = (name: string): readonly object[] => {
  const { typed_per_filter_config: configs } = level(name) as {
    readonly typed_per_filter_config: Readonly<Record<string, object>>;
  };
  return Object.entries(configs).map(([filterName, typed_config]) => ({ name: filterName, typed_config }));
};

function levels(ports: Ports, log: string): object {
  const weighted = { weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...level('cluster') }] } };
  const list = routes(
    [
      to('/route', 'a', {}, level('route')),
      { match: { prefix: '/cluster' }, route: weighted, ...level('route') },
      to('/host', 'a'),
    ],
    level('host'),
    level('configuration'),
  );
  return http(ports, log, 'levels', list, {
    http_filters: [...filtersOf('filter'), router({})],
    access_log: [fileLog(log, READ_LEVELS)],
  });
}

const proto = (...bytes: number[]): string => Buffer.from(bytes).toString('base64');
const main = (name: string, ...headers: string[]): Scenario => ({ name, client: [get('/p?q=1', ...headers)] });

export const metadataFilters: Group = {
  name: 'metadata-filters',
  listeners: [...Object.keys(LISTENERS), 'levels'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        ...Object.entries(LISTENERS).map(([name, { filters, log: fields }]) =>
          http(
            ports,
            log,
            name,
            routes([
              {
                match: { prefix: '/direct' },
                direct_response: { status: 201 },
                response_headers_to_add: [
                  { header: { key: 'x-said', value: '%DYNAMIC_METADATA(ns:struct)% %FILTER_STATE(changed:PLAIN)%' } },
                ],
              },
              to(
                '/',
                'a',
                {},
                {
                  request_headers_to_add: [
                    {
                      header: {
                        key: 'x-told',
                        value: '%DYNAMIC_METADATA(envoy.filters.http.header_to_metadata:x-text)%',
                      },
                    },
                    { header: { key: 'x-kept', value: '%FILTER_STATE(envoy.string:PLAIN)%' } },
                  ],
                },
              ),
            ]),
            { http_filters: [...filters, router({})], access_log: [fileLog(log, fields)] },
          ),
        ),
        levels(ports, log),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: /metadata|filter_state|http_filter_name/,
  scenarios: [
    main('nothing to say'),
    main('text', 'x-text: some', 'x-fixed: thing', 'x-gone: g', 'x-both: b', 'x-lacking: there'),
    main('a repeated header', 'x-text: one', 'x-text: two', 'x-twice: 1', 'x-twice: 2'),
    main('a later rule wins', 'x-twice: 1', 'x-last: 2'),
    main('an empty header', 'x-text:', 'x-fixed:', 'x-gone:', 'x-both:', 'x-lacking:', 'x-number:'),
    ...['5', '-1.5e3', ' 7 ', '0x10', 'five', '1,5', '+3', '.5', '5.', '1_0'].map((value) =>
      main(`number ${value}`, `x-number: ${value}`),
    ),
    main('base64', 'x-base: aGVsbG8=', `x-base-number: ${Buffer.from('12.5').toString('base64')}`),
    main('base64 without padding', 'x-base: aGVsbG8'),
    main('no base64', 'x-base: a!', 'x-base-number: eA=='),
    main('base64 of nothing but padding', 'x-base: ===='),
    main('base64 of bytes', 'x-base: /w==', 'x-text: \xff'),
    main('text beyond ASCII', 'x-text: \xc3\xbc', `x-base: ${Buffer.from('ö').toString('base64')}`),
    main('proto string', `x-proto: ${proto(0x1a, 2, 0x68, 0x69)}`),
    main('proto number', `x-proto: ${proto(0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f)}`),
    main('proto bool', `x-proto: ${proto(0x20, 1)}`),
    main('proto null', `x-proto: ${proto(0x08, 0)}`),
    main('proto struct', `x-proto: ${proto(0x2a, 9, 0x0a, 7, 0x0a, 1, 0x61, 0x12, 2, 0x20, 1)}`),
    main('proto list', `x-proto: ${proto(0x32, 4, 0x0a, 2, 0x20, 1)}`),
    main('proto of nothing', `x-proto: ${proto(0x32, 0)}`),
    main('no proto', `x-proto: ${proto(0xff, 0xff)}`, 'x-bare-proto: zz'),
    main('bare proto', 'x-bare-proto: \x1a\x02hi'),
    main('rewritten', 'x-rewritten: ab-12 cd-34', 'x-emptied: x'),
    main('not rewritten', 'x-rewritten: nothing'),
    main('cookie', 'cookie: a=b; session=s1; session=s2'),
    main('quoted cookie', 'cookie: session="q"'),
    main('empty cookie', 'cookie: session='),
    main('cookies in two headers', 'cookie: a=b', 'cookie: session=2'),
    main('the longest value', `x-text: ${'v'.repeat(8191)}`),
    main('too long a value', `x-text: ${'v'.repeat(8192)}`),
    {
      name: 'answer',
      client: [get('/a')],
      upstreams: {
        a: { replies: [[answer('204 No Content', ['x-answer: y', 'content-type: t/x', 'set-cookie: session=v'])]] },
      },
    },
    {
      name: 'answer with a cookie',
      client: [get('/a')],
      upstreams: { a: { replies: [[answer('200 OK', ['cookie: session=v'])]] } },
    },
    { name: 'an answer of the proxy', client: [get('/direct', 'x-text: t')] },
    { name: 'states', listener: 'states', client: [get('/s', 'x-text: t')] },
    { name: 'states of an answer of the proxy', listener: 'states', client: [get('/direct')] },
    { name: 'states: no route', listener: 'states', client: [request('POST', '*', [])] },
    ...['/route', '/cluster', '/host', '/nowhere'].map(
      (path): Scenario => ({ name: `levels of ${path}`, listener: 'levels', client: [get(path, 'x-text: t')] }),
    ),
    { name: 'objects', listener: 'objects', client: [get('/o', 'x-text: \xff"t')] },
  ],
};
