// From bytes of any split to frames. DATA is passed on as it comes, every other frame whole: from the fed bytes where it
// lies in one piece, else from a copy. It knows nothing of streams.

import { FLAG_END_STREAM, FLAG_PADDED, FRAME_DATA, H2_FRAME_HEADER_BYTES, PREFACE, uint31 } from './http2-frames.ts';

/** Told what is read. What it finds wrong it says by `stop`. */
export interface FrameSink {
  /** Of every frame, before its payload is there. */
  onFrameHeader(length: number, type: number, flags: number, id: number): void;
  /** The payload lies in `bytes` from `from` to `end`. */
  onFrame(type: number, flags: number, id: number, bytes: Buffer, from: number, end: number): void;
  /** `length` without padding; `overhead`: the padding and its length byte. */
  onDataStart(id: number, length: number, overhead: number, endStream: boolean): void;
  /** `last`: of the frame. A frame without bytes has one empty piece. */
  onDataPiece(piece: Buffer, last: boolean): void;
  onBadPreface(): void;
  /** `tooShort`: there is not even the length byte. */
  onBadPadding(tooShort: boolean): void;
}

const NO_BYTES = Buffer.alloc(0);

/** See the head of this file. */
export class Http2Framer {
  private readonly sink: FrameSink;
  private stopped: boolean;
  private prefaceAt: number;
  private readonly head: Buffer;
  /** What is there of a frame that is not whole: its header, then all of it. */
  private part: Buffer;
  private partBytes: number;
  // The DATA frame at hand.
  private inData: boolean;
  private dataLeft: number;
  private padLeft: number;
  /** Its pad length byte is still to come; then `dataLeft` is the whole payload. */
  private padUnknown: boolean;
  private dataEnds: boolean;
  private dataId: number;

  constructor(expectsPreface: boolean, sink: FrameSink) {
    this.sink = sink;
    this.stopped = false;
    this.prefaceAt = expectsPreface ? 0 : PREFACE.length;
    this.head = Buffer.allocUnsafe(H2_FRAME_HEADER_BYTES);
    this.part = NO_BYTES;
    this.partBytes = 0;
    this.inData = false;
    this.dataLeft = 0;
    this.padLeft = 0;
    this.padUnknown = false;
    this.dataEnds = false;
    this.dataId = 0;
  }

  /** Nothing more is told. */
  stop(): void {
    this.stopped = true;
  }

  feed(bytes: Buffer): void {
    const { length } = bytes;
    let at = 0;
    if (this.prefaceAt < PREFACE.length) at = this.readPreface(bytes);
    while (at < length && !this.stopped) {
      if (this.inData) at = this.readData(bytes, at);
      else if (this.partBytes > 0) at = this.fillPart(bytes, at);
      else if (length - at >= H2_FRAME_HEADER_BYTES) at = this.readFrame(bytes, at);
      else {
        this.part = this.head;
        this.partBytes = bytes.copy(this.head, 0, at);
        at = length;
      }
    }
  }

  private readPreface(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.prefaceAt < PREFACE.length)
      if (bytes[at++] !== PREFACE[this.prefaceAt++]) {
        this.sink.onBadPreface();
        break;
      }
    return at;
  }

  /** A frame whose header lies in `bytes` at `at`. @returns where to go on */
  private readFrame(bytes: Buffer, at: number): number {
    const length = this.readHeader(bytes, at);
    const from = at + H2_FRAME_HEADER_BYTES;
    if (this.stopped || this.inData) return from;
    const end = from + length;
    if (end <= bytes.length) {
      this.sink.onFrame(bytes[at + 3] as number, bytes[at + 4] as number, uint31(bytes, at + 5), bytes, from, end);
      return end;
    }
    this.part = Buffer.allocUnsafe(H2_FRAME_HEADER_BYTES + length);
    this.partBytes = bytes.copy(this.part, 0, at);
    return bytes.length;
  }

  /** @returns length of the payload */
  private readHeader(bytes: Buffer, at: number): number {
    const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const id = uint31(bytes, at + 5);
    this.sink.onFrameHeader(length, type, flags, id);
    if (type === FRAME_DATA && !this.stopped) this.startData(length, flags, id);
    return length;
  }

  private fillPart(bytes: Buffer, from: number): number {
    const { part } = this;
    const size = Math.min(part.length - this.partBytes, bytes.length - from);
    bytes.copy(part, this.partBytes, from, from + size);
    this.partBytes += size;
    if (this.partBytes < part.length) return from + size;
    this.partBytes = 0;
    this.part = NO_BYTES;
    if (part === this.head) {
      const length = this.readHeader(part, 0);
      if (this.stopped || this.inData || part[3] === FRAME_DATA) return from + size;
      if (length > 0) {
        this.part = Buffer.allocUnsafe(H2_FRAME_HEADER_BYTES + length);
        this.partBytes = part.copy(this.part);
        return from + size;
      }
    }
    const end = part.length;
    this.sink.onFrame(part[3] as number, part[4] as number, uint31(part, 5), part, H2_FRAME_HEADER_BYTES, end);
    return from + size;
  }

  private startData(length: number, flags: number, id: number): void {
    this.dataLeft = length;
    this.padLeft = 0;
    this.padUnknown = (flags & FLAG_PADDED) !== 0;
    this.dataEnds = (flags & FLAG_END_STREAM) !== 0;
    this.dataId = id;
    if (this.padUnknown) {
      if (length === 0) this.sink.onBadPadding(true);
      else this.inData = true;
      return;
    }
    this.sink.onDataStart(id, length, 0, this.dataEnds);
    if (this.stopped) return;
    if (length === 0) this.sink.onDataPiece(NO_BYTES, true);
    else this.inData = true;
  }

  private readData(bytes: Buffer, start: number): number {
    let at = start;
    if (this.padUnknown) {
      this.readPadLength(bytes[at++] as number);
      if (this.stopped) return at;
    }
    if (this.dataLeft > 0) {
      const size = Math.min(this.dataLeft, bytes.length - at);
      if (size === 0) return at;
      this.dataLeft -= size;
      at += size;
      // The padding behind the last piece says nothing more.
      this.inData = this.dataLeft > 0 || this.padLeft > 0;
      this.sink.onDataPiece(bytes.subarray(at - size, at), this.dataLeft === 0);
      if (this.dataLeft > 0) return at;
    }
    const pad = Math.min(this.padLeft, bytes.length - at);
    this.padLeft -= pad;
    this.inData = this.padLeft > 0;
    return at + pad;
  }

  private readPadLength(pad: number): void {
    this.padUnknown = false;
    this.dataLeft -= 1 + pad;
    this.padLeft = pad;
    if (this.dataLeft < 0) {
      this.sink.onBadPadding(false);
      return;
    }
    this.sink.onDataStart(this.dataId, this.dataLeft, pad + 1, this.dataEnds);
    if (this.dataLeft === 0 && !this.stopped) this.sink.onDataPiece(NO_BYTES, true);
  }
}
