// Byte counters of a connection move while a response goes on, not only when it ends.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t from 'tap';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';

t.test('bytes of a response that does not end are counted, once', async (t) => {
  let answer: ServerResponse | null = null;
  const upstream = createServer((_, response) => {
    answer = response;
    response.write('first');
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
  const client = connect(await proxy.portOf('web'), '127.0.0.1');
  let received = '';
  const until = async (end: string): Promise<void> => {
    while (!received.endsWith(end)) received += String((await once(client, 'data'))[0]);
  };
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await until('first\r\n');
  t.equal(await proxy.stat('http.web.downstream_cx_tx_bytes_total'), received.length, 'while it goes on');
  (answer as ServerResponse | null)?.end('last');
  await until('0\r\n\r\n');
  t.equal(await proxy.stat('http.web.downstream_cx_tx_bytes_total'), received.length, 'after its end');
  client.destroy();
  t.equal(await proxy.stop(), 0);
  upstream.close();
});
