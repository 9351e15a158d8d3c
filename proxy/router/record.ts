// What an attempt leaves in the record of its request, for access logs.

import type { StreamInfo } from '../observe/stream-info.ts';
import type { UpstreamStream } from '../upstream/upstream.ts';

/**
 * The attempt has a connection, and sends the request now.
 * @param nowMs monotonic
 * @param askedMs when it asked for one
 * @param whole all of the request is there
 */
export function noteConnection(
  info: StreamInfo,
  stream: UpstreamStream,
  nowMs: number,
  askedMs: number,
  whole: boolean,
): void {
  info.upstreamHost = stream.host;
  info.upstreamLocalAddress = stream.localAddress;
  info.upstreamRemoteAddress = stream.remoteAddress;
  info.upstreamProtocol = stream.protocol;
  info.upstreamConnectionId = stream.connectionId;
  info.upstreamConnectStartMs = stream.connectStartMs;
  info.upstreamConnectEndMs = stream.connectEndMs;
  info.upstreamPoolWaitMs = nowMs - askedMs;
  info.upstreamTls = stream.tls;
  info.upstreamHandshakeEndMs = stream.tls === null ? -1 : stream.connectEndMs;
  info.upstreamTxStartMs = nowMs;
  info.upstreamTxEndMs = whole ? nowMs : -1;
}

/** The rest of the request goes where its beginning went. Nothing has kept it since it came, but for the filters. */
export function noteRequestEnd(info: StreamInfo): void {
  info.upstreamTxEndMs = Math.max(info.requestRxEndMs, info.upstreamTxStartMs);
}

/** Adds what one attempt has moved, or takes it off. */
export function addBytes(info: StreamInfo, stream: UpstreamStream, sign: 1 | -1): void {
  info.upstreamWireBytesSent += sign * stream.wireBytesSent;
  info.upstreamWireBytesReceived += sign * stream.wireBytesReceived;
  info.upstreamHeaderBytesSent += sign * stream.headerBytesSent;
  info.upstreamHeaderBytesReceived += sign * stream.headerBytesReceived;
}
