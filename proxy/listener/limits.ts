// Gates that count: `connection_limit` and `local_ratelimit` (Envoy: extensions.filters.network.*). Both hold for the
// whole process. And those that let everything pass and only leave word for others: `sni_cluster`, `set_filter_state`.

import type { LocalRateLimitModel, RuntimeFlagModel } from '../config/model/common.ts';
import type { ConnectionLimitModel, NetworkFilterModel } from '../config/model/listener.ts';
import { type RuntimeKeys, runtimeFlag } from '../config/model/runtime.ts';
import {
  CONNECTION_LIMIT,
  CONNECTION_LIMIT_ACTIVE_CONNECTIONS,
  CONNECTION_LIMIT_LIMITED_CONNECTIONS,
  LOCAL_RATE_LIMIT,
  LOCAL_RATE_LIMIT_RATE_LIMITED,
} from '../observe/catalogue-listener.ts';
import { FLAG_URX } from '../observe/flags.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import { ConnectionState } from './connection-state.ts';
import { add } from './count.ts';
import { type ConnectionGate, PASS } from './gate.ts';
import type { SharedGates } from './shared-gates.ts';

/** What gates need of their worker. */
export interface GateEnv {
  readonly stats: StatsStore;
  readonly shared: SharedGates;
  readonly runtimeKeys: RuntimeKeys;
}

/** Makes the gate of a filter that is not terminal. @throws Error for a terminal one, which lowering puts last */
export function compileGate(model: NetworkFilterModel, env: GateEnv): ConnectionGate {
  switch (model.kind) {
    case 'connection_limit':
      return new ConnectionLimit(model.config, env);
    case 'local_ratelimit':
      return new LocalRateLimit(model.config, env, 'local_rate_limit.');
    case 'sni_cluster':
      env.shared.number();
      return SNI_CLUSTER;
    case 'set_filter_state':
      env.shared.number();
      return new ConnectionState(model);
    default:
      throw new Error(`${model.kind} is terminal and not last`);
  }
}

function isEnabled({ defaultValue, runtimeKey }: RuntimeFlagModel, env: GateEnv): boolean {
  return runtimeFlag(env.runtimeKeys, runtimeKey, defaultValue);
}

class ConnectionLimit implements ConnectionGate {
  readonly closeReason = 'over_connection_limit';
  readonly flags = 0;
  private readonly model: ConnectionLimitModel;
  private readonly shared: SharedGates;
  private readonly gate: number;
  private readonly enabled: boolean;
  private readonly stats: Float64Array;

  constructor(model: ConnectionLimitModel, env: GateEnv) {
    this.model = model;
    this.shared = env.shared;
    this.gate = env.shared.number();
    this.enabled = isEnabled(model.enabled, env);
    this.stats = env.stats.block(CONNECTION_LIMIT, `connection_limit.${model.statPrefix}.`);
  }

  admit(): number {
    if (!this.enabled) return PASS;
    add(this.stats, CONNECTION_LIMIT_ACTIVE_CONNECTIONS, 1);
    if (this.shared.count(this.gate) >= this.model.maxConnections) {
      add(this.stats, CONNECTION_LIMIT_LIMITED_CONNECTIONS, 1);
      return this.model.delayMs;
    }
    this.shared.add(this.gate, 1);
    return PASS;
  }

  onClosed(admitted: boolean): void {
    if (!this.enabled) return;
    add(this.stats, CONNECTION_LIMIT_ACTIVE_CONNECTIONS, -1);
    if (admitted) this.shared.add(this.gate, -1);
  }
}

const MICROS_PER_MS = 1_000;

/** Also a listener filter, which begins with its word. */
export class LocalRateLimit implements ConnectionGate {
  readonly closeReason = 'local_ratelimit_close_over_limit';
  // Envoy's choice among the flags.
  readonly flags = FLAG_URX;
  private readonly model: LocalRateLimitModel;
  private readonly shared: SharedGates;
  private readonly bucket: number;
  private readonly microsPerToken: number;
  private readonly enabled: boolean;
  private readonly stats: Float64Array;

  /** @param statScope what stands before the filter's own prefix, with its dot */
  constructor(model: LocalRateLimitModel, env: GateEnv, statScope: string) {
    this.model = model;
    this.shared = env.shared;
    this.bucket = env.shared.bucket(model.shareKey);
    this.microsPerToken = (model.fillIntervalMs * MICROS_PER_MS) / model.tokensPerFill;
    this.enabled = isEnabled(model.enabled, env);
    this.stats = env.stats.block(LOCAL_RATE_LIMIT, `${statScope}${model.statPrefix}.`);
  }

  admit(): number {
    const { model, shared, bucket, microsPerToken } = this;
    if (!this.enabled || shared.takeToken(bucket, model.maxTokens, microsPerToken, Date.now() * MICROS_PER_MS))
      return PASS;
    add(this.stats, LOCAL_RATE_LIMIT_RATE_LIMITED, 1);
    return 0;
  }

  onClosed(): void {}
}

/** The server name that the client asked for becomes the name of the TCP proxy's cluster. */
const SNI_CLUSTER: ConnectionGate = {
  closeReason: '',
  flags: 0,
  admit: (connection: ConnectionInfo) => {
    if (connection.requestedServerName !== '') connection.tcpCluster = connection.requestedServerName;
    return PASS;
  },
  onClosed: () => {},
};
