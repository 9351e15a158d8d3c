// What routes and filters add to a request says how it is tried again, too.

import { answer, bootstrap, cluster, get, http, router, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const codes = (...list: number[]): UpstreamScript => ({
  replies: list.map((code) => [answer(`${code} X`, [], String(code))]),
});
const at = (name: string, path: string, a: UpstreamScript, ...headers: string[]): Scenario => ({
  name,
  client: [get(path, ...headers)],
  upstreams: { a },
});
const filtered = (name: string, path: string, a: UpstreamScript): Scenario => ({
  ...at(name, path, a),
  listener: 'filtered',
});
const adds = (path: string, headers: { readonly [name: string]: string }, action: object = {}): object => ({
  ...to(path, 'a', action),
  request_headers_to_add: Object.entries(headers).map(([key, value]) => ({ header: { key, value } })),
});
const ON_5XX = { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } };

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http.';
const mutation = (headers: { readonly [name: string]: string }): object => ({
  mutations: {
    request_mutations: Object.entries(headers).map(([key, value]) => ({ append: { header: { key, value } } })),
  },
});

export const retriesAdded: Group = {
  name: 'retries-added',
  listeners: ['main', 'filtered'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            adds('/when', { 'x-envoy-retry-on': '5xx' }),
            adds('/grpc-on', { 'x-envoy-retry-grpc-on': 'unavailable' }),
            adds('/max', { 'x-envoy-max-retries': '3' }, ON_5XX),
            adds('/codes', { 'x-envoy-retry-on': 'retriable-status-codes', 'x-envoy-retriable-status-codes': '418' }),
            adds('/timeout', { 'x-envoy-upstream-rq-timeout-ms': '60000', 'x-envoy-hedge-on-per-try-timeout': 'true' }),
            adds(
              '/only',
              { 'x-again': 'yes' },
              { retry_policy: { ...ON_5XX.retry_policy, retriable_request_headers: [{ name: 'x-again' }] } },
            ),
            {
              ...adds(
                '/not',
                {},
                { retry_policy: { ...ON_5XX.retry_policy, retriable_request_headers: [{ name: 'x-again' }] } },
              ),
              request_headers_to_remove: ['x-again'],
            },
          ]),
        ),
        http(
          ports,
          log,
          'filtered',
          routes([
            to('/own', 'a'),
            {
              ...to('/route', 'a', ON_5XX),
              typed_per_filter_config: {
                mutation: {
                  '@type': `${FILTERS}header_mutation.v3.HeaderMutationPerRoute`,
                  ...mutation({ 'x-envoy-max-retries': '3', 'x-envoy-upstream-rq-timeout-ms': '60000' }),
                },
              },
            },
          ]),
          {
            http_filters: [
              {
                name: 'mutation',
                typed_config: {
                  '@type': `${FILTERS}header_mutation.v3.HeaderMutation`,
                  ...mutation({ 'x-envoy-retry-on': '5xx' }),
                },
              },
              router({}),
            ],
          },
        ),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    at('conditions', '/when', codes(503, 200)),
    at('conditions, beside those of a stranger', '/when', codes(503, 200), 'x-envoy-retry-on: retriable-4xx'),
    at('conditions of gRPC', '/grpc-on', codes(200)),
    at('more retries', '/max', codes(503, 503, 503, 200)),
    at('codes', '/codes', codes(418, 200)),
    at('time limits', '/timeout', codes(200)),
    at('what makes a request retriable', '/only', codes(503, 200)),
    at('what made it retriable and was taken', '/not', codes(503, 200), 'x-again: yes'),
    filtered('conditions of a filter', '/own', codes(503, 200)),
    filtered('more retries and time of a filter', '/route', codes(503, 503, 503, 200)),
  ],
};
