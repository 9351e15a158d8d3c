// Which route a request takes: virtual hosts, path, header and query matches, clusters by weight and by header.

import { bootstrap, cluster, get, http, request, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

/** A direct answer that names the route that was taken. */
const here = (name: string, match: object): object => ({
  name,
  match,
  direct_response: { status: 200, body: { inline_string: name } },
});

const VIRTUAL_HOSTS = [
  {
    name: 'exact',
    domains: ['a.example', 'b.example:8080'],
    routes: [
      here('path-exact', { path: '/exact' }),
      here('path-exact-nocase', { path: '/Exact', case_sensitive: false }),
      here('prefix-nocase', { prefix: '/CASE', case_sensitive: false }),
      here('separated', { path_separated_prefix: '/sep' }),
      here('regex', { safe_regex: { regex: '/re/[0-9]+' } }),
      here('regex-alternatives', { safe_regex: { regex: '/alt-a|/alt-b' } }),
      here('h-exact', { prefix: '/h', headers: [{ name: 'x-kind', string_match: { exact: 'one' } }] }),
      here('h-prefix', { prefix: '/h', headers: [{ name: 'x-kind', string_match: { prefix: 'pre' } }] }),
      here('h-suffix', { prefix: '/h', headers: [{ name: 'x-kind', string_match: { suffix: 'fix' } }] }),
      here('h-contains-nocase', {
        prefix: '/h',
        headers: [{ name: 'x-kind', string_match: { contains: 'MID', ignore_case: true } }],
      }),
      here('h-regex', {
        prefix: '/h',
        headers: [{ name: 'x-kind', string_match: { safe_regex: { regex: 'r[0-9]' } } }],
      }),
      here('h-range', { prefix: '/h', headers: [{ name: 'x-number', range_match: { start: -5, end: 10 } }] }),
      here('h-absent', { prefix: '/h/absent', headers: [{ name: 'x-kind', present_match: false }] }),
      here('h-invert', {
        prefix: '/h/invert',
        headers: [{ name: 'x-kind', string_match: { exact: 'no' }, invert_match: true }],
      }),
      here('h-missing-empty', {
        prefix: '/h/empty',
        headers: [{ name: 'x-none', string_match: { exact: '' }, treat_missing_header_as_empty: true }],
      }),
      here('h-method', { prefix: '/method', headers: [{ name: ':method', string_match: { exact: 'DELETE' } }] }),
      here('h-scheme', { prefix: '/scheme', headers: [{ name: ':scheme', string_match: { exact: 'http' } }] }),
      here('h-authority', {
        prefix: '/authority',
        headers: [{ name: ':authority', string_match: { suffix: '.example' } }],
      }),
      here('q-exact', { prefix: '/q', query_parameters: [{ name: 'k', string_match: { exact: 'v' } }] }),
      here('q-absent', { prefix: '/q/absent', query_parameters: [{ name: 'p', present_match: false }] }),
      here('q-present', { prefix: '/q', query_parameters: [{ name: 'p', present_match: true }] }),
      here('q-regex', {
        prefix: '/q',
        query_parameters: [{ name: 'k', string_match: { safe_regex: { regex: 'x+' } } }],
      }),
      here('cookie', { prefix: '/cookie', cookies: [{ name: 'user', string_match: { exact: 'jason' } }] }),
      here('grpc', { prefix: '/grpc', grpc: {} }),
      here('never', {
        prefix: '/fraction',
        runtime_fraction: { default_value: { numerator: 0, denominator: 'HUNDRED' } },
      }),
      here('always', { prefix: '/fraction' }),
      here('utf8', { path: '/gr\u00fcn' }),
    ],
  },
  { name: 'suffix', domains: ['*.example'], routes: [here('suffix-short', { prefix: '/' })] },
  { name: 'suffix-long', domains: ['*.deep.example'], routes: [here('suffix-long', { prefix: '/' })] },
  { name: 'prefix', domains: ['pre.*'], routes: [here('prefix-domain', { prefix: '/' })] },
  {
    name: 'clusters',
    domains: ['clusters.test'],
    routes: [
      to('/weighted', 'unused', {
        cluster: undefined,
        weighted_clusters: {
          clusters: [
            { name: 'a', weight: 0 },
            {
              name: 'b',
              weight: 100,
              request_headers_to_add: [{ header: { key: 'x-weighted', value: 'b' } }],
              host_rewrite_literal: 'weighted.test',
            },
          ],
        },
      }),
      to('/by-value', 'unused', {
        cluster: undefined,
        weighted_clusters: {
          header_name: 'x-pick',
          clusters: [
            { name: 'a', weight: 30 },
            { name: 'b', weight: 70 },
          ],
        },
      }),
      to('/header', 'unused', { cluster: undefined, cluster_header: 'x-cluster' }),
      to('/gone', 'gone', {
        cluster: undefined,
        cluster_header: 'x-cluster',
        cluster_not_found_response_code: 'NOT_FOUND',
      }),
      to('/broken', 'unused', {
        cluster: undefined,
        cluster_header: 'x-cluster',
        cluster_not_found_response_code: 'INTERNAL_SERVER_ERROR',
      }),
      { name: 'no-forward', match: { prefix: '/non-forwarding' }, non_forwarding_action: {} },
    ],
  },
];

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });
const host = (name: string, value: string, listener = 'main'): Scenario => ({
  name,
  listener,
  client: [get('/', `host: ${value}`)],
});

export const routing: Group = {
  name: 'routing',
  listeners: ['main', 'noport', 'vhostheader', 'nameless', 'named', 'bysender'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const config = { name: 'local', virtual_hosts: VIRTUAL_HOSTS };
    const clusters = [cluster('a', [ports['a']]), cluster('b', [ports['b']])];
    const nameless = {
      name: 'nameless',
      virtual_hosts: [
        { name: 'empty', domains: [''], routes: [to('/', 'b')] },
        { name: 'suffix', domains: ['*.example'], routes: [to('/', 'a')] },
      ],
    };
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', config),
        http(ports, log, 'noport', {
          ...config,
          ignore_port_in_host_matching: true,
          ignore_path_parameters_in_path_matching: true,
        }),
        http(ports, log, 'vhostheader', { ...config, vhost_header: 'x-vhost' }),
        http(ports, log, 'nameless', { ...nameless, ignore_port_in_host_matching: true }),
        http(ports, log, 'named', {
          name: 'named',
          virtual_hosts: [{ name: 'none', domains: ['*'], routes: [to('/', 'a')] }],
        }),
        http(ports, log, 'bysender', { ...nameless, vhost_header: 'x-vhost' }),
      ],
      clusters,
    );
  },
  stats: STATS,
  scenarios: [
    host('a domain without a name', '', 'nameless'),
    host('nothing but a port', ':80', 'nameless'),
    host('a name beside it', 'a.example', 'nameless'),
    host('no domain for it', 'b.test', 'nameless'),
    host('an empty host where any is served', '', 'named'),
    { ...at('a domain without a name, by a header', '/', 'x-vhost:'), listener: 'bysender' },
    { ...at('a domain without a name, and no header', '/'), listener: 'bysender' },
    at('exact path', '/exact'),
    at('exact path leaves out the query', '/exact?a=b'),
    at('exact path with more behind it', '/exact/more'),
    at('exact path without case', '/eXACT'),
    at('prefix without case', '/caseless'),
    at('separated prefix alone', '/sep'),
    at('separated prefix with a segment', '/sep/x'),
    at('separated prefix is no prefix of a word', '/separate'),
    at('separated prefix with a query', '/sep?x'),
    at('regex matches the whole path', '/re/123'),
    at('regex is anchored', '/re/123/x'),
    at('regex leaves out the query', '/re/1?q'),
    at('alternatives are anchored together', '/alt-b'),
    at('alternatives do not escape the anchor', '/alt-ax'),
    at('path parameters count', '/exact;v=1'),
    { ...at('path parameters ignored when asked', '/exact;v=1'), listener: 'noport' },
    at('header exact', '/h', 'x-kind: one'),
    at('header prefix', '/h', 'x-kind: prelude'),
    at('header suffix', '/h', 'x-kind: suffix'),
    at('header contains without case', '/h', 'x-kind: aMiDb'),
    at('header regex', '/h', 'x-kind: r7'),
    at('header regex is anchored', '/h/none', 'x-kind: r77'),
    at('repeated header is matched joined', '/h', 'x-kind: pre', 'x-kind: x'),
    at('header range', '/h', 'x-number: -5'),
    at('header range is half open', '/h/none', 'x-number: 10'),
    at('header range needs a number', '/h/none', 'x-number: 3.5'),
    at('header absent', '/h/absent'),
    at('header inverted', '/h/invert', 'x-kind: yes'),
    at('header inverted and missing', '/h/invert'),
    at('missing header as empty', '/h/empty'),
    { name: 'method as header', client: [request('DELETE', '/method', [])] },
    at('scheme as header', '/scheme'),
    at('authority as header', '/authority'),
    at('query exact', '/q?k=v'),
    at('query takes the first of a name', '/q?k=v&k=w'),
    at('query present without value', '/q?p'),
    at('query absent', '/q/absent'),
    at('query present where it must not be', '/q/absent?p'),
    at('query regex', '/q?a=1&k=xxx'),
    at('query of no route', '/q?k=w'),
    at('cookie', '/cookie', 'cookie: a=1; user=jason'),
    at('grpc by content type', '/grpc', 'content-type: application/grpc'),
    at('no grpc', '/grpc'),
    at('runtime fraction of nothing', '/fraction'),
    at('configured UTF-8 meets its bytes', '/gr\u00c3\u00bcn'),
    at('nothing matches', '/nowhere'),
    host('host exact without case', 'A.Example'),
    host('host with a port that is part of the domain', 'b.example:8080'),
    host('host with a port of no domain', 'a.example:81'),
    host('host suffix', 'x.example'),
    host('longest host suffix', 'x.deep.example'),
    host('host prefix', 'pre.test'),
    host('host of nobody', 'other.test'),
    host('port ignored in host matching', 'x.deep.example:81', 'noport'),
    {
      name: 'virtual host by another header',
      listener: 'vhostheader',
      client: [get('/exact', 'host: other.test', 'x-vhost: a.example')],
    },
    { name: 'virtual host header missing', listener: 'vhostheader', client: [get('/exact')] },
    at('weighted clusters with their own headers', '/weighted', 'host: clusters.test'),
    at('weighted clusters by header value', '/by-value', 'host: clusters.test', 'x-pick: 29'),
    at('weighted clusters by another header value', '/by-value', 'host: clusters.test', 'x-pick: 30'),
    at('weighted clusters by a value beyond the total', '/by-value', 'host: clusters.test', 'x-pick: 130'),
    at('cluster by header', '/header', 'host: clusters.test', 'x-cluster: b'),
    at('cluster by header that names none', '/header', 'host: clusters.test', 'x-cluster: nobody'),
    at('cluster by header that is missing', '/header', 'host: clusters.test'),
    at('unknown cluster answered 404', '/gone', 'host: clusters.test', 'x-cluster: nobody'),
    at('unknown cluster answered 500', '/broken', 'host: clusters.test', 'x-cluster: nobody'),
    at('non-forwarding action', '/non-forwarding', 'host: clusters.test'),
  ],
};
