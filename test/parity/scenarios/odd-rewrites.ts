// Rewrites of what is not quite there: prefixes of paths whose parameters were ignored, hosts and targets of copies by
// pseudo-headers, and the number of the attempt in what a route adds.

import { answer, bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const TEMPLATES = 'type.googleapis.com/envoy.extensions.path';

const MATCHES: Readonly<Record<string, object>> = {
  exact: { path: '/exact/b' },
  prefix: { prefix: '/prefix/' },
  segment: { path_separated_prefix: '/segment/b' },
  nocase: { prefix: '/nocase/', case_sensitive: false },
  regex: { safe_regex: { regex: '/regex/.*' } },
};
const BARE = {
  ...routes([
    ...Object.values(MATCHES).map((match) => ({ match, route: { cluster: 'a', prefix_rewrite: '/new' } })),
    {
      match: {
        path_match_policy: {
          name: 'template',
          typed_config: {
            '@type': `${TEMPLATES}.match.uri_template.v3.UriTemplateMatchConfig`,
            path_template: '/{x}/t',
          },
        },
      },
      route: {
        cluster: 'a',
        path_rewrite_policy: {
          name: 'template',
          typed_config: {
            '@type': `${TEMPLATES}.rewrite.uri_template.v3.UriTemplateRewriteConfig`,
            path_template_rewrite: '/new/{x}',
          },
        },
      },
    },
    { match: { prefix: '/redirect/' }, redirect: { prefix_rewrite: '/new/' } },
  ]),
  ignore_path_parameters_in_path_matching: true,
};

const add = (key: string, value: string, append_action = 'APPEND_IF_EXISTS_OR_ADD'): object => ({
  header: { key, value },
  append_action,
});
const RETRIES = { retry_policy: { retry_on: '5xx', num_retries: 2 } };
const COUNTED = routes(
  [
    to('/told', 'a', RETRIES, { request_headers_to_add: [add('x-attempt', '%REQ(x-envoy-attempt-count)%')] }),
    to('/appended', 'a', RETRIES, { request_headers_to_add: [add('x-envoy-attempt-count', 'more')] }),
    to('/replaced', 'a', RETRIES, {
      request_headers_to_add: [add('x-envoy-attempt-count', 'other', 'OVERWRITE_IF_EXISTS_OR_ADD')],
    }),
    to('/removed', 'a', RETRIES, { request_headers_to_remove: ['x-envoy-attempt-count'] }),
    to('/host', 'a', { host_rewrite_header: 'x-envoy-attempt-count' }),
    to('/path', 'a', { host_rewrite_header: ':path', append_x_forwarded_host: true }),
    to('/method', 'a', { host_rewrite_header: ':method' }),
    to(
      '/copied',
      'a',
      { request_mirror_policies: [{ cluster_header: ':authority' }] },
      {
        request_headers_to_add: [add('x-envoy-attempt-count', 'more')],
      },
    ),
  ],
  { include_request_attempt_count: true },
);

function config(ports: Ports, logPath: string): object {
  return bootstrap(
    ports,
    [http(ports, logPath, 'bare', BARE), http(ports, logPath, 'counted', COUNTED)],
    [cluster('a', [ports['a']]), cluster('b', [ports['b']])],
  );
}

const bare = (path: string): Scenario => ({ name: `path ${path}`, listener: 'bare', client: [get(path)] });
const counted = (name: string, ...headers: string[]): Scenario => ({
  name,
  listener: 'counted',
  client: [get(`/${name}`, ...headers)],
  upstreams: { a: { replies: [[answer('503 x')], [answer('200 OK')]] } },
});

const SCENARIOS: readonly Scenario[] = [
  ...['/exact/b', '/exact/b;x', '/exact;x/b', '/exact;x/b?q=1'].map(bare),
  ...['/prefix/c;x', '/prefix;x/c', '/prefix;/c?q'].map(bare),
  ...['/segment/b/c;x', '/segment;x/b/c', '/segment/b;x/c'].map(bare),
  ...['/NoCase/c', '/NoCase;X/c', '/regex;x/c', '/x;y/t', '/redirect/c;x', '/redirect;x/c'].map(bare),
  counted('told'),
  counted('appended'),
  counted('replaced', 'x-envoy-attempt-count: 7'),
  counted('removed'),
  { name: 'host by attempt', listener: 'counted', client: [get('/host')] },
  { name: 'host by path', listener: 'counted', client: [get('/path/x?q=1')] },
  { name: 'host by method', listener: 'counted', client: [get('/method')] },
  {
    name: 'copied to its host',
    listener: 'counted',
    client: [get('/copied', 'host: b'), { upstreamSaw: 2 }],
  },
];

export const oddRewrites: Group = {
  name: 'odd-rewrites',
  listeners: ['bare', 'counted'],
  upstreams: ['a', 'b'],
  bootstrap: config,
  scenarios: SCENARIOS,
  stats: STATS,
};
