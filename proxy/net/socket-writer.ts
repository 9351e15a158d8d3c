// What a transport writes, on its way to the kernel.
//
// Most writes are done when they return. On clear text, what the kernel does not take waits in libuv, in order. Of TLS
// there is one write under way at a time, told complete in the next round of the event loop: what comes meanwhile waits
// here and leaves joined, in as few records as it fits. Such writes take turns with two requests, and text goes to OpenSSL
// from one buffer, which it reads before the call returns (measured: 5 % of what a message costs to write and read).

import type { Socket } from 'node:net';
import {
  handleOf,
  isUsable,
  reusableRequest,
  type StreamHandle,
  socketError,
  type WriteData,
  type WriteOwner,
  type WriteRequest,
  writeError,
} from './stream-handle.ts';

/** Pieces that wait are joined up to this size; a record of TLS. */
const JOINED_BYTES_MAX = 16_384;

/** Text for OpenSSL. */
const scratch = Buffer.allocUnsafeSlow(JOINED_BYTES_MAX);

type GiveBack = (() => void) | null;

interface Waiting {
  readonly data: string | Uint8Array;
  readonly giveBack: GiveBack;
}

function onComplete(this: WriteRequest, status: number): void {
  this.handle?.onWritten(this, status);
}

/** See the head of this file. */
export class SocketWriter implements WriteOwner {
  private readonly socket: Socket;
  private readonly onDrain: () => void;
  /** The handle is written to. Once it is, the socket's own `write` must not be used any more. */
  private direct: boolean;
  /** One write at a time. */
  private readonly serial: boolean;
  /** Of writes under TLS: the one that is, or was last, under way, and the one for the next. */
  private lastRequest: WriteRequest | null;
  private nextRequest: WriteRequest | null;
  private requests: number;
  private requestBytes: number;
  private waiting: Waiting[];
  private waitingBytes: number;
  private needDrain: boolean;
  private ending: 'no' | 'end' | 'close';

  /** @param onDrain everything is with the kernel, after a write that returned false */
  constructor(socket: Socket, onDrain: () => void) {
    this.socket = socket;
    this.onDrain = onDrain;
    this.direct = false;
    this.serial = 'encrypted' in socket;
    this.lastRequest = null;
    this.nextRequest = null;
    this.requests = 0;
    this.requestBytes = 0;
    this.waiting = [];
    this.waitingBytes = 0;
    this.needDrain = false;
    this.ending = 'no';
    socket.on('drain', onDrain);
  }

  /** Bytes taken over that are not with the kernel. */
  get bufferedBytes(): number {
    return this.socket.writableLength + this.requestBytes + this.waitingBytes;
  }

  /** A drain will follow. */
  get congested(): boolean {
    return this.needDrain || this.socket.writableNeedDrain;
  }

  /**
   * @param data text is latin1; bytes must not change until `giveBack` is called
   * @returns false above the socket's high watermark
   */
  write(data: string | Uint8Array, giveBack: GiveBack): boolean {
    const handle = this.usableHandle();
    if (handle === null) return this.writeOrdinarily(data, giveBack);
    if (this.serial) return this.writeSerially(handle, data, giveBack);
    const result = typeof data === 'string' ? handle.writeLatin1String(null, data) : handle.writeBuffer(null, data);
    if (result !== 0) return this.goOn(result, data, data.length, giveBack);
    if (giveBack !== null) giveBack();
    return true;
  }

  private writeSerially(handle: StreamHandle, data: string | Uint8Array, giveBack: GiveBack): boolean {
    if (this.requests > 0) return this.wait(data, giveBack);
    const request = this.nextRequest ?? reusableRequest(this, onComplete);
    this.nextRequest = this.lastRequest;
    this.lastRequest = request;
    const { length } = data;
    if (request === null || (typeof data === 'string' && length > JOINED_BYTES_MAX)) {
      const made = typeof data === 'string' ? handle.writeLatin1String(null, data) : handle.writeBuffer(null, data);
      return this.goOn(made, data, length, giveBack);
    }
    const bytes = typeof data === 'string' ? textBytes(data) : data;
    request.bytes = length;
    this.requests++;
    this.requestBytes += length;
    const result = handle.writeBuffer(request, bytes);
    if (giveBack !== null) giveBack();
    if (result === 0) return this.mark();
    this.requests--;
    this.requestBytes -= length;
    this.socket.destroy(socketError(result, 'write', request.error));
    return true;
  }

  /** Writes two or three pieces in one system call; `giveBack` is that of the second. @returns as `write` */
  writeParts(prefix: string, chunk: Uint8Array, giveBack: GiveBack, suffix: string): boolean {
    const handle = this.usableHandle();
    if (handle === null || (this.serial && this.requests > 0)) {
      this.socket.cork();
      let more = this.write(prefix, null);
      more = this.write(chunk, giveBack);
      if (suffix !== '') more = this.write(suffix, null);
      this.socket.uncork();
      return more;
    }
    const pieces =
      suffix === '' ? [prefix, 'latin1', chunk, 'buffer'] : [prefix, 'latin1', chunk, 'buffer', suffix, 'latin1'];
    const result = handle.writev(null, pieces, false);
    if (result !== 0) return this.goOn(result, pieces, prefix.length + chunk.length + suffix.length, giveBack);
    if (giveBack !== null) giveBack();
    return true;
  }

  /** Half-closes behind what was written. */
  end(): void {
    if (this.mustWait) this.ending = 'end';
    else this.socket.end();
  }

  /** Closes both ways behind what was written. */
  destroySoon(): void {
    if (this.mustWait) this.ending = 'close';
    else this.socket.destroySoon();
  }

  /** The socket is gone. */
  drop(): void {
    const { waiting } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    this.needDrain = false;
    for (const { giveBack } of waiting) giveBack?.();
  }

  onWritten(request: WriteRequest, status: number): void {
    const { socket } = this;
    this.requests--;
    this.requestBytes -= request.bytes;
    request.callback?.();
    if (socket.destroyed) return;
    if (status < 0) {
      socket.destroy(socketError(status, 'write', request.error));
      return;
    }
    if (this.waiting.length > 0) this.sendWaiting();
    if (this.ending !== 'no' && !this.mustWait) {
      if (this.ending === 'end') socket.end();
      else socket.destroySoon();
      this.ending = 'no';
    }
    if (!this.needDrain || this.requestBytes + this.waitingBytes > 0) return;
    this.needDrain = false;
    this.onDrain();
  }

  private get mustWait(): boolean {
    return this.serial && (this.requests > 0 || this.waiting.length > 0);
  }

  /** `null` = the socket's own way: it is connecting, gone, foreign, or what it was given earlier still waits. */
  private usableHandle(): StreamHandle | null {
    const { socket } = this;
    const handle = handleOf(socket);
    if (this.direct || handle === null) return handle;
    if (socket.connecting || socket.writableLength > 0 || socket.writableCorked > 0 || !isUsable(handle)) return null;
    this.direct = true;
    return handle;
  }

  private writeOrdinarily(data: string | Uint8Array, giveBack: GiveBack): boolean {
    const { socket } = this;
    if (socket.destroyed) {
      giveBack?.();
      return true;
    }
    if (typeof data === 'string') return socket.write(data, 'latin1');
    return giveBack === null ? socket.write(data) : socket.write(data, giveBack);
  }

  private goOn(result: number | WriteRequest, data: WriteData, bytes: number, giveBack: GiveBack): boolean {
    const error = typeof result === 'number' ? result : writeError();
    if (typeof result === 'number' || error !== 0) {
      if (giveBack !== null) giveBack();
      this.socket.destroy(socketError(error, 'write', typeof result === 'number' ? undefined : result.error));
      return true;
    }
    this.requests++;
    this.requestBytes += bytes;
    result.oncomplete = onComplete;
    result.handle = this;
    result.buffer = data;
    result.bytes = bytes;
    result.callback = giveBack;
    const { writeStatus } = result;
    if (writeStatus !== null) {
      result.writeStatus = null;
      onComplete.call(result, writeStatus);
    }
    return this.mark();
  }

  private wait(data: string | Uint8Array, giveBack: GiveBack): boolean {
    this.waiting.push({ data, giveBack });
    this.waitingBytes += data.length;
    return this.mark();
  }

  private mark(): boolean {
    if (this.requestBytes + this.waitingBytes < this.socket.writableHighWaterMark) return true;
    this.needDrain = true;
    return false;
  }

  /** Sends the first piece that waits, with what fits behind it. */
  private sendWaiting(): void {
    const { waiting } = this;
    let bytes = (waiting[0] as Waiting).data.length;
    let count = 1;
    for (; count < waiting.length; count++) {
      const { length } = (waiting[count] as Waiting).data;
      if (bytes + length > JOINED_BYTES_MAX) break;
      bytes += length;
    }
    const taken = waiting.splice(0, count);
    this.waitingBytes -= bytes;
    const [first] = taken;
    if (first === undefined) return;
    if (count === 1) this.write(first.data, first.giveBack);
    else this.write(join(taken, bytes), null);
  }
}

/** Texts up to this size get a view of the scratch buffer that is made once. */
const KEPT_VIEW_BYTES_MAX = 4_096;
const textViews = new Array<Buffer | null>(KEPT_VIEW_BYTES_MAX + 1).fill(null);

/** @returns a view of the scratch buffer, for one call */
function textBytes(text: string): Buffer {
  const { length } = text;
  latin1Write.call(scratch, text, 0, length);
  if (length > KEPT_VIEW_BYTES_MAX) return scratch.subarray(0, length);
  const known = textViews[length] ?? null;
  if (known !== null) return known;
  const view = scratch.subarray(0, length);
  textViews[length] = view;
  return view;
}

/** `write` without the checks of its arguments; public but untyped. */
const { latin1Write } = Buffer.prototype as unknown as {
  latin1Write(this: Buffer, text: string, at: number, length: number): number;
};

function join(pieces: readonly Waiting[], bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const { data, giveBack } of pieces) {
    if (typeof data === 'string') joined.write(data, at, 'latin1');
    else joined.set(data, at);
    at += data.length;
    giveBack?.();
  }
  return joined;
}
