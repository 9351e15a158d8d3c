// Redirects that the proxy follows itself: which answers, where to, how often, and what the second request looks like.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const policy = (extra: object = {}): object => ({ internal_redirect_policy: extra });
const INTERNAL = 'type.googleapis.com/envoy.extensions.internal_redirect.';
const predicates = (...list: readonly (readonly [name: string, type: string, extra?: object])[]): object => ({
  predicates: list.map(([name, type, extra]) => ({ name, typed_config: { '@type': `${INTERNAL}${type}`, ...extra } })),
});
const PREVIOUS = ['previous', 'previous_routes.v3.PreviousRoutesConfig'] as const;
const SAFE = ['safe', 'safe_cross_scheme.v3.SafeCrossSchemeConfig'] as const;
const LISTED = [
  'listed',
  'allow_listed_routes.v3.AllowListedRoutesConfig',
  { allowed_route_names: ['other', 'again'] },
] as const;

const moved = (location: string, status = '302 Found', ...headers: string[]): string =>
  answer(status, [`location: ${location}`, ...headers], 'moved');
/** Redirects once, then answers. */
const once = (location: string, status = '302 Found', ...headers: string[]): UpstreamScript => ({
  replies: [[moved(location, status, ...headers)], [answer('200 OK', [], 'there')]],
});
const at = (name: string, sent: string, a: UpstreamScript, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  client: [sent],
  upstreams: { a },
  ...extra,
});
const post = (path: string, ...headers: string[]): string =>
  request('POST', path, ['content-length: 5', ...headers], 'hello');

export const internalRedirects: Group = {
  name: 'internal-redirects',
  listeners: ['main', 'edge'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', {
          name: 'local',
          virtual_hosts: [
            { name: 'b', domains: ['b.example', 'b.example:81'], routes: [to('/', 'b', {}, { name: 'other' })] },
            { name: 'early', domains: ['early.example'], routes: [to('/', 'a', policy())] },
            {
              name: 'direct',
              domains: ['direct.example'],
              routes: [{ match: { prefix: '/' }, direct_response: { status: 418 }, name: 'again' }],
            },
            {
              name: 'all',
              domains: ['*.example'],
              request_headers_to_add: [{ header: { key: 'x-host', value: '%REQ(:AUTHORITY)%' } }],
              include_request_attempt_count: true,
              routes: [
                to('/once', 'a', policy(), { name: 'once' }),
                to('/thrice', 'a', policy({ max_internal_redirects: 3 }), { name: 'thrice' }),
                to('/none', 'a', policy({ max_internal_redirects: 0 })),
                to('/codes', 'a', policy({ redirect_response_codes: [307, 303, 200] })),
                to('/cross', 'a', policy({ allow_cross_scheme_redirect: true })),
                to('/safe', 'a', policy({ allow_cross_scheme_redirect: true, ...predicates(SAFE) })),
                to('/previous', 'a', policy({ max_internal_redirects: 5, ...predicates(PREVIOUS) }), {
                  name: 'previous',
                }),
                to('/listed', 'a', policy({ ...predicates(LISTED) }), { name: 'listed' }),
                to('/copied', 'a', policy({ response_headers_to_copy: ['x-copy', 'X-Gone', 'x-two'] })),
                to('/old', 'a', { internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT', max_internal_redirects: 2 }),
                to('/off', 'a', { internal_redirect_action: 'PASS_THROUGH_INTERNAL_REDIRECT' }),
                to('/rewritten', 'a', { ...policy(), prefix_rewrite: '/new', host_rewrite_literal: 'inner.example' }),
                to('/retried', 'a', {
                  ...policy(),
                  retry_policy: {
                    retry_on: '5xx,retriable-status-codes',
                    retriable_status_codes: [302],
                    retry_back_off: { base_interval: '0.01s' },
                  },
                }),
                to('/small', 'a', policy(), { request_body_buffer_limit: 4 }),
                to('/mirrored', 'a', { ...policy(), request_mirror_policies: [{ cluster: 'b' }] }),
                to('/plain', 'a', {}, { name: 'plain' }),
              ],
            },
          ],
        }),
        http(ports, log, 'edge', routes([to('/', 'a', policy())]), { use_remote_address: true, via: 'edge' }),
      ],
      [cluster('a', [ports['a']]), cluster('b', [ports['b']])],
    ),
  // The request that follows an answer without a body may use its connection; Envoy opens another one.
  stats: new RegExp(`^(?!.*(cx_total|pending_total))(${STATS.source}|.*internal_redirect)`),
  scenarios: [
    at('followed', get('/once'), once('http://a.example/plain')),
    at('followed for a client that is named', get('/once', 'x-forwarded-for: 8.8.8.8'), once('http://a.example/plain')),
    at('to another host', get('/once'), { replies: [[moved('http://b.example/x?y=1')]] }),
    at('to another port', get('/once'), { replies: [[moved('http://b.example:81/x')]] }),
    at('without a path', get('/once'), { replies: [[moved('http://b.example')]] }),
    at('with a query and no path', get('/once'), { replies: [[moved('http://b.example?a=b')]] }),
    at('with a fragment', get('/once'), { replies: [[moved('http://b.example/x#part')]] }),
    at('relative', get('/once'), once('/plain')),
    at('relative with a query', get('/once'), once('/plain?x=1')),
    at('relative to the path', get('/once'), once('plain')),
    at('without a scheme', get('/once'), once('//b.example/x')),
    at('another scheme', get('/once'), once('https://b.example/x')),
    at('a scheme of its own', get('/once'), once('ftp://b.example/x')),
    at('no URL', get('/once'), once('http://')),
    at('with a user', get('/once'), once('http://u:p@b.example/x')),
    at('with the default port', get('/once'), once('http://a.example:80/plain')),
    at('in capitals', get('/once'), once('HTTP://A.Example/plain')),
    at('a port that is none', get('/once'), once('http://a.example:99999/plain')),
    at('an empty port', get('/once'), once('http://a.example:/plain')),
    at('an IPv6 address', get('/once'), once('http://[::1]:81/plain')),
    at('one slash', get('/once'), once('http:/a.example/plain')),
    at('no slash', get('/once'), once('http:a.example/plain')),
    at('backslashes', get('/once'), once('http:\\\\a.example\\plain')),
    at('blanks within', get('/once'), once('http://a.example/plain b')),
    at('blanks around', get('/once'), once('  http://a.example/plain  ')),
    at('a path to be normalised', get('/once'), once('http://a.example/x/../plain')),
    at('escapes', get('/once'), once('http://a.example/plain%2fb%zz?%20')),
    at('a host with a blank', get('/once'), once('http://a b.example/plain')),
    at('a host with an escape', get('/once'), once('http://a%2eexample/plain')),
    at('two locations', get('/once'), once('http://a.example/plain', '302 Found', 'location: http://b.example/')),
    at('an empty location', get('/once'), {
      replies: [['HTTP/1.1 302 Found\r\nlocation:\r\ncontent-length: 0\r\n\r\n']],
    }),
    at('no location', get('/once'), { replies: [[answer('302 Found')]] }),
    at('no route', get('/once'), once('http://nowhere.test/x')),
    at('no route in the host', get('/once'), once('http://a.example/nowhere')),
    at('to an answer of our own', get('/once'), once('http://direct.example/')),
    at('a body, to an answer of our own', post('/once'), once('http://direct.example/')),
    at('301 is not followed', get('/once'), once('http://a.example/plain', '301 Moved')),
    at('303 is not followed', get('/once'), once('http://a.example/plain', '303 Other')),
    at('200 is not followed', get('/once'), once('http://a.example/plain', '200 OK')),
    at('307 is followed where it is listed', get('/codes'), once('http://a.example/plain', '307 T')),
    at('302 is not where others are listed', get('/codes'), once('http://a.example/plain')),
    at('200 can be listed and means nothing', get('/codes'), once('http://a.example/plain', '200 OK')),
    at(
      '303 makes GET of POST',
      post('/codes', 'content-type: text/plain'),
      once('http://a.example/plain', '303 Other'),
    ),
    at(
      '303 leaves HEAD',
      request('HEAD', '/codes', []),
      { replies: [['HTTP/1.1 303 Other\r\nlocation: http://a.example/plain\r\n\r\n'], [answer('200 OK')]] },
      { bodiless: true },
    ),
    at('a body is sent again', post('/once'), once('http://a.example/plain')),
    at(
      'a chunked body is sent again',
      request('POST', '/once', ['transfer-encoding: chunked'], '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'),
      once('http://a.example/plain'),
    ),
    at('a body above the limit', post('/small'), once('http://a.example/plain')),
    at('twice where one is allowed', get('/once'), {
      replies: [[moved('http://a.example/once')], [moved('http://a.example/plain')]],
    }),
    at('thrice', get('/thrice'), {
      replies: [
        [moved('http://a.example/thrice')],
        [moved('http://a.example/thrice?2')],
        [moved('http://a.example/thrice?3')],
        [moved('http://a.example/thrice?4')],
      ],
    }),
    at('never', get('/none'), once('http://a.example/plain')),
    at('across schemes', get('/cross'), once('https://a.example/plain')),
    at('across schemes, not safely', get('/safe'), once('https://a.example/plain')),
    at('the same scheme is safe', get('/safe'), once('http://a.example/plain')),
    at('not twice to one route', get('/previous'), { replies: [[moved('http://b.example/')], [answer('200 OK')]] }),
    at('not back to where it came from', get('/previous'), {
      replies: [[moved('http://a.example/previous?1')], [moved('http://a.example/previous?2')], [answer('200 OK')]],
    }),
    at('to a listed route', get('/listed'), { replies: [[moved('http://b.example/')]] }),
    at('to a route that is not listed', get('/listed'), once('http://a.example/plain')),
    at(
      'headers of the answer are copied',
      get('/copied', 'x-gone: 1', 'x-copy: old'),
      once('http://a.example/plain', '302 Found', 'x-copy: new', 'x-two: 1', 'x-two: 2'),
    ),
    at('the older fields', get('/old'), {
      replies: [
        [moved('http://a.example/old?1')],
        [moved('http://a.example/old?2')],
        [moved('http://a.example/plain')],
      ],
    }),
    at('the older fields, off', get('/off'), once('http://a.example/plain')),
    at('from a rewritten path', get('/rewritten/x'), once('http://a.example/plain')),
    at('a retry goes before', get('/retried'), {
      replies: [[moved('http://a.example/plain')], [moved('http://a.example/plain?2')], [answer('200 OK')]],
    }),
    at('the second request fails', get('/once'), { replies: [[moved('http://a.example/plain')], [{ close: 'full' }]] }),
    at(
      'the original URL is not believed',
      get('/once', 'x-envoy-original-url: http://x/'),
      once('http://a.example/plain'),
    ),
    at('at the edge', get('/once', 'x-forwarded-for: 1.2.3.4'), once('http://a.example/plain'), { listener: 'edge' }),
    at('an answer whose body is longer', get('/once'), {
      replies: [
        [
          'HTTP/1.1 302 Found\r\nlocation: http://a.example/plain\r\ncontent-length: 9\r\n\r\nhalf',
          { waitMs: 60 },
          { close: 'full' },
        ],
        [answer('200 OK', [], 'there')],
      ],
    }),
    {
      name: 'the answer comes before the body',
      client: [
        request('POST', '/once', ['content-length: 10', 'host: early.example'], 'hello'),
        { upstreamSaw: 1 },
        { answers: 1 },
      ],
      upstreams: { a: { early: true, replies: [[moved('http://a.example/plain')]] } },
    },
    {
      name: 'requests behind one that is redirected',
      client: [get('/once') + get('/plain?second')],
      answers: 2,
      upstreams: { a: once('http://b.example/x') },
    },
    at('mirrored', get('/mirrored'), once('http://a.example/plain'), {
      client: [get('/mirrored'), { upstreamSaw: 3 }],
    }),
  ],
};
