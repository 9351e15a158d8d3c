// Internal listeners: connections that never leave the process.

import { answer, bootstrap, cluster, fileLog, get, http, request, routes, STATS, tcp, to } from '../config.ts';
import type { Group, Ports } from '../types.ts';

const TYPES = 'type.googleapis.com/envoy.extensions.';

/** A static cluster of one internal endpoint. */
function inside(name: string, listener: string, endpoint_id = '', extra: object = {}, said: object = {}): object {
  const address = { envoy_internal_address: { server_listener_name: listener, endpoint_id } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address }, metadata: { filter_metadata: said } }] }],
    },
    ...extra,
  };
}

/** A transport socket that passes metadata on. */
function passing(...metadata: readonly (readonly [kind: string, name: string])[]): object {
  return {
    transport_socket: {
      name: 'internal',
      typed_config: {
        '@type': `${TYPES}transport_sockets.internal_upstream.v3.InternalUpstreamTransport`,
        passthrough_metadata: metadata.map(([kind, name]) => ({ kind: { [kind]: {} }, name })),
        transport_socket: {
          name: 'raw',
          typed_config: { '@type': `${TYPES}transport_sockets.raw_buffer.v3.RawBuffer` },
        },
      },
    },
  };
}

/** Turns a listener of the loopback into an internal one. */
function internal(listener: object): object {
  const { address: _, ...rest } = listener as { address: object };
  return { ...rest, internal_listener: {} };
}

const ORIGINAL_DST = { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', connect_timeout: '1s' };

const ENDS = {
  ends: '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_PORT%',
  direct: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID%',
  endpoint: '%DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID% %UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID%',
  bare: '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_ADDRESS%',
};

/** The answer says how the inner listener sees its connection. */
const SEEN = Object.entries(ENDS).map(([key, value]) => ({ header: { key: `x-${key}`, value } }));

export const internalListeners: Group = {
  name: 'internal',
  listeners: ['main', 'tcp'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const innerPorts: Ports = { ...ports, inner: 1, stream: 1, twice: 1, told: 1, captured: 1 };
    const inner = routes([
      { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'inner' } } },
      to('/', 'a'),
    ]);
    return bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/endpoint/', 'endpoint', { prefix_rewrite: '/' }),
            to('/stream/', 'stream', { prefix_rewrite: '/' }),
            to('/twice/', 'twice', { prefix_rewrite: '/' }),
            to('/socket/', 'socket', { prefix_rewrite: '/' }),
            to('/missing/', 'missing'),
            to('/told/', 'told'),
            to('/captured/', 'captured'),
            to('/', 'plain'),
          ]),
          { access_log: [fileLog(log, ENDS)] },
        ),
        tcp(ports, log, 'tcp', { cluster: 'stream' }),
        internal(http(innerPorts, log, 'inner', { ...inner, response_headers_to_add: SEEN })),
        internal(tcp(innerPorts, log, 'stream', { cluster: 'a' })),
        internal(tcp(innerPorts, log, 'twice', { cluster: 'stream' })),
        internal(tcp(innerPorts, log, 'told', { cluster: 'keyed' })),
        {
          ...internal(
            http(innerPorts, log, 'captured', { ...routes([to('/', 'restored')]), response_headers_to_add: SEEN }),
          ),
          listener_filters: [
            {
              name: 'envoy.filters.listener.original_dst',
              typed_config: { '@type': `${TYPES}filters.listener.original_dst.v3.OriginalDst` },
            },
          ],
        },
      ],
      [
        cluster('a', [ports['a']]),
        inside('plain', 'inner'),
        inside('endpoint', 'inner', 'ep1'),
        inside('stream', 'stream'),
        inside('twice', 'twice'),
        inside('missing', 'nobody'),
        inside('told', 'told', '', {
          ...passing(['cluster', 'said'], ['host', 'nothing']),
          metadata: { filter_metadata: { said: { to: { host: `127.0.0.1:${ports['a']}` } } } },
        }),
        {
          ...ORIGINAL_DST,
          name: 'keyed',
          original_dst_lb_config: { metadata_key: { key: 'said', path: [{ key: 'to' }, { key: 'host' }] } },
        },
        inside('captured', 'captured', '', passing(['host', 'envoy.filters.listener.original_dst']), {
          'envoy.filters.listener.original_dst': { local: `127.0.0.1:${ports['a']}`, remote: '10.9.8.7:65000' },
        }),
        { ...ORIGINAL_DST, name: 'restored' },
        inside('socket', 'inner', 'ep2', {
          transport_socket: {
            name: 'internal',
            typed_config: {
              '@type': `${TYPES}transport_sockets.internal_upstream.v3.InternalUpstreamTransport`,
              transport_socket: {
                name: 'raw',
                typed_config: { '@type': `${TYPES}transport_sockets.raw_buffer.v3.RawBuffer` },
              },
            },
          },
        }),
      ],
      {
        bootstrap_extensions: [
          {
            name: 'envoy.bootstrap.internal_listener',
            typed_config: { '@type': `${TYPES}bootstrap.internal_listener.v3.InternalListener`, buffer_size_kb: 64 },
          },
        ],
      },
    );
  },
  stats: new RegExp(
    `(?!.*internal_upstream)${STATS.source}|^listener\\.envoy_internal_(?!.*(active|destroy|http|length|per_socket))`,
  ),
  scenarios: [
    { name: 'to a connection manager', client: [get('/direct')] },
    { name: 'kept alive', client: [get('/'), { answers: 1 }, get('/')], answers: 2 },
    { name: 'endpoint id', client: [get('/endpoint/direct')] },
    { name: 'transport socket', client: [get('/socket/direct')] },
    { name: 'to a TCP proxy', client: [get('/stream/')] },
    { name: 'through two', client: [get('/twice/')] },
    { name: 'metadata for the listener', client: [get('/told/')] },
    { name: 'destination from metadata', client: [get('/captured/')] },
    { name: 'no such listener', client: [get('/missing/')] },
    {
      name: 'a large body both ways',
      client: [request('POST', '/twice/', ['content-length: 300000'], 'x'.repeat(300_000))],
      upstreams: { a: { replies: [[answer('200 OK', [], 'y'.repeat(300_000))]] } },
    },
    {
      name: 'raw, the client ends first',
      listener: 'tcp',
      client: ['hello', { close: 'fin' }, { bytes: 5 }],
      answers: 0,
      upstreams: { a: { raw: [{ read: 5 }, 'world', { close: 'fin' }] } },
    },
    {
      name: 'raw, the upstream resets',
      listener: 'tcp',
      client: ['hello'],
      answers: 0,
      upstreams: { a: { raw: [{ read: 5 }, { close: 'reset' }] } },
    },
  ],
};
