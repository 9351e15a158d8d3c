// HTTP/1 requests with more than one fault: which one is told, by which version, and what the answer knows of it. Besides,
// what of a request's connection the routes see.

import { bootstrap, cluster, get, http, router, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const MUTATION = 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation';
const FORMAT = '%RESPONSE_FLAGS% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %PROTOCOL% %REQ(:PATH)%';
const add = (key: string, value: string): object => ({ header: { key, value } });

/** Answers of the proxy say what it knows of their request, in each place that can say it. */
const TELLING = {
  delayed_close_timeout: '0.1s',
  common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
  http_filters: [
    {
      name: 'mutation',
      typed_config: {
        '@type': MUTATION,
        mutations: { response_mutations: [{ append: add('x-filter', FORMAT) }] },
      },
    },
    router({}),
  ],
  local_reply_config: {
    mappers: [
      {
        filter: { status_code_filter: { comparison: { op: 'GE', value: { default_value: 400, runtime_key: 'k' } } } },
        headers_to_add: [add('x-mapper', FORMAT)],
      },
    ],
    body_format: { text_format_source: { inline_string: `%LOCAL_REPLY_BODY% ${FORMAT}` } },
  },
};
const MANAGERS: Readonly<Record<string, object>> = {
  main: TELLING,
  old: { ...TELLING, http_protocol_options: { accept_http_10: true } },
  edge: { ...TELLING, use_remote_address: true },
  routed: { strip_trailing_host_dot: true, upgrade_configs: [{ upgrade_type: 'websocket' }] },
};

const SEEN = '%REQ(x-foo)% %REQ(te)% %REQ(connection)% %REQ(upgrade)% %REQ(keep-alive)%';
const HELD = '%RESP(keep-alive)% %RESP(proxy-connection)% %RESP(connection)%';
const hostIs = (path: string, match: object): object => ({
  match: { path, headers: [{ name: ':authority', ...match }] },
  redirect: { path_redirect: '/matched' },
});
const schemeTo = (scheme: string): object => ({
  match: { path: `/to-${scheme}` },
  redirect: { scheme_redirect: scheme },
});
const ROUTES = routes([
  ...['HTTPS', 'HTTP', 'http', 'ftp'].map(schemeTo),
  hostIs('/host', { present_match: true }),
  hostIs('/host-is-empty', { string_match: { exact: '' } }),
  hostIs('/host-is-other', { string_match: { exact: 'a' }, invert_match: true }),
  { match: { path: '/plain' }, redirect: { https_redirect: true } },
  to('/hop', 'a', {}, { response_headers_to_add: [add('keep-alive', 'v'), add('proxy-connection', 'v')] }),
  {
    match: { path: '/direct' },
    direct_response: { status: 200 },
    response_headers_to_add: [add('keep-alive', 'v'), add('proxy-connection', 'v')],
  },
  to('/held', 'a', {}, { response_headers_to_add: [add('x-held', HELD)] }),
  to('/', 'a', {}, { response_headers_to_add: [add('x-seen', SEEN)] }),
]);

const head = (line: string, ...headers: string[]): string => [line, ...headers, '', ''].join('\r\n');
const send = (listener: string, name: string, text: string, more: Partial<Scenario> = {}): Scenario => ({
  name: `${listener}: ${name}`,
  listener,
  client: [text],
  ...more,
});
const MANY = Array.from({ length: 101 }, (_, i) => `h${i}: 1`);
/** Each fault with what it is joined to. */
const FAULTS: readonly (readonly [name: string, line: string, ...headers: string[]])[] = [
  ['underscore', 'GET /', 'x_a: 1'],
  ['underscore before a bad name', 'GET /', 'x_a: 1', 'bad(: 1'],
  ['underscore before a bad length', 'GET /', 'x_a: 1', 'content-length: z'],
  ['underscore before two lengths', 'GET /', 'x_a: 1', 'content-length: 1', 'content-length: 2'],
  ['underscore before no colon', 'GET /', 'x_a: 1', 'nocolon'],
  ['underscore before a coding', 'GET /', 'x_a: 1', 'transfer-encoding: foo'],
  ['too many headers before a bad name', 'GET /', ...MANY, 'bad(: 1'],
  ['a coding and nominated headers', 'GET /', 'transfer-encoding: foo', 'connection: x-forwarded-for'],
  ['length and coding', 'GET /', 'transfer-encoding: foo', 'content-length: 1'],
  ['a coding and a bad target', 'GET *', 'transfer-encoding: foo'],
  ['nominated headers and a bad target', 'GET http://', 'connection: x-forwarded-for'],
  ['nominated headers', 'GET /', 'connection: x-forwarded-for'],
  ['a bad scheme', 'GET ftp://a/'],
  ['a bad target', 'GET *'],
  ['CONNECT with a length and a coding', 'CONNECT a:80', 'transfer-encoding: chunked', 'content-length: 1'],
  ['CONNECT with nominated headers', 'CONNECT a:80', 'connection: x-forwarded-for'],
  ['CONNECT without port', 'CONNECT a'],
  ['CONNECT without port, with an underscore', 'CONNECT a', 'x_a: 1'],
  ['no method', 'FOO /'],
];
const faults = (listener: string, version: string): Scenario[] => [
  ...FAULTS.map(([name, line, ...headers]) =>
    send(listener, `${name}, HTTP/${version}`, head(`${line} HTTP/${version}`, 'host: a', ...headers)),
  ),
  send(
    listener,
    `bad host and nominated headers, HTTP/${version}`,
    head(`GET / HTTP/${version}`, 'connection: x-forwarded-for', 'host: \u00e9'),
  ),
  send(listener, `bad host, HTTP/${version}`, head(`GET / HTTP/${version}`, 'host: \u00e9')),
];

const PROTO = 'x-forwarded-proto:';
const upgrade = (name: string, ...headers: string[]): Scenario =>
  send('routed', name, get('/', ...headers, 'upgrade: websocket', 'x-foo: 1', 'te: trailers, x', 'keep-alive: 5'));
const keeping = (...headers: string[]): Partial<Scenario> => ({
  upstreams: { a: { replies: [[head('HTTP/1.1 200 OK', ...headers, 'content-length: 0')]] } },
});

export const wireFaults: Group = {
  name: 'wire-faults',
  listeners: Object.keys(MANAGERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(MANAGERS).map(([name, manager]) => http(ports, log, name, ROUTES, manager)),
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...faults('main', '1.1'),
    ...faults('main', '1.0'),
    ...faults('old', '1.0'),
    send('main', 'a bad chunk', `${head('POST / HTTP/1.1', 'host: a', 'transfer-encoding: chunked')}zz\r\n`),
    send('main', 'CONNECT, half a head', 'CONNECT a@@b HTTP/1.1\r\n'),
    send(
      'old',
      'a good request and a bad one',
      head('GET / HTTP/1.0', 'host: a', 'connection: keep-alive') + head('GET ftp://a HTTP/1.0', 'host: a'),
      { answers: 2 },
    ),
    ...['https://a/', 'HTTPS://a/x', 'https://a:1x/', 'http://a/'].map((target) =>
      send('edge', `an edge without TLS, ${target}`, head(`GET ${target} HTTP/1.1`, 'host: a')),
    ),
    send('edge', 'an edge without TLS, HEAD', head('HEAD https://a/ HTTP/1.1', 'host: a'), { bodiless: true }),
    send('edge', 'an edge without TLS, HTTP/1.0', head('GET https://a/ HTTP/1.0', 'host: a')),
    send('edge', 'an edge without TLS, nominated', head('GET https://a/ HTTP/1.1', 'connection: x-forwarded-for')),
    send('edge', 'an edge without TLS, TLS before it', get('https://a/', `${PROTO} https`)),
    ...['/\t', '\t/', '/x\t\t', '/x\ty'].map((target) =>
      send('routed', `tabs around ${JSON.stringify(target)}`, head(`GET ${target} HTTP/1.1`, 'host: a')),
    ),
    send('old', 'told to go on', head('POST /direct HTTP/1.0', 'host: a', 'expect: 100-continue', 'content-length: 0')),
    ...['a', 'a:80', 'a:443', 'a:81'].flatMap((host) =>
      ['/to-HTTPS', '/to-HTTP', '/to-http', '/to-ftp'].flatMap((path) => [
        send('routed', `${host} ${path}`, get(path, `host: ${host}`)),
        send('routed', `${host} ${path} from https`, get(path, `host: ${host}`, `${PROTO} https`)),
      ]),
    ),
    ...['/host', '/host-is-empty', '/host-is-other'].flatMap((path) => [
      send('routed', `${path}, empty`, get(path, 'host:')),
      send('routed', `${path}, a dot`, get(path, 'host: .')),
    ]),
    send('routed', 'empty proto', get('/', PROTO)),
    send('routed', 'empty proto, twice', get('/', PROTO, PROTO)),
    send('routed', 'empty proto, then one', get('/', PROTO, `${PROTO} https`)),
    send('routed', 'empty proto of a redirect', get('/plain', PROTO)),
    send('routed', 'hop headers of the route', get('/hop')),
    send('routed', 'hop headers of a direct response', get('/direct')),
    send(
      'routed',
      'hop headers of the upstream',
      get('/hop'),
      keeping('keep-alive: 5', 'proxy-connection: keep-alive'),
    ),
    send(
      'routed',
      'hop headers as the route sees them',
      get('/held'),
      keeping('keep-alive: 5', 'connection: keep-alive'),
    ),
    upgrade('upgrade with a nominated header', 'connection: upgrade, x-foo'),
    upgrade('upgrade with a nominated client', 'connection: upgrade, x-forwarded-for'),
    upgrade('upgrade with nominated te', 'connection: upgrade, te'),
    upgrade('upgrade that is not asked for', 'connection: x-foo'),
  ],
};
