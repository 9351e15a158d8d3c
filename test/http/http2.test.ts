// Downstream HTTP/2 through the whole proxy, with Node's own client: many streams at once, and bodies that go through
// bounded memory however slowly one of the streams is read.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { busyGauges, growthMib, readSlowly } from '../fixtures/at-rest.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const STREAMS = 60;
const BODY_BYTES = 64 * MIB;
/** Garbage of a busy machine included; a body that is kept would be all of it. */
const GROWTH_MIB_MAX = 24;

/** Echoes `POST /echo`; pours `GET /bytes/N`; reads everything else slowly, once told to, and says how much it was. */
async function upstreamServer(): Promise<Server> {
  const server = createServer((request, response) => {
    const bytes = /^\/bytes\/(\d+)/.exec(request.url ?? '')?.[1];
    if (request.url === '/echo') request.pipe(response);
    else if (bytes !== undefined) pour(Number(bytes), (piece) => response.write(piece), response);
    else {
      server.once('read', () => {
        let got = 0;
        readSlowly(request, (chunk) => {
          got += chunk.length;
        });
        request.on('end', () => response.end(`${got}`));
      });
      server.emit('waiting');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const BLOCK = Buffer.alloc(64 * 1024, 65);

function pour(
  total: number,
  write: (piece: Buffer) => boolean,
  to: { on(event: 'drain', fn: () => void): unknown; end(): unknown },
): void {
  let left = total;
  const push = (): void => {
    while (left > 0) {
      left -= BLOCK.length;
      if (!write(BLOCK)) return;
    }
    if (left <= 0) to.end();
    left = 1;
  };
  to.on('drain', push);
  push();
}

async function answerOf(stream: ClientHttp2Stream): Promise<[IncomingHttpHeaders, Buffer]> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [[headers]] = (await Promise.all([once(stream, 'response'), once(stream, 'end')])) as [
    [IncomingHttpHeaders],
    unknown,
  ];
  return [headers, Buffer.concat(chunks)];
}

async function started(t: Tap, manager: object = {}): Promise<[RunningProxy, ClientHttp2Session, Server]> {
  const server = await upstreamServer();
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('web', 'c', {}, { timeout: '0s' }, manager)],
      clusters: [
        staticCluster('c', (server.address() as AddressInfo).port, { per_connection_buffer_limit_bytes: 65_536 }),
      ],
    },
  });
  const client = connect(`http://127.0.0.1:${await proxy.portOf('web')}`);
  t.teardown(async () => {
    client.destroy();
    await proxy.stop('SIGKILL');
    server.close();
  });
  return [proxy, client, server];
}

type Tap = { teardown(fn: () => Promise<void>): void };

t.test('many streams at once', async (t) => {
  const [proxy, client, server] = await started(t);
  const answers = Array.from({ length: STREAMS }, async (_, i) => {
    const body = Buffer.alloc(i * 1_111, `${i} `);
    const stream = client.request({ ':method': 'POST', ':path': '/echo', 'x-number': `${i}` });
    stream.end(body);
    const [headers, echoed] = await answerOf(stream);
    return Number(headers[':status']) === 200 && digest(echoed) === digest(body);
  });
  t.ok((await Promise.all(answers)).every((same) => same));
  t.equal(await proxy.stat('http.web.downstream_cx_http2_total'), 1);
  t.equal(await proxy.stat('http.web.downstream_rq_http2_total'), STREAMS);
  client.close();
  await once(client, 'close');
  server.closeAllConnections();
  t.same(await busyGauges(proxy), {});
});

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

t.test('a stream that is read slowly holds up neither the others nor memory', async (t) => {
  const [proxy, client] = await started(t);
  const first = client.request({ ':path': '/echo', ':method': 'POST' });
  first.end('warm');
  await answerOf(first);
  let received = 0;
  const growth = await growthMib(proxy, async () => {
    const slow = client.request({ ':path': `/bytes/${BODY_BYTES}` });
    readSlowly(slow, (chunk) => {
      received += chunk.length;
    });
    const ended = once(slow, 'end');
    await once(slow, 'response');
    const quick = client.request({ ':path': '/echo', ':method': 'POST' });
    quick.end('quick');
    const [, body] = await answerOf(quick);
    t.equal(String(body), 'quick');
    t.ok(received < BODY_BYTES, 'the slow one goes on');
    await ended;
  });
  t.equal(received, BODY_BYTES);
  t.ok(growth < GROWTH_MIB_MAX, `${growth} MiB more`);
});

t.test('a body that the upstream reads slowly goes through bounded memory', async (t) => {
  // A window of Envoy's default size would let the peer send 16 MiB ahead
  const [proxy, client, server] = await started(t, {
    http2_protocol_options: { initial_stream_window_size: 262_144, initial_connection_window_size: 262_144 },
  });
  const growth = await growthMib(proxy, async () => {
    const waiting = once(server, 'waiting');
    const stream = client.request({ ':path': '/', ':method': 'POST' });
    pour(BODY_BYTES, (piece) => stream.write(piece), stream);
    const answer = answerOf(stream);
    await waiting;
    while ((await proxy.stat('http.web.downstream_flow_control_paused_reading_total')) === 0);
    server.emit('read');
    t.equal(String((await answer)[1]), `${BODY_BYTES}`);
  });
  t.ok(growth < GROWTH_MIB_MAX, `${growth} MiB more`);
  const paused = await proxy.stat('http.web.downstream_flow_control_paused_reading_total');
  t.equal(await proxy.stat('http.web.downstream_flow_control_resumed_reading_total'), paused);
});

t.test('a proxy that ends says goodbye and finishes what is under way', async (t) => {
  const [proxy, client] = await started(t, { delayed_close_timeout: '0.1s' });
  const stream = client.request({ ':path': '/echo', ':method': 'POST' });
  stream.write('half');
  await once(stream, 'response');
  const goodbye = once(client, 'goaway');
  const ended = proxy.stop();
  const [code, lastStream] = (await goodbye) as [number, number];
  t.same([code, lastStream], [0, 1]);
  let answer = '';
  stream.on('data', (chunk: Buffer) => {
    answer += String(chunk);
  });
  const whole = once(stream, 'end');
  stream.end(' and half');
  await whole;
  t.equal(answer, 'half and half');
  t.equal(await ended, 0);
});
