// Clients and upstreams that misbehave at random, all at once: nothing they send may end a worker, and whatever they do,
// every gauge, breaker and descriptor is back afterwards.
//
// CHAOS_SEED and CHAOS_CLIENTS repeat or extend a run.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { busyGauges, descriptors, residentMib } from '../fixtures/at-rest.ts';
import { Dice } from '../fixtures/dice.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';
import {
  ask,
  block,
  data,
  frame,
  goaway,
  headers,
  ping,
  preface,
  reset,
  uint,
  windowUpdate,
} from '../parity/frames.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? (Math.random() * 2 ** 31) >>> 0);
const CLIENTS = Number(process.env['CHAOS_CLIENTS'] ?? 400);
const TIMEOUT_MS = 30_000 + CLIENTS * 30;
const AT_ONCE = 60;
/** Garbage levels off within thousands of clients; what leaks does not. */
const GROWTH_MIB_MAX = CLIENTS > 1000 ? 128 : 48;
/** Longest life of a client and of an upstream connection that waits for nothing, milliseconds. */
const PATIENCE_MS = 400;

/** Circuit breakers of the narrow cluster. */
const LIMITS = { cx: 12, pending: 6, rq: 16, retries: 3 };

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const FLOOD_BYTES_MAX = 1_048_576;

/** Writes a text again and again until somebody closes, or enough is enough. */
function flood(socket: Socket, text: string): void {
  const block = text.repeat(Math.ceil(16_384 / text.length));
  let left = FLOOD_BYTES_MAX;
  const push = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= block.length;
      if (!socket.write(block)) return;
    }
    socket.off('drain', push);
  };
  socket.on('drain', push);
  push();
}

const UPSTREAMS: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.write(OK),
  (socket) => socket.write(OK),
  (socket) => socket.end(OK),
  (socket) => socket.write(`${OK}EXTRA`),
  (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n') && socket.write('x'.repeat(200_000)),
  (socket) => socket.write(`${CHUNKED}5\r\nhello\r\n0\r\nx-t: v\r\n\r\n`),
  (socket) => socket.write(`${CHUNKED}5\r\nhello\r\n`) && socket.resetAndDestroy(),
  (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf') && socket.end(),
  (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf') && socket.resetAndDestroy(),
  (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nuntil the end') && socket.end(),
  (socket) => socket.write('HTTP/1.1 200 OK\r\nx-part') && socket.resetAndDestroy(),
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.destroy(),
  () => {},
  (socket) => socket.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'latin1'),
  (socket) => socket.write('HTTP/1.1 99999999999999999999 Odd\r\n\r\n'),
  (socket) => flood(socket, 'x-a: b\r\n'),
  (socket) => socket.write('HTTP/1.1 200 OK\r\n') && flood(socket, 'x-a: b\r\n'),
  (socket) => socket.write('HTTP/1.1 200 OK\r\nx-long: ') && flood(socket, 'v'),
  (socket) => flood(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n'),
  (socket) => flood(socket, 'HTTP/1.1 100 Continue\r\n\r\n'),
  (socket) => socket.write(CHUNKED) && flood(socket, '0'),
  (socket) => socket.write(`${CHUNKED}5;`) && flood(socket, 'extension'),
  (socket) => socket.write(`${CHUNKED}0\r\n`) && flood(socket, 'x-t: v\r\n'),
  (socket) => socket.write(CHUNKED) && flood(socket, '1;x\r\na\r\n'),
  (socket) => socket.write(CHUNKED) && socket.write('ffffffffffffffff\r\n'),
  (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nbytes'),
];

const REQUESTS: readonly string[] = [
  'GET /N HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /N HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(20),
  'GET /N HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
  'HEAD /N HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /N HTTP/1.0\r\nhost: a\r\n\r\n',
  `POST /N HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello`,
  `POST /N HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n${'x'.repeat(300_000)}`,
  `POST /N HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n${'x'.repeat(150_000)}`,
  `POST /N HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc`,
  `POST /N HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  `POST /N HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${`4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(30)}`,
  `POST /N HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`,
  `POST /N HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${'x-t: v\r\n'.repeat(20_000)}`,
  `POST /N HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;${'x'.repeat(100_000)}`,
  'GET /N HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nbytes of it',
  'CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET /N HTTP/1.1\r\nhos',
  `GET /N HTTP/1.1\r\nhost: a\r\n${'x-a: b\r\n'.repeat(30_000)}`,
  `GET /${'n'.repeat(100_000)} HTTP/1.1\r\n`,
  'G'.repeat(100_000),
  '\r\n'.repeat(50_000),
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00',
  'GET /N HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  'GET /N HTTP/1.1\r\nhost: a\r\n\r\nGARBAGE\r\n\r\n',
];

/** HTTP/2 for a path: messages, halves of them, and frames that mean nothing or too much. */
const HTTP2: readonly ((path: string) => string)[] = [
  (path) => ask(1, path),
  (path) => Array.from({ length: 30 }, (_, i) => ask(2 * i + 1, path)).join(''),
  (path) => Array.from({ length: 40 }, (_, i) => ask(2 * i + 1, path) + reset(2 * i + 1, i % 14)).join(''),
  (path) => ask(1, path, [], 'POST', false) + data(1, 'x'.repeat(16_000)).repeat(8) + data(1, '', true),
  (path) => ask(1, path, ['content-length: 9'], 'POST', false) + data(1, 'x'.repeat(5), true) + ask(3, path),
  (path) => ask(1, path, [], 'POST', false) + data(1, 'abc') + headers(1, ['x-t: v']) + data(1, 'late'),
  (path) => ask(1, path, [], 'POST', false) + ask(1, path) + ask(3, path),
  (path) => ask(1, path, ['Upper: case', 'te: gzip']),
  (path) => ask(1, path) + ping().repeat(2_000),
  (path) => ask(1, path) + windowUpdate(1, 0x7fff_ffff) + windowUpdate(0, 0x7fff_ffff),
  (path) => ask(1, path) + windowUpdate(0, 1).repeat(500),
  (path) => ask(1, path) + frame(4, 0, 0, uint(4, 2) + uint(0, 4)).repeat(500),
  (path) => ask(1, path) + goaway(0, 2) + ask(3, path),
  (path) =>
    frame(1, 0, 1, block([':method: GET'])) + frame(9, 0, 1, block([`x: ${'y'.repeat(90)}`])).repeat(900) + path,
  (path) => ask(1, path, [], 'POST', false) + data(1, '').repeat(50),
  (path) =>
    headers(1, [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a', `:path: ${path}`], false),
  (path) => ask(2, path) + frame(5, 4, 1, uint(2, 4)),
  (path) => frame(0xbe, 0xff, 7, path) + frame(3, 0, 1, 'abc'),
];

async function upstreamServer(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      const kind = /^[A-Z]+ \/(\d+) HTTP/.exec(chunk.toString('latin1', 0, 64))?.[1];
      if (kind !== undefined) UPSTREAMS[Number(kind)]?.(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** One client: says something in pieces, reads or does not, and leaves in one way or another. */
async function play(port: number, dice: Dice): Promise<void> {
  const kind = `${dice.below(UPSTREAMS.length)}`;
  const text =
    dice.below(3) === 0 ? preface() + dice.pick(HTTP2)(`/${kind}`) : dice.pick(REQUESTS).replaceAll('/N', `/${kind}`);
  const cut = dice.below(3) === 0 ? dice.below(text.length) : text.length;
  const pieces = dice.below(3) === 0 ? 1 + dice.below(8) : 1;
  const leave = dice.pick(['reset', 'close', 'half', 'stay'] as const);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  const gone = new Promise((resolve) => socket.on('close', resolve));
  if (dice.below(4) !== 0) socket.resume();
  const step = Math.max(1, Math.ceil(cut / pieces));
  for (let at = 0; at < cut && !socket.destroyed; at += step) {
    socket.write(text.slice(at, Math.min(cut, at + step)), 'latin1');
    await new Promise((resolve) => setTimeout(resolve, dice.below(10)));
  }
  if (dice.below(2) === 0) await new Promise((resolve) => setTimeout(resolve, dice.below(60)));
  if (leave === 'reset') socket.resetAndDestroy();
  else if (leave === 'close') socket.destroy();
  else if (leave === 'half') socket.end();
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  await gone;
}

async function waves(port: number, dice: Dice, clients: number): Promise<void> {
  for (let left = clients; left > 0; left -= AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, () => play(port, dice)));
}

async function started(server: Server): Promise<RunningProxy> {
  const retrying = {
    timeout: '1s',
    retry_policy: { retry_on: '5xx,reset,connect-failure', num_retries: 2, per_try_timeout: '0.2s' },
  };
  const thresholds = [
    {
      max_connections: LIMITS.cx,
      max_pending_requests: LIMITS.pending,
      max_requests: LIMITS.rq,
      track_remaining: true,
    },
  ];
  return startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('plain', 'c', {}, { timeout: '0.5s' }), httpListener('retries', 'narrow', {}, retrying)],
      clusters: [
        staticCluster('c', (server.address() as AddressInfo).port),
        staticCluster('narrow', (server.address() as AddressInfo).port, { circuit_breakers: { thresholds } }),
      ],
    },
  });
}

t.setTimeout(TIMEOUT_MS);

t.test(`chaos, CHAOS_SEED=${SEED}`, async (t) => {
  const dice = new Dice(SEED);
  const server = await upstreamServer();
  const proxy = await started(server);
  t.setTimeout(TIMEOUT_MS);
  t.teardown(async () => {
    await proxy.stop('SIGKILL');
    server.close();
  });
  const ports = [await proxy.portOf('plain'), await proxy.portOf('retries')];
  for (const port of ports) await waves(port, dice, AT_ONCE);
  t.same(await busyGauges(proxy), {}, 'at rest after a first wave');
  const { pid } = proxy.process;
  const before = { descriptors: descriptors(pid), mib: residentMib(pid) };
  for (const port of ports) await waves(port, dice, CLIENTS / ports.length);
  t.same(await busyGauges(proxy), {}, 'at rest after all');
  for (const [name, limit] of Object.entries(LIMITS))
    t.equal(await proxy.stat(`cluster.narrow.circuit_breakers.default.remaining_${name}`), limit, `breaker of ${name}`);
  t.ok(descriptors(pid) <= before.descriptors + 2, `${before.descriptors} descriptors, then ${descriptors(pid)}`);
  const grown = Math.round(residentMib(pid) - before.mib);
  t.ok(grown <= GROWTH_MIB_MAX, `${grown} MiB more`);
  t.notMatch(proxy.log(), /crash|\[error\]|\[critical\]| {4}at /, 'nothing to complain about');
  t.equal(await proxy.stop(), 0);
});
