// What the parts of a session share: its streams, its windows of what it receives, and how streams and the connection
// end. Which errors are told to the peer by GOAWAY, and which just close, is Envoy's choice.

import {
  H2_INTERNAL_ERROR,
  H2_NO_ERROR,
  H2_PROTOCOL_ERROR,
  H2_REFUSED_STREAM,
  type H2Counts,
  type H2Error,
  type H2Options,
  type H2Reset,
  type H2Sink,
} from './http2.ts';
import { FloodGuard } from './http2-flood.ts';
import type { Http2Framer } from './http2-framer.ts';
import { DEFAULT_WINDOW_BYTES, STREAM_ID_MAX } from './http2-frames.ts';
import { BAD_FIELD, TOO_LARGE, TOO_MANY, UNDERSCORE } from './http2-message.ts';
import { Http2Sender, type SenderOwner } from './http2-sender.ts';
import type { Http2Stream } from './http2-stream.ts';
import { StreamTable } from './http2-table.ts';

/** What Envoy says of whatever its codec library has found. */
const CODEC_MESSAGE = 'The user callback function failed';
/** Of a stream whose frame no state allows. */
const UNKNOWN_DETAILS = 'http2.unknown.nghttp2.error';
const RESET_DETAILS = 'http2.remote_reset';
const REFUSED_DETAILS = 'http2.remote_refuse';

function newCounts(): H2Counts {
  return {
    droppedHeadersWithUnderscores: 0,
    requestsRejectedWithUnderscores: 0,
    headerListSizeTooLarge: 0,
    headerOverflow: 0,
    headersCbNoStream: 0,
    inboundEmptyFramesFlood: 0,
    inboundPriorityFramesFlood: 0,
    inboundWindowUpdateFramesFlood: 0,
    outboundFlood: 0,
    outboundControlFlood: 0,
    rxMessagingError: 0,
    rxReset: 0,
    streamRefusedErrors: 0,
    trailers: 0,
    txReset: 0,
    goawaySent: 0,
    keepaliveTimeout: 0,
  };
}

/** See the head of this file. */
export class Http2Core implements SenderOwner {
  readonly isClient: boolean;
  readonly options: H2Options;
  readonly sink: H2Sink;
  readonly counts: H2Counts;
  readonly guard: FloodGuard;
  readonly sender: Http2Sender;
  readonly streams: StreamTable;
  /** Streams that count against the limit of whoever opens them. */
  active: number;
  /** Set right after construction. */
  framer: Http2Framer | null;
  error: H2Error | null;
  closed: boolean;
  goingAway: boolean;
  /** Id of our next stream. */
  nextId: number;
  /** Highest id that the peer has opened, and the highest that we still serve: our GOAWAY's id. */
  lastPeerId: number;
  acceptedIdMax: number;
  /** The peer keeps to our settings. */
  settingsAcked: boolean;
  /** What the peer may send on the connection, at most and now, and what of the difference is to be given back. */
  private receiveWindowMax: number;
  private receiveWindow: number;
  private consumed: number;

  constructor(isClient: boolean, options: H2Options, sink: H2Sink) {
    this.isClient = isClient;
    this.options = options;
    this.sink = sink;
    this.counts = newCounts();
    this.guard = new FloodGuard(options, this.counts);
    this.sender = new Http2Sender(options, this.counts, this.guard, sink, this);
    this.streams = new StreamTable();
    this.active = 0;
    this.framer = null;
    this.error = null;
    this.closed = false;
    this.goingAway = false;
    this.nextId = 1;
    this.lastPeerId = 0;
    this.acceptedIdMax = STREAM_ID_MAX;
    this.settingsAcked = false;
    this.receiveWindowMax = DEFAULT_WINDOW_BYTES;
    this.receiveWindow = DEFAULT_WINDOW_BYTES;
    this.consumed = 0;
  }

  isIdle(id: number): boolean {
    const ours = ((id & 1) === 1) === this.isClient;
    return ours ? id >= this.nextId : id > this.lastPeerId;
  }

  // === Receive windows ===

  /** A new stream's, which until our settings are acknowledged is the protocol's own at least. */
  get streamWindow(): number {
    const ours = this.options.initialStreamWindowBytes;
    return this.settingsAcked ? ours : Math.max(ours, DEFAULT_WINDOW_BYTES);
  }

  openConnectionWindow(): void {
    const more = this.options.initialConnectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more <= 0) return;
    this.receiveWindowMax += more;
    this.receiveWindow += more;
    this.sender.windowUpdate(0, more);
  }

  /** The peer has used the connection's window. @returns false: it had not so much */
  charge(bytes: number): boolean {
    this.receiveWindow -= bytes;
    return this.receiveWindow >= 0;
  }

  /** Bytes were dealt with: the peer may send as many more, told in steps of half a window. */
  giveBack(stream: Http2Stream | null, bytes: number): void {
    if (this.error !== null || this.closed) return;
    this.consumed += bytes;
    if (this.consumed >= this.receiveWindowMax >> 1) {
      this.sender.windowUpdate(0, this.consumed);
      this.receiveWindow += this.consumed;
      this.consumed = 0;
    }
    if (stream === null || stream.remoteEnded || stream.over) return;
    stream.consumed += bytes;
    if (stream.consumed >= this.options.initialStreamWindowBytes >> 1) {
      this.sender.windowUpdate(stream.id, stream.consumed);
      stream.receiveWindow += stream.consumed;
      stream.consumed = 0;
    }
  }

  // === Ends of streams ===

  open(stream: Http2Stream): void {
    this.streams.add(stream);
    this.active++;
    this.guard.onStream();
  }

  /** Ended on the wire, which its user may be told later. */
  private uncount(stream: Http2Stream): void {
    if (stream.counted) this.active--;
    stream.counted = false;
  }

  onRemoteEnd(stream: Http2Stream): void {
    stream.remoteEnded = true;
    if (stream.endSent) this.uncount(stream);
  }

  onLocalEnd(stream: Http2Stream): void {
    if (stream.remoteEnded) this.uncount(stream);
    if (!stream.resetAfterEnd || stream.over) this.maybeOver(stream);
    else {
      this.drop(stream);
      this.sink.onStreamOver(stream);
    }
  }

  maybeOver(stream: Http2Stream): void {
    if (!stream.endTold || !stream.endSent || stream.over) return;
    this.drop(stream);
    this.sink.onStreamOver(stream);
  }

  /** The stream is no more; bytes it kept count as dealt with. */
  drop(stream: Http2Stream): void {
    stream.over = true;
    this.uncount(stream);
    this.streams.delete(stream.id);
    const kept = stream.dropBodies();
    if (kept > 0) this.giveBack(null, kept);
  }

  tellReset(stream: Http2Stream, reset: H2Reset): void {
    this.sink.onReset(stream, reset);
    this.sink.onStreamOver(stream);
  }

  /** Not of streams that are closed on the wire: no frame means them any more. */
  onPeerReset(stream: Http2Stream, code: number): void {
    if (code === H2_NO_ERROR && this.isClient && stream.remoteEnded && !stream.endTold) {
      this.stopSending(stream);
      return;
    }
    const details = code === H2_REFUSED_STREAM ? REFUSED_DETAILS : RESET_DETAILS;
    this.drop(stream);
    this.tellReset(stream, { code, by: 'peer', details });
  }

  /** The server needs no more of the request; its answer is whole, though not all told (RFC 9113 §8.1). */
  private stopSending(stream: Http2Stream): void {
    stream.localEnded = true;
    stream.endSent = true;
    stream.dropPending();
    this.uncount(stream);
    if (!stream.waits) return;
    stream.waits = false;
    this.sink.onWritable(stream);
  }

  /** Our verdict on the peer's frames ends the stream. */
  resetStream(stream: Http2Stream, code: number, details: string = RESET_DETAILS): void {
    this.sender.reset(stream.id, code);
    this.drop(stream);
    this.tellReset(stream, { code, by: 'codec', details });
  }

  /** The peer's message breaks the rules: the end of its stream, or of the connection, as the options say. */
  malformed(stream: Http2Stream, problem: number): void {
    const { counts } = this;
    if (problem === TOO_LARGE) {
      counts.headerListSizeTooLarge++;
      this.resetStream(stream, H2_INTERNAL_ERROR, 'http2.header_list_size_too_large');
    } else if (problem === TOO_MANY) {
      counts.headerOverflow++;
      this.resetStream(stream, H2_INTERNAL_ERROR, 'http2.too_many_headers');
    } else if (problem === UNDERSCORE) {
      counts.requestsRejectedWithUnderscores++;
      this.resetStream(stream, H2_INTERNAL_ERROR, 'http2.unexpected_underscore');
    } else {
      counts.rxMessagingError++;
      const details = problem === BAD_FIELD ? 'http2.invalid.header.field' : 'http2.violation.of.messaging.rule';
      if (this.options.streamErrorOnInvalidMessage) this.resetStream(stream, H2_PROTOCOL_ERROR, details);
      else this.refuse(stream, H2_PROTOCOL_ERROR, details);
    }
  }

  // === Ends of the connection ===

  /** An error that the peer is told of. `reason` goes into the frame. */
  fail(code: number, reason = ''): void {
    if (this.error !== null) return;
    this.sender.goaway(Math.min(this.lastPeerId, this.acceptedIdMax), code, reason);
    this.end({ code, told: true, details: '', message: CODEC_MESSAGE });
  }

  /** An error after which Envoy just closes. `stream`: whose frame it was. */
  refuse(stream: Http2Stream | null, code: number = H2_PROTOCOL_ERROR, details: string = UNKNOWN_DETAILS): void {
    if (stream !== null) stream.blame = details;
    this.end({ code, told: false, details: stream === null ? '' : details, message: CODEC_MESSAGE });
  }

  /** A limit was passed, by what came or by what it made us send. */
  onFlood(error: H2Error): void {
    this.end(error);
  }

  private end(error: H2Error): void {
    if (this.error !== null) return;
    this.error = error;
    this.framer?.stop();
  }
}
