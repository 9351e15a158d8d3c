// The way back to the peer, one shape per downstream protocol.

import type { HeaderMap } from '../codec/headers.ts';

/** Writes the response of one stream (`Stream`: `HttpStream`). Calls come in message order. */
export interface ResponseWriter<Stream> {
  /** Totals of the connection. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  writeInformational(status: number, headers: HeaderMap): void;
  writeHead(status: number, headers: HeaderMap, endStream: boolean): void;
  /** @returns false when the peer reads too slowly: `HttpStream.onWritable` follows */
  writeData(chunk: Uint8Array, endStream: boolean): boolean;
  writeTrailers(trailers: HeaderMap): void;
  /** The response was written to its end. @returns false when that waits for the peer: `HttpStream.onFlushed` follows */
  flushed(): boolean;
  /** The response cannot be finished: makes the peer see that. */
  abort(): void;
  /** Counted: stop and go on reading the request's body. */
  hold(): void;
  release(): void;
  /** The request goes on as another stream, which everything is told from now on. */
  replaceStream(stream: Stream): void;
  /** Both directions are over, or the stream was given up. */
  onStreamOver(): void;
}
