// Raw connections for the TCP proxy. Expected counters were read off Envoy 1.40.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import type { Transport } from '../../proxy/net/transport.ts';
import type { PoolFailure, TcpHandler, TcpLease } from '../../proxy/upstream/upstream.ts';
import { setStrict } from '../../proxy/util/error.ts';
import { clusterModel, eventually, PICK, Rig, withLimits } from '../fixtures/upstream.ts';

setStrict(true);

class Handler implements TcpHandler {
  transport: Transport | null = null;
  lease: TcpLease | null = null;
  failure = '';

  onTcpReady(transport: Transport, _host: unknown, lease: TcpLease): void {
    this.transport = transport;
    this.lease = lease;
    transport.handler = {
      onData: () => {},
      onEnd: () => transport.destroy(),
      onDrain: () => {},
      onClose: () => lease.closed(true),
    };
  }

  onTcpFailure(reason: PoolFailure, text: string): void {
    this.failure = `${reason} ${text}`.trim();
  }
}

t.test('one connection, counted like a request; the limit; a refusal; a cancelled wait', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const rig = new Rig(withLimits(clusterModel([port]), { maxConnections: 1 }));
  const first = new Handler();
  t.ok(rig.cluster.startTcp(PICK, first));
  t.equal(rig.counts['upstream_rq_pending_active'], 1);
  const second = new Handler();
  t.equal(rig.cluster.startTcp(PICK, second), null);
  t.equal(second.failure, 'overflow');
  await eventually(() => first.transport !== null);
  t.strictSame(rig.counts, {
    'circuit_breakers.default.cx_open': 1,
    membership_change: 1,
    membership_healthy: 1,
    membership_total: 1,
    upstream_cx_active: 1,
    upstream_cx_overflow: 1,
    upstream_cx_total: 1,
    upstream_rq_active: 1,
    upstream_rq_pending_total: 1,
    upstream_rq_total: 1,
  });
  first.lease?.sent(5);
  first.transport?.destroy();
  await eventually(() => rig.counts['upstream_cx_destroy'] === 1);
  t.equal(rig.counts['upstream_cx_destroy_remote_with_active_rq'], 1);
  t.equal(rig.counts['upstream_rq_active'], undefined);
  first.lease?.closed(true);
  t.equal(rig.counts['upstream_cx_destroy'], 1, 'closed once');

  const third = new Handler();
  rig.cluster.startTcp(PICK, third)?.cancel();
  t.equal(rig.counts['upstream_rq_cancelled'], 1);
  server.close();
  await once(server, 'close');
  const fourth = new Handler();
  rig.cluster.startTcp(PICK, fourth);
  await eventually(() => fourth.failure !== '');
  t.equal(fourth.failure, 'connect_failure delayed connect error: Connection refused');
  t.equal(rig.counts['upstream_rq_pending_failure_eject'], 1);
  t.equal(rig.counts['upstream_rq_pending_active'], undefined);
  t.equal(rig.counts['upstream_cx_active'], undefined);
  t.equal(third.transport, null);
});
