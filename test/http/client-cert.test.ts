// x-forwarded-client-cert: every mode against what Envoy 1.40 sent for the same certificates (`fixtures/tls/`).

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { compileClientCert } from '../../proxy/http/client-cert.ts';
import type { CertificateInfo, TlsInfo } from '../../proxy/observe/stream-info.ts';

const HEADER = 'x-forwarded-client-cert';

function certificate(changes: Partial<CertificateInfo>): CertificateInfo {
  return {
    subject: '',
    issuer: '',
    serial: '',
    uriSans: [],
    dnsSans: [],
    ipSans: [],
    emailSans: [],
    otherNameSans: [],
    fingerprint256: 'beef',
    fingerprint1: '',
    pem: '-PEM-',
    validFromMs: 0,
    validToMs: 0,
    ...changes,
  };
}

function connection(peer: CertificateInfo | null, localUris: readonly string[] = ['spiffe://td/sa/server']): TlsInfo {
  return {
    version: 'TLSv1.3',
    cipher: '',
    sessionId: '',
    group: '',
    serverName: '',
    alpn: '',
    peer,
    local: certificate({ uriSans: localUris }),
    issuer: null,
    peerValidated: true,
    peerChain: peer === null ? [] : [peer, certificate({ pem: '-MIDDLE-' })],
  };
}

const NONE = { subject: false, cert: false, chain: false, dns: false, uri: false, issuer: false };
const ALL = { subject: true, cert: true, chain: true, dns: true, uri: true, issuer: true };
const FULL = certificate({
  issuer: 'CN=middle',
  subject: 'CN=client \\+ \\C3\\BC,OU=one,O=Test\\, Inc. \\"quoted\\",C=DE',
  uriSans: ['spiffe://td/sa/client', 'https://second.example/a,b'],
  dnsSans: ['client.example', '*.client.example'],
});
const PLAIN = certificate({ subject: 'CN=plain', dnsSans: ['other.example'] });
const ISTIO = certificate({ uriSans: ['spiffe://td/sa/client'] });

type Mode = Parameters<typeof compileClientCert>[0]['forwardClientCert'];

function sent(mode: Mode, set: typeof NONE, tls: TlsInfo | null, incoming: readonly string[]): readonly string[] {
  const headers = new HeaderMap();
  headers.add('a', 'b');
  for (const value of incoming) headers.add(HEADER, value);
  const rule = compileClientCert({ forwardClientCert: mode, setCurrentClientCert: set });
  rule(headers, tls, incoming.length > 0);
  return headers.values.filter((_, i) => headers.names[i] === HEADER);
}

const BY = 'By=spiffe://td/sa/server;Hash=beef';

t.test('modes', async (t) => {
  for (const [mode, tls, incoming, want] of [
    ['sanitize', connection(ISTIO), ['one'], []],
    ['sanitize', connection(ISTIO), [], []],
    ['sanitize', null, ['one'], []],
    ['forward_only', connection(ISTIO), ['one'], ['one']],
    ['forward_only', connection(ISTIO), ['one', 'two'], ['one,two']],
    ['forward_only', connection(ISTIO), [], []],
    ['forward_only', connection(null), ['one'], []],
    ['forward_only', null, ['one'], []],
    ['append_forward', connection(ISTIO), [], [BY]],
    ['append_forward', connection(ISTIO), ['one'], [`one,${BY}`]],
    ['append_forward', connection(ISTIO), ['one', 'two'], [`one,two,${BY}`]],
    ['append_forward', connection(null), ['one'], []],
    ['append_forward', null, ['one'], []],
    ['sanitize_set', connection(ISTIO), [], [BY]],
    ['sanitize_set', connection(ISTIO), ['one', 'two'], [BY]],
    ['sanitize_set', connection(null), ['one'], []],
    ['sanitize_set', null, ['one'], []],
    ['always_forward_only', connection(ISTIO), ['one', 'two'], ['one,two']],
    ['always_forward_only', connection(null), ['one'], ['one']],
    ['always_forward_only', null, ['one'], ['one']],
    ['always_forward_only', null, [], []],
  ] as const)
    t.same(sent(mode, NONE, tls, incoming), want, `${mode} ${tls === null ? 'clear' : tls.peer} ${incoming}`);
});

t.test('what an element says', async (t) => {
  const element = (set: typeof NONE, peer: CertificateInfo) => sent('sanitize_set', set, connection(peer), [])[0];
  t.equal(
    element(ALL, FULL),
    `${BY};Cert="-PEM-";Chain="-PEM--MIDDLE-";Subject="CN=client \\+ \\C3\\BC,OU=one,O=Test\\, Inc. \\"quoted\\",C=DE";URI=spiffe://td/sa/client;URI=https://second.example/a,b;DNS=client.example;DNS=*.client.example;Issuer="CN=middle"`,
  );
  const istio = { ...NONE, subject: true, dns: true, uri: true };
  t.equal(element(istio, ISTIO), `${BY};Subject="";URI=spiffe://td/sa/client`);
  t.equal(element(istio, PLAIN), `${BY};Subject="CN=plain";URI=;DNS=other.example`);
  t.equal(element({ ...NONE, uri: true }, PLAIN), `${BY};URI=`);
  t.equal(element({ ...NONE, dns: true }, ISTIO), BY);
  t.same(sent('append_forward', NONE, connection(ISTIO, []), []), ['Hash=beef'], 'no URI of its own');
});

t.test('an element is built once a connection', async (t) => {
  let built = 0;
  const peer = Object.defineProperty(certificate({}), 'fingerprint256', {
    get: () => {
      built++;
      return 'beef';
    },
  });
  const rule = compileClientCert({ forwardClientCert: 'append_forward', setCurrentClientCert: NONE });
  const [one, other] = [connection(peer), connection(certificate({ fingerprint256: 'cafe' }))];
  const run = (tls: TlsInfo): string | null => {
    const headers = new HeaderMap();
    rule(headers, tls, false);
    return headers.get(HEADER);
  };
  t.same([run(one), run(other), run(one)], [BY, 'By=spiffe://td/sa/server;Hash=cafe', BY]);
  t.ok(built > 0 && built <= 2, 'the second request does not read the certificate');
});
