// Short ways to write the bootstraps of scenarios. Every HTTP listener logs each request as one JSON record.

import type { Ports } from './types.ts';

type Json = object;

const TYPES = 'type.googleapis.com/';
export const HCM_TYPE = `${TYPES}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const ROUTER_TYPE = `${TYPES}envoy.extensions.filters.http.router.v3.Router`;
const TCP_PROXY_TYPE = `${TYPES}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`;
const FILE_LOG_TYPE = `${TYPES}envoy.extensions.access_loggers.file.v3.FileAccessLog`;
const HTTP_OPTIONS_TYPE = `${TYPES}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`;

/** `client` ties a record to its scenario. */
const LOG_FIELDS: Json = {
  client: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  termination: '%CONNECTION_TERMINATION_DETAILS%',
  request: '%REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%',
  route: '%ROUTE_NAME%',
  cluster: '%UPSTREAM_CLUSTER%',
  host: '%UPSTREAM_HOST%',
  failure: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  remote: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
};

export function fileLog(path: string, extra: Json = {}, filter: Json | null = null): Json {
  return {
    name: 'envoy.access_loggers.file',
    ...(filter === null ? {} : { filter }),
    typed_config: { '@type': FILE_LOG_TYPE, path, log_format: { json_format: { ...LOG_FIELDS, ...extra } } },
  };
}

/** Where a group's outlier detection may write its events, for the runner to compare them. */
export function eventLog(logPath: string): string {
  return `${logPath}.events`;
}

export function bootstrap(
  ports: Ports,
  listeners: readonly Json[],
  clusters: readonly Json[],
  extra: Json = {},
  secrets: readonly Json[] = [],
): Json {
  return {
    node: { id: 'parity', cluster: 'parity' },
    admin: { address: address(ports['admin']) },
    static_resources: { listeners, clusters, ...(secrets.length === 0 ? {} : { secrets }) },
    ...extra,
  };
}

/** An HTTP listener; `manager` is merged over the defaults of the connection manager. */
export function http(
  ports: Ports,
  logPath: string,
  name: string,
  routes: Json,
  manager: Json = {},
  listener: Json = {},
): Json {
  return {
    name,
    address: address(ports[name]),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': HCM_TYPE,
              stat_prefix: name,
              access_log: [fileLog(logPath)],
              http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER_TYPE } }],
              route_config: routes,
              ...manager,
            },
          },
        ],
      },
    ],
    ...listener,
  };
}

export function tcp(ports: Ports, logPath: string, name: string, config: Json): Json {
  return {
    name,
    address: address(ports[name]),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.tcp_proxy',
            typed_config: { '@type': TCP_PROXY_TYPE, stat_prefix: name, access_log: [fileLog(logPath)], ...config },
          },
        ],
      },
    ],
  };
}

export function router(config: Json): Json {
  return { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER_TYPE, ...config } };
}

/** A route configuration of one virtual host for every name. */
export function routes(list: readonly Json[], virtualHost: Json = {}, config: Json = {}): Json {
  return { name: 'local', virtual_hosts: [{ name: 'all', domains: ['*'], routes: list, ...virtualHost }], ...config };
}

/** A route by prefix to a cluster. */
export function to(prefix: string, cluster: string, action: Json = {}, route: Json = {}): Json {
  return { match: { prefix }, route: { cluster, ...action }, ...route };
}

/** A static cluster of hosts, each a port of the loopback. */
export function cluster(name: string, hostPorts: readonly (number | undefined)[], extra: Json = {}): Json {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: hostPorts.map((port) => ({ endpoint: { address: address(port) } })) }],
    },
    ...extra,
  };
}

/** `typed_extension_protocol_options` of a cluster that speaks HTTP/1.1. */
export function httpOptions(http1: Json, common: Json = {}, extra: Json = {}): Json {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_OPTIONS_TYPE,
        common_http_protocol_options: common,
        explicit_http_config: { http_protocol_options: http1 },
        ...extra,
      },
    },
  };
}

export function address(port: number | undefined): Json {
  return { socket_address: { address: '127.0.0.1', port_value: port ?? 0 } };
}

/** Says that a client is one whom `TRUSTING` takes for internal. */
export const FRIEND = 'x-forwarded-for: 10.0.0.1';

/**
 * Of a connection manager. Envoy takes no address for internal unless it is told to, and takes the `x-envoy-` headers of
 * everybody else away before anything can look at them.
 */
export const TRUSTING = {
  internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
};

/** A GET with some more header lines. */
export function get(path: string, ...headers: string[]): string {
  return request('GET', path, headers);
}

export function request(method: string, path: string, headers: readonly string[], body = ''): string {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : ['host: a.example'];
  return [`${method} ${path} HTTP/1.1`, ...host, ...headers, '', body].join('\r\n');
}

/** An answer of an upstream with a body of known length. */
export function answer(status: string, headers: readonly string[] = [], body = ''): string {
  return [`HTTP/1.1 ${status}`, ...headers, `content-length: ${body.length}`, '', body].join('\r\n');
}

/** The stats that most groups compare: not those that depend on the length of times or on the moment of a flush, nor gauges. */
export const STATS =
  /^(http\.(?!admin|differs)[^.]+\.(?!.*(bytes|active|buffered))(downstream_(rq|cx)_.*|no_route|no_cluster|rq_.*|passthrough.*)|cluster\.(?!differs)[^.]+\.(?!.*active)(upstream_rq_.*|upstream_cx_(total|connect_fail|connect_timeout|protocol_error|destroy.*_with_active_rq|max_requests|overflow|none_healthy)|retry.*|internal.*|external.*)|tcp\.(?!.*flush).*_(total|bytes))$/;
