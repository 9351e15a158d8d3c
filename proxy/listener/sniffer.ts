// One accepted connection whose first bytes are looked at by listener filters, until they are done, the time is up, or
// the peer is gone.
//
// The socket reads into the buffer that all sockets share. Mostly one read tells everything, and the bytes go on from
// there to whoever serves the connection without being copied; only a client that sends piece by piece owns a buffer.

import type { Socket } from 'node:net';
import { adoptForShared, giveBack, readSlot, takeEarly } from '../net/read-buffer.ts';
import { Deadline } from '../util/deadline.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import type { AcceptedConnection } from './connection.ts';
import { DONE, type FilterVerdict, type ListenerFilter, type Peek } from './listener-filter.ts';

/** How looking at a connection ended. */
export type SniffEnd = 'done' | 'server_first' | 'refused' | 'timeout' | 'remote_close' | 'error';

/** What the sniffers of a listener share. */
export interface SniffPlan {
  readonly filters: readonly ListenerFilter[];
  /** 0 = no limit. */
  readonly timeoutMs: number;
  /** A client that said nothing for so long waits for its server; 0 = never. Only where `timeoutMs` is 0. */
  readonly serverFirstMs: number;
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  /**
   * Told once. The bytes seen have been given back to the socket; where it did not end in `done` nothing was done to
   * the socket yet.
   */
  onEnd(sniffer: Sniffer, end: SniffEnd): void;
}

const NOTHING = Buffer.alloc(0);
/** First size of a buffer of a connection's own, bytes. */
const STORED_BYTES_MIN = 1_024;

/** See the head of this file. */
export class Sniffer implements Peek {
  readonly connection: AcceptedConnection;
  readonly socket: Socket;
  bytes: Buffer;
  searched: number;
  private readonly plan: SniffPlan;
  private index: number;
  /** The filter on its turn is asked again when there are so many bytes. */
  private needed: number;
  /** Own memory behind `bytes`; `null` while they are a view of the shared buffer. */
  private stored: Buffer | null;
  private deadline: Deadline | null;
  private over: boolean;
  private readonly onBytes: (chunk: Buffer) => void;
  private readonly onFin: () => void;
  private readonly onError: () => void;

  constructor(plan: SniffPlan, accepted: Socket, connection: AcceptedConnection) {
    this.plan = plan;
    this.socket = adoptForShared(accepted);
    this.connection = connection;
    this.bytes = NOTHING;
    this.searched = 0;
    this.index = -1;
    this.needed = 0;
    this.stored = null;
    this.deadline = null;
    this.over = false;
    this.onBytes = (chunk) => this.onChunk(chunk);
    this.onFin = () => this.end('remote_close');
    this.onError = () => this.end('error');
  }

  /** Begins; may end before it returns. */
  start(): void {
    const { plan, socket } = this;
    this.bytes = takeEarly(socket);
    if (this.next()) return;
    const slot = readSlot(socket);
    if (slot === null) socket.on('data', this.onBytes);
    else slot.onBytes = this.onBytes;
    socket.on('end', this.onFin);
    socket.on('error', this.onError);
    if (this.bytes.length > 0) this.keep(this.bytes);
    const limitMs = plan.timeoutMs === 0 ? plan.serverFirstMs : plan.timeoutMs;
    if (limitMs === 0) return;
    this.deadline = new Deadline(plan.runtime, plan.wheel, () => this.onDeadline());
    this.deadline.arm(limitMs);
  }

  consume(count: number): void {
    this.bytes = this.bytes.subarray(count);
  }

  private onDeadline(): void {
    if (this.plan.timeoutMs > 0) this.end('timeout');
    else if (this.bytes.length === 0) this.end('server_first');
  }

  /** Ends without a word to anybody. */
  abandon(): void {
    this.over = true;
    this.release();
  }

  private onChunk(chunk: Buffer): void {
    if (this.bytes.length === 0) {
      this.bytes = chunk;
      this.stored = null;
    } else this.append(chunk);
    if (this.bytes.length >= this.needed && this.ask()) return;
    this.keep(chunk);
  }

  /** Asks the filter on its turn, and those behind it when it is done. @returns whether all is over */
  private ask(): boolean {
    const filter = this.plan.filters[this.index] as ListenerFilter;
    return this.apply(filter.look(this)) || (this.needed === 0 && this.next());
  }

  /** Goes on to the next filter that has to wait. @returns whether all is over */
  private next(): boolean {
    const { filters } = this.plan;
    for (;;) {
      const filter = filters[++this.index];
      if (filter === undefined) {
        this.end('done');
        return true;
      }
      this.searched = 0;
      if (this.apply(filter.begin(this.connection, this.socket))) return true;
      while (this.needed > 0 && this.bytes.length >= this.needed) if (this.apply(filter.look(this))) return true;
      if (this.needed > 0) return false;
    }
  }

  /** @returns whether the filter ended the connection */
  private apply(verdict: FilterVerdict): boolean {
    this.needed = verdict > 0 ? verdict : 0;
    if (verdict >= DONE) return false;
    this.end('refused');
    return true;
  }

  /** The bytes are needed beyond this call. */
  private keep(chunk: Buffer): void {
    if (this.stored !== null || this.bytes.length === 0) return;
    this.stored = Buffer.allocUnsafeSlow(Math.max(STORED_BYTES_MIN, this.needed, chunk.length));
    this.bytes.copy(this.stored);
    this.bytes = this.stored.subarray(0, this.bytes.length);
  }

  /** The buffer doubles when it is full; filters end what goes on for too long. */
  private append(chunk: Buffer): void {
    const { bytes } = this;
    const length = bytes.length + chunk.length;
    let { stored } = this;
    const from = stored === null ? 0 : bytes.byteOffset - stored.byteOffset;
    if (stored === null || from + length > stored.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * bytes.length));
      bytes.copy(larger);
      chunk.copy(larger, bytes.length);
      stored = larger;
      this.bytes = larger.subarray(0, length);
    } else {
      chunk.copy(stored, from + bytes.length);
      this.bytes = stored.subarray(from, from + length);
    }
    this.stored = stored;
  }

  private end(end: SniffEnd): void {
    if (this.over) return;
    this.over = true;
    this.release();
    if (this.bytes.length > 0) giveBack(this.socket, this.bytes);
    this.plan.onEnd(this, end);
  }

  private release(): void {
    const { socket } = this;
    this.deadline?.cancel();
    const slot = readSlot(socket);
    if (slot === null) socket.off('data', this.onBytes);
    else slot.onBytes = null;
    socket.off('end', this.onFin);
    socket.off('error', this.onError);
  }
}
