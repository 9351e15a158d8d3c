// More of the TCP proxy: when it connects, what it reads until then, how often it tries, and how long it keeps on.

import { bootstrap, cluster, fileLog, STATS, tcp } from '../config.ts';
import type { ClientStep, Group, Scenario, UpstreamScript } from '../types.ts';
import { proxyProtocol } from './detection.ts';

const REASON = { reason: '%DOWNSTREAM_LOCAL_CLOSE_REASON%' };
const EARLY = { max_early_data_bytes: 8 };
const ON_DATA = { upstream_connect_mode: 'ON_DOWNSTREAM_DATA', ...EARLY };

const LISTENERS: Readonly<Record<string, object>> = {
  early: { cluster: 'a', ...EARLY },
  ondata: { cluster: 'a', ...ON_DATA },
  // How connections end that nobody uses is told when the process ends, in words of its own.
  ondatasilent: { cluster: 'a', ...ON_DATA, access_log: [] },
  ondatadead: { cluster: 'dead', ...ON_DATA },
  ondatanothing: { cluster: 'a', ...ON_DATA, max_early_data_bytes: 0 },
  ondataidle: { cluster: 'a', ...ON_DATA, idle_timeout: '0.4s' },
  ondataage: { cluster: 'a', ...ON_DATA, max_downstream_connection_duration: '0.4s' },
  onhandshake: { cluster: 'a', upstream_connect_mode: 'ON_DOWNSTREAM_TLS_HANDSHAKE', ...EARLY },
  backoff: {
    cluster: 'dead',
    max_connect_attempts: 3,
    backoff_options: { base_interval: '0.01s', max_interval: '0.02s' },
  },
  age: {
    cluster: 'a',
    max_downstream_connection_duration: '0.4s',
    max_downstream_connection_duration_jitter_percentage: { value: 50 },
  },
  drained: { cluster: 'a', check_drain_close: true },
  idles: { cluster: 'a', downstream_idle_timeout: '0.05s', upstream_idle_timeout: '0.05s' },
};

const at = (
  listener: string,
  name: string,
  client: readonly ClientStep[],
  ...steps: NonNullable<UpstreamScript['raw']>
): Scenario => ({
  name: `${listener}: ${name}`,
  listener,
  answers: 0,
  client,
  upstreams: { a: { raw: steps } },
});

/** `use_proxy_proto` of the first chain. */
function withProxyHeader(listener: object): object {
  const made = listener as { filter_chains: [object] };
  return { ...made, filter_chains: [{ ...made.filter_chains[0], use_proxy_proto: true }] };
}

const HEADER = 'PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n';
const word = (value: number): string => String.fromCharCode(value >> 8, value & 255);
const tlv = (type: number, value: string): string => String.fromCharCode(type) + word(value.length) + value;
const BODY = `\x0a\x01\x02\x03\x0a\x04\x05\x06${word(1_111)}${word(2_222)}${tlv(5, 'five')}${tlv(6, 'six')}`;
const BINARY_HEADER = `\r\n\r\n\0\r\nQUIT\n\x21\x11${word(BODY.length)}${BODY}`;
const VALUES = [
  { type: 0xe1, value: Buffer.from('own').toString('base64') },
  { type: 5, value: Buffer.from('other').toString('base64') },
];
/** How values of the filter go with those of a header that came in. */
const MERGES: Readonly<Record<string, object>> = {
  absent: {},
  overwrite: { proxy_protocol_tlv_merge_policy: 'OVERWRITE_BY_TYPE_IF_EXISTS_OR_ADD' },
  append: { proxy_protocol_tlv_merge_policy: 'APPEND_IF_EXISTS_OR_ADD' },
};
/** Limits of connections before anything of them is read. */
const RATES: Readonly<Record<string, object>> = {
  rated: {},
  unrated: { runtime_enabled: { default_value: true, runtime_key: 'limits.off' } },
};
const rateLimit = (name: string, more: object): object => ({
  name: 'limit',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit',
    stat_prefix: name,
    token_bucket: { max_tokens: 2, tokens_per_fill: 1, fill_interval: '3600s' },
    ...more,
  },
});
const RUNTIME = { layered_runtime: { layers: [{ name: 'static', static_layer: { 'limits.off': false } }] } };
const SOCKETS = 'type.googleapis.com/envoy.extensions.transport_sockets.';
const WRITES_HEADERS = {
  transport_socket: {
    name: 'proxy',
    typed_config: {
      '@type': `${SOCKETS}proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      config: { version: 'V2', pass_through_tlvs: {} },
      transport_socket: { name: 'raw', typed_config: { '@type': `${SOCKETS}raw_buffer.v3.RawBuffer` } },
    },
  },
};

const PONG: readonly ClientStep[] = [{ bytes: 4 }, { close: 'fin' }];

export const tcpMore: Group = {
  name: 'tcp-more',
  listeners: [...Object.keys(LISTENERS), ...Object.keys(MERGES), ...Object.keys(RATES), 'headed'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        ...Object.entries(LISTENERS).map(([name, config]) =>
          tcp(ports, log, name, { access_log: [fileLog(log, REASON)], ...config }),
        ),
        ...Object.entries(MERGES).map(([name, policy]) => ({
          ...tcp(ports, log, name, { cluster: 'headers', proxy_protocol_tlvs: VALUES, ...policy }),
          listener_filters: [proxyProtocol({ pass_through_tlvs: {} })],
        })),
        ...Object.entries(RATES).map(([name, more]) => ({
          ...tcp(ports, log, name, { cluster: 'a' }),
          listener_filters: [rateLimit(name, more)],
          access_log: [fileLog(log, { of: 'listener' })],
        })),
        withProxyHeader(tcp(ports, log, 'headed', { cluster: 'a' })),
      ],
      [cluster('a', [ports['a']]), cluster('headers', [ports['a']], WRITES_HEADERS), cluster('dead', [ports['dead']])],
      RUNTIME,
    ),
  // Whether bytes come before the upstream is there is a race, unless it is they that ask for it.
  stats: new RegExp(`^(?!tcp\\.early\\.early_data)(?:${STATS.source}|listener_local_ratelimit)`),
  scenarios: [
    at('early', 'bytes both ways', ['ping', ...PONG], { read: 4 }, 'pong'),
    at('early', 'the upstream speaks first', [{ bytes: 5 }, 'x', { close: 'fin' }], 'hello', { read: 1 }),
    at('ondata', 'bytes both ways', ['ping', ...PONG], { read: 4 }, 'pong'),
    at('ondata', 'more than is kept', ['0123456789abcdef', ...PONG], { read: 16 }, 'pong'),
    at('ondata', 'much more', ['x'.repeat(300_000), ...PONG], { read: 300_000 }, 'pong'),
    at('ondata', 'bytes and the end', ['ping', { close: 'fin' }], { read: 4 }, 'pong'),
    at('ondatasilent', 'the upstream would speak first', [{ waitMs: 50 }, { close: 'full' }], 'hello'),
    at('ondatasilent', 'the end alone', [{ close: 'fin' }, { waitMs: 50 }, { close: 'reset' }]),
    at('ondatadead', 'nobody there', ['ping']),
    at('ondatanothing', 'bytes both ways', ['ping', ...PONG], { read: 4 }, 'pong'),
    at('ondataidle', 'never a byte', []),
    at('ondataidle', 'a byte', ['x'], { read: 1 }, 'y'),
    at('ondataage', 'never a byte', []),
    at('onhandshake', 'clear text has none', [{ bytes: 5 }, 'x', { close: 'fin' }], 'hello', { read: 1 }),
    at('backoff', 'three attempts', []),
    at('age', 'a little longer', ['x'], { read: 1 }),
    at('drained', 'not draining', ['ping', ...PONG], { read: 4 }, 'pong'),
    at(
      'idles',
      'nobody looks at them',
      ['ping', { bytes: 4 }, { waitMs: 150 }, 'x', { close: 'fin' }],
      { read: 4 },
      'pong',
      {
        read: 5,
      },
    ),
    ...Object.keys(MERGES).map((name) =>
      at(name, 'values of a header', [`${BINARY_HEADER}ping`, ...PONG], { read: 60 }, 'pong'),
    ),
    ...['rated', 'unrated', 'unrated'].map((name, i) =>
      at(name, `connection ${i}`, ['ping', ...PONG], { read: 4 }, 'pong'),
    ),
    at('rated', 'the second', ['ping', ...PONG], { read: 4 }, 'pong'),
    at('rated', 'the third', []),
    at('unrated', 'the third', ['ping', ...PONG], { read: 4 }, 'pong'),
    at('headed', 'a header', [`${HEADER}ping`, ...PONG], { read: 4 }, 'pong'),
    at('headed', 'none', ['GET / HTTP/1.1\r\n\r\n']),
  ],
};
