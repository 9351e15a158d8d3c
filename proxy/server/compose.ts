// What a worker is made of, put together in one place.

import { appendFile } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { readClientHello } from '../codec/client-hello.ts';
import type { AccessLogModel } from '../config/model/access-log.ts';
import type { LocalityModel } from '../config/model/cluster.ts';
import type { Model } from '../config/model/model.ts';
import type { UpstreamTlsModel } from '../config/model/tls.ts';
import type { HttpEnv } from '../http/manager.ts';
import { TimerScale } from '../http/timer-scale.ts';
import type { GateEnv } from '../listener/limits.ts';
import type { FilterFactory } from '../listener/network-filter.ts';
import { SharedGates } from '../listener/shared-gates.ts';
import { dialWith } from '../net/dial.ts';
import { InternalNetwork } from '../net/internal.ts';
import type { TlsEnv } from '../net/tls-server.ts';
import { type AccessLogger, type AccessLogType, createAccessLogger } from '../observe/access-log.ts';
import { AccessLogFiles } from '../observe/access-log-file.ts';
import { isLogLevel, logger, reopenLog, setLogLevel } from '../observe/log.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { StatsStore } from '../observe/stats.ts';
import { compileErrorMatch } from '../router/error-match.ts';
import { SharedBreakers } from '../upstream/breakers.ts';
import { createClusterManager } from '../upstream/cluster-manager.ts';
import { OutlierCells } from '../upstream/outlier-cells.ts';
import { nodeTls } from '../util/builtin.ts';
import { OverloadState } from '../util/overload.ts';
import { type Runtime, SYSTEM_RUNTIME } from '../util/runtime.ts';
import { TimerWheel } from '../util/timer-wheel.ts';
import { DrainState } from './drain.ts';
import type { FromWorker, StartMessage, WorkerInit } from './messages.ts';
import { shedPoints } from './overload-manager.ts';
import { TerminalFilters } from './terminal-filters.ts';

/** The parts of one worker. */
export interface Composition {
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly stats: StatsStore;
  readonly drain: DrainState;
  readonly overload: OverloadState | null;
  /** Asked before a connection is taken; `null` = no load is shed there. */
  readonly shedAccept: ShedPoint | null;
  readonly createFilter: FilterFactory;
  /** Where internal listeners are reached. */
  readonly internal: InternalNetwork;
  readonly gates: GateEnv;
  readonly tls: TlsEnv;
  /** Logs of a listener; `null` when it has none. */
  accessLog(models: readonly AccessLogModel[]): AccessLogger | null;
  updateHosts(cluster: string, localities: readonly LocalityModel[], cells: readonly number[] | null): void;
  noteHealth(cluster: string, ejected: readonly number[], rebuild: boolean): void;
  replaceTls(context: UpstreamTlsModel): void;
  /** Whether nothing of the start is left to be done. */
  isComplete(): boolean;
  /** Time limits are other ones now. */
  rescale(): void;
  /** Ends streams that hold much memory. */
  resetStreams(pressure: number, leastBytes: number): void;
  reopenLogs(): void;
  /** Keys are components; the empty one stands for all. */
  setLogLevels(levels: Readonly<Record<string, string>>): void;
  /** Closes upstream connections, then writes out what the logs still hold. */
  close(): Promise<void>;
}

/** Builds a worker's parts. The order is that of need: stats, logs, clusters, filters. */
export function compose(
  init: WorkerInit,
  model: Model,
  shared: Pick<StartMessage, 'breakers' | 'gates' | 'outliers' | 'overload' | 'pipeLocks'>,
  stats: StatsStore,
  post: (message: FromWorker) => void,
): Composition {
  const { breakers, gates, outliers, pipeLocks } = shared;
  const overload = shared.overload === null ? null : new OverloadState(shared.overload);
  const shedPoint = shedPoints(model.overload, overload, SYSTEM_RUNTIME, stats);
  const timerScale = overload === null || model.overload === null ? null : TimerScale.of(overload, model.overload);
  const runtime = SYSTEM_RUNTIME;
  const wheel = new TimerWheel(runtime);
  const drain = new DrainState(runtime);
  const files = new AccessLogFiles({
    flushIntervalMs: init.fileFlushIntervalMs,
    flushBytes: init.fileFlushBytes,
    stats,
    runtime,
    warn: (message) => logger('file').warning(message),
    ...(pipeLocks === null ? {} : { pipeLocks: { cells: new Int32Array(pipeLocks), token: init.index + 1 } }),
  });
  const internal = new InternalNetwork(model.internalBufferBytes);
  const tls = tlsEnv(init);
  const clusters = createClusterManager(model.clusters, {
    stats,
    runtime,
    wheel,
    breakers: new SharedBreakers(breakers, init.workers, init.index),
    dial: dialWith(internal),
    tls,
    outliers:
      outliers === null
        ? null
        : {
            cells: new OutlierCells(outliers, init.workers),
            worker: init.index,
            report: (cell, sign) => post({ type: 'outlier', cell, sign }),
            compileErrors: compileErrorMatch,
          },
    shed: shedPoint('connection_pool_new_connection'),
  });
  const accessLogger = (models: readonly AccessLogModel[], type: AccessLogType): AccessLogger | null =>
    createAccessLogger(models, files, type, model.runtime);
  const sharedGates = new SharedGates(gates, init.workers, init.index);
  const http: HttpEnv = {
    stats,
    runtime,
    wheel,
    clusters,
    accessLogger,
    runtimeKeys: model.runtime,
    activeFaults: (statPrefix: string) => sharedGates.faults(model.faultScopes, statPrefix),
    drainClose: (direction: 'unspecified' | 'inbound' | 'outbound') => drain.drainClose(direction),
    localIp: localIp(init.localAddressFamily),
    node: model.node,
  };
  const filters = new TerminalFilters(http, overload, timerScale, shedPoint);
  return {
    runtime,
    wheel,
    stats,
    drain,
    overload,
    shedAccept: shedPoint('tcp_listener_accept'),
    internal,
    tls,
    gates: {
      stats,
      shared: sharedGates,
      runtimeKeys: model.runtime,
    },
    createFilter: (filter, place) => filters.create(filter, place),
    accessLog: (models) => accessLogger(models, 'NotSet'),
    isComplete: () => clusters.isComplete,
    updateHosts: (cluster, localities, cells) => clusters.updateHosts(cluster, localities, cells),
    noteHealth: (cluster, ejected, rebuild) => clusters.noteHealth(cluster, ejected, rebuild),
    replaceTls: (context) => clusters.replaceTls(context),
    rescale: () => filters.rescale(),
    resetStreams: (pressure, leastBytes) => filters.resetStreams(pressure, leastBytes),
    reopenLogs: () => {
      files.reopen();
      reopenLog();
    },
    setLogLevels: (levels) => {
      for (const [component, level] of Object.entries(levels))
        if (isLogLevel(level)) setLogLevel(component === '' ? null : component, level);
    },
    close: () => {
      clusters.close();
      return files.close();
    },
  };
}

function tlsEnv(init: WorkerInit): TlsEnv {
  return {
    readHello: readClientHello,
    systemRoots,
    ticketKeys: Buffer.from(init.ticketKeys),
    dateMs: () => Date.now(),
    keyLog: (path, line) => appendFile(path, line, { mode: 0o600 }, () => {}),
  };
}

let roots: string | null = null;

/** The operating system's roots; Node's own where the system has none. */
function systemRoots(): string {
  if (roots === null) {
    const system = nodeTls().getCACertificates('system');
    roots = (system.length > 0 ? system : nodeTls().getCACertificates('bundled')).join('\n');
  }
  return roots;
}

/** This host's own address: the first one that others can reach, as Envoy takes it; loopback when there is none. */
function localIp(family: 'v4' | 'v6'): string {
  const wanted = family === 'v4' ? 'IPv4' : 'IPv6';
  for (const addresses of Object.values(networkInterfaces()))
    for (const { address, family: kind, internal } of addresses ?? [])
      if (kind === wanted && !internal && !address.startsWith('fe80:')) return address;
  return family === 'v4' ? '127.0.0.1' : '::1';
}
