// Hosts of ORIGINAL_DST clusters: where they come from and when they are forgotten.

import t from 'tap';
import type { ClusterModel } from '../../proxy/config/model/cluster.ts';
import { CLUSTER_CATALOGUE, HOST_CX_ACTIVE } from '../../proxy/observe/catalogue-cluster.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import type { Host } from '../../proxy/upstream/host.ts';
import { Host as HostClass } from '../../proxy/upstream/host.ts';
import { OriginalDstBalancer } from '../../proxy/upstream/original-dst.ts';
import { parseIpPort } from '../../proxy/util/ip.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { FakeStats, PICK } from '../fixtures/upstream.ts';

type Discovery = ClusterModel['discovery'] & { readonly kind: 'original_dst' };

const DISCOVERY: Discovery = {
  kind: 'original_dst',
  headerName: '',
  metadataKey: null,
  portOverride: 0,
  cleanupIntervalMs: 2 ** 40,
};

function setUp(changes: Partial<Discovery> = {}) {
  const store = new FakeStats();
  const dropped: string[] = [];
  const balancer = new OriginalDstBalancer(
    { ...DISCOVERY, ...changes },
    {
      wheel: new TimerWheel(SYSTEM_RUNTIME),
      stats: store.block(CLUSTER_CATALOGUE, 'cluster.c.'),
      makeHost: ({ ip, port }) => {
        const address = { kind: 'socket', protocol: 'tcp', address: ip, port, ipv4Compat: false } as const;
        const endpoint = {
          address,
          additionalAddresses: [],
          hostname: '',
          health: 'unknown',
          weight: 1,
          metadata: {},
        } as const;
        return new HostClass(endpoint, [], 'c', null);
      },
      dropHost: (host: Host) => dropped.push(host.address),
    },
  );
  return { balancer, store, dropped };
}

function infoTo(ip: string, port: number, localAddressRestored = true): StreamInfo {
  return new StreamInfo({ localIp: ip, localPort: port, localAddressRestored } as ConnectionInfo, 0, 0);
}

t.test('the destination of a redirected connection, once per address', async (t) => {
  const { balancer, store } = setUp();
  const pick = (info: StreamInfo | null) => balancer.pick({ ...PICK, info });
  const first = pick(infoTo('10.0.0.1', 80));
  t.equal(first?.address, '10.0.0.1:80');
  t.equal(pick(infoTo('10.0.0.1', 80)), first);
  t.equal(pick(infoTo('fd00::1', 80))?.address, '[fd00::1]:80');
  t.equal(pick(infoTo('10.0.0.1', 80, false)), null, 'nobody redirected it');
  t.equal(pick(null), null);
  t.equal(store.ofCluster('c')['membership_total'], 2);
  t.equal(store.ofCluster('c')['membership_change'], 2);
});

t.test('metadata comes before the connection, and what is no address is counted', async (t) => {
  const { balancer, store } = setUp({ metadataKey: { key: 'ns', path: ['a', 'b'] }, portOverride: 9 });
  const info = infoTo('10.0.0.1', 80);
  const pick = () => balancer.pick({ ...PICK, info })?.address;
  info.dynamicMetadata = { ns: { a: { b: '10.9.9.9:7' } } };
  t.equal(pick(), '10.9.9.9:9', 'with the port of the cluster');
  for (const wrong of [{ a: 'x' }, { a: { b: 5 } }, { a: [] }, {}]) {
    info.dynamicMetadata = { ns: wrong };
    t.equal(pick(), '10.0.0.1:9');
  }
  t.equal(store.ofCluster('c')['original_dst_host_invalid'], undefined, 'what is no text is not there');
  info.dynamicMetadata = { ns: { a: { b: 'nonsense' } } };
  t.equal(pick(), '10.0.0.1:9');
  t.equal(store.ofCluster('c')['original_dst_host_invalid'], 1);
});

t.test('forgotten in the second cleanup without use, unless a connection is open', async (t) => {
  const { balancer, store, dropped } = setUp();
  const pick = (port: number) => balancer.pick({ ...PICK, info: infoTo('10.0.0.1', port) }) as Host;
  const busy = pick(1);
  busy.stats[HOST_CX_ACTIVE] = 1;
  pick(2);
  balancer.cleanUp();
  t.same(dropped, []);
  pick(3);
  balancer.cleanUp();
  t.same(dropped, ['10.0.0.1:2']);
  t.equal(store.ofCluster('c')['membership_total'], 2);
  busy.stats[HOST_CX_ACTIVE] = 0;
  balancer.cleanUp();
  t.same(dropped, ['10.0.0.1:2', '10.0.0.1:1', '10.0.0.1:3']);
  t.equal(store.ofCluster('c')['membership_total'], undefined);
});

t.test('addresses with ports, and nothing else', async (t) => {
  t.same(parseIpPort('1.2.3.4:80'), { ip: '1.2.3.4', port: 80 });
  t.same(parseIpPort('[::1]:0'), { ip: '::1', port: 0 });
  const none = [
    '',
    ':',
    '1.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:x',
    '1.2.3.4:65536',
    '1.2.3.4:1 ',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[1.2.3.4]:80',
    'a:80',
    '[::1:80',
    '1.2.3.4:-1',
  ];
  for (const text of none) t.equal(parseIpPort(text), null, text);
});
