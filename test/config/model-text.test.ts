// A model comes out of its text as it went in.

import t from 'tap';
import { bootstrap } from '../../benchmarks/bootstrap.ts';
import { lowerBootstrap } from '../../proxy/config/lower/bootstrap.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import type { Model } from '../../proxy/config/model/model.ts';
import { clustersOf, modelOf, modelText } from '../../proxy/config/model/text.ts';
import { decode } from '../fixtures/lower.ts';

const modelFor = (json: object): Model =>
  lowerBootstrap(decode('envoy.config.bootstrap.v3.Bootstrap', json), new LowerContext());

const hosts = (...ports: number[]) => ({
  lb_endpoints: ports.map((port) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    ...(port === 7 ? { load_balancing_weight: 3, health_status: 'DEGRADED' } : {}),
  })),
});

t.test('clusters that are alike in some things', async (t) => {
  const assignment = (name: string, ...endpoints: object[]) => ({ cluster_name: name, endpoints });
  const model = modelFor({
    static_resources: {
      clusters: [
        { name: 'a', load_assignment: assignment('a', hosts(1, 7, 3), { ...hosts(4, 5), priority: 1 }) },
        { name: 'b', load_assignment: assignment('b', hosts(1, 7, 3), { ...hosts(4, 5), priority: 1 }) },
        { name: 'c', lb_policy: 'RANDOM', circuit_breakers: { thresholds: [{ max_retries: 9, retry_budget: {} }] } },
        {
          name: 'd',
          load_assignment: assignment('d', hosts(7, 7), hosts()),
          metadata: { filter_metadata: { x: { y: [1] } } },
        },
        { name: 'e', type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', connect_timeout: '3s' },
      ],
    },
  });
  t.strictSame(modelOf(modelText(model)), model);
  t.equal(model.clusters[3]?.localities[0]?.endpoints[1]?.weight, 3, 'the test says what it means');
});

t.test('no clusters, one cluster', async (t) => {
  const none = modelFor({});
  t.strictSame(modelOf(modelText(none)), none);
  const one = modelFor({ static_resources: { clusters: [{ name: 'a' }] } });
  t.strictSame(modelOf(modelText(one)), one);
});

t.test('a big file becomes a short text', async (t) => {
  const options = { port: 1, adminPort: 2, originPort: 3, kind: 'http', accessLog: '/dev/null', mesh: true } as const;
  const model = modelFor(bootstrap(options));
  const text = modelText(model);
  t.ok(JSON.stringify(modelOf(text)) === JSON.stringify(model), 'the same');
  const length = text.clusters.length + text.rest.length;
  t.ok(length < JSON.stringify(model).length * 0.6, `${length} characters`);
  t.strictSame(clustersOf({ clusters: text.clusters, rest: 'whatever it says' }), model.clusters, 'clusters alone');
});
