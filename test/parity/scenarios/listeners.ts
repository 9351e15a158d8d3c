// How a connection finds its filter chain: addresses, sources, the default chain, and what is said when there is none.

import { address, bootstrap, cluster, fileLog, get, http, routes, STATS } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

type Chain = { filters: { typed_config: object }[] };

/** A chain that answers with its own name. */
function chain(ports: Ports, log: string, name: string, match: object | null): object {
  const table = routes([
    { name, match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: name } } },
  ]);
  const [made] = (http(ports, log, 'main', table) as { filter_chains: [Chain] }).filter_chains;
  return { ...made, name, ...(match === null ? {} : { filter_chain_match: match }) };
}

const cidr = (address_prefix: string, prefix_len: number): object => ({ address_prefix, prefix_len });
const from = (name: string, listener: string, source: string, target = '127.0.0.1'): Scenario => ({
  name,
  listener,
  from: source,
  target,
  client: [get('/')],
});

export const listeners: Group = {
  name: 'listeners',
  listeners: ['main', 'extra', 'specific', 'none', 'order', 'empty'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const any = (name: string): object => ({ socket_address: { address: '0.0.0.0', port_value: ports[name] } });
    return bootstrap(
      ports,
      [
        {
          name: 'main',
          address: any('main'),
          additional_addresses: [{ address: address(ports['extra']) }],
          traffic_direction: 'INBOUND',
          tcp_backlog_size: 64,
          enable_reuse_port: false,
          filter_chains: [
            chain(ports, log, 'source-ip', { source_prefix_ranges: [cidr('127.0.1.0', 24)] }),
            chain(ports, log, 'source-ip-long', { source_prefix_ranges: [cidr('127.0.1.7', 32)] }),
            chain(ports, log, 'destination-ip', { prefix_ranges: [cidr('127.0.0.5', 32)] }),
            chain(ports, log, 'direct-source', { direct_source_prefix_ranges: [cidr('127.0.2.0', 24)] }),
          ],
          default_filter_chain: chain(ports, log, 'default', null),
        },
        {
          name: 'specific',
          address: any('specific'),
          filter_chains: [
            chain(ports, log, 'local', { source_type: 'SAME_IP_OR_LOOPBACK' }),
            chain(ports, log, 'external', { source_type: 'EXTERNAL' }),
          ],
          connection_balance_config: { exact_balance: {} },
        },
        {
          name: 'none',
          address: any('none'),
          access_log: [fileLog(log)],
          filter_chains: [chain(ports, log, 'nobody', { source_prefix_ranges: [cidr('127.9.9.9', 32)] })],
        },
        { name: 'empty', address: any('empty'), access_log: [fileLog(log)], filter_chains: [{ name: 'empty' }] },
        {
          name: 'order',
          address: any('order'),
          filter_chains: [
            // The destination is judged before the source: the longer source prefix does not win.
            chain(ports, log, 'by-source', { source_prefix_ranges: [cidr('127.0.1.7', 32)] }),
            chain(ports, log, 'by-destination', { prefix_ranges: [cidr('127.0.0.0', 24)] }),
            chain(ports, log, 'raw', { transport_protocol: 'raw_buffer', prefix_ranges: [cidr('127.0.3.0', 24)] }),
          ],
        },
      ],
      [cluster('a', [ports['a']])],
    );
  },
  stats: STATS,
  scenarios: [
    from('default chain', 'main', '127.0.0.1'),
    from('chain by source range', 'main', '127.0.1.6'),
    from('longest source range', 'main', '127.0.1.7'),
    from('chain by destination', 'main', '127.0.0.1', '127.0.0.5'),
    from('destination before source', 'main', '127.0.1.7', '127.0.0.5'),
    from('chain by direct source', 'main', '127.0.2.9'),
    from('additional address', 'extra', '127.0.0.1'),
    from('source type local', 'specific', '127.0.0.1'),
    from('no chain', 'none', '127.0.0.1'),
    from('chain of a listener without default', 'none', '127.9.9.9'),
    { ...from('chain without filters', 'empty', '127.0.0.1'), client: [], answers: 0 },
    from('order of criteria', 'order', '127.0.1.7'),
    from('transport protocol raw_buffer', 'order', '127.0.0.1', '127.0.3.3'),
  ].map((scenario) => (scenario.name === 'no chain' ? { ...scenario, client: [], answers: 0 } : scenario)),
};
