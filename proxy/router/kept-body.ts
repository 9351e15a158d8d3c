// A body that is kept: what could not be sent yet, is held for a replay, or is collected whole.

import type { UpstreamStream } from '../upstream/upstream.ts';

/** Small pieces share a slab: alone, each would cost over a hundred bytes besides its own. */
const SLAB_BYTES = 16_384;

/** See the head of this file. Its bound is the owner's business (`Downstream.bufferLimitBytes`). */
export class KeptBody {
  bytes: number;
  private readonly slabs: Buffer[];
  /** Bytes used of the last slab; those before it are full. */
  private lastUsed: number;

  constructor() {
    this.bytes = 0;
    this.slabs = [];
    this.lastUsed = 0;
  }

  /** @param chunk is copied: it is a view of the reader's buffer */
  add(chunk: Uint8Array): void {
    const last = this.slabs.at(-1);
    const room = last === undefined ? 0 : last.length - this.lastUsed;
    if (last === undefined || room === 0) this.addSlab(chunk);
    else if (chunk.length <= room) {
      last.set(chunk, this.lastUsed);
      this.lastUsed += chunk.length;
    } else {
      last.set(chunk.subarray(0, room), this.lastUsed);
      this.addSlab(chunk.subarray(room));
    }
    this.bytes += chunk.length;
  }

  /** The first piece alone is kept in its own size, and what is kept never takes more than about twice its bytes. */
  private addSlab(chunk: Uint8Array): void {
    const slab = Buffer.allocUnsafeSlow(Math.max(chunk.length, Math.min(SLAB_BYTES, this.bytes)));
    slab.set(chunk, 0);
    this.slabs.push(slab);
    this.lastUsed = chunk.length;
  }

  /**
   * Hands everything to a stream. Pieces added later never touch the bytes that it was given.
   * @param endStream the last piece ends the request
   * @returns false when the upstream reads too slowly
   */
  sendTo(stream: Pick<UpstreamStream, 'sendData'>, endStream: boolean): boolean {
    const last = this.slabs.length - 1;
    let more = true;
    for (let i = 0; i <= last; i++) {
      const slab = this.slabs[i] as Buffer;
      more = stream.sendData(i === last ? slab.subarray(0, this.lastUsed) : slab, endStream && i === last) && more;
    }
    return more;
  }

  /** Everything as one piece. */
  whole(): Uint8Array {
    const last = this.slabs.length - 1;
    return Buffer.concat(this.slabs.map((slab, i) => (i === last ? slab.subarray(0, this.lastUsed) : slab)));
  }
}
