// What threads say to each other. Everything here is structured-cloneable plain data.
// The model travels as text (`config/model/text.ts`): measured faster than a structured clone of it.

import type { LocalityModel } from '../config/model/cluster.ts';
import type { AddressModel } from '../config/model/common.ts';
import type { ModelText } from '../config/model/text.ts';
import type { TlsContextModel } from '../config/model/tls-contexts.ts';
import type { LogOptions } from '../observe/log.ts';
import type { StatsAnnouncement } from '../observe/stats-store.ts';
import type { OutlierSign } from '../upstream/outlier-monitor.ts';
import type { ClusterStatus, ConfigDumpQuery } from './admin-state.ts';
import type { Options } from './args.ts';

/** `workerData` of a worker. */
export interface WorkerInit {
  readonly index: number;
  readonly workers: number;
  readonly log: LogOptions;
  readonly fileFlushIntervalMs: number;
  readonly fileFlushBytes: number;
  readonly localAddressFamily: 'v4' | 'v6';
  /** Encrypts TLS session tickets: the same 48 bytes in every worker, never written anywhere. */
  readonly ticketKeys: Uint8Array;
}

/** Shared memory and the model: once per worker, before anything else. */
export interface StartMessage {
  readonly type: 'start';
  /** As `modelText` wrote it. */
  readonly modelJson: ModelText;
  /** `ConnectionCounts` table. */
  readonly counts: SharedArrayBuffer;
  /** `SharedBreakers` table. */
  readonly breakers: SharedArrayBuffer;
  /** `SharedGates` table. */
  readonly gates: SharedArrayBuffer;
  /** `OutlierCells` table; `null` = no cluster watches its hosts. */
  readonly outliers: SharedArrayBuffer | null;
  /** `OverloadState`; `null` = there is no overload manager. */
  readonly overload: SharedArrayBuffer | null;
  /** Two 32-bit cells: the worker, from 1, that writes to standard output and error; `null` = there is one worker. */
  readonly pipeLocks: SharedArrayBuffer | null;
}

/** One listener's sockets, in the order of its addresses. */
export interface ListenMessage {
  readonly type: 'listen';
  readonly listeners: readonly {
    /** False where another worker serves this listener alone. */
    readonly serve: boolean;
    readonly addresses: readonly AddressModel[];
    /** Bound descriptors that the worker owns from now on; −1 = bind by address. */
    readonly descriptors: readonly number[];
  }[];
}

/** A connection that another worker accepted; the descriptor is the receiver's. */
export interface AdoptMessage {
  readonly type: 'adopt';
  readonly listener: number;
  readonly address: number;
  readonly fd: number;
}

/** Main thread → worker. */
export type ToWorker =
  | StartMessage
  | ListenMessage
  | AdoptMessage
  /** New endpoints of a DNS cluster. */
  | {
      readonly type: 'hosts';
      readonly cluster: string;
      readonly localities: readonly LocalityModel[];
      /** Of outlier detection, by order of first mention; `null` = nobody watches them. */
      readonly cells: readonly number[] | null;
    }
  /** Outlier detection has changed flags of the cluster's hosts. */
  | {
      readonly type: 'host_health';
      readonly cluster: string;
      /** Cells of hosts that have just been ejected. */
      readonly ejected: readonly number[];
      /** Balancers are told now, and of what was changed before. */
      readonly rebuild: boolean;
    }
  /** Close what is idle and say goodbye on what is busy, gradually over `overMs` (0 = at once). */
  | { readonly type: 'drain'; readonly overMs: number; readonly elapsedMs: number; readonly inboundOnly: boolean }
  | { readonly type: 'stop_accepting'; readonly inboundOnly: boolean }
  /** Answer `closed` when no connection is left, or after `graceMs` when the rest has been closed. */
  | { readonly type: 'shutdown'; readonly graceMs: number }
  | { readonly type: 'reopen_logs' }
  /** Whether connections are accepted may have changed: the overload manager's memory says it. */
  | { readonly type: 'accepting' }
  /** Time limits may be shorter or longer: the overload manager's memory says how much. */
  | { readonly type: 'time_limits' }
  /** End streams that hold much memory: see `resetLoaded`. */
  | { readonly type: 'reset_streams'; readonly pressure: number; readonly leastBytes: number }
  /** Give unused memory back. */
  | { readonly type: 'shrink_heap' }
  | { readonly type: 'log_levels'; readonly levels: Readonly<Record<string, string>> }
  | { readonly type: 'health'; readonly failed: boolean }
  /** Contexts with new secrets: new handshakes use them, connections live on. */
  | { readonly type: 'tls'; readonly contexts: readonly TlsContextModel[] };

/** Worker → main thread. */
export type FromWorker =
  | { readonly type: 'started' }
  | { readonly type: 'listening'; readonly addresses: readonly (readonly AddressModel[])[] }
  /** A configuration that a worker cannot run (an occupied port). */
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'stats'; readonly announcement: StatsAnnouncement }
  | {
      readonly type: 'hand_over';
      readonly to: number;
      readonly listener: number;
      readonly address: number;
      readonly fd: number;
    }
  | { readonly type: 'adopted'; readonly fd: number }
  /** Seen of the host with this cell. */
  | { readonly type: 'outlier'; readonly cell: number; readonly sign: OutlierSign }
  | { readonly type: 'closed' };

/** What TLS contexts were read from, and digests of what was read by their ids. */
export interface TlsFiles {
  readonly files: readonly string[];
  readonly hashes: Readonly<Record<string, string>>;
  /** When the first of their certificates ends, seconds since the epoch; −1 = there is none. */
  readonly firstEndSeconds: number;
}

/** `workerData` of the configuration thread: one task, then it ends. */
export type ConfigRequest =
  | { readonly task: 'load'; readonly options: Options }
  | {
      readonly task: 'dump';
      readonly options: Options;
      /** As kept from the reply to `load`. */
      readonly bootstrapJson: string;
      readonly loadedAt: string;
      readonly clusters: readonly ClusterStatus[];
      readonly query: ConfigDumpQuery;
    }
  | {
      readonly task: 'secrets';
      readonly options: Options;
      readonly bootstrapJson: string;
      /** Of the contexts in use, by their ids. */
      readonly hashes: Readonly<Record<string, string>>;
    };

/** Configuration thread → main thread. */
export type ConfigReply =
  | {
      readonly type: 'loaded';
      /** For workers. */
      readonly modelJson: ModelText;
      /** For the main thread: the model with empty filter chains, and hosts of DNS clusters only. */
      readonly controlJson: ModelText;
      /** TLS contexts of listeners. */
      readonly listenerTlsJson: string;
      readonly warnings: readonly string[];
      /** How many set fields are not supported. */
      readonly unsupportedFields: number;
      /** The bootstrap as received, for `/config_dump`. */
      readonly bootstrapJson: string;
      readonly tls: TlsFiles;
    }
  | {
      readonly type: 'secrets';
      /** Those that are other ones now. */
      readonly contexts: readonly TlsContextModel[];
      readonly tls: TlsFiles;
      /** Why some files could not be used. */
      readonly refusals: readonly string[];
    }
  /** The body is UTF-8, and handed over, not copied. */
  | { readonly type: 'dumped'; readonly status: number; readonly contentType: string; readonly body: Uint8Array }
  | { readonly type: 'failed'; readonly message: string };
