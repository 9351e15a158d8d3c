// An upstream that answers before it has the whole request still gets the rest of it.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';

t.test('the rest of a body follows an answer that has begun', async (t) => {
  let heard = '';
  const upstream = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const before = heard;
      heard += data.toString('latin1');
      if (before === '') socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nan');
      if (heard.endsWith('abcd')) socket.write('sw');
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const { port } = upstream.address() as AddressInfo;
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: { listeners: [httpListener('web', 'c')], clusters: [staticCluster('c', port, {})] },
  });
  const client = connect(await proxy.portOf('web'), '127.0.0.1');
  let answer = '';
  client.on('data', (data) => {
    if (answer === '') client.write('cd');
    answer += data.toString('latin1');
  });
  client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab');
  await once(client, 'close');
  t.match(answer, /^HTTP\/1.1 200 OK\r\n/);
  t.match(answer, /\r\nconnection: close\r\n/);
  t.match(answer, /\r\n\r\nansw$/);
  t.match(heard, /\r\n\r\nabcd$/);
  await proxy.stop();
  upstream.close();
});
