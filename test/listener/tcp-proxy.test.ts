import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { busyGauges, descriptors } from '../fixtures/at-rest.ts';
import { ADMIN, type RunningProxy, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;

async function upstreamServer(serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function open(proxy: RunningProxy, listener: string): Promise<Socket> {
  const socket = connect({ port: await proxy.portOf(listener), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function rest(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

t.test('half-closes travel both ways', async (t) => {
  const server = await upstreamServer((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
      if (text === 'bye') socket.end('first');
    });
    socket.on('end', () => {
      server.emit('ended', text);
      socket.end(`<${text}>`);
    });
  });
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: { listeners: [tcpListener('l', 'c')], clusters: [staticCluster('c', portOf(server))] },
  });
  const asking = await open(proxy, 'l');
  asking.end('question');
  t.equal(await rest(asking), '<question>', 'the answer comes after our end');

  const told = await open(proxy, 'l');
  told.write('bye');
  told.setEncoding('utf8');
  const heard = once(told, 'data');
  const ended = once(told, 'end');
  t.same(await heard, ['first']);
  await ended;
  const upstreamHeard = once(server, 'ended');
  const closed = once(told, 'close');
  told.end(' and more');
  t.same(await upstreamHeard, ['bye and more'], 'our bytes still go upstream after its end');
  await closed;
  t.equal(await proxy.stat('tcp.l.downstream_cx_total'), 2);
  t.equal(await proxy.stat('tcp.l.downstream_cx_rx_bytes_total'), 'question'.length + 'bye and more'.length);
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('failures: refused, no host, unknown cluster, overflow, no chain', async (t) => {
  const server = await upstreamServer((socket) => socket.pipe(socket));
  const free = await upstreamServer(() => {});
  const refusedPort = portOf(free);
  free.close();
  await once(free, 'close');
  const external = { filter_chain_match: { source_type: 'EXTERNAL' } };
  const guarded = tcpListener('guarded', 'good') as { filter_chains: object[] };
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        tcpListener('bad', 'bad', {}, { max_connect_attempts: 3 }),
        tcpListener('empty', 'empty'),
        tcpListener('missing', 'missing'),
        tcpListener('narrow', 'narrow'),
        {
          ...guarded,
          stat_prefix: 'guarded',
          filter_chains: guarded.filter_chains.map((c) => ({ ...c, ...external })),
        },
      ],
      clusters: [
        staticCluster('bad', refusedPort),
        { name: 'empty', connect_timeout: '1s', load_assignment: { cluster_name: 'empty', endpoints: [] } },
        staticCluster('good', portOf(server)),
        staticCluster('narrow', portOf(server), { circuit_breakers: { thresholds: [{ max_connections: 1 }] } }),
      ],
    },
  });
  for (const listener of ['bad', 'empty', 'missing', 'guarded']) t.equal(await rest(await open(proxy, listener)), '');
  t.equal(await proxy.stat('cluster.bad.upstream_cx_connect_fail'), 3, 'each attempt is counted');
  t.equal(await proxy.stat('cluster.bad.upstream_cx_connect_attempts_exceeded'), 1);
  t.equal(await proxy.stat('cluster.empty.upstream_cx_none_healthy'), 1);
  t.equal(await proxy.stat('tcp.missing.downstream_cx_no_route'), 1);
  t.equal(await proxy.stat('listener.guarded.no_filter_chain_match'), 1);
  const first = await open(proxy, 'narrow');
  first.write('x');
  await once(first, 'data');
  t.equal(await rest(await open(proxy, 'narrow')), '', 'the second connection is one too many');
  t.equal(await proxy.stat('cluster.narrow.upstream_cx_overflow'), 1);
  first.destroy();
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('a reader that stops, stops the writer, and no byte is lost', async (t) => {
  const total = 64 * MIB;
  let sent = 0;
  const block = Buffer.alloc(64 * 1024, 7);
  const server = await upstreamServer((socket) => {
    const push = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
      socket.end();
    };
    socket.on('drain', push);
    push();
  });
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: { listeners: [tcpListener('l', 'c')], clusters: [staticCluster('c', portOf(server))] },
  });
  const client = await open(proxy, 'l');
  client.pause();
  while ((await proxy.stat('cluster.c.upstream_flow_control_paused_reading_total')) === 0) {}
  t.ok(sent < total / 2, `the upstream was held after ${sent} bytes`);
  let received = 0;
  client.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  client.resume();
  await once(client, 'end');
  client.end();
  t.equal(received, total);
  const paused = await proxy.stat('cluster.c.upstream_flow_control_paused_reading_total');
  t.equal(await proxy.stat('cluster.c.upstream_flow_control_resumed_reading_total'), paused);
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('an upstream that ends and then resets, before TCP and Unix clients', async (t) => {
  const server = await upstreamServer((socket) => {
    socket.end('bye', () => setTimeout(() => socket.resetAndDestroy(), 20));
    socket.pause();
  });
  // A short one: the path of a Unix socket has 108 bytes.
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'l.sock');
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [tcpListener('l', 'c'), tcpListener('unix', 'c', { address: { pipe: { path } } })],
      clusters: [staticCluster('c', portOf(server))],
    },
  });
  t.teardown(() => void proxy.process.kill('SIGKILL'));
  const sockets: Socket[] = [];
  const before = descriptors(proxy.process.pid);
  for (const target of [{ port: await proxy.portOf('l'), host: '127.0.0.1' }, { path }]) {
    const socket = connect({ ...target, allowHalfOpen: true });
    socket.on('error', () => {});
    socket.resume();
    // More than the upstream reads: we are held when it resets.
    socket.write(Buffer.alloc(8 * MIB));
    // Who still writes hears of the reset, anyone else of the end.
    await new Promise((resolve) => socket.on('end', resolve).on('close', resolve));
    sockets.push(socket);
  }
  t.same(await busyGauges(proxy), {});
  t.ok(descriptors(proxy.process.pid) <= before + 1, 'no descriptor is left, although the clients stay');
  for (const socket of sockets) socket.destroy();
  t.notMatch(proxy.log(), /crash/);
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('idle time and maximum duration', async (t) => {
  const server = await upstreamServer((socket) => socket.pipe(socket));
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        tcpListener('idle', 'c', {}, { idle_timeout: '0.5s' }),
        tcpListener('long', 'c', {}, { max_downstream_connection_duration: '0.5s' }),
      ],
      clusters: [staticCluster('c', portOf(server))],
    },
  });
  for (const listener of ['idle', 'long']) {
    const socket = await open(proxy, listener);
    socket.write('x');
    t.equal(await rest(socket), 'x');
  }
  t.equal(await proxy.stat('tcp.idle.idle_timeout'), 1);
  t.equal(await proxy.stat('tcp.long.max_downstream_connection_duration'), 1);
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('a flush to an upstream that does not read keeps its places, and ends with the idle time', async (t) => {
  const sentBytes = 16 * MIB;
  const stuck = new Set<Socket>();
  const server = await upstreamServer((socket) => {
    stuck.add(socket.pause());
    socket.end();
  });
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [tcpListener('l', 'c', {}, { idle_timeout: '2s' })],
      // Everything that the kernel does not take waits in the proxy, which therefore never stops reading the client.
      clusters: [staticCluster('c', portOf(server), { per_connection_buffer_limit_bytes: 4 * sentBytes })],
    },
  });
  const reaches = async (name: string, value: number): Promise<boolean> => {
    const deadlineMs = performance.now() + 10_000;
    while ((await proxy.stat(name)) !== value && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20));
    return performance.now() < deadlineMs;
  };
  const client = await open(proxy, 'l');
  client.resume();
  client.end(Buffer.alloc(sentBytes));
  t.ok(await reaches('tcp.l.upstream_flush_active', 1));
  t.equal(await proxy.stat('tcp.l.downstream_cx_rx_bytes_total'), sentBytes);
  t.equal(await proxy.stat('cluster.c.upstream_cx_active'), 1, 'while it flushes');
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stat('tcp.l.idle_timeout'), 1);
  t.equal(await proxy.stat('tcp.l.upstream_flush_total'), 1);
  for (const socket of stuck) socket.destroy();
  t.equal(await proxy.stop(), 0);
  server.close();
});
