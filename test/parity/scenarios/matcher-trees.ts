// Generic matchers: trees of virtual hosts that choose routes, each in a virtual host of its own.

import { bootstrap, cluster, get, http, router, STATS } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPES = 'type.googleapis.com/';

function extension(type: string, config: object = {}): object {
  return { name: type, typed_config: { '@type': TYPES + type, ...config } };
}

const header = (header_name: string): object =>
  extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name });
const stateInput = (key: string): object =>
  extension('envoy.extensions.matching.common_inputs.network.v3.FilterStateInput', { key });
const environment = (name: string): object =>
  extension('envoy.extensions.matching.common_inputs.environment_variable.v3.Config', { name });

const direct = (name: string, match: object = { prefix: '/' }): object => ({
  name,
  match,
  direct_response: { status: 200, body: { inline_string: name } },
});
/** Goes to a route that answers with its name. */
const route = (name: string, match?: object): object => ({
  action: extension('envoy.config.route.v3.Route', direct(name, match)),
});
const routeList = (...routes: object[]): object => ({
  action: extension('envoy.config.route.v3.RouteList', { routes }),
});
const nested = (matcher: object): object => ({ matcher });

type Leaf = readonly [predicate: object, on_match: object];

const listOf = (leaves: readonly Leaf[], more: object = {}): object => ({
  matcher_list: { matchers: leaves.map(([predicate, on_match]) => ({ predicate, on_match })) },
  ...more,
});
const value = (input: object, value_match: object): object => ({ single_predicate: { input, value_match } });
const custom = (input: object, custom_match: object): object => ({ single_predicate: { input, custom_match } });
const is = (name: string, exact: string): object => value(header(name), { exact });
const all = (...predicate: object[]): object => ({ and_matcher: { predicate } });
const any = (...predicate: object[]): object => ({ or_matcher: { predicate } });
const not = (predicate: object): object => ({ not_matcher: predicate });
const otherwise = (on_no_match: object): object => ({ on_no_match });

const exactMap = (input: object, map: object, more: object = {}): object => ({
  matcher_tree: { input, exact_match_map: { map } },
  ...more,
});
const prefixMap = (input: object, map: object, more: object = {}): object => ({
  matcher_tree: { input, prefix_match_map: { map } },
  ...more,
});
const customTree = (input: object, custom_match: object, more: object = {}): object => ({
  matcher_tree: { input, custom_match },
  ...more,
});
const range = (address_prefix: string, prefix_len: number, on_match: object, more: object = {}): object => ({
  ranges: [{ address_prefix, prefix_len }],
  on_match,
  ...more,
});
const ipTree = (...range_matchers: object[]): object => extension('xds.type.matcher.v3.IPMatcher', { range_matchers });
const nameTree = (...domains: readonly [string, object][]): object =>
  extension('xds.type.matcher.v3.ServerNameMatcher', {
    domain_matchers: domains.map(([domain, on_match]) => ({ domains: [domain], on_match })),
  });

/** Names of headers have no case. */
const X = header('X');
/** A tree that matches when `y` is `deep`. */
const deep = (name: string): object => nested(listOf([[is('y', 'deep'), route(name)]]));
const regex = (text: string): object => ({ safe_regex: { google_re2: {}, regex: text } });
const cidrs = (address_prefix: string, prefix_len: number): object =>
  extension('envoy.extensions.matching.input_matchers.ip.v3.Ip', {
    cidr_ranges: [{ address_prefix, prefix_len }],
    stat_prefix: 'ip',
  });
const hashed = (threshold: number, modulo: number, seed: number | string): object =>
  extension('envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing', {
    threshold,
    modulo,
    seed,
  });

/** Matchers by the name of their virtual host. */
const MATCHERS: Readonly<Record<string, object>> = {
  strings: listOf(
    [
      [value(X, { exact: 'exact' }), route('exact')],
      [value(X, { prefix: 'pre' }), route('prefix')],
      [value(X, { suffix: 'suf' }), route('suffix')],
      [value(X, { contains: 'mid' }), route('contains')],
      [value(X, regex('r[0-9]+')), route('regex')],
      [value(X, { exact: 'CASE', ignore_case: true }), route('case')],
      [value(X, { exact: 'a,b' }), route('joined')],
      [value(X, { exact: '' }), route('empty')],
      [value(header(':path'), { prefix: '/by-path' }), route('path')],
      [value(header(':method'), { exact: 'PUT' }), route('method')],
      [value(header('host'), { exact: 'strings:1' }), route('host')],
      [value(header(':authority'), { exact: 'strings:2' }), route('authority')],
    ],
    otherwise(route('nothing')),
  ),
  logic: listOf([
    [all(is('x', '1'), is('y', '1')), route('both')],
    [any(is('x', '2'), is('y', '2')), route('either')],
    [not(any(is('x', '3'), is('z', '3'))), route('neither')],
  ]),
  'list-nested': listOf(
    [
      [is('x', '1'), deep('deep')],
      [is('x', '1'), route('second')],
      [is('x', '2'), nested(listOf([[is('y', 'deep'), route('deep')]], otherwise(route('inner'))))],
      [is('x', '2'), route('never')],
      [is('x', '3'), deep('deep')],
    ],
    otherwise(route('outer')),
  ),
  'list-bare': listOf([[is('x', '1'), deep('deep')]]),
  exact: exactMap(X, { one: route('one'), two: deep('deep'), '': route('empty') }, otherwise(route('nothing'))),
  'exact-bare': exactMap(X, { one: route('one') }),
  prefix: prefixMap(
    X,
    { a: route('a'), ab: deep('deep'), abc: route('abc'), b: deep('deep') },
    otherwise(route('nothing')),
  ),
  'prefix-empty': prefixMap(X, { '': route('empty'), a: deep('deep') }),
  ip: customTree(
    X,
    ipTree(
      range('10.0.0.0', 8, route('eight')),
      range('10.1.0.0', 16, deep('deep')),
      range('10.2.0.0', 16, deep('deep'), { exclusive: true }),
      range('10.1.1.0', 24, route('first of equals')),
      range('10.1.1.0', 24, route('second of equals')),
      range('2001:db8::', 32, route('six')),
      range('172.16.0.0', 12, route('exclusive'), { exclusive: true }),
      range('172.16.1.0', 24, deep('deep')),
    ),
    otherwise(route('nothing')),
  ),
  'ip-all': customTree(X, ipTree({ ranges: [{ address_prefix: '0.0.0.0', prefix_len: 0 }], on_match: route('four') })),
  'ip-two': customTree(
    X,
    ipTree({
      ranges: [
        { address_prefix: '10.0.0.0', prefix_len: 8 },
        { address_prefix: '192.168.0.1', prefix_len: 32 },
      ],
      on_match: route('either'),
    }),
  ),
  names: customTree(
    X,
    nameTree(
      ['a.test', route('exact')],
      ['*.a.test', route('wildcard')],
      ['*.b.a.test', deep('deep')],
      ['c.test', deep('deep')],
      ['*', route('any')],
    ),
    otherwise(route('nothing')),
  ),
  'names-bare': customTree(X, nameTree(['a.test', deep('deep')], ['UP.test', route('upper')]), otherwise(route('no'))),
  'list-of-routes': listOf(
    [
      [is('x', '1'), routeList(direct('first', { path: '/first' }), direct('second', { prefix: '/s' }))],
      [is('x', '1'), route('never')],
      [is('x', '2'), route('by path', { path: '/here' })],
    ],
    otherwise(routeList()),
  ),
  'only-otherwise': otherwise(route('otherwise')),
  nothing: {},
  environment: listOf(
    [[value(environment('OUTRIGGER_NOT_SET'), regex('.*')), route('set')]],
    otherwise(route('nothing')),
  ),
  state: exactMap(stateInput('text'), { abc: route('abc') }, otherwise(route('nothing'))),
  'state-missing': listOf([[value(stateInput('none'), regex('.*')), route('never')]], otherwise(route('nothing'))),
  'custom-ip': listOf([[custom(X, cidrs('10.0.0.0', 8)), route('inside')]], otherwise(route('outside'))),
  hash: listOf(
    [
      [custom(X, hashed(5, 10, 7)), route('upper half')],
      [custom(X, hashed(4_000_000_000, 4_294_967_295, '18446744073709551615')), route('top')],
      [custom(X, hashed(0, 1, 0)), route('all')],
    ],
    otherwise(route('nothing')),
  ),
};

const SET_STATE = {
  name: 'state',
  typed_config: {
    '@type': `${TYPES}envoy.extensions.filters.http.set_filter_state.v3.Config`,
    clear_route_cache: true,
    on_request_headers: [
      {
        object_key: 'text',
        factory_key: 'envoy.string',
        format_string: { text_format_source: { inline_string: 'abc' } },
      },
    ],
  },
};

function at(host: string, what: string, path = '/', ...headers: string[]): Scenario {
  return { name: `${host}: ${what}`, client: [get(path, `host: ${host}`, ...headers)] };
}
/** One request per value of `x`, alone and where it says so with `y: deep`. */
const each = (host: string, ...values: string[]): Scenario[] =>
  values.map((text) => {
    const [x = '', y] = text.split('+');
    return at(host, text, '/', `x: ${x}`, ...(y === undefined ? [] : [`y: ${y}`]));
  });

export const matcherTrees: Group = {
  name: 'matcher-trees',
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
          {
            name: 'trees',
            ignore_port_in_host_matching: true,
            virtual_hosts: Object.entries(MATCHERS).map(([name, matcher]) => ({ name, domains: [name], matcher })),
          },
          { http_filters: [SET_STATE, router({})] },
        ),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...each('strings', 'exact', 'exactly', 'prefix', 'a-suf', 'amidst', 'r12', 'r12x', 'cAsE', 'Exact'),
    at('strings', 'two values', '/', 'x: a', 'x: b'),
    at('strings', 'empty', '/', 'x:'),
    at('strings', 'missing'),
    at('strings', 'path', '/by-path?q'),
    at('strings:1', 'host'),
    at('strings:2', 'authority'),
    ...each('logic', '1', '1+1', '2', '0+2', '3', '0', '3+1'),
    at('logic', 'missing'),
    ...each('list-nested', '1+deep', '1', '2+deep', '2', '3+deep', '3', '4'),
    ...each('list-bare', '1+deep', '1'),
    ...each('exact', 'one', 'two+deep', 'two', 'three'),
    at('exact', 'empty', '/', 'x:'),
    at('exact', 'missing'),
    ...each('exact-bare', 'one', 'two'),
    at('exact-bare', 'missing'),
    ...each('prefix', 'a', 'ab', 'ab+deep', 'abb', 'abc', 'abcd', 'b', 'b+deep', 'c'),
    at('prefix', 'missing'),
    ...each('prefix-empty', 'a', 'a+deep', 'c'),
    ...each('ip', '10.9.9.9', '10.1.2.3', '10.1.2.3+deep', '10.2.0.1', '10.2.0.1+deep', '10.1.1.1', '10.1.1.1+deep'),
    ...each('ip', '2001:db8::1', '2001:db9::1', '11.0.0.1', 'none', '10.0.0.1:80', '::ffff:10.0.0.1'),
    ...each('ip', '172.16.2.1', '172.16.1.1', '172.16.1.1+deep'),
    at('ip', 'missing'),
    ...each('ip-all', '1.2.3.4', '::1'),
    ...each('ip-two', '10.0.0.1', '192.168.0.1', '192.168.0.2'),
    ...each('names', 'a.test', 'x.a.test', 'x.y.a.test', 'x.b.a.test', 'x.b.a.test+deep', 'b.a.test', 'c.test'),
    ...each('names', 'other', 'A.test', 'X.A.test', '.a.test', 'c.test+deep'),
    at('names', 'missing'),
    at('names', 'empty', '/', 'x:'),
    ...each('names-bare', 'a.test', 'a.test+deep', 'up.test', 'UP.test', 'other'),
    at('list-of-routes', 'first', '/first', 'x: 1'),
    at('list-of-routes', 'second', '/second', 'x: 1'),
    at('list-of-routes', 'neither', '/third', 'x: 1'),
    at('list-of-routes', 'route matches', '/here', 'x: 2'),
    at('list-of-routes', 'route does not match', '/there', 'x: 2'),
    at('list-of-routes', 'empty list', '/', 'x: 3'),
    at('only-otherwise', 'anything'),
    at('nothing', 'anything'),
    at('environment', 'anything'),
    at('state', 'anything'),
    at('state-missing', 'anything'),
    ...each('custom-ip', '10.1.1.1', '11.1.1.1', 'none', '::1'),
    at('custom-ip', 'missing'),
    ...each('hash', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't'),
    at('hash', 'missing'),
  ],
};
