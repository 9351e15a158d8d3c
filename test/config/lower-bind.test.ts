// `upstream_bind_config`: sources of both families, what is inherited, and Envoy's refusals.

import t from 'tap';
import { lowerBind } from '../../proxy/config/lower/bind.ts';
import type { BindModel } from '../../proxy/config/model/cluster.ts';
import { decodeJson } from '../../proxy/config/read/decode.ts';

const ip = (address: string, port_value = 0) => ({ address, port_value });
const option = (name: number) => ({ level: 1, name, int_value: 3 });
const message = (json: object) =>
  decodeJson('envoy.config.core.v3.BindConfig', json, { allowUnknown: false, warnings: [] });

function lower(own: object | null, general: object | null = null): BindModel | null {
  return lowerBind(
    own === null ? null : message(own),
    general === null ? null : message(general),
    'Cluster c',
    'clusters[0]',
  );
}

t.test('sources and their options', async (t) => {
  t.equal(lower(null), null);
  t.equal(lower({}), null);
  t.same(lower({ source_address: ip('127.0.0.6', 9) }), {
    sources: [{ address: '127.0.0.6', port: 9, socketOptions: [] }],
    freebind: false,
    socketOptions: [],
  });
  const both = lower({
    source_address: ip('127.0.0.6'),
    extra_source_addresses: [{ address: ip('::6'), socket_options: { socket_options: [option(8)] } }],
    socket_options: [option(9)],
    freebind: true,
  });
  t.same(
    both?.sources.map(({ address, socketOptions }) => [address, socketOptions.map(({ name }) => name)]),
    [
      ['127.0.0.6', [9]],
      ['::6', [8]],
    ],
  );
  t.equal(both?.freebind, true);
  const older = lower({ source_address: ip('127.0.0.6'), additional_source_addresses: [ip('::6')] });
  t.equal(older?.sources[1]?.address, '::6');
  t.same(lower({ socket_options: [option(9)] })?.sources, [], 'options alone');
});

t.test('what a cluster inherits', async (t) => {
  const general = { source_address: ip('127.0.0.8'), freebind: true, socket_options: [option(1)] };
  t.equal(lower(null, general)?.sources[0]?.address, '127.0.0.8');
  const own = lower({ source_address: ip('127.0.0.9') }, general);
  t.equal(own?.sources[0]?.address, '127.0.0.9');
  t.equal(own?.freebind, true);
  t.equal(own?.sources[0]?.socketOptions[0]?.name, 1);
  const refused = lower({ freebind: false, socket_options: [option(2)] }, general);
  t.same(refused?.sources, []);
  t.equal(refused?.freebind, false);
  t.equal(refused?.socketOptions[0]?.name, 2);
});

t.test('refusals', async (t) => {
  const source_address = ip('127.0.0.6');
  const cases: [object, string][] = [
    [
      { source_address, extra_source_addresses: [{ address: ip('::1') }], additional_source_addresses: [ip('::1')] },
      "Can't specify both `extra_source_addresses` and `additional_source_addresses` in the Cluster c's upstream binding config",
    ],
    [
      { extra_source_addresses: [{ address: ip('::1') }] },
      "Cluster c's upstream binding config has extra/additional source addresses but no source_address. Extra/additional addresses cannot be specified if source_address is not set.",
    ],
    [
      { source_address, additional_source_addresses: [ip('::1'), ip('::2')] },
      "Cluster c's upstream binding config has more than one extra/additional source addresses. Only one extra/additional source can be supported in BindConfig's extra_source_addresses/additional_source_addresses field",
    ],
    [
      { source_address, additional_source_addresses: [ip('127.0.0.7')] },
      "Cluster c's upstream binding config has two same IP version source addresses. Only two different IP version source addresses can be supported in BindConfig's source_address and extra_source_addresses/additional_source_addresses fields",
    ],
  ];
  for (const [json, text] of cases)
    t.throws(() => lower(json), { message: `clusters[0].upstream_bind_config: ${text}` });
  t.throws(() => lower({ source_address: ip('a.example') }), {
    message: 'clusters[0].upstream_bind_config.source_address: malformed IP address: a.example',
  });
});
