// Pools whose protocol the host chooses. What ALPN would say is put into the transports of plain connections; real TLS
// decides in the scenarios of test/parity.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { Http2Session } from '../../proxy/codec/http2-session.ts';
import { type Dial, dial } from '../../proxy/net/dial.ts';
import type { TlsConnection } from '../../proxy/net/tls-connection.ts';
import { setStrict } from '../../proxy/util/error.ts';
import { sessionOn } from '../fixtures/h2.ts';
import { clusterModel, eventually, Rig } from '../fixtures/upstream.ts';

setStrict(true);

/** A host that speaks what it says. */
class Host {
  speaks = 'h2';
  readonly server: Server;
  readonly sockets = new Set<Socket>();
  connections = 0;
  readonly offered: (readonly string[])[] = [];

  constructor() {
    this.server = createServer((socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
      if (this.speaks === 'h2') this.http2(socket);
      else socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
    });
  }

  private http2(socket: Socket): void {
    const session: Http2Session = sessionOn(
      socket,
      false,
      {},
      { onRequest: (stream) => session.respond(stream, 200, new HeaderMap(), true) },
    );
  }

  /** Dials plain connections and says of them what TLS would have agreed on. */
  readonly dial: Dial = (target, handler, names) => {
    this.offered.push(names.alpn);
    const transport = dial(target, handler, names);
    transport.tls = { alpn: this.speaks } as TlsConnection;
    return transport;
  };

  hangUp(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

async function setUp(t: { teardown(fn: () => void): void }): Promise<{ host: Host; rig: Rig }> {
  const host = new Host();
  host.server.listen(0, '127.0.0.1');
  await once(host.server, 'listening');
  const { port } = host.server.address() as AddressInfo;
  const rig = new Rig(clusterModel([port], { protocol: 'auto' }), { dial: host.dial });
  t.teardown(() => {
    rig.manager.close();
    host.hangUp();
    host.server.close();
  });
  return { host, rig };
}

t.test('the host agrees to HTTP/2', async (t) => {
  const { host, rig } = await setUp(t);
  const all = Array.from({ length: 5 }, () => rig.start('GET', '/'));
  await Promise.all(all.map(({ ended }) => ended));
  for (const { log, stream } of all) t.same([log.join(), stream?.protocol], ['head 200 0 end', 'HTTP/2']);
  t.equal(host.connections, 1);
  t.same(host.offered, [['h2', 'http/1.1']]);
  t.match(rig.counts, { upstream_cx_total: 2, upstream_cx_http2_total: 1, upstream_rq_pending_total: 5 });
});

t.test('the host stays with HTTP/1.1: all who wait get a connection', async (t) => {
  const { host, rig } = await setUp(t);
  host.speaks = 'http/1.1';
  const all = Array.from({ length: 3 }, () => rig.start('GET', '/'));
  await Promise.all(all.map(({ ended }) => ended));
  for (const { log, stream } of all) t.same([log.join(), stream?.protocol], ['head 200 1,end', 'HTTP/1.1']);
  t.match(rig.counts, { upstream_rq_pending_total: 3, upstream_rq_total: 3 });
  // The first one is counted by the pool that asked, too, as Envoy counts it.
  t.equal(rig.counts['upstream_cx_http1_total'], (rig.counts['upstream_cx_total'] ?? 0) - 1);
});

t.test('a host that has changed its mind is asked anew', async (t) => {
  const { host, rig } = await setUp(t);
  await rig.get('/');
  host.speaks = 'http/1.1';
  host.hangUp();
  await eventually(() => rig.counts['upstream_cx_active'] === undefined);
  const after = await rig.get('/');
  t.equal(after.stream?.protocol, 'HTTP/1.1');
  t.same(after.log, ['head 200 1', 'end']);
  host.hangUp();
  await eventually(() => rig.counts['upstream_cx_active'] === undefined);
  host.speaks = 'h2';
  t.equal((await rig.get('/')).stream?.protocol, 'HTTP/2');
  t.match(rig.counts, { upstream_cx_http1_total: 1, upstream_cx_http2_total: 2, upstream_cx_total: 6 });
});

t.test('who waits may give up, and a connection that fails fails all', async (t) => {
  const { host, rig } = await setUp(t);
  const one = rig.start('GET', '/');
  one.pending?.cancel();
  const two = rig.start('GET', '/');
  await two.ended;
  t.same(one.log, []);
  t.same(two.log, ['head 200 0 end']);
  t.match(rig.counts, { upstream_rq_cancelled: 1, upstream_cx_total: 2 });
  host.hangUp();
  host.server.close();
  await eventually(() => rig.counts['upstream_cx_active'] === undefined);
  const { log } = await rig.get('/');
  t.match(log[0], /^pool_failure connect_failure/);
  t.match(rig.counts, { upstream_cx_connect_fail: 1, upstream_rq_pending_failure_eject: 1 });
});

t.test('drained while it is being asked: who waits is served, then it closes', async (t) => {
  const { host, rig } = await setUp(t);
  const one = rig.start('GET', '/');
  rig.manager.apply([], ['c']);
  await one.ended;
  t.same(one.log, ['head 200 0 end']);
  await eventually(() => host.sockets.size === 0);
});
