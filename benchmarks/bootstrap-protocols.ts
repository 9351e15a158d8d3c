// Bootstraps of the protocol rows: the same job as `bootstrap.ts` over HTTP/2, gRPC and mutual TLS, alone or as the two
// sidecars of a call.

import { type Authority, makeCa } from '../test/fixtures/pki.ts';
import {
  bootstrapOf,
  connectionManager,
  everyHost,
  extension,
  type Ports,
  staticCluster,
  tcpProxy,
} from './bootstrap-frame.ts';

const HTTP_OPTIONS_TYPE = extension('upstreams.http.v3.HttpProtocolOptions');

/** One listener and one cluster. */
export interface ProxyJob extends Ports {
  readonly kind: 'http' | 'tcp';
  readonly upstream: 'http1' | 'http2';
  /** TLS towards clients, towards the upstream. */
  readonly serverTls: boolean;
  readonly clientTls: boolean;
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
  const route = { name: 'default', match: { prefix: '/' }, route: { cluster: 'origin', timeout: '0s' } };
  const chain = {
    filters: [job.kind === 'tcp' ? tcpProxy() : connectionManager([everyHost(route)])],
    ...(job.serverTls ? { transport_socket: downstream(job) } : {}),
  };
  return bootstrapOf(job, chain, [cluster(job)]);
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
  return staticCluster('origin', [job.upstreamPort], {
    ...(job.upstream === 'http2' ? http2 : {}),
    ...(job.clientTls ? { transport_socket: upstream(job) } : {}),
  });
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
      '@type': extension('transport_sockets.tls.v3.DownstreamTlsContext'),
      common_tls_context: common('server', job, ''),
      require_client_certificate: true,
    },
  };
}

function upstream(job: ProxyJob): object {
  return {
    name: 'tls',
    typed_config: {
      '@type': extension('transport_sockets.tls.v3.UpstreamTlsContext'),
      common_tls_context: common('client', job, 'ns/bench/sa/server'),
      sni: 'origin.bench.svc.cluster.local',
    },
  };
}
