// Local answers rewritten by `local_reply_config`, and what access logs say: formats, operators, filters.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group } from '../types.ts';

const FILE_LOG = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog';
const CLIENT = '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%';
const status = (op: string, value: number): object => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'x' } } },
});
const header = (name: string, match: object): object => ({ header_filter: { header: { name, ...match } } });

const MAPPERS = {
  mappers: [
    {
      filter: header('x-want', { string_match: { exact: 'json' } }),
      body_format_override: {
        json_format: {
          code: '%RESPONSE_CODE%',
          path: '%REQ(:PATH)%',
          text: '%LOCAL_REPLY_BODY%',
          flags: '%RESPONSE_FLAGS%',
          nothing: '%REQ(X-NONE)%',
          nested: { method: '%REQ(:METHOD)%' },
        },
      },
    },
    {
      filter: header('x-want', { string_match: { exact: 'html' } }),
      status_code: 599,
      body: { inline_string: 'replaced' },
      body_format_override: {
        text_format_source: { inline_string: '<p>%LOCAL_REPLY_BODY% %RESPONSE_CODE%</p>' },
        content_type: 'text/html',
      },
      headers_to_add: [
        { header: { key: 'x-mapped', value: '%RESPONSE_CODE%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      ],
    },
    {
      filter: {
        and_filter: { filters: [status('GE', 500), header('x-want', { present_match: true, invert_match: true })] },
      },
      status_code: 500,
    },
    { filter: { response_flag_filter: { flags: ['NR'] } }, body: { inline_string: 'no such thing' } },
  ],
  body_format: { text_format_source: { inline_string: '%RESPONSE_CODE%: %LOCAL_REPLY_BODY%\n' } },
};

/** Text whose line is JSON, so that the harness can read it. */
const textLog = (path: string, text: string, filter: object | null = null, omit = false): object => ({
  name: 'envoy.access_loggers.file',
  ...(filter === null ? {} : { filter }),
  typed_config: {
    '@type': FILE_LOG,
    path,
    log_format: {
      text_format_source: { inline_string: `{"client":"${CLIENT}","text":"${text}"}\n` },
      ...(omit ? { omit_empty_values: true } : {}),
    },
  },
});

const TEXT = [
  '%START_TIME(%Y)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS%',
  '%BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% %UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %ROUTE_NAME% %VIRTUAL_CLUSTER_NAME%',
  '%REQ(:METHOD)% %REQ(X-LONG):4% %REQ(X-NONE?X-LONG):6% %REQ(X-NONE)% %RESP(X-ANSWER)% %RESP(X-ANSWER?CONTENT-LENGTH)% %TRAILER(X-T)%',
  '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%UPSTREAM_REQUEST_ATTEMPT_COUNT% %CONNECTION_TERMINATION_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON% %REQUESTED_SERVER_NAME% %DYNAMIC_METADATA(a:b)% %FILTER_STATE(x)%',
  '%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_SUBJECT% %STREAM_ID% %CUSTOM_FLAGS% %PATH(WQ:ORIG)% %PATH(NQ:PATH)%',
].join(' | ');

const JSON_FIELDS = {
  number: '%RESPONSE_CODE%',
  bytes: '%BYTES_SENT%',
  text: 'code %RESPONSE_CODE%',
  none: '%REQ(X-NONE)%',
  quoted: '%REQ(X-QUOTED)%',
  constant: 'c',
  one: 1,
  yes: true,
  nested: { list: ['%PROTOCOL%', '%REQ(X-NONE)%'], flag: '%RESPONSE_FLAGS%' },
  headers_bytes: '%REQUEST_HEADERS_BYTES%',
  route: '%ROUTE_NAME%',
  metadata: '%METADATA(ROUTE:com.test:k)%',
  cluster_metadata: '%METADATA(CLUSTER:com.test:k)%',
  host: '%HOSTNAME%',
};

const FILTERS: readonly (readonly [string, object])[] = [
  ['status >= 400', status('GE', 400)],
  ['status = 200', status('EQ', 200)],
  ['status <= 299', status('LE', 299)],
  ['status != 200', status('NE', 200)],
  [
    'duration >= 500',
    { duration_filter: { comparison: { op: 'GE', value: { default_value: 500, runtime_key: 'd' } } } },
  ],
  ['not health check', { not_health_check_filter: {} }],
  ['header', header('x-log', { present_match: true })],
  ['or', { or_filter: { filters: [status('EQ', 418), header('x-log', { string_match: { exact: 'or' } })] } }],
  ['and', { and_filter: { filters: [status('EQ', 200), header('x-log', { string_match: { exact: 'and' } })] } }],
  ['flags NR UF', { response_flag_filter: { flags: ['NR', 'UF'] } }],
  ['any flag', { response_flag_filter: {} }],
  [
    'runtime none',
    { runtime_filter: { runtime_key: 'none', percent_sampled: { numerator: 0, denominator: 'HUNDRED' } } },
  ],
  [
    'runtime all',
    {
      runtime_filter: {
        runtime_key: 'all',
        percent_sampled: { numerator: 100, denominator: 'HUNDRED' },
        use_independent_randomness: true,
      },
    },
  ],
];

export const replies: Group = {
  name: 'replies',
  listeners: ['main', 'plain', 'texts', 'empties', 'jsons', 'filters'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes(
      [
        to('/dead', 'dead'),
        {
          name: 'direct',
          match: { path: '/direct' },
          direct_response: { status: 403, body: { inline_string: 'forbidden' } },
        },
        {
          name: 'formatted',
          match: { path: '/formatted' },
          direct_response: {
            status: 200,
            body: { inline_string: 'x' },
            body_format: { json_format: { said: '%LOCAL_REPLY_BODY%', path: '%REQ(:PATH)%' } },
          },
        },
        to('/p', 'a', {}, { name: 'p', metadata: { filter_metadata: { 'com.test': { k: 'route-value' } } } }),
      ],
      { virtual_clusters: [{ name: 'vc', headers: [{ name: ':path', string_match: { prefix: '/p/vc' } }] }] },
    );
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', list, { local_reply_config: MAPPERS }),
        http(ports, log, 'plain', list, {
          local_reply_config: {
            body_format: { json_format: { error: '%LOCAL_REPLY_BODY%', code: '%RESPONSE_CODE%' } },
          },
        }),
        http(ports, log, 'texts', list, { access_log: [textLog(log, TEXT)] }),
        http(ports, log, 'empties', list, {
          access_log: [
            textLog(log, '[%REQ(X-NONE)%][%RESP(X-NONE)%][%ROUTE_NAME%]', null, true),
            {
              name: 'envoy.access_loggers.file',
              typed_config: {
                '@type': FILE_LOG,
                path: log,
                log_format: { json_format: { client: CLIENT, ...JSON_FIELDS, host: 'h' }, omit_empty_values: true },
              },
            },
          ],
        }),
        http(ports, log, 'jsons', list, {
          access_log: [
            {
              name: 'envoy.access_loggers.file',
              typed_config: {
                '@type': FILE_LOG,
                path: log,
                log_format: { json_format: { client: CLIENT, ...JSON_FIELDS, host: 'h' } },
              },
            },
          ],
        }),
        http(ports, log, 'filters', list, { access_log: FILTERS.map(([name, filter]) => textLog(log, name, filter)) }),
      ],
      [
        cluster('a', [ports['a']], { metadata: { filter_metadata: { 'com.test': { k: 'cluster-value' } } } }),
        cluster('dead', [ports['dead']], { alt_stat_name: 'renamed' }),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    { name: 'mapped to JSON', client: [get('/none', 'x-want: json')] },
    { name: 'mapped to HTML with another status', client: [get('/none', 'x-want: html')] },
    { name: 'mapped by status', client: [get('/dead')] },
    { name: 'mapped by flag', client: [get('/none')] },
    { name: 'default format', client: [get('/direct')] },
    {
      name: 'answers of the upstream are not mapped',
      client: [get('/p', 'x-want: json')],
      upstreams: { a: { replies: [[answer('404 Not Found', [], 'own words')]] } },
    },
    { name: 'protocol errors are mapped', client: ['GET / HTTP/1.1\r\nhost: a b\r\n\r\n'] },
    { name: 'mapped to HEAD', bodiless: true, client: [request('HEAD', '/none', ['x-want: json'])] },
    { name: 'JSON format for all', listener: 'plain', client: [get('/dead')] },
    { name: 'JSON format of an empty body', listener: 'plain', client: [get('/none')] },
    { name: 'direct response with a format of its own', listener: 'texts', client: [get('/formatted')] },
    {
      name: 'text log of an answer',
      listener: 'texts',
      client: [get('/p?q=1', 'x-long: abcdefgh')],
      upstreams: { a: { replies: [[answer('201 Created', ['x-answer: yes'], 'body')]] } },
    },
    { name: 'text log of a virtual cluster', listener: 'texts', client: [get('/p/vc')] },
    { name: 'text log of a failure', listener: 'texts', client: [get('/dead')] },
    { name: 'text log of no route', listener: 'texts', client: [get('/none')] },
    { name: 'text log of a bad message', listener: 'texts', client: ['GET / HTTP/1.1\r\nhost: a b\r\n\r\n'] },
    { name: 'logs without empty values', listener: 'empties', client: [get('/p')] },
    { name: 'logs without empty values, no route', listener: 'empties', client: [get('/none')] },
    {
      name: 'JSON log with types and escapes',
      listener: 'jsons',
      client: [get('/p', 'x-quoted: a"b\\c\tgr\u00c3\u00bcn')],
    },
    { name: 'JSON log of invalid UTF-8', listener: 'jsons', client: [get('/p', 'x-quoted: caf\u00e9')] },
    { name: 'filters on a good answer', listener: 'filters', client: [get('/p')] },
    {
      name: 'filters on a slow answer',
      listener: 'filters',
      client: [get('/p')],
      upstreams: { a: { replies: [[{ waitMs: 600 }, answer('200 OK')]] } },
    },
    { name: 'filters on a header', listener: 'filters', client: [get('/p', 'x-log: and')] },
    { name: 'filters on another header', listener: 'filters', client: [get('/direct', 'x-log: or')] },
    { name: 'filters on no route', listener: 'filters', client: [get('/none')] },
    { name: 'filters on a failure', listener: 'filters', client: [get('/dead')] },
    {
      name: 'filters on another flag',
      listener: 'filters',
      client: [get('/p')],
      upstreams: { a: { replies: [[{ close: 'full' }]] } },
    },
    {
      name: 'filters on two requests of one connection',
      listener: 'filters',
      answers: 2,
      client: [get('/p'), { answers: 1 }, get('/direct')],
    },
  ],
};
