// Captured traffic, as far as it can be had without packet filters: connections that nobody redirected.

import { bootstrap, cluster, get, http, routes, STATS } from '../config.ts';
import type { Group } from '../types.ts';

/** Answers with the destination that the proxy believes in. */
const ADDRESSES = routes([
  {
    name: 'where',
    match: { prefix: '/' },
    direct_response: { status: 200 },
    response_headers_to_add: [
      { header: { key: 'x-local', value: '%DOWNSTREAM_LOCAL_ADDRESS%' } },
      { header: { key: 'x-direct', value: '%DOWNSTREAM_DIRECT_LOCAL_ADDRESS%' } },
    ],
  },
]);

export const capture: Group = {
  name: 'capture',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const any = (name: string): object => ({
      address: { socket_address: { address: '0.0.0.0', port_value: ports[name] } },
    });
    return bootstrap(
      ports,
      [http(ports, log, 'main', ADDRESSES, {}, { ...any('main'), use_original_dst: true })],
      [cluster('a', [ports['a']])],
    );
  },
  stats: STATS,
  scenarios: [{ name: 'a connection that nobody redirected stays', target: '127.0.0.9', client: [get('/')] }],
};
