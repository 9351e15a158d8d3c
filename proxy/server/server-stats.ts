// Stats of the process itself: `server.`, `listener_manager.`, `cluster_manager.` and our own.

import * as stat from '../observe/catalogue-server.ts';
import { declareModelStats } from '../observe/stats-declare.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import { bugsSeen } from '../util/error.ts';
import type { ServerView } from './server-view.ts';

const STATES = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 } as const;
/** Envoy's "no certificate": the largest 32-bit number. */
const NEVER_DAYS = 0xffff_ffff;

/** Keeps the main thread's slots. Gauges that change by themselves are brought up to date when somebody reads. */
export class ServerStats {
  private readonly server: ServerView;
  private readonly slots: Float64Array;
  private readonly listeners: Float64Array;
  private readonly crashed: Float64Array;
  private readonly secretsReplaced: Float64Array;
  private readonly secretsRefused: Float64Array;
  private firstEndSeconds: number;
  private readonly initialization: { record(value: number): void };

  constructor(stats: StatsRegistry, server: ServerView, unsupportedFields: number) {
    const { local } = stats;
    const { model, options } = server;
    this.server = server;
    this.slots = local.block(stat.SERVER, 'server.');
    this.listeners = local.block(stat.LISTENER_MANAGER, 'listener_manager.');
    this.crashed = local.cell('outrigger.server.worker_crashed', 'c');
    this.secretsReplaced = local.cell('outrigger.tls.context_updated', 'c');
    this.secretsRefused = local.cell('outrigger.tls.update_rejected', 'c');
    this.firstEndSeconds = -1;
    this.initialization = local.histogram('server.initialization_time_ms');
    const clusters = local.block(stat.CLUSTER_MANAGER, 'cluster_manager.');
    clusters[stat.CLUSTER_MANAGER_ACTIVE_CLUSTERS] = model?.clusters.length ?? 0;
    clusters[stat.CLUSTER_MANAGER_CLUSTER_ADDED] = model?.clusters.length ?? 0;
    this.listeners[stat.LISTENER_MANAGER_LISTENER_ADDED] = model?.listeners.length ?? 0;
    local.cell('outrigger.config.unsupported_field', 'c')[0] = unsupportedFields;
    this.slots[stat.SERVER_CONCURRENCY] = options.concurrency;
    this.slots[stat.SERVER_DAYS_UNTIL_FIRST_CERT_EXPIRING] = NEVER_DAYS;
    this.slots[stat.SERVER_HOT_RESTART_EPOCH] = options.restartEpoch;
    this.declareIdle(stats, options.concurrency);
    stats.onRead(() => this.refresh());
  }

  /** All listeners serve. */
  onLive(tookMs: number): void {
    const { model, options } = this.server;
    const count = model?.listeners.length ?? 0;
    this.initialization.record(Math.round(tookMs));
    this.listeners[stat.LISTENER_MANAGER_TOTAL_LISTENERS_ACTIVE] = count;
    this.listeners[stat.LISTENER_MANAGER_LISTENER_CREATE_SUCCESS] = count * options.concurrency;
    this.listeners[stat.LISTENER_MANAGER_WORKERS_STARTED] = 1;
  }

  onWorkerCrash(): void {
    this.crashed[0] = (this.crashed[0] as number) + 1;
  }

  /** TLS contexts were given the new content of their files. */
  onSecretsReplaced(contexts: number): void {
    this.secretsReplaced[0] = (this.secretsReplaced[0] as number) + contexts;
  }

  onSecretsRefused(): void {
    this.secretsRefused[0] = (this.secretsRefused[0] as number) + 1;
  }

  /** @param seconds since the epoch when the first certificate ends; −1 = there is none */
  setFirstEnd(seconds: number): void {
    this.firstEndSeconds = seconds;
  }

  onListenersStopped(count: number): void {
    const at = stat.LISTENER_MANAGER_LISTENER_STOPPED;
    this.listeners[at] = (this.listeners[at] as number) + count;
  }

  /** What Envoy prints although nothing counts it here. */
  private declareIdle(stats: StatsRegistry, workers: number): void {
    const { local } = stats;
    for (const prefix of ['server.main_thread.', 'main_thread.', 'workers.']) local.block(stat.WATCHDOG, prefix);
    for (let i = 0; i < workers; i++) local.block(stat.WATCHDOG, `server.worker_${i}.`);
    local.block(stat.FILESYSTEM, 'filesystem.');
    const { model } = this.server;
    if (model !== null) declareModelStats(stats, model, workers);
  }

  private refresh(): void {
    const { slots, server } = this;
    const memory = process.memoryUsage();
    const set = (index: number, value: number): void => {
      if (slots[index] !== value) slots[index] = value;
    };
    // A slot that nobody wrote holds −0; these two are used even while they are 0.
    const use = (index: number, value: number): void => {
      if (!Object.is(slots[index], value)) slots[index] = value;
    };
    use(stat.SERVER_STATE, STATES[server.state]);
    set(stat.SERVER_LIVE, server.state === 'LIVE' ? 1 : 0);
    if (this.firstEndSeconds >= 0) set(stat.SERVER_DAYS_UNTIL_FIRST_CERT_EXPIRING, daysUntil(this.firstEndSeconds));
    set(stat.SERVER_UPTIME, Math.floor((performance.now() - server.startedMs) / 1000));
    use(stat.SERVER_TOTAL_CONNECTIONS, server.connections);
    set(stat.SERVER_MEMORY_ALLOCATED, memory.heapUsed + memory.external);
    set(stat.SERVER_MEMORY_HEAP_SIZE, memory.heapTotal + memory.external);
    set(stat.SERVER_MEMORY_PHYSICAL_SIZE, memory.rss);
    set(stat.SERVER_ENVOY_BUG_FAILURES, bugsSeen());
  }
}

/** Whole days; 0 when it is over. */
function daysUntil(seconds: number): number {
  return Math.max(0, Math.floor((seconds - Date.now() / 1_000) / 86_400));
}
