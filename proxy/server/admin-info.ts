// The small admin answers about the server itself: info, memory, runtime, certificates, init managers, listeners.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { addressText } from '../net/listen.ts';
import { durationJson, protoJson } from './admin-answer.ts';
import { addressJson } from './admin-clusters.ts';
import type { AdminState, ListenerStatus, MemoryInfo, RuntimeStatus, ServerInfo } from './admin-state.ts';
import type { Options } from './args.ts';

/** Envoy's default log format, which its options dump shows when none was given. */
const LOG_FORMAT = '[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v';
const MODES = { serve: 'Serve', validate: 'Validate', init_only: 'InitOnly' } as const;

export function renderServerInfo(info: ServerInfo): string {
  const { metadata, ...node } = info.node;
  const { id = '', cluster = '', ...rest } = node;
  return protoJson({
    version: info.version,
    state: info.state,
    uptime_current_epoch: `${info.uptimeS}s`,
    uptime_all_epochs: `${info.uptimeS}s`,
    hot_restart_version: 'disabled',
    command_line_options: optionsJson(info.options),
    node: {
      id,
      cluster,
      ...(metadata === undefined ? {} : { metadata }),
      ...withDefaults(rest),
      client_features: [],
      listening_addresses: [],
      dynamic_parameters: {},
    },
    hot_restart_initializing: false,
  });
}

/** `/server_info` prints fields that hold their defaults; the node as dumped elsewhere lacks them. */
function withDefaults(node: JsonObject): JsonObject {
  const out: Record<string, JsonValue> = { ...node };
  const locality = node['locality'];
  if (isObject(locality)) out['locality'] = { region: '', zone: '', sub_zone: '', ...locality };
  const build = node['user_agent_build_version'];
  if (isObject(build) && isObject(build['version'])) {
    out['user_agent_build_version'] = {
      ...build,
      version: { major_number: 0, minor_number: 0, patch: 0, ...build['version'] },
    };
  }
  const extensions = node['extensions'];
  if (Array.isArray(extensions)) {
    out['extensions'] = (extensions as JsonObject[]).map((extension) => ({
      name: extension['name'] ?? '',
      category: extension['category'] ?? '',
      type_descriptor: '',
      disabled: false,
      type_urls: extension['type_urls'] ?? [],
    }));
  }
  return out;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `envoy.admin.v3.CommandLineOptions`. What has no meaning here shows the default that Envoy would show. */
function optionsJson(options: Options): JsonObject {
  const components = Object.entries(options.componentLogLevels).map(([name, level]) => `${name}:${level}`);
  return {
    base_id: String(options.baseId),
    concurrency: options.concurrency,
    config_path: options.configPath,
    config_yaml: options.configYaml,
    allow_unknown_static_fields: options.allowUnknownStaticFields,
    admin_address_path: options.adminAddressPath,
    local_address_ip_version: options.localAddressIpVersion,
    log_level: options.logLevel,
    component_log_level: components.join(','),
    log_format: options.logFormat === '' ? LOG_FORMAT : options.logFormat,
    log_path: options.logPath,
    service_cluster: options.serviceCluster,
    service_node: options.serviceNode,
    service_zone: options.serviceZone,
    file_flush_interval: durationJson(options.fileFlushIntervalMs),
    drain_time: `${options.drainTimeS}s`,
    parent_shutdown_time: `${options.parentShutdownTimeS}s`,
    mode: MODES[options.mode],
    disable_hot_restart: options.disableHotRestart,
    enable_mutex_tracing: false,
    restart_epoch: options.restartEpoch,
    cpuset_threads: false,
    reject_unknown_dynamic_fields: options.rejectUnknownDynamicFields,
    log_format_escaped: options.logFormatEscaped,
    disabled_extensions: options.disabledExtensions,
    ignore_unknown_dynamic_fields: options.ignoreUnknownDynamicFields,
    use_dynamic_base_id: false,
    base_id_path: '',
    drain_strategy: options.drainStrategy === 'gradual' ? 'Gradual' : 'Immediate',
    enable_fine_grain_logging: false,
    socket_path: '@envoy_domain_socket',
    socket_mode: 0,
    enable_core_dump: false,
    stats_tag: options.statsTags.map(([name, value]) => `${name}:${value}`),
    skip_hot_restart_on_no_parent: false,
    skip_hot_restart_parent_stats: false,
    skip_deprecated_logs: options.skipDeprecatedLogs,
    file_flush_min_size: 0,
    log_stacktrace_single_entry: false,
  };
}

export function renderMemory(memory: MemoryInfo): string {
  return protoJson({
    allocated: String(memory.allocated),
    heap_size: String(memory.heapSize),
    pageheap_unmapped: String(memory.pageheapUnmapped),
    pageheap_free: String(memory.pageheapFree),
    total_thread_cache: String(memory.totalThreadCache),
    total_physical_bytes: String(memory.totalPhysicalBytes),
  });
}

export function renderRuntime(runtime: RuntimeStatus): string {
  const entries: Record<string, JsonValue> = {};
  for (const key of [...runtime.entries.keys()].sort()) {
    const { finalValue, layerValues } = runtime.entries.get(key) ?? { finalValue: '', layerValues: [] };
    entries[key] = { final_value: finalValue, layer_values: layerValues };
  }
  return protoJson({ layers: runtime.layers, entries });
}

export function renderCertificates(certificates: readonly JsonValue[]): string {
  return protoJson({ certificates });
}

/** Only components that still wait; `mask` picks one (`listener`). */
export function renderInitDump(state: AdminState, mask: string): string {
  const dumps = state
    .unreadyTargets()
    .filter(({ name, targets }) => targets.length > 0 && (mask === '' || name.startsWith(mask)))
    .map(({ name, targets }) => ({ name, target_names: targets }));
  return protoJson(dumps.length === 0 ? {} : { unready_targets_dumps: dumps });
}

/** `name::address`, a line per address. */
export function renderListenersText(listeners: readonly ListenerStatus[]): string {
  let text = '';
  for (const listener of listeners) {
    for (const address of [listener.address, ...listener.additionalAddresses]) {
      text += `${listener.name}::${addressText(address)}\n`;
    }
  }
  return text;
}

export function renderListenersJson(listeners: readonly ListenerStatus[]): string {
  if (listeners.length === 0) return protoJson({});
  return protoJson({
    listener_statuses: listeners.map((listener) => ({
      name: listener.name,
      local_address: addressJson(listener.address),
      ...(listener.additionalAddresses.length === 0
        ? {}
        : { additional_local_addresses: listener.additionalAddresses.map(addressJson) }),
    })),
  });
}
