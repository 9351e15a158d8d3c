// Faults and cross-origin requests over HTTP/2 on both sides: answers before the request has ended, trailers, resets.

import { bootstrap, cluster, fileLog, http, router, routes, to } from '../config.ts';
import { data, headers, preface, reset } from '../frames.ts';
import type { Group, Http2Action, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const FILTERS = `${TYPE}envoy.extensions.filters.http.`;
const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const HTTP2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: { '@type': `${TYPE}${OPTIONS}`, explicit_http_config: { http2_protocol_options: {} } },
  },
};
const ALWAYS = { percentage: { numerator: 100 } };
const DELAY = { delay: { fixed_delay: '0.400s', ...ALWAYS } };
const fault = (config: object): object => ({
  typed_per_filter_config: { fault: { '@type': `${FILTERS}fault.v3.HTTPFault`, ...config } },
});
const cors = {
  typed_per_filter_config: {
    cors: {
      '@type': `${FILTERS}cors.v3.CorsPolicy`,
      allow_origin_string_match: [{ exact: 'https://good.example' }],
      expose_headers: 'x-seen',
    },
  },
};

const CANCEL = 8;
const GRPC = ['content-type: application/grpc', 'te: trailers'];
const open = (method: string, path: string, ...more: string[]): string =>
  preface() +
  headers(1, [`:method: ${method}`, ':scheme: http', ':authority: a.example', `:path: ${path}`, ...more], false);
const whole = (method: string, path: string, ...more: string[]): string =>
  preface() +
  headers(1, [`:method: ${method}`, ':scheme: http', ':authority: a.example', `:path: ${path}`, ...more], true);
const ANSWER: readonly Http2Action[] = [
  { waitFor: 'end' },
  { head: [':status: 200', 'x-seen: 1'] },
  { data: 'z'.repeat(120) },
  { head: ['x-trailer: 1'], end: true },
];

const scenario = (name: string, ...client: Scenario['client']): Scenario => ({
  name,
  http2: 'polite',
  client,
  upstreams: { a: { http2: { early: true, replies: [ANSWER] } } },
});

export const faultHttp2: Group = {
  name: 'fault-http2',
  listeners: ['main'],
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
            to('/abort', 'a', {}, fault({ abort: { http_status: 503, ...ALWAYS } })),
            to('/grpc', 'a', {}, fault({ abort: { grpc_status: 8, ...ALWAYS } })),
            to('/delay', 'a', {}, fault(DELAY)),
            to('/late', 'a', {}, fault({ ...DELAY, abort: { http_status: 500, ...ALWAYS } })),
            to('/slow', 'a', {}, fault({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } })),
            to('/cors', 'a', {}, cors),
          ]),
          {
            http_filters: [
              { name: 'cors', typed_config: { '@type': `${FILTERS}cors.v3.Cors` } },
              { name: 'fault', typed_config: { '@type': `${FILTERS}fault.v3.HTTPFault` } },
              router({}),
            ],
            access_log: [fileLog(log)],
          },
        ),
      ],
      [cluster('a', [ports['a']], HTTP2)],
    ),
  stats: /^http\.main\.(fault|cors|downstream_rq_(?!.*active))|http2\.tx_reset/,
  scenarios: [
    scenario('aborted', whole('GET', '/abort')),
    scenario('aborted before its body', open('POST', '/abort')),
    scenario('a call is aborted', whole('POST', '/grpc', ...GRPC)),
    scenario('a call is aborted while it is open', open('POST', '/abort', ...GRPC) + data(1, '\0\0\0\0\x02hi')),
    scenario('delayed, with body and trailers', open('POST', '/delay') + data(1, 'hello') + headers(1, ['x-t: 1'])),
    scenario(
      'delayed, the body comes later',
      open('POST', '/delay'),
      { waitMs: 20 },
      data(1, 'he'),
      {
        waitMs: 500,
      },
      data(1, 'llo', true),
    ),
    scenario('aborted after the delay, while open', open('POST', '/late') + data(1, 'hello')),
    scenario('aborted after the delay', open('POST', '/late') + data(1, 'hello', true)),
    {
      ...scenario('reset within the delay', open('POST', '/late'), { waitMs: 20 }, reset(1, CANCEL), { waitMs: 60 }),
      answers: 0,
    },
    scenario('slowed down, with trailers', whole('GET', '/slow')),
    scenario(
      'preflight',
      whole('OPTIONS', '/cors', 'origin: https://good.example', 'access-control-request-method: PUT'),
    ),
    scenario(
      'preflight with a body to come',
      open('OPTIONS', '/cors', 'origin: https://good.example', 'access-control-request-method: PUT'),
    ),
    scenario('cross-origin', whole('GET', '/cors', 'origin: https://good.example')),
  ],
};
