// Names of things beyond ASCII, in logs and headers.

import { bootstrap, cluster, fileLog, get, http, routes, to } from '../config.ts';
import type { Group } from '../types.ts';

const NAMES = '%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% %VIRTUAL_CLUSTER_NAME% %FILTER_CHAIN_NAME%';

export const names: Group = {
  name: 'names',
  listeners: ['main', 'plain'],
  upstreams: ['größe'],
  bootstrap: (ports, log) => {
    const table = (list: object[]): object =>
      routes(list, {
        virtual_clusters: [{ name: 'vc-ü', headers: [{ name: ':path', string_match: { prefix: '/v' } }] }],
        response_headers_to_add: [{ header: { key: 'x-names', value: NAMES } }],
      });
    const main = http(ports, log, 'main', table([{ ...to('/', 'größe'), name: 'weg-€' }]), {
      access_log: [fileLog(log, { names: NAMES })],
    }) as { filter_chains: object[] };
    Object.assign(main.filter_chains[0] as object, { name: 'kette-ß' });
    const format = { text_format_source: { inline_string: `{"names":"${NAMES}"}\n` } };
    const plain = http(ports, log, 'plain', table([{ ...to('/', 'größe'), name: 'weg-€' }]), {
      access_log: [
        {
          name: 'file',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
            path: log,
            log_format: format,
          },
        },
      ],
    });
    return bootstrap(ports, [main, plain], [cluster('größe', [ports['größe']])]);
  },
  scenarios: [
    { name: 'as JSON', client: [get('/')] },
    { name: 'with a virtual cluster', client: [get('/v')] },
    { name: 'as text', listener: 'plain', client: [get('/v')] },
  ],
};
