// Filter state that a network filter keeps with the connection: who sees it, and what it decides.

import { downstreamTls, pair } from '../../fixtures/tls.ts';
import { bootstrap, cluster, fileLog, get, http, router, routes, STATS, tcp, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.';
const state = (object_key: string, format: string, more: object = {}): object => ({
  object_key,
  format_string: { text_format_source: { inline_string: format } },
  ...more,
});
const STRING = { factory_key: 'envoy.string' };
/** A listener whose clients speak TLS, with what is kept before and after the handshake. */
function secured(listener: object): object {
  const { filter_chains } = listener as { filter_chains: { filters: object[] }[] };
  const of = (moment: string): object[] => [
    state(`at-${moment}`, '%DOWNSTREAM_TLS_CIPHER% %DOWNSTREAM_PEER_SUBJECT%', STRING),
    state('moment', moment, STRING),
  ];
  const filter = {
    name: 'both',
    typed_config: {
      '@type': `${TYPE}filters.network.set_filter_state.v3.Config`,
      on_new_connection: of('start'),
      on_downstream_tls_handshake: of('handshake'),
    },
  };
  return {
    ...listener,
    filter_chains: filter_chains.map((chain) => ({
      ...chain,
      filters: [filter, ...chain.filters],
      transport_socket: downstreamTls({ tls_certificates: [pair('server')] }),
    })),
  };
}

const keeps = (...values: object[]): object => ({
  name: 'keeps',
  typed_config: { '@type': `${TYPE}filters.network.set_filter_state.v3.Config`, on_new_connection: values },
});
/** A listener with filters before those it has. */
function behind(listener: object, ...filters: object[]): object {
  const { filter_chains } = listener as { filter_chains: { filters: object[] }[] };
  return {
    ...listener,
    filter_chains: filter_chains.map((chain) => ({ ...chain, filters: [...filters, ...chain.filters] })),
  };
}
const READ = Object.fromEntries(
  [
    'own',
    'envoy.tcp_proxy.cluster',
    'shared',
    'request',
    'ip',
    'envoy.tcp_proxy.disable_tunneling',
    'at-start',
    'at-handshake',
    'moment',
  ].map((key) => [key, `%FILTER_STATE(${key}:PLAIN)% %FILTER_STATE(${key})% %UPSTREAM_FILTER_STATE(${key}:PLAIN)%`]),
);
const ORIGINAL_DST = 'envoy.network.transport_socket.original_dst_address';
const OWN = [
  state('own', '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %PROTOCOL%', STRING),
  state('shared', 'with upstream', { ...STRING, shared_with_upstream: 'ONCE' }),
  state('ip', '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%', { factory_key: 'envoy.network.ip' }),
];

const ask = (listener: string, name: string, ...headers: string[]): Scenario => ({
  name: `${listener}: ${name}`,
  listener,
  client: [get('/', ...headers)],
});

export const connectionState: Group = {
  name: 'connection-state',
  listeners: [
    'main',
    'tcp',
    'elsewhere',
    'nowhere',
    'string',
    'untunneled',
    'tunneled',
    'idle',
    'patient',
    'secure',
    'there',
    'requested',
    'bad',
    'tcp-there',
  ],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const access_log = [fileLog(log, READ)];
    const proxy = (name: string, config: object, ...values: object[]): object =>
      behind(tcp(ports, log, name, { cluster: 'a', access_log, ...config }), keeps(...values));
    const manager = (name: string, clusterName: string, values: object[], ...ofRequest: object[]): object =>
      behind(
        http(ports, log, name, routes([to('/', clusterName)]), {
          access_log,
          http_filters: [
            {
              name: 'of-request',
              typed_config: {
                '@type': `${TYPE}filters.http.set_filter_state.v3.Config`,
                on_request_headers: [
                  state('request', 'r %FILTER_STATE(own:PLAIN)%', STRING),
                  state('own', 'hidden', STRING),
                  ...ofRequest,
                ],
              },
            },
            router({}),
          ],
        }),
        keeps(...values),
      );
    const tunnel = { tunneling_config: { hostname: 'tunnel.example:443' } };
    return bootstrap(
      ports,
      [
        manager('main', 'a', OWN),
        proxy('tcp', {}, ...OWN),
        proxy('elsewhere', {}, state('envoy.tcp_proxy.cluster', 'b')),
        proxy('nowhere', {}, state('envoy.tcp_proxy.cluster', 'none')),
        proxy('string', {}, state('envoy.tcp_proxy.cluster', 'b', STRING)),
        proxy('untunneled', tunnel, state('envoy.tcp_proxy.disable_tunneling', 'true')),
        proxy('tunneled', tunnel, state('envoy.tcp_proxy.disable_tunneling', 'no')),
        proxy('idle', {}, state('envoy.tcp_proxy.per_connection_idle_timeout_ms', '80')),
        proxy('patient', { idle_timeout: '0.08s' }, state('envoy.tcp_proxy.per_connection_idle_timeout_ms', '0')),
        secured(manager('secure', 'a', [])),
        manager('there', 'original', [state(ORIGINAL_DST, `127.0.0.1:${ports['b']}`)]),
        manager('requested', 'original', [], state(ORIGINAL_DST, '%REQ(x-to)%')),
        manager('bad', 'original', [state(ORIGINAL_DST, 'nonsense')]),
        proxy('tcp-there', { cluster: 'original' }, state(ORIGINAL_DST, `127.0.0.1:${ports['b']}`)),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('b', [ports['b']]),
        {
          name: 'original',
          type: 'ORIGINAL_DST',
          lb_policy: 'CLUSTER_PROVIDED',
          connect_timeout: '1s',
          original_dst_lb_config: { use_http_header: true, metadata_key: { key: 'ns', path: [{ key: 'k' }] } },
        },
      ],
    );
  },
  stats: STATS,
  scenarios: [
    ask('main', 'requests see it'),
    ask('tcp', 'the TCP proxy sees it'),
    ask('elsewhere', 'it names the cluster'),
    { name: 'nowhere: it names a cluster that is not there', listener: 'nowhere', client: [], answers: 0 },
    ask('string', 'a string names no cluster'),
    ask('untunneled', 'no tunnel'),
    {
      name: 'tunneled: a tunnel',
      listener: 'tunneled',
      client: [],
      upstreams: { a: { early: true, replies: [['HTTP/1.1 200 OK\r\n\r\n', 'bytes', { close: 'full' }]] } },
      answers: 0,
    },
    { name: 'idle: it limits idleness', listener: 'idle', client: [], answers: 0 },
    { name: 'patient: no limit', listener: 'patient', client: [{ waitMs: 200 }, get('/')] },
    { ...ask('secure', 'before and after the handshake'), tls: { version: 'TLSv1.2' } },
    ask('there', 'it names the host'),
    ask('there', 'it goes before the header', 'x-envoy-original-dst-host: 127.0.0.1:1'),
    ask('bad', 'no address'),
    ask('tcp-there', 'it names the host'),
    ask('requested', 'no address'),
  ],
};
