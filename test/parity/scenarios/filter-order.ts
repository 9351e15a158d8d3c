// HTTP filters where messages are special: redirects to TLS, upgrades, interim answers, trailers, resets, retries.

import {
  answer,
  bootstrap,
  cluster,
  fileLog,
  get,
  http,
  httpOptions,
  request,
  router,
  routes,
  STATS,
  to,
} from '../config.ts';
import { ask as framed, preface } from '../frames.ts';
import type { Group, Http2Script, Scenario, UpstreamScript } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.';
const mutation = {
  name: 'mutation',
  typed_config: {
    '@type': `${TYPE}header_mutation.v3.HeaderMutation`,
    mutations: {
      request_mutations: [{ append: { header: { key: 'x-request', value: 'added' } } }],
      response_mutations: [{ append: { header: { key: 'x-response', value: '%RESPONSE_CODE%' } } }],
      response_trailers_mutations: [{ append: { header: { key: 'x-trailer', value: 'added' } } }],
      request_trailers_mutations: [{ append: { header: { key: 'x-trailer', value: 'added' } } }],
    },
  },
};
const buffer = {
  name: 'buffer',
  typed_config: { '@type': `${TYPE}buffer.v3.Buffer`, max_request_bytes: 20 },
};
const metadata = {
  name: 'metadata',
  typed_config: {
    '@type': `${TYPE}header_to_metadata.v3.Config`,
    request_rules: [{ header: ':path', on_header_present: { metadata_namespace: 'ns', key: 'path' } }],
    response_rules: [{ header: ':status', on_header_present: { metadata_namespace: 'ns', key: 'status' } }],
  },
};

const setState = (clear: boolean, values: readonly object[]): object => ({
  name: 'state',
  typed_config: {
    '@type': `${TYPE}set_filter_state.v3.Config`,
    on_request_headers: values,
    clear_route_cache: clear,
  },
});
const SEEN = [
  {
    object_key: 'seen',
    factory_key: 'envoy.string',
    format_string: { text_format_source: { inline_string: '%REQ(x-request)%' } },
  },
];

/** Listener → its filters. */
const LISTENERS: Readonly<Record<string, readonly object[]>> = {
  main: [mutation, metadata],
  buffered: [mutation, buffer, metadata],
  refreshed: [mutation, setState(true, SEEN), metadata],
  emptied: [mutation, setState(true, [])],
  kept: [mutation, setState(false, SEEN)],
};

const ofRoute = (filter: object): object => ({
  typed_per_filter_config: { state: (filter as { typed_config: object }).typed_config },
});
const GONE = { direct_response: { status: 410 } };
const UPGRADE = get('/ws', 'connection: upgrade', 'upgrade: websocket');
const AGREED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const GRPC_HEAD = [':status: 200', 'content-type: application/grpc'];
const replies = (...list: NonNullable<Http2Script['replies']>): Readonly<Record<string, UpstreamScript>> => ({
  h2: { http2: { replies: list } },
});
const framedAsk = (name: string, path: string, extra: Partial<Scenario> = {}): Scenario => ({
  name: `frames: ${name}`,
  http2: 'polite',
  client: [preface() + framed(1, path)],
  ...extra,
});
const both = (scenario: Scenario): Scenario[] =>
  ['main', 'buffered'].map((listener) => ({ ...scenario, name: `${listener}: ${scenario.name}`, listener }));

export const filterOrder: Group = {
  name: 'filter-order',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a', 'h2'],
  bootstrap: (ports, log) => {
    const list = {
      name: 'local',
      virtual_hosts: [
        { name: 'tls', domains: ['tls.example'], require_tls: 'ALL', routes: [to('/', 'a')] },
        ...(
          routes([
            to('/retry', 'a', { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } }),
            {
              match: {
                prefix: '/refresh/state',
                filter_state: [{ key: 'seen', string_match: { exact: 'added' } }],
              },
              direct_response: { status: 202 },
            },
            {
              match: { prefix: '/refresh', headers: [{ name: 'x-request', string_match: { exact: 'added' } }] },
              direct_response: { status: 201 },
            },
            { match: { prefix: '/refresh/gone', headers: [{ name: 'x-request', present_match: false }] }, ...GONE },
            to('/refresh/ask', 'a', {}, ofRoute(setState(true, []))),
            to('/refresh/leave', 'a', {}, ofRoute(setState(false, SEEN))),
            to('/timeout', 'a', { timeout: '0.4s' }),
            to('/h2', 'h2'),
            to('/', 'a'),
          ]) as { virtual_hosts: object[] }
        ).virtual_hosts,
      ],
    };
    return bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, filters]) =>
        http(ports, log, name, list, {
          access_log: [fileLog(log, { metadata: '%DYNAMIC_METADATA(ns)%' })],
          http_filters: [...filters, router({})],
          http_protocol_options: { enable_trailers: true },
          upgrade_configs: [{ upgrade_type: 'websocket' }],
          stream_idle_timeout: '1s',
          delayed_close_timeout: '0.1s',
        }),
      ),
      [
        cluster('a', [ports['a']], httpOptions({ enable_trailers: true })),
        cluster('h2', [ports['h2']], {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }),
      ],
    );
  },
  stats: STATS,
  scenarios: [
    ...both({ name: 'to TLS', client: [get('/x?y', 'host: tls.example')] }),
    ...both({
      name: 'to TLS with a body',
      client: [request('POST', '/x', ['host: tls.example', 'content-length: 2'], 'hi')],
    }),
    ...['refreshed', 'emptied', 'kept'].flatMap((listener) =>
      ['/refresh', '/refresh/state', '/refresh/gone', '/refresh/ask', '/refresh/leave'].map(
        (path): Scenario => ({ name: `${listener}: ${path}`, listener, client: [get(path)] }),
      ),
    ),
    {
      name: 'upgrade',
      client: [UPGRADE, { answers: 1 }, 'up', { waitMs: 30 }, { close: 'fin' }],
      upstreams: { a: { early: true, replies: [[AGREED, 'down']] } },
    },
    {
      name: 'upgrade that is refused',
      client: [UPGRADE],
      upstreams: { a: { early: true, replies: [[answer('403 Forbidden', [], 'no')]] } },
    },
    { name: 'upgrade that waits for its end', listener: 'buffered', client: [UPGRADE], answers: 0 },
    ...both({
      name: 'interim answer',
      client: [get('/a')],
      upstreams: { a: { replies: [['HTTP/1.1 103 Early Hints\r\nx-a: b\r\n\r\n', answer('200 OK', [], 'hi')]] } },
    }),
    ...both({ name: 'HEAD', client: [request('HEAD', '/a', [])], bodiless: true }),
    ...both({
      name: 'two attempts',
      client: [request('POST', '/retry', ['content-length: 2'], 'hi')],
      upstreams: { a: { replies: [[answer('503 Busy')], [answer('200 OK', [], 'ok')]] } },
    }),
    ...both({ name: 'time-out', client: [get('/timeout')], upstreams: { a: { replies: [[{ waitMs: 1_000 }]] } } }),
    ...both({
      name: 'the upstream closes within the body',
      client: [get('/a')],
      upstreams: { a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', { close: 'full' }]] } },
      answers: 0,
    }),
    ...both({ name: 'the body never ends', client: [request('POST', '/a', ['content-length: 5'], 'he')] }),
    ...both({
      name: 'the client goes',
      client: [request('POST', '/a', ['content-length: 5'], 'he'), { waitMs: 30 }, { close: 'fin' }],
      answers: 0,
    }),
    framedAsk('to TLS', '/x', {
      client: [preface() + framed(1, '/x', ['host: tls.example'])],
    }),
    framedAsk('trailers', '/h2', {
      upstreams: replies([{ head: GRPC_HEAD }, { data: 'body' }, { head: ['grpc-status: 0', 'x-own: t'], end: true }]),
    }),
    framedAsk('nothing but a head', '/h2', {
      upstreams: replies([{ head: [...GRPC_HEAD, 'grpc-status: 5'], end: true }]),
    }),
    framedAsk('reset before the head', '/h2', { upstreams: replies([{ reset: 2 }]) }),
    framedAsk('reset after the head', '/h2', {
      upstreams: replies([{ head: GRPC_HEAD }, { data: 'x' }, { reset: 2 }]),
    }),
    {
      name: 'HTTP/1 to HTTP/2 with trailers',
      client: [get('/h2', 'te: trailers')],
      upstreams: replies([{ head: GRPC_HEAD }, { data: 'body' }, { head: ['grpc-status: 0'], end: true }]),
    },
  ],
};
