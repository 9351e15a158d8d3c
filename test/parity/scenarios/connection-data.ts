// Filter state that a network filter keeps when bytes of its client come.

import { bootstrap, cluster, fileLog, get, http, routes, STATS, tcp, to } from '../config.ts';
import { ask, preface } from '../frames.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config';
const state = (object_key: string, format: string, factory_key = 'envoy.string'): object => ({
  object_key,
  factory_key,
  format_string: { text_format_source: { inline_string: format } },
});
const CLUSTER = 'envoy.tcp_proxy.cluster';
const KEYS = ['when', 'bytes', 'protocol', 'kept', CLUSTER];
const READ = Object.fromEntries(KEYS.map((key) => [key, `%FILTER_STATE(${key}:PLAIN)%`]));
const VALUES = [
  state('when', 'data'),
  state('bytes', '%BYTES_RECEIVED%'),
  state('protocol', '%PROTOCOL% %REQUESTED_SERVER_NAME%'),
  state('kept', '%FILTER_STATE(when:PLAIN)% after %FILTER_STATE(kept:PLAIN)%'),
];

/** A listener behind the filter. */
function behind(listener: object, config: object): object {
  const { filter_chains } = listener as { filter_chains: { filters: object[] }[] };
  const filter = { name: 'keeps', typed_config: { '@type': TYPE, ...config } };
  return {
    ...listener,
    filter_chains: filter_chains.map((chain) => ({ ...chain, filters: [filter, ...chain.filters] })),
  };
}

const LATE = { upstream_connect_mode: 'ON_DOWNSTREAM_DATA', max_early_data_bytes: 1000 };

export const connectionData: Group = {
  name: 'connection-data',
  listeners: ['raw', 'late', 'named', 'http'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const access_log = [fileLog(log, READ)];
    const proxy = (name: string, config: object, ...values: object[]): object =>
      behind(tcp(ports, log, name, { stat_prefix: name, cluster: 'a', access_log, ...config }), {
        on_new_connection: [state('when', 'connection'), state('kept', 'first')],
        on_downstream_data: values,
      });
    return bootstrap(
      ports,
      [
        proxy('raw', {}, ...VALUES),
        proxy('late', LATE, ...VALUES),
        proxy('named', LATE, state(CLUSTER, 'b', CLUSTER)),
        behind(http(ports, log, 'http', routes([to('/', 'a')]), { access_log }), { on_downstream_data: VALUES }),
      ],
      [cluster('a', [ports['a']]), cluster('b', [ports['b']])],
    );
  },
  stats: STATS,
  scenarios: [
    { name: 'bytes', listener: 'raw', client: [get('/')] },
    { name: 'bytes in two parts', listener: 'raw', client: ['GET / HTTP/1.1\r\n', { waitMs: 100 }, 'host: x\r\n\r\n'] },
    { name: 'silence', listener: 'raw', answers: 0, client: [{ waitMs: 50 }, { close: 'fin' }] },
    { name: 'bytes before the upstream is there', listener: 'late', client: [get('/')] },
    { name: 'they choose the cluster', listener: 'named', client: [get('/')] },
    { name: 'a request', listener: 'http', client: [get('/')] },
    { name: 'two requests', listener: 'http', answers: 2, client: [get('/'), { answers: 1 }, get('/')] },
    { name: 'a stream', listener: 'http', http2: 'polite', client: [preface() + ask(1, '/')] } satisfies Scenario,
  ],
};
