// Frames on their way out: one growing buffer a connection, lent by its thread while there is something in it.

import { H2_FRAME_HEADER_BYTES } from './http2-frames.ts';

/** Bytes of a lent buffer, for what a read of 64 KiB becomes; more makes a larger one that is not kept. */
const LENT_BYTES = 81_920;
/** Idle buffers kept by a thread. */
const IDLE_MAX = 16;
/** Output up to this size is copied, so that the lent buffer stays; larger output takes the buffer along. */
const COPY_BYTES_MAX = 16_384;

interface Latin1Buffer extends Buffer {
  latin1Write(text: string, offset: number): number;
}

const idle: Latin1Buffer[] = [];
const NONE = Buffer.alloc(0) as Latin1Buffer;

/** Texts up to this length are written by a loop: a native call costs more (benchmarks/micro.ts). */
const LOOP_CHARS_MAX = 24;

/** See the head of this file. `bytes` from 0 to `at` are what is to be sent. */
export class FrameOutput {
  bytes: Latin1Buffer;
  at: number;

  constructor() {
    this.bytes = NONE;
    this.at = 0;
  }

  /** Makes room for so many bytes more. */
  ensure(more: number): void {
    if (this.at + more > this.bytes.length) this.grow(more);
  }

  private grow(more: number): void {
    const old = this.bytes;
    const needed = this.at + more;
    if (old === NONE && needed <= LENT_BYTES) {
      this.bytes = idle.pop() ?? (Buffer.allocUnsafeSlow(LENT_BYTES) as Latin1Buffer);
      return;
    }
    const bytes = Buffer.allocUnsafeSlow(Math.max(needed, old.length * 2)) as Latin1Buffer;
    old.copy(bytes, 0, 0, this.at);
    this.bytes = bytes;
    giveBack(old);
  }

  /** Everything written, the caller's to keep; `null` = nothing. */
  take(): Buffer | null {
    const { bytes, at } = this;
    if (at === 0) return null;
    this.bytes = NONE;
    this.at = 0;
    if (at > COPY_BYTES_MAX) return bytes.subarray(0, at);
    const copy = Buffer.allocUnsafe(at);
    bytes.copy(copy, 0, 0, at);
    giveBack(bytes);
    return copy;
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

function giveBack(bytes: Latin1Buffer): void {
  if (bytes.length === LENT_BYTES && idle.length < IDLE_MAX) idle.push(bytes);
}
