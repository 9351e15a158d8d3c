// An upstream that closes idle connections at random, by every means, costs no GET an error: over HTTP/1 and HTTP/2.
//   STALE_REQUESTS=100000 node test/http/stale.test.ts     (npm run test:soak)

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { Dice } from '../fixtures/dice.ts';
import { Http2Host, type Seen } from '../fixtures/h2-host.ts';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';

const REQUESTS = Number(process.env['STALE_REQUESTS'] ?? 2_000);
const CLIENTS = 8;
/** Of so many answers one is the last of its connection. */
const LAST_OF = 4;
/** The longest that such a connection still lives, milliseconds: about as long as it takes to be asked again. */
const LINGER_MS_MAX = 4;
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** Of one test, milliseconds. */
const TIMEOUT_MS = 30_000 + REQUESTS * 5;

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6));

/** Ends a connection after a while, unless it has work by then, in one of the ways that there are. */
function endLater(dice: Dice, socket: Socket, isBusy: () => boolean): void {
  const how = dice.below(3);
  const end = (): void => {
    if (isBusy()) return;
    if (how === 0) socket.end();
    // Node never ends a process in which a socket was reset after its half-close.
    else if (how === 1 || socket.writableEnded) socket.destroy();
    else socket.resetAndDestroy();
  };
  if (dice.below(2) === 0) setImmediate(end);
  else setTimeout(end, dice.below(LINGER_MS_MAX + 1));
}

function http1Upstream(dice: Dice): Server {
  return createServer((socket) => {
    let busy = false;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', () => {
      // The proxy sends one request at a time, in one piece.
      busy = true;
      setImmediate(() => {
        busy = false;
        if (socket.writable) socket.write(OK);
        if (dice.below(LAST_OF) === 0) endLater(dice, socket, () => busy);
      });
    });
  });
}

/** Connections last longer than those of HTTP/1, as more requests depend on each. */
function http2Upstream(dice: Dice): Http2Host {
  const running = new Map<Socket, number>();
  const answer = ({ session, stream, socket }: Seen): void => {
    running.set(socket, (running.get(socket) ?? 0) + 1);
    setImmediate(() => {
      running.set(socket, (running.get(socket) ?? 1) - 1);
      if (socket.destroyed) return;
      session.respond(stream, 200, new HeaderMap(), true);
      if (dice.below(4 * LAST_OF * CLIENTS) !== 0) return;
      if (dice.below(2) === 0) session.goaway(0);
      endLater(dice, socket, () => (running.get(socket) ?? 0) > 0);
    });
  };
  return new Http2Host({}, answer);
}

/** Asks over kept connections, as fast as answers come. @returns what was answered, by status */
async function askAll(port: number, count: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  let left = count;
  const client = async (): Promise<void> => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    await once(socket, 'connect');
    while (left-- > 0) {
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      const status = Number(chunk.toString('latin1', 9, 12));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return statuses;
}

const HTTP2_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const overHttp2 = (http2_protocol_options: object): object => ({
  typed_extension_protocol_options: {
    [HTTP2_OPTIONS]: {
      '@type': `type.googleapis.com/${HTTP2_OPTIONS}`,
      explicit_http_config: { http2_protocol_options },
    },
  },
});

t.setTimeout(3 * TIMEOUT_MS);

t.test(`stale connections over HTTP/1, ${REQUESTS} requests, SEED=${seed}`, { timeout: TIMEOUT_MS }, async (t) => {
  const server = http1Upstream(new Dice(seed));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await run(t, (server.address() as AddressInfo).port, {});
  server.close();
});

for (const [kind, options] of [
  ['on one connection', {}],
  ['on connections of two streams', { max_concurrent_streams: 2 }],
] as const)
  t.test(
    `stale connections over HTTP/2 ${kind}, ${REQUESTS} requests, SEED=${seed}`,
    { timeout: TIMEOUT_MS },
    async (t) => {
      const host = await http2Upstream(new Dice(seed)).listen();
      await run(t, host.port, overHttp2(options));
      host.close();
    },
  );

async function run(t: Pick<typeof import('tap').t, 'same' | 'ok' | 'comment'>, upstreamPort: number, cluster: object) {
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: { listeners: [httpListener('web', 'c')], clusters: [staticCluster('c', upstreamPort, cluster)] },
  });
  const statuses = await askAll(await proxy.portOf('web'), REQUESTS);
  t.same([...statuses], [[200, REQUESTS]], 'not one has failed');
  const replays = await proxy.stat('cluster.c.outrigger.upstream_rq_replay');
  t.ok(replays > 0, 'some connections were found dead');
  t.comment(
    `${replays} of ${REQUESTS} requests were sent again, ${await proxy.stat('cluster.c.upstream_cx_total')} connections`,
  );
  await proxy.stop();
}
