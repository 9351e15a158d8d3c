// TLS contexts: what is lowered, and what is refused in Envoy's words (each seen on Envoy 1.40, `--mode validate`).

import { writeFileSync } from 'node:fs';
import t from 'tap';
import { lowerBootstrap } from '../../proxy/config/lower/bootstrap.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import type { Model } from '../../proxy/config/model/model.ts';
import type { DownstreamTlsModel, TlsValidationModel, UpstreamTlsModel } from '../../proxy/config/model/tls.ts';
import { decode, refusal, TYPE, tcpFilter } from '../fixtures/lower.ts';
import { ocspStaple } from '../fixtures/ocsp.ts';
import { makeCa } from '../fixtures/pki.ts';
import {
  DOWNSTREAM_TLS,
  downstreamTls,
  file,
  INTERNAL_UPSTREAM,
  PROXY_PROTOCOL,
  pair,
  RAW_BUFFER,
  SPIFFE,
  tlsPath,
  tlsText,
  upstreamTls,
} from '../fixtures/tls.ts';

const BOOTSTRAP = 'envoy.config.bootstrap.v3.Bootstrap';

function lower(resources: object, ctx = new LowerContext()): Model {
  return lowerBootstrap(decode(BOOTSTRAP, { static_resources: resources }), ctx);
}

function withListener(socket: object, more: object = {}): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  const chain = { filters: [tcpFilter()], transport_socket: socket };
  return { listeners: [{ name: 'l', address, filter_chains: [chain] }], clusters: [{ name: 'c' }], ...more };
}

function downstream(common: object, context: object = {}, more: object = {}, ctx = new LowerContext()) {
  const [listener] = lower(withListener(downstreamTls(common, context), more), ctx).listeners;
  const transport = listener?.filterChains[0]?.transport;
  if (transport?.kind !== 'tls') throw new Error('no TLS');
  return transport.tls;
}

function cluster(fields: object, more: object = {}) {
  const [model] = lower({ clusters: [{ name: 'c', ...fields }], ...more }).clusters;
  if (model === undefined) throw new Error('no cluster');
  return model;
}

function upstream(common: object, context: object = {}): UpstreamTlsModel {
  const { transport } = cluster({ transport_socket: upstreamTls(common, context) });
  if (transport.kind !== 'tls') throw new Error('no TLS');
  return transport.tls;
}

const SERVER = { tls_certificates: [pair('server')] };

function validation(context: object): TlsValidationModel {
  const model = downstream({ ...SERVER, validation_context: context }).validation;
  if (model === null) throw new Error('no validation');
  return model;
}

/** Written into a folder of this test. */
const dir = t.testdir({ 'text.pem': 'hello\n', 'empty.pem': '' });
const at = (name: string) => ({ filename: `${dir}/${name}` });
function write(name: string, text: string): object {
  writeFileSync(`${dir}/${name}`, text);
  return at(name);
}

// === What is lowered ===

t.test('downstream defaults', async (t) => {
  const { certificates, ...rest } = downstream(SERVER);
  const { digest } = rest;
  t.match(digest, /^[0-9a-f]{64}$/);
  t.same(rest, {
    id: 'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context',
    digest,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: '',
    curves: '',
    signatureAlgorithms: '',
    alpn: [],
    validation: null,
    keyLog: null,
    requireClientCertificate: false,
    fullScanCertsOnSniMismatch: false,
    sessionTickets: true,
    statefulResumption: true,
    sessionTicketKeys: [],
    sessionTimeoutSeconds: 7200,
    ocspStaplePolicy: 'lenient',
    preferClientCiphers: false,
  } satisfies Omit<DownstreamTlsModel, 'certificates'>);
  t.equal(certificates.length, 1);
  t.match(certificates[0], { name: '', keyType: 'ec', dnsNames: ['a.example', '*.b.example'], pkcs12: null });
  t.equal(certificates[0]?.chain.path, tlsPath('server.pem'));
  t.equal(Buffer.from(certificates[0]?.chain.base64 ?? '', 'base64').toString(), tlsText('server.pem'));
});

t.test('a context without anything is refused', async (t) => {
  const socket = { name: 'tls', typed_config: { '@type': DOWNSTREAM_TLS, common_tls_context: {} } };
  t.match(
    refusal(() => lower(withListener(socket))),
    'No TLS certificates found for server context',
  );
});

t.test('downstream, every field', async (t) => {
  const staple = ocspStaple(makeCa(), '0a02', { nextUpdate: new Date(1e12) });
  const key = 'k'.repeat(80);
  const model = downstream(
    {
      tls_certificates: [
        pair('server', { password: { inline_string: 'not needed' }, watched_directory: { path: '/certs' } }),
        pair('server-rsa', { ocsp_staple: { inline_bytes: staple.toString('base64') } }),
      ],
      tls_params: {
        tls_minimum_protocol_version: 'TLSv1_3',
        tls_maximum_protocol_version: 'TLSv1_3',
        cipher_suites: [
          '[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]',
          'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
          'AES128-SHA',
        ],
        ecdh_curves: ['X25519MLKEM768', 'x25519', 'prime256v1', 'P-256'],
        signature_algorithms: ['rsa_pss_rsae_sha256', 'ECDSA+SHA256'],
      },
      alpn_protocols: ['h2,http/1.1', 'x'],
      key_log: { path: `${dir}/keys` },
    },
    {
      require_client_certificate: true,
      require_sni: true,
      full_scan_certs_on_sni_mismatch: true,
      disable_stateful_session_resumption: true,
      session_ticket_keys: { keys: [{ inline_string: key }] },
      session_timeout: '90s',
      ocsp_staple_policy: 'STRICT_STAPLING',
      prefer_client_ciphers: true,
    },
  );
  t.match(model, {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
    curves: 'X25519MLKEM768:X25519:P-256',
    signatureAlgorithms: 'rsa_pss_rsae_sha256:ECDSA+SHA256',
    alpn: ['h2', 'http/1.1', 'x'],
    keyLog: { path: `${dir}/keys` },
    requireClientCertificate: true,
    fullScanCertsOnSniMismatch: true,
    sessionTickets: true,
    statefulResumption: false,
    sessionTicketKeys: [{ base64: Buffer.from(key).toString('base64'), path: '' }],
    sessionTimeoutSeconds: 90,
    ocspStaplePolicy: 'strict',
    preferClientCiphers: true,
  });
  t.match(model.certificates, [
    { keyType: 'ec', watchedDirectory: '/certs', ocspStaple: null },
    { keyType: 'rsa', watchedDirectory: '', ocspStaple: { base64: staple.toString('base64') }, stapleEndsMs: 1e12 },
  ]);
  t.notOk(downstream(SERVER, { disable_stateless_session_resumption: true }).sessionTickets);
});

t.test('upstream', async (t) => {
  t.match(upstream({}), {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    certificates: [],
    validation: null,
    sni: '',
    autoHostSni: false,
    autoSniSanValidation: false,
    allowRenegotiation: false,
    maxSessionKeys: 1,
  });
  const context = {
    sni: 'outbound_.80_._.a.example',
    auto_host_sni: true,
    auto_sni_san_validation: true,
    allow_renegotiation: true,
    max_session_keys: 0,
    enforce_rsa_key_usage: false,
  };
  const common = {
    tls_certificates: [pair('client-istio')],
    validation_context: { trusted_ca: file('ca.pem') },
    tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
  };
  t.match(upstream(common, context), {
    maxVersion: 'TLSv1.3',
    certificates: [{ keyType: 'ec', dnsNames: [] }],
    sni: 'outbound_.80_._.a.example',
    autoHostSni: true,
    autoSniSanValidation: true,
    allowRenegotiation: true,
    maxSessionKeys: 0,
  });
});

t.test('certificates of every source', async (t) => {
  process.env['OUTRIGGER_TEST_CHAIN'] = tlsText('server.pem');
  const inline = downstream({
    tls_certificates: [
      {
        certificate_chain: { environment_variable: 'OUTRIGGER_TEST_CHAIN' },
        private_key: { inline_bytes: Buffer.from(tlsText('server.key')).toString('base64') },
      },
    ],
  });
  t.match(inline.certificates, [{ chain: { path: '' }, key: { path: '' }, dnsNames: ['a.example', '*.b.example'] }]);
  const encrypted = { certificate_chain: file('server.pem'), private_key: file('server-encrypted.key') };
  t.match(downstream({ tls_certificates: [{ ...encrypted, password: { inline_string: 'secret' } }] }).certificates, [
    { password: { base64: Buffer.from('secret').toString('base64') } },
  ]);
  const pkcs12 = { pkcs12: file('server.p12'), password: { inline_string: 'secret' } };
  t.match(downstream({ tls_certificates: [pkcs12] }).certificates, [
    {
      chain: { base64: '' },
      pkcs12: { path: tlsPath('server.p12') },
      keyType: 'ec',
      dnsNames: ['a.example', '*.b.example'],
    },
  ]);
  const ca = makeCa();
  for (const keyType of ['ec384', 'ed25519'] as const) {
    const { chain, key } = ca.issue({ keyType, subject: [['CN', 'Name']] });
    const sources = { certificate_chain: { inline_string: chain }, private_key: { inline_string: key } };
    t.match(downstream({ tls_certificates: [sources] }).certificates, [{ dnsNames: ['name'] }], keyType);
  }
  const expired = ca.issue({ dns: ['a'], notBefore: new Date(0), notAfter: new Date(1000) });
  const sources = { certificate_chain: { inline_string: expired.chain }, private_key: { inline_string: expired.key } };
  t.equal(downstream({ tls_certificates: [sources] }).certificates.length, 1, 'an expired one is served, as by Envoy');
});

t.test('validation', async (t) => {
  const hash = 'df6ff72fe9116521268f6f2dd4966f51df479883fe7037b39f75916ac3049d1a';
  const spki = 'NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=';
  t.same(
    validation({
      trusted_ca: file('ca.pem'),
      watched_directory: { path: '/roots' },
      verify_certificate_hash: [(hash.match(/../g) ?? []).join(':').toUpperCase()],
      verify_certificate_spki: [spki],
      match_typed_subject_alt_names: [
        { san_type: 'DNS', matcher: { exact: 'A', ignore_case: true } },
        { san_type: 'URI', matcher: { prefix: 'spiffe://' } },
        { san_type: 'EMAIL', matcher: { suffix: '@x' } },
        { san_type: 'IP_ADDRESS', matcher: { contains: '.' } },
        { san_type: 'OTHER_NAME', matcher: { safe_regex: { regex: 'a.*' } }, oid: '1.3.6.1.4.1.311.20.2.3' },
      ],
      crl: file('ca.crl'),
      only_verify_leaf_cert_crl: true,
      max_verify_depth: 0,
      trust_chain_verification: 'ACCEPT_UNTRUSTED',
      suppress_client_ca_list: true,
      allow_expired_certificate: true,
    }),
    {
      name: '',
      trustedCa: { base64: Buffer.from(tlsText('ca.pem')).toString('base64'), path: tlsPath('ca.pem') },
      systemRoots: false,
      trustDomains: null,
      certificateHashes: [hash],
      spkiHashes: [spki],
      subjectAltNames: [
        { type: 'dns', match: { kind: 'exact', value: 'a', ignoreCase: true }, oid: '' },
        { type: 'uri', match: { kind: 'prefix', value: 'spiffe://', ignoreCase: false }, oid: '' },
        { type: 'email', match: { kind: 'suffix', value: '@x', ignoreCase: false }, oid: '' },
        { type: 'ip', match: { kind: 'contains', value: '.', ignoreCase: false }, oid: '' },
        { type: 'other', match: { kind: 'regex', value: 'a.*', ignoreCase: false }, oid: '1.3.6.1.4.1.311.20.2.3' },
      ],
      crl: { base64: Buffer.from(tlsText('ca.crl')).toString('base64'), path: tlsPath('ca.crl') },
      onlyVerifyLeafCrl: true,
      maxVerifyDepth: 0,
      acceptUntrusted: true,
      allowExpired: true,
      suppressCaList: true,
      watchedDirectory: '/roots',
    } satisfies TlsValidationModel,
  );
  t.match(validation({}), { trustedCa: null, systemRoots: false, maxVerifyDepth: -1 });
  t.ok(validation({ system_root_certs: {} }).systemRoots);
  t.notOk(validation({ trusted_ca: file('ca.pem'), system_root_certs: {} }).systemRoots);
  const untyped = { trusted_ca: file('ca.pem'), match_subject_alt_names: [{ prefix: 'spiffe://td/' }] };
  t.match(validation(untyped).subjectAltNames, [{ type: 'any', match: { kind: 'prefix' } }]);
});

t.test('SPIFFE validator', async (t) => {
  const spiffe = (config: object, name = 'envoy.tls.cert_validator.spiffe') => ({
    custom_validator_config: { name, typed_config: { '@type': SPIFFE, ...config } },
  });
  const domains = [
    { name: 'td', trust_bundle: file('ca.pem') },
    { name: 'other', trust_bundle: file('foreign-ca.pem') },
  ];
  t.match(validation(spiffe({ trust_domains: domains })), {
    trustedCa: null,
    trustDomains: [
      { name: 'td', bundle: { path: tlsPath('ca.pem') } },
      { name: 'other', bundle: { path: tlsPath('foreign-ca.pem') } },
    ],
  });
  const x5c = tlsText('ca.pem').replaceAll(/-----.*-----|\n/g, '');
  const map = { trust_domains: { td: { keys: [{ kty: 'EC', use: 'x509-svid', x5c: [x5c] }] } } };
  const bundles = { trust_bundles: { inline_string: JSON.stringify(map) } };
  const [domain] = validation(spiffe(bundles)).trustDomains ?? [];
  t.equal(domain?.name, 'td');
  t.equal(Buffer.from(domain?.bundle.base64 ?? '', 'base64').toString(), tlsText('ca.pem'));
  for (const [context, text] of [
    [spiffe({}, 'foo'), 'Failed to get certificate validator factory for foo'],
    [
      spiffe({ trust_domains: [domains[0], domains[0]] }),
      'Multiple trust bundles are given for one trust domain for td, workload: ',
    ],
    [
      spiffe({ trust_domains: [{ name: 'td', trust_bundle: at('text.pem') }] }),
      'Failed to load trusted CA certificate for td',
    ],
    [spiffe({ trust_domains: [{ name: 'td' }] }), 'Failed to load trusted CA certificate for td'],
    [spiffe({ trust_bundles: { inline_string: '{}' } }), 'No trust domains found in SPIFFE bundle'],
    [spiffe({ trust_bundles: { inline_string: '{' } }), 'Invalid JSON found in SPIFFE bundle'],
  ] as const)
    t.ok(refusal(() => validation(context)).endsWith(`: ${text}`), text);
});

t.test('secrets by name', async (t) => {
  const secrets = [
    { name: 'cert', tls_certificate: pair('server') },
    { name: 'roots', validation_context: { trusted_ca: file('ca.pem'), max_verify_depth: 2 } },
    { name: 'keys', session_ticket_keys: { keys: [{ inline_string: 'x'.repeat(80) }] } },
  ];
  const common = {
    tls_certificate_sds_secret_configs: [{ name: 'cert' }],
    combined_validation_context: {
      default_validation_context: { match_subject_alt_names: [{ prefix: 'spiffe://' }], max_verify_depth: 1 },
      validation_context_sds_secret_config: { name: 'roots' },
    },
  };
  const model = downstream(common, { session_ticket_keys_sds_secret_config: { name: 'keys' } }, { secrets });
  t.match(model, {
    certificates: [{ name: 'cert', keyType: 'ec' }],
    validation: { name: 'roots', maxVerifyDepth: 2, subjectAltNames: [{ type: 'any' }] },
    sessionTicketKeys: [{ path: '' }],
  });
  t.equal(model.validation?.trustedCa?.path, tlsPath('ca.pem'));
  const plain = { ...SERVER, validation_context_sds_secret_config: { name: 'roots' } };
  t.equal(downstream(plain, {}, { secrets }).validation?.name, 'roots');

  const response = {
    resources: [{ '@type': `${TYPE}envoy.extensions.transport_sockets.tls.v3.Secret`, ...secrets[0] }],
  };
  writeFileSync(`${dir}/sds.json`, JSON.stringify(response));
  const fromFile = (name: string, sds_config: object) =>
    downstream({ tls_certificate_sds_secret_configs: [{ name, sds_config }] });
  const path_config_source = { path: `${dir}/sds.json` };
  t.match(fromFile('cert', { path_config_source }).certificates, [{ name: 'cert', keyType: 'ec' }]);
  t.match(
    refusal(() => fromFile('nope', { path_config_source })),
    "sds.json has no secret named 'nope'",
  );
  t.match(
    refusal(() => fromFile('cert', { ads: {} })),
    'sds_config: secrets cannot be asked for over the network yet',
  );
  t.match(
    refusal(() => downstream(SERVER, {}, { secrets: [secrets[0], secrets[0]] })),
    'static_resources.secrets[1]: Duplicate static TlsCertificate secret name cert',
  );
});

t.test('transport sockets of clusters', async (t) => {
  const raw = { name: 'raw', typed_config: { '@type': RAW_BUFFER } };
  t.same(cluster({}).transport, { kind: 'raw' });
  t.same(cluster({ transport_socket: raw }).transport, { kind: 'raw' });
  const proxy = {
    name: 'p',
    typed_config: {
      '@type': PROXY_PROTOCOL,
      config: {
        version: 'V2',
        pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [1, 234] },
        added_tlvs: [{ type: 235, value: 'YQ==' }],
      },
      transport_socket: raw,
    },
  };
  t.same(cluster({ transport_socket: proxy }).transport, {
    kind: 'proxy_protocol',
    version: 2,
    inner: { kind: 'raw' },
    passAllTlvs: false,
    passTlvs: [1, 234],
    addedTlvs: [{ type: 235, base64: 'YQ==', format: null }],
  });
  for (const [tlv, message] of [
    [{ type: 1 }, /added_tlvs\[0\]: Invalid TLV configuration: one of 'value' or 'format_string' must be set\.$/],
    [{ type: 1, value: 'YQ==', format_string: { text_format: 'a' } }, /only one of .* may be set\.$/],
    [{ type: 1, format_string: { text_format: '%NOPE%' } }, /NOPE/],
  ] as const) {
    const config = { ...proxy.typed_config, config: { version: 'V2', added_tlvs: [tlv] } };
    t.throws(() => cluster({ transport_socket: { ...proxy, typed_config: config } }), { message });
  }
  const internal = {
    name: 'i',
    typed_config: {
      '@type': INTERNAL_UPSTREAM,
      passthrough_metadata: [
        { kind: { host: {} }, name: 'istio' },
        { kind: { cluster: {} }, name: 'c' },
      ],
      transport_socket: upstreamTls({}),
    },
  };
  t.match(cluster({ transport_socket: internal }).transport, {
    kind: 'internal',
    inner: { kind: 'tls', tls: { sni: '' } },
    passthrough: [
      { of: 'host', name: 'istio' },
      { of: 'cluster', name: 'c' },
    ],
  });
  const matches = [
    { name: 'tlsMode-istio', match: { tlsMode: 'istio', n: 1, b: true }, transport_socket: upstreamTls({}) },
    { name: 'tlsMode-disabled', match: {}, transport_socket: raw },
  ];
  t.match(cluster({ transport_socket_matches: matches }).transportMatches, [
    { name: 'tlsMode-istio', match: { tlsMode: 'istio', n: 1, b: true }, transport: { kind: 'tls' } },
    { name: 'tlsMode-disabled', match: {}, transport: { kind: 'raw' } },
  ]);
  const key = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const options = {
    '@type': TYPE + key,
    explicit_http_config: { http_protocol_options: {} },
    upstream_http_protocol_options: { auto_sni: true, override_auto_sni_header: 'X-Name', auto_san_validation: true },
  };
  t.same(cluster({ typed_extension_protocol_options: { [key]: options } }).httpTls, {
    autoSni: true,
    autoSniHeader: 'x-name',
    autoSanValidation: true,
  });
  t.match(cluster({ upstream_http_protocol_options: { auto_sni: true } }).httpTls, { autoSni: true });
});

// === What is refused ===

const EC = pair('server');
const broken = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const brokenKey = '-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n';

t.test('bad certificates and keys', async (t) => {
  const ca = makeCa();
  const small = ca.issue({ keyType: 'rsa1024', dns: ['a'] });
  const nameless = ca.issue();
  const stapled = ca.issue({ dns: ['a'], raw: [['1.3.6.1.5.5.7.1.24', Buffer.from('3003020105', 'hex')]] });
  const encrypted = { certificate_chain: file('server.pem'), private_key: file('server-encrypted.key') };
  const withKey = (private_key: object) => ({ certificate_chain: file('server.pem'), private_key });
  const withChain = (certificate_chain: object) => ({ certificate_chain, private_key: file('server.key') });
  for (const [certificate, text] of [
    [{}, ': Server TlsCertificates must have a certificate specified'],
    [
      withChain(at('nope.pem')),
      `.certificate_chain: Failed to load incomplete certificate from ${dir}/nope.pem: certificate chain not set`,
    ],
    [
      withChain(at('empty.pem')),
      `.certificate_chain: Failed to load incomplete certificate from ${dir}/empty.pem: certificate chain not set`,
    ],
    [
      withChain({ environment_variable: 'OUTRIGGER_NOT_SET' }),
      '.certificate_chain: Failed to load incomplete certificate from : certificate chain not set',
    ],
    [
      { private_key: file('server.key') },
      '.certificate_chain: Failed to load incomplete certificate from : certificate chain not set',
    ],
    [withChain(at('text.pem')), `.certificate_chain: Failed to load certificate chain from ${dir}/text.pem`],
    [withChain({ inline_string: 'x' }), '.certificate_chain: Failed to load certificate chain from <inline>'],
    [
      withChain(write('second.pem', tlsText('server.pem') + broken)),
      `.certificate_chain: Failed to load certificate chain from ${dir}/second.pem`,
    ],
    [{ certificate_chain: file('server.pem') }, '.private_key: Failed to load incomplete private key from path: '],
    [withKey(at('nope.key')), `.private_key: Failed to load incomplete private key from path: ${dir}/nope.key`],
    [
      withKey({ inline_string: 'x' }),
      '.private_key: Failed to load private key from <inline>, Cause: error:0900006e:PEM routines:OPENSSL_internal:NO_START_LINE',
    ],
    [
      withKey({ inline_string: brokenKey }),
      '.private_key: Failed to load private key from <inline>, Cause: error:0c00006d:ASN.1 encoding routines:OPENSSL_internal:DECODE_ERROR',
    ],
    [
      withKey(file('client.key')),
      `.private_key: Failed to load private key from ${tlsPath('client.key')}, Cause: error:0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH`,
    ],
    [
      withKey(file('server-rsa.key')),
      `.private_key: Failed to load private key from ${tlsPath('server-rsa.key')}, Cause: error:0b000073:X.509 certificate routines:OPENSSL_internal:KEY_TYPE_MISMATCH`,
    ],
    [
      encrypted,
      `.private_key: Failed to load private key from ${tlsPath('server-encrypted.key')}, Cause: error:09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ`,
    ],
    [
      { ...encrypted, password: { inline_string: 'secret\n' } },
      `.private_key: Failed to load private key from ${tlsPath('server-encrypted.key')}, Cause: error:1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT`,
    ],
    [{ pkcs12: file('server.p12') }, `.pkcs12: Failed to load pkcs12 from ${tlsPath('server.p12')}`],
    [
      { pkcs12: file('server.p12'), password: { inline_string: 'nope' } },
      `.pkcs12: Failed to load pkcs12 from ${tlsPath('server.p12')}`,
    ],
    [{ pkcs12: { inline_string: 'x' } }, '.pkcs12: Failed to load pkcs12 from <inline>'],
    [
      { pkcs12: file('server.p12'), certificate_chain: file('server.pem') },
      ".certificate_chain: Certificate configuration can't have both pkcs12 and certificate_chain",
    ],
    [
      { ...EC, pkcs12: file('server.p12') },
      ".private_key: Certificate configuration can't have both pkcs12 and private_key",
    ],
    [
      { certificate_chain: write('small.pem', small.chain), private_key: { inline_string: small.key } },
      `.certificate_chain: Failed to load certificate chain from ${dir}/small.pem, only RSA certificates with 2048-bit or larger keys are supported`,
    ],
    [
      { certificate_chain: { inline_string: nameless.chain }, private_key: { inline_string: nameless.key } },
      ': Invalid TLS context has neither subject CN nor SAN names',
    ],
    [
      { ...EC, ocsp_staple: { inline_bytes: 'MAA=' } },
      '.ocsp_staple: OCSP ResponseStatus is not a well-formed ASN.1 ENUMERATED',
    ],
    [
      { ...EC, ocsp_staple: { inline_bytes: ocspStaple(makeCa(), '77').toString('base64') } },
      '.ocsp_staple: OCSP response does not match its TLS certificate',
    ],
    [
      { ...EC, ocsp_staple: { inline_bytes: ocspStaple(makeCa(), '77', { responseStatus: 2 }).toString('base64') } },
      '.ocsp_staple: OCSP response was unsuccessful',
    ],
    [
      { certificate_chain: { inline_string: stapled.chain }, private_key: { inline_string: stapled.key } },
      '.ocsp_staple: OCSP response is required for must-staple certificate',
    ],
    [{ ...EC, ocsp_staple: { inline_string: 'x' } }, '.ocsp_staple: OCSP staple cannot be provided via inline_string'],
  ] as const) {
    const path =
      'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context.tls_certificates[0]';
    t.equal(
      refusal(() => downstream({ tls_certificates: [certificate] })),
      path + text,
    );
  }
});

t.test('bad contexts', async (t) => {
  const params = (tls_params: object) => downstream({ ...SERVER, tls_params });
  const sds = { tls_certificate_sds_secret_configs: [{ name: 'nope' }] };
  for (const [action, text] of [
    [() => downstream({}), 'No TLS certificates found for server context'],
    [() => downstream({ ...SERVER, ...sds }), 'SDS and non-SDS TLS certificates may not be mixed in server contexts'],
    [() => downstream(sds), 'Unknown static secret: nope'],
    [
      () => downstream({ ...SERVER, validation_context_sds_secret_config: { name: 'nope' } }),
      'Unknown static certificate validation context: nope',
    ],
    [
      () => downstream(SERVER, { session_ticket_keys_sds_secret_config: { name: 'nope' } }),
      'Unknown tls session ticket keys: nope',
    ],
    [
      () => downstream(SERVER, { session_ticket_keys: { keys: [{ inline_string: 'short' }] } }),
      'Incorrect TLS session ticket key length. Length 5, expected length 80.',
    ],
    [
      () => downstream(SERVER, { ocsp_staple_policy: 'MUST_STAPLE' }),
      'Required OCSP response is missing from TLS context',
    ],
    [() => downstream({ ...SERVER, alpn_protocols: ['x'.repeat(256)] }), 'Invalid ALPN protocol string'],
    [
      () => downstream({ ...SERVER, key_log: { path: '/nope/x' } }),
      "unable to open file '/nope/x': No such file or directory",
    ],
    [
      () => params({ cipher_suites: ['FOO', 'ECDHE-RSA-AES128-GCM-SHA256', 'BAR'] }),
      'Failed to initialize cipher suites FOO:ECDHE-RSA-AES128-GCM-SHA256:BAR. The following ciphers were rejected when tried individually: FOO, BAR',
    ],
    [
      () => params({ cipher_suites: ['TLS_AES_128_GCM_SHA256'] }),
      'Failed to initialize cipher suites TLS_AES_128_GCM_SHA256. The following ciphers were rejected when tried individually: TLS_AES_128_GCM_SHA256',
    ],
    [() => params({ ecdh_curves: ['P-256', 'FOO'] }), 'Failed to initialize ECDH curves P-256:FOO'],
    [() => params({ signature_algorithms: ['FOO'] }), 'Failed to initialize TLS signature algorithms FOO'],
    [
      () => params({ tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_2' }),
      'the lowest version is TLSv1.3 and the highest TLSv1.2: no handshake can succeed; set tls_maximum_protocol_version',
    ],
    [() => params({ tls_maximum_protocol_version: 'TLSv1_1' }), 'TLS below 1.2 is not supported; use TLSv1_2'],
    [
      () => upstream({ tls_certificates: [EC, pair('server-rsa')] }),
      'Multiple TLS certificates are not supported for client contexts',
    ],
    [
      () => upstream({}, { auto_sni_san_validation: true }),
      "'auto_sni_san_validation' was configured without a validation context",
    ],
    [
      () => cluster({ transport_socket: downstreamTls(SERVER) }),
      "Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'",
    ],
    [
      () => lower(withListener(upstreamTls({}))),
      "Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'",
    ],
    [
      () => cluster({ transport_socket: { name: 'x' } }),
      "Didn't find a registered implementation for 'x' with type URL: ''",
    ],
    [
      () => cluster({ transport_socket_matches: [{ name: 'a', match: {} }] }),
      "Didn't find a registered implementation for '' with type URL: ''",
    ],
    [
      () =>
        cluster({
          transport_socket: {
            name: 'p',
            typed_config: { '@type': PROXY_PROTOCOL, transport_socket: downstreamTls(SERVER) },
          },
        }),
      "Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'",
    ],
  ] as const) {
    const said = refusal(action);
    t.ok(said.endsWith(`: ${text}`), said);
    t.match(said, /^static_resources\.(listeners|clusters)\[0\]\./);
  }
});

t.test('bad validation contexts', async (t) => {
  const ca = { trusted_ca: file('ca.pem') };
  for (const [context, text] of [
    [{ trusted_ca: at('nope.pem') }, `.trusted_ca: Invalid path: ${dir}/nope.pem`],
    [{ trusted_ca: at('empty.pem') }, `.trusted_ca: file ${dir}/empty.pem is empty`],
    [{ trusted_ca: { inline_string: '' } }, '.trusted_ca: DataSource cannot be empty'],
    [{ trusted_ca: at('text.pem') }, `.trusted_ca: Failed to load trusted CA certificates from ${dir}/text.pem`],
    [{ trusted_ca: { inline_string: broken } }, '.trusted_ca: Failed to load trusted CA certificates from <inline>'],
    [
      { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: 'x' } }] },
      '.match_typed_subject_alt_names: SAN-based verification of peer certificates without trusted CA is insecure and not allowed',
    ],
    [
      { allow_expired_certificate: true },
      '.allow_expired_certificate: Certificate validity period is always ignored without trusted CA',
    ],
    [{ crl: file('ca.crl') }, `.crl: Failed to load CRL from ${tlsPath('ca.crl')} without trusted CA`],
    [{ ...ca, crl: at('nope.crl') }, `.crl: Invalid path: ${dir}/nope.crl`],
    [{ ...ca, crl: at('text.pem') }, `.crl: Failed to load CRL from ${dir}/text.pem`],
    [
      { verify_certificate_hash: [`zz${'0'.repeat(62)}`] },
      `.verify_certificate_hash[0]: Invalid hex-encoded SHA-256 zz${'0'.repeat(62)}`,
    ],
    [
      { verify_certificate_spki: [`!${'A'.repeat(42)}=`] },
      `.verify_certificate_spki[0]: Invalid base64-encoded SHA-256 !${'A'.repeat(42)}=`,
    ],
    [
      { ...ca, match_typed_subject_alt_names: [{ san_type: 'OTHER_NAME', matcher: { exact: 'x' }, oid: 'foo' }] },
      '.match_typed_subject_alt_names[0].oid: Failed to create SAN matcher for OTHER_NAME with OID: foo',
    ],
  ] as const) {
    const path =
      'static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context.validation_context';
    t.equal(
      refusal(() => validation(context)),
      path + text,
    );
  }
  const regex = [{ san_type: 'URI', matcher: { safe_regex: { regex: '(' } } }];
  t.match(
    refusal(() => validation({ ...ca, match_typed_subject_alt_names: regex })),
    'missing ): (',
  );
});

t.test('what is said though it is taken', async (t) => {
  const warned = (common: object) => {
    const ctx = new LowerContext();
    downstream({ ...SERVER, ...common }, {}, {}, ctx);
    return ctx.warnings.map((text) => text.replace(/^.*\.common_tls_context\.|^.*typed_config\./, ''));
  };
  t.same(warned({}), []);
  t.same(warned({ validation_context: {} }), [
    'require_client_certificate: Using deprecated insecure default of not requiring client cert when a validation context is configured. This default will be changed in a future version. Please explicitly configure a value for require_client_certificate.',
  ]);
  t.same(
    warned({ tls_params: { tls_minimum_protocol_version: 'TLSv1_0', cipher_suites: ['AES128-SHA', 'DES-CBC3-SHA'] } }),
    [
      'tls_params.tls_minimum_protocol_version: TLS below 1.2 is not supported: 1.2 is the lowest',
      'tls_params.cipher_suites: cipher suite DES-CBC3-SHA is left out: it can never be chosen',
    ],
  );
});
