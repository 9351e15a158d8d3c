import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { loadStaticModel } from '../../proxy/config/load.ts';
import { modelText } from '../../proxy/config/model/text.ts';
import type { ToWorker } from '../../proxy/server/messages.ts';
import { WorkerPool } from '../../proxy/server/worker-pool.ts';
import { staticCluster, tcpListener } from '../fixtures/proxy.ts';

const LOG = { level: 'off', components: {}, format: '', escaped: false, json: null, path: '' } as const;

t.test('crashed workers are replaced on the same port with clean counts', async (t) => {
  const upstream = createServer((socket) => socket.pipe(socket).on('error', () => {}));
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const bootstrap = {
    static_resources: {
      listeners: [tcpListener('l', 'c')],
      clusters: [staticCluster('c', (upstream.address() as AddressInfo).port)],
    },
  };
  const { model } = loadStaticModel({
    configPath: '',
    configYaml: JSON.stringify(bootstrap),
    serviceNode: '',
    serviceCluster: '',
    serviceZone: '',
    allowUnknownStaticFields: false,
    skipDeprecatedLogs: false,
    statsTags: [],
  });
  const crashed: number[] = [];
  let caughtUp = 0;
  const allReplaced = Promise.withResolvers<void>();
  const pool = new WorkerPool(
    {
      workers: 2,
      log: LOG,
      fileFlushIntervalMs: 1000,
      fileFlushBytes: 4096,
      localAddressFamily: 'v4',
      ticketKeys: new Uint8Array(48),
    },
    {
      onStats: () => {},
      onOutlier: () => {},
      onCrash: (worker) => crashed.push(worker),
      catchUp: () => {
        if (++caughtUp === 2) allReplaced.resolve();
        return [];
      },
    },
  );
  await pool.start(model, modelText(model));
  await pool.listen();
  const address = pool.addresses[0]?.[0];
  const port = address?.kind === 'socket' ? address.port : 0;
  const held = connect(port, '127.0.0.1');
  held.on('error', () => {});
  await echo(held);
  t.equal(pool.connections(null), 1);

  // No such update can come from the main thread: it stands for a mistake in a worker's code.
  pool.post({ type: 'hosts', cluster: 'c', localities: null } as unknown as ToWorker);
  await once(held, 'close');
  await allReplaced.promise;
  t.same(crashed.sort(), [0, 1]);
  t.equal(pool.connections(null), 0, 'connections of the dead are not counted');
  const again = await connected(port);
  await echo(again);
  t.equal(pool.connections(null), 1);
  again.destroy();
  await pool.shutdown(1000);
  upstream.close();
});

async function echo(socket: ReturnType<typeof connect>): Promise<void> {
  socket.write('x');
  await once(socket, 'data');
}

/** Connects as soon as the successors listen. */
async function connected(port: number): Promise<ReturnType<typeof connect>> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.on('error', () => {});
      return socket;
    } catch {
      socket.destroy();
    }
  }
}
