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
const SCALE_TIMERS = 'envoy.config.overload.v3.ScaleTimersOverloadActionConfig';
/** Actions that have, or may have, a configuration of their own. */
const CONFIGS: ReadonlyMap<string, string> = new Map([
  ['reduce_timeouts', SCALE_TIMERS],
  ['shrink_heap', 'envoy.config.overload.v3.ShrinkHeapConfig'],
]);
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
  const timers: TimerOwners = { owners: new Map(), minima: { connection_idle: null, stream_idle: null } };
  const actions = lowerActions(message, names, timers, ctx);
  return {
    refreshIntervalMs: wholeMs(message, 'refreshInterval', REFRESH_MS, PATH),
    monitors,
    actions,
    shedPoints: lowerShedPoints(message, names, actions),
    scaledTimers: timers.minima,
    leastStreamBytes: power === 0 ? 0 : 2 ** (power - 1),
  };
}

function lowerMonitor(monitor: Msg, runtime: RuntimeKeys, path: string): MonitorModel {
  const name = str(monitor, 'name');
  const any = oneofCase(monitor, 'configType', 'typedConfig');
  if (any === null) throw missingImplementation(name, '', path);
  const { typeUrl, message } = unpackAny(any, `${path}.typed_config`);
  const typeName = typeNameOf(typeUrl);
  const countsConnections = typeName === `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`;
  if (countsConnections !== (name === CONNECTIONS_NAME)) throw missingImplementation(name, typeName, path);
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

function lowerActions(
  manager: Msg,
  monitors: ReadonlySet<string>,
  timers: TimerOwners,
  ctx: LowerContext,
): OverloadActionModel[] {
  const actions: OverloadActionModel[] = [];
  const seen = new Set<string>();
  for (const [i, message] of list(manager, 'actions').entries()) {
    const path = `${PATH}.actions[${i}]`;
    const name = str(message, 'name');
    const any = sub(message, 'typedConfig');
    const config = any === null ? null : unpackAny(any, `${path}.typed_config`);
    const action = actionOf(name, config === null ? '' : typeNameOf(config.typeUrl), path);
    if (seen.has(name)) throw new ConfigError(`Duplicate overload action ${name}`, path);
    seen.add(name);
    const scaled =
      action === 'reduce_timeouts' && config !== null
        ? lowerScaledTimers(config.message, name, timers, `${path}.typed_config`)
        : [];
    if (action === 'reset_high_memory_stream' && sub(manager, 'bufferFactoryConfig') === null)
      throw new ConfigError(`Overload action "${name}" requires buffer_factory_config.`, path);
    const triggers = lowerTriggers(message, monitors, `overload action ${name}`, path);
    if (action === null) ctx.unsupported(path, `${name} is not taken`);
    actions.push({ name, action, timers: scaled, triggers });
  }
  return actions;
}

/**
 * What an action does: its name says it, or, for time limits, its configuration.
 * @returns `null` for what is not taken here
 * @throws ConfigError in Envoy's words where there is no such action, or name and configuration do not go together
 */
function actionOf(full: string, config: string, path: string): OverloadActionName | null {
  const name = full.startsWith(ACTIONS) ? full.slice(ACTIONS.length) : '';
  const isKnown = ACTION_NAMES.has(name) || OTHER_ACTIONS.has(name);
  if (config === SCALE_TIMERS && name !== 'reduce_timeouts') {
    if (isKnown) throw new ConfigError(`Overload action name "${full}" conflicts with its typed config`, path);
    if (!full.startsWith(ACTIONS)) return 'reduce_timeouts';
    throw new ConfigError(`Overload action name "${full}" uses reserved prefix "${ACTIONS}"`, path);
  }
  if (!isKnown) throw new ConfigError(`Unknown Overload Manager Action ${full}`, path);
  if (name === 'reduce_timeouts' && config === '')
    throw new ConfigError(`Overload action "${full}" requires typed_config`, path);
  const wanted = CONFIGS.get(name) ?? '';
  if (config !== '' && wanted === '')
    throw new ConfigError(`Overload action "${full}" has an unexpected value for the typed_config field`, path);
  if (config !== '' && config !== wanted)
    throw new ConfigError(`typed_config resolves to ${config} instead of ${wanted}`, path);
  return OTHER_ACTIONS.has(name) ? null : (name as OverloadActionName);
}

/** By `TimerType`. */
const TIMERS: ReadonlyMap<number, ScaledTimerName> = new Map([
  [1, 'connection_idle'],
  [2, 'stream_idle'],
]);
/** `TimerType`, as it is written. */
const TIMER_TYPES = [
  'UNSPECIFIED',
  'HTTP_DOWNSTREAM_CONNECTION_IDLE',
  'HTTP_DOWNSTREAM_STREAM_IDLE',
  'TRANSPORT_SOCKET_CONNECT',
  'HTTP_DOWNSTREAM_CONNECTION_MAX',
  'HTTP_DOWNSTREAM_STREAM_FLUSH',
] as const;

/** Which action makes which timer shorter, by `TimerType`, and down to what. */
interface TimerOwners {
  readonly owners: Map<number, string>;
  readonly minima: { [timer in ScaledTimerName]: TimerMinimum | null };
}

function lowerScaledTimers(config: Msg, action: string, timers: TimerOwners, path: string): ScaledTimerName[] {
  const { owners, minima } = timers;
  const own: ScaledTimerName[] = [];
  for (const factor of list(config, 'timerScaleFactors')) {
    const type = num(factor, 'timer');
    const owner = owners.get(type);
    if (owner === action) throw new ConfigError(`Found duplicate entry for timer type ${TIMER_TYPES[type]}`, path);
    if (owner !== undefined) {
      const both = `"${owner}" and "${action}"`;
      throw new ConfigError(`Timer type is configured by both overload actions ${both}`, path);
    }
    owners.set(type, action);
    const timer = TIMERS.get(type);
    if (timer === undefined) continue;
    minima[timer] = lowerMinimum(factor, path);
    own.push(timer);
  }
  return own;
}

function lowerMinimum(factor: Msg, path: string): TimerMinimum {
  const scale = oneofCase(factor, 'overloadAdjust', 'minScale');
  if (scale !== null) return { kind: 'share', share: Math.min(1, num(scale, 'value') / 100) };
  const timeout = oneofCase(factor, 'overloadAdjust', 'minTimeout');
  const ms = timeout === null ? 0 : Math.floor(toMs(timeout));
  if (ms < 0) throw new ConfigError('Invalid duration: Expected positive duration', path);
  return { kind: 'ms', ms };
}

function lowerShedPoints(
  manager: Msg,
  monitors: ReadonlySet<string>,
  actions: readonly OverloadActionModel[],
): ShedPointModel[] {
  const points: ShedPointModel[] = [];
  const seen = new Set<string>();
  for (const [i, message] of list(manager, 'loadshedPoints').entries()) {
    const path = `${PATH}.loadshed_points[${i}]`;
    const name = str(message, 'name');
    if (actions.some((action) => action.name === name))
      throw new ConfigError(`Load shed point "${name}" conflicts with an overload action of the same name`, path);
    if (seen.has(name)) throw new ConfigError(`Duplicate loadshed point ${name}`, path);
    seen.add(name);
    const triggers = lowerTriggers(message, monitors, `loadshed point ${name}`, path);
    const place = name.startsWith(SHED_POINTS) ? name.slice(SHED_POINTS.length) : '';
    points.push({ name, place: SHED_POINT_NAMES.has(place) ? (place as ShedPointName) : null, triggers });
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
