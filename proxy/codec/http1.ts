// Contract of the HTTP/1 codec (RFC 9112): what a head says, what a sink is told, what an error carries.
//
// Decoders: `http1-request.ts` (`RequestDecoder`), `http1-response.ts` (`ResponseDecoder`).
// Encoder: `http1-write.ts` (heads, chunks, framing).
// Rule 1: no I/O, no clock. Rule 2: errors are values. Rule 3: the sink may hold from inside any call.
// Rule 4: the second message is not looked at before the first exchange has ended (`nextRequest`, `expect`).
import type { HeaderMap } from './headers.ts';

/** Sizes that bound one message head. */
export interface H1Limits {
  /** Bytes of a whole head, request line and separators included. Envoy's default is 60 KiB. */
  readonly headBytesMax: number;
  /** Header fields of one head. Envoy's default is 100. */
  readonly headersMax: number;
}

/** Envoy's defaults for both directions. */
export const H1_LIMITS: H1Limits = { headBytesMax: 60 * 1024, headersMax: 100 };

/** How strict a decoder is; one object per connection manager or cluster, shared by its connections. */
export interface H1Options {
  readonly limits: H1Limits;
  /** `allow_chunked_length`: with both, `transfer-encoding` wins and `content-length` is dropped. */
  readonly allowChunkedLength: boolean;
  /** `enable_trailers`: trailers reach the sink; otherwise they are checked and dropped. */
  readonly enableTrailers: boolean;
  /** `accept_http_10`: otherwise a 1.0 (or 0.9) request is an error 426. */
  readonly acceptHttp10: boolean;
  /** `default_host_for_http_10`: `:authority` of a 1.0 request without `host`; empty = none. */
  readonly defaultHostForHttp10: string;
  /** `allow_absolute_url` (Envoy's default is true). */
  readonly allowAbsoluteUrl: boolean;
  /** An absolute target may name `https`, whatever the connection is; Envoy's edge wants TLS for that. */
  readonly allowHttps: boolean;
  /** `allow_custom_methods`: any token; otherwise the registered methods only. */
  readonly allowCustomMethods: boolean;
  /** Keeps the names as written in `HeaderMap.rawNames` and `ResponseHead.reason`. */
  readonly preserveCase: boolean;
  readonly underscores: 'allow' | 'reject_request' | 'drop_header';
  /** `ignore_http_11_upgrade`: says whether an upgrade token (lower case) is to be taken out; `null` = none. */
  readonly ignoreUpgrade: ((token: string) => boolean) | null;
}

/** Envoy's defaults. Use with spread at set-up time: `{ ...H1_OPTIONS, enableTrailers: true }`. */
export const H1_OPTIONS: H1Options = {
  limits: H1_LIMITS,
  allowChunkedLength: false,
  enableTrailers: false,
  acceptHttp10: false,
  defaultHostForHttp10: '',
  allowAbsoluteUrl: true,
  allowHttps: true,
  allowCustomMethods: false,
  preserveCase: false,
  underscores: 'allow',
  ignoreUpgrade: null,
};

/** A decoding error with everything the local reply needs. A decoder that returned one is dead. */
export interface H1Error {
  /** Status of the local reply to a request; 502 for a response (there it only says "protocol error"). */
  readonly status: 400 | 403 | 426 | 431 | 501 | 502;
  /** `%RESPONSE_CODE_DETAILS%`, Envoy's texts, e.g. `http1.codec_error`. */
  readonly details: string;
  /** For logs, e.g. `http/1.1 protocol error: HPE_INVALID_METHOD`. */
  readonly message: string;
  /** Counter below `http1.` that the error increments; empty = none. */
  readonly stat: '' | 'requests_rejected_with_underscores_in_headers';
}

// Bits of `known`: which headers that a proxy must look at were present at least once.
export const KNOWN_CONNECTION = 1 << 0;
export const KNOWN_UPGRADE = 1 << 1;
export const KNOWN_TRANSFER_ENCODING = 1 << 2;
export const KNOWN_CONTENT_LENGTH = 1 << 3;
export const KNOWN_EXPECT = 1 << 4;
export const KNOWN_TE = 1 << 5;
/** `keep-alive` or `proxy-connection`. */
export const KNOWN_HOP = 1 << 6;
export const KNOWN_FORWARDED_FOR = 1 << 7;
/** `x-forwarded-proto`, `-host`, `-port`, `-client-cert`, `-scheme`. */
export const KNOWN_FORWARDED_OTHER = 1 << 8;
/** Any name that begins with `x-envoy-`. */
export const KNOWN_ENVOY = 1 << 9;
export const KNOWN_REQUEST_ID = 1 << 10;
export const KNOWN_CONTENT_TYPE = 1 << 11;
export const KNOWN_USER_AGENT = 1 << 12;
export const KNOWN_VIA = 1 << 13;
/** `server`, on responses. */
export const KNOWN_SERVER = 1 << 14;
export const KNOWN_DATE = 1 << 15;
/** `grpc-status`, `grpc-timeout` and so on. */
export const KNOWN_GRPC = 1 << 16;
export const KNOWN_COOKIE = 1 << 17;
/** `traceparent`, `tracestate`, `b3`, `x-b3-*`, `x-client-trace-id`, `x-ot-span-context`. */
export const KNOWN_TRACE = 1 << 18;

/**
 * What a decoded request head says; `headers` is owned by the receiver and may be mutated. `host` and
 * `transfer-encoding` are not among them: the one is `authority`, the other is undone by the decoder.
 */
export interface RequestHead {
  method: string;
  /**
   * Request target's path and query, e.g. `/a?b`, or `*`. An absolute-form target is already split. Empty for CONNECT,
   * whose authority-form is in `authority`.
   */
  path: string;
  /** From absolute-form, else `host`; empty when absent (or empty: see `hasAuthority`). */
  authority: string;
  /** There was a `host` (perhaps an empty one, which is valid), an authority in the target, or a default for 1.0. */
  hasAuthority: boolean;
  /** From absolute-form (`http`/`https`), else empty. */
  scheme: string;
  /** 10 times the version: an older 1.0 peer (or an 0.9 one), 1.1, HTTP/2. */
  version: 10 | 11 | 20;
  headers: HeaderMap;
  /** Bits `KNOWN_*` of the headers that were there. A clear bit is certain; the receiver's changes are not followed. */
  known: number;
  /** The peer's wish: 1.1 without `connection: close`, or 1.0 with `keep-alive`. */
  keepAlive: boolean;
  /** `connection: upgrade` and an `upgrade` header, or CONNECT: what follows the head are raw bytes until the end. */
  upgrade: boolean;
  /** Bytes of the fields as Envoy counts them: names, values, and `FIELD_EXTRA_BYTES` for each (at least once). */
  fieldBytes: number;
  /** Headers dropped because of `underscores: 'drop_header'`. */
  droppedHeaders: number;
}

/** What a decoded response head says; `transfer-encoding` is undone and not among the headers. */
export interface ResponseHead {
  status: number;
  /** Empty unless `preserveCase`. */
  reason: string;
  minor: number;
  headers: HeaderMap;
  known: number;
  /** The connection may carry another exchange after this message. */
  keepAlive: boolean;
  /** 101 to an upgrade, or 2xx to CONNECT: raw bytes follow. */
  upgrade: boolean;
  fieldBytes: number;
}

/** Told what a request decoder reads, in wire order. After an error nothing more is told. */
export interface RequestSink {
  /** `endStream`: no body follows. */
  onRequestHead(head: RequestHead, endStream: boolean): void;
  /** `chunk` is a view into the fed buffer, valid during the call. `endStream`: the last piece (content-length only). */
  onRequestData(chunk: Buffer, endStream: boolean): void;
  /** End of a message whose last data call did not say so; `null` = no trailers. */
  onRequestTrailers(trailers: HeaderMap | null): void;
}

/** Told what a response decoder reads, in wire order. */
export interface ResponseSink {
  /** 1xx other than 101 to an upgrade. */
  onInformational(head: ResponseHead): void;
  onResponseHead(head: ResponseHead, endStream: boolean): void;
  onResponseData(chunk: Buffer, endStream: boolean): void;
  /** End of a message whose last data call did not say so; `null` = no trailers. */
  onResponseTrailers(trailers: HeaderMap | null): void;
}

/** Shape of `RequestDecoder`. */
export interface RequestDecoderShape {
  /**
   * Decodes bytes up to the end of the current request; what lies behind it, or behind a hold, is copied and kept
   * (unbounded here: stop reading the socket while `bufferedBytes` is large). Never from inside a sink call;
   * `nextRequest`, `hold` and `release` are fine there. `bytes` are the decoder's to write: it moves the data of small
   * chunks together.
   */
  feed(bytes: Buffer): H1Error | null;
  /** The exchange is over in both directions: goes on with the kept bytes. May call the sink. */
  nextRequest(): H1Error | null;
  /** Counted: body bytes are kept from now on; the caller stops reading its socket too. */
  hold(): void;
  /** Undoes one hold; the last one delivers what was kept. */
  release(): H1Error | null;
  /** Peer's end of file: an error in the middle of a message, `null` between messages or when raw bytes ended (the sink was told). */
  eof(): H1Error | null;
  /** Between messages with no bytes kept. */
  readonly idle: boolean;
  /** The current request has been read to its end. */
  readonly requestComplete: boolean;
  readonly bufferedBytes: number;
}

/** Shape of `ResponseDecoder`. */
export interface ResponseDecoderShape {
  /** Before the bytes of each response: which request it answers. */
  expect(method: string, upgrade: boolean): void;
  /** As `RequestDecoderShape.feed`. */
  feed(bytes: Buffer): H1Error | null;
  hold(): void;
  release(): H1Error | null;
  /** `complete` ends a close-delimited message (the sink was told); `null` = nothing was under way. */
  eof(): H1Error | 'complete' | null;
  /** After the message: the connection must not be reused. */
  readonly shouldClose: boolean;
  /** Any byte of the awaited response has been seen. */
  readonly started: boolean;
  readonly complete: boolean;
  readonly bufferedBytes: number;
}

// How an encoder delimits a body; see `requestFraming` and `responseFraming`.
/** Nothing added: `content-length` is in the headers, or the end is implied, or raw bytes follow. */
export const FRAMING_AS_IS = 0;
/** `transfer-encoding: chunked` is added and every body piece is a chunk. */
export const FRAMING_CHUNKED = 1;
/** `content-length: 0` is added. */
export const FRAMING_EMPTY = 2;
/** The header of `FRAMING_CHUNKED` without any body (answer to HEAD). */
export const FRAMING_CHUNKED_BODILESS = 3;
export type Framing = 0 | 1 | 2 | 3;
