// `config.overload.v3.OverloadManager` → `OverloadModel`. Refusals use Envoy's sentences.

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type {
  MonitorModel,
  OverloadActionModel,
  OverloadActionName,
  OverloadModel,
  ScaledTimerName,
  ShedPointModel,
  ShedPointName,
  TimerMinimum,
  TriggerModel,
} from '../model/overload.ts';
import { type RuntimeKeys, runtimeInteger } from '../model/runtime.ts';
import { unpackAny } from '../read/any.ts';
import { list, type Msg, num, oneofCase, str, sub, toMs } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import type { LowerContext } from './common.ts';
import { wholeMs } from './duration.ts';

const PATH = 'overload_manager';
const REFRESH_MS = 1000;
const MONITORS = 'envoy.extensions.resource_monitors.';
const CONNECTIONS_NAME = 'envoy.resource_monitors.global_downstream_max_connections';
/** `CpuUtilizationConfig.UtilizationComputeStrategy`. */
const CONTAINER = 1;
const ACTIONS = 'envoy.overload_actions.';
const SHED_POINTS = 'envoy.load_shed_points.';

const ACTION_NAMES: ReadonlySet<string> = new Set<OverloadActionName>([
  'stop_accepting_requests',
  'disable_http_keepalive',
  'reject_incoming_connections',
  'stop_accepting_connections',
  'shrink_heap',
  'reset_high_memory_stream',
  'reduce_timeouts',
]);
/** What Envoy can do besides. */
const OTHER_ACTIONS: ReadonlySet<string> = new Set(['close_idle_http_connections']);
/** Actions that have, or may have, a configuration of their own. */
const CONFIGURED_ACTIONS: ReadonlySet<string> = new Set(['reduce_timeouts', 'shrink_heap']);
const SHED_POINT_NAMES: ReadonlySet<string> = new Set<ShedPointName>([
  'tcp_listener_accept',
  'hcm_ondata_creating_codec',
  'http_connection_manager_decode_headers',
  'http1_server_abort_dispatch',
  'http2_server_go_away_on_dispatch',
  'http2_server_go_away_and_close_on_dispatch',
  'http3_server_go_away_on_dispatch',
  'http3_server_go_away_and_close_on_dispatch',
  'http_downstream_filter_check',
  'connection_pool_new_connection',
  'tcp_proxy_upstream_connect',
  'tcp_proxy_on_data',
]);

/** @throws ConfigError with the field's path */
export function lowerOverload(message: Msg | null, ctx: LowerContext): OverloadModel | null {
  if (message === null) return null;
  const monitors = list(message, 'resourceMonitors').map((each, i) =>
    lowerMonitor(each, ctx.runtime, `${PATH}.resource_monitors[${i}]`),
  );
  const names = new Set<string>();
  for (const { name } of monitors) {
    if (names.has(name)) throw new ConfigError(`Duplicate resource monitor ${name}`, PATH);
    names.add(name);
  }
  const buffers = sub(message, 'bufferFactoryConfig');
  // Envoy begins to watch at half of what the field says.
  const power = buffers === null ? 0 : num(buffers, 'minimumAccountToTrackPowerOfTwo');
  return {
    refreshIntervalMs: wholeMs(message, 'refreshInterval', REFRESH_MS, PATH),
    monitors,
    actions: lowerActions(message, names, ctx),
    shedPoints: lowerShedPoints(message, names, ctx),
    scaledTimers: lowerScaledTimers(message),
    leastStreamBytes: power === 0 ? 0 : 2 ** (power - 1),
  };
}

function lowerMonitor(monitor: Msg, runtime: RuntimeKeys, path: string): MonitorModel {
  const name = str(monitor, 'name');
  const any = oneofCase(monitor, 'configType', 'typedConfig');
  if (any === null) throw missingImplementation(name, '', path);
  const { typeUrl, message } = unpackAny(any, `${path}.typed_config`);
  const typeName = typeNameOf(typeUrl);
  switch (typeName) {
    case `${MONITORS}fixed_heap.v3.FixedHeapConfig`:
      return { name, kind: 'fixed_heap', maxBytes: heapLimit(message, runtime, path) };
    case `${MONITORS}cgroup_memory.v3.CgroupMemoryConfig`:
      return { name, kind: 'cgroup_memory', maxBytes: num(message, 'maxMemoryBytes') };
    case `${MONITORS}cpu_utilization.v3.CpuUtilizationConfig`:
      return { name, kind: 'cpu', mode: num(message, 'mode') === CONTAINER ? 'container' : 'host' };
    case `${MONITORS}injected_resource.v3.InjectedResourceConfig`:
      return { name, kind: 'injected', path: str(message, 'filename') };
    case `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`:
      if (name === CONNECTIONS_NAME)
        return { name, kind: 'connections', max: num(message, 'maxActiveDownstreamConnections') };
  }
  throw missingImplementation(name, typeName, path);
}

function heapLimit(message: Msg, runtime: RuntimeKeys, path: string): number {
  const fromRuntime = sub(message, 'maxHeapSizeBytesRuntime');
  let bytes = num(message, 'maxHeapSizeBytes');
  if (fromRuntime !== null) {
    bytes = runtimeInteger(runtime, str(fromRuntime, 'runtimeKey'), num(fromRuntime, 'defaultValue'));
  }
  if (bytes <= 0) throw new ConfigError('fixed_heap: max heap size must be greater than 0', `${path}.typed_config`);
  return bytes;
}

function lowerActions(manager: Msg, monitors: ReadonlySet<string>, ctx: LowerContext): OverloadActionModel[] {
  const actions: OverloadActionModel[] = [];
  const seen = new Set<string>();
  for (const [i, message] of list(manager, 'actions').entries()) {
    const path = `${PATH}.actions[${i}]`;
    const full = str(message, 'name');
    const name = full.startsWith(ACTIONS) ? full.slice(ACTIONS.length) : '';
    if (!ACTION_NAMES.has(name) && !OTHER_ACTIONS.has(name))
      throw new ConfigError(`Unknown Overload Manager Action ${full}`, path);
    if (seen.has(name)) throw new ConfigError(`Duplicate overload action ${full}`, path);
    seen.add(name);
    checkActionConfig(full, name, sub(message, 'typedConfig') !== null, path);
    const triggers = lowerTriggers(message, monitors, `overload action ${full}`, path);
    if (ACTION_NAMES.has(name)) actions.push({ name: name as OverloadActionName, triggers });
    else ctx.unsupported(path, `${full} is not taken`);
  }
  return actions;
}

/** By `TimerType`. */
const TIMERS: ReadonlyMap<number, ScaledTimerName> = new Map([
  [1, 'connection_idle'],
  [2, 'stream_idle'],
]);

function lowerScaledTimers(manager: Msg): OverloadModel['scaledTimers'] {
  const timers: { [timer in ScaledTimerName]: TimerMinimum | null } = { connection_idle: null, stream_idle: null };
  for (const [i, action] of list(manager, 'actions').entries()) {
    const any = sub(action, 'typedConfig');
    if (str(action, 'name') !== `${ACTIONS}reduce_timeouts` || any === null) continue;
    const path = `${PATH}.actions[${i}].typed_config`;
    const seen = new Set<number>();
    for (const factor of list(unpackAny(any, path).message, 'timerScaleFactors')) {
      const type = num(factor, 'timer');
      if (seen.has(type)) throw new ConfigError(`Found duplicate entry for timer type ${type}`, path);
      seen.add(type);
      const timer = TIMERS.get(type);
      if (timer !== undefined) timers[timer] = lowerMinimum(factor, path);
    }
  }
  return timers;
}

function lowerMinimum(factor: Msg, path: string): TimerMinimum {
  const scale = oneofCase(factor, 'overloadAdjust', 'minScale');
  if (scale !== null) return { kind: 'share', share: Math.min(1, num(scale, 'value') / 100) };
  const timeout = oneofCase(factor, 'overloadAdjust', 'minTimeout');
  const ms = timeout === null ? 0 : Math.floor(toMs(timeout));
  if (ms < 0) throw new ConfigError('Invalid duration: Expected positive duration', path);
  return { kind: 'ms', ms };
}

function checkActionConfig(full: string, name: string, given: boolean, path: string): void {
  if (name === 'reduce_timeouts' && !given)
    throw new ConfigError(`Overload action "${full}" requires typed_config`, path);
  if (given && !CONFIGURED_ACTIONS.has(name))
    throw new ConfigError(`Overload action "${full}" has an unexpected value for the typed_config field`, path);
}

function lowerShedPoints(manager: Msg, monitors: ReadonlySet<string>, ctx: LowerContext): ShedPointModel[] {
  const points: ShedPointModel[] = [];
  const seen = new Set<string>();
  for (const [i, message] of list(manager, 'loadshedPoints').entries()) {
    const path = `${PATH}.loadshed_points[${i}]`;
    const full = str(message, 'name');
    if (seen.has(full)) throw new ConfigError(`Duplicate loadshed point ${full}`, path);
    seen.add(full);
    const triggers = lowerTriggers(message, monitors, `loadshed point ${full}`, path);
    const name = full.startsWith(SHED_POINTS) ? full.slice(SHED_POINTS.length) : '';
    if (SHED_POINT_NAMES.has(name)) points.push({ name: name as ShedPointName, triggers });
    else ctx.unsupported(path, `load is not shed at ${full}`);
  }
  return points;
}

function lowerTriggers(owner: Msg, monitors: ReadonlySet<string>, what: string, path: string): TriggerModel[] {
  const seen = new Set<string>();
  return list(owner, 'triggers').map((trigger, i) => {
    const where = `${path}.triggers[${i}]`;
    const monitor = str(trigger, 'name');
    const scaled = oneofCase(trigger, 'triggerOneof', 'scaled');
    const threshold = oneofCase(trigger, 'triggerOneof', 'threshold');
    const value = threshold === null ? 0 : num(threshold, 'value');
    const scalingThreshold = scaled === null ? value : num(scaled, 'scalingThreshold');
    const saturationThreshold = scaled === null ? value : num(scaled, 'saturationThreshold');
    if (scaled !== null && scalingThreshold >= saturationThreshold)
      throw new ConfigError('scaling_threshold must be less than saturation_threshold', where);
    if (!monitors.has(monitor)) throw new ConfigError(`Unknown trigger resource ${monitor} for ${what}`, where);
    if (seen.has(monitor)) throw new ConfigError(`Duplicate trigger resource for ${what}`, where);
    seen.add(monitor);
    return { monitor, scalingThreshold, saturationThreshold };
  });
}
