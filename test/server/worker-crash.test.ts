// A worker dies under load: what it held of circuit breakers is given back, exactly, and nothing of what the others hold.

import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { loadStaticModel } from '../../proxy/config/load.ts';
import { modelText } from '../../proxy/config/model/text.ts';
import type { ToWorker } from '../../proxy/server/messages.ts';
import { WorkerPool } from '../../proxy/server/worker-pool.ts';
import { LIMIT_RQ, type SharedBreakers } from '../../proxy/upstream/breakers.ts';
import { httpListener, staticCluster } from '../fixtures/proxy.ts';

const WORKERS = 2;
const REQUESTS_MAX = 8;
const LOG = { level: 'off', components: {}, format: '', escaped: false, json: null, path: '' } as const;

/** What only tests look at. */
interface Inside {
  readonly shared: { readonly breakers: SharedBreakers };
  readonly workers: readonly { post(message: ToWorker): void }[];
}

/** An upstream that answers `/quick` at once and everything else when it is told to. */
async function upstreamServer() {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    response.on('close', () => held.includes(response) && held.splice(held.indexOf(response), 1));
    if (request.url === '/quick') response.end('quick');
    else held.push(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, held, port: (server.address() as AddressInfo).port };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('limits are exact after a crash under load', async (t) => {
  const upstream = await upstreamServer();
  const { model } = loadStaticModel({
    configPath: '',
    configYaml: JSON.stringify({
      static_resources: {
        listeners: [httpListener('web', 'c', { connection_balance_config: { exact_balance: {} } })],
        clusters: [
          staticCluster('c', upstream.port, { circuit_breakers: { thresholds: [{ max_requests: REQUESTS_MAX }] } }),
        ],
      },
    }),
    serviceNode: '',
    serviceCluster: '',
    serviceZone: '',
    allowUnknownStaticFields: false,
    skipDeprecatedLogs: false,
    statsTags: [],
  });
  let replaced = 0;
  const pool = new WorkerPool(
    {
      workers: WORKERS,
      log: LOG,
      fileFlushIntervalMs: 1000,
      fileFlushBytes: 4096,
      localAddressFamily: 'v4',
      ticketKeys: new Uint8Array(48),
    },
    {
      onStats: () => {},
      onOutlier: () => {},
      onCrash: () => {},
      catchUp: () => {
        replaced++;
        return [];
      },
    },
  );
  await pool.start(model, modelText(model));
  await pool.listen();
  const address = pool.addresses[0]?.[0];
  const port = address?.kind === 'socket' ? address.port : 0;
  const { shared, workers } = pool as unknown as Inside;
  const { cells, stride } = shared.breakers;
  const usedBy = (worker: number): number => Atomics.load(cells, LIMIT_RQ * stride + worker);
  const used = (): number => Array.from({ length: WORKERS }, (_, worker) => usedBy(worker)).reduce((a, b) => a + b);
  /** One request on a connection of its own. @returns its status; 0 = the connection broke */
  const ask = (path: string): Promise<number> =>
    new Promise((resolve) => {
      const request = get({ port, host: '127.0.0.1', path, agent: new Agent() }, (response: IncomingMessage) => {
        response.resume();
        response.on('close', () => resolve(response.statusCode ?? 0));
      });
      request.on('error', () => resolve(0));
    });

  const first = Array.from({ length: REQUESTS_MAX }, () => ask('/held'));
  await until(() => used() === REQUESTS_MAX);
  t.equal(await ask('/quick'), 503, 'all places are taken');
  let loading = true;
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      const seen = new Set<number>();
      while (loading) seen.add(await ask('/quick'));
      return seen;
    }),
  );
  const lost = usedBy(1);
  t.ok(lost > 0 && lost < REQUESTS_MAX, `${lost} of ${REQUESTS_MAX} in the worker that dies`);
  // No such update can come from the main thread: it stands for a mistake in a worker's code.
  workers[1]?.post({ type: 'hosts', cluster: 'c', localities: null } as unknown as ToWorker);
  await until(() => replaced === 1);
  loading = false;
  for (const seen of await load) t.ok([...seen].every((status) => [0, 200, 503].includes(status)));
  await until(() => upstream.held.length === REQUESTS_MAX - lost);
  await until(() => used() === REQUESTS_MAX - lost);

  const second = Array.from({ length: lost }, () => ask('/held'));
  await until(() => used() === REQUESTS_MAX);
  t.equal(await ask('/quick'), 503, 'as many places as the dead worker had, and no more');
  for (const response of [...upstream.held]) response.end('done');
  const statuses = await Promise.all([...first, ...second]);
  t.equal(statuses.filter((status) => status === 200).length, REQUESTS_MAX, 'whoever was not in it is answered');
  t.equal(statuses.filter((status) => status === 0).length, lost);
  await until(() => used() === 0);
  t.equal(await ask('/quick'), 200);
  await pool.shutdown(1000);
  upstream.server.close();
});
