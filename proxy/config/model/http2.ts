// The model of HTTP/2 options (Envoy: config.core.v3.Http2ProtocolOptions), of connection managers and of clusters.

export interface Http2Model {
  /** Bytes of the dynamic table, the peer's and ours. */
  readonly headerTableBytes: number;
  readonly maxConcurrentStreams: number;
  readonly initialStreamWindowBytes: number;
  readonly initialConnectionWindowBytes: number;
  readonly allowConnect: boolean;
  readonly maxOutboundFrames: number;
  readonly maxOutboundControlFrames: number;
  readonly maxConsecutiveInboundEmptyFrames: number;
  readonly maxInboundPriorityFramesPerStream: number;
  readonly maxInboundWindowUpdatesPerDataFrameSent: number;
  /** A malformed message ends its stream alone. */
  readonly streamErrorOnInvalidMessage: boolean;
  /** Bytes of one name and value. */
  readonly maxHeaderFieldBytes: number;
  readonly huffman: boolean;
  /** Resets that the peer may send at once, and how many a second on the average. */
  readonly resetBurst: number;
  readonly resetsPerSecond: number;
  /** Settings without a field of their own, in the order configured, each once. */
  readonly customSettings: readonly { readonly id: number; readonly value: number }[];
  /** `null` = no pings. */
  readonly keepalive: Http2KeepaliveModel | null;
}

export interface Http2KeepaliveModel {
  /** 0 = none regularly. */
  readonly intervalMs: number;
  /** How long to wait for the answer. */
  readonly timeoutMs: number;
  /** Each interval is longer by up to this much of it. */
  readonly jitterPercent: number;
  /** A request after that long without one is preceded by a ping; 0 = never. */
  readonly idleIntervalMs: number;
}
