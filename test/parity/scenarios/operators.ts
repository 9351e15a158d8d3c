// Operators of formats that few use: who was asked for, and which moments of a request there have been.

import { downstreamTls, pair } from '../../fixtures/tls.ts';
import { answer, bootstrap, cluster, fileLog, get, http, request, routes, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const INSPECTOR = 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';

/** Names that a client may ask for, among them such as could end a line of a log or a field of it. */
const NAMES = [
  'sni.example',
  'Sni.Example',
  'a_b-c..d',
  '*.a',
  'a b',
  'a"b',
  'a\\b',
  'x{y}',
  'a:80',
  'a%0ab',
  '\u00e4.a',
];
const WHICH = [
  'SNI_ONLY',
  'SNI_FIRST',
  'HOST_FIRST',
  'SNI_FIRST:ORIG',
  'HOST_FIRST:HOST',
  'HOST_FIRST:ORIG:x',
  ':HOST',
];
const SERVER_NAMES = {
  name: '%REQUESTED_SERVER_NAME%',
  ...Object.fromEntries(WHICH.map((which) => [which, `%REQUESTED_SERVER_NAME(${which})%`])),
  details: '%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%',
};

const MARKS = [
  'DS_RX_END',
  'US_CX_BEG',
  'US_CX_END',
  'US_TX_BEG',
  'US_TX_END',
  'US_RX_BEG',
  'US_RX_BODY_BEG',
  'US_RX_END',
];
const SPANS = ['REQUEST', 'REQUEST_TX', 'RESPONSE', 'RESPONSE_TX', 'UPSTREAM_CONNECTION_POOL_READY'];
/** `x` = there, and cut to nothing; `x-` = absent: how long things take is another matter. */
const whether = (operator: object): string => `x%COALESCE(${JSON.stringify({ operators: [operator] })}):0%`;
const MOMENTS = Object.fromEntries([
  ...MARKS.map((mark) => [mark, whether({ command: 'COMMON_DURATION', param: `DS_RX_BEG:${mark}` })]),
  ...SPANS.map((span) => [span, whether({ command: `${span}_DURATION` })]),
  // Only text is cut.
  ['number', '%COALESCE({"operators":["RESPONSE_CODE"]}):1%'],
  ['text', '%COALESCE({"operators":["PROTOCOL"]}):1%'],
]);

const ROUTES = routes([
  to('/literal', 'a', { host_rewrite_literal: 'literal.example:99' }),
  to('/dead', 'dead', { host_rewrite_literal: 'dead.example' }),
  to('/retry', 'a', { retry_policy: { retry_on: '5xx' } }),
  { match: { prefix: '/direct' }, direct_response: { status: 200 } },
  to(
    '/',
    'a',
    {},
    {
      request_headers_to_add: [{ header: { key: 'x-name', value: '%REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)%' } }],
      response_headers_to_add: [{ header: { key: 'x-sent', value: whether({ command: 'REQUEST_TX_DURATION' }) } }],
    },
  ),
]);

function config(ports: Ports, logPath: string): object {
  const manager = (extra: object): object => ({ access_log: [fileLog(logPath, extra)] });
  const secured = http(ports, logPath, 'secured', ROUTES, manager(SERVER_NAMES), {
    listener_filters: [{ name: 'tls', typed_config: { '@type': INSPECTOR } }],
  }) as { filter_chains: object[] };
  const [chain] = secured.filter_chains;
  const transport_socket = downstreamTls({ tls_certificates: [pair('server')] });
  return bootstrap(
    ports,
    [
      http(ports, logPath, 'main', ROUTES, manager(SERVER_NAMES)),
      { ...secured, filter_chains: [{ ...chain, transport_socket }] },
      http(ports, logPath, 'moments', ROUTES, manager(MOMENTS)),
    ],
    [cluster('a', [ports['a']]), cluster('dead', [ports['dead']])],
  );
}

const OK = answer('200 OK', [], 'ok');
const moment = (name: string, rest: Omit<Scenario, 'name'>): Scenario => ({ name, listener: 'moments', ...rest });

const SCENARIOS: readonly Scenario[] = [
  ...NAMES.map(
    (serverName): Scenario => ({
      name: `asks for ${serverName}`,
      listener: 'secured',
      client: [get('/')],
      tls: { serverName },
    }),
  ),
  { name: 'TLS without a name', listener: 'secured', client: [get('/')], tls: {} },
  { name: 'TLS without a host', listener: 'secured', client: ['GET / HTTP/1.1\r\n\r\n'], tls: { serverName: 'a.b' } },
  { name: 'clear text', client: [get('/', 'host: Host.Example:81')] },
  { name: 'host rewritten', client: [get('/literal')] },
  { name: 'host rewritten in vain', client: [get('/dead')] },
  { name: 'an original host of the client', client: [get('/direct', 'x-envoy-original-host: forged')] },
  { name: 'no host', client: ['GET / HTTP/1.1\r\n\r\n'] },
  moment('a request', { client: [get('/')] }),
  moment('a request with a body', { client: [request('POST', '/', ['content-length: 3'], 'abc')] }),
  moment('a body that comes later', {
    client: [request('POST', '/', ['content-length: 3']), { upstreamSaw: 1 }, 'abc'],
  }),
  moment('trailers', {
    client: [request('POST', '/', ['transfer-encoding: chunked'], '3\r\nabc\r\n0\r\nx: y\r\n\r\n')],
  }),
  moment('an answer without a body', { client: [get('/')], upstreams: { a: { replies: [[answer('200 OK')]] } } }),
  moment('an answer with an empty chunked body', {
    client: [get('/')],
    upstreams: {
      a: { replies: [['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', { waitMs: 20 }, '0\r\n\r\n']] },
    },
  }),
  moment('an answer before the request is whole', {
    client: [request('POST', '/', ['content-length: 3'], 'ab')],
    upstreams: { a: { early: true, replies: [[OK]] } },
  }),
  moment('an answer that breaks off', {
    client: [get('/')],
    upstreams: { a: { replies: [['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', { close: 'full' }]] } },
  }),
  moment('no answer', {
    client: [request('POST', '/', ['content-length: 3'], 'abc')],
    upstreams: { a: { replies: [[{ close: 'full' }]] } },
  }),
  moment('a retry', { client: [get('/retry')], upstreams: { a: { replies: [[answer('503 x')], [OK]] } } }),
  moment('a connection again', { client: [get('/'), { answers: 1 }, get('/')], answers: 2 }),
  moment('nobody there', { client: [get('/dead')] }),
  moment('nobody asked', { client: [get('/direct')] }),
];

export const operators: Group = {
  name: 'operators',
  listeners: ['main', 'secured', 'moments'],
  upstreams: ['a'],
  bootstrap: config,
  scenarios: SCENARIOS,
};
