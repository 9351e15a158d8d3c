// Outlier detection in a whole process: several workers share what they see of a host, and all of them hear of the
// verdict; the event log tells it.

import { mkdtempSync, readFileSync } from 'node:fs';
import { Agent, createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { hcmFilter } from '../fixtures/lower.ts';
import { ADMIN, startProxy } from '../fixtures/proxy.ts';

const events = join(mkdtempSync(join(tmpdir(), 'outlier-')), 'events');
const CONNECTIONS = 12;
const CONSECUTIVE = 9;

/** A host that answers with one status. */
async function host(t: Tap, status: number): Promise<Server> {
  const server = createServer((_request, response) => {
    response.statusCode = status;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  return server;
}
type Tap = Pick<typeof t, 'teardown'>;

function ask(port: number, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    }).on('error', reject);
  });
}

const endpoints = (server: Server, priority: number): object => ({
  priority,
  lb_endpoints: [
    {
      endpoint: {
        address: { socket_address: { address: 'localhost', port_value: (server.address() as AddressInfo).port } },
      },
    },
  ],
});

t.test('failures that different workers see add up', async (t) => {
  const [bad, good] = [await host(t, 500), await host(t, 200)];
  const route = { match: { prefix: '/' }, route: { cluster: 'c' } };
  const proxy = await startProxy(
    {
      admin: ADMIN,
      cluster_manager: { outlier_detection: { event_log_path: events } },
      static_resources: {
        listeners: [
          {
            name: 'main',
            address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
            connection_balance_config: { exact_balance: {} },
            filter_chains: [
              {
                filters: [
                  hcmFilter({
                    route_config: { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }] },
                  }),
                ],
              },
            ],
          },
        ],
        clusters: [
          {
            name: 'c',
            type: 'STRICT_DNS',
            dns_lookup_family: 'V4_ONLY',
            load_assignment: { cluster_name: 'c', endpoints: [endpoints(bad, 0), endpoints(good, 1)] },
            outlier_detection: {
              consecutive_5xx: CONSECUTIVE,
              interval: '600s',
              base_ejection_time: '600s',
              max_ejection_time: '700s',
              max_ejection_percent: 100,
            },
          },
        ],
      },
    },
    ['--concurrency', '2'],
  );
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('main');
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true }));
  t.teardown(() => {
    for (const agent of agents) agent.destroy();
  });
  for (const agent of agents.slice(0, CONSECUTIVE)) t.equal(await ask(port, agent), 500);
  while ((await proxy.stat('cluster.c.outlier_detection.ejections_active')) === 0);
  while ((await proxy.stat('cluster.c.membership_healthy')) !== 1);
  const workers = await proxy.admin('/stats?filter=worker_.\\.downstream_cx_total');
  t.match(workers, /worker_0\.downstream_cx_total: [1-9].*worker_1\.downstream_cx_total: [1-9]/s, 'both have some');
  // The notice is on its way to the other worker: each request that it still sends to the bad host is one of few.
  const late: number[] = [];
  for (const agent of agents) late.push(await ask(port, agent));
  const settled = await Promise.all(agents.map((agent) => ask(port, agent)));
  t.same(new Set(settled), new Set([200]), `every worker knows; before: ${late.join(' ')}`);
  const flags = (await proxy.admin('/clusters')).split('\n').filter((line) => line.includes('health_flags'));
  t.match(flags, [/failed_outlier_check/, /healthy/]);
  const active = 'cluster.c.outlier_detection.ejections_detected_consecutive_5xx';
  t.equal(await proxy.stat(active), 1);
  await proxy.stop();
  t.match(JSON.parse(readFileSync(events, 'utf8')), { cluster_name: 'c', action: 'EJECT', num_ejections: 1 });
});
