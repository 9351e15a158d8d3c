// The overload manager: looks at resources again and again, in the main thread, and tells the workers through shared
// memory which actions are to be taken and how often.

import type {
  MonitorModel,
  OverloadActionName,
  OverloadModel,
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
  REDUCE_TIMEOUTS,
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

/** What the manager needs of the server. */
export interface OverloadEnv {
  readonly runtime: Runtime;
  readonly stats: StatsStore;
  readonly state: OverloadState;
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
  readonly measure: Measure | null;
  readonly pressure: Float64Array;
  readonly failed: Float64Array;
  /** −1 = not known yet. */
  value: number;
}

/** An action, or a point at which load is shed. */
interface Lever {
  readonly triggers: readonly TriggerModel[];
  /** −1 = the workers have nothing to do with it. */
  readonly slot: number;
  readonly active: Float64Array | null;
  readonly scale: Float64Array;
  value: number;
}

const SLOTS: { readonly [name in OverloadActionName | ShedPointName]: number } = {
  stop_accepting_requests: STOP_REQUESTS,
  disable_http_keepalive: DISABLE_KEEPALIVE,
  reject_incoming_connections: REJECT_CONNECTIONS,
  stop_accepting_connections: STOP_CONNECTIONS,
  shrink_heap: -1,
  reset_high_memory_stream: -1,
  reduce_timeouts: REDUCE_TIMEOUTS,
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
    if (state === null || model?.shedPoints.some((point) => point.name === name) !== true) return null;
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
    this.monitors = model.monitors.map((monitor) => makeMonitor(monitor, stats));
    const actions = model.actions.map(({ name, triggers }) =>
      makeLever(`overload.envoy.overload_actions.${name}`, SLOTS[name], triggers, true, stats),
    );
    const points = model.shedPoints.map(({ name, triggers }) =>
      makeLever(`overload.envoy.load_shed_points.${name}`, SLOTS[name], triggers, false, stats),
    );
    this.levers = [...actions, ...points];
    const actionOf = (wanted: OverloadActionName): Lever | null =>
      actions[model.actions.findIndex(({ name }) => name === wanted)] ?? null;
    this.shrink = actionOf('shrink_heap');
    this.reset = actionOf('reset_high_memory_stream');
    this.leastStreamBytes = model.leastStreamBytes;
    this.shrinkCount = this.shrink === null ? null : gauge(`${ACTION_PREFIX}shrink_heap.shrink_count`, 'c', stats);
    this.delay = stats.histogram(`overload.${OVERLOAD.names[0]}`);
    this.refreshedMs = -1;
    this.shrunkMs = Number.NEGATIVE_INFINITY;
    this.cancelTimer = () => {};
    this.refresh();
  }

  stop(): void {
    this.cancelTimer();
  }

  private refresh(): void {
    const now = this.env.runtime.nowMs();
    if (this.refreshedMs >= 0) this.delay.record(Math.round(now - this.refreshedMs));
    this.refreshedMs = now;
    for (const monitor of this.monitors) look(monitor);
    for (const lever of this.levers) this.pull(lever);
    this.shrinkIfTime(now);
    this.cancelTimer = this.env.runtime.after(this.refreshMs, () => this.refresh());
  }

  private pull(lever: Lever): void {
    let value = 0;
    for (const trigger of lever.triggers) value = Math.max(value, this.shareOf(trigger));
    if (value === lever.value) return;
    lever.value = value;
    lever.scale[0] = Math.floor(value * 100);
    if (lever.active !== null) lever.active[0] = value >= 1 ? 1 : 0;
    if (lever === this.reset && value > 0 && this.leastStreamBytes > 0)
      this.env.resetStreams(value, this.leastStreamBytes);
    if (lever.slot < 0) return;
    this.env.state.set(lever.slot, value);
    if (lever.slot === STOP_CONNECTIONS) this.env.onAccepting();
    if (lever.slot === REDUCE_TIMEOUTS) this.env.onTimeLimits();
  }

  private shareOf({ monitor, scalingThreshold, saturationThreshold }: TriggerModel): number {
    const pressure = this.monitors.find(({ model }) => model.name === monitor)?.value ?? -1;
    if (pressure >= saturationThreshold) return 1;
    return pressure <= scalingThreshold ? 0 : (pressure - scalingThreshold) / (saturationThreshold - scalingThreshold);
  }

  private shrinkIfTime(now: number): void {
    const { shrink, shrinkCount } = this;
    if (shrink === null || shrinkCount === null || shrink.value < 1 || now - this.shrunkMs < SHRINK_MS) return;
    this.shrunkMs = now;
    shrinkCount[0] = (shrinkCount[0] as number) + 1;
    this.env.shrinkHeap();
  }
}

const ACTION_PREFIX = 'overload.envoy.overload_actions.';

function makeMonitor(model: MonitorModel, stats: StatsStore): Monitor {
  const prefix = `overload.${model.name}.`;
  if (model.kind !== 'connections') gauge(`${prefix}skipped_updates`, 'c', stats);
  return {
    model,
    measure: measureOf(model),
    pressure: gauge(`${prefix}pressure`, 'g', stats),
    failed: gauge(`${prefix}failed_updates`, 'c', stats),
    value: -1,
  };
}

function makeLever(
  name: string,
  slot: number,
  triggers: readonly TriggerModel[],
  isAction: boolean,
  stats: StatsStore,
): Lever {
  if (!isAction) gauge(`${name}.shed_load_count`, 'c', stats);
  return {
    triggers,
    slot,
    active: isAction ? gauge(`${name}.active`, 'g', stats) : null,
    scale: gauge(`${name}.scale_percent`, 'g', stats),
    value: 0,
  };
}

function gauge(name: string, kind: 'c' | 'g', stats: StatsStore): Float64Array {
  const cell = stats.cell(name, kind);
  cell[0] = 0;
  return cell;
}

function look(monitor: Monitor): void {
  if (monitor.measure === null) return;
  try {
    monitor.value = monitor.measure();
    monitor.pressure[0] = Math.floor(monitor.value * 100);
  } catch (error) {
    monitor.failed[0] = (monitor.failed[0] as number) + 1;
    logger('main').info(`Failed to update resource ${monitor.model.name}: ${(error as Error).message}`);
  }
}
