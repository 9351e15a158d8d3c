// What requests of a cluster are counted under besides: canaries, pairs of zones, a name that the request asks for.

import { address, answer, bootstrap, cluster, FRIEND, get, http, router, routes, TRUSTING, to } from '../config.ts';
import type { Group, Ports, Scenario, UpstreamScript } from '../types.ts';

const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const says = (canary: string, status = '200 OK'): readonly string[] => [
  answer(status, [`x-envoy-upstream-canary: ${canary}`]),
];
const on = (listener: string, scenario: Scenario): Scenario => ({ ...scenario, listener });

const CANARY = { metadata: { filter_metadata: { 'envoy.lb': { canary: true } } } };
const ZONE = { locality: { region: 'r', zone: 'z2' } };
/** A cluster with one host. */
const one = (ports: Ports, name: string, to: string, endpoint: object, locality: object): object => ({
  ...cluster(name, []),
  load_assignment: {
    cluster_name: name,
    endpoints: [{ ...locality, lb_endpoints: [{ endpoint: { address: address(ports[to]) }, ...endpoint }] }],
  },
});
const NAME = 'x-envoy-upstream-alt-stat-name: other';
const RETRY = { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } };

export const countedApart: Group = {
  name: 'counted-apart',
  listeners: ['main', 'quiet'],
  upstreams: ['a', 'm'],
  stats: /^cluster\..*(canary|zone|other)\.|^cluster\..*upstream_rq_completed|^vhost\..*vcluster\.v\./,
  bootstrap: (ports, log) => {
    const list = routes(
      [
        to('/canary', 'canary', RETRY),
        to('/zone', 'zone', RETRY),
        to('/both', 'both', RETRY),
        to('/v', 'both'),
        to('/dead', 'dead'),
        to('/late', 'both', { timeout: '0.4s' }),
        to('/mirrored', 'a', { request_mirror_policies: [{ cluster: 'mirror' }] }),
        to('/', 'a', RETRY),
      ],
      { virtual_clusters: [{ name: 'v', headers: [{ name: ':path', string_match: { prefix: '/v' } }] }] },
    );
    return {
      ...bootstrap(
        ports,
        [
          http(ports, log, 'main', list, TRUSTING),
          http(ports, log, 'quiet', list, { http_filters: [router({ dynamic_stats: false })] }),
        ],
        [
          cluster('a', [ports['a']]),
          one(ports, 'canary', 'a', CANARY, {}),
          one(ports, 'zone', 'a', {}, ZONE),
          one(ports, 'both', 'a', CANARY, ZONE),
          one(ports, 'dead', 'dead', CANARY, ZONE),
          one(ports, 'mirror', 'm', CANARY, ZONE),
        ],
      ),
      node: { id: 'parity', cluster: 'parity', locality: { region: 'r', zone: 'z1' } },
    };
  },
  scenarios: [
    at('an answer says that it is of a canary', '/x', { replies: [says('true')] }),
    at('an answer says that it is not', '/x', { replies: [says('false')] }),
    at('an interim answer of a canary', '/x', {
      replies: [['HTTP/1.1 103 Early Hints\r\nx-envoy-upstream-canary: true\r\n\r\n', answer('200 OK')]],
    }),
    at('an answer of a canary that is tried again', '/x', { replies: [says('true', '503 No'), says('false')] }),
    at('a canary', '/canary', codes(200)),
    at('a canary is asked again', '/canary', codes(503, 201)),
    at('a canary closes', '/canary', { replies: [[{ close: 'reset' }]] }),
    at('another zone', '/zone', codes(200)),
    at('another zone is asked again', '/zone', codes(503, 404)),
    at('a canary in another zone', '/both', codes(204)),
    at('a canary in another zone is late', '/late', { replies: [[{ waitMs: 900 }, answer('200 OK')]] }),
    at('a canary in another zone is down', '/dead', {}),
    { name: 'a mirror that is a canary', client: [get('/mirrored'), { upstreamSaw: 2 }, { waitMs: 40 }] },
    at('a virtual cluster', '/v', codes(200)),
    on('quiet', at('nothing is counted by code', '/v', codes(202))),
    at('under another name', '/zone', codes(203), FRIEND, NAME),
    at('under another name, tried again', '/both', codes(503, 206), FRIEND, NAME),
    at('under another name, closed', '/x', { replies: [[{ close: 'reset' }]] }, FRIEND, NAME),
    at('a stranger does not say how it is counted', '/zone', codes(207), NAME),
  ],
};
