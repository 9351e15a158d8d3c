// Mirrors and redirects that are followed, with HTTP/2 on either side: bodies, trailers, gRPC, streams side by side.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import { ask, data, headers, preface } from '../frames.ts';
import type { Group, Http2Action, Scenario } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const http2 = (options: object): object => ({
  typed_extension_protocol_options: {
    [OPTIONS]: { '@type': `type.googleapis.com/${OPTIONS}`, ...options },
  },
});
const SPOKEN = http2({ explicit_http_config: { http2_protocol_options: {} } });
const FOLLOWED = http2({ use_downstream_protocol_config: { http2_protocol_options: {}, http_protocol_options: {} } });

const mirror = (name: string): object => ({ request_mirror_policies: [{ cluster: name }] });
const FOLLOW = { internal_redirect_policy: { redirect_response_codes: [302, 303] } };
const post = (stream: number, path: string, more: readonly string[] = []): string =>
  ask(stream, path, more, 'POST', false);
const moved = (location: string, status = '302 Found'): string => answer(status, [`location: ${location}`], 'moved');
const movedHttp2 = (location: string): readonly Http2Action[] => [
  { head: [':status: 302', `location: ${location}`] },
  { data: 'moved', end: true },
];
const at = (name: string, bytes: string, extra: Partial<Scenario> = {}): Scenario => {
  const { client = [], ...more } = extra;
  return { name, http2: 'polite', client: [preface() + bytes, ...client], ...more };
};

export const actionsHttp2: Group = {
  name: 'actions-http2',
  listeners: ['main'],
  upstreams: ['a', 'm'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/mirror', 'a', mirror('m')),
            to('/to-http2', 'a', mirror('m2')),
            to('/followed', 'a', mirror('mf')),
            to('/from-http2', 'a2', mirror('m2')),
            to('/moved-http2', 'a2', FOLLOW),
            to('/moved', 'a', FOLLOW),
            to('/there', 'a'),
            to('/here', 'a2'),
          ]),
          { http2_protocol_options: { allow_metadata: false } },
        ),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('a2', [ports['a']], SPOKEN),
        cluster('m', [ports['m']]),
        cluster('m2', [ports['m']], SPOKEN),
        cluster('mf', [ports['m']], FOLLOWED),
      ],
    ),
  stats: new RegExp(`^(?!.*(cx_total|pending_total))(${STATS.source}|.*internal_redirect)`),
  scenarios: [
    at('mirrored over HTTP/1', ask(1, '/mirror'), { client: [{ upstreamSaw: 2 }] }),
    at('mirrored over HTTP/2', ask(1, '/to-http2'), { client: [{ upstreamSaw: 2 }], upstreams: { m: { http2: {} } } }),
    at('a mirror does not follow the client', ask(1, '/followed'), { client: [{ upstreamSaw: 2 }] }),
    at('a body over HTTP/1', post(1, '/mirror') + data(1, 'abc') + data(1, 'de', true), {
      client: [{ upstreamSaw: 2 }],
    }),
    at('a body over HTTP/2', post(1, '/to-http2') + data(1, 'abc') + data(1, 'de', true), {
      client: [{ upstreamSaw: 2 }, { waitMs: 30 }],
      upstreams: { m: { http2: {} } },
    }),
    at('trailers over HTTP/2', post(1, '/from-http2', ['te: trailers']) + data(1, 'abc') + headers(1, ['x-t: v']), {
      client: [{ upstreamSaw: 2 }, { waitMs: 30 }],
      upstreams: { a: { http2: {} }, m: { http2: {} } },
    }),
    at(
      'gRPC',
      post(1, '/from-http2', ['content-type: application/grpc', 'te: trailers', 'grpc-timeout: 5S']) +
        data(1, '\0\0\0\0\x01x', true),
      {
        client: [{ upstreamSaw: 2 }, { waitMs: 30 }],
        upstreams: {
          a: {
            http2: {
              replies: [
                [{ head: [':status: 200', 'content-type: application/grpc'] }, { head: ['grpc-status: 0'], end: true }],
              ],
            },
          },
          m: {
            http2: {
              replies: [[{ head: [':status: 200', 'content-type: application/grpc', 'grpc-status: 14'], end: true }]],
            },
          },
        },
      },
    ),
    at('a mirror that resets', ask(1, '/to-http2'), {
      client: [{ upstreamSaw: 2 }, { waitMs: 30 }],
      upstreams: { m: { http2: { replies: [[{ reset: 7 }]] } } },
    }),
    at('a stream that is reset', post(1, '/mirror') + data(1, 'abc'), {
      client: [{ upstreamSaw: 2 }, { waitMs: 30 }, { close: 'full' }],
      answers: 0,
      upstreams: { a: { early: true, replies: [[{ waitMs: 500 }]] }, m: { early: true, replies: [[{ waitMs: 500 }]] } },
    }),
    at('redirected', ask(1, '/moved'), {
      upstreams: { a: { replies: [[moved('http://a.example/there')], [answer('200 OK', [], 'there')]] } },
    }),
    at('redirected with a body', post(1, '/moved') + data(1, 'abc') + data(1, 'de', true), {
      upstreams: { a: { replies: [[moved('http://a.example/there')], [answer('200 OK', [], 'there')]] } },
    }),
    at('303 with a body', post(1, '/moved', ['content-length: 3']) + data(1, 'abc', true), {
      upstreams: { a: { replies: [[moved('http://a.example/there', '303 Other')], [answer('200 OK', [], 'there')]] } },
    }),
    at('redirected with trailers', post(1, '/moved-http2') + data(1, 'abc') + headers(1, ['x-t: v']), {
      upstreams: {
        a: {
          http2: {
            replies: [movedHttp2('http://a.example/here'), [{ head: [':status: 200'] }, { data: 'here', end: true }]],
          },
        },
      },
    }),
    at('redirected by HTTP/2', ask(1, '/moved-http2'), {
      upstreams: {
        a: {
          http2: {
            replies: [movedHttp2('http://a.example/here'), [{ head: [':status: 200'] }, { data: 'here', end: true }]],
          },
        },
      },
    }),
    at('redirected by HTTP/2 without a body', ask(1, '/moved-http2'), {
      upstreams: {
        a: {
          http2: {
            replies: [
              [{ head: [':status: 302', 'location: http://a.example/here'], end: true }],
              [{ head: [':status: 204'], end: true }],
            ],
          },
        },
      },
    }),
    at('passed on', ask(1, '/moved'), { upstreams: { a: { replies: [[moved('/there')]] } } }),
    {
      name: 'from HTTP/1 by HTTP/2',
      client: [request('POST', '/moved-http2', ['content-length: 5'], 'hello')],
      upstreams: {
        a: {
          http2: {
            replies: [movedHttp2('http://a.example/here'), [{ head: [':status: 200'] }, { data: 'here', end: true }]],
          },
        },
      },
    },
    {
      name: 'from HTTP/1 to a mirror of HTTP/2',
      client: [get('/to-http2'), { upstreamSaw: 2 }],
      upstreams: { m: { http2: {} } },
    },
    at('the second request is reset by the client', ask(1, '/moved'), {
      client: [{ upstreamSaw: 2 }, { waitMs: 30 }, { close: 'full' }],
      answers: 0,
      upstreams: { a: { replies: [[moved('http://a.example/there')], [{ waitMs: 500 }]] } },
    }),
  ],
};
