// Descriptors that run out, disks that are full, readers of our output that leave, log files that are rotated, streams
// that never end: the proxy serves on, or ends when it was asked to.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { busyGauges } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';

const DESCRIPTORS = 64;

function logTo(path: string): object {
  const config = { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path };
  return { access_log: [{ name: 'f', typed_config: config }] };
}

async function upstreamServer(
  serve: Parameters<typeof createServer>[1],
): Promise<[ReturnType<typeof createServer>, number]> {
  const server = createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, (server.address() as AddressInfo).port];
}

async function get(port: number): Promise<number> {
  const sent = request({ port, host: '127.0.0.1', agent: false }).end();
  const [response] = await once(sent, 'response');
  response.resume();
  await once(response, 'close');
  return response.statusCode;
}

function bootstrap(port: number, manager: object): object {
  return {
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c', {}, {}, manager), tcpListener('raw', 'c')],
      clusters: [staticCluster('c', port)],
    },
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Lowers a running process's limit of descriptors; false where util-linux is missing. */
async function limitDescriptors(child: ChildProcess, limit: number): Promise<boolean> {
  try {
    const [code] = await once(spawn('prlimit', [`--pid=${child.pid}`, `--nofile=${limit}`]), 'exit');
    return code === 0;
  } catch {
    return false;
  }
}

t.test('no descriptors left: connections are refused, and served again later', async (t) => {
  const [upstream, port] = await upstreamServer((_request, response) => response.end('ok'));
  const proxy = await startProxy(bootstrap(port, {}));
  const web = await proxy.portOf('web');
  t.teardown(() => upstream.close());
  if (!(await limitDescriptors(proxy.process, DESCRIPTORS))) {
    await proxy.stop();
    t.pass('requests go on', { skip: 'there is no prlimit to lower the limit with' });
    return;
  }
  let gone = 0;
  const clients = Array.from({ length: 2 * DESCRIPTORS }, () => {
    const socket = connect(web, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => gone++);
    return socket.resume();
  });
  await until(() => gone >= DESCRIPTORS);
  t.equal(proxy.process.exitCode, null, `${gone} of ${clients.length} were refused`);
  for (const socket of clients) socket.destroy();
  // Until the proxy has noticed that they are gone, it refuses the admin's clients, too.
  await until(() => proxy.stat('server.live').then(Boolean, () => false));
  t.same(await busyGauges(proxy), {});
  t.equal(await get(web), 200);
  t.equal(await proxy.stop(), 0);
});

t.test('a full disk loses log lines, not requests', async (t) => {
  const [upstream, port] = await upstreamServer((_request, response) => response.end('ok'));
  const proxy = await startProxy(bootstrap(port, logTo('/dev/full')), ['--file-flush-interval-msec', '20']);
  const web = await proxy.portOf('web');
  for (let i = 0; i < 20; i++) t.equal(await get(web), 200);
  await proxy.waitForLog("access log '/dev/full' loses lines: no space left on device");
  await until(async () => (await proxy.stat('filesystem.write_failed')) > 0);
  t.equal(await get(web), 200);
  t.equal(await proxy.stop(), 0);
  upstream.close();
});

t.test('nobody reads standard output any more', async (t) => {
  const [upstream, port] = await upstreamServer((_request, response) => response.end('ok'));
  const proxy = await startProxy(bootstrap(port, logTo('/dev/stderr')), ['--file-flush-interval-msec', '20']);
  const web = await proxy.portOf('web');
  t.equal(await get(web), 200);
  proxy.process.stderr?.destroy();
  for (let i = 0; i < 20; i++) t.equal(await get(web), 200);
  await until(async () => (await proxy.stat('filesystem.write_failed')) > 0);
  t.equal(await get(web), 200);
  t.equal(await proxy.stop(), 0);
  upstream.close();
});

t.test('SIGUSR1 opens log files anew', async (t) => {
  const [upstream, port] = await upstreamServer((_request, response) => response.end('ok'));
  const path = join(t.testdir({}), 'access.log');
  const proxy = await startProxy(bootstrap(port, logTo(path)), ['--file-flush-interval-msec', '20']);
  const web = await proxy.portOf('web');
  await get(web);
  await until(() => existsSync(path) && readFileSync(path, 'latin1').split('\n').length === 2);
  renameSync(path, `${path}.1`);
  proxy.process.kill('SIGUSR1');
  await until(() => existsSync(path));
  await get(web);
  await until(() => readFileSync(path, 'latin1') !== '');
  t.equal(readFileSync(`${path}.1`, 'latin1').split('\n').length, 2, 'one line and no more');
  t.equal(await proxy.stop(), 0);
  upstream.close();
});

t.test('streams that never end are closed when the grace is over', async (t) => {
  const [upstream, port] = await upstreamServer((_request, response) => void response.write('never all of it'));
  const proxy = await startProxy(bootstrap(port, {}), ['--shutdown-grace-s', '1']);
  const sockets: Socket[] = [];
  for (const listener of ['web', 'raw']) {
    const socket = connect(await proxy.portOf(listener), '127.0.0.1');
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(socket, 'data');
    sockets.push(socket.resume());
  }
  const closed = Promise.all(sockets.map((socket) => once(socket, 'close')));
  const startedMs = performance.now();
  t.equal(await proxy.stop(), 0);
  await closed;
  const tookMs = performance.now() - startedMs;
  t.ok(tookMs >= 950 && tookMs < 5_000, `${Math.round(tookMs)} ms for a grace of 1 s`);
  upstream.closeAllConnections();
  upstream.close();
});
