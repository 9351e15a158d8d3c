// All clusters whose hosts are watched, in the main thread: who has which cell, and whom a worker's report is about.

import type { ClusterModel, LocalityModel } from '../config/model/cluster.ts';
import {
  CLUSTER_MANAGER,
  CLUSTER_MANAGER_CLUSTER_UPDATED,
  CLUSTER_MANAGER_CLUSTER_UPDATED_VIA_MERGE,
  CLUSTER_MANAGER_UPDATE_MERGE_CANCELLED,
  CLUSTER_MANAGER_UPDATE_OUT_OF_MERGE_WINDOW,
} from '../observe/catalogue-server.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { Runtime } from '../util/runtime.ts';
import { type MergeCounts, MergeWindow } from './merge-window.ts';
import { countStaticHosts, NOBODY, type OutlierCells } from './outlier-cells.ts';
import { type DetectorEnv, OutlierDetector, type OutlierEvent, type WatchedHost } from './outlier-detector.ts';
import type { OutlierSign } from './outlier-monitor.ts';

/** What the detectors need of the main thread. */
export interface OutlierDetectorsEnv {
  readonly runtime: Runtime;
  readonly stats: StatsStore;
  readonly cells: OutlierCells;
  /**
   * Tells the workers that flags of a cluster's hosts have changed.
   * @param ejected cells of those that have just been ejected
   * @param rebuild balancers must know now
   */
  readonly publish: (clusterName: string, ejected: readonly number[], rebuild: boolean) => void;
  readonly log: (event: OutlierEvent) => void;
  /** Told once when there are more hosts than cells: those beyond are not watched. */
  readonly warn: (message: string) => void;
}

interface Watched {
  readonly detector: OutlierDetector;
  readonly host: WatchedHost;
}

/** See the head of this file. */
export class OutlierDetectors {
  private readonly detectors: Map<string, OutlierDetector>;
  private readonly windows: Map<string, MergeWindow>;
  private readonly byCell: Map<number, Watched>;
  private readonly env: OutlierDetectorsEnv;
  /** Never used so far; then those given back, the oldest first, so that hardly anything said late meets a new host. */
  private fresh: number;
  private readonly returned: number[];
  private warned: boolean;

  constructor(clusters: readonly ClusterModel[], env: OutlierDetectorsEnv) {
    this.env = env;
    this.detectors = new Map();
    this.windows = new Map();
    this.byCell = new Map();
    this.returned = [];
    this.warned = false;
    this.fresh = NOBODY + 1 + countStaticHosts(clusters.filter(({ outlier }) => (outlier?.firstCell ?? -1) >= 0));
    const detectorEnv: DetectorEnv = {
      ...env,
      publish: (name, ejected) => env.publish(name, ejected, this.windows.get(name)?.onHealth() ?? true),
      takeCell: () => this.takeCell(),
      giveCell: (cell) => {
        if (cell !== NOBODY) this.returned.push(cell);
      },
    };
    for (const cluster of clusters) {
      if (cluster.outlier === null) continue;
      const { name, updateMergeWindowMs, localities } = cluster;
      this.detectors.set(name, new OutlierDetector(cluster, cluster.outlier, detectorEnv));
      const counts = mergeCounts(env.stats, new Set(localities.map(({ priority }) => priority)).size);
      const tell = (): void => env.publish(name, [], true);
      this.windows.set(name, new MergeWindow(env.runtime, updateMergeWindowMs, counts, tell));
      if (cluster.outlier.firstCell >= 0) this.assign(name, localities);
    }
  }

  /** New hosts of a cluster; returns their cells in the order of first mention, or `null` when nobody watches them. */
  setHosts(clusterName: string, localities: readonly LocalityModel[]): readonly number[] | null {
    // A cluster's first hosts are no news that others could follow too soon.
    if (this.detectors.get(clusterName)?.watched.size !== 0) this.windows.get(clusterName)?.onHosts();
    return this.assign(clusterName, localities);
  }

  private assign(clusterName: string, localities: readonly LocalityModel[]): readonly number[] | null {
    const detector = this.detectors.get(clusterName);
    if (detector === undefined) return null;
    for (const { cell } of detector.watched.values()) this.byCell.delete(cell);
    const cells = detector.setHosts(localities);
    for (const host of detector.watched.values()) this.byCell.set(host.cell, { detector, host });
    return cells;
  }

  /** What a worker said; of hosts that are gone meanwhile it means nothing. */
  onSign(cell: number, sign: OutlierSign): void {
    const watched = this.byCell.get(cell);
    if (watched !== undefined && cell !== NOBODY) watched.detector.onSign(watched.host, sign);
  }

  /** `null` when the cluster's hosts are not watched. */
  find(clusterName: string): OutlierDetector | null {
    return this.detectors.get(clusterName) ?? null;
  }

  close(): void {
    for (const detector of this.detectors.values()) detector.stop();
    for (const window of this.windows.values()) window.stop();
  }

  private takeCell(): number {
    if (this.fresh < this.env.cells.capacity) return this.fresh++;
    const cell = this.returned.shift();
    if (cell !== undefined) return cell;
    if (!this.warned) this.env.warn('there are more hosts than outlier detection can watch');
    this.warned = true;
    return NOBODY;
  }
}

/** Envoy counts each priority's update. */
function mergeCounts(store: StatsStore, priorities: number): MergeCounts {
  const stats = store.block(CLUSTER_MANAGER, 'cluster_manager.');
  const add = (index: number) => (): void => {
    (stats[index] as number) += priorities;
  };
  return {
    onUpdate: add(CLUSTER_MANAGER_CLUSTER_UPDATED),
    onMerged: add(CLUSTER_MANAGER_CLUSTER_UPDATED_VIA_MERGE),
    onOutOfWindow: add(CLUSTER_MANAGER_UPDATE_OUT_OF_MERGE_WINDOW),
    onCancelled: add(CLUSTER_MANAGER_UPDATE_MERGE_CANCELLED),
  };
}
