import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import t from 'tap';
import {
  ADMIN,
  httpListener,
  type RunningProxy,
  runProxyToEnd,
  startProxy,
  staticCluster,
  tcpListener,
} from '../fixtures/proxy.ts';

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function bootstrap(listeners: readonly object[], port: number): object {
  return { admin: ADMIN, static_resources: { listeners, clusters: [staticCluster('c', port)] } };
}

t.test('a request in flight is finished after SIGTERM, new connections are refused', async (t) => {
  let answer = (): void => {};
  const upstream = createServer((_request, response) => {
    answer = () => response.end('done');
    upstream.emit('arrived');
  });
  const proxy = await startProxy(bootstrap([httpListener('web', 'c')], await listening(upstream)));
  const port = await proxy.portOf('web');
  const sent = request({ port, host: '127.0.0.1', path: '/slow' }).end();
  await once(upstream, 'arrived');
  proxy.process.kill('SIGTERM');
  await proxy.waitForLog('shutting down');
  await refused(port);
  answer();
  const [response] = await once(sent, 'response');
  t.equal(response.statusCode, 200);
  response.setEncoding('utf8');
  t.equal((await response.toArray()).join(''), 'done');
  t.equal(await proxy.exited, 0);
  upstream.close();
});

/** Settles when the port takes no connection any more. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => 'open'),
      once(socket, 'error').then(() => 'refused'),
    ]).catch(() => 'refused');
    socket.destroy();
    if (outcome === 'refused') return;
  }
}

t.test('SIGTERM while names are being resolved is no failure', async (t) => {
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const resolvers = [{ socket_address: { address: '127.0.0.1', port_value: silent.address().port } }];
  const endpoint = { address: { socket_address: { address: 'nowhere.example', port_value: 80 } } };
  const cluster = {
    ...staticCluster('c', 0, { type: 'STRICT_DNS', dns_resolvers: resolvers }),
    load_assignment: { cluster_name: 'c', endpoints: [{ lb_endpoints: [{ endpoint }] }] },
  };
  const { code, stderr } = await runProxyToEnd(
    ['--config-yaml', JSON.stringify({ static_resources: { clusters: [cluster] } })],
    (child) => silent.once('message', () => child.kill('SIGTERM')),
  );
  t.equal(code, 0);
  t.notMatch(stderr, /outrigger-proxy:/, 'nothing to complain about');
  silent.close();
});

t.test('a second signal exits at once', async (t) => {
  const upstream = createServer(() => upstream.emit('arrived'));
  const proxy = await startProxy(bootstrap([httpListener('web', 'c')], await listening(upstream)));
  const sent = request({ port: await proxy.portOf('web'), host: '127.0.0.1' }).end();
  sent.on('error', () => {});
  await once(upstream, 'arrived');
  proxy.process.kill('SIGTERM');
  await proxy.waitForLog('shutting down');
  const startedMs = performance.now();
  t.equal(await proxy.stop(), 1);
  t.ok(performance.now() - startedMs < 2_000, 'long before the grace is over');
  upstream.closeAllConnections();
  upstream.close();
});

t.test('an occupied port is one line and exit code 2', async (t) => {
  const other = createTcpServer();
  const port = await listening(other);
  const listener = {
    ...tcpListener('taken', 'c'),
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
  };
  const { code, stderr } = await runProxyToEnd([
    '--config-yaml',
    JSON.stringify(bootstrap([listener], 1)),
    '-l',
    'off',
  ]);
  t.equal(code, 2);
  t.equal(stderr, `outrigger-proxy: cannot bind '127.0.0.1:${port}': Address already in use\n`);
  other.close();
});

t.test('quitquitquit, drain_listeners and health checks', async (t) => {
  const upstream = createServer((_request, response) => response.end('ok'));
  const proxy = await startProxy(bootstrap([httpListener('web', 'c')], await listening(upstream)));
  const port = await proxy.portOf('web');
  await proxy.admin('/healthcheck/fail', 'POST');
  t.match(await proxy.admin('/ready'), /DRAINING/);
  await proxy.admin('/healthcheck/ok', 'POST');
  t.match(await proxy.admin('/ready'), /LIVE/);
  await proxy.admin('/drain_listeners', 'POST');
  await refused(port);
  t.equal(await proxy.stat('listener_manager.listener_stopped'), 1);
  await proxy.admin('/quitquitquit', 'POST');
  t.equal(await proxy.exited, 0);
  upstream.close();
});

t.test('validate and init_only', async (t) => {
  const config = JSON.stringify(bootstrap([tcpListener('one', 'c')], 1));
  const validated = await runProxyToEnd(['--config-yaml', config, '--mode', 'validate', '-l', 'off']);
  t.equal(validated.code, 0);
  t.match(validated.stdout, /OK/);
  t.equal((await runProxyToEnd(['--config-yaml', config, '--mode', 'init_only', '-l', 'off'])).code, 0);
  const bad = await runProxyToEnd(['--config-yaml', '{"static_resourcez": {}}', '-l', 'off']);
  t.equal(bad.code, 2);
  t.match(bad.stderr, /^outrigger-proxy: .*static_resourcez[^\n]*\n$/);
});

async function echoes(proxy: RunningProxy, listener: string, connections: number): Promise<{ close(): void }> {
  const port = await proxy.portOf(listener);
  const sockets = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write('x');
      await once(socket, 'data');
      return socket;
    }),
  );
  return { close: () => sockets.forEach((socket) => void socket.destroy()) };
}

t.test('exact_balance spreads connections evenly over the workers', async (t) => {
  const upstream = createTcpServer((socket) => socket.pipe(socket).on('error', () => {}));
  const more = { connection_balance_config: { exact_balance: {} } };
  const proxy = await startProxy(bootstrap([tcpListener('even', 'c', more)], await listening(upstream)), [
    '--concurrency',
    '2',
  ]);
  const open = await echoes(proxy, 'even', 20);
  t.equal(await proxy.stat('listener.127.0.0.1_0.worker_0.downstream_cx_active'), 10);
  t.equal(await proxy.stat('listener.127.0.0.1_0.worker_1.downstream_cx_active'), 10);
  open.close();
  t.equal(await proxy.stop(), 0);
  upstream.close();
});
