// Mirror policies: every honoured field with a non-default value, inheritance, refusals in the words of Envoy 1.40.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { MirrorModel } from '../../proxy/config/model/mirror.ts';
import { lowered, refusal } from '../fixtures/lower.ts';

const ROUTES = 'envoy.config.route.v3.RouteConfiguration';

/** What holds for the one route. */
function mirrors(
  ofRoute: object[],
  ofHost: object[] = [],
  ofConfig: object[] = [],
  known?: string[],
): readonly MirrorModel[] {
  const route = { match: { prefix: '/' }, route: { cluster: 'a', request_mirror_policies: ofRoute } };
  const host = { name: 'v', domains: ['*'], routes: [route], request_mirror_policies: ofHost };
  const ctx = new LowerContext();
  if (known !== undefined) ctx.clusterNames = new Set(known);
  const config = lowered(lowerRouteConfig, ROUTES, { virtual_hosts: [host], request_mirror_policies: ofConfig }, ctx);
  const action = config.virtualHosts[0]?.routes[0]?.action;
  if (action?.kind !== 'route') throw new Error('no route');
  return action.mirrors;
}

const refused = (...policies: object[]): string =>
  refusal(() => mirrors(policies, [], [], ['a'])).replace(/^it\.virtual_hosts\[0\]\.routes\[0\]\.route\./, '');

t.test('every field', async (t) => {
  const all = {
    cluster: 'm',
    runtime_fraction: { default_value: { numerator: 7, denominator: 'TEN_THOUSAND' }, runtime_key: 'k' },
    trace_sampled: true,
    disable_shadow_host_suffix_append: true,
    host_rewrite_literal: 'm.example',
    request_headers_mutations: [
      { append: { header: { key: 'X-A', value: 'b' }, append_action: 'OVERWRITE_IF_EXISTS' } },
      { remove: 'X-B' },
      { remove_on_match: { key_matcher: { prefix: 'X-C', ignore_case: true } } },
    ],
  };
  t.same(mirrors([all, { cluster_header: 'X-To' }]), [
    {
      cluster: 'm',
      clusterHeader: '',
      fraction: { numerator: 7, denominator: 10_000, runtimeKey: 'k' },
      hostSuffix: false,
      hostRewrite: 'm.example',
      mutations: [
        { kind: 'add', add: { name: 'x-a', value: 'b', action: 'overwrite_if_exists', keepEmptyValue: false } },
        { kind: 'remove', name: 'x-b' },
        { kind: 'remove_matching', match: { kind: 'prefix', value: 'x-c', ignoreCase: true } },
      ],
    },
    { cluster: '', clusterHeader: 'x-to', fraction: null, hostSuffix: true, hostRewrite: '', mutations: [] },
  ]);
});

t.test('the innermost level that has policies decides', async (t) => {
  const names = (...levels: object[][]) => mirrors(...(levels as [object[]])).map(({ cluster }) => cluster);
  const [r, v, c] = [[{ cluster: 'r' }], [{ cluster: 'v' }], [{ cluster: 'c' }]] as const;
  t.same(names([...r], [...v], [...c]), ['r']);
  t.same(names([], [...v], [...c]), ['v']);
  t.same(names([], [], [...c]), ['c']);
  t.same(names([], [], []), []);
});

t.test('refusals', async (t) => {
  const at = 'request_mirror_policies[0]';
  t.equal(refused({}), `${at}: Exactly one of cluster or cluster_header in request mirror policy need to be specified`);
  t.equal(
    refused({ cluster: 'a', cluster_header: 'x' }),
    `${at}: Only one of cluster 'a' or cluster_header 'x' in request mirror policy can be specified`,
  );
  t.match(refused({ cluster: 'nope' }), `${at}.cluster: route: unknown shadow cluster 'nope'`);
  t.equal(
    refused({
      cluster: 'a',
      request_headers_mutations: [{ append: { header: { key: ':path', value: '/' } } }],
    }),
    `${at}.request_headers_mutations[0].append.header.key: :-prefixed or host headers may not be modified`,
  );
  t.equal(
    refused({ cluster: 'a', request_headers_mutations: [{ remove: 'Host' }] }),
    `${at}.request_headers_mutations[0].remove: :-prefixed or host headers may not be removed`,
  );
  t.match(
    refused({ cluster: 'a', request_headers_mutations: [{ append: { header: { key: 'x', value: '%NOPE%' } } }] }),
    'Not supported field in StreamInfo: NOPE',
  );
});
