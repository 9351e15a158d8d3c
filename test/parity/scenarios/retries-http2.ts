// Retries over HTTP/2: every condition by what an HTTP/2 upstream does, and which of them a reset meets.

import { bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group, Http2Action, Scenario } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const overHttp2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: { '@type': `type.googleapis.com/${OPTIONS}`, explicit_http_config: { http2_protocol_options: {} } },
  },
};
const CONDITIONS =
  '5xx gateway-error connect-failure refused-stream reset-before-request reset retriable-4xx retriable-status-codes retriable-headers envoy-ratelimited http3-post-connect-failure cancelled deadline-exceeded resource-exhausted internal unavailable'.split(
    ' ',
  );
const route = (condition: string): object =>
  to(`/${condition}`, 'a', {
    retry_policy: {
      retry_on: condition,
      retry_back_off: { base_interval: '0.01s' },
      retriable_status_codes: [418],
      retriable_headers: [{ name: 'x-again', string_match: { exact: 'yes' } }],
    },
  });

const OK: readonly Http2Action[] = [{ head: [':status: 200', 'content-type: text/plain'] }, { data: 'ok', end: true }];
const status = (code: number, ...headers: string[]): readonly Http2Action[] => [
  { head: [`:status: ${code}`, ...headers], end: true },
];
const grpc = (code: number): readonly Http2Action[] =>
  status(200, 'content-type: application/grpc', `grpc-status: ${code}`);
const at = (name: string, path: string, ...replies: (readonly Http2Action[])[]): Scenario => ({
  name,
  client: [get(path)],
  upstreams: { a: { http2: { replies } } },
});
/** The upstream does that at first, under each of these conditions. */
const each = (name: string, first: readonly Http2Action[], conditions: readonly string[]): readonly Scenario[] =>
  conditions.map((condition) => at(`${name}, on ${condition}`, `/${condition}`, first, OK));

const RESETS = ['5xx', 'gateway-error', 'refused-stream', 'reset', 'reset-before-request', 'connect-failure'];
const GRPC = ['cancelled', 'deadline-exceeded', 'resource-exhausted', 'internal', 'unavailable'];
const GRPC_CODES = [1, 4, 8, 13, 14];

export const retriesHttp2: Group = {
  name: 'retries-http2',
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
          routes(CONDITIONS.map(route), {
            include_request_attempt_count: true,
            include_attempt_count_in_response: true,
          }),
        ),
      ],
      [cluster('a', [ports['a']], overHttp2)],
    ),
  stats: STATS,
  scenarios: [
    ...each('refused', [{ reset: 7 }], RESETS),
    ...each('cancelled by the upstream', [{ reset: 8 }], RESETS),
    ...each('an internal error', [{ reset: 2 }], ['refused-stream', 'reset', 'reset-before-request']),
    ...each('HTTP/1.1 is wanted', [{ reset: 13 }], ['refused-stream', 'reset']),
    ...each('reset without an error', [{ reset: 0 }], ['reset', '5xx']),
    ...each('the connection ends', [{ close: 'full' }], RESETS),
    ...each('a broken frame', [{ raw: '\0\0\x04\x08\0\0\0\0\0\0\0\0\0' }], ['5xx', 'reset', 'connect-failure']),
    ...each('500', status(500), ['5xx', 'gateway-error']),
    ...each('502', status(502), ['5xx', 'gateway-error', 'reset']),
    ...each('409', status(409), ['retriable-4xx', '5xx']),
    ...each('418', status(418), ['retriable-status-codes', 'retriable-4xx']),
    ...each('a header', status(200, 'x-again: yes'), ['retriable-headers', '5xx']),
    ...each('limited', status(429, 'x-envoy-ratelimited: true'), ['envoy-ratelimited', 'retriable-4xx']),
    ...GRPC.flatMap((condition, i) => each(`grpc status ${GRPC_CODES[i]}`, grpc(GRPC_CODES[i] as number), [condition])),
    at('another grpc status', '/unavailable', grpc(1), OK),
    at('no grpc status', '/unavailable', grpc(99), OK),
    at('a grpc status for 5xx', '/5xx', grpc(14), OK),
    at('refused twice', '/refused-stream', [{ reset: 7 }], [{ reset: 7 }], OK),
    at(
      'reset within the answer',
      '/reset',
      [{ head: [':status: 200'] }, { data: 'half' }, { waitMs: 30 }, { reset: 2 }],
      OK,
    ),
    at(
      'a grpc status in trailers is too late',
      '/unavailable',
      [{ head: [':status: 200', 'content-type: application/grpc'] }, { head: ['grpc-status: 14'], end: true }],
      OK,
    ),
    {
      name: 'a body is sent again',
      client: [request('POST', '/reset', ['content-length: 5'], 'hello')],
      upstreams: { a: { http2: { replies: [[{ reset: 2 }], OK] } } },
    },
    {
      name: 'a body with trailers is sent again',
      client: [request('POST', '/5xx', ['transfer-encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n')],
      upstreams: { a: { http2: { replies: [status(503), OK] } } },
    },
    {
      name: 'a body that is still coming',
      client: [
        request('POST', '/5xx', ['transfer-encoding: chunked'], '2\r\nab\r\n'),
        { upstreamSaw: 1 },
        { waitMs: 20 },
        '1\r\nc\r\n0\r\n\r\n',
      ],
      upstreams: { a: { http2: { early: true, replies: [status(503), OK] } } },
    },
  ],
};
