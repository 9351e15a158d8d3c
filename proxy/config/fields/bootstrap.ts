// Answers for the bootstrap (Envoy: config.bootstrap.v3, config.metrics.v3, config.overload.v3).

import { type FieldTable, fields, harmless, honoured, honouredExcept, rejected, warned } from './answer.ts';

const TEST = 'lower-bootstrap';
const REST = 'lower-rest';
const OVERLOAD = 'lower-overload';
const BOOTSTRAP = 'bootstrap.v3 bootstrap.proto';
const XDS_ONLY = 'it is for a management server only, and there is none';

export const BOOTSTRAP_FIELDS: FieldTable = {
  'envoy.config.bootstrap.v3.Bootstrap': fields(
    honoured(
      TEST,
      'node static_resources cluster_manager stats_config stats_flush_interval layered_runtime admin overload_manager application_log_config',
    ),
    honoured(REST, 'bootstrap_extensions'),
    harmless(
      XDS_ONLY,
      BOOTSTRAP,
      'node_context_params config_sources default_config_source grpc_async_client_manager_config',
    ),
    harmless('stats exist when they are first used', BOOTSTRAP, 'deferred_stat_options'),
    harmless('a layout hint for the memory of header maps', BOOTSTRAP, 'inline_headers'),
    harmless('a setting of another memory allocator', BOOTSTRAP, 'memory_allocator_manager'),
    rejected(
      'dynamic configuration is not supported yet; write listeners and clusters into static_resources',
      'dynamic_resources',
    ),
    rejected('certificate providers are not supported; remove it', 'certificate_provider_instances'),
    rejected('other listener managers are not supported; remove it', 'listener_manager'),
    rejected('RE2 is the only engine; remove it', 'default_regex_engine'),
    rejected(
      'set typed_dns_resolver_config on each cluster',
      'typed_dns_resolver_config dns_resolution_config use_tcp_for_dns_lookups',
    ),
    warned('health is not reported to a management server', 'hds_config'),
    warned('flag files are not read', 'flags_path'),
    warned('stats are not pushed; scrape /stats/prometheus of the admin address', 'stats_sinks'),
    warned('stats are flushed by stats_flush_interval', 'stats_flush_on_admin'),
    warned('stats are never evicted; those of removed listeners and clusters go with them', 'stats_eviction_interval'),
    warned('a worker that hangs is not killed by a watchdog', 'watchdog watchdogs'),
    warned('requests are not traced yet', 'tracing'),
    warned('event-loop stats are not kept', 'enable_dispatcher_stats'),
    warned('server.version is the own version', 'stats_server_version_override'),
    warned('a crash runs no actions', 'fatal_actions'),
    warned('sockets are the operating system’s', 'default_socket_interface'),
    warned('there are no performance traces', 'perf_tracing_file_path'),
    warned('configuration updates are not tracked', 'xds_delegate_extension xds_config_tracker_extension'),
    warned('workers are not pinned to processors', 'enable_worker_cpu_affinity'),
    rejected('the headers are x-envoy-*; remove it', 'header_prefix'),
  ),
  'envoy.extensions.bootstrap.internal_listener.v3.InternalListener': fields(honoured(TEST, 'buffer_size_kb')),
  'envoy.config.bootstrap.v3.Bootstrap.StaticResources': fields(
    honoured(TEST, 'listeners clusters'),
    honoured('lower-tls', 'secrets'),
  ),
  'envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig': fields(honoured(TEST, 'log_format')),
  'envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig.LogFormat': fields(
    honoured(TEST, 'json_format text_format'),
  ),
  'envoy.config.bootstrap.v3.ClusterManager': fields(
    honoured(REST, 'upstream_bind_config'),
    harmless('every cluster is made at start', BOOTSTRAP, 'enable_deferred_cluster_creation'),
    honoured(TEST, 'outlier_detection'),
    warned('load is not reported', 'load_stats_config'),
    harmless('it is for zone-aware routing, which is left out', BOOTSTRAP, 'local_cluster_name'),
  ),
  'envoy.config.bootstrap.v3.ClusterManager.OutlierDetection': fields(
    honoured(TEST, 'event_log_path'),
    warned('ejections are logged to a file only', 'event_service'),
  ),
  'envoy.config.bootstrap.v3.Admin': fields(
    honoured(TEST, 'access_log_path address ignore_global_conn_limit'),
    honoured(REST, 'access_log'),
    harmless('there is no profiler to write there', BOOTSTRAP, 'profile_path'),
    rejected('admin paths cannot be restricted; bind the admin to 127.0.0.1 and remove it', 'allow_paths'),
    warned('the admin socket has no options', 'socket_options'),
  ),
  'envoy.config.bootstrap.v3.LayeredRuntime': fields(honoured(TEST, 'layers')),
  'envoy.config.bootstrap.v3.RuntimeLayer': fields(
    honoured(TEST, 'name static_layer admin_layer'),
    rejected('runtime values are static; write them into a static_layer', 'disk_layer rtds_layer'),
  ),
  'envoy.config.bootstrap.v3.RuntimeLayer.AdminLayer': fields(),
  'envoy.config.core.v3.Node': fields(
    honoured(TEST, 'id cluster metadata locality'),
    harmless(
      XDS_ONLY,
      'core.v3 base.proto',
      'dynamic_parameters user_agent_name user_agent_version user_agent_build_version extensions client_features listening_addresses',
    ),
  ),
  'envoy.config.core.v3.Locality': fields(honoured(TEST, 'region zone sub_zone')),
  'envoy.config.metrics.v3.StatsConfig': fields(
    honoured(TEST, 'stats_tags use_all_default_tags stats_matcher histogram_bucket_settings'),
    warned('a tag of your own wins over a default one of its name', 'allow_default_tag_overrides'),
  ),
  'envoy.config.metrics.v3.TagSpecifier': fields(honoured(TEST, 'tag_name regex fixed_value')),
  'envoy.config.metrics.v3.StatsMatcher': fields(
    honoured(TEST, 'reject_all inclusion_list'),
    honoured(REST, 'exclusion_list'),
  ),
  'envoy.config.metrics.v3.HistogramBucketSettings': fields(
    honoured(TEST, 'match buckets'),
    warned('histograms have one resolution', 'bins'),
  ),
  'envoy.config.overload.v3.OverloadManager': fields(
    honoured(TEST, 'resource_monitors'),
    honoured(OVERLOAD, 'refresh_interval actions loadshed_points buffer_factory_config'),
  ),
  'envoy.config.overload.v3.ResourceMonitor': fields(honoured(TEST, 'name typed_config')),
  'envoy.config.overload.v3.OverloadAction': fields(honoured(OVERLOAD, 'name triggers typed_config')),
  'envoy.config.overload.v3.ShrinkHeapConfig': fields(
    harmless('memory is given back every ten seconds', 'overload.proto', 'timer_interval'),
    harmless('all that is not used is given back', 'overload.proto', 'max_unfreed_memory_bytes'),
  ),
  'envoy.config.overload.v3.ScaleTimersOverloadActionConfig': fields(honoured(OVERLOAD, 'timer_scale_factors')),
  'envoy.config.overload.v3.ScaleTimersOverloadActionConfig.ScaleTimer': fields(
    honouredExcept(OVERLOAD, 'timer', {
      TRANSPORT_SOCKET_CONNECT: { how: 'warn', text: 'this time limit is not made shorter' },
      HTTP_DOWNSTREAM_CONNECTION_MAX: { how: 'warn', text: 'this time limit is not made shorter' },
      HTTP_DOWNSTREAM_STREAM_FLUSH: { how: 'warn', text: 'this time limit is not made shorter' },
    }),
    honoured(OVERLOAD, 'min_timeout min_scale'),
  ),
  'envoy.config.overload.v3.BufferFactoryConfig': fields(honoured(OVERLOAD, 'minimum_account_to_track_power_of_two')),
  'envoy.config.overload.v3.LoadShedPoint': fields(honoured(OVERLOAD, 'name triggers')),
  'envoy.config.overload.v3.Trigger': fields(honoured(OVERLOAD, 'name threshold scaled')),
  'envoy.config.overload.v3.ThresholdTrigger': fields(honoured(OVERLOAD, 'value')),
  'envoy.config.overload.v3.ScaledTrigger': fields(honoured(OVERLOAD, 'scaling_threshold saturation_threshold')),
  'envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig': fields(
    honoured(OVERLOAD, 'max_heap_size_bytes max_heap_size_bytes_runtime'),
  ),
  'envoy.config.core.v3.RuntimeUInt64': fields(honoured(OVERLOAD, 'default_value runtime_key')),
  'envoy.extensions.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig': fields(
    honoured(OVERLOAD, 'max_memory_bytes'),
  ),
  'envoy.extensions.resource_monitors.cpu_utilization.v3.CpuUtilizationConfig': fields(honoured(OVERLOAD, 'mode')),
  'envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig': fields(
    honoured(OVERLOAD, 'filename'),
  ),
  'envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig': fields(
    honoured(TEST, 'max_active_downstream_connections'),
  ),
};
