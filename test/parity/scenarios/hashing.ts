// Consistent hashing: the same request must come to the same host as under Envoy. Hosts are addresses of the loopback
// whose ports differ from run to run, so they are told apart by keys in their metadata, or by their names.

import {
  address,
  answer,
  bootstrap,
  cluster,
  get,
  http,
  httpOptions,
  request,
  routes,
  STATS,
  tcp,
  to,
} from '../config.ts';
import { ask, preface } from '../frames.ts';
import type { ClientStep, Group, Ports, Scenario } from '../types.ts';

const HOSTS = ['a', 'b', 'c', 'd', 'e'] as const;
const TYPES = 'type.googleapis.com/envoy.extensions.';
const RING = `${TYPES}load_balancing_policies.ring_hash.v3.RingHash`;
const MAGLEV = `${TYPES}load_balancing_policies.maglev.v3.Maglev`;

type Endpoint = { readonly name: string; readonly weight?: number; readonly health?: string };
const hosts = (...names: readonly string[]): readonly Endpoint[] => names.map((name) => ({ name }));
const typed = (type: string, config: object = {}): object => ({
  load_balancing_policy: {
    policies: [{ typed_extension_config: { name: 'lb', typed_config: { '@type': type, ...config } } }],
  },
});

/** A cluster whose hosts are known by `hash_key`, or, without, by their names. */
function hashed(
  ports: Ports,
  name: string,
  extra: object,
  list: readonly Endpoint[] = hosts(...HOSTS),
  keyed = true,
): object {
  return cluster(name, [], {
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: list.map(({ name: host, weight, health }) => ({
            endpoint: { address: address(ports[host]), hostname: `${host}.hosts.example` },
            ...(weight === undefined ? {} : { load_balancing_weight: weight }),
            ...(health === undefined ? {} : { health_status: health }),
            ...(keyed ? { metadata: { filter_metadata: { 'envoy.lb': { hash_key: `key-of-${host}` } } } } : {}),
          })),
        },
      ],
    },
    ...extra,
  });
}

const by = (...hash_policy: readonly object[]): object => ({ hash_policy });
const header = (name: string, extra: object = {}): object => ({ header: { header_name: name }, ...extra });
const cookie = (config: object): object => ({ cookie: { name: 'sticky', ...config } });
const byHeader = by(header('x-key'));

/** Some requests on one connection, each with a key of its own. */
const spread = (name: string, path: string, count = 24): Scenario => ({
  name,
  client: Array.from({ length: count }, (_, i) => [
    get(`${path}?${i}`, `x-key: user-${i * i}`),
    { answers: i + 1 },
  ]).flat(),
  answers: count,
});
/** Many requests at once, all with the same key. */
const crowd = (name: string, path: string, count: number): Scenario => ({
  name,
  http2: 'polite',
  client: Array.from({ length: count }, (_, i): readonly ClientStep[] => [
    (i === 0 ? preface() : '') + ask(2 * i + 1, `${path}?${i}`, ['x-key: all the same']),
    { upstreamSaw: i + 1 },
  ]).flat(),
  answers: count,
  upstreams: Object.fromEntries(HOSTS.map((host) => [host, { replies: [[{ waitMs: 1_000 }, answer('200 OK')]] }])),
});
const one = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });

const STATE = {
  name: 'state',
  typed_config: {
    '@type': `${TYPES}filters.http.set_filter_state.v3.Config`,
    on_request_headers: [
      {
        object_key: 'hashed',
        factory_key: 'envoy.hashable_string',
        format_string: { text_format_source: { inline_string: '%REQ(x-key)%' } },
      },
      {
        object_key: 'plain',
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: '%REQ(x-key)%' } },
      },
    ],
  },
};
const TCP_STATE = {
  name: 'state',
  typed_config: {
    '@type': `${TYPES}filters.network.set_filter_state.v3.Config`,
    on_new_connection: [
      {
        object_key: 'tcp-key',
        factory_key: 'envoy.hashable_string',
        format_string: { text_format_source: { inline_string: 'always the same' } },
      },
    ],
  },
};
/** A listener with a filter before its own. */
function behind(filter: object, listener: object): object {
  const [chain] = (listener as { filter_chains: readonly { filters: readonly object[] }[] }).filter_chains;
  return { ...listener, filter_chains: [{ ...chain, filters: [filter, ...(chain?.filters ?? [])] }] };
}
const ROUTER = { name: 'router', typed_config: { '@type': `${TYPES}filters.http.router.v3.Router` } };

export const hashing: Group = {
  name: 'hashing',
  listeners: ['main', 'tcp', 'tcp-state', 'tcp-none'],
  upstreams: HOSTS,
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/ring', 'ring', byHeader),
            to('/maglev', 'maglev', byHeader),
            to('/typed-ring', 'typed-ring', byHeader),
            to('/typed-maglev', 'typed-maglev', byHeader),
            to('/inner-ring', 'inner-ring', byHeader),
            to('/small-maglev', 'small-maglev', byHeader),
            to('/murmur', 'murmur', byHeader),
            to('/short-ring', 'short-ring', byHeader),
            to('/weighted-ring', 'weighted-ring', byHeader),
            to('/weighted-maglev', 'weighted-maglev', byHeader),
            to('/named-ring', 'named-ring', byHeader),
            to('/named-maglev', 'named-maglev', byHeader),
            to('/sick-ring', 'sick-ring', byHeader),
            to('/sick-maglev', 'sick-maglev', byHeader),
            to('/panic', 'panic', byHeader),
            to('/reversed', 'reversed-maglev', byHeader),
            to('/bounded', 'bounded', byHeader),
            to('/weights-bounded', 'bounded-weights', byHeader),
            to('/table-bounded', 'bounded-table', byHeader),
            to('/own-policy', 'own-policy', byHeader),
            to('/cluster-policy', 'cluster-policy', byHeader),
            to('/path', 'ring', by(header(':path'))),
            to('/host', 'ring', by(header(':authority'))),
            to(
              '/rewrite',
              'ring',
              by({ header: { header_name: 'x-key', regex_rewrite: { pattern: { regex: '-.*' }, substitution: '' } } }),
            ),
            to('/changed-path', 'ring', { ...by(header(':path')), prefix_rewrite: '/rewritten' }),
            to('/changed-host', 'ring', { ...by(header(':authority')), host_rewrite_literal: 'rewritten.example' }),
            to('/changed-key', 'ring', byHeader, {
              request_headers_to_add: [
                { header: { key: 'x-key', value: 'changed' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
              ],
            }),
            to(
              '/changed-retry',
              'ring',
              { ...byHeader, retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } },
              {
                request_headers_to_add: [
                  { header: { key: 'x-key', value: 'changed' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
                ],
              },
            ),
            to('/cookie', 'ring', by(cookie({}))),
            to(
              '/given',
              'single',
              by(
                cookie({
                  ttl: '60s',
                  path: '/p',
                  attributes: [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }],
                }),
              ),
            ),
            to('/session', 'single', by(cookie({ ttl: '0s' }))),
            to('/twice-given', 'single', by(cookie({ ttl: '1.9s' }), { cookie: { name: 'other', ttl: '60s' } })),
            to('/retried', 'single', {
              ...by(cookie({ ttl: '60s' })),
              retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } },
            }),
            to('/elsewhere', 'a', by(cookie({ ttl: '60s' }))),
            to('/source', 'ring', by({ connection_properties: { source_ip: true } })),
            to('/no-source', 'ring', by({ connection_properties: { source_ip: false } }, header('x-key'))),
            to('/query', 'ring', by({ query_parameter: { name: 'k' } })),
            to('/state', 'ring', by({ filter_state: { key: 'hashed' } })),
            to('/plain-state', 'ring', by({ filter_state: { key: 'plain' } }, header('x-other'))),
            to('/two', 'ring', by(header('x-key'), header('x-other'))),
            to('/same-two', 'ring', by(header('x-key'), header('x-key'))),
            to('/terminal', 'ring', by(header('x-key', { terminal: true }), header('x-other'))),
            to('/avoid-ring', 'ring', {
              ...byHeader,
              retry_policy: {
                retry_on: '5xx',
                num_retries: 3,
                retry_back_off: { base_interval: '0.01s' },
                host_selection_retry_max_attempts: 5,
                retry_host_predicate: [
                  {
                    name: 'previous',
                    typed_config: { '@type': `${TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate` },
                  },
                ],
              },
            }),
            to('/avoid-maglev', 'maglev', {
              ...byHeader,
              retry_policy: {
                retry_on: '5xx',
                num_retries: 3,
                retry_back_off: { base_interval: '0.01s' },
                host_selection_retry_max_attempts: 5,
                retry_host_predicate: [
                  {
                    name: 'previous',
                    typed_config: { '@type': `${TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate` },
                  },
                ],
              },
            }),
            {
              match: { prefix: '/weights' },
              route: {
                weighted_clusters: {
                  use_hash_policy: true,
                  clusters: [
                    { name: 'a', weight: 50 },
                    { name: 'b', weight: 30 },
                    { name: 'c', weight: 21 },
                  ],
                },
                ...byHeader,
              },
            },
          ]),
          { http_filters: [STATE, ROUTER] },
        ),
        tcp(ports, log, 'tcp', { cluster: 'ring', hash_policy: [{ source_ip: {} }] }),
        behind(
          TCP_STATE,
          tcp(ports, log, 'tcp-state', { cluster: 'ring', hash_policy: [{ filter_state: { key: 'tcp-key' } }] }),
        ),
        tcp(ports, log, 'tcp-none', { cluster: 'one', hash_policy: [{ filter_state: { key: 'nothing' } }] }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('b', [ports['b']]),
        cluster('c', [ports['c']]),
        hashed(ports, 'ring', { lb_policy: 'RING_HASH' }),
        hashed(ports, 'maglev', { lb_policy: 'MAGLEV' }),
        hashed(
          ports,
          'typed-ring',
          typed(RING, { minimum_ring_size: 7, maximum_ring_size: 19, use_hostname_for_hashing: true }),
          undefined,
          false,
        ),
        hashed(
          ports,
          'typed-maglev',
          typed(MAGLEV, { table_size: 1009, consistent_hashing_lb_config: { use_hostname_for_hashing: true } }),
          undefined,
          false,
        ),
        hashed(
          ports,
          'inner-ring',
          typed(RING, {
            hash_function: 'MURMUR_HASH_2',
            hash_balance_factor: 300,
            consistent_hashing_lb_config: { use_hostname_for_hashing: true, hash_balance_factor: 200 },
          }),
          undefined,
          false,
        ),
        hashed(ports, 'small-maglev', { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 7 } }),
        hashed(ports, 'murmur', {
          lb_policy: 'RING_HASH',
          ring_hash_lb_config: { hash_function: 'MURMUR_HASH_2', minimum_ring_size: 100, maximum_ring_size: 200 },
        }),
        // A place for the first host would make it a ring of 11.
        hashed(
          ports,
          'short-ring',
          { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: 3, maximum_ring_size: 5 } },
          [
            { name: 'a', weight: 1 },
            { name: 'b', weight: 3 },
            { name: 'c', weight: 7 },
          ],
        ),
        hashed(ports, 'weighted-ring', { lb_policy: 'RING_HASH' }, [
          { name: 'a', weight: 1 },
          { name: 'b', weight: 3 },
          { name: 'c', weight: 7 },
        ]),
        hashed(ports, 'weighted-maglev', { lb_policy: 'MAGLEV' }, [
          { name: 'a', weight: 1 },
          { name: 'b', weight: 3 },
          { name: 'c', weight: 7 },
        ]),
        hashed(
          ports,
          'named-ring',
          {
            type: 'STRICT_DNS',
            lb_policy: 'RING_HASH',
            common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true } },
          },
          undefined,
          false,
        ),
        hashed(
          ports,
          'named-maglev',
          {
            type: 'STRICT_DNS',
            lb_policy: 'MAGLEV',
            common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true } },
          },
          undefined,
          false,
        ),
        hashed(ports, 'sick-ring', { lb_policy: 'RING_HASH' }, [
          ...hosts('a', 'b', 'c'),
          { name: 'd', health: 'UNHEALTHY' },
          { name: 'e', health: 'DRAINING' },
        ]),
        hashed(ports, 'sick-maglev', { lb_policy: 'MAGLEV' }, [
          ...hosts('a', 'b', 'c'),
          { name: 'd', health: 'UNHEALTHY' },
        ]),
        hashed(ports, 'panic', { lb_policy: 'MAGLEV' }, [
          ...hosts('a'),
          { name: 'b', health: 'UNHEALTHY' },
          { name: 'c', health: 'UNHEALTHY' },
          { name: 'd', health: 'UNHEALTHY' },
        ]),
        hashed(ports, 'reversed-maglev', { lb_policy: 'MAGLEV' }, hosts('e', 'd', 'c', 'b', 'a')),
        hashed(ports, 'bounded', {
          lb_policy: 'RING_HASH',
          common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 100 } },
        }),
        hashed(
          ports,
          'bounded-weights',
          { lb_policy: 'RING_HASH', common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 125 } } },
          [
            { name: 'a', weight: 1 },
            { name: 'b', weight: 3 },
            { name: 'c', weight: 7 },
          ],
        ),
        hashed(ports, 'bounded-table', {
          lb_policy: 'MAGLEV',
          common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 200 } },
        }),
        hashed(
          ports,
          'own-policy',
          typed(RING, { consistent_hashing_lb_config: { hash_policy: [header('x-other')] } }),
        ),
        hashed(ports, 'cluster-policy', {
          lb_policy: 'RING_HASH',
          ...httpOptions({}, {}, { hash_policy: [header('x-other')] }),
        }),
        cluster('one', [ports['a']], { lb_policy: 'MAGLEV' }),
        cluster('single', [ports['a']], { lb_policy: 'RING_HASH' }),
      ],
    ),
  stats: new RegExp(`${STATS.source}|(ring_hash|maglev)_lb`),
  scenarios: [
    spread('ring', '/ring'),
    spread('maglev', '/maglev'),
    spread('a small ring by names', '/typed-ring'),
    spread('a small table by names', '/typed-maglev'),
    spread('a ring with its settings inside', '/inner-ring'),
    spread('hardly more places than hosts', '/small-maglev'),
    spread('MurmurHash', '/murmur'),
    spread('a ring shorter than its weights ask for', '/short-ring'),
    spread('weights on a ring', '/weighted-ring'),
    spread('weights in a table', '/weighted-maglev'),
    spread('a ring by names', '/named-ring', 12),
    spread('a table by names', '/named-maglev', 12),
    spread('hosts that are out, ring', '/sick-ring', 16),
    spread('hosts that are out, table', '/sick-maglev', 16),
    spread('panic', '/panic', 12),
    spread('the order of hosts is no matter', '/reversed', 12),
    spread('a bound that nobody meets', '/bounded', 12),
    crowd('a bound that is met', '/bounded', 12),
    crowd('a bound that is met, weights', '/weights-bounded', 12),
    crowd('a bound that is met, table', '/table-bounded', 12),
    spread('clusters by hash', '/weights', 16),
    one('the balancer’s own policy', '/own-policy', 'x-key: a', 'x-other: something'),
    one('the balancer’s own policy again', '/own-policy', 'x-key: b', 'x-other: something else'),
    one('the cluster’s policy', '/cluster-policy', 'x-key: a', 'x-other: something'),
    one('the cluster’s policy again', '/cluster-policy', 'x-key: a', 'x-other: something else'),
    one('several values', '/ring', 'x-key: one', 'x-key: two', 'x-key: three'),
    one('several values, turned round', '/ring', 'x-key: three', 'x-key: two', 'x-key: one'),
    one('an empty value', '/ring', 'x-key:'),
    one('a long value', '/ring', `x-key: ${'abcdefghij'.repeat(30)}`),
    one('bytes', '/ring', 'x-key: \xc3\xa4\xff'),
    one('the path', '/path/one?two'),
    one('the path, another', '/path/three'),
    one('the host', '/host', 'host: z.example:81'),
    spread('a path that is changed', '/changed-path', 6),
    ...['a', 'b', 'c', 'd'].map((host) =>
      one(`a host that is changed, ${host}`, '/changed-host', `host: ${host}.example`),
    ),
    spread('a header that is changed', '/changed-key', 6),
    ...['one', 'two', 'three', 'four'].map(
      (key): Scenario => ({
        name: `a header that is changed, and a retry, ${key}`,
        client: [get('/changed-retry', `x-key: ${key}`)],
        upstreams: Object.fromEntries(HOSTS.map((host) => [host, { replies: [[answer('503 No')]] }])),
      }),
    ),
    one('rewritten', '/rewrite', 'x-key: prefix-one'),
    one('rewritten alike', '/rewrite', 'x-key: prefix-two'),
    one('a cookie', '/cookie', 'cookie: x=y; sticky=abc'),
    one('a quoted cookie', '/cookie', 'cookie: sticky="abc"'),
    one('a cookie of many', '/given', 'cookie: sticky=first; sticky=second'),
    one('a cookie is given', '/given'),
    one('an empty cookie is no cookie', '/given', 'cookie: sticky='),
    one('a cookie for the session', '/session'),
    one('two cookies are given', '/twice-given'),
    one('one of two cookies is given', '/twice-given', 'cookie: sticky=1'),
    one('no cookie where nobody hashes', '/elsewhere'),
    {
      name: 'a cookie after a retry',
      client: [get('/retried')],
      upstreams: { a: { replies: [[answer('503 No')], [answer('200 OK', ['set-cookie: own=1'])]] } },
    },
    {
      name: 'no cookie without an answer',
      client: [get('/given')],
      upstreams: { a: { replies: [[{ close: 'full' }]] } },
    },
    one('a value in the query', '/query?a=b&k=v%20w&k=x'),
    one('an empty value in the query', '/query?k='),
    one('filter state', '/state', 'x-key: from state'),
    one('filter state that cannot be hashed', '/plain-state', 'x-key: from state', 'x-other: else'),
    one('by address', '/source'),
    one('by forwarded address', '/source', 'x-forwarded-for: 9.8.7.6'),
    one('by forwarded address, IPv6', '/source', 'x-forwarded-for: 2001:db8::1'),
    one('no address', '/no-source', 'x-key: nothing else'),
    one('two policies', '/two', 'x-key: one', 'x-other: two'),
    one('two policies, one of use', '/two', 'x-other: two'),
    one('the same policy twice', '/same-two', 'x-key: one'),
    {
      name: 'a policy that ends the list',
      client: Array.from({ length: 6 }, (_, i) => [
        { answers: i },
        get('/terminal', 'x-key: one', `x-other: ${i}`),
      ]).flat(),
      answers: 6,
    },
    one('a policy that does not end it', '/terminal', 'x-other: two'),
    {
      name: 'a retry avoids hosts, ring',
      client: [get('/avoid-ring', 'x-key: sisyphus')],
      upstreams: Object.fromEntries(HOSTS.map((host) => [host, { replies: [[answer('503 No')]] }])),
    },
    {
      name: 'a retry avoids hosts, table',
      client: [get('/avoid-maglev', 'x-key: sisyphus')],
      upstreams: Object.fromEntries(HOSTS.map((host) => [host, { replies: [[answer('503 No')]] }])),
    },
    { name: 'TCP by address', listener: 'tcp', client: [request('GET', '/', [])] },
    { name: 'TCP by filter state', listener: 'tcp-state', client: [request('GET', '/', [])] },
    { name: 'TCP by what is not there', listener: 'tcp-none', client: [request('GET', '/', [])] },
  ],
};
