// Outlier detection: Envoy's defaults, every field with another value, runtime keys, refusals.

import t from 'tap';
import { lowerCluster } from '../../proxy/config/lower/cluster.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { OutlierModel } from '../../proxy/config/model/outlier.ts';
import { decode, refusal, TYPE } from '../fixtures/lower.ts';

function lower(outlier: object, extra: object = {}, ctx = new LowerContext()): OutlierModel | null {
  const json = { name: 'c', outlier_detection: outlier, ...extra };
  return lowerCluster(decode('envoy.config.cluster.v3.Cluster', json), ctx, 'clusters[0]').outlier;
}

/** From the comments of outlier_detection.proto. */
const DEFAULTS: OutlierModel = {
  firstCell: -1,
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  consecutiveLocalOriginFailure: 5,
  splitsLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 10,
  alwaysEjectOneHost: false,
  detectDegradedHosts: false,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  errors: null,
  enforcing: {
    consecutive_5xx: 100,
    consecutive_gateway_failure: 0,
    consecutive_local_origin_failure: 100,
    success_rate: 100,
    local_origin_success_rate: 100,
    failure_percentage: 0,
    local_origin_failure_percentage: 0,
  },
};

t.test('defaults', async (t) => {
  t.same(lower({}), DEFAULTS);
});

t.test('every field', async (t) => {
  t.same(
    lower({
      consecutive_5xx: 1,
      interval: '2s',
      base_ejection_time: '3s',
      max_ejection_percent: 4,
      enforcing_consecutive_5xx: 5,
      enforcing_success_rate: 6,
      success_rate_minimum_hosts: 7,
      success_rate_request_volume: 8,
      success_rate_stdev_factor: 9,
      consecutive_gateway_failure: 10,
      enforcing_consecutive_gateway_failure: 11,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 13,
      enforcing_consecutive_local_origin_failure: 14,
      enforcing_local_origin_success_rate: 15,
      failure_percentage_threshold: 16,
      enforcing_failure_percentage: 17,
      enforcing_failure_percentage_local_origin: 18,
      failure_percentage_minimum_hosts: 19,
      failure_percentage_request_volume: 20,
      max_ejection_time: '21s',
      max_ejection_time_jitter: '0.022s',
      always_eject_one_host: true,
      detect_degraded_hosts: true,
    }),
    {
      firstCell: -1,
      consecutive5xx: 1,
      consecutiveGatewayFailure: 10,
      consecutiveLocalOriginFailure: 13,
      splitsLocalOrigin: true,
      intervalMs: 2_000,
      baseEjectionTimeMs: 3_000,
      maxEjectionTimeMs: 21_000,
      maxEjectionTimeJitterMs: 22,
      maxEjectionPercent: 4,
      alwaysEjectOneHost: true,
      detectDegradedHosts: true,
      successRateMinimumHosts: 7,
      successRateRequestVolume: 8,
      successRateStdevFactor: 9,
      failurePercentageThreshold: 16,
      failurePercentageMinimumHosts: 19,
      failurePercentageRequestVolume: 20,
      errors: null,
      enforcing: {
        consecutive_5xx: 5,
        consecutive_gateway_failure: 11,
        consecutive_local_origin_failure: 14,
        success_rate: 6,
        local_origin_success_rate: 15,
        failure_percentage: 17,
        local_origin_failure_percentage: 18,
      },
    },
  );
});

t.test('runtime keys win over fields', async (t) => {
  const ctx = new LowerContext();
  ctx.runtime = runtimeEntries({
    'outlier_detection.consecutive_5xx': 7,
    'outlier_detection.interval_ms': '250',
    'outlier_detection.enforcing_failure_percentage_local_origin': 200,
    'outlier_detection.max_ejection_percent': 'many',
  });
  const model = lower({ consecutive_5xx: 3, interval: '2s', max_ejection_percent: 40 }, {}, ctx);
  t.equal(model?.consecutive5xx, 7);
  t.equal(model?.intervalMs, 250);
  t.equal(model?.enforcing.local_origin_failure_percentage, 100);
  t.equal(model?.maxEjectionPercent, 40, 'what is no number is not taken');
});

t.test('a long base time lengthens the longest one', async (t) => {
  t.equal(lower({ base_ejection_time: '400s' })?.maxEjectionTimeMs, 400_000);
  t.equal(
    refusal(() => lower({ base_ejection_time: '20s', max_ejection_time: '19s' })),
    "clusters[0].outlier_detection: outlier detector's max_ejection_time cannot be smaller than base_ejection_time",
  );
});

t.test('hosts that clients choose are not watched, which is said', async (t) => {
  const ctx = new LowerContext();
  t.equal(lower({}, { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' }, ctx), null);
  t.same(ctx.unsupportedFields, ['clusters[0].outlier_detection']);
});

t.test('matchers of errors', async (t) => {
  const matching = (error_matcher: object) => ({
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http_protocol_options: {} },
        outlier_detection: { error_matcher },
      },
    },
  });
  const errors = (matcher: object) => lower({}, matching(matcher))?.errors;
  t.same(errors({ any_match: true }), { kind: 'any' });
  const header = { name: ':status', string_match: { prefix: '4' } };
  t.match(errors({ not_match: { http_response_headers_match: { headers: [header] } } }), {
    kind: 'not',
    rule: { kind: 'headers', headers: [{ name: ':status' }] },
  });
  const rules = [{ any_match: true }, { http_request_headers_match: { headers: [header] } }];
  t.same(errors({ or_match: { rules } }), { kind: 'any_of', rules: [{ kind: 'any' }, { kind: 'never' }] });
  t.same(errors({ and_match: { rules } }), { kind: 'all_of', rules: [{ kind: 'any' }, { kind: 'never' }] });
});

t.test('raw connections may go with their host', async (t) => {
  const closes = (json: object): boolean =>
    lowerCluster(decode('envoy.config.cluster.v3.Cluster', { name: 'c', ...json }), new LowerContext(), 'c')
      .closeConnectionsOnHostHealthFailure;
  t.same([closes({}), closes({ close_connections_on_host_health_failure: true })], [false, true]);
});

t.test('how long balancers may go without news', async (t) => {
  const window = (common: object): number =>
    lowerCluster(decode('envoy.config.cluster.v3.Cluster', { name: 'c', ...common }), new LowerContext(), 'c')
      .updateMergeWindowMs;
  t.equal(window({}), 1_000);
  t.equal(window({ common_lb_config: {} }), 1_000);
  t.equal(window({ common_lb_config: { update_merge_window: '0.25s' } }), 250);
});
