// Values of PROXY headers towards hosts that a format makes: of the client's connection where the TCP proxy adds them, of
// the connection to the host where its cluster does.

import { bootstrap, cluster, get, http, routes, tcp, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';
import { proxyProtocol } from './detection.ts';

const SOCKETS = 'type.googleapis.com/envoy.extensions.transport_sockets.';
const proxied = (config: object): object => ({
  transport_socket: {
    name: 'proxy',
    typed_config: {
      '@type': `${SOCKETS}proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      config: { version: 'V2', pass_through_tlvs: {}, ...config },
      transport_socket: { name: 'raw', typed_config: { '@type': `${SOCKETS}raw_buffer.v3.RawBuffer` } },
    },
  },
});

const word = (value: number): string => String.fromCharCode(value >> 8, value & 255);
const tlv = (type: number, value: string): string => String.fromCharCode(type) + word(value.length) + value;
const v2 = (body: string): string => `\r\n\r\n\0\r\nQUIT\n\x21\x11${word(body.length)}${body}`;
/** What comes in: addresses that do not depend on ports of the kernel's choice. */
const CLIENT = v2(`\x0a\x01\x02\x03\x0a\x04\x05\x06${word(1_111)}${word(2_222)}${tlv(0xe2, 'came')}${tlv(5, 'five')}`);
const PLAIN = 'PROXY TCP4 10.1.2.3 10.4.5.6 1111 2222\r\n';
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const formatted = (type: number, inline_string: string): object => ({
  type,
  format_string: { text_format_source: { inline_string } },
});
const SAID =
  'ip=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% to=%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% cluster=%UPSTREAM_CLUSTER% protocol=%PROTOCOL% method=%REQ(:METHOD)% code=%RESPONSE_CODE% flags=%RESPONSE_FLAGS%';
const VALUES = [
  formatted(0xe0, SAID),
  { type: 0xe1, value: Buffer.from('fixed').toString('base64') },
  formatted(0xe2, '%REQ(x)%'),
  { type: 0xe3, format_string: { text_format_source: { inline_string: '%REQ(x)%' }, omit_empty_values: true } },
  { type: 0xe4, format_string: { json_format: { cluster: '%UPSTREAM_CLUSTER%', protocol: '%PROTOCOL%' } } },
];
const MERGES = ['ADD_IF_ABSENT', 'OVERWRITE_BY_TYPE_IF_EXISTS_OR_ADD', 'APPEND_IF_EXISTS_OR_ADD'];
const NAMES = ['http', ...MERGES];

const sends = (listener: string, name: string, header: string): Scenario =>
  listener === 'http'
    ? {
        name: `${listener}: ${name}`,
        listener,
        client: [header + get('/')],
        upstreams: { a: { raw: [{ read: 250 }, ANSWER] } },
      }
    : {
        name: `${listener}: ${name}`,
        listener,
        client: [`${header}ping`, { bytes: 4 }, { close: 'fin' }],
        answers: 0,
        upstreams: { a: { raw: [{ read: 28 }, 'pong'] } },
      };

export const proxyFormats: Group = {
  name: 'proxy-formats',
  listeners: NAMES,
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const incoming = {
      listener_filters: [proxyProtocol({ allow_requests_without_proxy_protocol: true, pass_through_tlvs: {} })],
    };
    return bootstrap(
      ports,
      [
        http(ports, log, 'http', routes([to('/', 'adds')]), {}, incoming),
        ...MERGES.map((proxy_protocol_tlv_merge_policy) => ({
          ...tcp(ports, log, proxy_protocol_tlv_merge_policy, {
            cluster: 'passes',
            proxy_protocol_tlvs: VALUES,
            proxy_protocol_tlv_merge_policy,
          }),
          ...incoming,
        })),
      ],
      [cluster('passes', [ports['a']], proxied({})), cluster('adds', [ports['a']], proxied({ added_tlvs: VALUES }))],
    );
  },
  scenarios: NAMES.flatMap((listener) => [
    sends(listener, 'a header with values', CLIENT),
    sends(listener, 'a header without values', PLAIN),
  ]),
};
