// The model of the overload manager (Envoy: config.overload.v3, extensions.resource_monitors).

export interface OverloadModel {
  /** Between looks at the resources. */
  readonly refreshIntervalMs: number;
  readonly monitors: readonly MonitorModel[];
  readonly actions: readonly OverloadActionModel[];
  readonly shedPoints: readonly ShedPointModel[];
  /** Streams that hold less are never reset for it; 0 = none is. */
  readonly leastStreamBytes: number;
  /** How short `reduce_timeouts` may make time limits; `null` = those it leaves as they are. */
  readonly scaledTimers: { readonly [timer in ScaledTimerName]: TimerMinimum | null };
}

export type ScaledTimerName = 'connection_idle' | 'stream_idle';

/** The shortest time, or its share of the configured one, 0 to 1. */
export type TimerMinimum =
  | { readonly kind: 'ms'; readonly ms: number }
  | { readonly kind: 'share'; readonly share: number };

export type MonitorModel = { readonly name: string } & (
  | { readonly kind: 'fixed_heap'; readonly maxBytes: number }
  /** `maxBytes` 0 = what the control group allows. */
  | { readonly kind: 'cgroup_memory'; readonly maxBytes: number }
  | { readonly kind: 'cpu'; readonly mode: 'host' | 'container' }
  /** A file that holds the pressure, 0 to 1. */
  | { readonly kind: 'injected'; readonly path: string }
  /** Downstream connections of all workers; listeners let no more in than `max`. */
  | { readonly kind: 'connections'; readonly max: number }
);

export type OverloadActionName =
  | 'stop_accepting_requests'
  | 'disable_http_keepalive'
  | 'reject_incoming_connections'
  | 'stop_accepting_connections'
  | 'shrink_heap'
  | 'reset_high_memory_stream'
  | 'reduce_timeouts';

export interface OverloadActionModel {
  /** As its stats are called. */
  readonly name: string;
  /** `null` = not taken here: it has stats only. */
  readonly action: OverloadActionName | null;
  /** What `reduce_timeouts` makes shorter: there may be several such actions, each with timers of its own. */
  readonly timers: readonly ScaledTimerName[];
  readonly triggers: readonly TriggerModel[];
}

export type ShedPointName =
  | 'tcp_listener_accept'
  | 'hcm_ondata_creating_codec'
  | 'http_connection_manager_decode_headers'
  | 'http1_server_abort_dispatch'
  | 'http2_server_go_away_on_dispatch'
  | 'http2_server_go_away_and_close_on_dispatch'
  /** There is no HTTP/3 to shed. */
  | 'http3_server_go_away_on_dispatch'
  | 'http3_server_go_away_and_close_on_dispatch'
  | 'http_downstream_filter_check'
  | 'connection_pool_new_connection'
  | 'tcp_proxy_upstream_connect'
  | 'tcp_proxy_on_data';

export interface ShedPointModel {
  /** As its stats are called. */
  readonly name: string;
  /** `null` = nobody asks there: it has stats only. */
  readonly place: ShedPointName | null;
  readonly triggers: readonly TriggerModel[];
}

/** Pressure up to `scalingThreshold` is nothing, from `saturationThreshold` on everything, in between its share. */
export interface TriggerModel {
  readonly monitor: string;
  readonly scalingThreshold: number;
  readonly saturationThreshold: number;
}
