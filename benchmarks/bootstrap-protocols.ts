// Bootstraps of the protocol rows: the same job as `bootstrap.ts` over HTTP/2, gRPC and mutual TLS, alone or as the two
// sidecars of a call.

import { type Authority, makeCa } from '../test/fixtures/pki.ts';
import { HCM_TYPE, RAISED_BREAKERS, ROUTER_TYPE, socketAddress, TCP_PROXY_TYPE } from './bootstrap.ts';

const TYPES = 'type.googleapis.com/envoy.extensions.';
const HTTP_OPTIONS_TYPE = `${TYPES}upstreams.http.v3.HttpProtocolOptions`;

/** One listener and one cluster. */
export interface ProxyJob {
  readonly kind: 'http' | 'tcp';
  readonly upstream: 'http1' | 'http2';
  /** TLS towards clients, towards the upstream. */
  readonly serverTls: boolean;
  readonly clientTls: boolean;
  readonly port: number;
  readonly adminPort: number;
  readonly upstreamPort: number;
}

let authority: Authority | null = null;

/** One certificate authority a run. */
function ca(): Authority {
  authority ??= makeCa();
  return authority;
}

/** A client's certificate for load generators, PEM. */
export function clientIdentity(): { readonly chain: string; readonly key: string; readonly root: string } {
  const { chain, key } = ca().issue({ uri: ['spiffe://cluster.local/ns/bench/sa/load'] });
  return { chain, key, root: ca().root };
}

/** A complete bootstrap as a JSON value. */
export function protocolBootstrap(job: ProxyJob): object {
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: socketAddress('127.0.0.1', job.adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'ingress',
          address: socketAddress('127.0.0.1', job.port),
          filter_chains: [
            {
              filters: [job.kind === 'tcp' ? tcpProxy() : manager()],
              ...(job.serverTls ? { transport_socket: downstream(job) } : {}),
            },
          ],
        },
      ],
      clusters: [cluster(job)],
    },
  };
}

function tcpProxy(): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: { '@type': TCP_PROXY_TYPE, stat_prefix: 'ingress', cluster: 'origin' },
  };
}

function manager(): object {
  const route = { name: 'default', match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': HCM_TYPE,
      stat_prefix: 'ingress',
      generate_request_id: true,
      http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER_TYPE } }],
      route_config: { name: 'local', virtual_hosts: [{ name: 'origin', domains: ['*'], routes: [route] }] },
    },
  };
}

function cluster(job: ProxyJob): object {
  const http2 = {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_OPTIONS_TYPE,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  return {
    name: 'origin',
    type: 'STATIC',
    connect_timeout: '10s',
    circuit_breakers: RAISED_BREAKERS,
    ...(job.upstream === 'http2' ? http2 : {}),
    ...(job.clientTls ? { transport_socket: upstream(job) } : {}),
    load_assignment: {
      cluster_name: 'origin',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress('127.0.0.1', job.upstreamPort) } }] }],
    },
  };
}

function common(name: string, job: ProxyJob, peer: string): object {
  const { chain, key } = ca().issue({ uri: [`spiffe://cluster.local/ns/bench/sa/${name}`] });
  const alpn =
    job.kind === 'tcp'
      ? {}
      : { alpn_protocols: job.upstream === 'http2' || name === 'server' ? ['h2', 'http/1.1'] : ['http/1.1'] };
  return {
    ...alpn,
    tls_certificates: [{ certificate_chain: { inline_string: chain }, private_key: { inline_string: key } }],
    validation_context: {
      trusted_ca: { inline_string: ca().root },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: `spiffe://cluster.local/${peer}` } }],
    },
  };
}

function downstream(job: ProxyJob): object {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${TYPES}transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: common('server', job, ''),
      require_client_certificate: true,
    },
  };
}

function upstream(job: ProxyJob): object {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${TYPES}transport_sockets.tls.v3.UpstreamTlsContext`,
      common_tls_context: common('client', job, 'ns/bench/sa/server'),
      sni: 'origin.bench.svc.cluster.local',
    },
  };
}
