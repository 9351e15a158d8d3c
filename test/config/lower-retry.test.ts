// Retry and hedge policies: every honoured field with a non-default value, Envoy's defaults, refusals.

import t from 'tap';
import { lowerCluster } from '../../proxy/config/lower/cluster.ts';
import { lowerRetryPolicy } from '../../proxy/config/lower/retry.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { RetryPolicyModel } from '../../proxy/config/model/route.ts';
import { lowered, refusal, TYPE } from '../fixtures/lower.ts';

const POLICY = 'envoy.config.route.v3.RetryPolicy';
const HOST = `${TYPE}envoy.extensions.retry.host.`;

const retry = (json: object): RetryPolicyModel =>
  lowered((message, _ctx, path) => lowerRetryPolicy(message, path), POLICY, json);
const predicate = (type: string, config: object = {}): object => ({
  name: 'p',
  typed_config: { '@type': `${HOST}${type}`, ...config },
});

/** The action of a route in a virtual host. */
function action(route: object, host: object = {}): unknown {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'c', ...route } }];
  const json = { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes, ...host }] };
  return lowered(lowerRouteConfig, 'envoy.config.route.v3.RouteConfiguration', json).virtualHosts[0]?.routes[0]?.action;
}

const DEFAULTS: RetryPolicyModel = {
  retryOn: ['5xx'],
  numRetries: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backOffBaseMs: -1,
  backOffMaxMs: -1,
  resetHeaders: [],
  resetMaxMs: 300_000,
  hostSelectionRetryMaxAttempts: 1,
  hostPredicates: [],
  refreshCluster: false,
  previousPriorities: 0,
};

t.test('defaults, and all that is set', async (t) => {
  t.same(retry({ retry_on: '5xx' }), DEFAULTS);
  t.match(
    retry({
      retry_on: ' gateway-error,bogus, unavailable,gateway-error',
      num_retries: 0,
      per_try_timeout: '1s',
      per_try_idle_timeout: '2s',
      retriable_status_codes: [409],
      retriable_headers: [{ name: 'A' }],
      retriable_request_headers: [{ name: 'B' }],
      retry_back_off: { base_interval: '0.1s', max_interval: '0.3s' },
      rate_limited_retry_back_off: {
        reset_headers: [{ name: 'Retry-After' }, { name: 'X-Reset', format: 'UNIX_TIMESTAMP' }],
        max_interval: '5s',
      },
      host_selection_retry_max_attempts: '5',
      refresh_cluster_on_retry: true,
      retry_priority: {
        name: 'p',
        typed_config: {
          '@type': `${TYPE}envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig`,
          update_frequency: 2,
        },
      },
      retry_host_predicate: [
        predicate('previous_hosts.v3.PreviousHostsPredicate'),
        predicate('omit_canary_hosts.v3.OmitCanaryHostsPredicate'),
        predicate('omit_host_metadata.v3.OmitHostMetadataConfig', {
          metadata_match: { filter_metadata: { 'envoy.lb': { zone: 'a' }, other: { zone: 'b' } } },
        }),
      ],
    }),
    {
      retryOn: ['gateway-error', 'unavailable'],
      numRetries: 0,
      perTryTimeoutMs: 1_000,
      perTryIdleTimeoutMs: 2_000,
      retriableStatusCodes: [409],
      retriableHeaders: [{ name: 'a' }],
      retriableRequestHeaders: [{ name: 'b' }],
      backOffBaseMs: 100,
      backOffMaxMs: 300,
      resetHeaders: [
        { name: 'retry-after', format: 'seconds' },
        { name: 'x-reset', format: 'unix_timestamp' },
      ],
      resetMaxMs: 5_000,
      hostSelectionRetryMaxAttempts: 5,
      refreshCluster: true,
      previousPriorities: 2,
      hostPredicates: [
        { kind: 'previous_hosts' },
        { kind: 'omit_canary_hosts' },
        { kind: 'omit_metadata', labels: { zone: 'a' } },
      ],
    },
  );
  t.match(retry({ retry_back_off: { base_interval: '0.1s' } }), { backOffBaseMs: 100, backOffMaxMs: 1_000 });
});

t.test('what a virtual host says holds for routes that say nothing', async (t) => {
  t.match(action({}, { retry_policy: { retry_on: '5xx' } }), { retry: DEFAULTS });
  const hedged = { hedge_policy: { hedge_on_per_try_timeout: true } };
  t.match(action({}, hedged), { hedgeOnPerTryTimeout: true });
  t.match(action({ hedge_policy: {} }, hedged), { hedgeOnPerTryTimeout: false });
  t.match(action(hedged), { hedgeOnPerTryTimeout: true });
});

t.test('a cluster has a policy of its own', async (t) => {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const options = { '@type': TYPE + type, explicit_http_config: {}, retry_policy: { retry_on: '5xx' } };
  const lower = (json: object) => lowered(lowerCluster, 'envoy.config.cluster.v3.Cluster', { name: 'c', ...json });
  t.same(lower({ typed_extension_protocol_options: { [type]: options } }).retry, DEFAULTS);
  t.equal(lower({}).retry, null);
});

t.test('what stock Envoy does not have is refused', async (t) => {
  t.equal(
    refusal(() => retry({ retry_host_predicate: [{ name: 'p' }] })),
    "it.retry_host_predicate[0]: Didn't find a registered implementation for 'p' with type URL: ''",
  );
});
