// Answers of the proxy's own that filters delay, filters that meet more than one route, faults by torn runtime values.

import { answer, bootstrap, cluster, fileLog, get, http, router, STATS, to } from '../config.ts';
import type { Group } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const FILTERS = `${TYPE}envoy.extensions.filters.http.`;
const ALWAYS = { percentage: { numerator: 100 } };
const fault = (config: object): object => ({
  name: 'fault',
  typed_config: { '@type': `${FILTERS}fault.v3.HTTPFault`, ...config },
});
const ABORT = fault({ abort: { http_status: 418, ...ALWAYS } });
const OFF = {
  typed_per_filter_config: { fault: { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true } },
};
/** Takes the request to the route that asks for this state. */
const move = (key: string): object => ({
  name: key,
  typed_config: {
    '@type': `${FILTERS}set_filter_state.v3.Config`,
    on_request_headers: [
      {
        object_key: key,
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: '%REQ(x-moves)%' } },
      },
    ],
    clear_route_cache: true,
  },
});
const moved = (path: string, key: string, status: number, more: object = {}): object => ({
  match: { prefix: path, filter_state: [{ key, string_match: { exact: 'yes' } }] },
  direct_response: { status },
  ...more,
});
const MOVES = 'x-moves: yes';

/** Listener → filters and what else its manager has. */
const LISTENERS: Readonly<Record<string, object>> = {
  main: {
    http_filters: [fault({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } }), router({})],
    local_reply_config: { body_format: { text_format_source: { inline_string: 'L'.repeat(700) } } },
  },
  moving: { http_filters: [move('first'), move('second'), ABORT, router({})] },
  torn: { http_filters: [ABORT, router({})] },
};

export const filterReplies: Group = {
  name: 'filter-replies',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) => ({
    ...bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, options]) =>
        http(
          ports,
          log,
          name,
          {
            name: 'local',
            virtual_hosts: [
              {
                name: 'all',
                domains: ['*'],
                routes: [
                  to('/lasting', 'a', { max_stream_duration: { max_stream_duration: '0.4s' } }),
                  moved('/off', 'second', 203),
                  moved('/off', 'first', 202),
                  { match: { prefix: '/off' }, direct_response: { status: 201 }, ...OFF },
                  moved('/late', 'second', 203),
                  moved('/late', 'first', 202, OFF),
                  to('/', 'a'),
                ],
              },
            ],
          },
          { access_log: [fileLog(log)], ...options },
        ),
      ),
      [cluster('a', [ports['a']])],
    ),
    layered_runtime: {
      layers: [
        {
          name: 'static',
          static_layer: {
            'fault.http.abort.abort_percent': '{oops',
            'fault.http.torn.abort.abort_percent': '{"numerator": 0',
            'fault.http.whole.abort.abort_percent': { numerator: 0 },
          },
        },
      ],
    },
  }),
  stats: STATS,
  scenarios: [
    {
      name: 'the upstream answers while an answer of our own is slowed down',
      client: [get('/lasting')],
      upstreams: { a: { replies: [[{ waitMs: 450 }, answer('200 OK', [], 'late')]] } },
    },
    {
      name: 'and the connection goes on',
      client: [get('/lasting'), { answers: 1 }, get('/next')],
      answers: 2,
      upstreams: { a: { replies: [[{ waitMs: 450 }, answer('200 OK', [], 'late')], [answer('200 OK', [], 'next')]] } },
    },
    { name: 'off on the first route of three', listener: 'moving', client: [get('/off', MOVES)] },
    { name: 'off on the first route, which is the only one', listener: 'moving', client: [get('/off')] },
    { name: 'off on the second route of three', listener: 'moving', client: [get('/late', MOVES)] },
    { name: 'a torn share', listener: 'torn', client: [get('/')] },
    {
      name: 'a torn share of the downstream cluster',
      listener: 'torn',
      client: [get('/', 'x-envoy-downstream-service-cluster: torn')],
    },
    {
      name: 'a share of the downstream cluster',
      listener: 'torn',
      client: [get('/', 'x-envoy-downstream-service-cluster: whole')],
    },
  ],
};
