// Contract of the HTTP/2 codec (RFC 9113, RFC 7541): what a session is told to do, what its sink is told, what bounds it.
//
// `http2-session.ts` (`Http2Session`) is one end of one connection, of either role. Its parts: `http2-framer.ts` (bytes to
// frames), `http2-blocks.ts` (heads and trailers) over `http2-message.ts` (their rules), `http2-body.ts` (DATA),
// `http2-control.ts` (the other frames), `http2-sender.ts` (all that is sent), `http2-flood.ts` (abuse counters), and
// `http2-core.ts` (what they share). HPACK is in `hpack-*.ts`.
// Rule 1: no I/O, no clock, no randomness. Rule 2: errors are values. Rule 3: every method may be called from inside any
// sink call. Rule 4: after a stream is over for both sides nothing more is told of it.

import type { HeaderMap } from './headers.ts';
import type { RequestHead } from './http1.ts';

// Error codes, RFC 9113 §7.
export const H2_NO_ERROR = 0x0;
export const H2_PROTOCOL_ERROR = 0x1;
export const H2_INTERNAL_ERROR = 0x2;
export const H2_FLOW_CONTROL_ERROR = 0x3;
export const H2_SETTINGS_TIMEOUT = 0x4;
export const H2_STREAM_CLOSED = 0x5;
export const H2_FRAME_SIZE_ERROR = 0x6;
export const H2_REFUSED_STREAM = 0x7;
export const H2_CANCEL = 0x8;
export const H2_COMPRESSION_ERROR = 0x9;
export const H2_CONNECT_ERROR = 0xa;
export const H2_ENHANCE_YOUR_CALM = 0xb;
export const H2_INADEQUATE_SECURITY = 0xc;
export const H2_HTTP_1_1_REQUIRED = 0xd;

/** How a session behaves; one object per connection manager or cluster, shared by its connections. */
export interface H2Options {
  /** Largest dynamic table we let the peer's encoder use, and the one we use at most ourselves, bytes. */
  readonly headerTableBytes: number;
  /** Streams the peer may have open; what exceeds it is refused. */
  readonly maxConcurrentStreams: number;
  readonly initialStreamWindowBytes: number;
  readonly initialConnectionWindowBytes: number;
  /** Largest frame payload we accept (`SETTINGS_MAX_FRAME_SIZE`). */
  readonly maxFrameBytes: number;
  /** Decoded header list, bytes as Envoy counts them; beyond it the stream (or connection) fails. */
  readonly headerListBytesMax: number;
  /** Longest name or value as sent, bytes. */
  readonly headerStringBytesMax: number;
  /** Fields of one header block. */
  readonly headersMax: number;
  /** RFC 8441: announced by a server, and used by a client when its peer has announced it. */
  readonly allowConnect: boolean;
  /** False: a malformed message ends the connection; true: its stream alone. */
  readonly streamErrorOnInvalidMessage: boolean;
  readonly underscores: 'allow' | 'reject_request' | 'drop_header';
  /** Further settings to announce, from `custom_settings_parameters`. */
  readonly customSettings: readonly { readonly id: number; readonly value: number }[];
  /** Bytes of body that one stream may keep unsent because its window or the connection's is used up. */
  readonly streamSendBufferBytes: number;
  // Abuse limits (Envoy: `Http2ProtocolOptions`).
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveInboundEmptyFrames: number;
  readonly maxInboundPriorityFramesPerStream: number;
  readonly maxInboundWindowUpdatesPerDataFrameSent: number;
}

/** A connection error. */
export interface H2Error {
  readonly code: number;
  /** GOAWAY has been queued with it; where Envoy just closes it has not, and what is queued must not be sent either. */
  readonly told: boolean;
  /** For the stream whose frame it was, e.g. `http2.invalid.header.field`; `close` tells it that. Empty = no such text. */
  readonly details: string;
  /** Envoy's words, for the other streams' `codec_error:…`. */
  readonly message: string;
}

/** Why a stream ended before its messages did. */
export interface H2Reset {
  readonly code: number;
  /** Who began it: the peer's RST_STREAM, our verdict on the peer's frames, or the end of the connection. */
  readonly by: 'peer' | 'codec' | 'connection';
  /** Envoy's detail text, e.g. `http2.invalid.header.field`; empty for a stream that only shared the connection. */
  readonly details: string;
}

/** One stream as a session's user sees it. Made by the session. */
export interface H2Stream {
  readonly id: number;
  /** The user's own object. */
  user: unknown;
  /** Both directions are over, or it was reset. */
  readonly over: boolean;
  /** The peer has sent END_STREAM. */
  readonly remoteEnded: boolean;
  /** We have ended our message; its last bytes may still wait for a window. */
  readonly localEnded: boolean;
  /** Bytes of this stream's frames, their headers included. */
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
  /** Bytes of the header blocks as sent and received on the wire. */
  readonly headerWireBytesSent: number;
  readonly headerWireBytesReceived: number;
}

/** Counted where they happen; the user adds them to `http2.*` stats (`observe/catalogue-http.ts`). */
export interface H2Counts {
  droppedHeadersWithUnderscores: number;
  requestsRejectedWithUnderscores: number;
  headerListSizeTooLarge: number;
  headerOverflow: number;
  headersCbNoStream: number;
  inboundEmptyFramesFlood: number;
  inboundPriorityFramesFlood: number;
  inboundWindowUpdateFramesFlood: number;
  outboundFlood: number;
  outboundControlFlood: number;
  rxMessagingError: number;
  rxReset: number;
  /** Streams beyond `maxConcurrentStreams`. */
  streamRefusedErrors: number;
  /** Of requests. */
  trailers: number;
  txReset: number;
  /** Those the user asked for. */
  goawaySent: number;
  keepaliveTimeout: number;
}

/** Told what a session reads, in wire order. */
export interface H2Sink {
  /**
   * Server role. Pseudo-headers are fields of the head (`version` 20); an extended CONNECT has `upgrade` set and its
   * `:protocol` in `headers` as `upgrade`, as Envoy's HTTP/1 form of it. Cookie crumbs are joined.
   */
  onRequest(stream: H2Stream, head: RequestHead, endStream: boolean): void;
  /** Client role: 1xx. */
  onInformational(stream: H2Stream, status: number, headers: HeaderMap): void;
  /** Client role. */
  onResponse(stream: H2Stream, status: number, headers: HeaderMap, endStream: boolean): void;
  /**
   * `chunk` is valid during the call: a view of the fed bytes, or of those that pass (`util/passing-bytes`); else a copy of
   * earlier ones that nobody writes to again.
   */
  onData(stream: H2Stream, chunk: Buffer, endStream: boolean): void;
  /** Ends the peer's message. */
  onTrailers(stream: H2Stream, trailers: HeaderMap): void;
  /**
   * The stream is gone. A server's user may meet it here for the first time (`user` is `null`): its request was no
   * message, as Envoy logs it.
   */
  onReset(stream: H2Stream, reset: H2Reset): void;
  /** `sendData` had returned false and may go on. */
  onWritable(stream: H2Stream): void;
  /**
   * Both directions have ended and every frame of the stream is on its way, or it was reset by anyone: forget it. The
   * last call of every stream.
   */
  onStreamOver(stream: H2Stream): void;
  /** Streams of ours above `lastStreamId` were not processed; each is told by `onReset` with REFUSED_STREAM after it. */
  onGoaway(lastStreamId: number, code: number): void;
  /** The peer's settings were read: `maxStreams` may have changed. */
  onSettings(): void;
  onPingAck(payload: bigint): void;
  /** Output was queued where there was none: call `takeOutput` before the event loop waits again. */
  onOutput(): void;
}

/** Shape of `Http2Session`. */
export interface H2SessionShape {
  /** Queues the preface (client) and our SETTINGS and connection window. Once, first. */
  start(): void;
  /** Reads bytes of any split. After an error the session is dead but for `takeOutput`. */
  feed(bytes: Buffer): H2Error | null;
  /** Client role: opens a stream. `null`: the peer allows no more, or it is going away. */
  request(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    /** `:protocol` of an extended CONNECT; empty = none. */
    protocol: string,
    headers: HeaderMap,
    endStream: boolean,
    user: unknown,
  ): H2Stream | null;
  informational(stream: H2Stream, status: number, headers: HeaderMap): void;
  respond(stream: H2Stream, status: number, headers: HeaderMap, endStream: boolean): void;
  /** Copies what it cannot send at once. @returns false: wait for `onWritable` */
  sendData(stream: H2Stream, chunk: Uint8Array, endStream: boolean): boolean;
  sendTrailers(stream: H2Stream, trailers: HeaderMap): void;
  /**
   * Ends a stream; its sink is not told but for `onStreamOver`. `H2_NO_ERROR` after the end of our message lets what
   * waits of it leave first.
   */
  reset(stream: H2Stream, code: number): void;
  /** Counted: the peer is not given more window; what comes meanwhile is kept and told at the last `release`. */
  hold(stream: H2Stream): void;
  release(stream: H2Stream): void;
  /** First step of a graceful end (server): GOAWAY with the highest id. The second is `goaway`. */
  announceGoaway(): void;
  /** GOAWAY with the last id we processed; later streams are ignored. */
  goaway(code: number): void;
  ping(payload: bigint): void;
  /** The transport's buffer is over (or again below) its watermark: body bytes stay with their streams. */
  setCongested(congested: boolean): void;
  /** All queued frames as one buffer; `null` = nothing queued. */
  takeOutput(): Buffer | null;
  /** Of what `takeOutput` has returned last: to be called once it is written; `null` = it is the caller's for good. */
  readonly giveBack: (() => void) | null;
  /** The connection ended: every open stream is told `onReset` by `connection`. */
  close(): void;
  /** Streams that count against the peer's limit (client) or ours (server). */
  readonly activeStreams: number;
  /** Server role: the stream whose request's header block has begun and not ended; `null` = none. */
  readonly pendingHead: H2Stream | null;
  /** What the peer allows us (client role). */
  readonly maxStreams: number;
  /** The peer allows extended CONNECT. */
  readonly peerAllowsConnect: boolean;
  readonly goingAway: boolean;
  /**
   * What `feed` has returned, or what sending has met (floods): look after each `takeOutput`. Then nothing is read or
   * sent any more; write the output, `close`, and end the connection.
   */
  readonly error: H2Error | null;
  readonly counts: H2Counts;
}
