// Stats of listeners and of the TCP proxy filter, as Envoy names them.
//
// The address in a prefix is the listener's `stat_prefix`, or its address with ':' replaced: `listener.0.0.0.0_80.`,
// `listener.[__]_80.`, `listener.admin.`.

import { catalogue } from './stats-catalogue.ts';

// === listener.<address>. ===

export const LISTENER_DOWNSTREAM_CX_ACTIVE = 0;
export const LISTENER_DOWNSTREAM_CX_DESTROY = 1;
export const LISTENER_DOWNSTREAM_CX_OVERFLOW = 2;
export const LISTENER_DOWNSTREAM_CX_OVERLOAD_REJECT = 3;
export const LISTENER_DOWNSTREAM_CX_TOTAL = 4;
export const LISTENER_DOWNSTREAM_CX_TRANSPORT_SOCKET_CONNECT_TIMEOUT = 5;
export const LISTENER_DOWNSTREAM_GLOBAL_CX_OVERFLOW = 6;
export const LISTENER_DOWNSTREAM_LISTENER_FILTER_ERROR = 7;
export const LISTENER_DOWNSTREAM_LISTENER_FILTER_REMOTE_CLOSE = 8;
export const LISTENER_DOWNSTREAM_PRE_CX_ACTIVE = 9;
export const LISTENER_DOWNSTREAM_PRE_CX_TIMEOUT = 10;
export const LISTENER_NO_FILTER_CHAIN_MATCH = 11;
export const LISTENER_CONNECTIONS_ACCEPTED_PER_SOCKET_EVENT = 12;
export const LISTENER_DOWNSTREAM_CX_LENGTH_MS = 13;

/** One listening socket (or the admin one). */
export const LISTENER = catalogue('listener', [
  [LISTENER_DOWNSTREAM_CX_ACTIVE, 'g', 'downstream_cx_active'],
  [LISTENER_DOWNSTREAM_CX_DESTROY, 'c', 'downstream_cx_destroy'],
  [LISTENER_DOWNSTREAM_CX_OVERFLOW, 'c', 'downstream_cx_overflow'],
  [LISTENER_DOWNSTREAM_CX_OVERLOAD_REJECT, 'c', 'downstream_cx_overload_reject'],
  [LISTENER_DOWNSTREAM_CX_TOTAL, 'c', 'downstream_cx_total'],
  [LISTENER_DOWNSTREAM_CX_TRANSPORT_SOCKET_CONNECT_TIMEOUT, 'c', 'downstream_cx_transport_socket_connect_timeout'],
  [LISTENER_DOWNSTREAM_GLOBAL_CX_OVERFLOW, 'c', 'downstream_global_cx_overflow'],
  [LISTENER_DOWNSTREAM_LISTENER_FILTER_ERROR, 'c', 'downstream_listener_filter_error'],
  [LISTENER_DOWNSTREAM_LISTENER_FILTER_REMOTE_CLOSE, 'c', 'downstream_listener_filter_remote_close'],
  [LISTENER_DOWNSTREAM_PRE_CX_ACTIVE, 'g', 'downstream_pre_cx_active'],
  [LISTENER_DOWNSTREAM_PRE_CX_TIMEOUT, 'c', 'downstream_pre_cx_timeout'],
  [LISTENER_NO_FILTER_CHAIN_MATCH, 'c', 'no_filter_chain_match'],
  [LISTENER_CONNECTIONS_ACCEPTED_PER_SOCKET_EVENT, 'h', 'connections_accepted_per_socket_event'],
  [LISTENER_DOWNSTREAM_CX_LENGTH_MS, 'h', 'downstream_cx_length_ms'],
]);

// === listener.<address>.: extension discovery; the admin listener has none ===

export const LISTENER_EXT_EXTENSION_CONFIG_MISSING = 0;
export const LISTENER_EXT_NETWORK_EXTENSION_CONFIG_MISSING = 1;

/** Filters that wait for a discovered configuration. */
export const LISTENER_EXTENSION = catalogue('listener_extension', [
  [LISTENER_EXT_EXTENSION_CONFIG_MISSING, 'c', 'extension_config_missing'],
  [LISTENER_EXT_NETWORK_EXTENSION_CONFIG_MISSING, 'c', 'network_extension_config_missing'],
]);

// === listener.<address>.worker_<n>. and listener.admin.main_thread. ===

export const LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE = 0;
export const LISTENER_WORKER_DOWNSTREAM_CX_TOTAL = 1;

/** What one worker took of a listener. */
export const LISTENER_WORKER = catalogue('listener_worker', [
  [LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE, 'g', 'downstream_cx_active'],
  [LISTENER_WORKER_DOWNSTREAM_CX_TOTAL, 'c', 'downstream_cx_total'],
]);

// === tcp.<stat_prefix>. ===

export const TCP_DOWNSTREAM_CX_DRAIN_CLOSE = 0;
export const TCP_DOWNSTREAM_CX_NO_ROUTE = 1;
export const TCP_DOWNSTREAM_CX_OVERLOAD_CLOSE = 2;
export const TCP_DOWNSTREAM_CX_RX_BYTES_BUFFERED = 3;
export const TCP_DOWNSTREAM_CX_RX_BYTES_TOTAL = 4;
export const TCP_DOWNSTREAM_CX_TOTAL = 5;
export const TCP_DOWNSTREAM_CX_TX_BYTES_BUFFERED = 6;
export const TCP_DOWNSTREAM_CX_TX_BYTES_TOTAL = 7;
export const TCP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL = 8;
export const TCP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL = 9;
export const TCP_EARLY_DATA_RECEIVED_COUNT_TOTAL = 10;
export const TCP_IDLE_TIMEOUT = 11;
export const TCP_MAX_DOWNSTREAM_CONNECTION_DURATION = 12;
export const TCP_ROUTE_DELAYED_TOTAL = 13;
export const TCP_UPSTREAM_FLUSH_ACTIVE = 14;
export const TCP_UPSTREAM_FLUSH_TOTAL = 15;

/** TCP proxy filter. */
export const TCP_PROXY = catalogue('tcp_proxy', [
  [TCP_DOWNSTREAM_CX_DRAIN_CLOSE, 'c', 'downstream_cx_drain_close'],
  [TCP_DOWNSTREAM_CX_NO_ROUTE, 'c', 'downstream_cx_no_route'],
  [TCP_DOWNSTREAM_CX_OVERLOAD_CLOSE, 'c', 'downstream_cx_overload_close'],
  [TCP_DOWNSTREAM_CX_RX_BYTES_BUFFERED, 'g', 'downstream_cx_rx_bytes_buffered'],
  [TCP_DOWNSTREAM_CX_RX_BYTES_TOTAL, 'c', 'downstream_cx_rx_bytes_total'],
  [TCP_DOWNSTREAM_CX_TOTAL, 'c', 'downstream_cx_total'],
  [TCP_DOWNSTREAM_CX_TX_BYTES_BUFFERED, 'g', 'downstream_cx_tx_bytes_buffered'],
  [TCP_DOWNSTREAM_CX_TX_BYTES_TOTAL, 'c', 'downstream_cx_tx_bytes_total'],
  [TCP_DOWNSTREAM_FLOW_CONTROL_PAUSED_READING_TOTAL, 'c', 'downstream_flow_control_paused_reading_total'],
  [TCP_DOWNSTREAM_FLOW_CONTROL_RESUMED_READING_TOTAL, 'c', 'downstream_flow_control_resumed_reading_total'],
  [TCP_EARLY_DATA_RECEIVED_COUNT_TOTAL, 'c', 'early_data_received_count_total'],
  [TCP_IDLE_TIMEOUT, 'c', 'idle_timeout'],
  [TCP_MAX_DOWNSTREAM_CONNECTION_DURATION, 'c', 'max_downstream_connection_duration'],
  [TCP_ROUTE_DELAYED_TOTAL, 'c', 'route_delayed_total'],
  [TCP_UPSTREAM_FLUSH_ACTIVE, 'g', 'upstream_flush_active'],
  [TCP_UPSTREAM_FLUSH_TOTAL, 'c', 'upstream_flush_total'],
]);

// === connection_limit.<stat_prefix>. ===

export const CONNECTION_LIMIT_ACTIVE_CONNECTIONS = 0;
export const CONNECTION_LIMIT_LIMITED_CONNECTIONS = 1;

/** Connection limit filter. */
export const CONNECTION_LIMIT = catalogue('connection_limit', [
  [CONNECTION_LIMIT_ACTIVE_CONNECTIONS, 'g', 'active_connections'],
  [CONNECTION_LIMIT_LIMITED_CONNECTIONS, 'c', 'limited_connections'],
]);

// === local_rate_limit.<stat_prefix>. ===

export const LOCAL_RATE_LIMIT_RATE_LIMITED = 0;

/** Local rate limit filter of connections. */
export const LOCAL_RATE_LIMIT = catalogue('local_rate_limit', [[LOCAL_RATE_LIMIT_RATE_LIMITED, 'c', 'rate_limited']]);
