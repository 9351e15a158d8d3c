// The stats of one cluster and of one host, in Envoy's spelling, and the index of each in its block.
//
// The list is what stock Envoy 1.40 prints under `cluster.<name>.` for a cluster without traffic. Histograms are only
// named here: they are allocated at their first sample.

import type { Catalogue, StatKind } from './stats.ts';

/** Name and kind of every fixed counter and gauge of a cluster; the position is the index. */
const CLUSTER_STATS: readonly (readonly [name: string, kind: StatKind])[] = [
  ['assignment_stale', 'c'],
  ['assignment_timeout_received', 'c'],
  ['assignment_use_cached', 'c'],
  ['bind_errors', 'c'],
  ['circuit_breakers.default.cx_open', 'g'],
  ['circuit_breakers.default.cx_pool_open', 'g'],
  ['circuit_breakers.default.rq_open', 'g'],
  ['circuit_breakers.default.rq_pending_open', 'g'],
  ['circuit_breakers.default.rq_retry_open', 'g'],
  ['circuit_breakers.high.cx_open', 'g'],
  ['circuit_breakers.high.cx_pool_open', 'g'],
  ['circuit_breakers.high.rq_open', 'g'],
  ['circuit_breakers.high.rq_pending_open', 'g'],
  ['circuit_breakers.high.rq_retry_open', 'g'],
  ['lb_healthy_panic', 'c'],
  ['lb_local_cluster_not_ok', 'c'],
  ['lb_recalculate_zone_structures', 'c'],
  ['lb_subsets_active', 'g'],
  ['lb_subsets_created', 'c'],
  ['lb_subsets_fallback', 'c'],
  ['lb_subsets_fallback_panic', 'c'],
  ['lb_subsets_removed', 'c'],
  ['lb_subsets_selected', 'c'],
  ['lb_zone_cluster_too_small', 'c'],
  ['lb_zone_no_capacity_left', 'c'],
  ['lb_zone_routing_all_directly', 'c'],
  ['lb_zone_routing_cross_zone', 'c'],
  ['lb_zone_routing_sampled', 'c'],
  ['max_host_weight', 'g'],
  ['membership_change', 'c'],
  ['membership_degraded', 'g'],
  ['membership_excluded', 'g'],
  ['membership_healthy', 'g'],
  ['membership_total', 'g'],
  ['original_dst_host_invalid', 'c'],
  ['retry_or_shadow_abandoned', 'c'],
  ['update_attempt', 'c'],
  ['update_empty', 'c'],
  ['update_failure', 'c'],
  ['update_no_rebuild', 'c'],
  ['update_success', 'c'],
  ['upstream_cx_active', 'g'],
  ['upstream_cx_close_notify', 'c'],
  ['upstream_cx_connect_attempts_exceeded', 'c'],
  ['upstream_cx_connect_fail', 'c'],
  ['upstream_cx_connect_timeout', 'c'],
  ['upstream_cx_connect_with_0_rtt', 'c'],
  ['upstream_cx_destroy', 'c'],
  ['upstream_cx_destroy_local', 'c'],
  ['upstream_cx_destroy_local_with_active_rq', 'c'],
  ['upstream_cx_destroy_remote', 'c'],
  ['upstream_cx_destroy_remote_with_active_rq', 'c'],
  ['upstream_cx_destroy_with_active_rq', 'c'],
  ['upstream_cx_http1_total', 'c'],
  ['upstream_cx_http2_total', 'c'],
  ['upstream_cx_http3_total', 'c'],
  ['upstream_cx_idle_timeout', 'c'],
  ['upstream_cx_max_duration_reached', 'c'],
  ['upstream_cx_max_requests', 'c'],
  ['upstream_cx_none_healthy', 'c'],
  ['upstream_cx_overflow', 'c'],
  ['upstream_cx_pool_overflow', 'c'],
  ['upstream_cx_preconnect_skipped', 'c'],
  ['upstream_cx_protocol_error', 'c'],
  ['upstream_cx_rx_bytes_buffered', 'g'],
  ['upstream_cx_rx_bytes_total', 'c'],
  ['upstream_cx_total', 'c'],
  ['upstream_cx_tx_bytes_buffered', 'g'],
  ['upstream_cx_tx_bytes_total', 'c'],
  ['upstream_flow_control_backed_up_total', 'c'],
  ['upstream_flow_control_drained_total', 'c'],
  ['upstream_flow_control_paused_reading_total', 'c'],
  ['upstream_flow_control_resumed_reading_total', 'c'],
  ['upstream_http3_broken', 'c'],
  ['upstream_internal_redirect_failed_total', 'c'],
  ['upstream_internal_redirect_succeeded_total', 'c'],
  ['upstream_queue_overloaded', 'g'],
  ['upstream_rq_0rtt', 'c'],
  ['upstream_rq_active', 'g'],
  ['upstream_rq_active_overflow', 'c'],
  ['upstream_rq_cancelled', 'c'],
  ['upstream_rq_completed', 'c'],
  ['upstream_rq_maintenance_mode', 'c'],
  ['upstream_rq_max_duration_reached', 'c'],
  ['upstream_rq_pending_active', 'g'],
  ['upstream_rq_pending_failure_eject', 'c'],
  ['upstream_rq_pending_overflow', 'c'],
  ['upstream_rq_pending_total', 'c'],
  ['upstream_rq_per_try_idle_timeout', 'c'],
  ['upstream_rq_per_try_timeout', 'c'],
  ['upstream_rq_retry', 'c'],
  ['upstream_rq_retry_backoff_exponential', 'c'],
  ['upstream_rq_retry_backoff_ratelimited', 'c'],
  ['upstream_rq_retry_limit_exceeded', 'c'],
  ['upstream_rq_retry_overflow', 'c'],
  ['upstream_rq_retry_success', 'c'],
  ['upstream_rq_rx_reset', 'c'],
  ['upstream_rq_rx_reset_no_error', 'c'],
  ['upstream_rq_timeout', 'c'],
  ['upstream_rq_total', 'c'],
  ['upstream_rq_tx_reset', 'c'],
  ['version', 'g'],
  ['warming_state', 'g'],
];

/** Everything that a default cluster prints under `cluster.<statName>.`. */
export const CLUSTER_CATALOGUE: Catalogue = {
  key: 'cluster',
  names: CLUSTER_STATS.map(([name]) => name),
  kinds: CLUSTER_STATS.map(([, kind]) => kind),
};

/** Names of the histograms under `cluster.<statName>.`, each made at its first sample. */
export const CLUSTER_HISTOGRAMS: readonly string[] = [
  'upstream_cx_connect_ms',
  'upstream_cx_length_ms',
  'upstream_rq_per_cx',
];

/** Counter of Envoy's transport socket matcher, one for each cluster's default socket: 1 from the start. */
export const DEFAULT_TOTAL_MATCH_COUNT = 'default.total_match_count';

/** Printed under `cluster.<statName>.http1.` once a cluster has had an HTTP/1 connection. */
export const CLUSTER_HTTP1_CATALOGUE: Catalogue = {
  key: 'cluster_http1',
  names: [
    'dropped_headers_with_underscores',
    'metadata_not_supported_error',
    'requests_rejected_with_underscores_in_headers',
    'response_flood',
  ],
  kinds: ['c', 'c', 'c', 'c'],
};

/** Printed under `cluster.<statName>.circuit_breakers.<priority>.` only when `track_remaining` is set. */
export const REMAINING_CATALOGUE: Catalogue = {
  key: 'cluster_remaining',
  names: ['remaining_cx', 'remaining_cx_pools', 'remaining_pending', 'remaining_retries', 'remaining_rq'],
  kinds: ['g', 'g', 'g', 'g', 'g'],
};

export const REMAINING_CX = 0;
export const REMAINING_CX_POOLS = 1;
export const REMAINING_PENDING = 2;
export const REMAINING_RETRIES = 3;
export const REMAINING_RQ = 4;

/** Stats of one host, shown by `/clusters` and never by `/stats`; prefix `<cluster name>.<address>.`. */
export const HOST_CATALOGUE: Catalogue = {
  key: 'host',
  names: [
    'cx_active',
    'cx_connect_fail',
    'cx_total',
    'rq_active',
    'rq_error',
    'rq_pending_active',
    'rq_success',
    'rq_timeout',
    'rq_total',
  ],
  kinds: ['g', 'c', 'c', 'g', 'c', 'g', 'c', 'c', 'c'],
};

export const HOST_CX_ACTIVE = 0;
export const HOST_CX_CONNECT_FAIL = 1;
export const HOST_CX_TOTAL = 2;
export const HOST_RQ_ACTIVE = 3;
export const HOST_RQ_ERROR = 4;
export const HOST_RQ_PENDING_ACTIVE = 5;
export const HOST_RQ_SUCCESS = 6;
export const HOST_RQ_TIMEOUT = 7;
export const HOST_RQ_TOTAL = 8;

export const ASSIGNMENT_STALE = 0;
export const ASSIGNMENT_TIMEOUT_RECEIVED = 1;
export const ASSIGNMENT_USE_CACHED = 2;
export const BIND_ERRORS = 3;
export const CIRCUIT_BREAKERS_DEFAULT_CX_OPEN = 4;
export const CIRCUIT_BREAKERS_DEFAULT_CX_POOL_OPEN = 5;
export const CIRCUIT_BREAKERS_DEFAULT_RQ_OPEN = 6;
export const CIRCUIT_BREAKERS_DEFAULT_RQ_PENDING_OPEN = 7;
export const CIRCUIT_BREAKERS_DEFAULT_RQ_RETRY_OPEN = 8;
export const CIRCUIT_BREAKERS_HIGH_CX_OPEN = 9;
export const CIRCUIT_BREAKERS_HIGH_CX_POOL_OPEN = 10;
export const CIRCUIT_BREAKERS_HIGH_RQ_OPEN = 11;
export const CIRCUIT_BREAKERS_HIGH_RQ_PENDING_OPEN = 12;
export const CIRCUIT_BREAKERS_HIGH_RQ_RETRY_OPEN = 13;
export const LB_HEALTHY_PANIC = 14;
export const LB_LOCAL_CLUSTER_NOT_OK = 15;
export const LB_RECALCULATE_ZONE_STRUCTURES = 16;
export const LB_SUBSETS_ACTIVE = 17;
export const LB_SUBSETS_CREATED = 18;
export const LB_SUBSETS_FALLBACK = 19;
export const LB_SUBSETS_FALLBACK_PANIC = 20;
export const LB_SUBSETS_REMOVED = 21;
export const LB_SUBSETS_SELECTED = 22;
export const LB_ZONE_CLUSTER_TOO_SMALL = 23;
export const LB_ZONE_NO_CAPACITY_LEFT = 24;
export const LB_ZONE_ROUTING_ALL_DIRECTLY = 25;
export const LB_ZONE_ROUTING_CROSS_ZONE = 26;
export const LB_ZONE_ROUTING_SAMPLED = 27;
export const MAX_HOST_WEIGHT = 28;
export const MEMBERSHIP_CHANGE = 29;
export const MEMBERSHIP_DEGRADED = 30;
export const MEMBERSHIP_EXCLUDED = 31;
export const MEMBERSHIP_HEALTHY = 32;
export const MEMBERSHIP_TOTAL = 33;
export const ORIGINAL_DST_HOST_INVALID = 34;
export const RETRY_OR_SHADOW_ABANDONED = 35;
export const UPDATE_ATTEMPT = 36;
export const UPDATE_EMPTY = 37;
export const UPDATE_FAILURE = 38;
export const UPDATE_NO_REBUILD = 39;
export const UPDATE_SUCCESS = 40;
export const UPSTREAM_CX_ACTIVE = 41;
export const UPSTREAM_CX_CLOSE_NOTIFY = 42;
export const UPSTREAM_CX_CONNECT_ATTEMPTS_EXCEEDED = 43;
export const UPSTREAM_CX_CONNECT_FAIL = 44;
export const UPSTREAM_CX_CONNECT_TIMEOUT = 45;
export const UPSTREAM_CX_CONNECT_WITH_0_RTT = 46;
export const UPSTREAM_CX_DESTROY = 47;
export const UPSTREAM_CX_DESTROY_LOCAL = 48;
export const UPSTREAM_CX_DESTROY_LOCAL_WITH_ACTIVE_RQ = 49;
export const UPSTREAM_CX_DESTROY_REMOTE = 50;
export const UPSTREAM_CX_DESTROY_REMOTE_WITH_ACTIVE_RQ = 51;
export const UPSTREAM_CX_DESTROY_WITH_ACTIVE_RQ = 52;
export const UPSTREAM_CX_HTTP1_TOTAL = 53;
export const UPSTREAM_CX_HTTP2_TOTAL = 54;
export const UPSTREAM_CX_HTTP3_TOTAL = 55;
export const UPSTREAM_CX_IDLE_TIMEOUT = 56;
export const UPSTREAM_CX_MAX_DURATION_REACHED = 57;
export const UPSTREAM_CX_MAX_REQUESTS = 58;
export const UPSTREAM_CX_NONE_HEALTHY = 59;
export const UPSTREAM_CX_OVERFLOW = 60;
export const UPSTREAM_CX_POOL_OVERFLOW = 61;
export const UPSTREAM_CX_PRECONNECT_SKIPPED = 62;
export const UPSTREAM_CX_PROTOCOL_ERROR = 63;
export const UPSTREAM_CX_RX_BYTES_BUFFERED = 64;
export const UPSTREAM_CX_RX_BYTES_TOTAL = 65;
export const UPSTREAM_CX_TOTAL = 66;
export const UPSTREAM_CX_TX_BYTES_BUFFERED = 67;
export const UPSTREAM_CX_TX_BYTES_TOTAL = 68;
export const UPSTREAM_FLOW_CONTROL_BACKED_UP_TOTAL = 69;
export const UPSTREAM_FLOW_CONTROL_DRAINED_TOTAL = 70;
export const UPSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL = 71;
export const UPSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL = 72;
export const UPSTREAM_HTTP3_BROKEN = 73;
export const UPSTREAM_INTERNAL_REDIRECT_FAILED_TOTAL = 74;
export const UPSTREAM_INTERNAL_REDIRECT_SUCCEEDED_TOTAL = 75;
export const UPSTREAM_QUEUE_OVERLOADED = 76;
export const UPSTREAM_RQ_0RTT = 77;
export const UPSTREAM_RQ_ACTIVE = 78;
export const UPSTREAM_RQ_ACTIVE_OVERFLOW = 79;
export const UPSTREAM_RQ_CANCELLED = 80;
export const UPSTREAM_RQ_COMPLETED = 81;
export const UPSTREAM_RQ_MAINTENANCE_MODE = 82;
export const UPSTREAM_RQ_MAX_DURATION_REACHED = 83;
export const UPSTREAM_RQ_PENDING_ACTIVE = 84;
export const UPSTREAM_RQ_PENDING_FAILURE_EJECT = 85;
export const UPSTREAM_RQ_PENDING_OVERFLOW = 86;
export const UPSTREAM_RQ_PENDING_TOTAL = 87;
export const UPSTREAM_RQ_PER_TRY_IDLE_TIMEOUT = 88;
export const UPSTREAM_RQ_PER_TRY_TIMEOUT = 89;
export const UPSTREAM_RQ_RETRY = 90;
export const UPSTREAM_RQ_RETRY_BACKOFF_EXPONENTIAL = 91;
export const UPSTREAM_RQ_RETRY_BACKOFF_RATELIMITED = 92;
export const UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED = 93;
export const UPSTREAM_RQ_RETRY_OVERFLOW = 94;
export const UPSTREAM_RQ_RETRY_SUCCESS = 95;
export const UPSTREAM_RQ_RX_RESET = 96;
export const UPSTREAM_RQ_RX_RESET_NO_ERROR = 97;
export const UPSTREAM_RQ_TIMEOUT = 98;
export const UPSTREAM_RQ_TOTAL = 99;
export const UPSTREAM_RQ_TX_RESET = 100;
export const VERSION = 101;
export const WARMING_STATE = 102;
