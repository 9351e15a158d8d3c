// Stats of the process itself, as Envoy names them. All are written by the main thread unless a note says otherwise.

import { catalogue } from './stats-catalogue.ts';

// === server. ===

export const SERVER_COMPILATION_SETTINGS_FIPS_MODE = 0;
export const SERVER_CONCURRENCY = 1;
export const SERVER_DAYS_UNTIL_FIRST_CERT_EXPIRING = 2;
export const SERVER_DEBUG_ASSERTION_FAILURES = 3;
export const SERVER_DROPPED_STAT_FLUSHES = 4;
export const SERVER_DYNAMIC_UNKNOWN_FIELDS = 5;
export const SERVER_ENVOY_BUG_FAILURES = 6;
export const SERVER_ENVOY_NOTIFICATIONS = 7;
export const SERVER_HOT_RESTART_EPOCH = 8;
export const SERVER_LIVE = 9;
export const SERVER_MEMORY_ALLOCATED = 10;
export const SERVER_MEMORY_HEAP_SIZE = 11;
export const SERVER_MEMORY_PHYSICAL_SIZE = 12;
export const SERVER_PARENT_CONNECTIONS = 13;
export const SERVER_SECONDS_UNTIL_FIRST_OCSP_RESPONSE_EXPIRING = 14;
export const SERVER_STATE = 15;
export const SERVER_STATIC_UNKNOWN_FIELDS = 16;
export const SERVER_STATS_RECENT_LOOKUPS = 17;
export const SERVER_TOTAL_CONNECTIONS = 18;
export const SERVER_UPTIME = 19;
export const SERVER_VERSION = 20;
export const SERVER_WIP_PROTOS = 21;
export const SERVER_INITIALIZATION_TIME_MS = 22;

/** The process. */
export const SERVER = catalogue('server', [
  [SERVER_COMPILATION_SETTINGS_FIPS_MODE, 'g', 'compilation_settings.fips_mode'],
  [SERVER_CONCURRENCY, 'g', 'concurrency'],
  [SERVER_DAYS_UNTIL_FIRST_CERT_EXPIRING, 'g', 'days_until_first_cert_expiring'],
  [SERVER_DEBUG_ASSERTION_FAILURES, 'c', 'debug_assertion_failures'],
  [SERVER_DROPPED_STAT_FLUSHES, 'c', 'dropped_stat_flushes'],
  [SERVER_DYNAMIC_UNKNOWN_FIELDS, 'c', 'dynamic_unknown_fields'],
  [SERVER_ENVOY_BUG_FAILURES, 'c', 'envoy_bug_failures'],
  [SERVER_ENVOY_NOTIFICATIONS, 'c', 'envoy_notifications'],
  [SERVER_HOT_RESTART_EPOCH, 'g', 'hot_restart_epoch'],
  [SERVER_LIVE, 'g', 'live'],
  [SERVER_MEMORY_ALLOCATED, 'g', 'memory_allocated'],
  [SERVER_MEMORY_HEAP_SIZE, 'g', 'memory_heap_size'],
  [SERVER_MEMORY_PHYSICAL_SIZE, 'g', 'memory_physical_size'],
  [SERVER_PARENT_CONNECTIONS, 'g', 'parent_connections'],
  [SERVER_SECONDS_UNTIL_FIRST_OCSP_RESPONSE_EXPIRING, 'g', 'seconds_until_first_ocsp_response_expiring'],
  [SERVER_STATE, 'g', 'state'],
  [SERVER_STATIC_UNKNOWN_FIELDS, 'c', 'static_unknown_fields'],
  [SERVER_STATS_RECENT_LOOKUPS, 'g', 'stats_recent_lookups'],
  [SERVER_TOTAL_CONNECTIONS, 'g', 'total_connections'],
  [SERVER_UPTIME, 'g', 'uptime'],
  [SERVER_VERSION, 'g', 'version'],
  [SERVER_WIP_PROTOS, 'c', 'wip_protos'],
  [SERVER_INITIALIZATION_TIME_MS, 'h', 'initialization_time_ms'],
]);

// === server.main_thread., server.worker_<n>., main_thread., workers. ===

export const WATCHDOG_WATCHDOG_MEGA_MISS = 0;
export const WATCHDOG_WATCHDOG_MISS = 1;

/** Missed heartbeats of a thread. */
export const WATCHDOG = catalogue('watchdog', [
  [WATCHDOG_WATCHDOG_MEGA_MISS, 'c', 'watchdog_mega_miss'],
  [WATCHDOG_WATCHDOG_MISS, 'c', 'watchdog_miss'],
]);

// === listener_manager. ===

export const LISTENER_MANAGER_LISTENER_ADDED = 0;
export const LISTENER_MANAGER_LISTENER_CREATE_FAILURE = 1;
export const LISTENER_MANAGER_LISTENER_CREATE_SUCCESS = 2;
export const LISTENER_MANAGER_LISTENER_IN_PLACE_UPDATED = 3;
export const LISTENER_MANAGER_LISTENER_MODIFIED = 4;
export const LISTENER_MANAGER_LISTENER_REMOVED = 5;
export const LISTENER_MANAGER_LISTENER_STOPPED = 6;
export const LISTENER_MANAGER_TOTAL_FILTER_CHAINS_DRAINING = 7;
export const LISTENER_MANAGER_TOTAL_LISTENERS_ACTIVE = 8;
export const LISTENER_MANAGER_TOTAL_LISTENERS_DRAINING = 9;
export const LISTENER_MANAGER_TOTAL_LISTENERS_WARMING = 10;
export const LISTENER_MANAGER_WORKERS_PINNED = 11;
export const LISTENER_MANAGER_WORKERS_STARTED = 12;

/** All listeners. */
export const LISTENER_MANAGER = catalogue('listener_manager', [
  [LISTENER_MANAGER_LISTENER_ADDED, 'c', 'listener_added'],
  [LISTENER_MANAGER_LISTENER_CREATE_FAILURE, 'c', 'listener_create_failure'],
  [LISTENER_MANAGER_LISTENER_CREATE_SUCCESS, 'c', 'listener_create_success'],
  [LISTENER_MANAGER_LISTENER_IN_PLACE_UPDATED, 'c', 'listener_in_place_updated'],
  [LISTENER_MANAGER_LISTENER_MODIFIED, 'c', 'listener_modified'],
  [LISTENER_MANAGER_LISTENER_REMOVED, 'c', 'listener_removed'],
  [LISTENER_MANAGER_LISTENER_STOPPED, 'c', 'listener_stopped'],
  [LISTENER_MANAGER_TOTAL_FILTER_CHAINS_DRAINING, 'g', 'total_filter_chains_draining'],
  [LISTENER_MANAGER_TOTAL_LISTENERS_ACTIVE, 'g', 'total_listeners_active'],
  [LISTENER_MANAGER_TOTAL_LISTENERS_DRAINING, 'g', 'total_listeners_draining'],
  [LISTENER_MANAGER_TOTAL_LISTENERS_WARMING, 'g', 'total_listeners_warming'],
  [LISTENER_MANAGER_WORKERS_PINNED, 'g', 'workers_pinned'],
  [LISTENER_MANAGER_WORKERS_STARTED, 'g', 'workers_started'],
]);

// === cluster_manager. ===

export const CLUSTER_MANAGER_ACTIVE_CLUSTERS = 0;
export const CLUSTER_MANAGER_CLUSTER_ADDED = 1;
export const CLUSTER_MANAGER_CLUSTER_MODIFIED = 2;
export const CLUSTER_MANAGER_CLUSTER_REMOVED = 3;
export const CLUSTER_MANAGER_CLUSTER_UPDATED = 4;
export const CLUSTER_MANAGER_CLUSTER_UPDATED_VIA_MERGE = 5;
export const CLUSTER_MANAGER_UPDATE_MERGE_CANCELLED = 6;
export const CLUSTER_MANAGER_UPDATE_OUT_OF_MERGE_WINDOW = 7;
export const CLUSTER_MANAGER_WARMING_CLUSTERS = 8;

/** All clusters. */
export const CLUSTER_MANAGER = catalogue('cluster_manager', [
  [CLUSTER_MANAGER_ACTIVE_CLUSTERS, 'g', 'active_clusters'],
  [CLUSTER_MANAGER_CLUSTER_ADDED, 'c', 'cluster_added'],
  [CLUSTER_MANAGER_CLUSTER_MODIFIED, 'c', 'cluster_modified'],
  [CLUSTER_MANAGER_CLUSTER_REMOVED, 'c', 'cluster_removed'],
  [CLUSTER_MANAGER_CLUSTER_UPDATED, 'c', 'cluster_updated'],
  [CLUSTER_MANAGER_CLUSTER_UPDATED_VIA_MERGE, 'c', 'cluster_updated_via_merge'],
  [CLUSTER_MANAGER_UPDATE_MERGE_CANCELLED, 'c', 'update_merge_cancelled'],
  [CLUSTER_MANAGER_UPDATE_OUT_OF_MERGE_WINDOW, 'c', 'update_out_of_merge_window'],
  [CLUSTER_MANAGER_WARMING_CLUSTERS, 'g', 'warming_clusters'],
]);

// === thread_local_cluster_manager.<thread>. ===

export const THREAD_LOCAL_CLUSTERS_INFLATED = 0;

/** Clusters that a thread holds. */
export const THREAD_LOCAL_CLUSTERS = catalogue('thread_local_clusters', [
  [THREAD_LOCAL_CLUSTERS_INFLATED, 'g', 'clusters_inflated'],
]);

// === runtime. ===

export const RUNTIME_ADMIN_OVERRIDES_ACTIVE = 0;
export const RUNTIME_DEPRECATED_FEATURE_SEEN_SINCE_PROCESS_START = 1;
export const RUNTIME_DEPRECATED_FEATURE_USE = 2;
export const RUNTIME_LOAD_ERROR = 3;
export const RUNTIME_LOAD_SUCCESS = 4;
export const RUNTIME_NUM_KEYS = 5;
export const RUNTIME_NUM_LAYERS = 6;
export const RUNTIME_OVERRIDE_DIR_EXISTS = 7;
export const RUNTIME_OVERRIDE_DIR_NOT_EXISTS = 8;

/** Runtime layers. */
export const RUNTIME = catalogue('runtime', [
  [RUNTIME_ADMIN_OVERRIDES_ACTIVE, 'g', 'admin_overrides_active'],
  [RUNTIME_DEPRECATED_FEATURE_SEEN_SINCE_PROCESS_START, 'g', 'deprecated_feature_seen_since_process_start'],
  [RUNTIME_DEPRECATED_FEATURE_USE, 'c', 'deprecated_feature_use'],
  [RUNTIME_LOAD_ERROR, 'c', 'load_error'],
  [RUNTIME_LOAD_SUCCESS, 'c', 'load_success'],
  [RUNTIME_NUM_KEYS, 'g', 'num_keys'],
  [RUNTIME_NUM_LAYERS, 'g', 'num_layers'],
  [RUNTIME_OVERRIDE_DIR_EXISTS, 'c', 'override_dir_exists'],
  [RUNTIME_OVERRIDE_DIR_NOT_EXISTS, 'c', 'override_dir_not_exists'],
]);

// === filesystem. (access-log files; written by whoever writes them) ===

export const FILESYSTEM_FLUSHED_BY_TIMER = 0;
export const FILESYSTEM_REOPEN_FAILED = 1;
export const FILESYSTEM_WRITE_BUFFERED = 2;
export const FILESYSTEM_WRITE_COMPLETED = 3;
export const FILESYSTEM_WRITE_FAILED = 4;
export const FILESYSTEM_WRITE_TOTAL_BUFFERED = 5;

/** Log files. */
export const FILESYSTEM = catalogue('filesystem', [
  [FILESYSTEM_FLUSHED_BY_TIMER, 'c', 'flushed_by_timer'],
  [FILESYSTEM_REOPEN_FAILED, 'c', 'reopen_failed'],
  [FILESYSTEM_WRITE_BUFFERED, 'c', 'write_buffered'],
  [FILESYSTEM_WRITE_COMPLETED, 'c', 'write_completed'],
  [FILESYSTEM_WRITE_FAILED, 'c', 'write_failed'],
  [FILESYSTEM_WRITE_TOTAL_BUFFERED, 'g', 'write_total_buffered'],
]);

// === dns.cares. ===

export const DNS_GET_ADDR_FAILURE = 0;
export const DNS_NOT_FOUND = 1;
export const DNS_PENDING_RESOLUTIONS = 2;
export const DNS_REINITS = 3;
export const DNS_RESOLVE_TOTAL = 4;
export const DNS_TIMEOUTS = 5;

/** Name resolution; Envoy prints it when a cluster resolves names. */
export const DNS = catalogue('dns', [
  [DNS_GET_ADDR_FAILURE, 'c', 'get_addr_failure'],
  [DNS_NOT_FOUND, 'c', 'not_found'],
  [DNS_PENDING_RESOLUTIONS, 'g', 'pending_resolutions'],
  [DNS_REINITS, 'c', 'reinits'],
  [DNS_RESOLVE_TOTAL, 'c', 'resolve_total'],
  [DNS_TIMEOUTS, 'c', 'timeouts'],
]);

// === envoy.overload_actions.reset_high_memory_stream. and overload. ===

export const OVERLOAD_RESET_COUNT = 0;

/** Streams reset under memory pressure. */
export const OVERLOAD_RESET = catalogue('overload_reset', [[OVERLOAD_RESET_COUNT, 'c', 'count']]);

export const OVERLOAD_REFRESH_INTERVAL_DELAY = 0;

/** Overload manager. */
export const OVERLOAD = catalogue('overload', [[OVERLOAD_REFRESH_INTERVAL_DELAY, 'h', 'refresh_interval_delay']]);
