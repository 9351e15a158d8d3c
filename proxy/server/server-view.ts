// The running server as its own stats and the admin endpoints use it.

import type { LocalityModel } from '../config/model/cluster.ts';
import type { AddressModel } from '../config/model/common.ts';
import type { Model } from '../config/model/model.ts';
import type { TlsContextModel } from '../config/model/tls-contexts.ts';
import type { OutlierDetectors } from '../upstream/outlier-detectors.ts';
import type { DrainQuery, ServerState } from './admin-state.ts';
import type { LogLevel, Options } from './args.ts';

/** See the head of this file. */
export interface ServerView {
  readonly options: Options;
  /** Monotonic milliseconds. */
  readonly startedMs: number;
  /** `null` until the configuration is loaded. */
  readonly model: Model | null;
  /** When the configuration was loaded, RFC 3339. */
  readonly loadedAt: string;
  /** The bootstrap as received. */
  readonly bootstrapJson: string;
  readonly state: ServerState;
  /** Per listener of the model, as bound; empty before they listen. */
  readonly addresses: readonly (readonly AddressModel[])[];
  /** Downstream connections now. */
  readonly connections: number;
  /** Endpoints by cluster name as configured; reads the whole model anew, as only admin pages ask. */
  configuredHosts(): ReadonlyMap<string, readonly LocalityModel[]>;
  /** TLS contexts as they are now; reads the whole model anew. */
  tlsContexts(): readonly TlsContextModel[];
  /** Resolved endpoints by cluster name. */
  readonly hosts: ReadonlyMap<string, readonly LocalityModel[]>;
  /** `null` = no cluster watches its hosts. */
  readonly outliers: OutlierDetectors | null;
  stop(graceMs: number): Promise<void>;
  drainListeners(query: DrainQuery): void;
  failHealthChecks(failed: boolean): void;
  reopenLogs(): void;
  /** `null` = all components. */
  setLogLevel(component: string | null, level: LogLevel): void;
}
