// Gates: shared counts, token buckets, and what becomes of connections that do not pass.

import { connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { LocalRateLimitModel } from '../../proxy/config/model/common.ts';
import type { Model } from '../../proxy/config/model/model.ts';
import { type ConnectionGate, GatedFilter, PASS } from '../../proxy/listener/gate.ts';
import { compileGate, type GateEnv } from '../../proxy/listener/limits.ts';
import type { NetworkFilter } from '../../proxy/listener/network-filter.ts';
import { SharedGates } from '../../proxy/listener/shared-gates.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import type { ConnectionInfo } from '../../proxy/observe/stream-info.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';

const ALWAYS = { defaultValue: true, runtimeKey: '' };
const CONNECTION = { requestedServerName: '' } as ConnectionInfo;

/** Memory for some gates before one terminal filter. */
function memory(gates: number, workers: number): SharedArrayBuffer {
  const model = { listeners: [{ gates }], faultScopes: [] } as unknown as Model;
  return SharedGates.allocate(model, workers);
}

function env(shared: SharedGates, runtime: { readonly [key: string]: boolean } = {}): GateEnv {
  return { stats: new WorkerStats(() => {}), shared, runtimeKeys: runtimeEntries(runtime) };
}

function limit(max: number, of: GateEnv, more: object = {}): ConnectionGate {
  const config = { statPrefix: 'it', maxConnections: max, delayMs: 7, enabled: ALWAYS, ...more };
  return compileGate({ kind: 'connection_limit', config }, of);
}

t.test('a connection limit holds over all workers', async (t) => {
  const table = memory(1, 3);
  const gates = [0, 1, 2].map((worker) => limit(2, env(new SharedGates(table, 3, worker))));
  const [a, b, c] = gates as [ConnectionGate, ConnectionGate, ConnectionGate];
  t.equal(a.admit(CONNECTION), PASS);
  t.equal(b.admit(CONNECTION), PASS);
  t.equal(c.admit(CONNECTION), 7);
  c.onClosed(false);
  a.onClosed(true);
  t.equal(c.admit(CONNECTION), PASS);
  t.equal(a.admit(CONNECTION), 7);
  new SharedGates(table, 3, 0).clearWorker(1);
  t.equal(a.admit(CONNECTION), PASS, 'what a dead worker held is free');
});

t.test('a limit may be off, by default or by runtime', async (t) => {
  const off = limit(0, env(new SharedGates(memory(1, 1), 1, 0)), { enabled: { defaultValue: false, runtimeKey: 'k' } });
  t.equal(off.admit(CONNECTION), PASS);
  const enabled = { defaultValue: true, runtimeKey: 'k' };
  const byRuntime = limit(0, env(new SharedGates(memory(1, 1), 1, 0), { k: false }), { enabled });
  t.equal(byRuntime.admit(CONNECTION), PASS);
});

t.test('a bucket gives its tokens, fills again, and overflows', async (t) => {
  const shared = new SharedGates(memory(1, 2), 2, 0);
  const gate = shared.number();
  const take = (nowMicros: number): boolean => shared.takeToken(gate, 2, 1_000, nowMicros);
  t.same([take(50_000), take(50_000), take(50_000)], [true, true, false]);
  t.same([take(50_999), take(51_000), take(51_000)], [false, true, false]);
  t.same([take(90_000), take(90_000), take(90_000)], [true, true, false], 'no more than the bucket holds');
});

t.test('buckets are shared by key', async (t) => {
  const config: LocalRateLimitModel = {
    statPrefix: 'it',
    maxTokens: 1,
    tokensPerFill: 1,
    fillIntervalMs: 3_600_000,
    shareKey: 'k',
    enabled: ALWAYS,
  };
  const of = env(new SharedGates(memory(3, 1), 1, 0));
  const [a, b, own] = [config, config, { ...config, shareKey: '' }].map((model) =>
    compileGate({ kind: 'local_ratelimit', config: model }, of),
  ) as [ConnectionGate, ConnectionGate, ConnectionGate];
  t.equal(a.admit(CONNECTION), PASS);
  t.equal(b.admit(CONNECTION), 0);
  t.equal(own.admit(CONNECTION), PASS);
});

t.test(
  'refused connections are closed after the delay, admitted ones reach the filter, gates hear of each end',
  async (t) => {
    const log: string[] = [];
    let verdict = PASS;
    const gate = (name: string, says: () => number): ConnectionGate => ({
      closeReason: name,
      flags: 0,
      admit: says,
      onClosed: (admitted) => log.push(`${name} ${admitted}`),
    });
    const inner: NetworkFilter = {
      activeConnections: 0,
      accept: (socket, _connection, onClosed) => {
        log.push('inner');
        socket.once('close', () => onClosed());
        socket.destroy();
      },
      refused: () => undefined,
      drain: () => {},
      closeAll: () => {},
    };
    const filter = new GatedFilter([gate('first', () => PASS), gate('second', () => verdict)], inner, SYSTEM_RUNTIME);
    let over = (): void => {};
    const server = createServer((socket: Socket) => {
      const info = { localCloseReason: '' } as ConnectionInfo;
      filter.accept(socket, info, () => {
        log.push(`closed ${info.localCloseReason}`);
        over();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const visit = async (): Promise<void> => {
      const client = connect(port, '127.0.0.1');
      client.on('error', () => {});
      client.resume();
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
      await new Promise<void>((resolve) => {
        over = resolve;
      });
      await closed;
    };
    await visit();
    verdict = 0;
    await visit();
    verdict = 20;
    await visit();
    server.close();
    await new Promise((resolve) => server.once('close', resolve));
    t.same(log, [
      ...['inner', 'first true', 'second true', 'closed '],
      ...['first true', 'second false', 'closed second'],
      ...['first true', 'second false', 'closed second'],
    ]);
    t.equal(filter.activeConnections, 0);
  },
);
