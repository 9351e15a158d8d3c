// All workers of the process: started together, told everything, replaced one by one when they crash.

import type { AddressModel } from '../config/model/common.ts';
import type { ListenerModel } from '../config/model/listener.ts';
import type { Model } from '../config/model/model.ts';
import type { ModelText } from '../config/model/text.ts';
import { ConnectionCounts } from '../listener/connection-counts.ts';
import { SharedGates } from '../listener/shared-gates.ts';
import { listenSpecs, openSocket } from '../net/listen.ts';
import { systemCalls } from '../net/sockopt.ts';
import { logger } from '../observe/log.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import type { StatsAnnouncement } from '../observe/stats-store.ts';
import { SharedBreakers, settleOpenGauges } from '../upstream/breakers.ts';
import { countStaticHosts, OutlierCells } from '../upstream/outlier-cells.ts';
import type { OutlierSign } from '../upstream/outlier-monitor.ts';
import { ConfigError } from '../util/error.ts';
import { OverloadState } from '../util/overload.ts';
import type { AdoptMessage, FromWorker, ListenMessage, StartMessage, ToWorker, WorkerInit } from './messages.ts';
import { WorkerHandle } from './worker-handle.ts';

/** A crashed worker's successor starts after this long, doubled per crash in a row up to the maximum. Milliseconds. */
const RESTART_MS_MIN = 10;
const RESTART_MS_MAX = 5_000;
/** A worker that lived this long starts with a clean slate, milliseconds. */
const STABLE_MS = 60_000;
/** How much longer than their grace workers may take to close before they are ended, milliseconds. */
const SHUTDOWN_SLACK_MS = 1_000;

/** What happens to workers, told to the server. */
export interface PoolEvents {
  onStats(worker: number, announcement: StatsAnnouncement): void;
  onOutlier(cell: number, sign: OutlierSign): void;
  /** A worker died; it will be replaced. */
  onCrash(worker: number, reason: string): void;
  /** Messages that bring a successor up to date before it listens. */
  catchUp(): readonly ToWorker[];
}

/** Everything that workers share. */
interface Shared {
  readonly model: Model;
  readonly modelJson: ModelText;
  readonly counts: ConnectionCounts;
  readonly gates: SharedGates;
  readonly countsMemory: SharedArrayBuffer;
  readonly breakers: SharedBreakers;
  readonly outliers: OutlierCells | null;
  readonly overload: OverloadState | null;
  /** Which worker writes to standard output and error; `null` = there is one worker. */
  readonly pipeLocks: Int32Array<SharedArrayBuffer> | null;
  /** Per listener and address: a bound socket of ours that every worker gets a duplicate of, or −1. */
  readonly sockets: readonly (readonly number[])[];
}

/** See the head of this file. */
export class WorkerPool {
  private readonly init: Omit<WorkerInit, 'index'>;
  private readonly events: PoolEvents;
  private readonly workers: WorkerHandle[];
  private readonly crashes: number[];
  private shared: Shared | null;
  /** Per listener, as bound. */
  private bound: readonly (readonly AddressModel[])[] | null;
  private stopping: boolean;
  private inboundStopped: boolean;
  private allStopped: boolean;

  /** Starts the threads at once: they load their code while the configuration is being read. */
  constructor(init: Omit<WorkerInit, 'index'>, events: PoolEvents) {
    this.init = init;
    this.events = events;
    this.crashes = Array.from({ length: init.workers }, () => 0);
    this.shared = null;
    this.bound = null;
    this.stopping = false;
    this.inboundStopped = false;
    this.allStopped = false;
    this.workers = Array.from({ length: init.workers }, (_, index) => this.spawn(index));
  }

  /** Real addresses per listener; empty before `listen`. */
  get addresses(): readonly (readonly AddressModel[])[] {
    return this.bound ?? [];
  }

  /** Connections of some listeners now; `null` = of the process. */
  connections(listeners: readonly number[] | null): number {
    return this.shared?.counts.total(listeners) ?? 0;
  }

  /** What is known of watched hosts; `null` = no cluster watches its own. Empty before `start`. */
  get outliers(): OutlierCells | null {
    return this.shared?.outliers ?? null;
  }

  /** What the workers read; `null` = there is no overload manager. Empty before `start`. */
  get overload(): OverloadState | null {
    return this.shared?.overload ?? null;
  }

  /** Gives every worker the model; settles when all have compiled it. */
  async start(model: Model, modelJson: ModelText): Promise<void> {
    const { workers } = this.init;
    const countsMemory = ConnectionCounts.allocate(model.listeners.length, workers);
    this.shared = {
      model,
      modelJson,
      countsMemory,
      counts: new ConnectionCounts(countsMemory, workers),
      breakers: new SharedBreakers(SharedBreakers.allocate(workers, model.clusters.length), workers, 0),
      outliers: outlierCells(model, workers),
      overload: model.overload === null ? null : new OverloadState(OverloadState.allocate()),
      gates: new SharedGates(SharedGates.allocate(model, workers), workers, 0),
      pipeLocks: workers > 1 ? new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) : null,
      sockets: model.listeners.map((listener) => (listener.bindToPort ? this.openShared(listener) : [])),
    };
    await Promise.all(this.workers.map((worker) => this.startOne(worker)));
  }

  /**
   * Opens all listeners on all workers. The first worker goes ahead and learns the ports that the kernel chooses.
   * @throws ConfigError in Envoy's words
   */
  async listen(): Promise<void> {
    const [first, ...rest] = this.workers;
    if (first === undefined) return;
    this.bound = await this.listenOne(first, null);
    await Promise.all(rest.map((worker) => this.listenOne(worker, this.bound)));
  }

  post(message: ToWorker): void {
    for (const worker of this.workers) worker.post(message);
  }

  /** Makes the gauges of circuit breakers true once those of a dead worker are gone. */
  settleBreakers(stats: StatsRegistry): void {
    if (this.shared !== null) settleOpenGauges(this.shared.breakers, this.shared.model.clusters, stats);
  }

  /**
   * Closes listening sockets; connections live on. Successors of crashed workers do not open them again.
   * @returns how many listeners stopped
   */
  stopAccepting(inboundOnly: boolean): number {
    const stopped = (this.shared?.model.listeners ?? []).filter((listener) => this.serves(0, listener));
    if (inboundOnly) this.inboundStopped = true;
    else this.allStopped = true;
    this.closeShared(inboundOnly);
    this.post({ type: 'stop_accepting', inboundOnly });
    return stopped.filter((listener) => !inboundOnly || listener.trafficDirection === 'inbound').length;
  }

  /** Finishes what is in flight, closes the rest after `graceMs`, and ends all threads. */
  async shutdown(graceMs: number): Promise<void> {
    this.stopping = true;
    this.closeShared(false);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs + SHUTDOWN_SLACK_MS);
    const closed = this.workers.map((worker) => worker.ask({ type: 'shutdown', graceMs }, 'closed').catch(() => null));
    await Promise.race([Promise.all(closed), late]);
    clearTimeout(timer);
    await this.terminate();
  }

  /** Ends all threads at once. */
  async terminate(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  // === One worker ===

  private spawn(index: number): WorkerHandle {
    const handle: WorkerHandle = new WorkerHandle(
      { ...this.init, index },
      {
        onMessage: (message) => this.onMessage(handle, message),
        onCrash: (reason) => this.onCrash(handle, reason),
      },
    );
    return handle;
  }

  private async startOne(worker: WorkerHandle): Promise<void> {
    const { shared } = this;
    if (shared === null) return;
    const { modelJson, countsMemory, gates, breakers, outliers, overload, pipeLocks } = shared;
    const message: StartMessage = {
      type: 'start',
      modelJson,
      counts: countsMemory,
      breakers: breakers.buffer,
      gates: gates.memory,
      outliers: outliers?.buffer ?? null,
      overload: overload?.buffer ?? null,
      pipeLocks: pipeLocks?.buffer ?? null,
    };
    await worker.ask(message, 'started');
  }

  private async listenOne(
    worker: WorkerHandle,
    bound: readonly (readonly AddressModel[])[] | null,
  ): Promise<readonly (readonly AddressModel[])[]> {
    const listeners = this.shared?.model.listeners ?? [];
    const message: ListenMessage = {
      type: 'listen',
      listeners: listeners.map((listener, i) => ({
        serve: this.serves(worker.index, listener),
        addresses: bound?.[i] ?? [],
        descriptors: (this.shared?.sockets[i] ?? []).map((fd) => (fd < 0 ? -1 : (systemCalls()?.dup(fd) ?? -1))),
      })),
    };
    const answer = await worker.ask(message, 'listening');
    if (answer.type === 'refused') throw new ConfigError(answer.message);
    this.shared?.counts.setAccepting(worker.index);
    return answer.type === 'listening' ? answer.addresses : [];
  }

  /** A socket that cannot be shared by address or by descriptor is served by the first worker alone. */
  private serves(index: number, listener: ListenerModel): boolean {
    if (this.allStopped || (this.inboundStopped && listener.trafficDirection === 'inbound')) return false;
    return index === 0 || systemCalls() !== null || !needsSharing(listener);
  }

  private onMessage(from: WorkerHandle, message: FromWorker): void {
    if (message.type === 'stats') this.events.onStats(from.index, message.announcement);
    else if (message.type === 'outlier') this.events.onOutlier(message.cell, message.sign);
    else if (message.type === 'adopted') from.untaken.delete(message.fd);
    else if (message.type === 'hand_over') {
      const { to, listener, address, fd } = message;
      this.handOver({ type: 'adopt', listener, address, fd }, to, from.index);
    }
  }

  /**
   * Gives a connection to the worker it is counted for. Where that one has died meanwhile the least loaded one gets it.
   * @param fallback where no other worker is better
   */
  private handOver(message: AdoptMessage, to: number, fallback: number): void {
    const counts = this.shared?.counts;
    let target = to;
    if (counts !== undefined && !counts.accepts(to)) {
      counts.takeBack(message.listener, to);
      target = counts.leastLoaded(message.listener, fallback);
      if (!counts.accepts(target)) {
        systemCalls()?.close(message.fd);
        return;
      }
      counts.add(message.listener, target, 1);
    }
    const worker = this.workers[target];
    worker?.untaken.set(message.fd, message);
    worker?.post(message);
  }

  private onCrash(worker: WorkerHandle, reason: string): void {
    if (this.stopping || this.bound === null) return;
    const { index } = worker;
    this.shared?.counts.clearWorker(index);
    this.shared?.breakers.clearWorker(index);
    this.shared?.gates.clearWorker(index);
    const locks = this.shared?.pipeLocks ?? null;
    if (locks !== null) for (let i = 0; i < locks.length; i++) Atomics.compareExchange(locks, i, index + 1, 0);
    const survivor = Math.max(
      0,
      this.workers.findIndex((other) => this.shared?.counts.accepts(other.index)),
    );
    for (const message of worker.untaken.values()) this.handOver(message, index, survivor);
    this.events.onCrash(index, reason);
    const stable = performance.now() - worker.startedMs >= STABLE_MS;
    const crashes = stable ? 0 : (this.crashes[index] ?? 0);
    this.crashes[index] = crashes + 1;
    setTimeout(() => void this.replace(index), Math.min(RESTART_MS_MIN * 2 ** crashes, RESTART_MS_MAX));
  }

  private async replace(index: number): Promise<void> {
    if (this.stopping) return;
    const successor = this.spawn(index);
    this.workers[index] = successor;
    try {
      await this.startOne(successor);
      for (const message of this.events.catchUp()) successor.post(message);
      await this.listenOne(successor, this.bound);
    } catch (error) {
      if (!(error instanceof ConfigError)) return; // it crashed, and was dealt with there
      logger('main').critical(`worker ${index} cannot listen again: ${error.message}`);
      this.onCrash(successor, error.message);
      await successor.terminate();
    }
  }

  // === Shared sockets ===

  private openShared(listener: ListenerModel): number[] {
    const share = this.init.workers > 1 && needsSharing(listener);
    // Loading the calls takes 15 ms, which one worker need not wait for.
    const calls = share ? systemCalls() : null;
    if (share && calls === null)
      logger('config').warning(
        `listener '${listener.name}': this Node.js build has no node:ffi, so worker 0 alone serves this listener`,
      );
    return listenSpecs(listener).map((spec) => (calls === null ? -1 : openSocket(spec, calls)));
  }

  private closeShared(inboundOnly: boolean): void {
    const { shared } = this;
    const calls = systemCalls();
    if (shared === null || calls === null) return;
    shared.model.listeners.forEach((listener, i) => {
      if (inboundOnly && listener.trafficDirection !== 'inbound') return;
      const sockets = shared.sockets[i] as number[];
      for (const fd of sockets.splice(0)) if (fd >= 0) calls.close(fd);
    });
  }
}

function outlierCells(model: Model, workers: number): OutlierCells | null {
  if (model.clusters.every(({ outlier }) => outlier === null)) return null;
  return new OutlierCells(OutlierCells.allocate(workers, countStaticHosts(model.clusters)), workers);
}

/** Unix sockets and listeners without `enable_reuse_port` have one socket for all workers. */
function needsSharing(listener: ListenerModel): boolean {
  return !listener.enableReusePort || listenSpecs(listener).some((spec) => spec.address.kind === 'pipe');
}
