// What all bootstraps of the benchmarks have in common: one listener with one chain, an admin port, static clusters whose
// breakers no run reaches.

const TYPES = 'type.googleapis.com/envoy.extensions.';
const HCM_TYPE = `${TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager`;
const ROUTER_TYPE = `${TYPES}filters.http.router.v3.Router`;
const TCP_PROXY_TYPE = `${TYPES}filters.network.tcp_proxy.v3.TcpProxy`;
const LIMIT = 100_000;
const RAISED_BREAKERS = {
  thresholds: [{ max_connections: LIMIT, max_pending_requests: LIMIT, max_requests: LIMIT, max_retries: LIMIT }],
};

/** Where a proxy listens. */
export interface Ports {
  readonly port: number;
  readonly adminPort: number;
}

/** A port of this machine, or an address with one. */
export type HostAddress = number | readonly [address: string, port: number];

/** A type of Envoy's extensions by its path. */
export function extension(path: string): string {
  return `${TYPES}${path}`;
}

/**
 * A complete bootstrap as a JSON value.
 * @param chain the listener's only one
 */
export function bootstrapOf({ port, adminPort }: Ports, chain: object, clusters: readonly object[]): object {
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: socketAddress('127.0.0.1', adminPort) },
    static_resources: {
      listeners: [{ name: 'ingress', address: socketAddress('127.0.0.1', port), filter_chains: [chain] }],
      clusters,
    },
  };
}

/**
 * A connection manager.
 * @param filters in front of the router
 * @param more fields of it
 */
export function connectionManager(
  virtualHosts: readonly object[],
  filters: readonly object[] = [],
  more: object = {},
): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': HCM_TYPE,
      stat_prefix: 'ingress',
      generate_request_id: true,
      ...more,
      http_filters: [...filters, { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER_TYPE } }],
      route_config: { name: 'local', virtual_hosts: virtualHosts },
    },
  };
}

/** A TCP proxy to the cluster `origin`. @param more fields of it */
export function tcpProxy(more: object = {}): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: { '@type': TCP_PROXY_TYPE, stat_prefix: 'ingress', cluster: 'origin', ...more },
  };
}

/** A virtual host for every name. */
export function everyHost(...routes: readonly object[]): object {
  return { name: 'origin', domains: ['*'], routes };
}

/** @param more fields of the cluster */
export function staticCluster(name: string, hosts: readonly HostAddress[], more: object = {}): object {
  const endpoints = hosts.map((host) => {
    const [address, port] = typeof host === 'number' ? ['127.0.0.1', host] : host;
    return { endpoint: { address: socketAddress(address as string, port as number) } };
  });
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: RAISED_BREAKERS,
    ...more,
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
