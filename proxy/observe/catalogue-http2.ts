// Stats of the HTTP/2 codec, as Envoy names them: `http2.` downstream, `cluster.<name>.http2.` upstream. Envoy prints
// them once there was a connection. `nghttp2` in a name is the default codec of Envoy's; it counts connections here.

import type { H2Counts } from '../codec/http2.ts';
import { catalogue } from './stats-catalogue.ts';

export const HTTP2_COOKIES_TOTAL_BYTES_TOO_LARGE = 0;
export const HTTP2_DEFERRED_STREAM_CLOSE = 1;
export const HTTP2_DROPPED_HEADERS_WITH_UNDERSCORES = 2;
export const HTTP2_GOAWAY_SENT = 3;
export const HTTP2_HEADER_LIST_SIZE_TOO_LARGE = 4;
export const HTTP2_HEADER_OVERFLOW = 5;
export const HTTP2_HEADERS_CB_NO_STREAM = 6;
export const HTTP2_INBOUND_EMPTY_FRAMES_FLOOD = 7;
export const HTTP2_INBOUND_PRIORITY_FRAMES_FLOOD = 8;
export const HTTP2_INBOUND_WINDOW_UPDATE_FRAMES_FLOOD = 9;
export const HTTP2_KEEPALIVE_TIMEOUT = 10;
export const HTTP2_METADATA_EMPTY_FRAMES = 11;
export const HTTP2_NGHTTP2_DOWNSTREAM_CONNECTIONS = 12;
export const HTTP2_NGHTTP2_UPSTREAM_CONNECTIONS = 13;
export const HTTP2_OGHTTP2_DOWNSTREAM_CONNECTIONS = 14;
export const HTTP2_OGHTTP2_UPSTREAM_CONNECTIONS = 15;
export const HTTP2_OUTBOUND_CONTROL_FLOOD = 16;
export const HTTP2_OUTBOUND_CONTROL_FRAMES_ACTIVE = 17;
export const HTTP2_OUTBOUND_FLOOD = 18;
export const HTTP2_OUTBOUND_FRAMES_ACTIVE = 19;
export const HTTP2_PENDING_SEND_BYTES = 20;
export const HTTP2_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS = 21;
export const HTTP2_RX_MESSAGING_ERROR = 22;
export const HTTP2_RX_RESET = 23;
export const HTTP2_STREAM_REFUSED_ERRORS = 24;
export const HTTP2_STREAMS_ACTIVE = 25;
export const HTTP2_TRAILERS = 26;
export const HTTP2_TX_FLUSH_TIMEOUT = 27;
export const HTTP2_TX_RESET = 28;

/** What stock Envoy 1.40 prints of either side. */
export const HTTP2_CODEC = catalogue('http2', [
  [HTTP2_COOKIES_TOTAL_BYTES_TOO_LARGE, 'c', 'cookies_total_bytes_too_large'],
  [HTTP2_DEFERRED_STREAM_CLOSE, 'g', 'deferred_stream_close'],
  [HTTP2_DROPPED_HEADERS_WITH_UNDERSCORES, 'c', 'dropped_headers_with_underscores'],
  [HTTP2_GOAWAY_SENT, 'c', 'goaway_sent'],
  [HTTP2_HEADER_LIST_SIZE_TOO_LARGE, 'c', 'header_list_size_too_large'],
  [HTTP2_HEADER_OVERFLOW, 'c', 'header_overflow'],
  [HTTP2_HEADERS_CB_NO_STREAM, 'c', 'headers_cb_no_stream'],
  [HTTP2_INBOUND_EMPTY_FRAMES_FLOOD, 'c', 'inbound_empty_frames_flood'],
  [HTTP2_INBOUND_PRIORITY_FRAMES_FLOOD, 'c', 'inbound_priority_frames_flood'],
  [HTTP2_INBOUND_WINDOW_UPDATE_FRAMES_FLOOD, 'c', 'inbound_window_update_frames_flood'],
  [HTTP2_KEEPALIVE_TIMEOUT, 'c', 'keepalive_timeout'],
  [HTTP2_METADATA_EMPTY_FRAMES, 'c', 'metadata_empty_frames'],
  [HTTP2_NGHTTP2_DOWNSTREAM_CONNECTIONS, 'c', 'nghttp2_downstream_connections'],
  [HTTP2_NGHTTP2_UPSTREAM_CONNECTIONS, 'c', 'nghttp2_upstream_connections'],
  [HTTP2_OGHTTP2_DOWNSTREAM_CONNECTIONS, 'c', 'oghttp2_downstream_connections'],
  [HTTP2_OGHTTP2_UPSTREAM_CONNECTIONS, 'c', 'oghttp2_upstream_connections'],
  [HTTP2_OUTBOUND_CONTROL_FLOOD, 'c', 'outbound_control_flood'],
  [HTTP2_OUTBOUND_CONTROL_FRAMES_ACTIVE, 'g', 'outbound_control_frames_active'],
  [HTTP2_OUTBOUND_FLOOD, 'c', 'outbound_flood'],
  [HTTP2_OUTBOUND_FRAMES_ACTIVE, 'g', 'outbound_frames_active'],
  [HTTP2_PENDING_SEND_BYTES, 'g', 'pending_send_bytes'],
  [HTTP2_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS, 'c', 'requests_rejected_with_underscores_in_headers'],
  [HTTP2_RX_MESSAGING_ERROR, 'c', 'rx_messaging_error'],
  [HTTP2_RX_RESET, 'c', 'rx_reset'],
  [HTTP2_STREAM_REFUSED_ERRORS, 'c', 'stream_refused_errors'],
  [HTTP2_STREAMS_ACTIVE, 'g', 'streams_active'],
  [HTTP2_TRAILERS, 'c', 'trailers'],
  [HTTP2_TX_FLUSH_TIMEOUT, 'c', 'tx_flush_timeout'],
  [HTTP2_TX_RESET, 'c', 'tx_reset'],
]);

/** Counts of a session and where each one goes. */
const PLACES: readonly (readonly [count: keyof H2Counts, index: number])[] = [
  ['droppedHeadersWithUnderscores', HTTP2_DROPPED_HEADERS_WITH_UNDERSCORES],
  ['requestsRejectedWithUnderscores', HTTP2_REQUESTS_REJECTED_WITH_UNDERSCORES_IN_HEADERS],
  ['headerListSizeTooLarge', HTTP2_HEADER_LIST_SIZE_TOO_LARGE],
  ['headerOverflow', HTTP2_HEADER_OVERFLOW],
  ['headersCbNoStream', HTTP2_HEADERS_CB_NO_STREAM],
  ['inboundEmptyFramesFlood', HTTP2_INBOUND_EMPTY_FRAMES_FLOOD],
  ['inboundPriorityFramesFlood', HTTP2_INBOUND_PRIORITY_FRAMES_FLOOD],
  ['inboundWindowUpdateFramesFlood', HTTP2_INBOUND_WINDOW_UPDATE_FRAMES_FLOOD],
  ['outboundFlood', HTTP2_OUTBOUND_FLOOD],
  ['outboundControlFlood', HTTP2_OUTBOUND_CONTROL_FLOOD],
  ['rxMessagingError', HTTP2_RX_MESSAGING_ERROR],
  ['rxReset', HTTP2_RX_RESET],
  ['streamRefusedErrors', HTTP2_STREAM_REFUSED_ERRORS],
  ['trailers', HTTP2_TRAILERS],
  ['txReset', HTTP2_TX_RESET],
  ['goawaySent', HTTP2_GOAWAY_SENT],
  ['keepaliveTimeout', HTTP2_KEEPALIVE_TIMEOUT],
];

/** Moves what a session has counted into a block of `HTTP2_CODEC`. For the rare ends: resets, errors, closes. */
export function moveHttp2Counts(counts: H2Counts, block: Float64Array): void {
  for (const [count, index] of PLACES) {
    (block[index] as number) += counts[count];
    counts[count] = 0;
  }
}
