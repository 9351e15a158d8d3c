// What an attempt leaves in the record of its request, for access logs.

import type { StreamInfo } from '../observe/stream-info.ts';
import type { UpstreamStream } from '../upstream/upstream.ts';

/** The attempt has a connection. @param nowMs monotonic */
export function noteConnection(info: StreamInfo, stream: UpstreamStream, nowMs: number): void {
  info.upstreamHost = stream.host;
  info.upstreamLocalAddress = stream.localAddress;
  info.upstreamRemoteAddress = stream.remoteAddress;
  info.upstreamProtocol = stream.protocol;
  info.upstreamConnectionId = stream.connectionId;
  info.upstreamConnectStartMs = stream.connectStartMs;
  info.upstreamConnectEndMs = stream.connectEndMs;
  info.upstreamPoolReadyMs = nowMs;
  info.upstreamTls = stream.tls;
  info.upstreamHandshakeEndMs = stream.tls === null ? -1 : stream.connectEndMs;
  info.upstreamTxStartMs = nowMs;
}

/** Adds what one attempt has moved, or takes it off. */
export function addBytes(info: StreamInfo, stream: UpstreamStream, sign: 1 | -1): void {
  info.upstreamWireBytesSent += sign * stream.wireBytesSent;
  info.upstreamWireBytesReceived += sign * stream.wireBytesReceived;
  info.upstreamHeaderBytesSent += sign * stream.headerBytesSent;
  info.upstreamHeaderBytesReceived += sign * stream.headerBytesReceived;
}
