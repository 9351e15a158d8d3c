// One listener in one worker: accepts connections, applies limits and balancing, chooses the filter chain, and hands
// each connection to the chain's terminal filter.

import { createServer, type Server, Socket } from 'node:net';
import type { AddressModel, MetadataModel } from '../config/model/common.ts';
import type { FilterChainModel, ListenerModel } from '../config/model/listener.ts';
import type { DownstreamTlsModel } from '../config/model/tls.ts';
import {
  boundAddress,
  type ListenSpec,
  listen,
  listenSpecs,
  needsOwnSocket,
  openSocket,
  unavailable,
} from '../net/listen.ts';
import { closeUnread, deliverEarly, hasEarly } from '../net/read-buffer.ts';
import { systemCalls } from '../net/sockopt.ts';
import type { TlsEnv } from '../net/tls-server.ts';
import * as stat from '../observe/catalogue-listener.ts';
import { FLAG_NR } from '../observe/flags.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import { listenerStatPrefix } from '../observe/stats-prefix.ts';
import { StreamInfo } from '../observe/stream-info.ts';
import { TlsStats } from '../observe/tls-stats.ts';
import type { OverloadState } from '../util/overload.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import { type ChainMatcher, compileChainMatch } from './chain-match.ts';
import { compileChainTree } from './chain-tree.ts';
import { compileListenerFilters } from './compile-filters.ts';
import { AcceptedConnection } from './connection.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { add } from './count.ts';
import type { ListenerDirectory } from './directory.ts';
import { GatedFilter, SecureFilter } from './gate.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { compileGate, type GateEnv } from './limits.ts';
import { closingFilter, type FilterFactory, type NetworkFilter } from './network-filter.ts';
import { isTransparent, restoreDestination } from './original-dst.ts';
import { type SniffEnd, Sniffer, type SniffPlan } from './sniffer.ts';
import { TlsFilter } from './tls-filter.ts';

/** What the overload manager's monitor of connections counts: those that it does not let in. */
const REFUSED_BY_MONITOR = 'overload.envoy.resource_monitors.global_downstream_max_connections.failed_updates';

/** Address index of a connection whose listener is another one than the one that accepted it. */
const REDIRECTED = -1;

/** What a listener needs of its worker. */
export interface ListenerEnv {
  readonly workerIndex: number;
  readonly workers: number;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly stats: StatsStore;
  readonly counts: ConnectionCounts;
  /** Process-wide limit on downstream connections; 0 = none. */
  readonly connectionsMax: number;
  /** Whose connections count against it, by index: the overload manager's monitor says so; `null` = those of all. */
  readonly limitedListeners: readonly number[] | null;
  readonly createFilter: FilterFactory;
  readonly gates: GateEnv;
  readonly tls: TlsEnv;
  /** `null` = there is no overload manager. */
  readonly overload: OverloadState | null;
  /** Asked before a connection is taken; `null` = no load is shed there. */
  readonly shedAccept: ShedPoint | null;
  /** The worker's listeners by address: where redirected connections go. */
  readonly directory: ListenerDirectory<Listener>;
  /** Gives a connection to another worker; false when it cannot be handed over. `null` = this worker is alone. */
  readonly handOver: ((socket: Socket, listenerIndex: number, addressIndex: number, worker: number) => boolean) | null;
}

/** A chain as connections use it. */
interface Chain {
  readonly model: FilterChainModel;
  readonly filter: NetworkFilter;
  /** The handshake within `filter`; `null` = clear text. */
  readonly tls: TlsFilter | null;
}

/** Stands for the accepting listener's address where only another worker knows it: the socket is asked. */
const ANY_ADDRESS: AddressModel = { kind: 'socket', protocol: 'tcp', address: '0.0.0.0', port: 0, ipv4Compat: false };

/** What is counted of an end; −1 = nothing. */
const SNIFF_END_STATS: Readonly<Record<SniffEnd, number>> = {
  done: -1,
  refused: -1,
  server_first: -1,
  timeout: stat.LISTENER_DOWNSTREAM_PRE_CX_TIMEOUT,
  remote_close: stat.LISTENER_DOWNSTREAM_LISTENER_FILTER_REMOTE_CLOSE,
  error: stat.LISTENER_DOWNSTREAM_LISTENER_FILTER_ERROR,
};

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
  private readonly transparent: boolean;
  /** Whether the limit of the process says how many connections come in here. */
  private readonly isLimited: boolean;
  /** `null` = there are no listener filters. */
  private readonly plan: SniffPlan | null;
  private readonly sniffing: Set<Sniffer> = new Set();
  /** `null` = the overload manager has no say here. */
  private readonly gatekeeper: Gatekeeper | null;
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
    this.transparent = isTransparent(model);
    this.isLimited =
      env.connectionsMax > 0 && !model.ignoreGlobalConnLimit && env.limitedListeners?.includes(index) !== false;
    const prefix = listenerStatPrefix(model);
    this.slots = env.stats.block(stat.LISTENER, prefix);
    this.gatekeeper =
      env.overload === null || model.bypassOverloadManager
        ? null
        : new Gatekeeper(env.overload, env.runtime, env.shedAccept, this.slots, (...held) => this.onAccept(...held));
    this.extensionSlots = env.stats.block(stat.LISTENER_EXTENSION, prefix);
    this.workerSlots = env.stats.block(stat.LISTENER_WORKER, `${prefix}worker_${env.workerIndex}.`);
    this.lengths = env.stats.histogram(`${prefix}downstream_cx_length_ms`);
    this.acceptedPerEvent = env.stats.histogram(`${prefix}connections_accepted_per_socket_event`);
    const chains = model.filterChains.map((chain) => this.compileChain(chain, prefix));
    const fallback = model.defaultFilterChain === null ? null : this.compileChain(model.defaultFilterChain, prefix);
    this.chains = fallback === null ? chains : [...chains, fallback];
    this.plan = this.compilePlan();
    this.match =
      model.chainMatcher === null
        ? compileChainMatch(
            chains.map((chain) => ({ match: chain.model.match, value: chain })),
            fallback,
          )
        : compileChainTree(
            model.chainMatcher,
            new Map(chains.map((chain) => [chain.model.name, chain])),
            fallback,
            env.gates.runtimeKeys,
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
    if (this.model.useOriginalDst && systemCalls() === null)
      throw unavailable(this.model.name, 'original destinations');
    const specs = listenSpecs(this.model);
    for (const [i, spec] of specs.entries()) {
      const address = addresses[i] ?? spec.address;
      await this.open({ ...spec, address }, descriptors[i] ?? -1);
    }
    return this.bound;
  }

  /** Stops accepting; connections live on. */
  stop(): void {
    this.env.directory.remove(this);
    for (const server of this.servers.splice(0)) server.close();
  }

  /** The overload manager may have decided that connections wait, or that they need not any more. */
  checkAccepting(): void {
    this.gatekeeper?.check(this.servers);
  }

  drain(): void {
    for (const chain of this.chains) chain.filter.drain();
  }

  closeAll(): void {
    this.gatekeeper?.close();
    for (const chain of this.chains) chain.filter.closeAll();
    for (const sniffer of [...this.sniffing]) {
      this.forget(sniffer);
      sniffer.abandon();
      this.env.counts.add(this.index, this.env.workerIndex, -1);
      sniffer.socket.destroy();
    }
  }

  /** Takes a connection that another worker accepted; it is counted for this worker already. */
  adopt(fd: number, addressIndex: number): void {
    const socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
    if (addressIndex !== REDIRECTED) {
      this.serve(socket, this.bound[addressIndex] ?? this.model.address);
      return;
    }
    const connection = this.admit(socket, ANY_ADDRESS);
    if (connection === null) return;
    restoreDestination(socket, connection, true);
    this.inspect(socket, connection);
  }

  /** Takes a connection that another listener of this worker accepted; that one counts it no longer. */
  private takeOver(socket: Socket, connection: AcceptedConnection): void {
    const { env, index } = this;
    // Bytes that were looked at here cannot be read there.
    if (this.model.exactBalance && env.handOver !== null && !hasEarly(socket)) {
      const target = env.counts.leastLoaded(index, env.workerIndex);
      if (target !== env.workerIndex && env.handOver(socket, index, REDIRECTED, target)) return;
    }
    env.counts.add(index, env.workerIndex, 1);
    connection.listenerName = this.model.name;
    connection.listenerMetadata = this.model.metadata;
    this.inspect(socket, connection);
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
    this.checkAccepting();
    this.bound.push(boundAddress(server, spec.address));
  }

  private compileChain(model: FilterChainModel, prefix: string): Chain {
    const terminal = model.filters.at(-1);
    if (terminal === undefined) return { model, filter: closingFilter(() => this.countMissing()), tls: null };
    const filter = this.env.createFilter(terminal, {
      listenerName: this.model.name,
      listenerStatPrefix: prefix,
      filterChainName: model.name,
      direction: this.model.trafficDirection,
      bufferLimitBytes: this.model.perConnectionBufferLimitBytes,
      bypassesOverload: this.model.bypassOverloadManager,
    });
    const { transport } = model;
    const gates = model.filters.slice(0, -1).map((gate) => compileGate(gate, this.env.gates));
    const told = gates.filter((gate) => gate.onSecure !== undefined);
    const behind = told.length === 0 ? filter : new SecureFilter(told, filter);
    const tls = transport.kind === 'raw' ? null : this.secure(transport.tls, behind, model, prefix);
    // As in Envoy, gates decide before the handshake.
    const inner = tls ?? filter;
    return { model, filter: gates.length === 0 ? inner : new GatedFilter(gates, inner, this.env.runtime), tls };
  }

  private secure(tls: DownstreamTlsModel, filter: NetworkFilter, chain: FilterChainModel, prefix: string): TlsFilter {
    const { env } = this;
    return new TlsFilter(tls, filter, {
      tls: env.tls,
      runtime: env.runtime,
      counts: new TlsStats(env.stats, prefix, 'server'),
      listenerStats: this.slots,
      listenerName: this.model.name,
      statesEnds: env.workerIndex === 0,
      connectTimeoutMs: chain.transportSocketConnectTimeoutMs,
    });
  }

  /** New secrets of one of the chains' contexts; of another listener's: nothing happens. */
  replaceTls(context: DownstreamTlsModel): void {
    for (const { tls } of this.chains) tls?.replace(context);
  }

  private countMissing(): void {
    add(this.extensionSlots, stat.LISTENER_EXT_NETWORK_EXTENSION_CONFIG_MISSING, 1);
  }

  /** Takes a connection from inside this process. @param metadata what its client says of it; `null` = nothing */
  acceptInternal(socket: Socket, address: AddressModel, metadata: MetadataModel | null): void {
    const { env, index } = this;
    if (this.isFull()) {
      socket.destroy();
      return;
    }
    env.counts.add(index, env.workerIndex, 1);
    const connection = this.admit(socket, address);
    if (connection === null) return;
    if (metadata !== null) connection.dynamicMetadata = { ...metadata };
    this.inspect(socket, connection);
  }

  /** Whether a connection more is too many; counts it then. */
  private isFull(): boolean {
    const { env, index, slots } = this;
    if (this.isLimited && env.counts.total(env.limitedListeners) >= env.connectionsMax) {
      add(slots, stat.LISTENER_DOWNSTREAM_GLOBAL_CX_OVERFLOW, 1);
      if (env.limitedListeners !== null) add(env.stats.cell(REFUSED_BY_MONITOR, 'c'), 0, 1);
      return true;
    }
    if (this.model.maxConnections > 0 && env.counts.ofListener(index) >= this.model.maxConnections) {
      add(slots, stat.LISTENER_DOWNSTREAM_CX_OVERFLOW, 1);
      return true;
    }
    return false;
  }

  private onAccept(socket: Socket, addressIndex: number): void {
    const { env, index } = this;
    this.acceptedPerEvent.record(1); // Node hands over one at a time
    if (this.isFull()) {
      socket.destroy();
      return;
    }
    if (this.gatekeeper !== null && !this.gatekeeper.admits(socket, addressIndex)) return;
    if (this.model.exactBalance && env.handOver !== null) {
      const target = env.counts.leastLoaded(index, env.workerIndex);
      if (target !== env.workerIndex && env.handOver(socket, index, addressIndex, target)) return;
    }
    env.counts.add(index, env.workerIndex, 1);
    this.serve(socket, this.bound[addressIndex] ?? this.model.address);
  }

  /** Runs a connection that is counted. */
  private serve(socket: Socket, bound: AddressModel): void {
    const connection = this.admit(socket, bound);
    if (connection === null) return;
    if (this.model.useOriginalDst) restoreDestination(socket, connection, this.transparent);
    this.inspect(socket, connection);
  }

  /** Lets the listener filters look at the connection, if there are any. */
  private inspect(socket: Socket, connection: AcceptedConnection): void {
    const { plan } = this;
    if (plan === null) {
      this.route(socket, connection);
      return;
    }
    const sniffer = new Sniffer(plan, socket, connection);
    this.sniffing.add(sniffer);
    add(this.slots, stat.LISTENER_DOWNSTREAM_PRE_CX_ACTIVE, 1);
    sniffer.start();
  }

  private compilePlan(): SniffPlan | null {
    const { env, model } = this;
    if (model.listenerFilters.length === 0) return null;
    return {
      filters: compileListenerFilters(model.listenerFilters, env.stats, this.transparent, env.gates),
      timeoutMs: model.listenerFiltersTimeoutMs,
      serverFirstMs: model.serverFirstMs,
      runtime: env.runtime,
      wheel: env.wheel,
      onEnd: (sniffer, end) => this.onSniffed(sniffer, end),
    };
  }

  private forget(sniffer: Sniffer): void {
    this.sniffing.delete(sniffer);
    add(this.slots, stat.LISTENER_DOWNSTREAM_PRE_CX_ACTIVE, -1);
  }

  private onSniffed(sniffer: Sniffer, end: SniffEnd): void {
    const { socket, connection } = sniffer;
    this.forget(sniffer);
    const count = SNIFF_END_STATS[end];
    if (count >= 0) add(this.slots, count, 1);
    if (
      end === 'done' ||
      end === 'server_first' ||
      (end === 'timeout' && this.model.continueOnListenerFiltersTimeout)
    ) {
      this.route(socket, connection);
      deliverEarly(socket);
      return;
    }
    this.env.counts.add(this.index, this.env.workerIndex, -1);
    socket.on('error', () => {});
    closeUnread(socket);
    if (this.log !== null) this.log(this.recordOf(connection, this.env.runtime.nowMs()));
  }

  /** Gives a connection to the listener of its original destination, or serves it here. */
  private route(socket: Socket, connection: AcceptedConnection): void {
    const target = this.model.useOriginalDst ? this.destinationOf(connection) : null;
    if (target === null) this.dispatch(socket, connection);
    else {
      this.env.counts.add(this.index, this.env.workerIndex, -1);
      target.takeOver(socket, connection);
    }
  }

  /** The other listener that a connection with a restored destination belongs to; `null` = it stays. */
  private destinationOf(connection: AcceptedConnection): Listener | null {
    if (!connection.localAddressRestored) return null;
    const target = this.env.directory.find(connection.localAddress, connection.localIp, connection.localPort);
    return target === this ? null : target;
  }

  private admit(socket: Socket, bound: AddressModel): AcceptedConnection | null {
    const { env } = this;
    // Reset before we looked: its bytes may be here still, but without an address it would pass every check of one.
    if (bound.kind === 'socket' && socket.remoteAddress === undefined) {
      env.counts.add(this.index, env.workerIndex, -1);
      socket.destroy();
      return null;
    }
    return new AcceptedConnection(env.counts.nextConnectionId(), socket, bound, this.model, env.runtime.nowMs());
  }

  /** Gives a connection to the chain that its facts choose. */
  private dispatch(socket: Socket, connection: AcceptedConnection): void {
    const { slots, workerSlots } = this;
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
    closeUnread(socket);
    if (this.log === null) return;
    const record = this.recordOf(connection, this.env.runtime.nowMs());
    record.flags |= FLAG_NR;
    record.details = 'filter_chain_not_found';
    this.log(record);
  }

  private recordOf(connection: AcceptedConnection, endMs: number): StreamInfo {
    const wallMs = Date.now() - (this.env.runtime.nowMs() - connection.startedMs);
    const record = new StreamInfo(connection, wallMs, connection.startedMs);
    record.remoteAddress = connection.remoteAddress;
    record.dynamicMetadata = connection.dynamicMetadata;
    if (connection.transportFailureReason === '') connection.transportFailureReason = connection.inspectorFailure;
    record.endMs = endMs;
    record.protocol = connection.protocol;
    record.details = connection.closeDetails;
    record.requestBodyBytes = connection.bytesReceived;
    record.responseBodyBytes = connection.bytesSent;
    record.downstreamWireBytesReceived = connection.bytesReceived;
    record.downstreamWireBytesSent = connection.bytesSent;
    return record;
  }
}
