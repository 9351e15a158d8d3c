// One worker: its clusters, its listeners and their connections. Knows nothing of threads: it is given messages and
// a way to post its own, so that tests can run it in-process.

import type { Socket } from 'node:net';
import type { AddressModel } from '../config/model/common.ts';
import type { Model } from '../config/model/model.ts';
import type { TlsContextModel } from '../config/model/tls-contexts.ts';
import { ConnectionCounts } from '../listener/connection-counts.ts';
import { ListenerDirectory } from '../listener/directory.ts';
import { Listener } from '../listener/listener.ts';
import { checkCapture } from '../net/capture-check.ts';
import { descriptorOf, systemCalls } from '../net/sockopt.ts';
import { logger } from '../observe/log.ts';
import { ConfigError } from '../util/error.ts';
import type { Composition } from './compose.ts';
import { giveMemoryBack } from './memory.ts';
import type { FromWorker, ListenMessage, ToWorker, WorkerInit } from './messages.ts';

/** How often a worker that shuts down looks whether its connections are gone, milliseconds. */
const SHUTDOWN_POLL_MS = 20;

/** See the head of this file. */
export class ProxyWorker {
  private readonly parts: Composition;
  private readonly counts: ConnectionCounts;
  private readonly post: (message: FromWorker) => void;
  private readonly listeners: Listener[];
  private readonly directory: ListenerDirectory<Listener>;
  private readonly index: number;
  /** Until the sockets are open. */
  private model: Pick<Model, 'listeners' | 'clusters'> | null;

  constructor(
    init: WorkerInit,
    model: Model,
    countsMemory: SharedArrayBuffer,
    parts: Composition,
    post: (message: FromWorker) => void,
  ) {
    this.parts = parts;
    this.post = post;
    this.counts = new ConnectionCounts(countsMemory, init.workers);
    this.directory = new ListenerDirectory();
    this.index = init.index;
    this.model = model;
    const canHandOver = init.workers > 1 && systemCalls() !== null;
    const env = {
      workerIndex: init.index,
      workers: init.workers,
      runtime: parts.runtime,
      wheel: parts.wheel,
      stats: parts.stats,
      counts: this.counts,
      connectionsMax: model.maxDownstreamConnections,
      limitedListeners: model.limitedListeners,
      createFilter: parts.createFilter,
      gates: parts.gates,
      tls: parts.tls,
      overload: parts.overload,
      shedAccept: parts.shedAccept,
      directory: this.directory,
      handOver: canHandOver
        ? (socket: Socket, listener: number, address: number, to: number) =>
            this.handOver(socket, listener, address, to)
        : null,
    };
    this.listeners = model.listeners.map(
      (listener, index) => new Listener(listener, index, env, parts.accessLog(listener.accessLogs)),
    );
  }

  /** Whether no connection is open. */
  get isIdle(): boolean {
    return this.listeners.every((listener) => listener.activeConnections === 0);
  }

  /** Carries out one message of the main thread; `start` has been dealt with by whoever made this object. */
  handle(message: Exclude<ToWorker, { type: 'start' }>): void {
    switch (message.type) {
      case 'listen':
        void this.listen(message);
        break;
      case 'adopt':
        this.post({ type: 'adopted', fd: message.fd });
        this.listeners[message.listener]?.adopt(message.fd, message.address);
        break;
      case 'hosts':
        this.parts.updateHosts(message.cluster, message.localities, message.cells);
        break;
      case 'host_health':
        this.parts.noteHealth(message.cluster, message.ejected, message.rebuild);
        break;
      case 'drain':
        this.parts.drain.start(message.overMs, message.elapsedMs, message.inboundOnly);
        break;
      case 'stop_accepting':
        for (const listener of this.directed(message.inboundOnly)) this.stop(listener);
        break;
      case 'shutdown':
        this.shutdown(message.graceMs);
        break;
      case 'accepting':
        for (const listener of this.listeners) listener.checkAccepting();
        break;
      case 'time_limits':
        this.parts.rescale();
        break;
      case 'reset_streams':
        this.parts.resetStreams(message.pressure, message.leastBytes);
        break;
      case 'shrink_heap':
        giveMemoryBack();
        break;
      case 'reopen_logs':
        this.parts.reopenLogs();
        break;
      case 'log_levels':
        this.parts.setLogLevels(message.levels);
        break;
      case 'health':
        this.parts.drain.setHealthFailed(message.failed);
        break;
      case 'tls':
        this.replaceSecrets(message.contexts);
        break;
    }
  }

  private replaceSecrets(contexts: readonly TlsContextModel[]): void {
    for (const context of contexts)
      if ('requireClientCertificate' in context) for (const listener of this.listeners) listener.replaceTls(context);
      else this.parts.replaceTls(context);
  }

  private directed(inboundOnly: boolean): Listener[] {
    return this.listeners.filter((listener) => !inboundOnly || listener.model.trafficDirection === 'inbound');
  }

  private async listen(message: ListenMessage): Promise<void> {
    const addresses: (readonly AddressModel[])[] = [];
    try {
      this.checkCapture();
      for (const [i, listener] of this.listeners.entries()) {
        const place = message.listeners[i];
        const serves = place?.serve === true && listener.model.bindToPort;
        addresses.push(serves ? await listener.start(place.addresses, place.descriptors) : []);
        this.enter(listener, addresses[i] ?? []);
      }
      this.post({ type: 'listening', addresses });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.post({ type: 'refused', message: error.message });
    }
  }

  private checkCapture(): void {
    const { index, model } = this;
    if (model === null) return;
    this.model = null;
    const warnings = checkCapture(model.listeners, model.clusters, systemCalls());
    // All workers find the same.
    if (index === 0) for (const warning of warnings) logger('config').warning(warning);
  }

  /** Makes a listener known to those that hand connections on, whether it is bound to a port (here) or not. */
  private enter(listener: Listener, bound: readonly AddressModel[]): void {
    const { address, additionalAddresses } = listener.model;
    if (address.kind === 'internal')
      this.parts.internal.listen(address.listenerName, (socket, endpointId, metadata) =>
        listener.acceptInternal(socket, { ...address, endpointId }, metadata),
      );
    const configured = [address, ...additionalAddresses.map((additional) => additional.address)];
    for (const [i, each] of configured.entries()) this.directory.add(bound[i] ?? each, listener);
  }

  /** Sends a duplicate of the connection to another worker and drops our own. */
  private handOver(socket: Socket, listener: number, address: number, to: number): boolean {
    const calls = systemCalls();
    const fd = descriptorOf(socket);
    if (calls === null || fd < 0) return false;
    let copy: number;
    try {
      copy = calls.dup(fd);
    } catch {
      // Out of descriptors: serve it here.
      return false;
    }
    this.counts.add(listener, to, 1);
    socket.destroy();
    this.post({ type: 'hand_over', to, listener, address, fd: copy });
    return true;
  }

  private stop(listener: Listener): void {
    const { address } = listener.model;
    if (address.kind === 'internal') this.parts.internal.stop(address.listenerName);
    listener.stop();
  }

  private shutdown(graceMs: number): void {
    const { runtime } = this.parts;
    const deadlineMs = runtime.nowMs() + graceMs;
    for (const listener of this.listeners) {
      this.stop(listener);
      listener.drain();
    }
    const finish = (): void => {
      void this.parts.close().then(() => this.post({ type: 'closed' }));
    };
    const poll = (): void => {
      const active = this.listeners.reduce((sum, listener) => sum + listener.activeConnections, 0);
      if (active > 0 && runtime.nowMs() < deadlineMs) {
        runtime.after(SHUTDOWN_POLL_MS, poll);
        return;
      }
      for (const listener of this.listeners) listener.closeAll();
      // Closing runs at the end of this turn; access-log records of those connections belong to the last flush.
      setImmediate(finish);
    };
    poll();
  }
}
