// The time limits of one attempt never meet the next one.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';
import { tlsText, upstreamTls } from '../fixtures/tls.ts';

/** How long an attempt waits for its connection: longer than any limit leaves its predecessor. */
const HANDSHAKE_MS = 1_200;

/** An upstream whose handshakes take their time, and that answers on the second connection only. */
async function startUpstream() {
  let connections = 0;
  const tls = createTlsServer({ cert: tlsText('server.pem'), key: tlsText('server.key') }, (socket) => {
    const nth = ++connections;
    socket.on('error', () => {});
    socket.on('data', () => {
      if (nth > 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const server = createServer((socket) => {
    socket.on('error', () => {});
    setTimeout(() => tls.emit('connection', socket), HANDSHAKE_MS);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

t.test('the limit of a lost attempt does not end the one that still connects', async (t) => {
  const upstream = await startUpstream();
  const retry_policy = {
    retry_on: '5xx',
    per_try_timeout: '1s',
    per_try_idle_timeout: '0.5s',
    retry_back_off: { base_interval: '0.001s' },
  };
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c', {}, { timeout: '30s', retry_policy })],
      clusters: [staticCluster('c', upstream.port, { connect_timeout: '10s', transport_socket: upstreamTls({}) })],
    },
  });
  const socket = connect(await proxy.portOf('web'), '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await once(socket, 'close');
  t.equal(text.split('\r\n', 1)[0], 'HTTP/1.1 200 OK');
  t.equal(await proxy.stat('cluster.c.upstream_rq_per_try_idle_timeout'), 1);
  t.equal(await proxy.stat('cluster.c.upstream_rq_per_try_timeout'), 0);
  await proxy.stop();
  upstream.server.close();
});
