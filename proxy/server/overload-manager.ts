// The overload manager: looks at resources again and again, in the main thread, and tells the workers through shared
// memory which actions are to be taken and how often.

import type {
  MonitorModel,
  OverloadActionName,
  OverloadModel,
  ScaledTimerName,
  ShedPointName,
  TriggerModel,
} from '../config/model/overload.ts';
import { OVERLOAD } from '../observe/catalogue-server.ts';
import { logger } from '../observe/log.ts';
import { type FindShedPoint, ShedPoint } from '../observe/shed-point.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import {
  ABORT_HTTP1,
  CLOSE_HTTP2,
  DISABLE_KEEPALIVE,
  GOAWAY_HTTP2,
  type OverloadState,
  REDUCE_CONNECTION_IDLE,
  REDUCE_STREAM_IDLE,
  REJECT_CONNECTIONS,
  SHED_CODECS,
  SHED_CONNECTIONS,
  SHED_FILTERS,
  SHED_POOLS,
  SHED_REQUESTS,
  SHED_TCP_CONNECT,
  SHED_TCP_DATA,
  STOP_CONNECTIONS,
  STOP_REQUESTS,
} from '../util/overload.ts';
import type { Runtime } from '../util/runtime.ts';
import { type Measure, measureOf } from './resource-monitors.ts';

/** Between two times that memory is given back while `shrink_heap` is active, milliseconds; Envoy's default. */
const SHRINK_MS = 10_000;
const SHRINK_COUNT = 'overload.envoy.overload_actions.shrink_heap.shrink_count';

/** What the manager needs of the server. */
export interface OverloadEnv {
  readonly runtime: Runtime;
  readonly stats: StatsStore;
  readonly state: OverloadState;
  /** Downstream connections that count against the limit. */
  readonly connections: () => number;
  /** Workers are to look whether they accept connections. */
  readonly onAccepting: () => void;
  /** Workers are to look at their time limits. */
  readonly onTimeLimits: () => void;
  /** Ends streams that hold so many bytes or more: the heaviest, and the more the higher the pressure is. */
  readonly resetStreams: (pressure: number, leastBytes: number) => void;
  /** Gives unused memory back to the system. */
  readonly shrinkHeap: () => void;
}

interface Monitor {
  readonly model: MonitorModel;
  readonly measure: Measure;
  readonly pressure: Float64Array;
  readonly failed: Float64Array;
  /** −1 = not known yet. */
  value: number;
}

interface Trigger {
  readonly model: TriggerModel;
  /** How much of the action it asks for. */
  share: number;
}

/** An action, or a point at which load is shed. */
interface Lever {
  readonly triggers: readonly Trigger[];
  /** Where workers look; empty = they have nothing to do with it. */
  readonly slots: readonly number[];
  /** `null` = not an action. */
  readonly active: Float64Array | null;
  readonly scale: Float64Array;
  /** The most that a trigger asks for. */
  value: number;
  /** What was done about. */
  taken: number;
}

const TIMER_SLOTS: { readonly [timer in ScaledTimerName]: number } = {
  connection_idle: REDUCE_CONNECTION_IDLE,
  stream_idle: REDUCE_STREAM_IDLE,
};
/** −1 = workers do not look. */
const SLOTS: { readonly [name in Exclude<OverloadActionName, 'reduce_timeouts'> | ShedPointName]: number } = {
  stop_accepting_requests: STOP_REQUESTS,
  disable_http_keepalive: DISABLE_KEEPALIVE,
  reject_incoming_connections: REJECT_CONNECTIONS,
  stop_accepting_connections: STOP_CONNECTIONS,
  shrink_heap: -1,
  reset_high_memory_stream: -1,
  tcp_listener_accept: SHED_CONNECTIONS,
  hcm_ondata_creating_codec: SHED_CODECS,
  http_connection_manager_decode_headers: SHED_REQUESTS,
  http1_server_abort_dispatch: ABORT_HTTP1,
  http2_server_go_away_on_dispatch: GOAWAY_HTTP2,
  http2_server_go_away_and_close_on_dispatch: CLOSE_HTTP2,
  http3_server_go_away_on_dispatch: -1,
  http3_server_go_away_and_close_on_dispatch: -1,
  http_downstream_filter_check: SHED_FILTERS,
  connection_pool_new_connection: SHED_POOLS,
  tcp_proxy_upstream_connect: SHED_TCP_CONNECT,
  tcp_proxy_on_data: SHED_TCP_DATA,
};

/** Finds the places of a worker at which load is shed. */
export function shedPoints(
  model: OverloadModel | null,
  state: OverloadState | null,
  runtime: Runtime,
  stats: StatsStore,
): FindShedPoint {
  return (name) => {
    if (state === null || model?.shedPoints.some(({ place }) => place === name) !== true) return null;
    return new ShedPoint(name, SLOTS[name], state, runtime, stats);
  };
}

/** See the head of this file. */
export class OverloadManager {
  private readonly env: OverloadEnv;
  private readonly refreshMs: number;
  private readonly monitors: readonly Monitor[];
  private readonly levers: readonly Lever[];
  private readonly shrink: Lever | null;
  private readonly reset: Lever | null;
  private readonly leastStreamBytes: number;
  private readonly shrinkCount: Float64Array | null;
  private readonly delay: Histogram;
  private refreshedMs: number;
  private shrunkMs: number;
  private cancelTimer: () => void;

  constructor(model: OverloadModel, env: OverloadEnv) {
    const { stats } = env;
    this.env = env;
    this.refreshMs = model.refreshIntervalMs;
    this.monitors = model.monitors.map((monitor) => makeMonitor(monitor, env));
    const actions = model.actions.map(({ name, action, timers, triggers }) => {
      return makeLever(name, slotsOf(action, timers), triggers, true, stats);
    });
    const points = model.shedPoints.map(({ name, place, triggers }) =>
      makeLever(name, place === null ? [] : [SLOTS[place]], triggers, false, stats),
    );
    this.levers = [...actions, ...points];
    const actionOf = (wanted: OverloadActionName): Lever | null =>
      actions[model.actions.findIndex(({ action }) => action === wanted)] ?? null;
    this.shrink = actionOf('shrink_heap');
    this.reset = actionOf('reset_high_memory_stream');
    this.leastStreamBytes = model.leastStreamBytes;
    this.shrinkCount = this.shrink === null ? null : gauge(SHRINK_COUNT, 'c', stats);
    this.delay = stats.histogram(`overload.${OVERLOAD.names[0]}`);
    this.refreshedMs = -1;
    this.shrunkMs = Number.NEGATIVE_INFINITY;
    this.cancelTimer = () => {};
    // Connections alone are not looked at again and again: what they trigger never comes, as in Envoy.
    if (model.monitors.some(({ kind }) => kind !== 'connections')) this.refresh();
  }

  stop(): void {
    this.cancelTimer();
  }

  private refresh(): void {
    const now = this.env.runtime.nowMs();
    if (this.refreshedMs >= 0) this.delay.record(Math.round(now - this.refreshedMs));
    this.refreshedMs = now;
    for (const monitor of this.monitors)
      if (look(monitor)) for (const lever of this.levers) press(lever, monitor.model.name, monitor.value);
    for (const lever of this.levers) if (lever.value !== lever.taken) this.pull(lever);
    this.shrinkIfTime(now);
    this.cancelTimer = this.env.runtime.after(this.refreshMs, () => this.refresh());
  }

  private pull(lever: Lever): void {
    const { env } = this;
    const { value } = lever;
    lever.taken = value;
    if (lever === this.reset) env.resetStreams(value, this.leastStreamBytes);
    for (const slot of lever.slots) {
      env.state.set(slot, value);
      if (slot === STOP_CONNECTIONS) env.onAccepting();
      if (slot === REDUCE_CONNECTION_IDLE || slot === REDUCE_STREAM_IDLE) env.onTimeLimits();
    }
  }

  private shrinkIfTime(now: number): void {
    const { shrink, shrinkCount } = this;
    if (shrink === null || shrinkCount === null || shrink.value < 1 || now - this.shrunkMs < SHRINK_MS) return;
    this.shrunkMs = now;
    shrinkCount[0] = (shrinkCount[0] as number) + 1;
    this.env.shrinkHeap();
  }
}

function makeMonitor(model: MonitorModel, { stats, connections }: OverloadEnv): Monitor {
  const prefix = `overload.${model.name}.`;
  if (model.kind !== 'connections') gauge(`${prefix}skipped_updates`, 'c', stats);
  return {
    model,
    measure: measureOf(model, connections),
    pressure: gauge(`${prefix}pressure`, 'g', stats),
    failed: gauge(`${prefix}failed_updates`, 'c', stats),
    value: -1,
  };
}

function slotsOf(action: OverloadActionName | null, timers: readonly ScaledTimerName[]): readonly number[] {
  if (action === null) return [];
  return action === 'reduce_timeouts' ? timers.map((timer) => TIMER_SLOTS[timer]) : [SLOTS[action]];
}

function makeLever(
  name: string,
  slots: readonly number[],
  triggers: readonly TriggerModel[],
  isAction: boolean,
  stats: StatsStore,
): Lever {
  if (!isAction) gauge(`overload.${name}.shed_load_count`, 'c', stats);
  return {
    triggers: triggers.map((model) => ({ model, share: 0 })),
    slots: slots.filter((slot) => slot >= 0),
    active: isAction ? gauge(`overload.${name}.active`, 'g', stats) : null,
    scale: gauge(`overload.${name}.scale_percent`, 'g', stats),
    value: 0,
    taken: 0,
  };
}

function gauge(name: string, kind: 'c' | 'g', stats: StatsStore): Float64Array {
  const cell = stats.cell(name, kind);
  cell[0] = 0;
  return cell;
}

/** @returns whether the pressure is known now */
function look(monitor: Monitor): boolean {
  try {
    monitor.value = monitor.measure();
    monitor.pressure[0] = Math.floor(monitor.value * 100);
    return true;
  } catch (error) {
    monitor.failed[0] = (monitor.failed[0] as number) + 1;
    logger('main').info(`Failed to update resource ${monitor.model.name}: ${(error as Error).message}`);
    return false;
  }
}

/** Tells an action, or a place, of the pressure of a resource. */
function press(lever: Lever, monitor: string, pressure: number): void {
  const trigger = lever.triggers.find(({ model }) => model.monitor === monitor);
  if (trigger === undefined) return;
  const share = shareOf(trigger.model, pressure);
  if (share === trigger.share) return;
  trigger.share = share;
  lever.value = lever.triggers.reduce((most, { share }) => Math.max(most, share), 0);
  // As in Envoy, gauges of an action show the trigger that changed last, whatever the others ask for.
  const shown = lever.active === null ? lever.value : share;
  lever.scale[0] = Math.floor(Math.fround(shown * 100));
  if (lever.active !== null) lever.active[0] = share >= 1 ? 1 : 0;
}

/** From 0 to 1; in Envoy's precision, in which what is almost everything is everything. */
function shareOf({ scalingThreshold, saturationThreshold }: TriggerModel, pressure: number): number {
  if (pressure >= saturationThreshold) return 1;
  if (pressure <= scalingThreshold) return 0;
  return Math.fround((pressure - scalingThreshold) / (saturationThreshold - scalingThreshold));
}
