// Filter-chain choice as a table: each block lists chains, then connections and the chain that must take them.

import t from 'tap';
import type { FilterChainMatchModel } from '../../proxy/config/model.ts';
import { compileChainMatch, type MatchInput } from '../../proxy/listener/chain-match.ts';

const ANY: FilterChainMatchModel = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourcePrefixRanges: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

const HOME: MatchInput = {
  localIp: '10.0.0.1',
  localPort: 8080,
  remoteIp: '192.0.2.7',
  remotePort: 50_000,
  directRemoteIp: '192.0.2.7',
  serverName: '',
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
};

function cidrs(...texts: string[]): { address: string; prefixLength: number }[] {
  return texts.map((text) => {
    const [address = '', length = '0'] = text.split('/');
    return { address, prefixLength: Number(length) };
  });
}

type Match = Partial<FilterChainMatchModel>;
type Input = Partial<MatchInput>;
const port = (destinationPort: number): Match => ({ destinationPort });
const to = (...texts: string[]): Match => ({ prefixRanges: cidrs(...texts) });
const sni = (...serverNames: string[]): Match => ({ serverNames });
const via = (transportProtocol: string): Match => ({ transportProtocol });
const alpn = (...applicationProtocols: string[]): Match => ({ applicationProtocols });
const direct = (...texts: string[]): Match => ({ directSourcePrefixRanges: cidrs(...texts) });
const type = (sourceType: FilterChainMatchModel['sourceType']): Match => ({ sourceType });
const from = (...texts: string[]): Match => ({ sourcePrefixRanges: cidrs(...texts) });
const fromPort = (...sourcePorts: number[]): Match => ({ sourcePorts });

const name = (serverName: string): Input => ({ serverName, transportProtocol: 'tls' });
const at = (localIp: string, localPort = 8080): Input => ({ localIp, localPort });
const client = (ip: string, remotePort = 50_000): Input => ({ remoteIp: ip, directRemoteIp: ip, remotePort });
const PIPE: Input = { localIp: '', localPort: 0, remoteIp: '', remotePort: 0, directRemoteIp: '' };

interface Block {
  readonly about: string;
  readonly chains: Readonly<Record<string, Match>>;
  readonly fallback?: boolean;
  /** Connection and the name of the chain, `default`, or `none`. */
  readonly cases: readonly (readonly [Input, string])[];
}

const BLOCKS: readonly Block[] = [
  {
    about: 'no chain at all',
    chains: {},
    cases: [
      [{}, 'none'],
      [PIPE, 'none'],
      [name('a.b'), 'none'],
    ],
  },
  {
    about: 'only a default',
    chains: {},
    fallback: true,
    cases: [
      [{}, 'default'],
      [PIPE, 'default'],
    ],
  },
  {
    about: 'one chain without conditions',
    chains: { all: {} },
    fallback: true,
    cases: [
      [{}, 'all'],
      [PIPE, 'all'],
      [name('x'), 'all'],
      [at('::1', 1), 'all'],
      [client('::1'), 'all'],
    ],
  },
  {
    about: 'destination port, and no way back from it',
    chains: { p80: port(80), p443: { ...port(443), ...sni('a.example') }, rest: {} },
    cases: [
      [at('10.0.0.1', 80), 'p80'],
      [at('::1', 80), 'p80'],
      [at('10.0.0.1', 81), 'rest'],
      [{ ...at('10.0.0.1', 443), ...name('a.example') }, 'p443'],
      [{ ...at('10.0.0.1', 443), ...name('b.example') }, 'none'],
      [at('10.0.0.1', 443), 'none'],
      [PIPE, 'rest'],
    ],
  },
  {
    about: 'an unmatched port entry falls to the default chain, not to "any port"',
    chains: { p443: { ...port(443), ...sni('a.example') }, rest: {} },
    fallback: true,
    cases: [
      [at('10.0.0.1', 443), 'default'],
      [at('10.0.0.1', 444), 'rest'],
    ],
  },
  {
    about: 'destination prefixes: the longest wins',
    chains: {
      host: to('10.1.2.3/32'),
      net24: to('10.1.2.0/24'),
      net16: to('10.1.0.0/16'),
      odd: to('10.1.128.0/17', '172.16.0.0/12'),
      v6host: to('2001:db8::1/128'),
      v6net: to('2001:db8::/32'),
      v6odd: to('2001:db8:8000::/33'),
    },
    cases: [
      [at('10.1.2.3'), 'host'],
      [at('10.1.2.4'), 'net24'],
      [at('10.1.3.4'), 'net16'],
      [at('10.1.127.255'), 'net16'],
      [at('10.1.128.0'), 'odd'],
      [at('10.1.255.255'), 'odd'],
      [at('172.16.0.0'), 'odd'],
      [at('172.31.255.255'), 'odd'],
      [at('172.32.0.0'), 'none'],
      [at('10.2.0.0'), 'none'],
      [at('2001:db8::1'), 'v6host'],
      [at('2001:db8::2'), 'v6net'],
      [at('2001:db8:7fff::'), 'v6net'],
      [at('2001:db8:8000::'), 'v6odd'],
      [at('2001:db9::'), 'none'],
      [at('::ffff:10.1.2.3'), 'host'],
      [PIPE, 'none'],
    ],
  },
  {
    about: 'a longer destination prefix hides a shorter one that would match further down',
    chains: { narrow: { ...to('10.0.0.0/24'), ...sni('a.example') }, wide: to('10.0.0.0/8') },
    cases: [
      [{ ...at('10.0.0.9'), ...name('a.example') }, 'narrow'],
      [{ ...at('10.0.0.9'), ...name('b.example') }, 'none'],
      [{ ...at('10.0.1.9'), ...name('b.example') }, 'wide'],
    ],
  },
  {
    about: 'a prefix of length 0 and no prefix are the same place',
    chains: { v4: to('0.0.0.0/0'), v6: to('::/0') },
    cases: [
      [at('8.8.8.8'), 'v4'],
      [at('2001::'), 'v6'],
      [PIPE, 'v4'],
    ],
  },
  {
    about: 'server names: exact, then suffixes from the longest, then any',
    chains: {
      exact: sni('www.example.com'),
      wild2: sni('*.example.com'),
      wild1: sni('*.com'),
      both: sni('one.test', 'two.test', '*.three.test'),
      rest: {},
    },
    cases: [
      [name('www.example.com'), 'exact'],
      [name('api.example.com'), 'wild2'],
      [name('a.b.example.com'), 'wild2'],
      [name('example.com'), 'wild1'],
      [name('other.com'), 'wild1'],
      [name('a.b.other.com'), 'wild1'],
      [name('com'), 'rest'],
      [name('one.test'), 'both'],
      [name('two.test'), 'both'],
      [name('x.three.test'), 'both'],
      [name('three.test'), 'rest'],
      [name('example.org'), 'rest'],
      [name(''), 'rest'],
      [name('.com'), 'wild1'],
      [name('www.example.com.'), 'rest'],
    ],
  },
  {
    about: 'names without a catch-all',
    chains: { exact: sni('a.example'), wild: sni('*.b.example') },
    cases: [
      [name('a.example'), 'exact'],
      [name('c.b.example'), 'wild'],
      [name('b.example'), 'none'],
      [name('x.a.example'), 'none'],
      [{}, 'none'],
    ],
  },
  {
    about: 'an exact name hides a wildcard that would match further down',
    chains: { exact: { ...sni('a.b.example'), ...alpn('h2') }, wild: sni('*.b.example') },
    cases: [
      [{ ...name('a.b.example'), applicationProtocols: ['h2'] }, 'exact'],
      [name('a.b.example'), 'none'],
      [name('c.b.example'), 'wild'],
    ],
  },
  {
    about: 'transport protocol',
    chains: { tls: via('tls'), raw: via('raw_buffer'), rest: {} },
    cases: [
      [{ transportProtocol: 'tls' }, 'tls'],
      [{ transportProtocol: 'raw_buffer' }, 'raw'],
      [{ transportProtocol: 'quic' }, 'rest'],
      [PIPE, 'raw'],
    ],
  },
  {
    about: 'transport protocol without a catch-all',
    chains: { tls: via('tls') },
    cases: [
      [{ transportProtocol: 'tls' }, 'tls'],
      [{}, 'none'],
    ],
  },
  {
    about: 'application protocols: the client’s order decides',
    chains: { h2: alpn('h2', 'h2c'), h1: alpn('http/1.1', 'http/1.0'), istio: alpn('istio'), rest: {} },
    cases: [
      [{ applicationProtocols: ['h2'] }, 'h2'],
      [{ applicationProtocols: ['h2c'] }, 'h2'],
      [{ applicationProtocols: ['http/1.0'] }, 'h1'],
      [{ applicationProtocols: ['http/1.1', 'h2'] }, 'h1'],
      [{ applicationProtocols: ['h2', 'http/1.1'] }, 'h2'],
      [{ applicationProtocols: ['spdy', 'istio'] }, 'istio'],
      [{ applicationProtocols: ['spdy'] }, 'rest'],
      [{}, 'rest'],
      [{ applicationProtocols: ['H2'] }, 'rest'],
    ],
  },
  {
    about: 'application protocols without a catch-all',
    chains: { h2: alpn('h2') },
    fallback: true,
    cases: [
      [{ applicationProtocols: ['h2'] }, 'h2'],
      [{ applicationProtocols: ['http/1.1'] }, 'default'],
      [{}, 'default'],
    ],
  },
  {
    about: 'directly connected source, apart from the restored one',
    chains: { near: direct('10.9.0.0/16'), nearer: direct('10.9.8.0/24'), rest: {} },
    cases: [
      [{ directRemoteIp: '10.9.1.1' }, 'near'],
      [{ directRemoteIp: '10.9.8.1' }, 'nearer'],
      [{ remoteIp: '10.9.8.1' }, 'rest'],
      [{ directRemoteIp: '::1' }, 'rest'],
      [PIPE, 'rest'],
    ],
  },
  {
    about: 'source type',
    chains: { local: type('same_ip_or_loopback'), out: type('external') },
    cases: [
      [client('127.0.0.1'), 'local'],
      [client('::1'), 'local'],
      [client('127.0.0.2'), 'out'],
      [client('10.0.0.1'), 'local'],
      [client('10.0.0.2'), 'out'],
      [PIPE, 'local'],
      [{}, 'out'],
    ],
  },
  {
    about: 'a source type that is configured hides "any"',
    chains: { local: { ...type('same_ip_or_loopback'), ...fromPort(7) }, any: {} },
    cases: [
      [client('127.0.0.1', 7), 'local'],
      [client('127.0.0.1', 8), 'none'],
      [client('192.0.2.1', 8), 'any'],
    ],
  },
  {
    about: 'only local, only external',
    chains: { local: { ...type('same_ip_or_loopback'), ...port(1) }, out: { ...type('external'), ...port(2) } },
    cases: [
      [{ ...at('10.0.0.1', 1), ...client('127.0.0.1') }, 'local'],
      [{ ...at('10.0.0.1', 1), ...client('192.0.2.1') }, 'none'],
      [{ ...at('10.0.0.1', 2), ...client('127.0.0.1') }, 'none'],
      [{ ...at('10.0.0.1', 2), ...client('192.0.2.1') }, 'out'],
    ],
  },
  {
    about: 'source prefixes: the longest wins and hides the rest',
    chains: {
      host: { ...from('192.0.2.7/32'), ...fromPort(1000) },
      net: from('192.0.2.0/24'),
      v6: from('2001:db8::/64'),
      rest: {},
    },
    cases: [
      [client('192.0.2.7', 1000), 'host'],
      [client('192.0.2.7', 1001), 'none'],
      [client('192.0.2.8', 1001), 'net'],
      [client('2001:db8::5'), 'v6'],
      [client('2001:db8:0:1::5'), 'rest'],
      [client('198.51.100.1'), 'rest'],
      [PIPE, 'rest'],
    ],
  },
  {
    about: 'source ports: exact, then any',
    chains: { some: fromPort(1, 2, 65_535), rest: {} },
    cases: [
      [client('192.0.2.1', 1), 'some'],
      [client('192.0.2.1', 2), 'some'],
      [client('192.0.2.1', 65_535), 'some'],
      [client('192.0.2.1', 3), 'rest'],
      [PIPE, 'rest'],
    ],
  },
  {
    about: 'source ports without a catch-all',
    chains: { some: fromPort(1) },
    cases: [
      [client('192.0.2.1', 1), 'some'],
      [client('192.0.2.1', 2), 'none'],
      [PIPE, 'none'],
    ],
  },
  {
    about: 'a sidecar’s inbound listener',
    chains: {
      blackhole: port(15_006),
      tls9080: { ...port(9080), ...via('tls'), ...alpn('istio', 'istio-http/1.1', 'h2') },
      plain9080: { ...port(9080), ...via('raw_buffer') },
      catchTls: { ...via('tls'), ...to('0.0.0.0/0') },
      catchAll: to('0.0.0.0/0'),
      catchAll6: to('::/0'),
    },
    cases: [
      [at('10.0.0.1', 15_006), 'blackhole'],
      [{ ...at('10.0.0.1', 9080), transportProtocol: 'tls', applicationProtocols: ['istio'] }, 'tls9080'],
      [{ ...at('10.0.0.1', 9080), transportProtocol: 'tls', applicationProtocols: ['h2', 'istio'] }, 'tls9080'],
      [{ ...at('10.0.0.1', 9080), transportProtocol: 'tls', applicationProtocols: ['spdy'] }, 'none'],
      [at('10.0.0.1', 9080), 'plain9080'],
      [{ ...at('10.0.0.1', 7), transportProtocol: 'tls' }, 'catchTls'],
      [at('10.0.0.1', 7), 'catchAll'],
      [at('2001:db8::1', 7), 'catchAll6'],
      [{ ...at('2001:db8::1', 7), transportProtocol: 'tls' }, 'catchAll6'],
    ],
  },
  {
    about: 'the order of criteria: an earlier one outweighs all later ones',
    chains: {
      byPort: port(8080),
      byIp: { ...to('10.0.0.1/32'), ...port(9) },
      bySni: { ...sni('a.example'), ...port(9) },
      byAlpn: { ...alpn('h2'), ...port(9) },
      bySource: { ...from('192.0.2.7/32'), ...port(9) },
    },
    cases: [
      [{ ...name('a.example'), applicationProtocols: ['h2'] }, 'byPort'],
      [{ ...at('10.0.0.1', 9), ...name('a.example'), applicationProtocols: ['h2'] }, 'byIp'],
      [{ ...at('10.0.0.2', 9), ...name('a.example'), applicationProtocols: ['h2'] }, 'bySni'],
      [{ ...at('10.0.0.2', 9), ...name('b.example'), applicationProtocols: ['h2'] }, 'byAlpn'],
      [{ ...at('10.0.0.2', 9), ...name('b.example') }, 'bySource'],
      [{ ...at('10.0.0.2', 9), ...client('192.0.2.8') }, 'none'],
    ],
  },
];

/** Every suffix length of IPv4 and some of IPv6: the address on either side of the edge. */
function edges(): Block[] {
  return Array.from({ length: 32 }, (_, i) => {
    const length = i + 1;
    const last = (0xffff_ffff << (32 - length)) >>> 0;
    const before = (last - 1) >>> 0;
    const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
    return {
      about: `edge of /${length}`,
      chains: { in: to(`${dotted(last)}/${length}`) },
      cases: [
        [at(dotted(last)), 'in'],
        [at('255.255.255.255'), 'in'],
        [at(dotted(before)), 'none'],
      ],
    };
  });
}

let cases = 0;
for (const block of [...BLOCKS, ...edges()]) {
  t.test(block.about, async (t) => {
    const match = compileChainMatch(
      Object.entries(block.chains).map(([value, chain]) => ({ match: { ...ANY, ...chain }, value })),
      block.fallback === true ? 'default' : null,
    );
    for (const [input, expected] of block.cases) {
      cases++;
      t.equal(match({ ...HOME, ...input }) ?? 'none', expected, JSON.stringify(input));
    }
  });
}

t.test('the table keeps its size', async (t) => t.ok(cases >= 200, `${cases} cases`));
