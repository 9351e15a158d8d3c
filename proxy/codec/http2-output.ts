// Frames on their way out: one growing buffer a connection, lent by its thread until the kernel has what is in it.
//
// A fresh buffer a turn would be garbage afterwards, and V8 lets 64 MiB of such garbage gather before it collects.

import { H2_FRAME_HEADER_BYTES } from './http2-frames.ts';

/** Bytes of a lent buffer, for what a read of 64 KiB becomes; more makes a larger one that is not kept. */
const LENT_BYTES = 81_920;
/** Idle buffers kept by a thread. */
const IDLE_MAX = 16;
/** Output up to this size is copied, so that the lent buffer stays: copies come out of Node's own pool. */
const COPY_BYTES_MAX = 2_048;

interface Latin1Buffer extends Buffer {
  latin1Write(text: string, offset: number): number;
}

/** Buffers that nobody uses, each with the call that brings it back here. */
const idle: LentOutput[] = [];
const NONE = Buffer.alloc(0) as Latin1Buffer;

class LentOutput {
  readonly bytes: Latin1Buffer;
  readonly giveBack: () => void;

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(LENT_BYTES) as Latin1Buffer;
    this.giveBack = () => {
      if (idle.length < IDLE_MAX) idle.push(this);
    };
  }
}

/** Texts up to this length are written by a loop: a native call costs more (benchmarks/micro.ts). */
const LOOP_CHARS_MAX = 24;

/** See the head of this file. `bytes` from 0 to `at` are what is to be sent. */
export class FrameOutput {
  bytes: Latin1Buffer;
  at: number;
  /** Call it once what `take` has returned is written; `null` = that was nobody's. */
  giveBack: (() => void) | null;
  /** Whose `bytes` are; `null` = they are larger than what is lent. */
  private lent: LentOutput | null;

  constructor() {
    this.bytes = NONE;
    this.at = 0;
    this.giveBack = null;
    this.lent = null;
  }

  /** Makes room for so many bytes more. */
  ensure(more: number): void {
    if (this.at + more > this.bytes.length) this.grow(more);
  }

  private grow(more: number): void {
    const old = this.bytes;
    const needed = this.at + more;
    if (old === NONE && needed <= LENT_BYTES) {
      this.lent = idle.pop() ?? new LentOutput();
      this.bytes = this.lent.bytes;
      return;
    }
    const bytes = Buffer.allocUnsafeSlow(Math.max(needed, old.length * 2)) as Latin1Buffer;
    old.copy(bytes, 0, 0, this.at);
    this.bytes = bytes;
    this.lent?.giveBack();
    this.lent = null;
  }

  /** Everything written, the caller's until `giveBack`; `null` = nothing. */
  take(): Buffer | null {
    const { bytes, at, lent } = this;
    this.giveBack = null;
    if (at === 0) return null;
    this.at = 0;
    if (at <= COPY_BYTES_MAX) {
      const copy = Buffer.allocUnsafe(at);
      bytes.copy(copy, 0, 0, at);
      if (lent !== null) this.release(lent);
      return copy;
    }
    this.bytes = NONE;
    this.lent = null;
    if (lent !== null) this.giveBack = lent.giveBack;
    return bytes.subarray(0, at);
  }

  private release(lent: LentOutput): void {
    this.bytes = NONE;
    this.lent = null;
    lent.giveBack();
  }

  /** Writes a frame's header; its payload is the caller's to write behind it. Room must have been made. */
  frame(length: number, type: number, flags: number, id: number): void {
    this.frameAt(this.at, length, type, flags, id);
    this.at += H2_FRAME_HEADER_BYTES;
  }

  frameAt(at: number, length: number, type: number, flags: number, id: number): void {
    const bytes = this.bytes;
    bytes[at] = length >> 16;
    bytes[at + 1] = length >> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    bytes[at + 5] = id >>> 24;
    bytes[at + 6] = id >> 16;
    bytes[at + 7] = id >> 8;
    bytes[at + 8] = id;
  }

  uint16(value: number): void {
    this.bytes[this.at++] = value >> 8;
    this.bytes[this.at++] = value;
  }

  uint32(value: number): void {
    this.bytes[this.at++] = value >>> 24;
    this.bytes[this.at++] = value >> 16;
    this.bytes[this.at++] = value >> 8;
    this.bytes[this.at++] = value;
  }

  copy(chunk: Uint8Array, from: number, to: number): void {
    // A copy by `set` makes a view first, which costs more than the copy of a few bytes.
    if (Buffer.isBuffer(chunk)) chunk.copy(this.bytes, this.at, from, to);
    else this.bytes.set(chunk.subarray(from, to), this.at);
    this.at += to - from;
  }

  text(latin1: string): void {
    const length = latin1.length;
    const bytes = this.bytes;
    let at = this.at;
    if (length > LOOP_CHARS_MAX) bytes.latin1Write(latin1, at);
    else for (let i = 0; i < length; i++) bytes[at++] = latin1.charCodeAt(i);
    this.at += length;
  }
}
