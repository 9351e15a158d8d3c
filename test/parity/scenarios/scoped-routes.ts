// Routes by scope: keys from headers, scopes that are not there, and what else depends on the scope.

import { bootstrap, cluster, get, http, request, STATS } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const header = (name: string, extractor: object): object => ({ header_value_extractor: { name, ...extractor } });
const whole = (name: string): object => header(name, { index: 0 });

/** A scope whose routes answer with its text. */
function scope(name: string, key: readonly string[], text: string, config: object = {}, more: object = {}): object {
  return {
    name,
    key: { fragments: key.map((string_key) => ({ string_key })) },
    route_configuration: {
      name: `routes of ${text}`,
      virtual_hosts: [
        {
          name: text,
          domains: ['*'],
          routes: [
            { name: `${text} forwards`, match: { path: '/a' }, route: { cluster: 'a' } },
            {
              name: `${text} answers`,
              match: { prefix: '/' },
              direct_response: { status: 200, body: { inline_string: text } },
            },
          ],
        },
      ],
      ...config,
    },
    ...more,
  };
}

const SCOPES: Readonly<Record<string, readonly [builder: readonly object[], scopes: readonly object[]]>> = {
  whole: [
    [whole('X-Scope')],
    [
      scope('one', ['one'], 'one'),
      scope('list', ['one,two'], 'list'),
      scope('empty', [''], 'empty'),
      scope('later', ['later'], 'later', {}, { on_demand: true }),
      scope('utf8', ['grün'], 'utf8'),
      scope('too-long', ['one', 'two'], 'too long'),
      scope('key-first', ['same key'], 'first of a key'),
      scope('key-second', ['same key'], 'second of a key'),
      scope('name', ['name 1'], 'first of a name'),
      scope('name', ['name 2'], 'second of a name'),
      scope('hosts', ['hosts'], 'hosts', {
        virtual_hosts: [{ name: 'h', domains: ['h'], routes: [{ match: { path: '/a' }, route: { cluster: 'a' } }] }],
      }),
      scope('tls', ['tls'], 'tls', {
        virtual_hosts: [
          {
            name: 't',
            domains: ['*'],
            require_tls: 'ALL',
            routes: [{ match: { prefix: '/' }, route: { cluster: 'a' } }],
          },
        ],
      }),
      scope('hides', ['hides'], 'hides', { internal_only_headers: ['x-secret'] }),
      scope('hides-itself', ['hides itself'], 'hides itself', { internal_only_headers: ['x-scope'] }),
      scope('adds', ['adds'], 'adds', {
        request_headers_to_add: [{ header: { key: 'x-added', value: 'request' } }],
        response_headers_to_add: [{ header: { key: 'x-added', value: 'response' } }],
      }),
    ],
  ],
  index: [
    [header('x-scope', { element_separator: '; ', index: 1 })],
    [scope('b', ['b'], 'b'), scope('empty', [''], 'empty')],
  ],
  element: [
    [header('x-scope', { element_separator: ',', element: { separator: '==', key: 'vip' } })],
    [scope('a', ['1'], 'one'), scope('b', ['1==2'], 'rest'), scope('empty', [''], 'empty'), scope('eq', ['=1'], 'eq')],
  ],
  single: [
    [header('x-scope', { element: { separator: '=', key: 'vip' } })],
    [scope('a', ['1'], 'one'), scope('b', ['1,vip=2'], 'all')],
  ],
  parts: [
    [whole('x-scope'), header('x-more', { element_separator: ',', index: 1 }), whole(':authority')],
    [scope('abc', ['a', 'b', 'c'], 'abc'), scope('cba', ['c', 'b', 'a'], 'cba'), scope('short', ['a', 'b'], 'short')],
  ],
  method: [[whole(':method')], [scope('get', ['GET'], 'get')]],
  path: [[whole(':path')], [scope('p', ['/p?q'], 'p')]],
  host: [[whole('Host')], [scope('h', ['h'], 'h')]],
};

function manager(ports: Ports, log: string, name: string): object {
  const [fragments = [], scoped_route_configurations = []] = SCOPES[name] ?? [];
  return http(
    ports,
    log,
    name,
    {},
    {
      route_config: undefined,
      scoped_routes: {
        name: 'scopes',
        scope_key_builder: { fragments },
        scoped_route_configurations_list: { scoped_route_configurations },
      },
      use_remote_address: true,
      internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
    },
  );
}

function at(listener: string, what: string, path = '/', ...headers: string[]): Scenario {
  return { name: `${listener}: ${what}`, listener, client: [get(path, ...headers)] };
}
const each = (listener: string, ...values: string[]): Scenario[] =>
  values.map((text) => at(listener, text, '/', `x-scope: ${text}`));

export const scopedRoutes: Group = {
  name: 'scoped-routes',
  listeners: Object.keys(SCOPES),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.keys(SCOPES).map((name) => manager(ports, log, name)),
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...each('whole', 'one', 'One', 'two', 'one,two', 'later', 'gr\u00c3\u00bcn', 'same key', 'name 1', 'name 2'),
    at('whole', 'missing'),
    at('whole', 'empty', '/', 'x-scope:'),
    at('whole', 'two values', '/', 'x-scope: one', 'x-scope: two'),
    at('whole', 'two values, the first unknown', '/', 'x-scope: two', 'x-scope: one'),
    at('whole', 'forwarded', '/a', 'x-scope: one'),
    at('whole', 'adds headers', '/a', 'x-scope: adds'),
    at('whole', 'another host', '/a', 'x-scope: hosts'),
    at('whole', 'its host', '/a', 'host: h', 'x-scope: hosts'),
    at('whole', 'its host, no route', '/', 'host: h', 'x-scope: hosts'),
    at('whole', 'requires TLS', '/', 'x-scope: tls'),
    at('whole', 'hides a header', '/a', 'x-scope: hides', 'x-secret: 1'),
    at('whole', 'hides nothing', '/a', 'x-scope: one', 'x-secret: 1'),
    at('whole', 'hides its own header', '/a', 'x-scope: hides itself'),
    ...each('index', 'a; b', 'b; a', 'a; b; c', 'a;b', 'a', 'a; ', '; b', 'a;  b'),
    ...each('element', 'vip==1', 'a==2,vip==1', 'vip==1,vip==2', 'vip==1==2', 'vip', 'vip,vip==1', 'vip==', 'vip===1'),
    ...each('element', 'vip=1', 'vi==1', ' vip==1', 'a==2, vip==1', 'VIP==1', 'x', ',,vip==1', 'a==vip==1'),
    ...each('single', 'vip=1', 'vip=1,vip=2', 'a=1,vip=1'),
    at('parts', 'all', '/', 'host: c', 'x-scope: a', 'x-more: x,b'),
    at('parts', 'turned', '/', 'host: a', 'x-scope: c', 'x-more: x,b'),
    at('parts', 'one lacks', '/', 'host: c', 'x-scope: a', 'x-more: b'),
    at('parts', 'the first lacks', '/', 'host: c', 'x-more: x,b'),
    at('method', 'GET'),
    { name: 'method: PUT', listener: 'method', client: [request('PUT', '/', ['content-length: 0'])] },
    at('path', 'with query', '/p?q'),
    at('path', 'without', '/p'),
    at('host', 'host', '/', 'host: h'),
    at('host', 'another', '/', 'host: g'),
  ],
};
