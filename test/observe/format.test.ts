// Grammar and refusals of substitution formats; texts are Envoy's (`--mode validate`), with a position or a hint behind.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import {
  FLAG_NR,
  FLAG_UDO,
  FLAG_UF,
  FLAG_URX,
  flagNames,
  flagOf,
  flagsLongText,
  flagsText,
} from '../../proxy/observe/flags.ts';
import { compileFormat, compileText } from '../../proxy/observe/format.ts';
import { compileTime, formatIsoMs } from '../../proxy/observe/format-time.ts';
import { escapeJson } from '../../proxy/observe/json-text.ts';
import { type ConnectionInfo, StreamInfo, type TlsInfo } from '../../proxy/observe/stream-info.ts';
import { ConfigError } from '../../proxy/util/error.ts';

function connection(tls: TlsInfo | null): ConnectionInfo {
  return {
    id: 7,
    localAddress: '[2001:db8::1]:443',
    remoteAddress: '/run/client.sock',
    remoteIp: '',
    remotePort: 0,
    directRemoteAddress: '/run/client.sock',
    localIp: '2001:db8::1',
    localPort: 443,
    directRemoteIp: '',
    directRemotePort: 0,
    tls,
    requestedServerName: 'sni.example',
    terminationDetails: '',
    transportFailureReason: '',
    listenerName: 'l',
    filterChainName: '',
    startedMs: 0,
  };
}

function stream(tls: TlsInfo | null = null): StreamInfo {
  const info = new StreamInfo(connection(tls), Date.UTC(2026, 0, 3, 4, 5, 6, 7), 10);
  info.requestHeaders = new HeaderMap();
  info.requestHeaders.add('x-a', 'alpha');
  for (const value of ['a=1', 'b=2']) info.requestHeaders.add('cookie', value);
  for (const value of ['x', 'y']) info.requestHeaders.add('accept', value);
  return info;
}

const REFUSED: readonly (readonly [format: string, message: string])[] = [
  ['%', "Incorrect configuration: %. Couldn't find valid command at position 0"],
  ['ab%a%', "Incorrect configuration: ab%a%. Couldn't find valid command at position 2"],
  ['%REQ(a%', "Incorrect configuration: %REQ(a%. Couldn't find valid command at position 0"],
  ['%REQ(a):x%', "Couldn't find valid command at position 0"],
  ['%START_TIME(a)% b)%', "Couldn't find valid command at position 18"],
  ['%REQ(a\nb)%', "Couldn't find valid command at position 0"],
  ['x%BOGUS%', 'Not supported field in StreamInfo: BOGUS at position 1'],
  ['%RESPONSE_COD%', 'did you mean RESPONSE_CODE?'],
  ['%REQ%', 'REQ requires parameters'],
  ['%REQ()%', 'REQ requires parameters'],
  ['%REQ(a?b?c)%', 'More than 1 alternative header specified in token: a?b?c'],
  ['%REQ(a b)%', 'Invalid header configuration. Format string contains invalid characters.'],
  ['%REQ(:)%', 'Invalid header configuration. Format string contains invalid characters.'],
  ['%REQ(a:b)%', 'Invalid header configuration. Format string contains invalid characters.'],
  ['%PROTOCOL(a)%', 'PROTOCOL does not take any parameters or length'],
  ['%PROTOCOL:3%', 'PROTOCOL does not take any parameters or length'],
  ['%GRPC_STATUS_NUMBER(X)%', 'GRPC_STATUS_NUMBER does not take any parameters or length'],
  ['%GRPC_STATUS(X)%', 'GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: X'],
  ['%START_TIME(%n)%', 'Invalid header configuration. Format string contains newline.'],
  ['%COMMON_DURATION%', 'COMMON_DURATION requires parameters'],
  ['%COMMON_DURATION(a)%', 'Invalid common duration configuration: a.'],
  ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%', 'Invalid common duration precision: s.'],
  ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us):2%', 'COMMON_DURATION does not allow length to be specified.'],
  ['%START_TIME(%Y):4%', 'START_TIME does not allow length to be specified.'],
  ['%DOWNSTREAM_PEER_CERT_V_END:4%', 'DOWNSTREAM_PEER_CERT_V_END does not allow length to be specified.'],
  [
    '%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT:4%',
    'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT does not allow length to be specified.',
  ],
  ['%GRPC_STATUS:4%', 'GRPC_STATUS does not allow length to be specified.'],
  ['%UPSTREAM_METADATA(a):4%', 'UPSTREAM_METADATA does not allow length to be specified.'],
  ['%CLUSTER_METADATA(a):4%', 'CLUSTER_METADATA does not allow length to be specified.'],
  ['%RESPONSE_CODE_DETAILS(X):4%', 'RESPONSE_CODE_DETAILS does not allow length to be specified.'],
  ['%REQUESTED_SERVER_NAME:4%', 'REQUESTED_SERVER_NAME does not allow length to be specified.'],
  [
    '%REQUESTED_SERVER_NAME(x)%',
    "Invalid REQUESTED_SERVER_NAME option: 'x', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed",
  ],
  [
    '%REQUESTED_SERVER_NAME(SNI_FIRST:x)%',
    "Invalid REQUESTED_SERVER_NAME option: 'x', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed",
  ],
  ['%FILTER_STATE%', 'Invalid filter state configuration, key cannot be empty.'],
  ['%FILTER_STATE(a:b)%', 'Invalid filter state serialize type, only support PLAIN/TYPED/FIELD.'],
  ['%FILTER_STATE(a:FIELD)%', 'Invalid filter state serialize type, FIELD should be used with the field name.'],
  ['%FILTER_STATE(a:PLAIN:b)%', 'Invalid filter state serialize type, FIELD should be used with the field name.'],
  ['%PATH(X)%', "Invalid PATH option: 'X', only 'WQ'/'NQ' are allowed"],
  ['%PATH(WQ:X)%', "Invalid PATH option: 'X', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed"],
  ['%QUERY_PARAMS(X)%', "Invalid QUERY_PARAMS option: 'X', only 'ORIG'/'DECODED' are allowed"],
  ['%METADATA(FOO:a)%', 'FOO is not supported type of metadata'],
  ['%DYNAMIC_METADATA()%', 'DYNAMIC_METADATA requires parameters'],
  ['%ENVIRONMENT()%', 'ENVIRONMENT requires parameters'],
  ['%CEL(request.path)%', 'CEL expressions (%CEL(…)%) are not supported'],
  ['%COALESCE({})%', "COALESCE: JSON configuration must contain 'operators' array"],
  ['%COALESCE({"operators":[]})%', "COALESCE: 'operators' array must not be empty"],
  ['%COALESCE({"operators":["REQ"]})%', 'COALESCE: failed to parse operator at index 0: REQ requires parameters'],
  ['%COALESCE({"operators":["REQ(x)"]})%', "COALESCE: failed to parse operator at index 0: unknown command: 'REQ(x)'"],
];

t.test('what Envoy refuses is refused', (t) => {
  for (const [format, message] of REFUSED) {
    let caught = '';
    try {
      compileText(format, false);
    } catch (error) {
      t.ok(error instanceof ConfigError, format);
      caught = (error as Error).message;
    }
    t.ok(caught.includes(message), `${format}: ${caught}`);
  }
  t.end();
});

t.test('literals, percent signs and absent values', (t) => {
  const info = stream();
  const cases: readonly (readonly [string, string, string])[] = [
    ['', '', ''],
    ['plain', 'plain', 'plain'],
    ['100%%', '100%', '100%'],
    ['%%REQ(x-a)%%', '%REQ(x-a)%', '%REQ(x-a)%'],
    ['%REQ(x-a)%%REQ(x-a):2%', 'alphaal', 'alphaal'],
    ['<%REQ(nope)%>', '<->', '<>'],
    ['%REQ(nope)%|%REQ(X-A)%|%TRACE_ID%', '-|alpha|-', '|alpha|'],
    ['%REQUESTED_SERVER_NAME%', 'sni.example', 'sni.example'],
    ['é%REQ(x-a)%', 'éalpha', 'éalpha'],
    ['%REQ(cookie)% %REQ(accept)%', 'a=1 x,y', 'a=1 x,y'],
  ];
  for (const [format, text, omitted] of cases) {
    t.equal(compileText(format, false)(info), text, format);
    t.equal(compileText(format, true)(info), omitted, `${format}, omit`);
  }
  t.end();
});

t.test('JSON with absent values left out, as Envoy 1.40 does', (t) => {
  const format = {
    e: {},
    a: [],
    n: null,
    d: { x: '%REQ(no)%' },
    l: ['%REQ(no)%'],
    ll: [[], {}, null],
    s: '',
    k: '%REQ(no)%',
    t: '%REQ(x-a)%',
    m: '<%REQ(no)%>',
    num: 3,
  };
  const line = compileFormat({ kind: 'json', format, omitEmptyValues: true, sortProperties: false })(stream());
  t.equal(line, '{"a":[],"l":[],"ll":[[]],"m":"<>","num":3,"s":"","t":"alpha"}\n');
  const none = { kind: 'json', format: { k: '%REQ(no)%' }, omitEmptyValues: true, sortProperties: false } as const;
  t.equal(compileFormat(none)(stream()), '{}\n');
  t.end();
});

t.test('JSON escapes', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ['plain', 'plain'],
    ['"\\/\b\f\n\r\t\x01\x1f\x7f', '\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f'],
    [Buffer.from('é€😀').toString('latin1'), Buffer.from('é€😀').toString('latin1')],
    // Not UTF-8: a lone byte, a cut sequence, an overlong form, a surrogate, beyond U+10FFFF.
    ['a\xff"\\/\t\x80', 'a\\u00ff\\u0022\\u005c/\\u0009\\u0080'],
    ['\xe2\x82', '\\u00e2\\u0082'],
    ['\xc0\xaf', '\\u00c0\\u00af'],
    ['\xed\xa0\x80', '\\u00ed\\u00a0\\u0080'],
    ['\xf4\x90\x80\x80', '\\u00f4\\u0090\\u0080\\u0080'],
  ];
  for (const [bytes, text] of cases) t.equal(escapeJson(bytes), text, JSON.stringify(bytes));
  t.end();
});

t.test('addresses of every kind', (t) => {
  const info = stream();
  info.remoteAddress = '[2001:db8:1:2::3]:99';
  const read = (format: string): string => compileText(format, false)(info);
  t.equal(read('%DOWNSTREAM_LOCAL_ADDRESS%'), '[2001:db8::1]:443');
  t.equal(read('%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%'), '2001:db8::1');
  t.equal(read('%DOWNSTREAM_LOCAL_PORT%'), '443');
  t.equal(read('%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%'), '/run/client.sock');
  t.equal(read('%DOWNSTREAM_DIRECT_REMOTE_PORT%'), '-');
  t.equal(read('%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(32)%'), '2001:db8::/32');
  t.equal(read('%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(49)%'), '2001:db8:1::/49');
  t.equal(read('%UPSTREAM_HOST%'), '-');
  t.end();
});

t.test('TLS', (t) => {
  const certificate = (name: string) => ({
    subject: `CN=${name}`,
    issuer: 'CN=ca',
    serial: '0a',
    uriSans: ['spiffe://a', 'spiffe://b'],
    dnsSans: [],
    ipSans: ['1.2.3.4'],
    emailSans: [],
    otherNameSans: [],
    fingerprint256: `256${name}`,
    fingerprint1: `1${name}`,
    pem: 'PEM',
    validFromMs: Date.UTC(2026, 1, 3),
    validToMs: Number.NaN,
  });
  const info = stream({
    version: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    sessionId: '',
    group: '',
    serverName: '',
    peer: certificate('leaf'),
    local: null,
    alpn: '',
    issuer: certificate('ca'),
    peerValidated: true,
    peerChain: [certificate('leaf'), certificate('ca')],
  });
  const cases: readonly (readonly [string, string])[] = [
    ['DOWNSTREAM_TLS_VERSION', 'TLSv1.3'],
    ['DOWNSTREAM_TLS_CIPHER', 'TLS_AES_128_GCM_SHA256'],
    ['DOWNSTREAM_TLS_SESSION_ID', '-'],
    ['DOWNSTREAM_PEER_SUBJECT', 'CN=leaf'],
    ['DOWNSTREAM_PEER_URI_SAN', 'spiffe://a,spiffe://b'],
    ['DOWNSTREAM_PEER_DNS_SAN', '-'],
    ['DOWNSTREAM_LOCAL_SUBJECT', '-'],
    ['DOWNSTREAM_PEER_CERT_V_START', '2026-02-03T00:00:00.000Z'],
    ['DOWNSTREAM_PEER_CERT_V_START(%b %e)', 'Feb  3'],
    ['DOWNSTREAM_PEER_CERT_V_END', '-'],
    ['DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256', '256leaf,256ca'],
    ['DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256', '256ca'],
    ['UPSTREAM_TLS_VERSION', '-'],
  ];
  for (const [operator, text] of cases) t.equal(compileText(`%${operator}%`, false)(info), text, operator);
  t.end();
});

t.test('response flags', (t) => {
  t.equal(flagsText(0), '-');
  t.equal(flagsText(FLAG_URX | FLAG_UF), 'URX,UF');
  t.equal(flagsText(FLAG_URX | FLAG_UF), 'URX,UF', 'kept text');
  t.equal(flagsLongText(FLAG_NR | FLAG_UDO), 'NoRouteFound,UnconditionalDropOverload');
  t.equal(flagNames().length, 30);
  for (const name of flagNames()) t.equal(flagsText(flagOf(name)), name);
  t.equal(flagOf('XX'), 0);
  t.end();
});

t.test('gRPC status', (t) => {
  const info = stream();
  const read = (format: string): string => compileText(format, false)(info);
  info.requestHeaders?.add('content-type', 'application/grpc+proto');
  t.equal(read('%GRPC_STATUS%'), '-', 'no answer yet');
  info.status = 503;
  t.equal(read('%GRPC_STATUS(SNAKE_STRING)%'), 'UNAVAILABLE', 'from the HTTP status');
  info.responseHeaders = new HeaderMap();
  info.responseHeaders.add('grpc-status', '1');
  t.equal(read('%GRPC_STATUS%|%GRPC_STATUS(SNAKE_STRING)%|%GRPC_STATUS_NUMBER%'), 'Canceled|CANCELLED|1');
  info.responseTrailers = new HeaderMap();
  info.responseTrailers.add('grpc-status', '16');
  t.equal(read('%GRPC_STATUS%|%GRPC_STATUS(SNAKE_STRING)%'), 'Unauthenticated|UNAUTHENTICATED', 'trailers win');
  info.responseTrailers.set('grpc-status', '99');
  t.equal(read('%GRPC_STATUS%'), '99', 'an unknown number stays one');
  t.end();
});

t.test('time stamps', (t) => {
  const at = Date.UTC(2024, 11, 30, 0, 1, 2) + 3.25;
  t.equal(formatIsoMs(at), '2024-12-30T00:01:02.003Z');
  t.equal(formatIsoMs(at + 1000), '2024-12-30T00:01:03.003Z', 'the next second');
  const cases: readonly (readonly [string, string])[] = [
    ['', '2024-12-30T00:01:02.003Z'],
    ['%G-W%V-%u %g', '2025-W01-1 25'],
    ['%I %l %p', '12 12 AM'],
    ['%j %U %W', '365 52 53'],
    ['%6f|%E*S|%E2S', '003250|02.00325|02.00'],
    ['%-d %-M %_H %^a %05d', '30 1  0 MON 00030'],
    ['%Q%', '%Q%'],
  ];
  for (const [format, text] of cases) t.equal(compileTime(format, false)(at), text, format);
  t.end();
});
