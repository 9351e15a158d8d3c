// CONNECT that ends here: bytes in their order whoever reads slowly, the PROXY header, and what is left behind.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { readProxyHeader } from '../../proxy/net/proxy-header.ts';
import { busyGauges } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';

const BYTES = 16 * 1024 * 1024;
const CONNECT = 'CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n';

async function hostServer(serve: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function startEnd(server: Server, connect_config: object): Promise<RunningProxy> {
  const upgrade_configs = [{ upgrade_type: 'CONNECT', connect_config }];
  const routes = [{ match: { connect_matcher: {} }, route: { cluster: 'c', upgrade_configs } }];
  return startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        httpListener('web', 'c', {}, {}, { route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes }] } }),
      ],
      clusters: [staticCluster('c', (server.address() as AddressInfo).port)],
    },
  });
}

/** A client that has been answered. */
async function openTunnel(proxy: RunningProxy): Promise<Socket> {
  const client = connect({ port: await proxy.portOf('web'), host: '127.0.0.1' });
  client.on('error', () => {});
  client.write(CONNECT);
  let head = '';
  while (!head.includes('\r\n\r\n')) head += String((await once(client, 'data'))[0]);
  if (!head.startsWith('HTTP/1.1 200 OK\r\n')) throw new Error(head);
  client.pause();
  return client;
}

t.test('slow readers on either side', async (t) => {
  const accepted = Promise.withResolvers<Socket>();
  const server = await hostServer(accepted.resolve);
  const proxy = await startEnd(server, {});
  const client = await openTunnel(proxy);
  const host = await accepted.promise;
  host.pause();
  const counters = ['upstream_flow_control_backed_up_total', 'upstream_flow_control_paused_reading_total'] as const;
  const ways = [
    [client, host, counters[0], 'upstream_flow_control_drained_total'],
    [host, client, counters[1], 'upstream_flow_control_resumed_reading_total'],
  ] as const;
  for (const [from, to, held, freed] of ways) {
    const sent = Buffer.alloc(BYTES);
    for (let i = 0; i < BYTES; i += 4) sent.writeUInt32LE(i, i);
    from.write(sent);
    while ((await proxy.stat(`cluster.c.${held}`)) === 0) {}
    const chunks: Buffer[] = [];
    let got = 0;
    to.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      got += chunk.length;
    });
    to.resume();
    while (got < BYTES) await once(to, 'data');
    t.ok(Buffer.concat(chunks).equals(sent));
    t.equal(await proxy.stat(`cluster.c.${held}`), await proxy.stat(`cluster.c.${freed}`));
    to.removeAllListeners('data');
    to.pause();
  }
  client.destroy();
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  server.close();
});

t.test('a PROXY header of version 2 names the client', async (t) => {
  const accepted = Promise.withResolvers<Socket>();
  const server = await hostServer(accepted.resolve);
  const proxy = await startEnd(server, { proxy_protocol_config: { version: 'V2' } });
  const client = await openTunnel(proxy);
  const host = await accepted.promise;
  client.write('ping');
  let bytes = Buffer.alloc(0);
  while (!bytes.toString('latin1').endsWith('ping'))
    bytes = Buffer.concat([bytes, (await once(host, 'data'))[0] as Buffer]);
  const header = readProxyHeader(bytes);
  t.match(header, {
    addresses: {
      sourceIp: '127.0.0.1',
      sourcePort: client.localPort,
      destinationIp: '127.0.0.1',
      destinationPort: await proxy.portOf('web'),
    },
  });
  client.destroy();
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  server.close();
});
