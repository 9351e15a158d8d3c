// WebSockets of `ws` through the proxy: HTTP/1 and HTTP/2 on either side, by chains of listeners, since `ws` itself speaks
// HTTP/1 only: 1→1, 1→2→1 and 1→2→2→1.

import { once } from 'node:events';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { busyGauges } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';
import { freePorts } from '../parity/proxy-process.ts';

const BIG = Buffer.alloc(1024 * 1024 + 7, 'abcdefg');
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const HTTP2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http2_protocol_options: { allow_connect: true } },
      // Or the connection would stand idle when all is over.
      common_http_protocol_options: { idle_timeout: '0.2s' },
    },
  },
};
const ALLOWED = { http2_protocol_options: { allow_connect: true }, upgrade_configs: [{ upgrade_type: 'websocket' }] };

/** A server that speaks first, then echoes; `/refused` is. */
async function startServer(): Promise<WebSocketServer> {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    maxPayload: 2 * BIG.length,
    verifyClient: ({ req }) => req.url !== '/refused',
  });
  server.on('connection', (socket: WebSocket) => {
    socket.on('error', () => {});
    socket.send('welcome');
    socket.on('message', (bytes: Buffer, isBinary: boolean) => socket.send(isBinary ? bytes : bytes.toString()));
    socket.on('close', (code: number, reason: Buffer) => server.emit('left', code, String(reason)));
  });
  await once(server, 'listening');
  return server;
}

/** A listener by its port. */
function listener(name: string, port: number, cluster: string, manager: object = ALLOWED, route: object = {}): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return httpListener(name, cluster, { address }, route, manager);
}

/** What a refused client is told. */
async function refusal(address: string): Promise<number> {
  const socket = new WebSocket(address);
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  socket.terminate();
  return response.statusCode;
}

t.test('over HTTP/1 and HTTP/2', async (t) => {
  const server = await startServer();
  const [one = 0, two = 0, three = 0] = await freePorts(3);
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        listener('1 to 1', one, 'server'),
        listener('1 to 2, 2 to 1', two, 'one'),
        listener('1 to 2, 2 to 2, 2 to 1', three, 'two'),
      ],
      clusters: [
        staticCluster('server', server.address().port),
        staticCluster('one', one, HTTP2),
        staticCluster('two', two, HTTP2),
      ],
    },
  });
  for (const [name, port] of Object.entries({
    '1 to 1': one,
    '1 to 2, 2 to 1': two,
    '1 to 2, 2 to 2, 2 to 1': three,
  })) {
    const address = `ws://127.0.0.1:${port}/chat`;
    const socket = new WebSocket(address);
    const next = async (): Promise<Buffer> => (await once(socket, 'message'))[0];
    t.equal(String(await next()), 'welcome', `${name}: what comes right behind the switch is kept`);
    socket.send('hello');
    t.equal(String(await next()), 'hello');
    socket.send(BIG);
    t.ok((await next()).equals(BIG));
    const pong = once(socket, 'pong');
    socket.ping('are you there');
    t.equal(String((await pong)[0]), 'are you there');
    const left = once(server, 'left');
    const closed = once(socket, 'close');
    socket.close(4_001, 'enough');
    t.same(await left, [4_001, 'enough']);
    t.equal((await closed)[0], 4_001);

    const told = new WebSocket(address);
    await once(told, 'message');
    for (const each of server.clients) each.close(4_002, 'go away');
    const [code, reason] = await once(told, 'close');
    t.equal(`${code} ${reason}`, '4002 go away');

    const lost = new WebSocket(address);
    await once(lost, 'message');
    for (const each of server.clients) each.terminate();
    t.equal((await once(lost, 'close'))[0], 1_006, 'a host that breaks off');

    const gone = new WebSocket(address);
    await once(gone, 'message');
    const missed = once(server, 'left');
    gone.terminate();
    t.equal((await missed)[0], 1_006, 'a client that breaks off');

    t.equal(await refusal(address.replace('/chat', '/refused')), 401);
  }
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('who may upgrade, and for how long', async (t) => {
  const server = await startServer();
  const [never = 0, notHere = 0, hereOnly = 0, idle = 0] = await freePorts(4);
  const off = { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] };
  const on = { upgrade_configs: [{ upgrade_type: 'WebSocket' }] };
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        listener('never', never, 'server', {}),
        listener('not-here', notHere, 'server', ALLOWED, off),
        listener('here-only', hereOnly, 'server', {}, on),
        listener('idle', idle, 'server', { ...ALLOWED, stream_idle_timeout: '1s' }, { timeout: '0.5s' }),
      ],
      clusters: [staticCluster('server', server.address().port)],
    },
  });
  t.equal(await refusal(`ws://127.0.0.1:${never}/`), 403);
  t.equal(await refusal(`ws://127.0.0.1:${notHere}/`), 403);
  const socket = new WebSocket(`ws://127.0.0.1:${hereOnly}/`);
  t.equal(String((await once(socket, 'message'))[0]), 'welcome');
  socket.terminate();

  const waiting = new WebSocket(`ws://127.0.0.1:${idle}/`);
  await once(waiting, 'message');
  const closed = once(waiting, 'close');
  for (let i = 0; i < 6; i++) {
    waiting.send('x');
    await once(waiting, 'message');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.equal((await closed)[0], 1_006, 'after a silence, not at the time-out of the route');
  t.equal(await proxy.stat('http.idle.downstream_rq_idle_timeout'), 1);
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  server.close();
});
