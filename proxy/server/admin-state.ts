// What the admin endpoints may know and do. The server implements it; tests implement it with literals.

import type { AddressModel, JsonObject, JsonValue } from '../config/model/common.ts';
import type { StatsRegistry } from '../observe/stats-registry.ts';
import type { Options } from './args.ts';

/** A request as the admin listener read it. */
export interface AdminRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Decoded parameters; the first of a name counts. */
  readonly query: ReadonlyMap<string, string>;
}

/** An answer. Bodies come in pieces where they can be large; the listener pauses between them. */
export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Iterable<string> | Uint8Array;
  /** Called once the answer was sent (`/quitquitquit`). */
  readonly afterwards?: () => void;
}

export type ServerState = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';

export interface ServerInfo {
  /** `<revision>/<version>/Clean/RELEASE/<tls library>`. */
  readonly version: string;
  readonly state: ServerState;
  /** Whole seconds. */
  readonly uptimeS: number;
  readonly options: Options;
  /** The node as `/config_dump` shows it (proto JSON). */
  readonly node: JsonObject;
}

/** Bytes. */
export interface MemoryInfo {
  readonly allocated: number;
  readonly heapSize: number;
  readonly pageheapUnmapped: number;
  readonly pageheapFree: number;
  readonly totalThreadCache: number;
  readonly totalPhysicalBytes: number;
}

export interface BreakerLimits {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
}

/** Why a host is not plainly healthy, in Envoy's words and order. */
export type HealthFlag =
  | 'failed_active_hc'
  | 'failed_outlier_check'
  | 'failed_eds_health'
  | 'degraded_active_hc'
  | 'degraded_eds_health'
  | 'pending_dynamic_removal'
  | 'pending_active_hc'
  | 'excluded_via_immediate_hc_fail'
  | 'active_hc_timeout'
  | 'eds_status_draining'
  | 'degraded_outlier_detection';

export interface HostStatus {
  readonly address: AddressModel;
  readonly hostname: string;
  readonly healthFlags: readonly HealthFlag[];
  /** `core.v3.HealthStatus` as dumped: `HEALTHY`, `UNHEALTHY`, `DEGRADED`, `DRAINING`. */
  readonly edsHealthStatus: string;
  readonly weight: number;
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly canary: boolean;
  readonly priority: number;
  /** Percent; −1 = too few requests to tell. */
  readonly successRate: number;
  readonly localOriginSuccessRate: number;
  /** Values of the `host` catalogue, in its order. */
  readonly stats: readonly number[];
}

/** Outlier detection's own numbers; percent. */
export interface OutlierThresholds {
  readonly successRateAverage: number;
  readonly successRateEjectionThreshold: number;
  readonly localOriginSuccessRateAverage: number;
  readonly localOriginSuccessRateEjectionThreshold: number;
}

export interface ClusterStatus {
  readonly name: string;
  readonly observabilityName: string;
  readonly addedViaApi: boolean;
  /** EDS name where it differs from the cluster's; empty. */
  readonly edsServiceName: string;
  readonly defaultLimits: BreakerLimits;
  readonly highLimits: BreakerLimits;
  /** `null` without outlier detection. */
  readonly outlier: OutlierThresholds | null;
  readonly hosts: readonly HostStatus[];
}

export interface ListenerStatus {
  readonly name: string;
  /** As bound: real ports. */
  readonly address: AddressModel;
  readonly additionalAddresses: readonly AddressModel[];
}

export interface RuntimeStatus {
  /** Layer names, in order of rising weight. */
  readonly layers: readonly string[];
  readonly entries: ReadonlyMap<string, { readonly finalValue: string; readonly layerValues: readonly string[] }>;
}

/** What `/config_dump` was asked for. */
export interface ConfigDumpQuery {
  /** A repeated field of one of the dumps, e.g. `static_clusters`; empty = all dumps. */
  readonly resource: string;
  /** Field mask; empty = everything. */
  readonly mask: string;
  readonly nameRegex: string;
  readonly includeEds: boolean;
}

export interface DrainQuery {
  readonly graceful: boolean;
  readonly skipExit: boolean;
  readonly inboundOnly: boolean;
}

export interface LoggerStatus {
  readonly name: string;
  readonly level: string;
}

/** Small capabilities of the running server. */
export interface AdminState {
  readonly stats: StatsRegistry;
  serverInfo(): ServerInfo;
  memory(): MemoryInfo;
  /** Each is read when it is its turn. @param matches names that are wanted; `null` = all */
  clusters(matches: ((name: string) => boolean) | null): Iterable<ClusterStatus>;
  listeners(): readonly ListenerStatus[];
  /** `envoy.admin.v3.Certificates.certificates` as proto JSON. */
  certificates(): readonly JsonValue[];
  runtime(): RuntimeStatus;
  /** Sets keys of the admin layer (an empty value removes); false when there is no such layer. */
  modifyRuntime(changes: ReadonlyMap<string, string>): boolean;
  /** Renders with `renderConfigDump`, wherever the configuration is kept. */
  configDump(query: ConfigDumpQuery): Promise<AdminResponse>;
  /** Names of what start-up still waits for, by component. */
  unreadyTargets(): readonly { readonly name: string; readonly targets: readonly string[] }[];
  loggers(): readonly LoggerStatus[];
  /** `null` sets every logger. Names and levels were checked. */
  setLogLevel(logger: string | null, level: string): void;
  reopenLogs(): void;
  drainListeners(query: DrainQuery): void;
  failHealthChecks(failed: boolean): void;
  quit(): void;
}
