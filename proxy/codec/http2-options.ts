// The codec's options from what is configured, once per connection manager or cluster.

import type { Http2Model } from '../config/model/http2.ts';
import type { H2Options } from './http2.ts';
import { DEFAULT_FRAME_BYTES, SETTINGS_MAX_FRAME_SIZE } from './http2-frames.ts';

/** What the options of HTTP/2 itself do not say. */
export type H2Limits = Pick<H2Options, 'headerListBytesMax' | 'headersMax' | 'underscores' | 'streamSendBufferBytes'>;

export function http2Options(model: Http2Model, limits: H2Limits): H2Options {
  const frame = model.customSettings.find(({ id }) => id === SETTINGS_MAX_FRAME_SIZE);
  return {
    headerTableBytes: model.headerTableBytes,
    maxConcurrentStreams: model.maxConcurrentStreams,
    initialStreamWindowBytes: model.initialStreamWindowBytes,
    initialConnectionWindowBytes: model.initialConnectionWindowBytes,
    maxFrameBytes: frame?.value ?? DEFAULT_FRAME_BYTES,
    headerListBytesMax: limits.headerListBytesMax,
    headerStringBytesMax: model.maxHeaderFieldBytes,
    headersMax: limits.headersMax,
    allowConnect: model.allowConnect,
    streamErrorOnInvalidMessage: model.streamErrorOnInvalidMessage,
    underscores: limits.underscores,
    customSettings: model.customSettings.filter(({ id }) => id !== SETTINGS_MAX_FRAME_SIZE),
    streamSendBufferBytes: limits.streamSendBufferBytes,
    maxOutboundFrames: model.maxOutboundFrames,
    maxOutboundControlFrames: model.maxOutboundControlFrames,
    maxConsecutiveInboundEmptyFrames: model.maxConsecutiveInboundEmptyFrames,
    maxInboundPriorityFramesPerStream: model.maxInboundPriorityFramesPerStream,
    maxInboundWindowUpdatesPerDataFrameSent: model.maxInboundWindowUpdatesPerDataFrameSent,
  };
}
