// A request's body on its way to an attempt: what has to wait, what is kept for another try, and when the sender is held.

import type { HeaderMap } from '../codec/headers.ts';
import type { Replay, UpstreamStream } from '../upstream/upstream.ts';
import type { Downstream } from './downstream.ts';
import { KeptBody } from './kept-body.ts';

const EMPTY = new Uint8Array(0);

/** See the head of this file. */
export class RequestBody {
  /** There is none. */
  headOnly: boolean;
  /** The peer has sent all of it. */
  ended: boolean;
  /**
   * What follows an upgrade waits for the upstream's consent: to one that does not know the protocol it would be the
   * next request, which nobody has checked.
   */
  paused: boolean;
  private readonly down: Downstream;
  private kept: KeptBody | null;
  private trailers: HeaderMap | null;
  private holding: boolean;

  constructor(down: Downstream) {
    this.down = down;
    this.headOnly = false;
    this.ended = false;
    this.paused = down.upgrade !== '';
    this.kept = null;
    this.trailers = null;
    this.holding = false;
  }

  /** All that has come so far can be sent again. */
  get replayable(): boolean {
    return this.headOnly || this.kept !== null;
  }

  /**
   * Keeps a piece from the peer where that is needed; `pass` follows.
   * @param stream where body goes; `null` = nowhere yet
   * @param forReplay it is kept although it can be sent
   * @returns false: more would be kept than may be, so that there can be no other try
   */
  keep(stream: UpstreamStream | null, chunk: Uint8Array, forReplay: boolean): boolean {
    const open = this.paused ? null : stream;
    if ((open !== null && !forReplay) || chunk.length === 0) return true;
    this.kept ??= new KeptBody();
    this.kept.add(chunk);
    if (this.kept.bytes <= (forReplay ? this.down.replayLimitBytes : this.down.bufferLimitBytes)) return true;
    if (open === null) this.hold();
    else this.kept = null;
    return !forReplay;
  }

  /** Sends a piece where it can be. */
  pass(stream: UpstreamStream | null, chunk: Uint8Array, endStream: boolean): void {
    this.ended = endStream;
    if (stream !== null && !this.paused && !stream.sendData(chunk, endStream)) this.hold();
  }

  /** @param trailers `null` = the body has ended without any */
  end(stream: UpstreamStream | null, trailers: HeaderMap | null): void {
    this.ended = true;
    this.trailers = trailers;
    if (stream === null || this.paused) return;
    if (trailers === null) stream.sendData(EMPTY, true);
    else stream.sendTrailers(trailers);
  }

  /** Sends what is kept. @param forget no other try will need it */
  sendTo(stream: UpstreamStream, forget: boolean): void {
    const { kept, trailers } = this;
    if (kept !== null && !kept.sendTo(stream, this.ended && trailers === null)) this.hold();
    if (this.ended) {
      if (trailers !== null) stream.sendTrailers(trailers);
      else if (kept === null) stream.sendData(EMPTY, true);
    }
    if (forget) this.kept = null;
  }

  /** Hands over what is kept; `null` = there is nothing. */
  take(): KeptBody | null {
    const { kept } = this;
    this.kept = null;
    return kept;
  }

  /** No other try will need what is kept. */
  forget(): void {
    this.kept = null;
  }

  hold(): void {
    if (this.holding) return;
    this.holding = true;
    this.down.holdRequest();
  }

  release(): void {
    if (!this.holding) return;
    this.holding = false;
    this.down.releaseRequest();
  }
}

/** Methods that a server may see twice without harm (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Nobody has acted on a request, or it may be acted on twice, and all of it is here. */
export function mayReplay(replay: Replay, body: RequestBody, method: string): boolean {
  if (replay === 'no' || !body.ended || !body.replayable) return false;
  return replay === 'any' || IDEMPOTENT.has(method);
}
