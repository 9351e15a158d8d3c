// Requests that meet a connection which died while it was idle: sent again once, on a new connection.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';

const IDLE_CONNECTIONS = 5;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** An upstream that tells which requests it has seen on which connection; `act` may do something else than answer. */
async function startUpstream(act: (line: string, nth: number, socket: Socket) => boolean) {
  const seen: { readonly line: string; readonly connection: number }[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    const connection = ++connections;
    let requests = 0;
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk;
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const line = text.slice(0, text.indexOf('\r\n'));
        text = text.slice(end + 4);
        seen.push({ line, connection });
        requests++;
        if (!act(line, requests, socket)) socket.write(OK);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, seen, port: (server.address() as AddressInfo).port };
}

function start(port: number): Promise<RunningProxy> {
  return startProxy({
    admin: ADMIN,
    static_resources: { listeners: [httpListener('web', 'c')], clusters: [staticCluster('c', port)] },
  });
}

/** One request on a connection of its own; its status. */
async function ask(port: number, method: string, path: string): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  await once(socket, 'close');
  return Number(text.slice(9, 12));
}

t.test('an idle connection that turns out to be dead costs nobody an error', async (t) => {
  const upstream = await startUpstream((_line, nth, socket) => nth === 2 && socket.destroy().destroyed);
  const proxy = await start(upstream.port);
  const port = await proxy.portOf('web');
  t.equal(await ask(port, 'GET', '/first'), 200);
  t.equal(await ask(port, 'GET', '/second'), 200);
  t.same(
    upstream.seen.map(({ line, connection }) => `${line.split(' ')[1]} on ${connection}`),
    ['/first on 1', '/second on 1', '/second on 2'],
  );
  t.equal(await proxy.stat('cluster.c.outrigger.upstream_rq_replay'), 1);
  t.equal(await proxy.stat('cluster.c.upstream_rq_retry'), 0);
  t.equal(await ask(port, 'POST', '/not-idempotent'), 503, 'what may not be seen twice is not sent twice');
  await proxy.stop();
  upstream.server.close();
});

t.test('a request that kills its connection is sent twice at most', async (t) => {
  const waiting: Socket[] = [];
  const upstream = await startUpstream((line, _nth, socket) => {
    if (line.includes('/poison')) return socket.destroy().destroyed;
    if (!line.includes('/fill')) return false;
    // All at once, so that each takes a connection of its own.
    if (waiting.push(socket) === IDLE_CONNECTIONS) for (const each of waiting) each.write(OK);
    return true;
  });
  const proxy = await start(upstream.port);
  const port = await proxy.portOf('web');
  const fills = Array.from({ length: IDLE_CONNECTIONS }, () => ask(port, 'GET', '/fill'));
  t.same(
    await Promise.all(fills),
    fills.map(() => 200),
  );
  t.equal(await proxy.stat('cluster.c.upstream_cx_active'), IDLE_CONNECTIONS);
  t.equal(await ask(port, 'DELETE', '/poison'), 503);
  const poisoned = upstream.seen.filter(({ line }) => line.includes('/poison'));
  t.equal(poisoned.length, 2);
  t.ok((poisoned[1]?.connection ?? 0) > IDLE_CONNECTIONS, 'the second time on a new connection');
  t.equal(await proxy.stat('cluster.c.upstream_rq_active'), 0);
  await proxy.stop();
  upstream.server.close();
});
