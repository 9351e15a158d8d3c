// Upstreams that do not keep to what was asked of them, seen from the client. What is expected was seen on Envoy 1.40.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import t from 'tap';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';
import { data, headers, preface } from '../parity/frames.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const SWITCHES = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
const HINT = 'HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n';
const UPGRADE = 'GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
const EXTENDED = [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a', ':path: /ws'];
const HIDDEN = 'GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http';

function filters(type: string, more: object = {}): object {
  return {
    http_filters: [
      { name: 'f', typed_config: { '@type': `${FILTERS}.${type}`, ...more } },
      { name: 'router', typed_config: { '@type': `${FILTERS}.router.v3.Router` } },
    ],
  };
}

/** All that came to the upstream, and what it says to a head; an empty answer leaves it to the test. */
class Upstream {
  readonly server: Server;
  received: string;
  answer: string;
  /** Of the latest connection. */
  say: (text: string) => void;

  constructor() {
    this.received = '';
    this.answer = '';
    this.say = () => {};
    this.server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('close', () => this.server.emit('gone'));
      this.say = (text) => socket.write(text, 'latin1');
      socket.on('data', (bytes) => {
        const first = !this.received.includes('\r\n\r\n');
        this.received += bytes.toString('latin1');
        if (first && this.answer !== '') this.say(this.answer);
        if (this.answer.includes('half')) setImmediate(() => socket.end());
        this.server.emit('bytes');
      });
    }).listen(0, '127.0.0.1');
  }

  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) await once(this.server, 'bytes');
  }
}

const upstream = new Upstream();
let proxy: RunningProxy;

t.before(async () => {
  await once(upstream.server, 'listening');
  proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        httpListener(
          'plain',
          'c',
          {},
          {},
          {
            upgrade_configs: [{ upgrade_type: 'websocket' }],
            http2_protocol_options: { allow_connect: true },
          },
        ),
        httpListener('hints', 'c', {}, {}, { proxy_100_continue: true }),
        httpListener('web', 'c', {}, {}, filters('grpc_web.v3.GrpcWeb')),
        httpListener('bridge', 'c', {}, {}, filters('grpc_http1_bridge.v3.Config', { upgrade_protobuf_to_grpc: true })),
      ],
      clusters: [staticCluster('c', (upstream.server.address() as AddressInfo).port)],
    },
  });
});

t.teardown(async () => {
  await proxy.stop('SIGKILL');
  upstream.server.close();
});

/** A client that has said something, and what it has heard. */
async function client(
  listener: string,
  text: string,
): Promise<{ heard(): string; until(text: string): Promise<void>; end(): void }> {
  upstream.received = '';
  const socket = connect(await proxy.portOf(listener), '127.0.0.1');
  socket.on('error', () => {});
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes.toString('latin1');
  });
  socket.write(text, 'latin1');
  return {
    heard: () => heard,
    until: async (what) => {
      while (!heard.includes(what) && !socket.destroyed)
        await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    },
    end: () => socket.destroy(),
  };
}

for (const [name, text] of [
  ['HTTP/1', UPGRADE + HIDDEN],
  ['HTTP/2', preface() + headers(1, EXTENDED, false) + data(1, HIDDEN)],
] as const)
  t.test(`${name}: what follows an upgrade waits for the upstream's consent`, async (t) => {
    upstream.answer = '';
    const it = await client('plain', text);
    await upstream.until('\r\n\r\n');
    // The proxy has read it all: with what came before, or before it answers this.
    await proxy.admin('/stats');
    await proxy.admin('/stats');
    t.notMatch(upstream.received, 'hidden', 'the upstream could take it for a request');
    upstream.say(SWITCHES);
    await upstream.until(HIDDEN);
    it.end();
    await once(upstream.server, 'gone');
    upstream.answer = OK;
    const refused = await client('plain', text);
    await once(upstream.server, 'gone');
    t.notMatch(upstream.received, 'hidden', 'nor when it answers something else');
    refused.end();
  });

t.test('an answer that breaks off below a filter that collects it is replaced whole', async (t) => {
  const broken = (type: string): string =>
    `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: 100\r\n\r\nhalf`;
  const ask = (type: string): string =>
    `POST /p.S/M HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0`;
  for (const [listener, request, answer] of [
    ['web', ask('application/grpc-web'), broken('text/html')],
    ['bridge', ask('application/x-protobuf'), broken('application/grpc')],
  ] as const) {
    upstream.answer = answer;
    const it = await client(listener, request);
    await it.until('reset reason: protocol error');
    t.match(it.heard(), /^HTTP\/1\.1 502 Bad Gateway\r\n/, listener);
    t.equal(it.heard().split('HTTP/1.1 ').length, 2, 'one head');
    it.end();
  }
  upstream.answer = broken('text/html');
  const it = await client('bridge', ask('application/grpc'));
  await it.until('grpc-status: 14');
  t.match(it.heard(), /^HTTP\/1\.1 200 OK\r\n.*grpc-status: 14\r\n/s, 'of any type');
  it.end();
});

t.test('of interim responses the first is passed on', async (t) => {
  upstream.answer = HINT.repeat(3) + OK;
  const it = await client('hints', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await it.until('ok');
  t.equal(it.heard().split(' 103 ').length, 2);
  it.end();
});
