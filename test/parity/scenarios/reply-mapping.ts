// `local_reply_config` by every filter of access logs, over all protocols, and HTTP filters behind it.

import { answer, bootstrap, cluster, fileLog, get, http, request, router, routes, to } from '../config.ts';
import { ask as framed, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.';
const header = (name: string, exact: string): object => ({
  header_filter: { header: { name, string_match: { exact } } },
});
const status = (op: string, value: number): object => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'x' } } },
});

/** What a request names in `x-by` → the filter of a mapper. */
const FILTERS: Readonly<Record<string, object>> = {
  status: status('EQ', 404),
  duration: { duration_filter: { comparison: { op: 'GE', value: { default_value: 0, runtime_key: 'x' } } } },
  long: { duration_filter: { comparison: { op: 'GE', value: { default_value: 60_000, runtime_key: 'x' } } } },
  health: { not_health_check_filter: {} },
  traceable: { traceable_filter: {} },
  runtime: { runtime_filter: { runtime_key: 'none', percent_sampled: { numerator: 100 } } },
  never: { runtime_filter: { runtime_key: 'none', percent_sampled: { numerator: 0 } } },
  or: { or_filter: { filters: [status('EQ', 1), status('GE', 400)] } },
  flag: { response_flag_filter: { flags: ['NR'] } },
  anyflag: { response_flag_filter: {} },
  grpc: { grpc_status_filter: { statuses: ['UNIMPLEMENTED', 'UNAVAILABLE'] } },
  notgrpc: { grpc_status_filter: { statuses: ['OK'], exclude: true } },
  metadata: {
    metadata_filter: {
      matcher: { filter: 'ns', path: [{ key: 'k' }], value: { string_match: { exact: 'v' } } },
      match_if_key_not_found: false,
    },
  },
  nometadata: {
    metadata_filter: {
      matcher: { filter: 'none', path: [{ key: 'k' }], value: { string_match: { exact: 'v' } } },
      match_if_key_not_found: true,
    },
  },
  type: { log_type_filter: { types: ['NotSet'] } },
  othertype: { log_type_filter: { types: ['DownstreamEnd'] } },
  response: header('x-added-by-route', 'y'),
};

const FORMAT =
  '%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %DYNAMIC_METADATA(ns:k)% %FILTER_STATE(s:PLAIN)% %RESP(x-added)% %LOCAL_REPLY_BODY%';

const and = (name: string, ...filters: object[]): object => ({
  and_filter: { filters: [header('x-by', name), ...filters] },
});

const MAPPERS = [
  ...Object.entries(FILTERS).map(([name, filter]) => ({
    filter: and(name, filter),
    body_format_override: { text_format_source: { inline_string: `by ${name}: ${FORMAT}` } },
    headers_to_add: [{ header: { key: 'x-mapped', value: `${name} %RESPONSE_CODE%` } }],
  })),
  ...['100', '204', '304', '200', '404', '503', '599'].map((code) => ({
    filter: and(`to-${code}`, status('GE', 1)),
    ...(code === '100' ? {} : { status_code: Number(code) }),
    body: { inline_string: `status ${code}` },
  })),
  {
    filter: and('empty', status('GE', 1)),
    body: { inline_string: '' },
    headers_to_add: [
      { header: { key: 'content-type', value: 'text/own' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  },
  {
    filter: and('typed', status('GE', 1)),
    headers_to_add: [
      { header: { key: 'content-type', value: 'text/own' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      { header: { key: 'content-length', value: '3' } },
      { header: { key: 'location', value: '/%REQ(x-by)%' }, append_action: 'ADD_IF_ABSENT' },
      { header: { key: 'x-two', value: '1' } },
      { header: { key: 'x-two', value: '2' } },
      { header: { key: 'x-empty', value: '%REQ(x-none)%' } },
      { header: { key: 'x-kept', value: '%REQ(x-none)%' }, keep_empty_value: true },
    ],
  },
  {
    filter: and('same', status('GE', 1)),
    body_format_override: { text_format_source: { inline_string: '%LOCAL_REPLY_BODY%' }, content_type: 'text/html' },
  },
  {
    filter: and('html', status('GE', 1)),
    body_format_override: { text_format_source: { inline_string: 'other' }, content_type: 'text/html' },
  },
  {
    filter: and('appended', status('GE', 1)),
    headers_to_add: [{ header: { key: 'content-type', value: 'text/more' } }],
    body_format_override: { text_format_source: { inline_string: 'other' }, content_type: 'text/html' },
  },
  {
    filter: and('lines', status('GE', 1)),
    body: { inline_string: '\nof\r\nlines\n\n' },
    body_format_override: { text_format_source: { inline_string: ' %LOCAL_REPLY_BODY% \n' } },
  },
  {
    filter: and('json', status('GE', 1)),
    body: { inline_string: 'replaced "body"' },
    body_format_override: {
      json_format: { code: '%RESPONSE_CODE%', body: '%LOCAL_REPLY_BODY%', none: '%REQ(x-none)%' },
      json_format_options: { sort_properties: true },
      omit_empty_values: true,
    },
  },
];

const HTTP_FILTERS = [
  {
    name: 'metadata',
    typed_config: {
      '@type': `${TYPE}set_metadata.v3.Config`,
      metadata: [{ metadata_namespace: 'ns', value: { k: 'v' } }],
    },
  },
  {
    name: 'state',
    typed_config: {
      '@type': `${TYPE}set_filter_state.v3.Config`,
      on_request_headers: [
        {
          object_key: 's',
          factory_key: 'envoy.string',
          format_string: { text_format_source: { inline_string: '%REQ(:METHOD)%' } },
        },
      ],
    },
  },
  {
    name: 'mutation',
    typed_config: {
      '@type': `${TYPE}header_mutation.v3.HeaderMutation`,
      mutations: {
        response_mutations: [
          { append: { header: { key: 'x-added', value: 'code %RESPONSE_CODE% type %RESP(content-type)%' } } },
          { append: { header: { key: 'x-mapped', value: 'seen by the filter: %RESP(x-mapped)%' } } },
        ],
        response_trailers_mutations: [{ append: { header: { key: 'x-trailer', value: '%RESP(x-added)%' } } }],
      },
    },
  },
];

const by = (name: string, path = '/nowhere', ...headers: string[]): Scenario => ({
  name: `${path} by ${name}${headers.length === 0 ? '' : ' with more'}`,
  client: [get(path, `x-by: ${name}`, ...headers)],
});
const GRPC = 'content-type: application/grpc';
const framedBy = (name: string, path = '/nowhere', ...fields: string[]): Scenario => ({
  name: `frames: ${path} by ${name}${fields.length === 0 ? '' : ' with more'}`,
  http2: 'polite',
  client: [preface() + framed(1, path, [`x-by: ${name}`, ...fields])],
});

export const replyMapping: Group = {
  name: 'reply-mapping',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            {
              match: { prefix: '/direct' },
              direct_response: { status: 404, body: { inline_string: 'of the route' } },
              response_headers_to_add: [{ header: { key: 'x-added-by-route', value: 'y' } }],
            },
            {
              match: { prefix: '/own' },
              direct_response: { status: 404, body: { inline_string: 'of the route' } },
              response_headers_to_add: [
                { header: { key: 'content-type', value: 'text/route' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
              ],
            },
            { match: { prefix: '/redirect' }, redirect: { path_redirect: '/there' } },
            to('/dead', 'dead'),
            to('/timeout', 'a', { timeout: '0.4s' }),
            to('/a', 'a'),
          ]),
          {
            access_log: [fileLog(log, { mapped: '%RESP(x-mapped)%', body: '%LOCAL_REPLY_BODY%' })],
            http_filters: [...HTTP_FILTERS, router({})],
            http2_protocol_options: {},
            local_reply_config: {
              mappers: MAPPERS,
              body_format: { text_format_source: { inline_string: 'default %RESPONSE_CODE% %LOCAL_REPLY_BODY%' } },
            },
          },
        ),
      ],
      [cluster('a', [ports['a']]), cluster('dead', [ports['dead']])],
    ),
  scenarios: [
    ...Object.keys(FILTERS).flatMap((name) => [by(name), by(name, '/dead')]),
    by('response', '/direct'),
    by('health', '/nowhere', 'x-request-id: 1'),
    by('grpc', '/nowhere', GRPC),
    by('notgrpc', '/nowhere', GRPC),
    by('status', '/direct', GRPC),
    ...['100', '204', '304', '200', '404', '503', '599'].flatMap((code) => [
      by(`to-${code}`),
      by(`to-${code}`, '/nowhere', GRPC),
    ]),
    ...['empty', 'typed', 'json', 'lines', 'none'].flatMap((name) => [
      by(name),
      by(name, '/direct'),
      by(name, '/redirect'),
      by(name, '/nowhere', GRPC),
      framedBy(name),
      framedBy(name, '/direct'),
      framedBy(name, '/nowhere', GRPC),
    ]),
    ...['typed', 'same', 'html', 'appended', 'to-200', 'none'].map((name) => by(name, '/own')),
    { name: 'HEAD', client: [request('HEAD', '/nowhere', ['x-by: json'])], bodiless: true },
    { name: 'timeout', client: [get('/timeout', 'x-by: flag')], upstreams: { a: { replies: [[{ waitMs: 1_000 }]] } } },
    {
      name: 'any flag of a timeout',
      client: [get('/timeout', 'x-by: anyflag')],
      upstreams: { a: { replies: [[{ waitMs: 1_000 }]] } },
    },
    {
      name: 'of the upstream',
      client: [get('/a', 'x-by: status')],
      upstreams: { a: { replies: [[answer('404 Not Found', [], 'own')]] } },
    },
    { name: 'no HTTP', client: ['GET\r\n\r\n'] },
    { name: 'no host', client: ['GET / HTTP/1.1\r\nx-by: status\r\n\r\n'] },
    { name: 'upgrade refused', client: [get('/a', 'connection: upgrade', 'upgrade: websocket', 'x-by: or')] },
    framedBy('to-204'),
    framedBy('to-503', '/dead', GRPC),
    framedBy('grpc', '/dead', GRPC),
  ],
};
