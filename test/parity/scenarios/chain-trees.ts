// Generic matchers that choose filter chains. As in `chain-match.ts` a PROXY header names both ends, a ClientHello the
// server and the protocols; chains have no filters, and the listener's log tells which one it was.

import * as hello from '../../fixtures/hello.ts';
import { address, bootstrap } from '../config.ts';
import type { Group, Scenario } from '../types.ts';
import { proxyProtocol, tlsInspector } from './detection.ts';

const TYPES = 'type.googleapis.com/';
const NETWORK = 'envoy.extensions.matching.common_inputs.network.v3.';

function extension(type: string, config: object = {}): object {
  return { name: type, typed_config: { '@type': TYPES + type, ...config } };
}
const fact = (name: string): object => extension(`${NETWORK}${name}Input`);
const chain = (value: string): object => ({ action: extension('google.protobuf.StringValue', { value }) });
const value = (input: object, value_match: object): object => ({ single_predicate: { input, value_match } });
const listOf = (leaves: readonly (readonly [predicate: object, on_match: object])[], more: object = {}): object => ({
  matcher_list: { matchers: leaves.map(([predicate, on_match]) => ({ predicate, on_match })) },
  ...more,
});
const exact = (input: object, map: object, more: object = {}): object => ({
  matcher_tree: { input, exact_match_map: { map } },
  ...more,
});
const tree = (input: object, custom_match: object): object => ({ matcher_tree: { input, custom_match } });
const range = (address_prefix: string, prefix_len: number, on_match: object): object => ({
  ranges: [{ address_prefix, prefix_len }],
  on_match,
});
const anything = { safe_regex: { google_re2: {}, regex: '.*' } };
const absent = (type: string): object => value(extension(type), anything);

const NAMES = [
  { domains: ['a.test', 'b.test'], on_match: chain('one') },
  { domains: ['*.test'], on_match: { matcher: exact(fact('DestinationPort'), { 80: chain('two') }) } },
];
const RANGES = [
  range('10.0.0.0', 8, chain('one')),
  range('10.1.0.0', 16, { matcher: exact(fact('DestinationPort'), { 80: chain('two') }) }),
  range('2001:db8::', 32, chain('three')),
];
const FACTS = ['DestinationIP', 'DestinationPort', 'SourceIP', 'SourcePort'] as const;
const EXPECTED = { DestinationIP: '10.9.0.2', DestinationPort: '8080', SourceIP: '10.9.0.1', SourcePort: '4000' };

/** Matchers by the name of their listener; its chains are `one`, `two` and `three`. */
const MATCHERS: Readonly<Record<string, object>> = {
  ...Object.fromEntries(FACTS.map((name) => [name, exact(fact(name), { [EXPECTED[name]]: chain('one') })])),
  'source ip': tree(fact('SourceIP'), extension('xds.type.matcher.v3.IPMatcher', { range_matchers: RANGES })),
  'direct source': exact(fact('DirectSourceIP'), { '127.0.0.1': chain('one') }),
  'source type': listOf([[value(fact('SourceType'), { exact: 'local' }), chain('one')]]),
  names: tree(fact('ServerName'), extension('xds.type.matcher.v3.ServerNameMatcher', { domain_matchers: NAMES })),
  transport: exact(fact('TransportProtocol'), { tls: chain('one'), raw_buffer: chain('two') }),
  protocols: exact(
    fact('ApplicationProtocol'),
    { "'h2'": chain('one'), "'h2','http/1.1'": chain('two') },
    { on_no_match: chain('three') },
  ),
  absent: listOf(
    [
      [absent(`${NETWORK}NetworkNamespaceInput`), chain('one')],
      [value(extension(`${NETWORK}FilterStateInput`, { key: 'none', field: 'x' }), anything), chain('one')],
    ],
    { on_no_match: chain('two') },
  ),
  'no such chain': { on_no_match: chain('nowhere') },
  'the default by name': { on_no_match: chain('default') },
  'own matches': { on_no_match: chain('two') },
};
const WITH_DEFAULT: ReadonlySet<string> = new Set(['source type', 'names', 'no such chain', 'the default by name']);

type Extension = ReturnType<typeof hello.sni>;
const ENDS = '10.9.0.1 10.9.0.2 4000 8080';

function through(
  listener: string,
  what: string,
  proxy = `TCP4 ${ENDS}`,
  extensions: readonly Extension[] | null = null,
): Scenario {
  const bytes = extensions === null ? 'no hello' : hello.hello({ extensions }).toString('latin1');
  return { name: `${listener}: ${what}`, listener, client: [`PROXY ${proxy}\r\n${bytes}`], answers: 0 };
}
const from = (source: string, port = 8080): string =>
  source.includes(':') ? `TCP6 ${source} 2001:db8::2 4000 ${port}` : `TCP4 ${source} 10.9.0.2 4000 ${port}`;
const named = (name: string, port = 8080): Scenario =>
  through('names', `${name} ${port}`, from('10.9.0.1', port), [hello.sni(name)]);

export const chainTrees: Group = {
  name: 'chain-trees',
  listeners: Object.keys(MATCHERS),
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(MATCHERS).map(([name, filter_chain_matcher]) => ({
        name,
        address: address(ports[name]),
        access_log: [
          {
            name: 'log',
            typed_config: {
              '@type': `${TYPES}envoy.extensions.access_loggers.file.v3.FileAccessLog`,
              path: log,
              log_format: {
                json_format: {
                  client: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
                  chain: '%FILTER_CHAIN_NAME%',
                  flags: '%RESPONSE_FLAGS%',
                },
              },
            },
          },
        ],
        listener_filters: [proxyProtocol(), tlsInspector()],
        filter_chain_matcher,
        // What a chain itself asks for plays no part beside a matcher.
        filter_chains: ['one', 'two', 'three'].map((one) => ({
          name: one,
          ...(name === 'own matches' ? { filter_chain_match: { destination_port: 1 } } : {}),
        })),
        ...(WITH_DEFAULT.has(name) ? { default_filter_chain: { name: 'default' } } : {}),
      })),
      [],
    ),
  stats: /^listener\.(?!admin)[^.]+\.no_filter_chain_match$/,
  scenarios: [
    ...FACTS.flatMap((name) => [
      through(name, 'matches'),
      through(name, 'does not match', 'TCP4 10.9.1.1 10.9.1.2 1 2'),
    ]),
    ...['10.9.0.1', '10.1.0.1', '11.0.0.1', '2001:db8::1', '2001:db9::1'].map((ip) =>
      through('source ip', ip, from(ip)),
    ),
    through('source ip', '10.1.0.1 to 80', from('10.1.0.1', 80)),
    through('direct source', 'matches'),
    through('source type', 'external'),
    through('source type', 'loopback', from('127.0.0.1')),
    through('source type', 'the same address', 'TCP4 10.9.0.2 10.9.0.2 1 2'),
    ...['a.test', 'B.test', 'x.a.test', 'other'].map((name) => named(name)),
    named('x.a.test', 80),
    through('names', 'none'),
    through('transport', 'TLS', undefined, []),
    through('transport', 'clear text'),
    through('protocols', 'h2', undefined, [hello.alpn('h2')]),
    through('protocols', 'two', undefined, [hello.alpn('h2', 'http/1.1')]),
    through('protocols', 'other', undefined, [hello.alpn('http/1.1')]),
    through('protocols', 'none'),
    through('absent', 'both'),
    through('no such chain', 'not the default either'),
    through('the default by name', 'is not found'),
    through('own matches', 'play no part'),
  ],
};
