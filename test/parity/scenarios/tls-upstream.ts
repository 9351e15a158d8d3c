// TLS towards hosts: what is offered, who is accepted, how a refusal is told, which host is spoken to how.

import { downstreamTls, file, pair, RAW_BUFFER, upstreamTls } from '../../fixtures/tls.ts';
import { address, bootstrap, cluster, fileLog, get, http, httpOptions, routes, tcp, to } from '../config.ts';
import type { Group, Ports, Scenario, ServerTls } from '../types.ts';

const OPERATORS = Object.fromEntries(
  [
    'TLS_VERSION',
    'TLS_CIPHER',
    'TLS_GROUP',
    'PEER_SUBJECT',
    'PEER_ISSUER',
    'PEER_CERT',
    'PEER_URI_SAN',
    'PEER_DNS_SAN',
    'PEER_IP_SAN',
    'LOCAL_URI_SAN',
    'LOCAL_DNS_SAN',
    'LOCAL_IP_SAN',
    'PEER_CERT_V_START',
    'PEER_CERT_V_END',
    'SERVER_NAME',
  ].map((name) => [name.toLowerCase(), `%UPSTREAM_${name}%`]),
);

const ROOTS = { trusted_ca: file('ca.pem') };
const OWN = { tls_certificates: [pair('client-istio')] };

/** A cluster's transport socket and what else it has. */
interface Part {
  readonly common?: object;
  readonly context?: object;
  readonly extra?: object;
}

const trusting = (validation_context: object, context: object = {}, extra: object = {}): Part => ({
  common: { validation_context },
  context,
  extra,
});
const names = (san_type: string, matcher: object): Part =>
  trusting({ ...ROOTS, match_typed_subject_alt_names: [{ san_type, matcher }] });
const upstreamHttp = (options: object): object => httpOptions({}, {}, { upstream_http_protocol_options: options });
const MODERN = { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' };

/** `a` is the upstream that all speak to. */
const PARTS: Readonly<Record<string, Part>> = {
  main: {
    common: { ...OWN, validation_context: ROOTS, alpn_protocols: ['istio', 'http/1.1'] },
    context: { sni: 'a.example', max_session_keys: 0 },
  },
  bare: {},
  modern: {
    common: { ...OWN, tls_params: { ...MODERN, ecdh_curves: ['P-256'] }, validation_context: ROOTS },
    context: { sni: 'x.b.example', allow_renegotiation: true, enforce_rsa_key_usage: false, max_session_keys: 0 },
  },
  suites: {
    common: {
      tls_params: {
        tls_maximum_protocol_version: 'TLSv1_2',
        cipher_suites: ['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
        signature_algorithms: ['rsa_pss_rsae_sha256', 'ecdsa_secp256r1_sha256'],
      },
    },
  },
  resuming: trusting(ROOTS, { max_session_keys: 2 }),
  uri: names('URI', { exact: 'spiffe://test/ns/default/sa/server' }),
  nouri: names('URI', { exact: 'spiffe://test/ns/default/sa/nobody' }),
  dns: names('DNS', { exact: 'y.b.example' }),
  nodns: names('DNS', { exact: 'y.z.b.example' }),
  ip: names('IP_ADDRESS', { exact: '127.0.0.1' }),
  pinned: trusting({ ...ROOTS, verify_certificate_hash: ['00'.repeat(32)] }),
  late: trusting({ ...ROOTS, allow_expired_certificate: true }),
  anybody: trusting({ ...ROOTS, trust_chain_verification: 'ACCEPT_UNTRUSTED' }),
  autosni: trusting(ROOTS, { sni: 'fixed.example' }, upstreamHttp({ auto_sni: true })),
  autosan: trusting(ROOTS, {}, upstreamHttp({ auto_sni: true, auto_san_validation: true })),
  header: trusting(ROOTS, {}, upstreamHttp({ auto_sni: true, override_auto_sni_header: 'x-name' })),
  older: trusting(ROOTS, {}, { upstream_http_protocol_options: { auto_sni: true } }),
  snisan: trusting(ROOTS, { sni: 'other.example', auto_sni_san_validation: true }),
  hostsni: trusting(ROOTS, { auto_host_sni: true }),
};

const LISTENERS = [...Object.keys(PARTS), 'matches', 'unmatched', 'raw', 'chain'];

function listener(ports: Ports, logPath: string, name: string, extra: object = {}): object {
  return http(ports, logPath, name, routes([to('/', name)]), { access_log: [fileLog(logPath, OPERATORS)] }, extra);
}

function clusterOf(ports: Ports, name: string): object {
  const { common = {}, context = {}, extra = {} } = PARTS[name] as Part;
  const made = cluster(name, [ports['a']], { transport_socket: upstreamTls(common, context), ...extra });
  return name === 'hostsni' ? named(made, 'host.b.example') : made;
}

/** The one host gets a name. */
function named(made: object, hostname: string): object {
  const { load_assignment: assignment } = made as { load_assignment: { endpoints: [{ lb_endpoints: [Host] }] } };
  const [{ endpoint }] = assignment.endpoints[0].lb_endpoints;
  const endpoints = [{ lb_endpoints: [{ endpoint: { ...endpoint, hostname } }] }];
  return { ...made, load_assignment: { ...assignment, endpoints } };
}
interface Host {
  readonly endpoint: object;
}

/** A host that says how it speaks. */
function matches(ports: Ports, name: string, tlsMode: string): object {
  return {
    ...cluster(name, [], {
      transport_socket_matches: [
        {
          name: 'tlsMode-istio',
          match: { tlsMode: 'istio' },
          transport_socket: upstreamTls({ validation_context: ROOTS }, { sni: 'matched.example' }),
        },
        {
          name: 'tlsMode-disabled',
          match: {},
          transport_socket: { name: 'envoy.transport_sockets.raw_buffer', typed_config: { '@type': RAW_BUFFER } },
        },
      ],
    }),
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: { address: address(ports['a']) },
              metadata: { filter_metadata: { 'envoy.transport_socket_match': { tlsMode } } },
            },
          ],
        },
      ],
    },
  };
}

const SERVER: ServerTls = { certificate: 'server' };
const ok = (name: string, listenerName: string, tls: ServerTls = SERVER, ...headers: string[]): Scenario => ({
  name,
  listener: listenerName,
  client: [get('/', ...headers)],
  upstreams: { a: { tls } },
});

export const tlsUpstream: Group = {
  name: 'tls-upstream',
  listeners: LISTENERS,
  upstreams: ['a'],
  bootstrap: (ports, logPath) =>
    bootstrap(
      ports,
      [
        ...Object.keys(PARTS).map((name) => listener(ports, logPath, name)),
        listener(ports, logPath, 'matches'),
        listener(ports, logPath, 'unmatched'),
        tcp(ports, logPath, 'raw', { cluster: 'main' }),
        tlsListener(ports, logPath),
      ],
      [
        ...Object.keys(PARTS).map((name) => clusterOf(ports, name)),
        matches(ports, 'matches', 'istio'),
        matches(ports, 'unmatched', 'disabled'),
        cluster('chain', [ports['a']], { transport_socket: upstreamTls(OWN, { sni: 'a.example' }) }),
      ],
    ),
  stats:
    /^cluster\.[a-z]+\.(ssl\.(?!certificate)|upstream_cx_(total|connect_fail)$|upstream_rq_total$|(default|tlsMode-[a-z]+)\.total_match_count$)/,
  scenarios: [
    ok('a certificate, a server name, protocols', 'main', { ...SERVER, asks: 'accept', alpn: ['http/1.1'] }),
    ok('no protocol of ours', 'main', { ...SERVER, asks: 'require' }),
    ok('nothing configured', 'bare', { ...SERVER, alpn: ['http/1.1'] }),
    ok('TLS 1.3', 'modern', { ...SERVER, asks: 'accept' }),
    ok('an RSA certificate', 'bare', { certificate: 'server-rsa' }),
    ok('suites of TLS 1.2', 'suites'),
    {
      ...ok('a session is resumed', 'resuming'),
      client: [get('/1'), { answers: 1 }, get('/2')],
      answers: 2,
      upstreams: {
        a: { tls: SERVER, replies: [['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n']] },
      },
    },
    ok('a URI', 'uri'),
    ok('another URI', 'nouri'),
    ok('a DNS name by wildcard', 'dns'),
    ok('a wildcard stands for one label', 'nodns'),
    ok('an address', 'ip'),
    ok('a foreign root', 'main', { certificate: 'client-foreign' }),
    ok('an expired certificate', 'uri', { certificate: 'client-expired' }),
    ok('an expired certificate that may be', 'late', { certificate: 'client-expired' }),
    ok('late and foreign', 'late', { certificate: 'client-foreign' }),
    ok('a foreign root where all are taken', 'anybody', { certificate: 'client-foreign' }),
    ok('not the pinned one', 'pinned'),
    ok('a certificate is wanted that we do not have', 'bare', { ...SERVER, asks: 'require', version: 'TLSv1.2' }),
    ok('no common version', 'suites', { ...SERVER, version: 'TLSv1.3' }),
    {
      name: 'the upstream speaks clear text',
      listener: 'bare',
      client: [get('/')],
      upstreams: { a: { raw: ['HTTP/1.1 400 Bad Request\r\n\r\n', { close: 'fin' }] } },
    },
    {
      name: 'the upstream goes away during the handshake',
      listener: 'bare',
      client: [get('/')],
      upstreams: { a: { raw: [{ read: 10 }, { close: 'fin' }] } },
    },
    {
      name: 'the upstream resets during the handshake',
      listener: 'bare',
      client: [get('/')],
      upstreams: { a: { raw: [{ read: 10 }, { close: 'reset' }] } },
    },
    {
      name: 'the upstream says nothing',
      listener: 'bare',
      client: [get('/')],
      upstreams: { a: { raw: [{ waitMs: 1_500 }] } },
    },
    ok('the server name is the authority', 'autosni', SERVER, 'host: auto.example:81'),
    ok('an address is no server name', 'autosni', SERVER, 'host: 127.0.0.1:80'),
    ok('the authority is a name of the host', 'autosan', SERVER, 'host: z.b.example'),
    ok('the authority is none', 'autosan', SERVER, 'host: z.elsewhere.example'),
    ok('the authority is an address of the host', 'autosan', SERVER, 'host: 127.0.0.1'),
    ok('the server name is a header', 'header', SERVER, 'x-name: header.example'),
    ok('options in their old place', 'older', SERVER, 'host: auto.example'),
    ok('without the header it is the authority', 'header', SERVER, 'host: auto.example'),
    ok('the server name is not proved', 'snisan'),
    ok('the server name is that of the host', 'hostsni'),
    ok('a host with TLS', 'matches'),
    { name: 'a host without', listener: 'unmatched', client: [get('/')] },
    {
      name: 'bytes over TLS',
      listener: 'raw',
      client: ['ping', { bytes: 4 }, { close: 'fin' }],
      answers: 0,
      upstreams: { a: { tls: SERVER, raw: [{ read: 4 }, 'pong'] } },
    },
    {
      name: 'bytes to a host that is refused',
      listener: 'raw',
      client: ['ping'],
      answers: 0,
      upstreams: { a: { tls: { certificate: 'client-foreign' } } },
    },
    {
      ...ok('TLS on both sides', 'chain', { ...SERVER, asks: 'accept' }),
      tls: { certificate: 'client' },
    },
  ],
};

function tlsListener(ports: Ports, logPath: string): object {
  const made = listener(ports, logPath, 'chain') as { filter_chains: object[] };
  const transport_socket = downstreamTls(
    { tls_certificates: [pair('server')], validation_context: ROOTS },
    { require_client_certificate: true },
  );
  return { ...made, filter_chains: [{ ...made.filter_chains[0], transport_socket }] };
}
