// A client that has reset its connection before it was looked at has no address any more: it is not served, or it would
// pass for whatever has none (a Unix socket, the default chain).

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t from 'tap';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';

const CLIENTS = 20;

t.test('nothing that a client without an address has sent goes upstream', async (t) => {
  const seen: string[] = [];
  const upstream = createServer((request, response) => {
    seen.push(request.url ?? '');
    response.end();
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c')],
      clusters: [staticCluster('c', (upstream.address() as AddressInfo).port)],
    },
  });
  const port = await proxy.portOf('web');
  // A stopped proxy accepts nothing: the kernel keeps connections and bytes until it goes on.
  proxy.process.kill('SIGSTOP');
  for (let i = 0; i < CLIENTS; i++) {
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    await new Promise<void>((resolve) => client.write('GET /gone HTTP/1.1\r\nhost: a\r\n\r\n', () => resolve()));
    client.resetAndDestroy();
    await once(client, 'close');
  }
  proxy.process.kill('SIGCONT');
  const response = await fetch(`http://127.0.0.1:${port}/here`);
  t.equal(response.status, 200);
  t.same(seen, ['/here']);
  t.equal(await proxy.stat('listener_manager.total_listeners_active'), 1);
  await proxy.stop();
  upstream.close();
});
