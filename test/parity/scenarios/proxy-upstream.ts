// PROXY headers towards hosts: once a connection, before anything else, and never shared by two clients.

import { bootstrap, cluster, get, http, routes, tcp, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';
import { proxyProtocol } from './detection.ts';

const SOCKETS = 'type.googleapis.com/envoy.extensions.transport_sockets.';

const proxied = (config: object, more: object = {}): object => ({
  transport_socket: {
    name: 'proxy',
    typed_config: {
      '@type': `${SOCKETS}proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      config,
      transport_socket: { name: 'raw', typed_config: { '@type': `${SOCKETS}raw_buffer.v3.RawBuffer` } },
      ...more,
    },
  },
});

const word = (value: number): string => String.fromCharCode(value >> 8, value & 255);
const tlv = (type: number, value: string): string => String.fromCharCode(type) + word(value.length) + value;
const V4 = `\x0a\x01\x02\x03\x0a\x04\x05\x06${word(1_111)}${word(2_222)}`;
const V6 = `\x20\x01\x0d\xb8${'\0'.repeat(11)}\x01\x20\x01\x0d\xb8${'\0'.repeat(11)}\x02${word(1_111)}${word(2_222)}`;
const v2 = (family: number, body: string): string =>
  `\r\n\r\n\0\r\nQUIT\n\x21${String.fromCharCode(family)}${word(body.length)}${body}`;
const HEADERS: readonly (readonly [string, string])[] = [
  ['v1 over IPv4', 'PROXY TCP4 10.1.2.3 10.4.5.6 1111 2222\r\n'],
  ['v1 over IPv6', 'PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n'],
  ['v1 unknown', 'PROXY UNKNOWN\r\n'],
  ['v2 with values', v2(0x11, V4 + tlv(5, 'five') + tlv(6, 'six') + tlv(5, 'again'))],
  ['v2 over IPv6', v2(0x21, V6)],
];
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const NAMES = ['http1', 'http2', 'tcp1', 'tcp2', 'tcpAll'];

const hears = (...raw: NonNullable<UpstreamScript['raw']>): NonNullable<Scenario['upstreams']> => ({ a: { raw } });
/** Where the header would name ports of the kernel's choice, in binary. */
const isFixed = (listener: string, header: string): boolean => listener.endsWith('1') || !header.includes('UNKNOWN');

export const proxyUpstream: Group = {
  name: 'proxy-upstream',
  listeners: NAMES,
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const incoming = {
      listener_filters: [proxyProtocol({ allow_requests_without_proxy_protocol: true, pass_through_tlvs: {} })],
    };
    return bootstrap(
      ports,
      [
        http(ports, log, 'http1', routes([to('/', 'v1')]), {}, incoming),
        http(ports, log, 'http2', routes([to('/', 'v2')]), {}, incoming),
        { ...tcp(ports, log, 'tcp1', { cluster: 'v1' }), ...incoming },
        { ...tcp(ports, log, 'tcp2', { cluster: 'v2' }), ...incoming },
        { ...tcp(ports, log, 'tcpAll', { cluster: 'all' }), ...incoming },
      ],
      [
        cluster('v1', [ports['a']], proxied({ version: 'V1' })),
        cluster(
          'v2',
          [ports['a']],
          proxied({
            version: 'V2',
            pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [5] },
            added_tlvs: [{ type: 0xe0, value: Buffer.from('own').toString('base64') }],
          }),
        ),
        cluster(
          'all',
          [ports['a']],
          proxied({
            version: 'V2',
            pass_through_tlvs: {},
            added_tlvs: [
              { type: 6, value: Buffer.from('mine').toString('base64') },
              { type: 6, value: Buffer.from('twice').toString('base64') },
            ],
          }),
        ),
      ],
    );
  },
  scenarios: [
    ...NAMES.flatMap((listener) =>
      HEADERS.filter(([, header]) => isFixed(listener, header)).map(
        ([name, header]): Scenario =>
          listener.startsWith('http')
            ? {
                name: `${listener}: ${name}`,
                listener,
                client: [header + get('/')],
                upstreams: hears({ read: 100 }, ANSWER),
              }
            : {
                name: `${listener}: ${name}`,
                listener,
                client: [`${header}ping`, { bytes: 4 }, { close: 'fin' }],
                answers: 0,
                upstreams: hears({ read: 16 }, 'pong'),
              },
      ),
    ),
    {
      name: 'two requests of one client share a connection',
      listener: 'http1',
      client: [get('/one'), { answers: 1 }, get('/two')],
      answers: 2,
      upstreams: hears({ read: 100 }, ANSWER, { read: 200 }, ANSWER),
    },
  ],
};
