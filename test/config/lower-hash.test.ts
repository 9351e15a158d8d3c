// Hash policies and the balancers that use them: every honoured field, defaults, refusals in the words of Envoy 1.40.

import t from 'tap';
import { lowerCluster } from '../../proxy/config/lower/cluster.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import { lowerTcpProxy } from '../../proxy/config/lower/tcp-proxy.ts';
import type { LbPolicyModel } from '../../proxy/config/model/cluster.ts';
import type { RouteActionModel } from '../../proxy/config/model/route.ts';
import { lowered, refusal, TYPE } from '../fixtures/lower.ts';

const LB = `${TYPE}envoy.extensions.load_balancing_policies.`;

function action(json: object): RouteActionModel {
  const host = { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: json }] };
  const type = 'envoy.config.route.v3.RouteConfiguration';
  const config = lowered(lowerRouteConfig, type, { virtual_hosts: [host] }, new LowerContext());
  const model = config.virtualHosts[0]?.routes[0]?.action;
  if (model?.kind !== 'route') throw new Error('no route');
  return model;
}

const cluster = (json: object) => lowered(lowerCluster, 'envoy.config.cluster.v3.Cluster', { name: 'c', ...json });
const balancer = (json: object): LbPolicyModel => cluster(json).lbPolicy;
const typed = (name: string, config: object): object => ({
  load_balancing_policy: {
    policies: [{ typed_extension_config: { name, typed_config: { '@type': `${LB}${name}`, ...config } } }],
  },
});
const HEADER = { header: { header_name: 'X-Key' } };
const HEADER_MODEL = { terminal: false, kind: 'header', name: 'x-key', rewrite: null };

t.test('policies of routes', async (t) => {
  const all = [
    {
      header: {
        header_name: 'X-Key',
        regex_rewrite: { pattern: { regex: 'a(b)' }, substitution: '\\1' },
      },
      terminal: true,
    },
    { cookie: { name: 'c', ttl: '2.5s', path: '/p', attributes: [{ name: 'SameSite', value: 'Lax' }] } },
    { cookie: { name: 'd', ttl: '0s' } },
    { cookie: { name: 'e' } },
    { connection_properties: { source_ip: true } },
    { connection_properties: {} },
    { query_parameter: { name: 'q' } },
    { filter_state: { key: 'k' } },
  ];
  t.same(action({ cluster: 'a', hash_policy: all }).hashPolicy, [
    { terminal: true, kind: 'header', name: 'x-key', rewrite: { pattern: 'a(b)', substitution: '\\1' } },
    {
      terminal: false,
      kind: 'cookie',
      name: 'c',
      ttlSeconds: 2,
      path: '/p',
      attributes: [{ name: 'SameSite', value: 'Lax' }],
    },
    { terminal: false, kind: 'cookie', name: 'd', ttlSeconds: 0, path: '', attributes: [] },
    { terminal: false, kind: 'cookie', name: 'e', ttlSeconds: -1, path: '', attributes: [] },
    { terminal: false, kind: 'source_ip' },
    { terminal: false, kind: 'query_parameter', name: 'q' },
    { terminal: false, kind: 'filter_state', key: 'k' },
  ]);
  const clusters = [{ name: 'a', weight: 1 }];
  const weighted = (extra: object) => action({ weighted_clusters: { clusters, ...extra } }).cluster;
  t.match(weighted({ use_hash_policy: true }), { useHashPolicy: true });
  t.match(weighted({ use_hash_policy: false }), { useHashPolicy: false });
  t.match(weighted({}), { useHashPolicy: false });
});

t.test('policies of TCP connections', async (t) => {
  const of = (hash_policy: object[]) =>
    lowered(lowerTcpProxy, 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: 's',
      cluster: 'c',
      hash_policy,
    }).hashPolicy;
  t.same(of([{ source_ip: {} }]), [{ terminal: false, kind: 'source_ip' }]);
  t.same(of([{ filter_state: { key: 'k' } }]), [{ terminal: false, kind: 'filter_state', key: 'k' }]);
  t.same(of([]), []);
});

t.test('policies of clusters', async (t) => {
  const options = `${TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`;
  const model = cluster({
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': options,
        explicit_http_config: { http_protocol_options: {} },
        hash_policy: [HEADER],
      },
    },
  });
  t.same(model.hashPolicy, [HEADER_MODEL]);
});

const COMMON = { useHostname: false, balancePercent: 0, hashPolicy: [] };
const RING = { kind: 'ring_hash', minRingSize: 1024, maxRingSize: 8_388_608, hashFunction: 'xx', ...COMMON };
const MAGLEV = { kind: 'maglev', tableSize: 65_537, ...COMMON };

t.test('ring hash', async (t) => {
  const sizes = { minimum_ring_size: 10, maximum_ring_size: 20 };
  const ownSizes = { minRingSize: 10, maxRingSize: 20, hashFunction: 'murmur2' };
  t.same(balancer({ lb_policy: 'RING_HASH' }), RING);
  t.same(
    balancer({
      lb_policy: 'RING_HASH',
      type: 'STRICT_DNS',
      ring_hash_lb_config: { ...sizes, hash_function: 'MURMUR_HASH_2' },
      common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true, hash_balance_factor: 150 } },
    }),
    { ...RING, ...ownSizes, useHostname: true, balancePercent: 150 },
  );
  t.same(balancer(typed('ring_hash.v3.RingHash', {})), RING);
  t.same(balancer(typed('ring_hash.v3.RingHash', { ...sizes, hash_function: 'MURMUR_HASH_2' })), {
    ...RING,
    ...ownSizes,
  });
  const older = { use_hostname_for_hashing: true, hash_balance_factor: 120 };
  t.same(balancer(typed('ring_hash.v3.RingHash', older)), { ...RING, useHostname: true, balancePercent: 120 });
  const inner = { hash_balance_factor: 130, hash_policy: [HEADER] };
  t.same(balancer(typed('ring_hash.v3.RingHash', { ...older, consistent_hashing_lb_config: inner })), {
    ...RING,
    balancePercent: 130,
    hashPolicy: [HEADER_MODEL],
  });
});

t.test('Maglev', async (t) => {
  t.same(balancer({ lb_policy: 'MAGLEV' }), MAGLEV);
  t.same(balancer({ lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 7 } }), { ...MAGLEV, tableSize: 7 });
  const inner = { use_hostname_for_hashing: true, hash_balance_factor: 110 };
  t.same(balancer(typed('maglev.v3.Maglev', { table_size: 11, consistent_hashing_lb_config: inner })), {
    ...MAGLEV,
    tableSize: 11,
    useHostname: true,
    balancePercent: 110,
  });
});

t.test('refusals', async (t) => {
  const refused = (json: object): string => refusal(() => balancer(json));
  const small = { minimum_ring_size: 20, maximum_ring_size: 10 };
  t.equal(
    refused({ lb_policy: 'RING_HASH', ring_hash_lb_config: small }),
    'it.ring_hash_lb_config: ring hash: minimum_ring_size (20) > maximum_ring_size (10)',
  );
  t.match(refused(typed('ring_hash.v3.RingHash', small)), 'minimum_ring_size (20) > maximum_ring_size (10)');
  for (const table_size of [100, 1]) {
    t.equal(
      refused({ lb_policy: 'MAGLEV', maglev_lb_config: { table_size } }),
      'it.maglev_lb_config: The table size of maglev must be prime number',
    );
  }
  t.match(
    refused({ common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true } } }),
    "Cannot use hostname for consistent hashing loadbalancing for cluster of type: 'envoy.cluster.static'",
  );
  t.match(
    refusal(() => action({ cluster: 'a', hash_policy: [{ terminal: true }] })),
    'policy_specifier is required',
  );
});
