// HTTP/2 options: every field with a non-default value, Envoy's defaults, refusals in its words.

import t from 'tap';
import { HTTP2_DEFAULTS, lowerHttp2 } from '../../proxy/config/lower/http2.ts';
import type { Http2Model } from '../../proxy/config/model/http2.ts';
import { decode, refusal } from '../fixtures/lower.ts';

function lower(json: object, streamError: boolean | null = null): Http2Model {
  return lowerHttp2(decode('envoy.config.core.v3.Http2ProtocolOptions', json), streamError, 'it');
}

t.test('defaults', async (t) => {
  t.same(lower({}), HTTP2_DEFAULTS);
  t.same(lowerHttp2(null, null, 'it'), HTTP2_DEFAULTS);
});

t.test('every field', async (t) => {
  const json = {
    hpack_table_size: 1,
    max_concurrent_streams: 2,
    initial_stream_window_size: 65_535,
    initial_connection_window_size: 65_536,
    allow_connect: true,
    max_outbound_frames: 3,
    max_outbound_control_frames: 4,
    max_consecutive_inbound_frames_with_empty_payload: 5,
    max_inbound_priority_frames_per_stream: 6,
    max_inbound_window_update_frames_per_data_frame_sent: 7,
    override_stream_error_on_invalid_http_message: true,
    max_header_field_size_kb: 65,
    enable_huffman_encoding: false,
    stream_reset_burst: 8,
    stream_reset_rate: 9,
    custom_settings_parameters: [{ identifier: 10, value: 11 }],
    connection_keepalive: {
      interval: '1s',
      timeout: '2s',
      interval_jitter: { value: 12.5 },
      connection_idle_interval: '3s',
    },
  };
  t.same(lower(json), {
    headerTableBytes: 1,
    maxConcurrentStreams: 2,
    initialStreamWindowBytes: 65_535,
    initialConnectionWindowBytes: 65_536,
    allowConnect: true,
    maxOutboundFrames: 3,
    maxOutboundControlFrames: 4,
    maxConsecutiveInboundEmptyFrames: 5,
    maxInboundPriorityFramesPerStream: 6,
    maxInboundWindowUpdatesPerDataFrameSent: 7,
    streamErrorOnInvalidMessage: true,
    maxHeaderFieldBytes: 65 * 1024,
    huffman: false,
    resetBurst: 8,
    resetsPerSecond: 9,
    customSettings: [{ id: 10, value: 11 }],
    keepalive: { intervalMs: 1_000, timeoutMs: 2_000, jitterPercent: 12.5, idleIntervalMs: 3_000 },
  });
});

t.test('who decides on malformed messages', async (t) => {
  const older = { stream_error_on_invalid_http_messaging: true };
  t.equal(lower(older).streamErrorOnInvalidMessage, true);
  t.equal(lower(older, false).streamErrorOnInvalidMessage, false, 'the manager before the older field');
  const own = { override_stream_error_on_invalid_http_message: false };
  t.equal(lower(own, true).streamErrorOnInvalidMessage, false, 'the own field before the manager');
});

t.test('custom settings', async (t) => {
  const settings = (...pairs: readonly (readonly [number, number])[]): object[] =>
    pairs.map(([identifier, value]) => ({ identifier, value }));
  const model = lower({ custom_settings_parameters: settings([1, 5], [3, 6], [4, 70_000], [9, 1], [9, 1]) });
  t.equal(model.headerTableBytes, 5);
  t.equal(model.maxConcurrentStreams, 6);
  t.equal(model.initialStreamWindowBytes, 70_000);
  t.same(model.customSettings, [{ id: 9, value: 1 }]);
  const refused = (json: object): string => refusal(() => lower(json));
  t.match(
    refused({ custom_settings_parameters: settings([2, 1]) }),
    'server push is not supported by Envoy and can not',
  );
  t.match(
    refused({ custom_settings_parameters: settings([8, 0]) }),
    'the "allow_connect" SETTINGS parameter must only',
  );
  t.match(
    refused({ custom_settings_parameters: settings([9, 1], [10, 1], [9, 2], [10, 2]) }),
    'inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {0x09,0x0a}',
  );
  t.match(
    refused({
      custom_settings_parameters: settings([1, 5], [4, 70_000]),
      hpack_table_size: 3,
      initial_stream_window_size: 70_000,
    }),
    'the {hpack_table_size,initial_stream_window_size} HTTP/2 SETTINGS parameter(s) can not be configured through both',
  );
});
