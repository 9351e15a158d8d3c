// What comes behind a request head that a filter has paused.

import type { HeaderMap } from '../codec/headers.ts';
import { KeptBody } from '../router/kept-body.ts';

/** See the head of this file. Its bound is the owner's business. */
export class PausedBody {
  readonly kept: KeptBody;
  /** The body is whole. */
  ended: boolean;
  trailers: HeaderMap | null;

  constructor() {
    this.kept = new KeptBody();
    this.ended = false;
    this.trailers = null;
  }

  add(chunk: Uint8Array, endStream: boolean): void {
    if (chunk.length > 0) this.kept.add(chunk);
    this.ended ||= endStream;
  }
}
