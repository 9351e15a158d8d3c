// State of one HTTP/2 stream. The session receives into it and the sender sends from it; it decides nothing itself.

import type { HeaderMap } from './headers.ts';
import type { H2Stream } from './http2.ts';
import { appendToLast, keep, SLAB_BYTES, slabOf } from './http2-pieces.ts';

/** See the head of this file; the public part is described at `H2Stream`. */
export class Http2Stream implements H2Stream {
  readonly id: number;
  user: unknown;
  over: boolean;
  remoteEnded: boolean;
  localEnded: boolean;
  wireBytesSent: number;
  wireBytesReceived: number;
  headerWireBytesSent: number;
  headerWireBytesReceived: number;

  // === Receiving ===
  /** It counts against the limit of streams: until both messages have ended on the wire. */
  counted: boolean;
  /** What its frame did to the connection, for `close` to tell; empty = nothing. */
  blame: string;
  /** The head of the request, or of the final response, was read. */
  headRead: boolean;
  /** The sink knows that the peer's message has ended. */
  endTold: boolean;
  /** Body bytes to come by `content-length`; −1 = not said. */
  bodyLeft: number;
  /** What the peer may still send. */
  receiveWindow: number;
  /** Bytes told and not yet given back to the peer's window. */
  consumed: number;
  holds: number;
  kept: Buffer[];
  keptTrailers: HeaderMap | null;
  keptEnd: boolean;
  /** The kept pieces are being told. */
  delivering: boolean;

  // === Sending ===
  /** Client role: the answer has no body whatever its length says. */
  headRequest: boolean;
  sendWindow: number;
  /** Body that waits for a window or for the transport; `pendingFrom` bytes of the first piece are gone. */
  pending: Buffer[];
  pendingFrom: number;
  pendingBytes: number;
  pendingTrailers: HeaderMap | null;
  /** END_STREAM is on its way. */
  endSent: boolean;
  /** Reset without error as soon as the pending body has left. */
  resetAfterEnd: boolean;
  /** Among the sender's waiting streams. */
  queued: boolean;
  /** `sendData` returned false. */
  waits: boolean;

  constructor(id: number, user: unknown, receiveWindow: number, sendWindow: number) {
    this.id = id;
    this.user = user;
    this.over = false;
    this.remoteEnded = false;
    this.localEnded = false;
    this.wireBytesSent = 0;
    this.wireBytesReceived = 0;
    this.headerWireBytesSent = 0;
    this.headerWireBytesReceived = 0;
    this.counted = true;
    this.blame = '';
    this.headRead = false;
    this.endTold = false;
    this.bodyLeft = -1;
    this.receiveWindow = receiveWindow;
    this.consumed = 0;
    this.holds = 0;
    this.kept = NOTHING;
    this.keptTrailers = null;
    this.keptEnd = false;
    this.delivering = false;
    this.headRequest = false;
    this.sendWindow = sendWindow;
    this.pending = NOTHING;
    this.pendingFrom = 0;
    this.pendingBytes = 0;
    this.pendingTrailers = null;
    this.endSent = false;
    this.resetAfterEnd = false;
    this.queued = false;
    this.waits = false;
  }

  /** Both messages have ended for the peer, which has forgotten the stream; the user may still be told of what is kept. */
  get closedOnWire(): boolean {
    return this.remoteEnded && this.endSent;
  }

  /** @param piece is copied */
  keep(piece: Buffer): void {
    if (this.kept === NOTHING) this.kept = [];
    if (!appendToLast(this.kept, piece)) this.kept.push(slabOf(piece, this.kept));
  }

  /** @returns bytes that were received and kept */
  dropBodies(): number {
    let kept = 0;
    for (let i = 0; i < this.kept.length; i++) kept += (this.kept[i] as Buffer).length;
    this.kept = NOTHING;
    this.keptTrailers = null;
    this.dropPending();
    return kept;
  }

  dropPending(): void {
    this.pending = NOTHING;
    this.pendingBytes = 0;
    this.pendingTrailers = null;
  }

  /** @param piece is copied */
  addPending(piece: Uint8Array): void {
    if (this.pending === NOTHING) this.pending = [];
    const { pending } = this;
    // The first piece may be on its way out: it stays as it is.
    if (pending.length === 0 || piece.length >= SLAB_BYTES) pending.push(keep(piece));
    else if (pending.length === 1 || !appendToLast(pending, piece)) pending.push(slabOf(piece, pending));
    this.pendingBytes += piece.length;
  }
}

/** Most streams keep nothing: they share one empty list, which nobody writes to. */
const NOTHING: Buffer[] = [];
