// CORS policies, in both types, and where the older one stands.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { EMPTY_CORS_POLICY, lowerCorsPolicy } from '../../proxy/config/lower/cors.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { CorsPolicyModel } from '../../proxy/config/model/http-filter.ts';
import { LEGACY_CORS } from '../../proxy/config/model/http-filter.ts';
import { decode, lowered, refusal } from '../fixtures/lower.ts';

const TYPES = ['envoy.extensions.filters.http.cors.v3.CorsPolicy', LEGACY_CORS];
const ROUTE_CONFIG = 'envoy.config.route.v3.RouteConfiguration';

const policy = (type: string, json: object): CorsPolicyModel => lowerCorsPolicy(decode(type, json), 'p');

t.test('every field', async (t) => {
  const share = (numerator: number, runtime_key: string): object => ({
    default_value: { numerator, denominator: 'MILLION' },
    runtime_key,
  });
  for (const type of TYPES) {
    const full = policy(type, {
      allow_origin_string_match: [{ exact: 'https://é' }, { prefix: 'A', ignore_case: true }],
      allow_methods: 'GET',
      allow_headers: 'x-a',
      expose_headers: 'x-b',
      max_age: '1',
      allow_credentials: false,
      filter_enabled: share(1, 'a'),
      shadow_enabled: share(2, 'b'),
      allow_private_network_access: true,
      forward_not_matching_preflights: true,
    });
    t.same(full, {
      kind: 'cors',
      allowOrigin: [
        { kind: 'exact', value: 'https://\u00c3\u00a9', ignoreCase: false },
        { kind: 'prefix', value: 'a', ignoreCase: true },
      ],
      allowMethods: 'GET',
      allowHeaders: 'x-a',
      exposeHeaders: 'x-b',
      maxAge: '1',
      allowCredentials: false,
      allowPrivateNetworkAccess: true,
      forwardNotMatchingPreflights: true,
      filterEnabled: { numerator: 1, denominator: 1_000_000, runtimeKey: 'a' },
      shadowEnabled: { numerator: 2, denominator: 1_000_000, runtimeKey: 'b' },
    });
    t.same(policy(type, {}), EMPTY_CORS_POLICY);
    t.match(
      refusal(() => policy(type, { allow_origin_string_match: [{}] })),
      'p.allow_origin_string_match[0]',
    );
  }
});

t.test('the older policies stand beside what is said to filters', async (t) => {
  const route = { match: { prefix: '/' }, route: { cluster: 'a', cors: { max_age: '2' } } };
  const { virtualHosts } = lowered(
    lowerRouteConfig,
    ROUTE_CONFIG,
    { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route], cors: { max_age: '1' } }] },
    new LowerContext(),
  );
  t.match(virtualHosts[0]?.filters, { [LEGACY_CORS]: { disabled: false, config: { maxAge: '1' } } });
  t.match(virtualHosts[0]?.routes[0]?.filters, { [LEGACY_CORS]: { config: { maxAge: '2' } } });
});
