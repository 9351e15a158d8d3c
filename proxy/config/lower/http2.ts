// Lowers `core.v3.Http2ProtocolOptions`. Both directions have the same defaults (seen on Envoy 1.40).

import { ConfigError } from '../../util/error.ts';
import type { Http2KeepaliveModel, Http2Model } from '../model/http2.ts';
import { bool, has, list, type Msg, num, sub } from '../schema/message.ts';
import { wholeMs } from './duration.ts';

/** Envoy's defaults. */
export const HTTP2_DEFAULTS: Http2Model = {
  headerTableBytes: 4096,
  maxConcurrentStreams: 1024,
  initialStreamWindowBytes: 16 * 1024 * 1024,
  initialConnectionWindowBytes: 24 * 1024 * 1024,
  allowConnect: false,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1_000,
  maxConsecutiveInboundEmptyFrames: 1,
  maxInboundPriorityFramesPerStream: 100,
  maxInboundWindowUpdatesPerDataFrameSent: 10,
  streamErrorOnInvalidMessage: false,
  maxHeaderFieldBytes: 64 * 1024,
  huffman: true,
  resetBurst: 1_000,
  resetsPerSecond: 33,
  customSettings: [],
  keepalive: null,
};
const JITTER_PERCENT = 15;

// Settings with a rule or a field of their own (RFC 9113 §6.5.2, RFC 8441)
const HEADER_TABLE_SIZE = 0x1;
const ENABLE_PUSH = 0x2;
const MAX_CONCURRENT_STREAMS = 0x3;
const INITIAL_WINDOW_SIZE = 0x4;
const ENABLE_CONNECT_PROTOCOL = 0x8;

/** @param streamError the connection manager's own word on malformed messages; `null` = it says nothing */
export function lowerHttp2(message: Msg | null, streamError: boolean | null, path: string): Http2Model {
  if (message === null) return { ...HTTP2_DEFAULTS, streamErrorOnInvalidMessage: streamError ?? false };
  const custom = lowerCustomSettings(message, path);
  const d = HTTP2_DEFAULTS;
  return {
    headerTableBytes: custom.get(HEADER_TABLE_SIZE) ?? num(message, 'hpackTableSize', d.headerTableBytes),
    maxConcurrentStreams:
      custom.get(MAX_CONCURRENT_STREAMS) ?? num(message, 'maxConcurrentStreams', d.maxConcurrentStreams),
    initialStreamWindowBytes:
      custom.get(INITIAL_WINDOW_SIZE) ?? num(message, 'initialStreamWindowSize', d.initialStreamWindowBytes),
    initialConnectionWindowBytes: num(message, 'initialConnectionWindowSize', d.initialConnectionWindowBytes),
    allowConnect: bool(message, 'allowConnect'),
    maxOutboundFrames: num(message, 'maxOutboundFrames', d.maxOutboundFrames),
    maxOutboundControlFrames: num(message, 'maxOutboundControlFrames', d.maxOutboundControlFrames),
    maxConsecutiveInboundEmptyFrames: num(
      message,
      'maxConsecutiveInboundFramesWithEmptyPayload',
      d.maxConsecutiveInboundEmptyFrames,
    ),
    maxInboundPriorityFramesPerStream: num(
      message,
      'maxInboundPriorityFramesPerStream',
      d.maxInboundPriorityFramesPerStream,
    ),
    maxInboundWindowUpdatesPerDataFrameSent: num(
      message,
      'maxInboundWindowUpdateFramesPerDataFrameSent',
      d.maxInboundWindowUpdatesPerDataFrameSent,
    ),
    streamErrorOnInvalidMessage: bool(
      message,
      'overrideStreamErrorOnInvalidHttpMessage',
      streamError ?? bool(message, 'streamErrorOnInvalidHttpMessaging'),
    ),
    maxHeaderFieldBytes: num(message, 'maxHeaderFieldSizeKb', d.maxHeaderFieldBytes / 1024) * 1024,
    huffman: bool(message, 'enableHuffmanEncoding', d.huffman),
    resetBurst: num(message, 'streamResetBurst', d.resetBurst),
    resetsPerSecond: num(message, 'streamResetRate', d.resetsPerSecond),
    customSettings: [...custom].filter(([id]) => !NAMED.has(id)).map(([id, value]) => ({ id, value })),
    keepalive: lowerKeepalive(sub(message, 'connectionKeepalive'), `${path}.connection_keepalive`),
  };
}

/** Fields that announce the same as a setting. */
const NAMED: ReadonlyMap<number, readonly [field: string, written: string]> = new Map([
  [HEADER_TABLE_SIZE, ['hpackTableSize', 'hpack_table_size']],
  [MAX_CONCURRENT_STREAMS, ['maxConcurrentStreams', 'max_concurrent_streams']],
  [INITIAL_WINDOW_SIZE, ['initialStreamWindowSize', 'initial_stream_window_size']],
]);

function lowerCustomSettings(message: Msg, path: string): ReadonlyMap<number, number> {
  const at = `${path}.custom_settings_parameters`;
  const settings = new Map<number, number>();
  const inconsistent = new Set<number>();
  for (const item of list(message, 'customSettingsParameters')) {
    const id = num(item, 'identifier');
    const value = num(item, 'value');
    if ((settings.get(id) ?? value) !== value) inconsistent.add(id);
    else settings.set(id, value);
    if (id === ENABLE_PUSH && value === 1)
      throw new ConfigError(
        'server push is not supported by Envoy and can not be enabled via a SETTINGS parameter.',
        at,
      );
    if (id === ENABLE_CONNECT_PROTOCOL)
      throw new ConfigError(
        'the "allow_connect" SETTINGS parameter must only be configured through the named field',
        at,
      );
  }
  if (inconsistent.size > 0) {
    const ids = [...inconsistent].map((id) => `0x${id.toString(16).padStart(2, '0')}`).join(',');
    throw new ConfigError(`inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {${ids}}`, at);
  }
  const twice = [...NAMED].filter(([id, [field]]) => settings.has(id) && has(message, field));
  if (twice.length > 0) {
    const names = twice.map(([, [, written]]) => written).join(',');
    throw new ConfigError(
      `the {${names}} HTTP/2 SETTINGS parameter(s) can not be configured through both named and custom parameters`,
      at,
    );
  }
  return settings;
}

function lowerKeepalive(message: Msg | null, path: string): Http2KeepaliveModel | null {
  if (message === null) return null;
  const jitter = sub(message, 'intervalJitter');
  return {
    intervalMs: wholeMs(message, 'interval', 0, path),
    timeoutMs: wholeMs(message, 'timeout', 0, path),
    jitterPercent: jitter === null ? JITTER_PERCENT : num(jitter, 'value'),
    idleIntervalMs: wholeMs(message, 'connectionIdleInterval', 0, path),
  };
}
