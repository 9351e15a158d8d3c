// The running proxy as the main thread sees it: start, steady state, stop. Does nothing heavy itself.

import { writeFileSync } from 'node:fs';
import type { LocalityModel } from '../config/model/cluster.ts';
import type { Model } from '../config/model/model.ts';
import { clustersOf, type ModelText, modelOf } from '../config/model/text.ts';
import { type TlsContextModel, tlsContexts } from '../config/model/tls-contexts.ts';
import { addressText } from '../net/listen.ts';
import { useOneMallocArena } from '../net/sockopt.ts';
import { logger, reopenLog, setLogFormat, setLogLevel } from '../observe/log.ts';
import { StatsRegistry } from '../observe/stats-registry.ts';
import type { DnsClusters } from '../upstream/dns.ts';
import type { OutlierDetectors } from '../upstream/outlier-detectors.ts';
import { SYSTEM_RUNTIME } from '../util/runtime.ts';
import { randomBuffer } from '../util/uuid.ts';
import type { Admin } from './admin-open.ts';
import type { DrainQuery, ServerState } from './admin-state.ts';
import type { LogLevel, Options } from './args.ts';
import { type ReplyOf, runConfigTask } from './config-task.ts';
import { logOptions } from './log-options.ts';
import { giveMemoryBack, giveMemoryBackWhenIdle } from './memory.ts';
import type { TlsFiles, ToWorker } from './messages.ts';
import type { OutlierLog } from './outlier-log.ts';
import type { OverloadManager } from './overload-manager.ts';
import { ServerStats } from './server-stats.ts';
import type { ServerView } from './server-view.ts';
import type { TlsWatch } from './tls-watch.ts';
import { WorkerPool } from './worker-pool.ts';

/** OpenSSL's ticket keys as Node takes them: a name, a key to encrypt with, one to sign with. */
const TICKET_KEYS_BYTES = 48;

/** See the head of this file. */
export class ProxyServer implements ServerView {
  readonly options: Options;
  readonly startedMs: number;
  model: Model | null;
  stats: StatsRegistry | null;
  /** When the configuration was loaded, RFC 3339. */
  loadedAt: string;
  /** The bootstrap as received, for `/config_dump`. */
  bootstrapJson: string;
  readonly hosts: Map<string, readonly LocalityModel[]>;
  private readonly loading: Promise<ReplyOf<'loaded'>>;
  private modelJson: ModelText;
  /** TLS contexts of listeners. */
  private listenerTlsJson: string;
  /** Contexts whose files were replaced since the start, by their ids. */
  private readonly replacedTls: Map<string, TlsContextModel>;
  private tls: TlsFiles;
  private tlsWatch: TlsWatch | null;
  /** A reading of TLS files is under way; `again` = they changed meanwhile. */
  private tlsReading: 'no' | 'yes' | 'again';
  private readonly pool: WorkerPool;
  private readonly log = logger('main');
  private admin: Admin | null;
  private dns: DnsClusters | null;
  outliers: OutlierDetectors | null;
  private outlierLog: OutlierLog | null;
  private overload: OverloadManager | null;
  private live: boolean;
  private initialising: boolean;
  private healthFailed: boolean;
  private readonly levels: Record<string, string>;
  private stopping: Promise<void> | null;
  private flushTimer: NodeJS.Timeout | null;
  private drainTimer: NodeJS.Timeout | null;
  /** For workers that begin later; `null` = nobody asked for a graceful drain. */
  private draining: { readonly overMs: number; readonly inboundOnly: boolean; readonly startedMs: number } | null;
  private serverStats: ServerStats | null;
  private readonly finished: PromiseWithResolvers<void>;

  /** @param loading the configuration, which another thread may already be reading */
  constructor(options: Options, loading: Promise<ReplyOf<'loaded'>>) {
    this.options = options;
    this.loading = loading;
    this.startedMs = performance.now();
    this.model = null;
    this.stats = null;
    this.loadedAt = '';
    this.bootstrapJson = '';
    this.hosts = new Map();
    this.modelJson = { clusters: '[]', rest: '' };
    this.listenerTlsJson = '[]';
    this.replacedTls = new Map();
    this.tls = { files: [], hashes: {}, firstEndSeconds: -1 };
    this.tlsWatch = null;
    this.tlsReading = 'no';
    this.admin = null;
    this.dns = null;
    this.outliers = null;
    this.outlierLog = null;
    this.overload = null;
    this.live = false;
    this.initialising = false;
    this.healthFailed = false;
    this.levels = {};
    this.stopping = null;
    this.flushTimer = null;
    this.drainTimer = null;
    this.draining = null;
    this.serverStats = null;
    this.finished = Promise.withResolvers();
    useOneMallocArena();
    this.pool = new WorkerPool(
      {
        workers: options.concurrency,
        log: logOptions(options),
        fileFlushIntervalMs: options.fileFlushIntervalMs,
        fileFlushBytes: options.fileFlushMinSizeKb * 1024,
        localAddressFamily: options.localAddressIpVersion,
        ticketKeys: randomBuffer(TICKET_KEYS_BYTES),
      },
      {
        onStats: (worker, announcement) => this.stats?.apply(worker, announcement),
        onOutlier: (cell, sign) => this.outliers?.onSign(cell, sign),
        onCrash: (worker, reason) => this.onWorkerCrash(worker, reason),
        catchUp: () => this.catchUp(),
      },
    );
  }

  /**
   * Loads the configuration and opens everything; settles when all listeners serve, or when the server was stopped before.
   * @throws ConfigError when the configuration cannot be used
   */
  async start(): Promise<void> {
    try {
      await this.bringUp();
    } catch (error) {
      // Threads that were ended in between have not failed.
      if (this.stopping !== null) return this.stopping;
      await this.close();
      throw error;
    }
  }

  /** Settles when the server has stopped. */
  get done(): Promise<void> {
    return this.finished.promise;
  }

  get state(): ServerState {
    if (!this.initialising && !this.live) return 'PRE_INITIALIZING';
    if (!this.live) return 'INITIALIZING';
    return this.healthFailed ? 'DRAINING' : 'LIVE';
  }

  /** Per listener of the model, as bound. */
  get addresses(): WorkerPool['addresses'] {
    return this.pool.addresses;
  }

  get connections(): number {
    return this.pool.connections(null);
  }

  configuredHosts(): ReadonlyMap<string, readonly LocalityModel[]> {
    return new Map(clustersOf(this.modelJson).map(({ name, localities }) => [name, localities]));
  }

  /** Where the admin port really is; `null` when there is none. */
  get adminAddress(): Admin['address'] | null {
    return this.admin?.address ?? null;
  }

  /** Finishes what is in flight for up to `graceMs`, then closes the rest. Later calls join the first. */
  stop(graceMs: number): Promise<void> {
    this.stopping ??= this.runStop(graceMs);
    return this.stopping;
  }

  drainListeners(query: DrainQuery): void {
    const { inboundOnly } = query;
    if (!query.graceful) {
      this.stopAccepting(inboundOnly);
      return;
    }
    const { drainTimeS, drainStrategy } = this.options;
    if (this.drainTimer !== null) return;
    const overMs = drainStrategy === 'immediate' ? 0 : drainTimeS * 1000;
    this.draining = { overMs, inboundOnly, startedMs: performance.now() };
    this.pool.post({ type: 'drain', overMs, elapsedMs: 0, inboundOnly });
    this.drainTimer = setTimeout(() => {
      if (!query.skipExit) this.stopAccepting(inboundOnly);
    }, drainTimeS * 1000);
    this.drainTimer.unref();
  }

  failHealthChecks(failed: boolean): void {
    this.healthFailed = failed;
    this.pool.post({ type: 'health', failed });
  }

  reopenLogs(): void {
    reopenLog();
    this.admin?.reopenLogs();
    this.outlierLog?.reopen();
    this.pool.post({ type: 'reopen_logs' });
  }

  setLogLevel(component: string | null, level: LogLevel): void {
    if (component === null) for (const key of Object.keys(this.levels)) delete this.levels[key];
    this.levels[component ?? ''] = level;
    setLogLevel(component, level);
    this.pool.post({ type: 'log_levels', levels: this.levels });
  }

  // === Start ===

  private async bringUp(): Promise<void> {
    // Nearly every configuration has an admin port, and this thread has nothing else to do now.
    const [loaded, adminModules] = await Promise.all([this.load(), loadAdmin()]);
    const model = modelOf(loaded.controlJson);
    if (model.logFormat !== null) setLogFormat(model.logFormat.format);
    this.model = model;
    this.modelJson = loaded.modelJson;
    this.listenerTlsJson = loaded.listenerTlsJson;
    this.tls = loaded.tls;
    if (loaded.tls.files.length > 0) await this.watchTls();
    // First, so that workers compile while this thread declares stats; they answer no earlier than the next turn.
    const started = this.pool.start(model, loaded.modelJson);
    const stats = new StatsRegistry(model.stats);
    this.stats = stats;
    this.serverStats = new ServerStats(stats, this, loaded.unsupportedFields);
    this.serverStats.setFirstEnd(loaded.tls.firstEndSeconds);
    await this.watchHosts(model, stats);
    await this.watchResources(model, stats);
    await Promise.all([started, this.openAdmin(model, stats, adminModules)]);
    this.initialising = true;
    await this.resolveNames(model, stats);
    this.log.info('all clusters initialized. initializing init manager');
    await this.pool.listen();
    this.live = true;
    this.serverStats.onLive(performance.now() - this.startedMs);
    this.flushTimer = setInterval(() => stats.flushInterval(), model.statsFlushIntervalMs);
    this.flushTimer.unref();
    giveMemoryBackWhenIdle(() => true);
    logger('config').info('all dependencies initialized. starting workers');
  }

  private async load(): Promise<ReplyOf<'loaded'>> {
    const reply = await this.loading;
    for (const warning of reply.warnings) logger('config').warning(warning);
    this.loadedAt = new Date().toISOString();
    this.bootstrapJson = reply.bootstrapJson;
    return reply;
  }

  private async openAdmin(model: Model, stats: StatsRegistry, modules: AdminModules): Promise<void> {
    if (model.admin === null) {
      this.log.warning('No admin address given, so no admin HTTP server started.');
      return;
    }
    const [{ openAdmin }, { ControlState }] = modules;
    this.admin = await openAdmin(model.admin, model.runtime, new ControlState(this, model, stats));
    this.writeAdminAddress(this.options.adminAddressPath, addressText(this.admin.address));
    logger('admin').info(`admin address: ${addressText(this.admin.address)}`);
  }

  /** As Envoy, serves on when the file cannot be written. */
  private writeAdminAddress(path: string, address: string): void {
    if (path === '') return;
    try {
      writeFileSync(path, address);
    } catch {
      logger('admin').critical(`cannot open admin address output file ${path} for writing.`);
    }
  }

  private async watchHosts(model: Model, stats: StatsRegistry): Promise<void> {
    const { outliers: cells } = this.pool;
    if (cells === null) return;
    const { OutlierDetectors } = await import('../upstream/outlier-detectors.ts');
    if (model.outlierLogPath !== '') {
      const { OutlierLog } = await import('./outlier-log.ts');
      this.outlierLog = new OutlierLog(model.outlierLogPath, this.options, stats.local);
    }
    this.outliers = new OutlierDetectors(model.clusters, {
      runtime: SYSTEM_RUNTIME,
      stats: stats.local,
      cells,
      publish: (cluster, ejected, rebuild) => this.pool.post({ type: 'host_health', cluster, ejected, rebuild }),
      log: (event) => this.outlierLog?.write(event),
      warn: (message) => logger('upstream').warning(message),
    });
  }

  private async watchResources(model: Model, stats: StatsRegistry): Promise<void> {
    const state = this.pool.overload;
    if (model.overload === null || state === null) return;
    const { OverloadManager } = await import('./overload-manager.ts');
    this.overload = new OverloadManager(model.overload, {
      runtime: SYSTEM_RUNTIME,
      stats: stats.local,
      state,
      connections: () => this.pool.connections(model.limitedListeners),
      onAccepting: () => this.pool.post({ type: 'accepting' }),
      onTimeLimits: () => this.pool.post({ type: 'time_limits' }),
      resetStreams: (pressure, leastBytes) => this.pool.post({ type: 'reset_streams', pressure, leastBytes }),
      shrinkHeap: () => {
        this.pool.post({ type: 'shrink_heap' });
        giveMemoryBack();
      },
    });
  }

  /** Starts name resolution where clusters need it, and waits for those that ask to be waited for. */
  private async resolveNames(model: Model, stats: StatsRegistry): Promise<void> {
    const named = model.clusters.filter(({ discovery }) => /_dns$/.test(discovery.kind));
    if (named.length === 0) return;
    const { DnsClusters } = await import('../upstream/dns.ts');
    this.dns = new DnsClusters({
      runtime: SYSTEM_RUNTIME,
      stats: stats.local,
      publish: (cluster, localities) => {
        this.hosts.set(cluster, localities);
        const cells = this.outliers?.setHosts(cluster, localities) ?? null;
        this.pool.post({ type: 'hosts', cluster, localities, cells });
      },
    });
    this.dns.apply(named);
    await this.dns.warm();
  }

  // === Steady state ===

  private onWorkerCrash(worker: number, reason: string): void {
    if (this.stats !== null) {
      this.stats.threadGone(worker);
      this.pool.settleBreakers(this.stats);
    }
    this.serverStats?.onWorkerCrash();
    this.log.critical(`worker ${worker} crashed and is being replaced: ${reason.replaceAll('\n', ' | ')}`);
  }

  private catchUp(): ToWorker[] {
    const messages: ToWorker[] = [...this.hosts].map(([cluster, localities]) => ({
      type: 'hosts',
      cluster,
      localities,
      cells: this.outliers?.find(cluster)?.cells ?? null,
    }));
    messages.push({ type: 'log_levels', levels: this.levels });
    if (this.replacedTls.size > 0) messages.push({ type: 'tls', contexts: [...this.replacedTls.values()] });
    if (this.healthFailed) messages.push({ type: 'health', failed: true });
    if (this.draining !== null) {
      const { overMs, inboundOnly, startedMs } = this.draining;
      messages.push({ type: 'drain', overMs, elapsedMs: performance.now() - startedMs, inboundOnly });
    }
    return messages;
  }

  // === TLS files ===

  /** Of the configuration and since then. */
  tlsContexts(): readonly TlsContextModel[] {
    const ofListeners = JSON.parse(this.listenerTlsJson) as TlsContextModel[];
    const contexts = ofListeners.concat(tlsContexts({ listeners: [], clusters: clustersOf(this.modelJson) }));
    return contexts.map((context) => this.replacedTls.get(context.id) ?? context);
  }

  private async watchTls(): Promise<void> {
    const { TlsWatch } = await import('./tls-watch.ts');
    const warn = (text: string): void => logger('config').warning(text);
    this.tlsWatch = new TlsWatch(() => void this.readTls(), warn);
    this.tlsWatch.start(this.tls.files);
  }

  /** Reads all of them in a configuration thread; a bad pair leaves the old one in use. */
  private async readTls(): Promise<void> {
    if (this.tlsReading !== 'no') {
      this.tlsReading = 'again';
      return;
    }
    this.tlsReading = 'yes';
    try {
      const { options, bootstrapJson } = this;
      const { hashes } = this.tls;
      this.publishTls(await runConfigTask({ task: 'secrets', options, bootstrapJson, hashes }, 'secrets'));
    } catch (error) {
      this.refuseTls((error as Error).message);
    }
    const again = (this.tlsReading as string) === 'again';
    this.tlsReading = 'no';
    if (again) await this.readTls();
  }

  private publishTls({ contexts, tls, refusals }: ReplyOf<'secrets'>): void {
    for (const refusal of refusals) this.refuseTls(refusal);
    // A context that was refused was not read to its end: its other files are still to be watched.
    const files = refusals.length === 0 ? tls.files : [...new Set([...this.tls.files, ...tls.files])];
    this.tls = { ...tls, files };
    this.serverStats?.setFirstEnd(tls.firstEndSeconds);
    this.tlsWatch?.update(files);
    if (contexts.length === 0) return;
    for (const context of contexts) this.replacedTls.set(context.id, context);
    this.pool.post({ type: 'tls', contexts });
    this.serverStats?.onSecretsReplaced(contexts.length);
    logger('config').info(`TLS files were replaced: ${contexts.map(({ id }) => id).join(', ')}`);
  }

  private refuseTls(reason: string): void {
    this.serverStats?.onSecretsRefused();
    logger('config').warning(`TLS files were replaced by ones that cannot be used; the old ones stay: ${reason}`);
  }

  private stopAccepting(inboundOnly: boolean): void {
    const stopped = this.pool.stopAccepting(inboundOnly);
    this.serverStats?.onListenersStopped(stopped);
  }

  // === Stop ===

  private async runStop(graceMs: number): Promise<void> {
    this.log.info('shutting down server instance');
    if (this.live) await this.pool.shutdown(graceMs);
    await this.close();
    this.log.info('exiting');
    this.finished.resolve();
  }

  private async close(): Promise<void> {
    if (this.flushTimer !== null) clearInterval(this.flushTimer);
    if (this.drainTimer !== null) clearTimeout(this.drainTimer);
    this.dns?.close();
    this.outliers?.close();
    this.overload?.stop();
    await this.outlierLog?.close();
    this.tlsWatch?.close();
    await this.pool.terminate();
    await this.admin?.close();
  }
}

/** What the admin port needs, apart from the rest so that it loads after the other threads have been started. */
function loadAdmin() {
  return Promise.all([import('./admin-open.ts'), import('./control-state.ts')]);
}

type AdminModules = Awaited<ReturnType<typeof loadAdmin>>;
