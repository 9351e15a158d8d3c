// The part of a request's body that could not be sent yet, or that is held for a replay.

import type { UpstreamStream } from '../upstream/upstream.ts';

/** See the head of this file. Its bound is the owner's business (`Downstream.bufferLimitBytes`). */
export class KeptBody {
  bytes: number;
  private readonly chunks: Uint8Array[];

  constructor() {
    this.bytes = 0;
    this.chunks = [];
  }

  /** @param chunk is copied: it is a view of the reader's buffer */
  add(chunk: Uint8Array): void {
    this.chunks.push(Uint8Array.prototype.slice.call(chunk));
    this.bytes += chunk.length;
  }

  /**
   * Hands everything to a stream.
   * @param endStream the last piece ends the request
   * @returns false when the upstream reads too slowly
   */
  sendTo(stream: UpstreamStream, endStream: boolean): boolean {
    const last = this.chunks.length - 1;
    let more = true;
    for (let i = 0; i <= last; i++)
      more = stream.sendData(this.chunks[i] as Uint8Array, endStream && i === last) && more;
    return more;
  }
}
