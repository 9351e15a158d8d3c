// Counters against peers that make work without sending messages; the rules and their order are Envoy's.

import { H2_ENHANCE_YOUR_CALM, type H2Counts, type H2Error, type H2Options } from './http2.ts';

/** Every connection may send a few WINDOW_UPDATE frames before anything else. */
const WINDOW_UPDATES_FREE = 5;

const EMPTY_FRAMES: H2Error = flood(
  'http2.inbound_empty_frames_flood',
  'Too many consecutive frames with an empty payload',
);
const PRIORITY_FRAMES: H2Error = flood('', 'Too many PRIORITY frames');
const WINDOW_UPDATE_FRAMES: H2Error = flood('', 'Too many WINDOW_UPDATE frames');
const OUTBOUND_FRAMES: H2Error = flood('', 'Too many frames in the outbound queue.');
const OUTBOUND_CONTROL_FRAMES: H2Error = flood('', 'Too many control frames in the outbound queue.');

function flood(details: string, message: string): H2Error {
  return { code: H2_ENHANCE_YOUR_CALM, told: false, details, message };
}

/** One connection's counters. */
export class FloodGuard {
  private readonly options: H2Options;
  private readonly counts: H2Counts;
  private emptyFrames: number;
  private priorityFrames: number;
  private windowUpdates: number;
  private streams: number;
  private dataFramesSent: number;
  /** Frames not yet with the kernel. */
  private outbound: number;
  private outboundControl: number;

  constructor(options: H2Options, counts: H2Counts) {
    this.options = options;
    this.counts = counts;
    this.emptyFrames = 0;
    this.priorityFrames = 0;
    this.windowUpdates = 0;
    this.streams = 0;
    this.dataFramesSent = 0;
    this.outbound = 0;
    this.outboundControl = 0;
  }

  onStream(): void {
    this.streams++;
  }

  /** A DATA, HEADERS or CONTINUATION frame. */
  onPayloadFrame(length: number, endStream: boolean): H2Error | null {
    if (length !== 0 || endStream) {
      this.emptyFrames = 0;
      return null;
    }
    if (++this.emptyFrames <= this.options.maxConsecutiveInboundEmptyFrames) return null;
    this.counts.inboundEmptyFramesFlood++;
    return EMPTY_FRAMES;
  }

  onPriority(): H2Error | null {
    if (++this.priorityFrames <= this.options.maxInboundPriorityFramesPerStream * (1 + this.streams)) return null;
    this.counts.inboundPriorityFramesFlood++;
    return PRIORITY_FRAMES;
  }

  onWindowUpdate(): H2Error | null {
    const perData = this.options.maxInboundWindowUpdatesPerDataFrameSent;
    const allowed = WINDOW_UPDATES_FREE + 2 * (this.streams + perData * this.dataFramesSent);
    if (++this.windowUpdates <= allowed) return null;
    this.counts.inboundWindowUpdateFramesFlood++;
    return WINDOW_UPDATE_FRAMES;
  }

  onDataSent(): H2Error | null {
    this.dataFramesSent++;
    return this.onSent();
  }

  onSent(): H2Error | null {
    if (++this.outbound <= this.options.maxOutboundFrames) return null;
    this.counts.outboundFlood++;
    return OUTBOUND_FRAMES;
  }

  /** RST_STREAM and the acknowledgements of PING and SETTINGS: what the peer can make us send. */
  onControlSent(): H2Error | null {
    if (++this.outboundControl <= this.options.maxOutboundControlFrames) return this.onSent();
    this.counts.outboundControlFlood++;
    return OUTBOUND_CONTROL_FRAMES;
  }

  /** What was queued is with the kernel. */
  onDrained(): void {
    this.outbound = 0;
    this.outboundControl = 0;
  }
}
