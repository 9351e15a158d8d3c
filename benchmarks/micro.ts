// Micro benchmarks: what grows with a configuration, and what every request pays. `node benchmarks/micro.ts`
//
// Numbers order ideas on one machine in one run; they say nothing across machines.

import { readClientHello } from '../proxy/codec/client-hello.ts';
import { HeaderMap } from '../proxy/codec/headers.ts';
import { sniffHttp } from '../proxy/codec/http-sniff.ts';
import { FRAMING_AS_IS, H1_OPTIONS } from '../proxy/codec/http1.ts';
import { RequestDecoder } from '../proxy/codec/http1-request.ts';
import { ResponseDecoder } from '../proxy/codec/http1-response.ts';
import { writeRequestHead, writeResponseHead } from '../proxy/codec/http1-write.ts';
import type { EndpointModel } from '../proxy/config/model/cluster.ts';
import { normalizePath } from '../proxy/http/path.ts';
import { compileChainMatch, type MatchInput } from '../proxy/listener/chain-match.ts';
import { AF_INET, systemCalls } from '../proxy/net/sockopt.ts';
import { type ConnectionInfo, StreamInfo } from '../proxy/observe/stream-info.ts';
import { compileRouteTable } from '../proxy/route/route-table.ts';
import type { Host } from '../proxy/upstream/host.ts';
import { buildPicker } from '../proxy/upstream/picker.ts';
import type { ClusterManager, ClusterRef } from '../proxy/upstream/upstream.ts';
import { SYSTEM_RUNTIME } from '../proxy/util/runtime.ts';
import { ANY, HOME, type Input, type Match } from '../test/fixtures/chain-table.ts';
import { hello } from '../test/fixtures/hello.ts';
import { directRoute, pathMatch, routeConfig } from '../test/fixtures/routes.ts';
import { FakeStats } from '../test/fixtures/upstream.ts';
import { measure, measureTogether, row, SLICE_US, SLICES, sink } from './measure.ts';
import { http2Codec } from './micro-http2.ts';

const SIZES = [10, 1_000, 10_000];
const absent = (name: string): ClusterRef => ({ name, current: null });
const clusters: ClusterManager = { ref: absent, find: absent };
const connection = { tls: null } as unknown as ConnectionInfo;

function request(host: string, path: string): StreamInfo {
  const info = new StreamInfo(connection, 0, 0);
  info.authority = asRead(host);
  info.path = asRead(path);
  info.method = 'GET';
  return info;
}

/** A text in one piece, as codecs read it; one that was put together stays in pieces. */
function asRead(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Requests that take turns, as many as the smallest table has entries. */
const TARGETS = 10;

/** Names of all sizes are equally long. */
function service(index: number): string {
  return `service-${String(index).padStart(5, '0')}`;
}

function lookups(name: string, build: (count: number) => Parameters<typeof routeConfig>[0], of: LookupTarget): void {
  const headers = new HeaderMap();
  headers.add('user-agent', 'bench');
  const calls = SIZES.map((count) => {
    const table = compileRouteTable(routeConfig(build(count)), {
      clusters,
      stats: new FakeStats(),
      runtimeKeys: {},
    });
    // As many different requests whatever the size: not the processor's caches are measured.
    const infos = range(TARGETS, (i) => of(Math.floor((i * count) / TARGETS)));
    return (i: number) => (table.match(infos[i % TARGETS] as StreamInfo, headers, 0) === null ? 1 : 0);
  });
  row(name, measureTogether(calls));
}

type LookupTarget = (index: number) => StreamInfo;

function range<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function routing(): void {
  process.stdout.write(`${'route lookup, ns'.padEnd(44)}${SIZES.map((n) => `${n}`.padStart(10)).join('')}\n`);
  const kinds = ['prefix', 'exact', 'path_separated_prefix'] as const;
  for (const kind of kinds)
    lookups(
      `  routes by ${kind}`,
      (count) => [
        { domains: ['*'], routes: range(count, (i) => directRoute(`r${i}`, pathMatch(kind, `/${service(i)}/v1`))) },
      ],
      (i) => request('host', kind === 'exact' ? `/${service(i)}/v1?q=1` : `/${service(i)}/v1/items/42?q=1`),
    );
  const one = [directRoute('r', pathMatch('prefix', '/'))];
  lookups(
    '  virtual hosts, exact',
    (count) => range(count, (i) => ({ domains: [`${service(i)}.default.svc.cluster.local`], routes: one })),
    (i) => request(`${service(i)}.default.svc.cluster.local`, '/items/42'),
  );
  lookups(
    '  virtual hosts, suffix wildcard',
    (count) => range(count, (i) => ({ domains: [`*.${service(i)}.example.com`], routes: one })),
    (i) => request(`www.${service(i)}.example.com`, '/items/42'),
  );
}

/** Chains of a gateway and of a sidecar: by server name, and by port and address. */
function chains(): void {
  const kinds: readonly (readonly [string, (i: number) => Match, (i: number) => Input])[] = [
    [
      'server name',
      (i) => ({ serverNames: [`service-${i}.example.com`], transportProtocol: 'tls' }),
      (i) => ({ serverName: `service-${i}.example.com`, transportProtocol: 'tls' }),
    ],
    [
      'wildcard name',
      (i) => ({ serverNames: [`*.service-${i}.example.com`] }),
      (i) => ({ serverName: `a.b.service-${i}.example.com` }),
    ],
    [
      'port and address',
      (i) => ({ destinationPort: 1 + (i % 9_973), prefixRanges: [{ address: addressOf(i), prefixLength: 32 }] }),
      (i) => ({ localPort: 1 + (i % 9_973), localIp: addressOf(i) }),
    ],
  ];
  process.stdout.write(
    `\n${'choice of a filter chain, ns'.padEnd(44)}${SIZES.map((n) => `${n}`.padStart(10)).join('')}\n`,
  );
  for (const [name, match, input] of kinds) {
    const calls = SIZES.map((count) => {
      const find = compileChainMatch(
        range(count, (i) => ({ match: { ...ANY, ...match(i) }, value: i })),
        -1,
      );
      const inputs = Array.from({ length: 97 }, (_, i) => ({ ...HOME, ...input(Math.floor((i * count) / 97)) }));
      return (i: number) => find(inputs[i % 97] as MatchInput) ?? -1;
    });
    row(`  by ${name}`, measureTogether(calls));
  }
  const bytes = hello();
  row('ClientHello read', [measure(() => (typeof readClientHello(bytes) === 'object' ? 1 : 0))]);
  row('request line recognised', [measure(() => (sniffHttp(REQUEST, 0) === 'http/1.1' ? 1 : 0))]);
}

function addressOf(i: number): string {
  return `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
}

const REQUEST = Buffer.from(
  'GET /productpage?u=normal HTTP/1.1\r\nHost: productpage.default.svc.cluster.local:9080\r\n' +
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: text/html,application/xhtml+xml\r\n' +
    'Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.5\r\n' +
    'X-Request-Id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301\r\nCookie: session=abcdef0123456789\r\nX-Custom-Thing: 1\r\n\r\n',
);
const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n' +
    `Server: origin\r\nCache-Control: no-cache\r\nETag: "abc"\r\nVary: Accept-Encoding\r\n\r\n${'x'.repeat(100)}`,
);

function codec(): void {
  process.stdout.write('\nHTTP/1 codec, ns\n');
  let headers = new HeaderMap();
  const decoder = new RequestDecoder(H1_OPTIONS, {
    onRequestHead(head) {
      headers = head.headers;
    },
    onRequestData() {},
    onRequestTrailers() {},
  });
  row(`  parse a request head (8 headers, ${REQUEST.length} B)`, [
    measure(() => {
      decoder.feed(REQUEST);
      decoder.nextRequest();
      return headers.size;
    }),
  ]);
  row('  write that head', [
    measure(() => writeRequestHead('GET', '/productpage?u=normal', 'host', headers, FRAMING_AS_IS, 'lower').length),
  ]);
  const half = REQUEST.length >> 1;
  const [first, second] = [REQUEST.subarray(0, half), REQUEST.subarray(half)];
  row('  parse it from two reads', [
    measure(() => {
      decoder.feed(first);
      decoder.feed(second);
      decoder.nextRequest();
      return headers.size;
    }),
  ]);
  let responseHeaders = new HeaderMap();
  const responses = new ResponseDecoder(H1_OPTIONS, {
    onInformational() {},
    onResponseHead(head) {
      responseHeaders = head.headers;
    },
    onResponseData() {},
    onResponseTrailers() {},
  });
  row(`  parse a response with body (7 headers, ${RESPONSE.length} B)`, [
    measure(() => {
      responses.expect('GET', false);
      responses.feed(RESPONSE);
      return responseHeaders.size;
    }),
  ]);
  row('  write that response head', [
    measure(() => writeResponseHead(200, responseHeaders, 1, FRAMING_AS_IS, 'lower').length),
  ]);
  const rules = { normalizePath: true, mergeSlashes: true, escapedSlashes: 'keep' } as const;
  row('  normalise a plain path', [measure(() => normalizePath('/api/v1/products/0/reviews?x=1', rules).path.length)]);
  row('  normalise /a/../b//c%41', [measure(() => normalizePath('/a/../b//c%41', rules).path.length)]);
}

function picks(): void {
  process.stdout.write(
    `\n${'balancer pick, ns; hosts'.padEnd(44)}${[10, 100, 1_000].map((n) => `${n}`.padStart(10)).join('')}\n`,
  );
  const policies = [
    ['round_robin', { kind: 'round_robin' }, 1],
    ['round_robin, weights', { kind: 'round_robin' }, 5],
    ['random', { kind: 'random' }, 1],
    ['least_request', { kind: 'least_request', choiceCount: 2, activeRequestBias: 1 }, 1],
  ] as const;
  for (const [name, policy, weights] of policies)
    row(
      `  ${name}`,
      [10, 100, 1_000].map((count) => {
        const hosts = range(count, (i) => ({
          weight: 1 + (i % weights),
          activeRequests: i % 7,
          endpoint: {} as EndpointModel,
        }));
        const picker = buildPicker(hosts as unknown as Host[], policy, SYSTEM_RUNTIME);
        return measure(() => picker.pick().weight);
      }),
    );
}

/** What a redirected connection costs on top: the original destination, here of a socket that has none. */
function capture(): void {
  const calls = systemCalls();
  if (calls === null) return;
  const fd = calls.socket(AF_INET);
  process.stdout.write('\n');
  row('original destination of a connection', [measure(() => (calls.originalDestination(fd, false) === null ? 0 : 1))]);
  calls.close(fd);
}

process.stdout.write(`node ${process.version}, median of ${SLICES} slices of ${SLICE_US / 1000} ms\n\n`);
routing();
chains();
codec();
http2Codec();
picks();
capture();
process.stdout.write(`\n(sum ${sink})\n`);
