// What OpenSSL's client and server do with a proxy, and what they must print.

import type { Step } from '../fixtures/openssl.ts';
import { makeCa } from '../fixtures/pki.ts';

const HOUR_MS = 3_600_000;
const LAPSED = { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) };

export const ca = makeCa();
const foreign = makeCa();
const cn = (name: string) => ({ subject: [['CN', name]] as const, dns: [name] });
export const CERTIFICATES = {
  ec: ca.issue(cn('a.test')),
  rsa: ca.issue({ ...cn('a.test'), keyType: 'rsa' }),
  other: ca.issue(cn('b.test')),
  client: ca.issue(cn('client')),
  lapsed: ca.issue({ ...cn('lapsed'), ...LAPSED }),
  foreign: foreign.issue(cn('foreign')),
} as const;
export type CertificateName = keyof typeof CERTIFICATES;

// === The proxy serves ===

/** Listeners before an echo: `names` has several certificates and protocols, `mutual` asks for one of the client. */
export const SERVED = ['names', 'mutual', 'hiding', 'staple', 'tickets', 'fresh'] as const;

export interface ClientCase {
  readonly name: string;
  readonly to: (typeof SERVED)[number];
  /** `CERT:x` and `KEY:x` stand for files of `CERTIFICATES`, `CA` for the root, `TMP:x` for a file of the run. */
  readonly args: string;
  /** Default: `hello` when the handshake is done, and the end when it has come back. */
  readonly steps?: readonly Step[];
  /** All of this is printed. */
  readonly expect: readonly RegExp[];
  /** None of this is. */
  readonly never?: readonly RegExp[];
}

/** The client has told all about the handshake. */
const DONE = /Verify return code: .*\n/;
export const ECHO: readonly Step[] = [
  { after: DONE, type: 'hello\n' },
  { after: /hello\n/, type: 'Q\n' },
];
const echoes = (...types: readonly string[]): readonly Step[] => [
  { after: DONE, type: 'first\n' },
  ...types.map((type, i): Step => ({ after: i === 0 ? /first\n/ : /KEYUPDATE\n/, type })),
  { after: types.length === 0 ? /first\n/ : /KEYUPDATE\n/, type: 'hello\n' },
  { after: /hello\n/, type: 'Q\n' },
];
const VERIFIED = /Verify return code: 0 \(ok\)/;
/** What is received goes past the buffer of what is told: anywhere in between. */
const CAME_BACK = /hello\n/;
const NONE = '-noservername';

export const CLIENT_CASES: readonly ClientCase[] = [
  {
    name: 'TLS 1.3',
    to: 'names',
    args: '-tls1_3 -CAfile CA -servername a.test -verify_hostname a.test',
    expect: [/^New, TLSv1\.3/m, VERIFIED, /Server Temp Key: X25519/, CAME_BACK],
  },
  {
    name: 'TLS 1.2',
    to: 'names',
    args: '-tls1_2 -CAfile CA -servername a.test -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256',
    expect: [/^New, TLSv1\.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256$/m, VERIFIED, CAME_BACK],
  },
  {
    name: 'TLS 1.1 is refused with its alert',
    to: 'names',
    args: '-tls1_1 -cipher ALL:@SECLEVEL=0',
    expect: [/alert protocol version.*SSL alert number 70/s],
  },
  {
    name: 'RSA for who cannot verify ECDSA',
    to: 'names',
    args: '-servername a.test -sigalgs RSA-PSS+SHA256',
    expect: [/^subject=CN = a\.test$/m, /Peer signature type: RSA-PSS/, CAME_BACK],
  },
  {
    name: 'RSA for TLS 1.2 with such suites',
    to: 'names',
    args: '-tls1_2 -servername a.test -cipher ECDHE-RSA-AES256-GCM-SHA384',
    expect: [/Cipher is ECDHE-RSA-AES256-GCM-SHA384/, /Peer signature type: RSA/, CAME_BACK],
  },
  {
    name: 'ECDSA for who can',
    to: 'names',
    args: '-servername a.test',
    expect: [/Peer signature type: ECDSA/, CAME_BACK],
  },
  { name: 'another name', to: 'names', args: '-servername b.test', expect: [/^subject=CN = b\.test$/m, CAME_BACK] },
  { name: 'an unknown name', to: 'names', args: '-servername c.test', expect: [/^subject=CN = a\.test$/m, CAME_BACK] },
  { name: 'no name', to: 'names', args: NONE, expect: [/^subject=CN = a\.test$/m, CAME_BACK] },
  { name: 'ALPN h2', to: 'names', args: '-alpn h2,http/1.1', expect: [/^ALPN protocol: h2$/m, CAME_BACK] },
  { name: 'ALPN by the order of the server', to: 'names', args: '-alpn http/1.1,h2', expect: [/^ALPN protocol: h2$/m] },
  {
    name: 'ALPN without a common protocol',
    to: 'names',
    args: '-alpn imap',
    expect: [/^No ALPN negotiated$/m, CAME_BACK],
  },
  { name: 'no ALPN', to: 'names', args: '', expect: [/^No ALPN negotiated$/m, CAME_BACK] },
  {
    name: 'a group of the third choice: the server asks again',
    to: 'names',
    args: '-groups P-256',
    expect: [/Server Temp Key: ECDH, prime256v1/, CAME_BACK],
  },
  {
    name: 'no common group',
    to: 'names',
    args: '-groups P-521',
    expect: [/SSL alert number 40/],
    never: [CAME_BACK],
  },
  {
    name: 'no common suite',
    to: 'names',
    args: '-tls1_2 -cipher AES128-SHA256',
    expect: [/SSL alert number 40/],
    never: [CAME_BACK],
  },
  {
    name: 'a certificate that the client does not trust',
    to: 'names',
    args: '-CAfile CERT:foreign -verify_return_error -verify 1',
    expect: [/verify error:num=\d+/],
    never: [CAME_BACK],
  },
  {
    name: 'a session without a ticket is kept',
    to: 'tickets',
    args: '-tls1_2 -no_ticket -sess_out TMP:kept',
    expect: [/^New, TLSv1\.2/m, CAME_BACK],
  },
  {
    name: 'and found',
    to: 'tickets',
    args: '-tls1_2 -no_ticket -sess_in TMP:kept',
    expect: [/^Reused, TLSv1\.2/m, CAME_BACK],
  },
  {
    name: 'nothing is kept',
    to: 'fresh',
    args: '-tls1_2',
    expect: [/^New, TLSv1\.2/m, CAME_BACK],
    never: [/session ticket/],
  },
  ...(['-tls1_2', '-tls1_3'] as const).flatMap((version): ClientCase[] => [
    {
      name: `roots that are not named ${version}`,
      to: 'hiding',
      args: `${version} -cert CERT:client -key KEY:client`,
      expect: [/No client certificate CA names sent/, CAME_BACK],
    },
    {
      name: `nor trusted without reason ${version}`,
      to: 'hiding',
      args: `${version} -cert CERT:foreign -key KEY:foreign`,
      expect: [/CONNECTED/],
      never: [CAME_BACK],
    },
    {
      name: `mutual ${version}`,
      to: 'mutual',
      args: `${version} -CAfile CA -cert CERT:client -key KEY:client`,
      expect: [VERIFIED, /Acceptable client certificate CA names\nCN = test root/, CAME_BACK],
    },
    {
      name: `no certificate ${version}`,
      to: 'mutual',
      args: version,
      expect: [version === '-tls1_3' ? /SSL alert number 116|unexpected eof/ : /SSL alert number 40|unexpected eof/],
      never: [CAME_BACK],
    },
    ...(['lapsed', 'foreign'] as const).map(
      (who): ClientCase => ({
        name: `a ${who} certificate ${version}`,
        to: 'mutual',
        args: `${version} -cert CERT:${who} -key KEY:${who}`,
        expect: [/SSL alert number 4[568]|unexpected eof|errno=|closed/],
        never: [CAME_BACK],
      }),
    ),
    {
      name: `a session is given ${version}`,
      to: 'tickets',
      args: `${version} -sess_out TMP:session${version}`,
      expect: [/^New, TLS/m, CAME_BACK],
    },
    {
      name: `and taken ${version}`,
      to: 'tickets',
      args: `${version} -sess_in TMP:session${version}`,
      expect: [/^Reused, TLS/m, CAME_BACK],
    },
    {
      name: `but not where other things are asked ${version}`,
      to: 'mutual',
      args: `${version} -sess_in TMP:session${version}`,
      expect: [],
      never: [/^Reused/m, CAME_BACK],
    },
    {
      name: `padded and small records ${version}`,
      to: 'names',
      args: `${version} -max_send_frag 512 -split_send_frag 512${version === '-tls1_3' ? ' -record_padding 4096' : ''}`,
      steps: [
        { after: DONE, type: `${'x'.repeat(60_000)}\nhello\n` },
        { after: /x\nhello\n/, type: 'Q\n' },
      ],
      expect: [/x{60000}\nhello\n/],
    },
    {
      name: `records of full length ${version}`,
      to: 'names',
      args: version,
      steps: [
        { after: DONE, type: `${'y'.repeat(300_000)}\nhello\n` },
        { after: /y\nhello\n/, type: 'Q\n' },
      ],
      expect: [/y{300000}\nhello\n/],
    },
    {
      name: `the end of the other side ${version}`,
      to: 'names',
      args: version,
      steps: [{ after: DONE, type: 'bye\n' }],
      expect: [/gone\n/, /closed\n/],
    },
  ]),
  {
    name: 'new keys of both sides',
    to: 'names',
    args: '-tls1_3',
    steps: echoes('K\n'),
    expect: [/KEYUPDATE/, CAME_BACK],
  },
  {
    name: 'new keys of one side, twice',
    to: 'names',
    args: '-tls1_3',
    steps: echoes('k\n', 'k\n'),
    expect: [/KEYUPDATE[\s\S]*KEYUPDATE/, CAME_BACK],
  },
  {
    name: 'renegotiation is refused',
    to: 'names',
    args: '-tls1_2',
    steps: [
      { after: DONE, type: 'R\n' },
      { after: /RENEGOTIATING\n/, type: 'hello\n' },
      { after: DONE, type: 'Q\n' },
    ],
    expect: [/RENEGOTIATING/, /no renegotiation|SSL alert number 100|:error:|unexpected eof/],
    never: [CAME_BACK],
  },
  { name: 'a staple', to: 'staple', args: '-status', expect: [/Cert Status: good/, CAME_BACK] },
  { name: 'no staple unless asked', to: 'staple', args: '', expect: [CAME_BACK], never: [/Cert Status/] },
  { name: 'no staple to give', to: 'names', args: '-status', expect: [/OCSP response: no response sent/, CAME_BACK] },
];

// === The proxy is the client ===

export interface ServerCase {
  readonly name: string;
  /** Of `s_server`; placeholders as above. */
  readonly args: string;
  /** Of the cluster's context. */
  readonly common?: object;
  /** Default TLS 1.3; `null` = the default of the proxy. */
  readonly highest?: null;
  /** The certificate that the proxy shows. */
  readonly shows?: CertificateName;
  /** Answers one after the other: of each its status, and what the status page says. */
  readonly answers: readonly (readonly [status: number, ...page: RegExp[]])[];
}

const SERVER = '-cert CERT:ec -key KEY:ec';

export const SERVER_CASES: readonly ServerCase[] = [
  {
    name: 'TLS 1.3, and its session',
    args: SERVER,
    answers: [
      [200, /^New, TLSv1\.3, Cipher is TLS_AES_\d+_GCM/m],
      [200, /^Reused, TLSv1\.3/m],
    ],
  },
  {
    name: 'TLS 1.2 unless it is told otherwise, and its session',
    args: SERVER,
    highest: null,
    answers: [
      [200, /^New, TLSv1\.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256$/m],
      [200, /^Reused, TLSv1\.2/m],
    ],
  },
  {
    name: 'a server without tickets',
    args: `${SERVER} -no_ticket -no_cache`,
    answers: [
      [200, /^New, TLSv1\.3/m],
      [200, /^New, TLSv1\.3/m],
    ],
  },
  {
    name: 'the suite that the server has',
    args: `-cert CERT:rsa -key KEY:rsa -tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305`,
    answers: [[200, /Cipher is ECDHE-RSA-CHACHA20-POLY1305/]],
  },
  { name: 'a suite that we do not offer', args: `${SERVER} -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA`, answers: [[503]] },
  {
    name: 'a group that the server has to ask for',
    args: `${SERVER} -groups P-256`,
    answers: [[200, /^New, TLSv1\.3/m]],
  },
  { name: 'a group that we do not offer', args: `${SERVER} -groups P-521`, answers: [[503]] },
  {
    name: 'a server that wants our certificate',
    args: `${SERVER} -Verify 1 -verify_return_error -CAfile CA`,
    shows: 'client',
    answers: [[200, /Subject: CN\s?=\s?client/]],
  },
  {
    name: 'and gets none, TLS 1.2',
    args: `${SERVER} -tls1_2 -Verify 1 -verify_return_error -CAfile CA`,
    answers: [[503]],
  },
  {
    name: 'and gets none',
    args: `${SERVER} -Verify 1 -verify_return_error -CAfile CA`,
    answers: [[503]],
  },
  {
    name: 'and gets that of a stranger',
    args: `${SERVER} -Verify 1 -verify_return_error -CAfile CA`,
    shows: 'foreign',
    answers: [[503]],
  },
  { name: 'a server whose certificate has expired', args: '-cert CERT:lapsed -key KEY:lapsed', answers: [[503]] },
  { name: 'a server of another authority', args: '-cert CERT:foreign -key KEY:foreign', answers: [[503]] },
  {
    name: 'a server by its name',
    args: `${SERVER} -cert2 CERT:ec -key2 KEY:ec -servername a.test -servername_fatal`,
    answers: [[200]],
  },
  {
    name: 'ALPN http/1.1',
    args: `${SERVER} -alpn h2,http/1.1`,
    common: { alpn_protocols: ['http/1.1'] },
    answers: [[200, /^New, TLSv1\.3/m]],
  },
  {
    name: 'ALPN that the server does not speak',
    args: `${SERVER} -alpn imap`,
    common: { alpn_protocols: ['http/1.1'] },
    answers: [[503]],
  },
  { name: 'padded and small records', args: `${SERVER} -max_send_frag 512 -record_padding 2048`, answers: [[200]] },
];

/** A server that types keys of its own while bytes go through; all of it is printed by the client of the proxy. */
export interface TypedCase {
  readonly name: string;
  readonly args: string;
  readonly context?: object;
  readonly types: readonly string[];
  /** Whether bytes still come through afterwards. */
  readonly lives: boolean;
}

export const TYPED_CASES: readonly TypedCase[] = [
  { name: 'new keys of both sides', args: SERVER, types: ['K\n', 'K\n'], lives: true },
  { name: 'new keys of the server', args: SERVER, types: ['k\n'], lives: true },
  { name: 'renegotiation is refused', args: `${SERVER} -tls1_2`, types: ['r\n'], lives: false },
  {
    name: 'renegotiation is allowed',
    args: `${SERVER} -tls1_2`,
    context: { allow_renegotiation: true },
    types: ['r\n'],
    lives: true,
  },
];
