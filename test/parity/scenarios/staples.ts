// OCSP staples: who gets one, and who is turned away because there is none. Nobody checks their signatures, so that they
// are made when the proxies start.

import { ocspStaple } from '../../fixtures/ocsp.ts';
import { makeCa } from '../../fixtures/pki.ts';
import { downstreamTls, pair } from '../../fixtures/tls.ts';
import { bootstrap, get, http, routes } from '../config.ts';
import type { ClientTls, Group, Ports, Scenario } from '../types.ts';

const DAY_MS = 86_400_000;
/** Serials of `server.pem` and `server-rsa.pem`. */
const [ECDSA, RSA] = ['0a01', '0a02'];
const TLS_FEATURE = '1.3.6.1.5.5.7.1.24';
const LATE = { thisUpdate: new Date(Date.now() - 3 * DAY_MS), nextUpdate: new Date(Date.now() - DAY_MS) };

const ca = makeCa();
const strict = ca.issue({
  serial: '0d01',
  dns: ['a.example'],
  raw: [[TLS_FEATURE, Buffer.from('3003020105', 'hex')]],
});
const stapled = (staple: Buffer): object => ({ ocsp_staple: { inline_bytes: staple.toString('base64') } });
const good = (serial: string): object => stapled(ocspStaple(ca, serial));
const late = (serial: string): object => stapled(ocspStaple(ca, serial, LATE));
const endless = (serial: string): object => stapled(ocspStaple(ca, serial, { nextUpdate: null }));
const inline = (more: object): object => ({
  certificate_chain: { inline_string: strict.chain },
  private_key: { inline_string: strict.key },
  ...more,
});

const LISTENERS: Readonly<Record<string, readonly [certificates: readonly object[], policy?: string]>> = {
  none: [[pair('server')]],
  good: [[pair('server', good(ECDSA))]],
  revoked: [[pair('server', stapled(ocspStaple(ca, ECDSA, { revoked: true })))]],
  late: [[pair('server', late(ECDSA))]],
  endless: [[pair('server', endless(ECDSA))]],
  strictnone: [[pair('server')], 'STRICT_STAPLING'],
  strictgood: [[pair('server', good(ECDSA))], 'STRICT_STAPLING'],
  strictlate: [[pair('server', late(ECDSA))], 'STRICT_STAPLING'],
  mustgood: [[pair('server', good(ECDSA))], 'MUST_STAPLE'],
  mustlate: [[pair('server', late(ECDSA))], 'MUST_STAPLE'],
  feature: [[inline(good('0d01'))]],
  featurelate: [[inline(late('0d01'))]],
  otherlate: [[pair('server', good(ECDSA)), pair('server-rsa', late(RSA))], 'MUST_STAPLE'],
  firstlate: [[pair('server', late(ECDSA)), pair('server-rsa', good(RSA))], 'MUST_STAPLE'],
  bothlate: [[pair('server', late(ECDSA)), pair('server-rsa', late(RSA))], 'STRICT_STAPLING'],
};

function listener(ports: Ports, logPath: string, name: string): object {
  const [tls_certificates, ocsp_staple_policy = 'LENIENT_STAPLING'] = LISTENERS[name] as [object[], string?];
  const all = routes([{ match: { prefix: '/' }, direct_response: { status: 200 } }]);
  const made = http(ports, logPath, name, all) as { filter_chains: object[] };
  const transport_socket = downstreamTls({ tls_certificates }, { ocsp_staple_policy });
  return { ...made, stat_prefix: name, filter_chains: [{ ...made.filter_chains[0], transport_socket }] };
}

const ONLY_RSA = { version: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' } as const;

function asks(where: string, name: string, tls: ClientTls = {}): Scenario {
  return { name: `${where}: ${name}`, listener: where, tls: { status: true, ...tls }, client: [get('/')] };
}
const turnedAway = (where: string, name: string, tls: ClientTls = {}): Scenario => ({
  ...asks(where, name, tls),
  answers: 0,
});
const does = (where: string): Scenario => ({
  name: `${where}: not asked`,
  listener: where,
  tls: {},
  client: [get('/')],
});

export const staples: Group = {
  name: 'staples',
  listeners: Object.keys(LISTENERS),
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.keys(LISTENERS).map((name) => listener(ports, log, name)),
      [],
    ),
  stats: /^listener\.[a-z]+\.ssl\.(?!certificate)/,
  scenarios: [
    ...['none', 'good', 'revoked', 'late', 'endless', 'strictnone', 'strictgood', 'mustgood', 'feature'].flatMap(
      (where) => [asks(where, 'TLS 1.3'), asks(where, 'TLS 1.2', { version: 'TLSv1.2' }), does(where)],
    ),
    ...['strictlate', 'mustlate', 'featurelate', 'bothlate'].flatMap((where) => [
      turnedAway(where, 'TLS 1.3'),
      turnedAway(where, 'TLS 1.2', { version: 'TLSv1.2' }),
      does(where),
    ]),
    asks('otherlate', 'ECDSA'),
    turnedAway('otherlate', 'RSA', ONLY_RSA),
    asks('firstlate', 'RSA in its place'),
    asks('firstlate', 'RSA', ONLY_RSA),
    asks('firstlate', 'TLS 1.2', { version: 'TLSv1.2' }),
    does('firstlate'),
  ],
};
