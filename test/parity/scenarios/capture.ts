// Captured traffic, as far as it can be had without packet filters: connections that nobody redirected.

import { bootstrap, cluster, fileLog, get, http, routes, STATS, tcp, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const WHERE = [
  { header: { key: 'x-local', value: '%DOWNSTREAM_LOCAL_ADDRESS%' } },
  { header: { key: 'x-direct', value: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%' } },
];

/** Answers with the destination that the proxy believes in. */
const ADDRESSES = routes([
  { name: 'where', match: { prefix: '/' }, direct_response: { status: 200 }, response_headers_to_add: WHERE },
]);

/** An ORIGINAL_DST cluster. */
function captured(name: string, config: object | null): object {
  return {
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '1s',
    // Later than the last scenario: the hosts are counted.
    cleanup_interval: '60s',
    ...(config === null ? {} : { original_dst_lb_config: config }),
  };
}

/** A path to a cluster, with one more header for its balancer. */
function via(path: string, clusterName: string, key: string, value: string): object {
  return to(path, clusterName, {}, { request_headers_to_add: [{ header: { key, value } }] });
}

/** A cluster of `a` with a local end of its own. */
function bound(ports: Ports, name: string, upstream_bind_config: object): object {
  return cluster(name, [ports['a']], { upstream_bind_config });
}

const source = (address: string): object => ({ address, port_value: 0 });
/** SO_KEEPALIVE, and an option that no kernel has. */
const keepalive = (state: string): object => ({ level: 1, name: 9, int_value: 1, state });
const unknown = (state: string): object => ({ level: 1, name: 9_999, int_value: 1, state });
const BOUND: readonly [string, object][] = [
  ['source', { source_address: source('127.0.0.6') }],
  ['free', { source_address: source('127.0.0.10'), freebind: true }],
  ['family', { source_address: source('::6'), extra_source_addresses: [{ address: source('127.0.0.11') }] }],
  [
    'family-options',
    {
      source_address: source('::6'),
      extra_source_addresses: [
        { address: source('127.0.0.11'), socket_options: { socket_options: [unknown('STATE_PREBIND')] } },
      ],
    },
  ],
  ['older', { source_address: source('::6'), additional_source_addresses: [source('127.0.0.12')] }],
  ['wrong-family', { source_address: source('::1') }],
  ['options', { socket_options: [keepalive('STATE_PREBIND'), keepalive('STATE_BOUND')] }],
  ['no-option', { source_address: source('127.0.0.6'), socket_options: [unknown('STATE_PREBIND')] }],
  ['bound-option', { source_address: source('127.0.0.6'), socket_options: [unknown('STATE_BOUND')] }],
  ['unbound-option', { socket_options: [unknown('STATE_BOUND')] }],
  ['listening-option', { socket_options: [unknown('STATE_LISTENING')] }],
];

const PROXY_PROTOCOL = {
  name: 'envoy.filters.listener.proxy_protocol',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol' },
};
const ORIGINAL_DST = {
  name: 'envoy.filters.listener.original_dst',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst' },
};

/** A listener that only gets what others hand over; it answers with its name. */
function virtual(ports: Ports, log: string, name: string, ip: string, port: number, extra: object = {}): object {
  const named = { name, match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: name } } };
  return http(
    ports,
    log,
    name,
    { ...routes([named]), response_headers_to_add: WHERE },
    {},
    {
      address: { socket_address: { address: ip, port_value: port } },
      bind_to_port: false,
      ...extra,
    },
  );
}

/** What a PROXY header says is a restored destination too, without any packet filter. */
function redirected(name: string, destination: string, port: number): Scenario {
  const header = `PROXY TCP4 10.9.9.9 ${destination} 1000 ${port}\r\n`;
  return { name, listener: 'captured', client: [header + get('/')] };
}

export const capture: Group = {
  name: 'capture',
  listeners: ['main', 'od', 'tcp', 'bound', 'captured', 'onward'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const any = (name: string): object => ({
      address: { socket_address: { address: '0.0.0.0', port_value: ports[name] } },
    });
    const a = `127.0.0.1:${ports['a']}`;
    const header = 'x-envoy-original-dst-host';
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', ADDRESSES, {}, { ...any('main'), use_original_dst: true }),
        http(
          ports,
          log,
          'od',
          routes([
            via('/header', 'by-header', header, a),
            via('/name', 'by-name', 'x-dst', a),
            via('/port', 'by-port', header, '127.0.0.1:9'),
            via('/metadata', 'by-metadata', header, a),
            via('/unnamed', 'passing', header, a),
            via('/bad-port', 'by-header', header, '127.0.0.1:65536'),
            via('/bad-v6', 'by-header', header, '::1:80'),
            via('/bad', 'by-header', header, 'a.example:80'),
            to('/none', 'by-header'),
            via('/refused', 'by-header', header, `127.0.0.1:${ports['dead']}`),
          ]),
        ),
        tcp(ports, log, 'tcp', { cluster: 'passing' }),
        http(
          ports,
          log,
          'captured',
          { ...ADDRESSES },
          {},
          {
            ...any('captured'),
            use_original_dst: true,
            listener_filters: [PROXY_PROTOCOL, ORIGINAL_DST],
          },
        ),
        virtual(ports, log, 'exact', '10.1.2.3', 80),
        virtual(ports, log, 'any', '0.0.0.0', 80),
        virtual(ports, log, 'any-v6', '::', 80),
        virtual(ports, log, 'again', '10.1.2.3', 81, { use_original_dst: true, listener_filters: [ORIGINAL_DST] }),
        { ...tcp(ports, log, 'onward', { cluster: 'onward' }), listener_filters: [PROXY_PROTOCOL] },
        http(ports, log, 'bound', routes(BOUND.map(([name]) => to(`/${name}/`, name))), {
          access_log: [fileLog(log, { local: '%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%' })],
        }),
      ],
      [
        ...BOUND.map(([name, config]) => bound(ports, name, config)),
        captured('passing', null),
        captured('onward', { upstream_port_override: ports['a'] }),
        captured('by-header', { use_http_header: true }),
        captured('by-name', { use_http_header: true, http_header_name: 'X-Dst' }),
        captured('by-port', { use_http_header: true, upstream_port_override: ports['a'] }),
        captured('by-metadata', { use_http_header: true, metadata_key: { key: 'none', path: [{ key: 'host' }] } }),
      ],
    );
  },
  stats: new RegExp(`${STATS.source}|original_dst_host_invalid|bind_errors|upstream_cx_none_healthy|membership`),
  scenarios: [
    { name: 'a connection that nobody redirected stays', target: '127.0.0.9', client: [get('/')] },
    at('host by header', '/header'),
    at('host by a header of another name', '/name'),
    at('port of the cluster', '/port'),
    at('metadata that is not there', '/metadata'),
    at('header that the cluster does not read', '/unnamed'),
    at('header with a name', '/bad'),
    at('header with a wrong port', '/bad-port'),
    at('header with a bare IPv6 address', '/bad-v6'),
    at('no header', '/none'),
    at('host that refuses', '/refused'),
    { name: 'TCP without a destination', listener: 'tcp', client: [], answers: 0 },
    redirected('to the listener of the address', '10.1.2.3', 80),
    redirected('to the listener of any address', '10.1.2.4', 80),
    redirected('nobody has that port', '10.1.2.3', 9),
    redirected('handed over once', '10.1.2.3', 81),
    {
      name: 'to the listener of any address, IPv6',
      listener: 'captured',
      client: [`PROXY TCP6 fd00::1 fd00::2 1000 80\r\n${get('/')}`],
    },
    {
      name: 'on to the destination',
      listener: 'onward',
      client: [`PROXY TCP4 10.9.9.9 127.0.0.1 1000 80\r\n${get('/')}`],
    },
    ...BOUND.map(([name]): Scenario => ({ name: `bound: ${name}`, listener: 'bound', client: [get(`/${name}/`)] })),
  ],
};

function at(name: string, path: string): Scenario {
  return { name, listener: 'od', client: [get(path)] };
}
