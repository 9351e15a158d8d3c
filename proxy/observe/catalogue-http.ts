// Stats of the HTTP connection manager and its router, as Envoy names them.
//
// Prefixes: `http.<stat_prefix>.` for the first three, `listener.<address>.http.<stat_prefix>.` for the listener's copy,
// `http1.` for the codec, `vhost.<name>.vcluster.<name>.` for virtual clusters.

import { catalogue } from './stats-catalogue.ts';

// === Connection manager: http.<stat_prefix>. ===

export const HTTP_DOWNSTREAM_CX_ACTIVE = 0;
export const HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT = 1;
export const HTTP_DOWNSTREAM_CX_DESTROY = 2;
export const HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ = 3;
export const HTTP_DOWNSTREAM_CX_DESTROY_LOCAL = 4;
export const HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ = 5;
export const HTTP_DOWNSTREAM_CX_DESTROY_REMOTE = 6;
export const HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ = 7;
export const HTTP_DOWNSTREAM_CX_DRAIN_CLOSE = 8;
export const HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE = 9;
export const HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN = 10;
export const HTTP_DOWNSTREAM_CX_HTTP1_TOTAL = 11;
export const HTTP_DOWNSTREAM_CX_HTTP2_ACTIVE = 12;
export const HTTP_DOWNSTREAM_CX_HTTP2_TOTAL = 13;
export const HTTP_DOWNSTREAM_CX_HTTP3_ACTIVE = 14;
export const HTTP_DOWNSTREAM_CX_HTTP3_TOTAL = 15;
export const HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT = 16;
export const HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED = 17;
export const HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED = 18;
export const HTTP_DOWNSTREAM_CX_OVERLOAD_DISABLE_KEEPALIVE = 19;
export const HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR = 20;
export const HTTP_DOWNSTREAM_CX_RX_BYTES_BUFFERED = 21;
export const HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL = 22;
export const HTTP_DOWNSTREAM_CX_SSL_ACTIVE = 23;
export const HTTP_DOWNSTREAM_CX_SSL_TOTAL = 24;
export const HTTP_DOWNSTREAM_CX_TOTAL = 25;
export const HTTP_DOWNSTREAM_CX_TX_BYTES_BUFFERED = 26;
export const HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL = 27;
export const HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE = 28;
export const HTTP_DOWNSTREAM_CX_UPGRADES_TOTAL = 29;
export const HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL = 30;
export const HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL = 31;
export const HTTP_DOWNSTREAM_RQ_1XX = 32;
export const HTTP_DOWNSTREAM_RQ_2XX = 33;
export const HTTP_DOWNSTREAM_RQ_3XX = 34;
export const HTTP_DOWNSTREAM_RQ_4XX = 35;
export const HTTP_DOWNSTREAM_RQ_5XX = 36;
export const HTTP_DOWNSTREAM_RQ_ACTIVE = 37;
export const HTTP_DOWNSTREAM_RQ_COMPLETED = 38;
export const HTTP_DOWNSTREAM_RQ_FAILED_PATH_NORMALIZATION = 39;
export const HTTP_DOWNSTREAM_RQ_HEADER_TIMEOUT = 40;
export const HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL = 41;
export const HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL = 42;
export const HTTP_DOWNSTREAM_RQ_HTTP3_TOTAL = 43;
export const HTTP_DOWNSTREAM_RQ_IDLE_TIMEOUT = 44;
export const HTTP_DOWNSTREAM_RQ_MAX_DURATION_REACHED = 45;
export const HTTP_DOWNSTREAM_RQ_NON_RELATIVE_PATH = 46;
export const HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE = 47;
export const HTTP_DOWNSTREAM_RQ_REDIRECTED_WITH_NORMALIZED_PATH = 48;
export const HTTP_DOWNSTREAM_RQ_REJECTED_VIA_IP_DETECTION = 49;
export const HTTP_DOWNSTREAM_RQ_RESPONSE_BEFORE_RQ_COMPLETE = 50;
export const HTTP_DOWNSTREAM_RQ_RX_RESET = 51;
export const HTTP_DOWNSTREAM_RQ_TIMEOUT = 52;
export const HTTP_DOWNSTREAM_RQ_TOO_LARGE = 53;
export const HTTP_DOWNSTREAM_RQ_TOO_MANY_PREMATURE_RESETS = 54;
export const HTTP_DOWNSTREAM_RQ_TOTAL = 55;
export const HTTP_DOWNSTREAM_RQ_TX_RESET = 56;
export const HTTP_DOWNSTREAM_RQ_WS_ON_NON_WS_ROUTE = 57;
export const HTTP_RS_TOO_LARGE = 58;
export const HTTP_DOWNSTREAM_CX_LENGTH_MS = 59;
export const HTTP_DOWNSTREAM_RQ_TIME = 60;

/** Connection manager. */
export const HTTP = catalogue('http', [
  [HTTP_DOWNSTREAM_CX_ACTIVE, 'g', 'downstream_cx_active'],
  [HTTP_DOWNSTREAM_CX_DELAYED_CLOSE_TIMEOUT, 'c', 'downstream_cx_delayed_close_timeout'],
  [HTTP_DOWNSTREAM_CX_DESTROY, 'c', 'downstream_cx_destroy'],
  [HTTP_DOWNSTREAM_CX_DESTROY_ACTIVE_RQ, 'c', 'downstream_cx_destroy_active_rq'],
  [HTTP_DOWNSTREAM_CX_DESTROY_LOCAL, 'c', 'downstream_cx_destroy_local'],
  [HTTP_DOWNSTREAM_CX_DESTROY_LOCAL_ACTIVE_RQ, 'c', 'downstream_cx_destroy_local_active_rq'],
  [HTTP_DOWNSTREAM_CX_DESTROY_REMOTE, 'c', 'downstream_cx_destroy_remote'],
  [HTTP_DOWNSTREAM_CX_DESTROY_REMOTE_ACTIVE_RQ, 'c', 'downstream_cx_destroy_remote_active_rq'],
  [HTTP_DOWNSTREAM_CX_DRAIN_CLOSE, 'c', 'downstream_cx_drain_close'],
  [HTTP_DOWNSTREAM_CX_HTTP1_ACTIVE, 'g', 'downstream_cx_http1_active'],
  [HTTP_DOWNSTREAM_CX_HTTP1_SOFT_DRAIN, 'g', 'downstream_cx_http1_soft_drain'],
  [HTTP_DOWNSTREAM_CX_HTTP1_TOTAL, 'c', 'downstream_cx_http1_total'],
  [HTTP_DOWNSTREAM_CX_HTTP2_ACTIVE, 'g', 'downstream_cx_http2_active'],
  [HTTP_DOWNSTREAM_CX_HTTP2_TOTAL, 'c', 'downstream_cx_http2_total'],
  [HTTP_DOWNSTREAM_CX_HTTP3_ACTIVE, 'g', 'downstream_cx_http3_active'],
  [HTTP_DOWNSTREAM_CX_HTTP3_TOTAL, 'c', 'downstream_cx_http3_total'],
  [HTTP_DOWNSTREAM_CX_IDLE_TIMEOUT, 'c', 'downstream_cx_idle_timeout'],
  [HTTP_DOWNSTREAM_CX_MAX_DURATION_REACHED, 'c', 'downstream_cx_max_duration_reached'],
  [HTTP_DOWNSTREAM_CX_MAX_REQUESTS_REACHED, 'c', 'downstream_cx_max_requests_reached'],
  [HTTP_DOWNSTREAM_CX_OVERLOAD_DISABLE_KEEPALIVE, 'c', 'downstream_cx_overload_disable_keepalive'],
  [HTTP_DOWNSTREAM_CX_PROTOCOL_ERROR, 'c', 'downstream_cx_protocol_error'],
  [HTTP_DOWNSTREAM_CX_RX_BYTES_BUFFERED, 'g', 'downstream_cx_rx_bytes_buffered'],
  [HTTP_DOWNSTREAM_CX_RX_BYTES_TOTAL, 'c', 'downstream_cx_rx_bytes_total'],
  [HTTP_DOWNSTREAM_CX_SSL_ACTIVE, 'g', 'downstream_cx_ssl_active'],
  [HTTP_DOWNSTREAM_CX_SSL_TOTAL, 'c', 'downstream_cx_ssl_total'],
  [HTTP_DOWNSTREAM_CX_TOTAL, 'c', 'downstream_cx_total'],
  [HTTP_DOWNSTREAM_CX_TX_BYTES_BUFFERED, 'g', 'downstream_cx_tx_bytes_buffered'],
  [HTTP_DOWNSTREAM_CX_TX_BYTES_TOTAL, 'c', 'downstream_cx_tx_bytes_total'],
  [HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE, 'g', 'downstream_cx_upgrades_active'],
  [HTTP_DOWNSTREAM_CX_UPGRADES_TOTAL, 'c', 'downstream_cx_upgrades_total'],
  [HTTP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL, 'c', 'downstream_flow_control_paused_reading_total'],
  [HTTP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL, 'c', 'downstream_flow_control_resumed_reading_total'],
  [HTTP_DOWNSTREAM_RQ_1XX, 'c', 'downstream_rq_1xx'],
  [HTTP_DOWNSTREAM_RQ_2XX, 'c', 'downstream_rq_2xx'],
  [HTTP_DOWNSTREAM_RQ_3XX, 'c', 'downstream_rq_3xx'],
  [HTTP_DOWNSTREAM_RQ_4XX, 'c', 'downstream_rq_4xx'],
  [HTTP_DOWNSTREAM_RQ_5XX, 'c', 'downstream_rq_5xx'],
  [HTTP_DOWNSTREAM_RQ_ACTIVE, 'g', 'downstream_rq_active'],
  [HTTP_DOWNSTREAM_RQ_COMPLETED, 'c', 'downstream_rq_completed'],
  [HTTP_DOWNSTREAM_RQ_FAILED_PATH_NORMALIZATION, 'c', 'downstream_rq_failed_path_normalization'],
  [HTTP_DOWNSTREAM_RQ_HEADER_TIMEOUT, 'c', 'downstream_rq_header_timeout'],
  [HTTP_DOWNSTREAM_RQ_HTTP1_TOTAL, 'c', 'downstream_rq_http1_total'],
  [HTTP_DOWNSTREAM_RQ_HTTP2_TOTAL, 'c', 'downstream_rq_http2_total'],
  [HTTP_DOWNSTREAM_RQ_HTTP3_TOTAL, 'c', 'downstream_rq_http3_total'],
  [HTTP_DOWNSTREAM_RQ_IDLE_TIMEOUT, 'c', 'downstream_rq_idle_timeout'],
  [HTTP_DOWNSTREAM_RQ_MAX_DURATION_REACHED, 'c', 'downstream_rq_max_duration_reached'],
  [HTTP_DOWNSTREAM_RQ_NON_RELATIVE_PATH, 'c', 'downstream_rq_non_relative_path'],
  [HTTP_DOWNSTREAM_RQ_OVERLOAD_CLOSE, 'c', 'downstream_rq_overload_close'],
  [HTTP_DOWNSTREAM_RQ_REDIRECTED_WITH_NORMALIZED_PATH, 'c', 'downstream_rq_redirected_with_normalized_path'],
  [HTTP_DOWNSTREAM_RQ_REJECTED_VIA_IP_DETECTION, 'c', 'downstream_rq_rejected_via_ip_detection'],
  [HTTP_DOWNSTREAM_RQ_RESPONSE_BEFORE_RQ_COMPLETE, 'c', 'downstream_rq_response_before_rq_complete'],
  [HTTP_DOWNSTREAM_RQ_RX_RESET, 'c', 'downstream_rq_rx_reset'],
  [HTTP_DOWNSTREAM_RQ_TIMEOUT, 'c', 'downstream_rq_timeout'],
  [HTTP_DOWNSTREAM_RQ_TOO_LARGE, 'c', 'downstream_rq_too_large'],
  [HTTP_DOWNSTREAM_RQ_TOO_MANY_PREMATURE_RESETS, 'c', 'downstream_rq_too_many_premature_resets'],
  [HTTP_DOWNSTREAM_RQ_TOTAL, 'c', 'downstream_rq_total'],
  [HTTP_DOWNSTREAM_RQ_TX_RESET, 'c', 'downstream_rq_tx_reset'],
  [HTTP_DOWNSTREAM_RQ_WS_ON_NON_WS_ROUTE, 'c', 'downstream_rq_ws_on_non_ws_route'],
  [HTTP_RS_TOO_LARGE, 'c', 'rs_too_large'],
  [HTTP_DOWNSTREAM_CX_LENGTH_MS, 'h', 'downstream_cx_length_ms'],
  [HTTP_DOWNSTREAM_RQ_TIME, 'h', 'downstream_rq_time'],
]);

// === Router filter: http.<stat_prefix>. ===

export const ROUTER_NO_CLUSTER = 0;
export const ROUTER_NO_ROUTE = 1;
export const ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_BAD_LOCATION = 2;
export const ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_NO_ROUTE = 3;
export const ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_PREDICATE = 4;
export const ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_TOO_MANY_REDIRECTS = 5;
export const ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_UNSAFE_SCHEME = 6;
export const ROUTER_RQ_DIRECT_RESPONSE = 7;
export const ROUTER_RQ_OVERLOAD_LOCAL_REPLY = 8;
export const ROUTER_RQ_REDIRECT = 9;
export const ROUTER_RQ_RESET_AFTER_DOWNSTREAM_RESPONSE_STARTED = 10;
export const ROUTER_RQ_TOTAL = 11;

/** Router filter; it counts under the prefix of its connection manager. */
export const HTTP_ROUTER = catalogue('http_router', [
  [ROUTER_NO_CLUSTER, 'c', 'no_cluster'],
  [ROUTER_NO_ROUTE, 'c', 'no_route'],
  [ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_BAD_LOCATION, 'c', 'passthrough_internal_redirect_bad_location'],
  [ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_NO_ROUTE, 'c', 'passthrough_internal_redirect_no_route'],
  [ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_PREDICATE, 'c', 'passthrough_internal_redirect_predicate'],
  [ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_TOO_MANY_REDIRECTS, 'c', 'passthrough_internal_redirect_too_many_redirects'],
  [ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_UNSAFE_SCHEME, 'c', 'passthrough_internal_redirect_unsafe_scheme'],
  [ROUTER_RQ_DIRECT_RESPONSE, 'c', 'rq_direct_response'],
  [ROUTER_RQ_OVERLOAD_LOCAL_REPLY, 'c', 'rq_overload_local_reply'],
  [ROUTER_RQ_REDIRECT, 'c', 'rq_redirect'],
  [ROUTER_RQ_RESET_AFTER_DOWNSTREAM_RESPONSE_STARTED, 'c', 'rq_reset_after_downstream_response_started'],
  [ROUTER_RQ_TOTAL, 'c', 'rq_total'],
]);

// === Tracing decisions: http.<stat_prefix>.tracing. ===

export const TRACING_CLIENT_ENABLED = 0;
export const TRACING_HEALTH_CHECK = 1;
export const TRACING_NOT_TRACEABLE = 2;
export const TRACING_RANDOM_SAMPLING = 3;
export const TRACING_SERVICE_FORCED = 4;

/** Why a request was or was not traced. */
export const HTTP_TRACING = catalogue('http_tracing', [
  [TRACING_CLIENT_ENABLED, 'c', 'client_enabled'],
  [TRACING_HEALTH_CHECK, 'c', 'health_check'],
  [TRACING_NOT_TRACEABLE, 'c', 'not_traceable'],
  [TRACING_RANDOM_SAMPLING, 'c', 'random_sampling'],
  [TRACING_SERVICE_FORCED, 'c', 'service_forced'],
]);

// === The listener's own copy: listener.<address>.http.<stat_prefix>. ===

export const LISTENER_HTTP_DOWNSTREAM_RQ_1XX = 0;
export const LISTENER_HTTP_DOWNSTREAM_RQ_2XX = 1;
export const LISTENER_HTTP_DOWNSTREAM_RQ_3XX = 2;
export const LISTENER_HTTP_DOWNSTREAM_RQ_4XX = 3;
export const LISTENER_HTTP_DOWNSTREAM_RQ_5XX = 4;
export const LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED = 5;

/** Response classes by listener. */
export const LISTENER_HTTP = catalogue('listener_http', [
  [LISTENER_HTTP_DOWNSTREAM_RQ_1XX, 'c', 'downstream_rq_1xx'],
  [LISTENER_HTTP_DOWNSTREAM_RQ_2XX, 'c', 'downstream_rq_2xx'],
  [LISTENER_HTTP_DOWNSTREAM_RQ_3XX, 'c', 'downstream_rq_3xx'],
  [LISTENER_HTTP_DOWNSTREAM_RQ_4XX, 'c', 'downstream_rq_4xx'],
  [LISTENER_HTTP_DOWNSTREAM_RQ_5XX, 'c', 'downstream_rq_5xx'],
  [LISTENER_HTTP_DOWNSTREAM_RQ_COMPLETED, 'c', 'downstream_rq_completed'],
]);

// === HTTP/1 codec: http1. (downstream) and cluster.<name>.http1. (upstream) ===

export const HTTP1_DROPPED_HEADERS_WITH_UNDERSCORES = 0;
export const HTTP1_METADATA_NOT_SUPPORTED_ERROR = 1;
export const HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS = 2;
export const HTTP1_RESPONSE_FLOOD = 3;

/** HTTP/1 codec; Envoy prints it once a codec was made. */
export const HTTP1_CODEC = catalogue('http1', [
  [HTTP1_DROPPED_HEADERS_WITH_UNDERSCORES, 'c', 'dropped_headers_with_underscores'],
  [HTTP1_METADATA_NOT_SUPPORTED_ERROR, 'c', 'metadata_not_supported_error'],
  [HTTP1_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS, 'c', 'requests_rejected_with_underscores_in_headers'],
  [HTTP1_RESPONSE_FLOOD, 'c', 'response_flood'],
]);

// === Virtual clusters: vhost.<name>.vcluster.<name>. ===

export const VCLUSTER_UPSTREAM_RQ_RETRY = 0;
export const VCLUSTER_UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED = 1;
export const VCLUSTER_UPSTREAM_RQ_RETRY_OVERFLOW = 2;
export const VCLUSTER_UPSTREAM_RQ_RETRY_SUCCESS = 3;
export const VCLUSTER_UPSTREAM_RQ_TIMEOUT = 4;
export const VCLUSTER_UPSTREAM_RQ_TOTAL = 5;

/** Virtual cluster of a virtual host; response codes come as single stats beside it. */
export const VIRTUAL_CLUSTER = catalogue('vcluster', [
  [VCLUSTER_UPSTREAM_RQ_RETRY, 'c', 'upstream_rq_retry'],
  [VCLUSTER_UPSTREAM_RQ_RETRY_LIMIT_EXCEEDED, 'c', 'upstream_rq_retry_limit_exceeded'],
  [VCLUSTER_UPSTREAM_RQ_RETRY_OVERFLOW, 'c', 'upstream_rq_retry_overflow'],
  [VCLUSTER_UPSTREAM_RQ_RETRY_SUCCESS, 'c', 'upstream_rq_retry_success'],
  [VCLUSTER_UPSTREAM_RQ_TIMEOUT, 'c', 'upstream_rq_timeout'],
  [VCLUSTER_UPSTREAM_RQ_TOTAL, 'c', 'upstream_rq_total'],
]);
