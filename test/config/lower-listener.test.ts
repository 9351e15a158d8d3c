// Listeners, filter chains and the TCP proxy: every honoured field with a non-default value, Envoy's defaults, refusals.
// The refusals' sentences are those of Envoy 1.40 in validate mode.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerListener } from '../../proxy/config/lower/listener.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { ListenerModel } from '../../proxy/config/model/listener.ts';
import { fileLog, hcmFilter, lowered, refusal, TYPE, tcpFilter } from '../fixtures/lower.ts';

const LISTENER = 'envoy.config.listener.v3.Listener';
const ADDRESS = { socket_address: { address: '127.0.0.1', port_value: 8080 } };

function lower(json: object, ctx = new LowerContext()): ListenerModel {
  return lowered(
    lowerListener,
    LISTENER,
    { address: ADDRESS, filter_chains: [{ filters: [tcpFilter()] }], ...json },
    ctx,
  );
}

function refused(json: object): string {
  return refusal(() => lower(json));
}

t.test('defaults', async (t) => {
  const { filterChains, ...listener } = lower({});
  t.same(listener, {
    name: '127.0.0.1:8080',
    address: { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port: 8080, ipv4Compat: false },
    additionalAddresses: [],
    statPrefix: '',
    gates: 0,
    bindToPort: true,
    enableReusePort: true,
    exactBalance: false,
    tcpBacklogSize: 0,
    maxConnections: 0,
    perConnectionBufferLimitBytes: 1_048_576,
    trafficDirection: 'unspecified',
    useOriginalDst: false,
    transparent: false,
    freebind: false,
    socketOptions: [],
    tcpKeepalive: null,
    drainModifyOnly: false,
    ignoreGlobalConnLimit: false,
    bypassOverloadManager: false,
    listenerFilters: [],
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    serverFirstMs: 0,
    maxConnectionsPerSocketEvent: 0,
    defaultFilterChain: null,
    chainMatcher: null,
    accessLogs: [],
    metadata: {},
  });
  t.same(filterChains, [
    {
      name: '',
      match: {
        destinationPort: null,
        prefixRanges: [],
        serverNames: [],
        transportProtocol: '',
        applicationProtocols: [],
        directSourcePrefixRanges: [],
        sourceType: 'any',
        sourcePrefixRanges: [],
        sourcePorts: [],
      },
      transport: { kind: 'raw' },
      transportSocketConnectTimeoutMs: 0,
      metadata: {},
      filters: [
        {
          kind: 'tcp_proxy',
          config: {
            statPrefix: 't',
            clusters: [{ name: 'c', weight: 1 }],
            idleTimeoutMs: 3_600_000,
            maxConnectAttempts: 1,
            tunnel: null,
            hashPolicy: [],
            backoff: null,
            connectsOnData: false,
            maxEarlyDataBytes: -1,
            tlvs: [],
            tlvMerge: 'if_absent',
            checkDrainClose: false,
            maxDurationJitterPercent: 0,
            maxDownstreamConnectionDurationMs: 0,
            accessLogFlushIntervalMs: 0,
            flushAccessLogOnStart: false,
            flushAccessLogOnConnected: false,
            accessLogs: [],
          },
        },
      ],
    },
  ]);
});

t.test('every field', async (t) => {
  const ctx = new LowerContext();
  ctx.runtime = runtimeEntries({ 'envoy.resource_limits.listener.web.connection_limit': 7 });
  const option = { description: 'd', level: 1, name: 2, state: 'STATE_LISTENING' };
  const { filterChains, defaultFilterChain, accessLogs, ...listener } = lower(
    {
      name: 'web',
      stat_prefix: 'stat',
      additional_addresses: [
        { address: { pipe: { path: '/run/x.sock', mode: 384 } } },
        {
          address: { socket_address: { protocol: 'TCP', address: '::', port_value: 1, ipv4_compat: true } },
          socket_options: { socket_options: [{ ...option, buf_value: 'AQI=' }] },
        },
      ],
      socket_options: [{ ...option, int_value: '9' }],
      bind_to_port: false,
      transparent: true,
      use_original_dst: true,
      freebind: true,
      enable_reuse_port: false,
      connection_balance_config: { exact_balance: {} },
      tcp_backlog_size: 5,
      per_connection_buffer_limit_bytes: 4096,
      traffic_direction: 'OUTBOUND',
      tcp_keepalive: { keepalive_probes: 1, keepalive_time: 2, keepalive_interval: 3 },
      drain_type: 'MODIFY_ONLY',
      ignore_global_conn_limit: true,
      bypass_overload_manager: true,
      access_log: [fileLog('/dev/null')],
      metadata: { filter_metadata: { a: { b: 1 } } },
      default_filter_chain: { name: 'rest', filters: [hcmFilter()] },
    },
    ctx,
  );
  t.same(listener, {
    name: 'web',
    chainMatcher: null,
    address: { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port: 8080, ipv4Compat: false },
    additionalAddresses: [
      {
        address: { kind: 'pipe', path: '/run/x.sock', mode: 384 },
        socketOptions: [{ description: 'd', level: 1, name: 2, value: { kind: 'int', value: 9 }, state: 'listening' }],
      },
      {
        address: { kind: 'socket', protocol: 'tcp', address: '::', port: 1, ipv4Compat: true },
        socketOptions: [
          {
            description: 'd',
            level: 1,
            name: 2,
            value: { kind: 'bytes', base64: 'AQI=' },
            state: 'listening',
          },
        ],
      },
    ],
    gates: 0,
    statPrefix: 'stat',
    bindToPort: false,
    enableReusePort: false,
    exactBalance: true,
    tcpBacklogSize: 5,
    maxConnections: 7,
    perConnectionBufferLimitBytes: 4096,
    trafficDirection: 'outbound',
    useOriginalDst: true,
    transparent: true,
    freebind: true,
    socketOptions: [{ description: 'd', level: 1, name: 2, value: { kind: 'int', value: 9 }, state: 'listening' }],
    tcpKeepalive: { probes: 1, timeSeconds: 2, intervalSeconds: 3 },
    drainModifyOnly: true,
    ignoreGlobalConnLimit: true,
    bypassOverloadManager: true,
    listenerFilters: [],
    listenerFiltersTimeoutMs: 15_000,
    continueOnListenerFiltersTimeout: false,
    serverFirstMs: 0,
    maxConnectionsPerSocketEvent: 0,
    metadata: { a: { b: 1 } },
  });
  t.equal(filterChains.length, 1);
  t.equal(accessLogs[0]?.sink.kind, 'file');
  t.equal(defaultFilterChain?.name, 'rest');
  t.equal(defaultFilterChain?.filters[0]?.kind, 'http_connection_manager');
  t.equal(lower({ deprecated_v1: { bind_to_port: false } }).bindToPort, false, 'older spelling');
});

t.test('filter chain and TCP proxy', async (t) => {
  const raw = `${TYPE}envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer`;
  const range = { address_prefix: '10.0.0.0', prefix_len: 8 };
  const [chain] = lower({
    filter_chains: [
      {
        name: 'chain',
        filter_chain_match: {
          destination_port: 80,
          prefix_ranges: [range],
          server_names: ['A.example', '*.b.example'],
          transport_protocol: 'raw_buffer',
          application_protocols: ['h2c'],
          direct_source_prefix_ranges: [{ address_prefix: '::1', prefix_len: 128 }],
          source_type: 'EXTERNAL',
          source_prefix_ranges: [{ address_prefix: '1.2.3.4', prefix_len: 64 }],
          source_ports: [1, 2],
        },
        transport_socket: { name: 'raw', typed_config: { '@type': raw } },
        transport_socket_connect_timeout: '2s',
        metadata: { filter_metadata: { m: { n: true } } },
        filters: [
          {
            name: 'envoy.filters.network.metadata_exchange',
            typed_config: { '@type': `${TYPE}envoy.tcp.metadataexchange.config.MetadataExchange`, protocol: 'p' },
          },
          tcpFilter({
            backoff_options: { base_interval: '0.1s' },
            upstream_connect_mode: 'ON_DOWNSTREAM_DATA',
            max_early_data_bytes: 77,
            check_drain_close: true,
            proxy_protocol_tlvs: [{ type: 0xe1, value: 'b3du' }],
            proxy_protocol_tlv_merge_policy: 'APPEND_IF_EXISTS_OR_ADD',
            max_downstream_connection_duration_jitter_percentage: { value: 12.5 },
            idle_timeout: '0s',
            max_connect_attempts: 3,
            max_downstream_connection_duration: '1.5s',
            access_log: [fileLog('/dev/null')],
          }),
        ],
      },
    ],
  }).filterChains;
  t.same(chain?.match, {
    destinationPort: 80,
    prefixRanges: [{ address: '10.0.0.0', prefixLength: 8 }],
    serverNames: ['a.example', '*.b.example'],
    transportProtocol: 'raw_buffer',
    applicationProtocols: ['h2c'],
    directSourcePrefixRanges: [{ address: '::1', prefixLength: 128 }],
    sourceType: 'external',
    sourcePrefixRanges: [{ address: '1.2.3.4', prefixLength: 32 }],
    sourcePorts: [1, 2],
  });
  t.equal(chain?.transportSocketConnectTimeoutMs, 2000);
  t.same(chain?.metadata, { m: { n: true } });
  t.equal(chain?.filters.length, 1, 'what only observes is left out');
  const proxy = chain?.filters[0];
  if (proxy?.kind !== 'tcp_proxy') throw new Error('no TCP proxy');
  t.equal(proxy.config.idleTimeoutMs, 0);
  t.equal(proxy.config.maxConnectAttempts, 3);
  t.equal(proxy.config.maxDownstreamConnectionDurationMs, 1500);
  t.match(proxy.config, {
    backoff: { baseMs: 100, maxMs: 1_000 },
    connectsOnData: true,
    maxEarlyDataBytes: 77,
    checkDrainClose: true,
    tlvs: [{ type: 0xe1, base64: 'b3du', format: null }],
    tlvMerge: 'append',
    maxDurationJitterPercent: 12.5,
  });
  t.equal(proxy.config.accessLogs.length, 1);
});

t.test('tunnels', async (t) => {
  const tunnelOf = (tunneling_config: object): unknown => {
    const filter = lower({ filter_chains: [{ filters: [tcpFilter({ tunneling_config })] }] }).filterChains[0]
      ?.filters[0];
    return filter?.kind === 'tcp_proxy' ? filter.config.tunnel : null;
  };
  const plain = { hostname: 'h:1', usePost: false, postPath: '/', headersToAdd: [] };
  t.same(tunnelOf({ hostname: 'h:1' }), {
    ...plain,
    propagateResponseHeaders: false,
    propagateResponseTrailers: false,
  });
  t.match(
    tunnelOf({
      hostname: '%REQUESTED_SERVER_NAME%:1',
      use_post: true,
      post_path: '/x',
      headers_to_add: [{ header: { key: 'X-A', value: '%PROTOCOL%' } }],
      propagate_response_headers: true,
      propagate_response_trailers: true,
    }),
    {
      hostname: '%REQUESTED_SERVER_NAME%:1',
      usePost: true,
      postPath: '/x',
      headersToAdd: [{ name: 'x-a', value: '%PROTOCOL%' }],
      propagateResponseHeaders: true,
      propagateResponseTrailers: true,
    },
  );
  const refusal = (tunneling_config: object): string =>
    refused({ filter_chains: [{ filters: [tcpFilter({ tunneling_config })] }] });
  const at = 'it.filter_chains[0].filters[0].typed_config.tunneling_config';
  t.equal(
    refusal({ hostname: 'h:1', post_path: '/x' }),
    `${at}.post_path: Can't set a post path when POST method isn't used`,
  );
  t.match(refusal({ hostname: '%NOBODY%' }), `${at}.hostname: `);
  t.match(refusal({ hostname: 'h', headers_to_add: [{ header: { key: ':path', value: '/' } }] }), at);
});

t.test('attempts and early data that cannot be', async (t) => {
  const refusal = (config: object): string => refused({ filter_chains: [{ filters: [tcpFilter(config)] }] });
  t.match(
    refusal({ upstream_connect_mode: 'ON_DOWNSTREAM_DATA' }),
    /max_early_data_bytes must be set when upstream_connect_mode is not IMMEDIATE$/,
  );
  t.match(
    refusal({ backoff_options: { base_interval: '1s', max_interval: '0.5s' } }),
    /max_backoff_interval must be greater or equal to base_backoff_interval$/,
  );
});

t.test('weighted clusters on TCP', async (t) => {
  const { cluster: _, ...weighted } = (tcpFilter() as { typed_config: { cluster: string } }).typed_config;
  const clusters = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 3 },
  ];
  const typed_config = { ...weighted, weighted_clusters: { clusters } };
  const [chain] = lower({ filter_chains: [{ filters: [{ name: 'tcp', typed_config }] }] }).filterChains;
  t.match(chain?.filters[0], { kind: 'tcp_proxy', config: { clusters } });
});

t.test('refusals in Envoy’s words', async (t) => {
  const match = (filter_chain_match: object, name = '') => ({ name, filter_chain_match, filters: [tcpFilter()] });
  const rbac = {
    name: 'r',
    typed_config: { '@type': `${TYPE}envoy.extensions.filters.network.rbac.v3.RBAC`, stat_prefix: 'x' },
  };
  const tls = {
    name: 'tls',
    typed_config: { '@type': `${TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext` },
  };
  const cases: readonly (readonly [name: string, json: object, text: string])[] = [
    ['no chain', { filter_chains: [] }, "it: error adding listener '127.0.0.1:8080': no filter chains specified"],
    [
      'equal chains',
      { filter_chains: [match({ destination_port: 80 }, 'a'), match({ destination_port: 80 }, 'b')] },
      `it.filter_chains[1].filter_chain_match: error adding listener '127.0.0.1:8080': filter chain 'b' has the same matching rules defined as 'a'. duplicate matcher is: {"destination_port":80}`,
    ],
    [
      'overlapping chains',
      { filter_chains: [match({ application_protocols: ['a', 'b'] }), match({ application_protocols: ['b'] })] },
      "it.filter_chains[1].filter_chain_match: error adding listener '127.0.0.1:8080': multiple filter chains with overlapping matching rules are defined",
    ],
    [
      'partial wildcard',
      { filter_chains: [match({ server_names: ['*w.com'] })] },
      'it.filter_chains[0].filter_chain_match: error adding listener \'127.0.0.1:8080\': partial wildcards are not supported in "server_names"',
    ],
    [
      'terminal filter first',
      { filter_chains: [{ filters: [hcmFilter(), tcpFilter()] }] },
      'it.filter_chains[0].filters[0]: Error: terminal filter named hcm of type envoy.filters.network.http_connection_manager must be the last filter in a network filter chain.',
    ],
    [
      'no terminal filter',
      { filter_chains: [{ filters: [rbac] }] },
      'it.filter_chains[0].filters[0]: Error: non-terminal filter named r of type envoy.filters.network.rbac is the last filter in a network filter chain.',
    ],
    [
      'a filter that is not there',
      { filter_chains: [{ filters: [rbac, tcpFilter()] }] },
      "it.filter_chains[0].filters[0]: Didn't find a registered implementation for 'r' with type URL: 'envoy.extensions.filters.network.rbac.v3.RBAC'",
    ],
    [
      'TLS without a certificate',
      { filter_chains: [{ transport_socket: tls, filters: [tcpFilter()] }] },
      'it.filter_chains[0].transport_socket.typed_config.common_tls_context: No TLS certificates found for server context',
    ],
    [
      'a name as address',
      { address: { socket_address: { address: 'localhost', port_value: 1 } } },
      "it.address.socket_address.address: malformed IP address: localhost. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ],
    [
      'UDP',
      { address: { socket_address: { protocol: 'UDP', address: '127.0.0.1', port_value: 1 } } },
      'it.address.socket_address.protocol: UDP listeners are not supported; use protocol TCP',
    ],
    [
      'ipv4_compat',
      { address: { socket_address: { address: '127.0.0.1', port_value: 1, ipv4_compat: true } } },
      "it.address.socket_address.ipv4_compat: Only IPv6 address '::' or valid IPv4-mapped IPv6 address can set ipv4_compat: 127.0.0.1:1",
    ],
    [
      'mode of an abstract socket',
      { address: { pipe: { path: '@x', mode: 438 } } },
      'it.address.pipe.mode: Cannot set mode for Abstract AF_UNIX sockets',
    ],
    [
      'long path',
      { address: { pipe: { path: '/'.repeat(120) } } },
      `it.address.pipe.path: Path "${'/'.repeat(120)}" exceeds maximum UNIX domain socket path size of 108.`,
    ],
    [
      'negative duration',
      { filter_chains: [{ filters: [tcpFilter({ idle_timeout: '-1s' })] }] },
      'it.filter_chains[0].filters[0].typed_config.idle_timeout: Invalid duration: Expected positive duration',
    ],
  ];
  for (const [name, json, text] of cases) t.equal(refused(json), text, name);
  t.match(
    refused({ filter_chains: [match({ prefix_ranges: [{ address_prefix: '10.0.0', prefix_len: 8 }] })] }),
    /10\.0\.0/,
  );
});

t.test('internal listeners', async (t) => {
  const address = null;
  const internal = (json: object = {}): object => ({ name: 'in', address, internal_listener: {}, ...json });
  const model = lower(internal({ bind_to_port: true }));
  t.same(model.address, { kind: 'internal', listenerName: 'in', endpointId: '' });
  t.equal(model.bindToPort, false);
  const withAddress =
    "it: error adding listener 'in': address should not be used when an internal listener config is provided";
  const tcpOnly = "it: error adding listener named 'in': has unsupported tcp listener feature";
  t.equal(refused(internal({ address: ADDRESS })), withAddress);
  t.equal(refused(internal({ additional_addresses: [{ address: ADDRESS }] })), withAddress);
  for (const json of [
    { enable_reuse_port: true },
    { freebind: false },
    { transparent: true },
    { tcp_backlog_size: 5 },
    { tcp_fast_open_queue_length: 5 },
    { connection_balance_config: { exact_balance: {} } },
  ])
    t.equal(refused(internal(json)), tcpOnly, Object.keys(json)[0] as string);
  t.equal(
    refused(internal({ socket_options: [{ level: 1, name: 9, int_value: 1 }] })),
    "it: error adding listener named 'in': does not support socket option",
  );
  t.equal(
    refused({ name: 'in', address: { envoy_internal_address: { server_listener_name: 'in' } } }),
    "it: error adding listener named 'in': use internal_listener field instead of address for internal listeners",
  );
});

t.test('an unset match and an empty one are equal', async (t) => {
  const chains = [{ filters: [tcpFilter()] }, { filter_chain_match: {}, filters: [tcpFilter()] }];
  t.match(refused({ filter_chains: chains }), 'duplicate matcher is: {}');
});
