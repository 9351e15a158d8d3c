// A place at which load is shed while the process is under pressure: whether it is this time, counted.

import type { ShedPointName } from '../config/model/overload.ts';
import type { OverloadState } from '../util/overload.ts';
import type { Runtime } from '../util/runtime.ts';
import type { StatsStore } from './stats.ts';

/** See the head of this file. One per worker and place. */
export class ShedPoint {
  private readonly overload: OverloadState;
  private readonly slot: number;
  private readonly runtime: Runtime;
  private readonly count: Float64Array;

  constructor(name: ShedPointName, slot: number, overload: OverloadState, runtime: Runtime, stats: StatsStore) {
    this.overload = overload;
    this.slot = slot;
    this.runtime = runtime;
    this.count = stats.cell(`overload.envoy.load_shed_points.${name}.shed_load_count`, 'c');
  }

  sheds(): boolean {
    if (!this.overload.applies(this.slot, this.runtime)) return false;
    this.count[0] = (this.count[0] as number) + 1;
    return true;
  }
}

/** Finds the place of that name; `null` = no load is shed there. */
export type FindShedPoint = (name: ShedPointName) => ShedPoint | null;
