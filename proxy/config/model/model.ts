// The configuration model: what `lower` makes of Envoy's messages and all that the data plane ever sees.
//
// Rule 1: plain structured-cloneable data; no functions, classes or protobuf messages.
// Rule 2: nothing optional is left undecided. Defaults are applied in `lower`; absence is `null`, never `undefined`.
// Rule 3: durations are milliseconds (0 = disabled unless said otherwise), sizes are bytes, one-ofs are tagged unions.
// Rule 4: strings that are compared with or written to the wire are latin1 images of their UTF-8 bytes
//         (heads are read as latin1).

import type { AccessLogModel } from './access-log.ts';
import type { ClusterModel } from './cluster.ts';
import type { AddressModel, JsonObject, StringMatchModel } from './common.ts';
import type { ListenerModel } from './listener.ts';
import type { OverloadModel } from './overload.ts';
import type { RuntimeKeys } from './runtime.ts';

// === Whole configuration ===

export interface NodeModel {
  readonly id: string;
  readonly cluster: string;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  readonly metadata: JsonObject;
}

export interface AdminModel {
  readonly address: AddressModel;
  readonly accessLogs: readonly AccessLogModel[];
  readonly ignoreGlobalConnLimit: boolean;
}

export interface StatsTagModel {
  readonly name: string;
  /** One of: an RE2 pattern (group 1 removed from the name, group 2 or 1 is the value), or a fixed value. */
  readonly rule:
    | { readonly kind: 'regex'; readonly pattern: string }
    | { readonly kind: 'fixed'; readonly value: string };
}

export interface StatsConfigModel {
  readonly useAllDefaultTags: boolean;
  readonly tags: readonly StatsTagModel[];
  /** Which names are kept. */
  readonly matcher:
    | { readonly kind: 'all' }
    | { readonly kind: 'none' }
    | { readonly kind: 'include' | 'exclude'; readonly patterns: readonly StringMatchModel[] };
  readonly histogramBuckets: readonly { readonly match: StringMatchModel; readonly buckets: readonly number[] }[];
}

/** The whole of a static configuration, or the state after the last accepted dynamic update. */
export interface Model {
  readonly node: NodeModel;
  readonly admin: AdminModel | null;
  readonly stats: StatsConfigModel;
  readonly statsFlushIntervalMs: number;
  /** Static runtime layers merged, later layers winning: dotted key → value. */
  readonly runtime: RuntimeKeys;
  /** Prefixes of stats (`http.ingress.`) of the connection managers that may inject faults: workers count them together. */
  readonly faultScopes: readonly string[];
  readonly runtimeLayers: readonly {
    readonly name: string;
    /** As the admin port shows them, by dotted key. */
    readonly values: { readonly [key: string]: string };
  }[];
  /** Process-wide limit on downstream connections; 0 = none. */
  readonly maxDownstreamConnections: number;
  /** Whose connections count against it, by index in `listeners`; `null` = those of all. */
  readonly limitedListeners: readonly number[] | null;
  /** `null` = there is no overload manager. */
  readonly overload: OverloadModel | null;
  /** e.g. `x-envoy`. */
  readonly headerPrefix: string;
  readonly listeners: readonly ListenerModel[];
  readonly clusters: readonly ClusterModel[];
  /** `application_log_config.log_format`: how the process writes its own log; `null` = by the command line. */
  readonly logFormat:
    | { readonly kind: 'text'; readonly format: string }
    | { readonly kind: 'json'; readonly format: JsonObject }
    | null;
  /** Cluster-manager defaults: local cluster's name, empty when none. */
  readonly localClusterName: string;
  /** Where ejections and returns of hosts are logged; empty = nowhere. */
  readonly outlierLogPath: string;
  /** Of one direction of a connection to an internal listener. */
  readonly internalBufferBytes: number;
}
