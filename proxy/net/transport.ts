// A byte stream over a connected socket: coalesced writes, counted holds, one handler.
// The only place of the data path that knows `node:net` sockets.
//
// Turns: every socket event opens one; a round is all turns between two waits of the event loop. Heads written during a
// turn, on whichever transport, are held until body bytes follow or the round ends: a head and a small body leave in one
// system call, and the writes of a round follow each other, which costs less than each between two requests (measured at
// 32 connections: 10–15 % of a request's CPU; code stays in the caches, and peers are woken less often). Outside a turn
// (timers) a head leaves at once. A codec that gathers its output (HTTP/2) registers for the end of the round too: what
// all sockets that were ready have made of it leaves in one system call. Both leave earlier, with the turn, when much was
// read or many connections have something to send: what waits is bounded.

import type { Socket } from 'node:net';
import { latin1 } from '../util/latin1.ts';
import { beginTurn, endTurn } from '../util/runtime.ts';
import { lend } from './lent-buffer.ts';
import { adoptForShared, isShared, keepBytes, onEarly, readSlot, takeEarly } from './read-buffer.ts';
import { SocketWriter } from './socket-writer.ts';
import type { TlsConnection } from './tls-connection.ts';

/** Told what happens on a transport. Exactly one `onClose` ends every transport. */
export interface TransportHandler {
  /** Bytes from the peer; valid during the call only: copy what is kept. */
  onData(chunk: Buffer): void;
  /** The peer half-closed. */
  onEnd(): void;
  /** The send buffer fell to its low watermark after `write` had returned false. */
  onDrain(): void;
  /** The socket is gone; `error` is the socket's own error or `null`. */
  onClose(error: NodeJS.ErrnoException | null): void;
}

/** Bodies up to this size are copied behind their head so that both leave in one system call. */
const COALESCE_BYTES_MAX = 16_384;
/**
 * Bodies up to this size join their head as text: at 100 bytes that takes a third of the time of a new buffer. A head and
 * its body up to this size are held for the end of the round, bytes.
 */
const TEXT_BYTES_MAX = 1_024;

/** Has gathered output that must be written soon. */
export interface Flusher {
  flushGathered(): void;
}

/** Bytes read in a round of the event loop after which gathered output leaves with the turn. */
export const ROUND_BYTES_MAX = 16_384;
/** Connections that may have gathered output at the end of a turn. */
export const FLUSHERS_MAX = 16;
/** Connections that may have held text at the end of a turn. */
export const HELD_MAX = 64;

let turnDepth = 0;
/** Tells turns apart. */
let turn = 0;
/** The first `dirtyCount` have a held head. The array never shrinks: V8 would give its memory back and take it anew each turn. */
const dirty: (Transport | null)[] = [];
let dirtyCount = 0;
const flushers: Flusher[] = [];
/** Bytes read since gathered output left last. */
let roundBytes = 0;
/** The end of the round will be told. */
let roundEndIsDue = false;

/** Opens a turn; each needs its `leaveTurn`. Only needed where no socket event is under way. */
export function enterTurn(): void {
  if (turnDepth++ === 0) {
    turn++;
    beginTurn();
  }
}

/** Ends a turn; after the outermost one what was held waits for the end of the round. */
export function leaveTurn(): void {
  if (--turnDepth > 0) return;
  if (roundBytes >= ROUND_BYTES_MAX || flushers.length > FLUSHERS_MAX) flushGathered();
  if (dirtyCount > HELD_MAX) flushHeld();
  else if (dirtyCount > 0) askForRoundEnd();
  endTurn();
}

/** Has `flusher` called once before the event loop waits again. It may be registered again from within that call. */
export function flushAtRoundEnd(flusher: Flusher): void {
  flushers.push(flusher);
  askForRoundEnd();
}

function askForRoundEnd(): void {
  if (roundEndIsDue) return;
  roundEndIsDue = true;
  setImmediate(endRound);
}

function endRound(): void {
  roundEndIsDue = false;
  enterTurn();
  flushGathered();
  flushHeld();
  leaveTurn();
}

/** What a flusher writes may wake others: the list may grow while it is walked. */
function flushGathered(): void {
  roundBytes = 0;
  turnDepth++;
  for (let i = 0; i < flushers.length; i++) (flushers[i] as Flusher).flushGathered();
  flushers.length = 0;
  turnDepth--;
}

/** As `flushGathered`. */
function flushHeld(): void {
  turnDepth++;
  for (let i = 0; i < dirtyCount; i++) {
    (dirty[i] as Transport).flush();
    dirty[i] = null;
  }
  dirtyCount = 0;
  turnDepth--;
}

/** See the head of this file. All methods are safe to call after the end; they then do nothing. */
export class Transport {
  readonly socket: Socket;
  handler: TransportHandler;
  /** `null` on clear text; on dialled sockets set before `onConnect`. */
  tls: TlsConnection | null;
  closed: boolean;
  bytesRead: number;
  bytesWritten: number;
  private readonly writer: SocketWriter;
  private holds: number;
  private heldHead: string;
  /** The turn in which the held head was begun. */
  private heldTurn: number;
  private ended: boolean;
  /** Read before this transport was there, or while reading was held; `null` once delivered. */
  private early: Buffer | null;
  /** The peer half-closed, behind `early` or while reading was held. */
  private endIsEarly: boolean;

  constructor(accepted: Socket, handler: TransportHandler) {
    const socket = adoptForShared(accepted);
    this.socket = socket;
    this.handler = handler;
    this.tls = null;
    this.closed = false;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.writer = new SocketWriter(socket, () => this.onDrain());
    this.holds = 0;
    this.heldHead = '';
    this.heldTurn = 0;
    this.ended = false;
    this.early = null;
    this.endIsEarly = false;
    const onBytes = (chunk: Buffer): void => this.onBytes(chunk);
    const slot = readSlot(socket);
    if (slot === null) socket.on('data', onBytes);
    else slot.onBytes = onBytes;
    socket.on('end', () => this.onEnd());
    // An error is told at once: the socket's own `close` comes only at the end of the loop's turn, when events of other
    // sockets have been handled as if this one still lived.
    socket.on('error', (error: NodeJS.ErrnoException) => this.onGone(error));
    socket.on('close', () => this.onGone(null));
    const early = takeEarly(socket);
    if (early.length === 0) return;
    this.early = early;
    onEarly(socket, () => this.deliverEarly());
  }

  private onBytes(chunk: Buffer): void {
    if (this.holds > 0 || this.early !== null) {
      this.keepEarly(chunk);
      return;
    }
    this.bytesRead += chunk.length;
    roundBytes += chunk.length;
    enterTurn();
    this.handler.onData(chunk);
    leaveTurn();
  }

  /** A TLS socket goes on with what it has decrypted, at most a read of the socket below. `release` comes back for it. */
  private keepEarly(chunk: Buffer): void {
    const { early } = this;
    this.early = early === null ? keepBytes(chunk) : Buffer.concat([early, chunk]);
  }

  private onDrain(): void {
    enterTurn();
    this.handler.onDrain();
    leaveTurn();
  }

  private onEnd(): void {
    if (this.early !== null || this.holds > 0) {
      this.endIsEarly = true;
      return;
    }
    enterTurn();
    // Answers to what came before it.
    if (turnDepth === 1) flushGathered();
    this.handler.onEnd();
    leaveTurn();
  }

  /** While reading is held the bytes and the end are kept; `release` comes back for them. */
  private deliverEarly(): void {
    const { early } = this;
    if (this.closed) return;
    if (this.holds > 0) {
      if (early !== null) this.early = keepBytes(early);
      return;
    }
    this.early = null;
    if (early !== null) this.onBytes(early);
    if (!this.endIsEarly || this.early !== null || this.holds > 0 || this.closed) return;
    this.endIsEarly = false;
    this.onEnd();
  }

  /** Not within `release`, whose callers do not expect data then. */
  private deliverEarlySoon(): void {
    process.nextTick(() => {
      this.deliverEarly();
      if (this.holds === 0 && !this.closed) this.socket.resume();
    });
  }

  private onGone(error: NodeJS.ErrnoException | null): void {
    if (this.closed) return;
    this.closed = true;
    this.writer.drop();
    enterTurn();
    this.handler.onClose(error);
    leaveTurn();
  }

  /** Sends text, held until body bytes follow or the round ends. */
  writeHead(latin1: string): void {
    if (this.ended || this.closed) return;
    this.bytesWritten += latin1.length;
    if (this.heldHead === '') {
      this.heldHead = latin1;
      this.heldTurn = turn;
      if (turnDepth === 0) this.flush();
      else dirty[dirtyCount++] = this;
    } else this.heldHead += latin1;
  }

  /**
   * Sends bytes, behind a held head. Views of the shared read buffer are copied; any other buffer may be kept by the
   * socket, so a caller must not reuse it.
   * @returns false when the send buffer is above its high watermark: wait for `onDrain`
   */
  write(chunk: Uint8Array): boolean {
    if (this.ended || this.closed) return true;
    const head = this.heldHead;
    if (head === '') {
      this.bytesWritten += chunk.length;
      return this.writeKept('', chunk, '');
    }
    this.bytesWritten += chunk.length;
    if (turnDepth > 0 && head.length + chunk.length <= TEXT_BYTES_MAX) {
      this.heldHead = head + latin1(chunk, 0, chunk.length);
      return !this.writer.congested;
    }
    this.heldHead = '';
    if (chunk.length <= COALESCE_BYTES_MAX) return this.writeJoined(head, chunk, '');
    return this.writeKept(head, chunk, '');
  }

  /**
   * Sends bytes of a buffer that is used again, behind a held head.
   * @param giveBack called once the kernel has them, or nobody will; `null` = as `write`
   * @returns as `write`
   */
  writeLent(chunk: Uint8Array, giveBack: (() => void) | null): boolean {
    if (giveBack === null) return this.write(chunk);
    if (this.ended || this.closed) {
      giveBack();
      return true;
    }
    this.flush();
    this.bytesWritten += chunk.length;
    return this.writer.write(chunk, giveBack);
  }

  /**
   * Sends bytes between two texts (a chunk's size line and its end), behind a held head, in one system call.
   * @returns as `write`
   */
  writeFramed(prefix: string, chunk: Uint8Array, suffix: string): boolean {
    if (this.ended || this.closed) return true;
    const head = this.heldHead + prefix;
    this.heldHead = '';
    this.bytesWritten += prefix.length + chunk.length + suffix.length;
    if (chunk.length <= COALESCE_BYTES_MAX) return this.writeJoined(head, chunk, suffix);
    return this.writeKept(head, chunk, suffix);
  }

  /** What may be a view of the shared buffer is copied. */
  private writeKept(prefix: string, chunk: Uint8Array, suffix: string): boolean {
    let kept = chunk;
    let giveBack: (() => void) | null = null;
    if (isShared(chunk)) {
      const lent = lend(chunk.length);
      if (lent === null) kept = Buffer.from(chunk);
      else {
        lent.bytes.set(chunk, 0);
        kept = lent.first(chunk.length);
        giveBack = lent.giveBack;
      }
    }
    return prefix === '' && suffix === ''
      ? this.writer.write(kept, giveBack)
      : this.writer.writeParts(prefix, kept, giveBack, suffix);
  }

  private writeJoined(head: string, chunk: Uint8Array, suffix: string): boolean {
    if (chunk.length <= TEXT_BYTES_MAX) return this.writer.write(head + latin1(chunk, 0, chunk.length) + suffix, null);
    const length = head.length + chunk.length + suffix.length;
    const lent = lend(length);
    const joined = lent === null ? Buffer.allocUnsafe(length) : lent.first(length);
    joined.write(head, 0, 'latin1');
    joined.set(chunk, head.length);
    if (suffix !== '') joined.write(suffix, head.length + chunk.length, 'latin1');
    return this.writer.write(joined, lent === null ? null : lent.giveBack);
  }

  /** Sends what is held. */
  flush(): void {
    const head = this.heldHead;
    if (head === '') return;
    this.heldHead = '';
    if (this.ended || this.closed) return;
    this.writer.write(head, null);
  }

  /** Bytes accepted but not yet with the kernel. */
  get bufferedBytes(): number {
    return this.writer.bufferedBytes + this.heldHead.length;
  }

  /** Above the high watermark: a `drain` will follow. */
  get congested(): boolean {
    return this.writer.congested;
  }

  /** The socket's own end as `ip:port`, `[ip6]:port`, `envoy://…`, or empty (Unix sockets, or closed). */
  get localAddress(): string {
    const { localAddress, localPort } = this.socket;
    if (localAddress === undefined) return '';
    if (localPort === undefined) return localAddress;
    return localAddress.includes(':') ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
  }

  /** Counted: reading stops at the first hold and goes on when all are released. */
  hold(): void {
    if (this.holds++ === 0) this.socket.pause();
  }

  release(): void {
    if (--this.holds > 0 || this.closed) return;
    if (this.early === null && !this.endIsEarly) this.socket.resume();
    else this.deliverEarlySoon();
  }

  /** Half-closes after what was written. */
  end(): void {
    if (this.ended || this.closed) return;
    this.flush();
    this.ended = true;
    this.writer.end();
  }

  /** Closes both directions after what was written. */
  closeSoon(): void {
    if (this.closed) return;
    this.flush();
    this.ended = true;
    this.writer.destroySoon();
  }

  /** Closes at once; unsent bytes are dropped, and so is what was held in this turn. */
  destroy(): void {
    if (this.closed) return;
    this.flushEarlier();
    this.socket.destroy();
  }

  /** What an earlier turn of the round wrote was sent as far as whoever ends the connection knows. */
  private flushEarlier(): void {
    if (this.heldTurn !== turn) this.flush();
  }

  /** Closes with a TCP reset, where there can be one: otherwise at once. */
  reset(): void {
    if (this.closed) return;
    this.flushEarlier();
    // Measured: after a half-close, descriptors of reset sockets stayed open for good and the process did not end. Unix
    // sockets and TLS have no reset: Node throws.
    const { socket } = this;
    if (this.ended || socket.remoteAddress === undefined || 'encrypted' in socket) socket.destroy();
    else socket.resetAndDestroy();
  }
}
