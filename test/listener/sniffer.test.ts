// Looking at the first bytes of connections: every way they may be cut, clients that drip, flood, wait or leave, and who
// gets the bytes afterwards.

import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import type { ListenerFilterModel } from '../../proxy/config/model/listener-filter.ts';
import { compileListenerFilters } from '../../proxy/listener/compile-filters.ts';
import type { AcceptedConnection } from '../../proxy/listener/connection.ts';
import { SharedGates } from '../../proxy/listener/shared-gates.ts';
import { type SniffEnd, Sniffer } from '../../proxy/listener/sniffer.ts';
import { takeEarly } from '../../proxy/net/read-buffer.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import * as hello from '../fixtures/hello.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';
import { downstreamTls, pair } from '../fixtures/tls.ts';
import { FakeStats } from '../fixtures/upstream.ts';

/** None of the filters here counts. */
const NO_GATES = {
  stats: new FakeStats(),
  shared: new SharedGates(new SharedArrayBuffer(0), 1, 0),
  runtimeKeys: {},
};

const TLS: ListenerFilterModel = {
  kind: 'tls_inspector',
  ja3: false,
  ja4: false,
  helloBytesMax: 16_384,
  closeOnErrors: false,
  disabled: null,
};
const HTTP: ListenerFilterModel = { kind: 'http_inspector', disabled: null };
const PROXY: ListenerFilterModel = {
  kind: 'proxy_protocol',
  rules: [],
  optional: true,
  passThrough: { all: true, types: [] },
  allowV1: true,
  allowV2: true,
  statPrefix: '',
  disabled: null,
};

/** The facts that filters fill. */
class Facts {
  transportProtocol = 'raw_buffer';
  applicationProtocols: readonly string[] = [];
  requestedServerName = '';
  inspectorFailure = '';
  hello = null;
  proxyHeader = null;
  localIp = '127.0.0.1';
  localPort = 80;
  client = '';
  restoreRemote(ip: string, port: number): void {
    this.client = `${ip}:${port}`;
  }
  restoreLocal(): void {}
  setMetadata(): void {}
}

interface Looked {
  readonly end: SniffEnd | null;
  readonly facts: Facts;
  /** What the next reader gets. */
  readonly rest: string;
}

/** Plays chunks to a sniffer whose socket is a stand-in. */
function look(chunks: readonly Buffer[]): Looked {
  const socket = new EventEmitter() as unknown as Socket;
  const facts = new Facts();
  let end: SniffEnd | null = null;
  const plan = {
    filters: compileListenerFilters([PROXY, TLS, HTTP], new FakeStats(), false, NO_GATES),
    timeoutMs: 0,
    serverFirstMs: 0,
    runtime: SYSTEM_RUNTIME,
    wheel: new TimerWheel(SYSTEM_RUNTIME),
    onEnd: (_: Sniffer, how: SniffEnd) => {
      end = how;
    },
  };
  new Sniffer(plan, socket, facts as unknown as AcceptedConnection).start();
  let rest = '';
  for (const chunk of chunks) {
    if (end === null) {
      socket.emit('data', chunk);
      // The shared buffer is overwritten by the next read.
      if (end === null) chunk.fill(0xee);
      else rest = takeEarly(socket).toString('latin1');
    } else rest += chunk.toString('latin1');
  }
  return { end, facts, rest };
}

const HELLO = hello.hello().toString('latin1');
const REQUEST = 'GET /some/where HTTP/1.1\r\nhost: a\r\n\r\n';
const V1 = 'PROXY TCP4 10.1.2.3 10.4.5.6 1111 2222\r\n';
const V2 = '\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x01\x02\x03\x0a\x04\x05\x06\x04\x57\x08\xae';

for (const [name, header, body] of [
  ['request', '', REQUEST],
  ['request behind v1', V1, REQUEST],
  ['hello behind v2', V2, `${HELLO}more`],
  ['unknown behind v1', V1, '\x01\x02\x03\x04\x05\x06'],
] as const)
  t.test(`cut anywhere: ${name}`, async (t) => {
    const all = Buffer.from(header + body, 'latin1');
    const whole = look([Buffer.from(all)]);
    t.equal(whole.end, 'done');
    t.equal(whole.rest, body);
    t.equal(whole.facts.client, header === '' ? '' : '10.1.2.3:1111');
    const { facts } = whole;
    const cuts = Array.from({ length: all.length - 1 }, (_, i) => [all.subarray(0, i + 1), all.subarray(i + 1)]);
    const bytes = [...all].map((byte) => Buffer.from([byte]));
    const different = [...cuts, bytes].filter((chunks) => {
      const seen = look(chunks.map((chunk) => Buffer.from(chunk)));
      return seen.end !== 'done' || seen.rest !== body || JSON.stringify(seen.facts) !== JSON.stringify(facts);
    });
    t.equal(different.length, 0, `${different.length} of ${cuts.length + 1} ways to cut it differ`);
  });

t.test('a drip costs little', async (t) => {
  const message = hello.helloMessage({ extensions: [...hello.DEFAULT_EXTENSIONS, [21, Buffer.alloc(12_000)]] });
  for (const [name, bytes] of [
    ['hello of records of one byte', hello.records(message.subarray(0, 2_700), 1)],
    ['hello of 12 kB', hello.records(message)],
    ['line without end', Buffer.from(`GET /${'a'.repeat(20_000)}`)],
  ] as const) {
    const start = process.cpuUsage();
    look([...bytes].map((byte) => Buffer.from([byte])));
    const { user, system } = process.cpuUsage(start);
    t.ok(user + system < 1_500_000, `${name}: ${Math.round((user + system) / 1_000)} ms for ${bytes.length} bytes`);
  }
});

t.test('what goes on for too long is refused', async (t) => {
  t.equal(look([Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xf0]), Buffer.alloc(16_384)]).end, 'done', 'no hello');
  const endless = hello.records(hello.helloMessage({ extensions: [[21, Buffer.alloc(16_200)]] }), 1);
  t.equal(look([endless.subarray(0, 16_384)]).end, 'refused');
  t.equal(look([Buffer.from(`GET /${'a'.repeat(70_000)}`)]).end, 'refused');
});

// === In a running proxy ===

const filter = (name: string, config: object = {}): object => ({
  name,
  typed_config: {
    '@type': `type.googleapis.com/envoy.extensions.filters.listener.${name}`,
    ...config,
  },
});
const FILTERS = [
  filter('proxy_protocol.v3.ProxyProtocol', { allow_requests_without_proxy_protocol: true }),
  filter('tls_inspector.v3.TlsInspector'),
  filter('http_inspector.v3.HttpInspector'),
];
type Chained = { filter_chains: [{ filters: object[] }] };
const filtersOf = (listener: object): object[] => (listener as Chained).filter_chains[0].filters;

async function withProxy(
  serverFirstMs: number,
  run: (proxy: RunningProxy, port: number) => Promise<void>,
): Promise<void> {
  const upstream = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      if (text.startsWith('GET ')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhttp');
      else socket.write(`tcp:${text}`);
    });
    socket.on('end', () => socket.end('<end>'));
    // A server that speaks first.
    if (greeting !== '') socket.write(greeting);
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  process.env['OUTRIGGER_SERVER_FIRST_MS'] = String(serverFirstMs);
  const http = filtersOf(httpListener('http', 'c'));
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        tcpListener('all', 'c', {
          listener_filters: FILTERS,
          listener_filters_timeout: '0s',
          filter_chains: [
            {
              filter_chain_match: { transport_protocol: 'tls' },
              transport_socket: downstreamTls({ tls_certificates: [pair('server')], alpn_protocols: ['http/1.1'] }),
              filters: http,
            },
            { filter_chain_match: { application_protocols: ['http/1.1'] }, filters: http },
          ],
          default_filter_chain: { filters: filtersOf(tcpListener('tcp', 'c')) },
        }),
      ],
      clusters: [staticCluster('c', (upstream.address() as AddressInfo).port)],
    },
  });
  delete process.env['OUTRIGGER_SERVER_FIRST_MS'];
  try {
    await run(proxy, await proxy.portOf('all'));
  } finally {
    await proxy.stop();
    upstream.close();
  }
}

let greeting = '';

/** Sends and returns what comes until it contains `until`, or the end. */
async function talk(socket: Socket, text: string | null, until: string): Promise<string> {
  let heard = '';
  if (text !== null) socket.write(text, 'latin1');
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    heard += (chunk as Buffer).toString('latin1');
    if (heard.includes(until)) break;
  }
  return heard;
}

t.test('who serves gets every byte', async (t) => {
  await withProxy(600, async (proxy, port) => {
    const open = (): Socket => connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    t.match(await talk(open(), `${V1}${REQUEST}`, 'http'), /^HTTP\/1\.1 200 OK/);
    t.equal(await talk(open(), 'EHLO me\r\n', '\n'), 'tcp:EHLO me\r\n');

    const early = open();
    early.end('\x01all at once');
    t.equal(await talk(early, null, '<end>'), 'tcp:\x01all at once<end>', 'bytes and the end right behind them');

    const request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
    for (const header of ['', V1]) {
      const raw = open();
      if (header !== '') raw.write(header, 'latin1');
      const secure = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
      t.match(
        await talk(secure, request, 'http'),
        /^HTTP\/1\.1 200 OK/,
        `TLS behind ${header === '' ? 'nothing' : 'v1'}`,
      );
      t.equal(secure.alpnProtocol, 'http/1.1');
      secure.destroy();
    }
    t.equal(await proxy.stat('tls_inspector.tls_found'), 2);
    t.equal(await proxy.stat('http_inspector.http11_found'), 1);

    greeting = 'hello, client';
    const silent = open();
    t.equal(await talk(silent, null, 'client'), 'hello, client', 'the server speaks first');
    t.equal(await talk(silent, 'thanks', 'thanks'), 'tcp:thanks');
    greeting = '';
    const idle = open();
    await once(idle, 'connect');
    idle.write('GE');
    await new Promise((resolve) => setTimeout(resolve, 900));
    t.match(await talk(idle, 'T / HTTP/1.1\r\nhost: a\r\n\r\n', 'http'), /200 OK/, 'who has begun is waited for');
    for (const socket of [silent, idle]) socket.destroy();
  });
});

t.test('a thousand clients that say little', async (t) => {
  await withProxy(0, async (proxy, port) => {
    const memory = async (): Promise<number> =>
      Number(/"allocated": "(\d+)"/.exec(await proxy.admin('/memory'))?.[1] ?? Number.NaN);
    const before = await memory();
    const clients = Array.from({ length: 1_000 }, () => connect(port, '127.0.0.1'));
    await Promise.all(clients.map((client) => once(client, 'connect')));
    for (const client of clients) client.write('G');
    const prefix = (await proxy.admin('/stats?filter=downstream_pre_cx_active')).match(/^(\S+): /m)?.[1] ?? '';
    while ((await proxy.stat(prefix)) < 1_000) await new Promise((r) => setTimeout(r, 20));
    t.equal(await proxy.stat(prefix), 1_000);
    const each = ((await memory()) - before) / 1_000;
    t.ok(each < 16_384, `${Math.round(each)} bytes each`);
    const served = await Promise.all(
      clients.map((client, i) => (i % 2 === 0 ? talk(client, 'ET / HTTP/1.1\r\nhost: a\r\n\r\n', 'http') : null)),
    );
    t.equal(served.filter((answer) => answer?.startsWith('HTTP/1.1 200') === true).length, 500);
    for (const client of clients) client.destroy();
    while ((await proxy.stat(prefix)) > 0) await new Promise((r) => setTimeout(r, 20));
    t.equal(await proxy.stat(prefix), 0);
    t.equal(await proxy.stat(prefix.replace('pre_cx_active', 'listener_filter_remote_close')), 500);
  });
});
