// The listeners and clusters of a recorded sidecar (test/golden/recordings), made static: chains that need certificates
// or Istio's own filters are left out, routes and discovered endpoints become what the connection was meant for.

import { readFileSync } from 'node:fs';

// biome-ignore lint/suspicious/noExplicitAny: the recording is JSON of messages with hundreds of optional fields.
type Json = any;

const TYPES = 'type.googleapis.com/envoy.extensions.';
/** The sidecar's listeners, each the first of its name. */
const WANTED = /^(virtual(Inbound|Outbound)|0\.0\.0\.0_(80|443|9080|15010|15014)|10\.96\.[0-9.]+_443)$/;
const CLUSTERS = ['BlackHoleCluster', 'PassthroughCluster', 'InboundPassthroughCluster', 'inbound|9080||'];

function recorded(): Json[] {
  const path = new URL('../golden/recordings/resources.json', import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as Json[];
}

export interface MeshOptions {
  readonly family: 4 | 6;
  readonly mode: 'REDIRECT' | 'TPROXY';
  readonly logPath: string;
  /** Address of the pod itself. */
  readonly podIp: string;
}

/** A bootstrap for both proxies. */
export function meshBootstrap(options: MeshOptions): object {
  const all = recorded();
  const firstOf = (type: string, name: string): Json =>
    all.find((each) => each['@type'].endsWith(type) && each.name === name && Object.keys(each).length > 4);
  const names = [...new Set(all.filter((each) => each['@type'].endsWith('.Listener')).map((each) => each.name))];
  const listeners = names
    .filter((name) => WANTED.test(name))
    .map((name) => listener(firstOf('.Listener', name), options));
  const clusters = CLUSTERS.map((name) => cluster(firstOf('.Cluster', name)));
  const self = { socket_address: { address: options.podIp, port_value: 9080 } };
  const text = JSON.stringify({
    node: { id: 'e2e', cluster: 'e2e' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 15000 } } },
    static_resources: {
      listeners,
      clusters: [
        ...clusters,
        {
          name: 'self',
          type: 'STATIC',
          load_assignment: { cluster_name: 'self', endpoints: [{ lb_endpoints: [{ endpoint: { address: self } }] }] },
        },
      ],
    },
  });
  if (options.family === 4) return JSON.parse(text) as object;
  // The same mesh over IPv6.
  const six = text
    .replaceAll('"0.0.0.0"', '"::"')
    .replaceAll('"127.0.0.6"', '"::6"')
    .replaceAll(/"10\.96\.(\d+)\.(\d+)"/g, '"fd00:96::$1:$2"');
  return JSON.parse(six) as object;
}

function cluster(found: Json): object {
  const { name, type, lbPolicy, cleanupInterval, upstreamBindConfig } = found;
  return {
    name,
    connect_timeout: '1s',
    ...(type === undefined ? {} : { type }),
    ...(lbPolicy === undefined ? {} : { lb_policy: lbPolicy }),
    ...(cleanupInterval === undefined ? {} : { cleanup_interval: cleanupInterval }),
    ...(upstreamBindConfig === undefined ? {} : { upstream_bind_config: upstreamBindConfig }),
  };
}

function listener(found: Json, options: MeshOptions): object {
  const { name, address, useOriginalDst, bindToPort, listenerFiltersTimeout, trafficDirection } = found;
  const inbound = name === 'virtualInbound';
  const chains = (found.filterChains as Json[]).filter((each) => each.transportSocket === undefined);
  const source = {
    name: 'envoy.filters.listener.original_src',
    typed_config: { '@type': `${TYPES}filters.listener.original_src.v3.OriginalSrc`, mark: 1337 },
  };
  const filters = (found.listenerFilters ?? []) as Json[];
  const [first, ...rest] = filters;
  const tproxy = inbound && options.mode === 'TPROXY';
  return {
    name,
    address,
    ...(useOriginalDst === undefined ? {} : { use_original_dst: useOriginalDst }),
    ...(bindToPort === undefined ? {} : { bind_to_port: bindToPort }),
    ...(listenerFiltersTimeout === undefined ? {} : { listener_filters_timeout: listenerFiltersTimeout }),
    continue_on_listener_filters_timeout: found.continueOnListenerFiltersTimeout ?? false,
    traffic_direction: trafficDirection,
    ...(tproxy ? { transparent: true } : {}),
    listener_filters: tproxy ? [first, source, ...rest] : filters,
    filter_chains: chains.map((each) => chain(each, name, options)),
    ...(found.defaultFilterChain === undefined
      ? {}
      : { default_filter_chain: chain(found.defaultFilterChain, name, options) }),
  };
}

function chain(found: Json, listenerName: string, options: MeshOptions): object {
  const terminal = found.filters.at(-1);
  const http = terminal.typedConfig['@type'].endsWith('HttpConnectionManager');
  const label = `${listenerName}/${found.name ?? ''}`;
  const wanted = terminal.typedConfig.cluster as string | undefined;
  const known = wanted !== undefined && CLUSTERS.includes(wanted);
  const inbound = found.name === '0.0.0.0_9080' ? 'inbound|9080||' : 'InboundPassthroughCluster';
  const target = known ? wanted : listenerName === 'virtualInbound' ? inbound : 'PassthroughCluster';
  return {
    ...(found.name === undefined ? {} : { name: found.name }),
    ...(found.filterChainMatch === undefined ? {} : { filter_chain_match: found.filterChainMatch }),
    filters: [http ? manager(label, target, options) : proxy(label, target, options)],
  };
}

function accessLog(label: string, path: string): object[] {
  const line = [
    label,
    '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%',
    '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
    '%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n',
  ].join(' ');
  const config = {
    '@type': `${TYPES}access_loggers.file.v3.FileAccessLog`,
    path,
    log_format: { text_format_source: { inline_string: line } },
  };
  return [{ name: 'envoy.access_loggers.file', typed_config: config }];
}

function proxy(label: string, target: string, { logPath }: MeshOptions): object {
  const config = { '@type': `${TYPES}filters.network.tcp_proxy.v3.TcpProxy`, stat_prefix: target, cluster: target };
  return { name: 'tcp', typed_config: { ...config, access_log: accessLog(label, logPath) } };
}

function manager(label: string, target: string, { logPath }: MeshOptions): object {
  const routes = [
    ...(label.startsWith('virtualInbound') ? [] : [{ match: { prefix: '/self' }, route: { cluster: 'self' } }]),
    { match: { prefix: '/' }, route: { cluster: target } },
  ];
  const router = { name: 'router', typed_config: { '@type': `${TYPES}filters.http.router.v3.Router` } };
  return {
    name: 'http',
    typed_config: {
      '@type': `${TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'http',
      access_log: accessLog(label, logPath),
      http_filters: [router],
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    },
  };
}
