// Time limits that the overload manager makes shorter: as pressure rises from the configured time down to a minimum.

import type { OverloadModel, ScaledTimerName, TimerMinimum } from '../config/model/overload.ts';
import { type OverloadState, REDUCE_CONNECTION_IDLE, REDUCE_STREAM_IDLE } from '../util/overload.ts';

/** See the head of this file. */
export class TimerScale {
  private readonly state: OverloadState;
  private readonly timers: OverloadModel['scaledTimers'];

  constructor(state: OverloadState, timers: OverloadModel['scaledTimers']) {
    this.state = state;
    this.timers = timers;
  }

  /** `null` when there is nothing to be scaled. */
  static of(state: OverloadState, model: OverloadModel): TimerScale | null {
    const { scaledTimers, actions } = model;
    const scales = actions.some(({ action }) => action === 'reduce_timeouts');
    return scales && Object.values(scaledTimers).some((minimum) => minimum !== null)
      ? new TimerScale(state, scaledTimers)
      : null;
  }

  /** @param configuredMs 0 = no limit, and stays none */
  scaled(timer: ScaledTimerName, configuredMs: number): number {
    const minimum = this.timers[timer];
    if (minimum === null || configuredMs <= 0) return configuredMs;
    const leastMs = Math.min(configuredMs, leastOf(minimum, configuredMs));
    // No limit at all is what 0 means elsewhere.
    const slot = timer === 'connection_idle' ? REDUCE_CONNECTION_IDLE : REDUCE_STREAM_IDLE;
    return Math.max(1, leastMs + (configuredMs - leastMs) * (1 - this.state.value(slot)));
  }
}

function leastOf(minimum: TimerMinimum, configuredMs: number): number {
  return minimum.kind === 'ms' ? minimum.ms : configuredMs * minimum.share;
}
