// `check_drain_close`: connections of the TCP proxy that carry something while the process says goodbye.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { ADMIN, startProxy, staticCluster, tcpListener } from '../fixtures/proxy.ts';

t.test('a connection is closed by its next bytes, if it asks for that', async (t) => {
  const echo = createServer((socket) => socket.pipe(socket).on('error', () => {}));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [tcpListener('on', 'c', {}, { check_drain_close: true }), tcpListener('off', 'c')],
      clusters: [staticCluster('c', (echo.address() as AddressInfo).port)],
    },
  });
  t.teardown(async () => {
    await proxy.stop('SIGKILL');
    echo.close();
  });
  const open = async (listener: string) => connect(await proxy.portOf(listener), '127.0.0.1');
  const [on, off] = [await open('on'), await open('off')];
  t.teardown(() => off.destroy());
  for (const socket of [on, off]) {
    socket.write('one');
    t.equal(String((await once(socket, 'data'))[0]), 'one');
  }
  await proxy.admin('/healthcheck/fail', 'POST');
  const closed = once(on, 'close');
  on.on('error', () => {}).resume();
  const nudge = setInterval(() => on.write('two'), 20);
  await closed;
  clearInterval(nudge);
  t.equal(await proxy.stat('tcp.on.downstream_cx_drain_close'), 1);
  off.write('two');
  t.equal(String((await once(off, 'data'))[0]), 'two', 'others go on');
});
