// What listener filters find in the first bytes of a connection, and which chain it gets. Chains without filters close at
// once: the listener's log tells all.

import * as hello from '../../fixtures/hello.ts';
import { address, bootstrap, cluster, fileLog, get, http, routes, tcp } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.listener.';

export const tlsInspector = (config: object = {}, more: object = {}): object => ({
  name: 'tls',
  typed_config: { '@type': `${TYPE}tls_inspector.v3.TlsInspector`, ...config },
  ...more,
});
const httpInspector = (more: object = {}): object => ({
  name: 'http',
  typed_config: { '@type': `${TYPE}http_inspector.v3.HttpInspector` },
  ...more,
});
export const proxyProtocol = (config: object = {}): object => ({
  name: 'proxy',
  typed_config: { '@type': `${TYPE}proxy_protocol.v3.ProxyProtocol`, ...config },
});

const FOUND = {
  chain: '%FILTER_CHAIN_NAME%',
  sni: '%REQUESTED_SERVER_NAME%',
  ja3: '%TLS_JA3_FINGERPRINT%',
  ja4: '%TLS_JA4_FINGERPRINT%',
  failure: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
  why: '%DYNAMIC_METADATA(envoy.filters.listener.tls_inspector)%',
};
const when = (name: string, filter_chain_match: object): object => ({ name, filter_chain_match });

/** A listener whose chains only have names. */
function sniffing(ports: Ports, log: string, name: string, filters: readonly object[], more: object = {}): object {
  return {
    name,
    stat_prefix: name,
    address: address(ports[name]),
    access_log: [fileLog(log, FOUND)],
    listener_filters: filters,
    listener_filters_timeout: '1s',
    filter_chains: [
      when('tls a.example', { transport_protocol: 'tls', server_names: ['a.example'] }),
      when('tls h2', { transport_protocol: 'tls', application_protocols: ['h2'] }),
      when('tls', { transport_protocol: 'tls' }),
      when('h2c', { application_protocols: ['h2c'] }),
      when('http/1.1', { application_protocols: ['http/1.1'] }),
      when('http/1.0', { application_protocols: ['http/1.0'] }),
    ],
    default_filter_chain: { name: 'default' },
    ...more,
  };
}

const chainsOf = (listener: object): object => (listener as { filter_chains: [object] }).filter_chains[0];

// === What is sent ===

const D = hello.DEFAULT_EXTENSIONS;
const without = (...types: number[]): (readonly [number, Buffer])[] => D.filter(([type]) => !types.includes(type));
const instead = (extension: readonly [number, Buffer]): (readonly [number, Buffer])[] =>
  D.map((each) => (each[0] === extension[0] ? extension : each));
const extended = (...extensions: (readonly [number, Buffer])[]): Buffer =>
  hello.hello({ extensions: [...D, ...extensions] });
const changed = (at: number, value: number): Buffer => {
  const bytes = hello.hello();
  bytes[at] = value;
  return bytes;
};
const message = hello.helloMessage();
const messageOf = (bodyLength: number): Buffer => {
  const bytes = hello.hello();
  bytes.writeUIntBE(bodyLength, 6, 3);
  return bytes;
};

/** Hellos as they may come, and what is none. */
const HELLOS: readonly (readonly [string, Buffer])[] = [
  ['hello', hello.hello()],
  ['no server name', hello.hello({ extensions: without(0) })],
  ['no protocols', hello.hello({ extensions: without(16) })],
  ['no signature algorithms', hello.hello({ extensions: without(13) })],
  ['no extensions', hello.hello({ extensions: null })],
  ['empty extensions', hello.hello({ extensions: [] })],
  ['server name in capitals', hello.hello({ extensions: instead(hello.sni('A.Example')) })],
  ['another server name', hello.hello({ extensions: instead(hello.sni('b.example')) })],
  ['empty server name', hello.hello({ extensions: instead(hello.sni('')) })],
  ['server name with a zero', hello.hello({ extensions: instead(hello.sni('a\0b')) })],
  ['server name of 256 bytes', hello.hello({ extensions: instead(hello.sni('a'.repeat(256))) })],
  ['server name of another type', hello.hello({ extensions: instead([0, hello.sized16(hello.u8(1, 0, 1, 97))]) })],
  ['server name cut off', hello.hello({ extensions: instead([0, hello.u8(0, 5, 0, 0, 9)]) })],
  ['two server names', extended(hello.sni('b.example'))],
  ['an unknown extension twice', extended([999, Buffer.alloc(0)], [999, Buffer.alloc(0)])],
  ['empty list of protocols', hello.hello({ extensions: instead([16, hello.u16(0)]) })],
  ['empty name of a protocol', hello.hello({ extensions: instead(hello.alpn('h2', '')) })],
  ['protocols cut off', hello.hello({ extensions: instead([16, hello.u8(0, 5, 9, 1)]) })],
  ['protocol of one letter', hello.hello({ extensions: [...without(0, 16), hello.alpn('x')] })],
  ['protocols in the client’s order', hello.hello({ extensions: [...without(0, 16), hello.alpn('http/1.1', 'h2')] })],
  ['SSL 3.0', hello.hello({ version: 0x0300, extensions: without(43) })],
  ['SSL 3.0 that lists TLS 1.3', hello.hello({ version: 0x0300 })],
  ['TLS 1.0', hello.hello({ version: 0x0301, extensions: without(43) })],
  ['TLS 1.2', hello.hello({ extensions: without(43) })],
  ['TLS of the future', hello.hello({ version: 0x0404 })],
  ['lists TLS of the future only', hello.hello({ extensions: instead(hello.versions(0x0305)) })],
  ['lists TLS 1.2', hello.hello({ extensions: instead(hello.versions(0x0303)) })],
  ['lists grease', hello.hello({ extensions: instead(hello.versions(0x0a0a, 0x0304)) })],
  ['grease everywhere', hello.hello({ ciphers: [0x1a1a, 0x1301], extensions: [[0x2a2a, Buffer.alloc(0)], ...D] })],
  ['no compression that fits', hello.hello({ compression: [1] })],
  ['no compression at all', hello.hello({ compression: [] })],
  ['no ciphers', hello.hello({ ciphers: [] })],
  ['session id too long', hello.hello({ sessionId: Buffer.alloc(33) })],
  ['no session id', hello.hello({ sessionId: Buffer.alloc(0) })],
  ['extensions of every kind', extended([23, Buffer.alloc(0)], [35, Buffer.alloc(0)], [5, hello.u8(1, 0, 0, 0, 0)])],
  ['record of data', changed(0, 23)],
  ['record of an old version', changed(1, 2)],
  ['record of a new minor version', changed(2, 9)],
  ['message of another type', changed(5, 2)],
  ['message longer than its record says', messageOf(message.length - 5)],
  ['message of 16385 bytes', messageOf(16_385)],
  ['record of 16641 bytes', changed(3, 0x41)],
  ['empty record first', Buffer.concat([hello.u8(22, 3, 1, 0, 0), hello.hello()])],
  ['records of one byte', hello.records(message, 1)],
  ['records of seven bytes', hello.records(message, 7)],
  [
    'another record within the message',
    Buffer.concat([hello.records(message.subarray(0, 99)), hello.u8(23, 3, 1, 0, 1, 0)]),
  ],
  ['hello of 10000 bytes', extended([21, Buffer.alloc(9_700)])],
  [
    'hello of 16200 bytes in records',
    hello.records(hello.helloMessage({ extensions: [...D, [21, Buffer.alloc(16_000)]] }), 4_000),
  ],
  ['POST', Buffer.from('POST / HTTP/1.1\r\n')],
  ['CONNECT', Buffer.from('CONNECT a:1 HTTP/1.1\r\n')],
  ['DELETE', Buffer.from('DELETE / HTTP/1.1\r\n')],
  ['SSH', Buffer.from('SSH-2.0-x\r\n')],
  ['zeros', Buffer.alloc(8)],
  ['preface of HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
];

/** Request lines and what looks like some; each is the whole of what is sent. */
const LINES: readonly string[] = [
  'GET / HTTP/1.1\r\n',
  'GET / HTTP/1.0\r\n',
  'GET / HTTP/1.1\n',
  'BREW / HTTP/1.1\r\n',
  'get / HTTP/1.1\r\n',
  'M-SEARCH * HTTP/1.1\r\n',
  '1 / HTTP/1.1\r\n',
  'GET  / HTTP/1.1\r\n',
  'GET\t/\tHTTP/1.1\r\n',
  'GET / HTTP/1.1 \r\n',
  'GET / HTTP/1.1 x\r\n',
  'GET / x HTTP/1.1\r\n',
  'GET / HTTP/1.1x\r\n',
  'GET / HTTP/1.2\r\n',
  'GET / HTTP/2.0\r\n',
  'GET / HTTP/1.10\r\n',
  'GET / HTTP/1\r\n',
  'GET / http/1.1\r\n',
  'GET / FOO\r\n',
  'GET /\r\n',
  'GET *\r\n',
  'GET\r\n',
  'GET \r\n',
  '\r\nGET / HTTP/1.1\r\n',
  '\n',
  ' GET / HTTP/1.1\r\n',
  '(\r\n',
  'G\xff / HTTP/1.1\r\n',
  '\x00\x01\x02',
  'GET \x00 HTTP/1.1\r\n',
  'GET /\xc3\xa9 HTTP/1.1\r\n',
  'GET /\x7f HTTP/1.1\r\n',
  'GET /\rx HTTP/1.1\r\n',
  'GET foo HTTP/1.1\r\n',
  'GET ?x HTTP/1.1\r\n',
  'GET http://a HTTP/1.1\r\n',
  'GET http:// HTTP/1.1\r\n',
  'GET http:/a HTTP/1.1\r\n',
  'GET http://a@@b/ HTTP/1.1\r\n',
  'GET 1://a HTTP/1.1\r\n',
  'CONNECT a:1 HTTP/1.1\r\n',
  'CONNECT a HTTP/1.1\r\n',
  'CONNECT a:1\r\n',
  'connect a:1 HTTP/1.1\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n',
  'PRI * HTTP/1.1\r\n',
  'HTTP/1.1 200 OK\r\n',
  'EHLO x\r\n',
  '*1\r\n$4\r\nPING\r\n',
  `GET /${'a'.repeat(9_000)} HTTP/1.1\r\n`,
];

const brief = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 20)}…` : text);
const sent = (name: string, listener: string, ...client: Scenario['client']): Scenario => ({
  name,
  listener,
  client,
  answers: 0,
});

// === PROXY headers ===

const V2 = '\r\n\r\n\0\r\nQUIT\n';
const word = (value: number): string => String.fromCharCode(value >> 8, value & 255);
const v2 = (command: number, family: number, body: string, length = body.length): string =>
  V2 + String.fromCharCode(command, family) + word(length) + body;
const V4 = `\x0a\x01\x02\x03\x0a\x04\x05\x06${word(1_111)}${word(2_222)}`;
const V6 = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01\x20\x01\x0d\xb8${'\0'.repeat(11)}\x02${word(1_111)}${word(2_222)}`;
const tlv = (type: number, value: string): string => String.fromCharCode(type) + word(value.length) + value;
const v1 = (text: string): string => `PROXY ${text}\r\n`;

/** Headers, well-formed or not. */
const HEADERS: readonly (readonly [string, string])[] = [
  ['v1 over IPv4', v1('TCP4 10.1.2.3 10.4.5.6 1111 2222')],
  ['v1 over IPv6', v1('TCP6 2001:db8::1 2001:db8::2 1111 2222')],
  ['v1 unknown', v1('UNKNOWN')],
  ['v1 unknown with more', v1('UNKNOWN a b c d e f')],
  ['v1 of 108 bytes', v1(`UNKNOWN ${'x'.repeat(92)}`)],
  ['v1 of 109 bytes', v1(`UNKNOWN ${'x'.repeat(93)}`)],
  ['v1 without end', `PROXY TCP4 ${'1'.repeat(150)}`],
  ['v1 with a bad address', v1('TCP4 10.1.2 10.4.5.6 1111 2222')],
  ['v1 with an octal address', v1('TCP4 010.1.2.3 10.4.5.6 1111 2222')],
  ['v1 with the other family', v1('TCP4 2001:db8::1 10.4.5.6 1111 2222')],
  ['v1 with a large port', v1('TCP4 10.1.2.3 10.4.5.6 1111 65536')],
  ['v1 with a negative port', v1('TCP4 10.1.2.3 10.4.5.6 -1 2222')],
  ['v1 with odd ports', v1('TCP4 10.1.2.3 10.4.5.6 010 +5')],
  ['v1 with no port', v1('TCP4 10.1.2.3 10.4.5.6 1111')],
  ['v1 with a word more', v1('TCP4 10.1.2.3 10.4.5.6 1111 2222 3')],
  ['v1 with two blanks', v1('TCP4  10.1.2.3 10.4.5.6 1111 2222')],
  ['v1 with a blank at the end', v1('TCP4 10.1.2.3 10.4.5.6 1111 2222 ')],
  ['v1 of another protocol', v1('UDP4 10.1.2.3 10.4.5.6 1111 2222')],
  ['v1 from a group', v1('TCP4 224.0.0.1 10.4.5.6 1111 2222')],
  ['v1 from everybody', v1('TCP4 255.255.255.255 10.4.5.6 1111 2222')],
  ['v1 from nobody', v1('TCP4 0.0.0.0 10.4.5.6 1111 2222')],
  ['v1 to a group', v1('TCP4 10.1.2.3 239.0.0.1 1111 2222')],
  ['v1 from a group of IPv6', v1('TCP6 ff02::1 2001:db8::2 1111 2222')],
  ['v1 in small letters', 'proxy TCP4 10.1.2.3 10.4.5.6 1111 2222\r\n'],
  ['v1 with another word', 'PROXYX foo\r\n'],
  ['v2 over IPv4', v2(0x21, 0x11, V4)],
  ['v2 over IPv6', v2(0x21, 0x21, V6)],
  ['v2 of datagrams', v2(0x21, 0x12, V4)],
  ['v2 local', v2(0x20, 0x00, '')],
  ['v2 local with a body', v2(0x20, 0x11, 'abcdef')],
  ['v2 of no family', v2(0x21, 0x00, '')],
  ['v2 of Unix sockets', v2(0x21, 0x31, '\0'.repeat(216))],
  ['v2 of another command', v2(0x22, 0x11, V4)],
  ['v2 of version 1', v2(0x11, 0x11, V4)],
  ['v2 of another family', v2(0x21, 0x41, V4)],
  ['v2 of another transport', v2(0x21, 0x13, V4)],
  ['v2 too short', v2(0x21, 0x11, V4.slice(1))],
  ['v2 with values', v2(0x21, 0x11, V4 + tlv(5, 'five') + tlv(0xea, 'vpc\xff') + tlv(5, 'again'))],
  ['v2 with a value cut off', v2(0x21, 0x11, `${V4}\x05\x00\x09abc`)],
  ['v2 with a head of a value', v2(0x21, 0x11, `${V4}\x05\x00`)],
  ['v2 with a large value', v2(0x21, 0x11, V4 + tlv(5, 'x'.repeat(40_000)))],
  ['v2 from a group', v2(0x21, 0x11, `\xe0\x00\x00\x01${V4.slice(4)}`)],
  ['v2 from nobody', v2(0x21, 0x11, '\0'.repeat(12))],
  ['no header', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'],
  ['almost v2', `${V2.slice(0, 11)}X!!!!`],
];

const BEHIND = 'POST / HTTP/1.1\r\nhost: behind\r\ncontent-length: 4\r\n\r\nbody';
/** Sent without a request behind: they are one, or what comes then is no HTTP. */
const ALONE = ['no header', 'v1 without end'];
/** Where no header is needed these reach the HTTP codec, which is another test's matter. */
const NO_HTTP = ['v1 in small letters', 'v1 with another word', 'v1 without end', 'almost v2'];
const withRequest = ([name, header]: readonly [string, string]): string =>
  ALONE.includes(name) ? header : header + BEHIND;

const RULES = [
  { tlv_type: 5, on_tlv_present: { key: 'five' } },
  { tlv_type: 0xea, on_tlv_present: { metadata_namespace: 'aws', key: 'vpc', value_string_encoding: 'BASE64' } },
  {
    tlv_type: 0xea,
    on_tlv_present: { metadata_namespace: 'aws', key: 'text', value_string_encoding: 'SANITIZED_UTF8' },
  },
];
const ADDRESSES = {
  remote: '%DOWNSTREAM_REMOTE_ADDRESS%',
  local: '%DOWNSTREAM_LOCAL_ADDRESS%',
  direct: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%',
  five: '%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:five)%',
  aws: '%DYNAMIC_METADATA(aws)%',
};
const WHERE = routes([
  {
    match: { prefix: '/' },
    route: { cluster: 'a' },
    request_headers_to_add: [{ header: { key: 'x-client', value: '%DOWNSTREAM_REMOTE_ADDRESS%' } }],
  },
]);

const ports4 = (start: number, end: number): object => ({ destination_port_range: { start, end } });

/** Predicates by which an inspector is passed over, all of them on one port. */
const predicates = (port: number): readonly (readonly [string, object])[] => [
  ['any', { any_match: true }],
  ['not any', { not_match: { any_match: true } }],
  ['port', ports4(port, port + 1)],
  ['port before', ports4(port - 5, port)],
  ['port or another', { or_match: { rules: [ports4(1, 2), ports4(port, port + 1)] } }],
  ['port and another', { and_match: { rules: [ports4(1, 2), ports4(port, port + 1)] } }],
  ['both', { and_match: { rules: [ports4(port, port + 9), { not_match: ports4(1, 2) }] } }],
];
const PREDICATES = predicates(0).map(([name]) => name);

const DISABLING = ['any', 'port', 'port or another', 'both'];
const HELLO = hello.hello().toString('latin1');

export const detection: Group = {
  name: 'detection',
  listeners: ['main', 'http', 'strict', 'wait', 'proxied', 'optional', 'only1', 'only2', ...PREDICATES],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const both = [tlsInspector({ enable_ja3_fingerprinting: true, enable_ja4_fingerprinting: true }), httpInspector()];
    const behind = (name: string, config: object, extra: object = {}): object =>
      http(
        ports,
        log,
        name,
        WHERE,
        { use_remote_address: true, access_log: [fileLog(log, ADDRESSES)] },
        {
          stat_prefix: name,
          listener_filters: [proxyProtocol(config)],
          listener_filters_timeout: '0.5s',
          // How many digits the upstream's time has varies.
          access_log: [fileLog(log, { ...ADDRESSES, sent: '-' })],
          ...extra,
        },
      );
    const REASON = { access_log: [fileLog(log, { reason: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%' })] };
    const raw = chainsOf(tcp(ports, log, 'raw', { cluster: 'a', ...REASON }));
    return bootstrap(
      ports,
      [
        sniffing(ports, log, 'main', both),
        sniffing(ports, log, 'http', [httpInspector()]),
        sniffing(ports, log, 'strict', [
          tlsInspector({
            initial_read_buffer_size: 512,
            max_client_hello_size: 512,
            close_connection_on_client_hello_parsing_errors: true,
          }),
        ]),
        {
          name: 'wait',
          stat_prefix: 'wait',
          address: address(ports['wait']),
          listener_filters: both,
          listener_filters_timeout: '0.5s',
          continue_on_listener_filters_timeout: true,
          filter_chains: [
            {
              name: 'http',
              filter_chain_match: { application_protocols: ['http/1.1'] },
              filters: (chainsOf(http(ports, log, 'wait', WHERE, REASON)) as { filters: unknown }).filters,
            },
          ],
          default_filter_chain: raw,
        },
        behind('proxied', { rules: RULES, pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [5] } }),
        behind('optional', { allow_requests_without_proxy_protocol: true, stat_prefix: 'named' }),
        behind('only1', { disallowed_versions: ['V2'], tlv_location: 'DYNAMIC_METADATA', rules: RULES.slice(0, 1) }),
        behind('only2', { disallowed_versions: ['V1'], pass_through_tlvs: {} }),
        ...predicates(0).map(([name], i) =>
          sniffing(ports, log, name, [
            tlsInspector({}, { filter_disabled: predicates(ports[name] ?? 0)[i]?.[1] ?? {} }),
          ]),
        ),
      ],
      [cluster('a', [ports['a']])],
    );
  },
  stats:
    /^(listener\.(?!admin).*(filter|pre_cx|no_filter|downstream_cx_total)|tls_inspector|http_inspector|proxy_proto|downstream_cx_proxy)/,
  scenarios: [
    ...HELLOS.map(([name, bytes]) => sent(`hello: ${name}`, 'main', bytes.toString('latin1'))),
    ...LINES.map((line) => sent(`line: ${brief(line)}`, 'http', line)),
    sent('strict: a hello', 'strict', hello.hello().toString('latin1')),
    sent('strict: no hello', 'strict', 'SSH-2.0-x\r\n'),
    sent(
      'strict: too large',
      'strict',
      extended([21, Buffer.alloc(600)])
        .subarray(0, 600)
        .toString('latin1'),
    ),
    sent('nothing within the time', 'main'),
    sent('little within the time', 'main', 'GE'),
    sent('client leaves', 'main', { waitMs: 20 }, { close: 'fin' }),
    sent('client leaves in the middle', 'main', 'GET', { waitMs: 20 }, { close: 'fin' }),
    { name: 'late request', listener: 'wait', client: ['G', { waitMs: 10 }, get('/').slice(1)] },
    {
      name: 'server speaks first',
      listener: 'wait',
      answers: 0,
      client: [{ bytes: 5 }, 'there', { close: 'fin' }],
      upstreams: { a: { raw: ['hello', { read: 5 }, 'bye'] } },
    },
    {
      name: 'unknown protocol',
      listener: 'wait',
      answers: 0,
      client: ['\x01\x02\x03\x04\x05', { bytes: 4 }, 'more', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 5 }, 'pong', { read: 9 }, 'done'] } },
    },
    {
      name: 'a few bytes of a request at the end of the time',
      listener: 'wait',
      answers: 0,
      client: ['GET', { bytes: 4 }, { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 3 }, 'pong'] } },
    },
    ...HEADERS.map(
      (header): Scenario => ({ name: `proxied: ${header[0]}`, listener: 'proxied', client: [withRequest(header)] }),
    ),
    ...HEADERS.filter(([name]) => !NO_HTTP.includes(name)).map(
      (header): Scenario => ({ name: `optional: ${header[0]}`, listener: 'optional', client: [withRequest(header)] }),
    ),
    {
      name: 'header in pieces',
      listener: 'proxied',
      client: [
        'PROX',
        { waitMs: 5 },
        'Y TCP4 10.1.2.3 10.4.',
        { waitMs: 5 },
        `5.6 1 2\r\n${BEHIND.slice(0, 9)}`,
        { waitMs: 5 },
        BEHIND.slice(9),
      ],
    },
    { name: 'v1 where only v1 may come', listener: 'only1', client: [v1('TCP4 10.1.2.3 10.4.5.6 1 2') + BEHIND] },
    { name: 'v2 where only v1 may come', listener: 'only1', client: [v2(0x21, 0x11, V4) + BEHIND] },
    { name: 'v1 where only v2 may come', listener: 'only2', client: [v1('TCP4 10.1.2.3 10.4.5.6 1 2') + BEHIND] },
    { name: 'v2 where only v2 may come', listener: 'only2', client: [v2(0x21, 0x11, V4 + tlv(5, 'x')) + BEHIND] },
    // A chain that is chosen at once closes before anything is sent.
    ...PREDICATES.map((name) => sent(`disabled by: ${name}`, name, ...(DISABLING.includes(name) ? [] : [HELLO]))),
  ],
};
