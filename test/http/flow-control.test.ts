// Bodies of any length go through bounded memory, however slowly they are read. What is not bounded grows by the length
// of the body; garbage that nobody collects grows by some 70 MiB.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { busyGauges, growthMib, readSlowly } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const BODY_BYTES = 128 * MIB;
const WARM_BYTES = 24 * MIB;
const GROWTH_MIB_MAX = 16;
const BLOCK = Buffer.alloc(256 * 1024, 65);
const CHUNK = Buffer.concat([Buffer.from(`${BLOCK.length.toString(16)}\r\n`), BLOCK, Buffer.from('\r\n')]);

/** Writes that much in blocks, as fast as the peer takes it. */
function pour(socket: Socket, total: number, block: Buffer, end: () => void): void {
  let left = total;
  const push = (): void => {
    while (left > 0) {
      left -= BLOCK.length;
      if (!socket.write(block)) return;
    }
    socket.off('drain', push);
    end();
  };
  socket.on('drain', push);
  push();
}

/** Answers `GET /bytes/length` and `/bytes/chunked`, and reads `POST` and bare bytes slowly to their end. */
async function upstreamServer(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (first) => {
      const text = first.toString('latin1');
      const [, bytes = '', how = ''] = /^GET \/(\d+)\/(\w+)/.exec(text) ?? [];
      if (how === 'length') {
        socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${bytes}\r\n\r\n`);
        pour(socket, Number(bytes), BLOCK, () => socket.end());
      } else if (how === 'chunked') {
        socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n');
        pour(socket, Number(bytes), CHUNK, () => socket.end('0\r\n\r\n'));
      } else if (how === 'bare') pour(socket, Number(bytes), BLOCK, () => socket.end());
      else collect(socket, text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function collect(socket: Socket, head: string): void {
  const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? -1);
  let body = head.length - Math.max(0, head.indexOf('\r\n\r\n') + 4);
  let tail = head;
  const answer = (): void => void socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndone');
  readSlowly(socket, (chunk) => {
    body += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 5))).slice(-5);
    if (body === length || (length < 0 && tail === '0\r\n\r\n')) answer();
  });
  socket.on('end', () => socket.end('done'));
}

async function open(port: number, head: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(head);
  return socket;
}

async function download(port: number, head: string, atLeast: number): Promise<void> {
  const socket = await open(port, head);
  let received = 0;
  readSlowly(socket, (chunk) => {
    received += chunk.length;
    if (received >= atLeast) socket.emit('enough');
  });
  await Promise.race([once(socket, 'enough'), once(socket, 'end')]);
  socket.destroy();
  if (received < atLeast) throw new Error(`${received} bytes instead of ${atLeast}`);
}

async function upload(port: number, head: string, total: number, chunked: boolean): Promise<void> {
  const socket = await open(port, head);
  let answer = '';
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      answer += String(chunk);
      if (answer.endsWith('done')) resolve();
    });
    socket.on('close', () => resolve());
  });
  pour(socket, total, chunked ? CHUNK : BLOCK, () => {
    if (chunked) socket.write('0\r\n\r\n');
    if (!head.startsWith('POST')) socket.end();
  });
  await answered;
  socket.destroy();
  if (!answer.endsWith('done')) throw new Error(`answered ${answer}`);
}

const http = (request: string, bytes: number, more = ''): string =>
  `${request.replace('N', `${bytes}`)} HTTP/1.1\r\nhost: a\r\n${more}\r\n`;

/** How each kind of stream runs, for a number of bytes. */
const KINDS: Record<string, (ports: { web: number; raw: number }, bytes: number) => Promise<void>> = {
  'response with a length': ({ web }, bytes) => download(web, http('GET /N/length', bytes), bytes),
  'chunked response': ({ web }, bytes) => download(web, http('GET /N/chunked', bytes), bytes),
  'request with a length': ({ web }, bytes) =>
    upload(web, http('POST /', bytes, `content-length: ${bytes}\r\n`), bytes, false),
  'chunked request': ({ web }, bytes) =>
    upload(web, http('POST /', bytes, 'transfer-encoding: chunked\r\n'), bytes, true),
  'bytes of TCP from upstream': ({ raw }, bytes) => download(raw, `GET /${bytes}/bare`, bytes),
  'bytes of TCP to upstream': ({ raw }, bytes) => upload(raw, 'up', bytes, false),
};

async function started(t: Tap): Promise<[RunningProxy, { web: number; raw: number }]> {
  const server = await upstreamServer();
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c'), tcpListener('raw', 'c')],
      clusters: [staticCluster('c', (server.address() as AddressInfo).port)],
    },
  });
  t.teardown(async () => {
    await proxy.stop('SIGKILL');
    server.close();
  });
  return [proxy, { web: await proxy.portOf('web'), raw: await proxy.portOf('raw') }];
}

type Tap = { teardown(fn: () => Promise<void>): void };

t.test('streams with slow readers', async (t) => {
  const [proxy, ports] = await started(t);
  for (const run of Object.values(KINDS)) await run(ports, WARM_BYTES);
  for (const [name, run] of Object.entries(KINDS)) {
    const grown = await growthMib(proxy, () => run(ports, BODY_BYTES));
    t.ok(grown <= GROWTH_MIB_MAX, `${name}: ${grown} MiB more for ${BODY_BYTES / MIB} MiB`);
    t.same(await busyGauges(proxy), {}, `${name}: at rest afterwards`);
  }
});
