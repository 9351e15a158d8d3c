// The frames that carry no message: SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, PRIORITY, GOAWAY.

import type { HpackDecoder } from './hpack-decoder.ts';
import { H2_ENHANCE_YOUR_CALM, H2_FLOW_CONTROL_ERROR, H2_FRAME_SIZE_ERROR, H2_REFUSED_STREAM } from './http2.ts';
import type { Http2Core } from './http2-core.ts';
import {
  DEFAULT_FRAME_BYTES,
  FLAG_ACK,
  FRAME_BYTES_MAX,
  H2_FRAME_HEADER_BYTES,
  SETTINGS_ENABLE_CONNECT_PROTOCOL,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_HEADER_TABLE_SIZE,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
  uint31,
  uint32,
  WINDOW_BYTES_MAX,
} from './http2-frames.ts';

const SETTING_BYTES = 6;
/** Of one frame; what nghttp2 bears, and with it Envoy. */
const SETTINGS_MAX = 32;
const NO_LIMIT = 0xffff_ffff;

/** See the head of this file. */
export class ControlReceiver {
  /** The peer's first SETTINGS have been read. */
  settingsSeen: boolean;
  maxStreams: number;
  peerAllowsConnect: boolean;
  private readonly core: Http2Core;
  private readonly decoder: HpackDecoder;

  constructor(core: Http2Core, decoder: HpackDecoder) {
    this.core = core;
    this.decoder = decoder;
    this.settingsSeen = false;
    this.maxStreams = NO_LIMIT;
    this.peerAllowsConnect = false;
  }

  /** What we announce, in Envoy's order. */
  sendSettings(): void {
    const { isClient, options, sender } = this.core;
    const pairs = isClient ? [SETTINGS_ENABLE_PUSH, 0] : [];
    pairs.push(SETTINGS_HEADER_TABLE_SIZE, options.headerTableBytes);
    pairs.push(SETTINGS_ENABLE_CONNECT_PROTOCOL, options.allowConnect ? 1 : 0);
    pairs.push(SETTINGS_MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams);
    pairs.push(SETTINGS_INITIAL_WINDOW_SIZE, options.initialStreamWindowBytes);
    if (options.maxFrameBytes !== DEFAULT_FRAME_BYTES) pairs.push(SETTINGS_MAX_FRAME_SIZE, options.maxFrameBytes);
    for (const { id, value } of options.customSettings) pairs.push(id, value);
    sender.settings(pairs);
  }

  onSettings(id: number, flags: number, bytes: Buffer, from: number, end: number): void {
    const { core } = this;
    const size = end - from;
    const ack = (flags & FLAG_ACK) !== 0;
    if (ack ? size !== 0 : size % SETTING_BYTES !== 0) core.fail(H2_FRAME_SIZE_ERROR);
    else if (id !== 0 || (ack && core.settingsAcked)) core.refuse(null);
    else if (size > SETTINGS_MAX * SETTING_BYTES) core.fail(H2_ENHANCE_YOUR_CALM, 'SETTINGS: too many setting entries');
    else if (ack) {
      core.settingsAcked = true;
      this.decoder.setLimit(core.options.headerTableBytes, true);
    } else {
      this.settingsSeen = true;
      for (let at = from; at < end; at += SETTING_BYTES)
        if (!this.allows(settingId(bytes, at), uint32(bytes, at + 2))) {
          core.refuse(null);
          return;
        }
      // Before the body bytes that a larger window lets go: peers that wait for it may not look at what comes earlier.
      core.sender.settingsAck();
      const window = core.sender.initialWindow;
      for (let at = from; at < end; at += SETTING_BYTES) this.apply(settingId(bytes, at), uint32(bytes, at + 2));
      // Once, whatever the frame says how often: each change goes through all streams.
      if (core.sender.initialWindow !== window) this.changeWindows(core.sender.initialWindow - window);
      core.sink.onSettings();
    }
  }

  private allows(id: number, value: number): boolean {
    switch (id) {
      case SETTINGS_ENABLE_PUSH:
        return value === 0 || (value === 1 && !this.core.isClient);
      case SETTINGS_INITIAL_WINDOW_SIZE:
        return value <= WINDOW_BYTES_MAX;
      case SETTINGS_MAX_FRAME_SIZE:
        return value >= DEFAULT_FRAME_BYTES && value <= FRAME_BYTES_MAX;
      case SETTINGS_ENABLE_CONNECT_PROTOCOL:
        return value === 1 || (value === 0 && !this.peerAllowsConnect);
      default:
        return true;
    }
  }

  private apply(id: number, value: number): void {
    const { sender } = this.core;
    switch (id) {
      case SETTINGS_HEADER_TABLE_SIZE:
        sender.setTableBytes(value);
        break;
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        break;
      case SETTINGS_INITIAL_WINDOW_SIZE:
        sender.initialWindow = value;
        break;
      case SETTINGS_MAX_FRAME_SIZE:
        sender.frameBytesMax = value;
        break;
      case SETTINGS_ENABLE_CONNECT_PROTOCOL:
        this.peerAllowsConnect = value === 1;
        break;
      default:
        break;
    }
  }

  /** Open streams' windows change with it, also to below zero (RFC 9113 §6.9.2). */
  private changeWindows(change: number): void {
    const { core } = this;
    const { sender } = core;
    for (const stream of core.streams.values())
      if (!stream.over && !sender.addStreamWindow(stream, change)) core.resetStream(stream, H2_FLOW_CONTROL_ERROR);
  }

  onPing(id: number, flags: number, bytes: Buffer, from: number, end: number): void {
    const { core } = this;
    if (end - from !== 8) core.fail(H2_FRAME_SIZE_ERROR);
    else if (id !== 0) core.refuse(null);
    else if ((flags & FLAG_ACK) !== 0) core.sink.onPingAck(bytes.readBigUInt64BE(from));
    else core.sender.ping(uint32(bytes, from), uint32(bytes, from + 4), true);
  }

  onWindowUpdate(id: number, bytes: Buffer, from: number, end: number): void {
    const { core } = this;
    const flood = core.guard.onWindowUpdate();
    if (end - from !== 4) core.fail(H2_FRAME_SIZE_ERROR);
    else if (flood !== null) core.onFlood(flood);
    else {
      const more = uint31(bytes, from);
      const stream = core.streams.get(id) ?? null;
      if (more === 0 || (id !== 0 && core.isIdle(id))) core.refuse(stream);
      else if (id === 0) {
        if (!core.sender.addWindow(more)) core.refuse(null);
      } else if (stream !== null && !core.sender.addStreamWindow(stream, more)) core.refuse(stream);
    }
  }

  onRstStream(id: number, bytes: Buffer, from: number, end: number): void {
    const { core } = this;
    if (end - from !== 4) core.fail(H2_FRAME_SIZE_ERROR);
    else if (id === 0 || core.isIdle(id)) core.refuse(null);
    else {
      const stream = core.streams.get(id);
      if (stream === undefined || stream.closedOnWire) return;
      core.counts.rxReset++;
      stream.wireBytesReceived += H2_FRAME_HEADER_BYTES + 4;
      core.onPeerReset(stream, uint32(bytes, from));
    }
  }

  /** Ignored but for its size and number: priorities are no more (RFC 9113 §5.3.2). */
  onPriority(from: number, end: number): void {
    const { core } = this;
    const flood = core.guard.onPriority();
    if (end - from !== 5) core.fail(H2_FRAME_SIZE_ERROR);
    else if (flood !== null) core.onFlood(flood);
  }

  onGoaway(id: number, bytes: Buffer, from: number, end: number): void {
    const { core } = this;
    if (end - from < 8) core.fail(H2_FRAME_SIZE_ERROR);
    else if (id !== 0) core.refuse(null);
    else {
      const lastId = uint31(bytes, from);
      core.goingAway = true;
      core.sink.onGoaway(lastId, uint32(bytes, from + 4));
      if (!core.isClient) return;
      for (const stream of core.streams.values())
        if (stream.id > lastId && !stream.over && !stream.closedOnWire) core.onPeerReset(stream, H2_REFUSED_STREAM);
    }
  }
}

function settingId(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
