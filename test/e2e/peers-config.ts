// The two sidecars of a call: what each listens on, and how they know each other.

import { type Authority, type Issued, makeCa } from '../fixtures/pki.ts';
import { downstreamTls, upstreamTls } from '../fixtures/tls.ts';
import { bootstrap, cluster, fileLog, http, routes, tcp, to } from '../parity/config.ts';
import type { Ports } from '../parity/types.ts';

export const CLIENT_URI = 'spiffe://test/ns/a/sa/client';
export const SERVER_URI = 'spiffe://test/ns/b/sa/server';
const OTHER_URI = 'spiffe://test/ns/c/sa/other';
const HTTP_OPTIONS = 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** What the sidecars speak to each other. */
export const LINKS = ['http1', 'http2', 'tcp'] as const;
export type Link = (typeof LINKS)[number];
export const MODES = ['clear', 'tls', 'mtls'] as const;
export type Mode = (typeof MODES)[number];

/** How the client's side presents itself, and whom it wants. */
export interface Variant {
  readonly name: string;
  /** Of the server's side. */
  readonly mode: Mode;
  /** The answer must come; otherwise nothing may reach the origin. */
  readonly served: boolean;
  /** Of the client's side; `null` = clear text. */
  readonly tls: 'none' | 'client' | 'other' | 'foreign' | null;
  readonly trusts: 'ca' | 'foreign';
  readonly wants: string;
  readonly version: 'TLSv1.2' | 'TLSv1.3';
}

function variant(name: string, mode: Mode, served: boolean, tls: Variant['tls'], more: Partial<Variant> = {}): Variant {
  return { name, mode, served, tls, trusts: 'ca', wants: SERVER_URI, version: 'TLSv1.3', ...more };
}

export const VARIANTS: readonly Variant[] = [
  variant('clear', 'clear', true, null),
  variant('tls', 'tls', true, 'none'),
  variant('mtls', 'mtls', true, 'client'),
  variant('mtls-1.2', 'mtls', true, 'client', { version: 'TLSv1.2' }),
  variant('a-server-of-another-authority', 'tls', false, 'none', { trusts: 'foreign' }),
  variant('a-server-of-another-name', 'mtls', false, 'client', { wants: OTHER_URI }),
  variant('a-client-of-another-name', 'mtls', false, 'other'),
  variant('a-client-of-another-authority', 'mtls', false, 'foreign'),
  variant('a-client-without-certificate', 'mtls', false, 'none'),
  variant('a-client-in-clear-text', 'mtls', false, null),
];

/** Names of all ports that the two sidecars and the origin need. */
export const PORT_NAMES: readonly string[] = [
  'client-admin',
  'server-admin',
  ...LINKS.flatMap((link) => VARIANTS.map(({ name }) => `${link}.${name}`)),
  ...MODES.flatMap((mode) => [`at-http.${mode}`, `at-tcp.${mode}`]),
];

/** Certificates of both sides, and of those who are let in by neither. */
export class Identities {
  readonly ca: Authority = makeCa();
  readonly foreign: Authority = makeCa();
  readonly server: Issued = this.ca.issue({ uri: [SERVER_URI] });
  readonly none = null;
  readonly client: Issued = this.ca.issue({ uri: [CLIENT_URI] });
  readonly other: Issued = this.ca.issue({ uri: [OTHER_URI] });
  /** The right name, but nobody to vouch for it. */
  readonly impostor: Issued = this.foreign.issue({ uri: [CLIENT_URI] });

  of(who: 'none' | 'client' | 'other' | 'foreign'): Issued | null {
    return who === 'foreign' ? this.impostor : this[who];
  }
}

function common(own: Issued | null, trusted: Authority, wanted: string, alpn: readonly string[]): object {
  return {
    ...(own === null
      ? {}
      : {
          tls_certificates: [
            { certificate_chain: { inline_string: own.chain }, private_key: { inline_string: own.key } },
          ],
        }),
    ...(wanted === ''
      ? {}
      : {
          validation_context: {
            trusted_ca: { inline_string: trusted.root },
            match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: wanted } }],
          },
        }),
    ...(alpn.length === 0 ? {} : { alpn_protocols: alpn }),
  };
}

function secured(listener: object, socket: object | null): object {
  const { filter_chains, ...rest } = listener as { filter_chains: object[] };
  return socket === null
    ? listener
    : { ...rest, filter_chains: filter_chains.map((chain) => ({ ...chain, transport_socket: socket })) };
}

const UPGRADES = { upgrade_configs: [{ upgrade_type: 'websocket' }], http2_protocol_options: { allow_connect: true } };

/** One record a stream: the listener, and whom its own side of the link sees at the other end. */
function record(path: string, listener: string, side: 'UPSTREAM' | 'DOWNSTREAM'): object {
  return { access_log: [fileLog(path, { listener, peer: `%${side}_PEER_URI_SAN%`, tls: `%${side}_TLS_VERSION%` })] };
}

function http2Options(allowConnect: boolean): object {
  const http2_protocol_options = allowConnect ? { allow_connect: true } : {};
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': HTTP_OPTIONS,
        explicit_http_config: { http2_protocol_options },
      },
    },
  };
}

/** The sidecar before the client: a listener for each link and variant, all in clear text. */
export function clientSide(ports: Ports, ids: Identities, log: string): object {
  const listeners: object[] = [];
  const clusters: object[] = [];
  for (const link of LINKS)
    for (const { name, mode, tls, trusts, wants, version } of VARIANTS) {
      const id = `${link}.${name}`;
      const target = link === 'tcp' ? `at-tcp.${mode}` : `at-http.${mode}`;
      const alpn = link === 'tcp' ? [] : [link === 'http2' ? 'h2' : 'http/1.1'];
      clusters.push(
        cluster(id, [ports[target]], {
          ...(link === 'http2' ? http2Options(true) : {}),
          ...(tls === null
            ? {}
            : {
                transport_socket: upstreamTls(
                  {
                    ...common(ids.of(tls), ids[trusts], wants, alpn),
                    tls_params: { tls_maximum_protocol_version: version.replace('.', '_') },
                  },
                  { sni: 'b.test' },
                ),
              }),
        }),
      );
      const seen = record(log, id, 'UPSTREAM');
      listeners.push(
        link === 'tcp'
          ? tcp(ports, log, id, { cluster: id, ...seen })
          : http(ports, log, id, routes([to('/', id)]), { ...seen, ...UPGRADES }),
      );
    }
  return bootstrap({ ...ports, admin: ports['client-admin'] as number }, listeners, clusters);
}

/** The sidecar before the server: a listener for HTTP and one for TCP in each mode. */
export function serverSide(ports: Ports, ids: Identities, log: string, origin: Origins): object {
  const list = routes([to('/grpc.', 'origin-http2'), to('/', 'origin-http1')]);
  const listeners = MODES.flatMap((mode) => {
    const wanted = mode === 'mtls' ? CLIENT_URI : '';
    const socket = (alpn: readonly string[]): object | null =>
      mode === 'clear'
        ? null
        : downstreamTls(common(ids.server, ids.ca, wanted, alpn), { require_client_certificate: mode === 'mtls' });
    const manager = {
      ...record(log, `at-http.${mode}`, 'DOWNSTREAM'),
      ...UPGRADES,
      forward_client_cert_details: 'SANITIZE_SET',
      set_current_client_cert_details: { uri: true },
    };
    const bytes = tcp(ports, log, `at-tcp.${mode}`, {
      cluster: 'origin-tcp',
      ...record(log, `at-tcp.${mode}`, 'DOWNSTREAM'),
    });
    return [
      secured(http(ports, log, `at-http.${mode}`, list, manager), socket(['h2', 'http/1.1'])),
      secured(bytes, socket([])),
    ];
  });
  const clusters = [
    cluster('origin-http1', [origin.http1]),
    cluster('origin-http2', [origin.http2], http2Options(false)),
    cluster('origin-tcp', [origin.tcp]),
  ];
  return bootstrap({ ...ports, admin: ports['server-admin'] as number }, listeners, clusters);
}

/** Ports of the origin. */
export interface Origins {
  readonly http1: number;
  readonly http2: number;
  readonly tcp: number;
}
