// DATA that is received: windows, lengths, and what is kept for a user who holds.

import { beginPassing, endPassing } from '../util/passing-bytes.ts';
import { H2_FLOW_CONTROL_ERROR, H2_PROTOCOL_ERROR, H2_STREAM_CLOSED } from './http2.ts';
import type { Http2Core } from './http2-core.ts';
import { H2_FRAME_HEADER_BYTES } from './http2-frames.ts';
import { drop } from './http2-pieces.ts';
import type { Http2Stream } from './http2-stream.ts';

const NO_BYTES = Buffer.alloc(0);

/** See the head of this file. */
export class BodyReceiver {
  private readonly core: Http2Core;
  /** Whose frame is being read; `null` = nobody's any more. */
  private stream: Http2Stream | null;
  private ends: boolean;

  constructor(core: Http2Core) {
    this.core = core;
    this.stream = null;
    this.ends = false;
  }

  /** A frame begins. `length` without padding, `overhead` the padding and its length byte. */
  begin(id: number, length: number, overhead: number, ends: boolean): void {
    const { core } = this;
    this.ends = ends;
    this.stream = null;
    const flood = core.guard.onPayloadFrame(length, ends);
    if (flood !== null) {
      const flooded = core.streams.get(id);
      if (flooded !== undefined) flooded.blame = flood.details;
      core.onFlood(flood);
      return;
    }
    if (id === 0 || core.isIdle(id)) {
      core.fail(H2_PROTOCOL_ERROR, id === 0 ? 'DATA: stream_id == 0' : 'DATA: stream in idle');
      return;
    }
    if (!core.charge(length + overhead)) {
      core.fail(H2_FLOW_CONTROL_ERROR);
      return;
    }
    // Bytes for a stream that is gone are ignored: they may have been on their way when it was reset.
    const stream = core.streams.get(id);
    if (stream !== undefined) this.beginOn(stream, length, overhead);
    if (overhead > 0) core.giveBack(this.stream, overhead);
  }

  private beginOn(stream: Http2Stream, length: number, overhead: number): void {
    const { core } = this;
    const bytes = length + overhead;
    stream.wireBytesReceived += H2_FRAME_HEADER_BYTES + bytes;
    stream.receiveWindow -= bytes;
    if (stream.remoteEnded) core.fail(H2_STREAM_CLOSED, 'DATA: stream in half-closed(remote)');
    else if (!stream.headRead) core.fail(H2_PROTOCOL_ERROR, 'DATA: stream not opened');
    else if (stream.receiveWindow < 0) core.resetStream(stream, H2_FLOW_CONTROL_ERROR);
    // Other breaches of messages are for the options to judge; this one ends the stream alone in Envoy.
    else if (stream.bodyLeft >= 0 && (length > stream.bodyLeft || (this.ends && length < stream.bodyLeft)))
      core.resetStream(stream, H2_PROTOCOL_ERROR);
    else {
      if (stream.bodyLeft > 0) stream.bodyLeft -= length;
      this.stream = stream;
    }
  }

  onPiece(piece: Buffer, lastOfFrame: boolean): void {
    const { core, stream } = this;
    if (stream === null || stream.over) {
      core.giveBack(null, piece.length);
      return;
    }
    const ends = lastOfFrame && this.ends;
    if (ends) this.core.onRemoteEnd(stream);
    else if (piece.length === 0) return;
    if (stream.holds === 0 && !stream.delivering) this.tell(stream, piece, ends);
    else {
      if (piece.length > 0) stream.keep(piece);
      stream.keptEnd = ends;
    }
  }

  private tell(stream: Http2Stream, piece: Buffer, ends: boolean): void {
    if (ends) stream.endTold = true;
    this.core.sink.onData(stream, piece, ends);
    this.core.giveBack(stream, piece.length);
    if (ends) this.core.maybeOver(stream);
  }

  /** The peer's message ends with these; told behind what is kept. */
  onTrailers(stream: Http2Stream): void {
    this.core.onRemoteEnd(stream);
    stream.keptEnd = true;
    if (stream.holds === 0 && !stream.delivering) this.tellEnd(stream);
  }

  /** The last hold is gone: what was kept is told, as long as no new one comes. */
  deliver(stream: Http2Stream): void {
    stream.delivering = true;
    while (stream.kept.length > 0 && stream.holds === 0 && !stream.over) {
      const piece = stream.kept.shift() as Buffer;
      const last = stream.keptEnd && stream.keptTrailers === null && stream.kept.length === 0;
      this.tellKept(stream, piece, last);
    }
    stream.delivering = false;
    if (stream.keptEnd && stream.holds === 0 && !stream.over && !stream.endTold) this.tellEnd(stream);
  }

  /** Whoever is told may give the piece to a socket that reads it later: only what passes may be written to again. */
  private tellKept(stream: Http2Stream, piece: Buffer, ends: boolean): void {
    const copy = beginPassing(piece);
    if (copy === null) {
      this.tell(stream, piece, ends);
      return;
    }
    drop(piece);
    try {
      this.tell(stream, copy, ends);
    } finally {
      endPassing();
    }
  }

  private tellEnd(stream: Http2Stream): void {
    const trailers = stream.keptTrailers;
    if (trailers === null) {
      this.tell(stream, NO_BYTES, true);
      return;
    }
    stream.endTold = true;
    stream.keptTrailers = null;
    this.core.sink.onTrailers(stream, trailers);
    this.core.maybeOver(stream);
  }
}
