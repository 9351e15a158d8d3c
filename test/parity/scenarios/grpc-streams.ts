// gRPC over HTTP/2 on both sides: who ends first and how, cancellation either way, trailers alone, grpc-timeout.

import { bootstrap, cluster, fileLog, http, routes, to } from '../config.ts';
import { data, headers, preface, reset } from '../frames.ts';
import type { Group, Http2Action, Scenario, UpstreamScript } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const HTTP2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

const CANCEL = 8;
const MESSAGE = '\0\0\0\0\x02hi';
const HEAD: Http2Action = { head: [':status: 200', 'content-type: application/grpc'] };
const OK: Http2Action = { head: ['grpc-status: 0'], end: true };
const ENDS: Http2Action = { waitFor: 'end' };

/** A call that is open. */
const call = (path: string, ...more: string[]): string =>
  preface() +
  headers(
    1,
    [
      ...[':method: POST', ':scheme: http', ':authority: a.example', `:path: ${path}`],
      ...['content-type: application/grpc', 'te: trailers', ...more],
    ],
    false,
  );
const host = (...replies: (readonly Http2Action[])[]): Readonly<Record<string, UpstreamScript>> => ({
  a: { http2: { early: true, replies } },
});
const scenario = (name: string, client: Scenario['client'], reply: readonly Http2Action[]): Scenario => ({
  name,
  http2: 'polite',
  client,
  upstreams: host(reply),
});
const SILENT: readonly Http2Action[] = [HEAD, { waitMs: 1_000 }];

const timed = (name: string, path: string, asked: string): Scenario =>
  scenario(
    `grpc-timeout, ${name}`,
    [call(path, `grpc-timeout: ${asked}`) + data(1, MESSAGE, true)],
    [{ waitMs: 1_500 }],
  );

export const grpcStreams: Group = {
  name: 'grpc-streams',
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
            to('/max', 'a', { timeout: '0s', max_stream_duration: { grpc_timeout_header_max: '0.2s' } }),
            to('/any', 'a', { timeout: '0s', max_stream_duration: { grpc_timeout_header_max: '0s' } }),
            to('/less', 'a', {
              timeout: '0s',
              max_stream_duration: { grpc_timeout_header_max: '5s', grpc_timeout_header_offset: '0.1s' },
            }),
            to('/older', 'a', { max_grpc_timeout: '5s', grpc_timeout_offset: '0.1s' }),
            to('/old', 'a', { max_grpc_timeout: '0.2s' }),
            to('/dead', 'dead'),
            to('/', 'a', { timeout: '0s' }),
          ]),
          { access_log: [fileLog(log, { grpc: '%GRPC_STATUS%' })] },
        ),
      ],
      [cluster('a', [ports['a']], HTTP2), cluster('dead', [ports['dead']], HTTP2)],
    ),
  stats:
    /^(http\.(?!admin)[^.]+\.(?!.*(bytes|active|buffered))(downstream_rq_.*|rq_.*)|cluster\.[^.]+\.(?!.*active)(upstream_rq_.*|http2\.(rx|tx)_reset))$/,
  scenarios: [
    scenario('unary', [call('/') + data(1, MESSAGE, true)], [ENDS, HEAD, { data: MESSAGE }, OK]),
    scenario(
      'trailers alone',
      [call('/') + data(1, MESSAGE, true)],
      [ENDS, { head: [':status: 200', 'content-type: application/grpc', 'grpc-status: 12'], end: true }],
    ),
    scenario(
      'the client ends, the host goes on',
      [call('/') + data(1, '', true)],
      [HEAD, ENDS, { data: MESSAGE }, { waitMs: 30 }, { data: MESSAGE }, OK],
    ),
    scenario(
      'the host ends while the client is still sending',
      [call('/') + data(1, MESSAGE), { waitMs: 60 }],
      [HEAD, { data: MESSAGE }, OK],
    ),
    scenario(
      'word by word',
      [call('/') + data(1, MESSAGE), { bytes: 60 }, data(1, MESSAGE), { waitMs: 30 }, data(1, '', true)],
      [HEAD, { data: MESSAGE }, ENDS, { data: MESSAGE }, OK],
    ),
    {
      ...scenario(
        'cancelled before an answer',
        [call('/'), { upstreamSaw: 1 }, reset(1, CANCEL), { waitMs: 60 }],
        [{ waitMs: 1_000 }],
      ),
    },
    scenario(
      'cancelled within the answer',
      [call('/'), { bytes: 60 }, reset(1, CANCEL), { waitMs: 60 }],
      [HEAD, { data: MESSAGE }, { waitMs: 1_000 }],
    ),
    scenario('cancelled by the host before its answer', [call('/') + data(1, MESSAGE)], [{ reset: CANCEL }]),
    scenario(
      'cancelled by the host within its answer',
      [call('/') + data(1, MESSAGE)],
      [HEAD, { data: MESSAGE }, { waitMs: 30 }, { reset: CANCEL }],
    ),
    scenario('a host that breaks off', [call('/') + data(1, MESSAGE)], [HEAD, { waitMs: 30 }, { close: 'full' }]),
    scenario('an error of HTTP', [call('/') + data(1, MESSAGE, true)], [ENDS, { head: [':status: 502'], end: true }]),
    { ...scenario('nobody listens', [call('/dead') + data(1, MESSAGE, true)], []) },
    timed('the most that the route allows', '/max', '5S'),
    timed('what the client asks', '/any', '150m'),
    timed('less for the way', '/less', '250m'),
    timed('the older fields', '/old', '5S'),
    timed('the older fields, less for the way', '/older', '250m'),
    scenario(
      'grpc-timeout that is none',
      [call('/any', 'grpc-timeout: soon') + data(1, MESSAGE, true)],
      [ENDS, HEAD, OK],
    ),
    scenario('grpc-timeout within an answer', [call('/any', 'grpc-timeout: 150m') + data(1, MESSAGE)], SILENT),
  ],
};
