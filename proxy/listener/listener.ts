// One listener in one worker: accepts connections, applies limits and balancing, chooses the filter chain, and hands
// each connection to the chain's terminal filter.

import { createServer, type Server, Socket } from 'node:net';
import type { AddressModel, FilterChainModel, ListenerModel } from '../config/model.ts';
import {
  boundAddress,
  type ListenSpec,
  listen,
  listenSpecs,
  needsOwnSocket,
  openSocket,
  unavailable,
} from '../net/listen.ts';
import { systemCalls } from '../net/sockopt.ts';
import * as stat from '../observe/catalogue-listener.ts';
import { FLAG_NR } from '../observe/flags.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import { listenerStatPrefix } from '../observe/stats-prefix.ts';
import { StreamInfo } from '../observe/stream-info.ts';
import type { Runtime } from '../util/runtime.ts';
import { type ChainMatcher, compileChainMatch } from './chain-match.ts';
import { AcceptedConnection } from './connection.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { add } from './count.ts';
import { closingFilter, type FilterFactory, type NetworkFilter } from './network-filter.ts';

/** What a listener needs of its worker. */
export interface ListenerEnv {
  readonly workerIndex: number;
  readonly workers: number;
  readonly runtime: Runtime;
  readonly stats: StatsStore;
  readonly counts: ConnectionCounts;
  /** Process-wide limit on downstream connections; 0 = none. */
  readonly connectionsMax: number;
  readonly createFilter: FilterFactory;
  /** Gives a connection to another worker; false when it cannot be handed over. `null` = this worker is alone. */
  readonly handOver: ((socket: Socket, listenerIndex: number, addressIndex: number, worker: number) => boolean) | null;
}

/** A chain as connections use it. */
interface Chain {
  readonly model: FilterChainModel;
  readonly filter: NetworkFilter;
}

/** Called with a record for each finished connection. */
export type ConnectionLog = (record: StreamInfo) => void;

/** See the head of this file. */
export class Listener {
  readonly model: ListenerModel;
  /** Position in the model; the key of shared counts. */
  readonly index: number;
  private readonly env: ListenerEnv;
  private readonly log: ConnectionLog | null;
  private readonly servers: Server[] = [];
  private readonly bound: AddressModel[] = [];
  private readonly chains: Chain[];
  private readonly match: ChainMatcher<Chain>;
  private readonly slots: Float64Array;
  private readonly extensionSlots: Float64Array;
  private readonly workerSlots: Float64Array;
  private readonly lengths: Histogram;
  private readonly acceptedPerEvent: Histogram;

  constructor(model: ListenerModel, index: number, env: ListenerEnv, log: ConnectionLog | null) {
    this.model = model;
    this.index = index;
    this.env = env;
    this.log = log;
    const prefix = listenerStatPrefix(model);
    this.slots = env.stats.block(stat.LISTENER, prefix);
    this.extensionSlots = env.stats.block(stat.LISTENER_EXTENSION, prefix);
    this.workerSlots = env.stats.block(stat.LISTENER_WORKER, `${prefix}worker_${env.workerIndex}.`);
    this.lengths = env.stats.histogram(`${prefix}downstream_cx_length_ms`);
    this.acceptedPerEvent = env.stats.histogram(`${prefix}connections_accepted_per_socket_event`);
    const chains = model.filterChains.map((chain) => this.compileChain(chain, prefix));
    const fallback = model.defaultFilterChain === null ? null : this.compileChain(model.defaultFilterChain, prefix);
    this.chains = fallback === null ? chains : [...chains, fallback];
    this.match = compileChainMatch(
      chains.map((chain) => ({ match: chain.model.match, value: chain })),
      fallback,
    );
  }

  get activeConnections(): number {
    return this.chains.reduce((sum, chain) => sum + chain.filter.activeConnections, 0);
  }

  /**
   * Starts to accept on every address.
   * @param addresses where to listen: the configured ones, or those another worker was given by the kernel
   * @param descriptors per address a bound socket shared by all workers that is ours now, or −1
   * @returns the addresses with their real ports
   * @throws ConfigError in Envoy's words
   */
  async start(addresses: readonly AddressModel[], descriptors: readonly number[]): Promise<readonly AddressModel[]> {
    const specs = listenSpecs(this.model);
    for (const [i, spec] of specs.entries()) {
      const address = addresses[i] ?? spec.address;
      await this.open({ ...spec, address }, descriptors[i] ?? -1);
    }
    return this.bound;
  }

  /** Stops accepting; connections live on. */
  stop(): void {
    for (const server of this.servers.splice(0)) server.close();
  }

  drain(): void {
    for (const chain of this.chains) chain.filter.drain();
  }

  closeAll(): void {
    for (const chain of this.chains) chain.filter.closeAll();
  }

  /** Takes a connection that another worker accepted; it is counted for this worker already. */
  adopt(fd: number, addressIndex: number): void {
    const socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
    this.serve(socket, this.bound[addressIndex] ?? this.model.address);
  }

  private async open(spec: ListenSpec, descriptor: number): Promise<void> {
    const position = this.servers.length;
    const server = createServer({ allowHalfOpen: true, noDelay: spec.address.kind === 'socket' }, (socket) =>
      this.onAccept(socket, position),
    );
    let fd = descriptor;
    if (fd < 0 && needsOwnSocket(spec)) {
      const calls = systemCalls();
      if (calls === null) throw unavailable(this.model.name, 'freebind, transparent and socket_options');
      fd = openSocket(spec, calls);
    }
    await listen(server, spec, fd);
    // A later error (descriptors used up) concerns one connection, not the listener.
    server.on('error', () => {});
    this.servers.push(server);
    this.bound.push(boundAddress(server, spec.address));
  }

  private compileChain(model: FilterChainModel, prefix: string): Chain {
    const terminal = model.filters.at(-1);
    if (terminal === undefined) return { model, filter: closingFilter(() => this.countMissing()) };
    const filter = this.env.createFilter(terminal, {
      listenerName: this.model.name,
      listenerStatPrefix: prefix,
      filterChainName: model.name,
      direction: this.model.trafficDirection,
      bufferLimitBytes: this.model.perConnectionBufferLimitBytes,
    });
    return { model, filter };
  }

  private countMissing(): void {
    add(this.extensionSlots, stat.LISTENER_EXT_NETWORK_EXTENSION_CONFIG_MISSING, 1);
  }

  private onAccept(socket: Socket, addressIndex: number): void {
    const { env, index, slots } = this;
    this.acceptedPerEvent.record(1); // Node hands over one at a time
    const limited = env.connectionsMax > 0 && !this.model.ignoreGlobalConnLimit;
    if (limited && env.counts.total() >= env.connectionsMax) {
      add(slots, stat.LISTENER_DOWNSTREAM_GLOBAL_CX_OVERFLOW, 1);
      socket.destroy();
      return;
    }
    if (this.model.maxConnections > 0 && env.counts.ofListener(index) >= this.model.maxConnections) {
      add(slots, stat.LISTENER_DOWNSTREAM_CX_OVERFLOW, 1);
      socket.destroy();
      return;
    }
    if (this.model.exactBalance && env.handOver !== null) {
      const target = env.counts.leastLoaded(index, env.workerIndex);
      if (target !== env.workerIndex && env.handOver(socket, index, addressIndex, target)) return;
    }
    env.counts.add(index, env.workerIndex, 1);
    this.serve(socket, this.bound[addressIndex] ?? this.model.address);
  }

  /** Runs a connection that is counted. */
  private serve(socket: Socket, bound: AddressModel): void {
    const { env, slots, workerSlots } = this;
    // Reset before we looked: its bytes may be here still, but without an address it would pass every check of one.
    if (bound.kind === 'socket' && socket.remoteAddress === undefined) {
      env.counts.add(this.index, env.workerIndex, -1);
      socket.destroy();
      return;
    }
    const startedMs = env.runtime.nowMs();
    const connection = new AcceptedConnection(env.counts.nextConnectionId(), socket, bound, this.model, startedMs);
    const chain = this.match(connection);
    if (chain === null) {
      this.refuse(socket, connection);
      return;
    }
    connection.filterChainName = chain.model.name;
    connection.filterChainMetadata = chain.model.metadata;
    add(slots, stat.LISTENER_DOWNSTREAM_CX_TOTAL, 1);
    add(slots, stat.LISTENER_DOWNSTREAM_CX_ACTIVE, 1);
    add(workerSlots, stat.LISTENER_WORKER_DOWNSTREAM_CX_TOTAL, 1);
    add(workerSlots, stat.LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE, 1);
    chain.filter.accept(socket, connection, (record) => this.onClosed(connection, record ?? null));
  }

  private onClosed(connection: AcceptedConnection, record: StreamInfo | null): void {
    const { env, slots, workerSlots } = this;
    const nowMs = env.runtime.nowMs();
    env.counts.add(this.index, env.workerIndex, -1);
    add(slots, stat.LISTENER_DOWNSTREAM_CX_ACTIVE, -1);
    add(slots, stat.LISTENER_DOWNSTREAM_CX_DESTROY, 1);
    add(workerSlots, stat.LISTENER_WORKER_DOWNSTREAM_CX_ACTIVE, -1);
    this.lengths.record(Math.round(nowMs - connection.startedMs));
    if (this.log !== null) this.log(record ?? this.recordOf(connection, nowMs));
  }

  /** No chain and no default one: closed without a byte. */
  private refuse(socket: Socket, connection: AcceptedConnection): void {
    add(this.slots, stat.LISTENER_NO_FILTER_CHAIN_MATCH, 1);
    this.env.counts.add(this.index, this.env.workerIndex, -1);
    socket.destroy();
    if (this.log === null) return;
    const record = this.recordOf(connection, this.env.runtime.nowMs());
    record.flags |= FLAG_NR;
    record.details = 'filter_chain_not_found';
    this.log(record);
  }

  private recordOf(connection: AcceptedConnection, endMs: number): StreamInfo {
    const wallMs = Date.now() - (this.env.runtime.nowMs() - connection.startedMs);
    const record = new StreamInfo(connection, wallMs, connection.startedMs);
    record.remoteAddress = connection.directRemoteAddress;
    record.endMs = endMs;
    record.protocol = connection.protocol;
    record.requestBodyBytes = connection.bytesReceived;
    record.responseBodyBytes = connection.bytesSent;
    record.downstreamWireBytesReceived = connection.bytesReceived;
    record.downstreamWireBytesSent = connection.bytesSent;
    return record;
  }
}
