// The fault filter's configuration.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerFault } from '../../proxy/config/lower/fault.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import type { FaultModel } from '../../proxy/config/model/fault.ts';
import { validateMessage } from '../../proxy/config/read/validate.ts';
import { decode, hcm, lowered, ROUTER, refusal, TYPE } from '../fixtures/lower.ts';

const FAULT = 'envoy.extensions.filters.http.fault.v3.HTTPFault';
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const OPTIONS = { onDeprecated: () => {}, onUnknown: () => {} };

const lower = (json: object): FaultModel => lowerFault(decode(FAULT, json), 'p');
const KEYS = {
  delayPercent: 'fault.http.delay.fixed_delay_percent',
  abortPercent: 'fault.http.abort.abort_percent',
  delayDuration: 'fault.http.delay.fixed_duration_ms',
  abortHttpStatus: 'fault.http.abort.http_status',
  abortGrpcStatus: 'fault.http.abort.grpc_status',
  maxActiveFaults: 'fault.http.max_active_faults',
  responseRateLimitPercent: 'fault.http.rate_limit.response_percent',
};
const EMPTY: FaultModel = {
  kind: 'fault',
  delay: null,
  abort: null,
  responseRateLimit: null,
  upstreamCluster: '',
  headers: [],
  downstreamNodes: [],
  maxActiveFaults: -1,
  runtimeKeys: KEYS,
  disableDownstreamClusterStats: false,
  filterMetadata: {},
};

t.test('nothing', async (t) => {
  t.same(lower({}), EMPTY);
});

t.test('every field', async (t) => {
  const half = { numerator: 500_000, denominator: 'MILLION' };
  const share = { numerator: 500_000, denominator: 1_000_000 };
  const model = lower({
    delay: { fixed_delay: '1.5009s', percentage: half },
    abort: { http_status: 503, percentage: half, response_body: 'é' },
    response_rate_limit: { fixed_limit: { limit_kbps: 9 }, percentage: { numerator: 1 } },
    upstream_cluster: 'u',
    headers: [{ name: 'X-A', present_match: true }],
    downstream_nodes: ['n'],
    max_active_faults: 0,
    delay_percent_runtime: 'a',
    abort_percent_runtime: 'b',
    delay_duration_runtime: 'c',
    abort_http_status_runtime: 'd',
    max_active_faults_runtime: 'e',
    response_rate_limit_percent_runtime: 'f',
    abort_grpc_status_runtime: 'g',
    disable_downstream_cluster_stats: true,
    filter_metadata: { k: [1] },
  });
  t.match(model, {
    delay: { delayMs: 1500, share },
    abort: { error: { kind: 'http', status: 503 }, share, responseBody: '\u00c3\u00a9' },
    responseRateLimit: { kibPerSecond: 9, share: { numerator: 1, denominator: 100 } },
    upstreamCluster: 'u',
    headers: [{ name: 'x-a' }],
    downstreamNodes: ['n'],
    maxActiveFaults: 0,
    runtimeKeys: {
      delayPercent: 'a',
      abortPercent: 'b',
      delayDuration: 'c',
      abortHttpStatus: 'd',
      maxActiveFaults: 'e',
      responseRateLimitPercent: 'f',
      abortGrpcStatus: 'g',
    },
    disableDownstreamClusterStats: true,
    filterMetadata: { k: [1] },
  });
  const asked = lower({
    delay: { header_delay: {} },
    abort: { header_abort: {} },
    response_rate_limit: { header_limit: {} },
  });
  const never = { numerator: 0, denominator: 100 };
  t.match(asked, {
    delay: { delayMs: -1, share: never },
    abort: { error: { kind: 'header' }, share: never },
    responseRateLimit: { kibPerSecond: -1, share: never },
  });
  t.match(lower({ abort: { grpc_status: 14 } }).abort, { error: { kind: 'grpc', status: 14 } });
});

t.test('what Envoy’s rules refuse, with its path', async (t) => {
  const words: readonly (readonly [json: object, words: string])[] = [
    [{ abort: {} }, 'abort'],
    [{ abort: { http_status: 199 } }, 'abort.http_status'],
    [{ abort: { http_status: 600 } }, 'abort.http_status'],
    [{ delay: {} }, 'delay'],
    [{ delay: { fixed_delay: '0s' } }, 'delay.fixed_delay'],
    [{ delay: { fixed_delay: '-1s' } }, 'delay.fixed_delay'],
    [{ response_rate_limit: {} }, 'response_rate_limit'],
    [{ response_rate_limit: { fixed_limit: { limit_kbps: 0 } } }, 'response_rate_limit.fixed_limit.limit_kbps'],
    [{ downstream_nodes: [], headers: [{ name: '' }] }, 'headers[0].name'],
  ];
  for (const [json, path] of words) {
    t.match(
      refusal(() => validateMessage(decode(FAULT, json), 'p', OPTIONS)),
      `p.${path}`,
      JSON.stringify(json),
    );
  }
});

t.test('managers that may inject faults count them together', async (t) => {
  const ctx = new LowerContext();
  const fault = { name: 'f', disabled: true, typed_config: { '@type': `${TYPE}${FAULT}` } };
  for (const stat_prefix of ['a', 'b', 'a']) {
    lowered(lowerHttpConnectionManager, HCM, hcm({ stat_prefix, http_filters: [fault, ROUTER] }), ctx);
  }
  lowered(lowerHttpConnectionManager, HCM, hcm({ stat_prefix: 'none' }), ctx);
  t.same([...ctx.faultScopes], ['http.a.', 'http.b.']);
});
