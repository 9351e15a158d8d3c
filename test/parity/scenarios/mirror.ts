// Mirrored requests: what the mirror is sent, when it is sent, and that nobody waits for it.

import { answer, bootstrap, cluster, get, http, httpOptions, request, router, routes, STATS, to } from '../config.ts';
import type { ClientStep, Group, Scenario, UpstreamScript } from '../types.ts';

const mirror = (cluster: string, extra: object = {}): object => ({ cluster, ...extra });
const by = (...policies: readonly object[]): object => ({ request_mirror_policies: policies });
const share = (numerator: number, runtime_key = ''): object => ({
  runtime_fraction: { default_value: { numerator, denominator: 'HUNDRED' }, runtime_key },
});

/** Both have been asked before the client goes. */
const both = (name: string, sent: string, ...more: readonly ClientStep[]): Scenario => ({
  name,
  client: [sent, ...more, { upstreamSaw: 2 }],
});
const alone = (name: string, sent: string, upstreams: Readonly<Record<string, UpstreamScript>> = {}): Scenario => ({
  name,
  client: [sent, { answers: 1 }, { waitMs: 40 }],
  upstreams,
});

const MUTATIONS = {
  request_headers_mutations: [
    { append: { header: { key: 'x-mirror', value: '%REQ(x-a)%' } } },
    { append: { header: { key: 'x-a', value: 'new' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
    { remove: 'x-secret' },
    { remove_on_match: { key_matcher: { prefix: 'x-drop-' } } },
  ],
};

export const mirrors: Group = {
  name: 'mirror',
  listeners: ['main', 'second', 'plain'],
  upstreams: ['a', 'm', 'n'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(
            [
              to('/one', 'a', by(mirror('m'))),
              to('/two', 'a', by(mirror('m'), mirror('n'))),
              to('/never', 'a', by(mirror('m', share(0)))),
              to('/always', 'a', by(mirror('m', share(100)))),
              to('/by-key', 'a', by(mirror('m', share(100, 'mirror.share')))),
              to('/plain-host', 'a', by(mirror('m', { disable_shadow_host_suffix_append: true }))),
              to('/new-host', 'a', by(mirror('m', { host_rewrite_literal: 'mirror.example' }))),
              to(
                '/new-plain-host',
                'a',
                by(
                  mirror('m', {
                    host_rewrite_literal: 'mirror.example:81',
                    disable_shadow_host_suffix_append: true,
                    trace_sampled: false,
                  }),
                ),
              ),
              to('/changed', 'a', by(mirror('m', MUTATIONS))),
              to('/named', 'a', by({ cluster_header: 'x-mirror-to' })),
              to('/dead', 'a', by(mirror('dead'))),
              to('/full', 'a', by(mirror('full'))),
              to('/empty', 'a', by(mirror('empty'))),
              to('/no-host', 'empty', by(mirror('m'))),
              to('/own-retries', 'a', {
                ...by(mirror('m')),
                retry_policy: { retry_on: '5xx', num_retries: 1, retry_back_off: { base_interval: '0.01s' } },
              }),
              to('/rewritten', 'a', {
                ...by(mirror('m')),
                prefix_rewrite: '/other',
                host_rewrite_literal: 'inner.example:8080',
                timeout: '7s',
              }),
              to('/auto', 'named', { ...by(mirror('m')), auto_host_rewrite: true }),
              to('/short', 'a', { ...by(mirror('m')), timeout: '0.5s' }),
              to('/of-cluster', 'own'),
              to('/of-both', 'own', by(mirror('m'))),
              to('/upgraded', 'a', { ...by(mirror('m')), upgrade_configs: [{ upgrade_type: 'websocket' }] }),
              { match: { prefix: '/answered' }, direct_response: { status: 200 } },
              to('/', 'a'),
            ],
            { include_request_attempt_count: true },
          ),
        ),
        http(ports, log, 'second', {
          name: 'levels',
          request_mirror_policies: [mirror('n')],
          virtual_hosts: [
            {
              name: 'host',
              domains: ['host.example'],
              request_mirror_policies: [mirror('m')],
              routes: [to('/own', 'a', by(mirror('n'))), to('/', 'a')],
            },
            { name: 'rest', domains: ['*'], routes: [to('/own', 'a', by(mirror('m'))), to('/', 'a')] },
          ],
        }),
        http(ports, log, 'plain', routes([to('/', 'a', by(mirror('m')))]), {
          http_filters: [router({ suppress_envoy_headers: true })],
          via: 'edge',
        }),
      ],
      [
        cluster('a', [ports['a']]),
        cluster('m', [ports['m']]),
        cluster('n', [ports['n']]),
        cluster('named', [ports['a']]),
        cluster('dead', [ports['dead']]),
        cluster(
          'own',
          [ports['a']],
          httpOptions({}, {}, { request_mirror_policies: [mirror('n', { disable_shadow_host_suffix_append: true })] }),
        ),
        cluster('empty', []),
        cluster('full', [ports['m']], { circuit_breakers: { thresholds: [{ max_requests: 0, max_connections: 1 }] } }),
      ],
      { layered_runtime: { layers: [{ name: 'static', static_layer: { mirror: { share: 0 } } }] } },
    ),
  stats: STATS,
  scenarios: [
    both('a copy goes to the mirror', get('/one')),
    both('query and headers are copied', get('/one?a=1', 'x-a: 1', 'x-a: 2', 'cookie: a=b')),
    both('the port stays behind the name', get('/one', 'host: a.example:8080')),
    both('an IPv6 address as host', get('/one', 'host: [::1]:81')),
    both('an IPv6 address without a port', get('/one', 'host: [::1]')),
    both('an address as host', get('/one', 'host: 127.0.0.1')),
    { ...both('HEAD', request('HEAD', '/one', [])), bodiless: true },
    both('a body of known length', request('POST', '/one', ['content-length: 5'], 'hello')),
    both(
      'a body in pieces',
      request('POST', '/one', ['transfer-encoding: chunked'], '2\r\nab\r\n'),
      { waitMs: 30 },
      '1\r\nc\r\n0\r\n\r\n',
    ),
    both('an empty body', request('POST', '/one', ['content-length: 0'])),
    { name: 'two mirrors', client: [get('/two'), { upstreamSaw: 3 }] },
    {
      name: 'two mirrors and a body',
      client: [request('POST', '/two', ['content-length: 2'], 'hi'), { upstreamSaw: 3 }],
    },
    alone('never', get('/never')),
    both('always', get('/always')),
    alone('the runtime says never', get('/by-key')),
    both('the host as it is', get('/plain-host')),
    both('another host', get('/new-host')),
    both('another host as it is', get('/new-plain-host')),
    both('headers of the copy are changed', get('/changed', 'x-a: old', 'x-secret: 1', 'x-drop-a: 1', 'x-drop-b: 2')),
    both('named by a header', get('/named', 'x-mirror-to: m')),
    alone('named by a header, unknown', get('/named', 'x-mirror-to: x')),
    alone('named by a header, absent', get('/named')),
    alone('a mirror that is down', get('/dead')),
    alone('a mirror that has no room', get('/full')),
    alone('a mirror without hosts', get('/empty')),
    alone('a request that finds no host is not copied', get('/no-host')),
    {
      ...both('a mirror that fails', get('/one')),
      upstreams: { m: { replies: [[answer('503 No', [], 'x')]] } },
    },
    {
      ...both('a mirror that closes', get('/one')),
      upstreams: { m: { replies: [[{ close: 'full' }]] } },
    },
    {
      ...both('a mirror that redirects', get('/one')),
      upstreams: { m: { replies: [[answer('302 Found', ['location: /x'], '')]] } },
    },
    {
      name: 'nobody waits for the mirror',
      client: [get('/one'), { answers: 1 }, { waitMs: 250 }],
      upstreams: { m: { replies: [[{ waitMs: 100 }, answer('200 OK')]] } },
    },
    {
      name: 'the time-out of the route holds for the mirror',
      client: [get('/short'), { answers: 1 }, { waitMs: 700 }],
      upstreams: { m: { replies: [[{ waitMs: 1_000 }, answer('200 OK')]] } },
    },
    {
      name: 'a retry is not copied',
      client: [get('/own-retries'), { upstreamSaw: 3 }, { waitMs: 40 }],
      upstreams: { a: { replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    {
      name: 'a mirror is not retried',
      client: [get('/own-retries'), { upstreamSaw: 2 }, { waitMs: 40 }],
      upstreams: { m: { replies: [[answer('503 No')], [answer('200 OK')]] } },
    },
    both('what the route rewrites', get('/rewritten/x')),
    both('the name of the host', get('/auto')),
    alone('an answer of our own', get('/answered')),
    {
      name: 'the route’s own',
      listener: 'second',
      client: [get('/own', 'host: host.example'), { upstreamSaw: 2 }, { waitMs: 20 }],
    },
    {
      name: 'of the virtual host',
      listener: 'second',
      client: [get('/', 'host: host.example'), { upstreamSaw: 2 }, { waitMs: 20 }],
    },
    { name: 'of the configuration', listener: 'second', client: [get('/'), { upstreamSaw: 2 }, { waitMs: 20 }] },
    {
      name: 'the route’s own before the configuration’s',
      listener: 'second',
      client: [get('/own'), { upstreamSaw: 2 }, { waitMs: 20 }],
    },
    { name: 'the cluster’s', client: [get('/of-cluster'), { upstreamSaw: 2 }, { waitMs: 40 }] },
    { name: 'the cluster’s and the route’s', client: [get('/of-both'), { upstreamSaw: 2 }, { waitMs: 40 }] },
    { ...both('without headers of ours', get('/x')), listener: 'plain' },
    { ...both('behind another proxy', get('/x', 'x-forwarded-for: 1.2.3.4', 'x-request-id: 7')), listener: 'plain' },
    {
      name: 'an upgrade',
      client: [
        request('GET', '/upgraded', ['connection: upgrade', 'upgrade: websocket']),
        { answers: 1 },
        { waitMs: 40 },
      ],
    },
    {
      name: 'the client goes before its body is there',
      client: [
        request('POST', '/one', ['content-length: 10'], 'hello'),
        { upstreamSaw: 2 },
        { waitMs: 30 },
        { close: 'full' },
      ],
      answers: 0,
    },
    {
      name: 'the answer comes before the body',
      client: [
        request('POST', '/one', ['content-length: 10'], 'hello'),
        { upstreamSaw: 2 },
        { answers: 1 },
        { waitMs: 30 },
      ],
      upstreams: { a: { early: true, replies: [[answer('200 OK', [], 'soon')]] } },
    },
  ],
};
