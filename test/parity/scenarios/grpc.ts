// gRPC around HTTP/1: gRPC-Web, the bridge, stats. Trailers travel in chunked bodies.

import { answer, bootstrap, cluster, fileLog, get, http, httpOptions, request, router, routes, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const FILTERS = `${TYPE}envoy.extensions.filters.http.`;
const filter = (name: string, type: string, config: object = {}): object => ({
  name,
  typed_config: { '@type': `${FILTERS}${type}`, ...config },
});
const stats = (config: object): object => filter('stats', 'grpc_stats.v3.FilterConfig', config);
const STATE = {
  typed: '%FILTER_STATE(envoy.filters.http.grpc_stats)%',
  plain: '%FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%',
};
const web = filter('web', 'grpc_web.v3.GrpcWeb');
const bridge = (config: object): object => filter('bridge', 'grpc_http1_bridge.v3.Config', config);

const OFF = { '@type': `${TYPE}envoy.config.route.v3.FilterConfig`, disabled: true };

/** Listener → its filters before the router. */
const LISTENERS: Readonly<Record<string, readonly object[]>> = {
  main: [web],
  sums: [stats({ emit_filter_state: true })],
  methods: [stats({ stats_for_all_methods: true, enable_upstream_stats: true })],
  dotless: [stats({ stats_for_all_methods: true, replace_dots_in_grpc_service_name: true })],
  listed: [
    stats({ individual_method_stats_allowlist: { services: [{ name: 'l.Svc', method_names: ['Listed', 'Too'] }] } }),
  ],
  bridge: [bridge({})],
  bare: [bridge({ upgrade_protobuf_to_grpc: true, ignore_query_parameters: true })],
};

const frame = (message: string, flag = 0): string => `${String.fromCharCode(flag, 0, 0, 0, message.length)}${message}`;
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const chunk = (data: string): string => `${data.length.toString(16)}\r\n${data}\r\n`;

function call(path: string, type: string, body: string, ...headers: string[]): string {
  return request('POST', path, [`content-type: ${type}`, `content-length: ${body.length}`, ...headers], body);
}

/** A gRPC answer in chunks, with trailers. */
function grpc(status: string, ...messages: string[]): string {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n';
  return `${head}${messages.map((one) => chunk(frame(one))).join('')}0\r\ngrpc-status: ${status}\r\ngrpc-message: m\r\n\r\n`;
}

const says = (text: string): Readonly<Record<string, UpstreamScript>> => ({ a: { replies: [[text]] } });
const WELL = says(grpc('0', 'one', 'two!'));
const FAILED = says(grpc('3', 'one'));
const HEAD_ONLY = says(
  'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ngrpc-message: no\r\ncontent-length: 0\r\n\r\n',
);
const PLAIN = says(answer('200 OK', ['content-type: text/plain'], 'plain text'));
const WEB_TEXT = 'application/grpc-web-text';

const through = (
  listener: string,
  name: string,
  sent: string,
  upstreams: Readonly<Record<string, UpstreamScript>> = WELL,
): Scenario => ({ name: `${listener}: ${name}`, listener, client: [sent], upstreams });

export const grpcFilters: Group = {
  name: 'grpc',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, filters]) =>
        http(
          ports,
          log,
          name,
          routes([
            to('/none', 'empty'),
            to('/off', 'a', {}, { typed_per_filter_config: { web: OFF, bridge: OFF, stats: OFF } }),
            to('/', 'a'),
          ]),
          {
            http_filters: [...filters, router({})],
            http_protocol_options: { enable_trailers: true },
            access_log: [fileLog(log, name === 'sums' ? STATE : {})],
          },
        ),
      ),
      [cluster('a', [ports['a']], httpOptions({ enable_trailers: true })), cluster('empty', [])],
    ),
  stats: /grpc/,
  scenarios: [
    through('main', 'binary', call('/p.Svc/Unary', 'application/grpc-web', frame('hello'))),
    through('main', 'binary with proto', call('/p.Svc/Unary', 'application/grpc-web+proto', frame('hello'))),
    through('main', 'text', call('/p.Svc/Unary', WEB_TEXT, base64(frame('hello')), `accept: ${WEB_TEXT}`)),
    through(
      'main',
      'text asked, binary sent',
      call('/p.Svc/Unary', 'application/grpc-web', frame('x'), `accept: ${WEB_TEXT}`),
    ),
    through('main', 'binary for text', call('/p.Svc/Unary', `${WEB_TEXT}+proto`, base64(frame('hello')))),
    through('main', 'failed', call('/p.Svc/Fail', 'application/grpc-web', frame('hello')), FAILED),
    through('main', 'head only', call('/p.Svc/Head', 'application/grpc-web', frame('hello')), HEAD_ONLY),
    through('main', 'not gRPC', call('/p.Svc/Plain', 'application/grpc-web', frame('hello')), PLAIN),
    through(
      'main',
      'not found',
      call('/p.Svc/Plain', 'application/grpc-web', frame('hello')),
      says('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'),
    ),
    through('main', 'bad base64', call('/p.Svc/Unary', WEB_TEXT, 'AAAAAA')),
    through('main', 'no host', call('/none/Unary', 'application/grpc-web', frame('hello'))),
    through('main', 'other type', call('/p.Svc/Unary', 'text/plain', 'x'), PLAIN),
    through('main', 'off by route', call('/off/Unary', 'application/grpc-web', frame('hello')), PLAIN),
    through('bridge', 'well', call('/p.Svc/Unary?q=1', 'application/grpc', frame('hello'))),
    through('bridge', 'failed', call('/p.Svc/Fail', 'application/grpc', frame('hello')), FAILED),
    through('bridge', 'head only', call('/p.Svc/Head', 'application/grpc', frame('hello')), HEAD_ONLY),
    through('bridge', 'not gRPC', call('/p.Svc/Plain', 'application/grpc', frame('hello')), PLAIN),
    through('bridge', 'bare message is left alone', call('/p.Svc/Unary', 'application/x-protobuf', 'hello'), PLAIN),
    through('bare', 'well', call('/p.Svc/Unary?q=1', 'application/x-protobuf', 'hello'), says(grpc('0', 'one'))),
    through('bare', 'failed', call('/p.Svc/Unary', 'application/x-protobuf', 'hello'), FAILED),
    through('bare', 'gRPC', call('/p.Svc/Unary?q=1', 'application/grpc', frame('hello'))),
    through('bare', 'no host', call('/none/Unary', 'application/x-protobuf', 'hello')),
    through('bare', 'GET', get('/p.Svc/Unary?q=1'), PLAIN),
    ...['sums', 'methods', 'dotless', 'listed'].flatMap((listener) => [
      through(listener, 'well', call(`/${listener[0]}.Svc/Unary`, 'application/grpc', frame('a') + frame('b'))),
      through(listener, 'failed', call(`/${listener[0]}.Svc/Fail`, 'application/grpc+proto', frame('a')), FAILED),
      through(listener, 'head only', call(`/${listener[0]}.Svc/Head`, 'application/grpc', frame('a')), HEAD_ONLY),
      through(listener, 'not gRPC', call(`/${listener[0]}.Svc/Plain`, 'text/plain', 'x'), PLAIN),
      through(listener, 'odd path', call('/odd', 'application/grpc', frame('a'))),
      through(listener, 'no host', call('/none/Unary', 'application/grpc', frame('a'))),
      through(listener, 'off', call('/off/Unary', 'application/grpc', frame('a'))),
    ]),
    through('listed', 'listed', call('/l.Svc/Listed', 'application/grpc', frame('a'))),
  ],
};
