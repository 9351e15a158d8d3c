// Fields of listeners, access logs and the bootstrap that are seldom set.

import { address, answer, bootstrap, cluster, fileLog, get, http, request, routes, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const FILE_LOG = `${TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog`;
const CLIENT = '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%';
const textOf = (text: string): string => `{"client":"${CLIENT}","text":"${text}"}\n`;
/** A log in one of the older forms. */
const oldLog = (path: string, config: object, filter: object | null = null): object => ({
  name: 'envoy.access_loggers.file',
  ...(filter === null ? {} : { filter }),
  typed_config: { '@type': FILE_LOG, path, ...config },
});
const stream = (name: string): object => ({
  name,
  typed_config: {
    '@type': `${TYPE}envoy.extensions.access_loggers.stream.v3.${name}AccessLog`,
    log_format: { text_format: 'line\n' },
  },
});
const metadataFilter = (value: object, missing = true, more: object = {}): object => ({
  metadata_filter: {
    matcher: { filter: 'com.test', path: [{ key: 'a' }], value, ...more },
    match_if_key_not_found: missing,
  },
});

const FILTERS: readonly (readonly [string, object])[] = [
  ['gRPC not found', { grpc_status_filter: { statuses: ['NOT_FOUND'] } }],
  ['gRPC anything else', { grpc_status_filter: { statuses: ['NOT_FOUND'], exclude: true } }],
  ['end', { log_type_filter: { types: ['DownstreamEnd'] } }],
  ['not end', { log_type_filter: { types: ['DownstreamEnd'], exclude: true } }],
  ['traced', { traceable_filter: {} }],
  ['metadata present', metadataFilter({ present_match: true })],
  ['metadata null', metadataFilter({ null_match: {} })],
  ['metadata text', metadataFilter({ string_match: { exact: 'x' } }, true, { invert: true })],
  ['metadata true', metadataFilter({ bool_match: true }, false)],
  ['metadata number', metadataFilter({ double_match: { exact: 1 } })],
  ['metadata range', metadataFilter({ double_match: { range: { start: 1, end: 2 } } })],
];

const FORMS: readonly object[] = [
  { format: textOf('old text %RESPONSE_CODE%') },
  { json_format: { client: CLIENT, text: 'old JSON', code: '%RESPONSE_CODE%' } },
  { typed_json_format: { client: CLIENT, text: 'old typed JSON', code: '%RESPONSE_CODE%' } },
  { log_format: { text_format: textOf('text %RESPONSE_CODE%') } },
  {
    log_format: {
      json_format: { client: CLIENT, z: 1, a: '%REQ_WITHOUT_QUERY(:PATH)%' },
      json_format_options: { sort_properties: true },
      formatters: [
        {
          name: 'envoy.formatter.req_without_query',
          typed_config: { '@type': `${TYPE}envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery` },
        },
      ],
    },
  },
];

/** A chain that answers with its own name. */
function chain(ports: Ports, log: string, name: string, more: object): object {
  const table = routes([{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: name } } }]);
  const [made] = (http(ports, log, 'main', table) as { filter_chains: object[] }).filter_chains;
  return { ...made, name, ...more };
}

const KEEPALIVE = [
  { level: 1, name: 9, int_value: 1, state: 'STATE_PREBIND', description: 'SO_KEEPALIVE' },
  { level: 6, name: 4, buf_value: 'HgAAAA==', state: 'STATE_LISTENING' },
];

const at = (listener: string, name: string, text = get('/?q')): Scenario => ({ name, listener, client: [text] });

export const fineListeners: Group = {
  name: 'fine-listeners',
  listeners: ['main', 'chains', 'second', 'forms', 'filters', 'absent', 'absent-too'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes([to('/', 'a')]);
    const tags = [
      { tag_name: 'fixed', fixed_value: 'value' },
      { tag_name: 'part', regex: '^http\\.((main)\\.)' },
    ];
    return bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          list,
          { access_log: [fileLog(log), stream('Stdout'), stream('Stderr')] },
          {
            stat_prefix: 'named',
            ignore_global_conn_limit: true,
            freebind: true,
            socket_options: KEEPALIVE,
            tcp_keepalive: { keepalive_probes: 2, keepalive_time: 20, keepalive_interval: 3 },
          },
        ),
        {
          name: 'chains',
          address: {
            socket_address: { address: '::', port_value: ports['chains'], ipv4_compat: true, protocol: 'TCP' },
          },
          additional_addresses: [
            { address: address(ports['second']), socket_options: { socket_options: KEEPALIVE.slice(0, 1) } },
          ],
          filter_chains: [
            chain(ports, log, 'port', { filter_chain_match: { destination_port: ports['second'] } }),
            chain(ports, log, 'source port', { filter_chain_match: { source_ports: [1] } }),
            chain(ports, log, 'server name', { filter_chain_match: { server_names: ['a.example'] } }),
            chain(ports, log, 'application', { filter_chain_match: { application_protocols: ['h2'] } }),
            chain(ports, log, 'other', {
              transport_socket: {
                name: 'envoy.transport_sockets.raw_buffer',
                typed_config: { '@type': `${TYPE}envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer` },
              },
            }),
          ],
        },
        http(ports, log, 'forms', list, { access_log: FORMS.map((form) => oldLog(log, form)) }),
        http(ports, log, 'filters', list, {
          access_log: FILTERS.map(([name, filter]) =>
            oldLog(log, { log_format: { text_format: textOf(name) } }, filter),
          ),
        }),
        http(ports, log, 'absent', list, {}, { bind_to_port: false }),
        http(ports, log, 'absent-too', list, {}, { deprecated_v1: { bind_to_port: false } }),
      ],
      [cluster('a', [ports['a']])],
      {
        admin: {
          address: address(ports['admin']),
          access_log: [{ name: 'admin', typed_config: { '@type': FILE_LOG, path: '/dev/null' } }],
          ignore_global_conn_limit: true,
        },
        stats_flush_interval: '1s',
        stats_config: {
          stats_tags: tags,
          use_all_default_tags: false,
          stats_matcher: { exclusion_list: { patterns: [{ suffix: 'rq_total' }, { contains: 'ssl' }] } },
          histogram_bucket_settings: [{ match: { prefix: 'http' }, buckets: [1, 10] }],
        },
        application_log_config: { log_format: { text_format: '%v' } },
        overload_manager: {
          resource_monitors: [
            {
              name: 'envoy.resource_monitors.global_downstream_max_connections',
              typed_config: {
                '@type': `${TYPE}envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig`,
                max_active_downstream_connections: 1_000,
              },
            },
          ],
        },
      },
    );
  },
  stats:
    /^(listener\.named\.(downstream_cx_(total|overflow)|http\.main\.)|http\.(main|filters)\.(downstream_rq|rq_)).*/,
  scenarios: [
    at('main', 'options of a socket'),
    at('chains', 'chain of any port'),
    at('second', 'chain of a port'),
    at('forms', 'older forms of logs'),
    at('filters', 'filters of an ordinary request'),
    {
      ...at('filters', 'filters of gRPC that finds nothing'),
      upstreams: {
        a: { replies: [[answer('200 OK', ['content-type: application/grpc', 'grpc-status: 5'])]] },
      },
    },
    at('filters', 'filters of gRPC', request('POST', '/', ['content-type: application/grpc', 'content-length: 0'])),
  ],
};

/** Fields that exclude others of the group above. */
const bootstrapGroup = (name: string, extra: (ports: Ports) => object): Group => ({
  name,
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes([to('/', 'a')]);
    const socket = http(
      ports,
      log,
      'main',
      list,
      {},
      { name: 'pipe', address: { pipe: { path: `${log}.socket`, mode: 0o600 } } },
    );
    return bootstrap(ports, [http(ports, log, 'main', list), socket], [cluster('a', [ports['a']])], extra(ports));
  },
  stats: /^(http\.main|cluster\.a|listener)\..*(rq|cx)_(?!.*active).*total/,
  scenarios: [{ name: 'an ordinary request', client: [get('/')] }],
});

export const someStats = bootstrapGroup('some-stats', (ports) => ({
  admin: { address: address(ports['admin']), access_log_path: '/dev/null' },
  stats_config: { stats_matcher: { inclusion_list: { patterns: [{ prefix: 'http.main.downstream_rq' }] } } },
  application_log_config: { log_format: { json_format: { message: '%j' } } },
}));

export const noStats = bootstrapGroup('no-stats', () => ({
  stats_config: { stats_matcher: { reject_all: true } },
  bootstrap_extensions: [
    {
      name: 'envoy.bootstrap.internal_listener',
      typed_config: { '@type': `${TYPE}envoy.extensions.bootstrap.internal_listener.v3.InternalListener` },
    },
  ],
}));
