// TCP through HTTP tunnels: bytes in their order whoever reads slowly, ends, and what is left behind.

import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import t from 'tap';
import { busyGauges } from '../fixtures/at-rest.ts';
import { ADMIN, type RunningProxy, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const BYTES = 16 * MIB;
const HTTP2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
      // Or the connection would stand idle when all is over.
      common_http_protocol_options: { idle_timeout: '0.2s' },
    },
  },
};

/** Something that hands every tunnel to `serve`. */
async function tunnelServer(protocol: 'HTTP/1' | 'HTTP/2', serve: (stream: Duplex) => void): Promise<Server> {
  const take = (stream: Duplex): void => {
    stream.on('error', () => {});
    serve(stream);
  };
  let server: Server;
  if (protocol === 'HTTP/2') {
    server = createHttp2().on('stream', (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      take(stream);
    });
  } else {
    server = createHttp().on('connect', (_request, socket: Socket, head: Buffer) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      if (head.length > 0) socket.unshift(head);
      take(socket);
    });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function startTunnel(port: number, cluster: object, tunnel: object, more: object = {}): Promise<RunningProxy> {
  return startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [tcpListener('l', 'c', {}, { tunneling_config: { hostname: 'h:1', ...tunnel }, ...more })],
      clusters: [staticCluster('c', port, cluster)],
    },
  });
}

async function open(proxy: RunningProxy): Promise<Socket> {
  const socket = connect({ port: await proxy.portOf('l'), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Writes numbered blocks as fast as they are taken. @returns their digest */
function pour(to: Duplex, bytes: number): string {
  let sent = 0;
  const push = (): void => {
    while (sent < bytes) {
      const block = Buffer.alloc(64 * 1024, (sent / 65_536) & 255);
      sent += block.length;
      if (!to.write(block)) return;
    }
    to.off('drain', push);
  };
  to.on('drain', push);
  push();
  const whole = createHash('sha256');
  for (let at = 0; at < bytes; at += 65_536) whole.update(Buffer.alloc(64 * 1024, (at / 65_536) & 255));
  return whole.digest('hex');
}

/** Reads that many bytes; the first ones after the other side had time to fill every buffer. */
async function drink(from: Duplex, bytes: number, isFull: () => Promise<boolean>): Promise<string> {
  const digest: Hash = createHash('sha256');
  let got = 0;
  from.pause();
  while (!(await isFull())) {}
  const done = new Promise<void>((resolve) => {
    from.on('data', (chunk: Buffer) => {
      digest.update(chunk);
      got += chunk.length;
      if (got >= bytes) resolve();
    });
  });
  from.resume();
  await done;
  return digest.digest('hex');
}

for (const protocol of ['HTTP/1', 'HTTP/2'] as const) {
  const cluster = protocol === 'HTTP/2' ? HTTP2 : {};
  t.test(`${protocol}: slow readers on either side`, async (t) => {
    const accepted = Promise.withResolvers<Duplex>();
    const server = await tunnelServer(protocol, accepted.resolve);
    const proxy = await startTunnel(portOf(server), cluster, {});
    const client = await open(proxy);
    client.pause();
    const host = await accepted.promise;
    host.pause();
    const isHeld = async (name: string): Promise<boolean> => (await proxy.stat(name)) > 0;

    const up = pour(client, BYTES);
    t.equal(await drink(host, BYTES, () => isHeld('tcp.l.downstream_flow_control_paused_reading_total')), up);
    const taken = await proxy.stat('tcp.l.downstream_cx_rx_bytes_total');
    t.equal(taken, BYTES);

    const down = pour(host, BYTES);
    t.equal(await drink(client, BYTES, () => isHeld('cluster.c.upstream_flow_control_paused_reading_total')), down);
    t.equal(await proxy.stat('tcp.l.downstream_cx_tx_bytes_total'), BYTES);
    const paused = await proxy.stat('tcp.l.downstream_flow_control_paused_reading_total');
    t.equal(await proxy.stat('tcp.l.downstream_flow_control_resumed_reading_total'), paused);

    client.resetAndDestroy();
    t.same(await busyGauges(proxy), {});
    t.equal(await proxy.stop(), 0);
    server.close();
  });

  t.test(`${protocol}: a client that leaves while its tunnel is asked for`, async (t) => {
    const asked = Promise.withResolvers<void>();
    const silent = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => asked.resolve());
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const proxy = await startTunnel(portOf(silent), cluster, {}, { max_downstream_connection_duration: '0.3s' });
    const client = await open(proxy);
    await asked.promise;
    client.resetAndDestroy();
    t.same(await busyGauges(proxy), {});
    t.equal(await proxy.stop(), 0);
    silent.close();
  });
}

t.test('HTTP/2 tunnels share a connection', async (t) => {
  const server = await tunnelServer('HTTP/2', (stream) => stream.pipe(stream));
  const proxy = await startTunnel(portOf(server), HTTP2, {});
  const clients: Socket[] = [];
  for (let i = 0; i < 5; i++) {
    const client = await open(proxy);
    client.write(`to ${i}`);
    const [echo] = await once(client, 'data');
    t.equal(String(echo), `to ${i}`);
    clients.push(client);
  }
  t.equal(await proxy.stat('cluster.c.upstream_cx_total'), 1);
  t.equal(await proxy.stat('cluster.c.upstream_rq_active'), 5);
  for (const client of clients) {
    client.end();
    await once(client, 'end');
  }
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('POST on HTTP/1.1 whose answer has an end', async (t) => {
  const answers: readonly (readonly [framing: string, body: string])[] = [
    ['content-length: 6', 'answer'],
    ['transfer-encoding: chunked', '6\r\nanswer\r\n0\r\n\r\n'],
    ['connection: close', 'answer'],
  ];
  for (const [framing, body] of answers) {
    let heard = '';
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        const answered = heard.includes('ping');
        heard += String(chunk);
        if (heard.includes('\r\n\r\n') && !heard.includes('ping'))
          socket.write(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n`);
        if (heard.includes('ping') && !answered) {
          socket.write(body);
          if (framing === 'connection: close') socket.end();
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = await startTunnel(portOf(server), {}, { use_post: true });
    const client = await open(proxy);
    client.write('ping');
    let text = '';
    for await (const chunk of client) text += String(chunk);
    t.equal(text, 'answer', framing);
    t.same(await busyGauges(proxy), {});
    t.equal(await proxy.stop(), 0);
    server.close();
  }
});
