// Many requests in one write: answered in order, and never more of them under way than answers are read.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import t from 'tap';
import { busyGauges, growthMib } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const REQUESTS = 6_000;
const ANSWER_BYTES = 10_000;
/** Answers that fit into the buffers of the kernel and of the proxy; far from all of them. */
const UNREAD_ANSWERS_MAX = 1_000;

async function proxyBefore(upstream: ReturnType<typeof createServer>): Promise<RunningProxy> {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  return startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c')],
      clusters: [staticCluster('c', (upstream.address() as AddressInfo).port)],
    },
  });
}

t.test('answers that are not read hold back the requests behind them', async (t) => {
  const order: number[] = [];
  const upstream = createServer((request, response) => {
    order.push(Number(request.url?.slice(1)));
    response.end(Buffer.alloc(ANSWER_BYTES, 97));
  });
  const proxy = await proxyBefore(upstream);
  const client = connect(await proxy.portOf('web'), '127.0.0.1');
  await once(client, 'connect');
  client.pause();
  let all = '';
  for (let i = 0; i < REQUESTS; i++)
    all += `GET /${i} HTTP/1.1\r\nhost: a\r\n${i === REQUESTS - 1 ? 'connection: close\r\n' : ''}\r\n`;
  let received = 0;
  const grown = await growthMib(proxy, async () => {
    client.write(all);
    // Until nothing moves any more.
    for (let seen = -1; seen !== order.length || seen === 0; ) {
      seen = order.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    t.ok(order.length < UNREAD_ANSWERS_MAX, `${order.length} requests went upstream while nobody read`);
    client.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    client.resume();
    await once(client, 'end');
    t.ok(received > REQUESTS * ANSWER_BYTES, `${received} bytes came`);
  });
  // What is read ahead, and garbage: far from the 60 MB of all answers.
  t.ok(grown <= 40, `${grown} MiB more`);
  t.same(order, [...order.keys()], 'in order');
  t.equal(await proxy.stat('http.web.downstream_rq_2xx'), REQUESTS);
  client.destroy();
  upstream.closeAllConnections();
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
  upstream.close();
});

t.test('a peer that sends on and on while its request waits is not read', async (t) => {
  const upstream = createServer(() => upstream.emit('asked'));
  const proxy = await proxyBefore(upstream);
  const client = connect(await proxy.portOf('web'), '127.0.0.1');
  client.on('error', () => {});
  const request = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
  const asked = once(upstream, 'asked');
  client.write(request);
  await asked;
  const before = await proxy.stat('http.web.downstream_cx_rx_bytes_total');
  const block = Buffer.from(request.repeat(40_000));
  const grown = await growthMib(proxy, async () => {
    let taken = 0;
    for (let i = 0; i < 64; i++) client.write(block, () => taken++);
    for (let seen = -1; seen !== client.bytesWritten - client.writableLength; ) {
      seen = client.bytesWritten - client.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    t.ok(taken < 32, `${taken} of 64 MiB left the peer`);
  });
  t.ok(grown <= 8, `${grown} MiB more`);
  const read = (await proxy.stat('http.web.downstream_cx_rx_bytes_total')) - before;
  t.ok(read < MIB / 4, `${read} bytes were read`);
  client.destroy();
  // What was read is still carried out: here, refused.
  upstream.close();
  upstream.closeAllConnections();
  t.same(await busyGauges(proxy), {});
  t.equal(await proxy.stop(), 0);
});
