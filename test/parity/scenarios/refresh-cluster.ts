// `refresh_cluster_on_retry`: each retry of a request with weighted clusters goes to another one of them.

import { answer, bootstrap, cluster, get, http, httpOptions, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const add = (key: string, value: string, append_action = 'OVERWRITE_IF_EXISTS_OR_ADD'): object => ({
  header: { key, value },
  append_action,
});
const says = (list: string, count: number): UpstreamScript => ({
  replies: [...list].map((each, i) => [answer(each === '+' ? '200 OK' : `${each}03 X`, [], `${count}.${i}`)]),
});
const script = (...lists: string[]): Record<string, UpstreamScript> =>
  Object.fromEntries(lists.map((list, i) => [['a', 'b', 'c'][i] as string, says(list, i)]));
/** @param pick the value that the weights divide */
const at = (name: string, path: string, pick: number, ...lists: string[]): Scenario => ({
  name,
  client: [get(path, `x-pick: ${pick}`, 'x-name: one')],
  upstreams: script(...lists),
});
const RETRY = { retry_on: '5xx', num_retries: 4, retry_back_off: { base_interval: '0.001s' } };
const refresh = (extra: object = {}): object => ({
  retry_policy: { ...RETRY, refresh_cluster_on_retry: true, ...extra },
});
const NAMES = ['one', 'two', 'three'];
const weights = (list: readonly (number | object)[], extra: object = {}): object => ({
  clusters: list.map((weight, i) => ({
    ...(typeof weight === 'number' ? { weight } : weight),
    ...(typeof weight === 'object' && 'cluster_header' in weight ? {} : { name: NAMES[i] }),
  })),
  header_name: 'x-pick',
  ...extra,
});
const weighted = (prefix: string, weighted_clusters: object, action: object = refresh()): object => ({
  match: { prefix },
  route: { weighted_clusters, ...action },
});
const marked = (weight: number, name: string): object => ({
  weight,
  request_headers_to_add: [add('x-to', name)],
  response_headers_to_add: [add('x-from', name)],
  host_rewrite_literal: `${name}.example`,
});

export const refreshCluster: Group = {
  name: 'refresh-cluster',
  listeners: ['main', 'host'],
  upstreams: ['a', 'b', 'c'],
  bootstrap: (ports, log) => {
    const list = [
      weighted('/even', weights([1, 1, 1])),
      weighted('/uneven', weights([5, 3, 2])),
      weighted('/zero', weights([1, 0])),
      weighted('/lone', weights([1])),
      weighted('/marked', weights([marked(1, '1'), marked(1, '2'), marked(1, '3')])),
      weighted('/kept', weights([1, 1]), { retry_policy: RETRY }),
      weighted('/vhost', weights([1, 1]), {}),
      weighted('/gone', weights([1, { weight: 1, cluster_header: 'x-gone' }])),
      weighted('/by-header', weights([{ weight: 1, cluster_header: 'x-name' }, 1, 1])),
      weighted('/to-header', weights([1, { weight: 1, cluster_header: 'x-name' }])),
      weighted('/tight', {
        header_name: 'x-pick',
        clusters: [
          { name: 'one', weight: 1 },
          { name: 'tight', weight: 1 },
        ],
      }),
      weighted('/first', {
        header_name: 'x-pick',
        clusters: [
          { name: 'tight', weight: 1 },
          { name: 'one', weight: 1 },
        ],
      }),
      weighted('/down', {
        header_name: 'x-pick',
        clusters: [
          { name: 'one', weight: 1 },
          { name: 'down', weight: 1 },
        ],
      }),
      weighted('/empty', {
        header_name: 'x-pick',
        clusters: [
          { name: 'one', weight: 1 },
          { name: 'empty', weight: 1 },
        ],
      }),
      weighted(
        '/own',
        {
          header_name: 'x-pick',
          clusters: [
            { name: 'own', weight: 1 },
            { name: 'two', weight: 1 },
          ],
        },
        {},
      ),
      weighted('/try', weights([1, 1]), refresh({ per_try_timeout: '0.2s' })),
      weighted('/codes', weights([1, 1, 1]), refresh({ num_retries: 2 })),
      {
        match: { prefix: '/header' },
        route: { cluster_header: 'x-name', ...refresh() },
        request_headers_to_add: [add('x-name', 'two')],
      },
      to('/plain', 'one', refresh()),
    ];
    return bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(list, { include_attempt_count_in_response: true, include_request_attempt_count: true }),
        ),
        http(ports, log, 'host', routes(list, refresh())),
      ],
      [
        cluster('one', [ports['a']]),
        cluster('two', [ports['b']]),
        cluster('three', [ports['c']]),
        cluster('tight', [ports['b']], { circuit_breakers: { thresholds: [{ max_retries: 0 }] } }),
        cluster('down', [ports['b']]),
        cluster('empty', []),
        cluster('own', [ports['a']], httpOptions({}, {}, refresh())),
      ],
      {
        layered_runtime: {
          layers: [{ name: 'static', static_layer: { upstream: { maintenance_mode: { down: 100 } } } }],
        },
      },
    );
  },
  stats: STATS,
  scenarios: [
    at('the next one', '/even', 0, '5', '+', '+'),
    at('the one after', '/even', 1, '+', '5', '+'),
    at('the last one first', '/even', 2, '+', '+', '5'),
    at('all of them', '/even', 0, '5', '5', '+'),
    at('all of them, and again', '/even', 4, '5+', '55', '5'),
    at('all of them in vain', '/even', 5, '55', '55', '55'),
    at('by weight', '/uneven', 6, '5', '5', '+'),
    at('by weight of those that are left', '/uneven', 9, '+', '+', '5'),
    at('nothing but a weight of zero', '/zero', 0, '5+', '+'),
    at('a single one', '/lone', 0, '5+'),
    at('what each says of heads', '/marked', 0, '5', '+'),
    at('without being told', '/kept', 0, '5+', '+'),
    { ...at('as the virtual host says', '/vhost', 0, '5', '+'), listener: 'host' },
    at('one that nothing names', '/gone', 0, '5+'),
    { name: 'one that is not there', client: [get('/gone', 'x-pick: 0', 'x-gone: gone')], upstreams: script('5+') },
    at('one that a header names', '/by-header', 1, '+', '5', '5'),
    at('to one that a header names', '/to-header', 0, '5+', '+'),
    at('one without a place for retries', '/tight', 0, '5', '+'),
    at('from one without a place for retries', '/first', 0, '+', '5'),
    at('one under maintenance', '/down', 0, '5', '+'),
    at('one without hosts', '/empty', 0, '5', '+'),
    at('as the cluster says', '/own', 0, '5', '+'),
    {
      ...at('after the time of a try', '/try', 0),
      upstreams: { a: { replies: [[{ waitMs: 500 }, answer('200 OK')]] } },
    },
    at('too few retries', '/codes', 0, '5', '5', '5'),
    at('a header that has changed', '/header', 0, '5', '5+'),
    at('a route with one cluster', '/plain', 0, '5+'),
  ],
};
