import t from 'tap';
import { ADMIN, startProxy } from '../fixtures/proxy.ts';

t.test('the state and the number of connections count as used while they are 0', async (t) => {
  const proxy = await startProxy({ admin: ADMIN, static_resources: {} });
  const used = await proxy.admin('/stats?usedonly&filter=^server');
  t.match(used, /^server\.state: 0$/m);
  t.match(used, /^server\.total_connections: 0$/m);
  t.notMatch(used, /^server\.envoy_bug_failures/m);
  t.equal(await proxy.stop(), 0);
});
