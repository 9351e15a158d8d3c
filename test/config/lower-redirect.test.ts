// Policies of redirects that the proxy follows: every honoured field, the older two, refusals in Envoy's words.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { InternalRedirectModel } from '../../proxy/config/model/redirect.ts';
import { lowered, refusal, TYPE } from '../fixtures/lower.ts';

const PREDICATES = `${TYPE}envoy.extensions.internal_redirect.`;

function policy(action: object): InternalRedirectModel | null {
  const route = { match: { prefix: '/' }, route: { cluster: 'a', ...action } };
  const json = { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }] };
  const config = lowered(lowerRouteConfig, 'envoy.config.route.v3.RouteConfiguration', json, new LowerContext());
  const model = config.virtualHosts[0]?.routes[0]?.action;
  if (model?.kind !== 'route') throw new Error('no route');
  return model.internalRedirect;
}

const refused = (internal_redirect_policy: object): string =>
  refusal(() => policy({ internal_redirect_policy })).replace(/^.*internal_redirect_policy\./, '');

t.test('every field', async (t) => {
  const predicates = [
    { name: 'a', typed_config: { '@type': `${PREDICATES}previous_routes.v3.PreviousRoutesConfig` } },
    { name: 'b', typed_config: { '@type': `${PREDICATES}safe_cross_scheme.v3.SafeCrossSchemeConfig` } },
    {
      name: 'c',
      typed_config: {
        '@type': `${PREDICATES}allow_listed_routes.v3.AllowListedRoutesConfig`,
        allowed_route_names: ['x', 'y'],
      },
    },
  ];
  const all = {
    max_internal_redirects: 4,
    redirect_response_codes: [301, 200, 303],
    predicates,
    allow_cross_scheme_redirect: true,
    response_headers_to_copy: ['X-A'],
  };
  t.same(policy({ internal_redirect_policy: all }), {
    maxRedirects: 4,
    codes: [301, 303],
    allowCrossScheme: true,
    predicates: [
      { kind: 'previous_routes' },
      { kind: 'safe_cross_scheme' },
      { kind: 'allow_listed_routes', names: ['x', 'y'] },
    ],
    headersToCopy: ['x-a'],
  });
});

t.test('defaults and the older fields', async (t) => {
  const plain = { maxRedirects: 1, codes: [302], allowCrossScheme: false, predicates: [], headersToCopy: [] };
  t.equal(policy({}), null);
  t.same(policy({ internal_redirect_policy: {} }), plain);
  t.same(policy({ internal_redirect_policy: { redirect_response_codes: [200] } }), { ...plain, codes: [] });
  t.equal(policy({ internal_redirect_action: 'PASS_THROUGH_INTERNAL_REDIRECT', max_internal_redirects: 3 }), null);
  t.same(policy({ internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT', max_internal_redirects: 3 }), {
    ...plain,
    maxRedirects: 3,
  });
  t.same(policy({ internal_redirect_policy: {}, internal_redirect_action: 1, max_internal_redirects: 3 }), plain);
});

t.test('refusals', async (t) => {
  const sentence = ':-prefixed headers or Hosts may not be specified here.';
  t.equal(refused({ response_headers_to_copy: [':path'] }), `response_headers_to_copy[0]: ${sentence}`);
  t.equal(refused({ response_headers_to_copy: ['a', 'Host'] }), `response_headers_to_copy[1]: ${sentence}`);
  t.equal(
    refused({ predicates: [{ name: 'x', typed_config: { '@type': `${TYPE}envoy.config.route.v3.FilterConfig` } }] }),
    "predicates[0].typed_config: Didn't find a registered implementation for 'x' with type URL: 'envoy.config.route.v3.FilterConfig'",
  );
});
