// Header mutations before anything else is done to a request: `early_header_mutation_extensions`.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation';
const SET = 'OVERWRITE_IF_EXISTS_OR_ADD';
const append = (key: string, value: string, append_action = 'APPEND_IF_EXISTS_OR_ADD'): object => ({
  append: { header: { key, value }, append_action },
});
const early = (...lists: object[][]): Record<string, unknown> => ({
  early_header_mutation_extensions: lists.map((mutations) => ({
    name: 'envoy.http.early_header_mutation.header_mutation',
    typed_config: { '@type': TYPE, mutations },
  })),
});
const EDGE = { use_remote_address: true };
const CLIENT = [append('x-forwarded-for', '203.0.113.9', SET)];
const TRUSTED = { internal_address_config: { cidr_ranges: [{ address_prefix: '203.0.113.0', prefix_len: 24 }] } };

const MANAGERS: Readonly<Record<string, Record<string, unknown>>> = {
  order: early(
    [append('x-first', '%REQ(x-a)%'), { remove: 'x-a' }, append('x-first', 'more')],
    [append('x-second', '%REQ(x-first)% %REQ(x-a)%'), { remove_on_match: { key_matcher: { prefix: 'x-gone' } } }],
  ),
  routed: early([append('x-to', '%REQ(x-want)%')]),
  formats: early([
    append('x-path', '%REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %REQ(:METHOD)% %PROTOCOL%'),
    append('x-remote', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(x-forwarded-for)% %REQ(x-forwarded-proto)%'),
    append('x-route', '%ROUTE_NAME%|%VIRTUAL_CLUSTER_NAME%|%REQ(x-request-id)%|%RESPONSE_CODE%'),
    append('x-empty', '%REQ(x-none)%'),
  ]),
  client: { ...early(CLIENT), ...TRUSTED },
  clientedge: { ...early(CLIENT), ...EDGE },
  clienthop: { ...early(CLIENT), ...EDGE, xff_num_trusted_hops: 1 },
  envoys: {
    ...early([
      append('x-envoy-retry-on', '5xx'),
      append('x-envoy-max-retries', '1'),
      append('x-envoy-internal', 'true'),
    ]),
  },
  envoysin: {
    ...early([...CLIENT, append('x-envoy-retry-on', '5xx'), append('x-envoy-max-retries', '1')]),
    ...TRUSTED,
  },
  hop: early([
    append('connection', 'x-named'),
    append('upgrade', 'websocket'),
    append('te', 'trailers, gzip'),
    append('keep-alive', 'x'),
    append('proxy-connection', 'x'),
    append('x-named', 'n'),
  ]),
  ids: {
    ...early([
      append('x-request-id', 'mine', SET),
      append('x-forwarded-proto', 'https', SET),
      { remove: 'user-agent' },
    ]),
    add_user_agent: true,
  },
  removed: early([
    { remove: 'x-request-id' },
    { remove: 'x-forwarded-for' },
    { remove: 'content-type' },
    { remove: 'x-envoy-retry-on' },
  ]),
  lengths: early([{ remove: 'content-length' }]),
  content: early([append('content-type', 'application/grpc', SET)]),
  host: early([append('x-host', '%REQ(host)%')]),
  normal: {
    ...early([append('x-seen', '%REQ(:PATH)% %REQ(:AUTHORITY)%')]),
    normalize_path: true,
    strip_any_host_port: true,
  },
  again: early([append('x-count', '1')]),
};

const at = (listener: string, name: string, path: string, ...headers: string[]): Scenario => ({
  name,
  listener,
  client: [get(path, ...headers)],
});

export const earlyMutations: Group = {
  name: 'early-mutations',
  listeners: Object.keys(MANAGERS),
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const config = routes(
      [
        { match: { prefix: '/', headers: [{ name: 'x-to', string_match: { exact: 'b' } }] }, route: { cluster: 'b' } },
        { match: { prefix: '/grpc', grpc: {} }, route: { cluster: 'b' } },
        to('/there', 'b'),
        to('/moved', 'a', { internal_redirect_policy: { max_internal_redirects: 1 } }),
        { ...to('/', 'a'), name: 'all' },
      ],
      { virtual_clusters: [{ name: 'vc', headers: [{ name: ':path', string_match: { prefix: '/' } }] }] },
      { internal_only_headers: ['x-gone-internal'] },
    );
    const listeners = Object.entries(MANAGERS).map(([name, manager]) => http(ports, log, name, config, manager));
    return bootstrap(ports, listeners, [cluster('a', [ports['a']]), cluster('b', [ports['b']])]);
  },
  stats: STATS,
  scenarios: [
    at('order', 'extensions and mutations in order', '/', 'x-a: a', 'x-gone-1: g'),
    at('order', 'a path that is refused', 'no-slash', 'x-a: a'),
    { name: 'no host', listener: 'order', client: ['GET / HTTP/1.1\r\nx-a: a\r\n\r\n'] },
    at('routed', 'routes see it', '/', 'x-want: b'),
    at('formats', 'what formats see', '/p?q=1', 'x-forwarded-for: 203.0.113.1'),
    at('client', 'forwarded-for is believed', '/', 'x-envoy-retry-on: 5xx'),
    at('clientedge', 'forwarded-for at the edge', '/'),
    at('clienthop', 'forwarded-for behind a hop', '/', 'x-forwarded-for: 203.0.113.1'),
    {
      ...at('envoys', 'x-envoy headers for strangers', '/'),
      upstreams: { a: { replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    {
      ...at('envoysin', 'x-envoy headers for friends', '/'),
      upstreams: { a: { replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    at('hop', 'headers of a connection', '/'),
    at('ids', 'ids, proto and agent', '/', 'user-agent: theirs'),
    at(
      'removed',
      'what is taken away',
      '/',
      'x-request-id: theirs',
      'x-forwarded-for: 1.1.1.1',
      'content-type: text/a',
    ),
    { name: 'no length', listener: 'lengths', client: [request('POST', '/', ['content-length: 3'], 'abc')] },
    at('content', 'gRPC by its new type', '/grpc'),
    at('host', 'host', '/', 'host: h.example:80'),
    at('normal', 'before paths are normalised', '/a/../b', 'host: h.example:80'),
    {
      ...at('again', 'once for a request that is redirected', '/moved'),
      upstreams: { a: { replies: [[answer('302 Found', ['location: http://a.example/there'])]] } },
    },
  ],
};
