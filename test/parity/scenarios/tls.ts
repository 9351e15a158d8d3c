// TLS towards clients: who is let in, what the upstream and the log are told of a client, what the stats count.

import { X509Certificate } from 'node:crypto';
import { downstreamTls, file, pair, SPIFFE, tlsPath, tlsText } from '../../fixtures/tls.ts';
import { bootstrap, cluster, fileLog, get, http, routes, to } from '../config.ts';
import type { ClientTls, Group, Ports, Scenario } from '../types.ts';

const SIDES = ['TLS_VERSION', 'TLS_CIPHER', 'PEER_SUBJECT', 'PEER_ISSUER', 'PEER_CERT', 'PEER_URI_SAN', 'PEER_DNS_SAN'];
const MORE = ['PEER_IP_SAN', 'LOCAL_URI_SAN', 'LOCAL_DNS_SAN', 'LOCAL_IP_SAN', 'PEER_CERT_V_START', 'PEER_CERT_V_END'];
const OWN = [
  'LOCAL_SUBJECT',
  'LOCAL_EMAIL_SAN',
  'PEER_EMAIL_SAN',
  'PEER_OTHERNAME_SAN',
  'PEER_FINGERPRINT_256',
  'PEER_FINGERPRINT_1',
  'PEER_SERIAL',
  'PEER_CHAIN_FINGERPRINTS_256',
  'PEER_CHAIN_FINGERPRINTS_1',
  'PEER_CHAIN_SERIALS',
  'PEER_ISSUER_FINGERPRINT_256',
  'PEER_ISSUER_SERIAL',
  'TLS_GROUP',
];
const OPERATORS = Object.fromEntries(
  [...SIDES, ...MORE, ...OWN].map((name) => [name.toLowerCase(), `%DOWNSTREAM_${name}%`]),
);

interface Part {
  readonly common: object;
  readonly context?: object;
  readonly manager?: object;
  readonly log?: object;
  readonly chain?: object;
}

const SERVER = { tls_certificates: [pair('server')] };
const ROOTS = { trusted_ca: file('ca.pem') };
const REQUIRED = { require_client_certificate: true };
const OPTIONAL = { require_client_certificate: false };

const verified = (validation_context: object, context: object = REQUIRED): Part => ({
  common: { ...SERVER, validation_context },
  context,
});
const names = (...match_typed_subject_alt_names: object[]): Part =>
  verified({ ...ROOTS, match_typed_subject_alt_names });

function forwarding(mode: string, details: object): Part {
  return {
    ...verified(ROOTS, OPTIONAL),
    manager: { forward_client_cert_details: mode, set_current_client_cert_details: details },
  };
}

const ALL_DETAILS = { subject: true, cert: true, chain: true, dns: true, uri: true, issuer: true };
const ISTIO_DETAILS = { subject: true, dns: true, uri: true };
const client = new X509Certificate(tlsText('client.pem'));
const clientKey = client.publicKey.export({ type: 'spki', format: 'der' });
const sha256 = async (bytes: Uint8Array): Promise<Buffer> =>
  Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
const clientSpki = (await sha256(clientKey)).toString('base64');

const PARTS: Readonly<Record<string, Part>> = {
  main: {
    common: {
      tls_certificates: [pair('server'), pair('server-rsa')],
      alpn_protocols: ['http/1.1'],
      validation_context: { ...ROOTS, crl: file('ca.crl'), watched_directory: { path: tlsPath('') } },
    },
    context: { ...OPTIONAL, prefer_client_ciphers: true },
    manager: { forward_client_cert_details: 'APPEND_FORWARD', set_current_client_cert_details: ISTIO_DETAILS },
    log: OPERATORS,
    chain: { transport_socket_connect_timeout: '5s' },
  },
  strict: { ...verified({ ...ROOTS, crl: file('ca.crl'), only_verify_leaf_cert_crl: true }) },
  sanitize: forwarding('SANITIZE', ALL_DETAILS),
  forward: forwarding('FORWARD_ONLY', ALL_DETAILS),
  set: forwarding('SANITIZE_SET', ALL_DETAILS),
  always: forwarding('ALWAYS_FORWARD_ONLY', ALL_DETAILS),
  uris: names({ san_type: 'URI', matcher: { prefix: 'spiffe://test/' } }),
  nouris: names({ san_type: 'URI', matcher: { exact: 'spiffe://test/ns/default/sa/nobody' } }),
  dnsnames: names({ san_type: 'DNS', matcher: { exact: 'x.client.example' } }),
  others: names({
    san_type: 'OTHER_NAME',
    matcher: { suffix: '@upn.example' },
    oid: '1.3.6.1.4.1.311.20.2.3',
  }),
  untyped: verified({ ...ROOTS, match_subject_alt_names: [{ prefix: 'client@' }] }),
  depth: verified({ ...ROOTS, max_verify_depth: 0 }),
  pinned: verified({ ...ROOTS, verify_certificate_hash: [client.fingerprint256] }),
  pinnedkey: verified({ verify_certificate_spki: [clientSpki] }),
  late: verified({ ...ROOTS, allow_expired_certificate: true }),
  anybody: verified({ ...ROOTS, trust_chain_verification: 'ACCEPT_UNTRUSTED' }),
  spiffe: verified({
    custom_validator_config: {
      name: 'envoy.tls.cert_validator.spiffe',
      typed_config: { '@type': SPIFFE, trust_domains: [{ name: 'test', trust_bundle: file('ca.pem') }] },
    },
  }),
  bundles: verified({
    custom_validator_config: {
      name: 'envoy.tls.cert_validator.spiffe',
      typed_config: { '@type': SPIFFE, trust_bundles: { inline_string: bundleMap('foreign-ca.pem') } },
    },
  }),
  modern: {
    common: {
      ...SERVER,
      tls_params: {
        tls_minimum_protocol_version: 'TLSv1_3',
        tls_maximum_protocol_version: 'TLSv1_3',
        ecdh_curves: ['P-384', 'X25519'],
        signature_algorithms: ['ecdsa_secp256r1_sha256'],
      },
      key_log: { path: '/dev/null' },
    },
    context: { disable_stateless_session_resumption: true, disable_stateful_session_resumption: true },
  },
  older: {
    common: {
      tls_certificates: [
        { pkcs12: file('server.p12'), password: { inline_string: 'secret' } },
        pair('server-rsa', { watched_directory: { path: tlsPath('') } }),
      ],
      tls_params: {
        tls_maximum_protocol_version: 'TLSv1_2',
        cipher_suites: ['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-AES256-GCM-SHA384'],
      },
      alpn_protocols: ['http/1.1', 'x'],
    },
    context: { session_timeout: '60s', session_ticket_keys: { keys: [{ inline_string: 'k'.repeat(80) }] } },
  },
  named: {
    common: {
      tls_certificate_sds_secret_configs: [{ name: 'static' }],
      combined_validation_context: {
        default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix: 's' } }] },
        validation_context_sds_secret_config: {
          name: 'roots',
          sds_config: { path: tlsPath('sds-roots.json'), resource_api_version: 'V3' },
        },
      },
    },
    context: { ...REQUIRED, session_ticket_keys_sds_secret_config: { name: 'tickets' } },
  },
  fromfile: {
    common: {
      tls_certificate_sds_secret_configs: [
        {
          name: 'server',
          sds_config: { path_config_source: { path: tlsPath('sds-server.json') }, resource_api_version: 'V3' },
        },
      ],
      validation_context_sds_secret_config: { name: 'roots' },
    },
    context: {
      require_sni: true,
      ocsp_staple_policy: 'STRICT_STAPLING',
      full_scan_certs_on_sni_mismatch: true,
      ...OPTIONAL,
    },
  },
};

function bundleMap(name: string): string {
  const x5c = tlsText(name).replaceAll(/-----.*-----|\n/g, '');
  return JSON.stringify({ trust_domains: { test: { keys: [{ kty: 'EC', use: 'x509-svid', x5c: [x5c] }] } } });
}

function listener(ports: Ports, logPath: string, name: string): object {
  const { common, context, manager, log, chain } = PARTS[name] as Part;
  const all = routes([to('/', 'a')]);
  const made = http(ports, logPath, name, all, { access_log: [fileLog(logPath, log)], ...manager }) as {
    filter_chains: object[];
  };
  const [inner] = made.filter_chains;
  const transport_socket = downstreamTls(common, context);
  return { ...made, stat_prefix: name, filter_chains: [{ ...inner, transport_socket, ...chain }] };
}

const with_ = (certificate: string, more: ClientTls = {}): ClientTls => ({ certificate, ...more });
const OLD = { version: 'TLSv1.2' } as const;

/** One request on a listener. */
function one(name: string, where: string, tls: ClientTls, ...headers: string[]): Scenario {
  return { name, listener: where, tls, client: [get('/', ...headers)] };
}

/**
 * A handshake that fails: on TLS 1.2 the client learns it at once. Envoy sends an alert and this proxy, as Node would have
 * it, just closes; the client that closes too makes no difference between them.
 */
function refused(name: string, where: string, tls: ClientTls): Scenario {
  return { name, listener: where, tls: { ...tls, version: 'TLSv1.2' }, client: [{ close: 'full' }], answers: 0 };
}

const FORWARDED = 'x-forwarded-client-cert: By=a;Hash=b;URI=spiffe://x';

export const tls: Group = {
  name: 'tls',
  listeners: Object.keys(PARTS),
  upstreams: ['a'],
  bootstrap: (ports, logPath) =>
    bootstrap(
      ports,
      Object.keys(PARTS).map((name) => listener(ports, logPath, name)),
      [cluster('a', [ports['a']])],
      {},
      [
        { name: 'static', tls_certificate: pair('server') },
        { name: 'roots', validation_context: ROOTS },
        { name: 'tickets', session_ticket_keys: { keys: [{ inline_string: 't'.repeat(80) }] } },
      ],
    ),
  // Envoy counts a connection in `http.` before its handshake, this proxy after it.
  stats: /^listener\.[a-z]+\.ssl\.(?!certificate)|^http\.(?!admin)[a-z]+\.downstream_rq_(total|2xx)$/,
  scenarios: [
    one('no certificate', 'main', {}),
    one('an intermediate and every kind of name', 'main', with_('client'), FORWARDED),
    one('the same on TLS 1.2', 'main', with_('client', OLD)),
    one('a certificate as Istio issues them', 'main', with_('client-istio', { serverName: 'a.example' })),
    one('an agreed protocol', 'main', { alpn: ['x', 'http/1.1'] }),
    one('no common protocol goes on without one', 'main', { alpn: ['istio', 'istio-peer-exchange'] }),
    one('a client that knows only RSA', 'main', { ...OLD, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
    one('a group of the client', 'main', { groups: 'P-256' }),
    ...(['SANITIZE', 'FORWARD_ONLY', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'] as const).flatMap((mode, i) => {
      const where = ['sanitize', 'forward', 'set', 'always'][i] as string;
      return [
        one(`${mode} with a certificate`, where, with_('client'), FORWARDED, 'x-forwarded-client-cert: two'),
        one(`${mode} without one`, where, {}, FORWARDED),
      ];
    }),
    one('a certificate is wanted', 'strict', with_('client-plain')),
    one('a URI that is wanted', 'uris', with_('client-istio')),
    one('a DNS name by wildcard', 'dnsnames', with_('client')),
    one('another name', 'others', with_('client')),
    one('a name of any kind', 'untyped', with_('client')),
    one('a pinned certificate', 'pinned', with_('client')),
    one('a pinned key, and no root', 'pinnedkey', with_('client')),
    one('an expired certificate that may be', 'late', with_('client-expired')),
    one('a foreign certificate where all are taken', 'anybody', with_('client-foreign')),
    one('a trust domain of ours', 'spiffe', with_('client-istio')),
    one('a trust domain with another root', 'bundles', with_('client-foreign')),
    one('TLS 1.3 alone', 'modern', { groups: 'X25519' }),
    one('TLS 1.2 alone, ECDSA', 'older', { ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305', alpn: ['x'] }),
    one('TLS 1.2 alone, RSA', 'older', { ciphers: 'ECDHE-RSA-AES256-GCM-SHA384' }),
    one('secrets by name', 'named', with_('client-istio')),
    one('a secret of a file', 'fromfile', { serverName: 'a.example' }),
    one('no server name where one is required', 'fromfile', {}),
    one('no server name where one is required, TLS 1.2', 'fromfile', OLD),
    refused('no certificate where one is wanted', 'strict', {}),
    refused('a certificate of a foreign root', 'strict', with_('client-foreign', OLD)),
    refused('an expired certificate', 'strict', with_('client-expired', OLD)),
    refused('a revoked certificate', 'strict', with_('client-revoked', OLD)),
    refused('optional, but bad', 'main', with_('client-foreign', OLD)),
    refused('another URI', 'nouris', with_('client-istio', OLD)),
    refused('too deep', 'depth', with_('client', OLD)),
    refused('not the pinned one', 'pinned', with_('client-istio', OLD)),
    refused('no URI of a trust domain', 'spiffe', with_('client-plain', OLD)),
    refused('late and foreign', 'late', with_('client-foreign', OLD)),
    refused('a version below', 'modern', OLD),
    refused('no server name', 'fromfile', OLD),
    { name: 'clear text', listener: 'main', client: [get('/')], answers: 0 },
  ],
};
